//! API keys: a public key and a secret, of which only the SHA-256 is kept.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{AccountId, KeyId, Patch, Seed, UnixMillis, event::KeyCard};

/// What a key may do (`livedesk-wire.md` 9.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads everything but keys.
    ReadOnly,
    /// Also writes contacts and labels.
    Agent,
    /// Everything, keys and channels included.
    Administrator,
}

impl Role {
    /// All roles, the weakest first: each may do what those before it may.
    pub const ALL: [Self; 3] = [Self::ReadOnly, Self::Agent, Self::Administrator];

    /// The role's name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "read_only",
            Self::Agent => "agent",
            Self::Administrator => "administrator",
        }
    }

    /// The role of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

/// A key as its account sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// The key's number in its account.
    pub id: KeyId,
    /// The public half: the user name of HTTP Basic.
    pub api_key: String,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it ends; never when absent.
    pub expires_at: Option<UnixMillis>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<UnixMillis>,
    /// Until when the secret before the last rotation stays valid.
    pub previous_until: Option<UnixMillis>,
}

impl ApiKey {
    /// What the record keeps of the key.
    pub fn card(&self) -> KeyCard {
        KeyCard {
            id: self.id,
            api_key: self.api_key.clone(),
            name: self.name.clone(),
            role: self.role,
            expires_at: self.expires_at,
        }
    }
}

/// A key to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// The public half.
    pub api_key: String,
    /// What is kept of the secret.
    pub secret_hash: SecretHash,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it ends.
    pub expires_at: Option<UnixMillis>,
}

/// What a write does to a key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyPatch {
    /// New name.
    pub name: Option<String>,
    /// New role.
    pub role: Option<Role>,
    /// New end.
    pub expires_at: Patch<UnixMillis>,
}

/// SHA-256 of a secret. The secret is random, so that no slow hash is needed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SecretHash(pub [u8; 32]);

impl SecretHash {
    /// The hash of a secret.
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }
}

impl std::fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretHash(…)")
    }
}

/// A key as it is stored, for the one look-up that has no account yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// Whose key it is.
    pub account: AccountId,
    /// The key.
    pub key: ApiKey,
    /// What is kept of its secret.
    pub secret_hash: SecretHash,
    /// What is kept of the secret before the last rotation.
    pub previous_hash: Option<SecretHash>,
}

impl StoredKey {
    /// Whether a secret opens this key now. Takes the same time for every secret.
    pub fn accepts(&self, secret: &SecretHash, now: UnixMillis) -> bool {
        let current = self.secret_hash.0.ct_eq(&secret.0);
        let previous = self.previous_hash.unwrap_or(self.secret_hash).0.ct_eq(&secret.0);
        let overlapping = self.key.previous_until.is_some_and(|until| now < until);
        let alive = self.key.expires_at.is_none_or(|end| now < end);
        alive && (bool::from(current) | (overlapping & bool::from(previous)))
    }
}

/// A new key and its secret, shown once. The secret alone names the key too, so that it serves
/// as a bearer token.
#[derive(Clone)]
pub struct Credential {
    /// The public half.
    pub api_key: String,
    /// The secret half.
    pub api_secret: String,
}

impl Credential {
    /// Makes a pair from a seed: `mk_` and 20 hexadecimal digits, `ms_` and 64.
    pub fn from_seed(seed: &Seed) -> Self {
        let key = hex(&seed.bytes("api key", 0));
        Self {
            api_key: format!("mk_{}", key.get(..20).unwrap_or(&key)),
            api_secret: format!("ms_{}", hex(&seed.bytes("api secret", 0))),
        }
    }

    /// What is kept of the secret.
    pub fn secret_hash(&self) -> SecretHash {
        SecretHash::of(&self.api_secret)
    }

    /// A key to be made that this pair opens.
    pub fn key(&self, name: String, role: Role, expires_at: Option<UnixMillis>) -> NewKey {
        let (api_key, secret_hash) = (self.api_key.clone(), self.secret_hash());
        NewKey { api_key, secret_hash, name, role, expires_at }
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credential({}, …)", self.api_key)
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_print() {
        let credential = Credential::from_seed(&Seed([7; 32]));
        assert!(!format!("{credential:?}").contains(&credential.api_secret));
        assert_eq!(format!("{:?}", credential.secret_hash()), "SecretHash(…)");
        assert_eq!(credential.api_key.len(), 23);
        assert_eq!(credential.api_secret.len(), 67);
    }
}
