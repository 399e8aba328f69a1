//! How calls of external services went.

use std::time::Duration;

use crate::error::Upstream;
use crate::metrics::Timings;
use crate::outbound::Fault;

/// How a call can go, by name.
pub const OUTCOMES: [&str; 5] = ["answered", "refused", "unreachable", "bad_answer", "silent"];

/// What calls are for, by name: an access token, or the hook itself.
pub const STEPS: [&str; 2] = ["token", "hook"];

pub(super) const TOKEN: usize = 0;
pub(super) const HOOK: usize = 1;
pub(super) const ANSWERED: usize = 0;
pub(super) const REFUSED: usize = 1;

/// How long calls took, by what for and by how they went, in the orders of [`STEPS`] and [`OUTCOMES`].
#[derive(Debug, Default)]
pub struct Calls(pub [[Timings; OUTCOMES.len()]; STEPS.len()]);

impl Calls {
    /// Notes a call: `step` and `outcome` are places in [`STEPS`] and [`OUTCOMES`].
    pub(super) fn note(&self, step: usize, outcome: usize, took: Duration) {
        if let Some(timings) = self.0.get(step).and_then(|outcomes| outcomes.get(outcome)) {
            timings.note(took);
        }
    }
}

/// The place of a fault in [`OUTCOMES`].
pub(super) fn outcome_of(fault: &Fault) -> usize {
    match fault.failure {
        Upstream::Unreachable => 2,
        Upstream::BadAnswer => 3,
        Upstream::Silent => 4,
    }
}
