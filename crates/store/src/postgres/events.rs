//! Reads of the spine.

use meishi_contacts::{
    AccountId, ContactId, Event, Seq,
    limits::{READ_ROWS, RELABELLINGS},
};

use super::{
    error::Error,
    row::{self, column},
    session::Session,
    statement::statements,
};
use crate::{History, News};

/// A contact's events from one back to its first. Each is looked up by its key in turn, and only as
/// many as are asked for.
macro_rules! chain {
    ($columns:literal, $first:literal, $rest:literal) => {
        concat!(
            "WITH RECURSIVE chain AS (
               SELECT * FROM events WHERE account_id = $1 AND seq = ",
            $first,
            "
               UNION ALL
               SELECT event.* FROM chain CROSS JOIN LATERAL (
                 SELECT * FROM events
                 WHERE account_id = $1 AND seq = chain.previous_seq OFFSET 0) AS event)
             SELECT ",
            $columns,
            " FROM chain ",
            $rest
        )
    };
}

/// The events after one, up to a limit.
macro_rules! after {
    () => {
        "SELECT seq, at, actor, actor_id, request_id, body FROM events
         WHERE account_id = $1 AND seq > $2 ORDER BY seq LIMIT $3"
    };
}

statements! {
    GET(INT8, INT8) = "SELECT seq, at, actor, actor_id, request_id, body FROM events
         WHERE account_id = $1 AND seq = $2";
    LAST_OF(INT8, INT8) = "SELECT last_seq FROM contacts WHERE account_id = $1 AND id = $2";
    LAST_OF_DELETED(INT8, INT8) = "SELECT last_seq FROM deleted_contacts
         WHERE account_id = $1 AND id = $2";
    HISTORY(INT8, INT8, INT8) = chain!(
        "seq, at, actor, actor_id, request_id, body, previous_seq", "$2", "LIMIT $3");
    TELLING(INT8, INT8) = chain!("seq, kind", "$2", "");
    AFTER(INT8, INT8, INT8) = after!();
    NEWS(INT8, INT8, INT8) = concat!(
        "SELECT event.*, counters.contacts, counters.resolved_contacts, counters.last_seq,
           counters.dropped_seq
         FROM counters LEFT JOIN LATERAL (",
        after!(),
        ") AS event ON true WHERE counters.account_id = $1"
    );
    RELABELLED(INT8, INT8, INT8) = "SELECT seq, at, actor, actor_id, request_id, body FROM events
         WHERE account_id = $1 AND seq > $2 AND kind IN ('label.updated', 'label.deleted')
         ORDER BY seq LIMIT $3";
}

/// The events after one that changed or deleted labels, oldest first; of too many one too many.
pub(super) async fn relabelled(
    session: &Session,
    account: AccountId,
    after: Seq,
) -> Result<Vec<Event>, Error> {
    let limit = i64::try_from(RELABELLINGS + 1).unwrap_or_default();
    let rows = session.query(RELABELLED, &[&account.0, &after.0, &limit]).await?;
    rows.iter().map(row::event).collect()
}

/// The events after one, oldest first.
pub(super) async fn after(
    session: &Session,
    account: AccountId,
    after: Seq,
    limit: usize,
) -> Result<Vec<Event>, Error> {
    let limit = i64::try_from(limit.min(READ_ROWS)).unwrap_or_default();
    let rows = session.query(AFTER, &[&account.0, &after.0, &limit]).await?;
    rows.iter().map(row::event).collect()
}

/// What the account counts, and the events after one.
pub(super) async fn news(
    session: &Session,
    account: AccountId,
    after: Seq,
    limit: usize,
) -> Result<Option<News>, Error> {
    let limit = i64::try_from(limit.min(READ_ROWS)).unwrap_or_default();
    let rows = session.query(NEWS, &[&account.0, &after.0, &limit]).await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let counts = row::counts(first, 6)?;
    let events = if column::<Option<i64>>(first, 0)?.is_some() {
        rows.iter().map(row::event).collect::<Result<_, _>>()?
    } else {
        // There is one row all the same.
        Vec::new()
    };
    Ok(Some(News { counts, events }))
}

/// An event.
pub(super) async fn get(
    session: &Session,
    account: AccountId,
    seq: Seq,
) -> Result<Option<Event>, Error> {
    session.query_opt(GET, &[&account.0, &seq.0]).await?.as_ref().map(row::event).transpose()
}

/// The last event of a contact that is gone.
pub(super) async fn of_deleted(
    session: &Session,
    account: AccountId,
    id: ContactId,
) -> Result<Option<Seq>, Error> {
    let found = session.query_opt(LAST_OF_DELETED, &[&account.0, &id.0]).await?;
    found.map(|row| column(&row, 0).map(Seq)).transpose()
}

/// A part of a contact's history, from an event of it or from the last one, backwards.
pub(super) async fn history(
    session: &Session,
    account: AccountId,
    id: ContactId,
    from: Option<Seq>,
    limit: usize,
) -> Result<Option<History>, Error> {
    let Some(last) = last_of(session, account, id).await? else { return Ok(None) };
    let limit = limit.min(READ_ROWS);
    let from = from.unwrap_or(last);
    let rows = i64::try_from(limit).unwrap_or_default();
    let rows = session.query(HISTORY, &[&account.0, &from.0, &rows]).await?;
    let mut history = History { events: Vec::new(), next: Some(from), dropped: false };
    for row in &rows {
        let event = row::event(row)?;
        if event.body.contact() != Some(id) {
            history.next = None;
            break;
        }
        history.events.push(event);
        history.next = column::<Option<i64>>(row, 6)?.map(Seq);
    }
    // Fewer than there is room for, and yet there is one before them.
    if rows.len() < limit && history.next.is_some() {
        history.next = None;
        history.dropped = true;
    }
    Ok(Some(history))
}

/// The events of a contact that hold something of it, the last one first.
pub(super) async fn telling(
    session: &Session,
    account: AccountId,
    id: ContactId,
) -> Result<Vec<Seq>, Error> {
    let Some(last) = last_of(session, account, id).await? else { return Ok(Vec::new()) };
    let mut telling = Vec::new();
    for row in session.query(TELLING, &[&account.0, &last.0]).await? {
        let kind: &str = column(&row, 1)?;
        if !matches!(kind, "tombstone" | "contact.erased") {
            telling.push(Seq(column(&row, 0)?));
        }
    }
    Ok(telling)
}

/// The last event of a contact's history, be the contact there or gone.
async fn last_of(
    session: &Session,
    account: AccountId,
    id: ContactId,
) -> Result<Option<Seq>, Error> {
    match session.query_opt(LAST_OF, &[&account.0, &id.0]).await? {
        Some(row) => column(&row, 0).map(Seq).map(Some),
        None => of_deleted(session, account, id).await,
    }
}
