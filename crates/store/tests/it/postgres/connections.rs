//! Connections that break, at whatever moment.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt, future::join_all};
use meishi_contacts::limits::READ_ROWS;
use meishi_store::{Include, StoreError};
use meishi_test_postgres::Cluster;

use super::{
    connect,
    load::{Load, tenants},
    make_store, open,
};
use crate::conformance::{
    fields::{NOON, blank, create, fresh_seed},
    tenant::Tenant,
};

/// Ends every connection to the database but the one that says so.
const END_OTHERS: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_comes_back_is_used_again_and_has_all_that_was_acknowledged() {
    let cluster = Cluster::start(&[("fsync", "on"), ("full_page_writes", "on")], &[]);
    let database = cluster.create_database();
    let store = open(database.url()).await.unwrap();
    let tenants = tenants(&store, 3).await;
    let load = Load::start(&tenants, 3);
    for ends in [Cluster::crash, Cluster::stop, Cluster::crash] {
        load.goes_on().await;
        tokio::task::block_in_place(|| ends(&cluster));
        let read = store.accounts().await;
        assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
        let ready = store.ready().await;
        assert!(matches!(ready, Err(StoreError::Unavailable(_))), "{ready:?}");
        tokio::task::block_in_place(|| cluster.resume());
    }
    load.goes_on().await;
    let told = load.stop().await;
    assert!(!told.refused.is_empty(), "nobody noticed");
    told.holds(&tenants).await;
    store.ready().await.unwrap();
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whenever_connections_are_ended_no_call_is_lost_or_done_twice() {
    let (store, database) = make_store().await;
    let tenants = tenants(&store, 4).await;
    let outside = connect(database.url()).await;
    let load = Load::start(&tenants, 3);
    let begun = Instant::now();
    let mut pauses = fresh_seed().bytes("pauses", 0).into_iter().cycle();
    while begun.elapsed() < Duration::from_secs(3) {
        let pause = u64::from(pauses.next().unwrap());
        tokio::time::sleep(Duration::from_millis(pause / 4)).await;
        outside.query_one(END_OTHERS, &[]).await.unwrap();
    }
    load.goes_on().await;
    let told = load.stop().await;
    assert!(told.in_doubt.is_empty(), "it could be found out: {told:?}");
    told.holds(&tenants).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_ended_while_nobody_used_them_are_nobodys_failure() {
    let (store, database) = make_store().await;
    let acme = &tenants(&store, 1).await[0];
    let id = acme.create(blank()).await.contact.id;
    let outside = connect(database.url()).await;
    for _ in 0..20 {
        let reads = || join_all((0..6).map(|_| store.contact(acme.account, id, Include::Inboxes)));
        reads().await;
        outside.query_one(END_OTHERS, &[]).await.unwrap();
        for read in reads().await {
            assert!(read.unwrap().is_some());
        }
        outside.query_one(END_OTHERS, &[]).await.unwrap();
        store.touch_key(acme.account, acme.key.id, NOON).await.unwrap();
        outside.query_one(END_OTHERS, &[]).await.unwrap();
        store.apply(acme.cx(), vec![create(blank())], true).await.unwrap();
        reads().await;
        outside.query_one(END_OTHERS, &[]).await.unwrap();
        Tenant::new(&store, "another").await;
    }
    store.close().await;
}

#[tokio::test]
async fn a_server_that_ends_idle_connections_is_no_failure() {
    let (store, database) = make_store().await;
    let acme = Tenant::new(&store, "Acme").await;
    store.close().await;
    let limit = format!("ALTER DATABASE {} SET idle_session_timeout = 20", database.name());
    connect(database.url()).await.batch_execute(&limit).await.unwrap();
    let store = open(database.url()).await.unwrap();
    let acme = Tenant { store: Arc::clone(&store), ..acme };
    // About as long as the limit, so that calls and ends meet.
    for pause in (18_000..22_000).step_by(40) {
        tokio::time::sleep(Duration::from_micros(pause)).await;
        acme.create(blank()).await;
    }
    assert_eq!(acme.counts().await, (100, 0));
    store.close().await;
}

#[tokio::test]
async fn a_snapshot_that_breaks_off_says_so() {
    let (store, database) = make_store().await;
    let acme = &tenants(&store, 1).await[0];
    // Some slices are read before somebody wants them.
    for _ in 0..6 {
        acme.apply(acme.cx(), vec![create(blank()); READ_ROWS], true).await;
    }
    let snapshot = store.snapshot(acme.account).await.unwrap();
    let mut slices = snapshot.contacts;
    let first = slices.next().await.unwrap().unwrap();
    assert_eq!(first.len(), READ_ROWS);
    connect(database.url()).await.query_one(END_OTHERS, &[]).await.unwrap();
    let rest: Vec<_> = slices.collect().await;
    let (last, before) = rest.split_last().unwrap();
    assert!(matches!(last, Err(StoreError::Unavailable(_))), "{last:?}");
    assert!(before.len() < 5 && before.iter().all(Result::is_ok), "{before:?}");
    store.close().await;
}
