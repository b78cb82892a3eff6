//! `drop_events` and `purge`: what goes with time.

use std::sync::Arc;

use meishi_contacts::{ContactId, Seq, UnixMillis, WebhookPatch, WebhookState, limits};
use meishi_store::{Change, Context, DeliveryState, Outcome, Retained, Settlement, Store};

use super::{
    deliveries::{Told, after},
    fields::{NOON, blank, create, delete, named, update, webhook},
    idempotency::keyed,
    tenant::Tenant,
};

async fn drop_before(tenant: &Tenant, before: UnixMillis) -> i64 {
    loop {
        let retained = tenant.store.drop_events(tenant.account, before).await.unwrap();
        let counts = tenant.store.counts(tenant.account).await.unwrap().unwrap();
        assert_eq!(counts.dropped_seq, retained.dropped_seq);
        if !retained.more {
            return retained.dropped_seq.0;
        }
    }
}

pub(crate) async fn the_oldest_events_go_and_the_rest_has_no_gap(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    let id = acme.create(blank()).await.contact.id; // 4
    let at = |millis| Context { at: after(millis), ..acme.cx() };
    acme.change_as(at(10), update(id, named("1"))).await.unwrap(); // 5
    acme.change_as(at(5), update(id, named("2"))).await.unwrap(); // 6, by a clock that is behind
    acme.change_as(at(20), update(id, named("3"))).await.unwrap(); // 7
    assert_eq!(drop_before(&acme, NOON).await, 0, "they are as old, not older");
    assert_eq!(drop_before(&acme, after(1)).await, 4);
    // An older one behind a younger one stays, so that there is no gap.
    assert_eq!(drop_before(&acme, after(10)).await, 4);
    assert_eq!(drop_before(&acme, after(11)).await, 6);
    assert_eq!(drop_before(&acme, after(5)).await, 6, "nothing comes back");
    assert_eq!(drop_before(&acme, after(1000)).await, 6, "the last one stays");
    let seqs: Vec<_> = acme.events_after(Seq(6)).await.iter().map(|event| event.seq.0).collect();
    assert_eq!(seqs, [7]);
    let events = store.events(acme.account, Seq(0), 9).await.unwrap();
    assert_eq!(events.len(), 1);
    acme.update(id, named("4")).await;
    assert_eq!(acme.last_seq().await, Seq(8));
    let theirs = store.counts(globex.account).await.unwrap().unwrap();
    assert_eq!((theirs.dropped_seq, globex.events().await.len()), (Seq(0), 3));
    let unknown = store.drop_events(meishi_contacts::AccountId(404), after(1)).await.unwrap();
    assert_eq!(unknown, Retained { dropped_seq: Seq(0), more: false });
}

pub(crate) async fn many_events_go_some_thousands_at_a_time(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(blank()).await.contact.id;
    for round in 0..6 {
        let change = |number: usize| update(id, named(&format!("{round} {number}")));
        acme.apply(acme.cx(), (0..limits::BATCH_CHANGES).map(change).collect(), true).await;
    }
    let first = store.drop_events(acme.account, after(1)).await.unwrap();
    assert_eq!(first, Retained { dropped_seq: Seq(limits::PURGED_ROWS), more: true });
    assert_eq!(drop_before(&acme, after(1)).await, acme.last_seq().await.0 - 1);
}

pub(crate) async fn no_event_goes_that_a_webhook_has_yet_to_look_at(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let told = Told::new(&acme).await; // 4
    let later = acme.create_webhook(webhook("https://example.com/later")).await; // 5
    acme.create(named("Anna")).await; // 6
    acme.create(named("Bob")).await; // 7
    assert_eq!(drop_before(&acme, after(1)).await, 4);
    told.look(Seq(4)).await;
    told.settle(6, Settlement::Delivered).await;
    assert_eq!(drop_before(&acme, after(1)).await, 5, "the other one waits");
    // One that rests misses nothing either.
    let patch = WebhookPatch { state: Some(WebhookState::Paused), ..WebhookPatch::default() };
    acme.change(Change::UpdateWebhook { id: later.id, patch }).await.unwrap(); // 8
    assert_eq!(drop_before(&acme, after(1)).await, 5);
    acme.change(Change::DeleteWebhook { id: later.id }).await.unwrap(); // 9
    // Nor does what has yet to be told of, and with what was, its delivery goes.
    assert_eq!(drop_before(&acme, after(1)).await, 6);
    assert_eq!(told.list(None).await, [7]);
    told.settle(7, Settlement::GivenUp).await;
    assert_eq!(drop_before(&acme, after(1)).await, 7);
    assert_eq!(told.list(None).await, [0_i64; 0]);
}

