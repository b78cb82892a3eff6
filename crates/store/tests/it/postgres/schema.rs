//! The first start of many servers, and a database of a later version.

use std::sync::Arc;

use futures::future::join_all;
use meishi_store::{DatabaseUrl, NewAccount, OpenError, PostgresOptions, PostgresStore, Store};
use meishi_test_postgres::Cluster;
use tokio_postgres::Client;

use super::{connect, make_store, open};
use crate::conformance::{
    damage::found,
    old::{FIRST_TABLES, fill},
    replay::every_account_is_as_its_events_tell,
    tenant::{Tenant, new_account},
};

const SERVERS: usize = 10;

const FIRST: &str = include_str!("../../../migrations/postgres/0001_initial.sql");

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
async fn a_database_of_the_first_schema_comes_out_as_if_it_had_always_been_of_this_one() {
    let (store, new) = make_store().await;
    fill(&store).await;
    store.close().await;

    let old = Cluster::shared().create_database();
    let (from, to) = (connect(new.url()).await, connect(old.url()).await);
    to.batch_execute(FIRST).await.unwrap();
    let version = "CREATE TABLE meishi_schema (one bigint PRIMARY KEY, version bigint NOT NULL);
        INSERT INTO meishi_schema VALUES (1, 1)";
    to.batch_execute(version).await.unwrap();
    for table in FIRST_TABLES {
        let rows = format!("SELECT row_to_json(t)::text FROM {table} AS t");
        let rows = from.query(&rows, &[]).await.unwrap();
        assert!(!rows.is_empty(), "{table}");
        // Columns that came later are not the row's.
        let copy = format!(
            "INSERT INTO {table} SELECT * FROM json_populate_record(NULL::{table}, $1::text::json)"
        );
        for row in rows {
            to.execute(&copy, &[&row.get::<_, &str>(0)]).await.unwrap();
        }
    }

    let store = open(old.url()).await.unwrap();
    every_account_is_as_its_events_tell(&store).await;
    assert_eq!(found(store.as_ref()).await, []);
    store.close().await;
    let later = ["deleted_contacts", "idempotency_contacts", "webhooks", "deliveries"];
    for table in FIRST_TABLES.iter().chain(&later) {
        let all = |client: Client| async move {
            let rows = format!("SELECT row_to_json(t)::text FROM {table} AS t ORDER BY 1");
            let rows = client.query(&rows, &[]).await.unwrap();
            rows.iter().map(|row| row.get(0)).collect::<Vec<String>>()
        };
        let (old, new) = (all(connect(old.url()).await), all(connect(new.url()).await));
        assert_eq!(old.await, new.await, "{table}");
    }
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
