//! What a webhook was told and is to be told: each message with its attempts, and once more.

use axum::{Json, extract::State};
use meishi_contacts::{AccountId, Fault, FaultCode, Seq, WebhookId, ids::MAX_ID};
use meishi_store::{Attempt, Change, Delivery, DeliveryQuery, DeliveryState, Outcome, Redelivery};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    ApiError, App,
    api::{apply_one, livedesk::contacts::integer, rfc3339, unexpected},
    auth::Administrator,
    body::Fields,
    cursor::{self, Position, Question},
    openapi::{ErrorBody, Redeliver},
    paging::{ByCursor, page_size},
    params::{Params, PathId, PathIds},
};

/// An event for a webhook.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub struct DeliveryView {
    /// The event's number in its account.
    #[schema(example = 17)]
    seq: i64,
    /// The message's id, as `webhook-id` has it: the same in all attempts.
    #[schema(example = "3f0d7c62-9d35-4c6b-8c64-0a3b1f0c5d11")]
    id: String,
    /// What happened.
    #[serde(rename = "type")]
    #[schema(example = "contact.updated")]
    kind: String,
    /// The contact's number.
    #[schema(example = 2_219_259)]
    contact_id: i64,
    /// `waiting` (for an earlier message of the same contact), `pending`, `delivered`, `failed`
    /// (given up) or `erased` (with its contact).
    #[schema(
        value_type = String,
        pattern = "^(waiting|pending|delivered|failed|erased)$",
        example = "delivered"
    )]
    state: &'static str,
    /// The attempts so far, the first one first; of many the last ones.
    attempts: Vec<AttemptView>,
    /// When the message was made.
    #[schema(format = DateTime, example = "2026-11-20T08:00:00Z")]
    created_at: String,
    /// Not before then is the next attempt.
    #[schema(required = true, format = DateTime, example = "2026-11-20T08:05:00Z")]
    next_at: Option<String>,
    /// When it was delivered or given up.
    #[schema(required = true, format = DateTime, example = "2026-11-20T08:00:01Z")]
    settled_at: Option<String>,
    /// The message as it is sent, byte for byte; only in the answer for one delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "{\"type\":\"contact.updated\", …}")]
    payload: Option<String>,
}

/// An attempt at a delivery.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeliveryAttempt)]
pub struct AttemptView {
    /// When it began.
    #[schema(format = DateTime, example = "2026-11-20T08:00:00Z")]
    at: String,
    /// How long it took.
    #[schema(example = 120)]
    millis: i64,
    /// The answer's status; `null` where there was no answer.
    #[schema(required = true, example = 204)]
    status: Option<u16>,
    /// The beginning of the answer's body.
    #[schema(required = true, example = "ok")]
    answer: Option<String>,
    /// Why there was no answer, or none that counts.
    #[schema(required = true, example = "timed out connecting")]
    error: Option<String>,
}

impl DeliveryView {
    fn new(delivery: Delivery, with_payload: bool) -> Self {
        let payload = with_payload.then_some(delivery.payload);
        Self {
            seq: delivery.seq.0,
            id: delivery.id,
            kind: delivery.kind,
            contact_id: delivery.contact.0,
            state: delivery.state.as_str(),
            attempts: delivery.attempts.into_iter().map(AttemptView::from).collect(),
            created_at: rfc3339(delivery.created_at),
            next_at: delivery.next_at.map(rfc3339),
            settled_at: delivery.settled_at.map(rfc3339),
            payload,
        }
    }
}

impl From<Attempt> for AttemptView {
    fn from(attempt: Attempt) -> Self {
        let Attempt { at, millis, status, answer, error } = attempt;
        Self { at: rfc3339(at), millis, status, answer, error }
    }
}

/// Deliveries of a webhook.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryList {
    meta: DeliveryListMeta,
    payload: Vec<DeliveryView>,
}

