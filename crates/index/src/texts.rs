//! The searched texts of all contacts, one after another in large chunks, so that a search runs
//! over memory from one end to the other. A text is the four searched ones and, where folding
//! changes it, the name as it is, which no search looks at.
//!
//! A text that changes is written anew at the end; its old place is dead. A chunk that is mostly
//! dead is given up, and what lives in it moves to the end, so that dead text stays below the
//! amount of living text and a chunk, and no single change moves more than a few chunks.

mod stored;

use std::{
    hint::black_box,
    mem::{size_of, take},
};

use meishi_contacts::TextQuery;
use memchr::{memchr, memmem::Finder};

use crate::{Slot, entries::make_room, patience::Patience};

/// Bytes of a chunk: large enough for a search to run, small enough to be moved in between.
const CHUNK_BYTES: usize = 256 * 1024;

/// Stands between the parts of a text and between two texts. It is white space other than a space,
/// which no folded text holds: so no `q` reaches from one part into the next.
pub(crate) const END: char = '\n';

/// Stands before the name as it is; white space, too.
pub(crate) const KEPT: char = '\r';

/// Texts that are fetched from memory together.
const FETCHED: usize = 64;

/// The slot of a dead text.
const NOBODY: Slot = Slot::MAX;

#[derive(Debug, Default)]
pub(crate) struct Texts {
    chunks: Vec<Chunk>,
    /// The chunk that is written to.
    tail: usize,
    /// Chunks that were given up.
    free: Vec<usize>,
    /// By slot.
    places: Vec<Place>,
}

#[derive(Debug, Default)]
struct Chunk {
    text: String,
    /// Where each text starts and whose it is, in the order of the text; [`NOBODY`]'s are dead.
    records: Vec<(u32, Slot)>,
    /// Bytes of dead text.
    dead: usize,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    chunk: u32,
    start: u32,
    len: u32,
}

/// The place of what has no text.
const NOWHERE: Place = Place { chunk: u32::MAX, start: 0, len: 0 };

/// What a text is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts<'a> {
    pub(crate) name: &'a str,
    pub(crate) folded_name: &'a str,
    /// Folded, empty where there is none; so are the next two.
    pub(crate) email: &'a str,
    pub(crate) identifier: &'a str,
    pub(crate) phone: &'a str,
}

impl<'a> Parts<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        let (searched, name) = match memchr(KEPT as u8, text.as_bytes()) {
            Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..)),
            None => (text, None),
        };
        let mut parts = searched.split(END);
        let mut next = || parts.next().unwrap_or_default();
        let folded_name = next();
        let name = name.unwrap_or(folded_name);
        Self { name, folded_name, email: next(), identifier: next(), phone: next() }
    }

    pub(crate) fn to_text(self) -> String {
        let Self { name, folded_name, email, identifier, phone } = self;
        let mut text = [folded_name, email, identifier, phone].join("\n");
        if name != folded_name {
            text.push(KEPT);
            text.push_str(name);
        }
        text
    }
}

/// The folded name in a text.
pub(crate) fn name_in(text: &str) -> &str {
    let end = memchr(END as u8, text.as_bytes());
    end.and_then(|end| text.get(..end)).unwrap_or_default()
}

/// The domain of the folded e-mail address in a text.
pub(crate) fn domain_in(text: &str) -> &str {
    let email = text.split(END).nth(1).unwrap_or_default();
    email.rsplit_once('@').map_or("", |(_, domain)| domain)
}

/// Whether what was found at a place of a text is in what is searched of it.
fn is_searched(text: &str, at: usize) -> bool {
    text.as_bytes().get(..at).is_some_and(|before| memchr(KEPT as u8, before).is_none())
}

/// Whether what is searched of a text has the needle.
fn has(text: &str, needle: &Finder<'_>) -> bool {
    needle.find(text.as_bytes()).is_some_and(|at| is_searched(text, at))
}

fn has_in_phone(text: &str, digits: &Finder<'_>) -> bool {
    // Before the rest, which most texts fail.
    has(text, digits) && digits.find(Parts::of(text).phone.as_bytes()).is_some()
}

impl Chunk {
    fn is_wasteful(&self) -> bool {
        self.dead * 2 > self.text.len()
    }

    fn bytes(&self) -> usize {
        self.text.capacity() + self.records.capacity() * size_of::<(u32, Slot)>()
    }
}

impl Texts {
    /// Makes room for the places of so many texts more.
    pub(crate) fn reserve(&mut self, texts: usize) {
        self.places.reserve_exact(texts);
    }

    /// Gives memory back that was kept for texts to come.
    pub(crate) fn shrink(&mut self) {
        self.places.shrink_to_fit();
    }

