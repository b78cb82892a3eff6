//! A data directory's database made from a backup.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use meishi_store::{
    OpenError,
    sqlite::{DataDirectory, RestoreError, Restored, restore},
};
use rusqlite::Connection;
use tempfile::TempDir;

use super::open;
use crate::conformance::{
    damage::{DAMAGES, fill, found},
    fields::NOON,
    tenant::Tenant,
};

/// A backup, the state of an account in it, and the place that it lies in.
async fn backup() -> (TempDir, PathBuf, Tenant) {
    let place = tempfile::tempdir().unwrap();
    let store = open(&place.path().join("origin")).unwrap();
    let acme = fill(&store).await;
    let file = place.path().join("backup.db");
    store.backup(&file).await.unwrap();
    (place, file, acme)
}

fn restore_into(directory: &Path, file: &Path) -> Result<Restored, RestoreError> {
    restore(file, directory, NOON, false)
}

/// That it is refused, that the directory has no database, and the sentence.
fn refused(directory: &Path, file: &Path) -> (RestoreError, String) {
    let error = restore_into(directory, file).unwrap_err();
    for name in ["meishi.db", "meishi.db.restoring", "meishi.db.restoring-wal"] {
        assert!(!directory.join(name).exists(), "{name} after {error:?}");
    }
    let text = error.to_string();
    (error, text)
}

/// Changes a backup as nobody should.
fn spoil(file: &Path, statement: &str) {
    let connection = Connection::open(file).unwrap();
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    connection.execute_batch(statement).unwrap();
}

