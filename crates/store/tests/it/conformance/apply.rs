//! `apply`: several changes in one call, all or each.

use std::sync::Arc;

use meishi_contacts::{
    ContactId, Credential, Fault, IdentityKind, InboxId, Role, Version,
    limits::{BATCH_CHANGES, OUTCOME_BYTES, WRITE_QUEUE_CHANGES},
};
use meishi_store::{
    Applied, Change,
    ChangeError::{self, Skipped},
    Missing, Outcome, Store, StoreError,
};
use serde_json::json;

use super::{
    fields::{
        blank, create, create_in, delete, fresh_seed, inbox, key_of, named, set_labels, some_key,
        update, with_custom, with_email,
    },
    idempotency::keyed,
    tenant::Tenant,
};

pub(crate) async fn changes_see_those_before_them(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let changes = vec![
        Change::CreateInbox(inbox("App")),
        create_in(InboxId(2), Some("anna"), with_email("anna@example.com")),
        create(with_email("anna@example.com")),
        update(ContactId(1), with_email("new@example.com")),
        create(with_email("anna@example.com")),
        delete(ContactId(1)),
        create_in(InboxId(2), Some("anna"), with_email("new@example.com")),
    ];
    let results = acme.apply(acme.cx(), changes, false).await.results;
    let taken = Fault::taken("email", ContactId(1));
    assert_eq!(results[2], Err(ChangeError::Faults(vec![taken])));
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 6);
    let ids: Vec<_> = acme.snapshot().await.iter().map(|contact| contact.id.0).collect();
    assert_eq!(ids, [2, 3]);
}

