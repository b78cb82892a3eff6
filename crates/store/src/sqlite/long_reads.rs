//! Reads that take seconds, a backup or an examination: each on a thread and a connection of its
//! own, so that neither requests nor the writer wait for it.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::{migrations, store_error};
use crate::StoreError;

/// Steps of SQLite's machine after which a read looks whether the store is being closed.
const STEPS: i32 = 10_000;

/// Lets one of them run at a time.
pub(super) struct LongReads {
    path: PathBuf,
    turn: Arc<Semaphore>,
    closing: Arc<AtomicBool>,
}

impl LongReads {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, turn: Arc::new(Semaphore::new(1)), closing: Arc::default() }
    }

    /// Runs a read when those before it are done.
    pub(super) async fn run<T, E>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let Ok(turn) = Arc::clone(&self.turn).acquire_owned().await else {
            return Err(StoreError::closed().into());
        };
        let (path, closing) = (self.path.clone(), Arc::clone(&self.closing));
        let read = move || {
            let _turn = turn;
            let watched = Arc::clone(&closing);
            let stop = move || watched.load(Ordering::Relaxed);
            let open = || {
                let mut connection = migrations::open_reader(&path)?;
                connection.progress_handler(STEPS, Some(stop))?;
                Ok(connection)
            };
            let connection = open().map_err(|error| store_error(&error))?;
            // What fails while the store is being closed fails because of that.
            work(&connection).map_err(|error| {
                if closing.load(Ordering::Relaxed) { StoreError::closed().into() } else { error }
            })
        };
        let done = tokio::task::spawn_blocking(read).await;
        done.unwrap_or_else(|error| Err(StoreError::Internal(error.to_string()).into()))
    }

    /// Breaks off the one that runs; every later one fails.
    pub(super) async fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
        // An error means that it is closed.
        let _ended = self.turn.acquire().await;
        self.turn.close();
    }
}
