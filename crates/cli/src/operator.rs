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
    App, Settings,
    control::{self, Command},
    rng::{Rng as _, SystemRng},
};
use meishi_store::{DataDirectory, OpenError, PostgresStore, SqliteStore, Store};
use serde_json::Value;

use crate::{config::PlaceFlags, place::Place, table};

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
pub(crate) async fn open_soon(place: &Place, settings: Settings) -> Result<App, OpenError> {
    let begun = Instant::now();
    loop {
        match open(place, settings.clone()).await {
            Err(OpenError::Held(_)) if begun.elapsed() < PASSING => {
                tokio::time::sleep(PAUSE).await;
            }
            opened => return opened,
        }
    }
}

/// Opens the store and puts the parts of the service around it.
async fn open(place: &Place, settings: Settings) -> Result<App, OpenError> {
    let database_id = SystemRng.seed().uuid("database id", 0).to_string();
    let store: Arc<dyn Store> = match place {
        Place::Directory(path) => {
            Arc::new(SqliteStore::open(DataDirectory::hold(path)?, &database_id)?)
        }
        Place::Postgres(url, options) => {
            Arc::new(PostgresStore::open(url, options, &database_id).await?)
        }
    };
    Ok(App::new(store, Arc::new(SystemClock), Arc::new(SystemRng), settings))
}

/// Does a command and answers what it came to.
pub(crate) async fn run(place: &Place, command: Command) -> anyhow::Result<Value> {
    let Place::Directory(data_dir) = place else {
        let app = open(place, Settings::default()).await?;
        let reply = control::execute(&app, command).await;
        app.store.close().await;
        return Ok(reply?);
    };
    let makes_one = matches!(command, Command::CreateAccount { .. });
    if !makes_one && !DataDirectory::has_database(data_dir) {
        bail!(
            "there is no database in {place}; make one with `meishi init` or choose another \
             directory with --data-dir"
        );
    }
    let begun = Instant::now();
    loop {
        match open(place, Settings::default()).await {
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
                    format!("the meishi process that holds {place} does not answer on its socket")
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
    pub(crate) place: PlaceFlags,
}

impl Common {
    /// Does a command and prints what it came to.
    pub(crate) async fn run(self, command: control::Command) -> anyhow::Result<()> {
        let reply = run(&self.place.place()?, command).await?;
        table::print_reply(&reply, self.json)
    }
}

fn nobody_listens(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused)
}

fn account_id(text: &str) -> Result<AccountId, String> {
    AccountId::parse(text).ok_or_else(|| "an account's id is a number".to_owned())
}
