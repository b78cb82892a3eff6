//! API keys: `/api/v2/accounts/keys`. A secret is in the answer to creation and rotation, and
//! nowhere else.

use axum::{Json, extract::State};
use meishi_contacts::{
    ApiKey, Credential, Fault, FaultCode, KeyId, KeyPatch, Patch, Role, UnixMillis,
    limits::ROTATION_OVERLAP_SECONDS,
};
use meishi_store::{Change, Outcome};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    ShownOnce, apply_one, apply_or_replay, livedesk::contacts::integer, name, parse_rfc3339,
    rfc3339, unexpected,
};
use crate::{
    ApiError, App,
    auth::Administrator,
    body::Fields,
    idempotency::NoBody,
    openapi::{CreateKey, Empty, ListMeta, RotateKey, UpdateKey},
    params::PathId,
};

/// A key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub struct KeyView {
    /// The key's number.
    #[schema(example = 1)]
    id: i64,
    /// The public half: the user name of HTTP Basic.
    #[schema(example = "mk_4b0c6f2a91d3e8075c1f")]
    api_key: String,
    /// The secret half; only in the answer to creation and rotation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "ms_…")]
    api_secret: Option<String>,
    /// What people call it.
    #[schema(example = "CRM sync")]
    name: String,
    /// What it may do.
    #[schema(value_type = String, pattern = "^(administrator|agent|read_only)$", example = "agent")]
    role: &'static str,
    /// When it was made.
    #[schema(format = DateTime, example = "2026-11-20T08:00:00Z")]
    created_at: String,
    /// When it ends.
    #[schema(required = true, format = DateTime, example = "2027-11-20T08:00:00Z")]
    expires_at: Option<String>,
    /// When it was last used, to the minute.
    #[schema(required = true, format = DateTime, example = "2026-11-20T08:00:00Z")]
    last_used_at: Option<String>,
    /// Until when the secret before the last rotation stays valid.
    #[schema(required = true, format = DateTime, example = "2026-11-20T09:00:00Z")]
    previous_secret_until: Option<String>,
}

impl KeyView {
    /// Shows a key, with its secret where it was just made.
    pub(crate) fn new(key: ApiKey, api_secret: Option<String>) -> Self {
        Self {
            id: key.id.0,
            api_key: key.api_key,
            api_secret,
            name: key.name,
            role: key.role.as_str(),
            created_at: rfc3339(key.created_at),
            expires_at: key.expires_at.map(rfc3339),
            last_used_at: key.last_used_at.map(rfc3339),
            previous_secret_until: key.previous_until.map(rfc3339),
        }
    }
}

/// A key, as the answer to a call.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyAnswer {
    /// Only where a secret was to be shown and is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = ShownOnce, required = false)]
    meta: Option<ShownOnce>,
    payload: KeyView,
}

impl KeyAnswer {
    fn new(key: ApiKey) -> Json<Self> {
        Json(Self { meta: None, payload: KeyView::new(key, None) })
    }

    /// Shows a key with the secret that it was just given. A repeat made no secret, and nobody
    /// knows the one that the first call made.
    fn with_secret(key: ApiKey, credential: Credential, replayed: bool) -> Json<Self> {
        if !replayed {
            let payload = KeyView::new(key, Some(credential.api_secret));
            return Json(Self { meta: None, payload });
        }
        Json(Self { meta: Some(ShownOnce::new()), payload: KeyView::new(key, None) })
    }
}

/// The account's keys.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyList {
    meta: ListMeta,
    payload: Vec<KeyView>,
}

/// List API keys
#[utoipa::path(
    get,
    path = "/api/v2/accounts/keys",
    tag = "keys",
    operation_id = "listKeys",
    responses((status = 200, description = "The account's keys, by id", body = KeyList)),
)]
pub async fn list(
    Administrator(caller): Administrator,
    State(app): State<App>,
) -> Result<Json<KeyList>, ApiError> {
    let keys = app.store.keys(caller.account).await?;
    let payload: Vec<KeyView> = keys.into_iter().map(|key| KeyView::new(key, None)).collect();
    Ok(Json(KeyList { meta: ListMeta { count: payload.len() }, payload }))
}

/// Create an API key
///
/// The secret is in this answer and never shown again.
#[utoipa::path(
    post,
    path = "/api/v2/accounts/keys",
    tag = "keys",
    operation_id = "createKey",
    request_body(content(
        (CreateKey = "application/json"),
        (CreateKey = "application/x-www-form-urlencoded"),
    )),
    responses((status = 200, description = "The key and its secret", body = KeyAnswer)),
)]
pub async fn create(
    Administrator(caller): Administrator,
    State(app): State<App>,
    body: Fields,
) -> Result<Json<KeyAnswer>, ApiError> {
    let mut faults = Vec::new();
    let name = name(&body.members, true, &mut faults);
    let role = role(&body, &mut faults);
    if role.is_none() && faults.iter().all(|fault| fault.attribute != "role") {
        faults.push(Fault::new("role", FaultCode::Blank, "Role can't be blank"));
    }
    let expires_at = match expires_at(&body, &mut faults) {
        Patch::Set(at) => Some(at),
        Patch::Keep | Patch::Clear => None,
    };
    let (Some(name), Some(role), true) = (name, role, faults.is_empty()) else {
        return Err(faults.into());
    };
    let request = caller.context(&app, &body);
    let credential = Credential::from_seed(&request.cx.seed);
    let change = Change::CreateKey(credential.key(name, role, expires_at));
    match apply_or_replay(&app, request, change).await? {
        (Outcome::KeyCreated(key), replayed) => {
            Ok(KeyAnswer::with_secret(key, credential, replayed))
        }
        (other, _) => Err(unexpected(&other)),
    }
}

