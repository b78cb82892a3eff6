//! A caller of the API, as any program is one: HTTP and an API key.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use ureq::{
    Agent, Body,
    http::{Request, Response, request},
};

use crate::running::PATIENCE;

/// An account's key with its secret, as the program printed them.
#[derive(Debug, Clone)]
pub(crate) struct Credential {
    pub(crate) account: i64,
    pub(crate) inbox: i64,
    pub(crate) key: String,
    pub(crate) secret: String,
}

impl Credential {
    /// Reads `{"account_id", "inbox_id", "api_key", "api_secret"}`: these members and no other.
    pub(crate) fn of(object: &Value) -> Self {
        let members: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["account_id", "inbox_id", "api_key", "api_secret"]);
        let text = |name: &str| object[name].as_str().unwrap().to_owned();
        Self {
            account: object["account_id"].as_i64().unwrap(),
            inbox: object["inbox_id"].as_i64().unwrap(),
            key: text("api_key"),
            secret: text("api_secret"),
        }
    }

    /// The same account under another key.
    pub(crate) fn with_key(&self, created: &Value) -> Self {
        let text = |name: &str| created[name].as_str().unwrap().to_owned();
        Self { key: text("api_key"), secret: text("api_secret"), ..self.clone() }
    }

    /// The value of the `Authorization` header.
    pub(crate) fn basic(&self) -> String {
        format!("Basic {}", BASE64_STANDARD.encode(format!("{}:{}", self.key, self.secret)))
    }
}

/// A caller with one key. Cheap to clone; clones share connections.
#[derive(Clone)]
pub(crate) struct Client {
    agent: Agent,
    base: String,
    authorization: String,
}

/// A status and a body; `null` where the body is empty.
pub(crate) type Answer = (u16, Value);

impl Client {
    pub(crate) fn new(base: &str, credential: &Credential) -> Self {
        Self { agent: agent(), base: base.to_owned(), authorization: credential.basic() }
    }

    /// The same caller on a new connection. A refusal that comes before the body of its request was
    /// read costs the connection, and the answer does not say so.
    pub(crate) fn afresh(&self) -> Self {
        Self { agent: agent(), ..self.clone() }
    }

    /// Calls, or tells why there was no whole answer. Nothing is tried twice.
    pub(crate) fn try_call(
        &self,
        method: &str,
        path: &str,
        request_id: &str,
        body: Option<&Value>,
    ) -> Result<Answer, ureq::Error> {
        let mut response = self.send(method, path, request_id, body)?;
        let status = response.status().as_u16();
        let text = response.body_mut().read_to_string()?;
        if text.is_empty() {
            return Ok((status, Value::Null));
        }
        let value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"));
        Ok((status, value))
    }

    /// Posts under an idempotency key, or tells why there was no whole answer: the status, whether
    /// the answer says that it was given before, and the body.
    pub(crate) fn try_keyed(
        &self,
        path: &str,
        key: &str,
        body: &Value,
    ) -> Result<(u16, bool, Value), ureq::Error> {
        let request = self.request("POST", path, "test").header("Idempotency-Key", key);
        let mut response = self.agent.run(request.body(body.to_string())?)?;
        let is_replay = response.headers().get("idempotency-replayed").is_some();
        let text = response.body_mut().read_to_string()?;
        let value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"));
        Ok((response.status().as_u16(), is_replay, value))
    }

    fn send(
        &self,
        method: &str,
        path: &str,
        request_id: &str,
        body: Option<&Value>,
    ) -> Result<Response<Body>, ureq::Error> {
        let request = self.request(method, path, request_id);
        self.agent.run(request.body(body.map(Value::to_string).unwrap_or_default())?)
    }

    fn request(&self, method: &str, path: &str, request_id: &str) -> request::Builder {
        Request::builder()
            .method(method)
            .uri(format!("{}/api/v2/accounts/{path}", self.base))
            .header("Authorization", &self.authorization)
            .header("Content-Type", "application/json")
            .header("X-Request-Id", request_id)
    }

    /// Calls in vain: the status, when to try again, and the code of the error.
    pub(crate) fn call_in_vain(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> (u16, Option<String>, String) {
        let mut response = self.send(method, path, "test", body).unwrap();
        let retry_after = response.headers().get("retry-after");
        let retry_after = retry_after.map(|value| value.to_str().unwrap().to_owned());
        let answer = response.body_mut().read_to_string().unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let code = answer["code"].as_str().unwrap_or_default().to_owned();
        (response.status().as_u16(), retry_after, code)
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.try_call(method, path, "test", body).unwrap_or_else(|e| panic!("{method} {path}: {e}"))
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path, Some(body))
    }

    /// The status of the cheapest call that asks for a key.
    pub(crate) fn status(&self) -> u16 {
        self.get("contacts?page_size=1").0
    }

    /// Creates a contact and answers its number.
    pub(crate) fn create(&self, inbox: i64, email: &str) -> i64 {
        let body = json!({ "inbox_id": inbox, "name": "Anna", "email": email });
        let (status, answer) = self.post("contacts", &body);
        assert_eq!(status, 200, "{answer}");
        answer["payload"]["contact"]["id"].as_i64().unwrap()
    }

    /// How many contacts the account has, and the e-mail addresses on the first page.
    pub(crate) fn list(&self, query: &str) -> (i64, Vec<String>) {
        let (status, answer) = self.get(&format!("contacts?page_size=100&{query}"));
        assert_eq!(status, 200, "{answer}");
        let email = |contact: &Value| contact["email"].as_str().unwrap_or_default().to_owned();
        let emails = answer["payload"].as_array().unwrap().iter().map(email).collect();
        (answer["meta"]["count"].as_i64().unwrap(), emails)
    }
}

/// Gets a page that asks for no key: its status and its text.
pub(crate) fn fetch(url: &str) -> (u16, String) {
    let mut response = agent().get(url).call().unwrap_or_else(|error| panic!("{url}: {error}"));
    (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
}

/// The status of the page for people, to a proxy that calls for that address.
pub(crate) fn status_for(base: &str, address: &str) -> u16 {
    let call = agent().get(base).header("X-Forwarded-For", address);
    call.call().unwrap_or_else(|error| panic!("{base}: {error}")).status().as_u16()
}

fn agent() -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .proxy(None)
        .timeout_global(Some(PATIENCE))
        .build();
    Agent::new_with_config(config)
}