/// What there is to say of a page of deliveries.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryListMeta {
    /// Whether another page follows.
    #[schema(example = true)]
    has_more: bool,
    /// The `cursor` of the next page; `null` on the last.
    #[schema(required = true, example = "AZ1vJp0m2c3kAAAAAAAAABFvcGFxdWU")]
    next_cursor: Option<String>,
}

/// A delivery, as the answer to a call.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryAnswer {
    payload: DeliveryView,
}

/// How many deliveries are made once more.
#[derive(Debug, Serialize, ToSchema)]
pub struct RedeliveryAnswer {
    payload: RedeliveryCount,
}

/// How many deliveries are made once more.
#[derive(Debug, Serialize, ToSchema)]
struct RedeliveryCount {
    /// So many.
    #[schema(example = 1)]
    count: usize,
    /// The first event that was left over, to go on with; `null` when all that was asked for goes
    /// out.
    #[schema(required = true, example = 1042)]
    next_from: Option<i64>,
}

/// List a webhook's deliveries
///
/// The newest event first.
#[utoipa::path(
    get,
    path = "/api/v2/accounts/webhooks/{id}/deliveries",
    tag = "webhooks",
    operation_id = "listDeliveries",
    params(
        ("id" = i64, Path, description = "The webhook's number", example = 1),
        ("state" = Option<String>, Query, description = "Only those of that state: `waiting`, `pending`, `delivered`, `failed` or `erased`", example = "failed"),
        ("limit" = Option<i64>, Query, description = "Deliveries on a page, 1 to 100, default 15", example = 100),
        ("cursor" = Option<String>, Query, description = "The `meta.next_cursor` of the page before", example = ""),
    ),
    responses(
        (status = 200, description = "A page of deliveries", body = DeliveryList),
        (status = 410, description = "The cursor is of another database, or of one that was restored since", body = ErrorBody),
    ),
)]
pub async fn list(
    Administrator(caller): Administrator,
    State(app): State<App>,
    PathId(id): PathId<WebhookId>,
    params: Params,
) -> Result<Json<DeliveryList>, ApiError> {
    app.store.webhook(caller.account, id).await?.ok_or(ApiError::NotFound)?;
    let state = match params.get("state") {
        None | Some("") => None,
        Some(name) => Some(DeliveryState::parse(name).ok_or_else(unknown_state)?),
    };
    let asked = ByCursor::asked(&params)?;
    let ByCursor { limit, cursor } =
        asked.unwrap_or_else(|| ByCursor { limit: page_size(&params), cursor: None });
    let (question, database) = (question(caller.account, id, state), app.store.database().await?);
    let before = match cursor {
        None => None,
        Some(cursor) => {
            let mut reader = cursor::Reader::open(&cursor, &database, &question)?;
            let seq = reader.number().map(Seq);
            Some(reader.finish(seq)?)
        }
    };
    let query = DeliveryQuery { state, before };
    let mut found = app.store.deliveries(caller.account, id, query, limit + 1).await?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let next_cursor = found.last().filter(|_| has_more).map(|last| {
        let position = Position::default().number(last.seq.0);
        position.seal(&database, &question)
    });
    let payload = found.into_iter().map(|delivery| DeliveryView::new(delivery, false)).collect();
    Ok(Json(DeliveryList { meta: DeliveryListMeta { has_more, next_cursor }, payload }))
}

/// Read a webhook's delivery of an event
#[utoipa::path(
    get,
    path = "/api/v2/accounts/webhooks/{id}/deliveries/{seq}",
    tag = "webhooks",
    operation_id = "readDelivery",
    params(
        ("id" = i64, Path, description = "The webhook's number", example = 1),
        ("seq" = i64, Path, description = "The event's number", example = 17),
    ),
    responses((status = 200, description = "The delivery with its message", body = DeliveryAnswer)),
)]
pub async fn read(
    Administrator(caller): Administrator,
    State(app): State<App>,
    PathIds(id, seq): PathIds<WebhookId, i64>,
) -> Result<Json<DeliveryAnswer>, ApiError> {
    app.store.webhook(caller.account, id).await?.ok_or(ApiError::NotFound)?;
    let delivery = app.store.delivery(caller.account, id, Seq(seq)).await?;
    let payload = DeliveryView::new(delivery.ok_or(ApiError::NotFound)?, true);
    Ok(Json(DeliveryAnswer { payload }))
}

