//! Reads of the spine.

use meishi_contacts::{AccountId, Event, Seq, UnixMillis, limits::READ_ROWS};
use rusqlite::{Connection, Row, params};

use super::row;

statements! {
    EVENTS = "SELECT seq, at, actor, actor_id, request_id, body FROM events
         WHERE account_id = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
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