#[tokio::test]
async fn a_restored_database_is_the_one_that_was_backed_up_in_its_next_epoch() {
    let (place, file, acme) = backup().await;
    let state = acme.state().await;
    let before = (fs::read(&file).unwrap(), fs::metadata(&file).unwrap().modified().unwrap());
    let directory = place.path().join("restored");
    for epoch in [2, 3] {
        let restored = restore_into(&directory, &file).unwrap();
        assert_eq!(restored.path, directory.join("meishi.db"));
        assert_eq!(
            (restored.database.id.as_str(), restored.database.epoch),
            ("the database's id", epoch)
        );
        assert_eq!((restored.contents.accounts, restored.contents.contacts), (2, 4));
        let mode = fs::metadata(&restored.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        let store = open(&directory).unwrap();
        assert_eq!(store.database().await.unwrap(), restored.database);
        let copy = Tenant { store, ..acme.clone() };
        assert_eq!(copy.state().await, state);
        assert_eq!(found(copy.store.as_ref()).await, []);
        if epoch == 2 {
            let after =
                (fs::read(&file).unwrap(), fs::metadata(&file).unwrap().modified().unwrap());
            assert!(after == before, "the backup was written to");
            // A backup of what was restored is one of that epoch.
            fs::remove_file(&file).unwrap();
            copy.store.backup(&file).await.unwrap();
            copy.store.close().await;
            drop(copy);
            fs::remove_dir_all(&directory).unwrap();
        }
    }
}

#[tokio::test]
async fn the_files_of_a_killed_server_are_a_backup_too() {
    let (place, _file, acme) = backup().await;
    let state = acme.state().await;
    let copy = place.path().join("copy");
    fs::create_dir(&copy).unwrap();
    for name in ["meishi.db", "meishi.db-wal"] {
        fs::copy(place.path().join("origin").join(name), copy.join(name)).unwrap();
    }
    assert!(fs::metadata(copy.join("meishi.db-wal")).unwrap().len() > 0);
    let directory = place.path().join("restored");
    restore_into(&directory, &copy.join("meishi.db")).unwrap();
    assert!(!copy.join("meishi.db-shm").exists(), "the backup's place was written to");
    let restored = Tenant { store: open(&directory).unwrap(), ..acme };
    assert_eq!(restored.state().await, state);
}

#[tokio::test]
async fn nothing_is_overwritten() {
    let (place, file, _acme) = backup().await;
    let held = place.path().join("origin");
    let error = restore_into(&held, &file).unwrap_err();
    assert!(matches!(error, RestoreError::Directory(OpenError::Held(_))), "{error:?}");

    let directory = place.path().join("directory");
    fs::create_dir(&directory).unwrap();
    for name in ["meishi.db", "meishi.db-wal", "meishi.db-journal"] {
        fs::write(directory.join(name), "somebody's").unwrap();
        let error = restore_into(&directory, &file).unwrap_err();
        assert!(error.to_string().contains(&format!("{name} is there already")), "{error}");
        assert_eq!(fs::read(directory.join(name)).unwrap(), b"somebody's");
        fs::remove_file(directory.join(name)).unwrap();
    }
    // What a killed restore left behind is in nobody's way, but is no backup.
    let left = directory.join("meishi.db.restoring");
    fs::copy(&file, &left).unwrap();
    let error = restore_into(&directory, &left).unwrap_err();
    assert!(matches!(error, RestoreError::Unreadable { .. }), "{error:?}");
    fs::write(&left, "half").unwrap();
    fs::write(directory.join("meishi.db.restoring-wal"), "half").unwrap();
    restore_into(&directory, &file).unwrap();
    assert!(!left.exists());
}

#[tokio::test]
async fn what_cannot_be_a_backup_is_refused() {
    let (place, file, _acme) = backup().await;
    let directory = place.path().join("directory");
    for missing in ["no-such.db", "origin"] {
        let (error, text) = refused(&directory, &place.path().join(missing));
        assert!(matches!(error, RestoreError::Unreadable { .. }), "{error:?}");
        assert!(text.contains(missing), "{text}");
        assert!(!directory.exists(), "a mistyped name makes no data directory");
    }

    let other = place.path().join("other.db");
    for text in [String::new(), "a diary\n".repeat(1000)] {
        fs::write(&other, text).unwrap();
        let (error, text) = refused(&directory, &other);
        assert!(matches!(error, RestoreError::Foreign(_)), "{error:?}");
        assert!(text.contains("other.db is not a backup"), "{text}");
    }
    fs::remove_file(&other).unwrap();
    spoil(&other, "CREATE TABLE diary (day TEXT)");
    assert!(matches!(refused(&directory, &other).0, RestoreError::Foreign(_)));

    spoil(&file, "PRAGMA user_version = 999");
    let (error, text) = refused(&directory, &file);
    assert!(matches!(error, RestoreError::Newer { found: 999, .. }), "{error:?}");
    assert!(text.contains("newer meishi"), "{text}");
    let held = DataDirectory::hold(&directory).unwrap();
    assert!(!DataDirectory::has_database(held.path()));
}

#[tokio::test]
async fn a_damaged_backup_is_refused_even_with_force() {
    let (place, file, _acme) = backup().await;
    let directory = place.path().join("directory");
    let whole = fs::read(&file).unwrap();
    let is_damaged = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        let (error, text) = refused(&directory, &file);
        assert!(matches!(error, RestoreError::Damaged { .. }), "{error:?}");
        assert!(text.contains("backup.db is damaged"), "{text}");
        assert!(restore(&file, &directory, NOON, true).is_err());
    };
    is_damaged(&whole[..whole.len() / 2]);
    let mut torn = whole.clone();
    let middle = torn.len() / 4096 / 2 * 4096;
    torn[middle..middle + 4096].fill(0xAA);
    is_damaged(&torn);
    fs::write(&file, &whole).unwrap();
    spoil(&file, "UPDATE contact_inboxes SET inbox_id = 99");
    is_damaged(&fs::read(&file).unwrap());
}

#[tokio::test]
async fn a_backup_that_contradicts_itself_is_restored_only_with_force() {
    let (place, file, acme) = backup().await;
    let directory = place.path().join("directory");
    // As a clean stop leaves it: the damage is done to the table that is sorted.
    spoil(
        &file,
        "INSERT INTO identities
         SELECT account_id, kind, value, contact_id, is_primary FROM recent_identities;
         DELETE FROM recent_identities",
    );
    let whole = fs::read(&file).unwrap();
    let wrong = ["contacts_counted", "events_dense", "contacts_in_ledger", "key_ids"];
    for check in wrong {
        fs::write(&file, &whole).unwrap();
        let damage = DAMAGES.iter().find(|damage| damage.found.iter().any(|f| f.0 == check));
        let statement = damage.unwrap().statement;
        spoil(&file, &statement.replace("{account}", &acme.account.to_string()));
        let (error, text) = refused(&directory, &file);
        assert!(matches!(error, RestoreError::Unsound { .. }), "{error:?}");
        assert!(text.contains(check) && text.contains("--force"), "{text}");
        restore(&file, &directory, NOON, true).unwrap();
        fs::remove_dir_all(&directory).unwrap();
    }
    // A clock that was wrong is no reason.
    fs::write(&file, &whole).unwrap();
    spoil(&file, "UPDATE events SET at = at + 61000");
    restore_into(&directory, &file).unwrap();
}
