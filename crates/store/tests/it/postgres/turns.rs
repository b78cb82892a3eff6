//! Waiting for each other: for a lock, for a lane, in the queue.

use std::time::{Duration, Instant};

use futures::future::join_all;
use meishi_contacts::{ContactId, Seq, limits::WRITE_QUEUE};
use meishi_store::{PostgresOptions, StoreError};
use meishi_test_postgres::Cluster;
use tokio_postgres::Client;

use super::{connect, load::tenants, make_store, open, open_with};
use crate::conformance::{
    fields::{blank, create, named},
    replay::every_account_is_as_its_events_tell,
    tenant::{Tenant, new_account},
};

/// Holds an account up, as another server that is stuck would.
async fn hold(client: &Client, tenant: &Tenant) {
    let lock =
        format!("BEGIN; SELECT 1 FROM counters WHERE account_id = {} FOR UPDATE", tenant.account.0);
    client.batch_execute(&lock).await.unwrap();
}

#[tokio::test]
async fn an_account_that_is_held_up_answers_busy_and_no_other_waits_for_it() {
    let (store, database) = make_store().await;
    let (acme, globex) = Tenant::two(&store).await;
    let outside = connect(database.url()).await;
    hold(&outside, &acme).await;
    let begun = Instant::now();
    let held_up = async {
        let answer = store.apply(acme.cx(), vec![create(blank())], true).await;
        (answer, begun.elapsed())
    };
    let others = async {
        for _ in 0..20 {
            globex.create(blank()).await;
            assert_eq!(acme.counts().await, (0, 0), "reads do not wait either");
        }
        begun.elapsed()
    };
    let ((answer, waited), others) = futures::join!(held_up, others);
    assert!(matches!(answer, Err(StoreError::Busy)), "{answer:?}");
    assert!((6..15).contains(&waited.as_secs()), "{waited:?}");
    assert!(others < Duration::from_secs(5), "{others:?}");
    outside.batch_execute("COMMIT").await.unwrap();
    assert_eq!(acme.create(blank()).await.contact.id, ContactId(1));
    store.close().await;
}

#[tokio::test]
async fn who_froze_amid_a_transaction_is_put_out_before_others_give_up() {
    let (store, database) = make_store().await;
    let acme = Tenant::new(&store, "Acme").await;
    let outside = connect(database.url()).await;
    // As each connection of a store is set to.
    outside.batch_execute("SET idle_in_transaction_session_timeout = '3s'").await.unwrap();
    hold(&outside, &acme).await;
    let begun = Instant::now();
    acme.create(blank()).await;
    let waited = begun.elapsed();
    assert!((2..6).contains(&waited.as_secs()), "{waited:?}");
    store.close().await;
}

#[tokio::test]
async fn a_snapshot_that_nobody_reads_leaves_no_transaction_behind() {
    let (store, database) = make_store().await;
    let acme = Tenant::new(&store, "Acme").await;
    acme.create(blank()).await;
    drop(store.snapshot(acme.account).await.unwrap());
    let outside = connect(database.url()).await;
    let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
         AND application_name = 'meishi' AND xact_start IS NOT NULL";
    for _ in 0..50 {
        if outside.query_one(open, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            return store.close().await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("a transaction that nobody ends");
}

#[tokio::test]
async fn a_caller_who_goes_away_leaves_no_account_by_half() {
    let (store, _database) = make_store().await;
    let acme = Tenant::new(&store, "Acme").await;
    for moment in 0..60 {
        let (new, _) = new_account("Globex");
        let making = store.create_account(new);
        // Whether it is done by then is not the question.
        let _ = tokio::time::timeout(Duration::from_micros(moment * 200), making).await;
        // Takes the connection that was just in use.
        acme.create(blank()).await;
    }
    for account in store.accounts().await.unwrap() {
        assert!(store.counts(account.id).await.unwrap().is_some(), "{account:?} by half");
    }
    every_account_is_as_its_events_tell(&store).await;
    store.close().await;
}

#[tokio::test]
async fn more_accounts_than_lanes_all_get_their_turn() {
    let database = Cluster::shared().create_database();
    let options = PostgresOptions { connections: 4, ..PostgresOptions::default() };
    let store = open_with(database.url(), options).await.unwrap();
    let tenants = tenants(&store, 12).await;
    let calls = tenants.iter().flat_map(|tenant| {
        (0..10).map(move |number| async move {
            if number % 3 == 0 {
                tokio::time::sleep(Duration::from_millis(number)).await;
            }
            tenant.create(named(&format!("{number}"))).await
        })
    });
    join_all(calls).await;
    for tenant in &tenants {
        assert_eq!(tenant.counts().await, (10, 0));
    }
    every_account_is_as_its_events_tell(&store).await;
    store.close().await;
}

#[tokio::test]
async fn calls_that_queue_on_one_account_are_done_in_their_order() {
    let (store, _database) = make_store().await;
    let acme = Tenant::new(&store, "Acme").await;
    let records = join_all((0..500).map(|_| acme.create(blank()))).await;
    let ids: Vec<i64> = records.iter().map(|record| record.contact.id.0).collect();
    assert_eq!(ids, (1..=500).collect::<Vec<_>>());
    assert_eq!(acme.last_seq().await, Seq(503));
    every_account_is_as_its_events_tell(&store).await;
    store.close().await;
}

#[tokio::test]
async fn a_full_queue_answers_busy_and_does_the_rest() {
    const TOO_MANY: usize = 50;
    let (store, database) = make_store().await;
    let (acme, globex) = Tenant::two(&store).await;
    let outside = connect(database.url()).await;
    hold(&outside, &acme).await;
    // The lanes have not begun when the last call is asked for.
    let calls = (0..WRITE_QUEUE + TOO_MANY).map(|number| {
        let tenant = if number % 50 == 0 { &globex } else { &acme };
        store.apply(tenant.cx(), Vec::new(), true)
    });
    let release = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        outside.batch_execute("COMMIT").await.unwrap();
    };
    let (answers, ()) = futures::join!(join_all(calls), release);
    let (done, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!((done.len(), refused.len()), (WRITE_QUEUE, TOO_MANY));
    assert!(refused.iter().all(|answer| matches!(answer, Err(StoreError::Busy))));
    acme.create(blank()).await;
    store.close().await;
}

#[tokio::test]
async fn closing_waits_for_what_is_queued_even_behind_a_lock() {
    let (store, database) = make_store().await;
    let (acme, globex) = Tenant::two(&store).await;
    let outside = connect(database.url()).await;
    hold(&outside, &acme).await;
    let calls = (0..300).map(|number| {
        let tenant = if number % 3 == 0 { &globex } else { &acme };
        tenant.create(blank())
    });
    let release = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        outside.batch_execute("COMMIT").await.unwrap();
        Instant::now()
    };
    let close = async {
        store.close().await;
        Instant::now()
    };
    let (records, closed, released) = futures::join!(join_all(calls), close, release);
    assert!(closed > released, "closed before the calls were done");
    assert_eq!(records.len(), 300);
    let store = open(database.url()).await.unwrap();
    assert_eq!(store.counts(acme.account).await.unwrap().unwrap().contacts, 200);
    assert_eq!(store.counts(globex.account).await.unwrap().unwrap().contacts, 100);
    store.close().await;
}
