//! How much memory indexes may take, and who gives way.

use std::{
    fmt,
    str::FromStr,
    sync::atomic::{AtomicUsize, Ordering},
};

use serde::Deserialize;
use tokio::sync::Notify;

/// An amount of memory: "512MiB", "2GiB", or bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Memory(pub usize);

impl Memory {
    /// What indexes may take where nothing else is set.
    pub const DEFAULT: Self = Self(2 << 30);

    /// Less would not hold a small account.
    const LEAST: Self = Self(1 << 20);
}

/// Why a text is no amount of memory.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not an amount of memory of 1MiB or more, as 512MiB or 2GiB")]
pub struct NoMemory(String);

impl FromStr for Memory {
    type Err = NoMemory;

    fn from_str(text: &str) -> Result<Self, NoMemory> {
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let unit: usize = match text.get(digits.len()..).unwrap_or_default().trim() {
            "" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(NoMemory(text.to_owned())),
        };
        let bytes = digits.parse::<usize>().ok().and_then(|number| number.checked_mul(unit));
        bytes
            .filter(|bytes| *bytes >= Self::LEAST.0)
            .map(Self)
            .ok_or_else(|| NoMemory(text.to_owned()))
    }
}

impl TryFrom<String> for Memory {
    type Error = NoMemory;

    fn try_from(text: String) -> Result<Self, NoMemory> {
        text.parse()
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = match self.0 {
            bytes if bytes.is_multiple_of(1 << 30) => (bytes >> 30, "GiB"),
            bytes if bytes.is_multiple_of(1 << 20) => (bytes >> 20, "MiB"),
            bytes => (bytes, ""),
        };
        write!(f, "{number}{unit}")
    }
}

/// What all indexes take together, those included that are being loaded, by what they will take
/// about.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) limit: usize,
    used: AtomicUsize,
    /// Loads that are under way.
    loading: AtomicUsize,
    /// Told when one ends.
    loaded: Notify,
}

impl Budget {
    pub(super) fn new(limit: Memory) -> Self {
        Self {
            limit: limit.0,
            used: AtomicUsize::new(0),
            loading: AtomicUsize::new(0),
            loaded: Notify::new(),
        }
    }

    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::SeqCst)
    }

    pub(super) fn is_exceeded(&self) -> bool {
        self.used() > self.limit
    }

    /// Replaces what an index is counted with.
    pub(super) fn count(&self, before: usize, now: usize) {
        let _ = self.used.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |used| {
            Some(used.saturating_sub(before).saturating_add(now))
        });
    }

    /// Counts a load, if there is room for it.
    pub(super) fn try_begin(&self, bytes: usize) -> bool {
        let reserved = self.used.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |used| {
            used.checked_add(bytes).filter(|sum| *sum <= self.limit)
        });
        if reserved.is_ok() {
            self.loading.fetch_add(1, Ordering::SeqCst);
        }
        reserved.is_ok()
    }

    /// Counts a load for which there is no room.
    pub(super) fn begin_all_the_same(&self, bytes: usize) {
        self.count(0, bytes);
        self.loading.fetch_add(1, Ordering::SeqCst);
    }

    /// A load is over; who has it is counted with it.
    pub(super) fn end(&self) {
        self.loading.fetch_sub(1, Ordering::SeqCst);
        self.loaded.notify_waiters();
    }

    /// Waits until some load is over; `false` at once where there is none.
    pub(super) async fn wait(&self) -> bool {
        let mut loaded = std::pin::pin!(self.loaded.notified());
        loaded.as_mut().enable();
        if self.loading.load(Ordering::SeqCst) == 0 {
            return false;
        }
        loaded.await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_shown() {
        for (text, bytes, shown) in [
            ("2GiB", 2 << 30, "2GiB"),
            ("512 MiB", 512 << 20, "512MiB"),
            ("2048KiB", 2 << 20, "2MiB"),
            ("1500000", 1_500_000, "1500000"),
        ] {
            let memory: Memory = text.parse().unwrap();
            assert_eq!((memory.0, memory.to_string().as_str()), (bytes, shown));
        }
        for text in ["", "GiB", "2 GB", "-1GiB", "1.5GiB", "1023KiB", "99999999999GiB", "off"] {
            assert!(text.parse::<Memory>().is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn who_finds_no_room_waits_for_a_load_to_end() {
        let budget = Budget::new(Memory(100));
        assert!(!budget.wait().await);
        assert!(budget.try_begin(60) && !budget.try_begin(60));
        let waiting = async {
            assert!(budget.wait().await);
            budget.try_begin(60)
        };
        let ending = async {
            tokio::task::yield_now().await;
            budget.count(60, 30);
            budget.end();
        };
        assert!(tokio::join!(waiting, ending).0);
        assert_eq!(budget.used(), 90);
    }
}
