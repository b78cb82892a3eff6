//! Conditional requests (RFC 9110, 13): entity tags, `If-Match` and `If-None-Match`.
//!
//! A tag is `"<version>.<hash>"`: the contact's version, and a hash of the body that a GET gives.
//! The hash is what makes it a strong tag: channels' names are in the body and have no part in the
//! version, a representation may leave the channels out, and after a restore a version may come
//! again with other content. `If-Match` compares the version alone: a write asks whether the
//! contact changed, not how it was shown. A handler takes [`IfMatch`] or [`IfNoneMatch`], and shows
//! a contact as a [`Representation`].

use std::convert::Infallible;

use axum::{
    body::{Body, Bytes},
    extract::FromRequestParts,
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{ETAG, IF_MATCH, IF_NONE_MATCH},
        request::Parts,
    },
    response::{IntoResponse, Response},
};
use meishi_contacts::Version;
use meishi_store::Precondition;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{
    ApiError,
    answer::{self, CONTACT_BYTES},
};

/// What a GET of a contact answers: its body and its tag.
#[derive(Debug, Clone)]
pub struct Representation {
    /// The value of `ETag`.
    pub etag: HeaderValue,
    body: Vec<u8>,
}

impl Representation {
    /// Shows what has a version.
    pub(crate) fn new(version: Version, answer: &impl Serialize) -> Result<Self, ApiError> {
        let body = answer::write(CONTACT_BYTES, answer)?;
        let digest = Sha256::digest(&body);
        let hash = digest.iter().take(8).fold(0, |hash: u64, byte| hash << 8 | u64::from(*byte));
        let tag = format!("\"{}.{hash:016x}\"", version.0);
        let etag = HeaderValue::from_str(&tag).map_err(|error| {
            tracing::error!(%error, "an entity tag could not be written");
            ApiError::Internal
        })?;
        Ok(Self { etag, body })
    }

    /// The answer to a GET: 304 to a caller that has it already.
    pub(crate) fn unless(self, known: &IfNoneMatch) -> Response {
        if known.names(&self.etag) {
            // A body of no known length: a `Content-Length` of 0 would be said of the whole answer
            // (RFC 9110, 8.6).
            let nothing = Body::from_stream(futures::stream::empty::<Result<Bytes, Infallible>>());
            return (StatusCode::NOT_MODIFIED, [(ETAG, self.etag)], nothing).into_response();
        }
        self.into_response()
    }
}

impl IntoResponse for Representation {
    fn into_response(self) -> Response {
        let mut response = answer::of_json(self.body);
        response.headers_mut().insert(ETAG, self.etag);
        response
    }
}

/// What `If-Match` asks of a contact that is to be changed; nothing when absent, and nothing but
/// that it is there when it is `*`.
#[derive(Debug, Clone)]
pub struct IfMatch(pub Option<Precondition>);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        Ok(Self(match read(&parts.headers, &IF_MATCH)? {
            None | Some(Tags::Any) => None,
            Some(Tags::These(tags)) => {
                let versions = tags.iter().filter(|tag| !tag.is_weak);
                Some(Precondition(versions.filter_map(|tag| version(&tag.opaque)).collect()))
            }
        }))
    }
}

/// What a caller has already, by `If-None-Match`.
#[derive(Debug, Clone)]
pub struct IfNoneMatch(Option<Tags>);

impl<S: Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        Ok(Self(read(&parts.headers, &IF_NONE_MATCH)?))
    }
}

impl IfNoneMatch {
    /// Whether it is `*`: only if there is nothing yet.
    pub fn is_any(&self) -> bool {
        self.0 == Some(Tags::Any)
    }

    /// Whether the tag is among them, by the weak comparison.
    fn names(&self, etag: &HeaderValue) -> bool {
        match &self.0 {
            None => false,
            Some(Tags::Any) => true,
            Some(Tags::These(tags)) => {
                tags.iter().any(|tag| [b"\"", &tag.opaque[..], b"\""].concat() == etag.as_bytes())
            }
        }
    }
}

