//! Deliveries: how they come, which are due, and what becomes of them.

use std::collections::{BTreeSet, HashMap};

use futures::future::try_join_all;
use meishi_contacts::{
    AccountId, ContactId, Seq, UnixMillis, WebhookId,
    limits::{READ_ROWS, REDELIVERIES, REVIVED_DELIVERIES},
};
use tokio_postgres::{Row, types::ToSql};

use super::{
    error::Error,
    row::{self, column},
    session::Session,
    statement::statements,
    webhooks,
};
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
            " FROM deliveries WHERE account_id = $1 AND webhook_id = $2 ",
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
    LIST(INT8, INT8, INT8, INT8) =
        list_deliveries!("AND seq < $3 ORDER BY seq DESC LIMIT $4");
    LIST_OF_STATE(INT8, INT8, INT8, INT8, TEXT) =
        list_deliveries!("AND seq < $3 AND state = $5 ORDER BY seq DESC LIMIT $4");
    DELIVERY(INT8, INT8, INT8) = select_deliveries!("AND seq = $3");
    LOCK_DELIVERY(INT8, INT8, INT8) = select_deliveries!("AND seq = $3 FOR UPDATE");
    DUE(INT8, INT8, INT8, INT8) = select_deliveries!(
        "AND state = 'pending' AND next_at <= $3 ORDER BY next_at, seq LIMIT $4");
    RANGE(INT8, INT8, INT8, INT8, INT8) =
        "SELECT seq, contact_id, state, tries, next_at FROM deliveries
         WHERE account_id = $1 AND webhook_id = $2 AND seq BETWEEN $3 AND $4
         ORDER BY seq LIMIT $5";
    FAILED(INT8, INT8, INT8) = "SELECT seq, contact_id, state, tries, next_at FROM deliveries
         WHERE account_id = $1 AND webhook_id = $2 AND state = 'failed'
         ORDER BY seq LIMIT $3";
    OLDEST_UNSETTLED(INT8, INT8, INT8) =
        "SELECT seq, contact_id, state, tries, next_at FROM deliveries
         WHERE account_id = $1 AND webhook_id = $2 AND contact_id = $3
           AND state IN ('waiting', 'pending')
         ORDER BY seq LIMIT 1";
    LOCK_WEBHOOKS(INT8) = "SELECT id FROM webhooks WHERE account_id = $1 FOR UPDATE";
    KINDS(INT8, INT8_ARRAY) = "SELECT wanted.seq, event.kind FROM unnest($2::bigint[]) AS wanted (seq)
         CROSS JOIN LATERAL (
           SELECT kind FROM events WHERE account_id = $1 AND seq = wanted.seq OFFSET 0) AS event";
    COUNT_OF_CONTACT(INT8, INT8) = "SELECT count(*) FROM deliveries
         WHERE account_id = $1 AND contact_id = $2 AND state <> 'erased' AND kind <> 'contact.erased'";
    // Whoever was served longest ago comes first, and of an account no more than its share: those
    // that others are at come first there, and are left out.
    AT_WORK(TEXT, INT8, BOOL, INT8, INT8) = concat!(
        "SELECT ", webhook_columns!(), ", last_seq, revive_from
         FROM (
           SELECT webhooks.*, last_seq, lease_until > $2 AND lease <> $1 AS taken,
             row_number() OVER (
               PARTITION BY webhooks.account_id
               ORDER BY (lease_until > $2 AND lease <> $1) DESC, leased_at, webhooks.id) AS place
           FROM webhooks JOIN counters ON counters.account_id = webhooks.account_id
           WHERE state = 'enabled' AND (failing_since IS NOT NULL) = $3
             AND (lease_until > $2 OR next_at <= $2 OR cursor < last_seq)) AS webhooks
         WHERE NOT taken AND place <= $4
         ORDER BY leased_at, webhooks.account_id, webhooks.id LIMIT $5");
    // Until it is given back there is something to do, for whoever takes it over too.
    TAKE(INT8, INT8, TEXT, INT8, INT8) =
        "UPDATE webhooks SET lease = $3, lease_until = $4, next_at = 0, leased_at = $5
         WHERE account_id = $1 AND id = $2 AND (lease_until <= $5 OR lease = $3)
           AND state = 'enabled'";
    HOLDS(INT8, INT8, TEXT) = "SELECT state FROM webhooks
         WHERE account_id = $1 AND id = $2 AND lease = $3 FOR UPDATE";
    NEXT_DUE(INT8, INT8) = "SELECT next_at FROM deliveries
         WHERE account_id = $1 AND webhook_id = $2 AND state = 'pending'
         ORDER BY next_at, seq LIMIT 1";
    TO_REVIVE(INT8, INT8, INT8, INT8) = "SELECT seq FROM deliveries
         WHERE account_id = $1 AND webhook_id = $2 AND state = 'pending' AND seq >= $3
         ORDER BY seq LIMIT $4";
    REVIVE(INT8, INT8, INT8, INT8) = "UPDATE deliveries SET next_at = $4, tries = 0
         WHERE account_id = $1 AND webhook_id = $2 AND seq = $3";
    REVIVED(INT8, INT8, TEXT, INT8) = "UPDATE webhooks SET revive_from = $4
         WHERE account_id = $1 AND id = $2 AND lease = $3";
    GIVE_BACK(INT8, INT8, TEXT, INT8) = "UPDATE webhooks
         SET lease = NULL, lease_until = 0,
           next_at = CASE WHEN revive_from IS NULL THEN $4 ELSE 0 END
         WHERE account_id = $1 AND id = $2 AND lease = $3";
    ADVANCE(INT8, INT8, TEXT, INT8, INT8) = "UPDATE webhooks SET cursor = $5
         WHERE account_id = $1 AND id = $2 AND lease = $3 AND cursor = $4 AND state = 'enabled'";
    UNSETTLED(INT8, INT8, INT8) = "SELECT state FROM deliveries
         WHERE account_id = $1 AND webhook_id = $2 AND contact_id = $3
           AND state IN ('waiting', 'pending')
         ORDER BY seq LIMIT 1";
    INSERT(INT8, INT8, INT8, TEXT, TEXT, INT8, TEXT, TEXT, INT8, INT8) =
        "INSERT INTO deliveries (account_id, webhook_id, seq, id, kind, contact_id, payload, state,
           attempts, tries, created_at, next_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '[]', 0, $9, $10)";
    SETTLE(INT8, INT8, INT8, TEXT, TEXT, INT8, INT8) = "UPDATE deliveries
         SET state = $4, attempts = $5, tries = tries + 1, next_at = $6, settled_at = $7
         WHERE account_id = $1 AND webhook_id = $2 AND seq = $3";
    NEXT_OF_CONTACT(INT8, INT8, INT8) = "SELECT seq, state FROM deliveries
         WHERE account_id = $1 AND webhook_id = $2 AND contact_id = $3
           AND state IN ('waiting', 'pending')
         ORDER BY seq LIMIT 1";
    PROMOTE(INT8, INT8, INT8, INT8) = "UPDATE deliveries SET state = 'pending', next_at = $4
         WHERE account_id = $1 AND webhook_id = $2 AND seq = $3";
    WELL(INT8, INT8) = "UPDATE webhooks SET failing_since = NULL
         WHERE account_id = $1 AND id = $2";
    FAILING(INT8, INT8, INT8) = "UPDATE webhooks SET failing_since = coalesce(failing_since, $3)
         WHERE account_id = $1 AND id = $2";
    STOP(INT8, INT8, TEXT, TEXT) = "UPDATE webhooks SET state = $3, state_reason = $4
         WHERE account_id = $1 AND id = $2 AND state = 'enabled'";
}

