//! The first start of many servers, and a database of a later version.

use std::sync::Arc;

use futures::future::join_all;
use meishi_store::{DatabaseUrl, NewAccount, OpenError, PostgresOptions, PostgresStore, Store};
use meishi_test_postgres::Cluster;

use super::{connect, make_store, open};
use crate::conformance::{
    replay::every_account_is_as_its_events_tell,
    tenant::{Tenant, new_account},
};

const SERVERS: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_start_at_once_on_an_empty_database_are_one() {
    let database = Cluster::shared().create_database();
    let url = DatabaseUrl::parse(database.url()).unwrap();
    let opening = (0..SERVERS).map(|number| {
        let url = url.clone();
        tokio::spawn(async move {
            let options = PostgresOptions { connections: 2, ..PostgresOptions::default() };
            PostgresStore::open(&url, &options, &format!("id {number}")).await
        })
    });
    let mut stores: Vec<Arc<dyn Store>> = Vec::new();
    for opened in join_all(opening).await {
        stores.push(Arc::new(opened.unwrap().unwrap()));
    }
    let first = stores[0].database().await.unwrap();
    for store in &stores {
        assert_eq!(store.database().await.unwrap(), first);
    }

    let making = stores.iter().map(|store| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            let new = NewAccount { only_first: true, ..new_account("first").0 };
            store.create_account(new).await.unwrap()
        })
    });
    let made = join_all(making).await;
    let made: Vec<_> = made.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(made.len(), 1);
    for store in &stores {
        assert_eq!(store.accounts().await.unwrap(), [made[0].account.clone()]);
    }
    every_account_is_as_its_events_tell(&stores[0]).await;
    for store in stores {
        store.close().await;
    }
}

#[tokio::test]
async fn a_database_of_a_later_version_is_refused_and_left_alone() {
    let (store, database) = make_store().await;
    Tenant::new(&store, "Acme").await;
    store.close().await;
    let outside = connect(database.url()).await;
    outside.batch_execute("UPDATE meishi_schema SET version = 99").await.unwrap();
    let Err(error) = open(database.url()).await else { panic!("it was opened") };
    assert!(matches!(error, OpenError::Newer { found: 99, .. }), "{error:?}");
    let sentence = error.to_string();
    assert!(sentence.contains("was written by a newer meishi (schema 99"), "{sentence}");
    let accounts = outside.query_one("SELECT count(*) FROM accounts", &[]).await.unwrap();
    assert_eq!(accounts.get::<_, i64>(0), 1);
}

#[tokio::test]
async fn a_second_start_changes_nothing() {
    let (store, database) = make_store().await;
    let acme = Tenant::new(&store, "Acme").await;
    let (identity, state) = (store.database().await.unwrap(), acme.state().await);
    store.close().await;
    let store = open(database.url()).await.unwrap();
    assert_eq!(store.database().await.unwrap(), identity);
    assert_eq!(Tenant { store: Arc::clone(&store), ..acme }.state().await, state);
    store.close().await;
}
