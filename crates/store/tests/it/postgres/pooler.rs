//! The contract through a PgBouncer that hands connections out for a transaction each.

use std::sync::Arc;

use futures::future::join_all;
use meishi_store::{PostgresOptions, Store};
use meishi_test_postgres::{Cluster, Database, PgBouncer};

use super::{
    load::{Load, tenants},
    open_with,
};
use crate::conformance::{
    fields::{blank, named},
    store_conformance,
    tenant::Tenant,
};

store_conformance!(make_store);

/// More connections than PgBouncer has to the server.
const OPTIONS: PostgresOptions = PostgresOptions { connections: 6, pooled: true, replica: None };

async fn make_store() -> (Arc<dyn Store>, (PgBouncer, Database)) {
    let database = Cluster::shared().create_database();
    let pooler = PgBouncer::start(&database);
    let store = open_with(pooler.url(), OPTIONS).await.unwrap();
    (store, (pooler, database))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_share_a_pooler() {
    let (store, (pooler, _database)) = make_store().await;
    let other = open_with(pooler.url(), OPTIONS).await.unwrap();
    let tenants = tenants(&store, 6).await;
    let at_other = |tenant: &Tenant| Tenant { store: Arc::clone(&other), ..tenant.clone() };
    let load = Load::start(&tenants, 1);
    let more = Load::start(&tenants.iter().map(at_other).collect::<Vec<_>>(), 1);
    join_all((0..50).map(|_| tenants[0].create(named("at one")))).await;
    load.goes_on().await;
    more.goes_on().await;
    for told in [load.stop().await, more.stop().await] {
        assert!(told.refused.is_empty() && told.in_doubt.is_empty(), "{told:?}");
    }
    for tenant in &tenants {
        let contacts = at_other(tenant).snapshot().await;
        assert_eq!(contacts, tenant.snapshot().await);
        tenant.create(blank()).await;
    }
    crate::conformance::finish(store).await;
    other.close().await;
}
