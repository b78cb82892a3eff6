//! `POST /api/v2/accounts/contacts/lookup`: contacts by number or by address, exactly.

use std::collections::{BTreeMap, HashMap};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use meishi_contacts::{
    AccountId, ContactId, Email, Fault, FaultCode, Identifier, Identity, IdentityKind, Phone,
    limits::{FAULTS_PER_FIELD, LOOKUP_BYTES, LOOKUP_KEYS, LOOKUP_READ_ROWS},
};
use meishi_store::StoreError;
use serde::Serialize;
use serde_json::{
    Map, Value,
    value::{RawValue, to_raw_value},
};
use utoipa::ToSchema;

use super::{
    integer,
    view::{ContactView, Shown},
};
use crate::{
    ApiError, App,
    auth::Reader,
    body::Fields,
    openapi::{ListMeta, LookUpContacts, LookUpKey},
    params::Params,
};

/// The body's list.
const KEYS: &str = "keys";

/// What was found, key by key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LookedUpContacts)]
pub struct Answer<'a> {
    meta: ListMeta,
    payload: Vec<Entry<'a>>,
}

/// What one key leads to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LookedUpContact)]
pub struct Entry<'a> {
    /// The key as it was sent.
    #[schema(value_type = LookUpKey)]
    key: &'a Value,
    /// The contact; `null` when there is none.
    #[schema(value_type = Option<ContactView<'static>>, required = true)]
    contact: Option<&'a RawValue>,
}

/// What a key names.
enum Key {
    Id(ContactId),
    Address(Identity),
}

/// Look up contacts
///
/// Finds up to 1,000 contacts by number, identifier, e-mail or phone number. Each key has exactly
/// one of them; values are read as in a write (an e-mail address in whatever case) and compared as
/// a whole. The answer has one entry for each key, in order; `meta.count` is how many of them lead
/// to a contact. The contacts of one answer may have 8 MiB in all.
#[utoipa::path(
    post,
    path = "/api/v2/accounts/contacts/lookup",
    tag = "contacts",
    operation_id = "lookUpContacts",
    params(
        (
            "include_contact_inboxes" = Option<bool>, Query,
            description = "Whether contacts show their channels; on unless it is something else \
                           than true or 1",
        ),
        (
            "include" = Option<String>, Query,
            description = "What else contacts show, with commas between: `first_name`, \
                           `last_name`, `labels`; other words are ignored",
            example = "labels",
        ),
    ),
    request_body(content(
        (LookUpContacts = "application/json"),
        (LookUpContacts = "application/x-www-form-urlencoded"),
    )),
    responses((status = 200, description = "What the keys lead to", body = Answer<'static>)),
)]
pub async fn lookup(
    Reader(caller): Reader,
    State(app): State<App>,
    params: Params,
    body: Fields,
) -> Result<Response, ApiError> {
    let sent = sent(&body)?;
    let keys = parse(sent)?;
    let ids = ids(&app, caller.account, &keys).await?;
    let found = read(&app, caller.account, &ids, Shown::asked(&params)).await?;
    let entry = |(key, id): (_, &Option<ContactId>)| Entry {
        key,
        contact: id.and_then(|id| found.get(&id)).map(|contact| &**contact),
    };
    let payload: Vec<Entry<'_>> = sent.iter().zip(&ids).map(entry).collect();
    let count = payload.iter().filter(|entry| entry.contact.is_some()).count();
    Ok(Json(Answer { meta: ListMeta { count }, payload }).into_response())
}

/// Which contact each key leads to. A number is taken as it is.
async fn ids(
    app: &App,
    account: AccountId,
    keys: &[Key],
) -> Result<Vec<Option<ContactId>>, ApiError> {
    let addresses: Vec<Identity> = keys
        .iter()
        .filter_map(|key| match key {
            Key::Id(_) => None,
            Key::Address(identity) => Some(identity.clone()),
        })
        .collect();
    let owners = if addresses.is_empty() {
        Vec::new()
    } else {
        app.store.owners(account, &addresses).await?
    };
    let mut owners = owners.into_iter();
    let id = |key: &Key| match key {
        Key::Id(id) => Some(*id),
        Key::Address(_) => owners.next().flatten(),
    };
    Ok(keys.iter().map(id).collect())
}

