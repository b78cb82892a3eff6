//! What goes on beside the queries: accounts are warmed after a start, snapshots are written now and
//! then and at the end, and memory is counted.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};

use meishi_contacts::{
    AccountId, Seq, UnixMillis,
    limits::{
        INDEX_PERIOD, SNAPSHOT_EVENTS_AT_STOP, SNAPSHOT_STOP_TIME, WARM_LOOKUPS, WARM_USED_WITHIN,
    },
};
use meishi_index::Index;
use meishi_store::StoreError;
use tokio::time::{Instant, sleep};

use super::{
    QueryError,
    load::{WITH_GRAMS, blocking, estimate, free, program},
    shelf::Shelf,
    slot::Slot,
};

/// How far the warming after a start is.
#[derive(Debug, Default)]
pub(super) struct Warming {
    accounts: AtomicUsize,
    done: AtomicUsize,
    failed: AtomicUsize,
    left_out: AtomicUsize,
    is_over: AtomicBool,
    /// Whether it is known of which accounts there are snapshots.
    has_found: AtomicBool,
}

/// How far the warming after a start is: the accounts that were used lately, the largest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Warmth {
    /// Accounts that are to be loaded.
    pub accounts: usize,
    /// Those that are.
    pub done: usize,
    /// Those that could not be.
    pub failed: usize,
    /// Those for which there is no memory.
    pub left_out: usize,
    /// Whether nothing is left to do.
    pub is_over: bool,
}

impl Warming {
    pub(super) fn warmth(&self) -> Warmth {
        Warmth {
            accounts: self.accounts.load(SeqCst),
            done: self.done.load(SeqCst),
            failed: self.failed.load(SeqCst),
            left_out: self.left_out.load(SeqCst),
            is_over: self.is_over.load(SeqCst),
        }
    }
}

impl Shelf {
    /// Does all of it until the task is dropped.
    pub(super) async fn keep(self: &Arc<Self>, now: UnixMillis) {
        let warm = async {
            if let Err(error) = self.warm(now).await {
                tracing::warn!(%error, "not all accounts were warmed");
            }
            self.warming.is_over.store(true, SeqCst);
        };
        let look_after = async {
            for round in 1_u64.. {
                sleep(INDEX_PERIOD).await;
                self.look_after(round).await;
            }
        };
        // Warming may take minutes, in which somebody may be erased.
        tokio::join!(warm, look_after);
    }

    /// Loads the accounts that were used lately, the largest first, as long as there is room.
    pub(super) async fn warm(self: &Arc<Self>, now: UnixMillis) -> Result<(), StoreError> {
        let mut accounts = self.find_snapshots().await?;
        // Before all of them are loaded, since that may take long. Who asks meanwhile is answered
        // from a snapshot only after its index has followed the events, and so looked at them.
        self.drop_erased().await?;
        accounts.extend(self.used_lately(now, &accounts).await?);
        accounts.sort_by_key(|(account, bytes)| (std::cmp::Reverse(*bytes), *account));
        self.warming.accounts.store(accounts.len(), SeqCst);
        for (account, bytes) in accounts {
            let counter = match self.warm_one(account, bytes).await {
                Some(true) => &self.warming.done,
                Some(false) => &self.warming.failed,
                None => &self.warming.left_out,
            };
            counter.fetch_add(1, SeqCst);
        }
        Ok(())
    }

    /// Loads an account; `None` where there is no room for it.
    async fn warm_one(self: &Arc<Self>, account: AccountId, bytes: usize) -> Option<bool> {
        let is_loaded = self.slot(account).seq().await.is_some();
        if !is_loaded && self.budget.used().saturating_add(bytes) > self.budget.limit {
            return None;
        }
        match self.current(account).await {
            Ok(_) => Some(true),
            // Its contacts are larger than most.
            Err(QueryError::NoRoom) => None,
            Err(error) => {
                tracing::warn!(%account, %error, "an account could not be warmed");
                Some(false)
            }
        }
    }

    /// The accounts with a snapshot of this database, and what they will take.
    async fn find_snapshots(self: &Arc<Self>) -> Result<Vec<(AccountId, usize)>, StoreError> {
        let database = self.store.database().await?;
        let this = Arc::clone(self);
        let found = blocking(move || {
            let Some(files) = &this.files else { return (Vec::new(), true) };
            let program = program();
            files.scan(|stamp| {
                stamp.program == program
                    && stamp.database == database.id
                    && stamp.epoch == database.epoch
            })
        });
        let (found, is_all) = found.await?;
        let found = found.into_iter().map(|(stamp, bytes)| {
            let slot = self.slot(stamp.account);
            // It may have been loaded, or written, meanwhile.
            if slot.saved() == Seq(0) {
                slot.set_saved(stamp.seq);
            }
            (stamp.account, estimate(usize::try_from(bytes).unwrap_or(usize::MAX)))
        });
        let found = found.collect();
        self.warming.has_found.store(is_all, SeqCst);
        Ok(found)
    }

