//! `close`.

use std::{collections::BTreeSet, sync::Arc};

use futures::future::join_all;
use meishi_contacts::{InboxId, Seq, WebhookId};
use meishi_store::{
    DeliveryQuery, Include, Lease, LeaseRoom, Settlement, Store, StoreError, WebhookHealth,
};

use super::{
    deliveries::attempt,
    fields::{NOON, blank, create},
    tenant::{Tenant, new_account},
};

fn is_unavailable<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Unavailable(_)))
}

pub(crate) async fn every_call_after_close_fails_as_unavailable(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let (account, id) = (acme.account, acme.create(blank()).await.contact.id);
    store.close().await;

    assert!(is_unavailable(&store.apply(acme.cx(), vec![create(blank())], true).await), "apply");
    assert!(is_unavailable(&store.create_account(new_account("B").0).await), "create_account");
    assert!(is_unavailable(&store.touch_key(account, acme.key.id, NOON).await), "touch_key");
    assert!(is_unavailable(&store.ready().await), "ready");
    assert!(is_unavailable(&store.key_by_name(&acme.key.api_key).await), "key_by_name");
    let hash = acme.credential.secret_hash();
    assert!(is_unavailable(&store.key_by_secret(&hash).await), "key_by_secret");
    assert!(is_unavailable(&store.accounts().await), "accounts");
    assert!(is_unavailable(&store.counts(account).await), "counts");
    assert!(is_unavailable(&store.news(account, Seq(0), 9).await), "news");
    assert!(is_unavailable(&store.contact(account, id, Include::Inboxes).await), "contact");
    assert!(is_unavailable(&store.contacts(account, &[id], Include::Nothing).await), "contacts");
    assert!(is_unavailable(&store.owners(account, &[]).await), "owners");
    assert!(is_unavailable(&store.inboxes(account).await), "inboxes");
    assert!(is_unavailable(&store.inbox(account, InboxId(1)).await), "inbox");
    assert!(is_unavailable(&store.keys(account).await), "keys");
    assert!(is_unavailable(&store.events(account, Seq(0), 10).await), "events");
    assert!(is_unavailable(&store.history(account, id, None, 9).await), "history");
    assert!(is_unavailable(&store.heads(&[account]).await), "heads");
    assert!(is_unavailable(&store.drop_events(account, NOON).await), "drop_events");
    assert!(is_unavailable(&store.purge(NOON, NOON).await), "purge");
    assert!(is_unavailable(&store.webhooks(account).await), "webhooks");
    let hook = WebhookId(1);
    assert!(is_unavailable(&store.webhook(account, hook).await), "webhook");
    let query = DeliveryQuery::default();
    assert!(is_unavailable(&store.deliveries(account, hook, query, 9).await), "deliveries");
    assert!(is_unavailable(&store.delivery(account, hook, Seq(1)).await), "delivery");
    assert!(is_unavailable(&store.due_deliveries(account, hook, NOON, 9).await), "due_deliveries");
    assert!(
        is_unavailable(&store.lease_webhooks("a", NOON, NOON, LeaseRoom::of_each(9)).await),
        "lease_webhooks"
    );
    let lease = Lease { account, webhook: hook, owner: "a".to_owned() };
    assert!(is_unavailable(&store.release_webhook(&lease).await), "release_webhook");
    let kept = store.enqueue_deliveries(&lease, Seq(1), Seq(2), Vec::new(), NOON).await;
    assert!(is_unavailable(&kept), "enqueue_deliveries");
    let (delivered, well) = (Settlement::Delivered, WebhookHealth::Well);
    let noted = store.settle_delivery(&lease, Seq(1), attempt(1), delivered, well, NOON).await;
    assert!(is_unavailable(&noted), "settle_delivery");
    assert!(is_unavailable(&store.snapshot(account).await), "snapshot");
    assert!(is_unavailable(&store.database().await), "database");
    assert!(is_unavailable(&store.examine(NOON).await), "examine");
}

pub(crate) async fn closing_twice_is_closing_once(store: Arc<dyn Store>) {
    futures::join!(store.close(), store.close());
    store.close().await;
    assert!(is_unavailable(&store.ready().await));
}

pub(crate) async fn what_was_asked_before_close_is_done(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let calls = (0..50).map(|_| acme.create(blank()));
    let (created, ()) = futures::join!(join_all(calls), store.close());
    let ids: BTreeSet<i64> = created.iter().map(|record| record.contact.id.0).collect();
    assert_eq!(ids, (1..=50).collect());
}
