//! Accounts, their counters, and the database's own identity.

use meishi_contacts::{AccountId, Seq, UnixMillis};
use rusqlite::{Connection, OptionalExtension, params};

use super::save;
use crate::{
    Account, Counts, CreatedAccount, Database, NewAccount,
    ledger::{AccountRows, Counters, account_id},
};

statements! {
    EXISTS = "SELECT 1 FROM accounts WHERE id = ?1";
    INSERT = "INSERT INTO accounts (id, name, created_at) VALUES (?1, ?2, ?3)";
    ACCOUNTS = "SELECT id, name, created_at FROM accounts ORDER BY id";
    COUNTS = "SELECT contacts, resolved_contacts, last_seq, dropped_seq FROM counters WHERE account_id = ?1";
    COUNTERS = "SELECT last_seq, last_contact_id, last_inbox_id, last_key_id, last_label_id,
           last_webhook_id, dropped_seq, contacts, resolved_contacts, last_attribute_id
         FROM counters WHERE account_id = ?1";
    DATABASE = "SELECT id, epoch FROM databases";
}

/// Makes an account with its first channel and key.
pub(super) fn create(
    connection: &Connection,
    new: &NewAccount,
) -> rusqlite::Result<Option<CreatedAccount>> {
    if new.only_first && !list(connection)?.is_empty() {
        return Ok(None);
    }
    let mut id = account_id(new);
    let is_taken = |id: AccountId| connection.prepare_cached(EXISTS)?.exists(params![id.0]);
    while is_taken(id)? {
        id = AccountId(id.0 + 1);
    }
    let rows = AccountRows::new(id, new);
    let account = &rows.account;
    connection.prepare_cached(INSERT)?.execute(params![
        account.id.0,
        account.name,
        account.created_at.0
    ])?;
    save::account(connection, &rows)?;
    Ok(Some(rows.created()))
}

/// All accounts, by id.
pub(super) fn list(connection: &Connection) -> rusqlite::Result<Vec<Account>> {
    connection
        .prepare_cached(ACCOUNTS)?
        .query_map([], |row| {
            Ok(Account {
                id: AccountId(row.get(0)?),
                name: row.get(1)?,
                created_at: UnixMillis(row.get(2)?),
            })
        })?
        .collect()
}

/// An account's exact counts.
pub(super) fn counts(
    connection: &Connection,
    account: AccountId,
) -> rusqlite::Result<Option<Counts>> {
    connection
        .prepare_cached(COUNTS)?
        .query_row(params![account.0], |row| {
            Ok(Counts {
                contacts: row.get(0)?,
                resolved_contacts: row.get(1)?,
                last_seq: Seq(row.get(2)?),
                dropped_seq: Seq(row.get(3)?),
            })
        })
        .optional()
}

/// An account's counters.
pub(super) fn counters(
    connection: &Connection,
    account: AccountId,
) -> rusqlite::Result<Option<Counters>> {
    connection
        .prepare_cached(COUNTERS)?
        .query_row(params![account.0], |row| {
            Ok(Counters {
                last_seq: row.get(0)?,
                last_contact_id: row.get(1)?,
                last_inbox_id: row.get(2)?,
                last_key_id: row.get(3)?,
                last_label_id: row.get(4)?,
                last_webhook_id: row.get(5)?,
                dropped_seq: row.get(6)?,
                contacts: row.get(7)?,
                resolved_contacts: row.get(8)?,
                last_attribute_id: row.get(9)?,
            })
        })
        .optional()
}

/// Which database this is.
pub(super) fn database(connection: &Connection) -> rusqlite::Result<Database> {
    connection
        .prepare_cached(DATABASE)?
        .query_row([], |row| Ok(Database { id: row.get(0)?, epoch: row.get(1)? }))
}
