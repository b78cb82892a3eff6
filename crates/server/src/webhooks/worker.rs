//! Who brings the messages: looks for webhooks that have something to do, and takes turns at them.
//!
//! Everything that is to be done is in the store: how far each webhook looked at the events, and
//! what it is still to be told. A turn leases one webhook, so that several servers on one database
//! share the work; builds the messages of new events (`fan_out.rs`); sends those that are due
//! (`attempt.rs`); and gives the webhook back. It ends well before its lease does, so that none has
//! to be prolonged. A server that dies loses its leases after [`WEBHOOK_LEASE`], and what it was at
//! is sent again.
//!
//! After an attempt that failed a webhook rests for [`WEBHOOK_REST`], and while its last attempt
//! failed it is tried with one message at a time: an endpoint in trouble gets a request a second,
//! however many messages are due.
//!
//! What hangs holds its turn for seconds. So failing webhooks have a few turns of their own, an
//! account has no more than its share of either kind, and who was served longest ago comes first: no
//! account's dead endpoints keep others waiting.

mod attempt;
mod fan_out;
mod turn;

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
};

use meishi_contacts::{
    AccountId, UnixMillis,
    limits::{
        DRAIN_TIMEOUT, WEBHOOK_FAILING_TURNS, WEBHOOK_LEASE, WEBHOOK_PAUSE, WEBHOOK_POLL,
        WEBHOOK_REST, WEBHOOK_RESTS, WEBHOOK_TURNS,
    },
};
use meishi_store::{Account, Lease, LeaseRoom, LeasedWebhook, StoreError};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};

use self::turn::{Ended, Turn};
use crate::App;

/// Brings the messages of all webhooks. Cheap to clone.
#[derive(Clone)]
pub struct Worker(Arc<Parts>);

struct Parts {
    app: App,
    /// Accounts that have webhooks, which are not renamed.
    accounts: Mutex<HashMap<AccountId, Account>>,
    turns: Arc<Semaphore>,
    failing_turns: Arc<Semaphore>,
    stopping: watch::Sender<bool>,
}

impl Worker {
    /// One that works for this server.
    pub fn new(app: App) -> Self {
        let turns = Arc::new(Semaphore::new(WEBHOOK_TURNS));
        let failing_turns = Arc::new(Semaphore::new(WEBHOOK_FAILING_TURNS));
        let (stopping, _) = watch::channel(false);
        Self(Arc::new(Parts { app, accounts: Mutex::default(), turns, failing_turns, stopping }))
    }

