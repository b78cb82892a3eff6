//! Indexes that come and go: snapshots, restarts, memory, many accounts.

use std::{path::Path, time::Duration};

use meishi_contacts::{AccountId, ContactPatch, NewContact, Role, UnixMillis};
use meishi_server::{
    App, Settings,
    directory::{IndexSettings, Loaded, Memory, Warmth},
};
use meishi_store::{Change, Context};
use rstest::rstest;
use serde_json::json;

use crate::{
    answer::Answer,
    app::{CONTACTS, Client, Tenant, TestApp, contact, list},
};

/// The service with snapshots of however few contacts, in that directory.
async fn start(folder: &Path) -> TestApp {
    TestApp::start_with(settings(Some(folder), Memory::DEFAULT)).await
}

fn settings(folder: Option<&Path>, memory: Memory) -> Settings {
    let snapshots = folder.map(|folder| folder.join("indexes"));
    let index =
        IndexSettings { memory, snapshots, snapshot_contacts: 1, ..IndexSettings::default() };
    Settings { index, ..Settings::default() }
}

fn files(folder: &Path) -> Vec<String> {
    let Ok(files) = std::fs::read_dir(folder.join("indexes")) else { return Vec::new() };
    let name = |file: std::fs::DirEntry| file.file_name().into_string().unwrap();
    let mut names: Vec<String> = files.map(|file| name(file.unwrap())).collect();
    names.sort();
    names
}

fn file(folder: &Path, tenant: &Tenant) -> std::path::PathBuf {
    folder.join(format!("indexes/{}.snapshot", tenant.id))
}

/// The same service after a restart, which knows only what is on disk.
fn restarted(app: &TestApp) -> Tenant {
    app.on(app.restarted())
}

/// An account whose contacts are Anna, Bob and Hanna.
async fn three(app: &Tenant) -> Client {
    let client = app.administrator().await;
    for name in ["Anna", "Bob", "Hanna"] {
        client.contact(json!({ "name": name, "email": format!("{name}@example.com") })).await;
    }
    assert_eq!(client.search("anna").await, ["Anna", "Hanna"]);
    client
}

#[tokio::test]
async fn a_restart_goes_on_from_the_snapshot_of_a_stop() {
    let folder = tempfile::tempdir().unwrap();
    let app = start(folder.path()).await;
    let client = three(&app).await;
    assert!(files(folder.path()).is_empty());
    app.app.directory.close().await;
    assert_eq!(files(folder.path()), [format!("{}.snapshot", app.id)]);
    client.contact(json!({ "name": "Joanna" })).await;

    let again = restarted(&app);
    again.app.directory.warm(UnixMillis(0)).await.unwrap();
    let Warmth { accounts, done, failed, .. } = again.app.directory.warmth();
    assert_eq!((accounts, done, failed), (1, 1, 0));
    assert_eq!(again.app.directory.loaded().contacts, 4);
    let client = again.administrator().await;
    assert_eq!(client.search("anna").await, ["Anna", "Hanna", "Joanna"]);
    assert_eq!(files(folder.path()).len(), 1, "it was good, and stays");
}

/// What an index holds beyond the rows shows where it came from.
#[rstest]
#[case::a_bit(|bytes: &mut Vec<u8>| { let at = bytes.len() / 2; bytes[at] ^= 1; })]
#[case::the_end(|bytes: &mut Vec<u8>| { bytes.pop(); })]
#[case::the_beginning(|bytes: &mut Vec<u8>| { bytes[0] ^= 1; })]
#[case::all(|bytes: &mut Vec<u8>| { bytes.clear(); })]
#[tokio::test]
async fn a_damaged_snapshot_is_thrown_away(#[case] damage: fn(&mut Vec<u8>)) {
    let folder = tempfile::tempdir().unwrap();
    let app = start(folder.path()).await;
    three(&app).await;
    app.app.directory.close().await;
    let path = file(folder.path(), &app);
    let mut bytes = std::fs::read(&path).unwrap();
    damage(&mut bytes);
    std::fs::write(&path, bytes).unwrap();

    let again = restarted(&app);
    let client = again.administrator().await;
    assert_eq!(client.search("anna").await, ["Anna", "Hanna"]);
    assert!(files(folder.path()).is_empty());
    again.app.directory.close().await;
    assert_eq!(files(folder.path()).len(), 1, "a new one takes its place");
}

