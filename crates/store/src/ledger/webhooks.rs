//! Webhooks, and deliveries that are made once more. How deliveries come and go otherwise is no
//! change of the account: the stores' `deliveries.rs`.

use std::collections::{BTreeMap, BTreeSet};

use meishi_contacts::{
    ContactId, EventBody, Fault, FaultCode, Field, FieldChange, NewWebhook, Seq, StoredWebhook,
    UnixMillis, Webhook, WebhookId, WebhookPatch, WebhookState,
    limits::{REDELIVERIES, WEBHOOKS},
};
use serde_json::Value;

use super::{Count, Ledger, Step};
use crate::{ChangeError, DeliveryState, Missing, Outcome, Redelivery};

/// What of a delivery a call can change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeliveryRow {
    pub(crate) contact: ContactId,
    pub(crate) state: DeliveryState,
    /// How many attempts were made since it was last begun.
    pub(crate) tries: i64,
    pub(crate) next_at: Option<UnixMillis>,
}

/// Makes a webhook, which looks at the events after its own.
pub(super) fn create(step: &mut Step<'_>, new: &NewWebhook) -> Result<Outcome, ChangeError> {
    let ledger = &mut *step.ledger;
    if ledger.counted(Count::Webhooks) + ledger.webhooks.growth() >= WEBHOOKS {
        let message = format!("Webhooks are too many (maximum is {WEBHOOKS})");
        let fault = Fault::new("url", FaultCode::LimitExceeded, message).at(String::new());
        return Err(ChangeError::Faults(vec![fault]));
    }
    ledger.counters.last_webhook_id += 1;
    let id = WebhookId(ledger.counters.last_webhook_id);
    let webhook = Webhook {
        id,
        url: new.url.clone(),
        events: new.events.clone(),
        format: new.format,
        include_activity: new.include_activity,
        state: WebhookState::Enabled,
        state_reason: None,
        created_at: step.cx.at,
        failing_since: None,
        previous_until: None,
    };
    let cursor = step.record(EventBody::WebhookCreated(webhook.clone()));
    let ledger = &mut *step.ledger;
    let stored = StoredWebhook {
        account: ledger.account,
        webhook: webhook.clone(),
        secret: new.secret.clone(),
        previous_secret: None,
        cursor,
    };
    ledger.webhooks.put(id, stored);
    Ok(Outcome::WebhookCreated(webhook))
}

/// Changes a webhook. One that is set to work again, or that has a new URL, begins as if it had never
/// failed.
pub(super) fn update(
    step: &mut Step<'_>,
    id: WebhookId,
    patch: &WebhookPatch,
) -> Result<Outcome, ChangeError> {
    let mut stored = expect(step, id)?.clone();
    let webhook = &mut stored.webhook;
    let mut changes = Vec::new();
    let mut note = |field, before: Value, after: Value| {
        if before != after {
            changes.push(FieldChange::of(field, before, after));
        }
    };
    if let Some(url) = &patch.url {
        note(Field::Url, webhook.url.as_str().into(), url.as_str().into());
        if webhook.url != *url {
            webhook.failing_since = None;
        }
        webhook.url.clone_from(url);
    }
    if let Some(events) = &patch.events {
        let names = |webhook: &Webhook| -> Value {
            webhook.events.iter().map(|event| event.as_str()).collect()
        };
        let before = names(webhook);
        webhook.events.clone_from(events);
        note(Field::Events, before, names(webhook));
    }
    if let Some(format) = patch.format {
        note(Field::Format, webhook.format.as_str().into(), format.as_str().into());
        webhook.format = format;
    }
    if let Some(include) = patch.include_activity {
        note(Field::IncludeActivity, webhook.include_activity.into(), include.into());
        webhook.include_activity = include;
    }
    if let Some(state) = patch.state.filter(|state| *state != webhook.state) {
        note(Field::State, webhook.state.as_str().into(), state.as_str().into());
        webhook.state = state;
        webhook.state_reason = None;
        webhook.failing_since = None;
    }
    let webhook = webhook.clone();
    if !changes.is_empty() {
        step.ledger.webhooks.put(id, stored);
        step.record(EventBody::WebhookUpdated { id, changes });
    }
    Ok(Outcome::WebhookUpdated(webhook))
}

