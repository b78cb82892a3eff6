//! Queries: from the index to the page of contacts.
//!
//! An index is loaded when its account is first asked for, and follows the account's events. A
//! query answers from an index that has applied at least every event committed before the query
//! came in, whichever server wrote it: the query first asks the store for the account's last event,
//! and for the first of those that the index lacks in the same breath.
//!
//! Which indexes are in memory is `shelf.rs`' affair: `load.rs` brings them there and keeps them
//! current, from snapshots (`files.rs`, `save.rs`) or rows; `memory.rs` says how much there is of
//! it; `keep.rs` is what goes on beside the queries. `rows.rs` reads the contacts of an answer.

mod files;
mod keep;
mod load;
mod memory;
mod rows;
mod save;
mod shelf;
mod slot;
#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use meishi_contacts::{AccountId, Filter, Label, Query, TextQuery, UnixMillis, limits::INDEX_WAIT};
use meishi_index::{Answer, Index, TooLate};
use meishi_store::{Include, Store, StoreError};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

pub use self::{
    keep::Warmth,
    memory::{Memory, NoMemory},
    rows::Page,
    shelf::{IndexSettings, Loaded},
};
use self::{shelf::Shelf, slot::Reading};

/// From this many looks at a contact on, a query that is not brief runs on a thread of its own, since
/// it may take milliseconds.
const LONG_QUERY_LOOKS: usize = 20_000;

/// The query side.
pub struct Directory {
    store: Arc<dyn Store>,
    /// Lets as many long queries run as there are cores; the others wait, and hold nothing.
    long_queries: Arc<Semaphore>,
    query_time: Duration,
    shelf: Arc<Shelf>,
}

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Memory leaves open of more contacts whether they match than there may be rows read.
    #[error("{0} contacts are left to be looked at")]
    TooBroad(usize),
    /// Asking the index, or looking at the rows, took too long.
    #[error("the query took too long")]
    TooSlow,
    /// The account's contacts do not fit into memory.
    #[error("the account's contacts do not fit into the memory for indexes")]
    NoRoom,
}