/// Those of the contacts that there are, rendered. Fails with [`ApiError::LimitExceeded`] when an
/// answer with all of them would be larger than [`LOOKUP_BYTES`].
async fn read(
    app: &App,
    account: AccountId,
    ids: &[Option<ContactId>],
    shown: Shown,
) -> Result<HashMap<ContactId, Box<RawValue>>, ApiError> {
    let mut times: BTreeMap<ContactId, usize> = BTreeMap::new();
    for id in ids.iter().flatten() {
        *times.entry(*id).or_default() += 1;
    }
    let wanted: Vec<ContactId> = times.keys().copied().collect();
    let (mut found, mut bytes) = (HashMap::new(), 0);
    for ids in wanted.chunks(LOOKUP_READ_ROWS) {
        for record in app.store.contacts(account, ids, shown.include()).await? {
            let id = record.contact.id;
            let contact = to_raw_value(&ContactView::shown(&record, shown))
                .map_err(|error| StoreError::Internal(error.to_string()))?;
            bytes += contact.get().len() * times.get(&id).copied().unwrap_or_default();
            if bytes > LOOKUP_BYTES {
                let text = format!(
                    "The contacts of one look-up may have {LOOKUP_BYTES} bytes in all; look for \
                     fewer at once"
                );
                return Err(ApiError::LimitExceeded(text));
            }
            found.insert(id, contact);
        }
    }
    Ok(found)
}

/// The keys as they were sent.
fn sent(body: &Fields) -> Result<&[Value], Vec<Fault>> {
    match body.members.get(KEYS) {
        Some(Value::Array(keys)) if keys.len() > LOOKUP_KEYS => {
            let message = format!("Keys has too many entries (maximum is {LOOKUP_KEYS})");
            Err(vec![Fault::new(KEYS, FaultCode::LimitExceeded, message)])
        }
        Some(Value::Array(keys)) if !keys.is_empty() => Ok(keys),
        None | Some(Value::Null | Value::Array(_)) => {
            Err(vec![Fault::new(KEYS, FaultCode::Blank, "Keys can't be blank")])
        }
        Some(_) => Err(vec![Fault::invalid(KEYS, "must be a list of objects")]),
    }
}

fn parse(sent: &[Value]) -> Result<Vec<Key>, Vec<Fault>> {
    let (mut keys, mut faults) = (Vec::new(), Vec::new());
    for (number, key) in sent.iter().enumerate() {
        match key.as_object().map(self::key) {
            Some(Ok(key)) => keys.push(key),
            Some(Err((name, message))) => {
                let fault = Fault::new(KEYS, FaultCode::Invalid, message);
                let member = name.map(|name| format!("/{name}")).unwrap_or_default();
                faults.push(fault.at(format!("/{KEYS}/{number}{member}")));
            }
            None => {
                let fault = Fault::invalid(KEYS, "must be a list of objects");
                faults.push(fault.at(format!("/{KEYS}/{number}")));
            }
        }
        if faults.len() == FAULTS_PER_FIELD {
            break;
        }
    }
    if faults.is_empty() { Ok(keys) } else { Err(faults) }
}

/// Reads one key, or says what is wrong with which of its members.
fn key(members: &Map<String, Value>) -> Result<Key, (Option<&'static str>, String)> {
    const NAMES: [&str; 4] = ["id", "identifier", "email", "phone_number"];
    let mut named =
        NAMES.into_iter().filter_map(|name| members.get(name).map(|value| (name, value)));
    let (Some((name, value)), None) = (named.next(), named.next()) else {
        let message = "Keys must each have one of id, identifier, email and phone_number";
        return Err((None, message.to_owned()));
    };
    let wrong = |message: String| (Some(name), message);
    if name == "id" {
        let id = integer(value).map(|id| Key::Id(ContactId(id)));
        return id.ok_or_else(|| wrong(Fault::invalid(name, "must be an integer").message));
    }
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return Err(wrong(Fault::invalid(name, "must be a string").message)),
    };
    let parsed = match name {
        "identifier" => Identifier::parse(&text)
            .map(|id| id.map(|id| (IdentityKind::Identifier, id.as_str().to_owned()))),
        "email" => Email::parse(&text)
            .map(|email| email.map(|email| (IdentityKind::Email, email.as_str().to_owned()))),
        _ => Phone::parse(&text)
            .map(|phone| phone.map(|phone| (IdentityKind::PhoneNumber, phone.as_str().to_owned()))),
    };
    match parsed {
        Ok(Some((kind, value))) => Ok(Key::Address(Identity { kind, value })),
        Ok(None) => Err(wrong(Fault::invalid(name, "can't be blank").message)),
        Err(fault) => Err(wrong(fault.message)),
    }
}
