//! The router's own list of routes, and a request to each.

use meishi_server::router;
use serde_json::{Value, json};

use crate::{
    answer::Answer,
    app::{CONTACTS, Client, INBOXES, KEYS},
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
    pub(crate) inbox: i64,
    pub(crate) key: i64,
}

impl Subjects {
    /// A contact, a channel and a key, made for the occasion.
    pub(crate) async fn make(administrator: &Client, name: &str) -> Self {
        let contact = administrator.contact(json!({ "name": name })).await;
        let inbox = administrator.post(INBOXES, json!({ "name": name })).await.ok();
        let key = administrator.post(KEYS, json!({ "name": name, "role": "agent" })).await.ok();
        let id = |answer: &Answer| answer.payload()["id"].as_i64().unwrap();
        Self { contact, inbox: id(&inbox), key: id(&key) }
    }

    /// A path with its parameter filled. One that nothing is known for stops the test, so that a
    /// new route has to be thought of here.
    pub(crate) fn fill(self, path: &str) -> String {
        let id = match path {
            _ if !path.contains('{') => return path.to_owned(),
            _ if path.starts_with(CONTACTS) => self.contact,
            _ if path.starts_with(INBOXES) => self.inbox,
            _ if path.starts_with(KEYS) => self.key,
            _ => panic!("what is the parameter of {path}?"),
        };
        let filled = path.replace("{id}", &id.to_string());
        assert!(!filled.contains('{'), "what are the parameters of {path}?");
        filled
    }
}

/// A body with which the route succeeds and changes something, on things that `Subjects::make`
/// made. A route that nothing is known of stops the test, so that it has to be thought of here.
pub(crate) fn body(method: &str, path: &str, inbox: i64) -> Value {
    match (method, path.strip_prefix("/api/v2/accounts").unwrap_or(path)) {
        ("GET" | "DELETE", _) => Value::Null,
        ("POST", "/contacts") => json!({ "inbox_id": inbox, "name": "Created" }),
        ("PATCH" | "PUT", "/contacts/{id}") | ("PATCH", "/inboxes/{id}" | "/keys/{id}") => {
            json!({ "name": "Changed" })
        }
        ("POST", "/contacts/{id}/labels") => json!({ "labels": ["changed"] }),
        ("POST", "/inboxes") => json!({ "name": "Created" }),
        ("POST", "/keys") => json!({ "name": "Created", "role": "read_only" }),
        ("POST", "/keys/{id}/rotate") => json!({ "overlap_seconds": 60 }),
        _ => panic!("what is the body of {method} {path}?"),
    }
}

/// Calls a route with such a body.
pub(crate) async fn request(client: &Client, method: &str, path: &str, body: &Value) -> Answer {
    let call = client.call(method, path);
    let call = if body.is_null() { call } else { call.json(body) };
    call.send().await
}
