//! Events: the record of every change, and the one source of truth for history, feed and index.
//!
//! An event is dense in its account (`Seq`), says who, when and by which request, and carries
//! enough to follow the tables: creation and deletion the whole card, an update each field's
//! before and after. To add a kind: a variant of `EventBody`, its name in `kind`, and what
//! `subject` it is about.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{
    AttributeDefinition, AttributeId, Card, ContactId, Inbox, InboxId, KeyId, Label, LabelCard,
    LabelId, Role, Seq, UnixMillis, Version, Webhook, WebhookId, fault::escape_pointer,
};

/// One change of one account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its number: one more than the event before it.
    pub seq: Seq,
    /// When it happened, by the clock of the server that wrote it.
    pub at: UnixMillis,
    /// Who did it.
    pub actor: Actor,
    /// The request that did it, as `X-Request-Id` names it.
    pub request_id: String,
    /// What changed.
    pub body: EventBody,
}

/// Who made a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Actor {
    /// A caller with an API key.
    Key(KeyId),
    /// The operator, by command line or first start.
    System,
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventBody {
    /// The account was made.
    AccountCreated {
        /// Its name.
        name: String,
    },
    /// A contact was created.
    ContactCreated(Card),
    /// Fields or labels of a contact changed.
    ContactUpdated {
        /// Which contact.
        id: ContactId,
        /// Its version after the change.
        version: Version,
        /// What changed, in the order of an answer.
        changes: Vec<FieldChange>,
    },
    /// A contact was deleted; the card is what it last was.
    ContactDeleted(Card),
    /// A deleted contact was brought back; the card is what it is now.
    ContactRestored(Card),
    /// A contact was erased: it is gone, and so is what earlier events held of it.
    ContactErased {
        /// Which contact.
        id: ContactId,
    },
    /// What is left of an event whose contact was erased: its number, its time and who did it.
    Tombstone {
        /// Which contact it was about.
        id: ContactId,
    },
    /// A label came into being, by being made or by being assigned for the first time.
    LabelCreated(LabelCard),
    /// A label changed. Where its title did, all contacts that bear it show the new one from then
    /// on, without events of their own.
    LabelUpdated {
        /// Which label.
        id: LabelId,
        /// Its title after the change.
        title: Label,
        /// What changed.
        changes: Vec<FieldChange>,
    },
    /// A label was deleted, and no contact bears it any more; it is what it last was.
    LabelDeleted(LabelCard),
    /// A custom attribute was defined.
    AttributeCreated(AttributeDefinition),
    /// A definition changed. Values of contacts are as they were.
    AttributeUpdated {
        /// Which definition.
        id: AttributeId,
        /// Its key.
        key: String,
        /// What changed.
        changes: Vec<FieldChange>,
    },
    /// A definition was deleted; it is what it last was. Values of contacts are as they were.
    AttributeDeleted(AttributeDefinition),
    /// A channel was made.
    InboxCreated(Inbox),
    /// A channel was renamed.
    InboxUpdated {
        /// Which channel.
        id: InboxId,
        /// What changed.
        changes: Vec<FieldChange>,
    },
    /// A channel was deleted, and with it every link of a contact to it.
    InboxDeleted {
        /// The channel as it last was.
        inbox: Inbox,
        /// How many links went with it.
        links: i64,
    },
    /// An API key was made.
    KeyCreated(KeyCard),
    /// A key's name, role or expiry changed.
    KeyUpdated {
        /// Which key.
        id: KeyId,
        /// What changed.
        changes: Vec<FieldChange>,
    },
    /// A key got a new secret.
    KeyRotated {
        /// Which key.
        id: KeyId,
        /// Until when the old secret stays valid.
        previous_until: UnixMillis,
    },
    /// A key was revoked; it is what it last was.
    KeyRevoked(KeyCard),
    /// A webhook was made.
    WebhookCreated(Webhook),
    /// A webhook's address, selection, form or state changed.
    WebhookUpdated {
        /// Which webhook.
        id: WebhookId,
        /// What changed.
        changes: Vec<FieldChange>,
    },
    /// A webhook got a new secret.
    WebhookRotated {
        /// Which webhook.
        id: WebhookId,
        /// Until when deliveries are signed with the old secret too.
        previous_until: UnixMillis,
    },
    /// A webhook was deleted; it is what it last was.
    WebhookDeleted(Webhook),
}

/// What the record keeps of a key: never a secret nor its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyCard {
    /// The key's number.
    pub id: KeyId,
    /// Its public half.
    pub api_key: String,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it ends.
    pub expires_at: Option<UnixMillis>,
}

