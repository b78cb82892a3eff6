//! Folding of text for search and order by name (`livedesk-wire.md` 9.7), and what a `q` means.
//!
//! Fields and `q` are folded alike and then compared as plain text: a `q` is found where its
//! folded form is a part of a field's. Nothing here ranks or guesses.
//!
//! `letters.rs` folds what needs no tables of Unicode. To let two more spellings of a letter find
//! each other, add the letter to `Folding::letter`. A change of what `fold` returns changes what an index
//! holds: raise [`FOLD_VERSION`], so that one that was saved is rebuilt, and cursors get another version
//! (`server/src/cursor.rs`).

mod letters;

use std::borrow::Cow;

use unicode_normalization::{
    IsNormalized, UnicodeNormalization, char::is_combining_mark, is_nfc_quick,
};

use crate::{Contact, Email, Identifier, Phone, limits::NEAR_WORDS};

/// The version of what [`fold`] returns: what was stored of folded texts under another one is of no use.
pub const FOLD_VERSION: u32 = 1;

/// Folds a text: the same for all spellings that a search takes for one.
///
/// NFKC and full case folding; combining marks are dropped after Latin, Greek, Cyrillic, Arabic
/// and Hebrew letters and stay after all others, where they make another sound or another word;
/// `ø đ ł ħ ı æ œ ß þ` become `o d l h i ae oe ss th`; a run of white space becomes one space, and
/// none stays at either end.
///
/// A folded text folds to itself, holds no white space but single spaces between other
/// characters, and is empty only where the text was white space alone.
pub fn fold(text: &str) -> String {
    folded(text).into_owned()
}

/// The same as [`fold`]; a text that is ASCII and folded is lent.
pub fn folded(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        letters::fold_ascii(text)
    } else {
        letters::fold_known(text).unwrap_or_else(|| fold_by_tables(text)).into()
    }
}

/// Folds any text.
fn fold_by_tables(text: &str) -> String {
    let mut folding = Folding { folded: String::with_capacity(text.len()), bare: false };
    text.nfkd().for_each(|c| folding.push_any_case(c));
    folding.finish()
}

/// A folded text in the making, decomposed.
struct Folding {
    folded: String,
    /// Whether the last letter loses the marks that follow it.
    bare: bool,
}

impl Folding {
    /// Adds the full case folding of a character that NFKD left.
    fn push_any_case(&mut self, c: char) {
        if c.is_ascii() || is_caseless(c) {
            return self.push(c);
        }
        // Upper case unites what lower case keeps apart (σ and ς, s and ſ), and makes SS of ß;
        // that ẞ is such an upper case already needs the first step.
        for c in c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase) {
            self.push(c);
        }
    }

    fn push(&mut self, c: char) {
        if c.is_ascii() {
            self.bare = c.is_ascii_alphabetic();
        } else if !is_combining_mark(c) {
            self.bare = c.is_alphabetic() && has_optional_marks(c);
        } else if self.bare {
            return;
        }
        if !c.is_whitespace() {
            self.letter(c);
        } else if !self.folded.is_empty() && !self.folded.ends_with(' ') {
            self.folded.push(' ');
        }
    }

    /// Letters that neither decompose nor differ by case, and yet are taken for one another.
    fn letter(&mut self, c: char) {
        match c {
            'ø' => self.folded.push('o'),
            'đ' => self.folded.push('d'),
            'ł' => self.folded.push('l'),
            'ħ' => self.folded.push('h'),
            'ı' => self.folded.push('i'),
            'æ' => self.folded.push_str("ae"),
            'œ' => self.folded.push_str("oe"),
            'ß' => self.folded.push_str("ss"),
            'þ' => self.folded.push_str("th"),
            _ => self.folded.push(c.to_ascii_lowercase()),
        }
    }

    fn finish(mut self) -> String {
        if self.folded.ends_with(' ') {
            self.folded.pop();
        }
        // Composed, a letter with its mark is one character: ハ is no part of バ, ㅎ none of 한.
        if self.folded.is_ascii() || is_nfc_quick(self.folded.chars()) == IsNormalized::Yes {
            self.folded
        } else {
            self.folded.nfc().collect()
        }
    }
}

/// Whether the character is surely without case: most of what is not an alphabet, asked first
/// because the tables of cases are slow.
const fn is_caseless(c: char) -> bool {
    matches!(c, '\u{0590}'..='\u{109f}' | '\u{1100}'..='\u{11ff}' | '\u{2e80}'..='\u{a63f}')
}

