//! The query side of one account: its contacts in memory, searched, filtered and sorted.
//!
//! An [`Index`] is loaded from the state of the store at one event and follows the account's
//! events from there. It answers a [`Query`] with the ids of the slice and the exact number of
//! matches; the rows come from the store. What an answer means is written down in
//! `meishi_contacts::query`, and `tests/model/` holds the two together. No I/O, no async, no
//! clock: when to load, feed and drop an index is its owner's affair.
//!
//! `entry.rs` has what is kept of a contact, `texts.rs` the text that is searched, `labels.rs` the
//! labels, `select.rs` the order and the slice. To query by one more field: keep it in
//! `entry.rs`, follow its changes in `Facts::change`, test for it in `Index::query` or, if it is
//! to be sorted by, tell it in `Row::value`.

mod entry;
mod labels;
mod select;
mod texts;

use std::{
    collections::{BTreeMap, BTreeSet},
    mem::{size_of, take},
    ops::Bound::{Excluded, Unbounded},
};

use meishi_contacts::{
    Contact, ContactId, Event, EventBody, FieldChange, Place, Query, Seq, Slice, SortField,
    SortKey, SortValue, UnixSeconds, Version, order::DEFAULT_ORDER,
};

use crate::{
    entry::{Entry, Facts, Row},
    labels::Labels,
    texts::Texts,
};

/// The place of a contact in the index, for as long as it is there.
type Slot = u32;

/// The contacts of one account, as they were right after one event.
#[derive(Debug, Default)]
pub struct Index {
    seq: Seq,
    /// By slot; a slot whose contact is gone is free for the next.
    entries: Vec<Option<Entry>>,
    free: Vec<Slot>,
    /// By id, so that the list in that order is a walk too.
    slots: BTreeMap<ContactId, Slot>,
    texts: Texts,
    labels: Labels,
    /// The default order backwards, so that the list that is asked for most is a walk.
    recent: BTreeSet<(Option<UnixSeconds>, ContactId)>,
    /// Bytes that the entries hold outside themselves.
    held: usize,
}

/// What a query comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// All that was asked for.
    Exact {
        /// The ids of the slice, in order.
        ids: Vec<ContactId>,
        /// How many contacts match in all.
        total: u64,
        /// Where the slice ends, if more follow it and it is not empty: what comes `after` this
        /// place is the next one, whatever changes until then.
        next: Option<Place>,
    },
    /// What fields that are not held in memory leave open: those of a filter.
    Candidates {
        /// All contacts that may match, in order: every match is among them.
        ids: Vec<ContactId>,
        /// What a row must meet (`condition.matches(contact)`) to be counted; the slice is taken
        /// of those that do and come after its place (`condition.follows(contact)`).
        condition: Box<Query>,
    },
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
#[derive(Debug, Default)]
pub struct Builder {
    index: Index,
}

impl Builder {
    /// Adds a contact. One with the same id that was added before is replaced.
    pub fn push(&mut self, contact: &Contact) {
        let facts = Facts::of_contact(contact, &mut self.index.labels);
        let packed = facts.pack();
        self.index.put(packed);
    }

    /// The index of the contacts that were added, which are the state after event `seq`.
    pub fn finish(mut self, seq: Seq) -> Index {
        self.index.seq = seq;
        self.index.recent = self.index.entries.iter().flatten().map(Entry::recency).collect();
        self.index.entries.shrink_to_fit();
        // Built from what is in order, the nodes of the tree are full.
        self.index.slots = take(&mut self.index.slots).into_iter().collect();
        self.index
    }
}

impl Index {
    /// The index of an account before its first event.
    pub fn new() -> Self {
        Self::default()
    }

    /// An index that contacts are added to one at a time, as they come from the store.
    pub fn builder() -> Builder {
        Builder::default()
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

    /// An estimate of the bytes of heap in use, at little cost.
    pub fn bytes(&self) -> usize {
        // A node of a B-tree has eleven places, of which about eight are in use.
        let tree = |len: usize, place: usize| len * (place + 2) * 11 / 8;
        let slots = tree(self.slots.len(), size_of::<ContactId>() + size_of::<Slot>());
        let recent = tree(self.recent.len(), size_of::<(Option<UnixSeconds>, ContactId)>());
        self.entries.capacity() * size_of::<Option<Entry>>()
            + self.free.capacity() * size_of::<Slot>()
            + self.held
            + slots
            + recent
            + self.texts.bytes()
            + self.labels.bytes()
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
            // It may have been deleted before, and its creation may be a tombstone by now. Labels
            // come with the contacts; channels, keys and webhooks are not queried here.
            EventBody::ContactErased { .. }
            | EventBody::Tombstone { .. }
            | EventBody::AccountCreated { .. }
            | EventBody::LabelCreated { .. }
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
        let packed = Facts::of_contact(contact, &mut self.labels).pack();
        self.recent.insert(packed.0.recency());
        self.put(packed);
        Ok(())
    }

    fn update(
        &mut self,
        id: ContactId,
        version: Version,
        changes: &[FieldChange],
    ) -> Result<(), &'static str> {
        let slot = self.slots.get(&id);
        // Not `self.row`, so that the labels stay free to learn a new one.
        let row = slot.and_then(|slot| Row::at(*slot, &self.entries, &self.texts));
        let row = row.ok_or("the contact that it changes is not there")?;
        if version != row.entry.version.next() {
            return Err("the contact is of another version");
        }
        let before = row.entry.recency();
        let mut facts = Facts::of_row(&row);
        facts.version = version;
        for change in changes {
            facts.change(change, &mut self.labels)?;
        }
        let packed = facts.pack();
        let after = packed.0.recency();
        if before != after {
            self.recent.remove(&before);
            self.recent.insert(after);
        }
        self.put(packed);
        Ok(())
    }

