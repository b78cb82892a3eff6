//! `Idempotency-Key`: writes that may be repeated without being done twice.
//!
//! The store keeps what a keyed call came to in the call's own transaction, and answers a repeat
//! from it ([`meishi_store::Idempotency`]). Here is what HTTP adds: the header, what tells one
//! request from another, and the keys whose calls are under way. `auth.rs` reads the header for
//! every route that writes, `App::apply` does the rest: a new route has nothing to do but to hand
//! its body's digest to [`Caller::context`](crate::auth::Caller::context).

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    extract::MatchedPath,
    http::{
        HeaderMap, HeaderName, Method,
        header::{IF_MATCH, IF_NONE_MATCH},
        request::Parts,
    },
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use meishi_contacts::{AccountId, KeyId, limits::IDEMPOTENCY_KEY_CHARS};
use meishi_store::Idempotency;
use sha2::{Digest, Sha256};

use crate::ApiError;

/// The caller's key for a request.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// `true` on an answer that was given before.
pub const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// What every path begins with, and a kept outcome need not repeat.
const PREFIX: &str = "/api/v2/accounts";

/// A request that has a key.
#[derive(Debug, Clone)]
pub struct Keyed {
    /// Method and path template; short, since it is kept with every outcome.
    route: String,
    /// A digest of the key: the text may hold anything, and nothing needs it.
    key: String,
    /// A digest of method, path, query and conditions.
    head: [u8; 32],
}

impl Keyed {
    /// Reads the header of a request that writes; others have no use for it.
    pub(crate) fn read(parts: &Parts) -> Result<Option<Self>, ApiError> {
        let writes = [Method::POST, Method::PATCH, Method::PUT, Method::DELETE];
        if !writes.contains(&parts.method) {
            return Ok(None);
        }
        let Some(key) = key(&parts.headers)? else { return Ok(None) };
        let template = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
        let template = template.strip_prefix(PREFIX).unwrap_or(template);
        let mut head = Sha256::new();
        // An account id is taken out of the path by now: the key decides it.
        for part in [parts.method.as_str(), parts.uri.path()] {
            add(&mut head, part.as_bytes());
        }
        if let Some(query) = parts.uri.query() {
            add(&mut head, query.as_bytes());
        }
        for name in [IF_MATCH, IF_NONE_MATCH] {
            add(&mut head, name.as_str().as_bytes());
            for value in parts.headers.get_all(name) {
                add(&mut head, value.as_bytes());
            }
        }
        let route = format!("{} {template}", parts.method);
        let key = BASE64.encode(Sha256::digest(key));
        Ok(Some(Self { route, key, head: head.finalize().into() }))
    }

    /// What the store is told of the request.
    pub(crate) fn with(&self, api_key_id: KeyId, body: BodyDigest) -> Idempotency {
        let mut fingerprint = Sha256::new();
        add(&mut fingerprint, &self.head);
        add(&mut fingerprint, &body.0);
        Idempotency {
            api_key_id,
            route: self.route.clone(),
            key: self.key.clone(),
            fingerprint: fingerprint.finalize().into(),
        }
    }
}

/// A digest of a request's body, by which another body is noticed. That of a request without a key
/// is not worked out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BodyDigest([u8; 32]);

impl BodyDigest {
    /// The digest of a body that was sent under these headers; `media_type` is in the form that
    /// does not depend on how the header was written.
    pub(crate) fn of(headers: &HeaderMap, media_type: &str, body: &[u8]) -> Self {
        if !headers.contains_key(IDEMPOTENCY_KEY) {
            return Self::default();
        }
        let mut digest = Sha256::new();
        add(&mut digest, media_type.as_bytes());
        add(&mut digest, body);
        Self(digest.finalize().into())
    }
}

/// What a route says that reads no body.
#[derive(Debug, Clone, Copy)]
pub struct NoBody;

impl From<NoBody> for BodyDigest {
    fn from(_: NoBody) -> Self {
        Self::default()
    }
}

/// Adds a part with its length, so that no two lists of parts are one.
fn add(hash: &mut Sha256, part: &[u8]) {
    hash.update(part.len().to_be_bytes());
    hash.update(part);
}

/// The header's value: bare, or a string of structured fields (RFC 9651, 3.3.3).
fn key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(ApiError::MalformedRequest("There must be one Idempotency-Key".into()));
    }
    let unquoted = value.to_str().ok().and_then(unquote);
    let visible = |key: &String| key.bytes().all(|byte| byte.is_ascii_graphic());
    let key = unquoted.filter(|key| (1..=IDEMPOTENCY_KEY_CHARS).contains(&key.len()));
    key.filter(visible).map(Some).ok_or_else(|| {
        let text = format!(
            "Idempotency-Key must be 1 to {IDEMPOTENCY_KEY_CHARS} visible ASCII characters, \
             bare or in quotes"
        );
        ApiError::MalformedRequest(text)
    })
}

fn unquote(value: &str) -> Option<String> {
    let Some(quoted) = value.strip_prefix('"') else { return Some(value.to_owned()) };
    let mut characters = quoted.chars();
    let mut text = String::new();
    loop {
        match characters.next()? {
            '"' => return characters.as_str().is_empty().then_some(text),
            '\\' => text.push(characters.next().filter(|next| ['"', '\\'].contains(next))?),
            other => text.push(other),
        }
    }
}

/// The keys whose calls are under way in this server.
#[derive(Default)]
pub(crate) struct InFlight(Arc<Mutex<HashSet<Name>>>);

