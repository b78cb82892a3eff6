//! An account folded from nothing but its events. Each event must fit what those before it made:
//! a `before` that is not what was there is as wrong as an `after` that is not what is there now.

use meishi_contacts::{
    Availability, Card, Contact, Email, EventBody, Field, FieldChange, Identifier, Label,
    LabelCard, Phone, UnixSeconds, Version,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::record::State;

impl State {
    /// The account after one more event.
    pub(super) fn apply(&mut self, body: &EventBody) {
        match body {
            EventBody::AccountCreated { name } => self.name.clone_from(name),
            EventBody::ContactCreated(card) => {
                assert_eq!(card.contact.version, Version::FIRST);
                let last = self.contacts.keys().next_back();
                assert!(last.is_none_or(|last| *last < card.contact.id), "ids go up: {card:?}");
                self.contacts.insert(card.contact.id, card.clone());
            }
            EventBody::ContactUpdated { id, version, changes } => {
                let card = self.contacts.get_mut(id).expect("a contact that was created");
                assert!(!changes.is_empty(), "an update of {id} that changes nothing");
                assert_eq!(*version, card.contact.version.next(), "versions of {id}");
                card.contact.version = *version;
                for change in changes {
                    change_contact(&mut card.contact, change);
                }
            }
            EventBody::ContactDeleted(card) => {
                let was = self.contacts.remove(&card.contact.id);
                assert_eq!(was.as_ref(), Some(card), "the card is what it last was");
            }
            EventBody::LabelCreated(LabelCard { title, .. }) => {
                assert!(self.labels.insert(title.clone()), "{title} was there");
            }
            EventBody::InboxCreated(inbox) => {
                assert_eq!(self.inboxes.insert(inbox.id, inbox.clone()), None);
            }
            EventBody::InboxUpdated { id, changes } => {
                let inbox = self.inboxes.get_mut(id).expect("a channel that was created");
                for change in changes {
                    assert_eq!(change.field, Field::Name);
                    assert_eq!(change.before, Some(inbox.name.as_str().into()));
                    inbox.name = read(change);
                }
            }
            EventBody::InboxDeleted { inbox, links } => {
                assert_eq!(self.inboxes.remove(&inbox.id).as_ref(), Some(inbox));
                let gone: usize = self.contacts.values_mut().map(|card| unlink(card, inbox)).sum();
                assert_eq!(i64::try_from(gone).unwrap(), *links, "links to {inbox:?}");
            }
            EventBody::KeyCreated(key) => {
                assert_eq!(self.keys.insert(key.id, key.clone()), None);
            }
            EventBody::KeyRevoked(key) => {
                assert_eq!(self.keys.remove(&key.id).as_ref(), Some(key));
            }
            EventBody::LabelUpdated { .. }
            | EventBody::LabelDeleted(_)
            | EventBody::AttributeCreated(_)
            | EventBody::AttributeUpdated { .. }
            | EventBody::AttributeDeleted(_)
            | EventBody::KeyUpdated { .. }
            | EventBody::KeyRotated { .. }
            | EventBody::ContactRestored(_)
            | EventBody::ContactErased { .. }
            | EventBody::Tombstone { .. }
            | EventBody::WebhookCreated(_)
            | EventBody::WebhookUpdated { .. }
            | EventBody::WebhookRotated { .. }
            | EventBody::WebhookDeleted(_) => {
                panic!("nobody does this here: {body:?}")
            }
        }
    }
}

/// Takes a channel's links from a card and tells how many.
fn unlink(card: &mut Card, inbox: &meishi_contacts::Inbox) -> usize {
    let before = card.contact_inboxes.len();
    card.contact_inboxes.retain(|link| link.inbox_id != inbox.id);
    before - card.contact_inboxes.len()
}

fn change_contact(contact: &mut Contact, change: &FieldChange) {
    assert_eq!(shown(contact, change), change.before, "{change:?} of {contact:?}");
    match change.field {
        Field::Email => {
            contact.email = read::<Option<String>>(change).map(Email::from_stored);
        }
        Field::Identifier => {
            contact.identifier = read::<Option<String>>(change).map(Identifier::from_stored);
        }
        Field::PhoneNumber => {
            contact.phone_number = read::<Option<String>>(change).map(Phone::from_stored);
        }
        Field::Name => contact.name = read(change),
        Field::FirstName => contact.first_name = read(change),
        Field::LastName => contact.last_name = read(change),
        Field::Thumbnail => contact.thumbnail = read(change),
        Field::AvailabilityStatus => {
            contact.availability_status =
                Availability::parse(&read::<String>(change)).expect("a status");
        }
        Field::Blocked => contact.blocked = read(change),
        Field::AdditionalAttributes | Field::CustomAttributes => {
            let slot = match change.field {
                Field::CustomAttributes => &mut contact.custom_attributes,
                _ => &mut contact.additional_attributes,
            };
            let mut members = slot.to_map();
            let member = change.key.clone().expect("the name of the member");
            match &change.after {
                Some(value) => members.insert(member, value.clone()),
                None => members.shift_remove(&member),
            };
            *slot = members.into();
        }
        Field::LastActivityAt => {
            contact.last_activity_at = read::<Option<i64>>(change).map(UnixSeconds);
        }
        Field::CreatedAt => contact.created_at = UnixSeconds(read(change)),
        Field::Labels => contact.labels = read::<Vec<Label>>(change),
        Field::Role
        | Field::ExpiresAt
        | Field::Url
        | Field::Events
        | Field::Format
        | Field::IncludeActivity
        | Field::State
        | Field::Title
        | Field::Color
        | Field::Description
        | Field::ShowOnSidebar
        | Field::Type
        | Field::Values
        | Field::Regex
        | Field::Hint
        | Field::Mode => panic!("not a field of a contact: {change:?}"),
    }
}

/// The field as an event shows it.
fn shown(contact: &Contact, change: &FieldChange) -> Option<Value> {
    let member = || change.key.as_deref().expect("the name of the member");
    match change.field {
        Field::AdditionalAttributes => {
            contact.additional_attributes.to_map().get(member()).cloned()
        }
        Field::CustomAttributes => contact.custom_attributes.to_map().get(member()).cloned(),
        field => {
            let whole = serde_json::to_value(contact).unwrap();
            Some(whole[field.as_str()].clone())
        }
    }
}

fn read<T: DeserializeOwned>(change: &FieldChange) -> T {
    let after = change.after.clone().expect("the field's new value");
    serde_json::from_value(after).unwrap_or_else(|error| panic!("{error}: {change:?}"))
}
