//! The PostgreSQL store: the contract, and what only a server that several share can promise.
//!
//! `connections.rs` breaks them, `doubt.rs` cuts them amid a commit by way of `proxy.rs`, `turns.rs`
//! is about waiting for each other, `schema.rs` about the first start, `examine.rs` about damage,
//! `pooler.rs` runs the contract through PgBouncer. `load.rs` writes all the while and knows what it was told.

mod connections;
mod doubt;
mod erased;
mod examine;
mod load;
mod pooler;
mod proxy;
mod replica;
mod schema;
mod turns;

use std::sync::Arc;

use meishi_store::{DatabaseUrl, OpenError, PostgresOptions, PostgresStore, Store};
use meishi_test_postgres::{Cluster, Database};
use tokio_postgres::{Client, NoTls};

use crate::conformance::store_conformance;

store_conformance!(make_store);

async fn make_store() -> (Arc<dyn Store>, Database) {
    let database = Cluster::shared().create_database();
    let store = open(database.url()).await.unwrap();
    (store, database)
}

async fn open(url: &str) -> Result<Arc<dyn Store>, OpenError> {
    open_with(url, PostgresOptions { connections: 6, ..PostgresOptions::default() }).await
}

async fn open_with(url: &str, options: PostgresOptions) -> Result<Arc<dyn Store>, OpenError> {
    let url = DatabaseUrl::parse(url)?;
    Ok(Arc::new(PostgresStore::open(&url, &options, "the database's id").await?))
}

/// A connection of our own, to do to the database what others might.
async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}
