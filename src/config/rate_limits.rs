//! The section `rate_limits`.

use std::time::Duration;

use serde::Deserialize;

use super::{count, parse_span};
use crate::error::{Error, Result};

/// The longest window: a client that is refused should not have to wait longer.
const LONGEST_WINDOW: Duration = Duration::from_secs(60 * 60);

/// More than any process serves in the longest window.
const MOST: u32 = 1_000_000_000;

/// How often a token may be used, and how often an address may come with a wrong one.
#[derive(Debug, Clone, Copy)]
pub struct RateLimitSettings {
    /// Most requests of one token in a window; 0 sets no limit.
    pub requests: u32,
    /// Most failed log-ins from one client address in a window; 0 sets no limit.
    pub failed_logins: u32,
    /// How long a window is, in seconds.
    pub window: u32,
}

#[derive(Deserialize)]
pub(super) struct RawRateLimits {
    requests: i64,
    window: String,
    failed_logins: i64,
}

impl RawRateLimits {
    pub(super) fn check(&self) -> Result<RateLimitSettings> {
        let window = parse_span("rate_limits.window", &self.window)?;
        // Clients are told the end of a window in whole seconds.
        if window > LONGEST_WINDOW || window.subsec_nanos() > 0 {
            return Err(Error::setup("rate_limits.window: use whole seconds, at least 1s and at most 1h"));
        }
        Ok(RateLimitSettings {
            requests: count("rate_limits.requests", self.requests, MOST)?,
            failed_logins: count("rate_limits.failed_logins", self.failed_logins, MOST)?,
            window: u32::try_from(window.as_secs()).unwrap_or(u32::MAX),
        })
    }
}
