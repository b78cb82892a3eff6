//! Outcomes of keyed calls.

use meishi_contacts::AccountId;
use rusqlite::{Connection, OptionalExtension, params};

use super::{row, store_error};
use crate::{ChangeError, Context, Idempotency, Outcome, StoreError};

type Results = Vec<Result<Outcome, ChangeError>>;

/// What a call came to when it was made before under its key.
pub(super) fn find(
    connection: &Connection,
    account: AccountId,
    key: &Idempotency,
) -> Result<Option<Results>, StoreError> {
    let find = || {
        connection
            .prepare_cached(
                "SELECT fingerprint, outcome FROM idempotency_keys
                 WHERE account_id = ?1 AND api_key_id = ?2 AND route = ?3 AND key = ?4",
            )?
            .query_row(params![account.0, key.api_key_id.0, key.route, key.key], |row| {
                Ok((row.get::<_, [u8; 32]>(0)?, row::json::<Results>(row, 1)?))
            })
            .optional()
    };
    match find().map_err(|error| store_error(&error))? {
        Some((fingerprint, _)) if fingerprint != key.fingerprint => {
            Err(StoreError::IdempotencyMismatch)
        }
        found => Ok(found.map(|(_, results)| results)),
    }
}

/// Keeps what a call came to, in the call's own transaction.
pub(super) fn keep(
    connection: &Connection,
    cx: &Context,
    key: &Idempotency,
    results: &Results,
) -> rusqlite::Result<()> {
    let outcome = serde_json::to_string(results)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    connection
        .prepare_cached(
            "INSERT INTO idempotency_keys (account_id, api_key_id, route, key, fingerprint, outcome,
               created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            cx.account.0,
            key.api_key_id.0,
            key.route,
            key.key,
            key.fingerprint,
            outcome,
            cx.at.0
        ])
        .map(drop)
}
