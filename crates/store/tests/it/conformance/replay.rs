//! An account as a consumer of its events knows it, and the check that nothing else is true.

use std::{collections::BTreeMap, sync::Arc};

use meishi_contacts::{
    AccountId, AttributeDefinition, AttributeId, Card, Contact, ContactId, Event, EventBody, Field,
    FieldChange, Inbox, InboxId, KeyId, LabelCard, LabelId, Relabelling, Seq, UnixMillis, Version,
    Webhook, WebhookId, WebhookState, event::KeyCard, limits::READ_ROWS,
};
use meishi_store::{Include, Store};
use serde::{Serialize, de::DeserializeOwned};

use super::tenant::card_of;

/// Built from nothing but events, each of which must fit what those before it told.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    seq: Seq,
    last_contact_id: i64,
    cards: BTreeMap<ContactId, Card>,
    inboxes: BTreeMap<InboxId, Inbox>,
    keys: BTreeMap<KeyId, (KeyCard, Option<UnixMillis>)>,
    labels: BTreeMap<LabelId, LabelCard>,
    attributes: BTreeMap<AttributeId, AttributeDefinition>,
    webhooks: BTreeMap<WebhookId, Webhook>,
    /// Some events are tombstones.
    erased_later: bool,
}

impl Replay {
    pub(crate) fn of(events: &[Event]) -> Self {
        let is_tombstone = |event: &Event| matches!(event.body, EventBody::Tombstone { .. });
        let mut replay = Self { erased_later: events.iter().any(is_tombstone), ..Self::default() };
        for event in events {
            replay.follow(event);
        }
        replay
    }

    pub(crate) fn contacts(&self) -> Vec<Contact> {
        self.cards.values().map(|card| card.contact.clone()).collect()
    }

    fn follow(&mut self, event: &Event) {
        assert_eq!(event.seq, self.seq.next(), "the events are not dense");
        self.seq = event.seq;
        match &event.body {
            EventBody::AccountCreated { .. } => assert_eq!(event.seq, Seq(1)),
            EventBody::ContactCreated(card) => {
                assert_eq!((card.contact.version, card.contact.labels.len()), (Version::FIRST, 0));
                for link in &card.contact_inboxes {
                    assert!(self.inboxes.contains_key(&link.inbox_id), "a link to no channel");
                }
                assert!(card.contact.id.0 > self.last_contact_id, "an id that was given before");
                self.last_contact_id = card.contact.id.0;
                self.cards.insert(card.contact.id, card.clone());
            }
            EventBody::ContactUpdated { id, version, changes } => {
                let contact = &mut self.cards.get_mut(id).unwrap().contact;
                assert_eq!(*version, contact.version.next());
                change(contact, changes);
                contact.version = *version;
                let contact = contact.clone();
                self.knows_labels_of(&contact);
            }
            EventBody::ContactDeleted(card) => {
                assert_eq!(self.cards.remove(&card.contact.id).as_ref(), Some(card));
            }
            EventBody::ContactRestored(card) => {
                self.knows_labels_of(&card.contact);
                assert!(self.cards.insert(card.contact.id, card.clone()).is_none());
            }
            // Of what a tombstone told nothing is left, so that the contact may not be known.
            EventBody::ContactErased { id } => {
                self.cards.remove(id);
            }
            EventBody::Tombstone { id } => {
                self.last_contact_id = self.last_contact_id.max(id.0);
            }
            EventBody::LabelCreated(label) => {
                assert!(self.labels.values().all(|known| known.title != label.title));
                assert_eq!(self.labels.insert(label.id, label.clone()), None);
            }
            EventBody::LabelUpdated { id, title, changes } => {
                assert!(self.labels.iter().all(|(other, l)| other == id || l.title != *title));
                let label = self.labels.get_mut(id).unwrap();
                change(label, changes);
                assert_eq!(label.title, *title);
                self.relabel(&event.body);
            }
            EventBody::LabelDeleted(label) => {
                assert_eq!(self.labels.remove(&label.id).as_ref(), Some(label));
                self.relabel(&event.body);
            }
            EventBody::AttributeCreated(_)
            | EventBody::AttributeUpdated { .. }
            | EventBody::AttributeDeleted(_) => self.define(event),
            EventBody::InboxCreated(inbox) => {
                assert_eq!(self.inboxes.insert(inbox.id, inbox.clone()), None);
            }
            EventBody::InboxUpdated { id, changes } => {
                change(self.inboxes.get_mut(id).unwrap(), changes);
            }
            EventBody::InboxDeleted { inbox, links } => {
                assert_eq!(self.inboxes.remove(&inbox.id).as_ref(), Some(inbox));
                let unlinked = self.unlink(inbox.id);
                // Links of a contact that was erased since are not known.
                assert!(unlinked == *links || (self.erased_later && unlinked < *links));
            }
            EventBody::KeyCreated(key) => {
                assert_eq!(self.keys.insert(key.id, (key.clone(), None)), None);
            }
            EventBody::KeyUpdated { id, changes } => {
                change(&mut self.keys.get_mut(id).unwrap().0, changes);
            }
            EventBody::KeyRotated { id, previous_until } => {
                self.keys.get_mut(id).unwrap().1 = Some(*previous_until);
            }
            EventBody::KeyRevoked(key) => {
                assert_eq!(self.keys.remove(&key.id).map(|known| known.0).as_ref(), Some(key));
            }
            EventBody::WebhookCreated(webhook) => {
                assert_eq!(self.webhooks.insert(webhook.id, webhook.clone()), None);
            }
            EventBody::WebhookUpdated { id, changes } => {
                let webhook = self.webhooks.get_mut(id).unwrap();
                // That its receiver stopped it is no event.
                let state = changes.iter().find(|change| change.field == Field::State);
                if let Some(before) = state.and_then(|state| state.before.clone()) {
                    let before: WebhookState = serde_json::from_value(before).unwrap();
                    assert!(webhook.state == before || webhook.state == WebhookState::Enabled);
                    webhook.state = before;
                }
                change(webhook, changes);
            }
            EventBody::WebhookRotated { id, previous_until } => {
                self.webhooks.get_mut(id).unwrap().previous_until = Some(*previous_until);
            }
            EventBody::WebhookDeleted(webhook) => {
                assert!(self.webhooks.remove(&webhook.id).is_some());
            }
        }
    }

