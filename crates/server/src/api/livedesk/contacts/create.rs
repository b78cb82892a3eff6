//! `POST /api/v2/accounts/contacts` (`livedesk-wire.md` 4.1).

use axum::{
    Json,
    extract::State,
    http::header::ETAG,
    response::{IntoResponse, Response},
};
use meishi_contacts::NewContact;
use meishi_store::{Change, ContactRecord, Outcome};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    parse,
    view::{ContactView, InboxView, represent},
};
use crate::{
    ApiError, App,
    api::{apply_one, unexpected},
    auth::Agent,
    body::Fields,
    openapi::CreateContact,
};

/// The answer to a create: the contact, and its link once more.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CreatedContact)]
pub struct Created<'a> {
    payload: Payload<'a>,
}

/// What was created.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CreatedContactPayload)]
pub struct Payload<'a> {
    contact: ContactView<'a>,
    contact_inbox: Link<'a>,
}

/// The link to the channel.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CreatedContactLink)]
pub struct Link<'a> {
    /// The channel.
    #[schema(required = true)]
    inbox: Option<InboxView<'a>>,
    /// The contact's address in it.
    #[schema(value_type = Option<String>, required = true, example = "0b5c7c0e-4c0f-4d7e-9a53-2f6f3f1c9a11")]
    source_id: Option<&'a str>,
}

impl<'a> Created<'a> {
    /// Shows a contact that was made, with its link.
    pub(super) fn new(record: &'a ContactRecord) -> Self {
        let link = record.contact_inboxes.first();
        let contact_inbox = Link {
            inbox: link.map(|link| InboxView::new(&link.inbox)),
            source_id: link.map(|link| link.source_id.as_str()),
        };
        Self { payload: Payload { contact: ContactView::new(record, true), contact_inbox } }
    }
}

/// Create a contact
///
/// Creates a contact that comes by a channel. An e-mail, phone number or identifier that another
/// contact holds is a 422 that names that contact; a create never changes an existing one.
#[utoipa::path(
    post,
    path = "/api/v2/accounts/contacts",
    tag = "contacts",
    operation_id = "createContact",
    request_body(content(
        (CreateContact = "application/json"),
        (CreateContact = "application/x-www-form-urlencoded"),
    )),
    responses((status = 200, description = "The contact and its link", body = Created<'static>)),
)]
pub async fn create(
    Agent(caller): Agent,
    State(app): State<App>,
    body: Fields,
) -> Result<Response, ApiError> {
    match apply_one(&app, caller.context(&app, &body), change(&body)).await? {
        Outcome::ContactCreated(record) => {
            let etag = represent(&record, true)?.etag;
            Ok(([(ETAG, etag)], Json(Created::new(&record))).into_response())
        }
        other => Err(unexpected(&other)),
    }
}

/// The change that a body asks for.
pub(super) fn change(body: &Fields) -> Change {
    let mut fields = parse::fields(body);
    let link = parse::link(body, &mut fields.faults);
    Change::CreateContact(Box::new(NewContact { fields, link }))
}
