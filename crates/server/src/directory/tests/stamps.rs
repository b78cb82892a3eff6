//! Snapshots that are whole, and of something else than what the store holds.

use std::path::Path;

use meishi_index::Stamp;
use rstest::rstest;

use super::*;

/// Leaves a snapshot by which the account has one contact, Zoe, and none of its own; whoever
/// believes it is found out. The stamp is the true one, but for what is changed of it.
async fn forge(scene: &Scene, change: impl FnOnce(&mut Stamp)) {
    let (account, shelf) = (scene.account, &scene.directory.shelf);
    let ids = [ContactId(1)];
    let rows = shelf.store.contacts(account, &ids, Include::Nothing).await.unwrap();
    let mut contact = rows[0].contact.clone();
    contact.name = "Zoe".into();
    let head = shelf.store.counts(account).await.unwrap().unwrap().last_seq;
    let mut stamp = shelf.stamp(account, head).await.unwrap().unwrap();
    change(&mut stamp);
    let mut builder = Index::builder();
    builder.push(&contact);
    let index = builder.finish(stamp.seq);
    let files_of = shelf.files.as_ref().unwrap();
    let begun = files_of.begin(account);
    let unfinished = files_of.write(begun, &stamp, &index, &|| false).unwrap().unwrap();
    assert!(unfinished.finish(|| ()).unwrap());
}

/// A server that knows nothing but the store and the snapshots.
fn restart(scene: &mut Scene) {
    let settings = scene.directory.shelf.settings.clone();
    scene.directory = Directory::new(Arc::clone(&scene.directory.store), settings);
}

/// The ids that a list finds, and how many are called Zoe.
async fn found(scene: &Scene) -> (Vec<i64>, u64) {
    let page =
        async |query| scene.directory.page(scene.account, query, Include::Nothing).await.unwrap();
    (ids(&page(query("", 0, 9)).await), page(query("zoe", 0, 9)).await.total)
}

/// Holds the directory to the account's rows, and to a snapshot that is true of them.
async fn is_rebuilt(scene: &mut Scene, folder: &Path) {
    assert_eq!(found(scene).await, (vec![4, 3, 2, 1], 0));
    assert_eq!(scene.directory.loaded().loads, 1);
    assert_eq!(files(folder), 0, "it is taken away");
    scene.directory.close().await;
    restart(scene);
    scene.directory.warm(UnixMillis(0)).await.unwrap();
    assert_eq!(scene.directory.warmth().done, 1, "another takes its place");
    assert_eq!(found(scene).await, (vec![4, 3, 2, 1], 0));
    assert_eq!(files(folder), 1);
}

#[tokio::test]
async fn a_snapshot_with_the_true_stamp_is_believed() {
    let (mut scene, folder) = with_snapshots().await;
    forge(&scene, |_| ()).await;
    restart(&mut scene);
    // What the other tests forge would be seen.
    assert_eq!(found(&scene).await, (vec![1], 1));
    assert_eq!(files(&folder), 1);
}

#[rstest]
#[case::another_event_at_its_seq(|stamp: &mut Stamp| stamp.event[31] ^= 1)]
#[case::a_seq_beyond_the_last_event(|stamp: &mut Stamp| stamp.seq = stamp.seq.next())]
#[case::an_earlier_seq_with_a_later_event(|stamp: &mut Stamp| stamp.seq = Seq(stamp.seq.0 - 1))]
#[case::another_program(|stamp: &mut Stamp| stamp.program.push('0'))]
#[case::another_fold(|stamp: &mut Stamp| stamp.program = stamp.program.replace("fold ", "fold 1"))]
#[case::another_database(|stamp: &mut Stamp| stamp.database.push('0'))]
#[case::an_earlier_epoch(|stamp: &mut Stamp| stamp.epoch -= 1)]
#[tokio::test]
async fn a_snapshot_of_something_else_is_not_believed(
    #[case] change: fn(&mut Stamp),
    #[values(false, true)] is_warmed: bool,
) {
    let (mut scene, folder) = with_snapshots().await;
    forge(&scene, change).await;
    restart(&mut scene);
    if is_warmed {
        // Looked for at the start, and not at the first query.
        scene.directory.warm(UnixMillis(0)).await.unwrap();
    }
    is_rebuilt(&mut scene, &folder).await;
}

/// Nothing but the file's first line tells of it.
#[tokio::test]
async fn a_snapshot_in_another_format_is_not_believed() {
    let (mut scene, folder) = with_snapshots().await;
    forge(&scene, |_| ()).await;
    let path = folder.join(format!("{}.snapshot", scene.account));
    let bytes = std::fs::read(&path).unwrap();
    let format = b"meishi index 1\n";
    assert!(bytes.starts_with(format));
    std::fs::write(&path, [b"meishi index 2\n", &bytes[format.len()..]].concat()).unwrap();
    restart(&mut scene);
    is_rebuilt(&mut scene, &folder).await;
}

/// As where the copy of another machine lies in the place of this one's.
#[tokio::test]
async fn a_snapshot_of_another_history_is_not_believed() {
    let (mut scene, folder) = with_snapshots().await;
    let (elsewhere, from) = with_snapshots().await;
    let rename = async |scene: &Scene, name: &str| {
        let patch = ContactPatch { name: Some(name.into()), ..ContactPatch::default() };
        let patch = Box::new(patch);
        scene.apply(vec![Change::UpdateContact { id: ContactId(4), patch }]).await;
    };
    rename(&scene, "Johanna").await;
    rename(&elsewhere, "Zoe").await;
    elsewhere.directory.close().await;
    // They have their ids, their epochs and the numbers of their events in common.
    let stamp_of = async |scene: &Scene| {
        let shelf = &scene.directory.shelf;
        let head = shelf.store.counts(scene.account).await.unwrap().unwrap().last_seq;
        shelf.stamp(scene.account, head).await.unwrap().unwrap()
    };
    let (here, there) = (stamp_of(&scene).await, stamp_of(&elsewhere).await);
    assert_ne!(here, there);
    assert_eq!(here, Stamp { event: here.event, ..there });

    std::fs::create_dir_all(&folder).unwrap();
    let name = format!("{}.snapshot", scene.account);
    std::fs::copy(from.join(&name), folder.join(&name)).unwrap();
    restart(&mut scene);
    is_rebuilt(&mut scene, &folder).await;
}
