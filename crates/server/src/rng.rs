//! Randomness, and the one place that draws it.

use std::sync::atomic::{AtomicUsize, Ordering};

use meishi_contacts::Seed;

/// Where random values come from.
pub trait Rng: Send + Sync + 'static {
    /// 256 fresh random bits.
    fn seed(&self) -> Seed;
}

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRng;

impl Rng for SystemRng {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that draws randomness")]
    #[expect(clippy::expect_used, reason = "without randomness no key or id could be trusted")]
    fn seed(&self) -> Seed {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).expect("the operating system has a source of randomness");
        Seed(bytes)
    }
}

/// Ids of the requests of a running service: all of them from one seed, which nobody else learns.
/// They are not secret, and as hard to guess as if each had been drawn, without asking the operating
/// system for each.
pub(crate) struct RequestIds {
    seed: Seed,
    made: AtomicUsize,
}

impl RequestIds {
    /// With a seed that serves nothing else.
    pub(crate) fn new(seed: Seed) -> Self {
        Self { seed, made: AtomicUsize::new(0) }
    }

    /// One that no other request has.
    pub(crate) fn next(&self) -> String {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        self.seed.uuid("request id", number).to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_requests_have_one_id_and_a_seed_gives_the_same_ones_again() {
        let ids = |seed| {
            let ids = RequestIds::new(Seed([seed; 32]));
            [(); 1000].map(|()| ids.next())
        };
        let all: HashSet<String> = [1, 2].into_iter().flat_map(ids).collect();
        assert_eq!(all.len(), 2000);
        assert!(all.iter().all(|id| uuid::Uuid::try_parse(id).unwrap().get_version_num() == 4));
        assert_eq!(ids(1), ids(1));
    }
}
