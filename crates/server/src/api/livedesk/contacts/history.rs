//! `GET /api/v2/accounts/contacts/:id/history`: what happened to a contact, the newest first.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use meishi_contacts::{
    AccountId, Contact, ContactId, Event, EventBody, Fault, Field, FieldPath, Seq,
    limits::{HISTORY_EVENTS, HISTORY_ROWS},
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    ApiError, App,
    api::feed::event::EventView,
    auth::Reader,
    cursor::{self, Position, Question},
    openapi::ErrorBody,
    paging::{ByCursor, page_size},
    params::{Params, PathId},
};

/// A part of a contact's history.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ContactHistory)]
pub struct Answer<'a> {
    meta: Meta,
    payload: Vec<EventView<'a>>,
}

/// What there is to say of a part of a history.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ContactHistoryMeta)]
pub struct Meta {
    /// Whether there is more; a part may be empty and still have more after it.
    has_more: bool,
    /// Where it goes on; `null` at the end.
    #[schema(required = true, example = "AZ1vJp0m2c3kAAAAAAAAABFvcGFxdWU")]
    next_cursor: Option<String>,
    /// `false` when the events before these are no longer kept.
    complete: bool,
}

/// Read a contact's history
///
/// Who changed what, when and by which request, the newest first; also of a contact that was
/// deleted. With `field` only the events that touch it. What was erased is left as `tombstone`s.
#[utoipa::path(
    get,
    path = "/api/v2/accounts/contacts/{id}/history",
    tag = "contacts",
    operation_id = "readContactHistory",
    params(
        ("id" = i64, Path, description = "The contact's number", example = 2_219_259),
        ("limit" = Option<i64>, Query, description = "Events at most, 1 to 100, default 15", example = 10),
        ("cursor" = Option<String>, Query, description = "Where to go on: `next_cursor` of the answer before", example = "AZ1vJp0m2c3kAAAAAAAAABFvcGFxdWU"),
        (
            "field" = Option<String>, Query,
            description = "A field (`email`, `labels`, …), one of the maps (`custom_attributes`) \
                           or a member of one (`custom_attributes.vip_level`)",
            example = "custom_attributes.vip_level",
        ),
    ),
    responses(
        (status = 200, description = "A part of the history", body = Answer<'static>),
        (status = 410, description = "The cursor is of another database, or of one that was restored since", body = ErrorBody),
    ),
)]
pub async fn history(
    Reader(caller): Reader,
    State(app): State<App>,
    PathId(id): PathId<ContactId>,
    params: Params,
) -> Result<Response, ApiError> {
    let field = match params.get("field").filter(|field| !field.is_empty()) {
        None => None,
        Some(name) => Some(field(name).ok_or_else(|| {
            vec![Fault::invalid("field", "is none of a contact").at("?field".to_owned())]
        })?),
    };
    let asked = ByCursor::asked(&params)?;
    let ByCursor { limit, cursor } =
        asked.unwrap_or_else(|| ByCursor { limit: page_size(&params), cursor: None });
    let (question, database) =
        (question(caller.account, id, field.as_ref()), app.store.database().await?);
    let from = match cursor {
        None => None,
        Some(cursor) => {
            let mut reader = cursor::Reader::open(&cursor, &database, &question)?;
            let seq = reader.number().map(Seq);
            Some(reader.finish(seq)?)
        }
    };
    let part = read(&app, caller.account, id, from, limit, field.as_ref()).await?;
    let seal = |next: Seq| Position::default().number(next.0).seal(&database, &question);
    let meta = Meta {
        has_more: part.next.is_some(),
        next_cursor: part.next.map(seal),
        complete: !part.dropped,
    };
    // Events of a contact are alike for all who may read.
    let shown = |event| EventView::new(event, false);
    let payload = part.events.iter().map(shown).collect();
    Ok(Json(Answer { meta, payload }).into_response())
}

/// A part of a history that went through the filter.
struct Part {
    events: Vec<Event>,
    next: Option<Seq>,
    dropped: bool,
}

async fn read(
    app: &App,
    account: AccountId,
    id: ContactId,
    from: Option<Seq>,
    limit: usize,
    field: Option<&FieldPath>,
) -> Result<Part, ApiError> {
    let mut part = Part { events: Vec::new(), next: from, dropped: false };
    let mut looked_at = 0;
    loop {
        // Without a filter none is read that is not shown.
        let rows = field.map_or(limit - part.events.len(), |_| HISTORY_ROWS);
        let page = app.store.history(account, id, part.next, rows).await?;
        let page = page.ok_or(ApiError::NotFound)?;
        looked_at += page.events.len();
        let mut events = page.events.into_iter();
        while part.events.len() < limit {
            let Some(event) = events.next() else { break };
            if field.is_none_or(|field| touches(&event.body, field)) {
                part.events.push(event);
            }
        }
        if let Some(unseen) = events.next() {
            part.next = Some(unseen.seq);
            return Ok(part);
        }
        part.next = page.next;
        part.dropped = page.dropped;
        let is_full = part.events.len() == limit || looked_at >= HISTORY_EVENTS;
        if is_full || part.next.is_none() {
            return Ok(part);
        }
    }
}

/// Whether an event tells of a field: changes it, or is a card that has something in it.
fn touches(body: &EventBody, path: &FieldPath) -> bool {
    match body {
        EventBody::ContactUpdated { changes, .. } => changes.iter().any(|change| {
            change.field == path.field && (path.key.is_none() || change.key == path.key)
        }),
        EventBody::ContactCreated(card)
        | EventBody::ContactRestored(card)
        | EventBody::ContactDeleted(card) => has(&card.contact, path),
        _ => false,
    }
}

fn has(contact: &Contact, path: &FieldPath) -> bool {
    match (path.field, &path.key) {
        (Field::AdditionalAttributes, None) => !contact.additional_attributes.to_map().is_empty(),
        (Field::CustomAttributes, None) => !contact.custom_attributes.to_map().is_empty(),
        _ => match contact.value(path) {
            None => false,
            Some(Value::Null) => path.key.is_some(),
            Some(Value::String(text)) => path.key.is_some() || !text.is_empty(),
            Some(Value::Array(entries)) => path.key.is_some() || !entries.is_empty(),
            Some(_) => true,
        },
    }
}

/// `email`, `custom_attributes`, `custom_attributes.vip`; what follows the first dot is the key.
fn field(name: &str) -> Option<FieldPath> {
    match name.split_once('.') {
        None => Field::of_contact(name).map(FieldPath::from),
        Some((map, key)) => {
            let field = Field::of_contact(map).filter(|field| field.is_map())?;
            Some(FieldPath { field, key: Some(key.to_owned()) })
        }
    }
}

/// What a cursor of the history goes on with.
fn question(account: AccountId, id: ContactId, field: Option<&FieldPath>) -> Question {
    let field = field.map(FieldPath::pointer).unwrap_or_default();
    Question::of("history", account).with(id.0.to_be_bytes()).with(field)
}
