//! Numbers that stand for the beginnings of what contacts are sorted by: where two of them differ,
//! they are in the order of the contacts, and no text has to be looked at.
//!
//! For a page of 15 of a million contacts it is enough to pass over a million numbers in a row,
//! which takes a millisecond or two for any field, far into the list as well. Sorted sets by each field would answer the
//! first page at once and cost some 20 MB each, and every change of a contact its place in each.
//! Times, ids, companies, cities and countries are kept as columns of numbers anyway; those of
//! names, e-mail addresses and phone numbers are made when a large answer is first sorted by them
//! (some 50 ms and 8 MB at a million contacts) and follow the changes from there.

use std::{mem::size_of, sync::OnceLock};

use meishi_contacts::{SortField, SortKey, SortValue};

use crate::{
    entries::{Entries, Row, make_room, member_of},
    texts::Texts,
};

/// Rows that are sorted before it pays to make the numbers of all contacts.
const MANY: usize = 4096;

/// The number of what is absent.
pub(crate) const FIRST: u64 = 0;

/// That of nothing.
const LAST: u64 = u64::MAX;

/// The numbers that are kept, by slot; [`FIRST`] where the contact has no such text.
#[derive(Debug, Default)]
pub(crate) struct Heads {
    names: OnceLock<Vec<u64>>,
    emails: OnceLock<Vec<u64>>,
    phones: OnceLock<Vec<u64>>,
}

impl Heads {
    fn of(&self, field: SortField) -> Option<&OnceLock<Vec<u64>>> {
        match field {
            SortField::Name => Some(&self.names),
            SortField::Email => Some(&self.emails),
            SortField::PhoneNumber => Some(&self.phones),
            _ => None,
        }
    }

    /// Gets ready to sort so many rows by these keys.
    pub(crate) fn prepare(&self, keys: &[SortKey], rows: usize, entries: &Entries, texts: &Texts) {
        if rows < MANY {
            return;
        }
        for field in keys.iter().map(|key| key.field) {
            if let Some(heads) = self.of(field) {
                heads.get_or_init(|| {
                    let mut heads = Vec::with_capacity(entries.len());
                    for slot in entries.slots() {
                        heads.resize(slot as usize, FIRST);
                        heads.push(text_head(field, &Row { slot, entries, texts }));
                    }
                    heads
                });
            }
        }
    }

    /// Follows the change of a contact's texts.
    pub(crate) fn change(&mut self, row: &Row<'_>) {
        for (field, heads) in [
            (SortField::Name, &mut self.names),
            (SortField::Email, &mut self.emails),
            (SortField::PhoneNumber, &mut self.phones),
        ] {
            let Some(heads) = heads.get_mut() else { continue };
            let at = row.slot as usize;
            if heads.len() <= at {
                make_room(heads);
                heads.resize(at + 1, FIRST);
            }
            if let Some(head) = heads.get_mut(at) {
                *head = text_head(field, row);
            }
        }
    }

    /// The kept numbers of all rows under a key, if there are any.
    pub(crate) fn kept(&self, field: SortField) -> Option<&[u64]> {
        self.of(field)?.get().map(Vec::as_slice)
    }

    /// The number of a row under a key. `rank` is how well the text fits, if one is searched.
    pub(crate) fn head(&self, key: SortKey, row: &Row<'_>, rank: Option<u32>) -> u64 {
        let entries = row.entries;
        let slot = row.slot;
        let head = match key.field {
            SortField::Id => Some(number_head(entries.id(slot).0)),
            SortField::Relevance => rank.map(|rank| u64::from(rank) + 1),
            SortField::LastActivityAt => entries.last_activity_at(slot).map(|at| number_head(at.0)),
            SortField::CreatedAt => Some(number_head(entries.created_at(slot).0)),
            SortField::CompanyName | SortField::City | SortField::Country => {
                member_of(key.field).and_then(|member| entries.doubled_rank(member, slot))
            }
            SortField::Name | SortField::Email | SortField::PhoneNumber => {
                let kept = self.kept(key.field);
                let head = kept.and_then(|heads| heads.get(slot as usize)).copied();
                Some(head.unwrap_or_else(|| text_head(key.field, row)))
                    .filter(|head| *head != FIRST)
            }
        };
        directed(key, head)
    }

    /// The number of a value that no contact need have. It is that of no other value than those
    /// that share its beginning.
    pub(crate) fn head_of(key: SortKey, value: Option<SortValue<&str>>, entries: &Entries) -> u64 {
        let head = value.and_then(|value| match value {
            SortValue::Text(text) => match member_of(key.field) {
                Some(member) => entries.doubled_rank_of(member, text),
                None if key.field == SortField::PhoneNumber => Some(phone_head(text)),
                None => Some(beginning(text)),
            },
            SortValue::Name { folded, .. } => Some(beginning(folded)),
            SortValue::Time(at) => Some(number_head(at.0)),
            SortValue::Id(id) => Some(number_head(id.0)),
            SortValue::Relevance(rank) => Some(u64::from(rank) + 1),
        });
        directed(key, head)
    }

