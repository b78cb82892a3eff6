//! What a caller gets back.

use axum::{
    body::Bytes,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use http_body_util::BodyExt as _;
use serde_json::Value;

/// The content type of server-sent events.
pub(crate) const EVENT_STREAM: &str = "text/event-stream";

/// An answer: as it came, and its body as JSON where it is JSON.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) json: Value,
}

impl Answer {
    pub(crate) fn new(status: StatusCode, headers: HeaderMap, text: String) -> Self {
        let json = serde_json::from_str(&text).unwrap_or_default();
        Self { status: status.as_u16(), headers, text, json }
    }

    pub(crate) async fn read(response: Response) -> Self {
        let (head, mut body) = response.into_parts();
        // A stream has no end: what it says first is its answer.
        let is_stream = head.headers.get("content-type").is_some_and(|t| t == EVENT_STREAM);
        let body = if is_stream {
            let first = body.frame().await;
            first.map_or_else(Bytes::new, |frame| frame.unwrap().into_data().unwrap())
        } else {
            body.collect().await.unwrap().to_bytes()
        };
        Self::new(head.status, head.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    /// This answer, which must be a success.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{}", self.text);
        self
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// What the `payload` says.
    pub(crate) fn payload(&self) -> &Value {
        &self.json["payload"]
    }

    /// The names of the body's members, in order.
    pub(crate) fn members(&self) -> Vec<&str> {
        members(&self.json)
    }

    /// The error's code.
    pub(crate) fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or_default()
    }

    /// The fields that a 422 names.
    pub(crate) fn attributes(&self) -> Vec<&str> {
        texts(&self.json["attributes"])
    }

    /// What a 422 says to people.
    pub(crate) fn message(&self) -> &str {
        self.json["message"].as_str().unwrap_or_default()
    }

    /// Where the faults of a 422 are.
    pub(crate) fn pointers(&self) -> Vec<&str> {
        let faults = self.json["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        faults.iter().map(|fault| fault["pointer"].as_str().unwrap()).collect()
    }

    /// The names of a list's entries, in order.
    pub(crate) fn names(&self) -> Vec<&str> {
        let entries = self.payload().as_array().expect("a list");
        entries.iter().map(|entry| entry["name"].as_str().unwrap()).collect()
    }

    /// The numbers of a list's entries, in order.
    pub(crate) fn ids(&self) -> Vec<i64> {
        let entries = self.payload().as_array().expect("a list");
        entries.iter().map(|entry| entry["id"].as_i64().unwrap()).collect()
    }

    /// How many entries there are in all.
    pub(crate) fn count(&self) -> u64 {
        self.json["meta"]["count"].as_u64().expect("a count")
    }
}

/// The names of an object's members, in order.
pub(crate) fn members(value: &Value) -> Vec<&str> {
    value.as_object().map(|object| object.keys().map(String::as_str).collect()).unwrap_or_default()
}

/// The texts of a list.
pub(crate) fn texts(value: &Value) -> Vec<&str> {
    let entries = value.as_array().map(Vec::as_slice).unwrap_or_default();
    entries.iter().map(|entry| entry.as_str().unwrap()).collect()
}
