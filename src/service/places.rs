//! Places for work that computes, so that it never takes all cores and never queues without end.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Result};

/// The bits of the longest RSA modulus that is quick to judge: it takes about 70 ms.
const SHORT: usize = 4096;

/// Most requests that wait in one line. Who comes after is told to come back.
const LINE: usize = 100;

/// Two lines for RSA keys, so that a few long ones do not hold up the many short ones. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Places {
    short: Line,
    long: Line,
}

#[derive(Debug, Clone)]
struct Line {
    places: Arc<Semaphore>,
    /// Those at work and those who wait.
    all: Arc<Semaphore>,
}

/// A place, given back when dropped.
#[derive(Debug)]
pub struct Place {
    _work: OwnedSemaphorePermit,
    _line: OwnedSemaphorePermit,
}

impl Places {
    /// A place a core for short work, and half as many for long work, but one at least.
    #[must_use]
    pub fn new(cores: usize) -> Self {
        Self { short: Line::new(cores), long: Line::new((cores / 2).max(1)) }
    }

    /// Waits for a place for judging an RSA key of `bits` bits.
    pub async fn take(&self, bits: usize) -> Result<Place> {
        if bits <= SHORT { self.short.take().await } else { self.long.take().await }
    }
}

impl Line {
    fn new(places: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), all: Arc::new(Semaphore::new(places + LINE)) }
    }

    async fn take(&self) -> Result<Place> {
        let line = Arc::clone(&self.all).try_acquire_owned();
        let line = line.map_err(|_| Error::unavailable("judging a key", "too many wait already"))?;
        let work = Arc::clone(&self.places).acquire_owned().await;
        let work = work.map_err(|error| Error::internal("judging a key", error))?;
        Ok(Place { _work: work, _line: line })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::error::Kind;

    #[tokio::test]
    async fn long_work_does_not_hold_up_short_work() {
        let places = Places::new(1);
        let _long = places.take(SHORT + 1).await.unwrap();
        assert!(places.take(SHORT + 1).now_or_never().is_none());
        assert!(places.take(SHORT).now_or_never().is_some());
    }

    #[tokio::test]
    async fn who_comes_after_a_full_line_is_told_so_and_a_place_comes_back() {
        let places = Places::new(2);
        let at_work = [places.take(1).await.unwrap(), places.take(1).await.unwrap()];
        let mut waiting: Vec<_> = (0..LINE).map(|_| Box::pin(places.take(1))).collect();
        for one in &mut waiting {
            assert!(one.now_or_never().is_none());
        }
        assert_eq!(places.take(1).await.unwrap_err().kind(), &Kind::Unavailable);
        drop(waiting);
        drop(at_work);
        assert!(places.take(1).now_or_never().is_some());
    }
}
