//! The writer: one thread that owns the only writing connection and lets calls share commits.
//!
//! It waits for one call, takes what is queued behind it already (it gives way once, but never waits
//! for more), does all of it in one transaction, and only then answers. So an answer means that the
//! change is on disk, and under load many calls share one fsync. Changes of one account are done
//! together, as a lane of PostgreSQL does them; where one of them fails the others, each is done by
//! itself. The log is folded into the file by `checkpoint.rs`.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use meishi_contacts::{
    AccountId,
    limits::{BATCH_CHANGES, GROUP_CALLS, WRITE_QUEUE, WRITE_QUEUE_CHANGES},
};
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::{
    changes::{self, Answer},
    checkpoint::{self, Checkpointer},
    execute,
    identities::Identities,
    migrations,
    names::NameCache,
    shown::{ShownContacts, Touched},
    store_error,
};
use crate::{StoreError, ledger};

/// A handle to the writer's thread.
pub(super) struct Writer {
    queue: mpsc::Sender<Message>,
    /// How many changes may wait besides.
    room: Arc<Semaphore>,
}

enum Message {
    Changes(Box<Changes>),
    Call(Box<dyn Call>),
    Alone(Alone),
}

/// Changes that wait, or that were made and wait for their commit.
struct Changes {
    call: ledger::Call,
    answer: Answer,
    reply: oneshot::Sender<Answer>,
    /// Held until they are made.
    _room: OwnedSemaphorePermit,
}

/// What is done between two groups.
enum Alone {
    EmptyLog(oneshot::Sender<Result<bool, StoreError>>),
    Close(oneshot::Sender<()>),
}

/// Other work that waits, or that ran and waits for its commit.
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
    pub(super) fn start(
        connection: Connection,
        checkpointer: Connection,
        identities: Identities,
        names: Arc<NameCache>,
        shown: Arc<ShownContacts>,
    ) -> std::io::Result<Self> {
        let (queue, calls) = mpsc::channel(WRITE_QUEUE);
        let checkpointer = Checkpointer::start(checkpointer)?;
        thread::Builder::new()
            .name("meishi-writer".into())
            .spawn(move || serve(connection, checkpointer, identities, &names, &shown, calls))?;
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
        let call = Box::new(PendingCall { work: Some(work), result: Err(not_run()), reply });
        self.queue(Message::Call(call))?;
        answer.await.unwrap_or_else(|_| Err(StoreError::closed()))
    }

    /// Makes changes in the next group and answers when they are on disk. Those that have not been
    /// begun when the caller goes away are never made.
    pub(super) async fn apply(&self, call: ledger::Call) -> Answer {
        let count = u32::try_from(call.changes.len()).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).try_acquire_many_owned(count);
        let room = room.map_err(|_| StoreError::Busy)?;
        let (reply, answer) = oneshot::channel();
        let changes = Changes { call, answer: Err(not_run()), reply, _room: room };
        self.queue(Message::Changes(Box::new(changes)))?;
        answer.await.unwrap_or_else(|_| Err(StoreError::closed()))
    }

    fn queue(&self, message: Message) -> Result<(), StoreError> {
        self.queue.try_send(message).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => StoreError::closed(),
        })
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

fn not_run() -> StoreError {
    StoreError::Internal("the call was not run".into())
}

