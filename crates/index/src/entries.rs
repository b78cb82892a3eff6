//! What the index keeps of each contact besides its searched text, by slot: a column for each fact,
//! so that an order by one runs over that alone.

mod label_sets;
mod stored;

use std::{borrow::Cow, collections::HashMap, mem::size_of};

use meishi_contacts::{
    ContactId, Patch, Place, Query, SortField, SortValue, UnixSeconds, Version, relevance::Searched,
};

use self::label_sets::LabelSets;
use crate::{
    Slot,
    facts::{MEMBERS, Update},
    labels::LabelId,
    texts::{Parts, Texts},
    values::{NONE, ValueId, Values, rank_in},
};

/// Where there is no time: long before all that a time may be (`limits.rs`).
const NEVER: i64 = i64::MIN;

#[derive(Debug, Default)]
pub(crate) struct Entries {
    /// A bit for each slot that holds a contact.
    live: Vec<u64>,
    free: Vec<Slot>,
    ids: Vec<ContactId>,
    versions: Vec<Version>,
    last_activity: Vec<i64>,
    created: Vec<i64>,
    labels: LabelSets,
    /// Company, city and country.
    members: [Vec<ValueId>; MEMBERS],
    values: [Values; MEMBERS],
    /// The e-mail addresses that folding changes, as they are.
    emails: HashMap<Slot, Box<str>>,
    /// Bytes that e-mail addresses hold.
    held: usize,
}

impl Entries {
    /// A slot for one more contact, which must be set next.
    pub(crate) fn take_slot(&mut self) -> Slot {
        self.free.pop().unwrap_or_else(|| {
            make_room(&mut self.ids);
            make_room(&mut self.versions);
            make_room(&mut self.last_activity);
            make_room(&mut self.created);
            self.members.iter_mut().for_each(make_room);
            self.ids.push(ContactId(0));
            self.versions.push(Version(0));
            self.last_activity.push(NEVER);
            self.created.push(0);
            self.labels.push();
            self.members.iter_mut().for_each(|column| column.push(NONE));
            // An account of four thousand million contacts does not fit into memory.
            Slot::try_from(self.ids.len() - 1).unwrap_or(Slot::MAX)
        })
    }

    /// Writes the labels of the contact in a slot.
    pub(crate) fn set_labels(&mut self, slot: Slot, labels: &[LabelId]) {
        self.labels.set(slot, labels);
    }

    /// Writes what is new of the contact in a slot.
    pub(crate) fn set(&mut self, slot: Slot, update: Update<'_>) {
        let at = slot as usize;
        set(&mut self.ids, at, update.id);
        set(&mut self.versions, at, update.version);
        set(&mut self.last_activity, at, update.last_activity_at.map_or(NEVER, |at| at.0));
        set(&mut self.created, at, update.created_at.0);
        if let Some(labels) = update.labels {
            self.set_labels(slot, &labels);
        }
        match update.email {
            Patch::Keep => {}
            Patch::Clear => self.set_email(slot, None),
            Patch::Set(email) => self.set_email(slot, Some(email)),
        }
        let columns = self.members.iter_mut().zip(&mut self.values);
        for ((column, values), text) in columns.zip(update.members) {
            let Some(place) = column.get_mut(at) else { continue };
            let id = match text {
                Patch::Keep => continue,
                Patch::Clear => NONE,
                Patch::Set(text) => values.take(&text),
            };
            values.give_back(std::mem::replace(place, id));
        }
        if self.live.len() <= at / 64 {
            self.live.resize(at / 64 + 1, 0);
        }
        if let Some(bits) = self.live.get_mut(at / 64) {
            *bits |= 1 << (at % 64);
        }
    }

    fn set_email(&mut self, slot: Slot, email: Option<Cow<'_, str>>) {
        let before = match email {
            Some(email) => {
                self.held += piece(email.len());
                self.emails.insert(slot, email.into())
            }
            None => self.emails.remove(&slot),
        };
        self.held -= before.map_or(0, |before| piece(before.len()));
    }

