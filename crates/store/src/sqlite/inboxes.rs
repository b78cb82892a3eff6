//! Reads of channels.

use meishi_contacts::{AccountId, Inbox, InboxId};
use rusqlite::{Connection, OptionalExtension, params};

use super::row;
use crate::ledger::StoredInbox;

statements! {
    INBOX = "SELECT id, name, channel_type, created_at, made_seq FROM inboxes
         WHERE account_id = ?1 AND id = ?2";
    INBOXES = "SELECT id, name, channel_type, created_at, made_seq FROM inboxes
         WHERE account_id = ?1 ORDER BY id";
}

/// A channel of the account.
pub(super) fn get(
    connection: &Connection,
    account: AccountId,
    id: InboxId,
) -> rusqlite::Result<Option<Inbox>> {
    Ok(stored(connection, account, id)?.map(|stored| stored.inbox))
}

/// The same with the event that made it.
pub(super) fn stored(
    connection: &Connection,
    account: AccountId,
    id: InboxId,
) -> rusqlite::Result<Option<StoredInbox>> {
    connection.prepare_cached(INBOX)?.query_row(params![account.0, id.0], row::inbox).optional()
}

/// The account's channels, by id.
pub(super) fn list(connection: &Connection, account: AccountId) -> rusqlite::Result<Vec<Inbox>> {
    Ok(all(connection, account)?.into_iter().map(|stored| stored.inbox).collect())
}

/// The same with the events that made them.
pub(super) fn all(
    connection: &Connection,
    account: AccountId,
) -> rusqlite::Result<Vec<StoredInbox>> {
    connection.prepare_cached(INBOXES)?.query_map(params![account.0], row::inbox)?.collect()
}
