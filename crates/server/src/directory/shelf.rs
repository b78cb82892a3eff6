//! Which accounts' indexes are in memory, and that all of them together fit into it.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use meishi_contacts::{
    AccountId, Seq,
    limits::{FOLLOW_EVENTS, QUERY_TIME},
};
use meishi_index::Index;
use meishi_store::{News, Store, StoreError};

use super::{
    QueryError,
    files::Files,
    keep::Warming,
    memory::{Budget, Memory},
    slot::{Reading, Slot},
};

/// What an operator can set of indexes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexSettings {
    /// What all indexes may take.
    pub memory: Memory,
    /// Where snapshots are kept; nowhere when not set.
    pub snapshots: Option<PathBuf>,
    /// From how many contacts on an account has a snapshot. The rows of fewer are read as fast.
    pub snapshot_contacts: usize,
    /// How long a query may compute. No setting of an operator's: tests have less.
    pub query_time: Duration,
}

impl Default for IndexSettings {
    fn default() -> Self {
        Self {
            memory: Memory::DEFAULT,
            snapshots: None,
            snapshot_contacts: 10_000,
            query_time: QUERY_TIME,
        }
    }
}

/// That part of the memory is made free beyond what is wanted, as long as it takes small indexes
/// only: to find who was not asked for longest is a look at all accounts, and too much to do for
/// each small load.
const SPARE_PART: usize = 64;

/// What takes no more than that part of the memory is small.
const SMALL_PART: usize = 1024;

/// The loaded indexes.
pub(super) struct Shelf {
    pub(super) store: Arc<dyn Store>,
    pub(super) files: Option<Files>,
    pub(super) settings: IndexSettings,
    pub(super) budget: Budget,
    pub(super) warming: Warming,
    slots: Mutex<HashMap<AccountId, Arc<Slot>>>,
    /// The round of `look_after`.
    pub(super) round: AtomicU64,
    /// Counts loads.
    pub(super) loads: AtomicU64,
    /// Counts who asks, so that it is known who was asked for last.
    ticks: AtomicU64,
}

/// How much the loaded indexes hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Accounts with an index.
    pub accounts: usize,
    /// Contacts in them.
    pub contacts: usize,
    /// Bytes of memory that they take, and will take when they are loaded.
    pub bytes: usize,
    /// What they may take.
    pub limit: usize,
    /// How many indexes were loaded since the start, those included that were dropped.
    pub loads: u64,
    /// Accounts that have no grams because there is no room for them.
    pub without_grams: usize,
    /// Accounts that do not fit into memory.
    pub refused: usize,
}

impl Shelf {
    pub(super) fn new(store: Arc<dyn Store>, settings: IndexSettings) -> Self {
        Self {
            store,
            files: settings.snapshots.clone().map(Files::new),
            budget: Budget::new(settings.memory),
            settings,
            warming: Warming::default(),
            slots: Mutex::default(),
            round: AtomicU64::new(0),
            loads: AtomicU64::new(0),
            ticks: AtomicU64::new(0),
        }
    }

