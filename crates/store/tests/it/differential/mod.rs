//! Both stores, asked the same: whatever is asked, they answer the same and hold the same.
//!
//! `steps.rs` makes calls up, `pair.rs` carries them out in both and compares the answers,
//! `tables.rs` and `search.rs` compare what is there at the end, `at_once.rs` is for calls that
//! come together. `MEISHI_TEST_CASES` sets how many sequences are tried.

mod at_once;
mod pair;
mod search;
mod steps;
pub(crate) mod tables;

use std::{path::Path, sync::Arc};

use meishi_contacts::{AccountId, Contact, Query};
use meishi_store::{
    DatabaseUrl, Include, PostgresOptions, PostgresStore, SqliteStore, Store, StoreError,
    examine::Severity, sqlite::DataDirectory,
};
use meishi_test_postgres::{Cluster, Database};
use proptest::{collection::vec, prelude::*};

use self::{
    pair::{Pair, same, snapshot},
    steps::{Step, credential, step},
};
use crate::conformance::{
    fields::NOON,
    replay::{all_events, every_account_is_as_its_events_tell},
};

/// How many sequences are tried, unless the environment says.
const CASES: u32 = 100;

#[expect(clippy::disallowed_methods, reason = "how somebody who runs a test asks for more of it")]
fn config(share: u32) -> ProptestConfig {
    let asked = std::env::var("MEISHI_TEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let cases = asked.unwrap_or(CASES).div_ceil(share);
    // A failure shrinks by running the sequence again, in two databases.
    ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: 2000,
        ..ProptestConfig::with_cases(cases)
    }
}

proptest! {
    #![proptest_config(config(1))]

    #[test]
    fn any_sequence_of_calls_has_the_same_answers_in_both_stores(
        servers in 1..=2_usize,
        steps in vec(step(), 1..60),
        queries in vec(search::query(), 4),
    ) {
        run(&Places::make(), async |places| carry_out(places, servers, &steps, &queries).await);
    }
}

/// Where the two stores keep their data.
struct Places {
    directory: tempfile::TempDir,
    database: Database,
}

impl Places {
    fn make() -> Self {
        // What fsync costs is not what is compared.
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        Self {
            directory: tempfile::tempdir_in(parent).unwrap(),
            database: Cluster::shared().create_database(),
        }
    }

    /// Opens both stores, the second one several times.
    async fn open(&self, servers: usize) -> Pair {
        let held = DataDirectory::hold(self.directory.path()).unwrap();
        let sqlite = Arc::new(SqliteStore::open(held, "the database's id").unwrap());
        let url = DatabaseUrl::parse(self.database.url()).unwrap();
        let mut postgres: Vec<Arc<dyn Store>> = Vec::new();
        for _ in 0..servers {
            let options = PostgresOptions { connections: 4, ..PostgresOptions::default() };
            let store = PostgresStore::open(&url, &options, "the database's id").await.unwrap();
            postgres.push(Arc::new(store));
        }
        Pair::new(sqlite, postgres)
    }

    /// Compares the rows of all tables but those.
    async fn compare_tables(&self, except: &[&str]) {
        let url = self.database.url();
        let (client, connection) =
            tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        tables::compare(self.directory.path(), &client, except).await;
        drop(client);
        connection.await.unwrap().unwrap();
    }
}

/// Runs a case on a runtime of its own. A sequence of calls is carried out on one thread, so that
/// the same sequence goes the same way again.
fn run(places: &Places, case: impl AsyncFnOnce(&Places)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(case(places));
}

async fn carry_out(places: &Places, servers: usize, steps: &[Step], queries: &[Query]) {
    let mut pair = places.open(servers).await;
    pair.create_account(0).await;
    pair.create_account(1).await;
    for step in steps {
        pair.take(step).await;
    }
    compare_all(&pair, queries).await;
    places.compare_tables(&[]).await;
    every_account_is_as_its_events_tell(&pair.postgres[0]).await;
    for store in &pair.postgres {
        store.close().await;
    }
    pair.sqlite.close().await;
}

/// What an examination finds in the tables. Where they are is each store's own affair.
async fn findings(
    store: &dyn Store,
) -> Result<Vec<(String, Severity, Option<i64>, Option<AccountId>)>, StoreError> {
    let all = store.examine(NOON).await?.into_iter();
    let found = all.filter(|finding| finding.severity != Severity::Ok);
    let found = found.filter(|one| !["data_directory", "free_space"].contains(&&*one.check));
    Ok(found.map(|one| (one.check, one.severity, one.count, one.account_id)).collect())
}

/// Compares everything that can be read.
async fn compare_all(pair: &Pair, queries: &[Query]) {
    let (sqlite, postgres) = (pair.sqlite.as_ref(), pair.postgres[0].as_ref());
    let accounts = same(sqlite.accounts().await, postgres.accounts().await).unwrap();
    assert_eq!(accounts.len(), pair.accounts.len());
    for account in accounts.iter().map(|account| account.id) {
        same(sqlite.counts(account).await, postgres.counts(account).await);
        let (_, count, contacts) =
            same(snapshot(sqlite, account).await, snapshot(postgres, account).await).unwrap();
        assert_eq!(count, contacts.len() as u64);
        let ids: Vec<_> = contacts.iter().map(|contact| contact.id).collect();
        let include = Include::Inboxes;
        same(
            sqlite.contacts(account, &ids, include).await,
            postgres.contacts(account, &ids, include).await,
        );
        let addresses: Vec<_> = contacts.iter().flat_map(Contact::identities).collect();
        same(sqlite.owners(account, &addresses).await, postgres.owners(account, &addresses).await);
        same(sqlite.inboxes(account).await, postgres.inboxes(account).await);
        let keys = same(sqlite.keys(account).await, postgres.keys(account).await).unwrap();
        for key in keys {
            same(sqlite.key_by_name(&key.api_key).await, postgres.key_by_name(&key.api_key).await);
        }
        let from = sqlite.counts(account).await.unwrap().unwrap().dropped_seq;
        let events = all_events(sqlite, account, from).await;
        same(Ok(events), Ok(all_events(postgres, account, from).await));
        same(sqlite.webhooks(account).await, postgres.webhooks(account).await);
        search::compare([sqlite, postgres], account, queries).await;
    }
    same(findings(sqlite).await, findings(postgres).await);
    for hash in (0..6).map(|seed| credential(seed).secret_hash()) {
        same(sqlite.key_by_secret(&hash).await, postgres.key_by_secret(&hash).await);
    }
}
