//! Time as a parameter.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// A moment, in UTC. Stored as milliseconds since the Unix epoch.
pub type Timestamp = DateTime<Utc>;

/// The moment `span` after `moment`, or the end of time where that is out of range.
#[must_use]
pub fn later(moment: Timestamp, span: Duration) -> Timestamp {
    let end = TimeDelta::from_std(span).ok().and_then(|span| moment.checked_add_signed(span));
    end.unwrap_or(Timestamp::MAX_UTC)
}

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
