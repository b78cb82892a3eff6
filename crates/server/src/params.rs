//! The query of a URL, read strictly as text and leniently as values, and the ids in its path.

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use meishi_contacts::ids;

use crate::{ApiError, form};

/// The pairs of a query, in order.
#[derive(Debug, Clone, Default)]
pub struct Params(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        form::query_pairs(query)
            .map(Self)
            .map_err(|error| ApiError::MalformedRequest(format!("Malformed query: {error}")))
    }
}

impl Params {
    /// The last value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All values of a parameter, `name` and `name[]` alike.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(key, _)| key.strip_suffix("[]").unwrap_or(key) == name)
            .map(|(_, value)| value.as_str())
    }

    /// A switch that is on unless it is present as something else than `true` or `1`; an empty
    /// value counts as absent.
    pub fn is_on_by_default(&self, name: &str) -> bool {
        self.get(name).is_none_or(|value| matches!(value, "" | "true" | "1"))
    }

    /// Whether `include`, a list with commas, names the word.
    pub fn includes(&self, word: &str) -> bool {
        self.all("include").flat_map(|list| list.split(',')).any(|listed| listed.trim() == word)
    }

    /// A switch that is off unless it is present as `true` or `1`.
    pub fn is_on(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| matches!(value, "true" | "1"))
    }
}

/// The id in the path. Anything but a possible one names nothing.
#[derive(Debug, Clone, Copy)]
pub struct PathId<T>(pub T);

impl<S: Send + Sync, T: From<i64>> FromRequestParts<S> for PathId<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let id = path.ok().and_then(|path| ids::parse(&path.0)).ok_or(ApiError::NotFound)?;
        Ok(Self(id.into()))
    }
}

/// The two ids in the path, in its order.
#[derive(Debug, Clone, Copy)]
pub struct PathIds<T, U>(pub T, pub U);

impl<S: Send + Sync, T: From<i64>, U: From<i64>> FromRequestParts<S> for PathIds<T, U> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((first, second)) = path.map_err(|_| ApiError::NotFound)?;
        match (ids::parse(&first), ids::parse(&second)) {
            (Some(first), Some(second)) => Ok(Self(first.into(), second.into())),
            _ => Err(ApiError::NotFound),
        }
    }
}
