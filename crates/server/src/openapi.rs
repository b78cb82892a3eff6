//! The API description: generated from the handlers, completed with what all of them share.
//!
//! The types here say what a caller *should* send; what Meishi also takes is in
//! `livedesk-wire.md` 9.1. Committed as `openapi.json`; a test fails when that is stale.

mod headers;

use axum::http::StatusCode;
use meishi_contacts::{
    ContactId, Fault,
    json::{Cause, Malformed},
    limits::BODY_BYTES,
};
use serde::Serialize;
use utoipa::{
    Modify, OpenApi, ToSchema,
    openapi::{
        Content, HeaderBuilder, Object, Ref, RefOr, Response, ResponseBuilder, Type,
        path::Operation,
        security::{
            ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
        },
    },
};

pub use self::headers::VersionMismatch;
use crate::{ApiError, rate_limit::Limited, webhooks};

/// The document before the routes are added.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Meishi",
        description = "The contact service of a live chat or help desk. Speaks the contact API \
            that LiveDesk documents, and what is new beside it. An account id after `accounts/` \
            is optional in every path and must be the key's own. Where a limit counts a call, the \
            answer tells of it in `RateLimit-Policy`, `RateLimit` and `X-RateLimit-*`.",
        license(name = "MIT OR Apache-2.0"),
    ),
    tags(
        (name = "contacts", description = "People who write in"),
        (name = "inboxes", description = "Channels; the id is the Channel ID"),
        (name = "keys", description = "API keys; for administrators"),
        (name = "webhooks", description = "Messages to your endpoints; for administrators"),
        (name = "feed", description = "What changed, as it happens"),
        (name = "health", description = "Probes"),
    ),
    components(schemas(
        ErrorBody,
        FieldsError,
        headers::VersionMismatch,
        webhooks::ContactMessage,
        webhooks::ErasedMessage,
        webhooks::ChatwootContact,
        webhooks::ChatwootErased,
    )),
    modifiers(&Security),
)]
pub struct Document;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let basic = Http::new(HttpAuthScheme::Basic);
        components.add_security_scheme("basic", SecurityScheme::Http(basic));
        let bearer = Http::new(HttpAuthScheme::Bearer);
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let token = ApiKeyValue::new("api_access_token");
        let token = SecurityScheme::ApiKey(ApiKey::Header(token));
        components.add_security_scheme("token", token);
    }
}

/// An answer without content.
#[derive(Debug, Serialize, ToSchema)]
pub struct Empty {}

/// What there is to say of a whole list.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListMeta {
    /// How many entries the list has.
    #[schema(example = 1)]
    pub count: usize,
}

/// An error.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Error)]
pub struct ErrorBody {
    /// What is wrong, for people.
    #[schema(example = "Resource could not be found")]
    error: String,
    /// What is wrong, for programs.
    #[schema(example = "not_found")]
    code: String,
    /// The request, as `X-Request-Id` names it.
    #[schema(example = "3f0d7c62-9d35-4c6b-8c64-0a3b1f0c5d11")]
    request_id: String,
}

/// A channel that still has contacts.
#[derive(Debug, Serialize, ToSchema)]
pub struct HasContacts {
    /// What is wrong, for people.
    #[schema(example = "The channel still has 2 contacts; ?force=true removes the links")]
    error: String,
    /// How many links there are.
    #[schema(example = 2)]
    count: i64,
    /// What is wrong, for programs.
    #[schema(example = "has_contacts")]
    code: String,
    /// The request, as `X-Request-Id` names it.
    #[schema(example = "3f0d7c62-9d35-4c6b-8c64-0a3b1f0c5d11")]
    request_id: String,
}

/// A place in the feed that is not known any more.
#[derive(Debug, Serialize, ToSchema)]
pub struct FeedExpired {
    /// What is wrong, for people.
    #[schema(
        example = "The changes after this place are not all known any more; read all contacts again, then the changes after 42"
    )]
    error: String,
    /// The event to go on after, once all contacts were read again.
    #[schema(example = 42)]
    resume_after: i64,
    /// What is wrong, for programs.
    #[schema(example = "cursor_expired")]
    code: String,
    /// The request, as `X-Request-Id` names it.
    #[schema(example = "3f0d7c62-9d35-4c6b-8c64-0a3b1f0c5d11")]
    request_id: String,
}