    pub(super) fn slot(&self, account: AccountId) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(account).or_default())
    }

    /// Notes that the account is asked for now.
    pub(super) fn touch(&self, slot: &Slot) {
        slot.touch(self.ticks.fetch_add(1, SeqCst) + 1);
    }

    /// Every account that was asked for, or has a snapshot.
    pub(super) fn all(&self) -> Vec<(AccountId, Arc<Slot>)> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.iter().map(|(account, slot)| (*account, Arc::clone(slot))).collect()
    }

    /// The account's index, with every event applied that was committed before this call.
    pub(super) async fn current(
        self: &Arc<Self>,
        account: AccountId,
    ) -> Result<Reading, QueryError> {
        let slot = self.slot(account);
        let bringing = slot.try_bring();
        // Where nothing is loaded, no event is of use.
        let known = slot.seq().await.unwrap_or(Seq(i64::MAX));
        let limit = if bringing.is_some() { FOLLOW_EVENTS } else { 0 };
        let news = self.store.news(account, known, limit).await?;
        let News { counts, mut events } = news.unwrap_or_default();
        self.touch(&slot);
        loop {
            if slot.refuses(counts.contacts.unsigned_abs()) {
                return Err(QueryError::NoRoom);
            }
            if let Some(index) = applied(&slot, counts.last_seq).await {
                return Ok(index);
            }
            let turn = slot.turn().await;
            // Whoever had the turn before may have done it.
            if let Some(index) = applied(&slot, counts.last_seq).await {
                return Ok(index);
            }
            if slot.refuses(counts.contacts.unsigned_abs()) {
                return Err(QueryError::NoRoom);
            }
            // A task of its own: a caller that goes away must not undo the work for those who wait.
            let (this, place) = (Arc::clone(self), Arc::clone(&slot));
            let events = std::mem::take(&mut events);
            let work = tokio::spawn(async move {
                let done = this.catch_up(account, &place, counts, &events).await;
                drop(turn);
                done
            });
            work.await.map_err(|error| StoreError::Internal(error.to_string()))??;
        }
    }

    /// Counts a load of so many bytes, and drops the indexes that were not asked for longest until
    /// there is room. Where others are being loaded, it waits for them; where nothing can be
    /// dropped, it goes on without room.
    pub(super) async fn make_room(self: &Arc<Self>, slot: &Slot, bytes: usize) {
        let bytes = bytes.min(self.budget.limit);
        let has_room = || self.budget.used().saturating_add(bytes) <= self.budget.limit;
        while !self.budget.try_begin(bytes) {
            if !self.drop_until(Some(slot), has_room).await && !self.budget.wait().await {
                self.budget.begin_all_the_same(bytes);
                break;
            }
        }
        slot.reserve(bytes, &self.budget);
    }

    /// Drops indexes as long as they take too much. The one that was asked for last stays.
    pub(super) async fn shrink(self: &Arc<Self>) {
        if self.budget.is_exceeded() {
            let last = self.all().into_iter().max_by_key(|(_, slot)| slot.used());
            let last = last.as_ref().map(|(_, slot)| &**slot);
            self.drop_until(last, || !self.budget.is_exceeded()).await;
        }
    }

    /// Drops the indexes that were not asked for longest, of those that nobody is at, until it is
    /// enough, and small ones beyond that. Answers whether it dropped any.
    async fn drop_until(
        self: &Arc<Self>,
        but: Option<&Slot>,
        is_enough: impl Fn() -> bool,
    ) -> bool {
        let (mut has_dropped, mut has_enough) = (false, false);
        let mut spare = self.budget.limit / SPARE_PART;
        let mut slots = self.all();
        slots.retain(|(_, slot)| slot.bytes() > 0 && !but.is_some_and(|but| is_same(but, slot)));
        slots.sort_by_key(|(_, slot)| slot.used());
        for (account, slot) in slots {
            if has_enough {
                match spare.checked_sub(slot.bytes()) {
                    Some(rest) if slot.bytes() <= self.budget.limit / SMALL_PART => spare = rest,
                    _ => break,
                }
            }
            self.save_if_due(account, &slot).await;
            if slot.try_drop(&self.budget) {
                metrics::counter!("meishi_index_evictions_total").increment(1);
                has_dropped = true;
                has_enough = is_enough();
            }
        }
        has_dropped
    }

    /// Drops the account's index now, as if memory were wanted. Answers whether there was one.
    pub(super) fn evict(&self, account: AccountId) -> bool {
        self.slot(account).try_drop(&self.budget)
    }

    /// Accounts without grams, and without an index, for want of memory.
    pub(super) fn short_of_memory(&self) -> (Vec<AccountId>, Vec<AccountId>) {
        let mut slots = self.all();
        slots.sort_by_key(|(account, _)| *account);
        let those = |test: fn(&Slot) -> bool| {
            slots.iter().filter(|(_, slot)| test(slot)).map(|(account, _)| *account).collect()
        };
        (those(Slot::is_forgone), those(Slot::is_refused))
    }

    pub(super) fn loaded(&self) -> Loaded {
        let mut loaded = Loaded {
            bytes: self.budget.used(),
            limit: self.budget.limit,
            loads: self.loads.load(SeqCst),
            ..Loaded::default()
        };
        for (_, slot) in self.all() {
            // What is being changed just now is there, too.
            let is_there = slot.try_read().is_none_or(|index| index.is_some());
            if is_there && slot.contacts() + slot.bytes() > 0 {
                loaded.accounts += 1;
                loaded.contacts += slot
                    .try_read()
                    .map_or(slot.contacts(), |index| index.as_deref().map_or(0, Index::len));
            }
            loaded.without_grams += usize::from(slot.is_forgone());
            loaded.refused += usize::from(slot.is_refused());
        }
        loaded
    }
}

fn is_same(one: &Slot, other: &Arc<Slot>) -> bool {
    std::ptr::eq(one, Arc::as_ptr(other))
}

/// The index, if it has applied the event.
async fn applied(slot: &Slot, head: Seq) -> Option<Reading> {
    let index = slot.read().await;
    index.as_ref().is_some_and(|index| index.seq() >= head).then_some(index)
}
