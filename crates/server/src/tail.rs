//! Tells those who wait that an account has new events.
//!
//! What this server changes is told at once ([`Tail::nudge`], from `App::apply`). What another
//! server on the same database writes is noticed by a poller: one statement for all accounts that
//! somebody waits for, none while nobody waits. The poller also notices that the database was
//! restored under it. A sign says that there may be something, and never what: whoever is woken reads
//! the store, or, as streams do, what `recent.rs` has read of it for all of them.

mod recent;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use meishi_contacts::{AccountId, Seq, limits::TAIL_POLL};
use meishi_store::{Store, StoreError};
use tokio::sync::watch;

use self::recent::Recent;
pub(crate) use self::recent::{Found, Source};

/// The poller asks for the epoch once in so many rounds.
const EPOCH_ROUNDS: u32 = 10;

/// A sign that there may be something new, with what the poller saw last; 0 where it has not looked
/// yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sign {
    /// How many signs there were.
    pub number: u64,
    /// The account's last event.
    pub seq: Seq,
    /// The database's epoch.
    pub epoch: i64,
}

/// An account that somebody waits for.
#[derive(Default)]
struct Account {
    signs: watch::Sender<Sign>,
    recent: Arc<tokio::sync::Mutex<Recent>>,
}

/// What a stream follows an account by.
pub(crate) struct Follower {
    /// Changes as what [`Tail::follow`] answers does.
    pub(crate) signs: watch::Receiver<Sign>,
    recent: Arc<tokio::sync::Mutex<Recent>>,
}

impl Follower {
    /// The events after a place, read under the last sign or later; for all streams of the account
    /// at once.
    pub(crate) async fn after(
        &self,
        source: &Source<'_>,
        sign: Sign,
        place: Seq,
    ) -> Result<Found, StoreError> {
        self.recent.lock().await.after(source, sign, place).await
    }
}

/// Who waits for which account. Cheap to clone.
#[derive(Clone)]
pub struct Tail(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    accounts: HashMap<AccountId, Account>,
    is_polled: bool,
}

impl Tail {
    /// Nobody waits yet.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(Arc::new(Inner { store, waiting: Mutex::default() }))
    }

    /// Waits for an account's events: the receiver changes some time after each, wherever it was
    /// written, and now and then for nothing. Begin to wait before you read, and nothing is missed.
    pub fn follow(&self, account: AccountId) -> watch::Receiver<Sign> {
        self.stream(account).signs
    }

    /// The same for a stream, which wants all events in turn.
    pub(crate) fn stream(&self, account: AccountId) -> Follower {
        let mut waiting = self.waiting();
        let Account { signs, recent } = waiting.accounts.entry(account).or_default();
        let follower = Follower { signs: signs.subscribe(), recent: Arc::clone(recent) };
        if !waiting.is_polled {
            waiting.is_polled = true;
            tokio::spawn(self.clone().poll());
        }
        follower
    }

    /// This server changed something of the account.
    pub(crate) fn nudge(&self, account: AccountId) {
        if let Some(account) = self.waiting().accounts.get(&account) {
            account.signs.send_modify(|sign| sign.number += 1);
        }
    }

    /// Looks every now and then until nobody waits any more.
    async fn poll(self) {
        let mut epoch = 0;
        for round in 0_u32.. {
            tokio::time::sleep(TAIL_POLL).await;
            let accounts = self.accounts();
            if accounts.is_empty() {
                return;
            }
            match self.look(&accounts, &mut epoch, round % EPOCH_ROUNDS == 0).await {
                Ok(heads) => self.tell(&heads, epoch),
                // The next round may fare better.
                Err(error) => tracing::debug!(%error, "new events were not looked for"),
            }
        }
    }

    async fn look(
        &self,
        accounts: &[AccountId],
        epoch: &mut i64,
        ask_epoch: bool,
    ) -> Result<Vec<(AccountId, Seq)>, StoreError> {
        if ask_epoch || *epoch == 0 {
            *epoch = self.0.store.database().await?.epoch;
        }
        self.0.store.heads(accounts).await
    }

    fn tell(&self, heads: &[(AccountId, Seq)], epoch: i64) {
        let waiting = self.waiting();
        for &(account, seq) in heads {
            let Some(account) = waiting.accounts.get(&account) else { continue };
            account.signs.send_if_modified(|sign| {
                let is_new = (sign.seq, sign.epoch) != (seq, epoch);
                if is_new {
                    *sign = Sign { number: sign.number + 1, seq, epoch };
                }
                is_new
            });
        }
    }

    /// The accounts that somebody waits for. Where there are none, the poller has ended.
    fn accounts(&self) -> Vec<AccountId> {
        let mut waiting = self.waiting();
        waiting.accounts.retain(|_, account| account.signs.receiver_count() > 0);
        waiting.is_polled = !waiting.accounts.is_empty();
        waiting.accounts.keys().copied().collect()
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use meishi_contacts::{Credential, Role, Seed, UnixMillis};
    use meishi_store::{DataDirectory, NewAccount, SqliteStore};
    use tokio::time::{Duration, timeout};

    use super::*;

    async fn tail(directory: &tempfile::TempDir) -> (Tail, AccountId) {
        let (store, account) = store(directory).await;
        (Tail::new(store), account)
    }

    /// A store with an account.
    pub(super) async fn store(directory: &tempfile::TempDir) -> (Arc<dyn Store>, AccountId) {
        let held = DataDirectory::hold(directory.path()).unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(held, "test").unwrap());
        let seed = Seed([1; 32]);
        let account = NewAccount {
            name: "Acme".into(),
            inbox_name: "API".into(),
            key: Credential::from_seed(&seed).key("key".into(), Role::Agent, None),
            at: UnixMillis(0),
            request_id: String::new(),
            seed,
            only_first: true,
        };
        let account = store.create_account(account).await.unwrap().unwrap().account.id;
        (store, account)
    }

    #[tokio::test]
    async fn who_waits_is_told_of_its_own_account_and_the_poller_ends_with_the_last_one() {
        let directory = tempfile::tempdir().unwrap();
        let (tail, account) = tail(&directory).await;
        let (mut first, second) = (tail.follow(account), tail.follow(account));
        let other = tail.follow(AccountId(account.0 + 1));
        tail.nudge(account);
        assert!(first.has_changed().unwrap() && second.has_changed().unwrap());
        assert!(!other.has_changed().unwrap());
        first.mark_unchanged();

        // What the poller sees comes once.
        timeout(Duration::from_secs(5), first.changed()).await.unwrap().unwrap();
        let sign = *first.borrow_and_update();
        assert!(sign.seq > Seq(0) && sign.epoch == 1, "{sign:?}");
        assert!(timeout(TAIL_POLL * 3, first.changed()).await.is_err());
        assert!(!other.has_changed().unwrap(), "there is no such account");

        assert!(tail.waiting().is_polled);
        drop((first, second, other));
        tokio::time::sleep(TAIL_POLL * 3).await;
        assert!(!tail.waiting().is_polled && tail.waiting().accounts.is_empty());
        let again = tail.follow(account);
        assert!(tail.waiting().is_polled);
        drop(again);
    }
}
