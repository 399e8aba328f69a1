//! hook-keys: a self-hosted key service that speaks Okta's hook-keys and inline-hooks APIs.
//!
//! A map of the crate, top down. A module may use those below it, never those above; `tests/architecture.rs`
//! holds the exact table.
//!
//! | module | holds |
//! |---|---|
//! | [`cli`] | the commands: one file each |
//! | [`http`] | the route table, what turns requests into calls, and results into answers |
//! | [`app`] | everything a request needs, put together once |
//! | [`lifecycle`] | the background runtime, its recurring tasks, and the end of the process |
//! | [`config`] | settings: file, environment and flags, checked once |
//! | [`service`] | the use cases: rules, limits, sealing, transactions |
//! | [`cache`] | what is remembered of the database, and what keeps it true |
//! | [`tls`] | TLS of the listener, from files that can be read again |
//! | [`outbound`] | calls to external services; the only module that makes any |
//! | [`store`] | the database; the only module that names Diesel |
//! | [`seal`] | master key, keyring and sealed blobs |
//! | [`jose`] | JSON Web Keys |
//! | [`crypto`] | primitives; the only module that names ring or aws-lc-rs |
//! | [`domain`] | the nouns, right by construction |
//! | [`metrics`] | numbers about the process, noted where things happen |
//! | [`error`] | the one error type |

pub mod app;
pub mod cache;
pub mod cli;
pub mod config;
pub mod crypto;
pub mod domain;
pub mod error;
pub mod http;
pub mod jose;
pub mod lifecycle;
pub mod metrics;
pub mod outbound;
pub mod seal;
pub mod service;
pub mod store;
pub mod tls;

pub use error::{Error, Result};
