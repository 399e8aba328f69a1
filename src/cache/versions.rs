//! What tells whether something that is remembered has been overtaken.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many counters there are. Subjects that share one are overtaken together, which costs a read and nothing else.
const COUNTERS: usize = 4096;

/// What a change is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Subject<'a> {
    /// Whichever token.
    AnyToken,
    /// The token of this id.
    Token(&'a str),
    /// The org of this id, of which nothing may be left.
    Org(&'a str),
    /// Whatever is shown of the org of this id.
    Shown(&'a str),
    /// The hook keys of the org of this id.
    HookKeys(&'a str),
    /// The hook key of this id.
    HookKey(&'a str),
    /// The inline hooks of the org of this id.
    InlineHooks(&'a str),
    /// The key sets of the org of this id.
    KeySets(&'a str),
}

/// A counter for each subject, which rises with each change of it. The number of counters is fixed, so changes of
/// things that nobody remembers take no memory.
pub(super) struct Versions {
    counters: Box<[AtomicU64]>,
    hasher: RandomState,
}

/// What a counter showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    counter: usize,
    version: u64,
}

impl Versions {
    pub(super) fn new() -> Self {
        Self { counters: (0..COUNTERS).map(|_| AtomicU64::new(0)).collect(), hasher: RandomState::new() }
    }

    /// What the counter of `subject` shows. What is read from the database after this call is true for as long as
    /// the stamp is current.
    pub(super) fn stamp(&self, subject: Subject<'_>) -> Stamp {
        let counter = self.counter(subject);
        Stamp { counter, version: self.version(counter) }
    }

    /// Whether the counter shows the same still.
    pub(super) fn is_current(&self, stamp: Stamp) -> bool {
        self.version(stamp.counter) == stamp.version
    }

    /// Says that `subject` has changed.
    pub(super) fn raise(&self, subject: Subject<'_>) {
        self.outdate(self.stamp(subject));
    }

    /// Sees to it that the stamp is not current.
    pub(super) fn outdate(&self, stamp: Stamp) {
        if let Some(counter) = self.counters.get(stamp.counter) {
            counter.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Says that everything may have changed.
    pub(super) fn raise_all(&self) {
        for counter in &self.counters {
            counter.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn counter(&self, subject: Subject<'_>) -> usize {
        // The remainder is below the number of counters, so the cast keeps it.
        #[expect(clippy::cast_possible_truncation, reason = "the remainder fits")]
        let counter = (self.hasher.hash_one(subject) % COUNTERS as u64) as usize;
        counter
    }

    fn version(&self, counter: usize) -> u64 {
        self.counters.get(counter).map_or(0, |counter| counter.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_current_until_its_subject_changes() {
        let versions = Versions::new();
        let subjects = [
            Subject::AnyToken,
            Subject::Token("a"),
            Subject::Org("a"),
            Subject::Shown("a"),
            Subject::HookKeys("a"),
            Subject::HookKey("a"),
            Subject::KeySets("a"),
            Subject::HookKeys("b"),
        ];
        for changed in subjects {
            let stamps = subjects.map(|subject| (subject, versions.stamp(subject)));
            versions.raise(changed);
            for (subject, stamp) in stamps {
                let shared = versions.counter(subject) == versions.counter(changed);
                assert_eq!(versions.is_current(stamp), !shared, "{subject:?} after {changed:?}");
            }
        }
        let stamps = subjects.map(|subject| versions.stamp(subject));
        versions.raise_all();
        assert!(stamps.into_iter().all(|stamp| !versions.is_current(stamp)));
    }
}
