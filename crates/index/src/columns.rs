//! What filters ask of contacts besides their text, by slot: a column for each attribute, and a
//! set for each label, flag and kind of address.
//!
//! A column is made when an attribute is first seen and goes when nobody has it any more. There are
//! at most [`COLUMNS`], with [`VALUES`] values in all; what is beyond is left open, and rows tell.
//! `column.rs` has the values of one attribute (`hashes.rs`: what is kept of too many texts), `bits.rs` the sets. Who matches a filter is found
//! in `filter.rs`.

mod bits;
mod column;
mod hashes;
mod stored;

use std::{collections::HashMap, mem::size_of};

use meishi_contacts::{
    Contact, Field, FieldChange, Identifier,
    filter::{Condition, Subject},
    search::fold,
};
use serde_json::Value;

pub(crate) use self::{
    bits::Bits,
    column::{Column, Outcome},
};
use crate::{Slot, labels::LabelId, postings::Postings};

/// Attributes that have a column: at a million contacts, 64 MB of numbers.
const COLUMNS: usize = 32;

/// Distinct values of all columns.
const VALUES: usize = 256 * 1024;

/// One of the two maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Of {
    Additional,
    Custom,
}

#[derive(Debug, Default)]
pub(crate) struct Columns {
    by_key: HashMap<(Of, Box<str>), Column>,
    /// Whether there is an attribute without a column.
    is_partial: bool,
    /// Distinct values in all of them.
    values: usize,
    sets: Sets,
    /// Who has a label, by its number.
    labels: Vec<Postings>,
}

/// Who has what, as far as filters can see it: a name or an identifier of blanks alone is none.
#[derive(Debug, Default)]
struct Sets {
    name: Bits,
    email: Bits,
    phone: Bits,
    identifier: Bits,
    /// Whoever has an identifier, be it of blanks alone.
    any_identifier: Bits,
    blocked: Bits,
    labelled: Bits,
}

impl Columns {
    /// Writes down a contact in a slot that has been empty. Labels are told by [`Self::relabel`].
    pub(crate) fn set(&mut self, slot: Slot, contact: &Contact) {
        let has = |text: &str| !fold(text).is_empty();
        let identifier = contact.identifier.as_ref().map(Identifier::as_str);
        let sets = &mut self.sets;
        sets.name.set(slot, has(&contact.name));
        sets.email.set(slot, contact.email.is_some());
        sets.phone.set(slot, contact.phone_number.is_some());
        sets.identifier.set(slot, identifier.is_some_and(has));
        sets.any_identifier.set(slot, identifier.is_some());
        sets.blocked.set(slot, contact.blocked);
        for (of, map) in [
            (Of::Additional, &contact.additional_attributes),
            (Of::Custom, &contact.custom_attributes),
        ] {
            if !map.is_empty() {
                for (key, value) in &map.to_map() {
                    self.put(of, key, slot, Some(value));
                }
            }
        }
    }

    /// Follows a change that `Facts::change` has found good.
    pub(crate) fn change(&mut self, slot: Slot, change: &FieldChange) {
        let after = change.after.as_ref().filter(|after| !after.is_null());
        let is_there = after.is_some();
        let has = after.and_then(Value::as_str).is_some_and(|text| !fold(text).is_empty());
        let key = change.key.as_deref().unwrap_or_default();
        let sets = &mut self.sets;
        match change.field {
            Field::Name => sets.name.set(slot, has),
            Field::Email => sets.email.set(slot, is_there),
            Field::PhoneNumber => sets.phone.set(slot, is_there),
            Field::Identifier => {
                sets.identifier.set(slot, has);
                sets.any_identifier.set(slot, is_there);
            }
            Field::Blocked => sets.blocked.set(slot, after.and_then(Value::as_bool) == Some(true)),
            Field::AdditionalAttributes => self.put(Of::Additional, key, slot, after),
            Field::CustomAttributes => self.put(Of::Custom, key, slot, after),
            _ => {}
        }
    }

