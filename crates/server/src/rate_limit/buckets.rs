//! Token buckets, one for each caller: full at first, a call takes one, time gives them back.
//!
//! Of a bucket only the moment is kept at which it will be full again; each call moves it on by one
//! interval. A bucket that nobody knows is full, so those of whoever called longest ago can be
//! dropped. Why this is no crate: `docs/decisions/0018-limits-for-callers.md`.

use std::{
    collections::hash_map::RandomState,
    hash::Hash,
    sync::{Mutex, PoisonError},
};

use hashlink::LruCache;
use meishi_contacts::{UnixMillis, limits::TRACKED_CALLERS};

use super::{Limited, Rate};

const NANOS_PER_MILLI: i64 = 1_000_000;
const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// What a call found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Which limit it was.
    pub(crate) limited: Limited,
    /// What the limit allows.
    pub(crate) rate: Rate,
    /// Whether there was a token; the call took it.
    pub(crate) admitted: bool,
    /// Tokens that are left.
    pub(crate) remaining: u32,
    /// Seconds until there is one more than that, rounded up; at least 1.
    pub(crate) wait_seconds: u64,
    /// The Unix second by which there is, rounded up.
    pub(crate) next_at: i64,
}

/// The buckets of one limit. The hashing is keyed: callers choose their addresses.
pub(crate) struct Buckets<K> {
    rate: Rate,
    /// When each will be full again, in nanoseconds since 1970.
    full_at: Mutex<LruCache<K, i64, RandomState>>,
}

impl<K: Eq + Hash> Buckets<K> {
    /// All of them full.
    pub(crate) fn new(rate: Rate) -> Self {
        Self::tracking(TRACKED_CALLERS, rate)
    }

    fn tracking(callers: usize, rate: Rate) -> Self {
        Self { rate, full_at: Mutex::new(LruCache::with_hasher(callers, RandomState::new())) }
    }