    /// Makes, changes or takes away a definition of an attribute.
    fn define(&mut self, event: &Event) {
        match &event.body {
            EventBody::AttributeCreated(definition) => {
                assert!(self.attributes.values().all(|known| known.key != definition.key));
                assert_eq!(definition.created_at, event.at);
                assert_eq!(self.attributes.insert(definition.id, definition.clone()), None);
            }
            EventBody::AttributeUpdated { id, key, changes } => {
                let definition = self.attributes.get_mut(id).unwrap();
                change(definition, changes);
                assert_eq!(definition.key, *key);
            }
            EventBody::AttributeDeleted(definition) => {
                assert_eq!(self.attributes.remove(&definition.id).as_ref(), Some(definition));
            }
            other => panic!("no definition: {other:?}"),
        }
    }

    fn knows_labels_of(&self, contact: &Contact) {
        for title in &contact.labels {
            assert!(self.labels.values().any(|label| label.title == *title), "{title}");
        }
    }

    /// Renames or takes away a label of all contacts.
    fn relabel(&mut self, body: &EventBody) {
        if let Some(relabelling) = Relabelling::of(body) {
            let cards = self.cards.values_mut();
            cards.for_each(|card| relabelling.apply(&mut card.contact.labels));
        }
    }

    /// Takes the links to a channel away and tells how many there were.
    fn unlink(&mut self, inbox: InboxId) -> i64 {
        let mut gone = 0;
        for card in self.cards.values_mut() {
            card.contact_inboxes.retain(|link| {
                gone += i64::from(link.inbox_id == inbox);
                link.inbox_id != inbox
            });
        }
        gone
    }
}

/// Does to a value what the changes say, by the names on the wire; each must find what it says
/// was there before.
fn change<T: Serialize + DeserializeOwned>(subject: &mut T, changes: &[FieldChange]) {
    assert!(!changes.is_empty(), "an update that changed nothing");
    let mut value = serde_json::to_value(&*subject).unwrap();
    for change in changes {
        assert_ne!(change.before, change.after);
        let fields = value.as_object_mut().unwrap();
        let (fields, name) = match &change.key {
            None => (fields, change.field.as_str()),
            Some(key) => (fields[change.field.as_str()].as_object_mut().unwrap(), key.as_str()),
        };
        assert_eq!(fields.get(name), change.before.as_ref(), "{change:?}");
        match &change.after {
            Some(after) => fields.insert(name.to_owned(), after.clone()),
            None => fields.remove(name),
        };
    }
    *subject = serde_json::from_value(value).unwrap();
}

