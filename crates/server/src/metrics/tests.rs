//! What metrics and the doctor tell where memory for indexes is short.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use meishi_contacts::{
    AccountId, Actor, ContactPatch, Credential, NewContact, Query, Role, Seed, Slice, SystemClock,
    UnixMillis, order::DEFAULT_ORDER,
};
use meishi_store::{
    Change, Context, DataDirectory, Include, NewAccount, SqliteStore, Store,
    examine::{Finding, Severity},
};

use super::*;
use crate::{
    Settings,
    control::{self, Command},
    directory::{IndexSettings, Memory, QueryError},
    rng::SystemRng,
};

/// A service with room for 5 MiB of indexes, and what it has counted.
struct Scene {
    app: App,
    told: PrometheusHandle,
}

impl Scene {
    fn start(store: &Arc<dyn Store>, folder: Option<&Path>, told: &PrometheusHandle) -> Self {
        let index = IndexSettings {
            memory: Memory(5 << 20),
            snapshots: folder.map(|folder| folder.join("indexes")),
            snapshot_contacts: 1,
            ..IndexSettings::default()
        };
        let settings = Settings { index, ..Settings::default() };
        let (clock, rng) = (Arc::new(SystemClock), Arc::new(SystemRng));
        let app = App::new(Arc::clone(store), clock, rng, settings);
        Self { app, told: told.clone() }
    }

    async fn ask(&self, account: AccountId) -> Result<u64, QueryError> {
        let query = Query {
            text: None,
            labels: Vec::new(),
            filter: None,
            resolved: false,
            order: DEFAULT_ORDER.to_vec(),
            after: None,
            slice: Slice { offset: 0, limit: 1 },
        };
        let page = self.app.directory.page(account, query, Include::Nothing).await?;
        Ok(page.total)
    }

    /// What is told of indexes, without the word that all these names begin with.
    async fn told(&self) -> BTreeMap<String, u64> {
        refresh(&self.app).await;
        let page = self.told.render();
        let samples = page.lines().filter_map(|line| line.strip_prefix("meishi_index_"));
        samples
            .filter_map(|line| {
                let (name, value) = line.rsplit_once(' ')?;
                Some((name.to_owned(), value.parse().ok()?))
            })
            .collect()
    }

    /// What the doctor says of the memory for indexes.
    async fn doctor(&self) -> Vec<(Severity, Option<AccountId>)> {
        let findings = control::execute(&self.app, Command::Doctor).await.unwrap();
        let findings: Vec<Finding> = serde_json::from_value(findings).unwrap();
        let of_memory = findings.into_iter().filter(|finding| finding.check == "index_memory");
        of_memory
            .map(|finding| {
                let advice = finding.advice.unwrap_or_default();
                let is_good = finding.severity == Severity::Ok;
                assert!(is_good || advice.contains("--index-memory"), "{advice}");
                (finding.severity, finding.account_id)
            })
            .collect()
    }
}

/// An account with so many contacts, whose key was used just now.
async fn account(store: &dyn Store, number: u8, contacts: usize, name: &str) -> AccountId {
    let seed = Seed([number; 32]);
    let new = NewAccount {
        name: format!("Account {number}"),
        inbox_name: "API".into(),
        key: Credential::from_seed(&seed).key("key".into(), Role::Agent, None),
        at: UnixMillis(0),
        request_id: String::new(),
        seed,
        only_first: false,
    };
    let created = store.create_account(new).await.unwrap().unwrap();
    let account = created.account.id;
    store.touch_key(account, created.key.id, UnixMillis(1)).await.unwrap();
    let fields = ContactPatch { name: Some(name.to_owned()), ..ContactPatch::default() };
    let create = Change::CreateContact(Box::new(NewContact { fields, link: None }));
    for _ in 0..contacts / 1000 {
        let cx = Context {
            account,
            actor: Actor::System,
            at: UnixMillis(0),
            request_id: String::new(),
            seed,
            precondition: None,
            idempotency: None,
        };
        store.apply(cx, vec![create.clone(); 1000], true).await.unwrap();
    }
    account
}

async fn short_of_memory(told: PrometheusHandle) {
    let folder = tempfile::tempdir().unwrap();
    let held = DataDirectory::hold(folder.path()).unwrap();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(held, "test").unwrap());
    let refused = account(&*store, 1, 15_000, &"x".repeat(250)).await;
    let without_grams = account(&*store, 2, 20_000, "Anna").await;
    let fits = account(&*store, 3, 10_000, "Bob").await;

    let scene = Scene::start(&store, None, &told);
    assert_eq!(scene.doctor().await, [(Severity::Ok, None)]);
    let told = scene.told().await;
    assert_eq!((told["short{how=\"refused\"}"], told["short{how=\"without_grams\"}"]), (0, 0));
    assert!(!told.contains_key("evictions_total"), "{told:?}");

    assert!(matches!(scene.ask(refused).await, Err(QueryError::NoRoom)));
    // There is no room for both at once.
    for (account, contacts) in [(fits, 10_000), (without_grams, 20_000), (fits, 10_000)] {
        assert_eq!(scene.ask(account).await.unwrap(), contacts);
    }
    let wrong = (Severity::Wrong, Some(refused));
    assert_eq!(scene.doctor().await, [wrong, (Severity::Warning, Some(without_grams))]);
    let told = scene.told().await;
    assert_eq!((told["short{how=\"refused\"}"], told["short{how=\"without_grams\"}"]), (1, 1));
    assert_eq!((told["evictions_total"], told["loads_total{from=\"rows\"}"]), (2, 3));
    assert_eq!((told["accounts"], told["contacts"]), (1, 10_000));
    assert_eq!(told["limit_bytes"], 5 << 20);
    assert!(told["bytes"] > 0 && told["bytes"] < 5 << 20, "{told:?}");

    // A stop leaves a snapshot of the one, and the others are not asked for.
    let scene = Scene::start(&store, Some(folder.path()), &scene.told);
    scene.ask(fits).await.unwrap();
    scene.app.directory.close().await;
    let scene = Scene::start(&store, Some(folder.path()), &scene.told);
    scene.app.directory.warm(UnixMillis(2)).await.unwrap();
    let told = scene.told().await;
    let warming = |state: &str| told[&format!("warming{{state=\"{state}\"}}")];
    // By its number of contacts, the one that is refused would have fitted.
    assert_eq!(["waiting", "done", "failed", "left_out"].map(warming), [0, 1, 0, 2]);
    assert_eq!(told["loads_total{from=\"snapshot\"}"], 1);
    assert_eq!(told["loads_total{from=\"rows\"}"], 4);
    assert_eq!((told["short{how=\"refused\"}"], told["short{how=\"without_grams\"}"]), (1, 0));
    assert_eq!(scene.doctor().await, [wrong]);
}

/// The counts are this thread's own, so that no other test counts in them.
#[test]
fn metrics_and_the_doctor_tell_who_is_short_of_memory() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let told = recorder.handle();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&recorder, || runtime.block_on(short_of_memory(told)));
}
