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
    /// What the changes of the call come to is larger than
    /// [`OUTCOME_BYTES`](meishi_contacts::limits::OUTCOME_BYTES); nothing was written.
    #[error("the outcome of a call is too large")]
    OutcomeTooLarge,
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

impl StoreError {
    /// What every call is answered once the store is closed.
    pub(crate) fn closed() -> Self {
        Self::Unavailable("the store is closed".into())
    }
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
        "the database {database} was written by a newer meishi (schema {found}, this one knows \
         {known}); start that version or restore a copy from before its upgrade"
    )]
    Newer {
        /// The database.
        database: String,
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
    /// The database URL is not PostgreSQL's.
    #[error(
        "the database URL does not begin with postgres:// or postgresql://; give --database one \
         that does"
    )]
    UnknownScheme,
    /// The database URL cannot be read.
    #[error("the database URL cannot be used ({reason}); correct it in --database")]
    Url {
        /// What is wrong with it; never a piece of it that may be the password.
        reason: String,
    },
    /// Nothing answers where the database should be.
    #[error(
        "the database {database} cannot be reached ({reason}); start its server or correct the \
         host and the port in --database"
    )]
    Unreachable {
        /// Its URL without the password.
        database: String,
        /// What happened.
        reason: String,
    },
    /// The server does not let this user in.
    #[error(
        "the database {database} refuses the connection ({reason}); correct the user and the \
         password in --database"
    )]
    Refused {
        /// Its URL without the password.
        database: String,
        /// What the server says.
        reason: String,
    },
    /// The server has no database of that name.
    #[error(
        "the database {database} does not exist; make it with CREATE DATABASE or correct the name \
         in --database"
    )]
    NoDatabase {
        /// Its URL without the password.
        database: String,
    },
    /// There is no encrypted connection, or none to a server that is trusted.
    #[error(
        "the database {database} cannot be reached with TLS as asked for ({reason}); correct the \
         server's certificate or sslmode and sslrootcert in --database"
    )]
    Tls {
        /// Its URL without the password.
        database: String,
        /// What happened.
        reason: String,
    },
    /// The server, the database or the role is not one that Meishi can work with.
    #[error(
        "the database {database} cannot be used ({reason}); {remedy}, or choose another one with --database"
    )]
    Unsuitable {
        /// Its URL without the password.
        database: String,
        /// What it lacks.
        reason: String,
        /// What to do about it.
        remedy: String,
    },
    /// Anything else that the server or the driver says.
    #[error("the database {database} cannot be opened ({reason}); its server's log may tell more")]
    Failed {
        /// Its URL without the password.
        database: String,
        /// What they say.
        reason: String,
    },
    /// The database is half a copy.
    #[error(
        "the database {database} holds an unfinished copy; run `meishi copy` again to finish it"
    )]
    Unfinished {
        /// Which one.
        database: String,
    },
    /// What is to be copied, or where to, is no database.
    #[error("give --database sqlite:DIR or a URL that begins with postgres:// or postgresql://")]
    UnknownPlace,
}
