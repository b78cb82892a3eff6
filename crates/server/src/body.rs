//! Request bodies: JSON or a form, read whole within limits of size and time.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Request},
    http::{HeaderMap, Method, header},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use meishi_contacts::{
    json,
    limits::{BODY_BYTES, BODY_TIMEOUT},
};
use serde_json::{Map, Value};

use crate::{ApiError, form, idempotency::BodyDigest};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const MERGE_PATCH: &str = "application/merge-patch+json";

/// The fields of a request body. An empty body is one without fields.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    /// The members of the body's object.
    pub members: Map<String, Value>,
    /// The body was sent as `application/merge-patch+json` (RFC 7396).
    pub merge_patch: bool,
    digest: BodyDigest,
}

impl From<&Fields> for BodyDigest {
    fn from(fields: &Fields) -> Self {
        fields.digest
    }
}

impl<S: Sync> FromRequest<S> for Fields {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let media_type = media_type(request.headers(), request.method())?;
        if is_encoded(request.headers()) {
            return Err(unsupported(request.method()));
        }
        let (parts, body) = request.into_parts();
        let body = read(&parts.headers, body, BODY_BYTES, BODY_TIMEOUT).await?;
        let digest = BodyDigest::of(&parts.headers, media_type.essence(), &body);
        Ok(Self { digest, ..Self::parse(&body, media_type)? })
    }
}

/// The fields of a body that must be JSON and may have so many bytes.
#[derive(Debug, Clone, Default)]
pub struct JsonFields<const BYTES: usize>(pub Fields);

impl<S: Sync, const BYTES: usize> FromRequest<S> for JsonFields<BYTES> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let is_json =
            matches!(media_type(request.headers(), request.method()), Ok(MediaType::Json));
        if !is_json || is_encoded(request.headers()) {
            return Err(ApiError::UnsupportedMediaType { accept: JSON });
        }
        let (parts, body) = request.into_parts();
        let body = read(&parts.headers, body, BYTES, BODY_TIMEOUT).await?;
        let digest = BodyDigest::of(&parts.headers, MediaType::Json.essence(), &body);
        Ok(Self(Fields { digest, ..Fields::parse(&body, MediaType::Json)? }))
    }
}

impl Fields {
    /// An object within another body.
    pub fn within(members: Map<String, Value>) -> Self {
        Self { members, ..Self::default() }
    }

    fn parse(body: &[u8], media_type: MediaType) -> Result<Self, ApiError> {
        let merge_patch = media_type == MediaType::MergePatch;
        if body.trim_ascii().is_empty() {
            return Ok(Self { merge_patch, ..Self::default() });
        }
        // curl without -H says that its JSON is a form.
        let is_form = media_type == MediaType::Form && !body.trim_ascii_start().starts_with(b"{");
        let value = if is_form {
            form::parse(body)
                .map_err(|error| ApiError::MalformedRequest(format!("Malformed form: {error}")))?
        } else {
            json::parse(body).map_err(ApiError::MalformedJson)?
        };
        match value {
            Value::Object(members) => Ok(Self { members, merge_patch, ..Self::default() }),
            _ => Err(ApiError::MalformedRequest("The body must be a JSON object".into())),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum MediaType {
    Json,
    Form,
    MergePatch,
}

impl MediaType {
    const fn essence(self) -> &'static str {
        match self {
            Self::Json => JSON,
            Self::Form => FORM,
            Self::MergePatch => MERGE_PATCH,
        }
    }
}

fn media_type(headers: &HeaderMap, method: &Method) -> Result<MediaType, ApiError> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(MediaType::Json) };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    match essence.to_ascii_lowercase().as_str() {
        JSON | "" => Ok(MediaType::Json),
        FORM => Ok(MediaType::Form),
        MERGE_PATCH if takes_merge_patch(method) => Ok(MediaType::MergePatch),
        _ => Err(unsupported(method)),
    }
}

fn unsupported(method: &Method) -> ApiError {
    let accept = if takes_merge_patch(method) {
        "application/json, application/x-www-form-urlencoded, application/merge-patch+json"
    } else {
        "application/json, application/x-www-form-urlencoded"
    };
    ApiError::UnsupportedMediaType { accept }
}

fn takes_merge_patch(method: &Method) -> bool {
    matches!(*method, Method::PATCH | Method::PUT)
}

/// Whether the body is compressed, which none of the routes reads.
fn is_encoded(headers: &HeaderMap) -> bool {
    let codings = [header::CONTENT_ENCODING, header::TRANSFER_ENCODING];
    codings.iter().flat_map(|name| headers.get_all(name)).any(|value| {
        let text = value.to_str().unwrap_or("unreadable");
        text.split(',').any(|coding| {
            let coding = coding.trim();
            !coding.eq_ignore_ascii_case("identity") && !coding.eq_ignore_ascii_case("chunked")
        })
    })
}

async fn read(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    time: Duration,
) -> Result<Bytes, ApiError> {
    // A length that is told is judged before the first byte is read.
    let told = headers.get(header::CONTENT_LENGTH);
    let told = told.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if told.is_some_and(|length| length > limit) {
        return Err(ApiError::BodyTooLarge { limit });
    }
    let body = Limited::new(body, limit);
    match tokio::time::timeout(time, body.collect()).await {
        Err(_) => Err(ApiError::Timeout),
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(ApiError::BodyTooLarge { limit }),
        Ok(Err(_)) => Err(ApiError::MalformedRequest("The body could not be read".into())),
    }
}
