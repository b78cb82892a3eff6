//! The service in the process, on a store of its own, and those who call it.

use std::{
    net::SocketAddr,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request},
    http::{HeaderValue, header, request},
    response::Response,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use meishi_contacts::{
    AccountId, Actor, Clock, ContactId, Credential, NewKey, Role, Seed, UnixMillis, Version,
};
use meishi_server::{App, Settings, rate_limit::RateLimitSettings, rng::Rng, router};
use meishi_store::{
    Change, Context, DatabaseUrl, Include, NewAccount, Outcome, PostgresOptions, PostgresStore,
    SqliteStore, Store, sqlite::DataDirectory,
};
use meishi_test_postgres::{Cluster, Database};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::{ServiceExt as _, util::MapRequest};

use crate::answer::Answer;

pub(crate) const CONTACTS: &str = "/api/v2/accounts/contacts";
pub(crate) const INBOXES: &str = "/api/v2/accounts/inboxes";
pub(crate) const LABELS: &str = "/api/v2/accounts/labels";
pub(crate) const ATTRIBUTES: &str = "/api/v2/accounts/attributes";
pub(crate) const CHANGES: &str = "/api/v2/accounts/changes";
pub(crate) const EVENTS: &str = "/api/v2/accounts/events";
pub(crate) const KEYS: &str = "/api/v2/accounts/keys";
pub(crate) const WEBHOOKS: &str = "/api/v2/accounts/webhooks";

/// The second at which every test begins: the one of the documented samples.
pub(crate) const NOON: i64 = 1_766_571_703;

type Service = MapRequest<Router, fn(Request) -> Request>;

/// Where a store keeps what it stores; gone when it is dropped.
enum Place {
    Directory(TempDir),
    Postgres(Database),
}

/// The one place that knows which store the tests run on: the target's name says it.
async fn open_store() -> (Arc<dyn Store>, Place) {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let id = &format!("database {}", MADE.fetch_add(1, Ordering::SeqCst));
    if env!("CARGO_CRATE_NAME") == "postgres" {
        let database = Cluster::shared().create_database();
        let url = DatabaseUrl::parse(database.url()).unwrap();
        let store = PostgresStore::open(&url, &PostgresOptions::default(), id).await.unwrap();
        return (Arc::new(store), Place::Postgres(database));
    }
    let directory = tempfile::tempdir().unwrap();
    let held = DataDirectory::hold(directory.path()).unwrap();
    (Arc::new(SqliteStore::open(held, id).unwrap()), Place::Directory(directory))
}

/// A clock that stands still until it is set.
pub(crate) struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> UnixMillis {
        UnixMillis(self.0.load(Ordering::SeqCst))
    }
}

impl TestClock {
    pub(crate) fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}

/// Random values that are the same in every run.
#[derive(Default)]
struct TestRng(AtomicU64);

impl Rng for TestRng {
    fn seed(&self) -> Seed {
        let mut bytes = [0; 32];
        let number = self.0.fetch_add(1, Ordering::SeqCst);
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        Seed(bytes)
    }
}

/// The running service with a first account.
pub(crate) struct TestApp {
    pub(crate) clock: Arc<TestClock>,
    first: Tenant,
    place: Place,
}

impl Deref for TestApp {
    type Target = Tenant;

    fn deref(&self) -> &Tenant {
        &self.first
    }
}

impl TestApp {
    pub(crate) async fn start() -> Self {
        Self::start_with(Settings::default()).await
    }

    /// The service with other limits for callers than by default.
    pub(crate) async fn limited(set: impl FnOnce(&mut RateLimitSettings)) -> Self {
        let mut settings = Settings::default();
        set(&mut settings.rate_limits);
        Self::start_with(settings).await
    }

    /// The service as an operator set it.
    pub(crate) async fn start_with(settings: Settings) -> Self {
        let clock = Arc::new(TestClock(AtomicI64::new(NOON * 1000)));
        let (store, place) = open_store().await;
        let app = App::new(store, Arc::clone(&clock) as _, Arc::new(TestRng::default()), settings);
        let service = router::service(app.clone());
        let first = Tenant::create(app, service, "Acme").await;
        Self { clock, first, place }
    }

    /// Another server on the same database, where its store can have several.
    pub(crate) async fn second_server(&self) -> App {
        self.second_server_by(|database| database.url().to_owned()).await
    }

