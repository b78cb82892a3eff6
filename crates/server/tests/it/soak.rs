//! Writes, queries, restarts, damage and want of memory, all at random, and in the end every query
//! says what its plain meaning over all contacts is. `MEISHI_SOAK_SECONDS` makes it longer.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use fastrand::Rng;
use futures::StreamExt as _;
use meishi_contacts::{
    AccountId, Actor, AttributePatch, AttributeType, AttributesPatch, Contact, ContactId,
    ContactPatch, Email, Filter, Label, LabelPatch, NewAttribute, NewContact, Patch, Phone, Place,
    Query, Seed, Slice, SortField, SortKey, TextQuery, UnixMillis, UnixSeconds,
    filter::Reading,
    order::{self, NEAR_ORDER},
};
use meishi_server::{
    App, Settings,
    directory::{Directory, IndexSettings, Memory},
};
use meishi_store::{Change, Context, Include, Store};
use serde_json::{Value, json};

use crate::app::TestApp;

const NAMES: [&str; 8] =
    ["Ana Hernández", "anna", "王小明", "Müller", "Иван Петров", "김민준", "ใจดี", "Stephanie"];
const TEXTS: [&str; 9] = ["ana", "hernandez", "王", "小明", "müller", "Петров", "a", "49", "x"];
const LABELS: [&str; 3] = ["vip", "new", "客户"];
/// What labels are called that were renamed: as others were, or as none is set.
const TITLES: [&str; 4] = ["vip", "new", "old", "客户 2"];
const ATTRIBUTES: [&str; 5] = ["plan", "seats", "company_name", "city", "since"];
const FIELDS: [SortField; 9] = [
    SortField::Id,
    SortField::Name,
    SortField::Email,
    SortField::PhoneNumber,
    SortField::LastActivityAt,
    SortField::CreatedAt,
    SortField::CompanyName,
    SortField::City,
    SortField::Country,
];

fn seconds() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "whoever runs the test says how long")]
    let seconds = std::env::var("MEISHI_SOAK_SECONDS");
    seconds.ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(4)
}

/// One server's worth of indexes over the store, and whoever writes.
struct Soak {
    app: App,
    accounts: Vec<AccountId>,
    directory: Arc<Directory>,
    settings: IndexSettings,
    /// Names of people who were erased.
    erased: Vec<String>,
    rng: Rng,
}

impl Soak {
    fn patch(&mut self) -> ContactPatch {
        let rng = &mut self.rng;
        let number = rng.u32(0..10_000);
        let mut attributes = serde_json::Map::new();
        for key in ATTRIBUTES {
            if rng.bool() {
                let value = match rng.u8(0..5) {
                    0 => Value::Null,
                    1 => json!(rng.u32(0..10)),
                    2 => json!("1970-01-05"),
                    3 => json!(format!("value {}", rng.u32(0..1000))),
                    _ => json!("Pro"),
                };
                attributes.insert(key.to_owned(), value);
            }
        }
        let mut patch = ContactPatch::default();
        if rng.bool() {
            // Told from every other name, so that it is known when it is found again.
            let name = rng.choice(NAMES).unwrap();
            patch.name = Some(format!("{name} q{}q", rng.u64(..)));
        }
        if rng.bool() {
            patch.email = Patch::Set(Email::from_stored(format!("a{number}@example.com")));
        }
        if rng.bool() {
            patch.phone_number = Patch::Set(Phone::from_stored(format!("+49151{number}")));
        }
        if rng.bool() {
            patch.last_activity_at = Patch::Set(UnixSeconds(rng.i64(0..100)));
        }
        if rng.bool() {
            patch.additional_attributes = AttributesPatch::Merge(attributes);
        } else {
            patch.custom_attributes = AttributesPatch::Merge(attributes);
        }
        patch
    }

    fn account(&mut self) -> AccountId {
        // Most of it happens to the first.
        let which = self.rng.usize(0..self.accounts.len()).min(self.rng.usize(0..3));
        self.accounts[which]
    }

    async fn apply(&mut self, account: AccountId, changes: Vec<Change>) {
        let mut seed = [0; 32];
        self.rng.fill(&mut seed);
        let cx = Context {
            account,
            actor: Actor::System,
            at: UnixMillis(0),
            request_id: String::new(),
            seed: Seed(seed),
            precondition: None,
            idempotency: None,
        };
        // Addresses that are taken and contacts that are gone are refused, one by one.
        self.app.store.apply(cx, changes, false).await.unwrap();
    }

    async fn write(&mut self) {
        let account = self.account();
        let known = self.app.store.counts(account).await.unwrap().unwrap().last_seq.0;
        let mut changes = Vec::new();
        for _ in 0..self.rng.usize(1..30) {
            let id = ContactId(self.rng.i64(1..=known.max(1)));
            changes.push(match self.rng.u8(0..10) {
                0..4 => {
                    let new = NewContact { fields: self.patch(), link: None };
                    Change::CreateContact(Box::new(new))
                }
                4..8 => Change::UpdateContact { id, patch: Box::new(self.patch()) },
                8 => {
                    let label = Label::from_stored((*self.rng.choice(&LABELS).unwrap()).to_owned());
                    Change::SetLabels { id, labels: vec![label] }
                }
                _ => Change::DeleteContact { id },
            });
        }
        self.apply(account, changes).await;
    }

