//! Follows what is written, by this process and by others.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout_at};

use super::Cache;
use crate::error::{Error, Result};
use crate::store::Db;
use crate::store::changes::{self, Change};
use crate::store::conn::BLIND;

/// How soon a look that failed is tried again.
const AGAIN: Duration = Duration::from_millis(200);

/// Most changes that are applied one by one. Who has missed more begins anew.
const BATCH: usize = 10_000;

/// How long changes stay in the table at least: much longer than a process goes on from where it was.
const KEPT: Duration = Duration::from_secs(10 * 60);

/// The one task of a process that keeps its [`Cache`] true.
pub struct Refresher {
    db: Db,
    cache: Arc<Cache>,
    every: Duration,
    position: Option<Position>,
}

/// Up to where the database was followed, and when that was.
#[derive(Clone)]
struct Position {
    /// The last change that was seen. None if there was none.
    last: Option<Change>,
    seen: Instant,
}

impl Refresher {
    /// One that looks now, then every `every`, and at once when this process has written.
    pub async fn start(db: Db, cache: Arc<Cache>, every: Duration) -> Result<Self> {
        let mut new = Self { db, cache, every, position: None };
        let number = *new.db.follow().written().borrow();
        new.position = Some(new.begin(Instant::now(), number).await?);
        Ok(new)
    }

    /// Follows until the runtime ends.
    pub async fn run(mut self) {
        let mut written = self.db.follow().written();
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = written.changed() => {}
            }
            let position = self.position.take();
            self.position = Some(self.look(position, &mut written).await);
        }
    }

    /// Looks until it succeeds.
    async fn look(&self, position: Option<Position>, written: &mut watch::Receiver<u64>) -> Position {
        let mut position = position;
        let mut failed = false;
        loop {
            let number = *written.borrow_and_update();
            let begun = Instant::now();
            let looked = match &position {
                None => self.begin(begun, number).await,
                Some(known) => {
                    let look = timeout_at(known.seen + BLIND, self.go_on(known.last.clone(), begun, number));
                    look.await.unwrap_or_else(|_| Err(Error::unavailable("database", "no answer")))
                }
            };
            let error = match looked {
                Ok(reached) => {
                    if failed {
                        tracing::info!("the database is back");
                    }
                    return reached;
                }
                Err(error) => error,
            };
            if !std::mem::replace(&mut failed, true) {
                tracing::warn!(cause = error.private(), "the database cannot be looked at");
            }
            if position.as_ref().is_some_and(|known| known.seen.elapsed() >= BLIND) {
                position = None;
                self.cache.end();
                self.db.follow().nobody_follows();
                tracing::warn!("not ready: the database has been out of sight for {BLIND:?}");
            }
            sleep_until(begun + AGAIN).await;
        }
    }

    /// Begins at what the database holds now, which is all that was written up to `number`.
    async fn begin(&self, seen: Instant, number: u64) -> Result<Position> {
        let last = self.db.watch(changes::newest).await?;
        // In this order: who writes from here on waits, before anything can be remembered.
        self.db.follow().followed(number);
        self.cache.begin(seen);
        Ok(Position { last, seen })
    }

    /// Applies what came since.
    async fn go_on(&self, last: Option<Change>, seen: Instant, number: u64) -> Result<Position> {
        let from = last.as_ref().map_or(0, |last| last.rev);
        let mut found = self.db.watch(move |conn| changes::from(conn, from, BATCH)).await?;
        // The last one must be there still: else it is another state of the database, put back from a backup.
        let known = usize::from(last.is_some());
        if found.len() >= BATCH || found.first().filter(|_| known > 0) != last.as_ref() {
            return self.begin(seen, number).await;
        }
        self.cache.apply(found.get(known..).unwrap_or_default(), seen);
        self.db.follow().followed(number);
        Ok(Position { last: found.pop().or(last), seen })
    }
}

/// Deletes changes that everybody has seen long ago, again and again.
pub async fn forget_old_changes(db: Db) {
    let mut old = None;
    loop {
        let newest = db.read(changes::newest).await.ok().flatten().map(|newest| newest.rev);
        if let Some(rev) = old.filter(|rev| newest != Some(*rev))
            && let Err(error) = db.write("forget_changes", move |conn| changes::forget(conn, rev)).await
        {
            tracing::warn!(cause = error.private(), "old changes could not be deleted");
        }
        old = newest;
        sleep(KEPT).await;
    }
}
