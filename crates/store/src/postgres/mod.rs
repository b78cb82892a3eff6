//! The store on PostgreSQL: several servers may share one database.
//!
//! `connect.rs` reads the URL and speaks TLS, `migrations.rs` makes the schema, `session.rs` is the
//! pool. Writes go in lanes (`lanes.rs`): `load.rs`, what the ledger decides, `save.rs`. The other
//! files hold the statements of reads, one file a noun.

mod accounts;
mod attributes;
mod batch;
mod connect;
mod contacts;
mod deliveries;
mod doubt;
mod error;
mod events;
mod examine;
mod gone;
mod inboxes;
mod keys;
mod labels;
mod lanes;
#[cfg(test)]
mod lint;
mod load;
pub(crate) mod lock;
pub(crate) mod migrations;
mod replica;
mod retention;
mod row;
mod save;
mod session;
mod snapshot;
mod statement;
mod webhooks;

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use futures::{FutureExt, future::BoxFuture};
use meishi_contacts::{
    AccountId, ApiKey, AttributeDefinition, AttributeId, ContactId, Event, Identity, Inbox,
    InboxId, KeyId, LabelCard, LabelId, SecretHash, Seq, StoredKey, UnixMillis, Webhook, WebhookId,
    limits::{PURGED_ROWS, READ_ROWS},
};

use crate::{
    Account, Applied, Attempt, Backup, BackupError, Change, ContactRecord, Context, Counts,
    CreatedAccount, Database, Delivery, DeliveryQuery, Finding, History, Include, Lease, LeaseRoom,
    LeasedWebhook, NewAccount, NewDelivery, News, OpenError, Retained, Settlement, Snapshot, Store,
    StoreError, WebhookHealth,
    key_cache::{By, KeyCache},
    ledger::Call,
};

pub use connect::DatabaseUrl;
pub(crate) use connect::{check_server, open_error};
use error::Error;
use lanes::Lanes;
use replica::Replica;
use session::{Session, Sessions};

/// How a server uses its database.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// Connections at most; half of them, rounded down, may write at once.
    pub connections: usize,
    /// The URL leads to a pooler that hands connections out for a transaction each, as PgBouncer
    /// does in transaction mode: nothing is prepared.
    pub pooled: bool,
    /// A replica of the database, for what may be a little old: rows of contacts, and the snapshots
    /// that indexes are loaded from. What it lacks, and everything while it is away, is read from
    /// the database itself.
    pub replica: Option<DatabaseUrl>,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { connections: 10, pooled: false, replica: None }
    }
}

/// A [`Store`] on PostgreSQL.
pub struct PostgresStore {
    sessions: Sessions,
    replica: Option<Replica>,
    lanes: Arc<Lanes>,
    key_cache: Arc<KeyCache>,
}

impl PostgresStore {
    /// Opens a database, making or migrating its tables as needed. `database_id` is the identity of
    /// a database that is empty yet.
    pub async fn open(
        url: &DatabaseUrl,
        options: &PostgresOptions,
        database_id: &str,
    ) -> Result<Self, OpenError> {
        let (mut client, connection) = url.connect().await?;
        let opened = async {
            connect::check_server(url, &client).await?;
            migrations::run(&mut client, url, database_id).await?;
            crate::copy::refuse_unfinished_postgres(url, &client).await?;
            let failed = |error| connect::open_error(url, &error);
            warn_of_fsync(&client).await.map_err(failed)?;
            if let Some(replica) = &options.replica {
                replica::check(&client, url, replica).await?;
            }
            Ok(())
        };
        let opened: Result<(), OpenError> = opened.await;
        drop(client);
        connection.abort();
        opened?;
        let connections = options.connections.max(2);
        let pool = |url: &DatabaseUrl| {
            let sessions = Sessions::new(url, connections, options.pooled);
            sessions.map_err(|error| OpenError::Failed {
                database: url.to_string(),
                reason: error.to_string(),
            })
        };
        let sessions = pool(url)?;
        let replica = options.replica.as_ref().map(pool).transpose()?.map(Replica::new);
        let key_cache = Arc::<KeyCache>::default();
        let lanes = Lanes::new(sessions.clone(), connections / 2, Arc::clone(&key_cache));
        Ok(Self { sessions, replica, lanes, key_cache })
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

    /// Writes beside the lanes, in one transaction: bookkeeping that no event tells of, and that may
    /// be done again where it is not known whether it was done.
    async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: for<'s> FnOnce(&'s Session) -> BoxFuture<'s, Result<T, Error>> + Send,
    {
        let session = self.session().await?;
        let written = async {
            session.begin(&self.sessions.begin()).await?;
            let written = work(&session).await?;
            session.commit().await?;
            Ok(written)
        };
        let written: Result<T, Error> = written.await;
        if written.is_err() {
            session.roll_back().await;
        }
        Ok(written?)
    }