    async fn erase(&mut self) {
        let account = self.account();
        let contacts = contacts(&*self.app.store, account).await;
        let Some(person) = self.rng.choice(&contacts).cloned() else { return };
        self.apply(account, vec![Change::EraseContact { id: person.id }]).await;
        // As the service does.
        self.directory.forget_snapshot(account);
        self.erased.extend(
            person
                .name
                .split(' ')
                .find(|word| word.starts_with('q') && word.len() > 9)
                .map(str::to_owned),
        );
    }

    /// Renames a label for all contacts that bear it, or deletes it.
    async fn relabel(&mut self) {
        let account = self.account();
        let labels = self.app.store.labels(account).await.unwrap();
        let Some(id) = self.rng.choice(&labels).map(|label| label.id) else { return };
        let title = Label::from_stored((*self.rng.choice(&TITLES).unwrap()).to_owned());
        let patch = LabelPatch { title: Some(title), ..LabelPatch::default() };
        let rename = Change::UpdateLabel { id, patch };
        let change = if self.rng.u8(0..3) == 0 { Change::DeleteLabel { id } } else { rename };
        // A title that another label has is refused.
        self.apply(account, vec![change]).await;
    }

    /// Says what kind of values an attribute has, by which filters read theirs; or no more.
    async fn define(&mut self) {
        let account = self.account();
        let defined = self.app.store.attributes(account).await.unwrap();
        let key = *self.rng.choice(&ATTRIBUTES).unwrap();
        let known = defined.iter().find(|definition| definition.key == key);
        let change = if let Some(definition) = known {
            Change::DeleteAttribute { id: definition.id }
        } else {
            let kind = self.rng.choice(AttributeType::ALL);
            let values = (kind == Some(AttributeType::List)).then(|| vec!["Pro".to_owned()]);
            let fields = AttributePatch { kind, values, ..AttributePatch::default() };
            Change::CreateAttribute(NewAttribute { key: key.to_owned(), fields })
        };
        self.apply(account, vec![change]).await;
    }

    /// A new server, after a clean stop or a kill.
    async fn restart(&mut self) {
        if self.rng.bool() {
            self.directory.close().await;
        }
        if self.rng.bool()
            && let Some(folder) = &self.settings.snapshots
        {
            damage(folder, &mut self.rng);
        }
        self.settings.memory = *self.rng.choice(&[Memory(1 << 20), Memory::DEFAULT]).unwrap();
        self.directory =
            Arc::new(Directory::new(Arc::clone(&self.app.store), self.settings.clone()));
        if self.rng.bool() {
            self.directory.warm(UnixMillis(0)).await.unwrap();
        }
    }

    async fn query(&mut self, account: AccountId) -> Query {
        let defined = self.app.store.attributes(account).await.unwrap();
        let rng = &mut self.rng;
        let text = rng.bool().then(|| TextQuery::parse(rng.choice(TEXTS).unwrap())).flatten();
        let is_near = text.is_some() && rng.u8(0..4) == 0;
        let text = if is_near { text.map(TextQuery::misspelt) } else { text };
        let asks = |key: &str, operator: &str, values: Value| json!({ "attribute_key": key, "filter_operator": operator, "values": values });
        let filters = [
            asks("plan", "equal_to", json!(["pro"])),
            asks("seats", "is_greater_than", json!([4])),
            asks("since", "is_less_than", json!(["1970-02-01"])),
            asks("city", "contains", json!(["value 1"])),
            asks("labels", "equal_to", json!([rng.choice(TITLES).unwrap()])),
            asks("email", "is_present", json!([])),
            json!({ "not": asks("plan", "equal_to", json!(["pro"])) }),
        ];
        let filter = rng.bool().then(|| {
            let filter = rng.choice(filters).unwrap();
            let types = |key: &str| defined.iter().find(|d| d.key == key).map(|d| d.kind);
            let untyped = Reading::untyped(UnixMillis(0));
            // A kind of values may not be what the filter asks for.
            Filter::from_json(&filter, &Reading { types: &types, ..untyped })
                .unwrap_or_else(|_| Filter::from_json(&filter, &untyped).unwrap())
        });
        let order = if is_near {
            NEAR_ORDER.to_vec()
        } else if text.is_some() && rng.u8(0..3) == 0 {
            order::parse(rng.choice(["relevance", "relevance,-name"]), None, true)
        } else {
            vec![SortKey { field: *rng.choice(&FIELDS).unwrap(), descending: rng.bool() }]
        };
        let title = *rng.choice(&TITLES).unwrap();
        let labels = rng.u8(0..8) == 0;
        Query {
            text,
            labels: if labels { vec![Label::from_stored(title.into())] } else { Vec::new() },
            filter,
            resolved: rng.bool(),
            order,
            after: None,
            slice: Slice { offset: rng.usize(0..3) * 5, limit: 10 },
        }
    }

