//! Whole databases copied from store to store, broken off, gone on with and refused.

mod broken_off;
mod refused;
mod whole;

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use meishi_contacts::{
    AttributePatch, AttributeType, Availability, ContactPatch, Credential, KeyPatch, Patch, Role,
    UnixMillis, UnixSeconds,
};
use meishi_store::{
    Attempt, Change, Context, DatabaseUrl, Idempotency, Lease, LeaseRoom, NewDelivery, Settlement,
    SqliteStore, Store, WebhookHealth,
    copy::{Phase, Place, Progress, TableCopy, copy},
    sqlite::DataDirectory,
};
use meishi_test_postgres::{Cluster, Database};
use rusqlite::{Connection, types::Value};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio_postgres::{Client, NoTls};

use crate::conformance::{
    fields::{
        NOON, blank, create, create_attribute, email, enforced, fresh_seed, identifier, inbox,
        inbox_as, key_of, merge, named, phone, set_labels, some_key, text, webhook, with_email,
    },
    tenant::Tenant,
};

/// Contacts of the larger account: enough for several slices.
const MANY: usize = 900;

/// A database in a directory of its own.
struct File(TempDir);

impl File {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn place(&self) -> Place {
        Place::Sqlite(self.path().to_owned())
    }

    /// One with rows of every kind.
    async fn filled() -> Self {
        let file = Self::new();
        let store = file.open().await;
        fill(&store).await;
        store.close().await;
        file
    }

    async fn open(&self) -> Arc<dyn Store> {
        let held = held(|| DataDirectory::hold(self.path())).await.unwrap();
        Arc::new(SqliteStore::open(held, "the source's id").unwrap())
    }

    fn connect(&self) -> Connection {
        Connection::open(self.path().join("meishi.db")).unwrap()
    }

    /// Whether every row of every table is the same, read without the code under test.
    fn is_the_same_as(&self, other: &Self) -> bool {
        self.rows() == other.rows()
    }

    /// Every row of every table, where new addresses are in theirs by now.
    fn rows(&self) -> Vec<(String, Vec<Vec<Value>>)> {
        let connection = self.connect();
        let sql = "SELECT name FROM pragma_table_list
            WHERE schema = 'main' AND type = 'table'
              AND name NOT LIKE 'sqlite_%' AND name <> 'recent_identities'
            ORDER BY name";
        let mut tables = connection.prepare(sql).unwrap();
        let tables = tables.query_map([], |row| row.get::<_, String>(0)).unwrap();
        let read = |table: String| {
            let columns = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
            let columns = columns.column_count();
            let order: Vec<String> = (1..=columns).map(|n| n.to_string()).collect();
            let sql = format!("SELECT * FROM {table} ORDER BY {}", order.join(", "));
            let mut rows = connection.prepare(&sql).unwrap();
            let rows = rows.query_map([], |row| (0..columns).map(|n| row.get(n)).collect());
            let rows = rows.unwrap().map(Result::unwrap).collect();
            (table, rows)
        };
        tables.map(|table| read(table.unwrap())).collect()
    }
}

/// An empty database on the server that the tests share.
struct Server(Database);

impl Server {
    fn new() -> Self {
        Self(Cluster::shared().create_database())
    }

    fn place(&self) -> Place {
        Place::Postgres(DatabaseUrl::parse(self.0.url()).unwrap())
    }

