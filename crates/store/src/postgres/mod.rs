//! The store on PostgreSQL: several servers may share one database.
//!
//! `connect.rs` reads the URL and speaks TLS, `migrations.rs` makes the schema, `session.rs` is the
//! pool. Writes go in lanes (`lanes.rs`): `load.rs`, what the ledger decides, `save.rs`. The other
//! files hold the statements of reads, one file a noun.

mod accounts;
mod connect;
mod contacts;
mod doubt;
mod error;
mod events;
mod examine;
mod inboxes;
mod keys;
mod lanes;
#[cfg(test)]
mod lint;
mod load;
mod lock;
mod migrations;
mod row;
mod save;
mod session;
mod snapshot;
mod statement;

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use futures::{FutureExt, future::BoxFuture};
use meishi_contacts::{
    AccountId, ApiKey, ContactId, Event, Identity, Inbox, InboxId, KeyId, SecretHash, Seq,
    StoredKey, UnixMillis,
};

use crate::{
    Account, Applied, Backup, BackupError, Change, ContactRecord, Context, Counts, CreatedAccount,
    Database, Finding, Include, NewAccount, OpenError, Snapshot, Store, StoreError, ledger::Call,
};

pub use connect::DatabaseUrl;
use error::Error;
use lanes::Lanes;
use session::{Session, Sessions};

/// How a server uses its database.
#[derive(Debug, Clone, Copy)]
pub struct PostgresOptions {
    /// Connections at most; half of them, rounded down, may write at once.
    pub connections: usize,
    /// The URL leads to a pooler that hands connections out for a transaction each, as PgBouncer
    /// does in transaction mode: nothing is prepared.
    pub pooled: bool,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { connections: 10, pooled: false }
    }
}

/// A [`Store`] on PostgreSQL.
pub struct PostgresStore {
    sessions: Sessions,
    lanes: Arc<Lanes>,
}

impl PostgresStore {
    /// Opens a database, making or migrating its tables as needed. `database_id` is the identity of
    /// a database that is empty yet.
    pub async fn open(
        url: &DatabaseUrl,
        options: PostgresOptions,
        database_id: &str,
    ) -> Result<Self, OpenError> {
        let (mut client, connection) = url.connect().await?;
        let opened = async {
            connect::check_server(url, &client).await?;
            migrations::run(&mut client, url, database_id).await?;
            let synchronous = is_asynchronous(&client).await;
            synchronous.map_err(|error| connect::open_error(url, &error))
        };
        let opened = opened.await;
        drop(client);
        connection.abort();
        let connections = options.connections.max(2);
        let sessions =
            Sessions::new(url, connections, options.pooled, opened?).map_err(|error| {
                OpenError::Failed { database: url.to_string(), reason: error.to_string() }
            })?;
        let lanes = Lanes::new(sessions.clone(), connections / 2);
        Ok(Self { sessions, lanes })
    }

    /// Runs a read. A connection that turns out to be gone is no failure yet: it is read again on
    /// another one.
    async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send,
        F: for<'s> Fn(&'s Session) -> BoxFuture<'s, Result<T, Error>> + Send + Sync,
    {
        let mut tries = self.sessions.tries();
        loop {
            let session = self.session().await?;
            match work(&session).await {
                Err(error) if error.is_lost() => {
                    session.give_up();
                    if !tries.again() {
                        return Err(error.into());
                    }
                }
                result => return result.map_err(StoreError::from),
            }
        }
    }

    async fn session(&self) -> Result<Session, StoreError> {
        if self.sessions.is_closed() {
            return Err(closed());
        }
        Ok(self.sessions.get().await?)
    }
}

/// Whether a commit is not on disk by default here; it is asked for then.
async fn is_asynchronous(client: &tokio_postgres::Client) -> Result<bool, tokio_postgres::Error> {
    let statement = "SELECT current_setting('synchronous_commit'), current_setting('fsync')";
    let rows = client.query_typed(statement, &[]).await?;
    let Some(row) = rows.first() else { return Ok(true) };
    if row.try_get::<_, &str>(1)? == "off" {
        tracing::warn!("PostgreSQL runs with fsync = off: a crash of its machine loses writes");
    }
    Ok(row.try_get::<_, &str>(0)? == "off")
}

/// What every call is answered once the store is closed.
fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".into())
}

