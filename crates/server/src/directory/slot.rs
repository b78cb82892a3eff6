//! One account's place in memory: its index, the locks around it, and what is known without them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering::SeqCst},
};

use meishi_contacts::Seq;
use meishi_index::Index;
use tokio::sync::{Mutex, OwnedMutexGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use super::{load::free, memory::Budget};

/// Somebody reads the index; `None` where it is not loaded.
pub(super) type Reading = OwnedRwLockReadGuard<Option<Box<Index>>>;

/// An account that was asked for.
#[derive(Default)]
pub(super) struct Slot {
    /// In a box: an account whose index was dropped should take no room for one.
    index: Arc<RwLock<Option<Box<Index>>>>,
    /// Who has it brings the index up to date; the others wait and find that done.
    turn: Arc<Mutex<()>>,
    /// Who has it brings events along when it asks what is new. They may take megabytes, and are of use
    /// once; the others wait until they are applied.
    bringing: Arc<Mutex<()>>,
    /// Those that wait to change the index: whoever reads it for long gives way.
    waiting: AtomicUsize,
    /// When it was last asked for, by the shelf's count.
    used: AtomicU64,
    /// What it counts in the budget.
    bytes: AtomicUsize,
    /// Contacts of the index.
    contacts: AtomicUsize,
    /// Events that were applied since the bytes were counted.
    uncounted: AtomicUsize,
    /// The last event that its snapshot's file knows of, 0 where there is none.
    saved: AtomicI64,
    /// Up to which event it is known that the file holds nobody who was erased.
    examined: AtomicI64,
    /// From how many contacts on it does not fit into memory; 0 while that is not known.
    refused_from: AtomicU64,
    /// In which round a snapshot may be written again.
    due: AtomicU64,
    /// Whether it has no grams because there is no room for them.
    forgone: AtomicBool,
}

/// Counts somebody who waits, for as long as it lives.
struct Waits<'a>(&'a AtomicUsize);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl Slot {
    pub(super) async fn read(&self) -> Reading {
        Arc::clone(&self.index).read_owned().await
    }

    /// The index, if nobody changes it just now.
    pub(super) fn try_read(&self) -> Option<Reading> {
        Arc::clone(&self.index).try_read_owned().ok()
    }

    pub(super) async fn write(&self) -> OwnedRwLockWriteGuard<Option<Box<Index>>> {
        self.waiting.fetch_add(1, SeqCst);
        let _waits = Waits(&self.waiting);
        Arc::clone(&self.index).write_owned().await
    }

    /// Whether somebody waits to change the index.
    pub(super) fn is_wanted(&self) -> bool {
        self.waiting.load(SeqCst) > 0
    }

    pub(super) async fn turn(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.turn).lock_owned().await
    }

    /// The turn, unless somebody has it.
    pub(super) fn try_turn(&self) -> Option<OwnedMutexGuard<()>> {
        Arc::clone(&self.turn).try_lock_owned().ok()
    }

    /// The right to bring events along, unless somebody has it.
    pub(super) fn try_bring(&self) -> Option<OwnedMutexGuard<()>> {
        Arc::clone(&self.bringing).try_lock_owned().ok()
    }

    /// The last event that the index knows of.
    pub(super) async fn seq(&self) -> Option<Seq> {
        self.read().await.as_deref().map(Index::seq)
    }

    /// Puts an index of so many bytes in its place.
    pub(super) async fn put(&self, index: Index, bytes: usize, budget: &Budget) {
        let contacts = index.len();
        let mut place = self.write().await;
        *place = Some(Box::new(index));
        self.recount(bytes, contacts, budget);
    }

    /// Takes the index away, whoever is at it.
    pub(super) async fn clear(&self, budget: &Budget) {
        let mut place = self.write().await;
        let taken = place.take();
        self.recount(0, 0, budget);
        drop(place);
        free(taken);
    }

    /// Notes what the index takes.
    pub(super) fn recount(&self, bytes: usize, contacts: usize, budget: &Budget) {
        self.uncounted.store(0, SeqCst);
        self.contacts.store(contacts, SeqCst);
        budget.count(self.bytes.swap(bytes, SeqCst), bytes);
    }

    /// Takes the index away unless somebody is at it. Answers whether there was one.
    pub(super) fn try_drop(&self, budget: &Budget) -> bool {
        let Ok(mut index) = Arc::clone(&self.index).try_write_owned() else { return false };
        let Some(taken) = index.take() else { return false };
        self.recount(0, 0, budget);
        drop(index);
        free(taken);
        true
    }

    /// Counts a load, for which the budget has made room, instead of what was counted before.
    pub(super) fn reserve(&self, bytes: usize, budget: &Budget) {
        budget.count(self.bytes.swap(bytes, SeqCst), 0);
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(SeqCst)
    }

    pub(super) fn contacts(&self) -> usize {
        self.contacts.load(SeqCst)
    }

    pub(super) fn touch(&self, tick: u64) {
        self.used.store(tick, SeqCst);
    }

    pub(super) fn used(&self) -> u64 {
        self.used.load(SeqCst)
    }

    /// Notes that events were applied.
    pub(super) fn followed(&self, events: usize) {
        self.uncounted.fetch_add(events, SeqCst);
    }

    pub(super) fn is_uncounted(&self) -> bool {
        self.uncounted.load(SeqCst) > 0
    }

    /// The last event of the snapshot's file; 0 where there is none.
    pub(super) fn saved(&self) -> Seq {
        Seq(self.saved.load(SeqCst))
    }

    /// Notes up to which event there is a snapshot's file, which holds nobody erased before.
    pub(super) fn set_saved(&self, seq: Seq) {
        self.saved.store(seq.0, SeqCst);
        self.examined.store(seq.0, SeqCst);
    }

    pub(super) fn examined(&self) -> Seq {
        Seq(self.examined.load(SeqCst))
    }

    pub(super) fn set_examined(&self, seq: Seq) {
        self.examined.fetch_max(seq.0, SeqCst);
    }

    /// Whether so many contacts are known not to fit into memory.
    pub(super) fn refuses(&self, contacts: u64) -> bool {
        let from = self.refused_from.load(SeqCst);
        from > 0 && contacts >= from
    }

    pub(super) fn is_refused(&self) -> bool {
        self.refused_from.load(SeqCst) > 0
    }

    /// Notes from how many contacts on it does not fit; 0 where it does.
    pub(super) fn refuse_from(&self, contacts: u64) {
        self.refused_from.store(contacts, SeqCst);
    }

    /// Whether a snapshot may be written in this round.
    pub(super) fn is_due(&self, round: u64) -> bool {
        self.due.load(SeqCst) <= round
    }

    pub(super) fn set_due(&self, round: u64) {
        self.due.store(round, SeqCst);
    }

    /// Whether grams were forgone for want of memory.
    pub(super) fn is_forgone(&self) -> bool {
        self.forgone.load(SeqCst)
    }

    pub(super) fn set_forgone(&self, forgone: bool) {
        self.forgone.store(forgone, SeqCst);
    }
}