/// A webhook's deliveries, the newest event first, without what is sent.
pub(super) async fn list(
    session: &Session,
    account: AccountId,
    webhook: WebhookId,
    query: DeliveryQuery,
    limit: usize,
) -> Result<Vec<Delivery>, Error> {
    let before = query.before.map_or(i64::MAX, |seq| seq.0);
    let limit = rows(limit);
    let found = match query.state {
        None => session.query(LIST, &[&account.0, &webhook.0, &before, &limit]).await?,
        Some(state) => {
            let bounds: [&(dyn ToSql + Sync); 5] =
                [&account.0, &webhook.0, &before, &limit, &state.as_str()];
            session.query(LIST_OF_STATE, &bounds).await?
        }
    };
    found.iter().map(delivery).collect()
}

/// A webhook's delivery of one event.
pub(super) async fn get(
    session: &Session,
    account: AccountId,
    webhook: WebhookId,
    seq: Seq,
) -> Result<Option<Delivery>, Error> {
    let found = session.query_opt(DELIVERY, &[&account.0, &webhook.0, &seq.0]).await?;
    found.as_ref().map(delivery).transpose()
}

/// Deliveries whose time has come.
pub(super) async fn due(
    session: &Session,
    account: AccountId,
    webhook: WebhookId,
    now: UnixMillis,
    limit: usize,
) -> Result<Vec<Delivery>, Error> {
    let found = session.query(DUE, &[&account.0, &webhook.0, &now.0, &rows(limit)]).await?;
    found.iter().map(delivery).collect()
}

