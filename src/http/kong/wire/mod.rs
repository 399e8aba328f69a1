//! The bodies of Kong's API: what clients send, in any of its three forms, and what they get.

pub mod body;
mod fields;
mod form;
pub mod key_sets;
pub mod keys;
pub mod list;
pub mod tags;

pub use fields::Fields;
