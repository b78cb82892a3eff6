//! Opening the file: pragmas, and the schema brought up to date in one transaction.
//!
//! To change the schema: add `migrations/sqlite/NNNN_what.sql` and its line to `MIGRATIONS`. A
//! migration that was released is never edited.

use std::{
    fs::{OpenOptions, Permissions},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, config::DbConfig, params};

use super::damaged;
use crate::OpenError;

/// The migrations, in order; the schema's number is how many were run (`PRAGMA user_version`).
const MIGRATIONS: [&str; 2] = [
    include_str!("../../migrations/sqlite/0001_initial.sql"),
    include_str!("../../migrations/sqlite/0002_spine.sql"),
];

/// How long a connection waits for another one.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// "MEIS": marks the file as Meishi's.
const APPLICATION_ID: i64 = 0x4d45_4953;

/// Opens the writer's connection, making or migrating the database. Where there is a database of
/// an older schema, a copy of it stays beside it as `meishi.db.schema-N`.
pub(crate) fn open(path: &Path, database_id: &str) -> Result<Connection, OpenError> {
    let connection = open_any(path, database_id)?;
    crate::copy::refuse_unfinished_sqlite(&connection, path)?;
    Ok(connection)
}

/// The same, also where it is half a copy.
pub(crate) fn open_any(path: &Path, database_id: &str) -> Result<Connection, OpenError> {
    open_with(&MIGRATIONS, path, database_id)
}

fn open_with(migrations: &[&str], path: &Path, database_id: &str) -> Result<Connection, OpenError> {
    let not_writable = |reason: String| OpenError::NotWritable { path: path.to_owned(), reason };
    make_private(path).map_err(|error| not_writable(error.to_string()))?;
    let mut connection = Connection::open(path).map_err(|error| not_writable(error.to_string()))?;
    let known = number(migrations);
    let found = schema(&connection, path)?;
    if found > known {
        return Err(OpenError::Newer { database: path.display().to_string(), found, known });
    }
    configure(&connection).map_err(|error| damaged(path, &error))?;
    let mode = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0));
    if mode.map_err(|error| damaged(path, &error))? != "wal" {
        return Err(not_writable(
            "its file system lacks the shared memory that SQLite needs".into(),
        ));
    }
    if found < known {
        if found > 0 {
            keep_copy(&connection, path, found)?;
        }
        migrate(&mut connection, migrations, found, database_id)
            .map_err(|error| damaged(path, &error))?;
    }
    // What a server left that was killed; a reader in the way, such as a backup, is no harm.
    let emptied = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    emptied.map_err(|error| damaged(path, &error))?;
    Ok(connection)
}

/// The schema's number that this version knows.
pub(super) fn known() -> i64 {
    number(&MIGRATIONS)
}

fn number(migrations: &[&str]) -> i64 {
    i64::try_from(migrations.len()).unwrap_or(i64::MAX)
}

/// Opens a copy that is thrown away if anything fails: nothing is synced.
pub(super) fn open_copy(path: &Path) -> Result<Connection, OpenError> {
    let connection = Connection::open(path).map_err(|error| damaged(path, &error))?;
    match schema(&connection, path)? {
        0 => return Err(OpenError::Foreign(path.to_owned())),
        found if found > known() => {
            return Err(OpenError::Newer {
                database: path.display().to_string(),
                found,
                known: known(),
            });
        }
        _ => {}
    }
    // A log that was copied with it is folded in, so that the file alone is whole.
    let configured = connection.execute_batch(
        "PRAGMA journal_mode = DELETE; PRAGMA synchronous = OFF; PRAGMA foreign_keys = ON;
         PRAGMA temp_store = MEMORY; PRAGMA cache_size = -65536;",
    );
    configured.map_err(|error| damaged(path, &error))?;
    Ok(connection)
}

/// Brings a copy to the present schema.
pub(super) fn upgrade(connection: &mut Connection) -> rusqlite::Result<()> {
    let found = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found < known() {
        // It has an id, so that it needs none.
        migrate(connection, &MIGRATIONS, found, "")?;
    }
    Ok(())
}

/// Makes the file, for its owner only; SQLite gives its log the file's own mode.
fn make_private(path: &Path) -> std::io::Result<()> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    // One that was restored from a copy may have the copy's wider mode.
    file.set_permissions(Permissions::from_mode(0o600))
}

