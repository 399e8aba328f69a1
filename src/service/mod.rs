//! The use cases: rules, limits, sealing, and the transaction that holds them together.

pub mod access_tokens;
pub mod audit;
pub mod backup;
pub mod calls;
pub mod copy;
pub mod execute;
pub mod hook_keys;
pub mod inline_hooks;
pub mod key_sets;
pub mod keyring;
pub mod keys;
pub mod limits;
pub mod orgs;
pub mod places;
pub mod sealing;
pub mod tags;
pub mod tasks;
pub mod tokens;

pub use access_tokens::AccessTokens;
pub use audit::{Audit, Operator};
pub use backup::{Archive, Backup, Draft};
pub use copy::Copy;
pub use execute::Execute;
pub use hook_keys::HookKeys;
pub use inline_hooks::InlineHooks;
pub use key_sets::KeySets;
pub use keyring::Keyrings;
pub use keys::Keys;
pub use limits::RateLimits;
pub use orgs::Orgs;
pub use places::Places;
pub use sealing::Sealer;
pub use tasks::Tasks;
pub use tokens::{Caller, NotLoggedIn, Tokens};

use std::sync::Arc;

/// Told now and then how much of a long piece of work is done, and how much there is in all.
pub type Report = Arc<dyn Fn(u64, u64) + Send + Sync>;
