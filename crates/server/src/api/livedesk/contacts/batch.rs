//! `POST /api/v2/accounts/contacts/batch`: many writes in one call, in order.
//!
//! Each operation is answered as the route of its own would answer it. What is ill-formed is told
//! here; all the others go to the store together.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use meishi_contacts::{
    ContactId, Fault, FaultCode,
    limits::{BATCH_BYTES, BATCH_CHANGES},
};
use meishi_store::{Change, Outcome, StoreError};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    create::{self, Created},
    integer, parse,
    upsert::{self, Answer as Upserted},
    view::ContactAnswer,
};
use crate::{
    ApiError, App,
    api::unexpected,
    auth::Agent,
    body::{Fields, JsonFields},
    openapi::{Batch, Empty},
    params::Params,
    state::ChangeRequest,
};

/// What each operation came to, in order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BatchAnswer)]
pub struct Answer<'a> {
    payload: Vec<Entry<'a>>,
}

/// What one operation came to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BatchEntry)]
pub struct Entry<'a> {
    /// The status that the route of its own would have; 424 where it was not done because another
    /// one failed.
    #[schema(example = 200)]
    status: u16,
    /// The body that the route of its own would have, be it an answer or an error.
    #[schema(value_type = Object)]
    body: Body<'a>,
}

/// The body of an operation's answer.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Body<'a> {
    /// Of `create`.
    Created(Created<'a>),
    /// Of `update`.
    Updated(ContactAnswer<'a>),
    /// Of `upsert`.
    Upserted(Upserted<'a>),
    /// Of `delete`.
    Deleted(Empty),
    /// Of one that failed.
    Failed(Map<String, Value>),
}

/// Write many contacts
///
/// Does up to 1,000 operations in order and shares their commit. Without `atomic` each is done or
/// refused on its own; with it, all are done or none. The answer is 200 and tells in order what the
/// route of each operation would have answered. Limits of a contact are unchanged; the body may
/// have 8 MiB.
#[utoipa::path(
    post,
    path = "/api/v2/accounts/contacts/batch",
    tag = "contacts",
    operation_id = "batchContacts",
    params((
        "include_contact_inboxes" = Option<bool>, Query,
        description = "Whether updates and upserts show the contact's channels; on unless it is \
                       something else than true or 1",
    )),
    request_body(content((
        Batch = "application/json",
        example = json!({
            "atomic": false,
            "operations": [
                {"op": "upsert", "contact": {"inbox_id": 1, "email": "alice@acme.inc", "name": "Alice"}},
                {"op": "update", "id": 2_219_259, "contact": {"custom_attributes": {"vip_level": "gold"}}},
                {"op": "delete", "id": 2_219_260},
            ],
        }),
    ))),
    responses((
        status = 200,
        description = "What each operation came to",
        body = Answer<'static>,
        example = json!({
            "payload": [
                {"status": 200, "body": {}},
                {"status": 404, "body": {
                    "error": "Resource could not be found",
                    "code": "not_found",
                    "request_id": "3f0d7c62-9d35-4c6b-8c64-0a3b1f0c5d11",
                }},
            ],
        }),
    )),
)]
pub async fn batch(
    Agent(caller): Agent,
    State(app): State<App>,
    params: Params,
    JsonFields(body): JsonFields<BATCH_BYTES>,
) -> Result<Response, ApiError> {
    let mut faults = Vec::new();
    let atomic = atomic(&body, &mut faults);
    let operations = operations(&body, &mut faults);
    let (Some(operations), true) = (operations, faults.is_empty()) else {
        return Err(faults.into());
    };
    let parsed = operations.iter().map(change).enumerate().map(|(number, parsed)| {
        let error = |faults| ApiError::from(faults).within(&format!("/operations/{number}"));
        parsed.map_err(error)
    });
    let parsed: Vec<Result<Change, ApiError>> = parsed.collect();
    let results: Results = if atomic && parsed.iter().any(Result::is_err) {
        parsed.into_iter().map(|change| Err(change.err().unwrap_or(ApiError::Skipped))).collect()
    } else {
        apply(&app, caller.context(&app, &body), parsed, atomic).await?
    };
    let include = params.is_on_by_default("include_contact_inboxes");
    let entry = |result| Entry::new(result, include, caller.request_id());
    let payload = results.iter().map(entry).collect::<Result<_, ApiError>>()?;
    Ok(Json(Answer { payload }).into_response())
}

/// What each operation came to.
type Results = Vec<Result<Outcome, ApiError>>;

