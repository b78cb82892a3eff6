//! What a change needs from outside, as values.

use meishi_contacts::{AccountId, Actor, KeyId, NewKey, Seed, UnixMillis, Version};

/// Who asks for a change, when, by which request, and under which conditions.
#[derive(Debug, Clone)]
pub struct Context {
    /// The account that the change belongs to.
    pub account: AccountId,
    /// Who asks.
    pub actor: Actor,
    /// The time that the change bears.
    pub at: UnixMillis,
    /// The request, as `X-Request-Id` names it.
    pub request_id: String,
    /// Where random values come from.
    pub seed: Seed,
    /// The versions that the contact may have (`If-Match`); any when absent.
    pub precondition: Option<Precondition>,
    /// Makes the call repeatable.
    pub idempotency: Option<Idempotency>,
}

/// The versions of which a contact must have one for a change of it to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Precondition(pub Vec<Version>);

impl Precondition {
    /// Whether a contact of that version may be changed.
    pub fn allows(&self, version: Version) -> bool {
        self.0.contains(&version)
    }
}

impl From<Version> for Precondition {
    fn from(version: Version) -> Self {
        Self(vec![version])
    }
}

/// A caller's key for one call, and what the call was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The credential; two callers may use the same key.
    pub api_key_id: KeyId,
    /// The route; two routes may use the same key.
    pub route: String,
    /// The caller's key.
    pub key: String,
    /// A hash of the request, so that another request under the key is noticed.
    pub fingerprint: [u8; 32],
}

/// What a contact is read with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Include {
    /// The contact alone.
    Nothing,
    /// Its channels too.
    Inboxes,
}

/// An account to be made, with its first channel and key.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// What people call it.
    pub name: String,
    /// What people call its channel.
    pub inbox_name: String,
    /// Its key.
    pub key: NewKey,
    /// The time that all of it bears.
    pub at: UnixMillis,
    /// The request that asks for it.
    pub request_id: String,
    /// Where the account's id comes from.
    pub seed: Seed,
    /// Make it only while there is no account at all.
    pub only_first: bool,
}
