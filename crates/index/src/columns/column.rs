//! The values of one attribute, by slot.
//!
//! Values that many share stand in a dictionary, and a slot has the number of its value: a
//! condition looks at each value once and then at the numbers alone. Where there are too many
//! values for that and nearly all are numbers, the numbers themselves are kept; of texts, a hash is
//! (`hashes.rs`), and few rows have to tell.

mod plain;
mod stored;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc};

use hashbrown::DefaultHashBuilder;
use meishi_contacts::{
    attributes::plain_string,
    filter::{Condition, Datum, Num},
};
use serde_json::Value;

use super::{bits::Bits, hashes::Hashes};
use crate::Slot;

/// Distinct values of an attribute that are kept.
const VALUES: usize = 32 * 1024;

/// Bytes of the JSON of a value that is kept.
const VALUE_BYTES: usize = 256;

/// Slots of a column of numbers whose values are none.
const ODD: usize = 4096;

/// What a number stands for.
type Code = u16;

/// There is no value.
const ABSENT: Code = 0;

/// There is one that is not kept.
const OPEN: Code = Code::MAX;

/// What a condition comes to.
pub(crate) struct Outcome {
    /// Who surely meets it.
    pub(crate) must: Bits,
    /// Who may: they, and others of whom only rows can tell.
    pub(crate) may: Bits,
}

impl Outcome {
    /// Whether there are no others.
    pub(crate) fn is_exact(&self) -> bool {
        self.must.len() == self.may.len()
    }
}

#[derive(Debug)]
pub(crate) enum Column {
    Coded(Coded),
    Numbers(Numbers),
    Hashes(Hashes),
    /// Too many values of too many kinds.
    GivenUp,
}

impl Default for Column {
    fn default() -> Self {
        Self::Coded(Coded::default())
    }
}

impl Column {
    /// Gives a slot its value, `None` where it has none.
    /// There is room for so many values more.
    pub(crate) fn set(&mut self, slot: Slot, value: Option<&Value>, room: usize) {
        match self {
            Self::Coded(coded) => {
                if !coded.set(slot, value, room) {
                    *self = match coded.numbers() {
                        Some(numbers) => Self::Numbers(numbers),
                        None => Self::Hashes(coded.hashes()),
                    };
                    self.set(slot, value, 0);
                }
            }
            Self::Numbers(numbers) => {
                if !numbers.set(slot, value) {
                    *self = Self::GivenUp;
                }
            }
            Self::Hashes(hashes) => hashes.set(slot, value),
            Self::GivenUp => {}
        }
    }

    /// The same of the JSON of a value, which is read only where it must be.
    pub(crate) fn set_json(&mut self, slot: Slot, json: &str, room: usize) {
        let is_set = match self {
            Self::Coded(coded) => coded.set_known(slot, json),
            Self::Numbers(numbers) => numbers.set_plain(slot, json),
            Self::Hashes(hashes) => {
                plain_string(json).map(|text| hashes.set_text(slot, text)).is_some()
            }
            Self::GivenUp => true,
        };
        if !is_set {
            let value: Value = serde_json::from_str(json).unwrap_or_default();
            self.set(slot, Some(&value), room);
        }
    }

    /// Distinct values that it keeps.
    pub(crate) fn values(&self) -> usize {
        match self {
            Self::Coded(coded) => coded.codes_of.len(),
            Self::Numbers(_) | Self::Hashes(_) | Self::GivenUp => 0,
        }
    }

    /// Whether nobody has a value, so that the column can go.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Coded(coded) if coded.users == 0)
    }

    /// Who of the universe meets a condition; `None` where only rows can tell.
    pub(crate) fn evaluate(&self, condition: &Condition, universe: &Bits) -> Option<Outcome> {
        match self {
            Self::Coded(coded) => Some(coded.evaluate(condition, universe)),
            Self::Numbers(numbers) => numbers.evaluate(condition, universe),
            Self::Hashes(hashes) => hashes.evaluate(condition, universe),
            Self::GivenUp => None,
        }
    }

    pub(crate) fn shrink(&mut self) {
        match self {
            Self::Coded(coded) => coded.codes.shrink_to_fit(),
            Self::Numbers(numbers) => numbers.by_slot.shrink_to_fit(),
            Self::Hashes(hashes) => hashes.shrink(),
            Self::GivenUp => {}
        }
    }

    /// Bytes of heap, about.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Coded(coded) => {
                coded.codes.capacity() * size_of::<Code>()
                    + coded.known.capacity() * size_of::<Known>()
                    + coded.free.capacity() * size_of::<Code>()
                    + coded.codes_of.capacity() * 8 / 7 * (size_of::<(Arc<str>, Code)>() + 1)
                    + coded.held
            }
            Self::Numbers(numbers) => {
                numbers.by_slot.capacity() * size_of::<f64>()
                    + numbers.odd.capacity() * 8 / 7 * (size_of::<(Slot, Option<Odd>)>() + 1)
                    + numbers.odd.values().flatten().map(Odd::held).sum::<usize>()
            }
            Self::Hashes(hashes) => hashes.bytes(),
            Self::GivenUp => 0,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Coded {
    codes: Vec<Code>,
    /// By the JSON of a value. Values are so few that even if all of them had the same hash, it
    /// would not take long to compare them.
    codes_of: HashMap<Arc<str>, Code, DefaultHashBuilder>,
    /// By number less one.
    known: Vec<Known>,
    free: Vec<Code>,
    /// Slots with a value, be it one that is not kept.
    users: usize,
    /// Bytes that the values hold.
    held: usize,
}

