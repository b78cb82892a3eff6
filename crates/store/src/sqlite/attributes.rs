//! Reads of definitions of custom attributes.

use meishi_contacts::{
    AccountId, AttributeDefinition, AttributeId, AttributeMode, AttributeType, UnixMillis,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::row;

/// A definition's columns, in the order that [`definition`] reads.
macro_rules! definitions {
    ($of:literal) => {
        concat!(
            "SELECT id, key, name, description, type, list_values, regex, hint, mode, created_at
         FROM attribute_definitions WHERE account_id = ?1",
            $of
        )
    };
}

statements! {
    DEFINITION = definitions!(" AND id = ?2");
    KEYED = definitions!(" AND key = ?2");
    DEFINITIONS = definitions!(" ORDER BY key");
}

/// A definition of the account.
pub(super) fn get(
    connection: &Connection,
    account: AccountId,
    id: AttributeId,
) -> rusqlite::Result<Option<AttributeDefinition>> {
    let id = params![account.0, id.0];
    connection.prepare_cached(DEFINITION)?.query_row(id, definition).optional()
}

/// The definition of a key.
pub(super) fn keyed(
    connection: &Connection,
    account: AccountId,
    key: &str,
) -> rusqlite::Result<Option<AttributeDefinition>> {
    let key = params![account.0, key];
    connection.prepare_cached(KEYED)?.query_row(key, definition).optional()
}

/// The account's definitions, by key.
pub(super) fn list(
    connection: &Connection,
    account: AccountId,
) -> rusqlite::Result<Vec<AttributeDefinition>> {
    connection.prepare_cached(DEFINITIONS)?.query_map(params![account.0], definition)?.collect()
}

fn definition(row: &Row<'_>) -> rusqlite::Result<AttributeDefinition> {
    Ok(AttributeDefinition {
        id: AttributeId(row.get(0)?),
        key: row.get(1)?,
        name: row.get(2)?,
        description: row.get(3)?,
        kind: row::parsed(row, 4, AttributeType::parse)?,
        values: row::json(row, 5)?,
        regex: row.get(6)?,
        hint: row.get(7)?,
        mode: row::parsed(row, 8, AttributeMode::parse)?,
        created_at: UnixMillis(row.get(9)?),
    })
}