/// An upsert whose addresses lead to several contacts.
#[derive(Debug, Serialize, ToSchema)]
pub struct AmbiguousMatch {
    /// What is wrong, for people.
    #[schema(example = "The addresses belong to different contacts")]
    error: String,
    /// The contact that the first of the addresses leads to.
    #[schema(example = 318_763)]
    existing_contact_id: i64,
    /// Each address that leads to a contact: identifier, e-mail, phone number, in that order.
    conflicts: Vec<Conflict>,
    /// What is wrong, for programs.
    #[schema(example = "ambiguous_match")]
    code: String,
    /// The request, as `X-Request-Id` names it.
    #[schema(example = "3f0d7c62-9d35-4c6b-8c64-0a3b1f0c5d11")]
    request_id: String,
}

/// An event that cannot be undone, because its fields were changed again.
#[derive(Debug, Serialize, ToSchema)]
pub struct RevertConflict {
    /// What is wrong, for people.
    #[schema(example = "Later changes stand in the way: /email")]
    error: String,
    /// What is wrong, for programs.
    #[schema(example = "revert_conflict")]
    code: String,
    /// Each field that was changed again.
    errors: Vec<ChangedSince>,
    /// The request, as `X-Request-Id` names it.
    #[schema(example = "3f0d7c62-9d35-4c6b-8c64-0a3b1f0c5d11")]
    request_id: String,
}

/// A field that was changed again since an event.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChangedSince {
    /// JSON Pointer to the field.
    #[schema(example = "/email")]
    pointer: String,
    /// `changed_since`.
    #[schema(example = "changed_since")]
    code: String,
    /// The message, for people.
    #[schema(example = "has been changed since")]
    message: String,
    /// What the event made of the field; `null` also where it took an attribute away.
    #[schema(example = "anna@acme.inc")]
    after_event: serde_json::Value,
    /// What it is now; `null` also where the attribute is not there.
    #[schema(example = "anna@globex.inc")]
    now: serde_json::Value,
}

/// An error of fields. One answer tells every fault.
#[derive(Debug, Serialize, ToSchema)]
pub struct FieldsError {
    /// All messages, for people.
    #[schema(example = "Email has already been taken")]
    message: String,
    /// The fields, one for each message.
    #[schema(example = json!(["email"]))]
    attributes: Vec<String>,
    /// The contact of the first conflict.
    #[schema(value_type = i64, required = false, example = 318_763)]
    existing_contact_id: Option<i64>,
    /// Each value that another contact holds.
    #[schema(value_type = Vec<Conflict>, required = false)]
    conflicts: Option<Vec<Conflict>>,
    /// What is wrong, for programs.
    #[schema(example = "taken")]
    code: String,
    /// Each fault, for programs.
    #[schema(value_type = Vec<FieldFault>, required = false)]
    errors: Option<Vec<FieldFault>>,
    /// The request, as `X-Request-Id` names it.
    #[schema(example = "3f0d7c62-9d35-4c6b-8c64-0a3b1f0c5d11")]
    request_id: String,
}

/// A value that another contact holds.
#[derive(Debug, Serialize, ToSchema)]
pub struct Conflict {
    /// The field.
    #[schema(example = "email")]
    attribute: String,
    /// The contact that holds its value; absent where no contact does.
    #[schema(example = 318_763)]
    contact_id: i64,
}

/// One fault of one field.
#[derive(Debug, Serialize, ToSchema)]
pub struct FieldFault {
    /// JSON Pointer into the body, or `?name` for a query field.
    #[schema(example = "/email")]
    pointer: String,
    /// `blank`, `invalid`, `too_long`, `taken` or `limit_exceeded`.
    #[schema(example = "taken")]
    code: String,
    /// The message, for people.
    #[schema(example = "Email has already been taken")]
    message: String,
}

