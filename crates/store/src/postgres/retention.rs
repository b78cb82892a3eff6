//! What goes with time: old events, expired outcomes, settled deliveries.

use meishi_contacts::{
    AccountId, Seq, UnixMillis,
    limits::{IDEMPOTENCY_TTL, PURGED_ROWS},
};

use super::{
    accounts,
    batch::{Batch, Expect},
    error::Error,
    row::column,
    session::Session,
    statement::statements,
};
use crate::Retained;

statements! {
    LOOKED_AT(INT8) = "SELECT min(cursor) FROM webhooks
         WHERE account_id = $1 AND state <> 'deleted'";
    FIRST_KEPT(INT8, INT8, INT8, INT8) = "SELECT seq FROM events
         WHERE account_id = $1 AND seq > $2 AND seq <= $3 AND at >= $4 ORDER BY seq LIMIT 1";
    UNSETTLED(INT8, INT8, INT8) = "SELECT min(seq) FROM deliveries
         WHERE account_id = $1 AND webhook_id = $2 AND seq <= $3
           AND state IN ('waiting', 'pending')";
    DROP_DELIVERIES(INT8, INT8, INT8) = "DELETE FROM deliveries
         WHERE account_id = $1 AND webhook_id = $2 AND seq <= $3";
    DROP(INT8, INT8) = "DELETE FROM events WHERE account_id = $1 AND seq <= $2";
    DROP_DELETED(INT8, INT8) = "DELETE FROM deleted_contacts
         WHERE account_id = $1 AND last_seq <= $2";
    NOTE(INT8, INT8) = "UPDATE counters SET dropped_seq = $2 WHERE account_id = $1";
    EXPIRED(INT8, INT8, INT8) = "SELECT api_key_id, route, key FROM idempotency_keys
         WHERE account_id = $1 AND created_at <= $2 LIMIT $3";
    DELETE_OUTCOME(INT8, INT8, TEXT, TEXT) = "DELETE FROM idempotency_keys
         WHERE account_id = $1 AND api_key_id = $2 AND route = $3 AND key = $4";
    WEBHOOKS(INT8) = "SELECT id, state FROM webhooks WHERE account_id = $1";
    SETTLED(INT8, INT8, INT8, INT8) = "SELECT seq FROM (
           SELECT seq, state, created_at, settled_at FROM deliveries
           WHERE account_id = $1 AND webhook_id = $2 ORDER BY seq LIMIT $4) AS oldest
         WHERE settled_at <= $3 OR (state = 'erased' AND created_at <= $3)";
    DELIVERIES(INT8, INT8, INT8) = "SELECT seq FROM deliveries
         WHERE account_id = $1 AND webhook_id = $2 LIMIT $3";
    DELETE_DELIVERY(INT8, INT8, INT8) = "DELETE FROM deliveries
         WHERE account_id = $1 AND webhook_id = $2 AND seq = $3";
    WEBHOOK(INT8, INT8) = "DELETE FROM webhooks WHERE account_id = $1 AND id = $2";
}

/// Takes away an account's oldest events, under the lock of its counters.
pub(super) async fn drop_events(
    session: &Session,
    account: AccountId,
    before: UnixMillis,
) -> Result<Retained, Error> {
    let locked = session.query_opt(accounts::LOCK_COUNTERS, &[&account.0]).await?;
    let Some(locked) = locked else {
        return Ok(Retained { dropped_seq: Seq::default(), more: false });
    };
    let counters = accounts::counters(&locked)?;
    let looked_at = session.query_opt(LOOKED_AT, &[&account.0]).await?;
    let looked_at = looked_at.map_or(Ok(None), |row| column::<Option<i64>>(&row, 0))?;
    let (dropped, last) = (counters.dropped_seq, counters.last_seq);
    let may = (last - 1).min(looked_at.unwrap_or(last)).min(dropped + PURGED_ROWS);
    let kept = session.query_opt(FIRST_KEPT, &[&account.0, &dropped, &may, &before.0]).await?;
    let kept: Option<i64> = kept.map(|row| column(&row, 0)).transpose()?;
    let mut upto = kept.map_or(may, |seq| seq - 1);
    let mut webhooks = Vec::new();
    for row in session.query(WEBHOOKS, &[&account.0]).await? {
        let webhook: i64 = column(&row, 0)?;
        let unsettled = session.query_opt(UNSETTLED, &[&account.0, &webhook, &upto]).await?;
        let unsettled = unsettled.map_or(Ok(None), |row| column::<Option<i64>>(&row, 0))?;
        upto = unsettled.map_or(upto, |seq| upto.min(seq - 1));
        webhooks.push(webhook);
    }
    if upto <= dropped {
        return Ok(Retained { dropped_seq: Seq(dropped), more: false });
    }
    // What was delivered of them is as old as they are, and erasures find it by them.
    for webhook in &webhooks {
        session.execute(DROP_DELIVERIES, &[&account.0, webhook, &upto]).await?;
    }
    session.execute(DROP, &[&account.0, &upto]).await?;
    session.execute(DROP_DELETED, &[&account.0, &upto]).await?;
    session.execute(NOTE, &[&account.0, &upto]).await?;
    Ok(Retained { dropped_seq: Seq(upto), more: upto == may })
}

/// Takes away what of an account has expired, and answers how many rows. Under the lock of its
/// counters, so that no call is about to use a key again, or to deliver once more, what goes here.
pub(super) async fn purge(
    session: &Session,
    account: AccountId,
    now: UnixMillis,
    settled_before: UnixMillis,
) -> Result<usize, Error> {
    let kept_for = i64::try_from(IDEMPOTENCY_TTL.as_millis()).unwrap_or(i64::MAX);
    let expired = now.0.saturating_sub(kept_for);
    session.query_opt(accounts::LOCK_COUNTERS, &[&account.0]).await?;
    let mut batch = Batch::new(session, account);
    let account = account.0;
    let mut gone = 0;
    for row in session.query(EXPIRED, &[&account, &expired, &PURGED_ROWS]).await? {
        let key: (i64, String, String) = (column(&row, 0)?, column(&row, 1)?, column(&row, 2)?);
        batch.send(DELETE_OUTCOME, Expect::Any, key);
        gone += 1;
    }
    for row in session.query(WEBHOOKS, &[&account]).await? {
        let webhook: i64 = column(&row, 0)?;
        let state: &str = column(&row, 1)?;
        let is_deleted = state == "deleted";
        let old = if is_deleted {
            session.query(DELIVERIES, &[&account, &webhook, &PURGED_ROWS]).await?
        } else {
            let bounds = [&account as _, &webhook as _, &settled_before.0 as _, &PURGED_ROWS as _];
            session.query(SETTLED, &bounds).await?
        };
        for row in &old {
            let seq: i64 = column(row, 0)?;
            batch.send(DELETE_DELIVERY, Expect::Any, (webhook, seq));
        }
        gone += old.len();
        if is_deleted && old.is_empty() {
            batch.send(WEBHOOK, Expect::Any, (webhook,));
            gone += 1;
        }
    }
    batch.finish().await?;
    Ok(gone)
}
