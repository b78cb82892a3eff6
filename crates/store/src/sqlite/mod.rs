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
mod attributes;
mod backup;
mod changes;
mod checkpoint;
mod contacts;
mod deliveries;
mod directory;
mod events;
mod examine;
pub(crate) mod identities;
mod inboxes;
mod keys;
mod known;
mod labels;
mod load;
mod long_reads;
pub(crate) mod migrations;
mod names;
mod partial;
mod readers;
mod restore;
mod retention;
mod row;
mod rowids;
mod save;
mod shown;
mod snapshot;
mod webhooks;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use meishi_contacts::{
    AccountId, ApiKey, AttributeDefinition, AttributeId, ContactId, Event, Identity, Inbox,
    InboxId, KeyId, LabelCard, LabelId, SecretHash, Seq, StoredKey, UnixMillis, Webhook, WebhookId,
    limits::MAX_PAGE_SIZE,
};
use rusqlite::Connection;

use crate::{
    Account, Applied, Attempt, Backup, BackupError, Change, ContactRecord, Context, Counts,
    CreatedAccount, Database, Delivery, DeliveryQuery, Finding, History, Include, Lease, LeaseRoom,
    LeasedWebhook, NewAccount, NewDelivery, News, OpenError, Retained, Settlement, Snapshot, Store,
    StoreError, WebhookHealth,
    key_cache::{By, KeyCache},
    ledger::Call,
};

use contacts::Finder;
pub use directory::DataDirectory;
use identities::{Identities, Recent};
use long_reads::LongReads;
use names::NameCache;
use readers::Readers;
pub use restore::{RestoreError, Restored, restore};
use rowids::Rowids;
use shown::ShownContacts;
use writer::Writer;

/// How long to wait before the log is tried to be emptied again.
const LOG_PAUSES: [Duration; 6] = [
    Duration::from_millis(100),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(10),
];

/// A [`Store`] on one SQLite file.
pub struct SqliteStore {
    path: PathBuf,
    writer: Arc<Writer>,
    readers: Readers,
    long_reads: LongReads,
    key_cache: KeyCache,
    names: Arc<NameCache>,
    rowids: Rowids,
    shown: Arc<ShownContacts>,
    recent: Recent,
    /// Held for as long as the store lives, so that no second process writes beside it.
    _directory: DataDirectory,
}