    async fn connect(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(self.0.url(), NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }
}

/// Waits for what still holds a directory: statements of a copy that was dropped.
async fn held<T, E: std::fmt::Display>(mut open: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    for _ in 0..500 {
        match open() {
            Err(error) if error.to_string().contains("is in use") => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            opened => return opened,
        }
    }
    open()
}

/// Rows of every kind, in two accounts.
async fn fill(store: &Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(store).await;
    let support = acme.create_inbox(inbox_as(4070, "Support 窓口")).await;
    acme.create_inbox(inbox("Spare")).await;

    let full = ContactPatch {
        first_name: text("Ann\u{1f600}"),
        last_name: text("O'Brien \\ \"\t\n"),
        email: email("ann@example.com"),
        phone_number: phone("+15551234567"),
        identifier: identifier("Ann Ω"),
        thumbnail: Some("https://example.com/a.png".to_owned()),
        availability_status: Some(Availability::Online),
        blocked: Some(true),
        additional_attributes: merge(json!({"city": "東京", "nested": {"a": [1, 2.5, null]}})),
        custom_attributes: merge(json!({"plan": "gold", "empty": "", "big": "x".repeat(20_000)})),
        last_activity_at: Patch::Set(UnixSeconds(1_700_000_000)),
        ..blank()
    };
    let ann = acme.create_in(support.id, "ann's source: 窓口/1", full).await;
    acme.create_linked("second", named("王伟")).await;
    let gone = acme.create_linked("gone", with_email("gone@example.com")).await;
    acme.delete(gone.contact.id).await;
    globex.create_linked("second", with_email("ann@example.com")).await;
    acme.set_labels(ann.contact.id, &["vip", "中文", "a label"]).await;
    for (key, kind, values) in [
        ("会员", AttributeType::List, Some(vec!["金".to_owned()])),
        ("zip", AttributeType::Text, None),
    ] {
        let pattern = if values.is_none() { text("^\\d") } else { Patch::Keep };
        let (hint, description) = (pattern.clone(), text("說明"));
        let fields = AttributePatch { values, regex: pattern, hint, description, ..enforced(kind) };
        acme.change(create_attribute(key, fields)).await.unwrap();
    }

    let key = acme.create_key(some_key("rotated")).await;
    acme.create_key(some_key("unused")).await;
    let revoked = acme.create_key(some_key("revoked")).await;
    let reader = Credential::from_seed(&fresh_seed());
    acme.create_key(key_of(&reader, "reader", Role::ReadOnly)).await;
    let ends =
        KeyPatch { expires_at: Patch::Set(UnixMillis(NOON.0 + 1000)), ..KeyPatch::default() };
    for change in [
        Change::RotateKey {
            id: key.id,
            secret_hash: Credential::from_seed(&fresh_seed()).secret_hash(),
            overlap_seconds: 3600,
        },
        Change::RevokeKey { id: revoked.id },
        Change::UpdateKey { id: key.id, patch: ends },
    ] {
        acme.change(change).await.unwrap();
    }
    store.touch_key(acme.account, acme.key.id, UnixMillis(NOON.0 + 5)).await.unwrap();

    fill_webhooks(&acme).await;

    // Outcomes under a key: one that worked and one that did not.
    for (key, change) in
        [("鍵 1", create(named("keyed"))), ("key 2", set_labels(gone.contact.id, &[]))]
    {
        let idempotency = Idempotency {
            api_key_id: acme.key.id,
            route: "POST /contacts".to_owned(),
            key: key.to_owned(),
            fingerprint: [7; 32],
        };
        let cx = Context { idempotency: Some(idempotency), ..acme.cx() };
        let _ = acme.apply(cx, vec![change], true).await;
    }

    let many = |number| {
        create(ContactPatch {
            email: email(&format!("many{number}@example.com")),
            identifier: identifier(&format!("many-{number}")),
            ..named(&format!("Many {number}"))
        })
    };
    globex.apply(globex.cx(), (0..MANY).map(many).collect(), true).await;
}

/// Webhooks, one of which is at work and has something in each column of a delivery.
async fn fill_webhooks(tenant: &Tenant) {
    let store = &tenant.store;
    let told = tenant.create_webhook(webhook("https://example.com/窓口")).await;
    let gone = tenant.create_webhook(webhook("https://example.com/gone")).await;
    for change in [
        Change::DeleteWebhook { id: gone.id },
        Change::RotateWebhook { id: told.id, secret: "whsec_new".into(), overlap_seconds: 60 },
    ] {
        tenant.change(change).await.unwrap();
    }
    let from = store.lease_webhooks("a", NOON, NOON, LeaseRoom::of_each(9)).await.unwrap()[0]
        .stored
        .cursor;
    let contact = tenant.create(named("Told of")).await.contact.id;
    tenant.update(contact, named("Told of again")).await;
    let lease = Lease { account: tenant.account, webhook: told.id, owner: "a".into() };
    let new = tenant.events_after(from).await.into_iter().filter_map(|event| {
        let (kind, payload) = (event.body.kind().to_owned(), format!("{:?} ü", event.body));
        let contact = event.body.contact()?;
        Some(NewDelivery {
            seq: event.seq,
            id: format!("id {}", event.seq),
            kind,
            contact,
            payload,
        })
    });
    let new: Vec<NewDelivery> = new.collect();
    let (first, last) = (new[0].seq, new[1].seq);
    assert!(store.enqueue_deliveries(&lease, from, last, new, NOON).await.unwrap());
    let attempt = Attempt {
        at: NOON,
        millis: 5,
        status: Some(500),
        answer: Some("No\n\"".into()),
        error: None,
    };
    let (given_up, failing) = (Settlement::GivenUp, WebhookHealth::Failing(NOON));
    let settled = store.settle_delivery(&lease, first, attempt, given_up, failing, NOON).await;
    assert!(settled.unwrap());
}

/// What a copy reports.
#[derive(Default)]
struct Told {
    /// Rows and those that were done, as the phase began.
    copying: Mutex<Option<(u64, u64)>>,
    /// How often rows were reported, in both phases.
    slices: AtomicU64,
    /// Rows that were reported as copied.
    copied: AtomicU64,
    comparing: Mutex<bool>,
    /// After which report the copy is to end.
    cut: Option<u64>,
    reached: Notify,
}

impl Progress for Told {
    fn begin(&self, phase: Phase, rows: u64, done: u64) {
        match phase {
            Phase::Copying => *lock(&self.copying) = Some((rows, done)),
            Phase::Comparing => *lock(&self.comparing) = true,
        }
    }

