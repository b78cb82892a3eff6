//! What goes with time: old events, expired outcomes, settled deliveries.

use meishi_contacts::{
    AccountId, Seq, UnixMillis,
    limits::{IDEMPOTENCY_TTL, PURGED_ROWS},
};
use rusqlite::{Connection, OptionalExtension, params};

use crate::Retained;

statements! {
    BOUNDS = "SELECT dropped_seq, last_seq,
           (SELECT min(cursor) FROM webhooks
            WHERE webhooks.account_id = ?1 AND state <> 'deleted')
         FROM counters WHERE account_id = ?1";
    FIRST_KEPT = "SELECT seq FROM events
         WHERE account_id = ?1 AND seq > ?2 AND seq <= ?3 AND at >= ?4 ORDER BY seq LIMIT 1";
    WEBHOOK_IDS = "SELECT id FROM webhooks WHERE account_id = ?1";
    UNSETTLED = "SELECT min(seq) FROM deliveries
         WHERE account_id = ?1 AND webhook_id = ?2 AND seq <= ?3
           AND state IN ('waiting', 'pending')";
    DROP_DELIVERIES = "DELETE FROM deliveries
         WHERE account_id = ?1 AND webhook_id = ?2 AND seq <= ?3";
    DROP = "DELETE FROM events WHERE account_id = ?1 AND seq <= ?2";
    DROP_DELETED = "DELETE FROM deleted_contacts WHERE account_id = ?1 AND last_seq <= ?2";
    NOTE = "UPDATE counters SET dropped_seq = ?2 WHERE account_id = ?1";
    ACCOUNTS = "SELECT id FROM accounts";
    OUTCOMES = "DELETE FROM idempotency_keys
         WHERE account_id = ?1 AND (api_key_id, route, key) IN (
           SELECT api_key_id, route, key FROM idempotency_keys
           WHERE account_id = ?1 AND created_at <= ?2 LIMIT ?3)";
    WEBHOOKS = "SELECT id, state = 'deleted' FROM webhooks WHERE account_id = ?1";
    SETTLED = "DELETE FROM deliveries
         WHERE account_id = ?1 AND webhook_id = ?2 AND seq IN (
           SELECT seq FROM (
             SELECT seq, state, created_at, settled_at FROM deliveries
             WHERE account_id = ?1 AND webhook_id = ?2 ORDER BY seq LIMIT ?4) AS oldest
           WHERE settled_at <= ?3 OR (state = 'erased' AND created_at <= ?3))";
    DELIVERIES = "DELETE FROM deliveries
         WHERE account_id = ?1 AND webhook_id = ?2 AND seq IN (
           SELECT seq FROM deliveries WHERE account_id = ?1 AND webhook_id = ?2 LIMIT ?3)";
    WEBHOOK = "DELETE FROM webhooks WHERE account_id = ?1 AND id = ?2";
}

/// Takes away an account's oldest events.
pub(super) fn drop_events(
    connection: &Connection,
    account: AccountId,
    before: UnixMillis,
) -> rusqlite::Result<Retained> {
    let bounds = connection
        .prepare_cached(BOUNDS)?
        .query_row(params![account.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let (dropped, last, looked_at): (i64, i64, Option<i64>) = bounds.unwrap_or_default();
    let may = (last - 1).min(looked_at.unwrap_or(last)).min(dropped + PURGED_ROWS);
    let kept: Option<i64> = connection
        .prepare_cached(FIRST_KEPT)?
        .query_row(params![account.0, dropped, may, before.0], |row| row.get(0))
        .optional()?;
    let mut upto = kept.map_or(may, |seq| seq - 1);
    let webhooks: Vec<i64> = connection
        .prepare_cached(WEBHOOK_IDS)?
        .query_map(params![account.0], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for webhook in &webhooks {
        let unsettled: Option<i64> = connection
            .prepare_cached(UNSETTLED)?
            .query_row(params![account.0, webhook, upto], |row| row.get(0))?;
        upto = unsettled.map_or(upto, |seq| upto.min(seq - 1));
    }
    if upto <= dropped {
        return Ok(Retained { dropped_seq: Seq(dropped), more: false });
    }
    // What was delivered of them is as old as they are, and erasures find it by them.
    for webhook in &webhooks {
        let old = params![account.0, webhook, upto];
        connection.prepare_cached(DROP_DELIVERIES)?.execute(old)?;
    }
    connection.prepare_cached(DROP)?.execute(params![account.0, upto])?;
    connection.prepare_cached(DROP_DELETED)?.execute(params![account.0, upto])?;
    connection.prepare_cached(NOTE)?.execute(params![account.0, upto])?;
    Ok(Retained { dropped_seq: Seq(upto), more: upto == may })
}

/// Takes away what has expired.
pub(super) fn purge(
    connection: &Connection,
    now: UnixMillis,
    settled_before: UnixMillis,
) -> rusqlite::Result<usize> {
    let kept_for = i64::try_from(IDEMPOTENCY_TTL.as_millis()).unwrap_or(i64::MAX);
    let expired = now.0.saturating_sub(kept_for);
    let accounts: Vec<i64> = connection
        .prepare_cached(ACCOUNTS)?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut gone = 0;
    for account in accounts {
        gone +=
            connection.prepare_cached(OUTCOMES)?.execute(params![account, expired, PURGED_ROWS])?;
        let webhooks: Vec<(i64, bool)> = connection
            .prepare_cached(WEBHOOKS)?
            .query_map(params![account], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        for (webhook, is_deleted) in webhooks {
            if !is_deleted {
                let settled = params![account, webhook, settled_before.0, PURGED_ROWS];
                gone += connection.prepare_cached(SETTLED)?.execute(settled)?;
                continue;
            }
            let all = params![account, webhook, PURGED_ROWS];
            let deliveries = connection.prepare_cached(DELIVERIES)?.execute(all)?;
            gone += deliveries;
            if deliveries == 0 {
                gone += connection.prepare_cached(WEBHOOK)?.execute(params![account, webhook])?;
            }
        }
        // What is left comes with the next step.
        if gone >= usize::try_from(PURGED_ROWS).unwrap_or(usize::MAX) {
            break;
        }
    }
    Ok(gone)
}
