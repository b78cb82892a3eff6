//! The handlers: `livedesk/` is the documented dialect, the files beside it are what is new.

pub mod attributes;
pub mod feed;
pub mod health;
pub mod inboxes;
pub mod keys;
pub mod labels;
pub mod livedesk;
pub mod webhooks;

use meishi_contacts::{Fault, FaultCode, Patch, UnixMillis, fields, limits::LAST_SECOND};
use meishi_store::{Applied, Change, Outcome, StoreError};
use serde_json::{Map, Value};

use crate::{ApiError, App, body::Fields, state::ChangeRequest};

/// Does one change.
pub(crate) async fn apply_one(
    app: &App,
    request: impl Into<ChangeRequest>,
    change: Change,
) -> Result<Outcome, ApiError> {
    let (outcome, _) = apply_or_replay(app, request, change).await?;
    Ok(outcome)
}

/// Does one change, and tells whether it had been done before under its idempotency key: for what
/// is shown only once.
pub(crate) async fn apply_or_replay(
    app: &App,
    request: impl Into<ChangeRequest>,
    change: Change,
) -> Result<(Outcome, bool), ApiError> {
    let Applied { results, replayed } = app.apply(request, vec![change], false).await?;
    match results.into_iter().next() {
        Some(Ok(outcome)) => Ok((outcome, replayed)),
        Some(Err(error)) => Err(error.into()),
        None => Err(StoreError::Internal("a change has no result".into()).into()),
    }
}

/// What is said in place of a secret that was shown before.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub struct ShownOnce {
    /// Why the secret is not there: the answer is a repeat (`Idempotency-Replayed`), and it was in
    /// the first one alone.
    #[schema(value_type = String, example = "shown once, in the first answer; rotate it for a new one")]
    secret: &'static str,
}

impl ShownOnce {
    /// Says so.
    pub(crate) const fn new() -> Self {
        Self { secret: "shown once, in the first answer; rotate it for a new one" }
    }
}

/// The store answered a change with another change's outcome: a defect.
pub(crate) fn unexpected(outcome: &Outcome) -> ApiError {
    // Its name alone: the rest may be a person's.
    let name: String =
        format!("{outcome:?}").chars().take_while(char::is_ascii_alphabetic).collect();
    StoreError::Internal(format!("an unexpected outcome: {name}")).into()
}

/// A time as what is new in v2 shows it: RFC 3339, UTC.
pub fn rfc3339(at: UnixMillis) -> String {
    jiff::Timestamp::from_millisecond(at.0).unwrap_or(jiff::Timestamp::MAX).to_string()
}

/// A time in RFC 3339 from 1970 to 9999.
pub fn parse_rfc3339(text: &str) -> Option<UnixMillis> {
    let at = text.parse::<jiff::Timestamp>().ok()?.as_millisecond();
    (0..=LAST_SECOND * 1000).contains(&at).then_some(UnixMillis(at))
}

/// A switch, which a form sends as a text; `null` says nothing.
pub(crate) fn boolean(body: &Fields, name: &str, faults: &mut Vec<Fault>) -> Option<bool> {
    match body.members.get(name)? {
        Value::Null => None,
        Value::Bool(switch) => Some(*switch),
        Value::String(text) if matches!(text.as_str(), "true" | "1") => Some(true),
        Value::String(text) if matches!(text.as_str(), "false" | "0") => Some(false),
        _ => {
            faults.push(Fault::invalid(name, "must be true or false"));
            None
        }
    }
}

/// The required or optional `name` of a channel or key.
pub(crate) fn name(
    members: &Map<String, Value>,
    required: bool,
    faults: &mut Vec<Fault>,
) -> Option<String> {
    match members.get("name") {
        None if !required => None,
        Some(Value::String(text)) if !text.trim().is_empty() => {
            fields::short_text("name", text).map_err(|fault| faults.push(fault)).ok()
        }
        None | Some(Value::Null | Value::String(_)) => {
            faults.push(Fault::new("name", FaultCode::Blank, "Name can't be blank"));
            None
        }
        Some(_) => {
            faults.push(Fault::invalid("name", "must be a string"));
            None
        }
    }
}

/// A text or `null`, where there is either.
pub(crate) fn text<T>(
    body: &Fields,
    name: &str,
    faults: &mut Vec<Fault>,
    parse: impl Fn(Option<&str>) -> Result<T, Fault>,
) -> Option<T> {
    let parsed = match body.members.get(name)? {
        Value::Null => parse(None),
        Value::String(text) => parse(Some(text)),
        _ => Err(Fault::invalid(name, "must be a string")),
    };
    parsed.map_err(|fault| faults.push(fault)).ok()
}

/// A text that `null` or a blank one empties.
pub(crate) fn cleared(
    body: &Fields,
    name: &str,
    faults: &mut Vec<Fault>,
    parse: impl Fn(&str) -> Result<String, Fault>,
) -> Patch<String> {
    let parsed = text(body, name, faults, |text| {
        text.filter(|text| !text.trim().is_empty()).map(&parse).transpose()
    });
    parsed.map_or(Patch::Keep, Patch::from_option)
}

/// One of some words; `null` says nothing. `problem` tells them.
pub(crate) fn named<T>(
    body: &Fields,
    name: &str,
    problem: &str,
    parse: impl FnOnce(&str) -> Option<T>,
    faults: &mut Vec<Fault>,
) -> Option<T> {
    let value = body.members.get(name).filter(|value| !value.is_null())?;
    let found = value.as_str().and_then(parse);
    if found.is_none() {
        faults.push(Fault::invalid(name, problem));
    }
    found
}