/// Update an API key
#[utoipa::path(
    patch,
    path = "/api/v2/accounts/keys/{id}",
    tag = "keys",
    operation_id = "updateKey",
    params(("id" = i64, Path, description = "The key's number", example = 1)),
    request_body(content(
        (UpdateKey = "application/json"),
        (UpdateKey = "application/x-www-form-urlencoded"),
    )),
    responses((status = 200, description = "The key after it", body = KeyAnswer)),
)]
pub async fn update(
    Administrator(caller): Administrator,
    State(app): State<App>,
    PathId(id): PathId<KeyId>,
    body: Fields,
) -> Result<Json<KeyAnswer>, ApiError> {
    let mut faults = Vec::new();
    let patch = KeyPatch {
        name: name(&body.members, false, &mut faults),
        role: role(&body, &mut faults),
        expires_at: expires_at(&body, &mut faults),
    };
    known_or(&app, &caller, id, faults).await?;
    let request = caller.context(&app, &body);
    match apply_one(&app, request, Change::UpdateKey { id, patch }).await? {
        Outcome::KeyUpdated(key) => Ok(KeyAnswer::new(key)),
        other => Err(unexpected(&other)),
    }
}

/// Rotate an API key's secret
///
/// The new secret is in this answer and never shown again. The old one stays valid for
/// `overlap_seconds`, by default not at all.
#[utoipa::path(
    post,
    path = "/api/v2/accounts/keys/{id}/rotate",
    tag = "keys",
    operation_id = "rotateKey",
    params(("id" = i64, Path, description = "The key's number", example = 1)),
    request_body(content(
        (RotateKey = "application/json"),
        (RotateKey = "application/x-www-form-urlencoded"),
    )),
    responses((status = 200, description = "The key and its new secret", body = KeyAnswer)),
)]
pub async fn rotate(
    Administrator(caller): Administrator,
    State(app): State<App>,
    PathId(id): PathId<KeyId>,
    body: Fields,
) -> Result<Json<KeyAnswer>, ApiError> {
    let mut faults = Vec::new();
    let overlap_seconds = overlap(&body, &mut faults);
    known_or(&app, &caller, id, faults).await?;
    let request = caller.context(&app, &body);
    let credential = Credential::from_seed(&request.cx.seed);
    let secret_hash = credential.secret_hash();
    let change = Change::RotateKey { id, secret_hash, overlap_seconds };
    match apply_or_replay(&app, request, change).await? {
        (Outcome::KeyRotated(key), replayed) => {
            Ok(KeyAnswer::with_secret(key, credential, replayed))
        }
        (other, _) => Err(unexpected(&other)),
    }
}

/// Revoke an API key
///
/// The key stops working at once, its previous secret too.
#[utoipa::path(
    delete,
    path = "/api/v2/accounts/keys/{id}",
    tag = "keys",
    operation_id = "revokeKey",
    params(("id" = i64, Path, description = "The key's number", example = 1)),
    responses((status = 200, description = "The key is gone", body = Empty)),
)]
pub async fn revoke(
    Administrator(caller): Administrator,
    State(app): State<App>,
    PathId(id): PathId<KeyId>,
) -> Result<Json<Empty>, ApiError> {
    let request = caller.context(&app, NoBody);
    match apply_one(&app, request, Change::RevokeKey { id }).await? {
        Outcome::KeyRevoked => Ok(Json(Empty {})),
        other => Err(unexpected(&other)),
    }
}

/// Tells faults, but that the key is unknown before them.
async fn known_or(
    app: &App,
    caller: &crate::auth::Caller,
    id: KeyId,
    faults: Vec<Fault>,
) -> Result<(), ApiError> {
    if faults.is_empty() {
        return Ok(());
    }
    let keys = app.store.keys(caller.account).await?;
    let known = keys.iter().any(|key| key.id == id);
    Err(if known { faults.into() } else { ApiError::NotFound })
}

fn role(body: &Fields, faults: &mut Vec<Fault>) -> Option<Role> {
    let value = body.members.get("role").filter(|value| !value.is_null())?;
    let role = value.as_str().and_then(Role::parse);
    if role.is_none() {
        faults.push(Fault::invalid("role", "must be administrator, agent or read_only"));
    }
    role
}

/// A time in RFC 3339; `null` and the empty text are none.
fn expires_at(body: &Fields, faults: &mut Vec<Fault>) -> Patch<UnixMillis> {
    match body.members.get("expires_at") {
        None => Patch::Keep,
        Some(Value::Null) => Patch::Clear,
        Some(Value::String(text)) if text.is_empty() => Patch::Clear,
        Some(value) => {
            let at = value.as_str().and_then(parse_rfc3339);
            if at.is_none() {
                let problem = "must be a time in RFC 3339, such as 2027-01-31T00:00:00Z";
                faults.push(Fault::invalid("expires_at", problem));
            }
            at.map_or(Patch::Keep, Patch::Set)
        }
    }
}

/// For how long the secret before a rotation stays valid.
pub(super) fn overlap(body: &Fields, faults: &mut Vec<Fault>) -> i64 {
    match body.members.get("overlap_seconds") {
        None | Some(Value::Null) => 0,
        Some(value) => integer(value)
            .filter(|seconds| (0..=ROTATION_OVERLAP_SECONDS).contains(seconds))
            .unwrap_or_else(|| {
                let problem = format!("must be an integer from 0 to {ROTATION_OVERLAP_SECONDS}");
                faults.push(Fault::invalid("overlap_seconds", &problem));
                0
            }),
    }
}
