//! The checkpointer: a thread that folds the log into the file while the writer goes on, so that
//! no commit waits for it.
//!
//! A log can only begin anew when all of it is folded in, which never happens behind a writer that
//! never rests. So, once the log is long, the writer itself folds in the little that is left
//! between two groups ([`Checkpointer::remainder`]).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rusqlite::Connection;

/// How long commits gather before they are folded in: a page that many of them wrote is then copied
/// once.
const PAUSE: Duration = Duration::from_millis(500);

/// Pages of a log that is to begin anew.
const LONG: i64 = 16_000;

/// A handle to the checkpointer's thread.
pub(super) struct Checkpointer {
    written: SyncSender<()>,
    remainder: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Checkpointer {
    /// Starts the thread, with a connection of its own.
    pub(super) fn start(connection: Connection) -> std::io::Result<Self> {
        let (written, commits) = sync_channel(1);
        let remainder = Arc::new(AtomicBool::new(false));
        let left = Arc::clone(&remainder);
        let thread = thread::Builder::new()
            .name("meishi-checkpoint".into())
            .spawn(move || serve(&connection, &commits, &left))?;
        Ok(Self { written, remainder, thread })
    }

    /// Notes that the log has grown.
    pub(super) fn note_commit(&self) {
        // One that is full has been noted already; one that is closed has failed and said so.
        let _ = self.written.try_send(());
    }

    /// Whether the log is long and nearly all of it folded in: true once each time.
    pub(super) fn remainder(&self) -> bool {
        self.remainder.load(Ordering::Relaxed) && self.remainder.swap(false, Ordering::Relaxed)
    }

    /// Ends the thread and waits for it.
    pub(super) fn stop(self) {
        drop(self.written);
        if self.thread.join().is_err() {
            tracing::error!("the checkpointer panicked");
        }
    }
}

fn serve(connection: &Connection, commits: &Receiver<()>, remainder: &AtomicBool) {
    loop {
        hold(connection);
        if commits.recv().is_err() {
            return;
        }
        let_go(connection);
        thread::sleep(PAUSE);
        match passive(connection) {
            Ok(log) => remainder.store(log >= LONG, Ordering::Relaxed),
            Err(error) => tracing::warn!(%error, "the log could not be folded in"),
        }
    }
}

/// Reads without an end until the next commit. The first read of a process at some place of the log
/// locks a file for it, and the last one unlocks it; all others find it locked and need not ask the
/// system, which is a tenth of what a point read costs.
fn hold(connection: &Connection) {
    let read = connection.execute_batch("BEGIN; SELECT 1 FROM sqlite_schema LIMIT 1");
    if let Err(error) = read {
        tracing::debug!(%error, "readers lock for themselves");
    }
}

/// Ends that read: what is written from then on can be folded in.
fn let_go(connection: &Connection) {
    if !connection.is_autocommit()
        && let Err(error) = connection.execute_batch("ROLLBACK")
    {
        tracing::warn!(%error, "the log is held by an idle read");
    }
}

/// Folds in what no reader is in the way of, without waiting, and tells how many pages the log has.
pub(super) fn passive(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_folded_in_and_a_long_one_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db");
        let writer = Connection::open(&path).unwrap();
        writer
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (x)",
            )
            .unwrap();
        let checkpointer = Checkpointer::start(Connection::open(&path).unwrap()).unwrap();
        writer.execute("INSERT INTO t VALUES (zeroblob(?1))", [LONG * 4096]).unwrap();
        checkpointer.note_commit();
        while !checkpointer.remainder() {
            thread::sleep(Duration::from_millis(10));
        }
        assert!(!checkpointer.remainder());
        // All of it is in the file, and so the next commit begins the log anew.
        writer.execute("INSERT INTO t VALUES (1)", []).unwrap();
        assert!(passive(&writer).unwrap() < LONG);
        checkpointer.stop();
    }
}
