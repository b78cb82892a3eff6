//! What surrounds every request: its id, the limits of its head, one line in the log, the
//! metrics, and the bodies of errors.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method,
        header::{ALLOW, CONNECTION},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use meishi_contacts::{
    AccountId, KeyId,
    limits::{HEADER_BYTES, HEADERS, REQUEST_ID_BYTES, URI_BYTES},
};

use crate::{
    ApiError, App,
    idempotency::IDEMPOTENCY_REPLAYED,
    rate_limit::{self, Standing},
    unread::Read,
};

/// The header that names a request.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What is known of a request while it is on its way.
#[derive(Debug, Clone, Default)]
pub struct RequestInfo {
    /// The request's id: the caller's own if it is sane, else a fresh one.
    pub request_id: String,
    noted: Arc<Noted>,
}

/// What those that a request passes find out.
#[derive(Debug, Default)]
struct Noted {
    caller: OnceLock<(AccountId, KeyId)>,
    limits: Mutex<Vec<Standing>>,
    replayed: AtomicBool,
}

impl RequestInfo {
    /// Notes who calls, for the log.
    pub fn note_caller(&self, account: AccountId, key: KeyId) {
        // A request has one caller; a second note would be the same.
        let _ = self.noted.caller.set((account, key));
    }

    /// Notes a limit that counted the request, for the answer.
    pub(crate) fn note_limit(&self, standing: Standing) {
        self.noted.limits.lock().unwrap_or_else(PoisonError::into_inner).push(standing);
    }

    /// Notes that the answer is the one that the request was given before.
    pub fn note_replay(&self) {
        self.noted.replayed.store(true, Ordering::Relaxed);
    }
}

/// The layer around the router.
pub async fn observe(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let request_id = sane_id(request.headers())
        .unwrap_or_else(|| app.rng.seed().uuid("request id", 0).to_string());
    let info = RequestInfo { request_id, noted: Arc::default() };
    request.extensions_mut().insert(info.clone());
    let (request, read) = watch(request);
    let method = known_method(request.method());
    let matched = request.extensions().get::<MatchedPath>().cloned();

    let mut response = match check_head(&request) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };

    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        let allow = response.headers_mut().remove(ALLOW);
        response = error.render(&info.request_id);
        if let Some(allow) = allow {
            response.headers_mut().insert(ALLOW, allow);
        }
    }
    if let Ok(value) = HeaderValue::from_str(&info.request_id) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    {
        let limits = info.noted.limits.lock().unwrap_or_else(PoisonError::into_inner);
        rate_limit::tell(&limits, response.headers_mut());
    }
    if info.noted.replayed.load(Ordering::Relaxed) {
        let replayed = HeaderValue::from_static("true");
        response.headers_mut().insert(IDEMPOTENCY_REPLAYED, replayed);
    }

    let status = response.status();
    if (status.is_client_error() || status.is_server_error()) && !read.to_its_end() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }

    // The route, never the path: paths and queries hold addresses of people.
    let route = matched.as_ref().map_or("none", MatchedPath::as_str);
    let status = status.as_u16();
    let elapsed = begun.elapsed();
    let labels = [
        ("method", method.to_owned()),
        ("route", route.to_owned()),
        ("status", status.to_string()),
    ];
    metrics::counter!("meishi_http_requests_total", &labels).increment(1);
    metrics::histogram!("meishi_http_request_seconds", &labels).record(elapsed);
    let caller = info.noted.caller.get();
    tracing::info!(
        target: "meishi::request",
        method,
        route,
        status,
        micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
        request_id = info.request_id,
        account = caller.map(|(account, _)| account.0),
        key = caller.map(|(_, key)| key.0),
        "request"
    );
    response
}

fn watch(request: Request) -> (Request, Read) {
    let (parts, body) = request.into_parts();
    let (body, read) = Read::watch(body);
    (Request::from_parts(parts, body), read)
}

/// The method, if it is one that there is: anybody can invent others, and each would be a series
/// of its own in the metrics.
fn known_method(method: &Method) -> &'static str {
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
        .into_iter()
        .find(|known| *known == method.as_str())
        .unwrap_or("other")
}

fn check_head(request: &Request) -> Result<(), ApiError> {
    let uri = request.uri();
    let uri_bytes = uri.path().len() + uri.query().map_or(0, |query| query.len() + 1);
    if uri_bytes > URI_BYTES {
        return Err(ApiError::UriTooLong);
    }
    let headers = request.headers().iter();
    let header_bytes: usize = headers.map(|(name, value)| name.as_str().len() + value.len()).sum();
    if header_bytes > HEADER_BYTES || request.headers().len() > HEADERS {
        return Err(ApiError::HeadersTooLarge);
    }
    Ok(())
}

/// A caller's own request id, if it is short and plain enough for logs and headers.
fn sane_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(X_REQUEST_ID)?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(&byte);
    (!id.is_empty() && id.len() <= REQUEST_ID_BYTES && id.bytes().all(plain)).then(|| id.to_owned())
}
