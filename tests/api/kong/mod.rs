//! Keys and key sets, as clients of Kong's Admin API see them.

mod at_rest;
mod isolation;
mod reveal;