    /// The same, which reaches a PostgreSQL database by that URL.
    pub(crate) async fn second_server_by(&self, url: impl FnOnce(&Database) -> String) -> App {
        let store: Arc<dyn Store> = match &self.place {
            Place::Directory(_) => Arc::clone(&self.app.store),
            Place::Postgres(held) => {
                let url = DatabaseUrl::parse(&url(held)).unwrap();
                let store = PostgresStore::open(&url, &PostgresOptions::default(), "x").await;
                Arc::new(store.unwrap())
            }
        };
        let rng = TestRng(AtomicU64::new(1 << 32));
        let clock = Arc::clone(&self.clock) as _;
        App::new(store, clock, Arc::new(rng), self.app.settings.clone())
    }

    /// The service as a restart has it: on the same store, with nothing in memory.
    pub(crate) fn restarted(&self) -> App {
        self.restarted_with(self.app.settings.clone())
    }

    /// The same with other settings.
    pub(crate) fn restarted_with(&self, settings: Settings) -> App {
        let number = u64::from_be_bytes(self.app.rng.seed().0[..8].try_into().unwrap());
        let rng = TestRng(AtomicU64::new((number + 2) << 32));
        let store = Arc::clone(&self.app.store);
        App::new(store, Arc::clone(&self.clock) as _, Arc::new(rng), settings)
    }

    /// The first account, as another server of the same database serves it.
    pub(crate) fn on(&self, app: App) -> Tenant {
        Tenant { service: router::service(app.clone()), app, ..self.first.clone() }
    }

    /// Does to the database what a restore under the running service would.
    pub(crate) async fn raise_epoch(&self) {
        let raise = "UPDATE databases SET epoch = epoch + 1";
        match &self.place {
            Place::Directory(directory) => {
                let path = directory.path().join("meishi.db");
                let raised = rusqlite::Connection::open(path).unwrap().execute(raise, []);
                assert_eq!(raised.unwrap(), 1);
            }
            Place::Postgres(database) => {
                let (client, connection) =
                    tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await.unwrap();
                let connection = tokio::spawn(connection);
                assert_eq!(client.execute(raise, &[]).await.unwrap(), 1);
                drop(client);
                connection.await.unwrap().unwrap();
            }
        }
    }
}

/// An account, seen from behind the scenes.
#[derive(Clone)]
pub(crate) struct Tenant {
    pub(crate) app: App,
    pub(crate) id: AccountId,
    /// The channel that the account was made with.
    pub(crate) inbox: i64,
    service: Service,
}

impl Tenant {
    async fn create(app: App, service: Service, name: &str) -> Self {
        let credential = Credential::from_seed(&app.rng.seed());
        let new = NewAccount {
            name: name.to_owned(),
            inbox_name: "Website".to_owned(),
            key: new_key(&credential, Role::Administrator),
            at: app.clock.now(),
            request_id: "setup".to_owned(),
            seed: app.rng.seed(),
            only_first: false,
        };
        let created = app.store.create_account(new).await.unwrap().unwrap();
        Self { app, id: created.account.id, inbox: created.inbox.id.0, service }
    }

    /// Another account of the same service.
    pub(crate) async fn account(&self, name: &str) -> Self {
        Self::create(self.app.clone(), self.service.clone(), name).await
    }

    /// A caller with a fresh key.
    pub(crate) async fn key(&self, role: Role) -> Client {
        let credential = Credential::from_seed(&self.app.rng.seed());
        let change = Change::CreateKey(new_key(&credential, role));
        let cx = Context {
            account: self.id,
            actor: Actor::System,
            at: self.app.clock.now(),
            request_id: "setup".to_owned(),
            seed: self.app.rng.seed(),
            precondition: None,
            idempotency: None,
        };
        let applied = self.app.store.apply(cx, vec![change], false).await.unwrap();
        assert!(matches!(applied.results[..], [Ok(Outcome::KeyCreated(_))]));
        self.client(&credential.api_key, &credential.api_secret)
    }

    /// A caller with an administrator's key.
    pub(crate) async fn administrator(&self) -> Client {
        self.key(Role::Administrator).await
    }

    /// A caller with that pair, be it any good or not.
    pub(crate) fn client(&self, api_key: &str, api_secret: &str) -> Client {
        Client {
            tenant: (self.app.clone(), self.id),
            api_key: api_key.to_owned(),
            api_secret: api_secret.to_owned(),
            authorization: Some(basic(api_key, api_secret)),
            inbox: self.inbox,
            service: self.service.clone(),
        }
    }

