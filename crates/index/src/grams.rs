//! The grams of the searched texts: which contacts hold which few characters in a row.
//!
//! Where words have no spaces between them (Han, Kana, Hangul, Thai and their like) a gram is two
//! characters, else three; a gram reaches neither from one kind into the other nor from one field
//! into the next. What holds a text holds all of its grams, so the contacts to look at are those
//! in the sets of all of its grams, of which the smallest few are enough. A text without a gram,
//! one character or two letters, is looked for everywhere (`texts.rs`).
//!
//! The sets are exact at any time, so that a text that is one gram needs no second look. A change
//! of a text changes the sets of those grams alone that came or went.

mod stored;

use std::{collections::HashMap, mem::size_of};

use crate::{
    Slot,
    postings::Postings,
    texts::{END, KEPT, Texts},
};

/// Three characters, or two and a mark that they are two.
type Gram = u64;

const OF_TWO: Gram = 1 << 63;

/// Grams that are told apart by their sets before they are added: as many as memory near the
/// processor has room for.
const SORTED: usize = 1 << 19;

/// Grams of a number, of which few contacts hold all.
const SEVERAL: usize = 5;

/// Bits of a character.
const CHAR: u32 = 21;

#[derive(Debug, Default)]
pub(crate) struct Grams {
    /// By gram, where its set is.
    places: HashMap<Gram, u32>,
    sets: Vec<Postings>,
    /// Sets that are empty and no gram's.
    free: Vec<u32>,
}

/// What the grams say of a text.
pub(crate) enum Found {
    /// Nothing: the text has no gram.
    Anybody,
    /// Exactly these have it, in order.
    These(Vec<Slot>),
    /// Whoever has it is among these, in order.
    Among(Vec<Slot>),
}

impl Grams {
    /// The grams of all texts of the slots, which come in order.
    pub(crate) fn build(slots: impl Iterator<Item = Slot>, texts: &Texts) -> Self {
        let mut grams = Self::default();
        // Most grams by far are ASCII, and a table of all of those is faster than a hash.
        let mut ascii = vec![u32::MAX; 1 << 21];
        let mut held = Vec::with_capacity(SORTED);
        for slot in slots {
            each_gram(texts.get(slot), |gram| {
                let known = ascii_number(gram).and_then(|number| ascii.get_mut(number));
                let place = match known {
                    Some(place) if *place != u32::MAX => *place,
                    Some(place) => {
                        *place = grams.place(gram);
                        *place
                    }
                    None => grams.place(gram),
                };
                held.push((place, slot));
            });
            // The longest text has far fewer.
            if held.len() > SORTED - SORTED / 4 {
                grams.take_in(&mut held);
            }
        }
        grams.take_in(&mut held);
        grams.sets.iter_mut().for_each(Postings::shrink);
        grams.sets.shrink_to_fit();
        grams
    }

    /// Adds to each set the slots that go there, which come in order and are higher than those in
    /// the set. Told apart first, they are added to one set after another; as they come, every one
    /// would have to wait for its set to come from memory.
    fn take_in(&mut self, held: &mut Vec<(u32, Slot)>) {
        let mut ends = vec![0_u32; self.sets.len()];
        for (place, _) in held.iter() {
            if let Some(count) = ends.get_mut(*place as usize) {
                *count += 1;
            }
        }
        // Where those of a set begin, which moves to where they end as they are put there.
        let mut begin = 0;
        for end in &mut ends {
            begin += std::mem::replace(end, begin);
        }
        let mut sorted: Vec<Slot> = vec![0; held.len()];
        for (place, slot) in held.drain(..) {
            if let Some(end) = ends.get_mut(place as usize) {
                if let Some(there) = sorted.get_mut(*end as usize) {
                    *there = slot;
                }
                *end += 1;
            }
        }
        let mut rest = sorted.as_slice();
        let mut begin = 0;
        for (set, end) in self.sets.iter_mut().zip(ends) {
            let (slots, others) = rest.split_at((end - begin) as usize);
            for slot in slots {
                set.push(*slot);
            }
            (rest, begin) = (others, end);
        }
    }