pub(crate) async fn one_failure_of_an_atomic_call_undoes_all_of_it(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let credential = Credential::from_seed(&fresh_seed());
    let anna = acme.create_linked("anna", with_email("anna@example.com")).await.contact.id;
    acme.set_labels(anna, &["vip"]).await;
    let good = vec![
        create_in(acme.inbox.id, Some("bob"), with_email("bob@example.com")),
        update(anna, with_email("new@example.com")),
        set_labels(anna, &["beta", "gamma"]),
        Change::CreateInbox(inbox("App")),
        Change::CreateKey(key_of(&credential, "key", Role::Agent)),
        Change::DeleteInbox { id: acme.inbox.id, force: true },
        Change::RevokeKey { id: acme.key.id },
        delete(anna),
    ];
    let before = acme.state().await;
    for position in [0, 4, good.len()] {
        let mut changes = good.clone();
        changes.insert(position, delete(ContactId(404)));
        let results = acme.apply(acme.cx(), changes, true).await.results;
        let mut expected = vec![Err(Skipped); good.len() + 1];
        expected[position] = Err(ChangeError::NotFound(Missing::Contact));
        assert_eq!(results, expected);
        assert_eq!(acme.state().await, before);
    }
    assert_eq!(acme.owner(IdentityKind::Email, "anna@example.com").await, Some(anna));
    assert_eq!(acme.owner(IdentityKind::Email, "bob@example.com").await, None);
    assert!(store.key_by_name(&credential.api_key).await.unwrap().is_none());
    assert!(store.key_by_name(&acme.key.api_key).await.unwrap().is_some());
    // The numbers that were undone are given to those who come next.
    assert_eq!(acme.create(blank()).await.contact.id, ContactId(2));
    assert_eq!(acme.create_inbox(inbox("App")).await.id, InboxId(2));
    let results = acme.apply(acme.cx(), good[1..].to_vec(), true).await.results;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

pub(crate) async fn of_several_failures_an_atomic_call_tells_the_first(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let changes = vec![create(blank()), delete(ContactId(7)), delete(ContactId(8))];
    let results = acme.apply(acme.cx(), changes, true).await.results;
    let missing = Err(ChangeError::NotFound(Missing::Contact));
    assert_eq!(results, [Err(Skipped), missing, Err(Skipped)]);
}

pub(crate) async fn without_atomic_the_others_stand(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let changes = vec![
        create(with_email("anna@example.com")),
        create(with_email("anna@example.com")),
        delete(ContactId(404)),
        create_in(InboxId(404), None, with_email("bob@example.com")),
        create(named("Eve")),
    ];
    let results = acme.apply(acme.cx(), changes, false).await.results;
    assert!(results[0].is_ok() && results[4].is_ok());
    let taken = Fault::taken("email", ContactId(1));
    assert_eq!(
        results[1..4],
        [
            Err(ChangeError::Faults(vec![taken])),
            Err(ChangeError::NotFound(Missing::Contact)),
            Err(ChangeError::NotFound(Missing::Inbox)),
        ]
    );
    let names: Vec<_> =
        acme.snapshot().await.into_iter().map(|contact| (contact.id.0, contact.name)).collect();
    assert_eq!(names, [(1, String::new()), (2, "Eve".to_owned())]);
    assert_eq!(acme.owner(IdentityKind::Email, "bob@example.com").await, None);
}

pub(crate) async fn more_changes_than_are_allowed_are_refused_whole(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let before = acme.state().await;
    for atomic in [true, false] {
        let changes = vec![create(blank()); BATCH_CHANGES + 1];
        let refused = store.apply(acme.cx(), changes, atomic).await;
        assert!(matches!(refused, Err(StoreError::TooManyChanges)), "{refused:?}");
    }
    assert_eq!(acme.state().await, before);
    let applied = acme.apply(acme.cx(), vec![create(blank()); BATCH_CHANGES], true).await;
    assert!(applied.results.iter().all(Result::is_ok));
    assert_eq!(acme.counts().await, (i64::try_from(BATCH_CHANGES).unwrap(), 0));
}

pub(crate) async fn a_call_whose_outcome_would_be_too_large_does_nothing(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let filler = "x".repeat(60_000);
    let id = acme.create(with_custom(json!({"filler": filler}))).await.contact.id;
    let changes = |count| (0..count).map(|n| update(id, named(&n.to_string()))).collect();
    let too_many = OUTCOME_BYTES / filler.len() + 1;
    for (cx, atomic) in [(acme.cx(), true), (keyed(&acme, "k", 1), false)] {
        let refused = store.apply(cx, changes(too_many), atomic);
        // What may share its commit goes on.
        let (refused, beside) = futures::join!(refused, acme.change(create(blank())));
        assert!(matches!(refused, Err(StoreError::OutcomeTooLarge)), "{refused:?}");
        beside.unwrap();
        assert_eq!(acme.read(id).await.contact.version, Version(1));
    }
    assert_eq!(acme.counts().await, (3, 0));
    // Its key is as good as new.
    let applied = acme.apply(keyed(&acme, "k", 1), changes(too_many / 2), false).await;
    assert!(!applied.replayed && applied.results.iter().all(Result::is_ok));
}

pub(crate) async fn a_refusal_names_no_contact_that_was_undone_with_it(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let anna = acme.create(with_email("anna@example.com")).await.contact.id;
    let bob = || create(with_email("bob@example.com"));
    let atomic = async |changes| acme.apply(acme.cx(), changes, true).await.results.pop().unwrap();
    let unknown = Fault { contact_id: None, ..Fault::taken("email", ContactId(2)) };
    assert_eq!(atomic(vec![bob(), bob()]).await, Err(ChangeError::Faults(vec![unknown])));
    let known = Fault::taken("email", anna);
    let taken = create(with_email("anna@example.com"));
    assert_eq!(atomic(vec![bob(), taken]).await, Err(ChangeError::Faults(vec![known])));
    // Where each stands on its own, the one before is there.
    let alone = acme.apply(acme.cx(), vec![bob(), bob()], false).await.results;
    assert_eq!(alone[1], Err(ChangeError::Faults(vec![Fault::taken("email", ContactId(2))])));
}

pub(crate) async fn the_queue_holds_so_many_changes_and_refuses_more(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    // They go round fast, as nothing is there to be deleted.
    let changes = vec![delete(ContactId(404)); BATCH_CHANGES];
    let most = WRITE_QUEUE_CHANGES / BATCH_CHANGES;
    let calls: Vec<_> = vec![changes; 4 * most];
    let calls = calls.into_iter().map(|changes| store.apply(acme.cx(), changes, false));
    let answers = futures::future::join_all(calls).await;
    let (done, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert!(done.len() >= most && !refused.is_empty(), "{} of {}", done.len(), 4 * most);
    assert!(refused.iter().all(|answer| matches!(answer, Err(StoreError::Busy))));
    // All of it is free again.
    let changes = vec![delete(ContactId(404)); BATCH_CHANGES];
    for _ in 0..=most {
        store.apply(acme.cx(), changes.clone(), false).await.unwrap();
    }
}

pub(crate) async fn a_call_without_changes_does_nothing(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let before = acme.state().await;
    for atomic in [true, false] {
        let applied = acme.apply(acme.cx(), Vec::new(), atomic).await;
        assert_eq!(applied, Applied { results: Vec::new(), replayed: false });
    }
    assert_eq!(acme.state().await, before);
}

pub(crate) async fn what_was_answered_is_what_is_read(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let changes = vec![
        create_in(acme.inbox.id, None, with_email("anna@example.com")),
        update(ContactId(1), named("Anna")),
        Change::CreateInbox(inbox("App")),
        Change::CreateKey(some_key("key")),
    ];
    let results = acme.apply(acme.cx(), changes, true).await.results;
    let expected = [
        Outcome::ContactUpdated(Box::new(acme.read(ContactId(1)).await)),
        Outcome::InboxCreated(store.inbox(acme.account, InboxId(2)).await.unwrap().unwrap()),
        Outcome::KeyCreated(store.keys(acme.account).await.unwrap().remove(1)),
    ];
    assert_eq!(results[1..], expected.map(Ok));
}
