//! Errors of the API: one enum, one place that gives them status and body
//! (`livedesk-wire.md` 9.2).
//!
//! A handler returns an [`ApiError`]; `observe.rs` renders it, because only there the request's id
//! is known. To add one: a variant, its line in `status_and_code`, its sentence in `text`.

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use meishi_contacts::{
    ContactId, Fault, FaultCode, FieldChange, IdentityKind, Seq, Version, fault, json::Malformed,
};
use meishi_store::{ChangeError, StoreError};
use serde_json::{Map, Value, json};

use crate::{directory::QueryError, rate_limit::Limited};

/// Why a request was not done.
#[derive(Debug, Clone)]
pub enum ApiError {
    /// The body is not JSON.
    MalformedJson(Malformed),
    /// Query, header or encoding cannot be read; the text says what.
    MalformedRequest(String),
    /// No credential, or one that does not open anything.
    Unauthenticated,
    /// The key's role does not allow it.
    Forbidden,
    /// There is no such thing in the caller's account.
    NotFound,
    /// The path is known, the verb is not.
    MethodNotAllowed,
    /// The body's content type is not one that the route reads.
    UnsupportedMediaType {
        /// Those that it reads.
        accept: &'static str,
    },
    /// The body did not arrive in time.
    Timeout,
    /// The body is larger than it may be.
    BodyTooLarge {
        /// How many bytes it may have.
        limit: usize,
    },
    /// Path and query are longer than they may be.
    UriTooLong,
    /// The headers are larger than they may be.
    HeadersTooLarge,
    /// The channel still has contacts.
    HasContacts {
        /// How many.
        count: i64,
    },
    /// The addresses of an upsert lead to several contacts.
    AmbiguousMatch(Vec<(IdentityKind, ContactId)>),
    /// Later changes stand in the way of undoing an event.
    RevertConflict(Vec<FieldChange>),
    /// A call with the same idempotency key is under way.
    InFlight,
    /// The cursor cannot be gone on from any more; the text says where to start again.
    CursorExpired(String),
    /// The events after a place in the feed are not all known any more.
    FeedExpired {
        /// The event to go on after, once all contacts were read anew.
        resume_after: Seq,
    },
    /// What is asked for is no longer in the record; the text says why.
    Gone(String),
    /// Another operation of the same atomic batch failed.
    Skipped,
    /// The contact has another version than the caller expects.
    VersionMismatch {
        /// Which contact.
        contact: ContactId,
        /// The version that it has.
        current: Version,
    },
    /// Fields are wrong, missing or taken.
    Invalid(Vec<Fault>),
    /// The idempotency key was used for another request.
    IdempotencyMismatch,
    /// More at once than is allowed; the text says of what.
    LimitExceeded(String),
    /// The caller calls too often.
    RateLimited {
        /// Which limit it met.
        limited: Limited,
        /// Seconds until it has a call again.
        retry_after: u64,
    },
    /// The account has as many streams as it may.
    TooManyStreams,
    /// The account's contacts do not fit into the memory for indexes.
    NoIndexMemory,
    /// The queue is full.
    Busy,
    /// The database cannot be reached.
    Unavailable,
    /// It is open whether the commit took place.
    CommitInDoubt,
    /// A defect; the log has the cause.
    Internal,
}

