//! `GET` and `POST /api/v2/accounts/contacts/:id/labels` (`chatwoot-wire.md` 3.2).

use axum::{Json, extract::State};
use meishi_contacts::{ContactId, Label};
use meishi_store::{Change, Include, Outcome};
use serde::Serialize;
use utoipa::ToSchema;

use super::parse;
use crate::{
    ApiError, App,
    api::{apply_one, unexpected},
    auth::{Agent, Reader},
    body::Fields,
    conditional::IfMatch,
    openapi::SetLabels,
    params::PathId,
};

/// A contact's labels.
#[derive(Debug, Serialize, ToSchema)]
pub struct Labels {
    /// The titles, sorted.
    #[schema(value_type = Vec<String>, example = json!(["vip", "zürich"]))]
    payload: Vec<Label>,
}

/// Read a contact's labels
#[utoipa::path(
    get,
    path = "/api/v2/accounts/contacts/{id}/labels",
    tag = "contacts",
    operation_id = "readContactLabels",
    params(("id" = i64, Path, description = "The contact's number", example = 2_219_259)),
    responses((status = 200, description = "The labels", body = Labels)),
)]
pub async fn read(
    Reader(caller): Reader,
    State(app): State<App>,
    PathId(id): PathId<ContactId>,
) -> Result<Json<Labels>, ApiError> {
    let found = app.store.contact(caller.account, id, Include::Nothing).await?;
    Ok(Json(Labels { payload: found.ok_or(ApiError::NotFound)?.contact.labels }))
}

/// Replace a contact's labels
///
/// The list in the body becomes the contact's labels; an empty or missing one clears them. Titles
/// are trimmed and lower-cased; commas separate. A label that the account does not have is made.
#[utoipa::path(
    post,
    path = "/api/v2/accounts/contacts/{id}/labels",
    tag = "contacts",
    operation_id = "setContactLabels",
    params(("id" = i64, Path, description = "The contact's number", example = 2_219_259)),
    request_body(content(
        (SetLabels = "application/json"),
        (SetLabels = "application/x-www-form-urlencoded"),
    )),
    responses((status = 200, description = "The labels after it", body = Labels)),
)]
pub async fn set(
    Agent(caller): Agent,
    State(app): State<App>,
    PathId(id): PathId<ContactId>,
    condition: IfMatch,
    body: Fields,
) -> Result<Json<Labels>, ApiError> {
    let labels = match parse::labels(&body) {
        Ok(labels) => labels,
        Err(faults) => {
            let found = app.store.contact(caller.account, id, Include::Nothing).await?;
            found.ok_or(ApiError::NotFound)?;
            return Err(faults.into());
        }
    };
    let request = caller.context(&app, &body).only_if(condition);
    match apply_one(&app, request, Change::SetLabels { id, labels }).await? {
        Outcome::LabelsSet { labels: payload, .. } => Ok(Json(Labels { payload })),
        other => Err(unexpected(&other)),
    }
}
