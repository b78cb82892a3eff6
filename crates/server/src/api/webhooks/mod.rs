//! Webhooks: `/api/v2/accounts/webhooks`, for administrators. A secret is in the answer to creation
//! and rotation, and nowhere else.
//!
//! `parse.rs` reads bodies, `view.rs` shows webhooks; `deliveries.rs` is the log of what was sent,
//! and sends it once more. What is sent, and when, is in `server/src/webhooks/`.

pub mod deliveries;
mod parse;
mod view;

use axum::{Json, extract::State};
use meishi_contacts::{
    Fault, FaultCode, NewWebhook, PayloadForm, WebhookId, WebhookPatch, webhook::SigningSecret,
};
use meishi_store::{Change, Outcome};

use self::view::{WebhookAnswer, WebhookList, WebhookView};
use super::{apply_one, apply_or_replay, keys::overlap, unexpected};
use crate::{
    ApiError, App,
    auth::{Administrator, Caller},
    body::Fields,
    idempotency::NoBody,
    openapi::{CreateWebhook, Empty, ListMeta, RotateWebhook, UpdateWebhook},
    params::PathId,
};

/// List webhooks
#[utoipa::path(
    get,
    path = "/api/v2/accounts/webhooks",
    tag = "webhooks",
    operation_id = "listWebhooks",
    responses((status = 200, description = "The account's webhooks, by id", body = WebhookList)),
)]
pub async fn list(
    Administrator(caller): Administrator,
    State(app): State<App>,
) -> Result<Json<WebhookList>, ApiError> {
    let webhooks = app.store.webhooks(caller.account).await?;
    let payload: Vec<WebhookView> =
        webhooks.into_iter().map(|webhook| WebhookView::new(webhook, None)).collect();
    Ok(Json(WebhookList { meta: ListMeta { count: payload.len() }, payload }))
}

/// Create a webhook
///
/// It is told of what happens from then on. The secret that messages are signed with is in this
/// answer and never shown again.
#[utoipa::path(
    post,
    path = "/api/v2/accounts/webhooks",
    tag = "webhooks",
    operation_id = "createWebhook",
    request_body(content(
        (CreateWebhook = "application/json"),
        (CreateWebhook = "application/x-www-form-urlencoded"),
    )),
    responses((status = 200, description = "The webhook and its secret", body = WebhookAnswer)),
)]
pub async fn create(
    Administrator(caller): Administrator,
    State(app): State<App>,
    body: Fields,
) -> Result<Json<WebhookAnswer>, ApiError> {
    let mut faults = Vec::new();
    let url = parse::url(&app, &body, &mut faults);
    let events = parse::events(&body, &mut faults);
    for (name, title) in [("url", "Url"), ("events", "Events")] {
        if !body.members.contains_key(name) {
            faults.push(Fault::new(name, FaultCode::Blank, format!("{title} can't be blank")));
        }
    }
    let format = parse::format(&body, &mut faults);
    let include_activity = parse::include_activity(&body, &mut faults);
    let (Some(url), Some(events), true) = (url, events, faults.is_empty()) else {
        return Err(faults.into());
    };
    let request = caller.context(&app, &body);
    let secret = SigningSecret::from_seed(&request.cx.seed).text();
    let new = NewWebhook {
        url,
        events,
        format: format.unwrap_or(PayloadForm::Meishi),
        include_activity: include_activity.unwrap_or(false),
        secret: secret.clone(),
    };
    match apply_or_replay(&app, request, Change::CreateWebhook(Box::new(new))).await? {
        (Outcome::WebhookCreated(webhook), replayed) => {
            Ok(WebhookAnswer::with_secret(webhook, secret, replayed))
        }
        (other, _) => Err(unexpected(&other)),
    }
}

/// Read a webhook
#[utoipa::path(
    get,
    path = "/api/v2/accounts/webhooks/{id}",
    tag = "webhooks",
    operation_id = "readWebhook",
    params(("id" = i64, Path, description = "The webhook's number", example = 1)),
    responses((status = 200, description = "The webhook", body = WebhookAnswer)),
)]
pub async fn read(
    Administrator(caller): Administrator,
    State(app): State<App>,
    PathId(id): PathId<WebhookId>,
) -> Result<Json<WebhookAnswer>, ApiError> {
    let webhook = app.store.webhook(caller.account, id).await?.ok_or(ApiError::NotFound)?;
    Ok(WebhookAnswer::new(webhook))
}