    /// A key that is known, or that the database knows.
    async fn key(&self, by: By) -> Result<Option<StoredKey>, StoreError> {
        let begun = match self.key_cache.get(&by) {
            Ok(_) if self.sessions.is_closed() => return Err(StoreError::closed()),
            Ok(key) => return Ok(Some(key)),
            Err(begun) => begun,
        };
        let asked = Arc::new(by.clone());
        let found = self
            .read(move |session| {
                let asked = Arc::clone(&asked);
                async move {
                    match &*asked {
                        By::Name(name) => keys::by_name(session, name).await,
                        By::Secret(hash) => keys::by_secret(session, hash).await,
                    }
                }
                .boxed()
            })
            .await?;
        if let Some(key) = &found {
            self.key_cache.keep(by, key, begun);
        }
        Ok(found)
    }

    async fn session(&self) -> Result<Session, StoreError> {
        if self.sessions.is_closed() {
            return Err(StoreError::closed());
        }
        Ok(self.sessions.get().await?)
    }
}

/// Warns of a server that keeps nothing through a crash of its machine.
async fn warn_of_fsync(client: &tokio_postgres::Client) -> Result<(), tokio_postgres::Error> {
    let rows = client.query_typed("SELECT current_setting('fsync')", &[]).await?;
    if rows.first().is_some_and(|row| row.try_get::<_, &str>(0).is_ok_and(|fsync| fsync == "off")) {
        tracing::warn!("PostgreSQL runs with fsync = off: a crash of its machine loses writes");
    }
    Ok(())
}

#[async_trait]
impl Store for PostgresStore {
    async fn apply(
        &self,
        cx: Context,
        changes: Vec<Change>,
        atomic: bool,
    ) -> Result<Applied, StoreError> {
        self.lanes.call(Call::new(cx, changes, atomic)?).await
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
        let touched = self.read(move |session| keys::touch(session, account, id, at).boxed()).await;
        self.key_cache.forget();
        touched
    }

    async fn key_by_name(&self, api_key: &str) -> Result<Option<StoredKey>, StoreError> {
        self.key(By::Name(api_key.to_owned())).await
    }

    async fn key_by_secret(&self, secret: &SecretHash) -> Result<Option<StoredKey>, StoreError> {
        self.key(By::Secret(secret.0)).await
    }

