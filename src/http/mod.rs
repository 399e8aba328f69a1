//! The HTTP side: translates requests into calls of services, and results into answers.

mod address;
mod audit;
mod connection;
mod depth;
pub mod error;
pub mod extract;
pub mod health;
pub mod kong;
pub mod metrics;
pub mod observe;
pub mod okta;
mod quota;
pub mod representation;
pub mod routes;
mod server;
mod wire;

use percent_encoding::percent_decode_str;

pub use server::{Address, server};

/// Where Okta's paths begin.
const OKTA: &str = "/api/";

/// The APIs that are served. They differ in the shape of failures, in common headers and in credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// Okta's, under `/api/`.
    Okta,
    /// Kong's, everywhere else.
    Kong,
}

impl Api {
    /// The API that a path belongs to. A letter may come percent-encoded: the router takes it for the same.
    #[must_use]
    pub fn of(path: &str) -> Self {
        if path.starts_with(OKTA) {
            return Self::Okta;
        }
        let start = percent_decode_str(path).take(OKTA.len());
        if start.eq(OKTA.bytes()) { Self::Okta } else { Self::Kong }
    }
}
