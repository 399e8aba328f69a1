//! The use cases: rules, limits, sealing, and the transaction that holds them together.

pub mod hook_keys;
pub mod keyring;
pub mod orgs;
pub mod tasks;
pub mod tokens;

pub use hook_keys::HookKeys;
pub use keyring::Keys;
pub use orgs::Orgs;
pub use tasks::Tasks;
pub use tokens::{Caller, Tokens};
