//! The distinct words of all names and who has them: for names that hold a text misspelt.
//!
//! However many contacts there are, they share their words, so a misspelt word is compared with
//! each distinct word of about its length, most of which its letters alone rule out; who has a word
//! that is near is known. An index of the words' own grams would find fewer words to compare, but
//! reading its sets takes longer than ruling words out, which is two instructions each.
//!
//! The domains of e-mail addresses are kept in the same way, because a text that very many have in
//! common is a word of their names or a part of their domains.

mod stored;

use std::{
    hash::{BuildHasher, RandomState},
    mem::{size_of, take},
};

use hashbrown::HashTable;
use memchr::memmem::Finder;

use crate::{
    Slot,
    near::{Mask, Misspelt, Word},
    postings::Postings,
    texts::Texts,
};

/// Words that nobody has any more before they are cleared away, at least.
const UNUSED: usize = 1024;

type WordId = u32;

#[derive(Debug, Default)]
pub(crate) struct Words {
    ids: HashTable<WordId>,
    hasher: RandomState,
    known: Vec<Known>,
    /// All words, a space after each.
    text: String,
    /// By number of letters.
    lengths: Vec<Length>,
    /// How many words nobody has any more.
    unused: usize,
}

#[derive(Debug)]
struct Known {
    start: u32,
    len: u32,
    slots: Postings,
}

/// The words of as many letters.
#[derive(Debug, Default)]
struct Length {
    masks: Vec<Mask>,
    ids: Vec<WordId>,
}

/// A contact whose name is near, and how many letters are wrong in it.
pub(crate) type Hit = (Slot, u32);

impl Words {
    /// The words of a part of all texts of the slots, which come in order.
    pub(crate) fn build(
        slots: impl Iterator<Item = Slot>,
        texts: &Texts,
        part: fn(&str) -> &str,
    ) -> Self {
        let mut words = Self::default();
        for slot in slots {
            for word in words_of(part(texts.get(slot))) {
                let id = words.intern(word);
                if let Some(known) = words.known.get_mut(id as usize) {
                    known.slots.push(slot);
                }
            }
        }
        // Each was new once, and each is somebody's.
        words.unused = 0;
        words.known.iter_mut().for_each(|known| known.slots.shrink());
        words.known.shrink_to_fit();
        words.text.shrink_to_fit();
        words
    }

    /// Follows the change of a slot's name or domain; no contact there is an empty one.
    pub(crate) fn change(&mut self, slot: Slot, before: &str, after: &str) {
        for word in words_of(before).filter(|word| !words_of(after).any(|other| other == *word)) {
            let known = self.id(word).and_then(|id| self.known.get_mut(id as usize));
            if let Some(known) = known.filter(|known| !known.slots.is_empty()) {
                known.slots.remove(slot);
                self.unused += usize::from(known.slots.is_empty());
            }
        }
        for word in words_of(after) {
            let id = self.intern(word);
            if let Some(known) = self.known.get_mut(id as usize) {
                self.unused -= usize::from(known.slots.is_empty());
                known.slots.insert(slot);
            }
        }
        if self.unused > UNUSED && self.unused * 2 > self.known.len() {
            self.clear_away();
        }
    }

    /// The number of a word, a new one if need be, which nobody has yet.
    fn intern(&mut self, word: &str) -> WordId {
        if let Some(id) = self.id(word) {
            return id;
        }
        // None comes near 2^32: the names of an account of two thousand million contacts would.
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let id = narrow(self.known.len());
        let (start, len) = (narrow(self.text.len()), narrow(word.len()));
        self.text.push_str(word);
        self.text.push(' ');
        self.known.push(Known { start, len, slots: Postings::default() });
        self.unused += 1;
        let letters = word.chars().count();
        if self.lengths.len() <= letters {
            self.lengths.resize_with(letters + 1, Length::default);
        }
        if let Some(length) = self.lengths.get_mut(letters) {
            length.masks.push(Mask::of(word));
            length.ids.push(id);
        }
        let Self { ids, hasher, known, text, .. } = self;
        let hash = |id: &WordId| hasher.hash_one(text_of(known, text, *id));
        ids.insert_unique(hasher.hash_one(word), id, hash);
        id
    }