    /// Empties a slot.
    pub(crate) fn remove(&mut self, slot: Slot) {
        let at = slot as usize;
        self.set_email(slot, None);
        self.set_labels(slot, &[]);
        for (column, values) in self.members.iter_mut().zip(&mut self.values) {
            if let Some(place) = column.get_mut(at) {
                values.give_back(std::mem::replace(place, NONE));
            }
        }
        // Nothing of a contact that was erased is left, not even in a snapshot.
        set(&mut self.ids, at, ContactId(0));
        set(&mut self.versions, at, Version(0));
        set(&mut self.last_activity, at, NEVER);
        set(&mut self.created, at, 0);
        if let Some(bits) = self.live.get_mut(at / 64) {
            *bits &= !(1 << (at % 64));
        }
        self.free.push(slot);
    }

    /// Until [`Self::finish`], many contacts are set and none is looked at.
    pub(crate) fn begin(&mut self) {
        self.values.iter_mut().for_each(Values::rank_later);
    }

    /// Makes room for so many contacts more.
    pub(crate) fn reserve(&mut self, contacts: usize) {
        self.ids.reserve_exact(contacts);
        self.versions.reserve_exact(contacts);
        self.last_activity.reserve_exact(contacts);
        self.created.reserve_exact(contacts);
        self.labels.reserve(contacts);
        self.members.iter_mut().for_each(|column| column.reserve_exact(contacts));
    }

    pub(crate) fn finish(&mut self) {
        self.values.iter_mut().for_each(Values::rank_all);
        self.live.shrink_to_fit();
        self.ids.shrink_to_fit();
        self.versions.shrink_to_fit();
        self.last_activity.shrink_to_fit();
        self.created.shrink_to_fit();
        self.labels.shrink();
        self.members.iter_mut().for_each(Vec::shrink_to_fit);
    }

    /// A bit for each slot that holds a contact.
    pub(crate) fn live(&self) -> &[u64] {
        &self.live
    }

    /// The slots that hold a contact, in order.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot> + use<'_> {
        (0..).step_by(64).zip(&self.live).flat_map(|(from, bits)| {
            (0..64).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| from + bit)
        })
    }

    /// How many slots there are, empty ones included.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn id(&self, slot: Slot) -> ContactId {
        self.ids.get(slot as usize).copied().unwrap_or(ContactId(0))
    }

    /// The ids of all slots.
    pub(crate) fn ids(&self) -> &[ContactId] {
        &self.ids
    }

    pub(crate) fn version(&self, slot: Slot) -> Version {
        self.versions.get(slot as usize).copied().unwrap_or(Version(0))
    }

    pub(crate) fn last_activity_at(&self, slot: Slot) -> Option<UnixSeconds> {
        let at = self.last_activity.get(slot as usize).copied();
        at.filter(|at| *at != NEVER).map(UnixSeconds)
    }

    /// The last activity of all slots; no time is the lowest number.
    pub(crate) fn last_activity_column(&self) -> &[i64] {
        &self.last_activity
    }

    /// When the contacts of all slots were created.
    pub(crate) fn created_column(&self) -> &[i64] {
        &self.created
    }

    pub(crate) fn created_at(&self, slot: Slot) -> UnixSeconds {
        UnixSeconds(self.created.get(slot as usize).copied().unwrap_or_default())
    }

    pub(crate) fn labels(&self, slot: Slot) -> &[LabelId] {
        self.labels.get(slot)
    }

    /// The values of a member and the number of the slot's one.
    fn member(&self, member: usize, slot: Slot) -> Option<(&Values, ValueId)> {
        let id = *self.members.get(member)?.get(slot as usize)?;
        Some((self.values.get(member)?, id)).filter(|_| id != NONE)
    }

    /// Where the slot's value of a member stands among all; it is never 0.
    pub(crate) fn doubled_rank(&self, member: usize, slot: Slot) -> Option<u64> {
        let (ids, ranks) = self.member_column(member)?;
        let rank = rank_in(ranks, *ids.get(slot as usize)?);
        Some(rank * 2).filter(|rank| *rank != 0)
    }

    /// The numbers of all slots' values of a member, and the ranks by number.
    pub(crate) fn member_column(&self, member: usize) -> Option<(&[ValueId], &[u64])> {
        Some((self.members.get(member)?, self.values.get(member)?.ranks()))
    }

    /// Where a text would stand among all values of a member.
    pub(crate) fn doubled_rank_of(&self, member: usize, text: &str) -> Option<u64> {
        Some(self.values.get(member)?.doubled_rank(text))
    }

    /// Bytes of heap, about.
    pub(crate) fn bytes(&self) -> usize {
        let members: usize = self.members.iter().map(Vec::capacity).sum();
        self.live.capacity() * size_of::<u64>()
            + self.free.capacity() * size_of::<Slot>()
            + self.ids.capacity() * size_of::<ContactId>()
            + self.versions.capacity() * size_of::<Version>()
            + (self.last_activity.capacity() + self.created.capacity()) * size_of::<i64>()
            + self.labels.bytes()
            + members * size_of::<ValueId>()
            + self.values.iter().map(Values::bytes).sum::<usize>()
            + self.emails.capacity() * 8 / 7 * (size_of::<(Slot, Box<str>)>() + 1)
            + self.held
    }
}

