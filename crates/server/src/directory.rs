//! Which accounts' indexes are loaded, and how they are kept current.
//!
//! An index is loaded when its account is first asked for, and follows the account's events. A
//! query answers from an index that has applied at least every event committed before the query
//! came in, whichever server wrote it: the query first asks the store for the account's last event
//! and fetches those that the index lacks.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures::StreamExt;
use meishi_contacts::{
    AccountId, ContactId, Label, Place, Query, Seq, Slice, TextQuery,
    limits::{CHECK_TIME, CHECKED_ROWS, INDEX_WAIT, READ_ROWS},
};
use meishi_index::{Answer, Index};
use meishi_store::{ContactRecord, Include, Store, StoreError};
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock, Semaphore};

/// From this many contacts on, a query that is not brief runs on a thread of its own, since it may
/// take milliseconds.
const LONG_QUERY_CONTACTS: usize = 20_000;

/// Events that are always followed, however few contacts there are.
const FOLLOWED_EVENTS: usize = 10_000;

/// The loaded indexes.
pub struct Directory {
    store: Arc<dyn Store>,
    /// Lets as many long queries run as there are cores; the others wait, and hold nothing.
    long_queries: Arc<Semaphore>,
    accounts: Mutex<HashMap<AccountId, Slot>>,
}

/// One account's index; `None` until it is loaded. The lock also lets queries share one load.
type Slot = Arc<RwLock<Option<Index>>>;

/// A page of a query's answer.
#[derive(Debug)]
pub struct Page {
    /// The page's contacts, in order. One that was deleted in the meantime is left out.
    pub contacts: Vec<ContactRecord>,
    /// How many contacts match in all.
    pub total: u64,
    /// What the next page comes after; `None` where there is none. It is the index's and not the
    /// last contact's, which may be left out.
    pub next: Option<Place>,
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
    /// Looking at the rows took too long.
    #[error("looking at the rows took too long")]
    TooSlow,
}

/// How much the loaded indexes hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Accounts with an index.
    pub accounts: usize,
    /// Contacts in them.
    pub contacts: usize,
    /// Bytes of memory that they take.
    pub bytes: usize,
}

impl Directory {
    /// A directory with nothing loaded.
    pub fn new(store: Arc<dyn Store>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let long_queries = Arc::new(Semaphore::new(cores));
        Self { store, long_queries, accounts: Mutex::default() }
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

    /// The contacts of an answer, as they are by now.
    async fn rows(
        &self,
        account: AccountId,
        answer: Answer,
        include: Include,
    ) -> Result<Page, QueryError> {
        match answer {
            Answer::Exact { ids, total, next } => {
                let contacts = self.store.contacts(account, &ids, include).await?;
                Ok(Page { contacts, total, next })
            }
            Answer::Candidates { ids, condition } => {
                if ids.len() > CHECKED_ROWS {
                    return Err(QueryError::TooBroad(ids.len()));
                }
                let checked = self.checked(account, &ids, &condition, include);
                let checked = tokio::time::timeout(CHECK_TIME, checked).await;
                Ok(checked.map_err(|_| QueryError::TooSlow)??)
            }
        }
    }

    /// Names near to a text that nothing matches.
    pub async fn did_you_mean(
        &self,
        account: AccountId,
        text: &TextQuery,
    ) -> Result<Vec<String>, StoreError> {
        let text = text.clone();
        self.ask(account, |_| false, move |index| index.did_you_mean(&text)).await
    }

    /// What the current index says of a query.
    async fn answer(&self, account: AccountId, query: Query) -> Result<Answer, StoreError> {
        let asked = query.clone();
        let is_brief = move |index: &Index| index.is_brief(&asked);
        self.ask(account, is_brief, move |index| index.query(&query)).await
    }

    /// Asks the current index, on a thread of its own where that may take long. It is not held any
    /// longer than that takes.
    async fn ask<T: Send + 'static>(
        &self,
        account: AccountId,
        is_brief: impl Fn(&Index) -> bool,
        question: impl FnOnce(&Index) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let index = self.current(account).await?;
        let is_brief = |index: &Index| index.len() <= LONG_QUERY_CONTACTS || is_brief(index);
        if index.as_ref().is_none_or(is_brief) {
            return Ok(ask(index.as_ref(), question));
        }
        drop(index);
        // Never closed, so that waiting cannot fail.
        let turn = Arc::clone(&self.long_queries).acquire_owned().await;
        let index = self.current(account).await?;
        tokio::task::spawn_blocking(move || {
            let answer = ask(index.as_ref(), question);
            drop(turn);
            answer
        })
        .await
        .map_err(|error| StoreError::Internal(error.to_string()))
    }