/// Holds every account to its events: what they tell is what every read returns. The macro runs
/// this after each test, so that whatever a test did, it left no table behind.
pub(crate) async fn every_account_is_as_its_events_tell(store: &Arc<dyn Store>) {
    for account in store.accounts().await.unwrap() {
        account_is_as_its_events_tell(store.as_ref(), account.id).await;
    }
}

async fn account_is_as_its_events_tell(store: &dyn Store, account: AccountId) {
    let counts = store.counts(account).await.unwrap().unwrap();
    let events = all_events(store, account, counts.dropped_seq).await;
    if counts.dropped_seq > Seq(0) {
        // What is left tells only of what came later, but has no gap.
        assert_eq!(events.last().map(|event| event.seq), Some(counts.last_seq));
        let mut all = (counts.dropped_seq.0 + 1..).zip(&events);
        assert!(all.all(|(seq, event)| event.seq == Seq(seq)));
        return;
    }
    let replay = Replay::of(&events);
    let cards: Vec<&Card> = replay.cards.values().collect();

    assert_eq!(counts.last_seq, replay.seq);
    assert_eq!(counts.contacts, count(cards.iter()));
    assert_eq!(
        counts.resolved_contacts,
        count(cards.iter().filter(|card| card.contact.is_resolved()))
    );

    let snapshot = store.snapshot(account).await.unwrap();
    assert_eq!(snapshot.seq, replay.seq);
    let contacts: Vec<Contact> =
        futures::TryStreamExt::try_concat(snapshot.contacts).await.unwrap();
    assert_eq!(contacts, replay.contacts());

    for card in cards {
        let id = card.contact.id;
        let record = store.contact(account, id, Include::Inboxes).await.unwrap().unwrap();
        assert_eq!(card_of(&record), *card);
        for link in &record.contact_inboxes {
            assert_eq!(Some(&link.inbox), replay.inboxes.get(&link.inbox.id));
        }
        let identities: Vec<_> = card.contact.identities().collect();
        let owners = store.owners(account, &identities).await.unwrap();
        assert_eq!(owners, vec![Some(id); identities.len()]);
    }

    let labels = store.labels(account).await.unwrap();
    assert!(labels.is_sorted_by(|a, b| a.title < b.title));
    // Of very many about a hundred, since each is a call.
    for label in labels.iter().step_by(labels.len() / 100 + 1) {
        assert_eq!(store.label(account, label.id).await.unwrap().as_ref(), Some(label));
    }
    let by_id: BTreeMap<_, _> = labels.into_iter().map(|label| (label.id, label)).collect();
    assert_eq!(by_id, replay.labels);
    let definitions = store.attributes(account).await.unwrap();
    assert!(definitions.is_sorted_by(|a, b| a.key < b.key));
    for definition in &definitions {
        let read = store.attribute(account, definition.id).await.unwrap();
        assert_eq!(read.as_ref(), Some(definition));
    }
    let by_id: BTreeMap<_, _> = definitions.into_iter().map(|d| (d.id, d)).collect();
    assert_eq!(by_id, replay.attributes);
    let inboxes = store.inboxes(account).await.unwrap();
    assert_eq!(inboxes, replay.inboxes.into_values().collect::<Vec<_>>());
    let webhooks = store.webhooks(account).await.unwrap();
    let told = replay.webhooks.into_values();
    // That one was stopped, why, and since when it fails, is no change of the account.
    let plain = |webhook: Webhook| {
        let stopped = webhook.state_reason.is_some();
        let state = if stopped { WebhookState::Enabled } else { webhook.state };
        Webhook { state, state_reason: None, failing_since: None, ..webhook }
    };
    assert_eq!(
        webhooks.into_iter().map(plain).collect::<Vec<_>>(),
        told.map(plain).collect::<Vec<_>>()
    );
    let keys = store.keys(account).await.unwrap();
    let keys: Vec<_> = keys.iter().map(|key| (key.card(), key.previous_until)).collect();
    assert_eq!(keys, replay.keys.into_values().collect::<Vec<_>>());
}

/// All events after one, page by page.
pub(crate) async fn all_events(store: &dyn Store, account: AccountId, after: Seq) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    loop {
        let after = events.last().map_or(after, |event| event.seq);
        let page = store.events(account, after, READ_ROWS).await.unwrap();
        if page.is_empty() {
            return events;
        }
        assert_eq!(page[0].seq, after.next(), "a page does not begin where the last one ended");
        events.extend(page);
    }
}

fn count(items: impl Iterator) -> i64 {
    i64::try_from(items.count()).unwrap()
}
