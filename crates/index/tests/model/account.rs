//! An account as a store keeps it: the contacts, and the events that tell of every change.
#![expect(clippy::unwrap_used, reason = "a test may panic; clippy does not see that this is one")]

use std::collections::BTreeMap;

use meishi_contacts::{
    Actor, Card, ChannelType, Contact, ContactId, ContactPatch, Event, EventBody, Field,
    FieldChange, Inbox, InboxId, Label, LabelCard, LabelId, Place, Query, Relabelling, Seq, Slice,
    UnixMillis, UnixSeconds,
};
use meishi_index::{Answer, Index};
use proptest::prelude::prop;

use crate::steps::{Asked, Step};

#[derive(Default)]
pub(crate) struct Account {
    pub(crate) contacts: BTreeMap<ContactId, Contact>,
    pub(crate) events: Vec<Event>,
    /// Every contact as it was at any time.
    past: Vec<Contact>,
    /// Contacts as they last were, but for those that were erased.
    deleted: BTreeMap<ContactId, Contact>,
    created: i64,
}

impl Account {
    pub(crate) fn write(&mut self, body: EventBody) {
        self.events.push(Event {
            seq: self.seq().next(),
            at: UnixMillis(0),
            actor: Actor::System,
            request_id: String::new(),
            body,
        });
    }

    pub(crate) fn seq(&self) -> Seq {
        Seq(i64::try_from(self.events.len()).unwrap())
    }

    fn pick(&self, which: prop::sample::Index) -> Option<Contact> {
        (!self.contacts.is_empty())
            .then(|| self.contacts.values().nth(which.index(self.contacts.len())).unwrap().clone())
    }

    pub(crate) fn create(&mut self, patch: &ContactPatch) {
        self.created += 1;
        let mut contact = Contact::blank(ContactId(self.created), UnixSeconds(3));
        contact.apply(patch).unwrap();
        self.keep(contact.clone());
        self.write(EventBody::ContactCreated(Card { contact, contact_inboxes: Vec::new() }));
    }

    fn keep(&mut self, contact: Contact) {
        self.past.push(contact.clone());
        self.contacts.insert(contact.id, contact);
    }

    pub(crate) fn save(&mut self, mut contact: Contact, changes: Vec<FieldChange>) {
        if changes.is_empty() {
            return;
        }
        contact.version = contact.version.next();
        let (id, version) = (contact.id, contact.version);
        self.keep(contact);
        self.write(EventBody::ContactUpdated { id, version, changes });
    }

    pub(crate) fn delete(&mut self, id: ContactId) {
        let contact = self.contacts.remove(&id).unwrap();
        self.deleted.insert(id, contact.clone());
        self.write(EventBody::ContactDeleted(Card { contact, contact_inboxes: Vec::new() }));
    }

    /// A contact that was deleted, as it last was.
    pub(crate) fn deleted(&self, id: ContactId) -> Option<&Contact> {
        self.deleted.get(&id)
    }

    fn restore(&mut self, mut contact: Contact) {
        self.deleted.remove(&contact.id);
        contact.version = contact.version.next();
        self.contacts.insert(contact.id, contact.clone());
        self.write(EventBody::ContactRestored(Card { contact, contact_inboxes: Vec::new() }));
    }

    /// What earlier events told is gone, for whoever reads them later.
    fn erase(&mut self, id: ContactId) {
        self.contacts.remove(&id);
        self.deleted.remove(&id);
        for event in &mut self.events {
            if event.body.contact() == Some(id) {
                event.body = EventBody::Tombstone { id };
            }
        }
        self.write(EventBody::ContactErased { id });
    }

    /// Renames or deletes a label, with one event for all contacts.
    fn relabel(&mut self, body: EventBody) {
        let relabelling = Relabelling::of(&body).unwrap();
        for contact in self.contacts.values_mut().chain(self.deleted.values_mut()) {
            relabelling.apply(&mut contact.labels);
        }
        self.write(body);
    }

    fn rename_label(&mut self, before: &Label, after: &Label) {
        let bears = |contact: &Contact| contact.labels.contains(after);
        if before != after && !self.contacts.values().chain(self.deleted.values()).any(bears) {
            // One that nobody bears any more, so that its title is free.
            self.delete_label(after);
            let changes = vec![FieldChange::of(Field::Title, before.as_str(), after.as_str())];
            let id = LabelId(1);
            self.relabel(EventBody::LabelUpdated { id, title: after.clone(), changes });
        }
    }

    fn delete_label(&mut self, label: &Label) {
        self.relabel(EventBody::LabelDeleted(LabelCard::plain(LabelId(1), label.clone())));
    }

