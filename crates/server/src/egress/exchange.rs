//! One request and its answer over a connection of their own.

use std::{future::Future, net::SocketAddr, pin::pin};

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, Method, Request, Uri, header},
};
use futures::future::{Either, select};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use meishi_contacts::limits::{
    EGRESS_BODY_BYTES, EGRESS_HEAD_BYTES, EGRESS_KEPT_BYTES, RETRY_AFTER_BYTES,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, timeout_at},
};

use super::{Answer, EgressError, Phase, Target};

/// How the endpoint learns who calls.
const USER_AGENT: &str = concat!("Meishi/", env!("CARGO_PKG_VERSION"));

/// The POST, with the headers that are the connection's and not the message's.
pub(super) fn request(
    target: &Target,
    mut headers: HeaderMap,
    body: Bytes,
) -> Request<Full<Bytes>> {
    // The length is the body's own, and hyper says it.
    for own in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::UPGRADE, header::TE] {
        headers.remove(own);
    }
    headers.insert(header::HOST, target.authority());
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from(target.path());
    *request.headers_mut() = headers;
    request
}

/// Sends the request and reads the answer. Once its head is there, there is an answer, however its
/// body ends.
pub(super) async fn run(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    address: SocketAddr,
    request: Request<Full<Bytes>>,
    deadline: Instant,
) -> Result<Answer, EgressError> {
    let protocol = |error: hyper::Error| EgressError::Protocol(reason(&error));
    let handshake =
        http1::Builder::new().max_buf_size(EGRESS_HEAD_BYTES).handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(protocol)?;
    let answer = async move {
        let response = timeout_at(deadline, sender.send_request(request))
            .await
            .map_err(|_| EgressError::Timeout(Phase::Answer))?
            .map_err(protocol)?;
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers());
        let mut body = Vec::new();
        let _ = timeout_at(deadline, keep_start(response.into_body(), &mut body)).await;
        Ok(Answer { address, status, retry_after, body })
    };
    alongside(answer, connection).await
}

fn retry_after(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    (text.len() <= RETRY_AFTER_BYTES).then(|| text.to_owned())
}

/// Drives the connection for as long as the answer takes.
async fn alongside<T>(answer: impl Future<Output = T>, connection: impl Future) -> T {
    match select(pin!(answer), pin!(connection)).await {
        Either::Left((answer, _)) => answer,
        // It is over, and what it brought is to be read.
        Either::Right((_, answer)) => answer.await,
    }
}

/// Reads a body up to its limit and keeps its beginning.
async fn keep_start(mut body: Incoming, kept: &mut Vec<u8>) {
    let mut read = 0;
    while read < EGRESS_BODY_BYTES
        && let Some(Ok(frame)) = body.frame().await
    {
        let data = frame.into_data().unwrap_or_default();
        read += data.len();
        let room = EGRESS_KEPT_BYTES.saturating_sub(kept.len());
        kept.extend(data.iter().take(room));
    }
}

/// What went wrong, with its cause where it has one.
fn reason(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
