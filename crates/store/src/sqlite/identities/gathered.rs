//! The new addresses as memory holds them, until they are in the sorted table.

use std::{
    sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    thread,
};

use hashbrown::{DefaultHashBuilder, HashSet};
use indexmap::{Equivalent, IndexMap};
use meishi_contacts::{AccountId, ContactId, Identity};

/// No more than so many are sorted at once, in well under a millisecond; more are sorted on a
/// thread of their own.
pub(super) const SORTED_AT_ONCE: usize = 1000;

/// An address of an account: those of a kind lie together in the sorted table.
pub(super) type Key = (AccountId, Identity);

pub(super) type Map<V> = IndexMap<Key, V, DefaultHashBuilder>;

/// A key that is looked up: hashed as one.
#[derive(Hash)]
pub(super) struct Asked<'a>(pub(super) AccountId, pub(super) &'a Identity);

impl Equivalent<Key> for Asked<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.0 == key.0 && *self.1 == key.1
    }
}

/// Who holds an address that is in the appended table, and where in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) contact: ContactId,
    pub(super) position: i64,
}

/// Addresses that are being folded. They stay as they are, so that they can be sorted meanwhile.
#[derive(Debug, Default)]
pub(super) struct Folding {
    all: Map<Held>,
    /// Their indices in the order of the sorted table, once it is known.
    order: OnceLock<Vec<u32>>,
}

impl Folding {
    /// Begins to sort them: half a million take some tenths of a second, which no commit may wait
    /// for.
    fn begin(all: Map<Held>) -> Arc<Self> {
        let folding = Arc::new(Self { all, order: OnceLock::new() });
        let beside = Arc::clone(&folding);
        let sort = move || beside.sort();
        let is_large = folding.all.len() > SORTED_AT_ONCE;
        if !is_large || thread::Builder::new().name("meishi-sort".into()).spawn(sort).is_err() {
            folding.sort();
        }
        folding
    }

    fn sort(&self) {
        let key = |index: &u32| self.all.get_index(*index as usize).map(|(key, _)| key);
        self.order.get_or_init(|| {
            // Beside the beginning of each, since the rest lies at random places of memory.
            let heads = self.all.keys().map(|(account, Identity { kind, value })| {
                let mut head = [0; 16];
                for (to, byte) in head.iter_mut().zip(value.bytes()) {
                    *to = byte;
                }
                (account.0, *kind, head)
            });
            let mut order: Vec<_> = heads.zip(0_u32..).collect();
            order.sort_unstable_by(|(head, index), (other, other_index)| {
                head.cmp(other).then_with(|| key(index).cmp(&key(other_index)))
            });
            order.into_iter().map(|(_, index)| index).collect()
        });
    }
}

/// What memory holds, as it was committed last.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) recent: Map<Held>,
    /// Those that are being folded: they are in the appended table, and some in the sorted one too.
    folding: Arc<Folding>,
    /// The indices of those of them that were taken since.
    gone: HashSet<usize>,
    /// Those of the sorted table that the transaction being committed gives to somebody else.
    pub(super) moving: Map<ContactId>,
}

impl Gathered {
    pub(super) fn get(&self, asked: &Asked<'_>) -> Option<Held> {
        if let Some(held) = self.recent.get(asked) {
            return Some(*held);
        }
        let (index, _, held) = self.folding.all.get_full(asked)?;
        (!self.gone.contains(&index)).then_some(*held)
    }

    /// Takes an address from whoever holds it.
    pub(super) fn remove(&mut self, key: &Key) {
        self.recent.swap_remove(key);
        self.gone.extend(self.folding.all.get_index_of(key));
    }

    #[cfg(test)]
    pub(super) fn wait(&self) {
        self.folding.sort();
    }

    /// From here on those are folded that came until now.
    pub(super) fn begin_folding(&mut self) {
        // As many will come again: a map that grows is copied, while a commit waits.
        let room = self.recent.len() + self.recent.len() / 8;
        let next = Map::with_capacity_and_hasher(room, DefaultHashBuilder::default());
        self.folding = Folding::begin(std::mem::replace(&mut self.recent, next));
    }

    /// Those that are to be folded after the first `done`, in the order of the sorted table, but
    /// for those that were taken; nothing while they are being sorted.
    pub(super) fn sorted(
        &self,
        done: usize,
    ) -> Option<impl ExactSizeIterator<Item = Option<(&Key, &Held)>>> {
        let rest = self.folding.order.get()?.get(done..)?;
        Some(rest.iter().map(|index| {
            let index = *index as usize;
            self.folding.all.get_index(index).filter(|_| !self.gone.contains(&index))
        }))
    }

    /// All are folded.
    pub(super) fn end_folding(&mut self) {
        self.gone = HashSet::new();
        let folded = std::mem::take(&mut self.folding);
        // To free them takes some milliseconds, which no commit need wait for.
        let _ = thread::Builder::new().spawn(move || drop(folded));
    }
}

/// What memory holds of the ledger, for readers.
#[derive(Debug, Clone, Default)]
pub(in crate::sqlite) struct Recent(Arc<RwLock<Gathered>>);

impl Recent {
    pub(super) fn new(recent: Map<Held>) -> Self {
        Self(Arc::new(RwLock::new(Gathered { recent, ..Gathered::default() })))
    }

    /// Who holds an address, as far as memory knows.
    pub(in crate::sqlite) fn owner(
        &self,
        account: AccountId,
        identity: &Identity,
    ) -> Option<ContactId> {
        self.read().get(&Asked(account, identity)).map(|held| held.contact)
    }

    /// The same of an address that neither memory nor, after that, the sorted table held: it may
    /// have come to somebody else in between.
    pub(in crate::sqlite) fn next_owner(
        &self,
        account: AccountId,
        identity: &Identity,
    ) -> Option<ContactId> {
        let (gathered, asked) = (self.read(), Asked(account, identity));
        let held = gathered.get(&asked).map(|held| held.contact);
        held.or_else(|| gathered.moving.get(&asked).copied())
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Gathered> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Gathered> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
