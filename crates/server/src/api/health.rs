//! Whether the process lives, whether it can serve, and what `/` shows.

use axum::{
    Json,
    extract::{RawQuery, State},
    response::Html,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{ApiError, App, directory::Warmth};

/// The answer of a probe.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// Always `ok`; anything else is an error.
    #[schema(value_type = String, example = "ok")]
    status: &'static str,
    /// On request: the accounts that are loaded after the start, so that their first search need not
    /// wait. Nothing else waits for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    warming: Option<Warming>,
}

/// How far the loading after the start is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Warming {
    /// Accounts that are to be loaded, the largest first.
    #[schema(example = 12)]
    accounts: usize,
    /// Those that are.
    #[schema(example = 9)]
    done: usize,
    /// Those that could not be.
    #[schema(example = 0)]
    failed: usize,
    /// Those for which there is no memory.
    #[schema(example = 1)]
    left_out: usize,
    /// Whether it is over.
    over: bool,
}

impl From<Warmth> for Warming {
    fn from(Warmth { accounts, done, failed, left_out, is_over }: Warmth) -> Self {
        Self { accounts, done, failed, left_out, over: is_over }
    }
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
    Json(Health { status: "ok", warming: None })
}

/// Whether the store can be read and written
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "health",
    operation_id = "readyz",
    params((
        "verbose" = Option<String>, Query,
        description = "Tells, too, how far the loading of accounts after the start is",
        example = "true"
    )),
    responses((status = 200, description = "It can", body = Health)),
)]
pub async fn readyz(
    State(app): State<App>,
    RawQuery(query): RawQuery,
) -> Result<Json<Health>, ApiError> {
    app.store.ready().await?;
    let is_verbose = query.is_some_and(|query| {
        let mut members = form_urlencoded::parse(query.as_bytes());
        members.any(|(name, value)| name == "verbose" && value != "false")
    });
    let warming = is_verbose.then(|| app.directory.warmth().into());
    Ok(Json(Health { status: "ok", warming }))
}

/// A page for whoever opens the address in a browser.
pub async fn home() -> Html<&'static str> {
    Html(include_str!("home.html"))
}
