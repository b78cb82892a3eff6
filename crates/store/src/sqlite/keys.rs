//! API keys.

use meishi_contacts::{
    AccountId, ApiKey, EventBody, Fault, FaultCode, Field, FieldChange, KeyId, KeyPatch, NewKey,
    Patch, Role, SecretHash, StoredKey, UnixMillis, limits::KEYS,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    changes::{Ledger, Stop},
    row,
};
use crate::{ChangeError, Missing, Outcome};

/// The start of every statement that reads keys, in the order in which [`stored`] reads them. The
/// statements are constants, since a request begins with one.
macro_rules! select {
    ($($rest:literal),+) => {
        concat!(
            $(
                "SELECT account_id, id, api_key, name, role, created_at, expires_at, last_used_at,
                   previous_until, secret_hash, previous_hash
                 FROM api_keys ",
                $rest
            ),+
        )
    };
}

/// Makes a key.
pub(super) fn create(ledger: &mut Ledger<'_>, new: &NewKey) -> Result<Outcome, Stop> {
    if count(ledger.connection, ledger.cx.account)? >= KEYS {
        let message = format!("Keys are too many (maximum is {KEYS})");
        let fault = Fault::new("name", FaultCode::LimitExceeded, message).at(String::new());
        return Err(ChangeError::Faults(vec![fault]).into());
    }
    ledger.counters.last_key_id += 1;
    let key = key_of(KeyId(ledger.counters.last_key_id), new, ledger.cx.at);
    insert(ledger.connection, ledger.cx.account, &key, &new.secret_hash)?;
    ledger.record(EventBody::KeyCreated(key.card()))?;
    Ok(Outcome::KeyCreated(key))
}

/// Changes a key's name, role or end.
pub(super) fn update(
    ledger: &mut Ledger<'_>,
    id: KeyId,
    patch: &KeyPatch,
) -> Result<Outcome, Stop> {
    let mut key = expect(ledger, id)?.key;
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
    if changes.is_empty() {
        return Ok(Outcome::KeyUpdated(key));
    }
    ledger
        .connection
        .prepare_cached(
            "UPDATE api_keys SET name = ?3, role = ?4, expires_at = ?5
             WHERE account_id = ?1 AND id = ?2",
        )?
        .execute(params![
            ledger.cx.account.0,
            id.0,
            key.name,
            key.role.as_str(),
            key.expires_at.map(|at| at.0)
        ])?;
    ledger.record(EventBody::KeyUpdated { id, changes })?;
    Ok(Outcome::KeyUpdated(key))
}

/// Gives a key a new secret; the present one stays valid for a while.
pub(super) fn rotate(
    ledger: &mut Ledger<'_>,
    id: KeyId,
    secret_hash: SecretHash,
    overlap_seconds: i64,
) -> Result<Outcome, Stop> {
    let stored = expect(ledger, id)?;
    let mut key = stored.key;
    let previous_until = ledger.cx.at.plus_seconds(overlap_seconds);
    key.previous_until = Some(previous_until);
    ledger
        .connection
        .prepare_cached(
            "UPDATE api_keys SET secret_hash = ?3, previous_hash = ?4, previous_until = ?5
             WHERE account_id = ?1 AND id = ?2",
        )?
        .execute(params![
            ledger.cx.account.0,
            id.0,
            secret_hash.0,
            stored.secret_hash.0,
            previous_until.0
        ])?;
    ledger.record(EventBody::KeyRotated { id, previous_until })?;
    Ok(Outcome::KeyRotated(key))
}

/// Revokes a key.
pub(super) fn revoke(ledger: &mut Ledger<'_>, id: KeyId) -> Result<Outcome, Stop> {
    let key = expect(ledger, id)?.key;
    ledger
        .connection
        .prepare_cached("DELETE FROM api_keys WHERE account_id = ?1 AND id = ?2")?
        .execute(params![ledger.cx.account.0, id.0])?;
    ledger.record(EventBody::KeyRevoked(key.card()))?;
    Ok(Outcome::KeyRevoked)
}

/// Notes a use, never an earlier one than is known.
pub(super) fn touch(
    connection: &Connection,
    account: AccountId,
    id: KeyId,
    at: UnixMillis,
) -> Result<(), crate::StoreError> {
    let touched = || {
        connection
            .prepare_cached(
                "UPDATE api_keys SET last_used_at = max(coalesce(last_used_at, 0), ?3)
                 WHERE account_id = ?1 AND id = ?2",
            )?
            .execute(params![account.0, id.0, at.0])
    };
    touched().map(drop).map_err(|error| super::store_error(&error))
}

/// The key of a public half.
pub(super) fn by_name(
    connection: &Connection,
    api_key: &str,
) -> rusqlite::Result<Option<StoredKey>> {
    connection
        .prepare_cached(select!("WHERE api_key = ?1"))?
        .query_row(params![api_key], stored)
        .optional()
}

/// The key of a secret, present or previous.
pub(super) fn by_secret(
    connection: &Connection,
    secret: &SecretHash,
) -> rusqlite::Result<Option<StoredKey>> {
    connection
        .prepare_cached(select!(
            "WHERE secret_hash = ?1 UNION ALL ",
            "WHERE previous_hash = ?1 LIMIT 1"
        ))?
        .query_row(params![secret.0], stored)
        .optional()
}

/// The account's keys, by id.
pub(super) fn list(connection: &Connection, account: AccountId) -> rusqlite::Result<Vec<ApiKey>> {
    connection
        .prepare_cached(select!("WHERE account_id = ?1 ORDER BY id"))?
        .query_map(params![account.0], |row| stored(row).map(|stored| stored.key))?
        .collect()
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

/// Writes a new key's row.
pub(super) fn insert(
    connection: &Connection,
    account: AccountId,
    key: &ApiKey,
    secret_hash: &SecretHash,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO api_keys (account_id, id, api_key, secret_hash, name, role, created_at,
               expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            account.0,
            key.id.0,
            key.api_key,
            secret_hash.0,
            key.name,
            key.role.as_str(),
            key.created_at.0,
            key.expires_at.map(|at| at.0)
        ])
        .map(drop)
}

fn expect(ledger: &Ledger<'_>, id: KeyId) -> Result<StoredKey, Stop> {
    let found = ledger
        .connection
        .prepare_cached(select!("WHERE account_id = ?1 AND id = ?2"))?
        .query_row(params![ledger.cx.account.0, id.0], stored)
        .optional()?;
    found.ok_or_else(|| ChangeError::NotFound(Missing::Key).into())
}

fn stored(row: &Row<'_>) -> rusqlite::Result<StoredKey> {
    let time = |column| row.get::<_, Option<i64>>(column).map(|at| at.map(UnixMillis));
    Ok(StoredKey {
        account: AccountId(row.get(0)?),
        key: ApiKey {
            id: KeyId(row.get(1)?),
            api_key: row.get(2)?,
            name: row.get(3)?,
            role: row::parsed(row, 4, Role::parse)?,
            created_at: UnixMillis(row.get(5)?),
            expires_at: time(6)?,
            last_used_at: time(7)?,
            previous_until: time(8)?,
        },
        secret_hash: SecretHash(row.get(9)?),
        previous_hash: row.get::<_, Option<[u8; 32]>>(10)?.map(SecretHash),
    })
}

fn count(connection: &Connection, account: AccountId) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT count(*) FROM api_keys WHERE account_id = ?1")?
        .query_row(params![account.0], |row| row.get(0))
}
