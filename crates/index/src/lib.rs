//! The query side of one account: its contacts in memory, searched, filtered and sorted.
//!
//! An [`Index`] is loaded from the state of the store at one event and follows the account's
//! events from there. It answers a [`Query`] with the ids of the slice and the exact number of
//! matches; the rows come from the store. What an answer means is written down in
//! `meishi_contacts::query`, and `tests/model/` holds the two together. No I/O, no async, no
//! clock: when to load, feed and drop an index is its owner's affair.
//!
//! Every contact has a slot, a small number that it keeps as long as it is there. By slot, the
//! index holds the text that is searched (`texts.rs`) and columns of all other facts
//! (`entries.rs`; values that many share are numbers, `labels.rs` and `values.rs`). What an event
//! changes of them is worked out in `facts.rs`. For accounts of some size there are, besides, the
//! sets of slots (`postings.rs`, `block.rs`) that hold a few characters (`grams.rs`) or a word of a name
//! or a domain (`words.rs`, and `near.rs` for misspelt ones).
//!
//! What only filters ask of is in `columns.rs`, and `filter.rs` finds who matches one. `snapshot.rs`
//! is the index as bytes.
//!
//! `patience.rs` lets long queries be given up. `answer.rs` finds who matches, `select.rs` the order and the slice, by the numbers of
//! `heads.rs`. To query by one more field: keep it in `entries.rs`, follow its changes in
//! `Facts::change`, test for it in `Index::query` or, if it is to be sorted by, tell it in
//! `Row::value` and `Heads::head`.

mod answer;
mod block;
mod columns;
mod entries;
mod facts;
mod filter;
mod grams;
mod heads;
mod labels;
mod near;
mod patience;
mod postings;
mod select;
mod snapshot;
mod texts;
mod values;
mod words;

use std::{
    collections::{BTreeMap, BTreeSet},
    mem::{size_of, take},
};

use meishi_contacts::{
    Contact, ContactId, Event, EventBody, FieldChange, Label, Relabelling, Seq, UnixSeconds,
    Version,
};

pub use crate::{
    answer::Answer,
    patience::TooLate,
    snapshot::{SnapshotError, Stamp},
};
use crate::{
    columns::Columns,
    entries::{Entries, Row},
    facts::{Facts, Update},
    grams::Grams,
    heads::Heads,
    labels::Labels,
    texts::{Texts, domain_in, name_in},
    words::Words,
};

/// The place of a contact in the index, for as long as it is there.
type Slot = u32;

/// Contacts of an account from which on its texts are searched by grams; to look at all texts of
/// fewer takes less than a tenth of a millisecond.
const GRAMS_FROM: usize = 20_000;

/// Contacts that there is room for from the start, at most: a count that is wrong must not take
/// all memory.
const MOST_EXPECTED: usize = 4_000_000;

/// The contacts of one account, as they were right after one event.
#[derive(Debug)]
pub struct Index {
    seq: Seq,
    entries: Entries,
    /// By id, so that the list in that order is a walk too.
    slots: BTreeMap<ContactId, Slot>,
    texts: Texts,
    labels: Labels,
    columns: Columns,
    heads: Heads,
    /// The default order backwards, so that the list that is asked for most is a walk.
    recent: BTreeSet<Recency>,
    /// What a small account has not.
    search: Option<Search>,
    /// From how many contacts on it is there.
    grams_from: usize,
}

/// Who has which parts of a text.
#[derive(Debug)]
struct Search {
    grams: Grams,
    /// Of names.
    words: Words,
    /// Of e-mail addresses.
    domains: Words,
}

/// A contact's place in the default order, backwards; the lowest number is no time.
type Recency = (i64, ContactId);

fn recency(at: Option<UnixSeconds>, id: ContactId) -> Recency {
    (at.map_or(i64::MIN, |at| at.0), id)
}

impl Default for Index {
    fn default() -> Self {
        Self {
            seq: Seq(0),
            entries: Entries::default(),
            slots: BTreeMap::new(),
            texts: Texts::default(),
            labels: Labels::default(),
            columns: Columns::default(),
            heads: Heads::default(),
            recent: BTreeSet::new(),
            search: None,
            grams_from: GRAMS_FROM,
        }
    }
}

