//! Reads that may be a little old. A copy of the database stands for a replica that lags: it knows
//! nothing of what came after.

use std::sync::Arc;

use futures::StreamExt;
use meishi_contacts::{ContactId, Seq};
use meishi_store::{DatabaseUrl, Include, OpenError, PostgresOptions, PostgresStore, Store};
use meishi_test_postgres::{Cluster, Database};

use super::open;
use crate::conformance::{fields::named, tenant::Tenant};

async fn open_with_replica(url: &str, replica: &str) -> Result<Arc<dyn Store>, OpenError> {
    let replica = Some(DatabaseUrl::parse(replica)?);
    let options = PostgresOptions { connections: 4, replica, ..PostgresOptions::default() };
    let store = PostgresStore::open(&DatabaseUrl::parse(url)?, &options, "unused").await?;
    Ok(Arc::new(store))
}

/// A database of one account with two contacts, and its replica, which knows the first alone.
async fn lagging() -> (Tenant, Database, Database) {
    let database = Cluster::shared().create_database();
    let store = open(database.url()).await.unwrap();
    let acme = Tenant::new(&store, "Acme").await;
    acme.create(named("Anna")).await;
    store.close().await;
    let replica = database.copy();
    let store = open_with_replica(database.url(), replica.url()).await.unwrap();
    let acme = Tenant { store, ..acme };
    acme.create(named("Bob")).await;
    acme.update(ContactId(1), named("Anna Meier")).await;
    (acme, database, replica)
}

fn names(records: &[Arc<meishi_store::ContactRecord>]) -> Vec<&str> {
    records.iter().map(|record| record.contact.name.as_str()).collect()
}

#[tokio::test]
async fn a_row_may_be_old_but_none_is_missing() {
    let (acme, _database, _replica) = lagging().await;
    let ids = [2, 1, 9].map(ContactId);
    let rows = acme.store.contacts(acme.account, &ids, Include::Inboxes).await.unwrap();
    assert_eq!(names(&rows), ["Bob", "Anna"]);
    acme.store.close().await;
}

#[tokio::test]
async fn a_snapshot_is_of_the_moment_that_it_says() {
    let (acme, _database, _replica) = lagging().await;
    let mut snapshot = acme.store.snapshot(acme.account).await.unwrap();
    let head = acme.store.counts(acme.account).await.unwrap().unwrap().last_seq;
    assert_eq!((snapshot.count, snapshot.seq), (1, Seq(head.0 - 2)));
    let slice = snapshot.contacts.next().await.unwrap().unwrap();
    assert_eq!(slice[0].name, "Anna");
    let missing = acme.store.events(acme.account, snapshot.seq, 10).await.unwrap();
    assert_eq!(missing.len(), 2, "the events that follow come from the database itself");
    acme.store.close().await;
}

#[tokio::test]
async fn a_replica_that_goes_away_is_not_missed() {
    let (acme, _database, replica) = lagging().await;
    let url = replica.url().to_owned();
    drop(replica);
    while tokio_postgres::connect(&url, tokio_postgres::NoTls).await.is_ok() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let ids = [1, 2].map(ContactId);
    let rows = acme.store.contacts(acme.account, &ids, Include::Nothing).await.unwrap();
    assert_eq!(names(&rows), ["Anna Meier", "Bob"]);
    assert_eq!(acme.store.snapshot(acme.account).await.unwrap().count, 2);
    acme.store.close().await;
}

#[tokio::test]
async fn a_replica_of_another_database_is_refused() {
    let [database, other] = [(); 2].map(|()| Cluster::shared().create_database());
    let url = DatabaseUrl::parse(other.url()).unwrap();
    let options = PostgresOptions::default();
    PostgresStore::open(&url, &options, "another id").await.unwrap().close().await;
    let refused = open_with_replica(database.url(), other.url()).await.err().unwrap();
    assert!(matches!(refused, OpenError::Unsuitable { .. }), "{refused}");
}