    fn id(&self, word: &str) -> Option<WordId> {
        let is_it = |id: &WordId| text_of(&self.known, &self.text, *id) == word;
        self.ids.find(self.hasher.hash_one(word), is_it).copied()
    }

    /// Forgets the words that nobody has.
    fn clear_away(&mut self) {
        let Self { known: words, text, .. } = take(self);
        for known in words.into_iter().filter(|known| !known.slots.is_empty()) {
            let (start, end) = (known.start as usize, (known.start + known.len) as usize);
            let id = self.intern(text.get(start..end).unwrap_or_default());
            if let Some(place) = self.known.get_mut(id as usize) {
                place.slots = known.slots;
                self.unused -= 1;
            }
        }
    }

    /// Whose name is near to the text, in order.
    pub(crate) fn find(&self, misspelt: &Misspelt<'_>) -> Vec<Hit> {
        let mut near: Vec<Vec<(u32, &Postings)>> =
            misspelt.words.iter().map(|word| self.near(word)).collect();
        let size =
            |sets: &[(u32, &Postings)]| sets.iter().map(|(_, s)| s.estimate()).sum::<usize>();
        near.sort_by_cached_key(|sets| size(sets));
        let mut near = near.iter();
        let mut hits = near.next().map(|sets| union(sets)).unwrap_or_default();
        for sets in near {
            if hits.is_empty() {
                break;
            }
            hits = both(&hits, &union(sets));
        }
        hits
    }

    /// Who has a word that holds a text without spaces, in order.
    pub(crate) fn holding(&self, text: &str) -> Vec<Slot> {
        let needle = Finder::new(text);
        let mut slots = Vec::new();
        let mut sets = 0;
        let mut words = self.known.as_slice();
        let mut from = 0;
        while let Some(at) = self.text.as_bytes().get(from..).and_then(|rest| needle.find(rest)) {
            let at = from + at;
            // The word that the needle was found in is the last that starts before it.
            let through = words.partition_point(|word| word.start as usize <= at);
            let Some((known, rest)) =
                through.checked_sub(1).and_then(|last| words.get(last..)?.split_first())
            else {
                break;
            };
            known.slots.read(&mut slots);
            sets += 1;
            words = rest;
            from = (known.start + known.len) as usize;
        }
        if sets > 1 {
            #[expect(clippy::stable_sort_primitive, reason = "it merges what is in order already")]
            slots.sort();
            slots.dedup();
        }
        slots
    }

    /// Who has just this word, in order.
    pub(crate) fn having(&self, word: &str) -> Vec<Slot> {
        let mut slots = Vec::new();
        if let Some(known) = self.id(word).and_then(|id| self.known.get(id as usize)) {
            known.slots.read(&mut slots);
        }
        slots
    }

    /// Who has a word that is near, by how many letters are wrong in it.
    fn near(&self, word: &Word<'_>) -> Vec<(u32, &Postings)> {
        let slots = |id: WordId| self.known.get(id as usize).map(|known| &known.slots);
        if word.allowed == 0 {
            return self
                .id(word.text)
                .and_then(slots)
                .map(|slots| (0, slots))
                .into_iter()
                .collect();
        }
        let from = word.letters - word.allowed;
        let lengths = self.lengths.iter().skip(from).take(word.allowed * 2 + 1);
        let words = lengths.flat_map(|length| length.masks.iter().zip(&length.ids));
        words
            .filter(|(mask, _)| mask.distance(word.mask) <= word.allowed)
            .filter_map(|(_, id)| {
                let distance = word.distance(text_of(&self.known, &self.text, *id))?;
                Some((distance, slots(*id)?))
            })
            .collect()
    }