/// Does the well-formed operations in one call, and puts what they came to between the others.
async fn apply(
    app: &App,
    request: ChangeRequest,
    parsed: Vec<Result<Change, ApiError>>,
    atomic: bool,
) -> Result<Results, ApiError> {
    let mut changes = Vec::new();
    let refused: Vec<Option<ApiError>> =
        parsed.into_iter().map(|parsed| parsed.map(|change| changes.push(change)).err()).collect();
    let applied = if changes.is_empty() {
        Vec::new()
    } else {
        app.apply(request, changes, atomic).await?.results
    };
    let mut applied = applied.into_iter();
    let mut results = Results::new();
    for (number, refused) in refused.into_iter().enumerate() {
        if let Some(error) = refused {
            results.push(Err(error));
            continue;
        }
        let missing = || StoreError::Internal("a change has no result".into());
        let result = applied.next().ok_or_else(missing)?;
        let part = format!("/operations/{number}/contact");
        results.push(result.map_err(|error| ApiError::from(error).within(&part)));
    }
    Ok(results)
}

impl<'a> Entry<'a> {
    fn new(
        result: &'a Result<Outcome, ApiError>,
        include_inboxes: bool,
        request_id: &str,
    ) -> Result<Self, ApiError> {
        let body = match result {
            Ok(Outcome::ContactCreated(record)) => Body::Created(Created::new(record)),
            Ok(Outcome::ContactUpdated(record)) => {
                Body::Updated(ContactAnswer::new(record, include_inboxes))
            }
            Ok(Outcome::ContactUpserted(upserted)) => {
                Body::Upserted(Upserted::new(upserted, include_inboxes))
            }
            Ok(Outcome::ContactDeleted) => Body::Deleted(Empty {}),
            Ok(other) => return Err(unexpected(other)),
            Err(error) => Body::Failed(error.body(request_id)),
        };
        let status = result.as_ref().map_or_else(ApiError::status, |_| StatusCode::OK).as_u16();
        Ok(Self { status, body })
    }
}

/// Whether all are to be done or none.
fn atomic(body: &Fields, faults: &mut Vec<Fault>) -> bool {
    match body.members.get("atomic") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(atomic)) => *atomic,
        Some(_) => {
            faults.push(Fault::invalid("atomic", "must be true or false"));
            false
        }
    }
}

fn operations<'a>(body: &'a Fields, faults: &mut Vec<Fault>) -> Option<&'a [Value]> {
    const NAME: &str = "operations";
    let fault = match body.members.get(NAME) {
        Some(Value::Array(operations)) if operations.len() > BATCH_CHANGES => {
            let message = format!("Operations has too many entries (maximum is {BATCH_CHANGES})");
            Fault::new(NAME, FaultCode::LimitExceeded, message)
        }
        Some(Value::Array(operations)) if !operations.is_empty() => return Some(operations),
        None | Some(Value::Null | Value::Array(_)) => {
            Fault::new(NAME, FaultCode::Blank, "Operations can't be blank")
        }
        Some(_) => Fault::invalid(NAME, "must be a list of objects"),
    };
    faults.push(fault);
    None
}

/// Reads one operation; the pointers of its faults lead into it.
fn change(operation: &Value) -> Result<Change, Vec<Fault>> {
    let Value::Object(members) = operation else {
        let fault = Fault::invalid("operations", "must be a list of objects");
        return Err(vec![fault.at(String::new())]);
    };
    let mut faults = Vec::new();
    let contact = |faults: &mut Vec<Fault>| match members.get("contact") {
        Some(Value::Object(members)) => Some(Fields::within(members.clone())),
        None | Some(Value::Null) => {
            faults.push(Fault::new("contact", FaultCode::Blank, "Contact can't be blank"));
            None
        }
        Some(_) => {
            faults.push(Fault::invalid("contact", "must be an object"));
            None
        }
    };
    let change = match members.get("op").and_then(Value::as_str) {
        Some("create") => contact(&mut faults).map(|contact| create::change(&contact)),
        Some("upsert") => contact(&mut faults).map(|contact| upsert::change(&contact, false)),
        Some("update") => {
            let (id, contact) = (id(members, &mut faults), contact(&mut faults));
            id.zip(contact).map(|(id, contact)| Change::UpdateContact {
                id,
                patch: Box::new(parse::fields(&contact)),
            })
        }
        Some("delete") => id(members, &mut faults).map(|id| Change::DeleteContact { id }),
        _ => {
            faults.push(Fault::invalid("op", "must be create, update, upsert or delete"));
            None
        }
    };
    change.ok_or(faults)
}

/// The contact's number. One that no contact can have is not found, as in a path.
fn id(members: &Map<String, Value>, faults: &mut Vec<Fault>) -> Option<ContactId> {
    let fault = match members.get("id") {
        None | Some(Value::Null) => Fault::new("id", FaultCode::Blank, "Id can't be blank"),
        Some(value) => match integer(value) {
            Some(id) => return Some(ContactId(id)),
            None => Fault::invalid("id", "must be an integer"),
        },
    };
    faults.push(fault);
    None
}
