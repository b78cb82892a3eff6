//! Webhooks: how they are managed (`manage.rs`), what their endpoints are told (`told.rs`), what
//! happens when these fail (`failing.rs`), the log (`log.rs`), and who does the work (`work.rs`).

mod failing;
mod log;
mod manage;
mod told;
mod work;

use std::ops::Deref;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use meishi_contacts::{Actor, ContactId, Seq};
use meishi_server::{Settings, egress::EgressSettings, webhooks::Worker};
use meishi_store::{Change, Context, Outcome};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{
    answer::Answer,
    app::{Client, NOON, TestApp, WEBHOOKS, contact},
    endpoint::{Endpoint, Received},
};

/// Every event that there is to select.
const EVENTS: [&str; 5] =
    ["contact.created", "contact.updated", "contact.deleted", "contact.restored", "contact.erased"];

fn answer(status: u16) -> String {
    format!("HTTP/1.1 {status} Status\r\nContent-Length: 0\r\n\r\n")
}

/// A service whose webhooks may reach the tests' endpoints, its worker, and an administrator.
struct Scene {
    app: TestApp,
    worker: Worker,
    anna: Client,
}

/// A webhook, with the secret that was shown.
#[derive(Debug, Clone)]
struct Hook {
    id: i64,
    secret: String,
}

impl Deref for Scene {
    type Target = TestApp;

    fn deref(&self) -> &TestApp {
        &self.app
    }
}

impl Scene {
    async fn new() -> Self {
        let egress = EgressSettings { allow: vec!["127.0.0.1".parse().unwrap()] };
        let app = TestApp::start_with(Settings { egress, ..Settings::default() }).await;
        let anna = app.administrator().await;
        Self { worker: Worker::new(app.app.clone()), app, anna }
    }

    /// A webhook that is told of everything, but for what `fields` say.
    async fn hook(&self, endpoint: &Endpoint, fields: Value) -> Hook {
        let mut body = json!({ "url": endpoint.url("/hook"), "events": EVENTS });
        body.as_object_mut().unwrap().extend(fields.as_object().cloned().unwrap());
        let created = self.anna.post(WEBHOOKS, body).await.ok();
        Hook::of(&created)
    }

    /// Lets the worker do all that there is to do now.
    async fn work(&self) {
        for _ in 0..100 {
            if self.worker.step().await.unwrap() == 0 {
                return;
            }
        }
        panic!("the worker does not come to rest");
    }

    /// Changes a contact and lets the worker tell of it.
    async fn rename(&self, id: i64, name: &str) {
        self.anna.patch(contact(id), json!({ "name": name })).await.ok();
        self.work().await;
    }

    /// A change for which there is no route yet.
    async fn change(&self, change: Change) -> Outcome {
        let cx = Context {
            account: self.id,
            actor: Actor::System,
            at: self.app.app.clock.now(),
            request_id: "test".to_owned(),
            seed: self.app.app.rng.seed(),
            precondition: None,
            idempotency: None,
        };
        let applied = self.app.app.store.apply(cx, vec![change], false).await.unwrap();
        applied.results.into_iter().next().unwrap().unwrap()
    }

    async fn erase(&self, id: i64) {
        self.change(Change::EraseContact { id: ContactId(id) }).await;
    }

    /// What a webhook's account sees of it.
    async fn shown(&self, hook: &Hook) -> Value {
        self.anna.get(hook.path("")).await.ok().payload().clone()
    }

    /// The log of a webhook, the newest event first.
    async fn log(&self, hook: &Hook) -> Vec<Value> {
        let answer = self.anna.get(hook.path("/deliveries?limit=100")).await.ok();
        answer.payload().as_array().unwrap().clone()
    }

    /// The last event of the account.
    async fn last_seq(&self) -> Seq {
        Seq(self.events().await)
    }
}

impl Hook {
    fn of(answer: &Answer) -> Self {
        let payload = answer.payload();
        let (id, secret) = (payload["id"].as_i64().unwrap(), payload["secret"].as_str().unwrap());
        Self { id, secret: secret.to_owned() }
    }

    fn path(&self, rest: &str) -> String {
        format!("{WEBHOOKS}/{}{rest}", self.id)
    }
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    hmac.update(text.as_bytes());
    hmac.finalize().into_bytes().to_vec()
}

/// The signature of Standard Webhooks, as a receiver reckons it.
fn standard(secret: &str, received: &Received) -> String {
    let key = BASE64_STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let header = |name| received.header(name).unwrap();
    let (id, at) = (header("webhook-id"), header("webhook-timestamp"));
    let signed = hmac(&key, &format!("{id}.{at}.{}", received.body));
    format!("v1,{}", BASE64_STANDARD.encode(signed))
}

/// Holds a request to everything that a receiver may look at.
#[track_caller]
fn assert_signed(hook: &Hook, received: &Received, at: i64) {
    let header = |name| received.header(name).unwrap_or_else(|| panic!("{name} is missing"));
    assert_eq!(received.line, "POST /hook HTTP/1.1");
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("user-agent"), concat!("Meishi/", env!("CARGO_PKG_VERSION")));
    assert_eq!(header("webhook-timestamp"), at.to_string());
    assert_eq!(header("webhook-signature"), standard(&hook.secret, received));
    assert_eq!(header("x-chatwoot-timestamp"), header("webhook-timestamp"));
    assert_eq!(header("x-chatwoot-delivery"), header("webhook-id"));
    let signed = hmac(hook.secret.as_bytes(), &format!("{at}.{}", received.body));
    let hex = signed.iter().fold("sha256=".to_owned(), |hex, byte| format!("{hex}{byte:02x}"));
    assert_eq!(header("x-chatwoot-signature"), hex);
}

fn json_of(received: &Received) -> Value {
    serde_json::from_str(&received.body).unwrap()
}

/// What the requests tell: the event and the contact's name, of messages in our own form.
fn told(received: &[Received]) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let told = received.iter().map(json_of);
    told.map(|told| (text(&told["type"]), text(&told["data"]["contact"]["name"]))).collect()
}

fn names(received: &[Received]) -> Vec<String> {
    told(received).into_iter().map(|(_, name)| name).collect()
}

fn ids(received: &[Received]) -> Vec<&str> {
    received.iter().map(|received| received.header("webhook-id").unwrap()).collect()
}
