//! A set of slots, small in memory and cheap to change: which contacts hold a gram or a word.
//!
//! Most sets are tiny and lie in the value itself. A larger one is a row of blocks of some hundred
//! slots each, in order, so that a change rewrites one block and a search skips those that it does
//! not need. A block holds the distances between its slots, a byte for most, or, where they lie
//! densely, a bit for every slot of its span. Roaring bitmaps, which cut the span in fixed pieces,
//! cost a container of some 50 bytes a piece however few slots lie in it, and most grams are rare.

mod stored;

use std::mem::size_of;

use crate::{
    Slot,
    block::{Block, FULL},
    columns::Bits,
};

/// Slots that lie in the value itself, at most.
const FEW: usize = 4;

/// Where a few are fewer.
const NOBODY: Slot = Slot::MAX;

#[derive(Debug)]
pub(crate) enum Postings {
    /// In order, then [`NOBODY`].
    Few([Slot; FEW]),
    /// In order, none of them empty.
    Many(Vec<Block>),
}

impl Default for Postings {
    fn default() -> Self {
        Self::Few([NOBODY; FEW])
    }
}

impl Postings {
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Few(slots) => slots.first() == Some(&NOBODY),
            Self::Many(blocks) => blocks.is_empty(),
        }
    }

    /// How many slots.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Few(slots) => slots.iter().filter(|slot| **slot != NOBODY).count(),
            Self::Many(blocks) => blocks.iter().map(|block| block.count as usize).sum(),
        }
    }

    /// About how many slots, at little cost: for a choice between sets.
    pub(crate) fn estimate(&self) -> usize {
        match self {
            Self::Few(_) => FEW,
            Self::Many(blocks) => {
                let count = |block: Option<&Block>| block.map_or(0, |block| block.count as usize);
                // Whole but for the ends, or a sample of them.
                let middle = count(blocks.get(blocks.len() / 2));
                count(blocks.first()) + middle * blocks.len().saturating_sub(1)
            }
        }
    }

    /// Bytes of heap.
    pub(crate) fn held(&self) -> usize {
        match self {
            Self::Few(_) => 0,
            Self::Many(blocks) => {
                let bytes = |block: &Block| block.bytes.capacity().next_multiple_of(16) + 8;
                blocks.capacity() * size_of::<Block>() + blocks.iter().map(bytes).sum::<usize>()
            }
        }
    }

    /// Adds a slot that no member is higher than; tells whether it is new.
    pub(crate) fn push(&mut self, slot: Slot) -> bool {
        match self {
            Self::Few(slots) => {
                if slots.contains(&slot) {
                    return false;
                }
                if let Some(free) = slots.iter_mut().find(|place| **place == NOBODY) {
                    *free = slot;
                    return true;
                }
                let mut block = Block::of(slots);
                block.push(slot);
                *self = Self::Many(vec![block]);
                true
            }
            Self::Many(blocks) => {
                if let Some(tail) = blocks.last_mut() {
                    if tail.holds_last(slot) {
                        return false;
                    }
                    if tail.push(slot) {
                        return true;
                    }
                    tail.close();
                }
                blocks.push(Block::of(&[slot]));
                true
            }
        }
    }

    /// Adds a slot.
    pub(crate) fn insert(&mut self, slot: Slot) {
        match self {
            Self::Few(slots) => {
                if slots.contains(&slot) {
                    return;
                }
                if let Some(free) = slots.iter_mut().find(|place| **place == NOBODY) {
                    *free = slot;
                    slots.sort_unstable();
                    return;
                }
                let mut all = slots.to_vec();
                all.push(slot);
                all.sort_unstable();
                *self = Self::Many(vec![Block::of(&all)]);
            }
            Self::Many(blocks) => {
                if blocks.last().is_some_and(|tail| slot > tail.last) {
                    self.push(slot);
                    return;
                }
                // The last block that begins before the slot, or else the first of all.
                let at = blocks.partition_point(|block| block.first <= slot).saturating_sub(1);
                let Some(block) = blocks.get_mut(at) else { return };
                if block.set(slot) {
                    return;
                }
                let mut all = block.slots();
                let Err(place) = all.binary_search(&slot) else { return };
                all.insert(place, slot);
                if all.len() <= FULL {
                    *block = Block::of(&all);
                } else {
                    let (low, high) = all.split_at(all.len() / 2);
                    *block = Block::of(low);
                    blocks.insert(at + 1, Block::of(high));
                }
            }
        }
    }

    /// Takes a slot away.
    pub(crate) fn remove(&mut self, slot: Slot) {
        match self {
            Self::Few(slots) => {
                if let Some(place) = slots.iter_mut().find(|place| **place == slot) {
                    *place = NOBODY;
                    slots.sort_unstable();
                }
            }
            Self::Many(blocks) => {
                let at = blocks.partition_point(|block| block.last < slot);
                let Some(block) = blocks.get_mut(at) else { return };
                if !block.unset(slot) {
                    let mut all = block.slots();
                    let Ok(place) = all.binary_search(&slot) else { return };
                    all.remove(place);
                    *block = Block::of(&all);
                }
                if (block.count as usize) < FULL / 4 {
                    self.tidy(at);
                }
            }
        }
    }

    /// Joins a block that has become small with its neighbour.
    fn tidy(&mut self, at: usize) {
        let Self::Many(blocks) = self else { return };
        let joined = blocks.get(at..at + 2).map(|pair| {
            let mut all: Vec<Slot> = pair.iter().flat_map(Block::slots).collect();
            all.truncate(FULL / 2 + 1);
            all
        });
        if let Some(all) = joined.filter(|all| all.len() <= FULL / 2) {
            blocks.remove(at + 1);
            if let Some(block) = blocks.get_mut(at) {
                *block = Block::of(&all);
            }
        }
        if blocks.get(at).is_some_and(|block| block.count == 0) {
            blocks.remove(at);
        }
        let rest = match blocks.as_slice() {
            [] => Vec::new(),
            [block] if block.count as usize <= FEW => block.slots(),
            _ => return,
        };
        let mut few = [NOBODY; FEW];
        few.iter_mut().zip(rest).for_each(|(place, slot)| *place = slot);
        *self = Self::Few(few);
    }

    /// Gives memory back that was kept for slots to come.
    pub(crate) fn shrink(&mut self) {
        if let Self::Many(blocks) = self {
            if let Some(tail) = blocks.last_mut() {
                tail.bytes.shrink_to_fit();
            }
            blocks.shrink_to_fit();
        }
    }

    /// Appends the slots, in order.
    pub(crate) fn read(&self, out: &mut Vec<Slot>) {
        match self {
            Self::Few(slots) => out.extend(slots.iter().filter(|slot| **slot != NOBODY)),
            Self::Many(blocks) => blocks.iter().for_each(|block| block.read(out)),
        }
    }

    /// Adds the slots to a set of bits.
    pub(crate) fn mark(&self, set: &mut Bits) {
        match self {
            Self::Few(slots) => {
                let slots = slots.iter().filter(|slot| **slot != NOBODY);
                slots.for_each(|slot| set.set(*slot, true));
            }
            Self::Many(blocks) => blocks.iter().for_each(|block| block.mark(set)),
        }
    }

    /// Leaves of some slots, which are in order, those that are in the set.
    pub(crate) fn retain(&self, slots: &mut Vec<Slot>) {
        let mut blocks = match self {
            Self::Few(few) => {
                slots.retain(|slot| few.contains(slot));
                return;
            }
            Self::Many(blocks) => blocks.as_slice(),
        };
        let mut kept = Vec::with_capacity(slots.len());
        let mut rest = slots.as_slice();
        let mut members = Vec::with_capacity(FULL);
        while let Some(first) = rest.first() {
            let skipped = blocks.partition_point(|block| block.last < *first);
            blocks = blocks.get(skipped..).unwrap_or_default();
            let Some(block) = blocks.first() else { break };
            let (within, after) = rest.split_at(rest.partition_point(|slot| *slot <= block.last));
            if block.dense {
                kept.extend(within.iter().filter(|slot| block.has_bit(**slot)));
            } else {
                members.clear();
                block.read(&mut members);
                intersect(within, &members, &mut kept);
            }
            rest = after;
        }
        *slots = kept;
    }
}

