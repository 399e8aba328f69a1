//! Key pairs made ahead of need.
//!
//! Generating RSA-2048 takes 50 to 250 ms of a core, a thousand times a request's other work. So it is done by
//! threads of the lowest priority: one keeps a number of pairs ready, and one a core generates for those who found
//! none and wait in line. They take what the cores have left. Where that is nothing, a thread of normal priority steps
//! in. Workers never generate.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::rsa::RsaKeyPair;
use crate::error::{Error, Result};
use crate::metrics::Timings;

/// How long a generator rests after a failure, so that a broken source of randomness does not make it spin.
const REST_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// How long those in line get nothing before the machine counts as too busy for threads of the lowest priority. Left
/// alone, each of them makes several pairs in that time.
const STARVED: Duration = Duration::from_secs(1);

/// The lowest priority a thread can have (`nice`).
const LOWEST_PRIORITY: i32 = 19;

/// A stock of ready key pairs. The generator threads end when it is dropped.
#[derive(Debug)]
pub struct KeyPool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: usize,
    state: Mutex<State>,
    work: Condvar,
    generated: Timings,
    failing: AtomicBool,
}

/// How a pool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Levels {
    /// Pairs that are ready.
    pub ready: usize,
    /// Pairs to keep ready.
    pub target: usize,
    /// Callers who wait for one.
    pub waiting: usize,
    /// Whether the last pair could not be generated.
    pub failing: bool,
}

#[derive(Debug)]
struct State {
    ready: Vec<RsaKeyPair>,
    waiting: VecDeque<oneshot::Sender<RsaKeyPair>>,
    /// When somebody in line was served last, or the line began.
    served: Instant,
    /// Pairs under way for the stock.
    restocking: usize,
    /// Pairs under way for the line.
    serving: usize,
    stopped: bool,
}

/// What a generator thread is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Filling up the stock, at the lowest priority.
    Restock,
    /// Serving the line, at the lowest priority.
    Serve,
    /// Serving the line at normal priority, while the others get nowhere.
    Relieve,
}

impl KeyPool {
    /// Starts the generators. `target` pairs are kept ready; with 0, pairs are made only for those who wait.
    pub fn start(target: u32) -> Result<Self> {
        let serving = thread::available_parallelism().map_or(1, usize::from);
        let roles =
            [Role::Restock, Role::Relieve].into_iter().chain(std::iter::repeat_n(Role::Serve, serving));
        Self::start_with(target as usize, roles)
    }

    fn start_with(target: usize, roles: impl Iterator<Item = Role>) -> Result<Self> {
        let state = State {
            ready: Vec::new(),
            waiting: VecDeque::new(),
            served: Instant::now(),
            restocking: 0,
            serving: 0,
            stopped: false,
        };
        let shared = Arc::new(Shared {
            target,
            state: Mutex::new(state),
            work: Condvar::new(),
            generated: Timings::default(),
            failing: AtomicBool::new(false),
        });
        let pool = Self { shared };
        for role in roles {
            let shared = Arc::clone(&pool.shared);
            thread::Builder::new()
                .name("key-pool".to_owned())
                .spawn(move || shared.generate_until_stopped(role))
                .map_err(|error| Error::internal("starting a key generator", error))?;
        }
        Ok(pool)
    }

    /// Takes a ready pair, or waits in line for the next one.
    pub async fn take(&self) -> Result<RsaKeyPair> {
        let turn = {
            let mut state = self.shared.lock();
            let ready = state.ready.pop();
            let (sender, turn) = oneshot::channel();
            if ready.is_none() {
                if state.waiting.is_empty() {
                    state.served = Instant::now();
                }
                state.waiting.push_back(sender);
            }
            self.shared.work.notify_all();
            match ready {
                Some(pair) => return Ok(pair),
                None => turn,
            }
        };
        turn.await.map_err(|_| Error::internal("taking a key pair", "the generators have stopped"))
    }

    /// Returns a pair that nobody has seen, for the next in line. A refused creation wastes no pair.
    pub fn put_back(&self, pair: RsaKeyPair) {
        self.shared.lock().hand_out(pair, self.shared.target);
    }