impl EventBody {
    /// The name of the kind, stable for consumers: `contact.created`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::AccountCreated { .. } => "account.created",
            Self::ContactCreated(_) => "contact.created",
            Self::ContactUpdated { .. } => "contact.updated",
            Self::ContactDeleted(_) => "contact.deleted",
            Self::ContactRestored(_) => "contact.restored",
            Self::ContactErased { .. } => "contact.erased",
            Self::Tombstone { .. } => "tombstone",
            Self::LabelCreated(_) => "label.created",
            Self::LabelUpdated { .. } => "label.updated",
            Self::LabelDeleted(_) => "label.deleted",
            Self::AttributeCreated(_) => "attribute.created",
            Self::AttributeUpdated { .. } => "attribute.updated",
            Self::AttributeDeleted(_) => "attribute.deleted",
            Self::InboxCreated(_) => "inbox.created",
            Self::InboxUpdated { .. } => "inbox.updated",
            Self::InboxDeleted { .. } => "inbox.deleted",
            Self::KeyCreated(_) => "key.created",
            Self::KeyUpdated { .. } => "key.updated",
            Self::KeyRotated { .. } => "key.rotated",
            Self::KeyRevoked(_) => "key.revoked",
            Self::WebhookCreated(_) => "webhook.created",
            Self::WebhookUpdated { .. } => "webhook.updated",
            Self::WebhookRotated { .. } => "webhook.rotated",
            Self::WebhookDeleted(_) => "webhook.deleted",
        }
    }

    /// The contact whose history the event belongs to.
    pub const fn contact(&self) -> Option<ContactId> {
        match self {
            Self::ContactCreated(card)
            | Self::ContactDeleted(card)
            | Self::ContactRestored(card) => Some(card.contact.id),
            Self::ContactUpdated { id, .. }
            | Self::ContactErased { id }
            | Self::Tombstone { id } => Some(*id),
            _ => None,
        }
    }

    /// The number of the contact, label, definition, channel, key or webhook that the event is about.
    pub const fn subject(&self) -> Option<i64> {
        match self {
            Self::AccountCreated { .. } => None,
            Self::LabelCreated(label) | Self::LabelDeleted(label) => match label.id.0 {
                0 => None,
                id => Some(id),
            },
            Self::LabelUpdated { id, .. } => Some(id.0),
            Self::AttributeCreated(definition) | Self::AttributeDeleted(definition) => {
                Some(definition.id.0)
            }
            Self::AttributeUpdated { id, .. } => Some(id.0),
            Self::ContactCreated(card)
            | Self::ContactDeleted(card)
            | Self::ContactRestored(card) => Some(card.contact.id.0),
            Self::ContactUpdated { id, .. }
            | Self::ContactErased { id }
            | Self::Tombstone { id } => Some(id.0),
            Self::InboxCreated(inbox) | Self::InboxDeleted { inbox, .. } => Some(inbox.id.0),
            Self::InboxUpdated { id, .. } => Some(id.0),
            Self::KeyCreated(key) | Self::KeyRevoked(key) => Some(key.id.0),
            Self::KeyUpdated { id, .. } | Self::KeyRotated { id, .. } => Some(id.0),
            Self::WebhookCreated(webhook) | Self::WebhookDeleted(webhook) => Some(webhook.id.0),
            Self::WebhookUpdated { id, .. } | Self::WebhookRotated { id, .. } => Some(id.0),
        }
    }
}

/// A field that an update can change, by its name on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// E-mail address.
    Email,
    /// The caller's own id.
    Identifier,
    /// Phone number.
    PhoneNumber,
    /// Display name of a contact; name of a channel or key.
    Name,
    /// Given name.
    FirstName,
    /// Family name.
    LastName,
    /// Picture.
    Thumbnail,
    /// Whether the contact is there.
    AvailabilityStatus,
    /// Whether the contact is blocked.
    Blocked,
    /// One member of the profile data; `key` names it.
    AdditionalAttributes,
    /// One of the project's fields; `key` names it.
    CustomAttributes,
    /// Last activity.
    LastActivityAt,
    /// Creation time.
    CreatedAt,
    /// Labels of a contact.
    Labels,
    /// Role of a key.
    Role,
    /// End of a key.
    ExpiresAt,
    /// Address of a webhook.
    Url,
    /// What a webhook tells of.
    Events,
    /// The form of a webhook's payloads.
    Format,
    /// Whether a webhook tells of mere activity.
    IncludeActivity,
    /// Whether a webhook is at work.
    State,
    /// Title of a label.
    Title,
    /// Colour of a label.
    Color,
    /// What a label or a custom attribute is for.
    Description,
    /// Whether a console lists a label.
    ShowOnSidebar,
    /// Type of a custom attribute.
    Type,
    /// Values of a list.
    Values,
    /// What a text matches.
    Regex,
    /// What people are told of a text that does not match.
    Hint,
    /// Whether values that do not fit are refused.
    Mode,
}

