//! `contact`, `contacts`: by id, and only the account's own.

use std::sync::Arc;

use meishi_contacts::{ContactId, limits::READ_ROWS};
use meishi_store::{Include, Store};

use super::{
    fields::{blank, create, labels, named},
    tenant::Tenant,
};

pub(crate) async fn a_contact_is_read_with_its_channels_only_when_asked(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let anna = acme.create_linked("anna", named("Anna")).await;
    let id = anna.contact.id;
    let alone = store.contact(acme.account, id, Include::Nothing).await.unwrap().unwrap();
    assert_eq!((alone.contact, alone.contact_inboxes), (anna.contact.clone(), vec![]));
    let alone = acme.page(&[id], Include::Nothing).await.remove(0);
    assert_eq!((alone.contact, alone.contact_inboxes), (anna.contact.clone(), vec![]));
    let with = acme.page(&[id], Include::Inboxes).await;
    assert_eq!(with, [anna]);
}

pub(crate) async fn labels_are_read_however_a_contact_is_read(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(blank()).await.contact.id;
    acme.set_labels(id, &["b", "a"]).await;
    for include in [Include::Nothing, Include::Inboxes] {
        let one = store.contact(acme.account, id, include).await.unwrap().unwrap();
        let many = acme.page(&[id], include).await;
        assert_eq!(one.contact.labels, labels(&["a", "b"]));
        assert_eq!(many, [one]);
    }
}

pub(crate) async fn contacts_come_in_the_order_of_the_question_and_missing_ones_are_left_out(
    store: Arc<dyn Store>,
) {
    let acme = Tenant::new(&store, "Acme").await;
    for name in ["one", "two", "three", "four"] {
        acme.create_linked(name, named(name)).await;
    }
    acme.delete(ContactId(2)).await;
    let asked = [4, 404, 1, 2, 0, 3, -1, i64::MAX].map(ContactId);
    for include in [Include::Nothing, Include::Inboxes] {
        let found = store.contacts(acme.account, &asked, include).await.unwrap();
        let names: Vec<_> = found.iter().map(|record| record.contact.name.as_str()).collect();
        assert_eq!(names, ["four", "one", "three"]);
    }
    assert_eq!(store.contacts(acme.account, &[], Include::Inboxes).await.unwrap(), []);
}

pub(crate) async fn one_read_returns_at_most_so_many_contacts(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    acme.apply(acme.cx(), vec![create(blank()); READ_ROWS], false).await;
    acme.create(blank()).await;
    let ids: Vec<ContactId> =
        (1..).take(READ_ROWS + 1).map(ContactId).collect::<Vec<_>>().into_iter().rev().collect();
    let found = store.contacts(acme.account, &ids, Include::Nothing).await.unwrap();
    let found: Vec<ContactId> = found.iter().map(|record| record.contact.id).collect();
    assert_eq!(found, ids[..READ_ROWS]);
}

pub(crate) async fn an_id_of_another_account_is_not_found_by_any_read(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    globex.create(blank()).await;
    let theirs = globex.create_linked("anna", named("Theirs")).await.contact.id;
    let ours = acme.create(named("Ours")).await;
    assert_eq!(acme.find(theirs).await, None);
    let asked = [theirs, ours.contact.id];
    let found = acme.page(&asked, Include::Inboxes).await;
    assert_eq!(found, std::slice::from_ref(&ours));
    assert_eq!(acme.snapshot().await, [ours.contact]);
}

pub(crate) async fn contacts_are_found_however_they_lie_among_those_of_others(
    store: Arc<dyn Store>,
) {
    let (acme, globex) = Tenant::two(&store).await;
    let names = async |tenant: &Tenant| {
        let mut names = Vec::new();
        for id in 1..=45 {
            let found = store.contact(tenant.account, ContactId(id), Include::Nothing).await;
            names.extend(found.unwrap().map(|record| (id, record.contact.name)));
        }
        names
    };
    let mut expected = Vec::new();
    // First all after one another, then in turn with another account's.
    for id in 1..=40 {
        let name = format!("Anna {id}");
        assert_eq!(acme.create(named(&name)).await.contact.id, ContactId(id));
        expected.push((id, name));
        if id > 20 {
            globex.create(named("Bert")).await;
        }
        assert_eq!(names(&acme).await, expected);
    }
    // The place of one that is gone is taken by the next.
    for gone in [40, 7] {
        acme.delete(ContactId(gone)).await;
        expected.retain(|(id, _)| *id != gone);
        globex.create(named("Bert")).await;
        assert_eq!(names(&acme).await, expected);
    }
    assert!(names(&globex).await.iter().all(|(_, name)| name == "Bert"));
    assert_eq!(names(&globex).await.len(), 22);
}

pub(crate) async fn what_was_written_is_read_at_once_by_everybody(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(blank()).await.contact.id;
    for number in 0..50 {
        let name = format!("name {number}");
        acme.update(id, named(&name)).await;
        let readers = (0..4).map(|_| {
            let acme = acme.clone();
            tokio::spawn(async move { acme.read(id).await.contact.name })
        });
        for read in futures::future::join_all(readers).await {
            assert_eq!(read.unwrap(), name);
        }
    }
}
