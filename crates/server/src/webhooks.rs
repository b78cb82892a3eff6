//! What a webhook's endpoint is sent: an event in the form that the webhook asks for.
//!
//! `meishi.rs` is our own form, `chatwoot.rs` the one of Chatwoot, `describe.rs` puts both into the
//! API description. Both are promises to consumers: members are added, never renamed, retyped or
//! removed. The same event, contact and account give the same bytes.
//!
//! To send one more event: a variant of [`What`], and what the two forms say of it. Which events
//! there are to select, how a message is signed and when it is sent again is in
//! `contacts/src/webhook/`.

mod chatwoot;
mod describe;
mod meishi;
mod worker;

use meishi_contacts::{
    Actor, Contact, ContactId, Event, EventBody, FieldChange, Seq, UnixMillis,
    webhook::{PayloadForm, WebhookEvent},
};
use meishi_store::Account;
use serde::Serialize;

pub(crate) use chatwoot::{ChatwootContact, ChatwootErased};
pub(crate) use describe::describe;
pub(crate) use meishi::{ContactMessage, ErasedMessage};
pub use worker::Worker;

/// The body of the message that tells of an event; `None` for an event that webhooks are not told
/// of, and for an update without the contact as it was right after it.
pub fn render(
    form: PayloadForm,
    account: &Account,
    event: &Event,
    after: Option<&Contact>,
) -> Option<Vec<u8>> {
    let what = What::of(&event.body, after)?;
    let (at, actor) = (event.at, event.actor);
    let notice = Notice { account, seq: event.seq, at, actor, request_id: &event.request_id, what };
    Some(match form {
        PayloadForm::Meishi => meishi::render(&notice),
        PayloadForm::Chatwoot => chatwoot::render(&notice),
    })
}

/// An event with all that its message says.
struct Notice<'a> {
    account: &'a Account,
    seq: Seq,
    at: UnixMillis,
    actor: Actor,
    request_id: &'a str,
    what: What<'a>,
}

/// What happened to a contact.
enum What<'a> {
    /// The contact as it was created.
    Created(&'a Contact),
    /// The contact as it became, and how it differs.
    Updated(&'a Contact, &'a [FieldChange]),
    /// The contact as it last was.
    Deleted(&'a Contact),
    /// The contact as it was brought back.
    Restored(&'a Contact),
    /// Nothing but its number.
    Erased(ContactId),
}

impl<'a> What<'a> {
    fn of(body: &'a EventBody, after: Option<&'a Contact>) -> Option<Self> {
        match body {
            EventBody::ContactCreated(card) => Some(Self::Created(&card.contact)),
            EventBody::ContactUpdated { changes, .. } => Some(Self::Updated(after?, changes)),
            EventBody::ContactDeleted(card) => Some(Self::Deleted(&card.contact)),
            EventBody::ContactRestored(card) => Some(Self::Restored(&card.contact)),
            EventBody::ContactErased { id } => Some(Self::Erased(*id)),
            EventBody::Tombstone { .. }
            | EventBody::AccountCreated { .. }
            | EventBody::LabelCreated(_)
            | EventBody::LabelUpdated { .. }
            | EventBody::LabelDeleted(_)
            | EventBody::AttributeCreated(_)
            | EventBody::AttributeUpdated { .. }
            | EventBody::AttributeDeleted(_)
            | EventBody::InboxCreated(_)
            | EventBody::InboxUpdated { .. }
            | EventBody::InboxDeleted { .. }
            | EventBody::KeyCreated(_)
            | EventBody::KeyUpdated { .. }
            | EventBody::KeyRotated { .. }
            | EventBody::KeyRevoked(_)
            | EventBody::WebhookCreated(_)
            | EventBody::WebhookUpdated { .. }
            | EventBody::WebhookRotated { .. }
            | EventBody::WebhookDeleted(_) => None,
        }
    }

    const fn event(&self) -> WebhookEvent {
        match self {
            Self::Created(_) => WebhookEvent::ContactCreated,
            Self::Updated(..) => WebhookEvent::ContactUpdated,
            Self::Deleted(_) => WebhookEvent::ContactDeleted,
            Self::Restored(_) => WebhookEvent::ContactRestored,
            Self::Erased(_) => WebhookEvent::ContactErased,
        }
    }
}

/// The bytes of a message, which is made of what JSON can hold.
fn bytes(message: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(message).unwrap_or_default()
}

#[cfg(test)]
mod tests;
