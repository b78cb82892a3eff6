//! `DELETE /api/v2/accounts/contacts/:id`.

use axum::{Json, extract::State};
use meishi_contacts::ContactId;
use meishi_store::{Change, Outcome};

use crate::{
    ApiError, App,
    api::{apply_one, unexpected},
    auth::Agent,
    conditional::IfMatch,
    idempotency::NoBody,
    openapi::Empty,
    params::PathId,
};

/// Delete a contact
///
/// Deletes the contact with its addresses, links and labels. Its number is never given again.
#[utoipa::path(
    delete,
    path = "/api/v2/accounts/contacts/{id}",
    tag = "contacts",
    operation_id = "deleteContact",
    params(("id" = i64, Path, description = "The contact's number", example = 2_219_259)),
    responses((status = 200, description = "The contact is gone", body = Empty)),
)]
pub async fn delete(
    Agent(caller): Agent,
    State(app): State<App>,
    PathId(id): PathId<ContactId>,
    condition: IfMatch,
) -> Result<Json<Empty>, ApiError> {
    let request = caller.context(&app, NoBody).only_if(condition);
    match apply_one(&app, request, Change::DeleteContact { id }).await? {
        Outcome::ContactDeleted => Ok(Json(Empty {})),
        other => Err(unexpected(&other)),
    }
}
