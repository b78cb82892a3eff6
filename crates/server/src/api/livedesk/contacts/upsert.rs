//! `PUT /api/v2/accounts/contacts`: finds a contact by its addresses and updates it, or makes it.

use axum::{
    Json,
    extract::State,
    http::header::ETAG,
    response::{IntoResponse, Response},
};
use meishi_contacts::{Fault, FaultCode, Field, FieldPath, IdentityKind, NewContact};
use meishi_store::{Change, Outcome, Upserted};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    parse,
    view::{ContactView, represent},
};
use crate::{
    ApiError, App,
    api::{apply_one, unexpected},
    auth::Agent,
    body::Fields,
    conditional::{IfMatch, IfNoneMatch},
    openapi::{AmbiguousMatch, UpsertContact, VersionMismatch},
    params::Params,
};

/// What an upsert came to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UpsertedContact)]
pub struct Answer<'a> {
    payload: ContactView<'a>,
    /// The address by which the contact was found: `identifier`, `email` or `phone_number`;
    /// `null` when it was created.
    #[schema(value_type = Option<String>, required = true, example = "email")]
    matched_by: Option<&'static str>,
    /// Whether the contact was made.
    created: bool,
    /// JSON Pointers to what was sent and changed; all that was sent when the contact was made.
    #[schema(example = json!(["/name", "/custom_attributes/vip_level"]))]
    changed: Vec<String>,
    /// JSON Pointers to what was sent and is as it was.
    #[schema(example = json!(["/email"]))]
    unchanged: Vec<String>,
    /// What was sent and not taken.
    refused: Vec<Refused>,
}

/// An address that was sent and not taken, because the contact has another one.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RefusedField)]
pub struct Refused {
    /// JSON Pointer to the field.
    #[schema(example = "/phone_number")]
    pointer: String,
    /// `already_set`.
    #[schema(value_type = String, example = "already_set")]
    code: &'static str,
    /// The message, for people.
    #[schema(example = "Phone number is already set, and an upsert does not replace it")]
    message: String,
}

impl<'a> Answer<'a> {
    /// Shows what an upsert came to.
    pub(super) fn new(upserted: &'a Upserted, include_inboxes: bool) -> Self {
        let pointers = |paths: &[FieldPath]| paths.iter().map(FieldPath::pointer).collect();
        Self {
            payload: ContactView::new(&upserted.record, include_inboxes),
            matched_by: upserted.matched_by.map(IdentityKind::as_str),
            created: upserted.matched_by.is_none(),
            changed: pointers(&upserted.changed),
            unchanged: pointers(&upserted.unchanged),
            refused: upserted.refused.iter().map(Refused::new).collect(),
        }
    }
}

impl Refused {
    fn new(path: &FieldPath) -> Self {
        let problem = "is already set, and an upsert does not replace it";
        let message = Fault::invalid(path.field.as_str(), problem).message;
        Self { pointer: path.pointer(), code: "already_set", message }
    }
}

/// Create or update a contact
///
/// Finds the contact that has the `identifier`, the `email` or the `phone_number` of the body, in
/// that order, and updates it as PATCH does; where there is none, creates it as POST does, for
/// which it needs `inbox_id`. An identifier, e-mail or phone number that the contact has already is
/// never replaced but listed in `refused`. Addresses that lead to different contacts are a 409 that
/// names them. With `If-None-Match: *` it only creates.
#[utoipa::path(
    put,
    path = "/api/v2/accounts/contacts",
    tag = "contacts",
    operation_id = "upsertContact",
    params(
        (
            "include_contact_inboxes" = Option<bool>, Query,
            description = "Whether the answer shows the contact's channels; on unless it is \
                           something else than true or 1",
        ),
        (
            "If-None-Match" = Option<String>, Header,
            description = "`*`: do not update a contact that is there", example = "*",
        ),
        (
            "If-Match" = Option<String>, Header,
            description = "Entity tags of the contact: update it only if its version is that of \
                           one of them, and do not create one",
            example = "\"3.9f86d081884c7d65\"",
        ),
    ),
    request_body(content(
        (UpsertContact = "application/json", example = json!({
            "inbox_id": 1,
            "identifier": "1234567890",
            "email": "alice@acme.inc",
            "name": "Alice",
            "custom_attributes": {"vip_level": "platinum"},
        })),
        (UpsertContact = "application/merge-patch+json"),
        (UpsertContact = "application/x-www-form-urlencoded"),
    )),
    responses(
        (status = 200, description = "The contact after it", body = Answer<'static>),
        (status = 409, description = "The addresses lead to different contacts", body = AmbiguousMatch),
        (status = 412, description = "The contact is there already, or has none of the versions of `If-Match`", body = VersionMismatch),
    ),
)]
pub async fn upsert(
    Agent(caller): Agent,
    State(app): State<App>,
    params: Params,
    condition: IfMatch,
    known: IfNoneMatch,
    body: Fields,
) -> Result<Response, ApiError> {
    let request = caller.context(&app, &body).only_if(condition);
    match apply_one(&app, request, change(&body, known.is_any())).await? {
        Outcome::ContactUpserted(upserted) => {
            let include = params.is_on_by_default("include_contact_inboxes");
            let etag = represent(&upserted.record, include)?.etag;
            Ok(([(ETAG, etag)], Json(Answer::new(&upserted, include))).into_response())
        }
        other => Err(unexpected(&other)),
    }
}

/// The change that a body asks for.
pub(super) fn change(body: &Fields, only_create: bool) -> Change {
    let mut fields = parse::fields(body);
    let mut lacks = Vec::new();
    let link = parse::link(body, &mut lacks);
    let addresses = [Field::Identifier, Field::Email, Field::PhoneNumber].map(Field::as_str);
    let is_told = |fault: &Fault| addresses.contains(&fault.attribute.as_str());
    if fields.identities().is_empty() && !fields.faults.iter().any(is_told) {
        let [first, ..] = addresses;
        let message = "Identifier, email or phone number must be given";
        fields.faults.push(Fault::new(first, FaultCode::Blank, message));
    }
    Change::UpsertContact { new: Box::new(NewContact { fields, link }), lacks, only_create }
}
