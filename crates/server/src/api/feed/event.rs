//! An event as the feed shows it.

use meishi_contacts::{
    Actor, Card, Contact, Event, EventBody, Field, FieldChange, Inbox, Label, LabelCard,
    UnixMillis, Webhook, event::KeyCard,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::api::{
    attributes::AttributeView, inboxes::InboxView, livedesk::contacts::view::ContactView, rfc3339,
};

/// One change of the account. Which members there are beside the first five goes by `type`.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = ChangeEvent)]
pub struct EventView<'a> {
    /// The event's number: one more than that of the event before it.
    #[schema(example = 42)]
    seq: i64,
    /// What happened: `contact.created`, `contact.updated`, `contact.deleted`, `contact.restored`,
    /// `contact.erased`, `tombstone` (what is left of an event of an erased contact),
    /// `label.created`, `label.updated`, `label.deleted`, `attribute.created`,
    /// `attribute.updated`, `attribute.deleted` (definitions of custom attributes), `inbox.created`,
    /// `inbox.updated`, `inbox.deleted`, `key.…`, `webhook.…`, `account.created`. There will be others: pass over those that you do not know.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "contact.updated")]
    kind: &'static str,
    /// When, by the clock of the server that wrote it.
    #[schema(format = DateTime, example = "2026-11-20T08:00:00.123Z")]
    at: String,
    /// Who did it. Absent, with all that follows, where the event is about a key or a webhook and
    /// the caller is no administrator.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = ActorView, required = false)]
    actor: Option<ActorView>,
    /// The request that did it, as its `X-Request-Id` named it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "3f0d7c62-9d35-4c6b-8c64-0a3b1f0c5d11")]
    request_id: Option<&'a str>,
    /// The contact that the event is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = i64, required = false, example = 2_219_259)]
    contact_id: Option<i64>,
    /// The contact's version after it; of a deletion, its last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = i64, required = false, example = 3)]
    version: Option<i64>,
    /// The contact that was created or restored, or as it was when it was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = EventContact<'static>, required = false)]
    contact: Option<EventContact<'a>>,
    /// Its links to channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<EventLink<'static>>, required = false)]
    contact_inboxes: Option<Vec<EventLink<'a>>>,
    /// What an update changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<EventChange<'static>>, required = false)]
    changes: Option<Vec<EventChange<'a>>>,
    /// The account's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "Acme")]
    name: Option<&'a str>,
    /// The label that the event is about: its title, after the event or when it was deleted. Where
    /// its title changed or it was deleted, so did the labels of all contacts that bore it, which
    /// have no events of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "vip")]
    label: Option<&'a str>,
    /// That label's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = i64, required = false, example = 3)]
    label_id: Option<i64>,
    /// The key of the custom attribute whose definition the event is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "vip_level")]
    attribute: Option<&'a str>,
    /// That definition's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = i64, required = false, example = 3)]
    attribute_id: Option<i64>,
    /// The definition that was made, or as it was when it was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = AttributeView, required = false)]
    definition: Option<AttributeView>,
    /// The channel that the event is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = i64, required = false, example = 407)]
    inbox_id: Option<i64>,
    /// The channel that was made, or as it was when it was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = InboxView, required = false)]
    inbox: Option<InboxView>,
    /// How many links of contacts went with the channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = i64, required = false, example = 2)]
    links: Option<i64>,
    /// The key that the event is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = i64, required = false, example = 1)]
    key_id: Option<i64>,
    /// The key that was made, or as it was when it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = EventKey<'static>, required = false)]
    key: Option<EventKey<'a>>,
    /// The webhook that the event is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = i64, required = false, example = 1)]
    webhook_id: Option<i64>,
    /// The webhook that was made, or as it was when it was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = EventWebhook<'static>, required = false)]
    webhook: Option<EventWebhook<'a>>,
    /// Until when the secret before a rotation stays valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, format = DateTime, example = "2026-11-20T09:00:00Z")]
    previous_secret_until: Option<String>,
}

/// Who made a change.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventActor)]
pub struct ActorView {
    /// `key` for a caller with an API key, `system` for the operator. There will be others.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "key")]
    kind: &'static str,
    /// The key's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = i64, required = false, example = 1)]
    id: Option<i64>,
}

impl From<Actor> for ActorView {
    fn from(actor: Actor) -> Self {
        match actor {
            Actor::Key(id) => Self { kind: "key", id: Some(id.0) },
            Actor::System => Self { kind: "system", id: None },
        }
    }
}

