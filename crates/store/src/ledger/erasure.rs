//! Erasing a contact: it goes, and what the record holds of it goes with it.

use std::collections::BTreeSet;

use meishi_contacts::{ContactId, EventBody};

use super::{Ledger, OutcomeKey, Step, Traces, contacts, writes::Erased};
use crate::{ChangeError, ErasureReceipt, Missing, Outcome};

/// Erases a contact, be it there or deleted before. One that was erased before is as it is.
pub(super) fn erase(step: &mut Step<'_>, id: ContactId) -> Result<Outcome, ChangeError> {
    let is_there = step.ledger.contacts.get(&id).is_some();
    // A contact that is gone has no version that could be expected.
    if is_there || step.cx.precondition.is_some() {
        contacts::expect(step, id)?;
    }
    let ledger = &mut *step.ledger;
    let last = ledger.last_event(id).ok_or(ChangeError::NotFound(Missing::Contact))?;
    let before = ledger.erased.iter().rev().find(|erased| erased.id == id);
    let traces = match before {
        Some(_) => Traces::default(),
        None => ledger.traces.get(&id).cloned().unwrap_or_default(),
    };
    let known = before.map_or(0, |erased| erased.fresh_events);
    let fresh = ledger.events.iter().skip(known).filter(|new| tells_of(&new.event.body, id));
    let mut receipt = ErasureReceipt {
        seq: last,
        contact: is_there,
        identities: 0,
        links: 0,
        events: traces.events.len() + fresh.count(),
        outcomes: forget_outcomes(ledger, id, &traces.outcomes),
        deliveries: traces.deliveries,
    };
    // Of one that is there something is left even where retention took all its events away.
    if !is_there && receipt.events == 0 {
        return Ok(Outcome::ContactErased(receipt));
    }
    if let Some(stored) = ledger.contacts.get(&id).cloned() {
        for identity in stored.contact.identities() {
            ledger.identities.remove(identity);
            receipt.identities += 1;
        }
        for link in contacts::links(ledger, id) {
            ledger.links.remove((link.inbox.id, link.source_id));
            receipt.links += 1;
        }
        ledger.counters.contacts -= 1;
        ledger.counters.resolved_contacts -= i64::from(stored.contact.is_resolved());
    }
    let fresh_events = ledger.events.len();
    let has_deliveries = traces.deliveries > 0;
    ledger.erased.push(Erased { id, events: traces.events, has_deliveries, fresh_events });
    receipt.seq = step.record(EventBody::ContactErased { id });
    step.ledger.contacts.remove(id);
    step.ledger.deleted_contacts.put(id, receipt.seq);
    Ok(Outcome::ContactErased(receipt))
}

/// Whether an event holds something of the contact.
pub(super) fn tells_of(body: &EventBody, id: ContactId) -> bool {
    let is_empty = matches!(body, EventBody::Tombstone { .. } | EventBody::ContactErased { .. });
    !is_empty && body.contact() == Some(id)
}

/// Takes the contact out of kept outcomes: a repeat of such a call finds nothing any more.
fn forget_outcomes(ledger: &mut Ledger, id: ContactId, loaded: &BTreeSet<OutcomeKey>) -> usize {
    let tells = |key: &&OutcomeKey| {
        ledger.outcomes.get(key).is_some_and(|kept| kept.contacts.contains(&id))
    };
    let keys: BTreeSet<OutcomeKey> =
        ledger.outcomes.keys().filter(tells).chain(loaded).cloned().collect();
    let mut forgotten = 0;
    for key in keys {
        let Some(mut kept) = ledger.outcomes.get(&key).cloned() else { continue };
        kept.forget(id);
        ledger.outcomes.put(key, kept);
        forgotten += 1;
    }
    forgotten
}
