//! Randomness, and the one place that draws it.

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
