//! What a backup comes to.

use std::path::PathBuf;

use meishi_contacts::UnixMillis;

use crate::StoreError;

/// A backup that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Bytes of the file.
    pub bytes: u64,
    /// What is in it.
    pub contents: Contents,
}

/// What a database holds, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contents {
    /// Accounts.
    pub accounts: i64,
    /// Contacts of all of them.
    pub contacts: i64,
    /// Events of all of them, since each was made.
    pub events: i64,
    /// When the latest of the accounts' last events took place.
    pub last_event_at: Option<UnixMillis>,
}

/// Why there is no backup: one sentence that says what to do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BackupError {
    /// There is something of that name.
    #[error("{} is there already; choose another name or move it away", .0.display())]
    Exists(PathBuf),
    /// The file cannot be written.
    #[error(
        "the backup {} cannot be written ({reason}); choose a place that has room and that the \
         process which holds the database can write to",
        path.display()
    )]
    NotWritable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The store is not a file of Meishi's own.
    #[error(
        "a PostgreSQL database is backed up with PostgreSQL's own tools; docs/operations.md says \
         how"
    )]
    Unsupported,
    /// The database cannot be read, or the store is being closed.
    #[error("the backup was broken off ({0}); `meishi doctor` tells whether the database is whole")]
    Store(#[from] StoreError),
}
