//! Definitions of contacts' custom attributes: `/api/v2/accounts/attributes` (`chatwoot-wire.md`
//! 3.4). The values are members of contacts.

use axum::{Json, extract::State};
use meishi_contacts::{
    AttributeDefinition, AttributeId, AttributeMode, AttributePatch, AttributeType, Fault,
    FaultCode, NewAttribute, definition, fields,
};
use meishi_store::{Change, Outcome};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{apply_one, cleared, name, named, rfc3339, text, unexpected};
use crate::{
    ApiError, App,
    auth::{Administrator, Reader},
    body::Fields,
    idempotency::NoBody,
    openapi::{CreateAttribute, Empty, ListMeta, UpdateAttribute},
    params::PathId,
};

/// A definition of a custom attribute.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AttributeDefinition, example = json!({
    "id": 3, "key": "vip_level", "name": "VIP level", "description": "What the contract says",
    "type": "list", "values": ["gold", "platinum"], "regex": null, "hint": null, "mode": "enforce",
    "created_at": "2026-11-20T08:00:00Z",
}))]
pub struct AttributeView {
    /// Its number.
    id: i64,
    /// The key in `custom_attributes`.
    key: String,
    /// What people call it.
    name: String,
    /// What it is for.
    #[schema(required = true)]
    description: Option<String>,
    /// `text`, `number`, `currency`, `percent`, `link`, `date`, `list` or `checkbox`.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    kind: &'static str,
    /// The values of a `list`; empty of other types.
    values: Vec<String>,
    /// What a `text` matches.
    #[schema(required = true)]
    regex: Option<String>,
    /// What people are told of a `text` that does not match.
    #[schema(required = true)]
    hint: Option<String>,
    /// `observe`: any value is accepted; `enforce`: a write that sets one that does not fit is
    /// refused.
    #[schema(value_type = String)]
    mode: &'static str,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<AttributeDefinition> for AttributeView {
    fn from(definition: AttributeDefinition) -> Self {
        Self {
            id: definition.id.0,
            key: definition.key,
            name: definition.name,
            description: definition.description,
            kind: definition.kind.as_str(),
            values: definition.values,
            regex: definition.regex,
            hint: definition.hint,
            mode: definition.mode.as_str(),
            created_at: rfc3339(definition.created_at),
        }
    }
}

/// A definition, as the answer to a call.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttributeAnswer {
    payload: AttributeView,
}

/// The account's definitions.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttributeList {
    meta: ListMeta,
    payload: Vec<AttributeView>,
}

/// List definitions of custom attributes
#[utoipa::path(
    get,
    path = "/api/v2/accounts/attributes",
    tag = "attributes",
    operation_id = "listAttributes",
    responses((status = 200, description = "The account's definitions, by key", body = AttributeList)),
)]
pub async fn list(
    Reader(caller): Reader,
    State(app): State<App>,
) -> Result<Json<AttributeList>, ApiError> {
    let definitions = app.store.attributes(caller.account).await?;
    let payload: Vec<AttributeView> = definitions.into_iter().map(Into::into).collect();
    Ok(Json(AttributeList { meta: ListMeta { count: payload.len() }, payload }))
}

/// Define a custom attribute
///
/// Contacts stay as they are, and may have attributes that nothing defines. Filters read the values
/// by their type.
#[utoipa::path(
    post,
    path = "/api/v2/accounts/attributes",
    tag = "attributes",
    operation_id = "createAttribute",
    request_body(content(
        (CreateAttribute = "application/json"),
        (CreateAttribute = "application/x-www-form-urlencoded"),
    )),
    responses((status = 200, description = "The definition", body = AttributeAnswer)),
)]
pub async fn create(
    Administrator(caller): Administrator,
    State(app): State<App>,
    body: Fields,
) -> Result<Json<AttributeAnswer>, ApiError> {
    let mut faults = Vec::new();
    let key = match body.members.get("key") {
        None => definition::parse_key("").map_err(|fault| faults.push(fault)).ok(),
        Some(_) => {
            text(&body, "key", &mut faults, |text| definition::parse_key(text.unwrap_or_default()))
        }
    };
    let fields = AttributePatch { key: None, ..patch(&body, &mut faults) };
    if body.members.get("type").is_none_or(Value::is_null) {
        faults.push(Fault::new("type", FaultCode::Blank, "Type can't be blank"));
    }
    let (Some(key), true) = (key, faults.is_empty()) else { return Err(faults.into()) };
    let change = Change::CreateAttribute(NewAttribute { key, fields });
    match apply_one(&app, caller.context(&app, &body), change).await? {
        Outcome::AttributeCreated(made) => Ok(Json(AttributeAnswer { payload: made.into() })),
        other => Err(unexpected(&other)),
    }
}