    /// Whether two values of the key with this number are the same.
    pub(crate) fn is_whole(key: SortKey, head: u64) -> bool {
        let is_text =
            matches!(key.field, SortField::Name | SortField::Email | SortField::PhoneNumber);
        !is_text || head == directed(key, None)
    }

    pub(crate) fn bytes(&self) -> usize {
        let heads = [&self.names, &self.emails, &self.phones].into_iter().filter_map(OnceLock::get);
        heads.map(|heads| heads.capacity() * size_of::<u64>()).sum()
    }
}

/// What becomes of a number under a key: a descending one turns it around, and what is absent comes
/// where the key puts it.
#[derive(Clone, Copy)]
pub(crate) struct Direction {
    less: u64,
    turn: u64,
}

impl Direction {
    pub(crate) fn of(key: SortKey) -> Self {
        let turn = if key.descending { u64::MAX } else { 0 };
        // Turned around, the lowest is the highest already.
        let less = u64::from(!(key.descending && key.field.nulls_always_last()));
        Self { less, turn }
    }

    /// [`FIRST`] is what is absent. This takes no branch, as who has a value follows no pattern: one
    /// less than the lowest is the highest.
    #[inline]
    pub(crate) fn turned(self, head: u64) -> u64 {
        head.wrapping_sub(self.less) ^ self.turn
    }
}

fn directed(key: SortKey, head: Option<u64>) -> u64 {
    Direction::of(key).turned(head.unwrap_or(FIRST))
}

/// The number of a row's name, e-mail address or phone number.
fn text_head(field: SortField, row: &Row<'_>) -> u64 {
    let of_address = |address: &str, head: fn(&str) -> u64| {
        if address.is_empty() { FIRST } else { head(address) }
    };
    match field {
        SortField::Name => beginning(row.parts().folded_name),
        SortField::Email => of_address(row.email(), beginning),
        _ => of_address(row.parts().phone, phone_head),
    }
}

/// The first eight bytes.
fn beginning(text: &str) -> u64 {
    let mut bytes = [0; 8];
    bytes.iter_mut().zip(text.bytes()).for_each(|(place, byte)| *place = byte);
    // The highest byte of UTF-8 is far below that of `LAST`.
    u64::from_be_bytes(bytes).max(FIRST + 1)
}

/// The first sixteen characters, which is all of a phone number: a digit or a `+` is one of
/// fifteen, and what else there may be is told from those and ends it.
fn phone_head(phone: &str) -> u64 {
    let mut head = 0;
    let mut bytes = phone.bytes();
    let mut ended = false;
    for _ in 0..16 {
        let byte = if ended { None } else { bytes.next() };
        let digit = match byte {
            None => 0,
            Some(b'+') => 2,
            Some(digit @ b'0'..=b'9') => u64::from(digit - b'0') + 4,
            Some(other) => {
                ended = true;
                match other {
                    0..b'+' => 1,
                    b'+'..b'0' => 3,
                    _ => 14,
                }
            }
        };
        head = head * 15 + digit;
    }
    head.max(FIRST + 1)
}

pub(crate) fn number_head(number: i64) -> u64 {
    time_head(number).max(FIRST + 1)
}

/// The same of what stands in a column of times, where no time is the lowest number.
#[inline]
pub(crate) fn time_head(at: i64) -> u64 {
    // As an unsigned number, with the sign turned, so that the past before 1970 comes first.
    (at.cast_unsigned() ^ (1 << 63)).min(LAST - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_are_in_the_order_of_what_they_stand_for(
            a in "[+0-9]{0,18}|[ -~]{0,4}|\\PC{0,4}", b in "[+0-9]{0,18}|[ -~]{0,4}|\\PC{0,4}",
            numbers in prop::array::uniform2(any::<i64>()),
        ) {
            for head in [beginning, phone_head] {
                if head(&a) != head(&b) {
                    prop_assert_eq!(head(&a).cmp(&head(&b)), a.cmp(&b));
                }
                prop_assert!(head(&a) != FIRST && head(&a) != LAST);
            }
            let [a, b] = numbers;
            prop_assert_eq!(number_head(a).cmp(&number_head(b)), a.cmp(&b));
        }
    }

    #[test]
    fn what_is_absent_comes_where_the_key_puts_it() {
        for field in [SortField::Email, SortField::City] {
            for descending in [false, true] {
                let key = SortKey { field, descending };
                let head = |head| directed(key, head);
                let (low, high) = (head(Some(FIRST + 1)), head(Some(LAST - 1)));
                assert_eq!(low < high, !descending);
                let first = descending && field == SortField::Email;
                assert_eq!(head(None), if first { FIRST } else { LAST });
                assert!(![low, high].contains(&head(None)));
            }
        }
    }

    #[test]
    fn phone_numbers_are_told_apart_to_the_last_digit() {
        assert!(phone_head("+123456789012345") < phone_head("+123456789012346"));
        assert!(phone_head("+12345678901234") < phone_head("+123456789012340"));
        assert!(phone_head("+999999999999999") < LAST);
    }
}
