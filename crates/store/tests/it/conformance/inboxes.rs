//! Channels: `CreateInbox`, `UpdateInbox`, `DeleteInbox`.

use std::sync::Arc;

use meishi_contacts::{
    ChannelType, ContactId, Event, EventBody, FaultCode, Field, FieldChange, Inbox, InboxId,
    InboxPatch, limits::INBOXES,
};
use meishi_store::{Change, ChangeError, Missing, Outcome, Store};

use super::{
    fields::{NOON, blank, create_in, inbox, inbox_as, with_email},
    tenant::Tenant,
};

fn rename(id: InboxId, name: &str) -> Change {
    Change::UpdateInbox { id, patch: InboxPatch { name: Some(name.to_owned()) } }
}

fn delete(id: InboxId, force: bool) -> Change {
    Change::DeleteInbox { id, force }
}

fn bodies(events: Vec<Event>) -> Vec<EventBody> {
    events.into_iter().map(|event| event.body).collect()
}

pub(crate) async fn a_channel_gets_the_next_id(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let before = acme.last_seq().await;
    let made = acme.create_inbox(inbox("App")).await;
    let expected = Inbox {
        id: InboxId(2),
        name: "App".to_owned(),
        channel_type: ChannelType::Api,
        created_at: NOON,
    };
    assert_eq!(made, expected);
    assert_eq!(store.inbox(acme.account, InboxId(2)).await.unwrap(), Some(made.clone()));
    let events = acme.events_after(before).await;
    assert_eq!(bodies(events), [EventBody::InboxCreated(made)]);
}

pub(crate) async fn a_chosen_id_is_kept_and_the_next_one_comes_after_the_highest(
    store: Arc<dyn Store>,
) {
    let acme = Tenant::new(&store, "Acme").await;
    assert_eq!(acme.create_inbox(inbox_as(407, "Chosen")).await.id, InboxId(407));
    assert_eq!(acme.create_inbox(inbox("Next")).await.id, InboxId(408));
    assert_eq!(acme.create_inbox(inbox_as(5, "Lower")).await.id, InboxId(5));
    assert_eq!(acme.create_inbox(inbox("Next")).await.id, InboxId(409));
    let ids: Vec<i64> =
        store.inboxes(acme.account).await.unwrap().iter().map(|inbox| inbox.id.0).collect();
    assert_eq!(ids, [1, 5, 407, 408, 409]);
}

pub(crate) async fn a_chosen_id_that_is_taken_is_refused(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    acme.create_inbox(inbox_as(407, "Chosen")).await;
    let before = acme.state().await;
    let refused = acme.change(Change::CreateInbox(inbox_as(407, "Again"))).await;
    let Err(ChangeError::Faults(faults)) = refused else { panic!("{refused:?}") };
    let told: Vec<_> =
        faults.iter().map(|f| (f.attribute.as_str(), f.code, f.contact_id)).collect();
    assert_eq!(told, [("id", FaultCode::Taken, None)]);
    assert_eq!(acme.state().await, before);
    // In another account it is free.
    assert_eq!(globex.create_inbox(inbox_as(407, "Theirs")).await.id, InboxId(407));
}

pub(crate) async fn the_id_of_a_deleted_channel_is_not_given_again(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let last = acme.create_inbox(inbox("App")).await.id;
    assert_eq!(acme.change(delete(last, false)).await, Ok(Outcome::InboxDeleted));
    assert_eq!(acme.create_inbox(inbox("App")).await.id, InboxId(3));
}

pub(crate) async fn an_account_has_at_most_so_many_channels(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    // One is there already.
    let changes = (0..INBOXES).map(|n| Change::CreateInbox(inbox(&format!("{n}")))).collect();
    let mut results = acme.apply(acme.cx(), changes, false).await.results;
    let Some(Err(ChangeError::Faults(faults))) = results.pop() else { panic!("too many") };
    assert_eq!(faults[0].code, FaultCode::LimitExceeded);
    assert!(results.iter().all(Result::is_ok));
    // One that goes makes room for another, and other accounts have room of their own.
    assert_eq!(acme.change(delete(InboxId(1), false)).await, Ok(Outcome::InboxDeleted));
    acme.create_inbox(inbox("Again")).await;
    globex.create_inbox(inbox("Theirs")).await;
}

pub(crate) async fn a_channel_can_be_renamed(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let anna = acme.create_linked("anna", blank()).await.contact.id;
    let before = acme.last_seq().await;
    let renamed = Inbox { name: "Shop".to_owned(), ..acme.inbox.clone() };
    let outcome = acme.change(rename(acme.inbox.id, "Shop")).await;
    assert_eq!(outcome, Ok(Outcome::InboxUpdated(renamed.clone())));
    assert_eq!(store.inbox(acme.account, acme.inbox.id).await.unwrap().as_ref(), Some(&renamed));
    assert_eq!(acme.read(anna).await.contact_inboxes[0].inbox, renamed);
    let events = acme.events_after(before).await;
    let changes = vec![FieldChange::of(Field::Name, "Website", "Shop")];
    assert_eq!(bodies(events), [EventBody::InboxUpdated { id: acme.inbox.id, changes }]);
}

