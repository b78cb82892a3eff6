//! Deliveries: how they come, which are due, and what becomes of them.

use std::collections::BTreeSet;

use meishi_contacts::{
    AccountId, ContactId, Seq, UnixMillis, WebhookId,
    limits::{READ_ROWS, REDELIVERIES, REVIVED_DELIVERIES},
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{row, webhooks};
use crate::{
    Attempt, Delivery, DeliveryQuery, DeliveryState, Lease, LeaseRoom, LeasedWebhook, NewDelivery,
    Redelivery, Settlement, WebhookHealth,
    delivery::{logged, revive_after},
    ledger::DeliveryRow,
    webhook_columns::{delivery_columns, webhook_columns},
};

/// Deliveries with their columns, in the order in which [`delivery`] reads them.
macro_rules! select_deliveries {
    ($rest:literal) => {
        select_deliveries!("payload", $rest)
    };
    ($payload:literal, $rest:literal) => {
        concat!(
            "SELECT ",
            delivery_columns!($payload),
            " FROM deliveries WHERE account_id = ?1 AND webhook_id = ?2 ",
            $rest
        )
    };
}

/// The same without what is sent, which a list does not show.
macro_rules! list_deliveries {
    ($rest:literal) => {
        select_deliveries!("'' AS payload", $rest)
    };
}

statements! {
    LIST = list_deliveries!("AND seq < ?3 ORDER BY seq DESC LIMIT ?4");
    LIST_OF_STATE = list_deliveries!("AND seq < ?3 AND state = ?5 ORDER BY seq DESC LIMIT ?4");
    DELIVERY = select_deliveries!("AND seq = ?3");
    DUE = select_deliveries!(
        "AND state = 'pending' AND next_at <= ?3 ORDER BY next_at, seq LIMIT ?4");
    RANGE = "SELECT seq, contact_id, state, tries, next_at FROM deliveries
         WHERE account_id = ?1 AND webhook_id = ?2 AND seq BETWEEN ?3 AND ?4
         ORDER BY seq LIMIT ?5";
    FAILED = "SELECT seq, contact_id, state, tries, next_at FROM deliveries
         WHERE account_id = ?1 AND webhook_id = ?2 AND state = 'failed'
         ORDER BY seq LIMIT ?3";
    COUNT_OF_CONTACT = "SELECT count(*) FROM deliveries
         WHERE account_id = ?1 AND contact_id = ?2 AND state <> 'erased' AND kind <> 'contact.erased'";
    OLDEST_UNSETTLED = "SELECT seq, contact_id, state, tries, next_at FROM deliveries
         WHERE account_id = ?1 AND webhook_id = ?2 AND contact_id = ?3
           AND state IN ('waiting', 'pending')
         ORDER BY seq LIMIT 1";
    // Whoever was served longest ago comes first, and of an account no more than its share: those
    // that others are at come first there, and are left out.
    AT_WORK = concat!(
        "SELECT ", webhook_columns!(), ", last_seq, revive_from
         FROM (
           SELECT webhooks.*, last_seq, lease_until > ?2 AND lease <> ?1 AS taken,
             row_number() OVER (
               PARTITION BY webhooks.account_id
               ORDER BY (lease_until > ?2 AND lease <> ?1) DESC, leased_at, webhooks.id) AS place
           FROM webhooks JOIN counters ON counters.account_id = webhooks.account_id
           WHERE state = 'enabled' AND (failing_since IS NOT NULL) = ?3
             AND (lease_until > ?2 OR next_at <= ?2 OR cursor < last_seq)) AS webhooks
         WHERE NOT taken AND place <= ?4
         ORDER BY leased_at, webhooks.account_id, webhooks.id LIMIT ?5");
    // Until it is given back there is something to do, for whoever takes it over too.
    TAKE = "UPDATE webhooks SET lease = ?3, lease_until = ?4, next_at = 0, leased_at = ?5
         WHERE account_id = ?1 AND id = ?2";
    TO_REVIVE = "SELECT seq FROM deliveries
         WHERE account_id = ?1 AND webhook_id = ?2 AND state = 'pending' AND seq >= ?3
         ORDER BY seq LIMIT ?4";
    REVIVE = "UPDATE deliveries SET next_at = ?4, tries = 0
         WHERE account_id = ?1 AND webhook_id = ?2 AND seq = ?3";
    REVIVED = "UPDATE webhooks SET revive_from = ?3 WHERE account_id = ?1 AND id = ?2";
    HOLDS = "SELECT 1 FROM webhooks
         WHERE account_id = ?1 AND id = ?2 AND lease = ?3 AND state <> 'deleted'";
    NEXT_DUE = "SELECT min(next_at) FROM deliveries
         WHERE account_id = ?1 AND webhook_id = ?2 AND state = 'pending'";
    GIVE_BACK = "UPDATE webhooks SET lease = NULL, lease_until = 0,
           next_at = CASE WHEN revive_from IS NULL THEN ?4 ELSE 0 END
         WHERE account_id = ?1 AND id = ?2 AND lease = ?3";
    FORGET_LEASES = "UPDATE webhooks SET lease = NULL, lease_until = 0 WHERE lease IS NOT NULL";
    ADVANCE = "UPDATE webhooks SET cursor = ?5
         WHERE account_id = ?1 AND id = ?2 AND lease = ?3 AND cursor = ?4 AND state = 'enabled'";
    UNSETTLED = "SELECT 1 FROM deliveries
         WHERE account_id = ?1 AND webhook_id = ?2 AND contact_id = ?3
           AND state IN ('waiting', 'pending') LIMIT 1";
    KIND = "SELECT 1 FROM events WHERE account_id = ?1 AND seq = ?2 AND kind = ?3";
    INSERT = "INSERT INTO deliveries (account_id, webhook_id, seq, id, kind, contact_id, payload,
           state, attempts, tries, created_at, next_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, '[]', 0, ?9, ?10)";
    SETTLE = "UPDATE deliveries SET state = ?4, attempts = ?5, tries = tries + 1, next_at = ?6,
           settled_at = ?7
         WHERE account_id = ?1 AND webhook_id = ?2 AND seq = ?3";
    PROMOTE = "UPDATE deliveries SET state = 'pending', next_at = ?4
         WHERE account_id = ?1 AND webhook_id = ?2
           AND seq = (
             SELECT min(seq) FROM deliveries
             WHERE account_id = ?1 AND webhook_id = ?2 AND contact_id = ?3
               AND state IN ('waiting', 'pending'))
           AND state = 'waiting'";
    WELL = "UPDATE webhooks SET failing_since = NULL
         WHERE account_id = ?1 AND id = ?2 AND failing_since IS NOT NULL";
    FAILING = "UPDATE webhooks SET failing_since = coalesce(failing_since, ?3)
         WHERE account_id = ?1 AND id = ?2";
    STOP = "UPDATE webhooks SET state = ?3, state_reason = ?4
         WHERE account_id = ?1 AND id = ?2 AND state = 'enabled'";
}

/// A webhook's deliveries, the newest event first, without what is sent.
pub(super) fn list(
    connection: &Connection,
    account: AccountId,
    webhook: WebhookId,
    query: DeliveryQuery,
    limit: usize,
) -> rusqlite::Result<Vec<Delivery>> {
    let before = query.before.map_or(i64::MAX, |seq| seq.0);
    let limit = limit.min(READ_ROWS);
    let Some(state) = query.state else {
        return connection
            .prepare_cached(LIST)?
            .query_map(params![account.0, webhook.0, before, limit], delivery)?
            .collect();
    };
    connection
        .prepare_cached(LIST_OF_STATE)?
        .query_map(params![account.0, webhook.0, before, limit, state.as_str()], delivery)?
        .collect()
}

/// A webhook's delivery of one event.
pub(super) fn get(
    connection: &Connection,
    account: AccountId,
    webhook: WebhookId,
    seq: Seq,
) -> rusqlite::Result<Option<Delivery>> {
    let key = params![account.0, webhook.0, seq.0];
    connection.prepare_cached(DELIVERY)?.query_row(key, delivery).optional()
}

/// Deliveries whose time has come.
pub(super) fn due(
    connection: &Connection,
    account: AccountId,
    webhook: WebhookId,
    now: UnixMillis,
    limit: usize,
) -> rusqlite::Result<Vec<Delivery>> {
    connection
        .prepare_cached(DUE)?
        .query_map(params![account.0, webhook.0, now.0, limit.min(READ_ROWS)], delivery)?
        .collect()
}

/// Deliveries that can be made once more, by event; one more than there is room for.
pub(super) fn redeliverable(
    connection: &Connection,
    account: AccountId,
    webhook: WebhookId,
    which: Redelivery,
) -> rusqlite::Result<Vec<(Seq, DeliveryRow)>> {
    let range = |from: Seq, to: Seq| {
        connection
            .prepare_cached(RANGE)?
            .query_map(params![account.0, webhook.0, from.0, to.0, REDELIVERIES + 1], delivery_row)?
            .collect()
    };
    match which {
        Redelivery::One(seq) => range(seq, seq),
        Redelivery::Range(from, to) => range(from, to),
        Redelivery::Failed => connection
            .prepare_cached(FAILED)?
            .query_map(params![account.0, webhook.0, REDELIVERIES + 1], delivery_row)?
            .collect(),
    }
}

/// The oldest delivery that is not settled of each contact that these are about.
pub(super) fn oldest_unsettled(
    connection: &Connection,
    account: AccountId,
    webhook: WebhookId,
    of: &[(Seq, DeliveryRow)],
) -> rusqlite::Result<Vec<(Seq, DeliveryRow)>> {
    let contacts: BTreeSet<ContactId> = of.iter().map(|(_, row)| row.contact).collect();
    let mut statement = connection.prepare_cached(OLDEST_UNSETTLED)?;
    let mut oldest = Vec::new();
    for contact in contacts {
        let key = params![account.0, webhook.0, contact.0];
        oldest.extend(statement.query_row(key, delivery_row).optional()?);
    }
    Ok(oldest)
}

/// How many deliveries, of whatever webhook, hold something of a contact.
pub(super) fn count_of_contact(
    connection: &Connection,
    account: AccountId,
    id: ContactId,
) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(COUNT_OF_CONTACT)?
        .query_row(params![account.0, id.0], |row| row.get(0))
}