/// Deliveries that can be made once more, by event; one more than there is room for. The webhook's
/// row must be locked.
pub(super) async fn redeliverable(
    session: &Session,
    account: AccountId,
    webhook: WebhookId,
    which: Redelivery,
) -> Result<Vec<(Seq, DeliveryRow)>, Error> {
    let limit = i64::try_from(REDELIVERIES + 1).unwrap_or_default();
    let range = async |from: Seq, to: Seq| {
        session.query(RANGE, &[&account.0, &webhook.0, &from.0, &to.0, &limit]).await
    };
    let found = match which {
        Redelivery::One(seq) => range(seq, seq).await?,
        Redelivery::Range(from, to) => range(from, to).await?,
        Redelivery::Failed => session.query(FAILED, &[&account.0, &webhook.0, &limit]).await?,
    };
    found.iter().map(delivery_row).collect()
}

/// The oldest delivery that is not settled of each contact that these are about.
pub(super) async fn oldest_unsettled(
    session: &Session,
    account: AccountId,
    webhook: WebhookId,
    of: &[(Seq, DeliveryRow)],
) -> Result<Vec<(Seq, DeliveryRow)>, Error> {
    let contacts: BTreeSet<ContactId> = of.iter().map(|(_, row)| row.contact).collect();
    let found = contacts.into_iter().map(|contact| async move {
        let key: [&(dyn ToSql + Sync); 3] = [&account.0, &webhook.0, &contact.0];
        session.query_opt(OLDEST_UNSETTLED, &key).await
    });
    try_join_all(found).await?.iter().flatten().map(delivery_row).collect()
}

/// How many deliveries, of whatever webhook, hold something of a contact. The webhooks stay locked,
/// so that none is added to them.
pub(super) async fn count_of_contact(
    session: &Session,
    account: AccountId,
    id: ContactId,
) -> Result<usize, Error> {
    session.query(LOCK_WEBHOOKS, &[&account.0]).await?;
    let count = session.query_opt(COUNT_OF_CONTACT, &[&account.0, &id.0]).await?;
    let count: i64 = count.map_or(Ok(0), |row| column(&row, 0))?;
    Ok(usize::try_from(count).unwrap_or_default())
}

