//! `POST /api/v2/accounts/contacts/:id/erase`: takes a person out of the record.

use axum::{Json, extract::State};
use meishi_contacts::{ContactId, Seq};
use meishi_store::{Change, Outcome};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    ApiError, App,
    api::{apply_one, rfc3339, unexpected},
    auth::Administrator,
    conditional::IfMatch,
    idempotency::NoBody,
    params::PathId,
};

/// The receipt of an erasure.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ErasureAnswer)]
pub struct Answer {
    payload: Receipt,
}

/// What was erased: counts, and nothing of the person.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ErasureReceipt)]
pub struct Receipt {
    /// The contact's number.
    #[schema(example = 2_219_259)]
    contact_id: i64,
    /// The event that tells of the erasure.
    #[schema(example = 18)]
    seq: i64,
    /// When that was; `null` when the event is no longer kept.
    #[schema(required = true, format = DateTime, example = "2026-11-20T08:00:00Z")]
    erased_at: Option<String>,
    /// Whether the contact was still there; `false` when it was deleted before.
    contact: bool,
    /// Addresses that were its own and are free.
    #[schema(example = 2)]
    identities: usize,
    /// Links to channels.
    #[schema(example = 1)]
    links: usize,
    /// Earlier events that are tombstones now.
    #[schema(example = 5)]
    events: usize,
    /// Kept outcomes of calls with an idempotency key.
    #[schema(example = 1)]
    idempotency_outcomes: usize,
    /// Webhook deliveries whose payload and answers are gone.
    #[schema(example = 3)]
    deliveries: usize,
}

/// Erase a contact
///
/// For administrators. The contact goes, be it there or deleted before, and its personal data goes
/// from events (each number stays, as a tombstone), addresses, kept outcomes and deliveries. There
/// is no way back. What was erased before is answered with the event that told of it. Backups keep
/// what they hold.
#[utoipa::path(
    post,
    path = "/api/v2/accounts/contacts/{id}/erase",
    tag = "contacts",
    operation_id = "eraseContact",
    params(("id" = i64, Path, description = "The contact's number", example = 2_219_259)),
    responses((status = 200, description = "What was erased", body = Answer)),
)]
pub async fn erase(
    Administrator(caller): Administrator,
    State(app): State<App>,
    PathId(id): PathId<ContactId>,
    condition: IfMatch,
) -> Result<Json<Answer>, ApiError> {
    let request = caller.context(&app, NoBody).only_if(condition);
    let outcome = apply_one(&app, request, Change::EraseContact { id }).await?;
    let Outcome::ContactErased(receipt) = outcome else { return Err(unexpected(&outcome)) };
    // The event's own time: the erasure may be an earlier one.
    let seq = receipt.seq;
    let told = app.store.events(caller.account, Seq(seq.0 - 1), 1).await?;
    let told = told.first().filter(|event| event.seq == seq);
    let payload = Receipt {
        contact_id: id.0,
        seq: seq.0,
        erased_at: told.map(|event| rfc3339(event.at)),
        contact: receipt.contact,
        identities: receipt.identities,
        links: receipt.links,
        events: receipt.events,
        idempotency_outcomes: receipt.outcomes,
        deliveries: receipt.deliveries,
    };
    Ok(Json(Answer { payload }))
}
