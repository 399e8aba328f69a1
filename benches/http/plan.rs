//! How long and how often things are measured, and on how much data: all in one place.

use std::time::Duration;

/// The extent of one run of the benchmark.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Whether this is the short run that only tries the harness.
    pub(crate) quick: bool,
    /// Rounds of each side of a comparison.
    pub(crate) rounds: usize,
    /// Seconds of a round.
    pub(crate) seconds: u64,
    /// Seconds of a round in which key pairs are generated: each takes its own time, so that many are needed.
    pub(crate) long_seconds: u64,
    /// Seconds of load before the first round of a comparison.
    pub(crate) warm_up: u64,
    /// Real RSA key pairs, shared by all rows.
    pub(crate) pairs: usize,
    /// Orgs of the large database.
    pub(crate) many_orgs: usize,
    /// Orgs of the database that the start is measured with.
    pub(crate) start_orgs: usize,
    /// Starts.
    pub(crate) starts: usize,
    /// Key pairs kept ready when creating from a full pool.
    pub(crate) pool: u32,
    /// Creations of one round from it.
    pub(crate) creates: usize,
}

/// Hook keys of each org, which is the default limit.
pub(crate) const KEYS_PER_ORG: usize = 50;

/// Connections of the load.
pub(crate) const CONNECTIONS: u32 = 16;

/// Connections that create while the pool is drained.
pub(crate) const CREATORS: u32 = 8;

/// Connections that read slowly while others create, and connections that create then.
pub(crate) const SLOW_READERS: u32 = 4;
pub(crate) const SIDE_CREATORS: u32 = 4;

/// Milliseconds between an answer and the next request of a slow reader.
pub(crate) const SLOW_DELAY: u32 = 2;

/// How long a server may take to come to rest, such as for filling its pool.
pub(crate) const REST: Duration = Duration::from_secs(600);

impl Plan {
    /// What the report in docs/ is made with.
    pub(crate) fn full() -> Self {
        Self {
            quick: false,
            rounds: 5,
            seconds: 3,
            long_seconds: 12,
            warm_up: 2,
            pairs: 300,
            many_orgs: 2000,
            start_orgs: 200,
            starts: 7,
            pool: 200,
            creates: 150,
        }
    }

    /// Enough to see that the harness works.
    pub(crate) fn quick() -> Self {
        Self {
            quick: true,
            rounds: 3,
            seconds: 1,
            long_seconds: 3,
            warm_up: 1,
            pairs: 20,
            many_orgs: 40,
            start_orgs: 40,
            starts: 3,
            pool: 30,
            creates: 25,
        }
    }
}
