//! The writer: one thread that owns the only writing connection and lets calls share commits.
//!
//! It waits for one call, begins a transaction, runs the call in a savepoint, goes on with what is
//! queued already (it never waits for more), commits, and only then answers. So an answer means
//! that the change is on disk, and under load many calls share one fsync. The log is folded into
//! the file by `checkpoint.rs`.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use meishi_contacts::limits::{GROUP_CALLS, GROUP_TIME, WRITE_QUEUE, WRITE_QUEUE_CHANGES};
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::{
    checkpoint::{self, Checkpointer},
    execute, migrations, store_error,
};
use crate::StoreError;

/// A handle to the writer's thread.
pub(super) struct Writer {
    queue: mpsc::Sender<Message>,
    /// How many changes may wait besides.
    room: Arc<Semaphore>,
}

enum Message {
    Call(Box<dyn Call>),
    Alone(Alone),
}

/// What is done between two groups.
enum Alone {
    EmptyLog(oneshot::Sender<Result<bool, StoreError>>),
    Close(oneshot::Sender<()>),
}

/// A call that waits, or that ran and waits for its commit.
trait Call: Send {
    /// Whether nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;
    /// Does the work; `false` when it failed and must leave nothing behind.
    fn run(&mut self, connection: &Connection) -> bool;
    /// Gives the work's answer, or the commit's failure in its place.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

struct PendingCall<F, T> {
    work: Option<F>,
    result: Result<T, StoreError>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Call for PendingCall<F, T>
where
    F: FnOnce(&Connection) -> Result<T, StoreError> + Send,
    T: Send,
{
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn run(&mut self, connection: &Connection) -> bool {
        if let Some(work) = self.work.take() {
            self.result = catch_unwind(AssertUnwindSafe(|| work(connection)))
                .unwrap_or_else(|_| Err(StoreError::Internal("a change panicked".into())));
        }
        self.result.is_ok()
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        // Nobody to answer is no failure: the caller has gone away.
        let _ = self.reply.send(committed.and(self.result));
    }
}

impl Writer {
    /// Starts the threads. `checkpointer` is a second connection to the same file.
    pub(super) fn start(connection: Connection, checkpointer: Connection) -> std::io::Result<Self> {
        let (queue, calls) = mpsc::channel(WRITE_QUEUE);
        let checkpointer = Checkpointer::start(checkpointer)?;
        thread::Builder::new()
            .name("meishi-writer".into())
            .spawn(move || serve(connection, checkpointer, calls))?;
        Ok(Self { queue, room: Arc::new(Semaphore::new(WRITE_QUEUE_CHANGES)) })
    }

    /// Runs `work` in the next group and answers when it is on disk. Nothing of it stays when it
    /// fails. Work that has not begun when the caller goes away is never begun.
    pub(super) async fn call<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let result = Err(StoreError::Internal("the call was not run".into()));
        let call = Box::new(PendingCall { work: Some(work), result, reply });
        self.queue.try_send(Message::Call(call)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => StoreError::closed(),
        })?;
        answer.await.unwrap_or_else(|_| Err(StoreError::closed()))
    }

    /// Makes room for so many changes, which is held until they ran.
    pub(super) fn room(&self, changes: usize) -> Result<OwnedSemaphorePermit, StoreError> {
        let changes = u32::try_from(changes).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).try_acquire_many_owned(changes);
        room.map_err(|_| StoreError::Busy)
    }

    /// Folds the log into the file and empties it; `false` when a reader is in the way.
    pub(super) async fn empty_log(&self) -> Result<bool, StoreError> {
        let (reply, answer) = oneshot::channel();
        let message = Message::Alone(Alone::EmptyLog(reply));
        self.queue.send(message).await.map_err(|_| StoreError::closed())?;
        answer.await.unwrap_or_else(|_| Err(StoreError::closed()))
    }

    /// Finishes what is queued, then closes the database.
    pub(super) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.queue.send(Message::Alone(Alone::Close(done))).await.is_ok() {
            // An error means that the thread is gone, which is what was asked for.
            let _ = closed.await;
        }
    }
}

fn serve(connection: Connection, checkpointer: Checkpointer, mut queue: mpsc::Receiver<Message>) {
    let closing = loop {
        let alone = match queue.blocking_recv() {
            Some(Message::Call(call)) => {
                let alone = serve_group(&connection, call, &mut queue);
                checkpointer.note_commit();
                if checkpointer.remainder()
                    && let Err(error) = checkpoint::passive(&connection)
                {
                    tracing::warn!(%error, "the rest of the log could not be folded in");
                }
                alone
            }
            Some(Message::Alone(alone)) => Some(alone),
            None => break None,
        };
        match alone {
            Some(Alone::Close(done)) => break Some(done),
            Some(Alone::EmptyLog(reply)) => {
                let _ = reply.send(empty_log(&connection).map_err(|error| store_error(&error)));
            }
            None => {}
        }
    };
    queue.close();
    checkpointer.stop();
    // Folds the log back into the file, so that a copy of the file alone is whole. A failure costs
    // nothing but the next start's recovery, but whoever copies the file should know.
    match checkpoint(&connection) {
        Ok(true) => {}
        Ok(false) => tracing::warn!("the log was in use and is still beside the database"),
        Err(error) => tracing::error!(%error, "the log is still beside the database"),
    }
    if let Err((_, error)) = connection.close() {
        tracing::warn!(%error, "the database did not close cleanly");
    }
    if let Some(done) = closing {
        let _ = done.send(());
    }
}

