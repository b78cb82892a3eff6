//! Takes a command to the store: through the server that holds the data directory, or by opening
//! the store when nobody does.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use meishi_contacts::SystemClock;
use meishi_server::{
    App,
    control::{self, Command},
    rng::{Rng as _, SystemRng},
};
use meishi_store::{DataDirectory, OpenError, SqliteStore};
use serde_json::Value;

/// Where a running server is reached.
pub(crate) fn socket(data_dir: &Path) -> PathBuf {
    data_dir.join("meishi.sock")
}

/// Opens the store and puts the parts of the service around it.
pub(crate) fn open(data_dir: &Path) -> Result<App, OpenError> {
    let directory = DataDirectory::hold(data_dir)?;
    let database_id = SystemRng.seed().uuid("database id", 0).to_string();
    let store = SqliteStore::open(directory, &database_id)?;
    Ok(App::new(Arc::new(store), Arc::new(SystemClock), Arc::new(SystemRng)))
}

/// Does a command and answers what it came to.
pub(crate) async fn run(data_dir: &Path, command: Command) -> anyhow::Result<Value> {
    let app = match open(data_dir) {
        Ok(app) => app,
        Err(OpenError::Held(_)) => {
            let reply = control::send(&socket(data_dir), &command).await.with_context(|| {
                format!(
                    "the meishi process that holds {} does not answer on its socket",
                    data_dir.display()
                )
            })?;
            return Ok(reply?);
        }
        Err(error) => return Err(error.into()),
    };
    let reply = control::execute(&app, command).await;
    app.store.close().await;
    Ok(reply?)
}