impl Directory {
    /// A directory with nothing loaded.
    pub fn new(store: Arc<dyn Store>, settings: IndexSettings) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let long_queries = Arc::new(Semaphore::new(cores));
        let query_time = settings.query_time;
        let shelf = Arc::new(Shelf::new(Arc::clone(&store), settings));
        Self { store, long_queries, query_time, shelf }
    }

    /// The page of contacts that a query asks for.
    pub async fn page(
        &self,
        account: AccountId,
        query: Query,
        include: Include,
    ) -> Result<Page, QueryError> {
        let answer = self.answer(account, query).await?;
        self.rows(account, answer, include).await
    }

    /// Names near to a text that nothing matches.
    pub async fn did_you_mean(
        &self,
        account: AccountId,
        text: &TextQuery,
    ) -> Result<Vec<String>, QueryError> {
        let text = text.clone();
        let names = move |index: &Index, is_late: &dyn Fn() -> bool| {
            index.did_you_mean_until(&text, is_late)
        };
        self.ask(account, |_| false, names).await
    }

    /// What the current index says of a query.
    async fn answer(&self, account: AccountId, query: Query) -> Result<Answer, QueryError> {
        let asked = query.clone();
        let looks = looks(&query);
        let is_brief = move |index: &Index| {
            index.len().saturating_mul(looks) <= LONG_QUERY_LOOKS || index.is_brief(&asked)
        };
        let question =
            move |index: &Index, is_late: &dyn Fn() -> bool| index.query_until(&query, is_late);
        self.ask(account, is_brief, question).await
    }

    /// Asks the current index, on a thread of its own unless that is brief, and no longer than
    /// [`IndexSettings::query_time`]. The index is held as long as that takes; a question that nobody
    /// waits for any more is told that it is late, too.
    async fn ask<T: Send + 'static>(
        &self,
        account: AccountId,
        is_brief: impl Fn(&Index) -> bool,
        question: impl FnOnce(&Index, &dyn Fn() -> bool) -> Result<T, TooLate> + Send + 'static,
    ) -> Result<T, QueryError> {
        let index = self.current(account).await?;
        if index.as_deref().is_none_or(is_brief) {
            return Ok(ask(index.as_deref(), |index| question(index, &|| false))?);
        }
        drop(index);
        let turn = self.long_turn().await?;
        let index = self.current(account).await?;
        let waits = Waits::default();
        let is_over = Arc::clone(&waits.is_over);
        let end = Instant::now() + self.query_time;
        let answer = load::blocking(move || {
            let is_late = || is_over.load(Relaxed) || Instant::now() >= end;
            let answer = ask(index.as_deref(), |index| question(index, &is_late));
            drop(turn);
            answer
        });
        let answer = tokio::time::timeout(self.query_time, answer).await;
        Ok(answer.map_err(|_| QueryError::TooSlow)???)
    }

    /// A turn of long queries, which is waited for no longer than for an index.
    async fn long_turn(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        let turn = Arc::clone(&self.long_queries).acquire_owned();
        match tokio::time::timeout(INDEX_WAIT, turn).await {
            Ok(Ok(turn)) => Ok(turn),
            // It is never closed, so that only the time can run out.
            Ok(Err(_)) | Err(_) => Err(StoreError::Busy),
        }
    }

    /// The account's index, with every event applied that was committed before this call.
    async fn current(&self, account: AccountId) -> Result<Reading, QueryError> {
        // Who waits no longer leaves the work to those who still do.
        let current = tokio::time::timeout(INDEX_WAIT, self.shelf.current(account));
        current.await.unwrap_or(Err(StoreError::Busy.into()))
    }

    /// How many contacts bear each of some labels.
    pub async fn labelled(
        &self,
        account: AccountId,
        labels: impl IntoIterator<Item = &Label>,
    ) -> Result<Vec<u64>, QueryError> {
        let index = self.current(account).await?;
        let count =
            |label| index.as_deref().map_or(0, |index: &Index| index.labelled(label) as u64);
        Ok(labels.into_iter().map(count).collect())
    }

    /// How much is loaded.
    pub fn loaded(&self) -> Loaded {
        self.shelf.loaded()
    }

    /// How far the warming after a start is.
    pub fn warmth(&self) -> Warmth {
        self.shelf.warming.warmth()
    }

    /// The accounts that are short of memory: those without grams, and those without an index.
    pub fn short_of_memory(&self) -> (Vec<AccountId>, Vec<AccountId>) {
        self.shelf.short_of_memory()
    }

    /// Loads what was used lately, then looks after memory and snapshots until the task is dropped.
    pub async fn keep(&self, now: UnixMillis) {
        self.shelf.keep(now).await;
    }

    /// Loads what was used lately, the largest first, as long as there is room.
    pub async fn warm(&self, now: UnixMillis) -> Result<(), StoreError> {
        self.shelf.warm(now).await
    }

    /// Looks after memory and snapshots once; rounds are counted from 1.
    pub async fn look_after(&self, round: u64) {
        self.shelf.look_after(round).await;
    }

    /// Takes the account's snapshot away because it holds somebody who was erased. There is none
    /// when it returns, and none comes that was begun before.
    pub fn forget_snapshot(&self, account: AccountId) {
        self.shelf.forget(account);
    }

    /// Drops an account's index, as happens where memory is wanted. Answers whether it did; it does
    /// not where somebody asks the index just now.
    pub fn evict(&self, account: AccountId) -> bool {
        self.shelf.evict(account)
    }

    /// Writes snapshots of what changed, for some seconds at most. For a server that stops.
    pub async fn close(&self) {
        self.shelf.close().await;
    }
}

/// Somebody waits for an answer, as long as it lives.
#[derive(Default)]
struct Waits {
    is_over: Arc<AtomicBool>,
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.is_over.store(true, Relaxed);
    }
}

impl From<TooLate> for QueryError {
    fn from(TooLate: TooLate) -> Self {
        Self::TooSlow
    }
}

/// How many times a query may look at a contact: each value of a filter may be looked for in all texts.
fn looks(query: &Query) -> usize {
    fn of(filter: &Filter) -> usize {
        match filter {
            Filter::And(filters) | Filter::Or(filters) => filters.iter().map(of).sum(),
            Filter::Not(filter) => of(filter),
            Filter::Is(condition) => condition.texts().count().max(1),
        }
    }
    1 + query.filter.as_ref().map_or(0, of)
}

fn ask<T>(index: Option<&Index>, question: impl FnOnce(&Index) -> T) -> T {
    match index {
        Some(index) => question(index),
        None => question(&Index::new()),
    }
}
