//! Limits of how often something may happen: fixed windows of time, each of which begins with what happens first.

use std::sync::atomic::{AtomicU64, Ordering};

use super::clock::Timestamp;

/// How often something may happen in a window of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How often.
    pub most: u32,
    /// How long a window is, in seconds.
    pub window: u32,
}

/// What is left of a [`Rate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Whether this time was within the rate.
    pub granted: bool,
    /// How often it may happen in a window.
    pub limit: u32,
    /// How often it may still happen in this one.
    pub remaining: u32,
    /// When the window ends, in seconds since the Unix epoch.
    pub reset: u32,
    /// How many seconds that is from now, at least 1.
    pub wait: u32,
}

/// Counts within the present window. One atomic operation a time, and no lock.
///
/// Above is the second in which the window began, since the epoch; below, how often it happened since. Whole seconds,
/// because that is what clients are told.
#[derive(Debug, Default)]
pub struct Window(AtomicU64);

impl Window {
    /// Counts once more, and tells what is left. What is beyond the rate is not counted.
    pub fn take(&self, rate: Rate, now: Timestamp) -> Quota {
        let now = seconds(now);
        let mut seen = self.0.load(Ordering::Relaxed);
        while !rate.covers(began(seen), now) {
            let anew = u64::from(now) << 32 | 1;
            match self.0.compare_exchange_weak(seen, anew, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return rate.quota(now, 0, now),
                Err(other) => seen = other,
            }
        }
        if count(seen) < rate.most {
            // If the window has ended meanwhile, another one has begun the next, and this counts there.
            seen = self.0.fetch_add(1, Ordering::Relaxed);
        }
        rate.quota(began(seen), count(seen), now)
    }

    /// What [`Window::take`] would tell, without counting.
    #[must_use]
    pub fn look(&self, rate: Rate, now: Timestamp) -> Quota {
        let (seen, now) = (self.0.load(Ordering::Relaxed), seconds(now));
        if rate.covers(began(seen), now) {
            return rate.quota(began(seen), count(seen), now);
        }
        rate.quota(now, 0, now)
    }

    /// Whether the window has ended, so that nothing is lost if it is forgotten.
    #[must_use]
    pub fn is_over(&self, rate: Rate, now: Timestamp) -> bool {
        !rate.covers(began(self.0.load(Ordering::Relaxed)), seconds(now))
    }
}

impl Rate {
    /// Whether a window that began then goes on. A clock that was put back a little ends none.
    fn covers(self, began: u32, now: u32) -> bool {
        now.abs_diff(began) < self.window
    }

    /// What is left after it has happened `before` times in a window, and then once more.
    fn quota(self, began: u32, before: u32, now: u32) -> Quota {
        let reset = began.saturating_add(self.window);
        Quota {
            granted: before < self.most,
            limit: self.most,
            remaining: self.most.saturating_sub(before.saturating_add(1)),
            reset,
            wait: reset.saturating_sub(now).max(1),
        }
    }
}

fn seconds(moment: Timestamp) -> u32 {
    u32::try_from(moment.timestamp()).unwrap_or_default()
}

fn began(state: u64) -> u32 {
    u32::try_from(state >> 32).unwrap_or_default()
}

fn count(state: u64) -> u32 {
    u32::try_from(state & u64::from(u32::MAX)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::time::Duration;

    use super::*;

    const RATE: Rate = Rate { most: 3, window: 60 };

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_timestamp_millis(1_800_000_000_000 + millis).unwrap()
    }

    #[test]
    fn a_window_begins_with_the_second_of_the_first_and_counts_down() {
        let window = Window::default();
        let reset = 1_800_000_060;
        for (moment, granted, remaining, wait) in
            [(700, true, 2, 60), (1_000, true, 1, 59), (59_400, true, 0, 1), (59_999, false, 0, 1)]
        {
            let expected = Quota { granted, limit: 3, remaining, reset, wait };
            assert_eq!(window.look(RATE, at(moment)), expected, "{moment}");
            assert_eq!(window.take(RATE, at(moment)), expected, "{moment}");
        }
        assert!(!window.is_over(RATE, at(59_999)));
        assert!(window.is_over(RATE, at(60_000)));
        // The next one begins where it is needed, not where the last one ended.
        let next = window.take(RATE, at(100_500));
        assert_eq!(next, Quota { granted: true, limit: 3, remaining: 2, reset: 1_800_000_160, wait: 60 });
    }

    #[test]
    fn what_is_refused_does_not_make_the_window_longer_nor_count() {
        let window = Window::default();
        for second in 0..1000 {
            let granted = window.take(RATE, at(second * 59)).granted;
            assert_eq!(granted, second < 3, "{second}");
        }
        assert!(window.take(RATE, at(60_000)).granted);
    }

    #[test]
    fn a_clock_that_is_put_back_neither_frees_nor_locks_for_ever() {
        let window = Window::default();
        for _ in 0..3 {
            window.take(RATE, at(0));
        }
        assert!(!window.take(RATE, at(-30_000)).granted, "a little");
        assert!(window.take(RATE, at(-60_000)).granted, "a window or more");
    }

    #[test]
    fn of_many_at_once_exactly_as_many_are_granted_in_each_window() {
        let rate = Rate { most: 20_000, window: 1 };
        let window = Window::default();
        for second in 0..20 {
            // All begin together: to start a thread takes longer than many of these.
            let start = Barrier::new(8);
            let granted = || {
                start.wait();
                (0..5_000).filter(|_| window.take(rate, at(second * 1000)).granted).count()
            };
            let all: usize = std::thread::scope(|scope| {
                let threads = [(); 8].map(|()| scope.spawn(granted));
                threads.into_iter().map(|thread| thread.join().unwrap()).sum()
            });
            assert_eq!(all, 20_000, "{second}");
        }
    }

    #[test]
    fn a_rate_of_any_size_can_be_told() {
        let rate = Rate { most: u32::MAX, window: 3600 };
        let quota = Window::default().take(rate, at(0) + Duration::from_millis(999));
        assert_eq!((quota.granted, quota.remaining), (true, u32::MAX - 1));
    }
}