#[tokio::test]
async fn a_snapshot_of_another_database_is_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let app = start(folder.path()).await;
    three(&app).await;
    app.app.directory.close().await;
    let bytes = std::fs::read(file(folder.path(), &app)).unwrap();
    // As another account's, as one that was being written, and what is none of ours.
    let indexes = folder.path().join("indexes");
    std::fs::write(indexes.join("99.snapshot"), &bytes).unwrap();
    std::fs::write(indexes.join("1.7-0.unfinished"), &bytes).unwrap();
    std::fs::write(indexes.join("notes.txt"), "mine").unwrap();
    restarted(&app).app.directory.warm(UnixMillis(0)).await.unwrap();
    assert_eq!(files(folder.path()), [&format!("{}.snapshot", app.id), "notes.txt"]);

    app.raise_epoch().await;
    let again = restarted(&app);
    again.app.directory.warm(UnixMillis(0)).await.unwrap();
    assert_eq!(files(folder.path()), ["notes.txt"]);
    assert_eq!(again.administrator().await.search("anna").await, ["Anna", "Hanna"]);

    // Another database altogether, whose first account has the same id and as many events.
    std::fs::write(file(folder.path(), &app), bytes).unwrap();
    let other = start(folder.path()).await;
    let client = other.administrator().await;
    for name in ["Zoe", "Zora", "Zack"] {
        client.contact(json!({ "name": name })).await;
    }
    assert_eq!((other.id, client.search("zo").await.len()), (app.id, 2));
    assert!(client.search("anna").await.is_empty());
    assert_eq!(files(folder.path()), ["notes.txt"]);
}

#[tokio::test]
async fn nobody_who_was_erased_stays_in_a_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let app = start(folder.path()).await;
    let client = three(&app).await;
    app.app.directory.close().await;
    let holds_hanna = || {
        let bytes = std::fs::read(file(folder.path(), &app)).unwrap();
        String::from_utf8_lossy(&bytes).to_lowercase().contains("hanna")
    };
    assert!(holds_hanna());
    client.call("POST", format!("{}/erase", contact(3))).send().await.ok();
    assert!(files(folder.path()).is_empty(), "it is gone when the call is answered");
    // Nobody has asked the index since.
    app.app.directory.close().await;
    assert!(!holds_hanna());
    assert_eq!(client.search("anna").await, ["Anna"]);
}

/// The server whose snapshot it is may not be the one that erases, or be killed right after.
#[tokio::test]
async fn an_erasure_elsewhere_takes_the_snapshot_away() {
    let folder = tempfile::tempdir().unwrap();
    let app = start(folder.path()).await;
    let client = three(&app).await;
    app.app.directory.close().await;
    let elsewhere = app.second_server().await;
    let holds = |name: &str| {
        let bytes = std::fs::read(file(folder.path(), &app)).unwrap();
        String::from_utf8_lossy(&bytes).to_lowercase().contains(name)
    };
    let erase = |id| {
        let cx = Context {
            account: app.id,
            actor: meishi_contacts::Actor::System,
            at: UnixMillis(0),
            request_id: String::new(),
            seed: app.app.rng.seed(),
            precondition: None,
            idempotency: None,
        };
        elsewhere.store.apply(
            cx,
            vec![Change::EraseContact { id: meishi_contacts::ContactId(id) }],
            true,
        )
    };
    client.patch(contact(1), json!({ "name": "Anne" })).await.ok();
    app.app.directory.look_after(1).await;
    assert_eq!(files(folder.path()).len(), 1, "other changes leave it alone");
    erase(3).await.unwrap();
    app.app.directory.look_after(2).await;
    assert!(!holds("hanna") && holds("anne"), "one without the person takes its place");

    // A query that follows the erasure finds it as well.
    assert_eq!(client.search("an").await, ["Anne"]);
    erase(2).await.unwrap();
    assert!(client.search("bob").await.is_empty());
    assert!(files(folder.path()).is_empty());

    // And a start, before anything else.
    app.app.directory.close().await;
    assert_eq!(files(folder.path()).len(), 1);
    erase(1).await.unwrap();
    restarted(&app).app.directory.warm(UnixMillis(0)).await.unwrap();
    assert!(files(folder.path()).is_empty());
}