/// Gives a webhook a new secret; the present one signs beside it for a while.
pub(super) fn rotate(
    step: &mut Step<'_>,
    id: WebhookId,
    secret: &str,
    overlap_seconds: i64,
) -> Result<Outcome, ChangeError> {
    let mut stored = expect(step, id)?.clone();
    let previous_until = step.cx.at.plus_seconds(overlap_seconds);
    stored.webhook.previous_until = Some(previous_until);
    stored.previous_secret = Some(std::mem::replace(&mut stored.secret, secret.to_owned()));
    let webhook = stored.webhook.clone();
    step.ledger.webhooks.put(id, stored);
    step.record(EventBody::WebhookRotated { id, previous_until });
    Ok(Outcome::WebhookRotated(webhook))
}

/// Deletes a webhook.
pub(super) fn delete(step: &mut Step<'_>, id: WebhookId) -> Result<Outcome, ChangeError> {
    let webhook = expect(step, id)?.webhook.clone();
    step.ledger.webhooks.remove(id);
    step.record(EventBody::WebhookDeleted(webhook));
    Ok(Outcome::WebhookDeleted)
}

impl Ledger {
    /// Notes deliveries of contacts that others are to be made once more of: the oldest of each
    /// contact that is not settled.
    pub(crate) fn load_unsettled(&mut self, webhook: WebhookId, rows: Vec<(Seq, DeliveryRow)>) {
        for (seq, row) in rows {
            self.deliveries.load((webhook, seq), row);
        }
    }

    /// What of a webhook is to be sent and not settled, by contact, the oldest first.
    fn unsettled(&self, webhook: WebhookId) -> BTreeMap<ContactId, BTreeSet<Seq>> {
        let mut unsettled: BTreeMap<ContactId, BTreeSet<Seq>> = BTreeMap::new();
        for key in self.deliveries.keys().filter(|(id, _)| *id == webhook) {
            let Some(row) = self.deliveries.get(key) else { continue };
            let is_open = matches!(row.state, DeliveryState::Waiting | DeliveryState::Pending);
            if is_open && !self.is_erased(row.contact) {
                unsettled.entry(row.contact).or_default().insert(key.1);
            }
        }
        unsettled
    }
}

/// Lets deliveries go out once more, those of one contact one after the other: of all that is not
/// settled the oldest is pending, and the others wait.
pub(super) fn redeliver(
    step: &mut Step<'_>,
    id: WebhookId,
    which: Redelivery,
) -> Result<Outcome, ChangeError> {
    expect(step, id)?;
    let ledger = &mut *step.ledger;
    let mut seqs = ledger.redeliverable.get(&(id, which)).cloned().unwrap_or_default();
    let next_from = seqs.get(REDELIVERIES).copied();
    seqs.truncate(REDELIVERIES);
    let mut unsettled = ledger.unsettled(id);
    let mut again = Vec::new();
    for seq in seqs {
        let Some(row) = ledger.deliveries.get(&(id, seq)) else { continue };
        // What was erased has nothing left to be sent.
        let erased = ledger.is_erased(row.contact);
        if erased || row.state == DeliveryState::Erased {
            continue;
        }
        unsettled.entry(row.contact).or_default().insert(seq);
        again.push((seq, row.contact));
    }
    let count = again.len();
    if count == 0 && matches!(which, Redelivery::One(_)) {
        return Err(ChangeError::NotFound(Missing::Delivery));
    }
    let (again, contacts): (BTreeSet<Seq>, BTreeSet<ContactId>) = again.into_iter().unzip();
    for contact in contacts {
        let of_contact = unsettled.get(&contact).into_iter().flatten();
        for (place, seq) in of_contact.enumerate() {
            let is_first = place == 0;
            let Some(mut row) = ledger.deliveries.get(&(id, *seq)).cloned() else { continue };
            // One that is not asked for changes only where an older one comes before it.
            let is_overtaken = !is_first && row.state == DeliveryState::Pending;
            if !again.contains(seq) && !is_overtaken {
                continue;
            }
            row.state = if is_first { DeliveryState::Pending } else { DeliveryState::Waiting };
            row.next_at = is_first.then_some(step.cx.at);
            row.tries = 0;
            ledger.deliveries.put((id, *seq), row);
        }
    }
    Ok(Outcome::Redelivering { count, next_from })
}

fn expect<'a>(step: &'a Step<'_>, id: WebhookId) -> Result<&'a StoredWebhook, ChangeError> {
    step.ledger.webhooks.get(&id).ok_or(ChangeError::NotFound(Missing::Webhook))
}
