//! `GET /api/v2/accounts/contacts/:id`.

use axum::{extract::State, response::Response};
use meishi_contacts::ContactId;

use super::{
    as_of,
    view::{ContactAnswer, Shown, represent_shown},
};
use crate::{
    ApiError, App,
    auth::Reader,
    conditional::IfNoneMatch,
    openapi::ErrorBody,
    params::{Params, PathId},
};

/// Read a contact
#[utoipa::path(
    get,
    path = "/api/v2/accounts/contacts/{id}",
    tag = "contacts",
    operation_id = "readContact",
    params(
        ("id" = i64, Path, description = "The contact's number", example = 2_219_259),
        (
            "include_contact_inboxes" = Option<bool>, Query,
            description = "Whether the answer shows the contact's channels; on by default",
        ),
        (
            "include" = Option<String>, Query,
            description = "What else the contact shows, with commas between: `first_name`, \
                           `last_name`, `labels`; other words are ignored",
            example = "labels",
        ),
        (
            "as_of" = Option<String>, Query,
            description = "Show the contact as it was, without its channels: right after the \
                           event of that number, or at that time (RFC 3339)",
            example = "2026-11-20T08:00:00Z",
        ),
    ),
    responses(
        (status = 200, description = "The contact", body = ContactAnswer<'static>),
        (status = 410, description = "What it was then is no longer kept", body = ErrorBody),
    ),
)]
pub async fn read(
    Reader(caller): Reader,
    State(app): State<App>,
    PathId(id): PathId<ContactId>,
    params: Params,
    known: IfNoneMatch,
) -> Result<Response, ApiError> {
    let shown = Shown::asked(&params);
    if let Some(when) = params.get("as_of") {
        return as_of::read(&app, caller.account, id, when, shown, &known).await;
    }
    let record = app.store.contact(caller.account, id, shown.include()).await?;
    Ok(represent_shown(&record.ok_or(ApiError::NotFound)?, shown)?.unless(&known))
}
