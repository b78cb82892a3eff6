//! The writer's queue, made to wait by a lock that another process could hold too.

use std::path::Path;

use futures::{FutureExt, future::join_all, poll};
use meishi_contacts::{
    KeyId,
    limits::{GROUP_CALLS, WRITE_QUEUE},
};
use meishi_store::StoreError;
use rusqlite::Connection;

use super::open;
use crate::conformance::{
    fields::{NOON, blank, create, named},
    tenant::Tenant,
};

/// Keeps the writer from beginning anything until it is dropped.
fn hold_the_write_lock(directory: &Path) -> Connection {
    let connection = Connection::open(directory.join("meishi.db")).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    connection
}

#[tokio::test]
async fn a_full_queue_answers_busy_and_does_the_rest() {
    const TOO_MANY: usize = 50 + GROUP_CALLS;
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    let acme = Tenant::new(&store, "Acme").await;
    let lock = hold_the_write_lock(directory.path());
    // The writer may have taken a group out of the queue already.
    let calls = (0..=WRITE_QUEUE + TOO_MANY).map(|_| store.touch_key(acme.account, KeyId(1), NOON));
    let (answers, ()) = futures::join!(join_all(calls), async { drop(lock) });
    let busy = answers.iter().filter(|answer| matches!(answer, Err(StoreError::Busy))).count();
    let done = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(busy + done, answers.len());
    assert!((50..=TOO_MANY + 1).contains(&busy), "{busy} calls were refused");
    acme.create(blank()).await;
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_any_more_is_not_begun() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    let acme = Tenant::new(&store, "Acme").await;
    let lock = hold_the_write_lock(directory.path());
    let mut first = acme.create(named("first")).boxed();
    let mut given_up = store.apply(acme.cx(), vec![create(named("given up"))], true);
    let mut last = acme.create(named("last")).boxed();
    assert!(poll!(&mut first).is_pending());
    assert!(poll!(&mut given_up).is_pending());
    assert!(poll!(&mut last).is_pending());
    drop(given_up);
    drop(lock);
    first.await;
    last.await;
    let names: Vec<String> = acme.snapshot().await.into_iter().map(|one| one.name).collect();
    assert_eq!(names, ["first", "last"]);
}

#[tokio::test]
async fn a_call_that_fails_leaves_those_that_share_its_commit_alone() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    let acme = Tenant::new(&store, "Acme").await;
    let failing = || {
        let mut taken = crate::conformance::fields::some_key("taken");
        taken.api_key.clone_from(&acme.key.api_key);
        let changes = vec![create(named("undone")), meishi_store::Change::CreateKey(taken)];
        store.apply(acme.cx(), changes, false)
    };
    let lock = hold_the_write_lock(directory.path());
    let (good, bad, ()) = futures::join!(
        join_all((0..20).map(|_| acme.create(named("good")))),
        join_all((0..20).map(|_| failing())),
        async { drop(lock) }
    );
    assert_eq!(good.len(), 20);
    assert!(bad.iter().all(|result| matches!(result, Err(StoreError::Internal(_)))), "{bad:?}");
    let names: Vec<String> = acme.snapshot().await.into_iter().map(|one| one.name).collect();
    assert_eq!(names, ["good"; 20]);
}

#[tokio::test]
async fn readers_do_not_wait_for_the_writer() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    let acme = Tenant::new(&store, "Acme").await;
    let anna = acme.create(named("Anna")).await;
    let lock = hold_the_write_lock(directory.path());
    let mut writing = acme.update(anna.contact.id, named("Anne")).boxed();
    assert!(poll!(&mut writing).is_pending());
    assert_eq!(acme.read(anna.contact.id).await, anna);
    assert_eq!(acme.snapshot().await, [anna.contact]);
    drop(lock);
    assert_eq!(writing.await.contact.name, "Anne");
}