    /// How the pool is now.
    #[must_use]
    pub fn levels(&self) -> Levels {
        let state = self.shared.lock();
        let (ready, waiting) = (state.ready.len(), state.waiting.len());
        let failing = self.shared.failing.load(Ordering::Relaxed);
        Levels { ready, target: self.shared.target, waiting, failing }
    }

    /// How long pairs took that were generated.
    #[must_use]
    pub fn generated(&self) -> &Timings {
        &self.shared.generated
    }

    #[cfg(test)]
    fn ready(&self) -> usize {
        self.shared.lock().ready.len()
    }
}

impl Drop for KeyPool {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.stopped = true;
        state.waiting.clear();
        self.shared.work.notify_all();
    }
}

impl Shared {
    /// A poisoned lock is taken all the same: every change under it is a single step.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn generate_until_stopped(&self, role: Role) {
        if role != Role::Relieve {
            // Where the platform refuses, they run at normal priority: slower answers, nothing worse.
            #[cfg(target_os = "linux")]
            let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), LOWEST_PRIORITY);
        }
        while self.claim_work(role) {
            let begun = Instant::now();
            let outcome = RsaKeyPair::generate();
            self.failing.store(outcome.is_err(), Ordering::Relaxed);
            if outcome.is_ok() {
                self.generated.note(begun.elapsed());
            }
            let mut state = self.lock();
            *state.under_way(role) -= 1;
            match outcome {
                Ok(pair) => state.hand_out(pair, self.target),
                Err(error) => {
                    // Whoever is first in line learns of it; the rest get another try.
                    drop(state.waiting.pop_front());
                    drop(state);
                    tracing::error!(cause = error.private(), "no key pair could be generated");
                    thread::sleep(REST_AFTER_FAILURE);
                }
            }
        }
    }

    /// Waits until a pair is wanted and claims its making; false when the pool is gone.
    fn claim_work(&self, role: Role) -> bool {
        let idle = |state: &mut State| {
            !state.stopped
                && match role {
                    Role::Restock => state.ready.len() + state.restocking >= self.target,
                    Role::Serve => state.serving >= state.waiting.len(),
                    Role::Relieve => state.waiting.is_empty(),
                }
        };
        let mut state = self.lock();
        loop {
            state = self.work.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner);
            let patience = STARVED.saturating_sub(state.served.elapsed());
            if state.stopped || role != Role::Relieve || patience.is_zero() {
                *state.under_way(role) += 1;
                return !state.stopped;
            }
            let waited = self.work.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner);
            state = waited.0;
        }
    }
}

impl State {
    fn under_way(&mut self, role: Role) -> &mut usize {
        match role {
            Role::Restock => &mut self.restocking,
            Role::Serve | Role::Relieve => &mut self.serving,
        }
    }

    fn hand_out(&mut self, mut pair: RsaKeyPair, target: usize) {
        while let Some(next) = self.waiting.pop_front() {
            match next.send(pair) {
                Ok(()) => {
                    self.served = Instant::now();
                    return;
                }
                // That caller has gone; the pair is the next one's.
                Err(unclaimed) => pair = unclaimed,
            }
        }
        if self.ready.len() < target {
            self.ready.push(pair);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pairs_differ_and_an_empty_pool_still_serves() {
        let pool = KeyPool::start(0).unwrap();
        let (a, b) = (pool.take().await.unwrap(), pool.take().await.unwrap());
        assert_ne!(a.modulus(), b.modulus());
    }

    #[tokio::test]
    async fn who_gets_nothing_from_the_others_is_served_at_normal_priority() {
        let pool = KeyPool::start_with(0, std::iter::once(Role::Relieve)).unwrap();
        for _ in 0..2 {
            pool.take().await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_pair_put_back_goes_to_the_one_who_waits() {
        let pool = KeyPool::start(1).unwrap();
        let pair = pool.take().await.unwrap();
        let modulus = pair.modulus().to_vec();
        while pool.ready() < 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let other = pool.take().await.unwrap();
        pool.put_back(pair);
        assert_eq!(pool.take().await.unwrap().modulus(), modulus);
        assert_ne!(other.modulus(), modulus);
    }
}