/// Why an event could not be applied. The index is as it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Events are missing: fetch those from `expected` on.
    #[error("expected event {expected}, found event {found}")]
    Gap {
        /// The number after the last event that was applied.
        expected: Seq,
        /// The number of the event.
        found: Seq,
    },
    /// The event does not follow from what the index holds: load it anew.
    #[error("event {seq} does not fit: {reason}")]
    Inconsistent {
        /// The number of the event.
        seq: Seq,
        /// What does not fit.
        reason: &'static str,
    },
}

/// Takes the contacts of a store, one at a time.
#[derive(Debug)]
pub struct Builder {
    index: Index,
    /// Contacts in the order of their ids, as they come from a store; the index has the others.
    in_order: Vec<(ContactId, Slot)>,
}

impl Builder {
    /// Sets from how many contacts on texts are searched by grams, which take as much memory again
    /// as the text; without them all texts are looked at. An account that has no room for grams
    /// gets `usize::MAX`.
    #[must_use]
    pub fn grams_from(mut self, contacts: usize) -> Self {
        self.index.grams_from = contacts;
        self
    }

    /// Makes room for so many contacts, as far as is reasonable; there may be more or fewer.
    #[must_use]
    pub fn expecting(mut self, contacts: u64) -> Self {
        let contacts = usize::try_from(contacts).map_or(MOST_EXPECTED, |n| n.min(MOST_EXPECTED));
        self.index.entries.reserve(contacts);
        self.index.texts.reserve(contacts);
        self.in_order.reserve_exact(contacts);
        self
    }

    /// An estimate of the bytes of heap in use so far; grams and words come at the end.
    pub fn bytes(&self) -> usize {
        self.index.bytes() + self.in_order.capacity() * size_of::<(ContactId, Slot)>()
    }

    /// Adds a contact. One with the same id that was added before is replaced.
    pub fn push(&mut self, contact: &Contact) {
        let facts = Facts::of_contact(contact, &mut self.index.labels);
        let (update, text) = facts.pack();
        let slot = match self.slot(update.id) {
            Some(slot) => {
                self.index.columns.remove(slot);
                slot
            }
            None => self.take_slot(update.id),
        };
        self.index.columns.set(slot, contact);
        self.index.put(slot, update, text);
    }

    /// The slot of a contact that was added before.
    fn slot(&self, id: ContactId) -> Option<Slot> {
        if self.in_order.last().is_none_or(|(last, _)| *last < id) {
            return None;
        }
        let at = self.in_order.binary_search_by_key(&id, |(id, _)| *id).ok();
        let in_order = at.and_then(|at| self.in_order.get(at)).map(|(_, slot)| *slot);
        in_order.or_else(|| self.index.slots.get(&id).copied())
    }

    /// A slot for a contact that is new.
    fn take_slot(&mut self, id: ContactId) -> Slot {
        if self.in_order.last().is_some_and(|(last, _)| *last > id) {
            return self.index.slot(id);
        }
        // As much again: to move all of them at every eighth more, as in a column that grows
        // slowly, takes as long as all the rest.
        let slots = self.index.entries.len();
        if slots.is_power_of_two() {
            self.index.entries.reserve(slots);
            self.index.texts.reserve(slots);
        }
        let slot = self.index.entries.take_slot();
        self.in_order.push((id, slot));
        slot
    }

    /// The index of the contacts that were added, which are the state after event `seq`.
    pub fn finish(mut self, seq: Seq) -> Index {
        self.index.seq = seq;
        self.index.entries.finish();
        self.index.texts.shrink();
        self.index.columns.shrink();
        let entries = &self.index.entries;
        let mut recent = Vec::with_capacity(self.in_order.len());
        let at = |slot| recency(entries.last_activity_at(slot), entries.id(slot));
        recent.extend(entries.slots().map(at));
        self.index.recent = recent.into_iter().collect();
        // Built from what is in order, the nodes of the tree are full.
        self.in_order.extend(take(&mut self.index.slots));
        self.index.slots = self.in_order.into_iter().collect();
        self.index.have_search();
        self.index
    }
}

impl Index {
    /// Contacts from which on an account is searched by grams, where there is room for them.
    pub const GRAMS_FROM: usize = GRAMS_FROM;

    /// The index of an account before its first event.
    pub fn new() -> Self {
        Self::default()
    }

    /// An index that contacts are added to one at a time, as they come from the store.
    pub fn builder() -> Builder {
        let mut index = Self::default();
        index.entries.begin();
        Builder { index, in_order: Vec::new() }
    }