/// A contact, with what the contact object of other calls leaves out and without its channels.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventContact<'a> {
    #[serde(flatten)]
    card: ContactView<'a>,
    /// Given name.
    #[schema(required = true, example = "Zoë")]
    first_name: Option<&'a str>,
    /// Family name.
    #[schema(required = true, example = "Müller")]
    last_name: Option<&'a str>,
    /// Labels.
    #[schema(value_type = Vec<String>, example = json!(["vip"]))]
    labels: &'a [Label],
}

impl<'a> From<&'a Contact> for EventContact<'a> {
    fn from(contact: &'a Contact) -> Self {
        Self {
            card: ContactView::alone(contact),
            first_name: contact.first_name.as_deref(),
            last_name: contact.last_name.as_deref(),
            labels: &contact.labels,
        }
    }
}

/// How a channel addresses a contact.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventLink<'a> {
    /// The Channel ID.
    #[schema(example = 407)]
    inbox_id: i64,
    /// The contact's address in the channel.
    #[schema(example = "src_001")]
    source_id: &'a str,
}

/// What changed of one field, or of one member of an attribute map.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventChange<'a> {
    /// The field.
    #[schema(example = "custom_attributes")]
    field: &'static str,
    /// The member, where the field is `additional_attributes` or `custom_attributes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "vip_level")]
    key: Option<&'a str>,
    /// What it was; absent where the member was not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value, required = false, example = "gold")]
    before: Option<Value>,
    /// What it is; absent where the member is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value, required = false, example = "platinum")]
    after: Option<Value>,
}

impl<'a> From<&'a FieldChange> for EventChange<'a> {
    fn from(change: &'a FieldChange) -> Self {
        let shown = |value: &Value| match (change.field, value.as_i64()) {
            // Recorded to the millisecond, and shown like the key's own.
            (Field::ExpiresAt, Some(at)) => rfc3339(UnixMillis(at)).into(),
            _ => value.clone(),
        };
        Self {
            field: change.field.as_str(),
            key: change.key.as_deref(),
            before: change.before.as_ref().map(shown),
            after: change.after.as_ref().map(shown),
        }
    }
}

/// A key without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventKey<'a> {
    /// The public half.
    #[schema(example = "mk_4b0c6f2a91d3e8075c1f")]
    api_key: &'a str,
    /// What people call it.
    #[schema(example = "CRM sync")]
    name: &'a str,
    /// What it may do.
    #[schema(example = "agent")]
    role: &'static str,
    /// When it ends.
    #[schema(required = true, format = DateTime, example = "2027-11-20T08:00:00Z")]
    expires_at: Option<String>,
}

impl<'a> From<&'a KeyCard> for EventKey<'a> {
    fn from(key: &'a KeyCard) -> Self {
        Self {
            api_key: &key.api_key,
            name: &key.name,
            role: key.role.as_str(),
            expires_at: key.expires_at.map(rfc3339),
        }
    }
}

/// A webhook without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventWebhook<'a> {
    /// Where to.
    #[schema(example = "https://example.com/hook")]
    url: &'a str,
    /// Of what it tells.
    #[schema(example = json!(["contact.created"]))]
    events: Vec<&'static str>,
    /// The form of its payloads.
    #[schema(example = "meishi")]
    format: &'static str,
    /// Whether it tells of mere activity.
    include_activity: bool,
    /// Whether it is at work.
    #[schema(example = "enabled")]
    state: &'static str,
}

impl<'a> From<&'a Webhook> for EventWebhook<'a> {
    fn from(webhook: &'a Webhook) -> Self {
        Self {
            url: &webhook.url,
            events: webhook.events.iter().map(|event| event.as_str()).collect(),
            format: webhook.format.as_str(),
            include_activity: webhook.include_activity,
            state: webhook.state.as_str(),
        }
    }
}

/// Whether the event is about something that only administrators may read.
fn is_for_administrators(body: &EventBody) -> bool {
    match body {
        EventBody::KeyCreated(_)
        | EventBody::KeyUpdated { .. }
        | EventBody::KeyRotated { .. }
        | EventBody::KeyRevoked(_)
        | EventBody::WebhookCreated(_)
        | EventBody::WebhookUpdated { .. }
        | EventBody::WebhookRotated { .. }
        | EventBody::WebhookDeleted(_) => true,
        EventBody::AccountCreated { .. }
        | EventBody::ContactCreated(_)
        | EventBody::ContactUpdated { .. }
        | EventBody::ContactDeleted(_)
        | EventBody::ContactRestored(_)
        | EventBody::ContactErased { .. }
        | EventBody::Tombstone { .. }
        | EventBody::LabelCreated(_)
        | EventBody::LabelUpdated { .. }
        | EventBody::LabelDeleted(_)
        | EventBody::AttributeCreated(_)
        | EventBody::AttributeUpdated { .. }
        | EventBody::AttributeDeleted(_)
        | EventBody::InboxCreated(_)
        | EventBody::InboxUpdated { .. }
        | EventBody::InboxDeleted { .. } => false,
    }
}

