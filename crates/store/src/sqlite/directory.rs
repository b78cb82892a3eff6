//! The data directory: made on the first start, held by one process at a time.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use crate::OpenError;

const DATABASE: &str = "meishi.db";

/// A data directory that this process holds until the value is dropped.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    _lock: File,
}

impl DataDirectory {
    /// Makes the directory where there is none, for its owner only, and takes hold of it.
    pub fn hold(path: &Path) -> Result<Self, OpenError> {
        let not_writable = |error: std::io::Error| OpenError::NotWritable {
            path: path.to_owned(),
            reason: error.to_string(),
        };
        if !path.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(not_writable)?;
        }
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join("meishi.lock"))
            .map_err(not_writable)?;
        // The lock belongs to the open file, so that it goes with the process, however that ends.
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(OpenError::Held(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(not_writable(error)),
        }
    }

    /// Where the directory is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The database's file.
    pub fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// Whether there is a database in a directory.
    pub fn has_database(path: &Path) -> bool {
        fs::exists(path.join(DATABASE)).unwrap_or(false)
    }
}
