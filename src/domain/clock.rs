//! Time as a parameter.

use chrono::{DateTime, Utc};

/// A moment, in UTC. Stored as milliseconds since the Unix epoch.
pub type Timestamp = DateTime<Utc>;

/// Where the time comes from. Tests put a clock here that they can move.
pub trait Clock: Send + Sync {
    /// The current time.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> Timestamp {
        Utc::now()
    }
}