    /// Large accounts without a snapshot one of whose keys was used lately. Asked of the first
    /// accounts only: a look at thousands would take longer than the first query of one.
    async fn used_lately(
        &self,
        now: UnixMillis,
        known: &[(AccountId, usize)],
    ) -> Result<Vec<(AccountId, usize)>, StoreError> {
        let since =
            now.0.saturating_sub(i64::try_from(WARM_USED_WITHIN.as_millis()).unwrap_or(i64::MAX));
        let mut used = Vec::new();
        for account in self.store.accounts().await?.into_iter().take(WARM_LOOKUPS) {
            let counts = self.store.counts(account.id).await?;
            let contacts = counts.map_or(0, |counts| counts.contacts);
            let contacts = usize::try_from(contacts).unwrap_or_default();
            let is_known = known.iter().any(|(known, _)| *known == account.id);
            if is_known || contacts < self.settings.snapshot_contacts {
                continue;
            }
            let keys = self.store.keys(account.id).await?;
            if keys.iter().any(|key| key.last_used_at.is_some_and(|at| at.0 >= since)) {
                used.push((account.id, contacts.saturating_mul(WITH_GRAMS)));
            }
        }
        Ok(used)
    }

    /// One round of what is done now and then.
    pub(super) async fn look_after(self: &Arc<Self>, round: u64) {
        self.round.store(round, SeqCst);
        if !self.warming.has_found.load(SeqCst)
            && let Err(error) = self.find_snapshots().await
        {
            tracing::warn!(%error, "snapshots were not looked for");
        }
        if let Err(error) = self.drop_erased().await {
            tracing::warn!(%error, "snapshots were not looked at");
        }
        for (account, slot) in self.all() {
            // What is made for sorting comes without an event.
            let is_grown = round.is_multiple_of(6) && slot.contacts() >= Index::GRAMS_FROM;
            if slot.is_uncounted() || is_grown {
                self.recount(account, &slot).await;
            }
            self.save_if_due(account, &slot).await;
        }
        self.shrink().await;
    }

    /// Counts anew what an index takes, and makes it fit.
    async fn recount(&self, account: AccountId, slot: &Slot) {
        let reading = slot.read().await;
        let counted = blocking(move || {
            let bytes = reading.as_deref().map(Index::bytes);
            (bytes, reading)
        });
        let Ok((Some(bytes), reading)) = counted.await else { return };
        let Some(index) = reading.as_deref() else { return };
        let (seq, contacts, has_grams) = (index.seq(), index.len(), index.has_grams());
        slot.recount(bytes, contacts, &self.budget);
        // Only now: what is dropped must not be counted afterwards.
        drop(reading);
        if bytes <= self.budget.limit {
            return;
        }
        let mut place = slot.write().await;
        // What came meanwhile is counted the next time.
        let is_same = |index: &Index| (index.seq(), index.len()) == (seq, contacts);
        if !place.as_deref().is_some_and(is_same) {
            return;
        }
        if has_grams {
            tracing::warn!(%account, contacts, "there is no memory for searching by grams any more");
            let forgo = move || {
                if let Some(index) = place.as_mut() {
                    index.forgo_grams();
                }
            };
            if let Err(error) = blocking(forgo).await {
                tracing::error!(%account, %error, "grams could not be forgone");
            }
            slot.set_forgone(true);
            // What that gave back is counted the next time.
            slot.followed(1);
        } else {
            let taken = place.take();
            tracing::error!(%account, contacts, "the account's contacts do not fit any more");
            slot.recount(0, 0, &self.budget);
            slot.refuse_from(contacts as u64);
            drop(place);
            free(taken);
        }
    }

    /// Writes snapshots of what changed, the largest first, for some seconds at most.
    pub(super) async fn close(self: &Arc<Self>) {
        let end = Instant::now() + SNAPSHOT_STOP_TIME;
        let mut slots = self.all();
        slots.sort_by_key(|(_, slot)| std::cmp::Reverse(slot.bytes()));
        for (account, slot) in slots {
            if Instant::now() >= end {
                tracing::warn!("there was no time for all snapshots");
                break;
            }
            let Some(seq) = self.large_seq(&slot).await else { continue };
            if slot.saved() == Seq(0) || seq.0 - slot.saved().0 > SNAPSHOT_EVENTS_AT_STOP {
                self.save(account, &slot, move || Instant::now() >= end).await;
            }
        }
    }

    /// The last event of an index that is large enough for a snapshot.
    async fn large_seq(&self, slot: &Slot) -> Option<Seq> {
        slot.read().await.as_deref().filter(|index| self.is_large(index)).map(Index::seq)
    }
}
