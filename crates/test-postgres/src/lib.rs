//! A PostgreSQL for tests. Never part of what is shipped.
//!
//! ```no_run
//! use meishi_test_postgres::Cluster;
//! let database = Cluster::shared().create_database(); // an empty database of the test's own
//! let url = database.url(); // for the store, or for `--database`; dropped with `database`
//! ```
//!
//! [`Cluster::shared`] is one server for all tests of a process, [`Cluster::start`] one of a
//! test's own, [`PgBouncer`] a pooler in front of a database. Every function blocks and may be
//! called from async tests too. What cannot be had is a panic that says what to do: a test never
//! passes without its database.
//!
//! `cluster.rs` runs the server, `database.rs` its databases, `admin.rs` the connection that
//! makes them, `pgbouncer.rs` the pooler; `watchdog.rs` stops either when the tests are gone,
//! however they went; `programs.rs` finds what is installed.

#![expect(clippy::panic, reason = "a test that cannot have its database is to stop there")]

mod admin;
mod cluster;
mod database;
mod pgbouncer;
mod programs;
mod watchdog;

pub use cluster::Cluster;
pub use database::Database;
pub use pgbouncer::PgBouncer;
pub use programs::{pgbouncer, postgres};

/// A setting of whoever runs the tests, from the environment.
#[expect(clippy::disallowed_methods, reason = "how somebody who runs a test speaks to it")]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
