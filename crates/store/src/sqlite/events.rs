//! Reads of the spine.

use meishi_contacts::{
    AccountId, ContactId, Event, Seq, UnixMillis,
    limits::{READ_ROWS, RELABELLINGS},
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::row;
use crate::History;

statements! {
    EVENT = "SELECT seq, at, actor, actor_id, request_id, body, previous_seq FROM events
         WHERE account_id = ?1 AND seq = ?2";
    LINK = "SELECT kind, previous_seq FROM events WHERE account_id = ?1 AND seq = ?2";
    LAST_OF = "SELECT last_seq FROM contacts WHERE account_id = ?1 AND id = ?2";
    LAST_OF_DELETED = "SELECT last_seq FROM deleted_contacts WHERE account_id = ?1 AND id = ?2";
    EVENTS = "SELECT seq, at, actor, actor_id, request_id, body FROM events
         WHERE account_id = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
    // By name, since without statistics the other key looks as good, and has all events in it.
    RELABELLED = "SELECT seq, at, actor, actor_id, request_id, body
         FROM events INDEXED BY events_relabelled
         WHERE account_id = ?1 AND seq > ?2 AND kind IN ('label.updated', 'label.deleted')
         ORDER BY seq LIMIT ?3";
}

/// The events after one that changed or deleted labels, oldest first; of too many one too many.
pub(super) fn relabelled(
    connection: &Connection,
    account: AccountId,
    after: Seq,
) -> rusqlite::Result<Vec<Event>> {
    connection
        .prepare_cached(RELABELLED)?
        .query_map(params![account.0, after.0, RELABELLINGS + 1], event)?
        .collect()
}

/// The events after one, oldest first.
pub(super) fn after(
    connection: &Connection,
    account: AccountId,
    after: Seq,
    limit: usize,
) -> rusqlite::Result<Vec<Event>> {
    connection
        .prepare_cached(EVENTS)?
        .query_map(params![account.0, after.0, limit.min(READ_ROWS)], event)?
        .collect()
}

/// An event, and the one before it of the same contact.
pub(super) fn get(
    connection: &Connection,
    account: AccountId,
    seq: Seq,
) -> rusqlite::Result<Option<(Event, Option<Seq>)>> {
    connection
        .prepare_cached(EVENT)?
        .query_row(params![account.0, seq.0], |row| {
            Ok((event(row)?, row.get::<_, Option<i64>>(6)?.map(Seq)))
        })
        .optional()
}

/// The last event of a contact that is gone.
pub(super) fn of_deleted(
    connection: &Connection,
    account: AccountId,
    id: ContactId,
) -> rusqlite::Result<Option<Seq>> {
    let seq = |row: &Row<'_>| row.get(0).map(Seq);
    connection.prepare_cached(LAST_OF_DELETED)?.query_row(params![account.0, id.0], seq).optional()
}

/// A part of a contact's history, from an event of it or from the last one, backwards.
pub(super) fn history(
    connection: &Connection,
    account: AccountId,
    id: ContactId,
    from: Option<Seq>,
    limit: usize,
) -> rusqlite::Result<Option<History>> {
    let Some(last) = last_of(connection, account, id)? else { return Ok(None) };
    let mut history = History { events: Vec::new(), next: None, dropped: false };
    let mut next = Some(from.unwrap_or(last));
    while let Some(seq) = next {
        if history.events.len() >= limit.min(READ_ROWS) {
            history.next = next;
            break;
        }
        let Some((event, previous)) = get(connection, account, seq)? else {
            history.dropped = true;
            break;
        };
        if event.body.contact() != Some(id) {
            break;
        }
        history.events.push(event);
        next = previous;
    }
    Ok(Some(history))
}

/// The events of a contact that hold something of it, the last one first.
pub(super) fn telling(
    connection: &Connection,
    account: AccountId,
    id: ContactId,
) -> rusqlite::Result<Vec<Seq>> {
    let mut telling = Vec::new();
    let mut next = last_of(connection, account, id)?;
    let mut link = connection.prepare_cached(LINK)?;
    while let Some(seq) = next {
        let found: Option<(bool, Option<i64>)> = link
            .query_row(params![account.0, seq.0], |row| {
                let kind = row.get_ref(0)?.as_str()?;
                Ok((matches!(kind, "tombstone" | "contact.erased"), row.get(1)?))
            })
            .optional()?;
        let Some((is_empty, previous)) = found else { break };
        telling.extend((!is_empty).then_some(seq));
        next = previous.map(Seq);
    }
    Ok(telling)
}

/// The last event of a contact's history, be the contact there or gone.
fn last_of(
    connection: &Connection,
    account: AccountId,
    id: ContactId,
) -> rusqlite::Result<Option<Seq>> {
    let seq = |row: &Row<'_>| row.get(0).map(Seq);
    let of_contact =
        connection.prepare_cached(LAST_OF)?.query_row(params![account.0, id.0], seq).optional()?;
    match of_contact {
        Some(seq) => Ok(Some(seq)),
        None => of_deleted(connection, account, id),
    }
}

fn event(row: &Row<'_>) -> rusqlite::Result<Event> {
    let actor_id: Option<i64> = row.get(3)?;
    Ok(Event {
        seq: Seq(row.get(0)?),
        at: UnixMillis(row.get(1)?),
        actor: row::parsed(row, 2, |actor| crate::ledger::actor(actor, actor_id))?,
        request_id: row.get(4)?,
        body: row::json(row, 5)?,
    })
}