    async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        self.read(|session| accounts::list(session).boxed()).await
    }

    async fn counts(&self, account: AccountId) -> Result<Option<Counts>, StoreError> {
        self.read(move |session| accounts::counts(session, account).boxed()).await
    }

    async fn news(
        &self,
        account: AccountId,
        after: Seq,
        limit: usize,
    ) -> Result<Option<News>, StoreError> {
        self.read(move |session| events::news(session, account, after, limit).boxed()).await
    }

    async fn contact(
        &self,
        account: AccountId,
        id: ContactId,
        include: Include,
    ) -> Result<Option<ContactRecord>, StoreError> {
        let found = self.contacts(account, &[id], include).await?;
        Ok(found.into_iter().next().map(Arc::unwrap_or_clone))
    }

    async fn contacts(
        &self,
        account: AccountId,
        ids: &[ContactId],
        include: Include,
    ) -> Result<Vec<Arc<ContactRecord>>, StoreError> {
        let ids = ids.get(..READ_ROWS).unwrap_or(ids);
        let known = match &self.replica {
            Some(replica) => replica.contacts(account, ids, include).await,
            None => Vec::new(),
        };
        let is_missing = |id: &&ContactId| known.iter().all(|record| record.contact.id != **id);
        let missing: Arc<[ContactId]> = ids.iter().filter(is_missing).copied().collect();
        if missing.is_empty() {
            return Ok(known);
        }
        let fresh = self
            .read(move |session| {
                let missing = Arc::clone(&missing);
                async move { contacts::records(session, account, &missing, include).await }.boxed()
            })
            .await?;
        if known.is_empty() {
            return Ok(fresh);
        }
        let record = |id: &ContactId| {
            known.iter().chain(&fresh).find(|record| record.contact.id == *id).cloned()
        };
        Ok(ids.iter().filter_map(record).collect())
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

    async fn labels(&self, account: AccountId) -> Result<Vec<LabelCard>, StoreError> {
        self.read(move |session| labels::list(session, account).boxed()).await
    }

    async fn label(
        &self,
        account: AccountId,
        id: LabelId,
    ) -> Result<Option<LabelCard>, StoreError> {
        self.read(move |session| labels::get(session, account, id).boxed()).await
    }

    async fn relabelled(&self, account: AccountId, after: Seq) -> Result<Vec<Event>, StoreError> {
        self.read(move |session| events::relabelled(session, account, after).boxed()).await
    }

    async fn attributes(&self, account: AccountId) -> Result<Vec<AttributeDefinition>, StoreError> {
        self.read(move |session| attributes::list(session, account).boxed()).await
    }

    async fn attribute(
        &self,
        account: AccountId,
        id: AttributeId,
    ) -> Result<Option<AttributeDefinition>, StoreError> {
        self.read(move |session| attributes::get(session, account, id).boxed()).await
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

    async fn history(
        &self,
        account: AccountId,
        contact: ContactId,
        from: Option<Seq>,
        limit: usize,
    ) -> Result<Option<History>, StoreError> {
        self.read(move |session| events::history(session, account, contact, from, limit).boxed())
            .await
    }

    async fn heads(&self, accounts: &[AccountId]) -> Result<Vec<(AccountId, Seq)>, StoreError> {
        let accounts: Arc<[i64]> = accounts.iter().map(|id| id.0).collect();
        self.read(move |session| {
            let accounts = Arc::clone(&accounts);
            async move { accounts::heads(session, &accounts).await }.boxed()
        })
        .await
    }

    async fn drop_events(
        &self,
        account: AccountId,
        before: UnixMillis,
    ) -> Result<Retained, StoreError> {
        self.write(move |session| retention::drop_events(session, account, before).boxed()).await
    }

    async fn purge(
        &self,
        now: UnixMillis,
        settled_before: UnixMillis,
    ) -> Result<usize, StoreError> {
        let mut gone = 0;
        for account in self.accounts().await? {
            let account = account.id;
            let purged = self.write(move |session| {
                retention::purge(session, account, now, settled_before).boxed()
            });
            gone += purged.await?;
            // What is left comes with the next step.
            if gone >= usize::try_from(PURGED_ROWS).unwrap_or(usize::MAX) {
                break;
            }
        }
        Ok(gone)
    }

    async fn webhooks(&self, account: AccountId) -> Result<Vec<Webhook>, StoreError> {
        self.read(move |session| webhooks::list(session, account).boxed()).await
    }

    async fn webhook(
        &self,
        account: AccountId,
        id: WebhookId,
    ) -> Result<Option<Webhook>, StoreError> {
        let found = self.read(move |session| webhooks::get(session, account, id).boxed()).await?;
        Ok(found.map(|stored| stored.webhook))
    }

    async fn deliveries(
        &self,
        account: AccountId,
        webhook: WebhookId,
        query: DeliveryQuery,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.read(move |session| deliveries::list(session, account, webhook, query, limit).boxed())
            .await
    }

    async fn delivery(
        &self,
        account: AccountId,
        webhook: WebhookId,
        seq: Seq,
    ) -> Result<Option<Delivery>, StoreError> {
        self.read(move |session| deliveries::get(session, account, webhook, seq).boxed()).await
    }

    async fn lease_webhooks(
        &self,
        owner: &str,
        now: UnixMillis,
        until: UnixMillis,
        room: LeaseRoom,
    ) -> Result<Vec<LeasedWebhook>, StoreError> {
        let owner: Arc<str> = owner.into();
        self.read(move |session| {
            let owner = Arc::clone(&owner);
            async move { deliveries::lease(session, &owner, now, until, room).await }.boxed()
        })
        .await
    }

    async fn release_webhook(&self, lease: &Lease) -> Result<(), StoreError> {
        let lease = lease.clone();
        self.write(move |session| async move { deliveries::release(session, &lease).await }.boxed())
            .await
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
        self.write(move |session| {
            async move { deliveries::enqueue(session, &lease, (from, to), &new, now).await }.boxed()
        })
        .await
    }

    async fn due_deliveries(
        &self,
        account: AccountId,
        webhook: WebhookId,
        now: UnixMillis,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.read(move |session| deliveries::due(session, account, webhook, now, limit).boxed())
            .await
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
        self.write(move |session| {
            async move {
                let outcome = (settlement, &health);
                deliveries::settle(session, &lease, seq, &attempt, outcome, now).await
            }
            .boxed()
        })
        .await
    }

    async fn snapshot(&self, account: AccountId) -> Result<Snapshot, StoreError> {
        if let Some(replica) = &self.replica
            && let Some(snapshot) = replica.snapshot(account).await
        {
            return Ok(snapshot);
        }
        if self.sessions.is_closed() {
            return Err(StoreError::closed());
        }
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
        if let Some(replica) = &self.replica {
            replica.close();
        }
    }
}