/// Whether the letter is Latin, Greek, Cyrillic, Arabic or Hebrew, by block. Letters that NFKD
/// takes apart never come here.
const fn has_optional_marks(c: char) -> bool {
    matches!(c,
        // Latin, with the phonetic letters; Greek without the Coptic letters amid; Cyrillic.
        'a'..='z' | '\u{c0}'..='\u{2b8}' | '\u{2e0}'..='\u{2e4}'
        | '\u{370}'..='\u{3e1}' | '\u{3f0}'..='\u{52f}' | '\u{1c80}'..='\u{1c8f}'
        | '\u{1d00}'..='\u{1dbf}' | '\u{1e00}'..='\u{1fff}' | '\u{2c60}'..='\u{2c7f}'
        | '\u{a640}'..='\u{a69f}' | '\u{a722}'..='\u{a7ff}' | '\u{ab30}'..='\u{ab6f}'
        | '\u{10780}'..='\u{107bf}' | '\u{1df00}'..='\u{1dfff}' | '\u{1e030}'..='\u{1e08f}'
        // Hebrew and Arabic.
        | '\u{590}'..='\u{6ff}' | '\u{750}'..='\u{77f}' | '\u{870}'..='\u{8ff}'
        | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' | '\u{10ec0}'..='\u{10eff}'
        | '\u{1ee00}'..='\u{1eeff}')
}

/// The digits of a phone number.
pub fn phone_digits(phone: &str) -> String {
    phone.chars().filter(char::is_ascii_digit).collect()
}

/// A `q` that is not blank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextQuery {
    folded: String,
    digits: Option<String>,
    near: bool,
}

impl TextQuery {
    /// Reads a `q`; `None` when it is blank, which means white space alone. Whatever else it is
    /// made of, a `q` is a condition: `%`, `_` and mere punctuation are literal.
    pub fn parse(q: &str) -> Option<Self> {
        let folded = fold(q);
        if folded.is_empty() {
            return None;
        }
        // Folded, full-width digits are ASCII and every blank is a space.
        let like_a_phone =
            folded.chars().all(|c| matches!(c, '0'..='9' | ' ' | '+' | '-'..='/' | '(' | ')'));
        let digits =
            Some(phone_digits(&folded)).filter(|digits| like_a_phone && !digits.is_empty());
        Some(Self { folded, digits, near: false })
    }

    /// The same text, looked for in names that hold it misspelt: see [`Self::is_near`].
    #[must_use]
    pub fn misspelt(self) -> Self {
        Self { near: true, ..self }
    }

    /// Whether names are searched for near matches instead of the fields for the text as written.
    pub fn is_misspelt(&self) -> bool {
        self.near
    }

    /// Whether a folded name has a word near to each word of the text: the same one, or with a
    /// letter wrong, missing, too many or swapped with its neighbour, two such from eight letters
    /// on, none below four. A text of more than [`NEAR_WORDS`] words is near to nothing.
    pub fn is_near(&self, folded_name: &str) -> bool {
        self.distance(folded_name).is_some()
    }

    /// How many letters are wrong in all where the folded name is near ([`Self::is_near`]), each
    /// word of the text compared with the word of the name that it is nearest to.
    pub fn distance(&self, folded_name: &str) -> Option<u32> {
        if self.folded.split(' ').count() > NEAR_WORDS {
            return None;
        }
        let nearest = |word| folded_name.split(' ').filter_map(|other| distance(word, other)).min();
        self.folded.split(' ').map(nearest).sum()
    }

    /// The folded text that a folded field must contain; never empty.
    pub fn folded(&self) -> &str {
        &self.folded
    }

    /// The digits that a phone number's digits may contain instead, where `q` looks like a part
    /// of a phone number; never empty.
    pub fn digits(&self) -> Option<&str> {
        self.digits.as_deref()
    }

    /// Whether one of name, e-mail, phone number and identifier contains the text, or the phone
    /// number the digits; or the name is near to it, where that is what is asked. A match never reaches from one field into another.
    pub fn matches(&self, contact: &Contact) -> bool {
        if self.near {
            return self.is_near(&fold(&contact.name));
        }
        let phone = contact.phone_number.as_ref().map(Phone::as_str);
        let texts = [
            Some(contact.name.as_str()),
            contact.email.as_ref().map(Email::as_str),
            phone,
            contact.identifier.as_ref().map(Identifier::as_str),
        ];
        texts.into_iter().flatten().any(|text| fold(text).contains(&self.folded))
            || self
                .digits()
                .zip(phone)
                .is_some_and(|(digits, phone)| phone_digits(phone).contains(digits))
    }
}

/// How many letters may be wrong in a word of so many.
pub const fn misspellings(letters: usize) -> usize {
    match letters {
        0..4 => 0,
        4..8 => 1,
        _ => 2,
    }
}

