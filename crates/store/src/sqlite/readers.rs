//! Reads: a few read-only connections, used on the caller's own thread.
//!
//! A point read takes microseconds, less than handing it to another thread would. Each read sees
//! everything that was committed before it began.

use std::{
    path::Path,
    sync::{Mutex, PoisonError, TryLockError},
};

use rusqlite::Connection;

use super::{execute, migrations, store_error};
use crate::StoreError;

/// The connections; each is gone once the store is closed.
pub(super) struct Readers(Vec<Mutex<Option<Connection>>>);

impl Readers {
    pub(super) fn open(path: &Path) -> rusqlite::Result<Self> {
        let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let connections = (0..=threads)
            .map(|_| migrations::open_reader(path).map(Some).map(Mutex::new))
            .collect::<rusqlite::Result<_>>()?;
        Ok(Self(connections))
    }

    /// Runs a read of several statements in one transaction, so that all of them see the same
    /// moment.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.read_one(|connection| {
            execute(connection, "BEGIN")?;
            let value = work(connection);
            // Nothing was written, so that either ending is the same; this one always works.
            execute(connection, "ROLLBACK")?;
            value
        })
    }

    /// Runs a read of one statement, which sees one moment by itself.
    pub(super) fn read_one<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        // There are more connections than threads that run handlers, so one is free.
        let free = self.0.iter().find_map(|slot| match slot.try_lock() {
            Ok(slot) => Some(slot),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        });
        let slot = match (free, self.0.first()) {
            (Some(slot), _) => slot,
            (None, Some(slot)) => slot.lock().unwrap_or_else(PoisonError::into_inner),
            (None, None) => return Err(StoreError::Internal("there is no reader".into())),
        };
        let Some(connection) = slot.as_ref() else { return Err(StoreError::closed()) };
        let read = || {
            if !connection.is_autocommit() {
                // A read panicked amid its transaction.
                execute(connection, "ROLLBACK")?;
            }
            work(connection)
        };
        read().map_err(|error| store_error(&error))
    }

    /// Closes the connections; every later read fails.
    pub(super) fn close(&self) {
        for slot in &self.0 {
            slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }
}
