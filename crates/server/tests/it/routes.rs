//! The router's own list of routes, and a request to each.

use std::sync::atomic::{AtomicUsize, Ordering};

use meishi_contacts::{Seq, WebhookId};
use meishi_server::router;
use meishi_store::{Lease, LeaseRoom, NewDelivery};
use serde_json::{Value, json};

use crate::{
    answer::Answer,
    app::{ATTRIBUTES, CONTACTS, Client, INBOXES, KEYS, LABELS, WEBHOOKS},
};

/// Every route: method and path as the router knows them.
pub(crate) fn all() -> Vec<(String, String)> {
    let document = serde_json::to_value(router::document()).unwrap();
    let documented = document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().keys();
        methods.map(|method| (method.to_uppercase(), path.clone()))
    });
    let undocumented = router::UNDOCUMENTED.iter();
    let undocumented =
        undocumented.map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()));
    documented.chain(undocumented).collect()
}

/// Whether the route belongs to an account, and so needs a key.
pub(crate) fn has_account(path: &str) -> bool {
    path.starts_with("/api/v2/accounts/")
}

/// Things of an account that paths can name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subjects {
    pub(crate) contact: i64,
    pub(crate) label: i64,
    pub(crate) attribute: i64,
    pub(crate) inbox: i64,
    pub(crate) key: i64,
    pub(crate) webhook: i64,
    /// The event of a delivery of the webhook's.
    pub(crate) delivery: i64,
    /// An event of the contact that can be undone.
    pub(crate) event: i64,
}

impl Subjects {
    /// Numbers that nothing has.
    pub(crate) const NONE: Self = Self {
        contact: 999,
        label: 999,
        attribute: 999,
        inbox: 999,
        key: 999,
        webhook: 999,
        delivery: 999,
        event: 999,
    };

    /// A contact, a label, a definition, a channel, a key, and a webhook with a delivery, made for the occasion.
    pub(crate) async fn make(administrator: &Client, name: &str) -> Self {
        let webhook =
            json!({ "url": format!("https://example.com/{name}"), "events": ["contact.created"] });
        let webhook = administrator.post(WEBHOOKS, webhook).await.ok();
        let contact = administrator.contact(json!({ "name": name })).await;
        let title = format!("{}-{}", name.replace(|c: char| !c.is_alphanumeric(), "-"), next());
        let label = administrator.post(LABELS, json!({ "title": title })).await.ok();
        let attribute = json!({ "key": format!("key-{}", next()), "type": "text" });
        let attribute = administrator.post(ATTRIBUTES, attribute).await.ok();
        let inbox = administrator.post(INBOXES, json!({ "name": name })).await.ok();
        administrator.patch(crate::app::contact(contact), json!({ "blocked": true })).await.ok();
        let history = format!("{}/history", crate::app::contact(contact));
        let event = administrator.get(history).await.ok().payload()[0]["seq"].as_i64().unwrap();
        let key = administrator.post(KEYS, json!({ "name": name, "role": "agent" })).await.ok();
        let id = |answer: &Answer| answer.payload()["id"].as_i64().unwrap();
        let webhook = id(&webhook);
        let delivery = deliver(administrator, webhook, contact).await;
        Self {
            contact,
            label: id(&label),
            attribute: id(&attribute),
            inbox: id(&inbox),
            key: id(&key),
            webhook,
            delivery,
            event,
        }
    }

    /// A body with which the route succeeds and changes something.
    pub(crate) fn body(self, method: &str, path: &str, inbox: i64) -> Value {
        match (method, path) {
            ("POST", "/api/v2/accounts/contacts/{id}/revert") => json!({ "seq": self.event }),
            _ => body(method, path, inbox),
        }
    }

    /// A path with its parameter filled. One that nothing is known for stops the test, so that a
    /// new route has to be thought of here.
    pub(crate) fn fill(self, path: &str) -> String {
        let id = match path {
            _ if !path.contains('{') => return path.to_owned(),
            _ if path.starts_with(CONTACTS) => self.contact,
            _ if path.starts_with(LABELS) => self.label,
            _ if path.starts_with(ATTRIBUTES) => self.attribute,
            _ if path.starts_with(INBOXES) => self.inbox,
            _ if path.starts_with(KEYS) => self.key,
            _ if path.starts_with(WEBHOOKS) => self.webhook,
            _ => panic!("what is the parameter of {path}?"),
        };
        let filled = path.replace("{id}", &id.to_string());
        let filled = filled.replace("/deliveries/{seq}", &format!("/deliveries/{}", self.delivery));
        assert!(!filled.contains('{'), "what are the parameters of {path}?");
        filled
    }
}