/// Webhooks that are at work, are nobody else's, and have something to do.
pub(super) fn at_work(
    connection: &Connection,
    owner: &str,
    now: UnixMillis,
    room: LeaseRoom,
) -> rusqlite::Result<Vec<Found>> {
    let mut found = Vec::new();
    let mut statement = connection.prepare_cached(AT_WORK)?;
    for (failing, limit, of_account) in room.kinds() {
        let limit = limit.min(READ_ROWS);
        let rows =
            statement.query_map(params![owner, now.0, failing, of_account, limit], |row| {
                let stored = webhooks::stored(row)?;
                let leased = LeasedWebhook { stored, last_seq: Seq(row.get(14)?) };
                Ok(Found { leased, revive_from: row.get(15)? })
            })?;
        for row in rows {
            found.push(row?);
        }
    }
    Ok(found)
}

/// A webhook that may be leased.
pub(super) struct Found {
    leased: LeasedWebhook,
    revive_from: Option<i64>,
}

/// Leases webhooks that have something to do.
pub(super) fn lease(
    connection: &Connection,
    owner: &str,
    now: UnixMillis,
    until: UnixMillis,
    room: LeaseRoom,
) -> rusqlite::Result<Vec<LeasedWebhook>> {
    let mut take = connection.prepare_cached(TAKE)?;
    let mut taken = Vec::new();
    for Found { leased, revive_from } in at_work(connection, owner, now, room)? {
        let (account, webhook) = (leased.stored.account, leased.stored.webhook.id);
        take.execute(params![account.0, webhook.0, owner, until.0, now.0])?;
        if let Some(from) = revive_from {
            revive(connection, account, webhook, from, now)?;
        }
        taken.push(leased);
    }
    Ok(taken)
}