/// Folds the log into the file without waiting for readers, since calls may wait.
fn empty_log(connection: &Connection) -> rusqlite::Result<bool> {
    connection.busy_timeout(Duration::ZERO)?;
    let emptied = checkpoint(connection);
    connection.busy_timeout(migrations::BUSY_TIMEOUT)?;
    emptied
}

/// Folds the log into the file and empties it; `false` when it is in use.
fn checkpoint(connection: &Connection) -> rusqlite::Result<bool> {
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    connection.query_row(checkpoint, [], |row| row.get::<_, bool>(0)).map(|in_use| !in_use)
}

/// Runs a call and those queued behind it as one commit. Answers what is to be done alone, if it is
/// met on the way.
fn serve_group(
    connection: &Connection,
    first: Box<dyn Call>,
    queue: &mut mpsc::Receiver<Message>,
) -> Option<Alone> {
    let begun = Instant::now();
    metrics::gauge!("meishi_store_queue_calls").set(count(queue.len()));
    if let Err(error) = execute(connection, "BEGIN IMMEDIATE") {
        first.answer(Err(store_error(&error)));
        return None;
    }
    let mut group: Vec<Box<dyn Call>> = Vec::new();
    let mut alone = None;
    let mut next = Some(first);
    let mut outcome = Ok(());
    while let Some(mut call) = next.take() {
        if !call.is_abandoned() {
            outcome = run(connection, call.as_mut());
            group.push(call);
        }
        if outcome.is_err() || group.len() >= GROUP_CALLS || begun.elapsed() >= GROUP_TIME {
            break;
        }
        match queue.try_recv() {
            Ok(Message::Call(call)) => next = Some(call),
            Ok(Message::Alone(met)) => alone = Some(met),
            Err(_) => {}
        }
    }
    let committing = Instant::now();
    let committed = outcome.and_then(|()| commit(connection));
    metrics::histogram!("meishi_store_commit_seconds").record(committing.elapsed());
    metrics::histogram!("meishi_store_group_calls").record(count(group.len()));
    metrics::gauge!("meishi_store_queue_calls").set(count(queue.len()));
    if let Err(error) = &committed {
        tracing::error!(%error, calls = group.len(), "a group of writes failed");
    }
    for call in group {
        call.answer(committed.clone());
    }
    alone
}

/// Runs one call in a savepoint. An error is one of the whole group: SQLite gives up the
/// transaction on a full disk and the like.
fn run(connection: &Connection, call: &mut dyn Call) -> Result<(), StoreError> {
    let mut in_savepoint = || -> rusqlite::Result<()> {
        execute(connection, "SAVEPOINT call")?;
        if !call.run(connection) && !connection.is_autocommit() {
            execute(connection, "ROLLBACK TO call")?;
        }
        execute(connection, "RELEASE call")
    };
    in_savepoint().map_err(|error| {
        rollback(connection);
        match store_error(&error) {
            // The savepoint is gone because SQLite rolled everything back by itself.
            StoreError::Internal(reason) => StoreError::Unavailable(reason),
            other => other,
        }
    })
}

fn commit(connection: &Connection) -> Result<(), StoreError> {
    let Err(error) = execute(connection, "COMMIT") else { return Ok(()) };
    rollback(connection);
    Err(match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => StoreError::Unavailable(error.to_string()),
        // The log may have been written although its fsync failed.
        _ => StoreError::InDoubt(error.to_string()),
    })
}

fn rollback(connection: &Connection) {
    if !connection.is_autocommit()
        && let Err(error) = execute(connection, "ROLLBACK")
    {
        tracing::error!(%error, "a failed group could not be rolled back");
    }
}

#[expect(clippy::cast_precision_loss, reason = "a queue's length is far below 2^52")]
fn count(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer() -> (tempfile::TempDir, Writer) {
        let directory = tempfile::tempdir().unwrap();
        let open = || Connection::open(directory.path().join("db")).unwrap();
        let connection = open();
        connection.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x BLOB)").unwrap();
        let writer = Writer::start(connection, open()).unwrap();
        (directory, writer)
    }

    async fn insert(writer: &Writer, bytes: usize) -> Result<(), StoreError> {
        let insert = move |connection: &Connection| {
            connection
                .execute("INSERT INTO t VALUES (zeroblob(?1))", [bytes])
                .map(drop)
                .map_err(|error| store_error(&error))
        };
        writer.call(insert).await
    }

    async fn count(writer: &Writer) -> i64 {
        let count = |connection: &Connection| {
            connection
                .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
                .map_err(|error| store_error(&error))
        };
        writer.call(count).await.unwrap()
    }

    #[tokio::test]
    async fn a_call_that_panics_leaves_nothing_behind_and_the_writer_lives_on() {
        let (_directory, writer) = writer();
        let panicking = |connection: &Connection| -> Result<(), StoreError> {
            connection.execute("INSERT INTO t VALUES (1)", []).unwrap();
            panic!("as a defect would");
        };
        let answer = writer.call(panicking).await;
        assert!(matches!(answer, Err(StoreError::Internal(_))), "{answer:?}");
        insert(&writer, 1).await.unwrap();
        assert_eq!(count(&writer).await, 1);
    }

    #[tokio::test]
    async fn a_full_disk_is_told_and_the_writer_goes_on_when_there_is_room_again() {
        let (_directory, writer) = writer();
        let limit = |pages: usize| {
            move |connection: &Connection| {
                connection
                    .query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
                    .map_err(|error| store_error(&error))
            }
        };
        writer.call(limit(20)).await.unwrap();
        let answer = insert(&writer, 1_000_000).await;
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
        assert_eq!(count(&writer).await, 0);
        writer.call(limit(100_000)).await.unwrap();
        insert(&writer, 1_000_000).await.unwrap();
        assert_eq!(count(&writer).await, 1);
    }
}
