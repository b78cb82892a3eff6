//! Our own form: type, time and data, as Standard Webhooks recommends; the contact as the API shows
//! it, and what changed as the event has it.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Notice, What, bytes};
use crate::api::{
    feed::event::{ActorView, EventChange},
    livedesk::contacts::view::ContactView,
    rfc3339,
};

/// What happened to a contact.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookMessage)]
pub(crate) struct ContactMessage<'a> {
    /// What happened.
    #[serde(rename = "type")]
    #[schema(
        value_type = String,
        pattern = r"^contact\.(created|updated|deleted|restored)$",
        example = "contact.updated"
    )]
    kind: &'static str,
    /// When it happened.
    #[schema(format = DateTime, example = "2026-11-20T08:00:00Z")]
    timestamp: String,
    data: ContactData<'a>,
}

/// The contact, and who did what to it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookData)]
struct ContactData<'a> {
    /// Whose contact it is.
    #[schema(example = 1)]
    account_id: i64,
    /// The event's number in its account; a later event has a higher one.
    #[schema(example = 17)]
    seq: i64,
    /// The contact as it was right after the event; as it last was, where it was deleted.
    contact: ContactView<'a>,
    /// What changed, in the order of the contact's members; only of an update.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<EventChange<'static>>, required = false)]
    changes: Option<Vec<EventChange<'a>>>,
    actor: ActorView,
    /// The request that did it, as `X-Request-Id` names it.
    #[schema(value_type = String, example = "3f0d7c62-9d35-4c6b-8c64-0a3b1f0c5d11")]
    request_id: &'a str,
}

/// A contact was erased, and with it what was known of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookErased)]
pub(crate) struct ErasedMessage<'a> {
    /// What happened.
    #[serde(rename = "type")]
    #[schema(value_type = String, pattern = r"^contact\.erased$", example = "contact.erased")]
    kind: &'static str,
    /// When it happened.
    #[schema(format = DateTime, example = "2026-11-20T08:00:00Z")]
    timestamp: String,
    data: ErasedData<'a>,
}

/// The contact's number, and who erased it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookErasedData)]
struct ErasedData<'a> {
    /// Whose contact it was.
    #[schema(example = 1)]
    account_id: i64,
    /// The event's number in its account.
    #[schema(example = 18)]
    seq: i64,
    contact: ErasedContact,
    actor: ActorView,
    /// The request that did it, as `X-Request-Id` names it.
    #[schema(value_type = String, example = "3f0d7c62-9d35-4c6b-8c64-0a3b1f0c5d11")]
    request_id: &'a str,
}

/// What is left of a contact.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookErasedContact)]
struct ErasedContact {
    /// Its number.
    #[schema(example = 2_219_259)]
    id: i64,
}

pub(super) fn render(notice: &Notice<'_>) -> Vec<u8> {
    let (kind, timestamp) = (notice.what.event().as_str(), rfc3339(notice.at));
    let (account_id, seq) = (notice.account.id.0, notice.seq.0);
    let (actor, request_id) = (ActorView::from(notice.actor), notice.request_id);
    let (contact, changes) = match notice.what {
        What::Created(contact) | What::Deleted(contact) | What::Restored(contact) => {
            (contact, None)
        }
        What::Updated(contact, changes) => {
            (contact, Some(changes.iter().map(EventChange::from).collect()))
        }
        What::Erased(id) => {
            let contact = ErasedContact { id: id.0 };
            let data = ErasedData { account_id, seq, contact, actor, request_id };
            return bytes(&ErasedMessage { kind, timestamp, data });
        }
    };
    let contact = ContactView::alone(contact);
    let data = ContactData { account_id, seq, contact, changes, actor, request_id };
    bytes(&ContactMessage { kind, timestamp, data })
}