    fn delete(&mut self, id: ContactId) -> Result<(), &'static str> {
        let gone = "the contact that it deletes is not there";
        let slot = self.slots.remove(&id).ok_or(gone)?;
        let entry = self.entries.get_mut(slot as usize).and_then(Option::take).ok_or(gone)?;
        self.recent.remove(&entry.recency());
        self.held -= entry.held();
        self.texts.remove(slot);
        self.free.push(slot);
        Ok(())
    }

    /// Puts a contact into its slot, or into a free one if it has none.
    fn put(&mut self, (entry, text): (Entry, String)) {
        let slot = *self.slots.entry(entry.id).or_insert_with(|| {
            self.free.pop().unwrap_or_else(|| {
                self.entries.push(None);
                Slot::try_from(self.entries.len() - 1).unwrap_or(Slot::MAX)
            })
        });
        self.texts.set(slot, &text);
        self.held += entry.held();
        if let Some(place) = self.entries.get_mut(slot as usize)
            && let Some(before) = place.replace(entry)
        {
            self.held -= before.held();
        }
    }

    fn row(&self, slot: Slot) -> Option<Row<'_>> {
        Row::at(slot, &self.entries, &self.texts)
    }

    /// Which contacts, in which order, and how many in all.
    pub fn query(&self, query: &Query) -> Answer {
        if query.filter.is_some() || query.resolved {
            return self.candidates(query);
        }
        let labels = self.labels.known(&query.labels);
        let labelled = |row: &Row<'_>| {
            query.labels.is_empty()
                || row.entry.labels.iter().any(|label| labels.binary_search(label).is_ok())
        };
        if let Some(text) = query.text.as_ref().filter(|text| !text.is_misspelt()) {
            let rows = self.texts.find(text).into_iter().filter_map(|slot| self.row(slot));
            return self.select(query, rows.filter(labelled));
        }
        let slots = 0..Slot::try_from(self.entries.len()).unwrap_or(Slot::MAX);
        let rows = slots.filter_map(|slot| self.row(slot)).filter(labelled);
        if let Some(text) = &query.text {
            return self.select(query, rows.filter(|row| text.is_near(row.name().0)));
        }
        if query.labels.is_empty() {
            if query.order == DEFAULT_ORDER {
                return self.latest(query);
            }
            if let [SortKey { field: SortField::Id, descending }] = query.order.as_slice() {
                return self.by_id(query, *descending);
            }
        }
        self.select(query, rows)
    }

    /// All that a query leaves without its filter, in order.
    fn candidates(&self, query: &Query) -> Answer {
        let slice = Slice { offset: 0, limit: usize::MAX };
        let wider = Query { filter: None, resolved: false, after: None, slice, ..query.clone() };
        match self.query(&wider) {
            Answer::Exact { ids, .. } => {
                let condition = Box::new(query.clone());
                Answer::Candidates { ids, condition }
            }
            answer @ Answer::Candidates { .. } => answer,
        }
    }

    /// Counts the rows and takes the slice; past the end of everything none is kept.
    fn select<'a>(&self, query: &Query, rows: impl Iterator<Item = Row<'a>>) -> Answer {
        if query.slice.offset < self.len() {
            select::select(query, rows)
        } else {
            Answer::Exact { ids: Vec::new(), total: rows.count() as u64, next: None }
        }
    }

    /// The plain list in its default order.
    fn latest(&self, query: &Query) -> Answer {
        let before = query.after.as_ref().map_or(Unbounded, |place| {
            let at = match place.values.first() {
                Some(Some(SortValue::Time(at))) => Some(*at),
                _ => None,
            };
            Excluded((at, place.id))
        });
        let ids = self.recent.range((Unbounded, before)).rev();
        self.walk(query, ids.map(|(_, id)| *id))
    }

    /// The plain list by id.
    fn by_id(&self, query: &Query, descending: bool) -> Answer {
        let after = query.after.as_ref().map_or(Unbounded, |place| Excluded(place.id));
        if descending {
            self.walk(query, self.slots.range((Unbounded, after)).rev().map(|(id, _)| *id))
        } else {
            self.walk(query, self.slots.range((after, Unbounded)).map(|(id, _)| *id))
        }
    }

    /// Takes the slice of a list of all contacts, which come as they are in order.
    fn walk(&self, query: &Query, ids: impl Iterator<Item = ContactId>) -> Answer {
        let Slice { offset, limit } = query.slice;
        let total = self.len() as u64;
        if offset >= self.len() {
            return Answer::Exact { ids: Vec::new(), total, next: None };
        }
        let mut rest = ids.skip(offset);
        let ids: Vec<ContactId> = rest.by_ref().take(limit).collect();
        let last = ids.last().filter(|_| rest.next().is_some()).and_then(|id| self.slots.get(id));
        let next = last.and_then(|slot| self.row(*slot)).map(|row| row.place(&query.order));
        Answer::Exact { ids, total, next }
    }
}
