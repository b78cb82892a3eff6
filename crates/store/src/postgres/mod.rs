//! The store on a PostgreSQL server.

#[expect(dead_code, unused_imports, reason = "the store that connects comes next")]
mod connect;

pub use connect::DatabaseUrl;
pub(crate) use connect::{check_server, open_error};
