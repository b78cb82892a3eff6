//! The connection that makes and drops databases, on a thread of its own with its own runtime, so
//! that sync and async tests can use it alike.
//!
//! There is one for a cluster, which takes the statements one after another: no two ever copy the
//! same template at a time, and a database is dropped before the next one is made.

use std::error::Error;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::error::Severity;
use tokio_postgres::{Client, Config, NoTls};

/// How long connecting may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends statements to the thread. The thread ends with the last of them.
#[derive(Debug, Clone)]
pub(crate) struct Admin(mpsc::Sender<Job>);

#[derive(Debug)]
struct Job {
    sql: String,
    reply: mpsc::Sender<Result<(), String>>,
}

impl Admin {
    /// Starts the thread. It connects when the first statement comes.
    pub(crate) fn new(mut config: Config) -> Result<Self, String> {
        config.connect_timeout(PATIENCE).application_name("meishi-test-postgres");
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| format!("cannot start a runtime: {error}"))?;
        let (sender, jobs) = mpsc::channel();
        thread::spawn(move || serve(&runtime, &config, &jobs));
        Ok(Self(sender))
    }

    /// Runs one statement.
    pub(crate) fn execute(&self, sql: String) -> Result<(), String> {
        let reply = self.send(sql);
        reply.recv().map_err(|_| "the thread that holds the connection ended".to_owned())?
    }

    /// Queues one statement. Nobody hears of its failure unless the answer is received.
    pub(crate) fn send(&self, sql: String) -> mpsc::Receiver<Result<(), String>> {
        let (reply, receiver) = mpsc::channel();
        // It fails only with the thread gone, which the receiver then tells.
        let _ = self.0.send(Job { sql, reply });
        receiver
    }
}

fn serve(runtime: &Runtime, config: &Config, jobs: &mpsc::Receiver<Job>) {
    let mut kept: Option<Client> = None;
    for job in jobs {
        let outcome = runtime.block_on(async {
            if let Some(client) = &kept {
                match client.batch_execute(&job.sql).await {
                    // The server went away since, and may be back.
                    Err(error) if is_gone(&error) => {}
                    outcome => {
                        return outcome.map_err(|error| format!("{}: {}", job.sql, reason(&error)));
                    }
                }
            }
            let client = kept.insert(connect(config).await?);
            let outcome = client.batch_execute(&job.sql).await;
            outcome.map_err(|error| format!("{}: {}", job.sql, reason(&error)))
        });
        let _ = job.reply.send(outcome);
    }
}

/// Whether the connection ended, with or without a last word of the server.
fn is_gone(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_none_or(|error| error.parsed_severity() == Some(Severity::Fatal))
}

/// What went wrong, which the error's own text leaves to its source.
fn reason(error: &tokio_postgres::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

async fn connect(config: &Config) -> Result<Client, String> {
    let (client, connection) = config.connect(NoTls).await.map_err(|error| {
        let (hosts, reason) = (config.get_hosts(), reason(&error));
        format!("cannot connect to PostgreSQL at {hosts:?} as a superuser, without TLS: {reason}")
    })?;
    tokio::spawn(connection);
    Ok(client)
}
