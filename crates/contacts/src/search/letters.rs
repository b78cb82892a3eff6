//! Folding in one pass, of texts whose letters have nothing to do with their neighbours: nearly
//! all. Where a letter may meet a mark, or is not known here, the tables of Unicode tell.
//!
//! What a letter folds to is taken from those tables when the first one is met, so that the two
//! agree on letters; tests hold them together on texts.

use std::{array, borrow::Cow, ops::RangeInclusive, sync::LazyLock};

use unicode_normalization::{
    UnicodeNormalization,
    char::{canonical_combining_class, is_combining_mark},
};

/// Stands where a letter folds to fewer characters, or is none of those that are known here.
const NONE: char = '\0';

/// What a letter folds to.
type Folded = [char; 2];

/// The letters that are known: Latin, Greek, Cyrillic, Armenian, Hebrew and Arabic; Latin with two
/// marks, as Vietnamese has it; ASCII in full width.
const KNOWN: [RangeInclusive<char>; 3] =
    ['\u{c0}'..='\u{6ff}', '\u{1e00}'..='\u{1eff}', '\u{ff01}'..='\u{ff5e}'];

/// By range, the number of its first letter and what each of them folds to.
static FOLDED: LazyLock<[(u32, Vec<Folded>); KNOWN.len()]> = LazyLock::new(|| {
    KNOWN.map(|range| (u32::from(*range.start()), range.map(folded_letter).collect()))
});

fn folded_letter(letter: char) -> Folded {
    let is_apart = |c: char| !is_combining_mark(c) && canonical_combining_class(c) == 0;
    let mut apart = letter.nfkd().peekable();
    let begins_apart = apart.peek().is_some_and(|first| is_apart(*first));
    let folded = super::fold_by_tables(letter.encode_utf8(&mut [0; 4]));
    let mut chars = folded.chars();
    let first_two = array::from_fn(|_| chars.next().unwrap_or(NONE));
    // A mark by itself has a space in it.
    let is_known = begins_apart
        && !apart.any(char::is_whitespace)
        && folded.chars().all(is_apart)
        && chars.next().is_none();
    if is_known { first_two } else { [NONE; 2] }
}

/// What a letter folds to wherever it stands, if it is known.
fn known(letter: char) -> Option<Folded> {
    let folded = FOLDED.iter().find_map(|(first, folded)| {
        let at = u32::from(letter).checked_sub(*first)?;
        folded.get(usize::try_from(at).ok()?)
    });
    folded.copied().filter(|[first, _]| *first != NONE)
}

/// Folds ASCII, which may be folded already.
pub(super) fn fold_ascii(text: &str) -> Cow<'_, str> {
    let (mut has_upper, mut is_spaced, mut after_space) = (false, true, true);
    for byte in text.bytes() {
        has_upper |= byte.is_ascii_uppercase();
        // Every second space, and all white space that is none.
        is_spaced &= !(matches!(byte, b'\t'..=b'\r') || after_space && byte == b' ');
        after_space = byte == b' ';
    }
    if !is_spaced || after_space && !text.is_empty() {
        let words: Vec<&str> = text.split_whitespace().collect();
        words.join(" ").to_ascii_lowercase().into()
    } else if has_upper {
        text.to_ascii_lowercase().into()
    } else {
        text.into()
    }
}