    /// Holds queries to what they mean, while nobody writes.
    async fn check(&mut self) {
        for account in self.accounts.clone() {
            let contacts = contacts(&*self.app.store, account).await;
            for _ in 0..20 {
                let mut query = self.query(account).await;
                // The page, and the one that comes after it.
                for _ in 0..2 {
                    let (ids, total, next) = meaning(&query, &contacts);
                    let page = self.directory.page(account, query.clone(), Include::Nothing).await;
                    let page = page.unwrap();
                    let found: Vec<ContactId> =
                        page.contacts.iter().map(|record| record.contact.id).collect();
                    assert_eq!((found, page.total), (ids, total), "{account} {query:?}");
                    assert_eq!(page.next, next, "{account} {query:?}");
                    let Some(next) = next else { break };
                    query.after = Some(next);
                    query.slice.offset = 0;
                }
            }
        }
    }
}

/// Flips a bit in a snapshot, or cuts it off.
fn damage(folder: &Path, rng: &mut Rng) {
    let Ok(files) = std::fs::read_dir(folder) else { return };
    for path in files.map(|file| file.unwrap().path()) {
        let mut bytes = std::fs::read(&path).unwrap();
        let at = rng.usize(0..bytes.len());
        if rng.bool() {
            bytes[at] ^= 1 << rng.u8(0..8);
        } else {
            bytes.truncate(at);
        }
        std::fs::write(&path, bytes).unwrap();
    }
}

async fn contacts(store: &dyn Store, account: AccountId) -> Vec<Contact> {
    let mut slices = store.snapshot(account).await.unwrap().contacts;
    let mut contacts = Vec::new();
    while let Some(slice) = slices.next().await {
        contacts.extend(slice.unwrap());
    }
    contacts
}

/// What a query means, taken literally.
fn meaning(query: &Query, contacts: &[Contact]) -> (Vec<ContactId>, u64, Option<Place>) {
    let matches = contacts.iter().filter(|contact| query.matches(contact));
    let mut places: Vec<Place> = matches.map(|contact| Place::of(query, contact)).collect();
    places.sort_by(|a, b| a.compare(b, &query.order));
    let total = places.len() as u64;
    if let Some(after) = &query.after {
        places.retain(|place| place.compare(after, &query.order).is_gt());
    }
    let Slice { offset, limit } = query.slice;
    let more = places.len() > offset + limit;
    let page: Vec<Place> = places.into_iter().skip(offset).take(limit).collect();
    let next = page.last().filter(|_| more).cloned();
    (page.iter().map(|place| place.id).collect(), total, next)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_queries_say_what_they_mean() {
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start_with(Settings::default()).await;
    let mut accounts = vec![app.id];
    for number in 0..3 {
        accounts.push(app.account(&format!("Account {number}")).await.id);
    }
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let snapshots = folder.path().join("indexes");
    let settings = IndexSettings {
        memory: Memory::DEFAULT,
        snapshots: Some(snapshots.clone()),
        snapshot_contacts: 1,
        ..IndexSettings::default()
    };
    let mut soak = Soak {
        directory: Arc::new(Directory::new(Arc::clone(&app.app.store), settings.clone())),
        app: app.app.clone(),
        accounts,
        settings,
        erased: Vec::new(),
        rng: Rng::with_seed(seed),
    };
    let end = Instant::now() + Duration::from_secs(seconds());
    let mut round = 0;
    while Instant::now() < end {
        round += 1;
        // Somebody asks all the while.
        let (directory, account) = (Arc::clone(&soak.directory), soak.account());
        let query = soak.query(account).await;
        let asking = tokio::spawn(async move {
            for _ in 0..3 {
                directory.page(account, query.clone(), Include::Nothing).await.unwrap();
            }
        });
        match soak.rng.u8(0..22) {
            0..12 => soak.write().await,
            12 => soak.erase().await,
            13..15 => soak.directory.look_after(round * 100).await,
            15 => {
                let account = soak.account();
                soak.directory.evict(account);
            }
            16 => {
                asking.await.unwrap();
                soak.restart().await;
                continue;
            }
            17 => soak.relabel().await,
            18 => soak.define().await,
            _ => {
                asking.await.unwrap();
                soak.check().await;
                continue;
            }
        }
        asking.await.unwrap();
    }
    // However few rounds there were.
    for _ in 0..10 {
        soak.relabel().await;
        soak.define().await;
    }
    soak.check().await;
    soak.directory.close().await;
    assert!(round > 10, "{round} rounds");
    for file in std::fs::read_dir(&snapshots).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        for name in &soak.erased {
            assert!(!text.contains(name.as_str()), "{name} was erased");
        }
    }
    soak.restart().await;
    soak.check().await;
}