impl SqliteStore {
    /// Opens the database in a data directory, making or migrating it as needed. `database_id` is
    /// the identity of a database that does not exist yet.
    pub fn open(directory: DataDirectory, database_id: &str) -> Result<Self, OpenError> {
        let path = directory.database();
        let connection = migrations::open(&path, database_id)?;
        // Whoever had leases is gone, since the directory is this process's.
        if let Err(error) = deliveries::forget_leases(&connection) {
            tracing::warn!(%error, "leases of webhooks stay until they end");
        }
        let readers = Readers::open(&path).map_err(|error| damaged(&path, &error))?;
        let checkpointer =
            migrations::open_checkpointer(&path).map_err(|error| damaged(&path, &error))?;
        let identities = Identities::open(&connection).map_err(|error| damaged(&path, &error))?;
        let recent = identities.recent();
        let names = Arc::<NameCache>::default();
        let shown = Arc::<ShownContacts>::default();
        let kept = (Arc::clone(&names), Arc::clone(&shown));
        let writer = Writer::start(connection, checkpointer, identities, kept.0, kept.1);
        let writer = writer.map_err(|error| OpenError::NotWritable {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        let long_reads = LongReads::new(path.clone());
        let writer = Arc::new(writer);
        let key_cache = KeyCache::default();
        Ok(Self {
            path,
            writer,
            readers,
            long_reads,
            key_cache,
            names,
            rowids: Rowids::default(),
            shown,
            recent,
            _directory: directory,
        })
    }

    /// A key that was looked up a moment ago, or is looked up now.
    fn key(
        &self,
        by: By,
        look_up: impl FnOnce(&Connection) -> rusqlite::Result<Option<StoredKey>>,
    ) -> Result<Option<StoredKey>, StoreError> {
        let begun = match self.key_cache.get(&by) {
            Ok(known) => return Ok(Some(known)),
            Err(begun) => begun,
        };
        let found = self.readers.read_one(look_up)?;
        if let Some(key) = &found {
            self.key_cache.keep(by, key, begun);
        }
        Ok(found)
    }

    /// Writes in the next group.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer
            .call(move |connection| work(connection).map_err(|error| store_error(&error)))
            .await
    }
}

fn damaged(path: &Path, error: &rusqlite::Error) -> OpenError {
    OpenError::Damaged { path: path.to_owned(), reason: error.to_string() }
}

/// Empties the log of what was erased: pages as they were before stay in it until then. A reader
/// may hold it for a while.
async fn empty_log(writer: Arc<Writer>) {
    for pause in LOG_PAUSES {
        match writer.empty_log().await {
            Ok(true) | Err(_) => return,
            Ok(false) => tokio::time::sleep(pause).await,
        }
    }
    tracing::warn!("the log still holds what was erased; the next clean stop empties it");
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
        let erases =
            call.changes.iter().any(|change| matches!(change, Change::EraseContact { .. }));
        let of_keys = call.changes.iter().any(Change::is_of_a_key);
        let applied = self.writer.apply(call).await;
        if of_keys {
            self.key_cache.forget();
        }
        if erases && applied.is_ok() {
            tokio::spawn(empty_log(Arc::clone(&self.writer)));
        }
        applied
    }

    async fn create_account(&self, new: NewAccount) -> Result<Option<CreatedAccount>, StoreError> {
        self.write(move |connection| accounts::create(connection, &new)).await
    }

    async fn touch_key(
        &self,
        account: AccountId,
        id: KeyId,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        let touched = self.write(move |connection| keys::touch(connection, account, id, at)).await;
        self.key_cache.forget();
        touched
    }

    async fn key_by_name(&self, api_key: &str) -> Result<Option<StoredKey>, StoreError> {
        let by = By::Name(api_key.to_owned());
        self.key(by, |connection| keys::by_name(connection, api_key))
    }

    async fn key_by_secret(&self, secret: &SecretHash) -> Result<Option<StoredKey>, StoreError> {
        self.key(By::Secret(secret.0), |connection| keys::by_secret(connection, secret))
    }

