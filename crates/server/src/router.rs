//! Every route, one line each.

use axum::{
    Router,
    extract::Request,
    http::header,
    routing::{get, put},
};
use tower::{ServiceExt as _, layer::layer_fn, util::MapRequest};
use utoipa::OpenApi as _;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiError, App,
    account_path::take_account,
    api::{attributes, feed, health, inboxes, keys, labels, livedesk::contacts, webhooks},
    observe::Observed,
    openapi::{self, Document},
};

/// Routes that work and are not documented: (method, path, why).
pub const UNDOCUMENTED: [(&str, &str, &str); 3] = [
    ("PUT", "/api/v2/accounts/contacts/{id}", "the same as PATCH, as in Chatwoot"),
    ("GET", "/api/openapi.json", "the description itself"),
    ("GET", "/", "a page for people"),
];

fn documented() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(contacts::list::list, contacts::create::create, contacts::upsert::upsert))
        .routes(routes!(contacts::batch::batch))
        .routes(routes!(contacts::lookup::lookup))
        .routes(routes!(contacts::filter::filter))
        .routes(routes!(contacts::read::read, contacts::update::update, contacts::delete::delete))
        .routes(routes!(contacts::labels::read, contacts::labels::set))
        .routes(routes!(contacts::history::history))
        .routes(routes!(contacts::revert::revert))
        .routes(routes!(contacts::erase::erase))
        .routes(routes!(labels::list, labels::create))
        .routes(routes!(labels::read, labels::update, labels::delete))
        .routes(routes!(attributes::list, attributes::create))
        .routes(routes!(attributes::read, attributes::update, attributes::delete))
        .routes(routes!(inboxes::list, inboxes::create))
        .routes(routes!(inboxes::update, inboxes::delete))
        .routes(routes!(keys::list, keys::create))
        .routes(routes!(keys::update, keys::revoke))
        .routes(routes!(keys::rotate))
        .routes(routes!(webhooks::list, webhooks::create))
        .routes(routes!(webhooks::read, webhooks::update, webhooks::delete))
        .routes(routes!(webhooks::rotate))
        .routes(routes!(webhooks::deliveries::list))
        .routes(routes!(webhooks::deliveries::read))
        .routes(routes!(webhooks::deliveries::redeliver))
        .routes(routes!(feed::changes::list))
        .routes(routes!(feed::stream::stream))
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
}

/// The API description.
pub fn document() -> utoipa::openapi::OpenApi {
    let mut document = documented().to_openapi();
    openapi::complete(&mut document);
    document
}

/// The API description as it is committed and served.
pub fn document_json() -> String {
    let mut text = document().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// The whole service, layers included.
pub fn service(app: App) -> MapRequest<Router, fn(Request) -> Request> {
    let description = ([(header::CONTENT_TYPE, "application/json")], document_json());
    let observer = app.clone();
    let router = documented()
        .split_for_parts()
        .0
        .route("/api/v2/accounts/contacts/{id}", put(contacts::update::update))
        .route("/api/openapi.json", get(async move || description))
        .route("/", get(health::home))
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(layer_fn(move |route| Observed::new(observer.clone(), route)))
        .with_state(app);
    router.map_request(take_account as fn(Request) -> Request)
}
