//! `Context::idempotency`: a call that may be repeated.

use std::sync::Arc;

use meishi_contacts::{ContactId, Credential, KeyId, Role, UnixMillis};
use meishi_store::{
    Applied, Change, ChangeError, Context, Idempotency, Missing, Outcome, Store, StoreError,
};
use serde_json::json;

use super::{
    fields::{
        blank, create, create_in, delete, fresh_seed, inbox, key_of, named, set_labels, update,
        with_custom, with_email,
    },
    tenant::Tenant,
};

pub(crate) fn keyed(tenant: &Tenant, key: &str, fingerprint: u8) -> Context {
    let idempotency = Idempotency {
        api_key_id: tenant.key.id,
        route: "POST /contacts".to_owned(),
        key: key.to_owned(),
        fingerprint: [fingerprint; 32],
    };
    Context { idempotency: Some(idempotency), ..tenant.cx() }
}

pub(crate) async fn a_repeat_answers_the_same_and_writes_nothing(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let fields = with_custom(json!({"a": {"b": [1, null, 1.5, "ü"]}}));
    let changes = || {
        vec![
            create_in(acme.inbox.id, None, fields.clone()),
            update(ContactId(1), with_email("anna@example.com")),
            set_labels(ContactId(1), &["vip"]),
            Change::CreateInbox(inbox("App")),
            delete(ContactId(1)),
        ]
    };
    let first = acme.apply(keyed(&acme, "k", 1), changes(), true).await;
    assert!(!first.replayed);
    assert!(first.results.iter().all(Result::is_ok), "{first:?}");
    let before = acme.state().await;
    // Another time, request and randomness: what counts is the key.
    let later = Context { at: UnixMillis(1), ..keyed(&acme, "k", 1) };
    let again = acme.apply(later, changes(), true).await;
    assert_eq!(again, Applied { results: first.results, replayed: true });
    assert_eq!(acme.state().await, before);
}

pub(crate) async fn a_repeat_answers_what_was_then_although_it_changed_since(
    store: Arc<dyn Store>,
) {
    let acme = Tenant::new(&store, "Acme").await;
    let first = acme.apply(keyed(&acme, "k", 1), vec![create(named("Anna"))], true).await;
    acme.update(ContactId(1), named("Anne")).await;
    acme.delete(ContactId(1)).await;
    let again = acme.apply(keyed(&acme, "k", 1), vec![create(named("Anna"))], true).await;
    assert_eq!(again, Applied { results: first.results, replayed: true });
    assert_eq!(acme.counts().await, (0, 0));
}

pub(crate) async fn another_request_under_the_key_is_a_mismatch(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    acme.apply(keyed(&acme, "k", 1), vec![create(blank())], true).await;
    let before = acme.state().await;
    let refused = store.apply(keyed(&acme, "k", 2), vec![create(blank())], true).await;
    assert!(matches!(refused, Err(StoreError::IdempotencyMismatch)), "{refused:?}");
    assert_eq!(acme.state().await, before);
    assert!(acme.apply(keyed(&acme, "k", 1), vec![create(blank())], true).await.replayed);
}

pub(crate) async fn a_refusal_is_kept_too(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let anna = acme.create(with_email("anna@example.com")).await.contact.id;
    let changes = || {
        vec![
            create(with_email("anna@example.com")),
            delete(ContactId(404)),
            Change::DeleteInbox { id: meishi_contacts::InboxId(404), force: false },
            create(named("Bob")),
        ]
    };
    let first = acme.apply(keyed(&acme, "k", 1), changes(), false).await;
    assert!(first.results[..3].iter().all(Result::is_err));
    // What stood in the way is gone, and yet.
    acme.delete(anna).await;
    let before = acme.state().await;
    let again = acme.apply(keyed(&acme, "k", 1), changes(), false).await;
    assert_eq!(again, Applied { results: first.results, replayed: true });
    assert_eq!(acme.state().await, before);
}