/// Appends what two ordered rows of slots share.
fn intersect(slots: &[Slot], members: &[Slot], kept: &mut Vec<Slot>) {
    if slots.len() < members.len() / 8 {
        // Mostly it is the members that go on.
        let mut rest = members;
        kept.extend(slots.iter().filter(|slot| {
            let lower = rest.iter().position(|member| member >= *slot).unwrap_or(rest.len());
            rest = rest.get(lower..).unwrap_or_default();
            rest.first() == Some(*slot)
        }));
        return;
    }
    // Which of the two goes on, nobody can foretell, so that there is no branch on it: a slot that is
    // not shared is overwritten by the next.
    let begins = kept.len();
    kept.resize(begins + slots.len().min(members.len()) + 1, 0);
    let places = kept.get_mut(begins..).unwrap_or_default();
    let (mut slot_at, mut member_at, mut at) = (0, 0, 0);
    while let (Some(slot), Some(member), Some(place)) =
        (slots.get(slot_at), members.get(member_at), places.get_mut(at))
    {
        *place = *slot;
        at += usize::from(slot == member);
        slot_at += usize::from(slot <= member);
        member_at += usize::from(member <= slot);
    }
    kept.truncate(begins + at);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn read(postings: &Postings) -> Vec<Slot> {
        let mut slots = Vec::new();
        postings.read(&mut slots);
        slots
    }

    fn check(postings: &Postings, model: &BTreeSet<Slot>, asked: &[Slot]) {
        assert_eq!(read(postings), model.iter().copied().collect::<Vec<_>>());
        assert_eq!(postings.is_empty(), model.is_empty());
        let mut bits = Bits::default();
        postings.mark(&mut bits);
        assert!(bits.slots().eq(model.iter().copied()));
        let mut kept = asked.to_vec();
        postings.retain(&mut kept);
        assert_eq!(kept, asked.iter().copied().filter(|s| model.contains(s)).collect::<Vec<_>>());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        /// Sets of all densities, built in order, then changed anywhere.
        #[test]
        fn it_holds_what_was_put_in(
            pushed in prop::collection::vec(prop_oneof![1..3_u32, 1..40_u32, 1..100_000_u32], 0..3000),
            changes in prop::collection::vec((any::<prop::sample::Index>(), 0..50_u32, 0..3_u8), 0..400),
            fewer in 0..3000_usize,
            after in prop::collection::vec(1..3_u32, 0..200),
        ) {
            let mut postings = Postings::default();
            let mut model = BTreeSet::new();
            let mut last = 0;
            for distance in pushed {
                last += distance;
                prop_assert!(postings.push(last));
                prop_assert!(!postings.push(last));
                model.insert(last);
            }
            postings.shrink();
            let asked: Vec<Slot> = model.iter().flat_map(|slot| [*slot - 1, *slot]).collect();
            let asked: Vec<Slot> = asked.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
            check(&postings, &model, &asked);
            for (which, near, kind) in changes {
                let slot = Slot::try_from(which.index(last as usize + 1)).unwrap() / 64 * 64 + near;
                if kind == 0 {
                    postings.remove(slot);
                    model.remove(&slot);
                } else {
                    postings.insert(slot);
                    model.insert(slot);
                }
            }
            check(&postings, &model, &asked);
            for slot in model.iter().copied().take(fewer).collect::<Vec<_>>() {
                postings.remove(slot);
                model.remove(&slot);
            }
            check(&postings, &model, &asked);
            let mut last = model.last().copied().unwrap_or_default();
            for distance in after {
                last += distance;
                postings.push(last);
                model.insert(last);
            }
            check(&postings, &model, &asked);
            for slot in model.iter().copied().collect::<Vec<_>>() {
                postings.remove(slot);
            }
            prop_assert!(postings.is_empty() && postings.held() == 0);
        }
    }

    #[test]
    fn it_is_small() {
        assert!(size_of::<Postings>() <= 24);
        let held = |distance: u32, count: u32| {
            let mut postings = Postings::default();
            (0..count).for_each(|number| {
                postings.push(number * distance);
            });
            postings.shrink();
            f64::from(u32::try_from(postings.held()).unwrap()) / f64::from(count)
        };
        assert!(held(1, 100_000) < 0.25, "{}", held(1, 100_000));
        assert!(held(5, 100_000) < 0.9, "{}", held(5, 100_000));
        assert!(held(100, 100_000) < 1.3, "{}", held(100, 100_000));
        assert!(held(10_000, 100) < 3.5, "{}", held(10_000, 100));
        assert!(held(10_000, 4) < 0.1);
    }

    /// Wherever a set is changed, it does not fall into ever smaller blocks.
    #[test]
    fn blocks_stay_filled() {
        let mut postings = Postings::default();
        for slot in 0..50_000 {
            postings.push(slot * 3);
        }
        let before = postings.held();
        for round in 0..5 {
            for slot in 0..50_000 {
                postings.remove(slot * 3 + round);
                postings.insert(slot * 3 + round + 1);
            }
        }
        assert!(postings.held() < before * 3, "{} {before}", postings.held());
    }
}