    /// Where the set of a gram is, a new one if need be.
    fn place(&mut self, gram: Gram) -> u32 {
        *self.places.entry(gram).or_insert_with(|| {
            self.free.pop().unwrap_or_else(|| {
                self.sets.push(Postings::default());
                u32::try_from(self.sets.len() - 1).unwrap_or(u32::MAX)
            })
        })
    }

    /// Follows the change of a slot's text; no contact there is an empty text.
    pub(crate) fn change(&mut self, slot: Slot, before: &str, after: &str) {
        let (before, after) = (grams_of(before), grams_of(after));
        let is_in = |grams: &[Gram], gram: &Gram| grams.binary_search(gram).is_ok();
        for gram in before.iter().filter(|gram| !is_in(&after, gram)) {
            self.remove(*gram, slot);
        }
        for gram in after.iter().filter(|gram| !is_in(&before, gram)) {
            let place = self.place(*gram);
            if let Some(set) = self.sets.get_mut(place as usize) {
                set.insert(slot);
            }
        }
    }

    fn remove(&mut self, gram: Gram, slot: Slot) {
        let Some(place) = self.places.get(&gram).copied() else { return };
        if let Some(set) = self.sets.get_mut(place as usize) {
            set.remove(slot);
            if set.is_empty() {
                self.places.remove(&gram);
                self.free.push(place);
            }
        }
    }

    /// About how many texts are to be looked at for whom [`Grams::find`] finds; `None` for everybody.
    pub(crate) fn looks(&self, text: &str) -> Option<usize> {
        let size = |gram: &Gram| {
            let set = self.places.get(gram).and_then(|place| self.sets.get(*place as usize));
            set.map_or(0, Postings::estimate)
        };
        let grams = grams_of(text);
        let smallest = grams.iter().map(size).min()?;
        // Digits come together by chance, unlike the letters of a word.
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        Some(if is_number && grams.len() >= SEVERAL { smallest / 8 } else { smallest })
    }

    /// Who may have a text.
    pub(crate) fn find(&self, text: &str) -> Found {
        let grams = grams_of(text);
        if grams.is_empty() {
            return Found::Anybody;
        }
        let mut sets = Vec::with_capacity(grams.len());
        for gram in &grams {
            let place = self.places.get(gram);
            let Some(set) = place.and_then(|place| self.sets.get(*place as usize)) else {
                return Found::These(Vec::new());
            };
            sets.push((set.estimate(), set));
        }
        sets.sort_unstable_by_key(|(size, _)| *size);
        let mut sets = sets.into_iter();
        let mut slots = Vec::new();
        if let Some((_, smallest)) = sets.next() {
            smallest.read(&mut slots);
        }
        if is_one_gram(text, &grams) {
            return Found::These(slots);
        }
        // A text costs as much to look at as some thirty slots of a set to read; a set that takes
        // few away is not followed by larger ones.
        for (size, set) in sets {
            let before = slots.len();
            if size / 32 > before {
                break;
            }
            set.retain(&mut slots);
            if slots.len() * 16 > before * 15 {
                break;
            }
        }
        Found::Among(slots)
    }

    /// Bytes of heap, about.
    pub(crate) fn bytes(&self) -> usize {
        self.places.capacity() * 8 / 7 * (size_of::<(Gram, u32)>() + 1)
            + self.sets.capacity() * size_of::<Postings>()
            + self.sets.iter().map(Postings::held).sum::<usize>()
            + self.free.capacity() * size_of::<u32>()
    }
}

/// Whether a text is nothing but its one gram.
fn is_one_gram(text: &str, grams: &[Gram]) -> bool {
    match grams {
        [gram] => text.chars().count() == if gram & OF_TWO == 0 { 3 } else { 2 },
        _ => false,
    }
}

/// The grams of a text, each once, in order.
fn grams_of(text: &str) -> Vec<Gram> {
    let mut grams = Vec::new();
    each_gram(text, |gram| grams.push(gram));
    grams.sort_unstable();
    grams.dedup();
    grams
}

