//! What surrounds every request: its id, the limits of its head and of its caller's address, what a
//! panic is answered with, one line in the log, the metrics, and the bodies of errors.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Instant,
};

use axum::{
    extract::{MatchedPath, Request},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method,
        header::{ALLOW, CONNECTION},
    },
    response::{IntoResponse, Response},
    routing::Route,
};
use futures::{FutureExt as _, future::BoxFuture};
use meishi_contacts::{
    AccountId, KeyId,
    limits::{HEADER_BYTES, HEADERS, REQUEST_ID_BYTES, URI_BYTES},
};
use tower::Service;

use crate::{
    ApiError, App,
    idempotency::IDEMPOTENCY_REPLAYED,
    rate_limit::{self, Standing},
    unread::Read,
};

/// The header that names a request.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What is known of a request while it is on its way. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct RequestInfo(Arc<Noted>);

/// The request's id, and what those that it passes find out.
#[derive(Debug, Default)]
struct Noted {
    request_id: String,
    caller: OnceLock<(AccountId, KeyId)>,
    limits: Mutex<Vec<Standing>>,
    replayed: AtomicBool,
}

impl RequestInfo {
    fn new(request_id: String) -> Self {
        Self(Arc::new(Noted { request_id, ..Noted::default() }))
    }

    /// The request's id: the caller's own if it is sane, else a fresh one.
    pub fn request_id(&self) -> &str {
        &self.0.request_id
    }

    /// Notes who calls, for the log.
    pub fn note_caller(&self, account: AccountId, key: KeyId) {
        // A request has one caller; a second note would be the same.
        let _ = self.0.caller.set((account, key));
    }

    /// Notes a limit that counted the request, for the answer.
    pub(crate) fn note_limit(&self, standing: Standing) {
        self.0.limits.lock().unwrap_or_else(PoisonError::into_inner).push(standing);
    }

    /// Notes that the answer is the one that the request was given before.
    pub fn note_replay(&self) {
        self.0.replayed.store(true, Ordering::Relaxed);
    }
}

/// A route with what surrounds it. All of it is one layer, and not one of functions: each of those
/// would copy what is within it for every request.
#[derive(Clone)]
pub(crate) struct Observed {
    app: App,
    route: Route,
}

impl Observed {
    /// Surrounds a route.
    pub(crate) fn new(app: App, route: Route) -> Self {
        Self { app, route }
    }
}

impl Service<Request> for Observed {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let begun = Instant::now();
        let request_id = sane_id(request.headers()).unwrap_or_else(|| self.app.request_ids.next());
        let info = RequestInfo::new(request_id);
        request.extensions_mut().insert(info.clone());
        let read = Read::watch(request.body_mut());
        let method = known_method(request.method());
        let matched = request.extensions().get::<MatchedPath>().cloned();
        let passage = Passage { app: self.app.clone(), info, read, method, matched, begun };

        let admitted = check_head(&request)
            .and_then(|()| self.app.rate_limits.admit_address(&request, &*self.app.clock));
        // No handler runs before its future is polled, so that this cannot panic.
        let answering = admitted.map(|()| self.route.call(request));
        Box::pin(async move {
            let response = match answering {
                // The log has the panic already (`cli/src/logging.rs`).
                Ok(answering) => AssertUnwindSafe(answering)
                    .catch_unwind()
                    .await
                    .unwrap_or_else(|_panic| Ok(ApiError::Internal.into_response()))?,
                Err(refused) => refused.into_response(),
            };
            Ok(passage.end(response))
        })
    }
}

/// A request that waits for its answer.
struct Passage {
    app: App,
    info: RequestInfo,
    read: Read,
    method: &'static str,
    matched: Option<MatchedPath>,
    begun: Instant,
}

impl Passage {
    /// Completes the answer, and tells of the request in metrics and log.
    fn end(self, mut response: Response) -> Response {
        let Self { app, info, read, method, matched, begun } = self;
        if let Some(error) = response.extensions_mut().remove::<ApiError>() {
            let allow = response.headers_mut().remove(ALLOW);
            response = error.render(info.request_id());
            if let Some(allow) = allow {
                response.headers_mut().insert(ALLOW, allow);
            }
        }
        if let Ok(value) = HeaderValue::from_str(info.request_id()) {
            response.headers_mut().insert(X_REQUEST_ID, value);
        }
        {
            let limits = info.0.limits.lock().unwrap_or_else(PoisonError::into_inner);
            rate_limit::tell(&limits, response.headers_mut());
        }
        if info.0.replayed.load(Ordering::Relaxed) {
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
        app.requests.count(method, route, status, elapsed);
        let caller = info.0.caller.get();
        tracing::info!(
            target: "meishi::request",
            method,
            route,
            status,
            micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
            request_id = info.request_id(),
            account = caller.map(|(account, _)| account.0),
            key = caller.map(|(_, key)| key.0),
            "request"
        );
        response
    }
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

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, routing::get};
    use meishi_contacts::SystemClock;
    use meishi_store::{DataDirectory, SqliteStore};
    use tower::{ServiceExt as _, layer::layer_fn};

    use super::*;
    use crate::{Settings, rng::SystemRng};

    #[tokio::test]
    async fn a_panic_is_a_500_that_names_the_request_and_others_are_served_on() {
        let folder = tempfile::tempdir().unwrap();
        let held = DataDirectory::hold(folder.path()).unwrap();
        let store = Arc::new(SqliteStore::open(held, "test").unwrap());
        let app = App::new(store, Arc::new(SystemClock), Arc::new(SystemRng), Settings::default());
        let service = Router::new()
            .route("/panics", get(async || -> &'static str { panic!("as it is to") }))
            .route("/answers", get(async || "fine"))
            .layer(layer_fn(move |route| Observed::new(app.clone(), route)));
        let call = async |path: &str| {
            let request = Request::builder().uri(path).header(X_REQUEST_ID, "one");
            let request = request.body(Body::empty()).unwrap();
            let answer = service.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.headers()[X_REQUEST_ID], "one");
            let status = answer.status().as_u16();
            (status, axum::body::to_bytes(answer.into_body(), 1000).await.unwrap())
        };
        let (status, body) = call("/panics").await;
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (status, &body["code"], &body["request_id"]),
            (500, &"internal".into(), &"one".into())
        );
        assert_eq!(call("/answers").await, (200, "fine".into()));
    }
}