/// Deliver once more
///
/// The delivery of one event (`seq`), those of the events from `from` to `to`, or all that were
/// given up (`failed`): the oldest 1,000 of them; where `next_from` is not `null`, call again, with
/// it as `from`, or with `failed` as before. The messages are the same bytes with the same
/// `webhook-id`, and those of one contact stay in order. A webhook that is paused is told once it is
/// set to work again.
#[utoipa::path(
    post,
    path = "/api/v2/accounts/webhooks/{id}/redeliver",
    tag = "webhooks",
    operation_id = "redeliver",
    params(("id" = i64, Path, description = "The webhook's number", example = 1)),
    request_body(content(
        (Redeliver = "application/json"),
        (Redeliver = "application/x-www-form-urlencoded"),
    )),
    responses((status = 200, description = "How many go out again", body = RedeliveryAnswer)),
)]
pub async fn redeliver(
    Administrator(caller): Administrator,
    State(app): State<App>,
    PathId(id): PathId<WebhookId>,
    body: Fields,
) -> Result<Json<RedeliveryAnswer>, ApiError> {
    let mut faults = Vec::new();
    let which = which(&body, &mut faults);
    super::known_or(&app, &caller, id, faults).await?;
    let Some(which) = which else { return Err(ApiError::Internal) };
    let request = caller.context(&app, &body);
    match apply_one(&app, request, Change::Redeliver { id, which }).await? {
        Outcome::Redelivering { count, next_from } => {
            let next_from = next_from.map(|seq| seq.0);
            Ok(Json(RedeliveryAnswer { payload: RedeliveryCount { count, next_from } }))
        }
        other => Err(unexpected(&other)),
    }
}

/// Which deliveries; `None` with a fault at least.
fn which(body: &Fields, faults: &mut Vec<Fault>) -> Option<Redelivery> {
    let mut number = |name: &str| -> Option<Result<Seq, ()>> {
        let value = body.members.get(name).filter(|value| !value.is_null())?;
        let seq = integer(value).filter(|seq| (1..=MAX_ID).contains(seq));
        if seq.is_none() {
            faults.push(Fault::invalid(name, "must be the number of an event"));
        }
        Some(seq.map(Seq).ok_or(()))
    };
    let (seq, from, to) = (number("seq"), number("from"), number("to"));
    let failed = crate::api::boolean(body, "failed", faults).filter(|failed| *failed);
    let which = match (seq, from, to, failed) {
        (Some(seq), None, None, None) => return seq.ok().map(Redelivery::One),
        (None, Some(from), Some(to), None) => {
            let range = (from.ok()?, to.ok()?);
            if range.0 > range.1 {
                faults.push(Fault::invalid("to", "must not be before from"));
            }
            Some(Redelivery::Range(range.0, range.1))
        }
        (None, None, None, Some(_)) => Some(Redelivery::Failed),
        _ => {
            if faults.is_empty() {
                let message = "Either seq, or from and to, or failed must say which deliveries";
                let fault = Fault::new("seq", FaultCode::Blank, message);
                faults.push(fault.at(String::new()));
            }
            None
        }
    };
    which.filter(|_| faults.is_empty())
}

fn unknown_state() -> ApiError {
    let states = DeliveryState::ALL.map(DeliveryState::as_str).join(", ");
    ApiError::MalformedRequest(format!("state must be one of {states}"))
}

/// What a cursor of the list goes on with.
fn question(account: AccountId, id: WebhookId, state: Option<DeliveryState>) -> Question {
    let state = state.map_or("", DeliveryState::as_str);
    Question::of("deliveries", account).with(id.0.to_be_bytes()).with(state)
}
