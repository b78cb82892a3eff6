//! The contact object, in the documented order of its keys (`livedesk-wire.md` section 3).

use meishi_contacts::{Attributes, Availability, Contact, Field, Inbox, Label, Seq, UnixMillis};
use meishi_store::{ContactInbox, ContactRecord, Include};
use serde::Serialize;
use serde_json::json;
use utoipa::{
    ToSchema,
    openapi::{Object, ObjectBuilder, Type},
};

use crate::{ApiError, api::rfc3339, conditional::Representation, params::Params};

/// A contact.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Contact)]
#[expect(clippy::option_option, reason = "not asked for, nothing and a text are three answers")]
pub struct ContactView<'a> {
    /// Profile data: `description`, `company_name`, `city`, `telegram`, `country`,
    /// `country_code`, `social_profiles` and whatever else was sent.
    #[schema(schema_with = additional_attributes)]
    additional_attributes: &'a Attributes,
    /// Whether the person was last said to be there.
    #[schema(value_type = String, pattern = "^(online|offline)$", example = "offline")]
    availability_status: Availability,
    /// E-mail address; unique in the account.
    #[schema(value_type = Option<String>, required = true, example = "alice@acme.inc")]
    email: Option<&'a str>,
    /// The contact's number.
    #[schema(value_type = i64, example = 2_219_259)]
    id: i64,
    /// Display name; may be empty.
    #[schema(value_type = String, example = "Test")]
    name: &'a str,
    /// Phone number in E.164; unique in the account.
    #[schema(value_type = Option<String>, required = true, example = "+123456789")]
    phone_number: Option<&'a str>,
    /// Whether the person is blocked.
    blocked: bool,
    /// The caller's own id of the person (UserID); unique in the account.
    #[schema(value_type = Option<String>, required = true, example = "1234567890")]
    identifier: Option<&'a str>,
    /// URL of a picture; empty when there is none.
    #[schema(value_type = String, example = "https://example.com/avatar.png")]
    thumbnail: &'a str,
    /// Fields that the project defines.
    #[schema(schema_with = custom_attributes)]
    custom_attributes: &'a Attributes,
    /// Last activity in Unix seconds; absent when there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = i64, required = false, example = 1_765_441_908)]
    last_activity_at: Option<i64>,
    /// Creation in Unix seconds.
    #[schema(example = 1_765_441_895)]
    created_at: i64,
    /// The contact's channels; absent when not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<ContactInboxView<'static>>, required = false)]
    contact_inboxes: Option<Vec<ContactInboxView<'a>>>,
    /// Given name; absent when not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, required = false, example = "Zoë")]
    first_name: Option<Option<&'a str>>,
    /// Family name; absent when not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, required = false, example = "Müller")]
    last_name: Option<Option<&'a str>>,
    /// Labels; absent when not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<String>, required = false, example = json!(["vip"]))]
    labels: Option<&'a [Label]>,
    /// The fields that have the text that was searched for; absent when not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<String>, required = false, example = json!(["name", "email"]))]
    matched_on: Option<Vec<&'static str>>,
}

/// What a contact shows besides what it always shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is asked for on its own")]
pub(crate) struct Shown {
    inboxes: bool,
    first_name: bool,
    last_name: bool,
    labels: bool,
}

impl Shown {
    /// What the parameters `include_contact_inboxes` and `include` ask for; words of `include` that
    /// name nothing are passed over.
    pub(crate) fn asked(params: &Params) -> Self {
        let mut shown = Self::with_inboxes(params.is_on_by_default("include_contact_inboxes"));
        shown.first_name = params.includes("first_name");
        shown.last_name = params.includes("last_name");
        shown.labels = params.includes("labels");
        shown
    }

    /// Nothing but the channels, if they are asked for.
    pub(crate) fn with_inboxes(inboxes: bool) -> Self {
        Self { inboxes, ..Self::default() }
    }

    /// What is to be read of the store for it.
    pub(crate) fn include(self) -> Include {
        if self.inboxes { Include::Inboxes } else { Include::Nothing }
    }
}

fn additional_attributes() -> Object {
    let example = json!({"company_name": "ACME", "city": "Zürich"});
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(
            "Profile data: `description`, `company_name`, `city`, `telegram`, `country`, \
             `country_code`, `social_profiles` and whatever else was sent.",
        ))
        .examples([example])
        .build()
}

fn custom_attributes() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("Fields that the project defines."))
        .examples([json!({"vip_level": "platinum"})])
        .build()
}

/// How a channel addresses the contact.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ContactInbox)]
pub struct ContactInboxView<'a> {
    /// The contact's address in the channel.
    #[schema(value_type = String, example = "0b5c7c0e-4c0f-4d7e-9a53-2f6f3f1c9a11")]
    source_id: &'a str,
    /// The channel.
    inbox: InboxView<'a>,
}