    async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        self.readers.read(accounts::list)
    }

    async fn counts(&self, account: AccountId) -> Result<Option<Counts>, StoreError> {
        self.readers.read_one(|connection| accounts::counts(connection, account))
    }

    async fn news(
        &self,
        account: AccountId,
        after: Seq,
        limit: usize,
    ) -> Result<Option<News>, StoreError> {
        let Some(counts) = self.counts(account).await? else { return Ok(None) };
        let events = if counts.last_seq > after && limit > 0 {
            self.events(account, after, limit).await?
        } else {
            Vec::new()
        };
        Ok(Some(News { counts, events }))
    }

    async fn contact(
        &self,
        account: AccountId,
        id: ContactId,
        include: Include,
    ) -> Result<Option<ContactRecord>, StoreError> {
        self.readers.read_one(|connection| {
            let finder = Finder::guessing(connection, &self.rowids);
            contacts::record(finder, &self.names.of(account), account, id, include)
        })
    }

    async fn contacts(
        &self,
        account: AccountId,
        ids: &[ContactId],
        include: Include,
    ) -> Result<Vec<Arc<ContactRecord>>, StoreError> {
        let read = |ids: &[ContactId]| {
            self.readers.read(|connection| {
                let finder = Finder::guessing(connection, &self.rowids);
                contacts::records(finder, &self.names.of(account), account, ids, include)
            })
        };
        let is_page = (1..=MAX_PAGE_SIZE).contains(&ids.len());
        match include {
            Include::Inboxes if is_page => self.shown.page(account, ids, read),
            _ => read(ids),
        }
    }

    async fn owners(
        &self,
        account: AccountId,
        identities: &[Identity],
    ) -> Result<Vec<Option<ContactId>>, StoreError> {
        // Memory first: what has left it is in every transaction that begins from then on. And
        // again at last, for what came to somebody else meanwhile.
        let first: Vec<Option<ContactId>> =
            identities.iter().map(|identity| self.recent.owner(account, identity)).collect();
        let sorted: Vec<Option<ContactId>> = self.readers.read(|connection| {
            let owner = |identity| identities::sorted_owner(connection, account, identity);
            identities.iter().map(owner).collect()
        })?;
        let known = identities.iter().zip(first.into_iter().zip(sorted));
        let owner = |(identity, (first, sorted)): (_, (Option<_>, _))| {
            first.or(sorted).or_else(|| self.recent.next_owner(account, identity))
        };
        Ok(known.map(owner).collect())
    }

    async fn labels(&self, account: AccountId) -> Result<Vec<LabelCard>, StoreError> {
        self.readers.read(|connection| labels::list(connection, account))
    }

    async fn label(
        &self,
        account: AccountId,
        id: LabelId,
    ) -> Result<Option<LabelCard>, StoreError> {
        self.readers.read_one(|connection| labels::get(connection, account, id))
    }

    async fn relabelled(&self, account: AccountId, after: Seq) -> Result<Vec<Event>, StoreError> {
        self.readers.read(|connection| events::relabelled(connection, account, after))
    }

    async fn attributes(&self, account: AccountId) -> Result<Vec<AttributeDefinition>, StoreError> {
        self.readers.read(|connection| attributes::list(connection, account))
    }

    async fn attribute(
        &self,
        account: AccountId,
        id: AttributeId,
    ) -> Result<Option<AttributeDefinition>, StoreError> {
        self.readers.read_one(|connection| attributes::get(connection, account, id))
    }

    async fn inboxes(&self, account: AccountId) -> Result<Vec<Inbox>, StoreError> {
        self.readers.read(|connection| inboxes::list(connection, account))
    }

    async fn inbox(&self, account: AccountId, id: InboxId) -> Result<Option<Inbox>, StoreError> {
        self.readers.read_one(|connection| inboxes::get(connection, account, id))
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
        self.readers.read_one(|connection| events::after(connection, account, after, limit))
    }

    async fn history(
        &self,
        account: AccountId,
        contact: ContactId,
        from: Option<Seq>,
        limit: usize,
    ) -> Result<Option<History>, StoreError> {
        self.readers.read(|connection| events::history(connection, account, contact, from, limit))
    }

    async fn heads(&self, accounts: &[AccountId]) -> Result<Vec<(AccountId, Seq)>, StoreError> {
        self.readers.read(|connection| {
            let head = |id: &AccountId| {
                let counts = accounts::counts(connection, *id).transpose()?;
                Some(counts.map(|counts| (*id, counts.last_seq)))
            };
            accounts.iter().filter_map(head).collect()
        })
    }

    async fn drop_events(
        &self,
        account: AccountId,
        before: UnixMillis,
    ) -> Result<Retained, StoreError> {
        self.write(move |connection| retention::drop_events(connection, account, before)).await
    }

    async fn purge(
        &self,
        now: UnixMillis,
        settled_before: UnixMillis,
    ) -> Result<usize, StoreError> {
        self.write(move |connection| retention::purge(connection, now, settled_before)).await
    }

    async fn webhooks(&self, account: AccountId) -> Result<Vec<Webhook>, StoreError> {
        self.readers.read(|connection| webhooks::list(connection, account))
    }

    async fn webhook(
        &self,
        account: AccountId,
        id: WebhookId,
    ) -> Result<Option<Webhook>, StoreError> {
        let found = self.readers.read(|connection| webhooks::get(connection, account, id))?;
        Ok(found.map(|stored| stored.webhook))
    }

    async fn deliveries(
        &self,
        account: AccountId,
        webhook: WebhookId,
        query: DeliveryQuery,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.readers.read(|connection| deliveries::list(connection, account, webhook, query, limit))
    }

    async fn delivery(
        &self,
        account: AccountId,
        webhook: WebhookId,
        seq: Seq,
    ) -> Result<Option<Delivery>, StoreError> {
        self.readers.read(|connection| deliveries::get(connection, account, webhook, seq))
    }

    async fn lease_webhooks(
        &self,
        owner: &str,
        now: UnixMillis,
        until: UnixMillis,
        room: LeaseRoom,
    ) -> Result<Vec<LeasedWebhook>, StoreError> {
        // Mostly there is nothing to do, and so nothing to be written.
        let found =
            self.readers.read(|connection| deliveries::at_work(connection, owner, now, room))?;
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let owner = owner.to_owned();
        self.write(move |connection| deliveries::lease(connection, &owner, now, until, room)).await
    }

    async fn release_webhook(&self, lease: &Lease) -> Result<(), StoreError> {
        let lease = lease.clone();
        self.write(move |connection| deliveries::release(connection, &lease)).await
    }

    async fn enqueue_deliveries(
        &self,
        lease: &Lease,
        from: Seq,
        to: Seq,
        new: Vec<NewDelivery>,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let lease = lease.clone();
        self.write(move |connection| deliveries::enqueue(connection, &lease, from, to, &new, now))
            .await
    }

    async fn due_deliveries(
        &self,
        account: AccountId,
        webhook: WebhookId,
        now: UnixMillis,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.readers.read(|connection| deliveries::due(connection, account, webhook, now, limit))
    }

    async fn settle_delivery(
        &self,
        lease: &Lease,
        seq: Seq,
        attempt: Attempt,
        settlement: Settlement,
        health: WebhookHealth,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let lease = lease.clone();
        let settle = move |connection: &Connection| {
            deliveries::settle(connection, &lease, seq, &attempt, settlement, &health, now)
        };
        self.write(settle).await
    }

    async fn snapshot(&self, account: AccountId) -> Result<Snapshot, StoreError> {
        // A snapshot has a connection of its own, but none once the store is closed.
        self.readers.read(|_| Ok(()))?;
        snapshot::open(&self.path, account).await
    }

    async fn database(&self) -> Result<Database, StoreError> {
        self.readers.read_one(accounts::database)
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
        // What is asked from here on finds the store closed.
        self.key_cache.forget();
        self.shown.close();
        self.writer.close().await;
    }
}

/// Every table's columns and whether they may be null, of an empty database. Where addresses are
/// gathered is this store's own.
#[cfg(test)]
pub(crate) fn columns() -> Vec<(String, String, bool)> {
    let directory = tempfile::tempdir().unwrap();
    let connection = migrations::open(&directory.path().join("db"), "test").unwrap();
    let query = "SELECT t.name, c.name, NOT c.\"notnull\" AND NOT c.pk
        FROM sqlite_schema t JOIN pragma_table_info(t.name) c
        WHERE t.type = 'table' AND t.name <> 'recent_identities'";
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
            attributes::STATEMENTS,
            contacts::STATEMENTS,
            deliveries::STATEMENTS,
            events::STATEMENTS,
            identities::STATEMENTS,
            inboxes::STATEMENTS,
            keys::STATEMENTS,
            known::STATEMENTS,
            labels::STATEMENTS,
            load::STATEMENTS,
            names::STATEMENTS,
            retention::STATEMENTS,
            save::STATEMENTS,
            snapshot::STATEMENTS,
            webhooks::STATEMENTS,
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