/// The profile data that is documented; other members are kept as they are sent.
#[derive(Debug, Serialize, ToSchema)]
pub struct AdditionalAttributes {
    description: Option<String>,
    #[schema(example = "ACME")]
    company_name: Option<String>,
    #[schema(example = "Zürich")]
    city: Option<String>,
    telegram: Option<String>,
    #[schema(example = "Switzerland")]
    country: Option<String>,
    #[schema(example = "CH")]
    country_code: Option<String>,
    /// Names of profiles: `facebook`, `github`, `instagram`, `linkedin`, `twitter`, …
    #[schema(value_type = Option<Object>, example = json!({"github": "alice"}))]
    social_profiles: Option<serde_json::Value>,
}

/// A contact to be created. The fields of an update may be sent too.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreateContact {
    /// The Channel ID.
    #[schema(example = 1)]
    inbox_id: i64,
    /// The contact's address in the channel; random when absent.
    #[schema(max_length = 255, example = "src_001")]
    source_id: Option<String>,
    /// Display name.
    #[schema(max_length = 255, example = "Test")]
    name: Option<String>,
    /// E-mail address; unique in the account.
    #[schema(max_length = 255, example = "alice@acme.inc")]
    email: Option<String>,
    /// Phone number in E.164; unique in the account.
    #[schema(pattern = r"^\+[1-9][0-9]{1,14}$", example = "+123456789")]
    phone_number: Option<String>,
    /// URL of a picture.
    #[schema(max_length = 2048, example = "https://example.com/avatar.png")]
    avatar_url: Option<String>,
    /// Your own id of the person (UserID); unique in the account.
    #[schema(max_length = 255, example = "1234567890")]
    identifier: Option<String>,
    /// Fields that the project defines.
    #[schema(value_type = Option<Object>, example = json!({"vip_level": "platinum"}))]
    custom_attributes: Option<serde_json::Value>,
    /// Profile data.
    additional_attributes: Option<AdditionalAttributes>,
}

/// A contact to be found and updated, or created. One of `identifier`, `email` and `phone_number`
/// must be there. The fields of an update may be sent too.
#[derive(Debug, Serialize, ToSchema)]
pub struct UpsertContact {
    /// Your own id of the person (UserID); the first by which the contact is looked for.
    #[schema(max_length = 255, example = "1234567890")]
    identifier: Option<String>,
    /// E-mail address; the second.
    #[schema(max_length = 255, example = "alice@acme.inc")]
    email: Option<String>,
    /// Phone number in E.164; the third.
    #[schema(pattern = r"^\+[1-9][0-9]{1,14}$", example = "+123456789")]
    phone_number: Option<String>,
    /// The Channel ID; needed where the contact is created, and not used where it is found.
    #[schema(example = 1)]
    inbox_id: Option<i64>,
    /// The contact's address in the channel; random when absent.
    #[schema(max_length = 255, example = "src_001")]
    source_id: Option<String>,
    /// Display name.
    #[schema(max_length = 255, example = "Test")]
    name: Option<String>,
    /// URL of a picture.
    #[schema(max_length = 2048, example = "https://example.com/avatar.png")]
    avatar_url: Option<String>,
    /// Fields that the project defines; merged.
    #[schema(value_type = Option<Object>, example = json!({"vip_level": "platinum"}))]
    custom_attributes: Option<serde_json::Value>,
    /// Profile data; merged.
    additional_attributes: Option<AdditionalAttributes>,
}