/// Lets a webhook have a delivery that tells of the contact's creation, as its worker would, but
/// without any attempt. Answers its event.
async fn deliver(administrator: &Client, webhook: i64, contact: i64) -> i64 {
    let (app, account) = &administrator.tenant;
    let (store, now) = (&app.store, app.clock.now());
    // Whoever asks next may have it: the lease is over when it begins.
    let leased =
        store.lease_webhooks("subjects", now, now, LeaseRoom::of_each(1000)).await.unwrap();
    let leased = leased.into_iter().map(|leased| leased.stored);
    let stored = leased.filter(|stored| stored.account == *account);
    let stored = stored.into_iter().find(|stored| stored.webhook.id.0 == webhook).unwrap();
    let events = store.events(*account, stored.cursor, 1000).await.unwrap();
    let event = events.iter().find(|event| event.body.contact().is_some_and(|id| id.0 == contact));
    let event = event.unwrap();
    let new = NewDelivery {
        seq: event.seq,
        id: "3f0d7c62-9d35-4c6b-8c64-0a3b1f0c5d11".to_owned(),
        kind: event.body.kind().to_owned(),
        contact: event.body.contact().unwrap(),
        payload: json!({ "contact": event.body }).to_string(),
    };
    let lease =
        Lease { account: *account, webhook: WebhookId(webhook), owner: "subjects".to_owned() };
    let Seq(seq) = event.seq;
    let kept = store.enqueue_deliveries(&lease, stored.cursor, event.seq, vec![new], now).await;
    assert!(kept.unwrap());
    store.release_webhook(&lease).await.unwrap();
    seq
}

/// A body with which the route succeeds and changes something, on things that `Subjects::make`
/// made. A route that nothing is known of stops the test, so that it has to be thought of here.
fn body(method: &str, path: &str, inbox: i64) -> Value {
    match (method, path.strip_prefix("/api/v2/accounts").unwrap_or(path)) {
        ("GET" | "DELETE", _) | ("POST", "/contacts/{id}/erase") => Value::Null,
        ("POST", "/contacts") => json!({ "inbox_id": inbox, "name": "Created" }),
        ("PUT", "/contacts") => {
            // One that is not there yet, however often this is asked.
            let identifier = format!("upserted {}", next());
            json!({ "inbox_id": inbox, "identifier": identifier })
        }
        ("POST", "/contacts/batch") => {
            let contact = json!({ "inbox_id": inbox, "name": "Created" });
            json!({ "operations": [{ "op": "create", "contact": contact }] })
        }
        ("POST", "/contacts/lookup") => json!({ "keys": [{ "id": 1 }] }),
        ("POST", "/contacts/filter") => {
            let condition = json!({ "attribute_key": "name", "filter_operator": "is_present" });
            json!({ "payload": [condition] })
        }
        ("PATCH" | "PUT", "/contacts/{id}") | ("PATCH", "/inboxes/{id}" | "/keys/{id}") => {
            json!({ "name": "Changed" })
        }
        ("POST", "/contacts/{id}/labels") => json!({ "labels": ["changed"] }),
        ("POST", "/labels") => json!({ "title": format!("created-{}", next()) }),
        ("PATCH", "/labels/{id}" | "/attributes/{id}") => json!({ "description": "Changed" }),
        ("POST", "/attributes") => json!({ "key": format!("created-{}", next()), "type": "date" }),
        ("POST", "/inboxes") => json!({ "name": "Created" }),
        ("POST", "/keys") => json!({ "name": "Created", "role": "read_only" }),
        ("POST", "/keys/{id}/rotate" | "/webhooks/{id}/rotate") => json!({ "overlap_seconds": 60 }),
        ("POST", "/webhooks") => {
            json!({ "url": "https://example.com/created", "events": ["contact.created"] })
        }
        ("PATCH", "/webhooks/{id}") => json!({ "format": "chatwoot" }),
        ("POST", "/webhooks/{id}/redeliver") => json!({ "failed": true }),
        _ => panic!("what is the body of {method} {path}?"),
    }
}

/// A number that this has not answered before.
fn next() -> usize {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    MADE.fetch_add(1, Ordering::SeqCst)
}

/// Whether the route changes nothing, though it may have a body.
pub(crate) fn only_reads(method: &str, path: &str) -> bool {
    method == "GET" || path.ends_with("/lookup") || path.ends_with("/filter")
}

/// Whether a call of the route takes away what the next one would need.
pub(crate) fn uses_up(method: &str, path: &str) -> bool {
    method == "DELETE" || path.ends_with("/erase") || path.ends_with("/revert")
}

/// Calls a route with such a body.
pub(crate) async fn request(client: &Client, method: &str, path: &str, body: &Value) -> Answer {
    let call = client.call(method, path);
    let call = if body.is_null() { call } else { call.json(body) };
    call.send().await
}
