//! How long the database takes.

use crate::error::Result;
use crate::metrics::{Count, Timings};

/// How long closures took, and how many failed for reasons of the database.
#[derive(Debug, Default)]
pub struct Times {
    /// Reads, waiting for a connection included.
    pub reads: Timings,
    /// Writes, up to their commit, waiting in line included.
    pub writes: Timings,
    /// Waiting for a connection that reads.
    pub waits: Timings,
    /// Reads and writes that failed because the database was away, too slow, or at fault.
    pub failures: Count,
}

impl Times {
    /// Counts what has failed, but for what was decided not to be done.
    pub(super) fn judge<T>(&self, outcome: &Result<T>) {
        if outcome.as_ref().is_err_and(|error| !error.is_refusal()) {
            self.failures.add();
        }
    }
}
