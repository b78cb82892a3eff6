//! Which events a webhook can be told of, and which of them it is.
//!
//! To add one: a variant, its line in `ALL`, `as_str` and `of`; what it says is rendered in
//! `server/src/webhooks/`.

use serde::{Deserialize, Serialize};

use crate::{EventBody, Field};

/// An event that webhooks can select. The names are promised to consumers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum WebhookEvent {
    /// A contact was created.
    #[serde(rename = "contact.created")]
    ContactCreated,
    /// Fields or labels of a contact changed.
    #[serde(rename = "contact.updated")]
    ContactUpdated,
    /// A contact was deleted.
    #[serde(rename = "contact.deleted")]
    ContactDeleted,
    /// A deletion was undone.
    #[serde(rename = "contact.restored")]
    ContactRestored,
    /// A contact was erased: it is gone, and what was known of it too.
    #[serde(rename = "contact.erased")]
    ContactErased,
}

impl WebhookEvent {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::ContactCreated,
        Self::ContactUpdated,
        Self::ContactDeleted,
        Self::ContactRestored,
        Self::ContactErased,
    ];

    /// The event's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ContactCreated => "contact.created",
            Self::ContactUpdated => "contact.updated",
            Self::ContactDeleted => "contact.deleted",
            Self::ContactRestored => "contact.restored",
            Self::ContactErased => "contact.erased",
        }
    }

    /// The event's name in Chatwoot's spelling: `contact_created`.
    pub fn chatwoot_name(self) -> String {
        self.as_str().replace('.', "_")
    }

    /// The event of that name, in either spelling.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.as_str() == name || event.chatwoot_name() == name)
    }

    /// The webhooks' name of what happened, where they can be told of it.
    pub const fn of(body: &EventBody) -> Option<Self> {
        match body {
            EventBody::ContactCreated(_) => Some(Self::ContactCreated),
            EventBody::ContactUpdated { .. } => Some(Self::ContactUpdated),
            EventBody::ContactDeleted(_) => Some(Self::ContactDeleted),
            EventBody::ContactRestored(_) => Some(Self::ContactRestored),
            EventBody::ContactErased { .. } => Some(Self::ContactErased),
            EventBody::Tombstone { .. }
            | EventBody::AccountCreated { .. }
            | EventBody::LabelCreated(_)
            | EventBody::LabelUpdated { .. }
            | EventBody::LabelDeleted(_)
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
            | EventBody::WebhookDeleted(_) => None,
        }
    }
}

/// The form of a webhook's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PayloadForm {
    /// Type, time and data, as Standard Webhooks recommends.
    #[default]
    Meishi,
    /// What Chatwoot sends (`chatwoot-wire.md` section 8).
    Chatwoot,
}

impl PayloadForm {
    /// The form's name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Meishi => "meishi",
            Self::Chatwoot => "chatwoot",
        }
    }

    /// The form of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Meishi, Self::Chatwoot].into_iter().find(|form| form.as_str() == name)
    }
}

/// What a webhook is told of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    events: Vec<WebhookEvent>,
    activity: bool,
}

impl Selection {
    /// These events; `activity` is whether updates that tell of nothing but activity are among
    /// them.
    pub fn new(events: impl IntoIterator<Item = WebhookEvent>, activity: bool) -> Self {
        let mut events: Vec<_> = events.into_iter().collect();
        events.sort_unstable();
        events.dedup();
        Self { events, activity }
    }

    /// The events, sorted and without repeats.
    pub fn events(&self) -> &[WebhookEvent] {
        &self.events
    }

    /// Whether updates that tell of nothing but activity are among them.
    pub const fn activity(&self) -> bool {
        self.activity
    }

    /// Whether the webhook is told of what happened.
    pub fn wants(&self, body: &EventBody) -> bool {
        WebhookEvent::of(body).is_some_and(|event| self.events.contains(&event))
            && (self.activity || !is_activity(body))
    }
}

/// Whether an event tells only that a contact was about: each message that a person writes makes
/// one, which no consumer of contacts wants to hear.
pub fn is_activity(body: &EventBody) -> bool {
    let EventBody::ContactUpdated { changes, .. } = body else {
        return false;
    };
    let mut fields = changes.iter().map(|change| change.field);
    fields.all(|field| matches!(field, Field::LastActivityAt | Field::AvailabilityStatus))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ContactId, FieldChange, InboxId, Label, LabelCard, LabelId, Version};

    fn update(fields: &[Field]) -> EventBody {
        let changes = fields.iter().map(|field| FieldChange::of(*field, 1, 2)).collect();
        EventBody::ContactUpdated { id: ContactId(1), version: Version(2), changes }
    }

    #[test]
    fn every_event_is_known_by_both_its_names() {
        for event in WebhookEvent::ALL {
            assert_eq!(WebhookEvent::parse(event.as_str()), Some(event));
            assert_eq!(WebhookEvent::parse(&event.chatwoot_name()), Some(event));
            assert_eq!(serde_json::to_value(event).unwrap(), event.as_str());
        }
        assert_eq!(WebhookEvent::parse("contact_created"), Some(WebhookEvent::ContactCreated));
        for wrong in ["", "contact", "contact-created", "Contact.Created", "message_created"] {
            assert_eq!(WebhookEvent::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_form_is_known_by_its_name() {
        for form in [PayloadForm::Meishi, PayloadForm::Chatwoot] {
            assert_eq!(PayloadForm::parse(form.as_str()), Some(form));
            assert_eq!(serde_json::to_value(form).unwrap(), form.as_str());
        }
        assert_eq!(PayloadForm::parse("Chatwoot"), None);
    }

    #[test]
    fn an_event_goes_by_the_name_that_the_feed_gives_it() {
        assert_eq!(
            WebhookEvent::of(&update(&[Field::Name])).map(WebhookEvent::as_str),
            Some("contact.updated")
        );
        assert_eq!(update(&[Field::Name]).kind(), "contact.updated");
        let label = LabelCard::plain(LabelId(1), Label::from_stored("vip".into()));
        let label = EventBody::LabelCreated(label);
        assert_eq!(WebhookEvent::of(&label), None);
        let inbox = EventBody::InboxUpdated { id: InboxId(1), changes: vec![] };
        assert_eq!(WebhookEvent::of(&inbox), None);
    }

    #[test]
    fn activity_alone_is_told_only_to_those_who_ask() {
        let both = [Field::LastActivityAt, Field::AvailabilityStatus];
        for (body, quiet) in [
            (update(&[Field::LastActivityAt]), true),
            (update(&[Field::AvailabilityStatus]), true),
            (update(&both), true),
            (update(&[Field::LastActivityAt, Field::Name]), false),
            (update(&[Field::Labels]), false),
        ] {
            let events = [WebhookEvent::ContactUpdated];
            assert_eq!(Selection::new(events, false).wants(&body), !quiet, "{body:?}");
            assert!(Selection::new(events, true).wants(&body), "{body:?}");
            assert!(!Selection::new([WebhookEvent::ContactDeleted], true).wants(&body));
        }
    }

    #[test]
    fn a_selection_is_sorted_and_says_nothing_twice() {
        let [created, updated, deleted, ..] = WebhookEvent::ALL;
        let selection = Selection::new([deleted, created, deleted, updated], false);
        assert_eq!(selection.events(), [created, updated, deleted]);
    }
}