/// Calls `found` with every gram of what is searched in a text, again where it is again.
fn each_gram(text: &str, mut found: impl FnMut(Gram)) {
    // How many of the characters before are of the same kind.
    let (mut run, mut unspaced) = (0, false);
    let mut gram: Gram = 0;
    for c in text.chars() {
        if c == KEPT {
            break;
        }
        if c == END {
            run = 0;
            continue;
        }
        let kind = is_unspaced(c);
        if kind != unspaced {
            (run, unspaced) = (0, kind);
        }
        gram = (gram << CHAR | Gram::from(c)) & ((1 << (3 * CHAR)) - 1);
        run += 1;
        if unspaced && run >= 2 {
            found(gram & ((1 << (2 * CHAR)) - 1) | OF_TWO);
        } else if !unspaced && run >= 3 {
            found(gram);
        }
    }
}

/// The number of three ASCII characters among all such.
fn ascii_number(gram: Gram) -> Option<usize> {
    const BEYOND: Gram = !(0x7f | 0x7f << CHAR | 0x7f << (2 * CHAR));
    let packed = (gram >> (2 * CHAR)) << 14 | (gram >> CHAR & 0x7f) << 7 | gram & 0x7f;
    (gram & BEYOND == 0).then(|| usize::try_from(packed).ok()).flatten()
}

/// Whether the character is of a script that writes no spaces between words, by block.
const fn is_unspaced(c: char) -> bool {
    c >= '\u{e00}'
        && matches!(c,
            // Thai and Lao, Myanmar, Hangul letters, Khmer.
            '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1100}'..='\u{11ff}'
            | '\u{1780}'..='\u{17ff}'
            // Han and its parts, Kana, Bopomofo, Yi, Hangul.
            | '\u{2e80}'..='\u{a4cf}' | '\u{a960}'..='\u{a97f}' | '\u{ac00}'..='\u{d7ff}'
            | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ffdc}' | '\u{1b000}'..='\u{1b16f}'
            | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let mut shown = Vec::new();
        each_gram(text, |gram| {
            let chars =
                [gram >> (2 * CHAR) & 0x1f_ffff, gram >> CHAR & 0x1f_ffff, gram & 0x1f_ffff];
            let from = usize::from(gram & OF_TWO != 0);
            let chars = chars[from..].iter();
            shown
                .push(chars.map(|c| char::from_u32(u32::try_from(*c).unwrap()).unwrap()).collect());
        });
        shown
    }

    #[rstest]
    #[case::letters("anna m", &["ann", "nna", "na ", "a m"])]
    #[case::two_letters("an", &[])]
    #[case::han("王小明", &["王小", "小明"])]
    #[case::one_character("王", &[])]
    #[case::kana("バナナ", &["バナ", "ナナ"])]
    #[case::hangul("김민준", &["김민", "민준"])]
    #[case::thai("ใจดี", &["ใจ", "จด", "ดี"])]
    #[case::mixed("王ab小明cde", &["小明", "cde"])]
    #[case::cyrillic("иван", &["ива", "ван"])]
    #[case::hindi("हिन्", &["हिन", "िन्"])]
    #[case::fields("ab\ncde\n\n王\n小\nfgh", &["cde", "fgh"])]
    #[case::kept("abc\rabd", &["abc"])]
    #[case::again("aaaa", &["aaa", "aaa"])]
    fn grams(#[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(shown(text), expected);
    }

    #[test]
    fn ascii_is_numbered_apart() {
        let mut numbers = std::collections::BTreeSet::new();
        for text in ["abc", "cba", "a\u{7f}b", "   ", "+49"] {
            each_gram(text, |gram| assert!(numbers.insert(ascii_number(gram).unwrap())));
        }
        assert!(numbers.iter().all(|number| *number < 1 << 21));
        for text in ["abü", "üab", "aüb", "王小", "aa\u{80}"] {
            each_gram(text, |gram| assert_eq!(ascii_number(gram), None, "{text}"));
        }
    }
}