    fn advance(&self, rows: u64) {
        if !*lock(&self.comparing) {
            self.copied.fetch_add(rows, Ordering::Relaxed);
        }
        let slices = self.slices.fetch_add(1, Ordering::Relaxed) + 1;
        if self.cut == Some(slices) {
            self.reached.notify_one();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Told {
    fn copying(&self) -> (u64, u64) {
        lock(&self.copying).unwrap()
    }
}

/// Copies to the end, and every table must be equal.
async fn run_whole(from: &Place, to: &Place) -> Told {
    let told = Told::default();
    let tables =
        copy(from, to, &told).await.unwrap_or_else(|error| panic!("{from} to {to}: {error}"));
    let different: Vec<_> = tables.iter().filter(|table| !table.equal).collect();
    assert!(different.is_empty(), "{from} to {to}: {different:?}");
    assert_eq!(tables.len(), 16);
    let (rows, done) = told.copying();
    assert_eq!(rows, tables.iter().map(|table| table.rows).sum::<u64>());
    assert_eq!(told.copied.load(Ordering::Relaxed), rows - done, "no row twice");
    told
}

/// Copies and drops the copy somewhere after so many slices: what it was about, if it was cut.
async fn run_cut(from: &Place, to: &Place, slices: u64) -> Option<Phase> {
    let told = Told { cut: Some(slices), ..Told::default() };
    tokio::select! {
        biased;
        () = told.reached.notified() => {
            Some(if *lock(&told.comparing) { Phase::Comparing } else { Phase::Copying })
        }
        done = copy(from, to, &told) => {
            assert!(done.unwrap().iter().all(|table| table.equal));
            None
        }
    }
}

async fn sentence(from: &Place, to: &Place) -> String {
    let error = copy(from, to, &Told::default()).await.expect_err("it must be refused");
    let text = error.to_string();
    assert!(!text.contains('\n'), "one sentence: {text}");
    text
}
