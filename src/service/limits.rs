//! How often a token may be used, and how often an address may come with a wrong one.
//!
//! Of this process alone: several nodes on one database count each for itself.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::Timestamp;
use crate::domain::window::{Quota, Rate, Window};
use crate::metrics::Count;
use crate::store::tokens::Digest;

/// Most addresses that are counted at once. Beyond that, one that was counted is forgotten for each new one.
const MOST_ADDRESSES: usize = 65_536;

/// The limits and what is counted against them.
#[derive(Debug, Default)]
pub struct RateLimits {
    requests: Option<Rate>,
    failed_logins: Option<Rate>,
    /// The window of each token that was good when it was last looked up. What is remembered of a token leads to the
    /// same, so this is asked only when nothing is remembered.
    tokens: Mutex<HashMap<Digest, Arc<Window>>>,
    addresses: Mutex<HashMap<Origin, Window>>,
    counts: Counts,
}

/// What limits have come to.
#[derive(Debug, Default)]
pub struct Counts {
    /// Log-ins that failed.
    pub failed_logins: Count,
    /// Requests refused because their token came too often.
    pub requests_refused: Count,
    /// Requests refused because too many log-ins from their address had failed.
    pub logins_refused: Count,
}

/// Who counts as one: an address of IPv4, a network of 64 bits of IPv6, or all whose address is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Origin {
    V4(Ipv4Addr),
    V6(u64),
    Unknown,
}

impl RateLimits {
    /// Limits of the requests of one token, and of the failed log-ins from one address; `None` for no limit.
    #[must_use]
    pub fn new(requests: Option<Rate>, failed_logins: Option<Rate>) -> Self {
        Self { requests, failed_logins, ..Self::default() }
    }

    /// Counts a request of a token.
    pub fn request(&self, window: &Window, now: Timestamp) -> Option<Quota> {
        let quota = window.take(self.requests?, now);
        if !quota.granted {
            self.counts.requests_refused.add();
        }
        Some(quota)
    }

    /// The window of a token that was found, and is good from now on.
    pub fn window(&self, digest: Digest) -> Arc<Window> {
        Arc::clone(lock(&self.tokens).entry(digest).or_default())
    }

    /// Counts a log-in that failed.
    pub fn failure(&self, from: Option<IpAddr>, now: Timestamp) -> Option<Quota> {
        self.counts.failed_logins.add();
        let rate = self.failed_logins?;
        let origin = Origin::of(from);
        let mut addresses = lock(&self.addresses);
        if addresses.len() >= MOST_ADDRESSES && !addresses.contains_key(&origin) {
            let any = addresses.keys().next().copied();
            any.and_then(|any| addresses.remove(&any));
        }
        let quota = addresses.entry(origin).or_default().take(rate, now);
        if !quota.granted {
            self.counts.logins_refused.add();
        }
        Some(quota)
    }

    /// The quota of an address that has none left. A token that was good a moment ago is let through all the same.
    #[must_use]
    pub fn exhausted(&self, from: Option<IpAddr>, digest: &Digest, now: Timestamp) -> Option<Quota> {
        let rate = self.failed_logins?;
        let quota = lock(&self.addresses).get(&Origin::of(from))?.look(rate, now);
        let refused = !quota.granted && !lock(&self.tokens).contains_key(digest);
        if refused {
            self.counts.logins_refused.add();
        }
        refused.then_some(quota)
    }

    /// What they have come to.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Forgets that a token was good.
    pub fn disown(&self, digest: &Digest) {
        lock(&self.tokens).remove(digest);
    }

    /// Forgets the windows that have ended, but for those of tokens that are remembered.
    pub fn forget(&self, now: Timestamp) {
        let over = |rate: Option<Rate>, window: &Window| rate.is_none_or(|rate| window.is_over(rate, now));
        lock(&self.addresses).retain(|_, window| !over(self.failed_logins, window));
        lock(&self.tokens).retain(|_, window| Arc::strong_count(window) > 1 || !over(self.requests, window));
    }
}

