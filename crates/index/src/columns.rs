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

use std::mem::size_of;

use hashbrown::{Equivalent, HashMap};
use meishi_contacts::{
    Contact, Field, FieldChange, Identifier,
    filter::{Condition, Subject},
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

/// Whose column is looked for.
#[derive(Hash)]
struct Path<'a>(Of, &'a str);

impl Equivalent<(Of, Box<str>)> for Path<'_> {
    fn equivalent(&self, other: &(Of, Box<str>)) -> bool {
        (self.0, self.1) == (other.0, &*other.1)
    }
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
            for (key, json) in map.members() {
                let is_there = json != "null";
                self.put(of, &key, is_there, |column, room| column.set_json(slot, json, room));
            }
        }
    }

    /// Follows a change that `Facts::change` has found good.
    pub(crate) fn change(&mut self, slot: Slot, change: &FieldChange) {
        let after = change.after.as_ref().filter(|after| !after.is_null());
        let is_there = after.is_some();
        let has = after.and_then(Value::as_str).is_some_and(has);
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
            Field::AdditionalAttributes => self.put_value(Of::Additional, key, slot, after),
            Field::CustomAttributes => self.put_value(Of::Custom, key, slot, after),
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

    fn put_value(&mut self, of: Of, key: &str, slot: Slot, value: Option<&Value>) {
        let is_there = value.is_some_and(|value| !value.is_null());
        self.put(of, key, is_there, |column, room| column.set(slot, value, room));
    }

    /// Lets the column of an attribute be set, which is made where there is a value. `set` is given
    /// the number of values that there is room for.
    fn put(&mut self, of: Of, key: &str, is_there: bool, set: impl FnOnce(&mut Column, usize)) {
        let room = VALUES - self.values.min(VALUES);
        if let Some(column) = self.by_key.get_mut(&Path(of, key)) {
            let before = column.values();
            set(column, room);
            self.values = self.values + column.values() - before;
        } else if is_there && self.by_key.len() == COLUMNS {
            self.is_partial = true;
        } else if is_there {
            let mut column = Column::default();
            set(&mut column, room);
            self.values += column.values();
            self.by_key.insert((of, key.into()), column);
        }
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
        let mut bits = Bits::default();
        for label in labels {
            if let Some(postings) = self.labels.get(*label as usize) {
                postings.mark(&mut bits);
            }
        }
        bits
    }

    /// How many have a label.
    pub(crate) fn labelled_with(&self, label: LabelId) -> usize {
        self.labels.get(label as usize).map_or(0, Postings::len)
    }

    /// Takes a label from all who have it, and tells who they were. Those of them who have no other
    /// are still to be told by [`Self::relabel`].
    pub(crate) fn drop_label(&mut self, label: LabelId) -> Vec<Slot> {
        let mut slots = Vec::new();
        if let Some(postings) = self.labels.get_mut(label as usize) {
            std::mem::take(postings).read(&mut slots);
        }
        slots
    }

    /// Who of the universe meets a condition on an attribute; `None` where only rows can tell.
    pub(crate) fn evaluate(&self, condition: &Condition, universe: &Bits) -> Option<Outcome> {
        let path = match condition.subject() {
            Subject::Additional(key) => Path(Of::Additional, key.as_str()),
            Subject::Custom(key) => Path(Of::Custom, key.as_str()),
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

/// Whether filters see anything of a text; nothing else folds to nothing.
fn has(text: &str) -> bool {
    !text.trim().is_empty()
}