    /// The text of a slot, empty where there is none.
    pub(crate) fn get(&self, slot: Slot) -> &str {
        self.text(slot).unwrap_or_default()
    }

    fn text(&self, slot: Slot) -> Option<&str> {
        let place = self.place(slot)?;
        let start = place.start as usize;
        self.chunks.get(place.chunk as usize)?.text.get(start..start + place.len as usize)
    }

    fn place(&self, slot: Slot) -> Option<Place> {
        self.places.get(slot as usize).copied()
    }

    /// Gives a slot its text.
    pub(crate) fn set(&mut self, slot: Slot, text: &str) {
        if self.text(slot) == Some(text) {
            return;
        }
        let before = self.bury(slot);
        self.append(slot, text);
        if let Some(chunk) = before {
            self.reclaim(chunk);
        }
    }

    /// Takes a slot's text away.
    pub(crate) fn remove(&mut self, slot: Slot) {
        if let Some(chunk) = self.bury(slot) {
            self.reclaim(chunk);
        }
    }

    /// Declares a slot's text dead and tells in which chunk.
    fn bury(&mut self, slot: Slot) -> Option<usize> {
        let place = std::mem::replace(self.places.get_mut(slot as usize)?, NOWHERE);
        let number = place.chunk as usize;
        let chunk = self.chunks.get_mut(number)?;
        chunk.dead += place.len as usize + END.len_utf8();
        let record = chunk.records.binary_search_by_key(&place.start, |(start, _)| *start).ok()?;
        chunk.records.get_mut(record)?.1 = NOBODY;
        Some(number)
    }

    fn append(&mut self, slot: Slot, text: &str) {
        while self
            .chunks
            .get(self.tail)
            .is_none_or(|tail| !tail.text.is_empty() && tail.text.len() + text.len() >= CHUNK_BYTES)
        {
            self.open_chunk();
        }
        let Some(tail) = self.chunks.get_mut(self.tail) else { return };
        // None of these comes near 2^32: a chunk starts no text beyond its size, and a text is
        // bounded by the fields' limits.
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let place = Place {
            chunk: narrow(self.tail),
            start: narrow(tail.text.len()),
            len: narrow(text.len()),
        };
        // The first chunk may be all that there is of a small account.
        if tail.text.is_empty() && self.tail > 0 {
            tail.text.reserve_exact(CHUNK_BYTES);
        }
        tail.records.push((place.start, slot));
        tail.text.push_str(text);
        tail.text.push(END);
        if self.places.len() <= slot as usize {
            make_room(&mut self.places);
            self.places.resize(slot as usize + 1, NOWHERE);
        }
        if let Some(known) = self.places.get_mut(slot as usize) {
            *known = place;
        }
    }

    /// Makes an empty chunk the tail and looks after the one that was it.
    fn open_chunk(&mut self) {
        let full = self.tail;
        self.tail = self.free.pop().unwrap_or_else(|| {
            self.chunks.push(Chunk::default());
            self.chunks.len() - 1
        });
        if let Some(chunk) = self.chunks.get_mut(full) {
            chunk.text.shrink_to_fit();
            chunk.records.shrink_to_fit();
        }
        self.reclaim(full);
    }

    /// Gives a chunk up if it is mostly dead and no longer written to.
    fn reclaim(&mut self, number: usize) {
        if number == self.tail || !self.chunks.get(number).is_some_and(Chunk::is_wasteful) {
            return;
        }
        let Some(chunk) = self.chunks.get_mut(number).map(take) else { return };
        for (slot, text) in records(&chunk) {
            if slot != NOBODY {
                self.append(slot, chunk.text.get(text).unwrap_or_default());
            }
        }
        // Only now, so that what moved is not written to the place that it leaves.
        self.free.push(number);
    }

    /// The slots whose text has what is asked for, each once, in no order.
    pub(crate) fn find(&self, query: &TextQuery, patience: &Patience<'_>) -> Vec<Slot> {
        let mut slots = Vec::new();
        let folded = Finder::new(query.folded());
        self.scan(&folded, patience, |slot, _| slots.push(slot));
        // A phone number is in the text as `+` and digits, so digits alone were found already.
        if let Some(digits) = query.digits().filter(|digits| *digits != query.folded()) {
            let digits = Finder::new(digits);
            self.scan(&digits, patience, |slot, text| {
                if has_in_phone(text, &digits) && !has(text, &folded) {
                    slots.push(slot);
                }
            });
        }
        slots
    }

