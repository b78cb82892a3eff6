//! The write side and the record: what the service asks of a database, and the databases.
//!
//! [`Store`] is the contract, one sentence a promise; `tests/it/conformance/` holds every
//! implementation to it. Values cross the trait, never rows, connections or transactions. What a
//! write decides is decided in `ledger/` by the rules of `meishi-contacts`, once for all
//! implementations; an implementation loads and saves.
//!
//! To add an operation: a variant of [`Change`] and its [`Outcome`], what it does in `ledger/`, the
//! rows that are new to an implementation's `load.rs` and `save.rs`, a conformance test for each
//! promise.

mod backup;
mod change;
mod context;
pub mod copy;
mod delivery;
mod error;
pub mod examine;
mod held;
mod key_cache;
mod key_columns;
mod ledger;
pub mod postgres;
pub mod sqlite;
mod webhook_columns;

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use futures::stream::BoxStream;
use meishi_contacts::{
    AccountId, ApiKey, AttributeDefinition, AttributeId, Contact, ContactId, Event, Identity,
    Inbox, InboxId, KeyId, LabelCard, LabelId, SecretHash, Seq, StoredKey, UnixMillis, Webhook,
    WebhookId,
};

pub use crate::{
    backup::{Backup, BackupError, Contents},
    change::{
        Applied, Change, ChangeError, ContactInbox, ContactRecord, ErasureReceipt, Missing,
        Outcome, Redelivery, Upserted,
    },
    context::{Context, Idempotency, Include, NewAccount, Precondition},
    delivery::{
        Attempt, Delivery, DeliveryState, Lease, LeaseRoom, LeasedWebhook, NewDelivery, Settlement,
        WebhookHealth,
    },
    error::{OpenError, StoreError},
    examine::Finding,
    postgres::{DatabaseUrl, PostgresOptions, PostgresStore},
    sqlite::{DataDirectory, SqliteStore},
};

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its number; 64 bits that JavaScript holds.
    pub id: AccountId,
    /// What people call it.
    pub name: String,
    /// When it was made.
    pub created_at: UnixMillis,
}

/// An account that was just made, with what a first call needs.
#[derive(Debug, Clone)]
pub struct CreatedAccount {
    /// The account.
    pub account: Account,
    /// Its first channel.
    pub inbox: Inbox,
    /// Its first key.
    pub key: ApiKey,
}

/// What an account holds, exactly, and how far its events go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Contacts.
    pub contacts: i64,
    /// Contacts with an e-mail, a phone or an identifier.
    pub resolved_contacts: i64,
    /// The last event.
    pub last_seq: Seq,
    /// The last event that retention took away; 0 while all are there.
    pub dropped_seq: Seq,
}

/// What an account counts, and what happened in it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct News {
    /// The counts.
    pub counts: Counts,
    /// Events up to the last one of the counts or beyond, oldest first, or as many as were asked for.
    pub events: Vec<Event>,
}

/// An account's contacts at one moment.
pub struct Snapshot {
    /// The last event whose effect the contacts show.
    pub seq: Seq,
    /// How many contacts there are; a stream that ends with fewer broke off.
    pub count: u64,
    /// The contacts by id, ascending, in slices.
    pub contacts: BoxStream<'static, Result<Vec<Contact>, StoreError>>,
}

/// A part of a contact's history, backwards from its newest event.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// The events, the newest first.
    pub events: Vec<Event>,
    /// Where it goes on; nothing at its beginning.
    pub next: Option<Seq>,
    /// What lies before these events was taken away by retention.
    pub dropped: bool,
}

/// Which deliveries to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeliveryQuery {
    /// Only those of that state.
    pub state: Option<DeliveryState>,
    /// Only those of events before that one.
    pub before: Option<Seq>,
}

/// How far retention got with an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retained {
    /// The last event that was taken away, by this call or an earlier one.
    pub dropped_seq: Seq,
    /// There may be more to take away.
    pub more: bool,
}

/// Which database this is. A restore from a backup raises the epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// A random id, given when the database was made.
    pub id: String,
    /// How often it was restored, from 1.
    pub epoch: i64,
}