    pub(crate) fn run(&mut self, step: &Step) {
        match step {
            Step::Create(patch) => self.create(patch),
            Step::Patch(which, patch) => {
                if let Some(mut contact) = self.pick(*which) {
                    let changes = contact.apply(patch).unwrap();
                    self.save(contact, changes);
                }
            }
            Step::SetLabels(which, labels) => {
                if let Some(mut contact) = self.pick(*which) {
                    let changes = contact.set_labels(labels.clone()).unwrap();
                    self.save(contact, changes);
                }
            }
            Step::Delete(which) => {
                if let Some(contact) = self.pick(*which) {
                    self.delete(contact.id);
                }
            }
            Step::Restore(which) => {
                if !self.deleted.is_empty() {
                    let which = which.index(self.deleted.len());
                    self.restore(self.deleted.values().nth(which).unwrap().clone());
                }
            }
            Step::Erase(which) => {
                let known = self.contacts.keys().chain(self.deleted.keys());
                let known: Vec<ContactId> = known.copied().collect();
                if !known.is_empty() {
                    self.erase(*known.get(which.index(known.len())).unwrap());
                }
            }
            Step::RenameLabel(before, after) => self.rename_label(before, after),
            Step::DeleteLabel(label) => self.delete_label(label),
            Step::Other => {
                let inbox = Inbox {
                    id: InboxId(1),
                    name: "anna".to_owned(),
                    channel_type: ChannelType::Api,
                    created_at: UnixMillis(0),
                };
                self.write(EventBody::InboxDeleted { inbox, links: 1 });
                let label = LabelCard::plain(LabelId(1), Label::from_stored("vip".into()));
                self.write(EventBody::LabelCreated(label));
            }
            Step::Repeat(_) => {}
        }
    }

    /// The index that is loaded from the rows.
    pub(crate) fn loaded(&self) -> Index {
        Index::load(self.seq(), self.contacts.values().cloned())
    }

    /// The same as that of an account so large that it is searched by grams.
    pub(crate) fn with_grams(&self, from: usize) -> Index {
        let mut builder = Index::builder().grams_from(from);
        self.contacts.values().for_each(|contact| builder.push(contact));
        let index = builder.finish(self.seq());
        assert_eq!(index.has_grams(), self.contacts.len() >= from);
        index
    }

    /// The query, after a place where a contact stands or stood before.
    pub(crate) fn query(&self, asked: &Asked) -> Query {
        let mut query = asked.query.clone();
        if let Some(which) = asked.after
            && !self.past.is_empty()
        {
            query.after = Some(Place::of(&query, which.get(&self.past)));
        }
        query
    }

    /// What a query means, taken literally.
    pub(crate) fn answer(&self, query: &Query) -> Answer {
        let matches = self.contacts.values().filter(|contact| query.matches(contact));
        let mut places: Vec<Place> = matches.map(|contact| Place::of(query, contact)).collect();
        places.sort_by(|a, b| a.compare(b, &query.order));
        Self::sliced(query, places)
    }

    /// An answer, with what it leaves open looked up, as the server does.
    pub(crate) fn settled(&self, answer: Answer) -> Answer {
        let Answer::Candidates { ids, condition } = answer else { return answer };
        let contacts = ids.iter().map(|id| self.contacts.get(id).unwrap());
        let matches = contacts.filter(|contact| condition.matches(contact));
        Self::sliced(&condition, matches.map(|contact| Place::of(&condition, contact)).collect())
    }

    /// The answer that these are in all, in order.
    pub(crate) fn sliced(query: &Query, mut places: Vec<Place>) -> Answer {
        let total = places.len() as u64;
        if let Some(after) = &query.after {
            places.retain(|place| place.compare(after, &query.order).is_gt());
        }
        let Slice { offset, limit } = query.slice;
        let slice: Vec<&Place> = places.iter().skip(offset).take(limit).collect();
        let more = places.len() > offset.saturating_add(slice.len());
        Answer::Exact {
            ids: slice.iter().map(|place| place.id).collect(),
            total,
            next: slice.last().filter(|_| more).copied().cloned(),
        }
    }
}

/// Holds the index to the account.
pub(crate) fn check(index: &Index, account: &Account, queries: &[Query]) {
    assert_eq!(index.seq(), account.seq());
    assert_eq!(index.len(), account.contacts.len());
    assert_eq!(index.is_empty(), account.contacts.is_empty());
    for query in queries {
        assert_eq!(account.settled(index.query(query)), account.answer(query), "{query:?}");
        for label in &query.labels {
            let bears = |contact: &&Contact| contact.labels.contains(label);
            assert_eq!(index.labelled(label), account.contacts.values().filter(bears).count());
        }
    }
}
