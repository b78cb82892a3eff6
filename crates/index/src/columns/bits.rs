//! A set of slots as a bit for each: what conditions come to, and what and, or and not are of them.

use std::io;

use crate::{
    Slot,
    select::slots_of,
    snapshot::{Reader, SnapshotError, Writer},
};

/// A set of slots.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    /// The set that a bit for each slot tells.
    pub(crate) fn of(words: &[u64]) -> Self {
        Self(words.to_vec())
    }

    /// The set that `word` tells, sixty-four slots at a time.
    pub(crate) fn of_words(words: usize, word: impl FnMut(usize) -> u64) -> Self {
        Self((0..words).map(word).collect())
    }

    pub(crate) fn set(&mut self, slot: Slot, member: bool) {
        let (word, bit) = (slot as usize / 64, 1 << (slot % 64));
        if member && self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        if let Some(place) = self.0.get_mut(word) {
            if member {
                *place |= bit;
            } else {
                *place &= !bit;
            }
        }
    }

    /// Adds up to sixty-four slots from one on, the lowest bit first.
    pub(crate) fn mark(&mut self, at: Slot, bits: u64) {
        let (word, shift) = (at as usize / 64, at % 64);
        let halves = u128::from(bits) << shift;
        let last = word + usize::from(halves > u128::from(u64::MAX));
        if self.0.len() <= last {
            self.0.resize(last + 1, 0);
        }
        let places = self.0.iter_mut().skip(word);
        places.zip([halves, halves >> 64]).for_each(|(place, half)| *place |= low(half));
    }

    pub(crate) fn contains(&self, slot: Slot) -> bool {
        self.word(slot as usize / 64) & (1 << (slot % 64)) != 0
    }

    /// The bits of sixty-four slots; none beyond the last.
    pub(crate) fn word(&self, word: usize) -> u64 {
        self.0.get(word).copied().unwrap_or_default()
    }

    /// How many times sixty-four slots it may have.
    pub(crate) fn words(&self) -> usize {
        self.0.len()
    }

    /// A bit for each slot.
    pub(crate) fn as_words(&self) -> &[u64] {
        &self.0
    }

    /// Leaves what is in the other set, too.
    pub(crate) fn intersect(&mut self, other: &Self) {
        self.0.truncate(other.0.len());
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a &= b);
    }

    /// Adds what is in the other set.
    pub(crate) fn unite(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a |= b);
    }

    /// What of the universe is not in the set.
    pub(crate) fn complement(&self, universe: &Self) -> Self {
        Self::of_words(universe.0.len(), |word| universe.word(word) & !self.word(word))
    }

    /// Those that pass a test.
    pub(crate) fn filtered(&self, test: &dyn Fn(Slot) -> bool) -> Self {
        let mut passed = Self(vec![0; self.0.len()]);
        for slot in self.slots().filter(|slot| test(*slot)) {
            passed.set(slot, true);
        }
        passed
    }

    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The slots, in order.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot> + use<'_> {
        slots_of(&self.0)
    }

    pub(crate) fn write(&self, out: &mut Writer<'_>) -> io::Result<()> {
        out.array(&self.0)
    }

    pub(crate) fn read(input: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        Ok(Self(input.array()?))
    }

    /// Bytes of heap.
    pub(crate) fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<u64>()
    }
}

/// The lower sixty-four bits.
#[expect(clippy::cast_possible_truncation, reason = "that is what is wanted")]
fn low(bits: u128) -> u64 {
    bits as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(slots: &[Slot]) -> Bits {
        let mut bits = Bits::default();
        for slot in slots {
            bits.set(*slot, true);
        }
        bits
    }

    fn slots(bits: &Bits) -> Vec<Slot> {
        bits.slots().collect()
    }

    #[test]
    fn sets_are_joined_whatever_their_lengths() {
        let (a, b) = (bits(&[0, 63, 64, 200]), bits(&[63, 65]));
        for (one, other) in [(&a, &b), (&b, &a)] {
            let (mut both, mut any) = (one.clone(), one.clone());
            both.intersect(other);
            any.unite(other);
            assert_eq!((slots(&both), slots(&any)), (vec![63], vec![0, 63, 64, 65, 200]));
            assert_eq!((both.len(), any.len()), (1, 5));
        }
        assert_eq!(slots(&b.complement(&a)), [0, 64, 200]);
        assert_eq!(slots(&a.complement(&b)), [65]);
    }

    #[test]
    fn a_slot_comes_and_goes() {
        let mut a = bits(&[7, 70]);
        assert!(a.contains(70) && !a.contains(71) && !a.contains(7000));
        a.set(70, false);
        a.set(7000, false);
        assert_eq!(slots(&a), [7]);
    }
}
