//! Many callers at once.

use std::{collections::BTreeSet, future::Future, sync::Arc};

use futures::TryStreamExt;
use meishi_contacts::{Contact, ContactId, EventBody, Fault, IdentityKind, Version};
use meishi_store::{Change, ChangeError, Context, Idempotency, NewAccount, Outcome, Store};
use serde_json::json;

use super::{
    fields::{
        blank, create, create_in, delete, inbox, named, set_labels, update, with_custom, with_email,
    },
    replay::Replay,
    tenant::{Tenant, new_account},
};

/// Runs `call` for each number at once, on all threads, and answers in the order of the numbers.
async fn at_once<T, F>(callers: usize, call: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<_> = (0..callers).map(|number| tokio::spawn(call(number))).collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

pub(crate) async fn patches_of_different_attributes_lose_none(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(blank()).await.contact.id;
    let versions = at_once(200, |number| {
        let acme = acme.clone();
        async move {
            let patch = with_custom(json!({ format!("key {number}"): number }));
            acme.update(id, patch).await.contact.version.0
        }
    })
    .await;
    let contact = acme.read(id).await.contact;
    let attributes = contact.custom_attributes.to_map();
    assert_eq!(attributes.len(), 200);
    assert!((0..200).all(|number| attributes[&format!("key {number}")] == json!(number)));
    assert_eq!(contact.version, Version(201));
    // Each saw a version of its own.
    assert_eq!(versions.into_iter().collect::<BTreeSet<_>>(), (2..=201).collect());
}

pub(crate) async fn of_creations_with_one_address_one_succeeds_and_the_others_learn_which(
    store: Arc<dyn Store>,
) {
    let acme = Tenant::new(&store, "Acme").await;
    let results = at_once(50, |number| {
        let acme = acme.clone();
        async move {
            let source = format!("source {number}");
            let fields = with_email("anna@example.com");
            acme.change(create_in(acme.inbox.id, Some(&source), fields)).await
        }
    })
    .await;
    let (made, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 1);
    let holder = acme.owner(IdentityKind::Email, "anna@example.com").await.unwrap();
    let taken = Err(ChangeError::Faults(vec![Fault::taken("email", holder)]));
    assert_eq!(refused, vec![taken; 49]);
    assert_eq!((holder, acme.counts().await), (ContactId(1), (1, 1)));
}

pub(crate) async fn of_first_accounts_exactly_one_is_made(store: Arc<dyn Store>) {
    let made = at_once(16, |number| {
        let store = Arc::clone(&store);
        async move {
            let new = new_account(&format!("account {number}")).0;
            store.create_account(NewAccount { only_first: true, ..new }).await.unwrap()
        }
    })
    .await;
    let made: Vec<_> = made.into_iter().flatten().map(|created| created.account).collect();
    assert_eq!(made.len(), 1);
    assert_eq!(store.accounts().await.unwrap(), made);
}

pub(crate) async fn of_repeats_of_one_call_one_does_the_work(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let idempotency = Idempotency {
        api_key_id: acme.key.id,
        route: "POST /contacts".to_owned(),
        key: "k".to_owned(),
        fingerprint: [1; 32],
    };
    let applied = at_once(30, |_| {
        let acme = acme.clone();
        let cx = Context { idempotency: Some(idempotency.clone()), ..acme.cx() };
        async move {
            let changes = vec![create(named("Anna")), create(named("Bob"))];
            acme.apply(cx, changes, true).await
        }
    })
    .await;
    assert_eq!(applied.iter().filter(|applied| !applied.replayed).count(), 1);
    assert!(applied.iter().all(|one| one.results == applied[0].results));
    assert_eq!(acme.counts().await, (2, 0));
}

pub(crate) async fn of_changes_of_one_version_one_succeeds(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(blank()).await.contact.id;
    let results = at_once(30, |number| {
        let acme = acme.clone();
        let cx = Context { precondition: Some(Version::FIRST.into()), ..acme.cx() };
        async move { acme.change_as(cx, update(id, named(&format!("name {number}")))).await }
    })
    .await;
    let stale = Err(ChangeError::Stale { id, current: Version(2) });
    assert_eq!(results.iter().filter(|result| **result == stale).count(), 29);
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
}

pub(crate) async fn a_label_that_many_assign_first_is_made_once(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    acme.apply(acme.cx(), vec![create(blank()); 20], true).await;
    at_once(20, |number| {
        let acme = acme.clone();
        let id = ContactId(i64::try_from(number).unwrap() + 1);
        async move { acme.set_labels(id, &["vip", "beta"]).await }
    })
    .await;
    let events = acme.events().await;
    let made = events.iter().filter(|event| matches!(event.body, EventBody::LabelCreated(_)));
    assert_eq!(made.count(), 2);
}

pub(crate) async fn of_channels_with_one_chosen_id_one_is_made(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let results = at_once(20, |_| {
        let acme = acme.clone();
        async move { acme.change(Change::CreateInbox(super::fields::inbox_as(407, "App"))).await }
    })
    .await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert_eq!(acme.create_inbox(inbox("Next")).await.id.0, 408);
}

pub(crate) async fn a_contact_is_deleted_once(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create_linked("anna", with_email("anna@example.com")).await.contact.id;
    let results = at_once(30, |number| {
        let acme = acme.clone();
        async move {
            let change = match number % 3 {
                0 => delete(id),
                1 => update(id, named(&format!("name {number}"))),
                _ => set_labels(id, &[&format!("label {number}")]),
            };
            acme.change(change).await
        }
    })
    .await;
    let deleted = results.iter().filter(|result| **result == Ok(Outcome::ContactDeleted));
    assert_eq!(deleted.count(), 1);
    assert_eq!((acme.find(id).await, acme.counts().await), (None, (0, 0)));
}

pub(crate) async fn accounts_that_write_at_once_do_not_mix(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    at_once(60, |number| {
        let tenant = if number % 2 == 0 { acme.clone() } else { globex.clone() };
        async move { tenant.create(with_email(&format!("{}@example.com", number / 2))).await }
    })
    .await;
    for tenant in [&acme, &globex] {
        assert_eq!(tenant.counts().await, (30, 30));
        let ids: Vec<_> = tenant.snapshot().await.iter().map(|contact| contact.id.0).collect();
        assert_eq!(ids, (1..=30).collect::<Vec<_>>());
        assert_eq!(tenant.events().await.len(), 33);
    }
}

pub(crate) async fn snapshots_among_writers_are_each_of_one_moment(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    acme.apply(acme.cx(), vec![create(blank()); 50], true).await;
    let writers = tokio::spawn({
        let acme = acme.clone();
        async move {
            at_once(8, |writer| {
                let acme = acme.clone();
                async move {
                    for step in 0..12 {
                        let id =
                            ContactId(i64::try_from((writer * 7 + step * 5) % 50).unwrap() + 1);
                        let label = format!("label {}", step % 4);
                        let changes = vec![
                            update(id, with_custom(json!({ "step": step, "writer": writer }))),
                            set_labels(id, &[&label]),
                            create(named(&label)),
                            delete(ContactId(id.0 + 3)),
                        ];
                        acme.apply(acme.cx(), changes, false).await;
                    }
                }
            })
            .await;
        }
    });
    let mut seen: Vec<(_, Vec<Contact>)> = Vec::new();
    while !writers.is_finished() {
        let snapshot = store.snapshot(acme.account).await.unwrap();
        seen.push((snapshot.seq, snapshot.contacts.try_concat().await.unwrap()));
    }
    writers.await.unwrap();
    let events = acme.events().await;
    for (seq, contacts) in seen {
        let up_to = events.partition_point(|event| event.seq <= seq);
        assert!(Replay::of(&events[..up_to]).contacts() == contacts, "at {seq}");
    }
}