pub(crate) async fn every_kind_of_refusal_reads_back_the_same(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create_linked("anna", blank()).await.contact.id;
    let cases: Vec<Vec<Change>> = vec![
        vec![Change::DeleteInbox { id: acme.inbox.id, force: false }],
        vec![create(blank()), delete(ContactId(404))],
        vec![update(id, named("Anna"))],
    ];
    for (number, changes) in (0..).zip(cases) {
        let cx = Context {
            precondition: Some(meishi_contacts::Version(9).into()),
            ..keyed(&acme, "k", number)
        };
        let cx = Context {
            idempotency: cx.idempotency.map(|i| Idempotency { key: format!("{number}"), ..i }),
            ..cx
        };
        let first = acme.apply(cx.clone(), changes.clone(), true).await;
        assert!(first.results.iter().all(Result::is_err), "{first:?}");
        let again = acme.apply(cx, changes, true).await;
        assert_eq!(again, Applied { results: first.results, replayed: true });
    }
}

pub(crate) async fn callers_routes_and_accounts_have_keys_of_their_own(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    let cx = keyed(&acme, "k", 1);
    let idempotency = cx.idempotency.clone().unwrap();
    acme.apply(cx.clone(), vec![create(blank())], true).await;
    for other in [
        Idempotency { api_key_id: KeyId(2), ..idempotency.clone() },
        Idempotency { route: "PATCH /contacts".to_owned(), ..idempotency.clone() },
        Idempotency { key: "K".to_owned(), ..idempotency },
    ] {
        // Even another request is no mismatch there.
        let other = Idempotency { fingerprint: [9; 32], ..other };
        let other = Context { idempotency: Some(other), ..cx.clone() };
        assert!(!acme.apply(other, vec![create(blank())], true).await.replayed);
    }
    assert_eq!(acme.counts().await, (4, 0));
    let theirs = globex.apply(keyed(&globex, "k", 2), vec![create(blank())], true).await;
    assert!(!theirs.replayed);
}

pub(crate) async fn a_call_that_does_not_get_through_leaves_its_key_free(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let mut taken = super::fields::some_key("taken");
    taken.api_key.clone_from(&acme.key.api_key);
    store.apply(keyed(&acme, "k", 1), vec![Change::CreateKey(taken)], true).await.unwrap_err();
    let applied = acme.apply(keyed(&acme, "k", 2), vec![create(blank())], true).await;
    assert!(!applied.replayed);
}

pub(crate) async fn a_repeated_key_creation_makes_no_second_key_and_tells_no_secret(
    store: Arc<dyn Store>,
) {
    let acme = Tenant::new(&store, "Acme").await;
    let create = || {
        let credential = Credential::from_seed(&fresh_seed());
        vec![Change::CreateKey(key_of(&credential, "CRM", Role::Agent))]
    };
    let first = acme.apply(keyed(&acme, "k", 1), create(), true).await;
    let again = acme.apply(keyed(&acme, "k", 1), create(), true).await;
    assert_eq!(again.results, first.results);
    let Ok(Outcome::KeyCreated(key)) = &again.results[0] else { panic!("{again:?}") };
    assert_eq!(store.keys(acme.account).await.unwrap(), [acme.key.clone(), key.clone()]);
}

pub(crate) async fn a_repeat_needs_no_version_and_no_contact_any_more(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(blank()).await.contact.id;
    let cx =
        Context { precondition: Some(meishi_contacts::Version(1).into()), ..keyed(&acme, "k", 1) };
    let first = acme.apply(cx.clone(), vec![delete(id)], true).await;
    let again = acme.apply(cx, vec![delete(id)], true).await;
    assert_eq!(again.results, first.results);
    assert_eq!(again.results, [Ok(Outcome::ContactDeleted)]);
    let other = acme.change(delete(id)).await;
    assert_eq!(other, Err(ChangeError::NotFound(Missing::Contact)));
}