#[cfg(unix)]
#[tokio::test]
async fn snapshots_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let app = start(folder.path()).await;
    three(&app).await;
    app.app.directory.close().await;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.path().join("indexes")), 0o700);
    assert_eq!(mode(&file(folder.path(), &app)), 0o600);
}

#[tokio::test]
async fn where_no_file_can_be_written_all_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("indexes"), "a file in the way").unwrap();
    let app = start(folder.path()).await;
    let client = three(&app).await;
    app.app.directory.close().await;
    app.app.directory.look_after(1).await;
    client.call("POST", format!("{}/erase", contact(3))).send().await.ok();
    assert_eq!(client.search("anna").await, ["Anna"]);
    let again = restarted(&app);
    again.app.directory.warm(UnixMillis(0)).await.unwrap();
    assert_eq!(again.administrator().await.search("anna").await, ["Anna"]);
}

#[tokio::test]
async fn snapshots_follow_when_enough_has_happened() {
    let folder = tempfile::tempdir().unwrap();
    let app = start(folder.path()).await;
    three(&app).await;
    let written = || std::fs::metadata(file(folder.path(), &app)).unwrap().modified().unwrap();
    app.app.directory.look_after(1).await;
    let first = written();
    app.app.directory.look_after(100).await;
    assert_eq!(written(), first, "nothing happened");
}

/// Changes of an account as a batch of a client's would be, but faster.
pub(crate) async fn create(app: &App, account: AccountId, names: impl Iterator<Item = String>) {
    let names: Vec<String> = names.collect();
    for names in names.chunks(1000) {
        let changes = names.iter().map(|name| {
            let fields = ContactPatch { name: Some(name.clone()), ..ContactPatch::default() };
            Change::CreateContact(Box::new(NewContact { fields, link: None }))
        });
        let cx = Context {
            account,
            actor: meishi_contacts::Actor::System,
            at: UnixMillis(0),
            request_id: String::new(),
            seed: app.rng.seed(),
            precondition: None,
            idempotency: None,
        };
        app.store.apply(cx, changes.collect(), true).await.unwrap();
    }
}

#[tokio::test]
async fn who_was_not_asked_for_longest_leaves_memory_first() {
    let app = TestApp::start_with(settings(None, Memory(1 << 20))).await;
    let mut tenants = Vec::new();
    for number in 0..4 {
        let tenant = app.account(&format!("Account {number}")).await;
        // A third of a megabyte each.
        create(&app.app, tenant.id, (0..1200).map(|n| format!("Somebody {n} {}", "x".repeat(60))))
            .await;
        let client = tenant.key(Role::Agent).await;
        tenants.push((tenant, client));
    }
    let count = async |number: usize| tenants[number].1.get(CONTACTS).await.ok().count();
    for number in [0, 1, 0, 2, 3] {
        assert_eq!(count(number).await, 1200);
    }
    let Loaded { accounts, bytes, limit, refused, without_grams, .. } = app.app.directory.loaded();
    assert!(bytes <= limit && limit == 1 << 20, "{bytes}");
    assert!((1..4).contains(&accounts), "{accounts}");
    assert_eq!((refused, without_grams), (0, 0));
    assert!(!app.app.directory.evict(tenants[1].0.id), "it left first");
    assert!(app.app.directory.evict(tenants[3].0.id), "it came last");
    assert_eq!(count(1).await, 1200);
}

