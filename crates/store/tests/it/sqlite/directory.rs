//! Opening: the data directory and the file in it.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use meishi_store::{OpenError, sqlite::DataDirectory};
use rusqlite::Connection;

use super::{look_into, open};
use crate::conformance::{
    fields::{named, set_labels},
    tenant::Tenant,
};

/// Why the directory cannot be opened, as the operator reads it.
fn refusal(directory: &Path) -> (OpenError, String) {
    let error = open(directory).err().expect("it should not open");
    let text = error.to_string();
    (error, text)
}

#[tokio::test]
async fn a_directory_is_held_by_one_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let held = DataDirectory::hold(directory.path()).unwrap();
    let refused = DataDirectory::hold(directory.path());
    assert!(matches!(refused, Err(OpenError::Held(path)) if path == directory.path()));
    drop(held);
    let store = open(directory.path()).unwrap();
    let (error, text) = refusal(directory.path());
    assert!(matches!(error, OpenError::Held(_)), "{error:?}");
    assert!(text.contains("--data-dir"), "{text}");
    store.close().await;
    drop(store);
    open(directory.path()).unwrap();
}

#[tokio::test]
async fn a_directory_is_made_with_those_above_it_and_for_its_owner_only() {
    let above = tempfile::tempdir().unwrap();
    let directory = above.path().join("var").join("meishi");
    let held = DataDirectory::hold(&directory).unwrap();
    assert!(!DataDirectory::has_database(held.path()));
    assert_eq!(held.path(), directory);
    drop(held);
    let store = open(&directory).unwrap();
    store.ready().await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    store.close().await;
    drop(store);
    assert!(DataDirectory::has_database(&directory));
}

#[test]
fn a_directory_that_cannot_be_made_is_not_writable() {
    let above = tempfile::tempdir().unwrap();
    let file = above.path().join("file");
    fs::write(&file, "").unwrap();
    // Below a regular file nobody can make a directory, root included.
    for path in [file.join("meishi"), file] {
        let (error, text) = refusal(&path);
        assert!(matches!(error, OpenError::NotWritable { .. }), "{error:?}");
        assert!(text.contains(&path.display().to_string()), "{text}");
    }
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path()).unwrap().close().await;
    let path = directory.path().join("meishi.db");
    let known: i64 = {
        let connection = Connection::open(&path).unwrap();
        let known = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        connection.pragma_update(None, "user_version", known + 41).unwrap();
        known
    };
    let before = fs::read(&path).unwrap();
    let (error, text) = refusal(directory.path());
    assert!(
        matches!(error, OpenError::Newer { found, known: k, .. } if (found, k) == (known + 41, known)),
        "{error:?}"
    );
    assert!(text.contains("newer"), "{text}");
    assert!(fs::read(&path).unwrap() == before);
}

#[test]
fn another_programs_database_is_foreign_and_left_as_it_is() {
    for statement in ["CREATE TABLE t (x)", "PRAGMA user_version = 1", "PRAGMA application_id = 7"]
    {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("meishi.db");
        Connection::open(&path).unwrap().execute_batch(statement).unwrap();
        let before = fs::read(&path).unwrap();
        let (error, text) = refusal(directory.path());
        assert!(matches!(error, OpenError::Foreign(_)), "{statement}: {error:?}");
        assert!(text.contains("move it away"), "{text}");
        assert!(fs::read(&path).unwrap() == before, "{statement}");
    }
}

#[test]
fn a_file_that_is_no_database_is_foreign_and_left_as_it_is() {
    for text in ["not a database".to_owned(), "not a database\n".repeat(1000)] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("meishi.db");
        fs::write(&path, &text).unwrap();
        let (error, _) = refusal(directory.path());
        assert!(matches!(error, OpenError::Foreign(_)), "{error:?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[tokio::test]
async fn a_database_whose_schema_cannot_be_read_is_damaged() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path()).unwrap().close().await;
    let path = directory.path().join("meishi.db");
    let mut bytes = fs::read(&path).unwrap();
    // The header stays; the first page's tree of tables does not.
    bytes[100..4096].fill(0xAA);
    fs::write(&path, bytes).unwrap();
    let (error, text) = refusal(directory.path());
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    assert!(text.contains("backup"), "{text}");
}

#[test]
fn a_directory_in_the_databases_place_is_told() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("meishi.db")).unwrap();
    let (error, _) = refusal(directory.path());
    assert!(matches!(error, OpenError::NotWritable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_database_keeps_everything_and_its_identity_when_it_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    let acme = Tenant::new(&store, "Acme").await;
    let anna = acme.create_linked("anna", named("Anna")).await.contact.id;
    acme.change(set_labels(anna, &["vip"])).await.unwrap();
    let (state, database) = (acme.state().await, store.database().await.unwrap());
    assert_eq!(database.id, "the database's id");
    store.close().await;
    drop((acme.store, store));

    let held = DataDirectory::hold(directory.path()).unwrap();
    let store = meishi_store::SqliteStore::open(held, "another id").unwrap();
    let acme = Tenant { store: std::sync::Arc::new(store), ..acme };
    assert_eq!(acme.state().await, state);
    assert_eq!(acme.store.database().await.unwrap(), database);
    acme.create(named("Bob")).await;
}

#[tokio::test]
async fn the_file_is_in_wal_mode() {
    let directory = tempfile::tempdir().unwrap();
    let _store = open(directory.path()).unwrap();
    let mode: String = look_into(directory.path())
        .pragma_query_value(None, "journal_mode", |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
}
