//! What the first schema could hold.

use std::sync::Arc;

use meishi_store::{Context, Store};
use serde_json::json;

use super::{
    fields::{blank, create, delete, named, set_labels, update, with_custom, with_email},
    idempotency::keyed,
    tenant::Tenant,
};

/// The tables of the first schema, parents before children.
pub(crate) const FIRST_TABLES: [&str; 11] = [
    "databases",
    "accounts",
    "counters",
    "api_keys",
    "inboxes",
    "contacts",
    "identities",
    "contact_inboxes",
    "labels",
    "events",
    "idempotency_keys",
];

/// Fills a store with nothing but what there was then.
pub(crate) async fn fill(store: &Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(store).await;
    for tenant in [&acme, &globex] {
        let anna = tenant.create_linked("anna", with_email("anna@example.com")).await.contact.id;
        let bob = tenant.create(named("Bob")).await.contact.id;
        tenant.update(anna, named("Anna")).await;
        tenant.set_labels(bob, &["vip", "new"]).await;
        tenant.update(bob, named("Robert")).await;
        tenant.delete(bob).await;
        tenant.update(anna, with_custom(json!({"contact": {"id": "none"}, "a": "\u{0}"}))).await;
        let gone = tenant.create_linked("gone", blank()).await.contact.id;
        tenant.delete(gone).await;
        tenant.set_labels(anna, &["vip"]).await;
        // Numbers of channels and keys that are contacts' too, without being of their histories.
        tenant.create_inbox(super::fields::inbox("Spare")).await;
        tenant.create_key(super::fields::some_key("Spare")).await;

        let both = vec![create(named("Eve")), update(anna, named("Ann")), update(anna, blank())];
        tenant.apply(keyed(tenant, "both", 1), both, true).await;
        let refused = vec![delete(gone), set_labels(gone, &[])];
        tenant.apply(keyed(tenant, "refused", 1), refused, false).await;
        let cx = Context { request_id: "last".to_owned(), ..keyed(tenant, "deleted", 1) };
        let last = meishi_contacts::ContactId(4);
        tenant.apply(cx, vec![delete(last)], true).await;
    }
}
