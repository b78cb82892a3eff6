//! Channels.

use meishi_contacts::{
    AccountId, EventBody, Fault, FaultCode, Field, FieldChange, Inbox, InboxId, InboxPatch,
    NewInbox, ids::MAX_ID, limits::INBOXES,
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    changes::{Ledger, Stop},
    row,
};
use crate::{ChangeError, Missing, Outcome};

/// Makes a channel, under the id that the caller chose or the next one.
pub(super) fn create(ledger: &mut Ledger<'_>, new: &NewInbox) -> Result<Outcome, Stop> {
    let account = ledger.cx.account;
    let refused = |code, message: String| {
        Stop::from(ChangeError::Faults(vec![Fault::new("id", code, message)]))
    };
    let id = match new.id {
        Some(id) => id,
        None => InboxId(ledger.counters.last_inbox_id + 1),
    };
    if get(ledger.connection, account, id)?.is_some() {
        return Err(refused(FaultCode::Taken, "Id has already been taken".into()));
    }
    if id.0 > MAX_ID || count(ledger.connection, account)? >= INBOXES {
        let message = format!("Channels are too many (maximum is {INBOXES})");
        return Err(refused(FaultCode::LimitExceeded, message));
    }
    ledger.counters.last_inbox_id = ledger.counters.last_inbox_id.max(id.0);
    let inbox = Inbox {
        id,
        name: new.name.clone(),
        channel_type: new.channel_type,
        created_at: ledger.cx.at,
    };
    insert(ledger.connection, account, &inbox)?;
    ledger.record(EventBody::InboxCreated(inbox.clone()))?;
    Ok(Outcome::InboxCreated(inbox))
}

/// Renames a channel.
pub(super) fn update(
    ledger: &mut Ledger<'_>,
    id: InboxId,
    patch: &InboxPatch,
) -> Result<Outcome, Stop> {
    let mut inbox = expect(ledger, id)?;
    let Some(name) = patch.name.as_ref().filter(|name| **name != inbox.name) else {
        return Ok(Outcome::InboxUpdated(inbox));
    };
    let before = std::mem::replace(&mut inbox.name, name.clone());
    ledger
        .connection
        .prepare_cached("UPDATE inboxes SET name = ?3 WHERE account_id = ?1 AND id = ?2")?
        .execute(params![ledger.cx.account.0, id.0, name])?;
    let changes = vec![FieldChange::of(Field::Name, before, name.clone())];
    ledger.record(EventBody::InboxUpdated { id, changes })?;
    Ok(Outcome::InboxUpdated(inbox))
}

/// Deletes a channel, and its links where `force` says so.
pub(super) fn delete(ledger: &mut Ledger<'_>, id: InboxId, force: bool) -> Result<Outcome, Stop> {
    let inbox = expect(ledger, id)?;
    let links: i64 = ledger
        .connection
        .prepare_cached(
            "SELECT count(*) FROM contact_inboxes WHERE account_id = ?1 AND inbox_id = ?2",
        )?
        .query_row(params![ledger.cx.account.0, id.0], |row| row.get(0))?;
    if links > 0 && !force {
        return Err(ChangeError::HasContacts { count: links }.into());
    }
    for statement in [
        "DELETE FROM contact_inboxes WHERE account_id = ?1 AND inbox_id = ?2",
        "DELETE FROM inboxes WHERE account_id = ?1 AND id = ?2",
    ] {
        let owner = params![ledger.cx.account.0, id.0];
        ledger.connection.prepare_cached(statement)?.execute(owner)?;
    }
    ledger.record(EventBody::InboxDeleted { inbox, links })?;
    Ok(Outcome::InboxDeleted)
}

/// A channel of the account.
pub(super) fn get(
    connection: &Connection,
    account: AccountId,
    id: InboxId,
) -> rusqlite::Result<Option<Inbox>> {
    connection
        .prepare_cached(
            "SELECT id, name, channel_type, created_at FROM inboxes
             WHERE account_id = ?1 AND id = ?2",
        )?
        .query_row(params![account.0, id.0], |row| row::inbox(row, 0))
        .optional()
}

/// The account's channels, by id.
pub(super) fn list(connection: &Connection, account: AccountId) -> rusqlite::Result<Vec<Inbox>> {
    connection
        .prepare_cached(
            "SELECT id, name, channel_type, created_at FROM inboxes
             WHERE account_id = ?1 ORDER BY id",
        )?
        .query_map(params![account.0], |row| row::inbox(row, 0))?
        .collect()
}

/// Writes a new channel's row.
pub(super) fn insert(
    connection: &Connection,
    account: AccountId,
    inbox: &Inbox,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO inboxes (account_id, id, name, channel_type, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            account.0,
            inbox.id.0,
            inbox.name,
            inbox.channel_type.as_str(),
            inbox.created_at.0
        ])
        .map(drop)
}

fn expect(ledger: &Ledger<'_>, id: InboxId) -> Result<Inbox, Stop> {
    let found = get(ledger.connection, ledger.cx.account, id)?;
    found.ok_or_else(|| ChangeError::NotFound(Missing::Inbox).into())
}

fn count(connection: &Connection, account: AccountId) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT count(*) FROM inboxes WHERE account_id = ?1")?
        .query_row(params![account.0], |row| row.get(0))
}
