//! Keys and key sets, as clients of Kong's Admin API see them.

mod isolation;
mod reveal;
