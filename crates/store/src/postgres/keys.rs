//! Reads of API keys, and the note of a key's last use.

use meishi_contacts::{AccountId, ApiKey, KeyId, StoredKey, UnixMillis};

use super::{error::Error, row, session::Session, statement::statements};
use crate::key_columns::select_keys;

statements! {
    TOUCH(INT8, INT8, INT8) = "UPDATE api_keys
         SET last_used_at = greatest(coalesce(last_used_at, 0), $3)
         WHERE account_id = $1 AND id = $2";
    BY_NAME(TEXT) = select_keys!("WHERE api_key = $1");
    BY_SECRET(BYTEA) =
        select_keys!("WHERE secret_hash = $1 UNION ALL ", "WHERE previous_hash = $1 LIMIT 1");
    SOME(INT8, INT8_ARRAY) = select_keys!("WHERE account_id = $1 AND id = ANY($2)");
    ALL(INT8) = select_keys!("WHERE account_id = $1 ORDER BY id");
}

/// Notes a use, never an earlier one than is known.
pub(super) async fn touch(
    session: &Session,
    account: AccountId,
    id: KeyId,
    at: UnixMillis,
) -> Result<(), Error> {
    session.execute(TOUCH, &[&account.0, &id.0, &at.0]).await.map(drop)
}

/// The key of a public half.
pub(super) async fn by_name(session: &Session, api_key: &str) -> Result<Option<StoredKey>, Error> {
    // No key has it, and PostgreSQL takes no text with it.
    if api_key.contains('\0') {
        return Ok(None);
    }
    session.query_opt(BY_NAME, &[&api_key]).await?.as_ref().map(row::stored_key).transpose()
}

/// The key of a secret, present or previous.
pub(super) async fn by_secret(
    session: &Session,
    hash: &[u8; 32],
) -> Result<Option<StoredKey>, Error> {
    session
        .query_opt(BY_SECRET, &[&hash.as_slice()])
        .await?
        .as_ref()
        .map(row::stored_key)
        .transpose()
}

/// Those of the keys that there are, in no order.
pub(super) async fn some(
    session: &Session,
    account: AccountId,
    ids: &[i64],
) -> Result<Vec<StoredKey>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    session.query(SOME, &[&account.0, &ids]).await?.iter().map(row::stored_key).collect()
}

/// The account's keys, by id.
pub(super) async fn list(session: &Session, account: AccountId) -> Result<Vec<ApiKey>, Error> {
    let rows = session.query(ALL, &[&account.0]).await?;
    rows.iter().map(|row| row::stored_key(row).map(|stored| stored.key)).collect()
}
