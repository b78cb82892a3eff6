//! What every handler can reach.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use meishi_contacts::{AccountId, Clock, KeyId, UnixMillis};
use meishi_store::{Applied, Change, Context, Store, StoreError};

use tokio::sync::Notify;

use crate::{Settings, directory::Directory, egress::Egress, rate_limit::RateLimits, rng::Rng};

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
    touched: Mutex<HashMap<(AccountId, KeyId), UnixMillis>>,
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
        let directory = Directory::new(Arc::clone(&store));
        let rate_limits = RateLimits::new(&settings.rate_limits);
        let egress = Egress::new(settings.egress.clone());
        Self(Arc::new(Parts {
            store,
            directory,
            clock,
            rng,
            settings,
            egress,
            changed: Notify::new(),
            rate_limits,
            touched: Mutex::default(),
        }))
    }

    /// Does changes ([`Store::apply`]). The only way by which the service makes any.
    pub(crate) async fn apply(
        &self,
        cx: Context,
        changes: Vec<Change>,
        atomic: bool,
    ) -> Result<Applied, StoreError> {
        let applied = self.store.apply(cx, changes, atomic).await;
        self.changed.notify_one();
        applied
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