pub(crate) async fn an_update_that_changes_nothing_writes_nothing(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let before = acme.state().await;
    let nothing = Change::UpdateInbox { id: acme.inbox.id, patch: InboxPatch { name: None } };
    for change in [rename(acme.inbox.id, "Website"), nothing] {
        let outcome = acme.change(change).await;
        assert_eq!(outcome, Ok(Outcome::InboxUpdated(acme.inbox.clone())));
    }
    assert_eq!(acme.state().await, before);
}

pub(crate) async fn a_channel_without_contacts_can_be_deleted(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let app = acme.create_inbox(inbox("App")).await;
    acme.create_linked("anna", blank()).await;
    let before = acme.last_seq().await;
    assert_eq!(acme.change(delete(app.id, false)).await, Ok(Outcome::InboxDeleted));
    assert_eq!(store.inbox(acme.account, app.id).await.unwrap(), None);
    let left = store.inboxes(acme.account).await.unwrap();
    assert_eq!(left, std::slice::from_ref(&acme.inbox));
    let events = acme.events_after(before).await;
    assert_eq!(bodies(events), [EventBody::InboxDeleted { inbox: app, links: 0 }]);
}

pub(crate) async fn a_channel_with_contacts_is_kept_and_says_how_many(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    for source in ["a", "b", "c"] {
        acme.create_linked(source, blank()).await;
    }
    acme.create(blank()).await;
    let before = acme.state().await;
    let refused = acme.change(delete(acme.inbox.id, false)).await;
    assert_eq!(refused, Err(ChangeError::HasContacts { count: 3 }));
    assert_eq!(acme.state().await, before);
}

pub(crate) async fn force_removes_the_links_and_never_a_contact(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let app = acme.create_inbox(inbox("App")).await;
    let anna = acme.create_in(app.id, "anna", with_email("anna@example.com")).await;
    let bob = acme.create_in(app.id, "bob", blank()).await;
    let eve = acme.create_linked("eve", blank()).await;
    let before = acme.last_seq().await;
    assert_eq!(acme.change(delete(app.id, true)).await, Ok(Outcome::InboxDeleted));
    for record in [anna, bob] {
        let after = acme.read(record.contact.id).await;
        assert_eq!((after.contact, after.contact_inboxes), (record.contact, vec![]));
    }
    assert_eq!(acme.read(eve.contact.id).await, eve);
    assert_eq!(acme.counts().await, (3, 1));
    let events = acme.events_after(before).await;
    assert_eq!(bodies(events), [EventBody::InboxDeleted { inbox: app, links: 2 }]);
}

pub(crate) async fn a_source_id_is_free_again_when_its_channel_came_back(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    acme.create_inbox(inbox_as(407, "App")).await;
    acme.create_in(InboxId(407), "anna", blank()).await;
    acme.change(delete(InboxId(407), true)).await.unwrap();
    let refused = acme.change(create_in(InboxId(407), Some("anna"), blank())).await;
    assert_eq!(refused, Err(ChangeError::NotFound(Missing::Inbox)));
    acme.create_inbox(inbox_as(407, "App")).await;
    let again = acme.create_in(InboxId(407), "anna", blank()).await;
    assert_eq!(again.contact.id, ContactId(2));
    assert_eq!(acme.read(ContactId(1)).await.contact_inboxes, []);
}

pub(crate) async fn a_channel_that_is_not_the_accounts_is_not_found(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    let theirs = globex.create_inbox(inbox_as(77, "Theirs")).await;
    globex.create_in(theirs.id, "anna", blank()).await;
    let before = (acme.state().await, globex.state().await);
    assert_eq!(store.inbox(acme.account, theirs.id).await.unwrap(), None);
    for change in [rename(theirs.id, "Ours"), delete(theirs.id, true), delete(InboxId(404), false)]
    {
        let refused = acme.change(change).await;
        assert_eq!(refused, Err(ChangeError::NotFound(Missing::Inbox)));
    }
    assert_eq!((acme.state().await, globex.state().await), before);
}

pub(crate) async fn channels_of_the_same_number_in_two_accounts_are_two(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    acme.create_linked("anna", blank()).await;
    globex.create_linked("anna", blank()).await;
    let before = globex.state().await;
    acme.change(rename(InboxId(1), "Ours")).await.unwrap();
    acme.change(delete(InboxId(1), true)).await.unwrap();
    assert_eq!(globex.state().await, before);
}