    /// How many contacts bear each of some labels.
    pub async fn labelled(
        &self,
        account: AccountId,
        labels: impl IntoIterator<Item = &Label>,
    ) -> Result<Vec<u64>, StoreError> {
        let index = self.current(account).await?;
        let count = |label| index.as_ref().map_or(0, |index: &Index| index.labelled(label) as u64);
        Ok(labels.into_iter().map(count).collect())
    }

    /// How much is loaded.
    pub fn loaded(&self) -> Loaded {
        let slots: Vec<Slot> = self.accounts().values().cloned().collect();
        let mut loaded = Loaded::default();
        for slot in slots {
            // One that is being loaded counts when it is.
            if let Ok(index) = slot.try_read()
                && let Some(index) = index.as_ref()
            {
                loaded.accounts += 1;
                loaded.contacts += index.len();
                loaded.bytes += index.bytes();
            }
        }
        loaded
    }

    fn accounts(&self) -> std::sync::MutexGuard<'_, HashMap<AccountId, Slot>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The account's index, with every event applied that was committed before this call.
    async fn current(
        &self,
        account: AccountId,
    ) -> Result<OwnedRwLockReadGuard<Option<Index>>, StoreError> {
        let counts = self.store.counts(account).await?;
        let head = counts.map(|counts| counts.last_seq).unwrap_or_default();
        // Who waits no longer leaves the work to those who still do.
        let current = tokio::time::timeout(INDEX_WAIT, self.caught_up(account, head));
        current.await.unwrap_or(Err(StoreError::Busy))
    }

    /// The account's index, with every event up to `head` applied.
    async fn caught_up(
        &self,
        account: AccountId,
        head: Seq,
    ) -> Result<OwnedRwLockReadGuard<Option<Index>>, StoreError> {
        let slot = Arc::clone(self.accounts().entry(account).or_default());
        let has_applied = |index: &Option<Index>| index.as_ref().is_some_and(|i| i.seq() >= head);

        let index = Arc::clone(&slot).read_owned().await;
        if has_applied(&index) {
            return Ok(index);
        }
        drop(index);
        let index = slot.write_owned().await;
        if has_applied(&index) {
            return Ok(index.downgrade());
        }
        // A task of its own: a caller that goes away must not undo the work for those who wait.
        tokio::spawn(catch_up(Arc::clone(&self.store), account, index, head))
            .await
            .map_err(|error| StoreError::Internal(error.to_string()))?
    }

    /// Checks on rows what the index left open.
    async fn checked(
        &self,
        account: AccountId,
        candidates: &[ContactId],
        condition: &Query,
        include: Include,
    ) -> Result<Page, StoreError> {
        let Slice { offset, limit } = condition.slice;
        let (mut total, mut following) = (0, 0);
        let mut places = Vec::new();
        for ids in candidates.chunks(READ_ROWS) {
            let records = self.store.contacts(account, ids, Include::Nothing).await?;
            for contact in records.iter().map(|record| &record.contact) {
                if !condition.matches(contact) {
                    continue;
                }
                total += 1;
                if condition.follows(contact) {
                    following += 1;
                    if following > offset && places.len() < limit {
                        places.push(Place::of(condition, contact));
                    }
                }
            }
        }
        let ids: Vec<ContactId> = places.iter().map(|place| place.id).collect();
        let contacts = self.store.contacts(account, &ids, include).await?;
        let more = following > offset.saturating_add(limit);
        Ok(Page { contacts, total, next: places.pop().filter(|_| more) })
    }
}

