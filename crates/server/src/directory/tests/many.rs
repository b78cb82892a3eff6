//! Very many small accounts on one server.

use super::{
    super::{load::WITH_GRAMS, memory::Memory, shelf::Shelf},
    *,
};

const ACCOUNTS: usize = 10_000;

/// How many contacts that account has.
const fn contacts(number: usize) -> usize {
    1 + number % 3
}

/// An account that the store does not know.
fn account(number: usize) -> AccountId {
    AccountId(1_000 + i64::try_from(number).unwrap())
}

impl Scene {
    /// The same with nothing loaded, and that much memory.
    fn with_memory(self, bytes: usize) -> Self {
        let settings = IndexSettings { memory: Memory(bytes), ..IndexSettings::default() };
        let directory = Directory::new(Arc::clone(&self.directory.store), settings);
        Self { directory, ..self }
    }
}

/// Takes an index into memory for each of the accounts, one after the other, as a load does but
/// without the rows, whose reading would take most of a minute. The first is asked for all the
/// while. Answers how often indexes were dropped.
async fn fill(scene: &Scene) -> usize {
    let shelf = &scene.directory.shelf;
    let ids = [1, 2, 3].map(ContactId);
    let rows = shelf.store.contacts(scene.account, &ids, Include::Nothing).await.unwrap();
    let mut drops = 0;
    for number in 0..ACCOUNTS {
        let mut builder = Index::builder();
        for row in rows.iter().take(contacts(number)) {
            builder.push(&row.contact);
        }
        let index = builder.finish(Seq(1));
        let first = shelf.slot(account(0));
        shelf.touch(&first);
        let (slot, bytes) = (shelf.slot(account(number)), index.bytes());
        shelf.touch(&slot);
        let before = shelf.budget.used();
        shelf.make_room(&slot, bytes).await;
        drops += usize::from(shelf.budget.used() < before);
        slot.put(index, bytes, &shelf.budget).await;
        shelf.budget.end();
        assert!(!shelf.budget.is_exceeded(), "{} bytes", shelf.budget.used());
    }
    drops
}

fn is_loaded(shelf: &Shelf, number: usize) -> bool {
    shelf.slot(account(number)).bytes() > 0
}

#[tokio::test]
async fn many_small_accounts_cost_what_their_contacts_cost() {
    let scene = Scene::new().await;
    assert_eq!(fill(&scene).await, 0);
    let loaded = scene.directory.loaded();
    let all = (0..ACCOUNTS).map(contacts).sum();
    assert_eq!((loaded.accounts, loaded.contacts), (ACCOUNTS, all));
    // What is reckoned for the contacts of a large one, and what holds them.
    let reckoned = all * WITH_GRAMS + ACCOUNTS * size_of::<Index>();
    assert!(loaded.bytes <= reckoned, "{} a contact", loaded.bytes / all);
    let of = |number| scene.directory.shelf.slot(account(number)).bytes();
    assert!(of(0) < of(1) && of(1) < of(2), "{} {} {}", of(0), of(1), of(2));
}

#[tokio::test]
async fn many_small_accounts_share_memory_for_half_of_them() {
    let scene = Scene::new().await;
    fill(&scene).await;
    let half = scene.directory.loaded().bytes / 2;
    let scene = scene.with_memory(half);
    let shelf = &scene.directory.shelf;
    let total = async || {
        scene
            .directory
            .page(scene.account, query("anna", 0, 1), Include::Nothing)
            .await
            .unwrap()
            .total
    };
    assert_eq!(total().await, 3);
    let drops = fill(&scene).await;
    // Each time all accounts are looked at for those that were not asked for longest.
    assert!((1..200).contains(&drops), "{drops}");
    // Those that were asked for last are there, and hardly less of them than there is room for.
    assert!(is_loaded(shelf, 0));
    let first = (1..ACCOUNTS).find(|number| is_loaded(shelf, *number)).unwrap();
    assert!((first..ACCOUNTS).all(|number| is_loaded(shelf, number)));
    let loaded = scene.directory.loaded();
    assert_eq!(loaded.accounts, 1 + ACCOUNTS - first);
    assert!(loaded.bytes <= half && loaded.bytes > half / 10 * 9, "{loaded:?}");
    // Whoever is asked for again is loaded again.
    assert_eq!((shelf.slot(scene.account).bytes(), loaded.loads), (0, 1));
    assert_eq!(total().await, 3);
    assert_eq!(scene.directory.loaded().loads, 2);
    assert!(scene.directory.loaded().bytes <= half);
}

/// Where many small ones are dropped at once, a large one is not for the sake of a little more.
#[tokio::test]
async fn no_more_large_indexes_are_dropped_than_need_be() {
    let scene = Scene::new().await.with_memory(1_000_000);
    let shelf = &scene.directory.shelf;
    for number in 0..70 {
        let slot = shelf.slot(account(number));
        shelf.touch(&slot);
        slot.put(Index::new(), 14_000, &shelf.budget).await;
    }
    shelf.make_room(&shelf.slot(account(70)), 30_000).await;
    let is_there: Vec<bool> = (0..=70).map(|number| is_loaded(shelf, number)).collect();
    assert!(!is_there[0] && is_there[1..].iter().all(|there| *there), "{is_there:?}");
}
