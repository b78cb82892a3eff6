//! A copy of a database that is written to meanwhile.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use meishi_contacts::ContactId;
use meishi_store::{BackupError, Contents, Include, StoreError, sqlite::restore};

use super::open;
use crate::conformance::{
    damage::{fill, found},
    fields::{NOON, named, with_email},
    replay::every_account_is_as_its_events_tell,
    tenant::Tenant,
};

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_backup_says_what_is_in_it_and_is_for_its_owner_only() {
    let (directory, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(directory.path()).unwrap();
    let file = place.path().join("copy.db");
    let empty = store.backup(&file).await.unwrap().contents;
    assert_eq!(empty, Contents { accounts: 0, contacts: 0, events: 0, last_event_at: None });

    let acme = fill(&store).await;
    let file = place.path().join("second.db");
    let backup = store.backup(&file).await.unwrap();
    let events = 2 * acme.last_seq().await.0;
    let expected = Contents { accounts: 2, contacts: 4, events, last_event_at: Some(NOON) };
    assert_eq!(backup.contents, expected);
    let metadata = fs::metadata(&file).unwrap();
    assert_eq!((metadata.len(), metadata.permissions().mode() & 0o777), (backup.bytes, 0o600));
    assert_eq!(names(place.path()), ["copy.db", "second.db"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_before_a_backup_is_in_it_whatever_is_written_meanwhile() {
    let (directory, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(directory.path()).unwrap();
    let acme = Tenant::new(&store, "Acme").await;
    let answered: Arc<Mutex<Vec<ContactId>>> = Arc::default();
    let done = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (acme, answered, done) = (acme.clone(), Arc::clone(&answered), Arc::clone(&done));
            tokio::spawn(async move {
                for number in 0.. {
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                    let fields = with_email(&format!("{writer}-{number}@x.test"));
                    let id = acme.create_linked(&format!("{writer}-{number}"), fields).await;
                    let id = id.contact.id;
                    acme.set_labels(id, &["new"]).await;
                    acme.update(id, named("Anna")).await;
                    answered.lock().unwrap().push(id);
                }
            })
        })
        .collect();

    let mut before = 0;
    for round in 0..5 {
        // Something new each time, so that the rounds differ.
        while answered.lock().unwrap().len() < before + 5 {
            tokio::task::yield_now().await;
        }
        let known = answered.lock().unwrap().clone();
        before = known.len();
        let file = place.path().join(format!("{round}.db"));
        let backup = store.backup(&file).await.unwrap();

        let restored = place.path().join(format!("{round}"));
        let result = restore(&file, &restored, NOON, false).unwrap();
        assert_eq!(result.contents, backup.contents);
        assert_eq!(result.database.epoch, 2);
        let copy = open(&restored).unwrap();
        assert_eq!(copy.database().await.unwrap(), result.database);
        let there = copy.contacts(acme.account, &known, Include::Nothing).await.unwrap();
        assert_eq!(there.len(), known.len());
        assert!(there.iter().all(|r| r.contact.name == "Anna" && r.contact.labels.len() == 1));
        every_account_is_as_its_events_tell(&copy).await;
        assert_eq!(found(copy.as_ref()).await, []);
        copy.close().await;
    }
    done.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    store.close().await;
}

#[tokio::test]
async fn what_is_there_already_stays_as_it_is() {
    let (directory, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(directory.path()).unwrap();
    let file = place.path().join("copy.db");
    fs::write(&file, "somebody's").unwrap();
    let refused = store.backup(&file).await.unwrap_err();
    assert!(matches!(&refused, BackupError::Exists(path) if *path == file), "{refused:?}");
    assert_eq!(fs::read(&file).unwrap(), b"somebody's");
    // What a killed backup left behind is in nobody's way.
    fs::remove_file(&file).unwrap();
    fs::write(place.path().join("copy.db.partial"), "half").unwrap();
    store.backup(&file).await.unwrap();
    assert_eq!(names(place.path()), ["copy.db"]);
}

#[tokio::test]
async fn a_backup_that_cannot_be_written_leaves_nothing() {
    let (directory, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(directory.path()).unwrap();
    fs::write(place.path().join("file"), "").unwrap();
    for wrong in ["no/such/place.db", "file/below.db"] {
        let refused = store.backup(&place.path().join(wrong)).await.unwrap_err();
        assert!(matches!(refused, BackupError::NotWritable { .. }), "{refused:?}");
        assert!(refused.to_string().contains(wrong), "{refused}");
    }
    assert_eq!(names(place.path()), ["file"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_the_store_ends_a_backup_and_leaves_all_or_nothing_of_it() {
    let (directory, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(directory.path()).unwrap();
    fill(&store).await;
    let file = place.path().join("copy.db");
    let (written, ()) = futures::join!(store.backup(&file), store.close());
    match written {
        Ok(_) => assert_eq!(names(place.path()), ["copy.db"]),
        Err(BackupError::Store(StoreError::Unavailable(_))) => {
            assert!(names(place.path()).is_empty());
        }
        Err(other) => panic!("{other:?}"),
    }
    let late = store.backup(&place.path().join("late.db")).await;
    assert!(matches!(late, Err(BackupError::Store(StoreError::Unavailable(_)))), "{late:?}");
}
