//! Channels: `/api/v2/accounts/inboxes` (`livedesk-wire.md` 9.8).

use axum::{Json, extract::State};
use meishi_contacts::{
    ChannelType, Fault, FaultCode, Inbox, InboxId, InboxPatch, NewInbox, limits::CHOSEN_INBOX_ID,
};
use meishi_store::{Change, Outcome};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{apply_one, livedesk::contacts::integer, name, rfc3339, unexpected};
use crate::{
    ApiError, App,
    auth::{Administrator, Reader},
    body::Fields,
    idempotency::NoBody,
    openapi::{CreateInbox, Empty, ListMeta, UpdateInbox},
    params::{Params, PathId},
};

/// A channel.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Inbox)]
pub struct InboxView {
    /// The Channel ID: the `inbox_id` of contacts.
    #[schema(example = 407)]
    id: i64,
    /// What people call it.
    #[schema(example = "Kundendienstkanal")]
    name: String,
    /// The kind of channel.
    #[schema(value_type = String, example = "Channel::Api")]
    channel_type: &'static str,
    /// When it was made.
    #[schema(format = DateTime, example = "2026-11-20T08:00:00Z")]
    created_at: String,
}

impl From<Inbox> for InboxView {
    fn from(inbox: Inbox) -> Self {
        Self {
            id: inbox.id.0,
            name: inbox.name,
            channel_type: inbox.channel_type.as_str(),
            created_at: rfc3339(inbox.created_at),
        }
    }
}

/// A channel, as the answer to a call.
#[derive(Debug, Serialize, ToSchema)]
pub struct InboxAnswer {
    payload: InboxView,
}

/// The account's channels.
#[derive(Debug, Serialize, ToSchema)]
pub struct InboxList {
    meta: ListMeta,
    payload: Vec<InboxView>,
}

/// List channels
#[utoipa::path(
    get,
    path = "/api/v2/accounts/inboxes",
    tag = "inboxes",
    operation_id = "listInboxes",
    responses((status = 200, description = "The account's channels, by id", body = InboxList)),
)]
pub async fn list(
    Reader(caller): Reader,
    State(app): State<App>,
) -> Result<Json<InboxList>, ApiError> {
    let inboxes = app.store.inboxes(caller.account).await?;
    let payload: Vec<InboxView> = inboxes.into_iter().map(InboxView::from).collect();
    Ok(Json(InboxList { meta: ListMeta { count: payload.len() }, payload }))
}

/// Create a channel
///
/// The `id` is the Channel ID; choose it to keep one that a client knows already, or leave it out.
#[utoipa::path(
    post,
    path = "/api/v2/accounts/inboxes",
    tag = "inboxes",
    operation_id = "createInbox",
    request_body(content(
        (CreateInbox = "application/json"),
        (CreateInbox = "application/x-www-form-urlencoded"),
    )),
    responses((status = 200, description = "The channel", body = InboxAnswer)),
)]
pub async fn create(
    Administrator(caller): Administrator,
    State(app): State<App>,
    body: Fields,
) -> Result<Json<InboxAnswer>, ApiError> {
    let mut faults = Vec::new();
    let id = chosen_id(&body, &mut faults);
    let name = name(&body.members, true, &mut faults);
    let channel_type = channel_type(&body, &mut faults);
    let (Some(name), true) = (name, faults.is_empty()) else {
        if let Some(id) = id
            && app.store.inbox(caller.account, id).await?.is_some()
        {
            faults.push(Fault::new("id", FaultCode::Taken, "Id has already been taken"));
        }
        return Err(faults.into());
    };
    let change = Change::CreateInbox(NewInbox { id, name, channel_type });
    match apply_one(&app, caller.context(&app, &body), change).await? {
        Outcome::InboxCreated(inbox) => Ok(Json(InboxAnswer { payload: inbox.into() })),
        other => Err(unexpected(&other)),
    }
}

/// Update a channel
#[utoipa::path(
    patch,
    path = "/api/v2/accounts/inboxes/{id}",
    tag = "inboxes",
    operation_id = "updateInbox",
    params(("id" = i64, Path, description = "The Channel ID", example = 407)),
    request_body(content(
        (UpdateInbox = "application/json"),
        (UpdateInbox = "application/x-www-form-urlencoded"),
    )),
    responses((status = 200, description = "The channel after it", body = InboxAnswer)),
)]
pub async fn update(
    Administrator(caller): Administrator,
    State(app): State<App>,
    PathId(id): PathId<InboxId>,
    body: Fields,
) -> Result<Json<InboxAnswer>, ApiError> {
    let mut faults = Vec::new();
    let name = name(&body.members, false, &mut faults);
    channel_type(&body, &mut faults);
    if !faults.is_empty() {
        app.store.inbox(caller.account, id).await?.ok_or(ApiError::NotFound)?;
        return Err(faults.into());
    }
    let change = Change::UpdateInbox { id, patch: InboxPatch { name } };
    match apply_one(&app, caller.context(&app, &body), change).await? {
        Outcome::InboxUpdated(inbox) => Ok(Json(InboxAnswer { payload: inbox.into() })),
        other => Err(unexpected(&other)),
    }
}

/// Delete a channel
///
/// A channel that contacts are linked to is a 409 with their `count`; `force=true` removes the
/// links with it, and never a contact.
#[utoipa::path(
    delete,
    path = "/api/v2/accounts/inboxes/{id}",
    tag = "inboxes",
    operation_id = "deleteInbox",
    params(
        ("id" = i64, Path, description = "The Channel ID", example = 407),
        ("force" = Option<bool>, Query, description = "Delete it with its links; off by default"),
    ),
    responses(
        (status = 200, description = "The channel is gone", body = Empty),
        (status = 409, description = "Contacts are linked to it", body = crate::openapi::HasContacts),
    ),
)]
pub async fn delete(
    Administrator(caller): Administrator,
    State(app): State<App>,
    PathId(id): PathId<InboxId>,
    params: Params,
) -> Result<Json<Empty>, ApiError> {
    let change = Change::DeleteInbox { id, force: params.is_on("force") };
    match apply_one(&app, caller.context(&app, NoBody), change).await? {
        Outcome::InboxDeleted => Ok(Json(Empty {})),
        other => Err(unexpected(&other)),
    }
}

fn chosen_id(body: &Fields, faults: &mut Vec<Fault>) -> Option<InboxId> {
    let value = body.members.get("id").filter(|value| !value.is_null())?;
    let id = integer(value).filter(|id| (1..=CHOSEN_INBOX_ID).contains(id));
    if id.is_none() {
        let problem = format!("must be an integer from 1 to {CHOSEN_INBOX_ID}");
        faults.push(Fault::invalid("id", &problem));
    }
    id.map(InboxId)
}

fn channel_type(body: &Fields, faults: &mut Vec<Fault>) -> ChannelType {
    match body.members.get("channel_type") {
        None | Some(Value::Null) => ChannelType::default(),
        Some(value) => value.as_str().and_then(ChannelType::parse).unwrap_or_else(|| {
            faults.push(Fault::invalid("channel_type", "must be Channel::Api"));
            ChannelType::default()
        }),
    }
}