/// A value that some slots have.
#[derive(Debug)]
struct Known {
    json: Arc<str>,
    datum: Datum<'static>,
    users: u32,
}

impl Known {
    fn held(&self) -> usize {
        // With the two counters of the text.
        self.json.len() + 24 + self.datum.held()
    }
}

impl Coded {
    /// Gives a slot its value; `false` where there are too many, and all is as it was but that the
    /// slot has none.
    fn set(&mut self, slot: Slot, value: Option<&Value>, room: usize) -> bool {
        self.release(slot);
        let Some(value) = value.filter(|value| !value.is_null()) else { return true };
        let Some(code) = self.code(value, room) else { return false };
        self.assign(slot, code);
        true
    }

    /// Gives a slot a value that others have; `false` where it must be read first.
    fn set_known(&mut self, slot: Slot, json: &str) -> bool {
        if json.len() > VALUE_BYTES || !plain::is_canonical(json) {
            return false;
        }
        let Some(code) = self.known_code(json) else { return false };
        self.release(slot);
        self.assign(slot, code);
        true
    }

    fn assign(&mut self, slot: Slot, code: Code) {
        let at = slot as usize;
        if self.codes.len() <= at {
            self.codes.resize(at + 1, ABSENT);
        }
        if let Some(place) = self.codes.get_mut(at) {
            *place = code;
            self.users += 1;
        }
    }

    fn release(&mut self, slot: Slot) {
        let Some(place) = self.codes.get_mut(slot as usize) else { return };
        let code = std::mem::replace(place, ABSENT);
        if code == ABSENT {
            return;
        }
        self.users -= 1;
        if let Some(known) = self.known.get_mut(usize::from(code - 1)) {
            known.users -= 1;
            if known.users == 0 {
                self.held -= known.held();
                self.codes_of.remove(&known.json);
                *known = Known { json: Arc::default(), datum: Datum::Absent, users: 0 };
                self.free.push(code);
            }
        }
    }

    /// The number of a value that one more slot has.
    fn code(&mut self, value: &Value, room: usize) -> Option<Code> {
        let json = json_of(value);
        if json.len() > VALUE_BYTES {
            return Some(OPEN);
        }
        if let Some(code) = self.known_code(&json) {
            return Some(code);
        }
        if self.codes_of.len() == VALUES || room == 0 {
            return None;
        }
        let json: Arc<str> = json.into();
        let known = Known { json: Arc::clone(&json), datum: Datum::of(Some(value)), users: 1 };
        self.held += known.held();
        let code = if let Some(code) = self.free.pop() {
            *self.known.get_mut(usize::from(code - 1))? = known;
            code
        } else {
            self.known.push(known);
            Code::try_from(self.known.len()).ok()?
        };
        self.codes_of.insert(json, code);
        Some(code)
    }

    /// The number of a value that some slots have and one more has now.
    fn known_code(&mut self, json: &str) -> Option<Code> {
        let code = *self.codes_of.get(json)?;
        self.known.get_mut(usize::from(code - 1))?.users += 1;
        Some(code)
    }

    /// The column of numbers that it becomes, if it nearly has no other values.
    fn numbers(&self) -> Option<Numbers> {
        let mut numbers = Numbers::default();
        for (slot, code) in (0..).zip(&self.codes) {
            let known = code.checked_sub(1).and_then(|code| self.known.get(usize::from(code)));
            match known {
                None if *code == ABSENT => {}
                None => numbers.keep(slot, None).then_some(())?,
                Some(known) => numbers.put(slot, &known.datum, || &known.json).then_some(())?,
            }
        }
        (numbers.odd.len() * 16 <= self.users).then_some(numbers)
    }

    /// The column of hashes that it becomes.
    fn hashes(&self) -> Hashes {
        let mut hashes = Hashes::default();
        for (slot, code) in (0..).zip(&self.codes) {
            let known = code.checked_sub(1).and_then(|code| self.known.get(usize::from(code)));
            match known.map(|known| serde_json::from_str(&known.json).unwrap_or_default()) {
                None if *code == ABSENT => {}
                None => hashes.leave_open(slot),
                value => hashes.set(slot, value.as_ref()),
            }
        }
        hashes
    }

