//! Requests by route, method and status. Each worker notes its own, so that no two share a lock or a number.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Distribution, Timings};

/// Which requests are counted as the same. Callers choose none of it: all values are known before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Series {
    /// The path of the route, with parameters in braces.
    pub route: &'static str,
    /// The method.
    pub method: &'static str,
    /// The status of the answer.
    pub status: u16,
}

/// Those of all workers.
#[derive(Debug, Default)]
pub struct Requests(Mutex<Vec<Arc<Worker>>>);

#[derive(Debug, Default)]
struct Worker {
    begun: AtomicU64,
    ended: AtomicU64,
    series: Mutex<HashMap<Series, Arc<Timings>>>,
}

/// What one worker notes with. It stays on its thread; a clone notes in the same place.
#[derive(Debug, Clone)]
pub struct Observer {
    worker: Arc<Worker>,
    /// The same as in the worker, without its lock.
    series: Rc<RefCell<HashMap<Series, Arc<Timings>>>>,
}

/// A request that is under way until this is dropped.
#[derive(Debug)]
pub struct UnderWay(Arc<Worker>);

impl Requests {
    /// For one more worker.
    #[must_use]
    pub fn observer(&self) -> Observer {
        let worker = Arc::<Worker>::default();
        lock(&self.0).push(Arc::clone(&worker));
        Observer { worker, series: Rc::default() }
    }

    /// How many are under way.
    #[must_use]
    pub fn under_way(&self) -> u64 {
        let workers = lock(&self.0);
        // In this order: none has ended that has not begun.
        let ended: u64 = workers.iter().map(|worker| worker.ended.load(Ordering::Acquire)).sum();
        let begun: u64 = workers.iter().map(|worker| worker.begun.load(Ordering::Acquire)).sum();
        begun.saturating_sub(ended)
    }

    /// How many there were of each series, and how long they took.
    #[must_use]
    pub fn read(&self) -> BTreeMap<Series, Distribution> {
        let mut all = BTreeMap::<_, Distribution>::new();
        for worker in lock(&self.0).iter() {
            for (series, timings) in lock(&worker.series).iter() {
                all.entry(*series).or_default().add(&timings.read());
            }
        }
        all
    }
}

impl Observer {
    /// A request has begun.
    #[must_use]
    pub fn begin(&self) -> UnderWay {
        self.worker.begun.fetch_add(1, Ordering::Release);
        UnderWay(Arc::clone(&self.worker))
    }

    /// A request was answered.
    pub fn note(&self, series: Series, took: Duration) {
        let mut known = self.series.borrow_mut();
        let timings = known
            .entry(series)
            .or_insert_with(|| Arc::clone(lock(&self.worker.series).entry(series).or_default()));
        timings.note(took);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Release);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_workers_note_is_told_together() {
        let requests = Requests::default();
        let series = |status| Series { route: "/a/{id}", method: "GET", status };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let observer = requests.observer();
                    for _ in 0..100 {
                        observer.note(series(200), Duration::from_micros(7));
                    }
                    observer.clone().note(series(404), Duration::from_micros(1));
                    std::mem::forget(observer.begin());
                    drop(observer.begin());
                });
            }
        });
        let read = requests.read();
        let told: Vec<_> =
            read.iter().map(|(series, took)| (series.status, took.count(), took.micros)).collect();
        assert_eq!(told, [(200, 400, 2800), (404, 4, 4)]);
        assert_eq!(requests.under_way(), 4);
    }
}