/// A reader's connection.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.execute_batch(
        "PRAGMA query_only = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16384;
         PRAGMA busy_timeout = 5000;",
    )?;
    map(&connection)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Reads pages where the system has them in memory, without a copy, however large the file is.
pub(crate) fn map(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "mmap_size", 1_i64 << 40)
}

/// The checkpointer's connection.
pub(super) fn open_checkpointer(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA cache_size = 0;")?;
    Ok(connection)
}

/// The schema's number, 0 for a new file.
fn schema(connection: &Connection, path: &Path) -> Result<i64, OpenError> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let read = || -> rusqlite::Result<(i64, i64, i64)> {
        let tables =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        Ok((pragma("application_id")?, pragma("user_version")?, tables))
    };
    match read() {
        Ok((APPLICATION_ID, version, _)) => Ok(version),
        Ok((0, 0, 0)) => Ok(0),
        Ok(_) => Err(OpenError::Foreign(path.to_owned())),
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) => {
            Err(OpenError::Foreign(path.to_owned()))
        }
        Err(error) => Err(damaged(path, &error)),
    }
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    // FULL: what was answered is on disk. Foreign keys are checked as the rows are written. What is
    // deleted is overwritten, so that an erasure leaves nothing in the file.
    connection.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON;
         PRAGMA temp_store = MEMORY; PRAGMA cache_size = -65536; PRAGMA busy_timeout = 5000;
         PRAGMA wal_autocheckpoint = 0;",
    )?;
    map(connection)?;
    // Plans that do not depend on bound values: without it, statements are planned anew with each.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(())
}

fn keep_copy(connection: &Connection, path: &Path, schema: i64) -> Result<(), OpenError> {
    let mut copy = path.as_os_str().to_owned();
    copy.push(format!(".schema-{schema}"));
    // A copy from an attempt that did not get to its end is made anew.
    let _ = std::fs::remove_file(&copy);
    let target = copy.to_string_lossy().into_owned();
    make_private(Path::new(&copy)).map_err(|error| OpenError::NotWritable {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    connection.execute("VACUUM INTO ?1", [&target]).map(drop).map_err(|error| damaged(path, &error))
}

fn migrate(
    connection: &mut Connection,
    migrations: &[&str],
    found: i64,
    database_id: &str,
) -> rusqlite::Result<()> {
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let run = usize::try_from(found).unwrap_or(0);
    for migration in migrations.iter().skip(run) {
        transaction.execute_batch(migration)?;
    }
    if found == 0 {
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.execute(
            "INSERT INTO databases (one, id, epoch) VALUES (1, ?1, 1)",
            params![database_id],
        )?;
    }
    transaction.pragma_update(None, "user_version", migrations.len())?;
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "CREATE TABLE databases (one INTEGER, id TEXT, epoch INTEGER)";
    const SECOND: &str = "ALTER TABLE databases ADD COLUMN note TEXT DEFAULT 'new'";

    fn columns(path: &Path) -> usize {
        let connection = Connection::open(path).unwrap();
        connection.prepare("SELECT * FROM databases").unwrap().column_count()
    }

    #[test]
    fn an_upgrade_keeps_the_rows_and_a_copy_of_the_old_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("meishi.db");
        drop(open_with(&[FIRST], &path, "a").unwrap());
        let copy = directory.path().join("meishi.db.schema-1");
        assert!(!copy.exists(), "a new database needs no copy");

        let connection = open_with(&[FIRST, SECOND], &path, "b").unwrap();
        let row = connection.query_row("SELECT id, note FROM databases", [], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        });
        assert_eq!(row.unwrap(), ("a".to_owned(), "new".to_owned()));
        assert_eq!((columns(&path), columns(&copy)), (4, 3));
        assert_eq!(schema(&connection, &path).unwrap(), 2);
        drop(connection);

        drop(open_with(&[FIRST, SECOND], &path, "c").unwrap());
        assert_eq!(columns(&copy), 3, "a start without an upgrade leaves the copy alone");
    }

    #[test]
    fn a_migration_that_fails_leaves_the_database_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("meishi.db");
        drop(open_with(&[FIRST], &path, "a").unwrap());
        let failure = open_with(&[FIRST, SECOND, "no such statement"], &path, "b").unwrap_err();
        assert!(matches!(failure, OpenError::Damaged { .. }), "{failure}");
        assert_eq!(columns(&path), 3);
        assert!(open_with(&[FIRST], &path, "a").is_ok(), "the old version still opens it");
    }
}
