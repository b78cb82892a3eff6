//! How well a `q` fits a contact (`sort=relevance`), and where it was found (`matched_on`).
//!
//! A text that is a whole word of a field comes before one that begins a word, and that before one
//! inside of a word; then count the fields: name, identifier, e-mail, phone number. Of near matches
//! those with the fewest letters wrong come first. To rank by more, change [`TextQuery::rank`]
//! alone: the index asks it, too, and cursors hold what it returns (`server/src/cursor.rs`).

use memchr::memmem;
use unicode_normalization::char::is_combining_mark;

use crate::{
    Contact, Email, Field, Identifier, Phone, TextQuery,
    search::{fold, phone_digits},
};

/// The place of the phone number among the fields.
const PHONE: u32 = 3;

/// The folded texts of a contact that are searched, an absent one empty.
#[derive(Debug, Clone, Copy)]
pub struct Searched<T> {
    /// The name.
    pub name: T,
    /// The identifier.
    pub identifier: T,
    /// The e-mail address.
    pub email: T,
    /// The phone number, in E.164.
    pub phone: T,
}

impl Searched<String> {
    fn of(contact: &Contact) -> Self {
        Self {
            name: fold(&contact.name),
            identifier: fold(contact.identifier.as_ref().map_or("", Identifier::as_str)),
            email: fold(contact.email.as_ref().map_or("", Email::as_str)),
            phone: contact.phone_number.as_ref().map_or("", Phone::as_str).to_owned(),
        }
    }

    fn as_deref(&self) -> Searched<&str> {
        Searched {
            name: &self.name,
            identifier: &self.identifier,
            email: &self.email,
            phone: &self.phone,
        }
    }
}

/// How a text stands in another, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// As a whole word, or several.
    Word,
    /// At the beginning of a word.
    Beginning,
    Inside,
}

impl TextQuery {
    /// How well the text fits a contact, the best 0; `None` where it does not match.
    pub fn relevance(&self, contact: &Contact) -> Option<u32> {
        self.rank(Searched::of(contact).as_deref())
    }

    /// The same as [`Self::relevance`], of what is searched of a contact.
    pub fn rank(&self, searched: Searched<&str>) -> Option<u32> {
        if self.is_misspelt() {
            return self.distance(searched.name);
        }
        let Searched { name, identifier, email, phone } = searched;
        let mut best = None;
        for (text, field) in [name, identifier, email, phone].into_iter().zip(0_u32..) {
            let mut found = standing(text, self.folded());
            if field == PHONE {
                let digits = self.digits().and_then(|digits| standing(text, digits));
                found = found.into_iter().chain(digits).min();
            }
            let rank = found.map(|standing| standing as u32 * 4 + field);
            best = best.into_iter().chain(rank).min();
            if found == Some(Standing::Word) {
                break;
            }
        }
        best
    }

    /// The fields that the text was found in: name, e-mail, phone number, identifier, in this
    /// order; none where it does not match.
    pub fn matched_on(&self, contact: &Contact) -> Vec<Field> {
        let Searched { name, identifier, email, phone } = Searched::of(contact);
        if self.is_misspelt() {
            return if self.is_near(&name) { vec![Field::Name] } else { Vec::new() };
        }
        let is_in = |text: &str| text.contains(self.folded());
        let in_digits =
            || self.digits().is_some_and(|digits| phone_digits(&phone).contains(digits));
        [
            (Field::Name, is_in(&name)),
            (Field::Email, is_in(&email)),
            (Field::PhoneNumber, is_in(&phone) || in_digits()),
            (Field::Identifier, is_in(&identifier)),
        ]
        .into_iter()
        .filter_map(|(field, found)| found.then_some(field))
        .collect()
    }
}

/// How `part` stands in a text, best; `None` where it is no part of it.
fn standing(text: &str, part: &str) -> Option<Standing> {
    let is_at_edge = |inside: Option<char>, outside: Option<char>| {
        !(inside.is_some_and(is_of_a_word) && outside.is_some_and(is_of_a_word))
    };
    if part.len() > text.len() {
        return None;
    }
    let mut best = None;
    let mut from = 0;
    // In bytes, which is faster on short texts; what is found begins and ends between characters.
    while let Some(at) =
        text.as_bytes().get(from..).and_then(|rest| memmem::find(rest, part.as_bytes()))
    {
        let (before, rest) = text.split_at_checked(from + at)?;
        let after = rest.get(part.len()..).unwrap_or_default();
        let begins = is_at_edge(part.chars().next(), before.chars().next_back());
        let ends = is_at_edge(part.chars().next_back(), after.chars().next());
        let standing = match (begins, ends) {
            (true, true) => return Some(Standing::Word),
            (true, false) => Standing::Beginning,
            (false, _) => Standing::Inside,
        };
        best = Some(best.map_or(standing, |best: Standing| best.min(standing)));
        // Occurrences may overlap.
        from = before.len() + rest.chars().next().map_or(1, char::len_utf8);
    }
    best
}

