//! Keys that were looked up a moment ago.
//!
//! Every request begins with a key, and mostly with the same few. What this server does to a key it
//! sees at once; what another server or the command line does to it on PostgreSQL, after a second at
//! most.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use meishi_contacts::StoredKey;

/// How long a key is believed to be as it was.
const LIFE: Duration = Duration::from_secs(1);

/// Keys that are kept at most.
const KEYS: usize = 10_000;

/// What a key is looked up by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum By {
    /// Its public half.
    Name(String),
    /// The hash of a secret.
    Secret([u8; 32]),
}

/// The keys.
#[derive(Debug, Default)]
pub(crate) struct KeyCache(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    keys: HashMap<By, (Instant, StoredKey)>,
    /// How often keys were changed here: a look-up that began before a change is not kept.
    changes: u64,
}

/// A look-up that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Begun {
    at: Instant,
    changes: u64,
}

impl KeyCache {
    /// A key that is known, or what [`KeyCache::keep`] wants to be told once it is looked up.
    pub(crate) fn get(&self, by: &By) -> Result<StoredKey, Begun> {
        let known = self.known();
        match known.keys.get(by) {
            Some((since, key)) if since.elapsed() < LIFE => Ok(key.clone()),
            _ => Err(Begun { at: Instant::now(), changes: known.changes }),
        }
    }

    /// Keeps what was looked up, unless a key was changed meanwhile.
    pub(crate) fn keep(&self, by: By, key: &StoredKey, begun: Begun) {
        let mut known = self.known();
        if known.changes != begun.changes {
            return;
        }
        if known.keys.len() >= KEYS {
            known.keys.clear();
        }
        known.keys.insert(by, (begun.at, key.clone()));
    }

    /// Forgets all keys: one of them was changed.
    pub(crate) fn forget(&self) {
        let mut known = self.known();
        known.keys.clear();
        known.changes += 1;
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use meishi_contacts::{
        AccountId, ApiKey, Credential, KeyId, Role, SecretHash, Seed, UnixMillis,
    };

    use super::*;

    fn key() -> StoredKey {
        let new = Credential::from_seed(&Seed([1; 32])).key("key".into(), Role::Agent, None);
        StoredKey {
            account: AccountId(1),
            key: ApiKey {
                id: KeyId(1),
                api_key: new.api_key,
                name: new.name,
                role: new.role,
                created_at: UnixMillis(0),
                expires_at: None,
                last_used_at: None,
                previous_until: None,
            },
            secret_hash: SecretHash([1; 32]),
            previous_hash: None,
        }
    }

    #[test]
    fn a_key_is_known_until_one_is_changed() {
        let (cache, by) = (KeyCache::default(), By::Name("mk_1".into()));
        let begun = cache.get(&by).unwrap_err();
        cache.keep(by.clone(), &key(), begun);
        assert_eq!(cache.get(&by), Ok(key()));
        assert!(cache.get(&By::Secret([1; 32])).is_err());
        cache.forget();
        assert!(cache.get(&by).is_err());
    }

    #[test]
    fn what_was_looked_up_before_a_change_is_not_kept_after_it() {
        let (cache, by) = (KeyCache::default(), By::Name("mk_1".into()));
        let begun = cache.get(&by).unwrap_err();
        cache.forget();
        cache.keep(by.clone(), &key(), begun);
        assert!(cache.get(&by).is_err());
    }

    #[test]
    fn a_key_is_believed_for_a_second() {
        let (cache, by) = (KeyCache::default(), By::Name("mk_1".into()));
        let begun = cache.get(&by).unwrap_err();
        cache.keep(by.clone(), &key(), begun);
        for (since, _) in cache.known().keys.values_mut() {
            *since -= LIFE;
        }
        assert!(cache.get(&by).is_err());
    }
}