pub(crate) async fn what_retention_took_is_not_known_any_more(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let gone = acme.create(named("Gone")).await.contact.id; // 4
    acme.delete(gone).await; // 5
    let anna = acme.create(named("Anna")).await.contact.id; // 6
    let at = Context { at: after(10), ..acme.cx() };
    acme.change_as(at, create(named("Bob"))).await.unwrap(); // 7
    assert_eq!(drop_before(&acme, after(1)).await, 6);
    let missing = Err(meishi_store::ChangeError::NotFound(meishi_store::Missing::Contact));
    assert_eq!(acme.change(super::fields::erase(gone)).await, missing);
    assert_eq!(acme.change(super::fields::revert(gone, Seq(5))).await, missing);
    let refused = acme.change(super::fields::revert(anna, Seq(6))).await;
    assert!(matches!(refused, Err(meishi_store::ChangeError::Faults(_))), "{refused:?}");
    // One that is there can be erased, although no event tells of it.
    let receipt = acme.erase(anna).await;
    assert_eq!((receipt.contact, receipt.events, receipt.seq), (true, 0, Seq(8)));
    assert_eq!(acme.find(anna).await, None);
    assert_eq!(acme.counts().await, (1, 0));
    let history = acme.history_from(anna, None, 9).await.unwrap();
    assert_eq!((history.events.len(), history.dropped), (1, true));
    // An id that was dropped is not given again.
    assert_eq!(acme.create(blank()).await.contact.id, ContactId(4));
}

pub(crate) async fn a_key_can_be_used_anew_when_its_outcome_expired(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let day = i64::try_from(limits::IDEMPOTENCY_TTL.as_millis()).unwrap();
    let at = |millis, fingerprint| Context { at: after(millis), ..keyed(&acme, "k", fingerprint) };
    let new = || vec![create(blank())];
    assert!(!acme.apply(at(0, 1), new(), true).await.replayed);
    assert!(acme.apply(at(day - 1, 1), new(), true).await.replayed);
    assert_eq!(store.purge(after(day - 1), after(0)).await.unwrap(), 0);
    // Not purged yet, but expired: done anew, even as another request.
    assert!(!acme.apply(at(day, 2), new(), true).await.replayed);
    assert!(acme.apply(at(day, 2), new(), true).await.replayed);
    assert_eq!(store.purge(after(day), after(0)).await.unwrap(), 0, "the new outcome stays");
    assert!(acme.apply(at(day, 2), new(), true).await.replayed);
    assert_eq!(store.purge(after(2 * day), after(0)).await.unwrap(), 1);
    assert_eq!(store.purge(after(2 * day), after(0)).await.unwrap(), 0);
    assert!(!acme.apply(at(0, 3), new(), true).await.replayed);
    assert_eq!(acme.counts().await, (3, 0));
}

pub(crate) async fn settled_deliveries_go_when_they_are_old(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let told = Told::new(&acme).await;
    let mut ids = Vec::new();
    for name in ["Anna", "Bob", "Eve", "Max"] {
        ids.push(acme.create(named(name)).await.contact.id); // 5, 6, 7, 8
    }
    told.look(Seq(4)).await;
    told.settle(5, Settlement::Delivered).await;
    told.settle(6, Settlement::GivenUp).await;
    told.settle(7, Settlement::Retry(after(5))).await;
    acme.erase(ids[3]).await;
    assert_eq!(store.purge(after(9), UnixMillis(NOON.0 - 1)).await.unwrap(), 0);
    assert_eq!(store.purge(after(9), NOON).await.unwrap(), 3);
    assert_eq!(told.list(None).await, [7]);
    assert_eq!(told.list(Some(DeliveryState::Pending)).await, [7]);
    assert_eq!(store.purge(after(9), after(9)).await.unwrap(), 0);
    let outcome = acme.change(delete(ids[0])).await;
    assert_eq!(outcome, Ok(Outcome::ContactDeleted));
}
