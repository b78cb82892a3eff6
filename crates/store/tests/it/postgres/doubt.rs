//! Commits whose answer does not come.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use meishi_contacts::{KeyId, Seq, Version};
use meishi_store::{
    Change, Context, DeliveryState, Idempotency, Redelivery, Settlement, Store, StoreError,
};
use meishi_test_postgres::{Cluster, Database};

use super::{
    open,
    proxy::{Cut, Proxy},
};
use crate::conformance::{
    deliveries::Told,
    fields::{blank, create, named},
    replay::every_account_is_as_its_events_tell,
    tenant::{Tenant, new_account},
};

/// A store that reaches its database by a proxy only.
struct Cuttable {
    store: Arc<dyn Store>,
    acme: Tenant,
    proxy: Proxy,
    _database: Database,
}

impl Cuttable {
    async fn start() -> Self {
        let cluster = Cluster::shared();
        let database = cluster.create_database();
        let proxy = Proxy::start(cluster.host(), cluster.port()).await;
        let store = open(&proxy.url(database.name())).await.unwrap();
        let acme = Tenant::new(&store, "Acme").await;
        Self { store, acme, proxy, _database: database }
    }

    /// The names of the contacts, once the proxy lets everything pass.
    async fn names(&self) -> Vec<String> {
        self.proxy.cut(Cut::Never);
        every_account_is_as_its_events_tell(&self.store).await;
        self.acme.snapshot().await.into_iter().map(|contact| contact.name).collect()
    }

    async fn create(&self, name: &str) -> Result<(), StoreError> {
        let changes = vec![create(named(name))];
        self.store.apply(self.acme.cx(), changes, true).await.map(drop)
    }
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_was_made() {
    let cuttable = Cuttable::start().await;
    cuttable.proxy.cut(Cut::After);
    cuttable.create("Anna").await.unwrap();
    assert_eq!(cuttable.proxy.is(), Cut::Never, "the connection was cut");
    assert_eq!(cuttable.names().await, ["Anna"]);
}

#[tokio::test]
async fn a_commit_that_did_not_arrive_is_made_anew() {
    let cuttable = Cuttable::start().await;
    cuttable.proxy.cut(Cut::Before(1));
    cuttable.create("Anna").await.unwrap();
    assert_eq!(cuttable.proxy.is(), Cut::Never, "the connection was cut");
    assert_eq!(cuttable.names().await, ["Anna"]);
}

#[tokio::test]
async fn a_commit_that_never_arrives_is_unavailable_and_has_no_effect() {
    let cuttable = Cuttable::start().await;
    cuttable.proxy.cut(Cut::Before(usize::MAX));
    let answer = cuttable.create("Anna").await;
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    assert_eq!(cuttable.names().await, [""; 0]);
}

#[tokio::test]
async fn a_transaction_that_froze_before_its_commit_is_put_out_and_made_anew() {
    let cuttable = Cuttable::start().await;
    cuttable.proxy.cut(Cut::Frozen);
    let begun = Instant::now();
    cuttable.create("Anna").await.unwrap();
    let took = begun.elapsed();
    assert!((2..8).contains(&took.as_secs()), "{took:?}");
    assert_eq!(cuttable.names().await, ["Anna"]);
}

#[tokio::test]
async fn a_call_without_events_is_found_by_what_was_kept_of_it() {
    let cuttable = Cuttable::start().await;
    let keyed = || Context {
        precondition: Some(Version(9).into()),
        idempotency: Some(Idempotency {
            api_key_id: KeyId(1),
            route: "route".to_owned(),
            key: "key".to_owned(),
            fingerprint: [1; 32],
        }),
        ..cuttable.acme.cx()
    };
    let id = cuttable.acme.create(blank()).await.contact.id;
    let stale = || vec![crate::conformance::fields::delete(id)];
    for (cut, replayed) in [(Cut::After, false), (Cut::Never, true)] {
        cuttable.proxy.cut(cut);
        let applied = cuttable.store.apply(keyed(), stale(), true).await.unwrap();
        assert!(applied.results[0].is_err());
        assert_eq!((applied.replayed, cuttable.proxy.is()), (replayed, Cut::Never));
    }
    assert_eq!(cuttable.names().await, [""]);
}

#[tokio::test]
async fn a_redelivery_that_left_nothing_to_look_for_stays_in_doubt() {
    let cuttable = Cuttable::start().await;
    let told = Told::new(&cuttable.acme).await;
    cuttable.acme.create(named("Anna")).await; // 5
    told.look(Seq(4)).await;
    assert!(told.settle(5, Settlement::Delivered).await);
    cuttable.proxy.cut(Cut::After);
    let (id, which) = (told.webhook.id, Redelivery::One(Seq(5)));
    let changes = vec![Change::Redeliver { id, which }];
    let answer = cuttable.store.apply(cuttable.acme.cx(), changes, true).await;
    assert!(matches!(answer, Err(StoreError::InDoubt(_))), "{answer:?}");
    cuttable.proxy.cut(Cut::Never);
    assert_eq!(told.get(5).await.state, DeliveryState::Pending);
}

#[tokio::test]
async fn a_commit_that_nobody_can_look_for_stays_in_doubt() {
    let cuttable = Cuttable::start().await;
    cuttable.proxy.cut(Cut::AfterAndForGood);
    let begun = Instant::now();
    let answer = cuttable.create("Anna").await;
    assert!(matches!(answer, Err(StoreError::InDoubt(_))), "{answer:?}");
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
    assert_eq!(cuttable.names().await, ["Anna"]);
}

#[tokio::test]
async fn an_account_is_made_once_whatever_becomes_of_the_answer() {
    let cuttable = Cuttable::start().await;
    for (number, cut) in (2..).zip([Cut::After, Cut::Before(1)]) {
        cuttable.proxy.cut(cut);
        let (new, _) = new_account("Globex");
        assert!(cuttable.store.create_account(new).await.unwrap().is_some());
        assert_eq!(cuttable.proxy.is(), Cut::Never, "the connection was cut");
        assert_eq!(cuttable.store.accounts().await.unwrap().len(), number);
    }
    cuttable.proxy.cut(Cut::Before(usize::MAX));
    let answer = cuttable.store.create_account(new_account("Initech").0).await;
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    cuttable.names().await;
    assert_eq!(cuttable.store.accounts().await.unwrap().len(), 3);
}