fn serve(
    connection: Connection,
    checkpointer: Checkpointer,
    mut identities: Identities,
    names: &NameCache,
    shown: &ShownContacts,
    mut queue: mpsc::Receiver<Message>,
) {
    let closing = loop {
        let Some(first) = queue.blocking_recv() else { break None };
        // Where this thread shares a core with those that bring calls, they bring theirs first.
        thread::yield_now();
        let (group, alone) = Group::gather(first, &mut queue);
        metrics::gauge!("meishi_store_queue_calls").set(count(queue.len()));
        if !group.is_empty() {
            group.serve(&connection, &mut identities, names, shown);
            checkpointer.note_commit();
            if checkpointer.remainder()
                && let Err(error) = checkpoint::passive(&connection)
            {
                tracing::warn!(%error, "the rest of the log could not be folded in");
            }
        }
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
    if let Err(error) = identities.close(&connection) {
        tracing::warn!(%error, "new addresses are left to the next start");
    }
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

/// What shares a commit.
#[derive(Default)]
struct Group {
    /// By account, in the order in which they came.
    changes: BTreeMap<AccountId, Vec<Changes>>,
    calls: Vec<Box<dyn Call>>,
    /// What the changes did to contacts; a little more where calls were begun twice.
    touched: Touched,
}

impl Group {
    /// Takes the first and what is queued behind it, up to a limit, or to what is to be done alone.
    fn gather(first: Message, queue: &mut mpsc::Receiver<Message>) -> (Self, Option<Alone>) {
        let mut group = Self::default();
        let (mut calls, mut changes) = (0, 0);
        let mut next = Some(first);
        while let Some(message) = next.take() {
            match message {
                Message::Alone(alone) => return (group, Some(alone)),
                Message::Call(call) => {
                    group.calls.extend((!call.is_abandoned()).then_some(call));
                }
                Message::Changes(waiting) if waiting.reply.is_closed() => {}
                Message::Changes(waiting) => {
                    changes += waiting.call.changes.len();
                    group.changes.entry(waiting.call.cx.account).or_default().push(*waiting);
                }
            }
            calls += 1;
            if calls < GROUP_CALLS && changes < BATCH_CHANGES {
                next = queue.try_recv().ok();
            }
        }
        (group, None)
    }

    fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.calls.is_empty()
    }

    /// Does all of it as one commit, and answers.
    fn serve(
        mut self,
        connection: &Connection,
        identities: &mut Identities,
        names: &NameCache,
        shown: &ShownContacts,
    ) {
        let ran = execute(connection, "BEGIN IMMEDIATE")
            .map_err(|error| store_error(&error))
            .and_then(|()| self.run(connection, identities));
        let committing = Instant::now();
        let mut marked = None;
        let committed = ran.and_then(|()| {
            marked = shown.committing(&self.touched);
            commit(connection)
        });
        match &committed {
            Ok(()) => identities.commit(),
            Err(_) => identities.roll_back(),
        }
        if self.touched.renames() {
            names.forget();
        }
        // Only now: what is read from here on is with the names as they are.
        drop(marked);
        metrics::histogram!("meishi_store_commit_seconds").record(committing.elapsed());
        let calls = self.calls.len() + self.changes.values().map(Vec::len).sum::<usize>();
        metrics::histogram!("meishi_store_group_calls").record(count(calls));
        if let Err(error) = &committed {
            tracing::error!(%error, calls, "a group of writes failed");
        }
        for waiting in self.changes.into_values().flatten() {
            // Nobody to answer is no failure: the caller has gone away.
            let _ = waiting.reply.send(committed.clone().and(waiting.answer));
        }
        for call in self.calls {
            call.answer(committed.clone());
        }
    }

    /// Does all of it. An error is one of the whole group: SQLite gives up the transaction on a
    /// full disk and the like.
    fn run(
        &mut self,
        connection: &Connection,
        identities: &mut Identities,
    ) -> Result<(), StoreError> {
        for (account, waiting) in &mut self.changes {
            let touched = &mut self.touched;
            if !apply(connection, identities, touched, *account, waiting)? && waiting.len() > 1 {
                for one in waiting.chunks_mut(1) {
                    apply(connection, identities, touched, *account, one)?;
                }
            }
        }
        for call in &mut self.calls {
            in_savepoint(connection, || call.run(connection))?;
        }
        let mut failed = None;
        in_savepoint(connection, || {
            failed = identities.fold(connection).err();
            failed.is_none()
        })?;
        if let Some(error) = failed {
            identities.give_up_folding(&error);
        }
        identities.announce();
        Ok(())
    }
}

/// Makes changes of one account; `false` when one failed, and then nothing of any is left.
fn apply(
    connection: &Connection,
    identities: &mut Identities,
    touched: &mut Touched,
    account: AccountId,
    waiting: &mut [Changes],
) -> Result<bool, StoreError> {
    let mut done = false;
    let savepoint = identities.savepoint();
    in_savepoint(connection, || {
        let calls: Vec<_> = waiting.iter().map(|waiting| &waiting.call).collect();
        let apply = || changes::apply(connection, identities, touched, account, &calls);
        let answers = catch_unwind(AssertUnwindSafe(apply))
            .unwrap_or_else(|_| Err(StoreError::Internal("a change panicked".into())));
        done = answers.is_ok();
        let answers = answers.unwrap_or_else(|error| vec![Err(error); waiting.len()]);
        for (waiting, answer) in waiting.iter_mut().zip(answers) {
            waiting.answer = answer;
        }
        done
    })?;
    if !done {
        identities.roll_back_to(savepoint);
    }
    Ok(done)
}

/// Does work of which nothing stays when it answers `false`.
fn in_savepoint(connection: &Connection, work: impl FnOnce() -> bool) -> Result<(), StoreError> {
    let run = || -> rusqlite::Result<()> {
        execute(connection, "SAVEPOINT call")?;
        if !work() && !connection.is_autocommit() {
            execute(connection, "ROLLBACK TO call")?;
        }
        execute(connection, "RELEASE call")
    };
    run().map_err(|error| {
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
        let tables = "CREATE TABLE t (x BLOB);
            CREATE TABLE recent_identities (position, account_id, kind, value, contact_id)";
        connection.execute_batch(&format!("PRAGMA journal_mode = WAL; {tables}")).unwrap();
        let identities = Identities::open(&connection).unwrap();
        let writer = Writer::start(connection, open(), identities, Arc::default(), Arc::default());
        let writer = writer.unwrap();
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
