//! Who bears which labels, by slot. Contacts of an account bear few different sets of them, so that
//! a set has a number and a slot has that.

use std::{collections::HashMap, mem::size_of, sync::Arc};

use super::{make_room, piece};
use crate::{Slot, labels::LabelId};

/// The number of a set; that of no labels is [`NONE`].
type SetId = u32;

const NONE: SetId = SetId::MAX;

#[derive(Debug, Default)]
pub(crate) struct LabelSets {
    by_slot: Vec<SetId>,
    /// By number.
    sets: Vec<LabelSet>,
    ids: HashMap<Arc<[LabelId]>, SetId>,
    free: Vec<SetId>,
    /// Bytes that the sets hold.
    held: usize,
}

#[derive(Debug)]
struct LabelSet {
    labels: Arc<[LabelId]>,
    /// How many bear it; a set that nobody bears is forgotten.
    users: u32,
}

impl LabelSets {
    /// One more slot, without labels.
    pub(crate) fn push(&mut self) {
        make_room(&mut self.by_slot);
        self.by_slot.push(NONE);
    }

    /// Gives a slot its labels.
    pub(crate) fn set(&mut self, slot: Slot, labels: &[LabelId]) {
        let id = self.take(labels);
        let place = self.by_slot.get_mut(slot as usize);
        let before = place.map_or(id, |place| std::mem::replace(place, id));
        self.give_back(before);
    }

    pub(crate) fn get(&self, slot: Slot) -> &[LabelId] {
        let id = self.by_slot.get(slot as usize).copied().unwrap_or(NONE);
        self.sets.get(id as usize).map_or(&[], |set| &set.labels)
    }

    /// The labels of all slots.
    pub(super) fn all(&self) -> impl Iterator<Item = &[LabelId]> {
        (0..).zip(&self.by_slot).map(|(slot, _)| self.get(slot))
    }

    /// The number of a set that one more slot bears.
    fn take(&mut self, labels: &[LabelId]) -> SetId {
        if labels.is_empty() {
            return NONE;
        }
        let id = self.ids.get(labels).copied().unwrap_or_else(|| self.add(labels));
        if let Some(set) = self.sets.get_mut(id as usize) {
            set.users += 1;
        }
        id
    }

    fn add(&mut self, labels: &[LabelId]) -> SetId {
        let labels: Arc<[LabelId]> = labels.into();
        self.held += held(&labels);
        let set = LabelSet { labels: Arc::clone(&labels), users: 0 };
        let id =
            self.free.pop().unwrap_or_else(|| SetId::try_from(self.sets.len()).unwrap_or(NONE));
        match self.sets.get_mut(id as usize) {
            Some(place) => *place = set,
            None => self.sets.push(set),
        }
        self.ids.insert(labels, id);
        id
    }

    fn give_back(&mut self, id: SetId) {
        let Some(set) = self.sets.get_mut(id as usize) else { return };
        set.users -= 1;
        if set.users == 0 {
            let labels = std::mem::take(&mut set.labels);
            self.held -= held(&labels);
            self.ids.remove(&labels);
            self.free.push(id);
        }
    }

    pub(crate) fn reserve(&mut self, slots: usize) {
        self.by_slot.reserve_exact(slots);
    }

    pub(crate) fn shrink(&mut self) {
        self.by_slot.shrink_to_fit();
    }

    /// Bytes of heap, about.
    pub(crate) fn bytes(&self) -> usize {
        self.by_slot.capacity() * size_of::<SetId>()
            + self.sets.capacity() * size_of::<LabelSet>()
            + self.ids.capacity() * 8 / 7 * (size_of::<(Arc<[LabelId]>, SetId)>() + 1)
            + self.free.capacity() * size_of::<SetId>()
            + self.held
    }
}

/// Bytes of a set, with its two counters.
fn held(labels: &[LabelId]) -> usize {
    piece(size_of_val(labels) + 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_that_nobody_bears_is_forgotten() {
        let mut sets = LabelSets::default();
        (0..3).for_each(|_| sets.push());
        sets.set(0, &[1, 2]);
        sets.set(1, &[1, 2]);
        sets.set(2, &[2]);
        sets.set(0, &[1, 2]);
        assert_eq!(sets.all().collect::<Vec<_>>(), [&[1, 2][..], &[1, 2], &[2]]);
        assert_eq!((sets.sets.len(), sets.ids.len()), (2, 2));
        sets.set(1, &[]);
        sets.set(0, &[3]);
        assert_eq!(sets.all().collect::<Vec<_>>(), [&[3][..], &[], &[2]]);
        sets.set(1, &[4]);
        assert_eq!((sets.sets.len(), sets.ids.len()), (3, 3));
        (0..3).for_each(|slot| sets.set(slot, &[]));
        assert!(sets.ids.is_empty() && sets.held == 0 && sets.get(1).is_empty());
    }
}
