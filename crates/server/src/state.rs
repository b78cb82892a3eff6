//! What every handler can reach.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use meishi_contacts::{AccountId, Clock, KeyId, UnixMillis};
use meishi_store::{Applied, Change, Context, Store, StoreError};
use tokio::sync::{Notify, watch};

use crate::{
    ApiError, Settings,
    conditional::IfMatch,
    directory::Directory,
    egress::Egress,
    idempotency::InFlight,
    metrics::Requests,
    observe::RequestInfo,
    rate_limit::RateLimits,
    rng::{RequestIds, Rng},
    streams::Streams,
    tail::Tail,
};

/// A key's last use is written once in this time at most.
const TOUCH_MILLIS: i64 = 60_000;

/// The parts of the running service. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The parts themselves.
pub struct Parts {
    /// The record.
    pub store: Arc<dyn Store>,
    /// The query side.
    pub directory: Directory,
    /// Who waits for events.
    pub tail: Tail,
    /// Who holds a connection for long.
    pub streams: Streams,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
    /// What the operator set.
    pub settings: Settings,
    /// The way out.
    pub egress: Egress,
    /// Called upon when this server changed something: there may be webhooks to be told.
    pub(crate) changed: Notify,
    /// How often somebody may call.
    pub(crate) rate_limits: RateLimits,
    /// Names for requests.
    pub(crate) request_ids: RequestIds,
    /// What is counted of requests.
    pub(crate) requests: Requests,
    touched: Mutex<HashMap<(AccountId, KeyId), UnixMillis>>,
    in_flight: InFlight,
    stopping: watch::Sender<bool>,
}

/// What changes are asked for with.
#[derive(Debug, Clone)]
pub struct ChangeRequest {
    /// What the store is told.
    pub cx: Context,
    /// The request, where it is one over HTTP; learns that its answer is a replay.
    pub(crate) info: Option<RequestInfo>,
}

impl ChangeRequest {
    /// The same, on the condition that the contact has a version that the caller named.
    #[must_use]
    pub(crate) fn only_if(mut self, condition: IfMatch) -> Self {
        self.cx.precondition = condition.0;
        self
    }
}

impl From<Context> for ChangeRequest {
    fn from(cx: Context) -> Self {
        Self { cx, info: None }
    }
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    /// Puts the parts together.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
        settings: Settings,
    ) -> Self {
        Self(Arc::new(Parts {
            directory: Directory::new(Arc::clone(&store), settings.index.clone()),
            tail: Tail::new(Arc::clone(&store)),
            streams: Streams::default(),
            rate_limits: RateLimits::new(&settings.rate_limits),
            request_ids: RequestIds::new(rng.seed()),
            requests: Requests::default(),
            egress: Egress::new(settings.egress.clone()),
            changed: Notify::new(),
            touched: Mutex::default(),
            in_flight: InFlight::default(),
            stopping: watch::Sender::new(false),
            store,
            clock,
            rng,
            settings,
        }))
    }

    /// Does changes ([`Store::apply`]). The only way by which the service makes any, and once a
    /// request: its idempotency key names one call. While a call with the same key is under way it
    /// is [`ApiError::InFlight`].
    pub(crate) async fn apply(
        &self,
        request: impl Into<ChangeRequest>,
        changes: Vec<Change>,
        atomic: bool,
    ) -> Result<Applied, ApiError> {
        let ChangeRequest { cx, info } = request.into();
        let Some(key) = &cx.idempotency else {
            return Ok(self.apply_and_tell(cx, changes, atomic).await?);
        };
        let held = self.in_flight.hold(cx.account, key).ok_or(ApiError::InFlight)?;
        let app = self.clone();
        // A task of its own, which ends when the store has answered: a caller that goes away and
        // asks again is not to meet its own change half done, nor to queue up behind it for ever.
        let call = tokio::spawn(async move {
            let applied = app.apply_and_tell(cx, changes, atomic).await;
            drop(held);
            applied
        });
        let applied = call.await.map_err(|error| {
            tracing::error!(%error, "a keyed change was not done");
            ApiError::Internal
        })??;
        if let Some(info) = info.filter(|_| applied.replayed) {
            info.note_replay();
        }
        Ok(applied)
    }

    /// Does changes, and tells those who wait for any.
    async fn apply_and_tell(
        &self,
        cx: Context,
        changes: Vec<Change>,
        atomic: bool,
    ) -> Result<Applied, StoreError> {
        let account = cx.account;
        let erases = changes.iter().any(|change| matches!(change, Change::EraseContact { .. }));
        let applied = self.store.apply(cx, changes, atomic).await;
        if erases {
            // Whatever came of it: a snapshot can be made anew.
            self.directory.forget_snapshot(account);
        }
        self.changed.notify_one();
        self.tail.nudge(account);
        applied
    }

    /// Tells whatever has no end of its own, such as streams and calls that wait, that the server
    /// stops.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Ends when the server stops; at once if it does already.
    pub async fn stopped(&self) {
        // The sender is in `self`, so that waiting cannot fail.
        let _ = self.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }

    /// Notes that a key was used, without making the request wait for it.
    pub(crate) fn touch_key(&self, account: AccountId, id: KeyId, now: UnixMillis) {
        {
            let mut touched = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
            let last = touched.entry((account, id)).or_insert(UnixMillis(i64::MIN));
            if now.0.saturating_sub(last.0) < TOUCH_MILLIS {
                return;
            }
            *last = now;
        }
        let store = Arc::clone(&self.store);
        tokio::spawn(async move {
            if let Err(error) = store.touch_key(account, id, now).await {
                tracing::debug!(%error, "a key's last use was not noted");
            }
        });
    }
}