/// Leases webhooks that have something to do.
pub(super) async fn lease(
    session: &Session,
    owner: &str,
    now: UnixMillis,
    until: UnixMillis,
    room: LeaseRoom,
) -> Result<Vec<LeasedWebhook>, Error> {
    let mut leased = Vec::new();
    for (failing, limit, of_account) in room.kinds() {
        let bounds = [
            &owner as &(dyn ToSql + Sync),
            &now.0 as _,
            &failing as _,
            &of_account as _,
            &rows(limit) as _,
        ];
        for row in session.query(AT_WORK, &bounds).await? {
            let stored = webhooks::stored(&row)?;
            let last_seq = Seq(column(&row, 14)?);
            let (account, webhook) = (stored.account.0, stored.webhook.id.0);
            let parameters =
                [&account as _, &webhook as _, &owner as _, &until.0 as _, &now.0 as _];
            // Another server may have been first.
            if session.execute(TAKE, &parameters).await? == 1 {
                if let Some(from) = column::<Option<i64>>(&row, 15)? {
                    revive(session, (account, webhook, owner), from, now).await?;
                }
                leased.push(LeasedWebhook { stored, last_seq });
            }
        }
    }
    Ok(leased)
}

/// Lets the next pending deliveries of a webhook that was set to work begin anew.
async fn revive(
    session: &Session,
    (account, webhook, owner): (i64, i64, &str),
    from: i64,
    now: UnixMillis,
) -> Result<(), Error> {
    let bounds: [&(dyn ToSql + Sync); 4] = [&account, &webhook, &from, &REVIVED_DELIVERIES];
    let found = session.query(TO_REVIVE, &bounds).await?;
    let seqs = found.iter().map(|row| column(row, 0)).collect::<Result<Vec<i64>, _>>()?;
    let each = seqs.iter().map(|seq| async move {
        session.execute(REVIVE, &[&account, &webhook, seq, &now.0]).await
    });
    try_join_all(each).await?;
    let next = revive_after(&seqs);
    session.execute(REVIVED, &[&account, &webhook, &owner, &next]).await.map(drop)
}

/// Gives a lease back. What sets the webhook to work meanwhile waits for it, and is not overruled.
pub(super) async fn release(session: &Session, lease: &Lease) -> Result<(), Error> {
    let holds = [&lease.account.0 as _, &lease.webhook.0 as _, &lease.owner as _];
    if session.query_opt(HOLDS, &holds).await?.is_none() {
        return Ok(());
    }
    let key: [&(dyn ToSql + Sync); 2] = [&lease.account.0, &lease.webhook.0];
    let next = session.query_opt(NEXT_DUE, &key).await?;
    let next = next.map_or(Ok(None), |row| column::<Option<i64>>(&row, 0))?.unwrap_or(i64::MAX);
    session
        .execute(GIVE_BACK, &[&lease.account.0, &lease.webhook.0, &lease.owner, &next])
        .await
        .map(drop)
}

/// Keeps new deliveries, and that the webhook looked at the events up to `to`.
pub(super) async fn enqueue(
    session: &Session,
    lease: &Lease,
    (from, to): (Seq, Seq),
    new: &[NewDelivery],
    now: UnixMillis,
) -> Result<bool, Error> {
    let (account, webhook) = (lease.account.0, lease.webhook.0);
    // The row stays locked, so that no erasure passes what is told here.
    let advanced =
        session.execute(ADVANCE, &[&account, &webhook, &lease.owner, &from.0, &to.0]).await?;
    if advanced == 0 {
        return Ok(false);
    }
    let seqs: Vec<i64> = new.iter().map(|delivery| delivery.seq.0).collect();
    let mut kinds = HashMap::new();
    for row in session.query(KINDS, &[&account, &seqs]).await? {
        kinds.insert(column::<i64>(&row, 0)?, column::<String>(&row, 1)?);
    }
    for delivery in new {
        if kinds.get(&delivery.seq.0) != Some(&delivery.kind) {
            continue;
        }
        let contact = delivery.contact.0;
        let unsettled = session.query_opt(UNSETTLED, &[&account, &webhook, &contact]).await?;
        let state =
            if unsettled.is_some() { DeliveryState::Waiting } else { DeliveryState::Pending };
        let next_at = unsettled.is_none().then_some(now.0);
        let state = state.as_str();
        let NewDelivery { seq, id, kind, payload, .. } = delivery;
        session
            .execute(
                INSERT,
                &[
                    &account, &webhook, &seq.0, id, kind, &contact, payload, &state, &now.0,
                    &next_at,
                ],
            )
            .await?;
    }
    Ok(true)
}