/// Lets the next pending deliveries of a webhook that was set to work begin anew.
fn revive(
    connection: &Connection,
    account: AccountId,
    webhook: WebhookId,
    from: i64,
    now: UnixMillis,
) -> rusqlite::Result<()> {
    let seqs: Vec<i64> = connection
        .prepare_cached(TO_REVIVE)?
        .query_map(params![account.0, webhook.0, from, REVIVED_DELIVERIES], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut statement = connection.prepare_cached(REVIVE)?;
    for seq in &seqs {
        statement.execute(params![account.0, webhook.0, seq, now.0])?;
    }
    let next = revive_after(&seqs);
    connection.prepare_cached(REVIVED)?.execute(params![account.0, webhook.0, next]).map(drop)
}

/// Ends all leases.
pub(super) fn forget_leases(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute(FORGET_LEASES, []).map(drop)
}

/// Gives a lease back.
pub(super) fn release(connection: &Connection, lease: &Lease) -> rusqlite::Result<()> {
    let next: Option<i64> = connection
        .prepare_cached(NEXT_DUE)?
        .query_row(params![lease.account.0, lease.webhook.0], |row| row.get(0))?;
    let next = next.unwrap_or(i64::MAX);
    connection
        .prepare_cached(GIVE_BACK)?
        .execute(params![lease.account.0, lease.webhook.0, lease.owner, next])
        .map(drop)
}

/// Keeps new deliveries, and that the webhook looked at the events up to `to`.
pub(super) fn enqueue(
    connection: &Connection,
    lease: &Lease,
    from: Seq,
    to: Seq,
    new: &[NewDelivery],
    now: UnixMillis,
) -> rusqlite::Result<bool> {
    let (account, webhook) = (lease.account.0, lease.webhook.0);
    let advanced = connection.prepare_cached(ADVANCE)?.execute(params![
        account,
        webhook,
        lease.owner,
        from.0,
        to.0
    ])?;
    if advanced == 0 {
        return Ok(false);
    }
    let mut unsettled = connection.prepare_cached(UNSETTLED)?;
    let mut insert = connection.prepare_cached(INSERT)?;
    let mut kind = connection.prepare_cached(KIND)?;
    for delivery in new {
        // Its contact may have been erased since it was built.
        if !kind.exists(params![account, delivery.seq.0, delivery.kind])? {
            continue;
        }
        let waits = unsettled.exists(params![account, webhook, delivery.contact.0])?;
        let state = if waits { DeliveryState::Waiting } else { DeliveryState::Pending };
        insert.execute(params![
            account,
            webhook,
            delivery.seq.0,
            delivery.id,
            delivery.kind,
            delivery.contact.0,
            delivery.payload,
            state.as_str(),
            now.0,
            (!waits).then_some(now.0),
        ])?;
    }
    Ok(true)
}

/// Notes an attempt.
pub(super) fn settle(
    connection: &Connection,
    lease: &Lease,
    seq: Seq,
    attempt: &Attempt,
    settlement: Settlement,
    health: &WebhookHealth,
    now: UnixMillis,
) -> rusqlite::Result<bool> {
    let (account, webhook) = (lease.account.0, lease.webhook.0);
    let holds = params![account, webhook, lease.owner];
    if !connection.prepare_cached(HOLDS)?.exists(holds)? {
        return Ok(false);
    }
    let Some(found) = get(connection, lease.account, lease.webhook, seq)? else {
        return Ok(false);
    };
    if found.state != DeliveryState::Pending {
        return Ok(false);
    }
    let attempts = row::to_json(&logged(found.attempts, attempt))?;
    let (state, next_at) = settlement.columns();
    let settled_at = next_at.is_none().then_some(now.0);
    connection.prepare_cached(SETTLE)?.execute(params![
        account,
        webhook,
        seq.0,
        state.as_str(),
        attempts,
        next_at,
        settled_at
    ])?;
    if settled_at.is_some() {
        let contact = found.contact.0;
        connection.prepare_cached(PROMOTE)?.execute(params![account, webhook, contact, now.0])?;
    }
    match health {
        WebhookHealth::Well => {
            connection.prepare_cached(WELL)?.execute(params![account, webhook])?;
        }
        WebhookHealth::Failing(since) => {
            connection.prepare_cached(FAILING)?.execute(params![account, webhook, since.0])?;
        }
        WebhookHealth::Stopped { state, reason } => {
            let columns = params![account, webhook, state.as_str(), reason];
            connection.prepare_cached(STOP)?.execute(columns)?;
        }
    }
    Ok(true)
}

fn delivery_row(row: &Row<'_>) -> rusqlite::Result<(Seq, DeliveryRow)> {
    let delivery = DeliveryRow {
        contact: ContactId(row.get(1)?),
        state: row::parsed(row, 2, DeliveryState::parse)?,
        tries: row.get(3)?,
        next_at: row.get::<_, Option<i64>>(4)?.map(UnixMillis),
    };
    Ok((Seq(row.get(0)?), delivery))
}

fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    let time = |column| row.get::<_, Option<i64>>(column).map(|at| at.map(UnixMillis));
    Ok(Delivery {
        seq: Seq(row.get(0)?),
        id: row.get(1)?,
        kind: row.get(2)?,
        contact: ContactId(row.get(3)?),
        payload: row.get(4)?,
        state: row::parsed(row, 5, DeliveryState::parse)?,
        attempts: row::json(row, 6)?,
        tries: row.get(7)?,
        created_at: UnixMillis(row.get(8)?),
        next_at: time(9)?,
        settled_at: time(10)?,
    })
}
