//! Reads of definitions of custom attributes.

use meishi_contacts::{
    AccountId, AttributeDefinition, AttributeId, AttributeMode, AttributeType, UnixMillis,
};
use tokio_postgres::Row;

use super::{
    error::Error,
    row::{self, column},
    session::Session,
    statement::statements,
};

/// A definition's columns, in the order that [`definition`] reads.
macro_rules! definitions {
    ($of:literal) => {
        concat!(
            "SELECT id, key, name, description, type, list_values, regex, hint, mode, created_at
         FROM attribute_definitions WHERE account_id = $1",
            $of
        )
    };
}

statements! {
    SOME(INT8, INT8_ARRAY) = definitions!(" AND id = ANY($2)");
    KEYED(INT8, TEXT_ARRAY) = concat!(
        "SELECT definition.* FROM unnest($2::text[]) AS wanted (key) CROSS JOIN LATERAL (",
        definitions!(" AND key = wanted.key OFFSET 0"),
        ") AS definition"
    );
    ALL(INT8) = definitions!(" ORDER BY key");
}

/// A definition of the account.
pub(super) async fn get(
    session: &Session,
    account: AccountId,
    id: AttributeId,
) -> Result<Option<AttributeDefinition>, Error> {
    Ok(some(session, account, &[id.0]).await?.into_iter().next())
}

/// Those of the definitions that there are, in no order.
pub(super) async fn some(
    session: &Session,
    account: AccountId,
    ids: &[i64],
) -> Result<Vec<AttributeDefinition>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    session.query(SOME, &[&account.0, &ids]).await?.iter().map(definition).collect()
}

/// The definitions of those of the keys that there are, in no order.
pub(super) async fn keyed(
    session: &Session,
    account: AccountId,
    keys: &[&str],
) -> Result<Vec<AttributeDefinition>, Error> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    session.query(KEYED, &[&account.0, &keys]).await?.iter().map(definition).collect()
}

/// The account's definitions, by key.
pub(super) async fn list(
    session: &Session,
    account: AccountId,
) -> Result<Vec<AttributeDefinition>, Error> {
    session.query(ALL, &[&account.0]).await?.iter().map(definition).collect()
}

fn definition(row: &Row) -> Result<AttributeDefinition, Error> {
    Ok(AttributeDefinition {
        id: AttributeId(column(row, 0)?),
        key: column(row, 1)?,
        name: column(row, 2)?,
        description: column(row, 3)?,
        kind: row::parsed(row, 4, AttributeType::parse)?,
        values: row::json(row, 5)?,
        regex: column(row, 6)?,
        hint: column(row, 7)?,
        mode: row::parsed(row, 8, AttributeMode::parse)?,
        created_at: UnixMillis(column(row, 9)?),
    })
}
