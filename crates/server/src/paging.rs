//! How a list is paged by cursor: the parameters `limit` and `cursor`, and the link to the next
//! page. What a cursor is made of stands in `cursor.rs`.

use std::num::IntErrorKind;

use axum::{
    extract::FromRequestParts,
    http::{HeaderName, HeaderValue, header, request::Parts},
};
use meishi_contacts::limits::{MAX_PAGE_SIZE, PAGE_SIZE, URI_BYTES};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::{ApiError, account_path, params::Params};

/// What a query may not hold as it is (RFC 3986, 3.4). `%` is no such thing: it begins an escape.
const STRAY: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A page that is asked for by cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByCursor {
    /// Rows on it at most.
    pub limit: usize,
    /// What it comes after; `None` for the first.
    pub cursor: Option<String>,
}

impl ByCursor {
    /// What the call asks for; `None` when it names neither `limit` nor `cursor`. An empty cursor
    /// is none. A page's number beside them is a 400.
    pub fn asked(params: &Params) -> Result<Option<Self>, ApiError> {
        let (limit, cursor) = (params.get("limit"), params.get("cursor"));
        if limit.is_none() && cursor.is_none() {
            return Ok(None);
        }
        if params.get("page").is_some() {
            let text = "`page` cannot be combined with `limit` or `cursor`: a list is paged either \
                        by number (`page`, `page_size`) or by cursor (`limit`, `cursor`)";
            return Err(ApiError::MalformedRequest(text.into()));
        }
        let limit = limit.map_or_else(|| page_size(params), size);
        let cursor = cursor.filter(|cursor| !cursor.is_empty()).map(str::to_owned);
        Ok(Some(Self { limit, cursor }))
    }
}

/// Rows on a page as `page_size` or `per_page` has it.
pub fn page_size(params: &Params) -> usize {
    let text = params.get("page_size").or_else(|| params.get("per_page"));
    text.map_or(PAGE_SIZE, size)
}

fn size(text: &str) -> usize {
    match text.parse::<i64>() {
        Ok(size) => usize::try_from(size).unwrap_or(1).clamp(1, MAX_PAGE_SIZE),
        // A number too large or too small to count to is clamped like any other.
        Err(error) => match error.kind() {
            IntErrorKind::PosOverflow => MAX_PAGE_SIZE,
            IntErrorKind::NegOverflow => 1,
            _ => PAGE_SIZE,
        },
    }
}

/// Path and query of a request, up to where a cursor is added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target(String);

impl<S: Sync> FromRequestParts<S> for Target {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::new(&account_path::asked(parts), parts.uri.query().unwrap_or_default()))
    }
}

impl Target {
    fn new(path: &str, query: &str) -> Self {
        let mut target = format!("{path}?");
        for pair in query.split('&').filter(|pair| !pair.is_empty() && !is_place(pair)) {
            target.extend(utf8_percent_encode(pair, STRAY));
            target.push('&');
        }
        target.push_str("cursor=");
        Self(target)
    }

    /// Fails where a cursor of so many characters would make path and query too long, so that a
    /// caller learns it at the first page and not at some later one.
    pub fn check_room(&self, cursor: usize) -> Result<(), ApiError> {
        if self.0.len() + cursor <= URI_BYTES {
            return Ok(());
        }
        let left = URI_BYTES.saturating_sub(cursor + "&cursor=".len());
        Err(ApiError::MalformedRequest(format!(
            "Path and query leave no room for a cursor of this order: percent-encoded, they must \
             not exceed {left} bytes without it"
        )))
    }

    /// The header that names the page after the cursor, relative to the server.
    pub fn next_link(&self, cursor: &str) -> Option<(HeaderName, HeaderValue)> {
        let link = HeaderValue::try_from(format!("<{}{cursor}>; rel=\"next\"", self.0));
        // Nothing but ASCII is left in it.
        Some((header::LINK, link.ok()?))
    }
}

/// Whether a pair of a query is the cursor, or what the feed takes in its place, however its name is
/// escaped.
fn is_place(pair: &str) -> bool {
    let name = form_urlencoded::parse(pair.as_bytes()).next();
    name.is_some_and(|(name, _)| name == "cursor" || name == "after")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("", "/c?cursor=")]
    #[case("cursor=x", "/c?cursor=")]
    #[case("after=5&limit=5", "/c?limit=5&cursor=")]
    #[case("limit=5&cursor=x&q=a", "/c?limit=5&q=a&cursor=")]
    #[case("c%75rsor=x&cursor&cursor=&cursors=1", "/c?cursors=1&cursor=")]
    #[case("q=a+b%20c&&labels[]=a,b", "/c?q=a+b%20c&labels%5B%5D=a,b&cursor=")]
    #[case("q=王|\"<>", "/c?q=%E7%8E%8B%7C%22%3C%3E&cursor=")]
    fn a_target_is_the_request_with_its_cursor_to_come(#[case] query: &str, #[case] target: &str) {
        assert_eq!(Target::new("/c", query).0, target);
    }

    #[test]
    fn room_is_what_path_and_query_leave() {
        let target = Target::new("/c", &format!("q={}", "x".repeat(1000)));
        let room = URI_BYTES - target.0.len();
        assert!(target.check_room(room).is_ok());
        let error = target.check_room(room + 1).unwrap_err();
        let left = "/c?q=".len() + 999;
        assert!(error.text().ends_with(&format!("exceed {left} bytes without it")), "{error:?}");
    }
}