    /// Those of some slots whose text has the needle, as a whole or, if so asked, in the phone
    /// number.
    pub(crate) fn having(
        &self,
        slots: &[Slot],
        needle: &str,
        in_phone: bool,
        patience: &Patience<'_>,
    ) -> Vec<Slot> {
        let needle = Finder::new(needle);
        let mut found = Vec::with_capacity(slots.len());
        for (number, slots) in slots.chunks(FETCHED).enumerate() {
            if patience.is_over_at(number * FETCHED) {
                break;
            }
            // Texts lie anywhere in memory. Asked for at once, they come at once; looked at one
            // after another, each would be waited for.
            black_box(slots.iter().fold(0, |sum, slot| sum ^ self.edges(*slot)));
            found.extend(slots.iter().filter(|slot| {
                let text = self.get(**slot);
                if in_phone { has_in_phone(text, &needle) } else { has(text, &needle) }
            }));
        }
        found
    }

    /// The first and the last byte of a text.
    fn edges(&self, slot: Slot) -> u8 {
        let bytes = self.get(slot).as_bytes();
        bytes.first().copied().unwrap_or_default() ^ bytes.last().copied().unwrap_or_default()
    }

    /// Calls `found` once for each slot whose text has the needle.
    fn scan(
        &self,
        needle: &Finder<'_>,
        patience: &Patience<'_>,
        mut found: impl FnMut(Slot, &str),
    ) {
        for chunk in &self.chunks {
            if patience.is_over() {
                break;
            }
            let bytes = chunk.text.as_bytes();
            let mut records = chunk.records.as_slice();
            let mut from = 0;
            while let Some(at) = bytes.get(from..).and_then(|rest| needle.find(rest)) {
                let at = from + at;
                // The text that the needle was found in is the last that starts before it.
                let after = records.partition_point(|(start, _)| *start as usize <= at);
                let Some((through, rest)) = records.split_at_checked(after) else { break };
                let Some((start, slot)) = through.last() else { break };
                let end = rest.first().map_or(bytes.len(), |(start, _)| *start as usize);
                let text = chunk.text.get(*start as usize..end - END.len_utf8());
                let text = text.unwrap_or_default();
                if *slot != NOBODY && is_searched(text, at - *start as usize) {
                    found(*slot, text);
                }
                records = rest;
                from = end;
            }
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.chunks.iter().map(Chunk::bytes).sum::<usize>()
            + self.chunks.capacity() * size_of::<Chunk>()
            + self.free.capacity() * size_of::<usize>()
            + self.places.capacity() * size_of::<Place>()
    }
}

/// The slots of a chunk and where their texts lie in it, dead ones included.
fn records(chunk: &Chunk) -> impl Iterator<Item = (Slot, std::ops::Range<usize>)> {
    let starts = chunk.records.iter().map(|(start, _)| *start as usize);
    let ends = starts.clone().skip(1).chain([chunk.text.len()]);
    let texts = starts.zip(ends).map(|(start, end)| start..end - END.len_utf8());
    chunk.records.iter().map(|(_, slot)| *slot).zip(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(texts: &Texts, q: &str) -> Vec<Slot> {
        let mut slots = texts.find(&TextQuery::parse(q).unwrap(), &Patience::until(&|| false));
        slots.sort_unstable();
        slots
    }

    #[test]
    fn chunks_are_given_up_and_written_again() {
        let mut texts = Texts::default();
        let text = |slot: Slot, round: u32| format!("{slot}. {round}r {}", "x".repeat(1000));
        for round in 0..50 {
            for slot in (0..1000).filter(|slot| slot % 50 >= round) {
                texts.set(slot, &text(slot, round));
            }
        }
        // A megabyte lives, and as much may be dead.
        assert!(texts.chunks.len() <= 10, "{}", texts.chunks.len());
        assert!(texts.bytes() < 2_500_000, "{}", texts.bytes());
        for slot in 0..1000 {
            assert_eq!(texts.get(slot), text(slot, slot % 50));
        }
        assert_eq!(find(&texts, "x"), (0..1000).collect::<Vec<_>>());
        assert_eq!(find(&texts, " 49r x"), (49..1000).step_by(50).collect::<Vec<_>>());

        (1..1000).for_each(|slot| texts.remove(slot));
        assert_eq!(find(&texts, "x"), [0]);
        assert!(texts.bytes() < 600_000, "{}", texts.bytes());
    }

    #[test]
    fn a_text_larger_than_a_chunk_has_one_of_its_own() {
        let mut texts = Texts::default();
        texts.set(0, "small");
        texts.set(1, &"large ".repeat(CHUNK_BYTES));
        texts.set(2, "small");
        assert_eq!(find(&texts, "small"), [0, 2]);
        assert_eq!(find(&texts, "large"), [1]);
        texts.set(1, "small");
        assert_eq!(find(&texts, "small"), [0, 1, 2]);
        assert!(find(&texts, "large").is_empty());
    }
}