/// Update a webhook
///
/// One that is set to work again (`"state": "enabled"`) is told at once of what it missed. Messages
/// that are stored already keep their form.
#[utoipa::path(
    patch,
    path = "/api/v2/accounts/webhooks/{id}",
    tag = "webhooks",
    operation_id = "updateWebhook",
    params(("id" = i64, Path, description = "The webhook's number", example = 1)),
    request_body(content(
        (UpdateWebhook = "application/json"),
        (UpdateWebhook = "application/x-www-form-urlencoded"),
    )),
    responses((status = 200, description = "The webhook after it", body = WebhookAnswer)),
)]
pub async fn update(
    Administrator(caller): Administrator,
    State(app): State<App>,
    PathId(id): PathId<WebhookId>,
    body: Fields,
) -> Result<Json<WebhookAnswer>, ApiError> {
    let mut faults = Vec::new();
    let patch = WebhookPatch {
        url: parse::url(&app, &body, &mut faults),
        events: parse::events(&body, &mut faults),
        format: parse::format(&body, &mut faults),
        include_activity: parse::include_activity(&body, &mut faults),
        state: parse::state(&body, &mut faults),
    };
    known_or(&app, &caller, id, faults).await?;
    let request = caller.context(&app, &body);
    match apply_one(&app, request, Change::UpdateWebhook { id, patch }).await? {
        Outcome::WebhookUpdated(webhook) => Ok(WebhookAnswer::new(webhook)),
        other => Err(unexpected(&other)),
    }
}

/// Rotate a webhook's secret
///
/// The new secret is in this answer and never shown again. For `overlap_seconds`, by default not at
/// all, messages are signed with the old one too.
#[utoipa::path(
    post,
    path = "/api/v2/accounts/webhooks/{id}/rotate",
    tag = "webhooks",
    operation_id = "rotateWebhook",
    params(("id" = i64, Path, description = "The webhook's number", example = 1)),
    request_body(content(
        (RotateWebhook = "application/json"),
        (RotateWebhook = "application/x-www-form-urlencoded"),
    )),
    responses((status = 200, description = "The webhook and its new secret", body = WebhookAnswer)),
)]
pub async fn rotate(
    Administrator(caller): Administrator,
    State(app): State<App>,
    PathId(id): PathId<WebhookId>,
    body: Fields,
) -> Result<Json<WebhookAnswer>, ApiError> {
    let mut faults = Vec::new();
    let overlap_seconds = overlap(&body, &mut faults);
    known_or(&app, &caller, id, faults).await?;
    let request = caller.context(&app, &body);
    let secret = SigningSecret::from_seed(&request.cx.seed).text();
    let change = Change::RotateWebhook { id, secret: secret.clone(), overlap_seconds };
    match apply_or_replay(&app, request, change).await? {
        (Outcome::WebhookRotated(webhook), replayed) => {
            Ok(WebhookAnswer::with_secret(webhook, secret, replayed))
        }
        (other, _) => Err(unexpected(&other)),
    }
}

/// Delete a webhook
///
/// It is told of nothing any more, and the log of its deliveries goes with it.
#[utoipa::path(
    delete,
    path = "/api/v2/accounts/webhooks/{id}",
    tag = "webhooks",
    operation_id = "deleteWebhook",
    params(("id" = i64, Path, description = "The webhook's number", example = 1)),
    responses((status = 200, description = "The webhook is gone", body = Empty)),
)]
pub async fn delete(
    Administrator(caller): Administrator,
    State(app): State<App>,
    PathId(id): PathId<WebhookId>,
) -> Result<Json<Empty>, ApiError> {
    match apply_one(&app, caller.context(&app, NoBody), Change::DeleteWebhook { id }).await? {
        Outcome::WebhookDeleted => Ok(Json(Empty {})),
        other => Err(unexpected(&other)),
    }
}

/// Tells faults, but that the webhook is unknown before them.
async fn known_or(
    app: &App,
    caller: &Caller,
    id: WebhookId,
    faults: Vec<Fault>,
) -> Result<(), ApiError> {
    if faults.is_empty() {
        return Ok(());
    }
    app.store.webhook(caller.account, id).await?.ok_or(ApiError::NotFound)?;
    Err(faults.into())
}
