//! The bodies of errors.

use serde::Serialize;
use utoipa::ToSchema;

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

/// A contact that has changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct VersionMismatch {
    /// What is wrong, for people.
    #[schema(example = "The contact has changed; its version is 4")]
    error: String,
    /// The contact.
    #[schema(example = 2_219_259)]
    contact_id: i64,
    /// The version that the contact has.
    #[schema(example = 4)]
    current_version: i64,
    /// What is wrong, for programs.
    #[schema(example = "version_mismatch")]
    code: String,
    /// The request, as `X-Request-Id` names it.
    #[schema(example = "3f0d7c62-9d35-4c6b-8c64-0a3b1f0c5d11")]
    request_id: String,
}