impl Origin {
    fn of(address: Option<IpAddr>) -> Self {
        match address {
            Some(IpAddr::V4(address)) => Self::V4(address),
            // Whoever has one address of these has all of them.
            Some(IpAddr::V6(address)) => {
                Self::V6(u64::try_from(u128::from(address) >> 64).unwrap_or_default())
            }
            None => Self::Unknown,
        }
    }
}

fn lock<K: Eq + Hash, V>(map: &Mutex<HashMap<K, V>>) -> MutexGuard<'_, HashMap<K, V>> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const RATE: Rate = Rate { most: 2, window: 60 };
    const DIGEST: Digest = [7; 32];

    fn limits() -> RateLimits {
        RateLimits::new(Some(RATE), Some(RATE))
    }

    fn now() -> Timestamp {
        Timestamp::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn v4(number: u32) -> IpAddr {
        Ipv4Addr::from(number).into()
    }

    fn v6(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_of_one_network_of_ipv6_count_as_one_and_others_for_themselves() {
        let limits = limits();
        for address in ["2001:db8:0:1::1", "2001:db8:0:1:ffff::2"] {
            assert!(limits.failure(Some(v6(address)), now()).unwrap().granted);
        }
        let exhausted = |address| limits.exhausted(address, &DIGEST, now()).is_some();
        assert!(exhausted(Some(v6("2001:db8:0:1::3"))));
        for other in [Some(v6("2001:db8:0:2::1")), Some(v4(1)), None] {
            assert!(!exhausted(other), "{other:?}");
        }
    }

    #[test]
    fn a_token_that_was_good_passes_where_an_address_has_no_quota_left_until_it_is_disowned() {
        let limits = limits();
        limits.window(DIGEST);
        for granted in [true, true, false] {
            assert_eq!(limits.failure(Some(v4(1)), now()).unwrap().granted, granted);
        }
        assert_eq!(limits.exhausted(Some(v4(1)), &DIGEST, now()), None);
        limits.disown(&DIGEST);
        let quota = limits.exhausted(Some(v4(1)), &DIGEST, now()).unwrap();
        assert_eq!((quota.granted, quota.remaining), (false, 0));
        assert_eq!(limits.exhausted(Some(v4(1)), &DIGEST, now() + Duration::from_secs(60)), None);
    }

    #[test]
    fn windows_that_have_ended_are_forgotten_but_for_those_in_use() {
        let limits = limits();
        limits.failure(Some(v4(1)), now());
        let (kept, other) = (limits.window(DIGEST), [8; 32]);
        kept.take(RATE, now());
        limits.window(other).take(RATE, now());
        let sizes = || (lock(&limits.addresses).len(), lock(&limits.tokens).len());
        limits.forget(now() + Duration::from_secs(59));
        assert_eq!(sizes(), (1, 2));
        limits.forget(now() + Duration::from_secs(60));
        assert_eq!(sizes(), (0, 1));
        assert!(Arc::ptr_eq(&kept, &limits.window(DIGEST)));
    }

    #[test]
    fn no_more_addresses_are_counted_than_there_is_room_for() {
        let limits = limits();
        for number in 0..100_000 {
            limits.failure(Some(v4(number)), now());
        }
        assert_eq!(lock(&limits.addresses).len(), MOST_ADDRESSES);
        // The last one is among them.
        assert!(limits.failure(Some(v4(99_999)), now()).unwrap().granted);
        assert!(!limits.failure(Some(v4(99_999)), now()).unwrap().granted);
    }

    #[test]
    fn without_limits_nothing_is_counted() {
        let limits = RateLimits::default();
        assert_eq!(limits.request(&limits.window(DIGEST), now()), None);
        assert_eq!(limits.failure(Some(v4(1)), now()), None);
        assert_eq!(limits.exhausted(Some(v4(1)), &DIGEST, now()), None);
        assert!(lock(&limits.addresses).is_empty());
    }
}