/// Everything the service asks of a database. One call is one whole change: all of it or none of
/// it, on disk when it returns `Ok`. No implementation reads the clock or makes random values.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Does the changes in order, in one transaction, and answers each.
    ///
    /// Every change that changes something writes its events in the same transaction, numbered
    /// densely; one that changes nothing writes none. A change that fails leaves nothing behind.
    /// With `atomic`, one failure undoes all of them and the others answer
    /// [`ChangeError::Skipped`]; without it the others stand. More than
    /// [`BATCH_CHANGES`](meishi_contacts::limits::BATCH_CHANGES) changes are refused whole.
    ///
    /// With an idempotency key the outcome is kept in the same transaction; the same call again
    /// does nothing and answers that outcome, another call under the key is
    /// [`StoreError::IdempotencyMismatch`].
    async fn apply(
        &self,
        cx: Context,
        changes: Vec<Change>,
        atomic: bool,
    ) -> Result<Applied, StoreError>;

    /// Makes an account with its first channel and key. With `only_first` it does so only while
    /// there is no account, and answers `None` otherwise, whoever else tries at the same time.
    async fn create_account(&self, new: NewAccount) -> Result<Option<CreatedAccount>, StoreError>;

    /// Notes a key's last use. Not a change: no event tells of it.
    async fn touch_key(
        &self,
        account: AccountId,
        id: KeyId,
        at: UnixMillis,
    ) -> Result<(), StoreError>;

    /// The key of that public half, of whatever account.
    async fn key_by_name(&self, api_key: &str) -> Result<Option<StoredKey>, StoreError>;

    /// The key whose secret, or whose secret before the last rotation, has that hash.
    async fn key_by_secret(&self, secret: &SecretHash) -> Result<Option<StoredKey>, StoreError>;

    /// All accounts, by id.
    async fn accounts(&self) -> Result<Vec<Account>, StoreError>;

    /// An account's exact counts; `None` for an unknown account.
    async fn counts(&self, account: AccountId) -> Result<Option<Counts>, StoreError>;

    /// An account's exact counts, and its events after `after`, at most `limit` and at most
    /// [`READ_ROWS`](meishi_contacts::limits::READ_ROWS), in one round trip to the database; `None`
    /// for an unknown account.
    async fn news(
        &self,
        account: AccountId,
        after: Seq,
        limit: usize,
    ) -> Result<Option<News>, StoreError>;

    /// A contact of the account.
    async fn contact(
        &self,
        account: AccountId,
        id: ContactId,
        include: Include,
    ) -> Result<Option<ContactRecord>, StoreError>;

    /// Those contacts of the account that there are, in the order of `ids`; at most
    /// [`READ_ROWS`](meishi_contacts::limits::READ_ROWS) are read.
    async fn contacts(
        &self,
        account: AccountId,
        ids: &[ContactId],
        include: Include,
    ) -> Result<Vec<Arc<ContactRecord>>, StoreError>;

    /// Which contact of the account holds each of the addresses, where one does, in their order.
    async fn owners(
        &self,
        account: AccountId,
        identities: &[Identity],
    ) -> Result<Vec<Option<ContactId>>, StoreError>;

    /// The account's labels, by title.
    async fn labels(&self, account: AccountId) -> Result<Vec<LabelCard>, StoreError>;

    /// A label of the account.
    async fn label(&self, account: AccountId, id: LabelId)
    -> Result<Option<LabelCard>, StoreError>;

    /// The account's events after `after` that renamed, changed or deleted labels, oldest first: all
    /// of them, or one more than [`RELABELLINGS`](meishi_contacts::limits::RELABELLINGS).
    async fn relabelled(&self, account: AccountId, after: Seq) -> Result<Vec<Event>, StoreError>;

    /// The account's definitions of custom attributes, by key.
    async fn attributes(&self, account: AccountId) -> Result<Vec<AttributeDefinition>, StoreError>;

    /// A definition of the account.
    async fn attribute(
        &self,
        account: AccountId,
        id: AttributeId,
    ) -> Result<Option<AttributeDefinition>, StoreError>;

    /// The account's channels, by id.
    async fn inboxes(&self, account: AccountId) -> Result<Vec<Inbox>, StoreError>;

    /// A channel of the account.
    async fn inbox(&self, account: AccountId, id: InboxId) -> Result<Option<Inbox>, StoreError>;

    /// The account's keys, by id.
    async fn keys(&self, account: AccountId) -> Result<Vec<ApiKey>, StoreError>;

    /// The account's events after `after`, oldest first, at most `limit` and at most
    /// [`READ_ROWS`](meishi_contacts::limits::READ_ROWS).
    async fn events(
        &self,
        account: AccountId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError>;

    /// A contact's events, the newest first, be the contact there or deleted: from the event
    /// `from`, which must be one of its own, or from the last one. `None` for a contact that never
    /// was, or whose deletion retention has taken away.
    async fn history(
        &self,
        account: AccountId,
        contact: ContactId,
        from: Option<Seq>,
        limit: usize,
    ) -> Result<Option<History>, StoreError>;

    /// The last events of those accounts that there are, in no order.
    async fn heads(&self, accounts: &[AccountId]) -> Result<Vec<(AccountId, Seq)>, StoreError>;

    /// Takes away the account's oldest events that are all older than `before`, some thousands at a
    /// time, and with them what was delivered of them; but none that a webhook has yet to look at or
    /// to be told of, nor the last one.
    async fn drop_events(
        &self,
        account: AccountId,
        before: UnixMillis,
    ) -> Result<Retained, StoreError>;

    /// Takes away what has expired, some thousands of rows at a time: outcomes of keyed calls,
    /// deliveries that were settled before `settled_before`, what is left of deleted webhooks.
    /// Answers how many rows; 0 when there is nothing left to do.
    async fn purge(&self, now: UnixMillis, settled_before: UnixMillis)
    -> Result<usize, StoreError>;

    /// The account's webhooks, by id.
    async fn webhooks(&self, account: AccountId) -> Result<Vec<Webhook>, StoreError>;

    /// A webhook of the account.
    async fn webhook(
        &self,
        account: AccountId,
        id: WebhookId,
    ) -> Result<Option<Webhook>, StoreError>;

    /// A webhook's deliveries, the newest event first. Their payloads are left out, and empty.
    async fn deliveries(
        &self,
        account: AccountId,
        webhook: WebhookId,
        query: DeliveryQuery,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError>;

    /// A webhook's delivery of one event.
    async fn delivery(
        &self,
        account: AccountId,
        webhook: WebhookId,
        seq: Seq,
    ) -> Result<Option<Delivery>, StoreError>;

    /// Leases webhooks of whatever account that are at work and have something to do: events to
    /// look at, or deliveries whose time may have come. Until `until` no other owner gets them; the
    /// owner itself gets them again, with the lease prolonged, until it gives them back, and so does
    /// whoever comes after `until`. Who was leased longest ago comes first; not more than there is
    /// `room` for, and of one account [`WEBHOOK_ACCOUNT_TURNS`] and
    /// [`WEBHOOK_ACCOUNT_FAILING_TURNS`] at once, whoever has them.
    ///
    /// [`WEBHOOK_ACCOUNT_TURNS`]: meishi_contacts::limits::WEBHOOK_ACCOUNT_TURNS
    /// [`WEBHOOK_ACCOUNT_FAILING_TURNS`]: meishi_contacts::limits::WEBHOOK_ACCOUNT_FAILING_TURNS
    async fn lease_webhooks(
        &self,
        owner: &str,
        now: UnixMillis,
        until: UnixMillis,
        room: LeaseRoom,
    ) -> Result<Vec<LeasedWebhook>, StoreError>;

    /// Gives a lease back. The webhook has something to do again when its next delivery is due, and
    /// as soon as there is a further event.
    async fn release_webhook(&self, lease: &Lease) -> Result<(), StoreError>;

    /// Keeps what a webhook is to be told of the events up to `to`, in their order, and that it
    /// looked at these. `false`, and nothing is kept, when the lease is another's, the webhook is
    /// not at work, or it has not looked at exactly the events up to `from`. A contact's deliveries
    /// go out one after the other.
    async fn enqueue_deliveries(
        &self,
        lease: &Lease,
        from: Seq,
        to: Seq,
        new: Vec<NewDelivery>,
        now: UnixMillis,
    ) -> Result<bool, StoreError>;

    /// Deliveries of a webhook whose time has come, the one that is due longest first.
    async fn due_deliveries(
        &self,
        account: AccountId,
        webhook: WebhookId,
        now: UnixMillis,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError>;

    /// Notes an attempt and what became of the delivery; the contact's next one may then go out.
    /// `false`, and nothing is noted, when the lease is another's or nothing was due.
    async fn settle_delivery(
        &self,
        lease: &Lease,
        seq: Seq,
        attempt: Attempt,
        settlement: Settlement,
        health: WebhookHealth,
        now: UnixMillis,
    ) -> Result<bool, StoreError>;

    /// All contacts of the account as of one event, with their labels.
    async fn snapshot(&self, account: AccountId) -> Result<Snapshot, StoreError>;

    /// Which database this is.
    async fn database(&self) -> Result<Database, StoreError>;

    /// Looks whether what must be true of the data is: [`examine::CHECKS`] and what the database
    /// alone knows, all at one moment, while changes go on. `now` is what the clock shows.
    async fn examine(&self, now: UnixMillis) -> Result<Vec<Finding>, StoreError>;

    /// Writes a copy of the database as of one moment into a new file, while changes go on: what
    /// was answered before the call is in it. On disk when it returns `Ok`; otherwise there is
    /// nothing of that name. A store that is backed up otherwise answers
    /// [`BackupError::Unsupported`].
    async fn backup(&self, file: &Path) -> Result<Backup, BackupError>;

    /// Whether reads and writes get through.
    async fn ready(&self) -> Result<(), StoreError>;

    /// Finishes what is queued and closes; every later call fails.
    async fn close(&self);
}
