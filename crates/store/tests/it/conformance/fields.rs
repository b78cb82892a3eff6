//! Values of the domain in few words, so that a test says only what it is about.

use std::sync::atomic::{AtomicU64, Ordering};

use meishi_contacts::{
    AttributeMode, AttributePatch, AttributeType, AttributesPatch, ChannelType, ContactId,
    ContactPatch, Credential, Email, Field, FieldPath, Identifier, InboxId, Label, LabelId,
    LabelPatch, NewAttribute, NewContact, NewInbox, NewKey, NewLabel, NewLink, NewWebhook, Patch,
    PayloadForm, Phone, Role, Seed, Seq, SourceId, UnixMillis, WebhookEvent,
};
use meishi_store::Change;
use serde_json::{Map, Value};

/// The time that changes bear unless a test says otherwise: not a whole second.
pub(crate) const NOON: UnixMillis = UnixMillis(1_767_268_800_123);

/// A seed that no other call of this process gets.
pub(crate) fn fresh_seed() -> Seed {
    static DRAWN: AtomicU64 = AtomicU64::new(0);
    let number = DRAWN.fetch_add(1, Ordering::Relaxed);
    Seed(Seed([0; 32]).bytes("fresh", usize::try_from(number).unwrap()))
}

pub(crate) fn email(text: &str) -> Patch<Email> {
    Patch::from_option(Email::parse(text).unwrap())
}

pub(crate) fn phone(text: &str) -> Patch<Phone> {
    Patch::from_option(Phone::parse(text).unwrap())
}

pub(crate) fn identifier(text: &str) -> Patch<Identifier> {
    Patch::from_option(Identifier::parse(text).unwrap())
}

pub(crate) fn text(text: &str) -> Patch<String> {
    Patch::Set(text.to_owned())
}

pub(crate) fn source(text: &str) -> SourceId {
    SourceId::parse(text).unwrap().unwrap()
}

pub(crate) fn labels(titles: &[&str]) -> Vec<Label> {
    titles.iter().map(|title| Label::parse(title).unwrap().unwrap()).collect()
}

pub(crate) fn blank() -> ContactPatch {
    ContactPatch::default()
}

pub(crate) fn named(name: &str) -> ContactPatch {
    ContactPatch { name: Some(name.to_owned()), ..blank() }
}

pub(crate) fn with_email(address: &str) -> ContactPatch {
    ContactPatch { email: email(address), ..blank() }
}

/// A patch that merges `members` into the custom attributes.
pub(crate) fn with_custom(members: Value) -> ContactPatch {
    ContactPatch { custom_attributes: merge(members), ..blank() }
}

pub(crate) fn merge(members: Value) -> AttributesPatch {
    AttributesPatch::Merge(map(members))
}

pub(crate) fn merge_patch(members: Value) -> AttributesPatch {
    AttributesPatch::MergePatch(map(members))
}

pub(crate) fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("not an object: {other}"),
    }
}

pub(crate) fn create(fields: ContactPatch) -> Change {
    Change::CreateContact(Box::new(NewContact { fields, link: None }))
}

pub(crate) fn create_in(inbox: InboxId, source_id: Option<&str>, fields: ContactPatch) -> Change {
    let link = NewLink { inbox_id: inbox, source_id: source_id.map(source) };
    Change::CreateContact(Box::new(NewContact { fields, link: Some(link) }))
}

pub(crate) fn update(id: ContactId, patch: ContactPatch) -> Change {
    Change::UpdateContact { id, patch: Box::new(patch) }
}

pub(crate) fn delete(id: ContactId) -> Change {
    Change::DeleteContact { id }
}

/// An upsert that lacks nothing to create.
pub(crate) fn upsert(fields: ContactPatch) -> Change {
    let new = Box::new(NewContact { fields, link: None });
    Change::UpsertContact { new, lacks: Vec::new(), only_create: false }
}

/// Undoes a whole event.
pub(crate) fn revert(id: ContactId, seq: Seq) -> Change {
    Change::RevertContact { id, seq, only: None }
}

/// Undoes one field of an event.
pub(crate) fn revert_only(id: ContactId, seq: Seq, only: impl Into<FieldPath>) -> Change {
    Change::RevertContact { id, seq, only: Some(only.into()) }
}

pub(crate) fn erase(id: ContactId) -> Change {
    Change::EraseContact { id }
}

/// One of the custom attributes.
pub(crate) fn custom(key: &str) -> FieldPath {
    FieldPath { field: Field::CustomAttributes, key: Some(key.to_owned()) }
}

pub(crate) fn set_labels(id: ContactId, titles: &[&str]) -> Change {
    Change::SetLabels { id, labels: labels(titles) }
}

/// A label with nothing but a title.
pub(crate) fn create_label(title: &str) -> Change {
    let title = labels(&[title]).remove(0);
    Change::CreateLabel(NewLabel { title, color: None, description: None, show_on_sidebar: None })
}

pub(crate) fn rename_label(id: LabelId, title: &str) -> Change {
    let title = Some(labels(&[title]).remove(0));
    Change::UpdateLabel { id, patch: LabelPatch { title, ..LabelPatch::default() } }
}

/// A definition of a custom attribute.
pub(crate) fn create_attribute(key: &str, fields: AttributePatch) -> Change {
    Change::CreateAttribute(NewAttribute { key: key.to_owned(), fields })
}

/// That nothing but values of a type is to be set.
pub(crate) fn enforced(kind: AttributeType) -> AttributePatch {
    let mode = Some(AttributeMode::Enforce);
    AttributePatch { kind: Some(kind), mode, ..AttributePatch::default() }
}

/// A channel under the next id.
pub(crate) fn inbox(name: &str) -> NewInbox {
    NewInbox { id: None, name: name.to_owned(), channel_type: ChannelType::Api }
}

/// A channel under a chosen id.
pub(crate) fn inbox_as(id: i64, name: &str) -> NewInbox {
    NewInbox { id: Some(InboxId(id)), ..inbox(name) }
}

/// A key of that credential that never ends.
pub(crate) fn key_of(credential: &Credential, name: &str, role: Role) -> NewKey {
    NewKey {
        api_key: credential.api_key.clone(),
        secret_hash: credential.secret_hash(),
        name: name.to_owned(),
        role,
        expires_at: None,
    }
}

/// A key of a credential that nobody asks for.
pub(crate) fn some_key(name: &str) -> NewKey {
    key_of(&Credential::from_seed(&fresh_seed()), name, Role::Agent)
}

/// A webhook that is told of everything.
pub(crate) fn webhook(url: &str) -> NewWebhook {
    NewWebhook {
        url: url.to_owned(),
        events: WebhookEvent::ALL.to_vec(),
        format: PayloadForm::Meishi,
        include_activity: false,
        secret: format!("whsec_{url}"),
    }
}
