//! The store inside the binary: one SQLite file, one writer thread, readers beside it.
//!
//! `writer.rs` groups calls into commits, `readers.rs` answers reads on the caller's thread,
//! `long_reads.rs` those that take seconds; `directory.rs` and `migrations.rs` open the file,
//! `backup.rs` and `restore.rs` copy it. A call is `changes.rs`: `load.rs`, what the ledger
//! decides, `save.rs`. The other files hold the statements of reads, one file a noun.

/// Names a file's statements and lists them, so that a test can prepare each one.
macro_rules! statements {
    ($($name:ident = $sql:expr;)+) => {
        $(const $name: &str = $sql;)+
        #[cfg(test)]
        pub(super) const STATEMENTS: &[(&str, &str)] = &[$((stringify!($name), $name)),+];
    };
}

mod accounts;
mod backup;
mod changes;
mod contacts;
mod directory;
mod events;
mod examine;
mod inboxes;
mod keys;
mod load;
mod long_reads;
pub(crate) mod migrations;
mod partial;
mod readers;
mod restore;
mod row;
mod save;
mod snapshot;
mod writer;

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use meishi_contacts::{
    AccountId, ApiKey, ContactId, Event, Identity, Inbox, InboxId, KeyId, SecretHash, Seq,
    StoredKey, UnixMillis,
};
use rusqlite::Connection;

use crate::{
    Account, Applied, Backup, BackupError, Change, ContactRecord, Context, Counts, CreatedAccount,
    Database, Finding, Include, NewAccount, OpenError, Snapshot, Store, StoreError, ledger::Call,
};

pub use directory::DataDirectory;
use long_reads::LongReads;
use readers::Readers;
pub use restore::{RestoreError, Restored, restore};
use writer::Writer;

/// A [`Store`] on one SQLite file.
pub struct SqliteStore {
    path: PathBuf,
    writer: Writer,
    readers: Readers,
    long_reads: LongReads,
    /// Held for as long as the store lives, so that no second process writes beside it.
    _directory: DataDirectory,
}

