//! Randomness as a value: what a change needs of it is derived from one seed, so that both stores,
//! and a change that is run again, come to the same result.

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// 256 random bits, drawn once for a request.
#[derive(Clone, Copy)]
pub struct Seed(pub [u8; 32]);

impl Seed {
    /// 32 bytes that only this seed, purpose and number give.
    pub fn bytes(&self, purpose: &str, number: usize) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(number.to_be_bytes());
        hash.update(purpose.as_bytes());
        hash.finalize().into()
    }

    /// A version 4 UUID.
    pub fn uuid(&self, purpose: &str, number: usize) -> Uuid {
        let mut bytes = [0; 16];
        for (byte, random) in bytes.iter_mut().zip(self.bytes(purpose, number)) {
            *byte = random;
        }
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(…)")
    }
}
