//! `events`: the spine.

use std::sync::Arc;

use meishi_contacts::{
    Actor, ContactId, Event, InboxPatch, KeyId, KeyPatch, Seq, UnixMillis, limits::READ_ROWS,
};
use meishi_store::{Change, Context, News, Store};
use serde_json::json;

use super::{
    fields::{
        blank, create, create_in, delete, inbox, named, set_labels, some_key, update, with_custom,
        with_email,
    },
    replay::Replay,
    tenant::Tenant,
};

fn seqs(events: &[Event]) -> Vec<i64> {
    events.iter().map(|event| event.seq.0).collect()
}

pub(crate) async fn an_event_says_who_when_and_by_which_request(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let before = acme.last_seq().await;
    for (actor, at, request_id) in [
        (Actor::Key(KeyId(407)), 5, "r-1"),
        (Actor::System, -3, "ü"),
        (Actor::Key(KeyId(1)), 0, ""),
    ] {
        let cx =
            Context { actor, at: UnixMillis(at), request_id: request_id.to_owned(), ..acme.cx() };
        let applied = acme.apply(cx, vec![create(blank()), create(blank())], true).await;
        assert!(applied.results.iter().all(Result::is_ok));
    }
    let told: Vec<_> = acme
        .events_after(before)
        .await
        .into_iter()
        .map(|event| (event.actor, event.at.0, event.request_id))
        .collect();
    let key = |id| Actor::Key(KeyId(id));
    let expected = [(key(407), 5, "r-1"), (Actor::System, -3, "ü"), (key(1), 0, "")];
    let twice = expected.into_iter().flat_map(|event| [event, event]);
    let twice: Vec<_> = twice.map(|(actor, at, id)| (actor, at, id.to_owned())).collect();
    assert_eq!(told, twice);
}

pub(crate) async fn events_are_numbered_densely_whatever_is_refused(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let anna = acme.create(with_email("anna@example.com")).await.contact.id;
    acme.change(create(with_email("anna@example.com"))).await.unwrap_err();
    acme.update(anna, with_email("anna@example.com")).await;
    acme.change(delete(ContactId(404))).await.unwrap_err();
    acme.set_labels(anna, &["a", "b"]).await;
    let batch =
        vec![delete(ContactId(404)), create(blank()), create(with_email("anna@example.com"))];
    acme.apply(acme.cx(), batch.clone(), false).await;
    acme.apply(acme.cx(), batch, true).await;
    acme.delete(anna).await;
    // 3 of the account, a creation, two labels made, one update, a creation, a deletion.
    assert_eq!(seqs(&acme.events().await), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(acme.last_seq().await, Seq(9));
}

pub(crate) async fn events_come_in_the_order_of_the_changes(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let before = acme.last_seq().await;
    let changes = vec![
        create(named("Anna")),
        Change::CreateInbox(inbox("App")),
        set_labels(ContactId(1), &["vip"]),
        delete(ContactId(1)),
        Change::CreateKey(some_key("key")),
    ];
    acme.apply(acme.cx(), changes, true).await;
    let kinds: Vec<_> =
        acme.events_after(before).await.iter().map(|event| event.body.kind()).collect();
    assert_eq!(
        kinds,
        [
            "contact.created",
            "inbox.created",
            "label.created",
            "contact.updated",
            "contact.deleted",
            "key.created"
        ]
    );
}

pub(crate) async fn events_are_read_after_a_number_and_up_to_a_limit(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    for _ in 0..4 {
        acme.create(blank()).await;
    }
    let counts = store.counts(acme.account).await.unwrap().unwrap();
    let read = async |after, limit| {
        let events = store.events(acme.account, Seq(after), limit).await.unwrap();
        let news = store.news(acme.account, Seq(after), limit).await.unwrap().unwrap();
        assert_eq!(news, News { counts, events: events.clone() });
        seqs(&events)
    };
    assert_eq!(read(0, 100).await, [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(read(0, 2).await, [1, 2]);
    assert_eq!(read(2, 3).await, [3, 4, 5]);
    assert_eq!(read(6, usize::MAX).await, [7]);
    assert_eq!(read(7, 10).await, [0; 0]);
    assert_eq!(read(i64::MAX, 10).await, [0; 0]);
    assert_eq!(read(0, 0).await, [0; 0]);
    assert_eq!(read(-5, 1).await, [1]);
}

pub(crate) async fn one_read_returns_at_most_so_many_events(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let changes = (0..READ_ROWS).map(|_| create(blank())).collect();
    acme.apply(acme.cx(), changes, false).await;
    let events = store.events(acme.account, Seq(0), usize::MAX).await.unwrap();
    assert_eq!(events.len(), READ_ROWS);
    assert_eq!(acme.events().await.len(), READ_ROWS + 3);
}

pub(crate) async fn no_account_sees_anothers_events(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    let before = globex.events().await;
    for _ in 0..5 {
        acme.create(named("Anna")).await;
    }
    assert_eq!(globex.events().await, before);
    globex.create(named("Theirs")).await;
    assert_eq!(seqs(&globex.events().await), [1, 2, 3, 4]);
    assert_eq!(acme.events().await.len(), 8);
}

pub(crate) async fn from_the_events_alone_follows_exactly_what_the_tables_hold(
    store: Arc<dyn Store>,
) {
    let (acme, globex) = Tenant::two(&store).await;
    let app = acme.create_inbox(inbox("App")).await.id;
    let key = acme.create_key(some_key("key")).await.id;
    let changes = vec![
        create_in(app, None, with_email("anna@example.com")),
        create_in(acme.inbox.id, Some("bob"), with_custom(json!({"a": {"b": [1, null]}}))),
        create(named("Eve")),
        set_labels(ContactId(1), &["vip", "beta"]),
        update(ContactId(2), with_custom(json!({"a": null, "n": 1.0e-7}))),
        set_labels(ContactId(1), &["beta"]),
        update(ContactId(1), named("Anna")),
        Change::UpdateInbox { id: app, patch: InboxPatch { name: Some("Shop".to_owned()) } },
        Change::DeleteInbox { id: app, force: true },
        delete(ContactId(3)),
        Change::UpdateKey {
            id: key,
            patch: KeyPatch { name: Some("CRM".to_owned()), ..KeyPatch::default() },
        },
        Change::RevokeKey { id: key },
    ];
    let applied = acme.apply(acme.cx(), changes, true).await;
    assert!(applied.results.iter().all(Result::is_ok), "{applied:?}");
    globex.create(named("Theirs")).await;

    let replay = Replay::of(&acme.events().await);
    let records: Vec<_> = acme.contacts().await.into_iter().map(|record| record.contact).collect();
    assert_eq!(records.len(), 2);
    assert_eq!(records, acme.snapshot().await);
    assert_eq!(records, replay.contacts());
    // Links, channels, keys and counts are compared after every test.
}