impl<'a> EventView<'a> {
    /// Shows an event, to an administrator or to others.
    pub(crate) fn new(event: &'a Event, to_administrator: bool) -> Self {
        let view = Self {
            seq: event.seq.0,
            kind: event.body.kind(),
            at: rfc3339(event.at),
            ..Self::default()
        };
        if is_for_administrators(&event.body) && !to_administrator {
            return view;
        }
        let actor = Some(event.actor.into());
        // A tombstone has none any more.
        let request_id = Some(event.request_id.as_str()).filter(|id| !id.is_empty());
        Self { actor, request_id, ..view }.with(&event.body)
    }

    /// Adds what the kind of event has of its own.
    fn with(self, body: &'a EventBody) -> Self {
        let contact_id = body.contact().map(|id| id.0);
        match body {
            EventBody::AccountCreated { name } => Self { name: Some(name), ..self },
            EventBody::ContactCreated(card)
            | EventBody::ContactDeleted(card)
            | EventBody::ContactRestored(card) => Self { contact_id, ..self.with_card(card) },
            EventBody::ContactUpdated { version, changes, .. } => {
                Self { contact_id, version: Some(version.0), ..self.with_changes(changes) }
            }
            EventBody::ContactErased { .. } | EventBody::Tombstone { .. } => {
                Self { contact_id, ..self }
            }
            EventBody::LabelCreated(LabelCard { title, .. })
            | EventBody::LabelDeleted(LabelCard { title, .. }) => {
                Self { label: Some(title.as_str()), label_id: body.subject(), ..self }
            }
            EventBody::LabelUpdated { title, changes, .. } => {
                let label_id = body.subject();
                Self { label: Some(title.as_str()), label_id, ..self.with_changes(changes) }
            }
            EventBody::AttributeCreated(definition) | EventBody::AttributeDeleted(definition) => {
                let (attribute, attribute_id) = (Some(definition.key.as_str()), body.subject());
                let definition = Some(definition.clone().into());
                Self { attribute, attribute_id, definition, ..self }
            }
            EventBody::AttributeUpdated { key, changes, .. } => {
                let (attribute, attribute_id) = (Some(key.as_str()), body.subject());
                Self { attribute, attribute_id, ..self.with_changes(changes) }
            }
            EventBody::InboxCreated(inbox) => self.with_inbox(inbox),
            EventBody::InboxUpdated { id, changes } => {
                Self { inbox_id: Some(id.0), ..self.with_changes(changes) }
            }
            EventBody::InboxDeleted { inbox, links } => {
                Self { links: Some(*links), ..self.with_inbox(inbox) }
            }
            EventBody::KeyCreated(key) | EventBody::KeyRevoked(key) => {
                Self { key_id: Some(key.id.0), key: Some(key.into()), ..self }
            }
            EventBody::KeyUpdated { id, changes } => {
                Self { key_id: Some(id.0), ..self.with_changes(changes) }
            }
            EventBody::KeyRotated { id, previous_until } => {
                let previous_secret_until = Some(rfc3339(*previous_until));
                Self { key_id: Some(id.0), previous_secret_until, ..self }
            }
            EventBody::WebhookCreated(webhook) | EventBody::WebhookDeleted(webhook) => {
                Self { webhook_id: Some(webhook.id.0), webhook: Some(webhook.into()), ..self }
            }
            EventBody::WebhookUpdated { id, changes } => {
                Self { webhook_id: Some(id.0), ..self.with_changes(changes) }
            }
            EventBody::WebhookRotated { id, previous_until } => {
                let previous_secret_until = Some(rfc3339(*previous_until));
                Self { webhook_id: Some(id.0), previous_secret_until, ..self }
            }
        }
    }

    fn with_card(self, card: &'a Card) -> Self {
        let links = card.contact_inboxes.iter().map(|link| EventLink {
            inbox_id: link.inbox_id.0,
            source_id: link.source_id.as_str(),
        });
        Self {
            version: Some(card.contact.version.0),
            contact: Some((&card.contact).into()),
            contact_inboxes: Some(links.collect()),
            ..self
        }
    }

    fn with_changes(self, changes: &'a [FieldChange]) -> Self {
        Self { changes: Some(changes.iter().map(EventChange::from).collect()), ..self }
    }

    fn with_inbox(self, inbox: &Inbox) -> Self {
        Self { inbox_id: Some(inbox.id.0), inbox: Some(inbox.clone().into()), ..self }
    }
}