    /// The index of these contacts, which are the state after event `seq`.
    pub fn load(seq: Seq, contacts: impl IntoIterator<Item = Contact>) -> Self {
        let mut builder = Self::builder();
        contacts.into_iter().for_each(|contact| builder.push(&contact));
        builder.finish(seq)
    }

    /// The last event that the answers know of.
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// How many contacts there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is no contact.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether texts are searched by grams, as those of large accounts are.
    pub fn has_grams(&self) -> bool {
        self.search.is_some()
    }

    /// Drops the grams, as for an account that has no room for them; what they answered, a look at
    /// all texts does from now on.
    pub fn forgo_grams(&mut self) {
        self.search = None;
        self.grams_from = usize::MAX;
    }

    /// Makes grams where an account of this size has them and they were forgone.
    pub fn regain_grams(&mut self) {
        if self.grams_from == usize::MAX {
            self.grams_from = GRAMS_FROM;
            self.have_search();
        }
    }

    /// An estimate of the bytes in use, at the cost of a look at every set: a few milliseconds at a
    /// million contacts.
    pub fn bytes(&self) -> usize {
        // A node of a B-tree has eleven places, of which about eight are in use.
        let tree = |len: usize, place: usize| len * (place + 2) * 11 / 8;
        let slots = tree(self.slots.len(), size_of::<ContactId>() + size_of::<Slot>());
        let recent = tree(self.recent.len(), size_of::<Recency>());
        let search = self.search.as_ref();
        size_of::<Self>()
            + search.map_or(0, Search::bytes)
            + self.entries.bytes()
            + self.heads.bytes()
            + slots
            + recent
            + self.texts.bytes()
            + self.labels.bytes()
            + self.columns.bytes()
    }

    /// Follows one event. One that was applied before is ignored, so a feed may repeat itself;
    /// after an error the index is as it was.
    pub fn apply(&mut self, event: &Event) -> Result<(), ApplyError> {
        if event.seq <= self.seq {
            return Ok(());
        }
        let expected = self.seq.next();
        if event.seq != expected {
            return Err(ApplyError::Gap { expected, found: event.seq });
        }
        self.follow(&event.body)
            .map_err(|reason| ApplyError::Inconsistent { seq: event.seq, reason })?;
        self.seq = event.seq;
        Ok(())
    }