/// A channel, as contacts show it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ContactInboxChannel)]
pub struct InboxView<'a> {
    /// The Channel ID.
    #[schema(example = 407)]
    id: i64,
    /// What people call it.
    #[schema(value_type = String, example = "カスタマーサービスチャネル")]
    name: &'a str,
    /// The kind of channel.
    #[schema(value_type = String, example = "Channel::Api")]
    channel_type: &'a str,
}

impl<'a> ContactView<'a> {
    /// Shows a contact, with its channels if they were asked for.
    pub fn new(record: &'a ContactRecord, include_inboxes: bool) -> Self {
        Self::shown(record, Shown::with_inboxes(include_inboxes))
    }

    /// Shows a contact with what was asked for.
    pub(crate) fn shown(record: &'a ContactRecord, shown: Shown) -> Self {
        let inboxes = || record.contact_inboxes.iter().map(ContactInboxView::new).collect();
        let contact_inboxes = shown.inboxes.then(inboxes);
        Self { contact_inboxes, ..Self::alone(&record.contact).and(&record.contact, shown) }
    }

    /// Adds what was asked for of the contact itself.
    fn and(self, contact: &'a Contact, shown: Shown) -> Self {
        Self {
            first_name: shown.first_name.then_some(contact.first_name.as_deref()),
            last_name: shown.last_name.then_some(contact.last_name.as_deref()),
            labels: shown.labels.then_some(&contact.labels),
            ..self
        }
    }

    /// Shows a contact without its channels.
    pub(crate) fn alone(contact: &'a Contact) -> Self {
        Self {
            additional_attributes: &contact.additional_attributes,
            availability_status: contact.availability_status,
            email: contact.email.as_ref().map(meishi_contacts::Email::as_str),
            id: contact.id.0,
            name: &contact.name,
            phone_number: contact.phone_number.as_ref().map(meishi_contacts::Phone::as_str),
            blocked: contact.blocked,
            identifier: contact.identifier.as_ref().map(meishi_contacts::Identifier::as_str),
            thumbnail: &contact.thumbnail,
            custom_attributes: &contact.custom_attributes,
            last_activity_at: contact.last_activity_at.map(|at| at.0),
            created_at: contact.created_at.0,
            contact_inboxes: None,
            first_name: None,
            last_name: None,
            labels: None,
            matched_on: None,
        }
    }

    /// The same with the fields that have a text.
    pub(crate) fn matched_on(self, fields: &[Field]) -> Self {
        Self { matched_on: Some(fields.iter().map(|field| field.as_str()).collect()), ..self }
    }
}

impl<'a> ContactInboxView<'a> {
    fn new(link: &'a ContactInbox) -> Self {
        Self { source_id: link.source_id.as_str(), inbox: InboxView::new(&link.inbox) }
    }
}

impl<'a> InboxView<'a> {
    /// Shows a channel.
    pub fn new(inbox: &'a Inbox) -> Self {
        Self { id: inbox.id.0, name: &inbox.name, channel_type: inbox.channel_type.as_str() }
    }
}

/// A contact as a GET shows it, with its entity tag. An answer that shows it otherwise bears the
/// same tag: it is the one of the contact.
pub(crate) fn represent(
    record: &ContactRecord,
    include_inboxes: bool,
) -> Result<Representation, ApiError> {
    represent_shown(record, Shown::with_inboxes(include_inboxes))
}

/// The same with what else was asked for.
pub(crate) fn represent_shown(
    record: &ContactRecord,
    shown: Shown,
) -> Result<Representation, ApiError> {
    let answer = ContactAnswer { payload: ContactView::shown(record, shown), meta: None };
    Representation::new(record.contact.version, &answer)
}

/// The answer of a single contact.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ContactAnswer)]
pub struct ContactAnswer<'a> {
    /// The contact.
    payload: ContactView<'a>,
    /// Which state it is; only with `as_of`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = AsOf, required = false)]
    meta: Option<AsOf>,
}

/// Which earlier state of a contact is shown.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ContactAsOf)]
pub struct AsOf {
    /// The last event that the state has; `null` when that is no longer kept.
    #[schema(required = true, example = 17)]
    seq: Option<i64>,
    /// When that happened.
    #[schema(required = true, format = DateTime, example = "2026-11-20T08:00:00Z")]
    at: Option<String>,
}

impl<'a> ContactAnswer<'a> {
    /// Wraps a contact.
    pub fn new(record: &'a ContactRecord, include_inboxes: bool) -> Self {
        Self { payload: ContactView::new(record, include_inboxes), meta: None }
    }

    /// Wraps a contact as it was after an event, without its channels.
    pub(crate) fn as_of(
        contact: &'a Contact,
        event: Option<(Seq, UnixMillis)>,
        shown: Shown,
    ) -> Self {
        let meta = AsOf { seq: event.map(|(seq, _)| seq.0), at: event.map(|(_, at)| rfc3339(at)) };
        Self { payload: ContactView::alone(contact).and(contact, shown), meta: Some(meta) }
    }
}