impl Field {
    /// The field's name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Identifier => "identifier",
            Self::PhoneNumber => "phone_number",
            Self::Name => "name",
            Self::FirstName => "first_name",
            Self::LastName => "last_name",
            Self::Thumbnail => "thumbnail",
            Self::AvailabilityStatus => "availability_status",
            Self::Blocked => "blocked",
            Self::AdditionalAttributes => "additional_attributes",
            Self::CustomAttributes => "custom_attributes",
            Self::LastActivityAt => "last_activity_at",
            Self::CreatedAt => "created_at",
            Self::Labels => "labels",
            Self::Role => "role",
            Self::ExpiresAt => "expires_at",
            Self::Url => "url",
            Self::Events => "events",
            Self::Format => "format",
            Self::IncludeActivity => "include_activity",
            Self::State => "state",
            Self::Title => "title",
            Self::Color => "color",
            Self::Description => "description",
            Self::ShowOnSidebar => "show_on_sidebar",
            Self::Type => "type",
            Self::Values => "values",
            Self::Regex => "regex",
            Self::Hint => "hint",
            Self::Mode => "mode",
        }
    }
}

/// One field's or one attribute's change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// The field.
    pub field: Field,
    /// The member, where the field is one of the two maps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What it was; absent when the member was not there, which `null` is not.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub before: Option<Value>,
    /// What it is; absent when the member is gone.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub after: Option<Value>,
}

impl FieldChange {
    /// The change of a field that always has a value, be it `null`.
    pub fn of(field: Field, before: impl Into<Value>, after: impl Into<Value>) -> Self {
        Self { field, key: None, before: Some(before.into()), after: Some(after.into()) }
    }
}

/// A field of a contact, or one member of its maps, as a caller names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FieldPath {
    /// The field.
    pub field: Field,
    /// The member, where the field is one of the two maps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl FieldPath {
    /// The JSON Pointer into the body of a write: `/custom_attributes/vip_level`.
    pub fn pointer(&self) -> String {
        match &self.key {
            None => format!("/{}", self.field.as_str()),
            Some(key) => format!("/{}/{}", self.field.as_str(), escape_pointer(key)),
        }
    }
}

impl Field {
    /// The field of a contact that has that name on the wire.
    pub fn of_contact(name: &str) -> Option<Self> {
        const ALL: [Field; 14] = [
            Field::Email,
            Field::Identifier,
            Field::PhoneNumber,
            Field::Name,
            Field::FirstName,
            Field::LastName,
            Field::Thumbnail,
            Field::AvailabilityStatus,
            Field::Blocked,
            Field::AdditionalAttributes,
            Field::CustomAttributes,
            Field::LastActivityAt,
            Field::CreatedAt,
            Field::Labels,
        ];
        ALL.into_iter().find(|field| field.as_str() == name)
    }

    /// Whether it is one of the two maps, of which changes name the members.
    pub const fn is_map(self) -> bool {
        matches!(self, Self::AdditionalAttributes | Self::CustomAttributes)
    }
}

impl From<Field> for FieldPath {
    fn from(field: Field) -> Self {
        Self { field, key: None }
    }
}

impl FieldChange {
    /// What changed.
    pub fn path(&self) -> FieldPath {
        FieldPath { field: self.field, key: self.key.clone() }
    }
}

/// Keeps a `null` that is there apart from a member that is absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_that_was_null_is_not_one_that_was_absent() {
        for change in [
            FieldChange {
                field: Field::CustomAttributes,
                key: Some("k".into()),
                before: None,
                after: Some(Value::Null),
            },
            FieldChange {
                field: Field::CustomAttributes,
                key: Some("k".into()),
                before: Some(Value::Null),
                after: None,
            },
            FieldChange::of(Field::Email, Value::Null, "a@b"),
        ] {
            let text = serde_json::to_string(&change).unwrap();
            assert_eq!(serde_json::from_str::<FieldChange>(&text).unwrap(), change, "{text}");
        }
    }
}
