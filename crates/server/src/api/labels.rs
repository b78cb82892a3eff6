//! The account's labels: `/api/v2/accounts/labels` (`livedesk-wire.md` 9.8, `chatwoot-wire.md` 3.6).
//! Which of them a contact bears is in `livedesk/contacts/labels.rs`.

use std::{iter, slice};

use axum::{Json, extract::State};
use meishi_contacts::{
    AccountId, Fault, FaultCode, Label, LabelCard, LabelId, LabelPatch, NewLabel, Patch, fields,
    label,
};
use meishi_store::{Change, Outcome};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{apply_one, boolean, cleared, text, unexpected};
use crate::{
    ApiError, App,
    auth::{Administrator, Reader},
    body::Fields,
    idempotency::NoBody,
    openapi::{CreateLabel, Empty, ListMeta, UpdateLabel},
    params::PathId,
};

/// A label.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Label)]
pub struct LabelView {
    /// Its number.
    #[schema(example = 3)]
    id: i64,
    /// Its title, which is what contacts show.
    #[schema(example = "vip")]
    title: String,
    /// Its colour.
    #[schema(example = "#1f93ff")]
    color: String,
    /// What it is for.
    #[schema(required = true, example = "Whoever is to be called back at once")]
    description: Option<String>,
    /// Whether a console lists it.
    show_on_sidebar: bool,
    /// How many contacts bear it; null while the account's index cannot tell.
    #[schema(example = 25)]
    count: Option<u64>,
}

impl LabelView {
    fn new(label: LabelCard, count: Option<u64>) -> Self {
        let LabelCard { id, title, color, description, show_on_sidebar } = label;
        let title = title.as_str().to_owned();
        Self { id: id.0, title, color, description, show_on_sidebar, count }
    }
}

impl LabelAnswer {
    async fn of(app: &App, account: AccountId, label: LabelCard) -> Json<Self> {
        let count = counts(app, account, slice::from_ref(&label)).await.next().flatten();
        Json(Self { payload: LabelView::new(label, count) })
    }
}

/// How many bear each label by now, and none where the index cannot tell, as while it is loaded: no
/// reason to keep labels back, nor to tell of a change that was made as if it were not.
async fn counts(
    app: &App,
    account: AccountId,
    labels: &[LabelCard],
) -> impl Iterator<Item = Option<u64>> + use<> {
    let titles = labels.iter().map(|label| &label.title);
    let counts = app.directory.labelled(account, titles).await.unwrap_or_default();
    counts.into_iter().map(Some).chain(iter::repeat(None))
}

/// A label, as the answer to a call.
#[derive(Debug, Serialize, ToSchema)]
pub struct LabelAnswer {
    payload: LabelView,
}

/// The account's labels.
#[derive(Debug, Serialize, ToSchema)]
pub struct LabelList {
    meta: ListMeta,
    payload: Vec<LabelView>,
}

/// List labels
#[utoipa::path(
    get,
    path = "/api/v2/accounts/labels",
    tag = "labels",
    operation_id = "listLabels",
    responses((status = 200, description = "The account's labels, by title", body = LabelList)),
)]
pub async fn list(
    Reader(caller): Reader,
    State(app): State<App>,
) -> Result<Json<LabelList>, ApiError> {
    let labels = app.store.labels(caller.account).await?;
    let counts = counts(&app, caller.account, &labels).await;
    let labels = labels.into_iter().zip(counts);
    let payload: Vec<_> = labels.map(|(label, count)| LabelView::new(label, count)).collect();
    Ok(Json(LabelList { meta: ListMeta { count: payload.len() }, payload }))
}