    /// Follows a change of labels; all of either are told.
    pub(crate) fn relabel(&mut self, slot: Slot, before: &[LabelId], after: &[LabelId]) {
        for label in before.iter().filter(|label| !after.contains(label)) {
            if let Some(slots) = self.labels.get_mut(*label as usize) {
                slots.remove(slot);
            }
        }
        for label in after.iter().filter(|label| !before.contains(label)) {
            let number = *label as usize;
            if self.labels.len() <= number {
                self.labels.resize_with(number + 1, Postings::default);
            }
            if let Some(slots) = self.labels.get_mut(number) {
                slots.insert(slot);
            }
        }
        self.sets.labelled.set(slot, !after.is_empty());
    }

    /// Empties a slot, whose labels are gone already.
    pub(crate) fn remove(&mut self, slot: Slot) {
        let Sets { name, email, phone, identifier, any_identifier, blocked, labelled } =
            &mut self.sets;
        for set in [name, email, phone, identifier, any_identifier, blocked, labelled] {
            set.set(slot, false);
        }
        let values = &mut self.values;
        self.by_key.retain(|_, column| {
            *values -= column.values();
            column.set(slot, None, 0);
            *values += column.values();
            !column.is_empty()
        });
    }

    fn put(&mut self, of: Of, key: &str, slot: Slot, value: Option<&Value>) {
        let path = (of, Box::from(key));
        if !self.by_key.contains_key(&path) {
            if value.is_none_or(Value::is_null) {
                return;
            }
            if self.by_key.len() == COLUMNS {
                self.is_partial = true;
                return;
            }
        }
        let room = VALUES - self.values.min(VALUES);
        let column = self.by_key.entry(path).or_default();
        let before = column.values();
        column.set(slot, value, room);
        self.values = self.values + column.values() - before;
    }

    /// Whoever has an e-mail address, a phone number or an identifier.
    pub(crate) fn resolved(&self) -> Bits {
        let mut resolved = self.sets.email.clone();
        resolved.unite(&self.sets.phone);
        resolved.unite(&self.sets.any_identifier);
        resolved
    }

    /// Who has a text in a field, as far as filters can see it.
    pub(crate) fn with(&self, subject: &Subject) -> &Bits {
        match subject {
            Subject::Email => &self.sets.email,
            Subject::PhoneNumber => &self.sets.phone,
            Subject::Identifier => &self.sets.identifier,
            _ => &self.sets.name,
        }
    }

    pub(crate) fn blocked(&self) -> &Bits {
        &self.sets.blocked
    }

    pub(crate) fn labelled(&self) -> &Bits {
        &self.sets.labelled
    }

    /// Who has one of some labels.
    pub(crate) fn with_labels(&self, labels: &[LabelId]) -> Bits {
        let (mut slots, mut bits) = (Vec::new(), Bits::default());
        for label in labels {
            if let Some(postings) = self.labels.get(*label as usize) {
                slots.clear();
                postings.read(&mut slots);
                for slot in &slots {
                    bits.set(*slot, true);
                }
            }
        }
        bits
    }

    /// Who of the universe meets a condition on an attribute; `None` where only rows can tell.
    pub(crate) fn evaluate(&self, condition: &Condition, universe: &Bits) -> Option<Outcome> {
        let path = match condition.subject() {
            Subject::Additional(key) => (Of::Additional, Box::from(key.as_str())),
            Subject::Custom(key) => (Of::Custom, Box::from(key.as_str())),
            _ => return None,
        };
        match self.by_key.get(&path) {
            Some(column) => column.evaluate(condition, universe),
            None if self.is_partial => None,
            // Nobody has it.
            None => Column::default().evaluate(condition, universe),
        }
    }

    /// Gives memory back that was kept for contacts to come.
    pub(crate) fn shrink(&mut self) {
        self.by_key.values_mut().for_each(Column::shrink);
        self.labels.iter_mut().for_each(Postings::shrink);
    }

    /// Bytes of heap, about.
    pub(crate) fn bytes(&self) -> usize {
        let Sets { name, email, phone, identifier, any_identifier, blocked, labelled } = &self.sets;
        let sets = [name, email, phone, identifier, any_identifier, blocked, labelled];
        let columns = self.by_key.iter().map(|((_, key), column)| key.len() + column.bytes());
        columns.sum::<usize>()
            + self.by_key.capacity() * size_of::<((Of, Box<str>), Column)>()
            + self.labels.capacity() * size_of::<Postings>()
            + self.labels.iter().map(Postings::held).sum::<usize>()
            + sets.into_iter().map(Bits::bytes).sum::<usize>()
    }
}
