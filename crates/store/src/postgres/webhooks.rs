//! Reads of webhooks.

use meishi_contacts::{
    AccountId, PayloadForm, Seq, StoredWebhook, UnixMillis, Webhook, WebhookId, WebhookState,
};
use tokio_postgres::Row;

use super::{
    error::Error,
    row::{self, column},
    session::Session,
    statement::statements,
};
use crate::webhook_columns::webhook_columns;

statements! {
    GET(INT8, INT8) = concat!(
        "SELECT ", webhook_columns!(), " FROM webhooks WHERE account_id = $1 AND id = $2");
    LOCK(INT8, INT8) = concat!(
        "SELECT ", webhook_columns!(), " FROM webhooks
         WHERE account_id = $1 AND id = $2 FOR UPDATE");
    ALL(INT8) = concat!(
        "SELECT ", webhook_columns!(), " FROM webhooks
         WHERE account_id = $1 AND state <> 'deleted' ORDER BY id");
}

/// A webhook of the account.
pub(super) async fn get(
    session: &Session,
    account: AccountId,
    id: WebhookId,
) -> Result<Option<StoredWebhook>, Error> {
    there(session.query_opt(GET, &[&account.0, &id.0]).await?)
}

/// The same, locked for the transaction.
pub(super) async fn lock(
    session: &Session,
    account: AccountId,
    id: WebhookId,
) -> Result<Option<StoredWebhook>, Error> {
    there(session.query_opt(LOCK, &[&account.0, &id.0]).await?)
}

/// The webhook of a row, unless it is only what is left of one.
fn there(row: Option<Row>) -> Result<Option<StoredWebhook>, Error> {
    let Some(row) = row else { return Ok(None) };
    let state: &str = column(&row, 6)?;
    if state == "deleted" { Ok(None) } else { stored(&row).map(Some) }
}

/// The account's webhooks, by id.
pub(super) async fn list(session: &Session, account: AccountId) -> Result<Vec<Webhook>, Error> {
    let rows = session.query(ALL, &[&account.0]).await?;
    rows.iter().map(|row| stored(row).map(|stored| stored.webhook)).collect()
}

/// A webhook from [`webhook_columns`].
pub(super) fn stored(row: &Row) -> Result<StoredWebhook, Error> {
    let time = |index| Ok::<_, Error>(column::<Option<i64>>(row, index)?.map(UnixMillis));
    Ok(StoredWebhook {
        account: AccountId(column(row, 0)?),
        webhook: Webhook {
            id: WebhookId(column(row, 1)?),
            url: column(row, 2)?,
            events: row::json(row, 3)?,
            format: row::parsed(row, 4, PayloadForm::parse)?,
            include_activity: column(row, 5)?,
            state: row::parsed(row, 6, WebhookState::parse)?,
            state_reason: column(row, 7)?,
            created_at: UnixMillis(column(row, 8)?),
            failing_since: time(9)?,
            previous_until: time(12)?,
        },
        secret: column(row, 10)?,
        previous_secret: column(row, 11)?,
        cursor: Seq(column(row, 13)?),
    })
}
