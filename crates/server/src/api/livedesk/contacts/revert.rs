//! `POST /api/v2/accounts/contacts/:id/revert`: undoes an event, or one field of it.

use axum::extract::State;
use meishi_contacts::{ContactId, Fault, FaultCode, Field, FieldPath, Seq};
use meishi_store::{Change, Outcome};
use serde_json::Value;

use super::{
    integer,
    view::{ContactAnswer, represent},
};
use crate::{
    ApiError, App,
    api::{apply_one, unexpected},
    auth::Agent,
    body::Fields,
    conditional::{IfMatch, Representation},
    openapi::{RevertConflict, RevertContact},
    params::{Params, PathId},
    past,
};

/// Undo an event of a contact
///
/// Gives the fields that an event changed, or the one that is named, back what they were before, as
/// a new event; undoing a deletion brings the contact back under its number. Refuses with the
/// fields in question when they were changed again since. What is as it was before is no error.
#[utoipa::path(
    post,
    path = "/api/v2/accounts/contacts/{id}/revert",
    tag = "contacts",
    operation_id = "revertContact",
    params(
        ("id" = i64, Path, description = "The contact's number", example = 2_219_259),
        (
            "include_contact_inboxes" = Option<bool>, Query,
            description = "Whether the answer shows the contact's channels; on unless it is \
                           something else than true or 1",
        ),
    ),
    request_body(content(
        (RevertContact = "application/json"),
        (RevertContact = "application/x-www-form-urlencoded"),
    )),
    responses(
        (status = 200, description = "The contact after it", body = ContactAnswer<'static>),
        (status = 409, description = "Later changes stand in the way", body = RevertConflict),
    ),
)]
pub async fn revert(
    Agent(caller): Agent,
    State(app): State<App>,
    PathId(id): PathId<ContactId>,
    params: Params,
    condition: IfMatch,
    body: Fields,
) -> Result<Representation, ApiError> {
    let mut faults = Vec::new();
    let (seq, only) = (seq(&body, &mut faults), only(&body, &mut faults));
    let (Some(seq), true) = (seq, faults.is_empty()) else {
        if !past::is_known(&*app.store, caller.account, id).await? {
            return Err(ApiError::NotFound);
        }
        return Err(faults.into());
    };
    let change = Change::RevertContact { id, seq, only };
    let request = caller.context(&app, &body).only_if(condition);
    match apply_one(&app, request, change).await? {
        Outcome::ContactReverted(record) => {
            represent(&record, params.is_on_by_default("include_contact_inboxes"))
        }
        other => Err(unexpected(&other)),
    }
}

/// Which event.
fn seq(body: &Fields, faults: &mut Vec<Fault>) -> Option<Seq> {
    let fault = match body.members.get("seq") {
        None | Some(Value::Null) => Fault::new("seq", FaultCode::Blank, "Seq can't be blank"),
        Some(value) => match integer(value) {
            Some(seq) => return Some(Seq(seq)),
            None => Fault::invalid("seq", "must be an integer"),
        },
    };
    faults.push(fault);
    None
}

/// The one field, where only one is to be undone. One of the maps needs the member's key.
fn only(body: &Fields, faults: &mut Vec<Fault>) -> Option<FieldPath> {
    let field = match body.members.get("field") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let field = value.as_str().and_then(Field::of_contact);
            if field.is_none() {
                faults.push(Fault::invalid("field", "is none of a contact"));
                return None;
            }
            field
        }
    };
    let key = match body.members.get("key") {
        None | Some(Value::Null) => None,
        Some(Value::String(key)) => Some(key.clone()),
        Some(_) => {
            faults.push(Fault::invalid("key", "must be a string"));
            return None;
        }
    };
    match (field.is_some_and(Field::is_map), &key) {
        (true, None) => {
            faults.push(Fault::new("key", FaultCode::Blank, "Key can't be blank"));
            None
        }
        (false, Some(_)) => {
            let problem = "needs a field that is additional_attributes or custom_attributes";
            faults.push(Fault::invalid("key", problem));
            None
        }
        _ => field.map(|field| FieldPath { field, key }),
    }
}
