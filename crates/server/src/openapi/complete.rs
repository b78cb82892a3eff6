//! What all operations share, added by rule: security, the errors that any of them can answer, the
//! headers, and the documented samples.

use axum::http::StatusCode;
use meishi_contacts::{
    ContactId, Fault,
    json::{Cause, Malformed},
    limits::BODY_BYTES,
};
use utoipa::openapi::{
    Content, HeaderBuilder, Object, Ref, RefOr, Response, ResponseBuilder, Type, path::Operation,
    security::SecurityRequirement,
};

use super::headers;
use crate::{ApiError, rate_limit::Limited, webhooks};

/// Adds the messages of webhooks, and what all operations share: security, the errors that any of
/// them can answer, and the documented samples.
pub(crate) fn complete(document: &mut utoipa::openapi::OpenApi) {
    webhooks::describe(document);
    let (shared, probes) = (shared_errors(), probe_errors());
    let operations = document.paths.paths.iter_mut().flat_map(|(path, item)| {
        operations(item).map(move |(method, operation)| (method, path.clone(), operation))
    });
    for (method, path, operation) in operations {
        let mut errors = &probes;
        if path.starts_with("/api/v2/") {
            errors = &shared;
            let alternatives = ["basic", "bearer", "token"];
            let requirement = |name| SecurityRequirement::new(name, Vec::<String>::new());
            operation.security = Some(alternatives.map(requirement).into());
            headers::add(method, &path, operation);
        }
        for (error, description) in errors {
            let status = error.status().as_u16().to_string();
            let known = operation.responses.responses.entry(status);
            known.or_insert_with(|| RefOr::T(error_response(error, schema_of(error), description)));
        }
        add_samples(operation);
    }
}

/// The errors of every route of the API.
fn shared_errors() -> Vec<(ApiError, &'static str)> {
    let malformed = Malformed { line: 3, column: 19, cause: Cause::Comment };
    let taken = Fault::taken("email", ContactId(318_763));
    let mut errors = vec![
        (ApiError::MalformedJson(malformed), "The body, the query or a header cannot be read"),
        (ApiError::Unauthenticated, "No credential, or one that opens nothing"),
        (ApiError::Forbidden, "The key's role does not allow it"),
        (ApiError::NotFound, "There is no such thing in the key's account"),
        (ApiError::Timeout, "The body did not arrive in time"),
        (ApiError::BodyTooLarge { limit: BODY_BYTES }, "The body is too large"),
        (
            ApiError::UnsupportedMediaType { accept: "application/json" },
            "The body has a content type that is not read",
        ),
        (ApiError::Invalid(vec![taken]), "Fields are wrong, missing or taken"),
        (
            ApiError::RateLimited { limited: Limited::Key, retry_after: 3 },
            "Too many calls, or too many credentials that open nothing",
        ),
    ];
    errors.append(&mut probe_errors());
    errors
}

/// The errors of every route at all.
fn probe_errors() -> Vec<(ApiError, &'static str)> {
    vec![
        (ApiError::UriTooLong, "Path and query are too long"),
        (ApiError::HeadersTooLarge, "The headers are too large"),
        (ApiError::Busy, "Busy, or the database is not available"),
    ]
}

/// The schema of an error that has no members of its own.
fn schema_of(error: &ApiError) -> &'static str {
    let is_of_fields = error.status() == StatusCode::UNPROCESSABLE_ENTITY;
    if is_of_fields { "FieldsError" } else { "Error" }
}

pub(super) fn error_response(error: &ApiError, schema: &str, description: &str) -> Response {
    let schema = Ref::from_schema_name(schema);
    let mut content = Content::new(Some(RefOr::<utoipa::openapi::Schema>::Ref(schema)));
    content.example = Some(error.body("3f0d7c62-9d35-4c6b-8c64-0a3b1f0c5d11").into());
    let mut response =
        ResponseBuilder::new().description(description).content("application/json", content);
    if error.status() == StatusCode::TOO_MANY_REQUESTS {
        let seconds = Some(Object::with_type(Type::Integer));
        let header = HeaderBuilder::new().schema(seconds);
        let header = header.description(Some("Seconds until there is a call again"));
        response = response.header("Retry-After", header.build());
    }
    response.build()
}

/// The samples of the documentation, which the tests send and compare.
fn add_samples(operation: &mut Operation) {
    let (request, answer) = match operation.operation_id.as_deref() {
        Some("createContact") => (
            Some(include_str!("../../fixtures/create-request.json")),
            include_str!("../../fixtures/create-response-meishi.json"),
        ),
        Some("updateContact") => (
            Some(include_str!("../../fixtures/update-request.json")),
            include_str!("../../fixtures/update-response-meishi.json"),
        ),
        Some("listContacts" | "filterContacts") => {
            (None, include_str!("../../fixtures/list-response.json"))
        }
        _ => return,
    };
    if let (Some(RefOr::T(body)), Some(sample)) = (&mut operation.request_body, request)
        && let Some(RefOr::T(content)) = body.content.get_mut("application/json")
    {
        content.example = serde_json::from_str(sample).ok();
    }
    if let Some(RefOr::T(response)) = operation.responses.responses.get_mut("200")
        && let Some(RefOr::T(content)) = response.content.get_mut("application/json")
    {
        content.example = serde_json::from_str(answer).ok();
    }
}

fn operations(
    item: &mut utoipa::openapi::PathItem,
) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let of = [
        ("GET", &mut item.get),
        ("POST", &mut item.post),
        ("PUT", &mut item.put),
        ("PATCH", &mut item.patch),
        ("DELETE", &mut item.delete),
    ];
    of.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}
