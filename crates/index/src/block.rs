//! A piece of a set of slots: the distances between them or, where they lie densely, a bit for every
//! slot of the piece's span.

use crate::{Slot, columns::Bits};

/// Slots of a block of distances, at most.
pub(crate) const FULL: usize = 512;

/// Bytes of a block of bits, at most.
const DENSE_BYTES: usize = 1024;

#[derive(Debug)]
pub(crate) struct Block {
    /// In a block of distances the first slot; none is lower.
    pub(crate) first: Slot,
    /// In a block of distances the last slot; none is higher.
    pub(crate) last: Slot,
    /// How many slots.
    pub(crate) count: u16,
    /// Whether the bytes are bits, of which the first is for `first`.
    pub(crate) dense: bool,
    pub(crate) bytes: Vec<u8>,
}

impl Block {
    /// The block of slots that are in order, in the smaller form.
    pub(crate) fn of(slots: &[Slot]) -> Self {
        let (first, last) = match slots {
            [] => (0, 0),
            [first, ..] => (*first, slots.last().copied().unwrap_or(*first)),
        };
        let mut block = Self {
            first,
            last: first,
            count: u16::from(!slots.is_empty()),
            dense: false,
            bytes: Vec::new(),
        };
        slots.iter().skip(1).for_each(|slot| block.push_distance(*slot));
        let span = (last - first) as usize / 8 + 1;
        // Bits pay where distances would take more; a handful stays as it is, to grow.
        if slots.len() >= 64 && span <= DENSE_BYTES && span < block.bytes.len() {
            let mut bits = vec![0; span];
            for slot in slots {
                set_bit(&mut bits, slot - first);
            }
            return Self { last, dense: true, bytes: bits, ..block };
        }
        block.bytes.shrink_to_fit();
        block
    }

    pub(crate) fn holds_last(&self, slot: Slot) -> bool {
        self.last == slot && (!self.dense || self.has_bit(slot))
    }

    /// Adds a slot higher than all; `false` where there is no room.
    pub(crate) fn push(&mut self, slot: Slot) -> bool {
        if self.dense {
            return self.push_bit(slot);
        }
        if self.count as usize >= FULL {
            return false;
        }
        self.push_distance(slot);
        true
    }

    fn push_distance(&mut self, slot: Slot) {
        let mut distance = slot - self.last;
        while distance >= 0x80 {
            self.bytes.push(distance.to_le_bytes()[0] | 0x80);
            distance >>= 7;
        }
        self.bytes.push(distance.to_le_bytes()[0]);
        self.last = slot;
        self.count += 1;
    }

    fn push_bit(&mut self, slot: Slot) -> bool {
        let distance = slot - self.first;
        let byte = distance as usize / 8;
        // Neither over the largest span nor over a long gap.
        if byte >= DENSE_BYTES || byte > self.bytes.len() + 16 {
            return false;
        }
        if byte >= self.bytes.len() {
            self.bytes.resize(byte + 1, 0);
        }
        set_bit(&mut self.bytes, distance);
        self.last = slot;
        self.count += 1;
        true
    }

    /// Makes the block small when it is written to no more.
    pub(crate) fn close(&mut self) {
        if !self.dense && (self.last - self.first) as usize / 8 < self.bytes.len() {
            *self = Self::of(&self.slots());
        }
        self.bytes.shrink_to_fit();
    }

    /// Sets the bit of a slot, if there is one for it.
    pub(crate) fn set(&mut self, slot: Slot) -> bool {
        if !self.dense || slot < self.first || slot > self.last {
            return false;
        }
        if !self.has_bit(slot) {
            set_bit(&mut self.bytes, slot - self.first);
            self.count += 1;
        }
        true
    }

    /// Clears the bit of a slot; `false` where slots have no bits here.
    pub(crate) fn unset(&mut self, slot: Slot) -> bool {
        if self.dense && self.has_bit(slot) {
            let distance = slot - self.first;
            if let Some(byte) = self.bytes.get_mut(distance as usize / 8) {
                *byte &= !(1 << (distance % 8));
                self.count -= 1;
            }
        }
        self.dense
    }

    pub(crate) fn has_bit(&self, slot: Slot) -> bool {
        let Some(distance) = slot.checked_sub(self.first) else { return false };
        self.bytes.get(distance as usize / 8).is_some_and(|byte| byte & (1 << (distance % 8)) != 0)
    }

    pub(crate) fn slots(&self) -> Vec<Slot> {
        let mut slots = Vec::with_capacity(self.count as usize + 1);
        self.read(&mut slots);
        slots
    }

    /// Adds the slots to a set of bits.
    pub(crate) fn mark(&self, set: &mut Bits) {
        if self.dense {
            for (at, bytes) in (self.first..).step_by(64).zip(self.bytes.chunks(8)) {
                let bits = bytes.iter().rev().fold(0, |bits, byte| bits << 8 | u64::from(*byte));
                set.mark(at, bits);
            }
        } else {
            self.slots().into_iter().for_each(|slot| set.set(slot, true));
        }
    }

    pub(crate) fn read(&self, out: &mut Vec<Slot>) {
        if self.dense {
            for (at, byte) in (self.first..).step_by(8).zip(&self.bytes) {
                let mut bits = *byte;
                while bits != 0 {
                    out.push(at + bits.trailing_zeros());
                    bits &= bits - 1;
                }
            }
            return;
        }
        if self.count == 0 {
            return;
        }
        let begins = out.len();
        out.resize(begins + self.count as usize, self.first);
        let places = out.get_mut(begins + 1..).unwrap_or_default();
        let (mut slot, mut distance, mut shift, mut at) = (self.first, 0, 0, 0);
        // Without branches on what is in the bytes, which nobody can foretell: each byte writes to the
        // next place, and the last one of a distance goes on to the place after it.
        for byte in &self.bytes {
            let is_last = *byte < 0x80;
            distance |= Slot::from(byte & 0x7f) << shift;
            if let Some(place) = places.get_mut(at) {
                *place = slot + distance;
            }
            slot += if is_last { distance } else { 0 };
            (distance, shift) = if is_last { (0, 0) } else { (distance, shift + 7) };
            at += usize::from(is_last);
        }
        out.truncate(begins + 1 + at);
    }
}

fn set_bit(bits: &mut [u8], distance: u32) {
    if let Some(byte) = bits.get_mut(distance as usize / 8) {
        *byte |= 1 << (distance % 8);
    }
}
