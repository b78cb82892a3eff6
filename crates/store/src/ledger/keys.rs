//! API keys.

use meishi_contacts::{
    ApiKey, EventBody, Fault, FaultCode, Field, FieldChange, KeyId, KeyPatch, NewKey, Patch,
    SecretHash, StoredKey, UnixMillis, limits::KEYS,
};

use super::{Count, Step};
use crate::{ChangeError, Missing, Outcome};

/// Makes a key.
pub(super) fn create(step: &mut Step<'_>, new: &NewKey) -> Result<Outcome, ChangeError> {
    let ledger = &mut *step.ledger;
    if ledger.counted(Count::Keys) + ledger.keys.growth() >= KEYS {
        let message = format!("Keys are too many (maximum is {KEYS})");
        let fault = Fault::new("name", FaultCode::LimitExceeded, message).at(String::new());
        return Err(ChangeError::Faults(vec![fault]));
    }
    ledger.counters.last_key_id += 1;
    let id = KeyId(ledger.counters.last_key_id);
    let key = key_of(id, new, step.cx.at);
    let stored = StoredKey {
        account: ledger.account,
        key: key.clone(),
        secret_hash: new.secret_hash,
        previous_hash: None,
    };
    ledger.keys.put(id, stored);
    step.record(EventBody::KeyCreated(key.card()));
    Ok(Outcome::KeyCreated(key))
}

/// Changes a key's name, role or end.
pub(super) fn update(
    step: &mut Step<'_>,
    id: KeyId,
    patch: &KeyPatch,
) -> Result<Outcome, ChangeError> {
    let mut stored = expect(step, id)?.clone();
    let key = &mut stored.key;
    let mut changes = Vec::new();
    if let Some(name) = patch.name.as_ref().filter(|name| **name != key.name) {
        let before = std::mem::replace(&mut key.name, name.clone());
        changes.push(FieldChange::of(Field::Name, before, name.clone()));
    }
    if let Some(role) = patch.role.filter(|role| *role != key.role) {
        changes.push(FieldChange::of(Field::Role, key.role.as_str(), role.as_str()));
        key.role = role;
    }
    let expires_at = match patch.expires_at {
        Patch::Keep => key.expires_at,
        Patch::Clear => None,
        Patch::Set(at) => Some(at),
    };
    if expires_at != key.expires_at {
        let shown = |at: Option<UnixMillis>| at.map(|at| at.0);
        changes.push(FieldChange::of(Field::ExpiresAt, shown(key.expires_at), shown(expires_at)));
        key.expires_at = expires_at;
    }
    let key = key.clone();
    if !changes.is_empty() {
        step.ledger.keys.put(id, stored);
        step.record(EventBody::KeyUpdated { id, changes });
    }
    Ok(Outcome::KeyUpdated(key))
}

/// Gives a key a new secret; the present one stays valid for a while.
pub(super) fn rotate(
    step: &mut Step<'_>,
    id: KeyId,
    secret_hash: SecretHash,
    overlap_seconds: i64,
) -> Result<Outcome, ChangeError> {
    let mut stored = expect(step, id)?.clone();
    let previous_until = step.cx.at.plus_seconds(overlap_seconds);
    stored.key.previous_until = Some(previous_until);
    stored.previous_hash = Some(std::mem::replace(&mut stored.secret_hash, secret_hash));
    let key = stored.key.clone();
    step.ledger.keys.put(id, stored);
    step.record(EventBody::KeyRotated { id, previous_until });
    Ok(Outcome::KeyRotated(key))
}

/// Revokes a key.
pub(super) fn revoke(step: &mut Step<'_>, id: KeyId) -> Result<Outcome, ChangeError> {
    let card = expect(step, id)?.key.card();
    step.ledger.keys.remove(id);
    step.record(EventBody::KeyRevoked(card));
    Ok(Outcome::KeyRevoked)
}

/// A key to be made, under its id.
pub(super) fn key_of(id: KeyId, new: &NewKey, at: UnixMillis) -> ApiKey {
    ApiKey {
        id,
        api_key: new.api_key.clone(),
        name: new.name.clone(),
        role: new.role,
        created_at: at,
        expires_at: new.expires_at,
        last_used_at: None,
        previous_until: None,
    }
}

fn expect<'a>(step: &'a Step<'_>, id: KeyId) -> Result<&'a StoredKey, ChangeError> {
    step.ledger.keys.get(&id).ok_or(ChangeError::NotFound(Missing::Key))
}
