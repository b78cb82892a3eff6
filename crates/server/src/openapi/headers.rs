//! The headers of idempotency and of conditional requests, which many operations share: described
//! here by rule, so that a new route has them too.

use meishi_contacts::{ContactId, Version};
use serde_json::json;
use utoipa::openapi::{
    HeaderBuilder, ObjectBuilder, RefOr, Required, Response, ResponseBuilder, Schema, Type,
    path::{Operation, Parameter, ParameterBuilder, ParameterIn},
    schema::AnyOfBuilder,
};

use super::complete::error_response;
use crate::ApiError;

/// Where the routes of one contact are: what writes there takes `If-Match`.
const CONTACT: &str = "/api/v2/accounts/contacts/{id}";

/// The operations whose answer is a contact with its `ETag`.
const SHOW_A_CONTACT: [&str; 5] =
    ["createContact", "readContact", "updateContact", "upsertContact", "revertContact"];

/// The operations that only read, though they have a body.
const READ_ONLY: [&str; 2] = ["lookUpContacts", "filterContacts"];

const TAG: &str = "\"3.9f86d081884c7d65\"";

/// Adds what an operation has of them.
pub(super) fn add(method: &str, path: &str, operation: &mut Operation) {
    let id = operation.operation_id.clone().unwrap_or_default();
    if method != "GET" && !READ_ONLY.contains(&id.as_str()) {
        add_idempotency(operation);
        if path.starts_with(CONTACT) {
            parameter(operation, "If-Match", IF_MATCH_TEXT, r#"^(\*|"[!#-~]*")$"#, TAG);
            let stale =
                ApiError::VersionMismatch { contact: ContactId(2_219_259), current: Version(4) };
            let text = "The contact has none of the versions of `If-Match`";
            let response = error_response(&stale, "VersionMismatch", text);
            operation.responses.responses.insert("412".into(), response.into());
        }
    }
    if SHOW_A_CONTACT.contains(&id.as_str()) {
        let text = "The version and a hash of what a GET of the contact shows";
        answer_header(operation, "ETag", text, TAG);
    }
    if id == "readContact" {
        let text = "Entity tags that the caller has, or `*`: if the answer has one of them, it \
                    is a 304 without a body";
        let pattern = r#"^(\*|(W/)?"[!#-~]*")$"#;
        parameter(operation, "If-None-Match", text, pattern, TAG);
        let unchanged = ResponseBuilder::new()
            .description("The caller has it already")
            .header("ETag", text_header("The entity tag", TAG))
            .build();
        operation.responses.responses.insert("304".into(), unchanged.into());
    }
}

const IF_MATCH_TEXT: &str = "Entity tags of the contact, or `*`: the change is made only if its \
                             version is that of one of them";

fn add_idempotency(operation: &mut Operation) {
    let text = "A key of your choice, bare or in quotes: the same request under the same key is \
                done once, and answered again for 24 hours";
    let example = "8e03978e-40d5-43e8-bc93-6894a57f9324";
    let pattern = "^[!#-~][!-~]{0,254}$";
    parameter(operation, "Idempotency-Key", text, pattern, example);
    let text = "`true` on an answer that was given before under the same `Idempotency-Key`";
    answer_header(operation, "Idempotency-Replayed", text, "true");
    let text = "A request with the same `Idempotency-Key` is under way";
    let in_flight = error_response(&ApiError::InFlight, "Error", text);
    let known = operation.responses.responses.remove("409");
    let both = match known {
        Some(RefOr::T(known)) => either(known, &in_flight),
        Some(RefOr::Ref(_)) | None => in_flight,
    };
    operation.responses.responses.insert("409".into(), both.into());
}

/// A response of one status that is one of two.
fn either(mut known: Response, other: &Response) -> Response {
    known.description = format!("{}; or: {}", known.description, other.description);
    let schema = |response: &Response| {
        let Some(RefOr::T(content)) = response.content.get("application/json") else { return None };
        content.schema.clone()
    };
    let both = [schema(&known), schema(other)];
    let alternatives = both.into_iter().flatten().fold(AnyOfBuilder::new(), AnyOfBuilder::item);
    if let Some(RefOr::T(content)) = known.content.get_mut("application/json") {
        content.schema = Some(alternatives.into());
    }
    known
}

fn parameter(operation: &mut Operation, name: &str, text: &str, pattern: &str, example: &str) {
    let schema = ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern));
    let parameter: Parameter = ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(text))
        .schema(Some(schema))
        .example(Some(json!(example)))
        .build();
    operation.parameters.get_or_insert_default().push(parameter.into());
}

fn answer_header(operation: &mut Operation, name: &str, text: &str, example: &str) {
    if let Some(RefOr::T(response)) = operation.responses.responses.get_mut("200") {
        response.headers.insert(name.to_owned(), text_header(text, example).into());
    }
}

fn text_header(text: &str, example: &str) -> utoipa::openapi::Header {
    let schema: Schema = ObjectBuilder::new().schema_type(Type::String).into();
    HeaderBuilder::new()
        .schema(Some(schema))
        .description(Some(text))
        .example(Some(json!(example)))
        .build()
}
