//! The nouns of the service. A value of these types is right by construction; nothing here does I/O.

pub mod audit;
pub mod change;
pub mod channel;
pub mod clock;
pub mod entropy;
pub mod hook_key;
pub mod ids;
pub mod inline_hook;
pub mod key;
pub mod key_set;
pub mod org;
pub mod page;
pub mod permission;
pub mod secret;
pub mod tags;
pub mod text;
pub mod token;
pub mod window;

pub use clock::{Clock, Timestamp};
pub use entropy::Entropy;