/// Brings an index to `head` or beyond, by the events that it lacks or by loading it.
async fn catch_up(
    store: Arc<dyn Store>,
    account: AccountId,
    mut index: OwnedRwLockWriteGuard<Option<Index>>,
    head: Seq,
) -> Result<OwnedRwLockReadGuard<Option<Index>>, StoreError> {
    // Taken out while it is at work: a panic must not leave one that was changed by half.
    if let Some(mut known) = index.take_if(|known| !is_far_behind(known.seq(), known.len(), head)) {
        match follow(&*store, account, &mut known, head).await {
            Ok(true) => *index = Some(known),
            Ok(false) => {}
            Err(error) => {
                *index = Some(known);
                return Err(error);
            }
        }
    }
    if index.as_ref().is_none_or(|known| known.seq() < head) {
        *index = None;
        let mut loaded = load(&*store, account).await?;
        // The rows may have come from a replica that lags.
        if !follow(&*store, account, &mut loaded, head).await? {
            let reason = format!("the events of {account} do not fit its contacts");
            return Err(StoreError::Internal(reason));
        }
        *index = Some(loaded);
    }
    Ok(index.downgrade())
}

/// Whether so many events are to be applied that the contacts are read sooner: an event costs about
/// as much as eight contacts of a load.
fn is_far_behind(seq: Seq, contacts: usize, head: Seq) -> bool {
    let behind = usize::try_from(head.0 - seq.0).unwrap_or_default();
    behind > FOLLOWED_EVENTS && behind > contacts / 8
}

/// Applies the events up to `head`; `false` when the index does not fit them any more.
async fn follow(
    store: &dyn Store,
    account: AccountId,
    index: &mut Index,
    head: Seq,
) -> Result<bool, StoreError> {
    while index.seq() < head {
        let events = store.events(account, index.seq(), READ_ROWS).await?;
        if events.is_empty() {
            tracing::error!(%account, seq = %index.seq(), %head, "events are missing");
            return Ok(false);
        }
        for event in &events {
            if let Err(error) = index.apply(event) {
                tracing::error!(%account, seq = %event.seq, %error, "the index is reloaded");
                return Ok(false);
            }
        }
    }
    Ok(true)
}

async fn load(store: &dyn Store, account: AccountId) -> Result<Index, StoreError> {
    let mut snapshot = store.snapshot(account).await?;
    let mut builder = Index::builder().expecting(snapshot.count);
    while let Some(slice) = snapshot.contacts.next().await {
        for contact in &slice? {
            builder.push(contact);
        }
        // A large account takes seconds; others are served in between.
        tokio::task::yield_now().await;
    }
    let index = builder.finish(snapshot.seq);
    if index.len() as u64 != snapshot.count {
        let (found, count) = (index.len(), snapshot.count);
        let reason = format!("the snapshot of {account} has {found} contacts instead of {count}");
        return Err(StoreError::Internal(reason));
    }
    Ok(index)
}

fn ask<T>(index: Option<&Index>, question: impl FnOnce(&Index) -> T) -> T {
    match index {
        Some(index) => question(index),
        None => question(&Index::new()),
    }
}

#[cfg(test)]
mod tests {
    use meishi_contacts::{
        Actor, ContactPatch, Credential, NewContact, Role, Seed, TextQuery, UnixMillis,
        order::DEFAULT_ORDER,
    };
    use meishi_store::{Change, Context, DataDirectory, NewAccount, SqliteStore};
    use tempfile::TempDir;

    use super::*;

    /// An account with the contacts 1 to 4, whose names are Anna, Bob, Hanna and Joanna.
    struct Scene {
        directory: Directory,
        account: AccountId,
        _folder: TempDir,
    }

