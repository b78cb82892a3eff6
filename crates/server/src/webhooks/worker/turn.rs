//! One turn at one webhook: new events, then what is due, until there is nothing left to do or the
//! time is up.

use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::StreamExt as _;
use meishi_contacts::{
    StoredWebhook, UnixMillis,
    limits::{WEBHOOK_BATCH, WEBHOOK_REQUESTS, WEBHOOK_TURN_TIME},
    webhook::{Secrets, SigningSecret},
};
use meishi_store::{Account, Delivery, Lease, StoreError};
use tokio::time::Instant;

use super::{Worker, fan_out::Cards};
use crate::{
    App,
    egress::{Target, TargetError},
};

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// There is nothing left to do, or others are to have their turn.
    Done,
    /// Something failed; the webhook is to be left alone for a moment.
    Failing,
}

/// A turn.
pub(super) struct Turn<'a> {
    pub(super) worker: &'a Worker,
    pub(super) account: Account,
    pub(super) lease: &'a Lease,
    pub(super) stored: StoredWebhook,
    pub(super) secrets: Secrets,
    pub(super) target: Result<Target, TargetError>,
    pub(super) cards: Cards,
    deadline: Instant,
    course: Mutex<Course>,
}

/// How the turn has gone so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Course {
    /// Since when every attempt has failed.
    pub(super) failing_since: Option<UnixMillis>,
    /// An attempt failed: no further one is begun.
    pub(super) failed: bool,
    /// The webhook is no longer this turn's, or not at work any more.
    pub(super) lost: bool,
}

impl<'a> Turn<'a> {
    /// Fails when what is stored of the webhook cannot be read.
    pub(super) fn new(
        worker: &'a Worker,
        account: Account,
        lease: &'a Lease,
        stored: StoredWebhook,
    ) -> Result<Self, StoreError> {
        let read = |text: &str| {
            let secret = SigningSecret::parse(text);
            secret.ok_or_else(|| StoreError::Internal("a webhook's secret cannot be read".into()))
        };
        let now = worker.0.app.clock.now();
        let overlap = stored.webhook.previous_until.is_some_and(|until| now < until);
        let previous = stored.previous_secret.as_deref().filter(|_| overlap);
        let secrets =
            Secrets { current: read(&stored.secret)?, previous: previous.map(read).transpose()? };
        let target = Target::parse(&stored.webhook.url);
        let failing_since = stored.webhook.failing_since;
        let course = Mutex::new(Course { failing_since, failed: false, lost: false });
        let deadline = Instant::now() + WEBHOOK_TURN_TIME;
        let cards = Cards::default();
        Ok(Self { worker, account, lease, stored, secrets, target, cards, deadline, course })
    }

    pub(super) fn app(&self) -> &App {
        &self.worker.0.app
    }

    /// How it has gone so far. Not to be held while anything is waited for.
    pub(super) fn course(&self) -> MutexGuard<'_, Course> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether no further attempt is to be begun.
    pub(super) fn is_over(&self) -> bool {
        let course = *self.course();
        course.failed || course.lost || self.worker.is_stopping() || Instant::now() >= self.deadline
    }

    /// Does what there is to do.
    pub(super) async fn run(&mut self) -> Result<Ended, StoreError> {
        while !self.is_over() && self.is_unchanged().await? {
            let (account, webhook) = (self.lease.account, self.lease.webhook);
            let now = self.app().clock.now();
            let store = &self.app().store;
            let due = store.due_deliveries(account, webhook, now, WEBHOOK_BATCH).await?;
            // What is there already goes first, so that no more is built than is brought.
            let looked = due.len() < WEBHOOK_BATCH && self.fan_out().await?;
            if due.is_empty() && !looked {
                break;
            }
            self.deliver(due).await?;
        }
        Ok(if self.course().failed { Ended::Failing } else { Ended::Done })
    }

    /// Makes an attempt at each, several at once. One that the store could not note ends the turn,
    /// after those that are under way.
    async fn deliver(&self, due: Vec<Delivery>) -> Result<(), StoreError> {
        let at_once = if self.course().failing_since.is_some() { 1 } else { WEBHOOK_REQUESTS };
        let attempts = futures::stream::iter(due).map(|delivery| self.attempt(delivery));
        let mut attempts = attempts.buffer_unordered(at_once);
        let mut noted = Ok(());
        while let Some(attempt) = attempts.next().await {
            if attempt.is_err() {
                self.course().failed = true;
                noted = attempt;
            }
        }
        noted
    }

    /// Whether the webhook is still what it was when it was leased.
    pub(super) async fn is_unchanged(&self) -> Result<bool, StoreError> {
        let store = &self.app().store;
        let webhook = store.webhook(self.lease.account, self.lease.webhook).await?;
        let Some(mut webhook) = webhook else { return Ok(false) };
        // This changes by what the turn does itself.
        webhook.failing_since = self.stored.webhook.failing_since;
        Ok(webhook == self.stored.webhook)
    }
}
