//! What is kept of an attribute that has nearly as many texts as there are contacts: a hash of each
//! folded text. Who has another hash than what is asked for has another text; of whoever has the
//! same, only the row can tell, and those are few.

use std::{
    hash::{DefaultHasher, Hasher},
    io,
};

use meishi_contacts::{
    filter::{Condition, Datum, Operator},
    search::folded,
};
use serde_json::Value;

use super::{
    bits::Bits,
    column::{Outcome, bits_of},
};
use crate::{
    Slot,
    snapshot::{Reader, SnapshotError, Writer},
};

/// There is no value.
const ABSENT: u32 = 0;

/// There is one that is no text.
const OPEN: u32 = 1;

/// The empty text.
const EMPTY: u32 = 2;

#[derive(Debug, Default)]
pub(crate) struct Hashes(Vec<u32>);

impl Hashes {
    /// Gives a slot its value, `None` where it has none.
    pub(super) fn set(&mut self, slot: Slot, value: Option<&Value>) {
        self.put(
            slot,
            match value {
                None | Some(Value::Null) => ABSENT,
                Some(Value::String(text)) => hash(&folded(text)),
                Some(_) => OPEN,
            },
        );
    }

    /// Gives a slot a text.
    pub(super) fn set_text(&mut self, slot: Slot, text: &str) {
        self.put(slot, hash(&folded(text)));
    }

    /// Gives a slot a value of which nothing is known.
    pub(super) fn leave_open(&mut self, slot: Slot) {
        self.put(slot, OPEN);
    }

    fn put(&mut self, slot: Slot, hash: u32) {
        let at = slot as usize;
        if self.0.len() <= at && hash != ABSENT {
            self.0.resize(at + 1, ABSENT);
        }
        if let Some(place) = self.0.get_mut(at) {
            *place = hash;
        }
    }

    /// Who of the universe meets a condition; `None` where only rows can tell.
    pub(super) fn evaluate(&self, condition: &Condition, universe: &Bits) -> Option<Outcome> {
        let absent = condition.is_met_by(&Datum::Absent);
        let operator = condition.operator();
        let is_presence = matches!(operator, Operator::IsPresent | Operator::IsNotPresent);
        if !is_presence && !condition.is_of_equal_texts() {
            return None;
        }
        let wanted: Vec<u32> = condition.texts().map(hash).collect();
        // What is sure of a hash, and what may be.
        let judge = |found: u32| match found {
            ABSENT => (absent, absent),
            OPEN => (false, true),
            EMPTY if is_presence => (operator.is_negated(), operator.is_negated()),
            found if wanted.contains(&found) => (false, true),
            // A text that is there, and none of those that are asked for.
            _ => {
                let met = operator.is_negated() != is_presence;
                (met, met)
            }
        };
        let set = |choose: &dyn Fn((bool, bool)) -> bool| {
            let mut chunks = self.0.chunks(64);
            Bits::of_words(universe.words(), |word| {
                let hashes = chunks.next().unwrap_or_default();
                let beyond = if absent && hashes.len() < 64 { u64::MAX << hashes.len() } else { 0 };
                (bits_of(hashes, |hash| choose(judge(*hash))) | beyond) & universe.word(word)
            })
        };
        Some(Outcome { must: set(&|(must, _)| must), may: set(&|(_, may)| may) })
    }

    pub(super) fn shrink(&mut self) {
        self.0.shrink_to_fit();
    }

    pub(super) fn write(&self, out: &mut Writer<'_>) -> io::Result<()> {
        out.array(&self.0)
    }

    pub(super) fn read(input: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        Ok(Self(input.array()?))
    }

    /// Bytes of heap.
    pub(super) fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<u32>()
    }
}

/// A hash by which a snapshot with hashes of another kind is told: those of the standard library are
/// the same in every run, but need not be in every release.
pub(super) fn probe() -> u32 {
    hash("meishi")
}

/// The hash of a folded text, the same in every run.
fn hash(folded: &str) -> u32 {
    if folded.is_empty() {
        return EMPTY;
    }
    let mut hasher = DefaultHasher::new();
    hasher.write(folded.as_bytes());
    let [a, b, c, d, ..] = hasher.finish().to_be_bytes();
    u32::from_be_bytes([a, b, c, d]).max(EMPTY + 1)
}
