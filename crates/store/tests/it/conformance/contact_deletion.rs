//! `Change::DeleteContact`: what is gone, and what is not.

use std::sync::Arc;

use meishi_contacts::{ContactId, ContactPatch, EventBody, IdentityKind, Version};
use meishi_store::{Change, ChangeError, Include, Missing, Outcome, Store};

use super::{
    fields::{blank, delete, email, identifier, named, phone, set_labels, update, with_email},
    tenant::{Tenant, card_of},
};

fn anna() -> ContactPatch {
    ContactPatch {
        email: email("anna@example.com"),
        phone_number: phone("+4912345"),
        identifier: identifier("u-1"),
        ..named("Anna")
    }
}

pub(crate) async fn a_deleted_contact_is_gone_from_every_read(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create_linked("anna", anna()).await.contact.id;
    let other = acme.create(blank()).await;
    acme.delete(id).await;
    assert_eq!(acme.find(id).await, None);
    let found = acme.page(&[id, other.contact.id], Include::Inboxes).await;
    assert_eq!(found, std::slice::from_ref(&other));
    for (kind, value) in [
        (IdentityKind::Email, "anna@example.com"),
        (IdentityKind::PhoneNumber, "+4912345"),
        (IdentityKind::Identifier, "u-1"),
    ] {
        assert_eq!(acme.owner(kind, value).await, None);
    }
    assert_eq!(acme.snapshot().await, [other.contact]);
    assert_eq!(acme.counts().await, (1, 0));
}

pub(crate) async fn its_addresses_and_its_source_id_are_free_again(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create_linked("anna", anna()).await.contact.id;
    acme.delete(id).await;
    let again = acme.create_linked("anna", anna()).await.contact;
    assert_eq!(acme.owner(IdentityKind::Email, "anna@example.com").await, Some(again.id));
    assert_eq!(acme.counts().await, (1, 1));
}

pub(crate) async fn an_id_is_never_given_twice(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    for id in 1..=3 {
        assert_eq!(acme.create(blank()).await.contact.id, ContactId(id));
    }
    acme.delete(ContactId(3)).await;
    acme.delete(ContactId(1)).await;
    assert_eq!(acme.create(blank()).await.contact.id, ContactId(4));
    acme.delete(ContactId(4)).await;
    acme.delete(ContactId(2)).await;
    let created = acme.create(blank()).await.contact;
    assert_eq!((created.id, created.version), (ContactId(5), Version::FIRST));
}

pub(crate) async fn its_labels_do_not_pass_to_the_next_contact_but_stay_in_the_account(
    store: Arc<dyn Store>,
) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(blank()).await.contact.id;
    acme.set_labels(id, &["vip"]).await;
    acme.delete(id).await;
    let next = acme.create(blank()).await.contact;
    assert_eq!(next.labels, []);
    let before = acme.last_seq().await;
    acme.set_labels(next.id, &["vip"]).await;
    // The label is there already, so only the assignment is new.
    assert_eq!(acme.events_after(before).await.len(), 1);
}

pub(crate) async fn the_event_holds_the_whole_card_as_it_last_was(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create_linked("anna", anna()).await.contact.id;
    acme.set_labels(id, &["vip", "beta"]).await;
    let last = acme.read(id).await;
    let before = acme.last_seq().await;
    acme.delete(id).await;
    let events = acme.events_after(before).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].body, EventBody::ContactDeleted(card_of(&last)));
    assert_eq!((last.contact.version, last.contact_inboxes.len()), (Version(2), 1));
}

pub(crate) async fn its_channel_has_no_contact_left(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create_linked("anna", blank()).await.contact.id;
    acme.delete(id).await;
    let unforced = Change::DeleteInbox { id: acme.inbox.id, force: false };
    assert_eq!(acme.change(unforced).await, Ok(Outcome::InboxDeleted));
}

pub(crate) async fn what_is_gone_cannot_be_changed_or_deleted_again(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(with_email("anna@example.com")).await.contact.id;
    acme.delete(id).await;
    let before = acme.state().await;
    for change in [delete(id), update(id, named("Anna")), set_labels(id, &["vip"])] {
        let refused = acme.change(change).await;
        assert_eq!(refused, Err(ChangeError::NotFound(Missing::Contact)));
    }
    assert_eq!(acme.state().await, before);
}

pub(crate) async fn another_accounts_contact_is_not_found_and_stays(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    let id = globex.create_linked("anna", anna()).await.contact.id;
    let before = globex.state().await;
    assert_eq!(acme.change(delete(id)).await, Err(ChangeError::NotFound(Missing::Contact)));
    assert_eq!(globex.state().await, before);
}

pub(crate) async fn the_contact_of_the_same_number_elsewhere_keeps_everything(
    store: Arc<dyn Store>,
) {
    let (acme, globex) = Tenant::two(&store).await;
    let ours = acme.create_linked("anna", anna()).await.contact.id;
    let theirs = globex.create_linked("anna", anna()).await.contact.id;
    assert_eq!(ours, theirs);
    acme.set_labels(ours, &["vip"]).await;
    globex.set_labels(theirs, &["vip"]).await;
    let before = globex.state().await;
    acme.delete(ours).await;
    assert_eq!(globex.state().await, before);
    assert_eq!(globex.owner(IdentityKind::Identifier, "u-1").await, Some(theirs));
}
