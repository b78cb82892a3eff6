//! Takes a command to the store: through the server that holds the data directory, or by opening
//! the store when nobody does.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use meishi_contacts::{AccountId, SystemClock};
use meishi_server::{
    App,
    control::{self, Command},
    rng::{Rng as _, SystemRng},
};
use meishi_store::{DataDirectory, OpenError, SqliteStore};
use serde_json::Value;

use crate::{config::DirectoryFlags, table};

/// How long a command waits for a process that holds the data directory and does not listen: a
/// server that is just starting or stopping, or another command.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a server waits for a command that passes. Another server stays longer.
const PASSING: Duration = Duration::from_millis(500);

/// How long it waits between two attempts.
const PAUSE: Duration = Duration::from_millis(20);

/// Where a running server is reached.
pub(crate) fn socket(data_dir: &Path) -> PathBuf {
    data_dir.join("meishi.sock")
}

/// Opens the store, or waits a little where a command that passes holds the data directory.
pub(crate) async fn open_soon(data_dir: &Path) -> Result<App, OpenError> {
    let begun = Instant::now();
    loop {
        match open(data_dir) {
            Err(OpenError::Held(_)) if begun.elapsed() < PASSING => {
                tokio::time::sleep(PAUSE).await;
            }
            opened => return opened,
        }
    }
}

/// Opens the store and puts the parts of the service around it.
fn open(data_dir: &Path) -> Result<App, OpenError> {
    let directory = DataDirectory::hold(data_dir)?;
    let database_id = SystemRng.seed().uuid("database id", 0).to_string();
    let store = SqliteStore::open(directory, &database_id)?;
    Ok(App::new(Arc::new(store), Arc::new(SystemClock), Arc::new(SystemRng)))
}

/// Does a command and answers what it came to.
pub(crate) async fn run(data_dir: &Path, command: Command) -> anyhow::Result<Value> {
    let makes_one = matches!(command, Command::CreateAccount { .. });
    if !makes_one && !DataDirectory::has_database(data_dir) {
        bail!(
            "there is no database in {}; make one with `meishi init` or choose another directory \
             with --data-dir",
            data_dir.display()
        );
    }
    let begun = Instant::now();
    loop {
        match open(data_dir) {
            Ok(app) => {
                let reply = control::execute(&app, command).await;
                app.store.close().await;
                return Ok(reply?);
            }
            Err(OpenError::Held(_)) => {}
            Err(error) => return Err(error.into()),
        }
        match control::send(&socket(data_dir), &command).await {
            Ok(reply) => return Ok(reply?),
            // Nobody heard the command, so that it can be tried again.
            Err(error) if nobody_listens(&error) && begun.elapsed() < PATIENCE => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => {
                return Err(error).with_context(|| {
                    format!(
                        "the meishi process that holds {} does not answer on its socket",
                        data_dir.display()
                    )
                });
            }
        }
    }
}

/// What the commands on one account take.
#[derive(Debug, clap::Args)]
pub(crate) struct Common {
    /// The account; needed where there are several.
    #[arg(long, value_name = "ID", value_parser = account_id)]
    pub(crate) account: Option<AccountId>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) directory: DirectoryFlags,
}

impl Common {
    /// Does a command and prints what it came to.
    pub(crate) async fn run(self, command: control::Command) -> anyhow::Result<()> {
        let reply = run(&self.directory.data_dir()?, command).await?;
        table::print_reply(&reply, self.json)
    }
}

fn nobody_listens(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused)
}

fn account_id(text: &str) -> Result<AccountId, String> {
    AccountId::parse(text).ok_or_else(|| "an account's id is a number".to_owned())
}
