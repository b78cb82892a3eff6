//! Randomness as a value: what a change needs of it is derived from one seed, so that both stores,
//! and a change that is run again, come to the same result.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::UnixMillis;

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
        uuid::Builder::from_random_bytes(self.beginning(purpose, number)).into_uuid()
    }

    /// A version 7 UUID: those of later times sort after those of earlier ones, so that an index
    /// takes them at its end. 74 bits are random.
    pub fn uuid_at(&self, at: UnixMillis, purpose: &str, number: usize) -> Uuid {
        let millis = u64::try_from(at.0).unwrap_or_default();
        let random = self.beginning(purpose, number);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }

    /// The first of those bytes.
    fn beginning<const N: usize>(&self, purpose: &str, number: usize) -> [u8; N] {
        let mut bytes = [0; N];
        for (byte, random) in bytes.iter_mut().zip(self.bytes(purpose, number)) {
            *byte = random;
        }
        bytes
    }
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(…)")
    }
}