#[tokio::test]
async fn an_account_that_does_not_fit_is_refused_queries_alone() {
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start_with(settings(Some(folder.path()), Memory(1 << 20))).await;
    let other = app.account("Small").await;
    let (client, small) = (app.administrator().await, three(&other).await);
    create(&app.app, app.id, (0..4000).map(|n| format!("Somebody {n} {}", "x".repeat(200)))).await;
    let refused = |answer: &Answer| {
        assert_eq!((answer.status, answer.code()), (503, "no_index_memory"), "{}", answer.text);
        assert_eq!(answer.headers["retry-after"], "300");
    };
    for path in [CONTACTS.to_owned(), list(&[("q", "somebody")])] {
        refused(&client.get(path).await);
    }
    client.get(contact(17)).await.ok();
    client.patch(contact(17), json!({ "name": "Anna" })).await.ok();
    assert_eq!(small.search("anna").await, ["Anna", "Hanna"]);
    let loaded = app.app.directory.loaded();
    assert_eq!((loaded.refused, loaded.accounts), (1, 1));
    assert_eq!(app.app.directory.short_of_memory(), (vec![], vec![app.id]));
    // A server with more memory has room for it.
    let app = app.on(app.restarted_with(settings(None, Memory::DEFAULT)));
    assert_eq!(app.administrator().await.search("anna").await, ["Anna"]);
}

/// Grams are a fifth of the memory of an account that has them.
#[tokio::test]
async fn an_account_without_room_for_grams_answers_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start_with(settings(Some(folder.path()), Memory(5 << 20))).await;
    let client = app.administrator().await;
    create(&app.app, app.id, (0..20_000).map(|n| format!("Ana Hernández {n}"))).await;
    assert_eq!(client.search("19999").await, ["Ana Hernández 19999"]);
    let loaded = app.app.directory.loaded();
    assert_eq!((loaded.without_grams, loaded.refused), (1, 0), "{loaded:?}");
    assert!(loaded.bytes <= loaded.limit, "{loaded:?}");
    app.app.directory.close().await;
    assert_eq!(files(folder.path()).len(), 1);

    let roomy = settings(Some(folder.path()), Memory::DEFAULT);
    let again = app.on(app.restarted_with(roomy));
    let client = again.administrator().await;
    assert_eq!(client.search("19999").await, ["Ana Hernández 19999"]);
    assert_eq!(again.app.directory.loaded().without_grams, 0, "they are made after all");
    assert!(again.app.directory.loaded().bytes > loaded.bytes);
}

