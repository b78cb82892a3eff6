//! The spine: events as rows.

use meishi_contacts::{AccountId, Actor, Event, KeyId, Seq, UnixMillis, limits::READ_ROWS};
use rusqlite::{Connection, Row, params};

use super::row;

/// Writes an event.
pub(super) fn insert(
    connection: &Connection,
    account: AccountId,
    event: &Event,
) -> rusqlite::Result<()> {
    let (actor, actor_id) = match event.actor {
        Actor::Key(id) => ("key", Some(id.0)),
        Actor::System => ("system", None),
    };
    let body = serde_json::to_string(&event.body)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    connection
        .prepare_cached(
            "INSERT INTO events (account_id, seq, at, actor, actor_id, request_id, kind, subject_id,
               body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            account.0,
            event.seq.0,
            event.at.0,
            actor,
            actor_id,
            event.request_id,
            event.body.kind(),
            event.body.subject(),
            body
        ])
        .map(drop)
}

/// The events after one, oldest first.
pub(super) fn after(
    connection: &Connection,
    account: AccountId,
    after: Seq,
    limit: usize,
) -> rusqlite::Result<Vec<Event>> {
    connection
        .prepare_cached(
            "SELECT seq, at, actor, actor_id, request_id, body FROM events
             WHERE account_id = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
        )?
        .query_map(params![account.0, after.0, limit.min(READ_ROWS)], event)?
        .collect()
}

fn event(row: &Row<'_>) -> rusqlite::Result<Event> {
    let actor_id: Option<i64> = row.get(3)?;
    Ok(Event {
        seq: Seq(row.get(0)?),
        at: UnixMillis(row.get(1)?),
        actor: row::parsed(row, 2, |actor| match (actor, actor_id) {
            ("key", Some(id)) => Some(Actor::Key(KeyId(id))),
            ("system", None) => Some(Actor::System),
            _ => None,
        })?,
        request_id: row.get(4)?,
        body: row::json(row, 5)?,
    })
}
