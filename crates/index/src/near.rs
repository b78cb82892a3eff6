//! Words that are another one misspelt: the same as `TextQuery::distance`, for millions of words.
//!
//! The distance is computed for all letters of a column at once, by the bits of a number (Hyyrö,
//! "A bit-vector algorithm for computing Levenshtein and Damerau edit distances", 2003). Words that
//! are far off by their letters alone are not compared at all.

use meishi_contacts::{TextQuery, limits::NEAR_WORDS, search::misspellings};

/// Letters that fit into the bits of a number.
const BITS: usize = 64;

/// The words of a `q` that names are compared with.
pub(crate) struct Misspelt<'q> {
    pub(crate) words: Vec<Word<'q>>,
}

impl<'q> Misspelt<'q> {
    /// `None` where nothing can be near.
    pub(crate) fn of(text: &'q TextQuery) -> Option<Self> {
        let words = text.folded().split(' ');
        (words.clone().count() <= NEAR_WORDS).then(|| Self { words: words.map(Word::of).collect() })
    }

    /// The same as `TextQuery::distance`.
    pub(crate) fn distance(&self, name: &str) -> Option<u32> {
        let nearest = |word: &Word<'_>| name.split(' ').filter_map(|o| word.distance(o)).min();
        self.words.iter().map(nearest).sum()
    }
}

/// A word that others are compared with.
pub(crate) struct Word<'q> {
    pub(crate) text: &'q str,
    pub(crate) letters: usize,
    /// How many letters may be wrong.
    pub(crate) allowed: usize,
    pub(crate) mask: Mask,
    /// By letter, at which places of the word it is.
    places: Vec<(char, u64)>,
}

/// Which letters a word has, some together: a bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mask(u64);

impl Mask {
    pub(crate) fn of(word: &str) -> Self {
        Self(
            word.chars()
                .fold(0, |mask, c| mask | 1 << (u32::from(c).wrapping_mul(0x9e37_79b1) >> 26)),
        )
    }

    /// How many letters at least are wrong in one of two words: a letter that is replaced takes
    /// one bit away and brings another.
    pub(crate) fn distance(self, other: Self) -> usize {
        let (gone, come) = ((self.0 & !other.0).count_ones(), (other.0 & !self.0).count_ones());
        gone.max(come) as usize
    }
}

impl<'q> Word<'q> {
    fn of(text: &'q str) -> Self {
        let mut places: Vec<(char, u64)> = Vec::new();
        for (place, c) in text.chars().take(BITS).enumerate() {
            match places.iter_mut().find(|(known, _)| *known == c) {
                Some((_, bits)) => *bits |= 1 << place,
                None => places.push((c, 1 << place)),
            }
        }
        let letters = text.chars().count();
        Self { text, letters, allowed: misspellings(letters), mask: Mask::of(text), places }
    }

    /// How many letters are wrong where the other word is this one misspelt.
    pub(crate) fn distance(&self, other: &str) -> Option<u32> {
        if self.text == other {
            return Some(0);
        }
        if self.allowed == 0 || self.letters.abs_diff(other.chars().count()) > self.allowed {
            return None;
        }
        if self.mask.distance(Mask::of(other)) > self.allowed {
            return None;
        }
        let distance = self.letters_wrong(other);
        (distance <= self.allowed).then(|| u32::try_from(distance).unwrap_or(u32::MAX))
    }

    fn letters_wrong(&self, other: &str) -> usize {
        if self.letters > BITS || self.letters == 0 {
            return strsim::osa_distance(self.text, other);
        }
        let last = 1 << (self.letters - 1);
        let mut distance = self.letters;
        // Where the distance grows and falls from one row of the column to the next.
        let (mut grows, mut falls) = (u64::MAX, 0);
        let (mut same_before, mut diagonal) = (0_u64, 0_u64);
        for c in other.chars() {
            let same =
                self.places.iter().find(|(known, _)| *known == c).map_or(0, |(_, bits)| *bits);
            let swapped = ((!diagonal & same) << 1) & same_before;
            diagonal = (((same & grows).wrapping_add(grows)) ^ grows) | same | falls | swapped;
            let right = falls | !(diagonal | grows);
            let left = diagonal & grows;
            if right & last != 0 {
                distance += 1;
            }
            if left & last != 0 {
                distance -= 1;
            }
            let right = right << 1 | 1;
            grows = left << 1 | !(diagonal | right);
            falls = diagonal & right;
            same_before = same;
        }
        distance
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(q: &str, name: &str) {
        let Some(text) = TextQuery::parse(q) else { return };
        let found = Misspelt::of(&text).and_then(|misspelt| misspelt.distance(name));
        assert_eq!(found, text.distance(name), "{q:?} {name:?}");
    }

    #[test]
    fn more_words_than_are_compared_are_near_to_nothing() {
        check("a b c d e f g h", "a b c d e f g h");
        check("a b c d e f g h i", "a b c d e f g h i");
    }

    #[test]
    fn words_longer_than_a_number_has_bits() {
        for letters in 60..70 {
            let word = "abcdefghij".repeat(7)[..letters].to_owned();
            check(&word, &word.replacen("cd", "dc", 2));
            check(&word, &word.replacen('c', "x", 3));
            check(&word, &word[1..]);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

        #[test]
        fn it_is_the_distance_that_the_query_means(
            letters in prop_oneof![Just("abc"), Just("ab王小дж"), Just("abcdefghijkl")],
            q in prop::collection::vec(any::<prop::sample::Index>(), 1..12),
            changes in prop::collection::vec((0..4_u8, any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..4),
            more in "( [a-c]{1,9}){0,2}",
        ) {
            let letters: Vec<char> = letters.chars().collect();
            let q: Vec<char> = q.iter().map(|which| *which.get(&letters)).collect();
            let mut name = q.clone();
            for (kind, place, letter) in changes {
                if name.is_empty() {
                    break;
                }
                let place = place.index(name.len());
                let letter = *letter.get(&letters);
                match kind {
                    0 => name[place] = letter,
                    1 => name.insert(place, letter),
                    2 => {
                        name.remove(place);
                    }
                    _ => {
                        let next = (place + 1).min(name.len() - 1);
                        name.swap(place, next);
                    }
                }
            }
            let text = |chars: &[char]| chars.iter().collect::<String>();
            check(&text(&q), &(text(&name) + &more));
            check(&(text(&q) + &more), &text(&name));
            check(&(text(&q) + &more), &(text(&name) + &more));
        }
    }
}