    /// A caller without a credential.
    pub(crate) fn nobody(&self) -> Client {
        Client { authorization: None, ..self.client("", "") }
    }

    /// How many events the account has.
    pub(crate) async fn events(&self) -> i64 {
        self.app.store.counts(self.id).await.unwrap().unwrap().last_seq.0
    }

    /// How often a contact changed.
    pub(crate) async fn version(&self, contact: i64) -> Version {
        let record = self.app.store.contact(self.id, ContactId(contact), Include::Nothing).await;
        record.unwrap().unwrap().contact.version
    }
}

fn new_key(credential: &Credential, role: Role) -> NewKey {
    NewKey {
        api_key: credential.api_key.clone(),
        secret_hash: credential.secret_hash(),
        name: role.as_str().to_owned(),
        role,
        expires_at: None,
    }
}

pub(crate) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
}

/// The path of one contact.
pub(crate) fn contact(id: i64) -> String {
    format!("{CONTACTS}/{id}")
}

/// The list of contacts with a query.
pub(crate) fn list(query: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    format!("{CONTACTS}?{query}")
}

/// Somebody who calls the service.
#[derive(Clone)]
pub(crate) struct Client {
    /// The service and the account, for what cannot be done by calling.
    pub(crate) tenant: (App, AccountId),
    pub(crate) api_key: String,
    pub(crate) api_secret: String,
    authorization: Option<String>,
    inbox: i64,
    service: Service,
}

impl Client {
    pub(crate) async fn get(&self, path: impl AsRef<str>) -> Answer {
        self.call("GET", path).send().await
    }

    pub(crate) async fn post(&self, path: impl AsRef<str>, body: Value) -> Answer {
        self.call("POST", path).json(&body).send().await
    }

    pub(crate) async fn patch(&self, path: impl AsRef<str>, body: Value) -> Answer {
        self.call("PATCH", path).json(&body).send().await
    }

    pub(crate) async fn put(&self, path: impl AsRef<str>, body: Value) -> Answer {
        self.call("PUT", path).json(&body).send().await
    }

    pub(crate) async fn delete(&self, path: impl AsRef<str>) -> Answer {
        self.call("DELETE", path).send().await
    }

    /// A request that is still to be filled.
    pub(crate) fn call(&self, method: &str, path: impl AsRef<str>) -> Call {
        let call = Call {
            service: self.service.clone(),
            head: Request::builder().method(method).uri(path.as_ref()),
            body: Body::empty(),
        };
        match &self.authorization {
            Some(value) => call.header(header::AUTHORIZATION.as_str(), value),
            None => call,
        }
    }

    /// Creates a contact in the account's first channel and answers its number.
    pub(crate) async fn contact(&self, mut fields: Value) -> i64 {
        if fields.get("inbox_id").is_none() {
            fields["inbox_id"] = json!(self.inbox);
        }
        let answer = self.post(CONTACTS, fields).await.ok();
        answer.payload()["contact"]["id"].as_i64().unwrap()
    }

    /// The names that a search finds, sorted.
    pub(crate) async fn search(&self, q: &str) -> Vec<String> {
        let answer = self.get(list(&[("q", q), ("page_size", "100")])).await.ok();
        assert_eq!(answer.names().len() as u64, answer.count().min(100), "{}", answer.text);
        let mut names: Vec<String> = answer.names().into_iter().map(str::to_owned).collect();
        names.sort_unstable();
        names
    }
}

/// A request on its way.
pub(crate) struct Call {
    service: Service,
    head: request::Builder,
    body: Body,
}

impl Call {
    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let value = HeaderValue::from_bytes(value.as_ref()).unwrap();
        self.head = self.head.header(name, value);
        self
    }

    /// From that address; without one a call comes from nowhere.
    pub(crate) fn from(mut self, address: &str) -> Self {
        let peer = SocketAddr::new(address.parse().unwrap(), 40_000);
        self.head = self.head.extension(ConnectInfo(peer));
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.text("application/json", body.to_string())
    }

    /// A body of that content type.
    pub(crate) fn text(self, content_type: &str, body: impl Into<Body>) -> Self {
        self.header(header::CONTENT_TYPE.as_str(), content_type).body(body)
    }

    pub(crate) fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) async fn send(self) -> Answer {
        Answer::read(self.respond().await).await
    }

    /// Sends the request and leaves the answer's body to be read.
    pub(crate) async fn respond(self) -> Response {
        let request = self.head.body(self.body).unwrap();
        self.service.oneshot(request).await.unwrap()
    }
}
