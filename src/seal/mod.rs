//! Sealing at rest: a master key wraps a keyring of data keys, and those seal single values, each bound to
//! its place in the database. docs/SEALING.md tells the whole story.

pub mod blob;
pub mod keyring;
pub mod master;

pub use blob::Place;
pub use keyring::{Keyring, WrappedTerm};
pub use master::MasterKey;