/// Folds a text of letters that are known; `None` where there is another character.
pub(super) fn fold_known(text: &str) -> Option<String> {
    let mut folded = String::with_capacity(text.len());
    let mut before = ' ';
    for c in text.chars() {
        match c {
            '\0'..='\x7f' if !c.is_whitespace() => folded.push(c.to_ascii_lowercase()),
            '\0'..='\x7f' | '\u{a0}' | '\u{3000}' => {
                if !folded.is_empty() && !folded.ends_with(' ') {
                    folded.push(' ');
                }
            }
            // Thai letters; Kana; Han; Hangul. They stay as they are.
            '\u{e01}'..='\u{e30}'
            | '\u{e32}'
            | '\u{e40}'..='\u{e46}'
            | '\u{3041}'..='\u{3096}'
            | '\u{30a1}'..='\u{30fe}'
            | '\u{4e00}'..='\u{9fff}'
            | '\u{ac00}'..='\u{d7a3}' => folded.push(c),
            // So do Thai marks, after Thai and in the order in which Unicode puts them.
            '\u{e31}' | '\u{e34}'..='\u{e37}' | '\u{e47}' | '\u{e4c}'..='\u{e4e}'
                if is_thai(before) =>
            {
                folded.push(c);
            }
            '\u{e38}'..='\u{e39}' | '\u{e48}'..='\u{e4b}'
                if is_thai(before) && canonical_combining_class(before) == 0 =>
            {
                folded.push(c);
            }
            _ => {
                let [first, second] = known(c)?;
                folded.push(first);
                if second != NONE {
                    folded.push(second);
                }
            }
        }
        before = c;
    }
    if folded.ends_with(' ') {
        folded.pop();
    }
    Some(folded)
}

const fn is_thai(c: char) -> bool {
    matches!(c, '\u{e01}'..='\u{e4e}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::fold_by_tables, *};

    /// Both ways lead to the same text; tells whether there were two.
    fn check(text: &str) -> bool {
        let folded = fold_known(text);
        if let Some(folded) = &folded {
            assert_eq!(folded, &fold_by_tables(text), "{text:?}");
        }
        folded.is_some()
    }

    /// Every character by itself, and those that are known between one of each kind.
    #[test]
    fn every_letter_folds_as_the_tables_say() {
        let mut known = 0;
        for c in '\0'..='\u{ffff}' {
            if check(&c.to_string()) || is_thai(c) {
                known += 1;
                for (a, b) in
                    [("a", "é"), ("ก", "ก"), ("กุ", "่"), ("か", "ガ"), ("하", "가"), (" ", "1")]
                {
                    check(&format!("{a}{c}{b}{c}{c}"));
                }
            }
        }
        assert!(known > 34_000, "{known}");
    }

    #[test]
    fn names_of_many_scripts_are_known() {
        for name in [
            "Stéphanie Müller",
            "Łukasz Nguyễn",
            "Straße",
            "王小明",
            "김민준",
            "サクラ",
            "佐藤　ガク",
            "ไก่ ใจดี",
            "أحمد",
            "Пётр",
            "Ὀδυσσεύς".trim_start_matches('Ὀ'),
            "ＴＡＲＯ",
        ] {
            assert!(check(name), "{name}");
        }
        for name in ["Mu\u{308}ller", "ハ\u{3099}", "हिन्दी", "مُحَمَّد", "ﾊﾞﾅﾅ", "하\u{11ab}"]
        {
            assert!(!check(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn ascii_folds_as_the_tables_say(text in "[ -~]{0,20}|[ \t\u{b}\r\n\u{1c}aB]{0,8}") {
            let folded = fold_ascii(&text);
            prop_assert_eq!(&folded, &fold_by_tables(&text));
            if folded == text {
                prop_assert!(matches!(folded, Cow::Borrowed(_)));
            }
        }

        #[test]
        fn texts_fold_as_the_tables_say(
            text in "([ -~]|[\u{c0}-\u{24f}]|[\u{370}-\u{6ff}]|[\u{e01}-\u{e5b}]{1,3}|[\u{1e00}-\u{1eff}]\
                     |[\u{3000}-\u{30ff}]|[\u{4e00}-\u{4eff}]|[\u{ac00}-\u{ad00}]|[\u{ff00}-\u{ffef}]\
                     |[\u{300}\u{327}\u{345}\u{3099}\u{1161}\u{11ab}\u{a0}]|\\PC){0,12}"
        ) {
            check(&text);
        }

        #[test]
        fn thai_folds_as_the_tables_say(text in "[a \u{e01}-\u{e4e}]{0,8}") {
            check(&text);
        }
    }
}
