//! What this process remembers of the database, and how it stays true.
//!
//! A miss reads the database and keeps what it found. [`Refresher`] follows the table `changes` and drops what was
//! written by whichever process. A write waits until the refresher of its own process has seen it, so who reads
//! after a write sees it; another process may lag by the interval at which it looks.
//!
//! Private halves and secrets are never kept.

mod refresher;

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use quick_cache::sync;
use tokio::time::Instant;

use crate::domain::token::Token;
use crate::error::Result;
use crate::store::changes::{Change, Entity};
use crate::store::conn::BLIND;
use crate::store::tokens::Digest;
use crate::store::{self, Db};

pub use refresher::{Refresher, forget_old_changes};

/// The read model of this process.
pub struct Cache {
    gate: RwLock<Gate>,
    tokens: sync::Cache<Digest, Token>,
}

/// Decides what counts, and what may be kept.
///
/// Whoever keeps something holds the gate for reading, and the refresher holds it for writing. So nothing is kept
/// that was read before a change which the refresher has applied already.
#[derive(Debug, Default)]
struct Gate {
    /// When the database was last looked at. `None` while nobody follows it.
    seen: Option<Instant>,
    /// Rises with every change.
    age: u64,
}

impl Gate {
    fn is_open(&self) -> bool {
        // By the clock, so that it holds for a process that was stopped and goes on, too.
        self.seen.is_some_and(|seen| seen.elapsed() < BLIND)
    }
}

/// Something that was found, and where.
pub struct Found<T> {
    /// What was found.
    pub value: T,
    /// Whether it is from memory, so that the database may know better.
    pub remembered: bool,
}

impl Cache {
    /// An empty one for up to `capacity` rows. It keeps nothing until a [`Refresher`] follows the database.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { gate: RwLock::default(), tokens: sync::Cache::new(capacity) }
    }

    /// Whether the database was looked at in the last 5 seconds. While it was not, every read goes there.
    #[must_use]
    pub fn is_followed(&self) -> bool {
        self.gate().is_open()
    }

    /// The token with this digest, live or not.
    pub async fn token(&self, db: &Db, digest: Digest) -> Result<Option<Found<Token>>> {
        let age = {
            let gate = self.gate();
            if gate.is_open()
                && let Some(value) = self.tokens.get(&digest)
            {
                return Ok(Some(Found { value, remembered: true }));
            }
            gate.age
        };
        let token = db.read(move |conn| store::tokens::find_by_digest(conn, &digest)).await?;
        if let Some(token) = &token {
            self.keep(age, || self.tokens.insert(digest, token.clone()));
        }
        Ok(token.map(|value| Found { value, remembered: false }))
    }

    /// Keeps what was read when the cache had this age, unless it may have changed since.
    fn keep(&self, age: u64, keep: impl FnOnce()) {
        let gate = self.gate();
        if gate.is_open() && gate.age == age {
            keep();
        }
    }

    /// Drops what the changes have made untrue. They are all there were when the look began at `seen`.
    fn apply(&self, changes: &[Change], seen: Instant) {
        let mut gate = self.gate_mut();
        gate.seen = Some(seen);
        if changes.is_empty() {
            return;
        }
        gate.age += 1;
        for change in changes {
            match change.entity {
                Some(Entity::Org) => self.tokens.retain(|_, token| token.org.as_str() != change.id),
                Some(Entity::ApiToken) => self.tokens.retain(|_, token| token.id.as_str() != change.id),
                _ => {}
            }
        }
    }

    /// Begins anew: nothing from before the look at `seen` counts.
    fn begin(&self, seen: Instant) {
        let mut gate = self.gate_mut();
        self.tokens.clear();
        gate.age += 1;
        gate.seen = Some(seen);
    }

    /// From now on nothing counts.
    fn end(&self) {
        self.gate_mut().seen = None;
    }

    fn gate(&self) -> RwLockReadGuard<'_, Gate> {
        self.gate.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn gate_mut(&self) -> RwLockWriteGuard<'_, Gate> {
        self.gate.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(cache: &Cache, age: u64) -> bool {
        let mut kept = false;
        cache.keep(age, || kept = true);
        kept
    }

    fn change() -> Change {
        Change { rev: 1, entity: None, id: String::new() }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_read_before_a_change_is_not_kept_after_it() {
        let cache = Cache::new(10);
        assert!(!kept(&cache, 0), "nobody follows");
        cache.begin(Instant::now());
        let age = cache.gate().age;
        assert!(!kept(&cache, age - 1), "read before the beginning");
        assert!(kept(&cache, age));
        cache.apply(&[], Instant::now());
        assert!(kept(&cache, age), "nothing has changed");
        cache.apply(&[change()], Instant::now());
        assert!(!kept(&cache, age));
        assert!(kept(&cache, age + 1));
        cache.end();
        assert!(!kept(&cache, age + 1), "nobody follows any more");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_counts_until_the_database_is_out_of_sight() {
        let cache = Cache::new(10);
        cache.begin(Instant::now());
        let half = BLIND / 2;
        tokio::time::advance(half).await;
        assert!(cache.is_followed());
        tokio::time::advance(half).await;
        assert!(!cache.is_followed() && !kept(&cache, cache.gate().age));
        cache.apply(&[], Instant::now());
        assert!(cache.is_followed());
    }
}
