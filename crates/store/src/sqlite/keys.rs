//! Reads of API keys, and the note of a key's last use.

use meishi_contacts::{AccountId, ApiKey, KeyId, Role, SecretHash, StoredKey, UnixMillis};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::row;
use crate::key_columns::select_keys;

statements! {
    TOUCH = "UPDATE api_keys SET last_used_at = max(coalesce(last_used_at, 0), ?3)
         WHERE account_id = ?1 AND id = ?2";
    BY_NAME = select_keys!("WHERE api_key = ?1");
    BY_SECRET =
        select_keys!("WHERE secret_hash = ?1 UNION ALL ", "WHERE previous_hash = ?1 LIMIT 1");
    KEY = select_keys!("WHERE account_id = ?1 AND id = ?2");
    KEYS = select_keys!("WHERE account_id = ?1 ORDER BY id");
}

/// Notes a use, never an earlier one than is known.
pub(super) fn touch(
    connection: &Connection,
    account: AccountId,
    id: KeyId,
    at: UnixMillis,
) -> rusqlite::Result<()> {
    connection.prepare_cached(TOUCH)?.execute(params![account.0, id.0, at.0]).map(drop)
}

/// The key of a public half.
pub(super) fn by_name(
    connection: &Connection,
    api_key: &str,
) -> rusqlite::Result<Option<StoredKey>> {
    connection.prepare_cached(BY_NAME)?.query_row(params![api_key], stored).optional()
}

/// The key of a secret, present or previous.
pub(super) fn by_secret(
    connection: &Connection,
    secret: &SecretHash,
) -> rusqlite::Result<Option<StoredKey>> {
    connection.prepare_cached(BY_SECRET)?.query_row(params![secret.0], stored).optional()
}

/// A key of the account.
pub(super) fn get(
    connection: &Connection,
    account: AccountId,
    id: KeyId,
) -> rusqlite::Result<Option<StoredKey>> {
    connection.prepare_cached(KEY)?.query_row(params![account.0, id.0], stored).optional()
}

/// The account's keys, by id.
pub(super) fn list(connection: &Connection, account: AccountId) -> rusqlite::Result<Vec<ApiKey>> {
    connection
        .prepare_cached(KEYS)?
        .query_map(params![account.0], |row| stored(row).map(|stored| stored.key))?
        .collect()
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
