//! The service as its callers see it: requests in, answers out.
//!
//! `app.rs` starts the service on a store of its own and makes callers, `answer.rs` is what they
//! get back, `routes.rs` walks the router's own list; the rest is one file a topic. All of them run
//! on both stores: here on SQLite, in `tests/postgres` on PostgreSQL.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets what it does not expect is to stop there"
)]

pub(crate) mod answer;
pub(crate) mod app;
pub(crate) mod endpoint;
pub(crate) mod routes;
pub(crate) mod tcp;

mod account_labels;
mod as_of;
mod attributes;
mod auth;
mod batch;
mod changes;
mod concurrency;
mod conditional;
mod conflicts;
mod connections;
mod create;
mod drift;
mod egress;
mod erase;
mod errors;
mod filter;
mod fixtures;
mod history;
mod idempotency;
mod inboxes;
mod indexes;
mod isolation;
mod keys;
mod labels;
mod leniency;
mod limits;
mod list;
mod lookup;
mod malformed;
mod merge;
mod openapi;
mod paging;
mod properties;
mod proxies;
mod rate_limits;
mod retention;
mod revert;
mod roles;
mod search;
mod soak;
mod sort;
mod stream;
mod update;
mod upsert;
mod webhooks;