type Name = (AccountId, KeyId, String, String);

impl InFlight {
    /// Holds a key for as long as its call is under way; `None` while another call does.
    pub(crate) fn hold(&self, account: AccountId, key: &Idempotency) -> Option<Held> {
        let name = (account, key.api_key_id, key.route.clone(), key.key.clone());
        lock(&self.0).insert(name.clone()).then(|| Held { keys: Arc::clone(&self.0), name })
    }
}

/// A key that is held until this is dropped.
pub(crate) struct Held {
    keys: Arc<Mutex<HashSet<Name>>>,
    name: Name,
}

impl Drop for Held {
    fn drop(&mut self) {
        lock(&self.keys).remove(&self.name);
    }
}

fn lock(keys: &Mutex<HashSet<Name>>) -> MutexGuard<'_, HashSet<Name>> {
    keys.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, Request};

    use super::*;

    fn read(values: &[&[u8]]) -> Result<Option<String>, ()> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IDEMPOTENCY_KEY, HeaderValue::from_bytes(value).unwrap());
        }
        key(&headers).map_err(drop)
    }

    #[test]
    fn a_key_is_the_same_bare_and_in_quotes() {
        let is = |key: &str| Ok(Some(key.to_owned()));
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[b"k-1"]), is("k-1"));
        assert_eq!(read(&[br#""k-1""#]), is("k-1"));
        assert_eq!(read(&[br#""a\"b\\c""#]), is(r#"a"b\c"#));
        assert_eq!(read(&[br#"a"b\c"#]), is(r#"a"b\c"#));
        let long = "x".repeat(IDEMPOTENCY_KEY_CHARS);
        assert_eq!(read(&[long.as_bytes()]), is(&long));
        assert_eq!(read(&[format!("\"{long}\"").as_bytes()]), is(&long));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let long = "x".repeat(IDEMPOTENCY_KEY_CHARS + 1);
        for value in [
            &b""[..],
            b"\"\"",
            b"a b",
            b"\"a b\"",
            b"\"a",
            b"\"",
            b"\"a\"b",
            b"\"a\";p=1",
            br#""a\b""#,
            br#""a\"#,
            b"a\tb",
            "schlüssel".as_bytes(),
            b"\xff",
            long.as_bytes(),
        ] {
            assert_eq!(read(&[value]), Err(()), "{:?}", String::from_utf8_lossy(value));
        }
        assert_eq!(read(&[b"a", b"a"]), Err(()));
    }

    #[test]
    fn another_method_path_query_condition_type_or_body_is_another_request() {
        let print_if = |headers: &[(HeaderName, &str)],
                        method: &str,
                        uri: &str,
                        media_type: &str,
                        body: &str| {
            let mut request =
                Request::builder().method(method).uri(uri).header(IDEMPOTENCY_KEY, "k");
            for (name, value) in headers {
                request = request.header(name, *value);
            }
            let (parts, ()) = request.body(()).unwrap().into_parts();
            let body = BodyDigest::of(&parts.headers, media_type, body.as_bytes());
            let keyed = Keyed::read(&parts).unwrap().unwrap();
            keyed.with(KeyId(1), body).fingerprint
        };
        let print = |method: &str, uri: &str, media_type: &str, body: &str| {
            print_if(&[], method, uri, media_type, body)
        };
        let conditional =
            |headers: &[(HeaderName, &str)]| print_if(headers, "POST", "/a", "json", "{}");
        let all = [
            print("POST", "/a", "json", "{}"),
            print("PUT", "/a", "json", "{}"),
            print("POST", "/b", "json", "{}"),
            print("POST", "/a?", "json", "{}"),
            print("POST", "/a?b", "json", "{}"),
            print("POST", "/a", "form", "{}"),
            print("POST", "/a", "json", "{ }"),
            print("POST", "/a", "jso", "n{}"),
            conditional(&[(IF_MATCH, "\"1\"")]),
            conditional(&[(IF_MATCH, "\"2\"")]),
            conditional(&[(IF_MATCH, "\"1\""), (IF_MATCH, "\"2\"")]),
            conditional(&[(IF_NONE_MATCH, "\"1\"")]),
            conditional(&[(IF_NONE_MATCH, "*")]),
        ];
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
        assert_eq!(all[0], print("POST", "/a", "json", "{}"));
    }

    #[test]
    fn a_key_is_held_by_one_call_at_a_time() {
        let in_flight = InFlight::default();
        let key = Idempotency {
            api_key_id: KeyId(1),
            route: "POST /contacts".into(),
            key: "k".into(),
            fingerprint: [0; 32],
        };
        let held = in_flight.hold(AccountId(1), &key).unwrap();
        assert!(in_flight.hold(AccountId(1), &key).is_none());
        let other = Idempotency { fingerprint: [1; 32], ..key.clone() };
        assert!(in_flight.hold(AccountId(1), &other).is_none(), "whatever is asked under it");
        for other in [
            Idempotency { api_key_id: KeyId(2), ..key.clone() },
            Idempotency { route: "PUT /contacts".into(), ..key.clone() },
            Idempotency { key: "K".into(), ..key.clone() },
        ] {
            assert!(in_flight.hold(AccountId(1), &other).is_some());
        }
        assert!(in_flight.hold(AccountId(2), &key).is_some());
        drop(held);
        assert!(in_flight.hold(AccountId(1), &key).is_some());
    }
}
