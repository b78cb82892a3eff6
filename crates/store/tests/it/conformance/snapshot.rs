//! `snapshot`: all contacts at one moment.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use meishi_contacts::{Contact, ContactId, limits::BATCH_CHANGES};
use meishi_store::Store;

use super::{
    fields::{blank, create, delete, named, set_labels, update, with_email},
    replay::Replay,
    tenant::Tenant,
};

/// Contacts enough for several slices.
const MANY: usize = 3 * BATCH_CHANGES;

async fn with_many_contacts(store: &Arc<dyn Store>) -> Tenant {
    let acme = Tenant::new(store, "Acme").await;
    for _ in 0..3 {
        acme.apply(acme.cx(), vec![create(blank()); BATCH_CHANGES], false).await;
    }
    acme
}

pub(crate) async fn an_empty_account_has_an_empty_snapshot(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let snapshot = store.snapshot(acme.account).await.unwrap();
    assert_eq!(snapshot.seq, acme.last_seq().await);
    let contacts: Vec<Contact> = snapshot.contacts.try_concat().await.unwrap();
    assert_eq!(contacts, []);
}

pub(crate) async fn contacts_come_by_id_with_their_labels(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    for (id, titles) in [(1, &["b", "a"][..]), (2, &[]), (3, &["a", "ä", "c"]), (4, &["b"])] {
        acme.create(named(&format!("{id}"))).await;
        acme.set_labels(ContactId(id), titles).await;
        globex.create(named("theirs")).await;
        globex.set_labels(ContactId(id), &["theirs"]).await;
    }
    acme.delete(ContactId(2)).await;
    let contacts: Vec<Contact> =
        acme.contacts().await.into_iter().map(|record| record.contact).collect();
    assert_eq!(contacts.len(), 3);
    assert_eq!(acme.snapshot().await, contacts);
}

pub(crate) async fn a_snapshot_shows_its_moment_whatever_is_written_while_it_is_read(
    store: Arc<dyn Store>,
) {
    let acme = with_many_contacts(&store).await;
    let snapshot = store.snapshot(acme.account).await.unwrap();
    assert_eq!(snapshot.seq, acme.last_seq().await);
    // The last contacts change after the snapshot was opened and before it can have read them.
    let last = ContactId(i64::try_from(MANY).unwrap());
    let changes = vec![
        update(last, with_email("late@example.com")),
        set_labels(last, &["late"]),
        delete(ContactId(last.0 - 1)),
        create(named("late")),
    ];
    let applied = acme.apply(acme.cx(), changes, true).await;
    assert!(applied.results.iter().all(Result::is_ok));

    let seen: Vec<Contact> = snapshot.contacts.try_concat().await.unwrap();
    let events = acme.events().await;
    let up_to = events.partition_point(|event| event.seq <= snapshot.seq);
    let expected = Replay::of(&events[..up_to]).contacts();
    assert_eq!(expected.len(), MANY);
    assert!(seen == expected, "the snapshot is not of its seq");
}

pub(crate) async fn a_snapshot_that_nobody_reads_to_its_end_holds_nothing_up(
    store: Arc<dyn Store>,
) {
    let acme = with_many_contacts(&store).await;
    let unread = store.snapshot(acme.account).await.unwrap();
    let mut half_read = store.snapshot(acme.account).await.unwrap();
    half_read.contacts.next().await.unwrap().unwrap();
    acme.update(ContactId(1), named("Anna")).await;
    drop((unread, half_read));
    assert_eq!(acme.snapshot().await.len(), MANY);
    acme.update(ContactId(1), named("Anne")).await;
}