/// How many letters are wrong where two words are one misspelt.
fn distance(word: &str, other: &str) -> Option<u32> {
    if word == other {
        return Some(0);
    }
    let (letters, others) = (word.chars().count(), other.chars().count());
    let allowed = misspellings(letters);
    // The lengths alone tell most words apart, and bound the cost of comparing the others.
    if letters.abs_diff(others) > allowed {
        return None;
    }
    let distance = strsim::osa_distance(word, other);
    (distance <= allowed).then(|| u32::try_from(distance).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::{ContactId, UnixSeconds};

    #[rstest]
    #[case::wrong("hernandes", "Ana Hernández", true)]
    #[case::swapped("stehpanie", "Stéphanie", true)]
    #[case::missing("katherina scneider", "Katharina Schneider", true)]
    #[case::too_many("mülller", "Müller", true)]
    #[case::two_in_a_short_word("mallor", "Müller", false)]
    #[case::in_a_word_of_three("ann", "Ana", false)]
    #[case::as_written("ana", "Ana Müller", true)]
    #[case::one_word_of_two("ana meier", "Ana Müller", false)]
    #[case::han("王偉", "王伟", false)]
    #[case::too_many_words("a b c d e f g h i", "a b c d e f g h i", false)]
    fn near_names(#[case] q: &str, #[case] name: &str, #[case] near: bool) {
        let mut contact = Contact::blank(ContactId(1), UnixSeconds(0));
        contact.name = name.to_owned();
        assert_eq!(TextQuery::parse(q).unwrap().misspelt().matches(&contact), near);
    }

    #[rstest]
    #[case::width("ＴＡＲＯ　太郎", "taro 太郎")]
    #[case::umlaut("Müller", "muller")]
    #[case::umlaut_decomposed("Mu\u{308}ller", "muller")]
    #[case::sharp_s("Straße STRASSE STRAẞE", "strasse strasse strasse")]
    #[case::sigma("Ὀδυσσεύς ΟΔΥΣΣΕΎΣ", "οδυσσευσ οδυσσευσ")]
    #[case::iota_subscript("ᾍδης", "αιδησ")]
    #[case::turkish("İstanbul ISI ısı", "istanbul isi isi")]
    #[case::polish("ŁÓDŹ łódź", "lodz lodz")]
    #[case::icelandic("Þór Ðóra", "thor ðora")]
    #[case::nordic("Søren Ærø ǽ Ǿ", "soren aero ae o")]
    #[case::others("Œuvre Ħal Đặng", "oeuvre hal dang")]
    #[case::ligature("ﬁ ŉ №", "fi ʼn no")]
    #[case::cyrillic("Йод Ёлка Їжак", "иод елка іжак")]
    #[case::arabic("مُحَمَّد أحمد", "محمد احمد")]
    #[case::hebrew("שָׁלוֹם", "שלום")]
    #[case::thai("ใจดี ไก่", "ใจดี ไก่")]
    #[case::half_width_katakana("ﾊﾞﾅﾅ ハ", "バナナ ハ")]
    #[case::hangul("\u{1112}\u{1161}\u{11ab}글", "한글")]
    #[case::hindi("हिन्दी", "हिन्दी")]
    #[case::han("王伟", "王伟")]
    #[case::georgian("ᲐᲑ აბ", "აბ აბ")]
    #[case::cherokee("ꭰ", "ꭰ")]
    #[case::blanks("\u{3000} a\u{a0}\t\u{b}\n b\r\n", "a b")]
    #[case::marks_on_no_letter("1\u{301} ≠", "1\u{301} ≠")]
    #[case::nothing("", "")]
    #[case::white_space_alone(" \u{3000}\n", "")]
    fn folds(#[case] text: &str, #[case] folded: &str) {
        assert_eq!(fold(text), folded);
    }

    #[test]
    fn marks_that_make_another_letter_stay() {
        for (a, b) in [("バ", "ハ"), ("ไก่", "ไก"), ("की", "क"), ("한", "하")] {
            assert_ne!(fold(a), fold(b));
        }
        assert!(!fold("バナナ").contains(&fold("ハ")));
    }

    /// Every character by itself, and those that folding changes or that are marks after one of
    /// each kind, so that no table of Unicode holds a surprise.
    #[test]
    fn every_character_keeps_the_promises() {
        // Beyond are ideographs without a decomposition, private use and nothing at all.
        for c in ('\0'..='\u{1ffff}').chain('\u{2f800}'..='\u{2fa1f}') {
            let alone = c.to_string();
            let folded = fold(&alone);
            let before: &[_] = if folded != alone || is_combining_mark(c) {
                &["", "a", "ω", "ب", "ก", "か", "1", " "]
            } else {
                &[""]
            };
            for text in before.iter().map(|before| format!("{before}{c}")) {
                let folded = fold(&text);
                assert_eq!(fold(&folded), folded, "{text:?}");
                assert_eq!(folded.is_empty(), text.trim().is_empty(), "{text:?}");
                assert_eq!(fold(&text.nfd().collect::<String>()), folded, "{text:?}");
            }
            assert_eq!(fold(&alone.to_uppercase()), folded, "{alone:?}");
            assert_eq!(fold(&alone.to_lowercase()), folded, "{alone:?}");
        }
    }

    proptest! {
        #[test]
        fn folding_again_changes_nothing_and_spelling_does_not_matter(
            text in "(\\PC|[ \u{3000}\t\u{300}\u{301}\u{345}\u{327}\u{323}\u{5b8}\u{64b}\u{e48}\u{e31}\u{3099}\
                     \u{309a}ﾊﾞßẞİıςœÞ\u{1112}\u{1161}\u{11ab}กがᾳa1]){0,12}"
        ) {
            let folded = fold(&text);
            prop_assert_eq!(&fold(&folded), &folded);
            prop_assert_eq!(&fold(&text.nfc().collect::<String>()), &folded);
            prop_assert_eq!(&fold(&text.nfd().collect::<String>()), &folded);
            prop_assert_eq!(folded.is_empty(), text.trim().is_empty());
            prop_assert!(folded.chars().all(|c| c == ' ' || !c.is_whitespace()));
            prop_assert!(!folded.contains("  ") && folded.trim() == folded);
        }
    }

    fn contact() -> Contact {
        let mut contact = Contact::blank(ContactId(1), UnixSeconds(0));
        contact.name = "王伟 Müller 100%".to_owned();
        contact.email = Some(Email::from_stored("wei_m@example.com".to_owned()));
        contact.phone_number = Some(Phone::from_stored("+8613912345678".to_owned()));
        contact.identifier = Some(Identifier::from_stored("User-42".to_owned()));
        contact
    }

    #[rstest]
    #[case::han("王")]
    #[case::latin("ü")]
    #[case::full_width("ｗ")]
    #[case::percent("%")]
    #[case::underscore("_")]
    #[case::punctuation("+")]
    #[case::at("@")]
    #[case::part("LLER 1")]
    #[case::identifier("uSER-42")]
    #[case::digits("39123")]
    #[case::phone("+86 (139) 1234-5678")]
    #[case::phone_with_dots("139.1234/56")]
    #[case::full_width_phone("＋８６ １３９")]
    #[case::surrounded("  müller\t")]
    fn a_part_of_a_field_is_found(#[case] q: &str) {
        assert!(TextQuery::parse(q).unwrap().matches(&contact()));
    }

    #[rstest]
    #[case::no_wildcard("m%r")]
    #[case::no_wildcard_letter("e_i")]
    #[case::name_into_email("%wei")]
    #[case::name_and_email("100% wei")]
    #[case::phone_into_identifier("78user")]
    #[case::punctuation("--")]
    #[case::brackets("()")]
    #[case::digits_with_letters("139a1234")]
    #[case::lone_mark("\u{301}")]
    #[case::mark_of_another_script("\u{e48}")]
    #[case::zero_width("\u{200b}")]
    #[case::nul("\0")]
    #[case::near("mueller")]
    fn nothing_else_is_found(#[case] q: &str) {
        assert!(!TextQuery::parse(q).unwrap().matches(&contact()));
    }

    #[rstest]
    #[case("ไ", "ไก่")]
    #[case("\u{e48}", "ไก่")]
    #[case("が", "\u{304b}\u{3099}")]
    #[case("한", "한글")]
    #[case("й", "Иван")]
    #[case("ς", "Σ")]
    #[case("ı", "I")]
    #[case("ß", "Hass")]
    #[case("א", "אָב")]
    #[case("م", "مُ")]
    #[case("😀", "a😀b")]
    fn one_character_is_enough(#[case] q: &str, #[case] name: &str) {
        let mut contact = Contact::blank(ContactId(1), UnixSeconds(0));
        contact.name = name.to_owned();
        assert!(TextQuery::parse(q).unwrap().matches(&contact));
    }

    #[test]
    fn a_blank_q_is_none_and_digits_are_of_phone_like_ones_only() {
        for blank in ["", " ", "\u{3000}\t\n"] {
            assert_eq!(TextQuery::parse(blank), None);
        }
        let digits = |q| TextQuery::parse(q).unwrap().digits().map(str::to_owned);
        assert_eq!(digits("+1 (23)/4.5-6").as_deref(), Some("123456"));
        assert_eq!(digits("７").as_deref(), Some("7"));
        for other in ["+", "( )", "1,2", "1a", "12_", "٣", "12\u{301}"] {
            assert_eq!(digits(other), None, "{other}");
        }
    }
}
