//! Whether the process lives, whether it can serve, and what `/` shows.

use axum::{Json, extract::State, response::Html};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{ApiError, App};

/// The answer of a probe.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// Always `ok`; anything else is an error.
    #[schema(value_type = String, example = "ok")]
    status: &'static str,
}

/// Whether the process lives
#[utoipa::path(
    get,
    path = "/livez",
    tag = "health",
    operation_id = "livez",
    responses((status = 200, description = "It does", body = Health)),
)]
pub async fn livez() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Whether the store can be read and written
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "health",
    operation_id = "readyz",
    responses((status = 200, description = "It can", body = Health)),
)]
pub async fn readyz(State(app): State<App>) -> Result<Json<Health>, ApiError> {
    app.store.ready().await?;
    Ok(Json(Health { status: "ok" }))
}

/// A page for whoever opens the address in a browser.
pub async fn home() -> Html<&'static str> {
    Html(include_str!("home.html"))
}
