//! Reads of channels.

use meishi_contacts::{AccountId, Inbox, InboxId};

use super::{error::Error, row, session::Session, statement::statements};
use crate::ledger::StoredInbox;

statements! {
    SOME(INT8, INT8_ARRAY) = "SELECT id, name, channel_type, created_at, made_seq FROM inboxes
         WHERE account_id = $1 AND id = ANY($2)";
    ALL(INT8) = "SELECT id, name, channel_type, created_at, made_seq FROM inboxes
         WHERE account_id = $1 ORDER BY id";
}

/// A channel of the account.
pub(super) async fn get(
    session: &Session,
    account: AccountId,
    id: InboxId,
) -> Result<Option<Inbox>, Error> {
    let found = some(session, account, &[id.0]).await?.into_iter().next();
    Ok(found.map(|stored| stored.inbox))
}

/// Those of the channels that there are, in no order.
pub(super) async fn some(
    session: &Session,
    account: AccountId,
    ids: &[i64],
) -> Result<Vec<StoredInbox>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    session.query(SOME, &[&account.0, &ids]).await?.iter().map(row::inbox).collect()
}

/// The account's channels, by id.
pub(super) async fn list(session: &Session, account: AccountId) -> Result<Vec<Inbox>, Error> {
    let rows = session.query(ALL, &[&account.0]).await?;
    rows.iter().map(|row| Ok(row::inbox(row)?.inbox)).collect()
}
