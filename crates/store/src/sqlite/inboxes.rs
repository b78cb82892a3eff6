//! Reads of channels.

use meishi_contacts::{AccountId, Inbox, InboxId};
use rusqlite::{Connection, OptionalExtension, params};

use super::row;

statements! {
    INBOX = "SELECT id, name, channel_type, created_at FROM inboxes
         WHERE account_id = ?1 AND id = ?2";
    INBOXES = "SELECT id, name, channel_type, created_at FROM inboxes
         WHERE account_id = ?1 ORDER BY id";
}

/// A channel of the account.
pub(super) fn get(
    connection: &Connection,
    account: AccountId,
    id: InboxId,
) -> rusqlite::Result<Option<Inbox>> {
    connection
        .prepare_cached(INBOX)?
        .query_row(params![account.0, id.0], |row| row::inbox(row, 0))
        .optional()
}

/// The account's channels, by id.
pub(super) fn list(connection: &Connection, account: AccountId) -> rusqlite::Result<Vec<Inbox>> {
    connection
        .prepare_cached(INBOXES)?
        .query_map(params![account.0], |row| row::inbox(row, 0))?
        .collect()
}