/// Makes room for more, where there is none left: by an eighth instead of the double, because a
/// column is large and an account grows slowly once it is large.
pub(crate) fn make_room<T>(column: &mut Vec<T>) {
    if column.len() == column.capacity() {
        column.reserve_exact(column.len() / 8 + 16);
    }
}

fn set<T>(column: &mut [T], at: usize, value: T) {
    if let Some(place) = column.get_mut(at) {
        *place = value;
    }
}

/// What a piece of memory takes: an allocator adds a word and rounds up.
fn piece(bytes: usize) -> usize {
    if bytes == 0 { 0 } else { (bytes + 8).next_multiple_of(16).max(32) }
}

/// A contact in the index, read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) slot: Slot,
    pub(crate) entries: &'a Entries,
    pub(crate) texts: &'a Texts,
}

impl<'a> Row<'a> {
    pub(crate) fn id(&self) -> ContactId {
        self.entries.id(self.slot)
    }

    /// The searched texts, and the name as it is.
    pub(crate) fn parts(&self) -> Parts<'a> {
        Parts::of(self.texts.get(self.slot))
    }

    pub(crate) fn searched(&self) -> Searched<&'a str> {
        let Parts { folded_name: name, email, identifier, phone, .. } = self.parts();
        Searched { name, identifier, email, phone }
    }

    /// The e-mail address as it is, empty where there is none.
    pub(crate) fn email(&self) -> &'a str {
        self.entries.emails.get(&self.slot).map_or_else(|| self.parts().email, Box::as_ref)
    }

    /// The same as [`SortField::of`], of what is kept; `rank` is how well the text fits.
    pub(crate) fn value(
        &self,
        field: SortField,
        query: &Query,
        rank: u32,
    ) -> Option<SortValue<&'a str>> {
        let there = |text: &'a str| Some(text).filter(|text| !text.is_empty());
        let text = match field {
            SortField::Id => return Some(SortValue::Id(self.id())),
            SortField::Relevance => return query.text.as_ref().map(|_| SortValue::Relevance(rank)),
            SortField::Name => {
                let Parts { folded_name: folded, name, .. } = self.parts();
                return Some(SortValue::Name { folded, name });
            }
            SortField::LastActivityAt => {
                return self.entries.last_activity_at(self.slot).map(SortValue::Time);
            }
            SortField::CreatedAt => {
                return Some(SortValue::Time(self.entries.created_at(self.slot)));
            }
            SortField::Email => there(self.email()),
            SortField::PhoneNumber => there(self.parts().phone),
            SortField::CompanyName | SortField::City | SortField::Country => {
                let (values, id) = self.entries.member(member_of(field)?, self.slot)?;
                values.get(id)
            }
        };
        text.map(SortValue::Text)
    }

    /// The same as [`Place::of`].
    pub(crate) fn place(&self, query: &Query, rank: u32) -> Place {
        let keys = query.order.iter();
        let values = keys.map(|key| self.value(key.field, query, rank).map(SortValue::into_owned));
        Place { values: values.collect(), id: self.id() }
    }
}

/// Which member a field is.
pub(crate) fn member_of(field: SortField) -> Option<usize> {
    match field {
        SortField::CompanyName => Some(0),
        SortField::City => Some(1),
        SortField::Country => Some(2),
        _ => None,
    }
}
