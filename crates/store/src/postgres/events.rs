//! Reads of the spine.

use meishi_contacts::{AccountId, Event, Seq, limits::READ_ROWS};

use super::{error::Error, row, session::Session, statement::statements};

statements! {
    AFTER(INT8, INT8, INT8) = "SELECT seq, at, actor, actor_id, request_id, body FROM events
         WHERE account_id = $1 AND seq > $2 ORDER BY seq LIMIT $3";
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
