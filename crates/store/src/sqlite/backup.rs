//! A copy of the database as of one moment, while it is written to.

use std::path::Path;

use meishi_contacts::UnixMillis;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{partial::Partial, store_error};
use crate::{Backup, BackupError, Contents};

/// Writes a backup on a connection of its own.
pub(super) fn write(connection: &Connection, file: &Path) -> Result<Backup, BackupError> {
    let not_writable = |reason: String| BackupError::NotWritable { path: file.to_owned(), reason };
    if std::fs::symlink_metadata(file).is_ok() {
        return Err(BackupError::Exists(file.to_owned()));
    }
    let partial =
        Partial::create(file, "partial").map_err(|error| not_writable(error.to_string()))?;
    let Some(name) = partial.path().to_str() else {
        return Err(not_writable("its path is not UTF-8".into()));
    };
    let copy = || {
        // The database itself stays read-only: its file was opened so.
        connection.pragma_update(None, "query_only", false)?;
        // One read transaction; it writes what is there, without the room of what is gone.
        connection.execute("VACUUM INTO ?1", [name])?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        contents(&Connection::open_with_flags(name, flags)?)
    };
    let contents = copy().map_err(|error| match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => store_error(&error).into(),
        _ => not_writable(error.to_string()),
    })?;
    let bytes = partial.finish().map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => BackupError::Exists(file.to_owned()),
        _ => not_writable(error.to_string()),
    })?;
    Ok(Backup { bytes, contents })
}

/// What a database holds.
pub(super) fn contents(connection: &Connection) -> rusqlite::Result<Contents> {
    let totals = "SELECT count(*), coalesce(sum(contacts), 0), coalesce(sum(last_seq), 0)
                  FROM counters";
    let last = "SELECT max(events.at) FROM counters
                JOIN events ON events.account_id = counters.account_id
                  AND events.seq = counters.last_seq";
    let last_event_at: Option<i64> = connection.query_row(last, [], |row| row.get(0))?;
    connection.query_row(totals, [], |row| {
        Ok(Contents {
            accounts: row.get(0)?,
            contacts: row.get(1)?,
            events: row.get(2)?,
            last_event_at: last_event_at.map(UnixMillis),
        })
    })
}