fn is_of_a_word(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{ContactId, UnixSeconds};

    #[rstest]
    #[case::word("Ana", "Maria Ana", Some(Standing::Word))]
    #[case::words("maria ana", "Maria Ana", Some(Standing::Word))]
    #[case::beginning("an", "Maria Ana", Some(Standing::Beginning))]
    #[case::beginning_of_two("maria a", "Maria Ana", Some(Standing::Beginning))]
    #[case::inside("na", "Maria Ana", Some(Standing::Inside))]
    #[case::later_and_better("ana", "Anabel Banana Ana", Some(Standing::Word))]
    #[case::overlapping("aa", "baaa aa", Some(Standing::Word))]
    #[case::local_part("ana", "ana@example.com", Some(Standing::Word))]
    #[case::domain("@example.com", "ana@example.com", Some(Standing::Word))]
    #[case::punctuation("@", "ana@example.com", Some(Standing::Word))]
    #[case::han("王", "王伟", Some(Standing::Beginning))]
    #[case::han_given_name("伟", "王伟", Some(Standing::Inside))]
    #[case::han_whole("王伟", "王伟", Some(Standing::Word))]
    #[case::thai_with_its_mark("ไก", "ไก่", Some(Standing::Beginning))]
    #[case::other("anna", "Ana", None)]
    #[case::nothing("ana", "", None)]
    fn standings(#[case] q: &str, #[case] text: &str, #[case] expected: Option<Standing>) {
        assert_eq!(standing(&fold(text), TextQuery::parse(q).unwrap().folded()), expected);
    }

    fn contact(name: &str, email: &str, identifier: &str, phone: &str) -> Contact {
        let mut contact = Contact::blank(ContactId(1), UnixSeconds(0));
        contact.name = name.to_owned();
        contact.email = Some(Email::from_stored(email.to_owned()));
        contact.identifier = Some(Identifier::from_stored(identifier.to_owned()));
        contact.phone_number = Some(Phone::from_stored(phone.to_owned()));
        contact
    }

    #[test]
    fn the_standing_counts_before_the_field() {
        let q = TextQuery::parse("ana").unwrap();
        let ordered = [
            contact("Ana Müller", "x@example.com", "1", "+1"),
            contact("Anabel", "x@example.com", "ana", "+1"),
            contact("Anabel", "ana@example.com", "1", "+1"),
            contact("Anabel", "x@example.com", "1", "+1"),
            contact("Dana", "x@example.com", "anabel", "+1"),
            contact("Dana", "anabel@example.com", "1", "+1"),
            contact("Dana", "x@example.com", "1", "+1"),
            contact("x", "x@example.com", "dana", "+1"),
            contact("x", "dana@example.com", "1", "+1"),
        ];
        let ranks: Vec<Option<u32>> = ordered.iter().map(|one| q.relevance(one)).collect();
        assert!(ranks.iter().all(Option::is_some) && ranks.is_sorted(), "{ranks:?}");
        assert!(ranks.windows(2).all(|pair| pair[0] != pair[1]), "{ranks:?}");
        assert_eq!(q.relevance(&contact("Anne", "x@example.com", "1", "+1")), None);
    }

    #[test]
    fn a_phone_number_is_ranked_by_its_digits() {
        let rank = |q: &str| {
            TextQuery::parse(q).unwrap().relevance(&contact("x", "x@y", "1", "+4915123456"))
        };
        assert_eq!(rank("+49 (151) 23456"), Some(3));
        assert_eq!(rank("4915123456"), Some(3));
        assert_eq!(rank("+49-151"), Some(7));
        assert_eq!(rank("0151"), None);
        assert_eq!(rank("151"), Some(11));
    }

    #[test]
    fn near_matches_are_ranked_by_letters() {
        let rank = |q: &str, name: &str| {
            let q = TextQuery::parse(q).unwrap().misspelt();
            q.relevance(&contact(name, "hernandes@example.com", "1", "+1"))
        };
        assert_eq!(rank("hernandes", "Ana Hernandes"), Some(0));
        assert_eq!(rank("hernandes", "Fernandes Hernández"), Some(1));
        assert_eq!(rank("hernandes", "Fernández"), Some(2));
        assert_eq!(rank("katherina scneider", "Katharina Schneider"), Some(2));
        assert_eq!(rank("hernandes", "Müller"), None);
    }

    #[rstest]
    #[case("ana", &[Field::Name, Field::Email, Field::Identifier])]
    #[case("@", &[Field::Email])]
    #[case("1", &[Field::PhoneNumber, Field::Identifier])]
    #[case("(49) 1", &[Field::PhoneNumber])]
    #[case("berta", &[])]
    fn the_fields_that_matched_are_named(#[case] q: &str, #[case] fields: &[Field]) {
        let contact = contact("Ana", "ana@example.com", "ana-1", "+491");
        let q = TextQuery::parse(q).unwrap();
        assert_eq!(q.matched_on(&contact), fields);
        assert_eq!(q.matches(&contact), !fields.is_empty());
        assert_eq!(q.relevance(&contact).is_some(), !fields.is_empty());
    }

    #[test]
    fn a_near_match_is_one_of_the_name() {
        let contact = contact("Ana Hernández", "hernandes@example.com", "1", "+1");
        let q = |q| TextQuery::parse(q).unwrap().misspelt();
        assert_eq!(q("hernandes").matched_on(&contact), [Field::Name]);
        assert!(q("example").matched_on(&contact).is_empty());
    }
}
