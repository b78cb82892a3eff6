//! `PATCH /api/v2/accounts/contacts/:id` (`livedesk-wire.md` 4.2); `PUT` is the same.

use axum::extract::State;
use meishi_contacts::ContactId;
use meishi_store::{Change, Outcome};

use super::{
    parse,
    view::{ContactAnswer, represent},
};
use crate::{
    ApiError, App,
    api::{apply_one, unexpected},
    auth::Agent,
    body::Fields,
    conditional::{IfMatch, Representation},
    openapi::UpdateContact,
    params::{Params, PathId},
};

/// Update a contact
///
/// Sets the fields that are sent and keeps the others. The two attribute maps are merged: a key
/// with a value is set, a key with `null` is removed, the rest stays; with the content type
/// `application/merge-patch+json` they are merged deeply (RFC 7396). Timestamps and `thumbnail`
/// are honoured as sent, so do not send an old answer back.
#[utoipa::path(
    patch,
    path = "/api/v2/accounts/contacts/{id}",
    tag = "contacts",
    operation_id = "updateContact",
    params(
        ("id" = i64, Path, description = "The contact's number", example = 2_219_259),
        (
            "include_contact_inboxes" = Option<bool>, Query,
            description = "Whether the answer shows the contact's channels; on unless it is \
                           something else than true or 1",
        ),
    ),
    request_body(content(
        (UpdateContact = "application/json"),
        (UpdateContact = "application/merge-patch+json"),
        (UpdateContact = "application/x-www-form-urlencoded"),
    )),
    responses((status = 200, description = "The contact after it", body = ContactAnswer<'static>)),
)]
pub async fn update(
    Agent(caller): Agent,
    State(app): State<App>,
    PathId(id): PathId<ContactId>,
    params: Params,
    condition: IfMatch,
    body: Fields,
) -> Result<Representation, ApiError> {
    let change = Change::UpdateContact { id, patch: Box::new(parse::fields(&body)) };
    let request = caller.context(&app, &body).only_if(condition);
    match apply_one(&app, request, change).await? {
        Outcome::ContactUpdated(record) => {
            represent(&record, params.is_on_by_default("include_contact_inboxes"))
        }
        other => Err(unexpected(&other)),
    }
}
