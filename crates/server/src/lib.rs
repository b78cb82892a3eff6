//! HTTP: router, authentication, errors, dialects, and the index of each account.
//!
//! A request travels `serve.rs` → `account_path.rs` (an optional account id in the path) →
//! `router.rs` → `observe.rs` (request id, `rate_limit/`, log, metrics, error bodies) → a handler
//! in `api/` → the store, and for lists and searches `directory.rs` → the index → the store. Whoever
//! waits for events is woken by `tail.rs`.
//!
//! To add an endpoint see `docs/adding-an-endpoint.md`.

pub mod account_path;
pub(crate) mod answer;
pub mod api;
pub mod auth;
pub mod body;
pub mod conditional;
pub mod control;
pub mod cursor;
pub mod directory;
pub mod egress;
pub mod error;
pub mod form;
pub mod idempotency;
pub mod metrics;
pub mod network;
pub mod observe;
pub mod openapi;
pub mod paging;
pub mod params;
pub(crate) mod past;
pub mod rate_limit;
pub mod retention;
pub mod rng;
pub mod router;
pub mod serve;
pub mod settings;
pub mod state;
pub mod streams;
pub mod tail;
mod unread;
pub mod webhooks;

pub use error::ApiError;
pub use settings::Settings;
pub use state::App;
