//! Numbers about this process: noted where things happen, and read when somebody asks for them.

mod requests;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

pub use requests::{Observer, Requests, Series, UnderWay};

/// The upper bounds of the ranges in which durations are counted, in microseconds. Beyond them is one more.
pub const BOUNDS: [u64; 16] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000,
];

/// How many durations were in which range, and how long they were together.
#[derive(Debug, Default)]
pub struct Timings {
    counts: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

/// What a [`Timings`] held at some moment, or several of them together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Distribution {
    /// How many were in each range.
    pub counts: [u64; BOUNDS.len() + 1],
    /// How long they were together, in microseconds.
    pub micros: u64,
}

impl Timings {
    /// Notes that something took so long.
    pub fn note(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let range = BOUNDS.iter().position(|bound| micros <= *bound).unwrap_or(BOUNDS.len());
        if let Some(count) = self.counts.get(range) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// What was noted so far.
    #[must_use]
    pub fn read(&self) -> Distribution {
        let counts = self.counts.each_ref().map(|count| count.load(Ordering::Relaxed));
        Distribution { counts, micros: self.micros.load(Ordering::Relaxed) }
    }
}

impl Distribution {
    /// Takes another one in.
    pub fn add(&mut self, other: &Self) {
        self.counts.iter_mut().zip(other.counts).for_each(|(count, more)| *count += more);
        self.micros += other.micros;
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// A number that many threads raise. Most have a place of their own to do it, so that they do not wait for each other.
#[derive(Debug, Default)]
pub struct Count([Place; PLACES]);

const PLACES: usize = 16;

/// As long as what processors hand to each other at once.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Place(AtomicU64);

thread_local! {
    static PLACE: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed) % PLACES
    };
}

impl Count {
    /// Adds one.
    pub fn add(&self) {
        // A thread that ends may have no place any more.
        let place = PLACE.try_with(|place| *place).unwrap_or_default();
        if let Some(place) = self.0.get(place) {
            place.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many were added so far.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.0.iter().map(|place| place.0.load(Ordering::Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_the_range_that_it_ends() {
        let timings = Timings::default();
        for micros in [0, 100, 101, 1_000, 10_000_000, 10_000_001] {
            timings.note(Duration::from_micros(micros));
        }
        let read = timings.read();
        let mut expected = [0; BOUNDS.len() + 1];
        for (range, many) in [(0, 2), (1, 1), (3, 1), (15, 1), (16, 1)] {
            expected[range] = many;
        }
        assert_eq!(read, Distribution { counts: expected, micros: 20_001_202 });
        let mut twice = read;
        twice.add(&read);
        assert_eq!((read.count(), twice.count(), twice.micros), (6, 12, 40_002_404));
    }

    #[test]
    fn what_threads_add_at_once_is_all_counted() {
        let count = Count::default();
        std::thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| (0..1000).for_each(|_| count.add()));
            }
        });
        assert_eq!(count.read(), 40_000);
    }
}