/// The value of one of the two headers.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Tags {
    Any,
    These(Vec<Tag>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Tag {
    is_weak: bool,
    /// What stands between the quotes.
    opaque: Vec<u8>,
}

/// The version that a tag of ours, or a version alone, names. Another's names none.
fn version(opaque: &[u8]) -> Option<Version> {
    let digits = opaque.split(|byte| *byte == b'.').next()?;
    let version = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (i64::to_string(&version).as_bytes() == digits).then_some(Version(version))
}

/// Reads a list of tags. Several headers of a name are one list.
fn read(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Tags>, ApiError> {
    let values: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    if values.is_empty() {
        return Ok(None);
    }
    parse(&values.join(&b','))
        .map(Some)
        .ok_or_else(|| malformed(if *name == IF_MATCH { "If-Match" } else { "If-None-Match" }))
}

fn malformed(name: &str) -> ApiError {
    ApiError::MalformedRequest(format!("{name} must be * or a list of entity tags in quotes"))
}

fn parse(list: &[u8]) -> Option<Tags> {
    if list.trim_ascii() == b"*" {
        return Some(Tags::Any);
    }
    let mut tags = Vec::new();
    let mut rest = list.trim_ascii_start();
    while !rest.is_empty() {
        // Empty entries are to be ignored (RFC 9110, 5.6.1.2).
        if let Some(after) = rest.strip_prefix(b",") {
            rest = after.trim_ascii_start();
            continue;
        }
        let (is_weak, quoted) = match rest.strip_prefix(b"W/") {
            Some(quoted) => (true, quoted),
            None => (false, rest),
        };
        let inside = quoted.strip_prefix(b"\"")?;
        let length = inside.iter().position(|byte| *byte == b'"')?;
        let (opaque, after) = inside.split_at_checked(length)?;
        if opaque.iter().any(|byte| matches!(byte, 0..=b' ' | 0x7f)) {
            return None;
        }
        tags.push(Tag { is_weak, opaque: opaque.to_vec() });
        rest = after.strip_prefix(b"\"")?.trim_ascii_start();
        if !rest.is_empty() && !rest.starts_with(b",") {
            return None;
        }
    }
    (!tags.is_empty()).then_some(Tags::These(tags))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(list: &[(bool, &str)]) -> Tags {
        let tag = |(is_weak, opaque): &(bool, &str)| Tag {
            is_weak: *is_weak,
            opaque: opaque.as_bytes().to_vec(),
        };
        Tags::These(list.iter().map(tag).collect())
    }

    #[test]
    fn lists_of_tags_are_read_as_rfc_9110_writes_them() {
        assert_eq!(parse(b"*"), Some(Tags::Any));
        assert_eq!(parse(b" * "), Some(Tags::Any));
        assert_eq!(parse(b"\"1.ab\""), Some(tags(&[(false, "1.ab")])));
        assert_eq!(parse(b"W/\"1.ab\""), Some(tags(&[(true, "1.ab")])));
        let list = b"\"a,b\" , W/\"c\",\t\"\",, \"d\",";
        let read = tags(&[(false, "a,b"), (true, "c"), (false, ""), (false, "d")]);
        assert_eq!(parse(list), Some(read));
        assert_eq!(parse("\"ü\"".as_bytes()), Some(tags(&[(false, "ü")])));
    }

    #[test]
    fn what_is_no_list_of_tags_is_refused() {
        for list in [
            "",
            " ",
            ",",
            "1",
            "1.ab",
            "\"a",
            "a\"",
            "\"a\"b",
            "\"a\" \"b\"",
            "w/\"a\"",
            "W / \"a\"",
            "W/",
            "*, \"a\"",
            "\"a\", *",
            "**",
            "\"a b\"",
            "\"a\\\"b\"",
            "'a'",
        ] {
            assert_eq!(parse(list.as_bytes()), None, "{list:?}");
        }
    }

    #[test]
    fn a_tag_tells_versions_and_contents_apart() {
        let tag = |version, answer: &str| {
            Representation::new(Version(version), &answer)
                .unwrap()
                .etag
                .to_str()
                .unwrap()
                .to_owned()
        };
        assert_eq!(tag(7, "Anna"), tag(7, "Anna"));
        assert_ne!(tag(7, "Anna"), tag(7, "Anne"), "as after a restore");
        assert_eq!(tag(7, "Anna").replace("\"7.", "\"8."), tag(8, "Anna"));
    }

    #[test]
    fn a_tags_version_is_what_stands_before_its_dot() {
        for (opaque, expected) in [
            ("12.0011223344556677", Some(12)),
            ("12", Some(12)),
            ("12.", Some(12)),
            ("012", None),
            ("+12", None),
            (" 12", None),
            ("", None),
            (".12", None),
            ("v12.ab", None),
            ("9223372036854775808", None),
        ] {
            assert_eq!(version(opaque.as_bytes()), expected.map(Version), "{opaque:?}");
        }
    }
}
