//! Bodies of answers in JSON that can be long: their room is taken at once instead of in steps, each
//! of which would copy what is there.

use axum::{
    body::Body,
    http::{HeaderValue, header::CONTENT_TYPE},
    response::Response,
};
use serde::Serialize;

use crate::ApiError;

/// Most contacts are not longer in JSON.
pub(crate) const CONTACT_BYTES: usize = 1024;

/// Answers with JSON of about so many bytes.
pub(crate) fn json(bytes: usize, answer: &impl Serialize) -> Result<Response, ApiError> {
    Ok(of_json(write(bytes, answer)?))
}

/// The answer of JSON that is written already.
pub(crate) fn of_json(body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// JSON of about so many bytes.
pub(crate) fn write(bytes: usize, answer: &impl Serialize) -> Result<Vec<u8>, ApiError> {
    let mut body = Vec::with_capacity(bytes);
    serde_json::to_writer(&mut body, answer).map_err(|error| {
        tracing::error!(%error, "an answer could not be written");
        ApiError::Internal
    })?;
    Ok(body)
}
