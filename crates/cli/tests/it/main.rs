//! The binary as a whole: each test starts the real `meishi` and holds it to what an operator or a
//! client relies on.
//!
//! One file a topic. `running.rs` starts the program and a server, `client.rs` calls it over HTTP,
//! `tables.rs` reads what either store keeps; `crash/` kills it in the middle of writing,
//! `postgres/` is what is about PostgreSQL alone. To add a test: a function in the file of its topic,
//! named by the sentence that it proves.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets what it does not expect is to stop there"
)]

mod backup;
mod client;
mod copy;
mod crash;
mod doctor;
mod failures;
mod help;
mod indexes;
mod limits;
mod metrics;
mod operator;
mod postgres;
mod running;
mod secrets;
mod signals;
mod start;
mod tables;
mod webhooks;