impl ApiError {
    fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::MalformedJson(_) => (StatusCode::BAD_REQUEST, "malformed_json"),
            Self::MalformedRequest(_) => (StatusCode::BAD_REQUEST, "malformed_request"),
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::UnsupportedMediaType { .. } => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type")
            }
            Self::Timeout => (StatusCode::REQUEST_TIMEOUT, "timeout"),
            Self::BodyTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::UriTooLong => (StatusCode::URI_TOO_LONG, "uri_too_long"),
            Self::HeadersTooLarge => {
                (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large")
            }
            Self::HasContacts { .. } => (StatusCode::CONFLICT, "has_contacts"),
            Self::AmbiguousMatch(_) => (StatusCode::CONFLICT, "ambiguous_match"),
            Self::RevertConflict(_) => (StatusCode::CONFLICT, "revert_conflict"),
            Self::InFlight => (StatusCode::CONFLICT, "in_flight"),
            Self::CursorExpired(_) | Self::FeedExpired { .. } => {
                (StatusCode::GONE, "cursor_expired")
            }
            Self::Gone(_) => (StatusCode::GONE, "gone"),
            Self::Skipped => (StatusCode::FAILED_DEPENDENCY, "skipped"),
            Self::VersionMismatch { .. } => (StatusCode::PRECONDITION_FAILED, "version_mismatch"),
            Self::Invalid(faults) => (StatusCode::UNPROCESSABLE_ENTITY, code_of(faults)),
            Self::IdempotencyMismatch => (StatusCode::UNPROCESSABLE_ENTITY, "idempotency_mismatch"),
            Self::LimitExceeded(_) => (StatusCode::UNPROCESSABLE_ENTITY, "limit_exceeded"),
            Self::RateLimited { .. } => (StatusCode::TOO_MANY_REQUESTS, "rate_limited"),
            Self::TooManyStreams => (StatusCode::TOO_MANY_REQUESTS, "too_many_streams"),
            Self::NoIndexMemory => (StatusCode::SERVICE_UNAVAILABLE, "no_index_memory"),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Self::CommitInDoubt => (StatusCode::SERVICE_UNAVAILABLE, "commit_in_doubt"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }

    /// What is wrong, for people.
    pub(crate) fn text(&self) -> String {
        use meishi_contacts::limits::{HEADER_BYTES, HEADERS, STREAMS_PER_ACCOUNT, URI_BYTES};
        match self {
            Self::MalformedJson(malformed) => malformed.to_string(),
            Self::MalformedRequest(text)
            | Self::CursorExpired(text)
            | Self::Gone(text)
            | Self::LimitExceeded(text) => text.clone(),
            Self::Unauthenticated => "Invalid Access Token".into(),
            Self::Forbidden => "You are not authorized to do this action".into(),
            Self::NotFound => "Resource could not be found".into(),
            Self::MethodNotAllowed => "Method Not Allowed".into(),
            Self::UnsupportedMediaType { accept } => {
                format!("The content type of the body must be one of {accept}")
            }
            Self::Timeout => "The body of the request did not arrive in time".into(),
            Self::BodyTooLarge { limit } => format!("The body must not exceed {limit} bytes"),
            Self::UriTooLong => format!("Path and query must not exceed {URI_BYTES} bytes"),
            Self::HeadersTooLarge => {
                format!("There must be at most {HEADERS} headers with {HEADER_BYTES} bytes")
            }
            Self::HasContacts { count } => {
                let contacts = if *count == 1 { "contact" } else { "contacts" };
                format!("The channel still has {count} {contacts}; ?force=true removes the links")
            }
            Self::AmbiguousMatch(_) => "The addresses belong to different contacts".into(),
            Self::RevertConflict(fields) => {
                let fields: Vec<String> =
                    fields.iter().map(|change| change.path().pointer()).collect();
                format!("Later changes stand in the way: {}", fields.join(", "))
            }
            Self::InFlight => "A request with this idempotency key is under way".into(),
            Self::FeedExpired { resume_after } => format!(
                "The changes after this place are not all known any more; read all contacts again, \
                 then the changes after {resume_after}"
            ),
            Self::Skipped => "Another operation of the batch failed, so that none was done".into(),
            Self::VersionMismatch { current, .. } => {
                format!("The contact has changed; its version is {}", current.0)
            }
            Self::Invalid(faults) => join(faults),
            Self::IdempotencyMismatch => "The idempotency key was used for another request".into(),
            Self::RateLimited { limited, retry_after } => {
                let what = match limited {
                    Limited::Key => "Too many calls with this key",
                    Limited::Address => "Too many calls from this address",
                    Limited::FailedAuthentication => {
                        "Invalid Access Token, and too many of them from this address"
                    }
                };
                format!("{what}; try again in {retry_after} s")
            }
            Self::TooManyStreams => {
                format!("The account has {STREAMS_PER_ACCOUNT} streams and waiting calls already")
            }
            Self::NoIndexMemory => {
                "The contacts of this account do not fit into the server's memory \
                                    for lists and searches; single contacts can be read by id"
                    .into()
            }
            Self::Busy => "The server is busy; try again shortly".into(),
            Self::Unavailable => "The database is not available; nothing was written".into(),
            Self::CommitInDoubt => {
                "It is not certain whether the change was written; read before trying again".into()
            }
            Self::Internal => "Internal Server Error".into(),
        }
    }

    /// The same error of a part of the body: the pointers lead there from the whole.
    pub(crate) fn within(mut self, part: &str) -> Self {
        if let Self::Invalid(faults) = &mut self {
            for fault in faults {
                fault.pointer.insert_str(0, part);
            }
        }
        self
    }

    /// The answer, with the request's id in its body.
    pub(crate) fn render(&self, request_id: &str) -> Response {
        let mut response = (self.status(), axum::Json(self.body(request_id))).into_response();
        for (name, value) in self.headers() {
            response.headers_mut().insert(name, value);
        }
        response
    }

    /// The status alone.
    pub(crate) fn status(&self) -> StatusCode {
        self.status_and_code().0
    }

    /// The body: the dialect's members, then what is stable for programs.
    pub(crate) fn body(&self, request_id: &str) -> Map<String, Value> {
        let (status, code) = self.status_and_code();
        let mut body = Map::new();
        let mut put = |key: &str, value: Value| body.insert(key.to_owned(), value);
        if status == StatusCode::UNPROCESSABLE_ENTITY {
            put("message", self.text().into());
            put("attributes", self.attributes());
        } else {
            put("error", self.text().into());
        }
        match self {
            Self::HasContacts { count } => {
                put("count", (*count).into());
            }
            Self::AmbiguousMatch(matches) => {
                let conflict = |(kind, id): &(IdentityKind, ContactId)| json!({ "attribute": kind.as_str(), "contact_id": id });
                put("existing_contact_id", json!(matches.first().map(|(_, id)| id)));
                put("conflicts", matches.iter().map(conflict).collect());
            }
            Self::FeedExpired { resume_after } => {
                put("resume_after", resume_after.0.into());
            }
            Self::VersionMismatch { contact, current } => {
                put("contact_id", contact.0.into());
                put("current_version", current.0.into());
            }
            Self::Invalid(faults) => {
                let conflicts = conflicts(faults);
                if let Some(first) = conflicts.first() {
                    put("existing_contact_id", first["contact_id"].clone());
                    put("conflicts", conflicts.into());
                }
            }
            _ => {}
        }
        put("code", code.into());
        match self {
            Self::Invalid(faults) => put("errors", faults.iter().map(detail).collect()),
            Self::RevertConflict(fields) => put("errors", fields.iter().map(changed).collect()),
            _ => None,
        };
        put("request_id", request_id.into());
        body
    }

    fn attributes(&self) -> Value {
        match self {
            Self::Invalid(faults) => {
                faults.iter().map(|fault| Value::from(fault.attribute.as_str())).collect()
            }
            _ => json!([]),
        }
    }

    fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let fixed = HeaderValue::from_static;
        match self {
            Self::Unauthenticated => {
                vec![(header::WWW_AUTHENTICATE, fixed(r#"Basic realm="Meishi", charset="UTF-8""#))]
            }
            Self::UnsupportedMediaType { accept } => vec![(header::ACCEPT, fixed(accept))],
            Self::RateLimited { retry_after, .. } => {
                vec![(header::RETRY_AFTER, (*retry_after).into())]
            }
            Self::InFlight | Self::Busy | Self::Unavailable => {
                vec![(header::RETRY_AFTER, fixed("1"))]
            }
            Self::TooManyStreams => vec![(header::RETRY_AFTER, fixed("15"))],
            // It takes an operator.
            Self::NoIndexMemory => vec![(header::RETRY_AFTER, fixed("300"))],
            // What is left of the request cannot be told from a next one.
            Self::BodyTooLarge { .. } | Self::Timeout => vec![(header::CONNECTION, fixed("close"))],
            _ => Vec::new(),
        }
    }
}

/// One code for all faults: the one that a caller has to deal with first.
fn code_of(faults: &[Fault]) -> &'static str {
    let any = |wanted: &[FaultCode]| faults.iter().any(|fault| wanted.contains(&fault.code));
    if any(&[FaultCode::Blank, FaultCode::Invalid, FaultCode::TooLong]) {
        "invalid"
    } else if any(&[FaultCode::Taken]) {
        "taken"
    } else {
        "limit_exceeded"
    }
}

fn join(faults: &[Fault]) -> String {
    faults.iter().map(|fault| fault.message.as_str()).collect::<Vec<_>>().join(", ")
}

fn conflicts(faults: &[Fault]) -> Vec<Value> {
    faults
        .iter()
        .filter_map(|fault| {
            let id = fault.contact_id?;
            Some(json!({ "attribute": fault.attribute, "contact_id": id }))
        })
        .collect()
}

/// A field that was changed again since the event that was to be undone.
fn changed(change: &FieldChange) -> Value {
    json!({
        "pointer": change.path().pointer(),
        "code": "changed_since",
        "message": "has been changed since",
        "after_event": change.before,
        "now": change.after,
    })
}

fn detail(fault: &Fault) -> Value {
    json!({
        "pointer": fault.pointer,
        "code": fault.code.as_str(),
        "message": fault.message,
    })
}

impl From<Vec<Fault>> for ApiError {
    fn from(mut faults: Vec<Fault>) -> Self {
        fault::sort(&mut faults);
        Self::Invalid(faults)
    }
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Faults(faults) => faults.into(),
            ChangeError::NotFound(_) => Self::NotFound,
            ChangeError::Stale { id, current } => Self::VersionMismatch { contact: id, current },
            ChangeError::Ambiguous { matches } => Self::AmbiguousMatch(matches),
            ChangeError::RevertConflict { fields, .. } => Self::RevertConflict(fields),
            ChangeError::HasContacts { count } => Self::HasContacts { count },
            ChangeError::Skipped => Self::Skipped,
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::Busy,
            StoreError::TooManyChanges => Self::LimitExceeded("Too many changes at once".into()),
            StoreError::OutcomeTooLarge => {
                use meishi_contacts::limits::OUTCOME_BYTES;
                let text = format!(
                    "What the operations come to is larger than {OUTCOME_BYTES} bytes, and none \
                     was done; send fewer at once"
                );
                Self::LimitExceeded(text)
            }
            StoreError::IdempotencyMismatch => Self::IdempotencyMismatch,
            StoreError::InDoubt(_) => {
                tracing::error!(%error, "a commit is in doubt");
                Self::CommitInDoubt
            }
            StoreError::Unavailable(_) => {
                tracing::error!(%error, "the store is unavailable");
                Self::Unavailable
            }
            StoreError::Internal(_) => {
                tracing::error!(%error, "the store failed");
                Self::Internal
            }
        }
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        use meishi_contacts::limits::CHECKED_ROWS;
        match error {
            QueryError::Store(error) => error.into(),
            QueryError::TooBroad(left) => Self::LimitExceeded(format!(
                "The filter leaves {left} contacts to be looked at one by one (maximum is \
                 {CHECKED_ROWS}); add a condition that leaves fewer"
            )),
            QueryError::TooSlow => Self::Busy,
            QueryError::NoRoom => Self::NoIndexMemory,
        }
    }
}

/// Carries the error out to `observe.rs`, which renders it.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status_and_code().0.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