impl SqliteStore {
    /// Opens the database in a data directory, making or migrating it as needed. `database_id` is
    /// the identity of a database that does not exist yet.
    pub fn open(directory: DataDirectory, database_id: &str) -> Result<Self, OpenError> {
        let path = directory.database();
        let connection = migrations::open(&path, database_id)?;
        let readers = Readers::open(&path).map_err(|error| damaged(&path, &error))?;
        let writer = Writer::start(connection).map_err(|error| OpenError::NotWritable {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        let long_reads = LongReads::new(path.clone());
        Ok(Self { path, writer, readers, long_reads, _directory: directory })
    }
}

fn damaged(path: &Path, error: &rusqlite::Error) -> OpenError {
    OpenError::Damaged { path: path.to_owned(), reason: error.to_string() }
}

/// Runs a statement without parameters, prepared once a connection.
fn execute(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(drop)
}

/// What SQLite says, as the contract has it.
fn store_error(error: &rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode;
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy,
        Some(
            ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::OutOfMemory
            | ErrorCode::FileLockingProtocolFailed,
        ) => StoreError::Unavailable(error.to_string()),
        _ => StoreError::Internal(error.to_string()),
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn apply(
        &self,
        cx: Context,
        changes: Vec<Change>,
        atomic: bool,
    ) -> Result<Applied, StoreError> {
        let call = Call::new(cx, changes, atomic)?;
        self.writer.call(move |connection| changes::apply(connection, &call)).await
    }

    async fn create_account(&self, new: NewAccount) -> Result<Option<CreatedAccount>, StoreError> {
        let create = move |connection: &Connection| {
            accounts::create(connection, &new).map_err(|error| store_error(&error))
        };
        self.writer.call(create).await
    }

    async fn touch_key(
        &self,
        account: AccountId,
        id: KeyId,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        let touch = move |connection: &Connection| {
            keys::touch(connection, account, id, at).map_err(|error| store_error(&error))
        };
        self.writer.call(touch).await
    }

    async fn key_by_name(&self, api_key: &str) -> Result<Option<StoredKey>, StoreError> {
        self.readers.read(|connection| keys::by_name(connection, api_key))
    }

    async fn key_by_secret(&self, secret: &SecretHash) -> Result<Option<StoredKey>, StoreError> {
        self.readers.read(|connection| keys::by_secret(connection, secret))
    }

    async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        self.readers.read(accounts::list)
    }

    async fn counts(&self, account: AccountId) -> Result<Option<Counts>, StoreError> {
        self.readers.read(|connection| accounts::counts(connection, account))
    }

    async fn contact(
        &self,
        account: AccountId,
        id: ContactId,
        include: Include,
    ) -> Result<Option<ContactRecord>, StoreError> {
        self.readers.read(|connection| contacts::record(connection, account, id, include))
    }

    async fn contacts(
        &self,
        account: AccountId,
        ids: &[ContactId],
        include: Include,
    ) -> Result<Vec<ContactRecord>, StoreError> {
        self.readers.read(|connection| contacts::records(connection, account, ids, include))
    }

    async fn owners(
        &self,
        account: AccountId,
        identities: &[Identity],
    ) -> Result<Vec<Option<ContactId>>, StoreError> {
        self.readers.read(|connection| {
            identities
                .iter()
                .map(|identity| contacts::owner(connection, account, identity))
                .collect()
        })
    }

    async fn inboxes(&self, account: AccountId) -> Result<Vec<Inbox>, StoreError> {
        self.readers.read(|connection| inboxes::list(connection, account))
    }

    async fn inbox(&self, account: AccountId, id: InboxId) -> Result<Option<Inbox>, StoreError> {
        self.readers.read(|connection| inboxes::get(connection, account, id))
    }

    async fn keys(&self, account: AccountId) -> Result<Vec<ApiKey>, StoreError> {
        self.readers.read(|connection| keys::list(connection, account))
    }

    async fn events(
        &self,
        account: AccountId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError> {
        self.readers.read(|connection| events::after(connection, account, after, limit))
    }

    async fn snapshot(&self, account: AccountId) -> Result<Snapshot, StoreError> {
        // A snapshot has a connection of its own, but none once the store is closed.
        self.readers.read(|_| Ok(()))?;
        snapshot::open(&self.path, account).await
    }

    async fn database(&self) -> Result<Database, StoreError> {
        self.readers.read(accounts::database)
    }

    async fn examine(&self, now: UnixMillis) -> Result<Vec<Finding>, StoreError> {
        let path = self.path.clone();
        let all = move |connection: &_| examine::all(connection, &path, now);
        self.long_reads.run(move |connection| all(connection).map_err(|e| store_error(&e))).await
    }

    async fn backup(&self, file: &Path) -> Result<Backup, BackupError> {
        let file = file.to_owned();
        self.long_reads.run(move |connection| backup::write(connection, &file)).await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.readers.read(|connection| connection.query_row("SELECT 1", [], |_| Ok(())))?;
        self.writer.call(|_| Ok(())).await
    }

    async fn close(&self) {
        // The writer closes last, and so leaves no log behind.
        self.long_reads.close().await;
        self.readers.close();
        self.writer.close().await;
    }
}

/// Every table's columns and whether they may be null, of an empty database.
#[cfg(test)]
pub(crate) fn columns() -> Vec<(String, String, bool)> {
    let directory = tempfile::tempdir().unwrap();
    let connection = migrations::open(&directory.path().join("db"), "test").unwrap();
    let query = "SELECT t.name, c.name, NOT c.\"notnull\" AND NOT c.pk
        FROM sqlite_schema t JOIN pragma_table_info(t.name) c WHERE t.type = 'table'";
    let mut statement = connection.prepare(query).unwrap();
    let columns = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    columns.unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_statement_prepares_on_an_empty_database() {
        let directory = tempfile::tempdir().unwrap();
        let connection = migrations::open(&directory.path().join("db"), "test").unwrap();
        for (name, statement) in [
            accounts::STATEMENTS,
            contacts::STATEMENTS,
            events::STATEMENTS,
            inboxes::STATEMENTS,
            keys::STATEMENTS,
            load::STATEMENTS,
            save::STATEMENTS,
            snapshot::STATEMENTS,
        ]
        .concat()
        {
            connection.prepare(statement).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }

    #[test]
    fn keys_and_unique_indexes_of_a_tenants_table_begin_with_the_account() {
        let directory = tempfile::tempdir().unwrap();
        let connection = migrations::open(&directory.path().join("db"), "test").unwrap();
        let query = "SELECT t.name, i.name, c.name
            FROM sqlite_schema t
            JOIN pragma_index_list(t.name) i ON i.\"unique\"
            JOIN pragma_index_info(i.name) c ON c.seqno = 0
            WHERE t.type = 'table' AND t.name NOT IN ('accounts', 'databases')
            UNION ALL
            SELECT t.name, 'foreign key', f.\"from\"
            FROM sqlite_schema t JOIN pragma_foreign_key_list(t.name) f ON f.seq = 0
            WHERE t.type = 'table'";
        let mut statement = connection.prepare(query).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        let rows: Vec<(String, String, String)> = rows.unwrap().map(Result::unwrap).collect();
        assert!(rows.len() > 10, "the catalogue was read: {rows:?}");
        for (table, index, first) in rows {
            // Two of a key's columns are looked up before the account is known.
            if table == "api_keys" && ["api_key", "secret_hash"].contains(&first.as_str()) {
                continue;
            }
            assert_eq!(first, "account_id", "{index} of {table}");
        }
    }

    #[test]
    fn there_are_no_triggers() {
        let directory = tempfile::tempdir().unwrap();
        let connection = migrations::open(&directory.path().join("db"), "test").unwrap();
        let query = "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'";
        let triggers: i64 = connection.query_row(query, [], |row| row.get(0)).unwrap();
        assert_eq!(triggers, 0);
    }
}
