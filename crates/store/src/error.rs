//! What can go wrong with the database itself.

use std::path::PathBuf;

/// Why a call did not get through. The texts are for the log; callers get a sentence of their own.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The queue is full; nothing was written.
    #[error("the write queue is full")]
    Busy,
    /// The call has more changes than are allowed; nothing was written.
    #[error("too many changes in one call")]
    TooManyChanges,
    /// The idempotency key was used for another request; nothing was written.
    #[error("the idempotency key was used for another request")]
    IdempotencyMismatch,
    /// The commit failed in a way that leaves open whether it took place.
    #[error("the commit is in doubt: {0}")]
    InDoubt(String),
    /// The database cannot be reached or cannot write (a full disk); nothing was written.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// What is stored cannot be read, or a defect was met; nothing was written.
    #[error("the store failed: {0}")]
    Internal(String),
}

/// Why a store could not be opened: one sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the data directory.
    #[error(
        "the data directory {} is in use by another meishi process; stop that one or choose \
         another directory with --data-dir",
        .0.display()
    )]
    Held(PathBuf),
    /// The data directory cannot be made or written to.
    #[error(
        "the data directory {} cannot be used ({reason}); make it writable or choose another \
         one with --data-dir",
        path.display()
    )]
    NotWritable {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// A later version of Meishi wrote the database.
    #[error(
        "the database {} was written by a newer meishi (schema {found}, this one knows {known}); \
         start that version or restore a copy from before its upgrade",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema that this version knows.
        known: i64,
    },
    /// The file is no database of Meishi's.
    #[error(
        "{} is not a database of meishi's; move it away or choose another directory with \
         --data-dir",
        .0.display()
    )]
    Foreign(PathBuf),
    /// The database cannot be read.
    #[error(
        "the database {} cannot be opened ({reason}); restore it from a backup if it is damaged",
        path.display()
    )]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What the database says.
        reason: String,
    },
}