#[tokio::test]
async fn probes_tell_of_the_warming_when_they_are_asked() {
    let folder = tempfile::tempdir().unwrap();
    let app = start(folder.path()).await;
    three(&app).await;
    app.app.directory.close().await;
    let again = restarted(&app);
    let probe = again.nobody();
    let warming = async |path: &str| probe.get(path).await.ok().json["warming"].clone();
    assert_eq!(warming("/readyz").await, json!(null));
    assert_eq!(warming("/readyz?verbose=false").await, json!(null));
    let none = json!({ "accounts": 0, "done": 0, "failed": 0, "left_out": 0, "over": false });
    assert_eq!(warming("/readyz?verbose").await, none);
    let directory = std::sync::Arc::new(again.app.clone());
    let keep = tokio::spawn(async move { directory.directory.keep(UnixMillis(0)).await });
    let one = json!({ "accounts": 1, "done": 1, "failed": 0, "left_out": 0, "over": true });
    tokio::time::timeout(Duration::from_secs(20), async {
        while warming("/readyz?verbose=true").await != one {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    keep.abort();
}

/// Large accounts whose keys are in use are warmed without a snapshot, too.
#[tokio::test]
async fn who_called_lately_is_warmed_as_far_as_there_is_room() {
    let app = TestApp::start_with(settings(None, Memory(1 << 20))).await;
    let (large, idle) = (app.account("Large").await, app.account("Idle").await);
    create(&app.app, large.id, (0..3000).map(|n| format!("Somebody {n}"))).await;
    create(&app.app, idle.id, (0..10).map(|n| format!("Somebody {n}"))).await;
    create(&app.app, app.id, (0..3000).map(|n| format!("Somebody {n}"))).await;
    for tenant in [&*app, &large] {
        let keys = app.app.store.keys(tenant.id).await.unwrap();
        app.app.store.touch_key(tenant.id, keys[0].id, app.app.clock.now()).await.unwrap();
    }
    let warmed = async |now| {
        let again = app.restarted();
        again.directory.warm(now).await.unwrap();
        let Warmth { accounts, done, left_out, .. } = again.directory.warmth();
        (accounts, done, left_out)
    };
    let now = app.app.clock.now();
    assert_eq!(warmed(now).await, (2, 1, 1));
    assert_eq!(warmed(UnixMillis(now.0 + 8 * 24 * 3600 * 1000)).await, (0, 0, 0));
}

/// Whoever asks for an account that is being loaded waits for that load; others do not.
#[tokio::test]
async fn a_load_is_shared_and_holds_nobody_else_up() {
    let app = TestApp::start().await;
    let large = app.account("Large").await;
    create(&app.app, large.id, (0..8000).map(|n| format!("Somebody {n}"))).await;
    let small = three(&app).await;
    let before = app.app.directory.loaded();
    let client = large.administrator().await;
    let finished = std::sync::Mutex::new(Vec::new());
    let note = |who| finished.lock().unwrap().push(who);
    let asking = (0..8).map(|number| {
        let (client, note) = (&client, &note);
        async move {
            assert_eq!(client.search(&format!("{}", 7990 + number)).await.len(), 1);
            note("large");
        }
    });
    let others = async {
        for _ in 0..3 {
            assert_eq!(small.search("anna").await.len(), 2);
        }
        note("small");
    };
    tokio::join!(futures::future::join_all(asking), others);
    assert_eq!(app.app.directory.loaded().loads, before.loads + 1);
    let finished = finished.into_inner().unwrap();
    assert_eq!((finished[0], finished.len()), ("small", 9));
}

/// A caller that goes away does not undo the load.
#[tokio::test]
async fn a_load_goes_on_without_whoever_asked_first() {
    let app = TestApp::start().await;
    create(&app.app, app.id, (0..2000).map(|n| format!("Somebody {n}"))).await;
    let client = app.administrator().await;
    let hasty = client.search("1999");
    assert!(tokio::time::timeout(Duration::from_millis(1), hasty).await.is_err());
    assert_eq!(client.search("1999").await, ["Somebody 1999"]);
    assert_eq!(app.app.directory.loaded().loads, 1);
}

#[tokio::test]
async fn many_small_accounts_take_little_each() {
    const ACCOUNTS: usize = 60;
    let app = TestApp::start().await;
    for number in 0..ACCOUNTS {
        let tenant = app.account(&format!("Account {number}")).await;
        create(&app.app, tenant.id, (0..3).map(|n| format!("Somebody {n}"))).await;
        assert_eq!(tenant.key(Role::Agent).await.search("somebody").await.len(), 3);
    }
    let Loaded { accounts, contacts, bytes, .. } = app.app.directory.loaded();
    assert_eq!((accounts, contacts), (ACCOUNTS, ACCOUNTS * 3));
    assert!(bytes < ACCOUNTS * 6 * 1024, "{} each", bytes / ACCOUNTS);
}