    impl Scene {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let held = DataDirectory::hold(folder.path()).unwrap();
            let store: Arc<dyn Store> = Arc::new(SqliteStore::open(held, "test").unwrap());
            let seed = Seed([1; 32]);
            let account = NewAccount {
                name: "Acme".into(),
                inbox_name: "API".into(),
                key: Credential::from_seed(&seed).key("key".into(), Role::Agent, None),
                at: UnixMillis(0),
                request_id: String::new(),
                seed,
                only_first: true,
            };
            let account = store.create_account(account).await.unwrap().unwrap().account.id;
            let scene = Self { directory: Directory::new(store), account, _folder: folder };
            let changes = ["Anna", "Bob", "Hanna", "Joanna"].map(|name| {
                let fields = ContactPatch { name: Some(name.into()), ..ContactPatch::default() };
                Change::CreateContact(Box::new(NewContact { fields, link: None }))
            });
            scene.apply(changes.into()).await;
            scene
        }

        async fn apply(&self, changes: Vec<Change>) {
            let cx = Context {
                account: self.account,
                actor: Actor::System,
                at: UnixMillis(0),
                request_id: String::new(),
                seed: Seed([1; 32]),
                precondition: None,
                idempotency: None,
            };
            self.directory.store.apply(cx, changes, true).await.unwrap();
        }
    }

    fn query(q: &str, offset: usize, limit: usize) -> Query {
        Query {
            text: TextQuery::parse(q),
            labels: Vec::new(),
            filter: None,
            resolved: false,
            order: DEFAULT_ORDER.to_vec(),
            after: None,
            slice: Slice { offset, limit },
        }
    }

    fn ids(page: &Page) -> Vec<i64> {
        page.contacts.iter().map(|record| record.contact.id.0).collect()
    }

    #[test]
    fn an_index_is_loaded_anew_where_that_is_sooner() {
        let is_far = |contacts, head| is_far_behind(Seq(1_000), contacts, Seq(head));
        assert!(!is_far(0, 11_000) && is_far(0, 11_001));
        assert!(!is_far(1_000_000, 126_000) && is_far(1_000_000, 126_001));
    }

    #[tokio::test]
    async fn candidates_are_checked_on_rows_before_they_are_counted_and_sliced() {
        let scene = Scene::new().await;
        let candidates = [4, 3, 99, 2, 1].map(ContactId);
        let checked = async |condition: &Query| {
            let include = Include::Nothing;
            let checked = scene.directory.checked(scene.account, &candidates, condition, include);
            checked.await.unwrap()
        };
        let page = checked(&query("anna", 1, 1)).await;
        assert_eq!((ids(&page), page.total), (vec![3], 3));

        let rest = Query { after: page.next, ..query("anna", 0, 1) };
        let page = checked(&rest).await;
        assert_eq!((ids(&page), page.total, page.next), (vec![1], 3, None));
        let page = checked(&query("anna", 0, 3)).await;
        assert_eq!((ids(&page), page.next), (vec![4, 3, 1], None));
        let page = checked(&query("anna", 0, 0)).await;
        assert_eq!((ids(&page), page.total, page.next), (vec![], 3, None));
    }

    #[tokio::test]
    async fn a_page_whose_contacts_are_gone_meanwhile_still_says_where_the_next_begins() {
        let scene = Scene::new().await;
        let answer = scene.directory.answer(scene.account, query("", 0, 2)).await.unwrap();
        // Those of the page, between the index's answer and the reading of the rows.
        let gone = [4, 3].map(|id| Change::DeleteContact { id: ContactId(id) });
        scene.apply(gone.into()).await;
        let include = Include::Nothing;
        let page = scene.directory.rows(scene.account, answer, include).await.unwrap();
        assert_eq!((ids(&page), page.total), (vec![], 4));

        let rest = Query { after: page.next, ..query("", 0, 2) };
        let page = scene.directory.page(scene.account, rest, include).await.unwrap();
        assert_eq!((ids(&page), page.total, page.next), (vec![2, 1], 2, None));
    }
}
