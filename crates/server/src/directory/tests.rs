//! Rows that are checked, and memory that is short.

mod many;
mod stamps;

use meishi_contacts::{
    Actor, ContactId, ContactPatch, Credential, NewContact, Role, Seed, Seq, Slice,
    limits::SNAPSHOT_PERIODS, order::DEFAULT_ORDER,
};
use meishi_store::{Change, Context, DataDirectory, NewAccount, SqliteStore};
use tempfile::TempDir;

use super::{load::is_far_behind, save::Saved, *};

/// An account with the contacts 1 to 4, whose names are Anna, Bob, Hanna and Joanna.
struct Scene {
    directory: Directory,
    account: AccountId,
    folder: TempDir,
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
        let scene =
            Self { directory: Directory::new(store, IndexSettings::default()), account, folder };
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

/// A scene with snapshots of however few contacts, whose index is loaded.
async fn with_snapshots() -> (Scene, std::path::PathBuf) {
    let mut scene = Scene::new().await;
    let folder = scene.folder.path().join("indexes");
    let settings = IndexSettings {
        snapshots: Some(folder.clone()),
        snapshot_contacts: 1,
        ..IndexSettings::default()
    };
    scene.directory = Directory::new(Arc::clone(&scene.directory.store), settings);
    drop(scene.directory.current(scene.account).await.unwrap());
    (scene, folder)
}

fn files(folder: &std::path::Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

#[tokio::test]
async fn a_snapshot_gives_way_to_whoever_wants_to_change_the_index() {
    let (scene, folder) = with_snapshots().await;
    let (account, shelf) = (scene.account, &scene.directory.shelf);
    let slot = shelf.slot(account);
    assert_eq!(shelf.save(account, &slot, || true).await, Saved::GaveWay);
    assert_eq!(files(&folder), 0);

    let reading = slot.read().await;
    let wants = tokio::spawn({
        let slot = Arc::clone(&slot);
        async move { drop(slot.write().await) }
    });
    while !slot.is_wanted() {
        tokio::task::yield_now().await;
    }
    let files_of = shelf.files.as_ref().unwrap();
    let index = reading.as_deref().unwrap();
    let stamp = shelf.stamp(account, index.seq()).await.unwrap().unwrap();
    let begun = files_of.begin(account);
    assert!(files_of.write(begun, &stamp, index, &|| slot.is_wanted()).unwrap().is_none());
    drop(reading);
    wants.await.unwrap();
    assert!(!slot.is_wanted());
    assert_eq!(shelf.save(account, &slot, || false).await, Saved::Written);
    assert_eq!(files(&folder), 1);
}

#[tokio::test]
async fn a_snapshot_that_was_begun_before_an_erasure_gets_no_name() {
    let (scene, folder) = with_snapshots().await;
    let (account, shelf) = (scene.account, &scene.directory.shelf);
    let slot = shelf.slot(account);
    let files_of = shelf.files.as_ref().unwrap();
    let reading = slot.read().await;
    let index = reading.as_deref().unwrap();
    let stamp = shelf.stamp(account, index.seq()).await.unwrap().unwrap();
    let begun = files_of.begin(account);
    let unfinished = files_of.write(begun, &stamp, index, &|| false).unwrap().unwrap();
    assert_eq!(files(&folder), 1);
    scene.directory.forget_snapshot(account);
    assert!(!unfinished.finish(|| panic!("it must not have a name")).unwrap());
    assert_eq!(files(&folder), 0);
}

/// Nothing is followed in vain, least of all when the server stops.
#[tokio::test]
async fn an_index_that_is_far_behind_is_not_saved() {
    let (scene, folder) = with_snapshots().await;
    for _ in 0..11 {
        let fields = ContactPatch { name: Some("Zoe".into()), ..ContactPatch::default() };
        let new = NewContact { fields, link: None };
        scene.apply(vec![Change::CreateContact(Box::new(new)); 1000]).await;
    }
    scene.directory.close().await;
    assert_eq!(files(&folder), 0);
    let page = scene.directory.page(scene.account, query("zoe", 0, 1), Include::Nothing).await;
    assert_eq!(page.unwrap().total, 11_000);
    assert_eq!(scene.directory.loaded().loads, 2, "it was read anew");
    scene.directory.close().await;
    assert_eq!(files(&folder), 1);
}

const fn erasure(id: i64) -> Change {
    Change::EraseContact { id: ContactId(id) }
}

/// An event after the erasure is there, and the erasure itself is not kept any more.
#[tokio::test]
async fn an_erasure_among_events_that_are_gone_takes_the_snapshot_away() {
    let (scene, folder) = with_snapshots().await;
    let (account, shelf) = (scene.account, &scene.directory.shelf);
    assert_eq!(shelf.save(account, &shelf.slot(account), || false).await, Saved::Written);
    scene.apply(vec![erasure(1), Change::DeleteContact { id: ContactId(2) }]).await;
    scene.directory.store.drop_events(account, UnixMillis(1)).await.unwrap();
    shelf.drop_erased().await.unwrap();
    assert_eq!(files(&folder), 0);
}

#[tokio::test]
async fn snapshots_that_were_not_found_at_the_start_are_looked_for_later() {
    let (mut scene, folder) = with_snapshots().await;
    scene.directory.close().await;
    let settings = scene.directory.shelf.settings.clone();
    scene.directory = Directory::new(Arc::clone(&scene.directory.store), settings);
    scene.directory.look_after(1).await;
    assert_eq!(files(&folder), 1, "nobody was erased");
    scene.apply(vec![erasure(1)]).await;
    scene.directory.look_after(2).await;
    assert_eq!(files(&folder), 0);
}

#[test]
fn a_load_is_counted_instead_of_what_was_there_before() {
    let (slot, budget) = (slot::Slot::default(), memory::Budget::new(Memory(100)));
    slot.recount(30, 1, &budget);
    assert!(budget.try_begin(50));
    slot.reserve(50, &budget);
    assert_eq!((slot.bytes(), budget.used()), (50, 50));
}

#[tokio::test]
async fn who_waits_for_a_turn_of_long_queries_gives_up_in_time() {
    let scene = Scene::new().await;
    let all = u32::try_from(scene.directory.long_queries.available_permits()).unwrap();
    let _taken = scene.directory.long_queries.acquire_many(all).await.unwrap();
    tokio::time::pause();
    let turn = scene.directory.long_turn().await;
    assert!(matches!(turn, Err(StoreError::Busy)));
}

#[tokio::test]
async fn a_query_that_takes_too_long_is_given_up_and_holds_nothing() {
    let mut scene = Scene::new().await;
    let turns = scene.directory.long_queries.available_permits();
    // It goes on until it is told that it is late.
    let (told, mut is_told) = tokio::sync::mpsc::unbounded_channel();
    let endless = move |_: &Index, is_late: &dyn Fn() -> bool| -> Result<(), TooLate> {
        while !is_late() {
            std::thread::yield_now();
        }
        told.send(()).unwrap();
        Err(TooLate)
    };
    // Who asks goes away.
    let asked = scene.directory.ask(scene.account, |_| false, endless.clone());
    assert!(tokio::time::timeout(Duration::from_millis(50), asked).await.is_err());
    assert_eq!(is_told.recv().await, Some(()));
    // The time passes.
    scene.directory.query_time = Duration::ZERO;
    let error = scene.directory.ask(scene.account, |_| false, endless).await.unwrap_err();
    assert!(matches!(error, QueryError::TooSlow));
    let response = crate::error::ApiError::from(error).render("r");
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (503, &"1".parse().unwrap())
    );
    assert_eq!(is_told.recv().await, Some(()));
    // Changes get at the index, long queries get their turns, and brief ones answer.
    let all = scene.directory.long_queries.acquire_many(u32::try_from(turns).unwrap()).await;
    drop(all.unwrap());
    let fields = ContactPatch { name: Some("Susanna".into()), ..ContactPatch::default() };
    let create = Change::CreateContact(Box::new(NewContact { fields, link: None }));
    scene.apply(vec![create]).await;
    let page = scene.directory.page(scene.account, query("anna", 0, 9), Include::Nothing).await;
    assert_eq!(page.unwrap().total, 4);
}

#[test]
fn a_query_with_many_values_looks_at_contacts_many_times() {
    let asks = |values: &[String]| {
        let condition = serde_json::json!({
            "attribute_key": "name", "filter_operator": "contains", "values": values,
        });
        let filter = serde_json::json!({ "or": [condition, { "not": condition }] });
        let reading = meishi_contacts::filter::Reading::untyped(UnixMillis(0));
        Query { filter: Filter::from_json(&filter, &reading).ok(), ..query("", 0, 1) }
    };
    assert_eq!(looks(&query("", 0, 1)), 1);
    let values: Vec<String> = (0..500).map(|number| number.to_string()).collect();
    assert_eq!((looks(&asks(&values[..1])), looks(&asks(&values))), (3, 1001));
}

#[tokio::test]
async fn a_snapshot_that_failed_is_not_tried_again_at_once() {
    let (scene, folder) = with_snapshots().await;
    let slot = scene.directory.shelf.slot(scene.account);
    std::fs::write(&folder, "no directory").unwrap();
    assert!(slot.is_due(0));
    scene.directory.shelf.save_if_due(scene.account, &slot).await;
    assert!(!slot.is_due(SNAPSHOT_PERIODS - 1) && slot.is_due(SNAPSHOT_PERIODS));
}
