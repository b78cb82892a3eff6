//! A data directory's database made from a backup.
//!
//! The copy is checked, brought to the present schema and given its next epoch under another name;
//! the last step gives it its own. Whoever is killed before leaves no database.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use meishi_contacts::UnixMillis;
use rusqlite::Connection;

use super::{
    accounts, backup, examine, migrations,
    partial::{Partial, with_suffix},
};
use crate::{
    Contents, DataDirectory, Database, OpenError,
    examine::{Finding, Severity},
};

/// The ending of the copy's name while it is made.
const ENDING: &str = "restoring";

/// A database that was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Where it is.
    pub path: PathBuf,
    /// Which one it is, with its new epoch.
    pub database: Database,
    /// What is in it.
    pub contents: Contents,
}

/// Why nothing was restored: one sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The data directory is held or cannot be used.
    #[error(transparent)]
    Directory(#[from] OpenError),
    /// There is a database in the data directory, or what is left of one.
    #[error(
        "{} is there already; move it away or choose another directory with --data-dir",
        .0.display()
    )]
    Exists(PathBuf),
    /// The backup cannot be read.
    #[error("the backup {} cannot be read ({reason})", path.display())]
    Unreadable {
        /// The backup.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The file is no database of Meishi's.
    #[error("{} is not a backup of meishi's", .0.display())]
    Foreign(PathBuf),
    /// A later version of Meishi wrote it.
    #[error(
        "the backup {} was written by a newer meishi (schema {found}, this one knows {known}); \
         restore it with that version",
        path.display()
    )]
    Newer {
        /// The backup.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema that this version knows.
        known: i64,
    },
    /// The backup is damaged.
    #[error("the backup {} is damaged ({reason}); take another one", path.display())]
    Damaged {
        /// The backup.
        path: PathBuf,
        /// What the database says.
        reason: String,
    },
    /// What is in the backup contradicts itself.
    #[error(
        "the backup {} is not sound ({}: {}); take another one, or restore it all the same with \
         --force and see what `meishi doctor` says",
        path.display(),
        finding.check,
        finding.message
    )]
    Unsound {
        /// The backup.
        path: PathBuf,
        /// The first of what is wrong.
        finding: Box<Finding>,
    },
}

/// Makes the database of a data directory, which must have none, from a backup, and raises its
/// epoch. The backup is only read. With `force` it need not be sound, only whole; `now` is what
/// the clock shows.
pub fn restore(
    file: &Path,
    data_dir: &Path,
    now: UnixMillis,
    force: bool,
) -> Result<Restored, RestoreError> {
    let unreadable = |reason: String| RestoreError::Unreadable { path: file.to_owned(), reason };
    // Looked for first: a name that was mistyped makes no data directory.
    let metadata = fs::metadata(file).map_err(|error| unreadable(error.to_string()))?;
    if !metadata.is_file() {
        return Err(unreadable("it is not a file".into()));
    }
    let directory = DataDirectory::hold(data_dir)?;
    let path = directory.database();
    for found in [path.clone(), with_suffix(&path, "-wal"), with_suffix(&path, "-journal")] {
        // A log of a database that is gone would be taken for the new one's.
        if fs::symlink_metadata(&found).is_ok() {
            return Err(RestoreError::Exists(found));
        }
    }
    let left_behind = fs::canonicalize(Partial::path_of(&path, ENDING));
    if left_behind.is_ok_and(|left| fs::canonicalize(file).is_ok_and(|file| file == left)) {
        return Err(unreadable("it is what a restore left behind that was broken off".into()));
    }

    let not_writable = |error: io::Error| OpenError::NotWritable {
        path: data_dir.to_owned(),
        reason: error.to_string(),
    };
    let partial = Partial::create(&path, ENDING).map_err(not_writable)?;
    copy(file, partial.path()).map_err(not_writable)?;
    let log = with_suffix(file, "-wal");
    if log.is_file() {
        // Part of the database, if a stopped server's files were copied.
        copy(&log, &with_suffix(partial.path(), "-wal")).map_err(not_writable)?;
    }
    let (database, contents) = make_sound(partial.path(), file, now, force)?;
    partial.finish().map_err(not_writable)?;
    Ok(Restored { path, database, contents })
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut to = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(to)?;
    io::copy(&mut File::open(from)?, &mut to).map(drop)
}

/// Checks the copy and makes it a database of this version with its next epoch.
fn make_sound(
    copy: &Path,
    file: &Path,
    now: UnixMillis,
    force: bool,
) -> Result<(Database, Contents), RestoreError> {
    let path = file.to_owned();
    let mut connection = migrations::open_copy(copy).map_err(|error| match error {
        OpenError::Newer { found, known, .. } => {
            RestoreError::Newer { path: path.clone(), found, known }
        }
        OpenError::Foreign(_) => RestoreError::Foreign(path.clone()),
        OpenError::Damaged { reason, .. } => RestoreError::Damaged { path: path.clone(), reason },
        error => error.into(),
    })?;
    let damaged = |reason: String| RestoreError::Damaged { path: path.clone(), reason };
    let failed = |error: rusqlite::Error| damaged(error.to_string());
    if let Some(reason) = defect(&connection).map_err(failed)? {
        return Err(damaged(reason));
    }
    migrations::upgrade(&mut connection).map_err(failed)?;
    let findings = examine::data(&connection, now).map_err(failed)?;
    let wrong = findings.into_iter().find(|finding| finding.severity == Severity::Wrong);
    if let Some(finding) = wrong.filter(|_| !force) {
        return Err(RestoreError::Unsound { path: path.clone(), finding: Box::new(finding) });
    }
    connection.execute("UPDATE databases SET epoch = epoch + 1", []).map_err(failed)?;
    let database = accounts::database(&connection).map_err(failed)?;
    let contents = backup::contents(&connection).map_err(failed)?;
    connection.close().map_err(|(_, error)| failed(error))?;
    Ok((database, contents))
}

/// What SQLite finds wrong with the file.
fn defect(connection: &Connection) -> rusqlite::Result<Option<String>> {
    if let Some(reason) = examine::integrity(connection, "integrity_check")? {
        return Ok(Some(reason));
    }
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
    Ok(Some(format!("a row of {table} points to none of {parent}")))
}