/// What to change of a contact.
#[derive(Debug, Serialize, ToSchema)]
pub struct UpdateContact {
    /// Profile data; merged.
    additional_attributes: Option<AdditionalAttributes>,
    /// `online` or `offline`.
    #[schema(pattern = "^(online|offline)$", example = "offline")]
    availability_status: Option<String>,
    /// E-mail address; `null` clears.
    #[schema(max_length = 255, example = "support@jiguang.cn")]
    email: Option<String>,
    /// Display name.
    #[schema(max_length = 255, example = "support")]
    name: Option<String>,
    /// Phone number in E.164; `null` clears.
    #[schema(pattern = r"^\+[1-9][0-9]{1,14}$", example = "+123456789")]
    phone_number: Option<String>,
    /// Whether the person is blocked.
    blocked: Option<bool>,
    /// Your own id of the person (UserID); `null` clears.
    #[schema(max_length = 255, example = "2222")]
    identifier: Option<String>,
    /// URL of a picture; an empty text clears. `avatar_url` is the same.
    #[schema(max_length = 2048, example = "")]
    thumbnail: Option<String>,
    /// Last activity in Unix seconds; `null` clears.
    #[schema(minimum = 0, maximum = 253_402_300_799_i64, example = 1_765_441_908)]
    last_activity_at: Option<i64>,
    /// Fields that the project defines; merged: `null` under a key removes it.
    #[schema(value_type = Option<Object>, example = json!({"vip_level": "platinum"}))]
    custom_attributes: Option<serde_json::Value>,
    /// Creation in Unix seconds.
    #[schema(minimum = 0, maximum = 253_402_300_799_i64, example = 1_765_441_895)]
    created_at: Option<i64>,
    /// Given name; makes `name` where the body has none.
    #[schema(max_length = 255, example = "support")]
    first_name: Option<String>,
    /// Family name; makes `name` where the body has none.
    #[schema(max_length = 255, example = "")]
    last_name: Option<String>,
}

/// Writes to be done in order.
#[derive(Debug, Serialize, ToSchema)]
pub struct Batch {
    /// Whether all are done or none; each is on its own when absent.
    #[schema(example = false)]
    atomic: Option<bool>,
    /// The writes.
    #[schema(min_items = 1, max_items = 1000)]
    operations: Vec<BatchOperation>,
}

/// One write of a batch.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BatchOperation)]
pub struct BatchOperation {
    /// `create`, `update`, `upsert` or `delete`.
    #[schema(pattern = "^(create|update|upsert|delete)$", example = "upsert")]
    op: String,
    /// Which contact, for `update` and `delete`.
    #[schema(example = 2_219_259)]
    id: Option<i64>,
    /// The body that the route of its own has; not for `delete`.
    #[schema(value_type = Option<Object>, example = json!({"inbox_id": 1, "email": "alice@acme.inc"}))]
    contact: Option<serde_json::Value>,
}

/// Contacts to be looked up.
#[derive(Debug, Serialize, ToSchema)]
pub struct LookUpContacts {
    /// What to look for.
    #[schema(min_items = 1, max_items = 1000)]
    keys: Vec<LookUpKey>,
}

/// What one contact is looked up by; exactly one of the members.
#[derive(Debug, Serialize, ToSchema)]
pub struct LookUpKey {
    /// The contact's number.
    #[schema(example = 2_219_259)]
    id: Option<i64>,
    /// Your own id of the person (UserID).
    #[schema(max_length = 255, example = "1234567890")]
    identifier: Option<String>,
    /// E-mail address.
    #[schema(max_length = 255, example = "alice@acme.inc")]
    email: Option<String>,
    /// Phone number in E.164.
    #[schema(pattern = r"^\+[1-9][0-9]{1,14}$", example = "+123456789")]
    phone_number: Option<String>,
}

/// What to undo.
#[derive(Debug, Serialize, ToSchema)]
pub struct RevertContact {
    /// The event.
    #[schema(example = 17)]
    seq: i64,
    /// The one field of it to undo; all of them when absent.
    #[schema(example = "custom_attributes")]
    field: Option<String>,
    /// The member, where the field is one of the two maps.
    #[schema(example = "vip_level")]
    key: Option<String>,
}

/// A contact's labels.
#[derive(Debug, Serialize, ToSchema)]
pub struct SetLabels {
    /// The titles; they replace those that the contact has.
    #[schema(example = json!(["vip"]))]
    labels: Vec<String>,
}

/// A channel to be made.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreateInbox {
    /// The Channel ID, where you choose it.
    #[schema(minimum = 1, maximum = 4_503_599_627_370_495_i64, example = 407)]
    id: Option<i64>,
    /// What people call it.
    #[schema(max_length = 255, example = "Kundendienstkanal")]
    name: String,
    /// The kind of channel.
    #[schema(pattern = "^Channel::Api$", example = "Channel::Api")]
    channel_type: Option<String>,
}

/// What to change of a channel.
#[derive(Debug, Serialize, ToSchema)]
pub struct UpdateInbox {
    /// What people call it.
    #[schema(max_length = 255, example = "Kundendienstkanal")]
    name: Option<String>,
}