/// Read a definition of a custom attribute
#[utoipa::path(
    get,
    path = "/api/v2/accounts/attributes/{id}",
    tag = "attributes",
    operation_id = "readAttribute",
    params(("id" = i64, Path, description = "The definition's number", example = 3)),
    responses((status = 200, description = "The definition", body = AttributeAnswer)),
)]
pub async fn read(
    Reader(caller): Reader,
    State(app): State<App>,
    PathId(id): PathId<AttributeId>,
) -> Result<Json<AttributeAnswer>, ApiError> {
    let definition = app.store.attribute(caller.account, id).await?.ok_or(ApiError::NotFound)?;
    Ok(Json(AttributeAnswer { payload: definition.into() }))
}

/// Update a definition of a custom attribute
///
/// Contacts stay as they are. A new type takes along what only the one before has.
#[utoipa::path(
    patch,
    path = "/api/v2/accounts/attributes/{id}",
    tag = "attributes",
    operation_id = "updateAttribute",
    params(("id" = i64, Path, description = "The definition's number", example = 3)),
    request_body(content(
        (UpdateAttribute = "application/json"),
        (UpdateAttribute = "application/x-www-form-urlencoded"),
    )),
    responses((status = 200, description = "The definition after it", body = AttributeAnswer)),
)]
pub async fn update(
    Administrator(caller): Administrator,
    State(app): State<App>,
    PathId(id): PathId<AttributeId>,
    body: Fields,
) -> Result<Json<AttributeAnswer>, ApiError> {
    let mut faults = Vec::new();
    let patch = patch(&body, &mut faults);
    if !faults.is_empty() {
        app.store.attribute(caller.account, id).await?.ok_or(ApiError::NotFound)?;
        return Err(faults.into());
    }
    let change = Change::UpdateAttribute { id, patch };
    match apply_one(&app, caller.context(&app, &body), change).await? {
        Outcome::AttributeUpdated(after) => Ok(Json(AttributeAnswer { payload: after.into() })),
        other => Err(unexpected(&other)),
    }
}

/// Delete a definition of a custom attribute
///
/// Contacts keep the values that they have.
#[utoipa::path(
    delete,
    path = "/api/v2/accounts/attributes/{id}",
    tag = "attributes",
    operation_id = "deleteAttribute",
    params(("id" = i64, Path, description = "The definition's number", example = 3)),
    responses((status = 200, description = "The definition is gone", body = Empty)),
)]
pub async fn delete(
    Administrator(caller): Administrator,
    State(app): State<App>,
    PathId(id): PathId<AttributeId>,
) -> Result<Json<Empty>, ApiError> {
    let change = Change::DeleteAttribute { id };
    match apply_one(&app, caller.context(&app, NoBody), change).await? {
        Outcome::AttributeDeleted => Ok(Json(Empty {})),
        other => Err(unexpected(&other)),
    }
}

/// What a body says of a definition. A member that is absent says nothing; so does `null`, but of
/// the name, and of description, pattern and hint, which it empties.
fn patch(body: &Fields, faults: &mut Vec<Fault>) -> AttributePatch {
    let types = "must be text, number, currency, percent, link, date, list or checkbox";
    AttributePatch {
        key: body.members.get("key").and_then(Value::as_str).map(|key| key.trim().to_owned()),
        name: name(&body.members, false, faults),
        description: cleared(body, "description", faults, |text| {
            fields::short_text("description", text)
        }),
        kind: named(body, "type", types, AttributeType::parse, faults),
        values: values(body, faults),
        regex: cleared(body, "regex", faults, definition::parse_regex),
        hint: cleared(body, "hint", faults, |text| fields::short_text("hint", text)),
        mode: named(body, "mode", "must be observe or enforce", AttributeMode::parse, faults),
    }
}

fn values(body: &Fields, faults: &mut Vec<Fault>) -> Option<Vec<String>> {
    let parsed = match body.members.get("values")? {
        Value::Null => return None,
        Value::Array(values) => definition::parse_values(values),
        _ => Err(Fault::invalid("values", "must be a list of strings")),
    };
    parsed.map_err(|fault| faults.push(fault)).ok()
}
