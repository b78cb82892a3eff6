//! The SQLite store: the contract, and what only a file can promise.

mod backup;
mod directory;
mod durability;
mod erased;
mod examine;
mod restore;
mod rows;
mod schema;
mod writer;

use std::{
    future::{Ready, ready},
    path::Path,
    sync::Arc,
};

use meishi_store::{OpenError, SqliteStore, Store, sqlite::DataDirectory};
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use crate::conformance::store_conformance;

store_conformance!(make_store);

fn make_store() -> Ready<(Arc<dyn Store>, TempDir)> {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    ready((store, directory))
}

fn open(directory: &Path) -> Result<Arc<dyn Store>, OpenError> {
    let held = DataDirectory::hold(directory)?;
    Ok(Arc::new(SqliteStore::open(held, "the database's id")?))
}

/// A connection of our own, to look at what the store wrote.
fn look_into(directory: &Path) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    Connection::open_with_flags(directory.join("meishi.db"), flags).unwrap()
}
