//! Where the data is: the embedded database's directory, or a PostgreSQL database.

use std::{fmt, path::PathBuf};

use meishi_store::{DatabaseUrl, PostgresOptions};

/// Where the data is. `Display` leaves a password out.
#[derive(Debug)]
pub(crate) enum Place {
    /// A data directory, held by one process.
    Directory(PathBuf),
    /// A database that several servers may share.
    Postgres(Box<DatabaseUrl>, Box<PostgresOptions>),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => path.display().fmt(f),
            Self::Postgres(url, _) => url.fmt(f),
        }
    }
}