    /// Works until `stop` comes. Then no request is begun any more; those in flight may finish, and
    /// what they came to is noted. What is cut off is sent again by whoever comes next.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let mut turns = JoinSet::new();
        let mut stop = pin!(stop);
        loop {
            let begun = Instant::now();
            let work = async {
                self.begin(&mut turns).await;
                // Much that changes at once is looked at once.
                sleep_until(begun + WEBHOOK_PAUSE).await;
                tokio::select! {
                    () = self.0.app.changed.notified() => {}
                    Some(ended) = turns.join_next() => note(ended),
                    () = sleep(WEBHOOK_POLL) => {}
                }
            };
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = work => {}
            }
        }
        self.0.stopping.send_replace(true);
        let rest = async {
            while let Some(ended) = turns.join_next().await {
                note(ended);
            }
        };
        if timeout(DRAIN_TIMEOUT, rest).await.is_err() {
            tracing::warn!("webhooks were still being told at the end of the drain");
        }
    }

    /// One turn of each webhook that has something to do now, as far as there are turns, to their
    /// end; answers how many there were. What [`run`](Self::run) does all the time, for whoever wants to wait for it.
    pub async fn step(&self) -> Result<usize, StoreError> {
        let room = LeaseRoom { well: WEBHOOK_TURNS, failing: WEBHOOK_FAILING_TURNS };
        let leased = self.lease(room).await?;
        let turns = leased.into_iter().map(|(lease, leased)| async move {
            self.turn(&lease, leased).await;
            self.release(&lease).await;
        });
        Ok(futures::future::join_all(turns).await.len())
    }

    /// Begins a turn of each webhook that has something to do, as far as there are turns left.
    async fn begin(&self, turns: &mut JoinSet<()>) {
        while let Some(ended) = turns.try_join_next() {
            note(ended);
        }
        let all = WEBHOOK_TURNS + WEBHOOK_FAILING_TURNS + WEBHOOK_RESTS;
        let left = all.saturating_sub(turns.len());
        let well = self.0.turns.available_permits().min(left);
        let failing = self.0.failing_turns.available_permits().min(left - well);
        let room = LeaseRoom { well, failing };
        if room.is_none() {
            return;
        }
        let leased = match self.lease(room).await {
            Ok(leased) => leased,
            Err(error) => {
                tracing::warn!(%error, "the store does not tell which webhooks have something to do");
                return;
            }
        };
        for (lease, leased) in leased {
            let is_failing = leased.stored.webhook.failing_since.is_some();
            let of = if is_failing { &self.0.failing_turns } else { &self.0.turns };
            let permit = Arc::clone(of).acquire_owned().await.ok();
            turns.spawn(self.clone().turn_and_rest(lease, leased, permit));
        }
    }

    async fn turn_and_rest(
        self,
        lease: Lease,
        leased: LeasedWebhook,
        permit: Option<OwnedSemaphorePermit>,
    ) {
        let ended = self.turn(&lease, leased).await;
        drop(permit);
        if ended == Ended::Failing {
            // Nobody else has the webhook meanwhile.
            let mut stopping = self.0.stopping.subscribe();
            tokio::select! {
                () = sleep(WEBHOOK_REST) => {}
                _ = stopping.wait_for(|stopping| *stopping) => {}
            }
        }
        self.release(&lease).await;
    }

    /// Leases webhooks that have something to do. Each call is an owner of its own, so that it gets
    /// none of those that other turns of this server are at.
    async fn lease(&self, room: LeaseRoom) -> Result<Vec<(Lease, LeasedWebhook)>, StoreError> {
        let app = &self.0.app;
        let owner = app.rng.seed().uuid("webhook lease", 0).to_string();
        let now = app.clock.now();
        let time = i64::try_from(WEBHOOK_LEASE.as_millis()).unwrap_or(i64::MAX);
        let until = UnixMillis(now.0.saturating_add(time));
        let leased = app.store.lease_webhooks(&owner, now, until, room).await?;
        let with_lease = |leased: LeasedWebhook| {
            let (account, webhook) = (leased.stored.account, leased.stored.webhook.id);
            (Lease { account, webhook, owner: owner.clone() }, leased)
        };
        Ok(leased.into_iter().map(with_lease).collect())
    }

    async fn turn(&self, lease: &Lease, leased: LeasedWebhook) -> Ended {
        let (account, webhook) = (lease.account, lease.webhook);
        let turn = match self.account(account).await {
            Ok(account) => Turn::new(self, account, lease, leased.stored),
            Err(error) => Err(error),
        };
        let ended = match turn {
            Ok(mut turn) => turn.run().await,
            Err(error) => Err(error),
        };
        ended.unwrap_or_else(|error| {
            tracing::error!(%error, %account, %webhook, "a webhook's turn broke off");
            Ended::Failing
        })
    }

    async fn release(&self, lease: &Lease) {
        if let Err(error) = self.0.app.store.release_webhook(lease).await {
            let (account, webhook) = (lease.account, lease.webhook);
            tracing::warn!(%error, %account, %webhook, "a webhook is not given back; its lease ends");
        }
    }

    /// The account of a webhook.
    async fn account(&self, id: AccountId) -> Result<Account, StoreError> {
        let known = |accounts: &Mutex<HashMap<AccountId, Account>>| {
            accounts.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
        };
        if let Some(account) = known(&self.0.accounts) {
            return Ok(account);
        }
        let accounts = self.0.app.store.accounts().await?;
        let account = accounts.into_iter().find(|account| account.id == id);
        let account =
            account.ok_or_else(|| StoreError::Internal("a webhook has no account".into()))?;
        let mut accounts = self.0.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(accounts.entry(id).or_insert(account).clone())
    }

    /// Whether no request is to be begun any more.
    fn is_stopping(&self) -> bool {
        *self.0.stopping.borrow()
    }
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a webhook's turn broke off; its lease ends");
    }
}
