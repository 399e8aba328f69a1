//! Keys and key sets, as clients of Kong's Admin API see them.

mod at_rest;
mod convert;
mod corpus;
mod isolation;
mod material;
mod openssl;
mod references;
mod reveal;