/// Notes an attempt.
pub(super) async fn settle(
    session: &Session,
    lease: &Lease,
    seq: Seq,
    attempt: &Attempt,
    (settlement, health): (Settlement, &WebhookHealth),
    now: UnixMillis,
) -> Result<bool, Error> {
    let (account, webhook) = (lease.account.0, lease.webhook.0);
    let holds = session.query_opt(HOLDS, &[&account, &webhook, &lease.owner]).await?;
    let state: Option<String> = holds.map(|row| column(&row, 0)).transpose()?;
    if state.is_none_or(|state| state == "deleted") {
        return Ok(false);
    }
    let found = session.query_opt(LOCK_DELIVERY, &[&account, &webhook, &seq.0]).await?;
    let Some(found) = found.as_ref().map(delivery).transpose()? else { return Ok(false) };
    if found.state != DeliveryState::Pending {
        return Ok(false);
    }
    let attempts = row::to_json(&logged(found.attempts, attempt))?;
    let (state, next_at) = settlement.columns();
    let state = state.as_str();
    let settled_at = next_at.is_none().then_some(now.0);
    session
        .execute(SETTLE, &[&account, &webhook, &seq.0, &state, &attempts, &next_at, &settled_at])
        .await?;
    if settled_at.is_some() {
        let contact = found.contact.0;
        let next = session.query_opt(NEXT_OF_CONTACT, &[&account, &webhook, &contact]).await?;
        if let Some(row) = next {
            let state: String = column(&row, 1)?;
            let next: i64 = column(&row, 0)?;
            if state == DeliveryState::Waiting.as_str() {
                session.execute(PROMOTE, &[&account, &webhook, &next, &now.0]).await?;
            }
        }
    }
    match health {
        WebhookHealth::Well => session.execute(WELL, &[&account, &webhook]).await?,
        WebhookHealth::Failing(since) => {
            session.execute(FAILING, &[&account, &webhook, &since.0]).await?
        }
        WebhookHealth::Stopped { state, reason } => {
            let state = state.as_str();
            session.execute(STOP, &[&account, &webhook, &state, reason]).await?
        }
    };
    Ok(true)
}

fn rows(limit: usize) -> i64 {
    i64::try_from(limit.min(READ_ROWS)).unwrap_or_default()
}

fn delivery_row(row: &Row) -> Result<(Seq, DeliveryRow), Error> {
    let delivery = DeliveryRow {
        contact: ContactId(column(row, 1)?),
        state: row::parsed(row, 2, DeliveryState::parse)?,
        tries: column(row, 3)?,
        next_at: column::<Option<i64>>(row, 4)?.map(UnixMillis),
    };
    Ok((Seq(column(row, 0)?), delivery))
}

fn delivery(row: &Row) -> Result<Delivery, Error> {
    let time = |index| Ok::<_, Error>(column::<Option<i64>>(row, index)?.map(UnixMillis));
    Ok(Delivery {
        seq: Seq(column(row, 0)?),
        id: column(row, 1)?,
        kind: column(row, 2)?,
        contact: ContactId(column(row, 3)?),
        payload: column(row, 4)?,
        state: row::parsed(row, 5, DeliveryState::parse)?,
        attempts: row::json(row, 6)?,
        tries: column(row, 7)?,
        created_at: UnixMillis(column(row, 8)?),
        next_at: time(9)?,
        settled_at: time(10)?,
    })
}