#[async_trait]
impl Store for PostgresStore {
    async fn apply(
        &self,
        cx: Context,
        changes: Vec<Change>,
        atomic: bool,
    ) -> Result<Applied, StoreError> {
        if changes.len() > meishi_contacts::limits::BATCH_CHANGES {
            return Err(StoreError::TooManyChanges);
        }
        self.lanes.call(Call { cx, changes, atomic }).await
    }

    async fn create_account(&self, new: NewAccount) -> Result<Option<CreatedAccount>, StoreError> {
        accounts::create(&self.sessions, &new).await
    }

    async fn touch_key(
        &self,
        account: AccountId,
        id: KeyId,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        self.read(move |session| keys::touch(session, account, id, at).boxed()).await
    }

    async fn key_by_name(&self, api_key: &str) -> Result<Option<StoredKey>, StoreError> {
        let api_key: Arc<str> = api_key.into();
        self.read(move |session| {
            let api_key = Arc::clone(&api_key);
            async move { keys::by_name(session, &api_key).await }.boxed()
        })
        .await
    }

    async fn key_by_secret(&self, secret: &SecretHash) -> Result<Option<StoredKey>, StoreError> {
        let secret = *secret;
        self.read(move |session| async move { keys::by_secret(session, &secret).await }.boxed())
            .await
    }

    async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        self.read(|session| accounts::list(session).boxed()).await
    }

    async fn counts(&self, account: AccountId) -> Result<Option<Counts>, StoreError> {
        self.read(move |session| accounts::counts(session, account).boxed()).await
    }

    async fn contact(
        &self,
        account: AccountId,
        id: ContactId,
        include: Include,
    ) -> Result<Option<ContactRecord>, StoreError> {
        Ok(self.contacts(account, &[id], include).await?.into_iter().next())
    }

    async fn contacts(
        &self,
        account: AccountId,
        ids: &[ContactId],
        include: Include,
    ) -> Result<Vec<ContactRecord>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Arc<[ContactId]> = ids.into();
        self.read(move |session| {
            let ids = Arc::clone(&ids);
            async move { contacts::records(session, account, &ids, include).await }.boxed()
        })
        .await
    }

    async fn owners(
        &self,
        account: AccountId,
        identities: &[Identity],
    ) -> Result<Vec<Option<ContactId>>, StoreError> {
        let asked: Arc<[Identity]> = identities.into();
        let owners = self
            .read(move |session| {
                let asked = Arc::clone(&asked);
                async move { contacts::owners(session, account, asked.iter()).await }.boxed()
            })
            .await?;
        Ok(identities.iter().map(|identity| owners.get(identity).copied()).collect())
    }

    async fn inboxes(&self, account: AccountId) -> Result<Vec<Inbox>, StoreError> {
        self.read(move |session| inboxes::list(session, account).boxed()).await
    }

    async fn inbox(&self, account: AccountId, id: InboxId) -> Result<Option<Inbox>, StoreError> {
        self.read(move |session| inboxes::get(session, account, id).boxed()).await
    }

    async fn keys(&self, account: AccountId) -> Result<Vec<ApiKey>, StoreError> {
        self.read(move |session| keys::list(session, account).boxed()).await
    }

    async fn events(
        &self,
        account: AccountId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError> {
        self.read(move |session| events::after(session, account, after, limit).boxed()).await
    }

    async fn snapshot(&self, account: AccountId) -> Result<Snapshot, StoreError> {
        snapshot::open(&self.sessions, account).await
    }

    async fn database(&self) -> Result<Database, StoreError> {
        self.read(|session| accounts::database(session).boxed()).await
    }

    async fn examine(&self, now: UnixMillis) -> Result<Vec<Finding>, StoreError> {
        let session = self.session().await?;
        let findings = examine::all(&session, now).await;
        session.roll_back().await;
        Ok(findings?)
    }

    async fn backup(&self, _file: &Path) -> Result<Backup, BackupError> {
        Err(BackupError::Unsupported)
    }

    async fn ready(&self) -> Result<(), StoreError> {
        let reads_only = self.read(|session| accounts::reads_only(session).boxed()).await?;
        if reads_only {
            return Err(StoreError::Unavailable("the database only reads".into()));
        }
        Ok(())
    }

    async fn close(&self) {
        self.lanes.close().await;
        self.sessions.close();
    }
}
