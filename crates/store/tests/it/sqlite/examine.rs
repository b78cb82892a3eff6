//! What an examination finds in a file and its directory.

use std::{
    fs::{self, OpenOptions, Permissions},
    io::{Seek, SeekFrom, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use meishi_contacts::AccountId;
use meishi_store::examine::{CHECKS, Severity};
use rusqlite::Connection;
use tempfile::TempDir;

use super::{look_into, open};
use crate::conformance::{
    damage::{DAMAGES, fill, found, found_at},
    fields::NOON,
};

/// A closed database with something of every table, and the account to damage.
async fn filled() -> (TempDir, AccountId) {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    let account = fill(&store).await.account;
    store.close().await;
    (directory, account)
}

/// A connection that enforces nothing.
fn careless(directory: &Path) -> Connection {
    let connection = Connection::open(directory.join("meishi.db")).unwrap();
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    connection
}

#[tokio::test]
async fn each_damage_is_found_and_nothing_else() {
    let (sound, account) = filled().await;
    for damage in &DAMAGES {
        let directory = tempfile::tempdir().unwrap();
        fs::copy(sound.path().join("meishi.db"), directory.path().join("meishi.db")).unwrap();
        let statement = damage.of(account);
        let changed = careless(directory.path()).execute(&statement, []).unwrap();
        assert!(changed > 0, "{statement}");
        let store = open(directory.path()).unwrap();
        let found = found_at(store.as_ref(), NOON, Some(account)).await;
        assert_eq!(found, damage.expected(), "{statement}");
        store.close().await;
    }
}

#[test]
fn every_check_has_its_damage() {
    for check in &CHECKS {
        let damages = DAMAGES.iter().flat_map(|damage| damage.found);
        assert!(damages.map(|(name, _)| *name).any(|name| name == check.name), "{}", check.name);
    }
}

#[tokio::test]
async fn a_sound_database_has_one_finding_for_each_check() {
    let (directory, _account) = filled().await;
    let store = open(directory.path()).unwrap();
    let findings = store.examine(NOON).await.unwrap();
    let names: Vec<&str> = findings.iter().map(|finding| finding.check.as_str()).collect();
    let own = ["data_directory", "files", "free_space", "schema", "file"];
    let expected: Vec<&str> =
        own.into_iter().chain(CHECKS.iter().map(|check| check.name)).collect();
    assert_eq!(names, expected);
    assert_eq!(found(store.as_ref()).await, []);
}

#[tokio::test]
async fn what_others_could_read_is_found() {
    let (directory, _account) = filled().await;
    let store = open(directory.path()).unwrap();
    let chmod = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode));
    let database = directory.path().join("meishi.db");
    let is = |check: &str| vec![(check.to_owned(), None, false)];

    for (mode, severity) in [(0o700, Severity::Ok), (0o750, Severity::Warning)] {
        chmod(directory.path(), mode).unwrap();
        let findings = store.examine(NOON).await.unwrap();
        let first = findings.first().unwrap();
        assert_eq!((first.check.as_str(), first.severity), ("data_directory", severity));
    }
    chmod(&database, 0o640).unwrap();
    assert_eq!(found(store.as_ref()).await, is("files"));
    chmod(&database, 0o600).unwrap();
    let copy = directory.path().join("meishi.db.schema-0");
    fs::write(&copy, "").unwrap();
    chmod(&copy, 0o604).unwrap();
    assert_eq!(found(store.as_ref()).await, is("files"));
}

#[tokio::test]
async fn a_file_that_breaks_its_own_rules_is_found() {
    let (directory, _account) = filled().await;
    let connection = careless(directory.path());
    // A rule that came later than a row that breaks it.
    let rewrite = "PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET sql = replace(sql, 'last_seq INTEGER', 'last_seq TEXT')
        WHERE name = 'counters';
        PRAGMA writable_schema = RESET;";
    connection.execute_batch(rewrite).unwrap();
    drop(connection);
    let store = open(directory.path()).unwrap();
    assert_eq!(found(store.as_ref()).await, [("file".to_owned(), None, false)]);
}

#[tokio::test]
async fn what_a_destroyed_page_leaves_unchecked_is_told() {
    let (directory, _account) = filled().await;
    let root: u64 = look_into(directory.path())
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'events'", [], |r| r.get(0))
        .unwrap();
    let database = directory.path().join("meishi.db");
    let mut file = OpenOptions::new().write(true).open(database).unwrap();
    file.seek(SeekFrom::Start((root - 1) * 4096)).unwrap();
    file.write_all(&[0xAA; 4096]).unwrap();
    drop(file);

    let store = open(directory.path()).unwrap();
    let findings = store.examine(NOON).await.unwrap();
    let wrong = findings.iter().filter(|finding| finding.severity == Severity::Wrong);
    let wrong: Vec<&str> = wrong.map(|finding| finding.check.as_str()).collect();
    // The numbers of the events are in an index of their own, which is whole.
    let unread = ["histories", "history_chains", "clock"];
    assert_eq!(wrong, [&["file"], unread.as_slice()].concat());
}