    /// Bytes of heap, about.
    pub(crate) fn bytes(&self) -> usize {
        let lengths = self.lengths.iter().map(|length| {
            length.masks.capacity() * size_of::<Mask>()
                + length.ids.capacity() * size_of::<WordId>()
        });
        self.ids.capacity() * 8 / 7 * (size_of::<WordId>() + 1)
            + self.known.capacity() * size_of::<Known>()
            + self.known.iter().map(|known| known.slots.held()).sum::<usize>()
            + self.text.capacity()
            + lengths.sum::<usize>()
            + self.lengths.capacity() * size_of::<Length>()
    }
}

fn text_of<'a>(words: &[Known], text: &'a str, id: WordId) -> &'a str {
    let range = |known: &Known| known.start as usize..(known.start + known.len) as usize;
    words.get(id as usize).and_then(|known| text.get(range(known))).unwrap_or_default()
}

fn words_of(name: &str) -> impl Iterator<Item = &str> {
    name.split(' ').filter(|word| !word.is_empty())
}

/// Whoever is in one of the sets, each with the fewest wrong letters, in order.
fn union(sets: &[(u32, &Postings)]) -> Vec<Hit> {
    let mut hits = Vec::new();
    let mut slots = Vec::new();
    for (distance, set) in sets {
        slots.clear();
        set.read(&mut slots);
        hits.extend(slots.iter().map(|slot| (*slot, *distance)));
    }
    if sets.len() > 1 {
        // This sort sees that there are as many rows in order as there are sets.
        #[expect(clippy::stable_sort_primitive, reason = "it merges what is in order already")]
        hits.sort();
        hits.dedup_by_key(|(slot, _)| *slot);
    }
    hits
}

/// Whoever is in both, with the wrong letters of both.
fn both(hits: &[Hit], others: &[Hit]) -> Vec<Hit> {
    let mut rest = others.iter().copied().peekable();
    let mut found = Vec::new();
    for (slot, distance) in hits {
        while rest.next_if(|(other, _)| other < slot).is_some() {}
        if let Some((_, more)) = rest.next_if(|(other, _)| other == slot) {
            found.push((*slot, distance + more));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use meishi_contacts::TextQuery;

    use super::*;

    fn find(words: &Words, q: &str) -> Vec<Hit> {
        words.find(&Misspelt::of(&TextQuery::parse(q).unwrap()).unwrap())
    }

    #[test]
    fn names_are_found_and_forgotten() {
        let mut words = Words::default();
        words.change(1, "", "ana hernandez");
        words.change(2, "", "ana maria fernandez");
        words.change(3, "", "li 王芳 li");
        assert_eq!(find(&words, "hernandes"), [(1, 1), (2, 2)]);
        assert_eq!(find(&words, "ana hernandes"), [(1, 1), (2, 2)]);
        assert_eq!(find(&words, "maira hernandes"), [(2, 3)]);
        assert_eq!(find(&words, "li"), [(3, 0)]);
        assert_eq!(find(&words, "王芳 li"), [(3, 0)]);
        assert_eq!(find(&words, "王"), []);
        words.change(1, "ana hernandez", "anna hernandez");
        assert_eq!(find(&words, "ana"), [(2, 0)]);
        assert_eq!(find(&words, "anna"), [(1, 0), (2, 1)]);
        assert_eq!(words.holding("na"), [1, 2]);
        assert_eq!(words.holding("ernandez"), [1, 2]);
        assert_eq!(words.holding("i"), [2, 3]);
        assert_eq!(words.holding("芳"), [3]);
        assert!(words.holding("zan").is_empty());
        words.change(1, "anna hernandez", "");
        assert_eq!(find(&words, "hernandes"), [(2, 2)]);
    }

    #[test]
    fn words_that_nobody_has_are_cleared_away() {
        let mut words = Words::default();
        words.change(0, "", "constant");
        for number in 0..20_000 {
            let name = |number: i32| format!("somebody{number}");
            words.change(1, &name(number), &name(number + 1));
        }
        assert!(words.known.len() < 3000, "{}", words.known.len());
        assert!(words.bytes() < 300_000, "{}", words.bytes());
        assert_eq!(find(&words, "konstant"), [(0, 1)]);
        assert_eq!(find(&words, "somebody20000"), [(1, 0)]);
        assert_eq!(find(&words, "somebody10000"), [(1, 1)]);
    }
}
