//! Connections: a pool of them, and one that statements are run on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, Pool, QueueMode, RecyclingMethod, Runtime,
};
use futures::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::{Row, types::ToSql};

use super::{connect::DatabaseUrl, error::Error, statement::Statement};

/// How long a caller waits for a connection that is free, or for a new one.
const WAIT: Duration = Duration::from_secs(5);

/// How long lost connections are replaced by others for one call.
const TRYING: Duration = Duration::from_secs(5);

/// How long a statement may take before its connection is given up. The server's own limits are
/// below it.
const ANSWER: Duration = Duration::from_secs(30);

/// A commit is on disk when it is answered, whatever the server does by default at that moment. Where
/// it waits for replicas by default, it goes on doing so.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
     SELECT set_config('synchronous_commit', 'on', true)
     WHERE current_setting('synchronous_commit') = 'off';";

/// In a transaction that failed, COMMIT rolls back and is no error. The SELECT before it is one, and
/// keeps the COMMIT from being run at all.
const COMMIT: &str = "SELECT 1; COMMIT";

/// What every connection is set to. A lane that is stuck lets go of its account within seconds: a
/// server that froze amid a transaction is put out before those who wait for its lock give up.
///
/// Rows are only ever looked up by key. A plan that was made while a table was small must not read
/// the whole of it when it has grown, so plans by key are the only ones that are made; `lint.rs` holds
/// every statement to that.
const SETTINGS: [(&str, &str); 10] = [
    ("idle_in_transaction_session_timeout", "3s"),
    ("lock_timeout", "8s"),
    ("statement_timeout", "20s"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_sort", "off"),
    ("jit", "off"),
    ("plan_cache_mode", "force_generic_plan"),
];

/// The pool.
#[derive(Clone)]
pub(super) struct Sessions {
    pool: Pool,
    /// Connections are a pooler's, handed out for a transaction each: nothing can be prepared, and
    /// settings hold for one transaction.
    pooled: bool,
    /// Lets some of the connections read snapshots, which takes long; the others are left.
    snapshots: Arc<Semaphore>,
}

impl Sessions {
    /// A pool of at most so many connections.
    pub(super) fn new(url: &DatabaseUrl, connections: usize, pooled: bool) -> Result<Self, Error> {
        let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(url.config().clone(), url.tls(), config);
        let mut builder = Pool::builder(manager)
            .max_size(connections)
            // The one that was used last has everything at hand.
            .queue_mode(QueueMode::Lifo)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(WAIT))
            .create_timeout(url.patience().or(Some(WAIT)))
            .recycle_timeout(Some(WAIT));
        if !pooled {
            let settings = settings("SET");
            builder = builder.post_create(Hook::async_fn(move |client, _| {
                let settings = settings.clone();
                async move { client.batch_execute(&settings).await.map_err(HookError::Backend) }
                    .boxed()
            }));
        }
        let pool = builder.build().map_err(|error| Error::NoConnection(error.to_string()))?;
        let snapshots = Arc::new(Semaphore::new((connections / 4).max(2)));
        Ok(Self { pool, pooled, snapshots })
    }

    /// A connection that nobody else uses.
    pub(super) async fn get(&self) -> Result<Session, Error> {
        let client = Some(self.pool.get().await?);
        Ok(Session { client, pooled: self.pooled, in_transaction: AtomicBool::new(false) })
    }

    /// The statements that begin a lane's transaction.
    pub(super) fn begin(&self) -> String {
        if self.pooled { format!("{BEGIN} {}", settings("SET LOCAL")) } else { BEGIN.to_owned() }
    }

    /// The right to read a snapshot.
    pub(super) async fn snapshot_turn(&self) -> Result<OwnedSemaphorePermit, Error> {
        let turn = Arc::clone(&self.snapshots).acquire_owned();
        match tokio::time::timeout(WAIT, turn).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(Error::NoneFree),
        }
    }

    /// Gives the connections up; every later use fails.
    pub(super) fn close(&self) {
        self.pool.close();
    }

    /// How often something can be tried again whose connection was lost.
    pub(super) fn tries(&self) -> Tries {
        Tries { left: self.pool.status().max_size, begun: Instant::now() }
    }

    /// Whether the pool was closed.
    pub(super) fn is_closed(&self) -> bool {
        self.pool.is_closed()
    }
}

/// What may still be tried: once for each connection of the pool, all of which may have ended
/// unnoticed, unless that takes too long.
pub(super) struct Tries {
    left: usize,
    begun: Instant,
}