    /// Takes a token out of the caller's bucket, if there is one. Refused calls cost none.
    pub(crate) fn take(&self, limited: Limited, caller: K, now: UnixMillis) -> Standing {
        let interval = self.rate.interval();
        let capacity = interval.saturating_mul(i64::from(self.rate.calls));
        let now = now.0.saturating_mul(NANOS_PER_MILLI);
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back must not make anybody wait longer than for a full bucket.
        let before = full_at.get(&caller).copied().unwrap_or(now);
        let before = before.clamp(now, now.saturating_add(capacity));
        let after = before.saturating_add(interval);
        let admitted = after - now <= capacity;
        let full = if admitted { after } else { before };
        full_at.insert(caller, full);
        drop(full_at);
        let free = capacity - (full - now);
        let remaining = free / interval;
        let wait = (remaining + 1) * interval - free;
        let whole_seconds =
            |nanos: i64| nanos.saturating_add(NANOS_PER_SECOND - 1).div_euclid(NANOS_PER_SECOND);
        Standing {
            limited,
            rate: self.rate,
            admitted,
            remaining: u32::try_from(remaining).unwrap_or(0),
            wait_seconds: u64::try_from(whole_seconds(wait)).unwrap_or(0).max(1),
            next_at: whole_seconds(now.saturating_add(wait)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOON: i64 = 1_766_571_703_000;

    fn buckets(calls: u32, seconds: u32) -> Buckets<u32> {
        Buckets::tracking(4, Rate { calls, seconds })
    }

    fn take(buckets: &Buckets<u32>, caller: u32, millis: i64) -> (bool, u32, u64) {
        let found = buckets.take(Limited::Key, caller, UnixMillis(NOON + millis));
        (found.admitted, found.remaining, found.wait_seconds)
    }

    #[test]
    fn a_full_bucket_is_emptied_at_once_and_filled_evenly() {
        let buckets = buckets(3, 30);
        assert_eq!(take(&buckets, 1, 0), (true, 2, 10));
        assert_eq!(take(&buckets, 1, 0), (true, 1, 10));
        assert_eq!(take(&buckets, 1, 0), (true, 0, 10));
        assert_eq!(take(&buckets, 1, 0), (false, 0, 10));
        assert_eq!(take(&buckets, 1, 9_001), (false, 0, 1));
        assert_eq!(take(&buckets, 1, 9_999), (false, 0, 1));
        assert_eq!(take(&buckets, 1, 10_000), (true, 0, 10), "one came back");
        assert_eq!(take(&buckets, 1, 10_000), (false, 0, 10));
        assert_eq!(take(&buckets, 1, 14_000), (false, 0, 6), "a refused call costs nothing");
        assert_eq!(take(&buckets, 1, 35_000), (true, 1, 5), "two and a half came back");
        assert_eq!(take(&buckets, 1, 900_000), (true, 2, 10), "never more than a full one");
        assert_eq!(take(&buckets, 2, 0), (true, 2, 10), "and each caller has an own one");
    }

    #[test]
    fn the_moment_that_is_told_is_not_before_there_is_a_call() {
        let buckets = buckets(1, 10);
        let next = |millis| buckets.take(Limited::Key, 1, UnixMillis(NOON + millis)).next_at;
        assert_eq!(next(0), NOON / 1000 + 10);
        assert_eq!(next(1), NOON / 1000 + 10);
        assert_eq!(next(10_001), NOON / 1000 + 21);
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out() {
        let buckets = buckets(2, 20);
        assert_eq!(take(&buckets, 1, 3_600_000), (true, 1, 10));
        assert_eq!(take(&buckets, 1, 0), (false, 0, 10), "empty, not hours away");
        assert_eq!(take(&buckets, 1, 10_000), (true, 0, 10));
    }

    #[test]
    fn whoever_called_longest_ago_is_forgotten() {
        let buckets = buckets(1, 60);
        for caller in 0..4 {
            assert!(take(&buckets, caller, 0).0);
        }
        assert!(!take(&buckets, 0, 0).0, "and this makes it the newest");
        assert!(take(&buckets, 4, 0).0);
        assert_eq!(buckets.full_at.lock().unwrap().len(), 4);
        for caller in [0, 2, 3, 4] {
            assert!(!take(&buckets, caller, 0).0, "{caller}");
        }
        assert!(take(&buckets, 1, 0).0);
    }

    #[test]
    fn times_at_the_end_of_all_times_do_not_break_it() {
        let buckets = buckets(1_000_000, 86400);
        for millis in [i64::MIN, -1, 0, i64::MAX / NANOS_PER_MILLI, i64::MAX] {
            assert!(buckets.take(Limited::Key, 1, UnixMillis(millis)).wait_seconds >= 1);
        }
    }

    proptest! {
        /// In any stretch of time no more is admitted than a full bucket and what came in.
        #[test]
        fn no_more_is_admitted_than_was_there(
            calls in 1_u32..50,
            seconds in 1_u32..100,
            pauses in prop::collection::vec(0_i64..5_000, 1..200),
        ) {
            let buckets = buckets(calls, seconds);
            let mut now = 0;
            let mut admitted = Vec::new();
            for pause in pauses {
                now += pause;
                let (is_admitted, remaining, wait) = take(&buckets, 1, now);
                prop_assert!(remaining < calls);
                prop_assert!(wait >= 1 && wait <= u64::from(seconds.div_ceil(calls)));
                if is_admitted {
                    admitted.push(now);
                } else {
                    // Who waits as long as told is admitted then.
                    now += i64::try_from(wait).unwrap() * 1000;
                    prop_assert!(take(&buckets, 1, now).0);
                    admitted.push(now);
                }
            }
            for (first, from) in admitted.iter().enumerate() {
                for (last, to) in admitted.iter().enumerate().skip(first) {
                    let most = i64::from(calls) + (to - from) * i64::from(calls) / (i64::from(seconds) * 1000);
                    let some = i64::try_from(last - first).unwrap() + 1;
                    // Intervals are rounded down to nanoseconds.
                    prop_assert!(some <= most + 1, "{some} of {most}");
                }
            }
        }
    }
}
