//! What is on disk, and when.

use std::{fs, path::Path, sync::Arc};

use futures::future::join_all;
use meishi_contacts::ContactId;
use meishi_store::Store;

use super::open;
use crate::conformance::{
    fields::{blank, named, with_email},
    replay::every_account_is_as_its_events_tell,
    tenant::Tenant,
};

/// Opens a copy of those files of the directory, as if the process had died there and then.
fn open_copy(directory: &Path, files: &[&str]) -> (Arc<dyn Store>, tempfile::TempDir) {
    let copy = tempfile::tempdir().unwrap();
    for file in files {
        fs::copy(directory.join(file), copy.path().join(file)).unwrap();
    }
    (open(copy.path()).unwrap(), copy)
}

#[tokio::test]
async fn what_was_answered_is_in_the_files() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    let acme = Tenant::new(&store, "Acme").await;
    for number in 0..5 {
        acme.create_linked(&format!("{number}"), with_email(&format!("{number}@example.com")))
            .await;
        let (copy, _files) = open_copy(directory.path(), &["meishi.db", "meishi.db-wal"]);
        let copied = Tenant { store: copy, ..acme.clone() };
        assert_eq!(copied.state().await, acme.state().await);
        every_account_is_as_its_events_tell(&copied.store).await;
    }
}

#[tokio::test]
async fn after_close_the_database_alone_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    let acme = Tenant::new(&store, "Acme").await;
    acme.create(named("Anna")).await;
    let state = acme.state().await;
    store.close().await;
    let (copy, _files) = open_copy(directory.path(), &["meishi.db"]);
    assert_eq!(Tenant { store: copy, ..acme }.state().await, state);
}

#[tokio::test]
async fn what_was_asked_before_close_is_in_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    let acme = Tenant::new(&store, "Acme").await;
    let calls = (0..50).map(|_| acme.create(blank()));
    let (created, ()) = futures::join!(join_all(calls), store.close());
    let (copy, _files) = open_copy(directory.path(), &["meishi.db"]);
    let acme = Tenant { store: copy, ..acme };
    for record in created {
        assert_eq!(acme.read(record.contact.id).await, record);
    }
    assert_eq!(acme.read(ContactId(50)).await.contact.id, ContactId(50));
}

#[tokio::test]
async fn calls_that_come_together_share_commits() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    let acme = Tenant::new(&store, "Acme").await;
    let before = commits(directory.path());
    acme.create(blank()).await;
    let one = commits(directory.path());
    assert_eq!(one, before + 1, "a call alone is a commit");
    join_all((0..200).map(|_| acme.create(blank()))).await;
    let shared = commits(directory.path()) - one;
    // A group takes what is queued, for some milliseconds; 13 or so are usual.
    assert!((1..=100).contains(&shared), "{shared} commits for 200 calls");
}

/// How many commits the log holds: frames that say how large the database is after them
/// (<https://sqlite.org/fileformat2.html#the_write_ahead_log>).
fn commits(directory: &Path) -> usize {
    let log = fs::read(directory.join("meishi.db-wal")).unwrap();
    let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
    let page = usize::try_from(number(&log[8..12])).unwrap();
    let salt = &log[16..24];
    log[32..]
        .chunks_exact(24 + page)
        .take_while(|frame| frame[8..16] == *salt)
        .filter(|frame| number(&frame[4..8]) > 0)
        .count()
}
