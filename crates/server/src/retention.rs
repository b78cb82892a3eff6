//! What goes with time: events, outcomes of keyed calls and deliveries that are older than they are
//! kept. Each server does it now and then; several on one database do each other no harm.

use std::num::NonZeroU32;

use meishi_contacts::{
    AccountId, UnixMillis,
    limits::{RETENTION_PAUSE, RETENTION_PERIOD},
};
use meishi_store::StoreError;
use tokio::time::sleep;

use crate::App;

/// What an operator can set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionSettings {
    /// Days that events are kept; for ever when not set, which is the default.
    pub events: Option<NonZeroU32>,
    /// Days that a webhook's settled deliveries are kept; 30 by default.
    pub deliveries: NonZeroU32,
}

impl Default for RetentionSettings {
    fn default() -> Self {
        Self { events: None, deliveries: NonZeroU32::MIN.saturating_add(29) }
    }
}

/// How much a round took away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Accounts that lost events.
    pub accounts: usize,
    /// Rows of other kinds.
    pub rows: usize,
}

/// Takes away what is too old, again and again, until the task is dropped.
pub async fn run(app: &App) {
    loop {
        match sweep(app).await {
            Ok(Swept { accounts: 0, rows: 0 }) => {}
            Ok(Swept { accounts, rows }) => {
                tracing::info!(accounts, rows, "what was kept long enough was taken away");
            }
            Err(error) => tracing::warn!(%error, "not all that is too old was taken away"),
        }
        sleep(RETENTION_PERIOD).await;
    }
}

/// One round, in small steps with pauses, so that writers are not held up.
pub async fn sweep(app: &App) -> Result<Swept, StoreError> {
    let mut swept = Swept::default();
    if let Some(days) = app.settings.retention.events {
        for account in app.store.accounts().await? {
            match drop_events(app, account.id, days).await {
                Ok(lost) => swept.accounts += usize::from(lost),
                // The others need not wait for it.
                Err(error) => tracing::warn!(%error, account = %account.id, "events were kept"),
            }
        }
    }
    loop {
        let now = app.clock.now();
        let rows =
            app.store.purge(now, days_before(now, app.settings.retention.deliveries)).await?;
        swept.rows += rows;
        if rows == 0 {
            return Ok(swept);
        }
        sleep(RETENTION_PAUSE).await;
    }
}

/// Whether the account lost events.
async fn drop_events(app: &App, account: AccountId, days: NonZeroU32) -> Result<bool, StoreError> {
    let before = days_before(app.clock.now(), days);
    let kept = app.store.counts(account).await?.map(|counts| counts.dropped_seq);
    loop {
        let retained = app.store.drop_events(account, before).await?;
        if !retained.more {
            return Ok(kept.is_some_and(|kept| kept < retained.dropped_seq));
        }
        sleep(RETENTION_PAUSE).await;
    }
}

fn days_before(now: UnixMillis, days: NonZeroU32) -> UnixMillis {
    UnixMillis(now.0.saturating_sub(i64::from(days.get()) * 24 * 3600 * 1000))
}
