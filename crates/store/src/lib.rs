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
mod error;
pub mod examine;
mod key_columns;
mod ledger;
pub mod postgres;
pub mod sqlite;

use std::path::Path;

use async_trait::async_trait;
use futures::stream::BoxStream;
use meishi_contacts::{
    AccountId, ApiKey, Contact, ContactId, Event, Identity, Inbox, InboxId, KeyId, SecretHash, Seq,
    StoredKey, UnixMillis,
};

pub use crate::{
    backup::{Backup, BackupError, Contents},
    change::{Applied, Change, ChangeError, ContactInbox, ContactRecord, Missing, Outcome},
    context::{Context, Idempotency, Include, NewAccount, Precondition},
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Contacts.
    pub contacts: i64,
    /// Contacts with an e-mail, a phone or an identifier.
    pub resolved_contacts: i64,
    /// The last event.
    pub last_seq: Seq,
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
    ) -> Result<Vec<ContactRecord>, StoreError>;

    /// Which contact of the account holds each of the addresses, where one does, in their order.
    async fn owners(
        &self,
        account: AccountId,
        identities: &[Identity],
    ) -> Result<Vec<Option<ContactId>>, StoreError>;

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
