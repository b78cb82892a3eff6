//! The PostgreSQL store: the contract, and what only a server that several share can promise.

mod examine;
mod replica;

use std::sync::Arc;

use meishi_store::{DatabaseUrl, OpenError, PostgresOptions, PostgresStore, Store};
use meishi_test_postgres::{Cluster, Database};

use crate::conformance::store_conformance;

store_conformance!(make_store);

async fn make_store() -> (Arc<dyn Store>, Database) {
    let database = Cluster::shared().create_database();
    let store = open(database.url()).await.unwrap();
    (store, database)
}

async fn open(url: &str) -> Result<Arc<dyn Store>, OpenError> {
    let url = DatabaseUrl::parse(url)?;
    let options = PostgresOptions { connections: 6, ..PostgresOptions::default() };
    Ok(Arc::new(PostgresStore::open(&url, &options, "the database's id").await?))
}