    fn evaluate(&self, condition: &Condition, universe: &Bits) -> Outcome {
        let mut met = vec![condition.is_met_by(&Datum::Absent)];
        met.extend(self.known.iter().map(|known| condition.is_met_by(&known.datum)));
        let is_met = |code: &Code| met.get(usize::from(*code)).is_some_and(|met| *met);
        let absent = is_met(&ABSENT);
        let mut chunks = self.codes.chunks(64);
        let must = Bits::of_words(universe.words(), |word| {
            let universe = universe.word(word);
            let codes = chunks.next().unwrap_or_default();
            let bits = bits_of(codes, is_met);
            // Beyond the last slot that has a value, nobody has one.
            let beyond = if absent && codes.len() < 64 { u64::MAX << codes.len() } else { 0 };
            (bits | beyond) & universe
        });
        let mut may = must.clone();
        if self.users > self.known.iter().map(|known| known.users as usize).sum() {
            let mut chunks = self.codes.chunks(64);
            may.unite(&Bits::of_words(universe.words(), |word| {
                let codes = chunks.next().unwrap_or_default();
                bits_of(codes, |code| *code == OPEN) & universe.word(word)
            }));
        }
        Outcome { must, may }
    }
}

/// The JSON of a value, as far as it is kept.
fn json_of(value: &Value) -> String {
    // Of objects nothing is asked but whether they are there.
    if value.is_object() { "{}".to_owned() } else { value.to_string() }
}

/// A bit for each value that passes; at most sixty-four.
pub(super) fn bits_of<T>(values: &[T], passes: impl Fn(&T) -> bool) -> u64 {
    values.iter().rev().fold(0, |bits, value| bits << 1 | u64::from(passes(value)))
}

/// Numbers of which hardly two are the same.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    /// NaN where there is no value, or an odd one.
    by_slot: Vec<f64>,
    /// Values that are no numbers of that kind; `None` for one that is not kept.
    odd: HashMap<Slot, Option<Odd>>,
}

#[derive(Debug)]
struct Odd {
    json: Box<str>,
    datum: Datum<'static>,
}

impl Odd {
    fn held(&self) -> usize {
        self.json.len() + self.datum.held()
    }
}

impl Numbers {
    fn set(&mut self, slot: Slot, value: Option<&Value>) -> bool {
        self.odd.remove(&slot);
        if let Some(place) = self.by_slot.get_mut(slot as usize) {
            *place = f64::NAN;
        }
        match value {
            None | Some(Value::Null) => true,
            Some(Value::String(text)) if text.len() > VALUE_BYTES => self.keep(slot, None),
            Some(Value::Array(_)) => self.keep(slot, None),
            Some(value) => self.put(slot, &Datum::of(Some(value)), || json_of(value)),
        }
    }

    /// Gives a slot a number; `false` where the value must be read first.
    fn set_plain(&mut self, slot: Slot, json: &str) -> bool {
        let Some(number) = plain::plain_number(json) else { return false };
        self.odd.remove(&slot);
        self.put_exact(slot, number);
        true
    }

    /// Keeps a value; `false` where too many are odd.
    fn put<J: AsRef<str>>(
        &mut self,
        slot: Slot,
        datum: &Datum<'static>,
        json: impl FnOnce() -> J,
    ) -> bool {
        let exact = datum.as_number().filter(|number| {
            // Above it, floats leave integers out, and the next one becomes this.
            number.as_f64().abs() < 9_007_199_254_740_992.0
        });
        let Some(number) = exact else {
            let odd = Odd { json: json().as_ref().into(), datum: datum.clone() };
            return self.keep(slot, Some(odd));
        };
        self.put_exact(slot, number.as_f64());
        true
    }

    fn put_exact(&mut self, slot: Slot, number: f64) {
        let at = slot as usize;
        if self.by_slot.len() <= at {
            self.by_slot.resize(at + 1, f64::NAN);
        }
        if let Some(place) = self.by_slot.get_mut(at) {
            *place = number;
        }
    }

    fn keep(&mut self, slot: Slot, odd: Option<Odd>) -> bool {
        self.odd.insert(slot, odd);
        self.odd.len() <= ODD
    }

    fn evaluate(&self, condition: &Condition, universe: &Bits) -> Option<Outcome> {
        // Asked of a number's text, only rows can tell.
        condition.is_met_by_number(Num::Int(0))?;
        let absent = condition.is_met_by(&Datum::Absent);
        let is_met = |number: &f64| match Num::of_float(*number) {
            Some(number) => condition.is_met_by_number(number).unwrap_or_default(),
            None => absent,
        };
        let mut chunks = self.by_slot.chunks(64);
        let mut must = Bits::of_words(universe.words(), |word| {
            let universe = universe.word(word);
            let numbers = chunks.next().unwrap_or_default();
            let beyond = if absent && numbers.len() < 64 { u64::MAX << numbers.len() } else { 0 };
            (bits_of(numbers, is_met) | beyond) & universe
        });
        let mut open = Bits::default();
        for (slot, odd) in &self.odd {
            let is_met = odd.as_ref().is_some_and(|odd| condition.is_met_by(&odd.datum));
            must.set(*slot, is_met);
            open.set(*slot, odd.is_none());
        }
        let mut may = must.clone();
        may.unite(&open);
        may.intersect(universe);
        Some(Outcome { must, may })
    }
}