impl Tries {
    /// Whether there is one more.
    pub(super) fn again(&mut self) -> bool {
        let is_left = self.left > 0 && self.begun.elapsed() < TRYING;
        self.left = self.left.saturating_sub(1);
        is_left
    }
}

/// Statements that set what every connection is set to.
pub(super) fn settings(verb: &str) -> String {
    SETTINGS.map(|(name, value)| format!("{verb} {name} = '{value}';")).concat()
}

/// A connection. Dropped amid a transaction, as when a caller goes away, it is closed: the next one
/// who got it from the pool would commit what was begun.
pub(super) struct Session {
    /// Gone once it is given up.
    client: Option<Object>,
    pooled: bool,
    in_transaction: AtomicBool,
}

impl Session {
    /// Runs a statement and returns its rows.
    pub(super) async fn query(
        &self,
        statement: Statement,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        let Statement { sql, types } = statement;
        let client = self.client()?;
        in_time(async {
            if self.pooled {
                let typed: Vec<_> = parameters.iter().copied().zip(types.iter().cloned()).collect();
                client.query_typed(sql, &typed).await
            } else {
                let prepared = client.prepare_typed_cached(sql, types).await?;
                client.query(&prepared, parameters).await
            }
        })
        .await
    }

    /// Runs a statement that may take as long as it needs.
    pub(super) async fn query_slowly(&self, statement: &str) -> Result<Vec<Row>, Error> {
        Ok(self.client()?.query_typed(statement, &[]).await?)
    }

    /// Runs a statement that returns one row at most.
    pub(super) async fn query_opt(
        &self,
        statement: Statement,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>, Error> {
        Ok(self.query(statement, parameters).await?.into_iter().next())
    }

    /// Runs a statement and returns how many rows it wrote.
    pub(super) async fn execute(
        &self,
        statement: Statement,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, Error> {
        if self.pooled {
            return self.execute_planned(statement, parameters).await;
        }
        let client = self.client()?;
        in_time(async {
            let prepared = client.prepare_typed_cached(statement.sql, statement.types).await?;
            client.execute(&prepared, parameters).await
        })
        .await
    }

    /// Runs a statement with a plan of its own, for these parameters.
    pub(super) async fn execute_planned(
        &self,
        statement: Statement,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, Error> {
        let Statement { sql, types } = statement;
        let typed: Vec<_> = parameters.iter().copied().zip(types.iter().cloned()).collect();
        in_time(self.client()?.execute_typed(sql, &typed)).await
    }

    /// Prepares a statement, so that running it next sends it at once.
    pub(super) async fn prepare(&self, statement: Statement) -> Result<(), Error> {
        if self.pooled {
            return Ok(());
        }
        let Statement { sql, types } = statement;
        in_time(self.client()?.prepare_typed_cached(sql, types)).await.map(drop)
    }

    /// Begins a transaction, with statements that begin one.
    pub(super) async fn begin(&self, statements: &str) -> Result<(), Error> {
        self.in_transaction.store(true, Ordering::Relaxed);
        self.batch(statements).await
    }

    /// Ends a transaction with its effects. After an error of a connection that is lost nobody
    /// knows; after any other it is still to be rolled back.
    pub(super) async fn commit(&self) -> Result<(), Error> {
        self.batch(COMMIT).await?;
        self.in_transaction.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Ends a transaction without its effects. A connection on which that fails is given up.
    pub(super) async fn roll_back(self) {
        if self.batch("ROLLBACK").await.is_ok() {
            self.in_transaction.store(false, Ordering::Relaxed);
        }
    }

    /// Closes the connection instead of returning it to the pool.
    pub(super) fn give_up(mut self) {
        self.close();
    }

    fn close(&mut self) {
        drop(self.client.take().map(Object::take));
    }

    fn client(&self) -> Result<&Object, Error> {
        let gone = || Error::NoConnection("it was given up".into());
        self.client.as_ref().ok_or_else(gone)
    }

    /// Runs statements without parameters.
    pub(super) async fn batch(&self, statements: &str) -> Result<(), Error> {
        in_time(self.client()?.batch_execute(statements)).await
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if *self.in_transaction.get_mut() {
            self.close();
        }
    }
}

async fn in_time<T>(
    answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(ANSWER, answer).await {
        Ok(answer) => answer.map_err(Error::from),
        Err(_) => Err(Error::Timeout),
    }
}