/// A key to be made.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreateKey {
    /// What people call it.
    #[schema(max_length = 255, example = "CRM sync")]
    name: String,
    /// What it may do: `administrator`, `agent` or `read_only`.
    #[schema(pattern = "^(administrator|agent|read_only)$", example = "agent")]
    role: String,
    /// When it ends; never when absent.
    #[schema(format = DateTime, example = "2027-11-20T08:00:00Z")]
    expires_at: Option<String>,
}

/// What to change of a key.
#[derive(Debug, Serialize, ToSchema)]
pub struct UpdateKey {
    /// What people call it.
    #[schema(max_length = 255, example = "CRM sync")]
    name: Option<String>,
    /// What it may do: `administrator`, `agent` or `read_only`.
    #[schema(pattern = "^(administrator|agent|read_only)$", example = "agent")]
    role: Option<String>,
    /// When it ends; `null` for never.
    #[schema(format = DateTime, example = "2027-11-20T08:00:00Z")]
    expires_at: Option<String>,
}

/// How to rotate a key.
#[derive(Debug, Serialize, ToSchema)]
pub struct RotateKey {
    /// How long the old secret stays valid beside the new one.
    #[schema(minimum = 0, maximum = 2_592_000, example = 3600)]
    overlap_seconds: Option<i64>,
}

/// A webhook to be made.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreateWebhook {
    /// Where to: http or https, without user and password.
    #[schema(max_length = 2048, example = "https://crm.example.com/hooks/meishi")]
    url: String,
    /// Of what: `contact.created`, `contact.updated`, `contact.deleted`, `contact.restored`,
    /// `contact.erased`.
    #[schema(min_items = 1, example = json!(["contact.created", "contact.updated"]))]
    events: Vec<String>,
    /// The form of the messages: `meishi`, which is the default, or `chatwoot`.
    #[schema(pattern = "^(meishi|chatwoot)$", example = "meishi")]
    format: Option<String>,
    /// Whether it is told of updates that are nothing but activity, too; off by default.
    include_activity: Option<bool>,
}

/// What to change of a webhook.
#[derive(Debug, Serialize, ToSchema)]
pub struct UpdateWebhook {
    /// Where to.
    #[schema(max_length = 2048, example = "https://crm.example.com/hooks/meishi")]
    url: Option<String>,
    /// Of what; the whole list.
    #[schema(min_items = 1, example = json!(["contact.created", "contact.updated"]))]
    events: Option<Vec<String>>,
    /// The form of the messages.
    #[schema(pattern = "^(meishi|chatwoot)$", example = "meishi")]
    format: Option<String>,
    /// Whether it is told of updates that are nothing but activity, too.
    include_activity: Option<bool>,
    /// `paused` lets it wait, `enabled` sets it to work again.
    #[schema(pattern = "^(enabled|paused)$", example = "enabled")]
    state: Option<String>,
}

/// How to rotate a webhook's secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct RotateWebhook {
    /// How long messages are signed with the old secret too.
    #[schema(minimum = 0, maximum = 2_592_000, example = 3600)]
    overlap_seconds: Option<i64>,
}

/// Which deliveries to make once more: `seq`, or `from` and `to`, or `failed`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"failed": true}))]
pub struct Redeliver {
    /// That of this event.
    #[schema(minimum = 1, example = 17)]
    seq: Option<i64>,
    /// Those of the events from this one.
    #[schema(minimum = 1, example = 17)]
    from: Option<i64>,
    /// The last event, where `from` is the first.
    #[schema(minimum = 1, example = 40)]
    to: Option<i64>,
    /// All that were given up.
    failed: Option<bool>,
}

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

fn error_response(error: &ApiError, schema: &str, description: &str) -> Response {
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
            Some(include_str!("../fixtures/create-request.json")),
            include_str!("../fixtures/create-response-meishi.json"),
        ),
        Some("updateContact") => (
            Some(include_str!("../fixtures/update-request.json")),
            include_str!("../fixtures/update-response-meishi.json"),
        ),
        Some("listContacts" | "filterContacts") => {
            (None, include_str!("../fixtures/list-response.json"))
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