/// Create a label
///
/// A contact can be given a label that there is none of yet, too, of any title.
#[utoipa::path(
    post,
    path = "/api/v2/accounts/labels",
    tag = "labels",
    operation_id = "createLabel",
    request_body(content(
        (CreateLabel = "application/json"),
        (CreateLabel = "application/x-www-form-urlencoded"),
    )),
    responses((status = 200, description = "The label", body = LabelAnswer)),
)]
pub async fn create(
    Administrator(caller): Administrator,
    State(app): State<App>,
    body: Fields,
) -> Result<Json<LabelAnswer>, ApiError> {
    let mut faults = Vec::new();
    let LabelPatch { title, color, description, show_on_sidebar } = patch(&body, &mut faults);
    if !body.members.contains_key("title") {
        faults.push(Fault::new("title", FaultCode::Blank, "Title can't be blank"));
    }
    let (Some(title), true) = (title, faults.is_empty()) else { return Err(faults.into()) };
    let description = match description {
        Patch::Set(description) => Some(description),
        Patch::Keep | Patch::Clear => None,
    };
    let change = Change::CreateLabel(NewLabel { title, color, description, show_on_sidebar });
    match apply_one(&app, caller.context(&app, &body), change).await? {
        Outcome::LabelCreated(label) => {
            Ok(Json(LabelAnswer { payload: LabelView::new(label, Some(0)) }))
        }
        other => Err(unexpected(&other)),
    }
}

/// Read a label
#[utoipa::path(
    get,
    path = "/api/v2/accounts/labels/{id}",
    tag = "labels",
    operation_id = "readLabel",
    params(("id" = i64, Path, description = "The label's number", example = 3)),
    responses((status = 200, description = "The label", body = LabelAnswer)),
)]
pub async fn read(
    Reader(caller): Reader,
    State(app): State<App>,
    PathId(id): PathId<LabelId>,
) -> Result<Json<LabelAnswer>, ApiError> {
    let label = app.store.label(caller.account, id).await?.ok_or(ApiError::NotFound)?;
    Ok(LabelAnswer::of(&app, caller.account, label).await)
}

/// Update a label
///
/// All contacts that bear it show a new title at once. They keep their versions, and one event tells
/// of all of them.
#[utoipa::path(
    patch,
    path = "/api/v2/accounts/labels/{id}",
    tag = "labels",
    operation_id = "updateLabel",
    params(("id" = i64, Path, description = "The label's number", example = 3)),
    request_body(content(
        (UpdateLabel = "application/json"),
        (UpdateLabel = "application/x-www-form-urlencoded"),
    )),
    responses((status = 200, description = "The label after it", body = LabelAnswer)),
)]
pub async fn update(
    Administrator(caller): Administrator,
    State(app): State<App>,
    PathId(id): PathId<LabelId>,
    body: Fields,
) -> Result<Json<LabelAnswer>, ApiError> {
    let mut faults = Vec::new();
    let patch = patch(&body, &mut faults);
    if !faults.is_empty() {
        app.store.label(caller.account, id).await?.ok_or(ApiError::NotFound)?;
        return Err(faults.into());
    }
    let change = Change::UpdateLabel { id, patch };
    match apply_one(&app, caller.context(&app, &body), change).await? {
        Outcome::LabelUpdated(label) => Ok(LabelAnswer::of(&app, caller.account, label).await),
        other => Err(unexpected(&other)),
    }
}

/// Delete a label
///
/// It is taken from all contacts that bear it. They keep their versions, and one event tells of all
/// of them.
#[utoipa::path(
    delete,
    path = "/api/v2/accounts/labels/{id}",
    tag = "labels",
    operation_id = "deleteLabel",
    params(("id" = i64, Path, description = "The label's number", example = 3)),
    responses((status = 200, description = "The label is gone", body = Empty)),
)]
pub async fn delete(
    Administrator(caller): Administrator,
    State(app): State<App>,
    PathId(id): PathId<LabelId>,
) -> Result<Json<Empty>, ApiError> {
    let change = Change::DeleteLabel { id };
    match apply_one(&app, caller.context(&app, NoBody), change).await? {
        Outcome::LabelDeleted => Ok(Json(Empty {})),
        other => Err(unexpected(&other)),
    }
}

/// What a body says of a label. A member that is absent says nothing; so does `null`, but of the
/// title, and of the description, which it empties.
fn patch(body: &Fields, faults: &mut Vec<Fault>) -> LabelPatch {
    let title = text(body, "title", faults, |text| Label::parse_title(text.unwrap_or_default()));
    let color = match body.members.get("color") {
        Some(Value::Null) => None,
        _ => text(body, "color", faults, |text| label::parse_color(text.unwrap_or_default())),
    };
    LabelPatch {
        title,
        color,
        description: cleared(body, "description", faults, |text| {
            fields::short_text("description", text)
        }),
        show_on_sidebar: boolean(body, "show_on_sidebar", faults),
    }
}