    fn follow(&mut self, body: &EventBody) -> Result<(), &'static str> {
        match body {
            EventBody::ContactCreated(card) | EventBody::ContactRestored(card) => {
                self.create(&card.contact)
            }
            EventBody::ContactUpdated { id, version, changes } => {
                self.update(*id, *version, changes)
            }
            EventBody::ContactDeleted(card) => self.delete(card.contact.id),
            EventBody::ContactErased { id } if self.slots.contains_key(id) => self.delete(*id),
            EventBody::LabelUpdated { .. } | EventBody::LabelDeleted(_) => {
                Relabelling::of(body).map_or(Ok(()), |relabelling| self.relabel(&relabelling))
            }
            // It may have been deleted before, and its creation may be a tombstone by now. Labels
            // come with the contacts that bear them; definitions, channels, keys and
            // webhooks are not queried here.
            EventBody::ContactErased { .. }
            | EventBody::Tombstone { .. }
            | EventBody::AccountCreated { .. }
            | EventBody::LabelCreated(_)
            | EventBody::AttributeCreated(_)
            | EventBody::AttributeUpdated { .. }
            | EventBody::AttributeDeleted(_)
            | EventBody::InboxCreated(_)
            | EventBody::InboxUpdated { .. }
            | EventBody::InboxDeleted { .. }
            | EventBody::KeyCreated(_)
            | EventBody::KeyUpdated { .. }
            | EventBody::KeyRotated { .. }
            | EventBody::KeyRevoked(_)
            | EventBody::WebhookCreated(_)
            | EventBody::WebhookUpdated { .. }
            | EventBody::WebhookRotated { .. }
            | EventBody::WebhookDeleted(_) => Ok(()),
        }
    }

    fn create(&mut self, contact: &Contact) -> Result<(), &'static str> {
        if self.slots.contains_key(&contact.id) {
            return Err("the contact that it creates is there already");
        }
        let (update, text) = Facts::of_contact(contact, &mut self.labels).pack();
        let slot = self.slot(update.id);
        self.columns.set(slot, contact);
        self.recent.insert(recency(update.last_activity_at, update.id));
        self.put(slot, update, text);
        self.have_search();
        Ok(())
    }

    fn update(
        &mut self,
        id: ContactId,
        version: Version,
        changes: &[FieldChange],
    ) -> Result<(), &'static str> {
        let slot = *self.slots.get(&id).ok_or("the contact that it changes is not there")?;
        // Not `self.row`, so that the labels stay free to learn a new one.
        let row = Row { slot, entries: &self.entries, texts: &self.texts };
        if version != self.entries.version(slot).next() {
            return Err("the contact is of another version");
        }
        let mut facts = Facts::of_row(&row);
        facts.set_version(version);
        for change in changes {
            facts.change(change, &mut self.labels)?;
        }
        for change in changes {
            self.columns.change(slot, change);
        }
        let (update, text) = facts.pack();
        let update = update.into_owned();
        let before = recency(self.entries.last_activity_at(slot), id);
        let after = recency(update.last_activity_at, id);
        if before != after {
            self.recent.remove(&before);
            self.recent.insert(after);
        }
        self.put(slot, update, text);
        Ok(())
    }

    fn delete(&mut self, id: ContactId) -> Result<(), &'static str> {
        let slot = self.slots.remove(&id).ok_or("the contact that it deletes is not there")?;
        self.recent.remove(&recency(self.entries.last_activity_at(slot), id));
        if let Some(search) = &mut self.search {
            search.change(slot, self.texts.get(slot), "");
        }
        self.texts.remove(slot);
        self.columns.relabel(slot, self.entries.labels(slot), &[]);
        self.columns.remove(slot);
        self.entries.remove(slot);
        if self.search.is_some() && self.len() < self.grams_from / 2 {
            self.search = None;
        }
        Ok(())
    }

    /// Follows what happened to a label with all contacts that bear it.
    fn relabel(&mut self, relabelling: &Relabelling) -> Result<(), &'static str> {
        let label = match relabelling {
            Relabelling::Renamed { before, after } => return self.labels.rename(before, after),
            Relabelling::Deleted(label) => label,
        };
        let Some(id) = self.labels.id(label) else { return Ok(()) };
        for slot in self.columns.drop_label(id) {
            let held = self.entries.labels(slot).iter().copied();
            let left: Vec<_> = held.filter(|held| *held != id).collect();
            self.columns.relabel(slot, &left, &left);
            self.entries.set_labels(slot, &left);
        }
        self.labels.remove(label);
        Ok(())
    }

    /// How many contacts bear a label.
    pub fn labelled(&self, label: &Label) -> usize {
        self.labels.id(label).map_or(0, |id| self.columns.labelled_with(id))
    }

    /// The slot of a contact, a free one if it has none.
    fn slot(&mut self, id: ContactId) -> Slot {
        *self.slots.entry(id).or_insert_with(|| self.entries.take_slot())
    }

    /// Writes what is new of the contact in a slot.
    fn put(&mut self, slot: Slot, update: Update<'_>, text: Option<String>) {
        if let Some(labels) = &update.labels {
            self.columns.relabel(slot, self.entries.labels(slot), labels);
        }
        self.entries.set(slot, update);
        let Some(text) = text else { return };
        let before = self.texts.get(slot);
        if before == text {
            return;
        }
        if let Some(search) = &mut self.search {
            search.change(slot, before, &text);
        }
        self.texts.set(slot, &text);
        self.heads.change(&Row { slot, entries: &self.entries, texts: &self.texts });
    }

    /// Builds what a large account is searched with, if this one has become one.
    fn have_search(&mut self) {
        if self.search.is_none() && self.len() >= self.grams_from {
            let grams = Grams::build(self.entries.slots(), &self.texts);
            let words = Words::build(self.entries.slots(), &self.texts, name_in);
            let domains = Words::build(self.entries.slots(), &self.texts, domain_in);
            self.search = Some(Search { grams, words, domains });
        }
    }

    fn row(&self, slot: Slot) -> Row<'_> {
        Row { slot, entries: &self.entries, texts: &self.texts }
    }
}

impl Search {
    /// Follows the change of a slot's text; no contact there is an empty text.
    fn change(&mut self, slot: Slot, before: &str, after: &str) {
        self.grams.change(slot, before, after);
        for (words, part) in
            [(&mut self.words, name_in as fn(&str) -> &str), (&mut self.domains, domain_in)]
        {
            let (before, after) = (part(before), part(after));
            if before != after {
                words.change(slot, before, after);
            }
        }
    }

    /// Bytes of heap, about.
    fn bytes(&self) -> usize {
        self.grams.bytes() + self.words.bytes() + self.domains.bytes()
    }
}
