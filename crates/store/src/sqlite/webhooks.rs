//! Reads of webhooks.

use meishi_contacts::{
    AccountId, PayloadForm, Seq, StoredWebhook, UnixMillis, Webhook, WebhookId, WebhookState,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::row;
use crate::webhook_columns::webhook_columns;

statements! {
    WEBHOOK = concat!(
        "SELECT ", webhook_columns!(),
        " FROM webhooks WHERE account_id = ?1 AND id = ?2 AND state <> 'deleted'");
    WEBHOOKS = concat!(
        "SELECT ", webhook_columns!(),
        " FROM webhooks WHERE account_id = ?1 AND state <> 'deleted' ORDER BY id");
}

/// A webhook of the account.
pub(super) fn get(
    connection: &Connection,
    account: AccountId,
    id: WebhookId,
) -> rusqlite::Result<Option<StoredWebhook>> {
    connection.prepare_cached(WEBHOOK)?.query_row(params![account.0, id.0], stored).optional()
}

/// The account's webhooks, by id.
pub(super) fn list(connection: &Connection, account: AccountId) -> rusqlite::Result<Vec<Webhook>> {
    connection
        .prepare_cached(WEBHOOKS)?
        .query_map(params![account.0], |row| stored(row).map(|stored| stored.webhook))?
        .collect()
}

/// A webhook from [`webhook_columns`].
pub(super) fn stored(row: &Row<'_>) -> rusqlite::Result<StoredWebhook> {
    let time = |column| row.get::<_, Option<i64>>(column).map(|at| at.map(UnixMillis));
    Ok(StoredWebhook {
        account: AccountId(row.get(0)?),
        webhook: Webhook {
            id: WebhookId(row.get(1)?),
            url: row.get(2)?,
            events: row::json(row, 3)?,
            format: row::parsed(row, 4, PayloadForm::parse)?,
            include_activity: row.get(5)?,
            state: row::parsed(row, 6, WebhookState::parse)?,
            state_reason: row.get(7)?,
            created_at: UnixMillis(row.get(8)?),
            failing_since: time(9)?,
            previous_until: time(12)?,
        },
        secret: row.get(10)?,
        previous_secret: row.get(11)?,
        cursor: Seq(row.get(13)?),
    })
}
