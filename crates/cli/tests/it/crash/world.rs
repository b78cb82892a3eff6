//! What one client believes: everything that it wrote and was answered, and what a write that was
//! not answered may have done.

use std::collections::{BTreeMap, BTreeSet};

use meishi_contacts::Card;
use serde_json::{Map, Value};

/// A contact as far as clients write it. It is named by its tag, a custom attribute that never
/// changes, since all else comes and goes.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Person {
    pub(super) name: String,
    pub(super) email: Option<String>,
    pub(super) phone_number: Option<String>,
    pub(super) identifier: Option<String>,
    pub(super) custom: BTreeMap<String, Value>,
    pub(super) labels: BTreeSet<String>,
    /// Channel and source id.
    pub(super) links: BTreeSet<(i64, String)>,
}

impl Person {
    pub(super) fn of(card: &Card) -> Self {
        let contact = &card.contact;
        Self {
            name: contact.name.clone(),
            email: contact.email.as_ref().map(ToString::to_string),
            phone_number: contact.phone_number.as_ref().map(ToString::to_string),
            identifier: contact.identifier.as_ref().map(ToString::to_string),
            custom: contact.custom_attributes.to_map().into_iter().collect(),
            labels: contact.labels.iter().map(ToString::to_string).collect(),
            links: card
                .contact_inboxes
                .iter()
                .map(|link| (link.inbox_id.0, link.source_id.to_string()))
                .collect(),
        }
    }

    pub(super) fn tag(&self) -> &str {
        self.custom.get("tag").and_then(Value::as_str).expect("every contact has a tag")
    }

    /// The body that gives these fields to a contact.
    pub(super) fn fields(&self) -> Map<String, Value> {
        let mut body = Map::new();
        body.insert("name".into(), self.name.clone().into());
        body.insert("email".into(), self.email.clone().into());
        body.insert("phone_number".into(), self.phone_number.clone().into());
        body.insert("identifier".into(), self.identifier.clone().into());
        let custom: Map<String, Value> = self.custom.clone().into_iter().collect();
        body.insert("custom_attributes".into(), custom.into());
        body
    }

    /// Whether an answer shows this contact.
    pub(super) fn is_shown_by(&self, contact: &Value) -> bool {
        self.fields().iter().all(|(name, value)| contact.get(name) == Some(value))
    }
}

/// What a write does where it is done, and as a whole.
#[derive(Debug, Clone)]
pub(super) enum Effect {
    /// Nothing, not even an event: it is refused.
    Nothing,
    /// The contact of the tag is now so, or gone.
    Contact(String, Option<Person>),
    /// The channel has now that name, or is gone with every link to it.
    Inbox(i64, Option<String>),
    /// There is now a key of the name, or no more.
    Key(String, bool),
}

/// Everything of one writer's in its account.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct World {
    pub(super) people: BTreeMap<String, Person>,
    pub(super) inboxes: BTreeMap<i64, String>,
    pub(super) keys: BTreeSet<String>,
}

impl World {
    pub(super) fn apply(&mut self, effect: &Effect) {
        match effect {
            Effect::Nothing => {}
            Effect::Contact(tag, Some(person)) => {
                self.people.insert(tag.clone(), person.clone());
            }
            Effect::Contact(tag, None) => {
                self.people.remove(tag);
            }
            Effect::Inbox(id, Some(name)) => {
                self.inboxes.insert(*id, name.clone());
            }
            Effect::Inbox(id, None) => {
                self.inboxes.remove(id);
                for person in self.people.values_mut() {
                    person.links.retain(|(inbox, _)| inbox != id);
                }
            }
            Effect::Key(name, true) => {
                self.keys.insert(name.clone());
            }
            Effect::Key(name, false) => {
                self.keys.remove(name);
            }
        }
    }
}
