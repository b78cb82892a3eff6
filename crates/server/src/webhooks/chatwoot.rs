//! Chatwoot's form (`chatwoot-wire.md` section 8), with the events that Chatwoot does not tell of in
//! the same shape.

use std::collections::BTreeMap;

use meishi_contacts::{Attributes, Contact, Email, Field, FieldChange, Identifier, Phone};
use meishi_store::Account;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{Notice, What, bytes};

/// A contact in Chatwoot's webhook form.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChatwootContactMessage)]
pub(crate) struct ChatwootContact<'a> {
    account: AccountView<'a>,
    /// Profile data.
    #[schema(value_type = Object, example = json!({"city": "Zürich"}))]
    additional_attributes: &'a Attributes,
    /// URL of a picture; empty when there is none.
    #[schema(value_type = String, example = "https://example.com/avatar.png")]
    avatar: &'a str,
    /// Fields that the project defines.
    #[schema(value_type = Object, example = json!({"vip_level": "platinum"}))]
    custom_attributes: &'a Attributes,
    /// E-mail address.
    #[schema(value_type = Option<String>, required = true, example = "alice@acme.inc")]
    email: Option<&'a str>,
    /// The contact's number.
    #[schema(example = 2_219_259)]
    id: i64,
    /// The caller's own id of the person.
    #[schema(value_type = Option<String>, required = true, example = "1234567890")]
    identifier: Option<&'a str>,
    /// Display name; may be empty.
    #[schema(value_type = String, example = "Alice")]
    name: &'a str,
    /// Phone number in E.164.
    #[schema(value_type = Option<String>, required = true, example = "+123456789")]
    phone_number: Option<&'a str>,
    /// The same as `avatar`.
    #[schema(value_type = String, example = "https://example.com/avatar.png")]
    thumbnail: &'a str,
    /// Whether the person is blocked.
    blocked: bool,
    /// What happened.
    #[schema(
        pattern = "^contact_(created|updated|deleted|restored)$",
        example = "contact_updated"
    )]
    event: String,
    /// What changed: an object of one member for each field; only of an update.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<BTreeMap<String, Changed>>, required = false)]
    changed_attributes: Option<Vec<BTreeMap<&'static str, Changed>>>,
}

/// The change of one field. The two maps are there as a whole.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChatwootChange)]
struct Changed {
    /// What it was.
    #[schema(value_type = Value, example = "Alice")]
    previous_value: Value,
    /// What it is.
    #[schema(value_type = Value, example = "Alice Muster")]
    current_value: Value,
}

/// Whose contact it is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChatwootAccount)]
struct AccountView<'a> {
    /// The account's number.
    #[schema(example = 1)]
    id: i64,
    /// What people call it.
    #[schema(value_type = String, example = "Acme")]
    name: &'a str,
}

/// A contact was erased, and with it what was known of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChatwootErasedMessage)]
pub(crate) struct ChatwootErased<'a> {
    account: AccountView<'a>,
    /// The contact's number.
    #[schema(example = 2_219_259)]
    id: i64,
    /// What happened.
    #[schema(pattern = "^contact_erased$", example = "contact_erased")]
    event: String,
}

pub(super) fn render(notice: &Notice<'_>) -> Vec<u8> {
    let event = notice.what.event().chatwoot_name();
    let (contact, changes) = match notice.what {
        What::Created(contact) | What::Deleted(contact) | What::Restored(contact) => {
            (contact, None)
        }
        What::Updated(contact, changes) => (contact, Some(changed_attributes(contact, changes))),
        What::Erased(id) => {
            let account = AccountView::new(notice.account);
            return bytes(&ChatwootErased { account, id: id.0, event });
        }
    };
    bytes(&ChatwootContact {
        account: AccountView::new(notice.account),
        additional_attributes: &contact.additional_attributes,
        avatar: &contact.thumbnail,
        custom_attributes: &contact.custom_attributes,
        email: contact.email.as_ref().map(Email::as_str),
        id: contact.id.0,
        identifier: contact.identifier.as_ref().map(Identifier::as_str),
        name: &contact.name,
        phone_number: contact.phone_number.as_ref().map(Phone::as_str),
        thumbnail: &contact.thumbnail,
        blocked: contact.blocked,
        event,
        changed_attributes: changes,
    })
}

impl<'a> AccountView<'a> {
    fn new(account: &'a Account) -> Self {
        Self { id: account.id.0, name: &account.name }
    }
}

/// An entry for each field in the order of the changes, a map's where its first member changed.
fn changed_attributes(
    contact: &Contact,
    changes: &[FieldChange],
) -> Vec<BTreeMap<&'static str, Changed>> {
    let mut entries: Vec<(Field, Changed)> = Vec::new();
    for change in changes {
        let field = change.field;
        let entry = match field {
            _ if entries.iter().any(|(known, _)| *known == field) => continue,
            Field::AdditionalAttributes => {
                whole_map(field, &contact.additional_attributes, changes)
            }
            Field::CustomAttributes => whole_map(field, &contact.custom_attributes, changes),
            _ => Changed {
                previous_value: shown(field, change.before.as_ref()),
                current_value: shown(field, change.after.as_ref()),
            },
        };
        entries.push((field, entry));
    }
    let one = |(field, entry): (Field, Changed)| BTreeMap::from([(field.as_str(), entry)]);
    entries.into_iter().map(one).collect()
}

/// A map after the changes, and before them: what they did is undone.
fn whole_map(field: Field, after: &Attributes, changes: &[FieldChange]) -> Changed {
    let after = after.to_map();
    let mut before: Map<String, Value> = after.clone();
    for change in changes.iter().filter(|change| change.field == field) {
        let Some(key) = &change.key else { continue };
        match &change.before {
            Some(value) => before.insert(key.clone(), value.clone()),
            None => before.shift_remove(key),
        };
    }
    Changed { previous_value: before.into(), current_value: after.into() }
}

/// A value as Chatwoot shows it here: times are text.
fn shown(field: Field, value: Option<&Value>) -> Value {
    let value = value.cloned().unwrap_or_default();
    match (field, value.as_i64()) {
        (Field::LastActivityAt | Field::CreatedAt, Some(seconds)) => {
            let at = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
            at.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string().into()
        }
        _ => value,
    }
}
