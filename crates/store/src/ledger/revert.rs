//! Undoing an event of a contact, as a new event.

use meishi_contacts::{
    Card, Contact, ContactId, Event, EventBody, Fault, FaultCode, Field, FieldChange, FieldPath,
    Label, Seq,
};
use serde_json::Value;

use super::{Step, attributes, contacts, labels};
use crate::{ChangeError, ContactInbox, ContactRecord, Missing, Outcome};

/// Undoes an event of the contact, or one field of it.
pub(super) fn revert(
    step: &mut Step<'_>,
    id: ContactId,
    seq: Seq,
    only: Option<&FieldPath>,
) -> Result<Outcome, ChangeError> {
    let is_known =
        step.ledger.contacts.get(&id).is_some() || step.ledger.deleted_contacts.get(&id).is_some();
    if !is_known {
        return Err(ChangeError::NotFound(Missing::Contact));
    }
    let made = step.ledger.events.iter().map(|new| &new.event).find(|event| event.seq == seq);
    let event = step.ledger.past.get(&seq).or(made);
    let event = event.filter(|event| event.body.contact() == Some(id));
    let Some(Event { body, .. }) = event.cloned() else {
        return Err(refused("seq", "is no event of this contact"));
    };
    // What was loaded of the event is what it was before calls erased it.
    if step.ledger.is_erased(id) {
        return Err(refused("seq", "was erased"));
    }
    match body {
        EventBody::ContactUpdated { changes, .. } => undo(step, id, seq, changes, only),
        EventBody::ContactDeleted(card) if only.is_none() => restore(step, seq, card),
        EventBody::ContactDeleted(_) => Err(refused("field", "is no part of a deletion")),
        EventBody::ContactCreated(_) | EventBody::ContactRestored(_) => {
            Err(refused("seq", "is a creation; delete the contact instead"))
        }
        _ => Err(refused("seq", "was erased")),
    }
}

/// Gives fields back what they were before an update, unless something else was made of them since.
fn undo(
    step: &mut Step<'_>,
    id: ContactId,
    seq: Seq,
    changes: Vec<FieldChange>,
    only: Option<&FieldPath>,
) -> Result<Outcome, ChangeError> {
    let before = contacts::expect(step, id)?.clone();
    let wanted = |change: &FieldChange| only.is_none_or(|only| change.path() == *only);
    let undone: Vec<FieldChange> = changes.into_iter().filter(wanted).collect();
    if undone.is_empty() {
        return Err(refused("field", "was not changed by that event"));
    }
    let mut contact = before.clone();
    let (mut done, mut conflicts) = (Vec::new(), Vec::new());
    for FieldChange { field, key, before: mut was, after: mut made } in undone {
        if field == Field::Labels {
            // A label that was renamed is the same one, and one that is gone stays gone.
            for side in [&mut was, &mut made] {
                let titles = labels_since(step, seq, &labels::told(side.as_ref()))?;
                *side = Some(titles.iter().map(|title| Value::from(title.as_str())).collect());
            }
        }
        let path = FieldPath { field, key };
        let now = before.value(&path);
        if now == was {
            continue;
        }
        let FieldPath { field, key } = path.clone();
        if now != made {
            conflicts.push(FieldChange { field, key, before: made, after: now });
            continue;
        }
        contact.put(&path, was.as_ref()).map_err(|_| refused("seq", "cannot be undone"))?;
        done.push(FieldChange { field, key, before: now, after: was });
    }
    if !conflicts.is_empty() {
        return Err(ChangeError::RevertConflict { id, fields: conflicts });
    }
    let ledger = &mut *step.ledger;
    let mut faults = contacts::held_by_others(ledger, contact.identities(), Some(id));
    faults.extend(contact.oversize(&done));
    faults.extend(attributes::refused_changes(ledger, &done));
    if !faults.is_empty() {
        return Err(ChangeError::Faults(faults));
    }
    if !done.is_empty() {
        contacts::readdress(ledger, &before, &contact);
        contacts::save(step, &mut contact, done);
    }
    Ok(reverted(step, contact))
}

/// Brings a deleted contact back as it last was, with those of its links whose channels are there
/// and those of its labels that are.
fn restore(step: &mut Step<'_>, seq: Seq, card: Card) -> Result<Outcome, ChangeError> {
    let Card { mut contact, contact_inboxes } = card;
    let id = contact.id;
    contact.labels = labels_since(step, seq, &contact.labels)?;
    if step.ledger.contacts.get(&id).is_some() {
        // Brought back already and not deleted since: nothing is left to be undone.
        let present = contacts::expect(step, id)?.clone();
        return Ok(reverted(step, present));
    }
    let ledger = &mut *step.ledger;
    if step.cx.precondition.is_some() {
        return Err(ChangeError::NotFound(Missing::Contact));
    }
    // An earlier deletion would bring back what the contact was then, under a version that it had.
    if ledger.deleted_contacts.get(&id) != Some(&seq) {
        return Err(refused("seq", "is not the contact's last deletion"));
    }
    let mut faults = contacts::held_by_others(ledger, contact.identities(), None);
    let mut links = Vec::new();
    for link in contact_inboxes {
        let key = (link.inbox_id, link.source_id);
        let Some(stored) = ledger.inboxes.get(&key.0) else { continue };
        let inbox = stored.inbox.clone();
        if let Some(holder) = ledger.links.get(&key) {
            faults.push(Fault::taken("source_id", *holder));
        }
        links.push(ContactInbox { source_id: key.1, inbox });
    }
    if !faults.is_empty() {
        return Err(ChangeError::Faults(faults));
    }
    for identity in contact.identities() {
        ledger.identities.put(identity, id);
    }
    for ContactInbox { source_id, inbox } in &links {
        let key = (inbox.id, source_id.clone());
        ledger.link_keys.entry(id).or_default().insert(key.clone());
        ledger.links.put(key, id);
    }
    ledger.counters.contacts += 1;
    ledger.counters.resolved_contacts += i64::from(contact.is_resolved());
    contact.version = contact.version.next();
    let record = ContactRecord { contact, contact_inboxes: links };
    let last_seq = step.record(EventBody::ContactRestored(contacts::card(&record)));
    step.ledger.deleted_contacts.remove(id);
    contacts::put(step.ledger, &record.contact, last_seq);
    Ok(Outcome::ContactReverted(Box::new(record)))
}

/// What the titles that an event tells are now.
fn labels_since(step: &Step<'_>, seq: Seq, titles: &[Label]) -> Result<Vec<Label>, ChangeError> {
    let too_many =
        || refused("seq", "is too long ago: too many labels were renamed or deleted since");
    labels::since(step.ledger, seq, titles).ok_or_else(too_many)
}

fn reverted(step: &Step<'_>, contact: Contact) -> Outcome {
    let contact_inboxes = contacts::links(step.ledger, contact.id);
    Outcome::ContactReverted(Box::new(ContactRecord { contact, contact_inboxes }))
}

fn refused(attribute: &str, problem: &str) -> ChangeError {
    let mut fault = Fault::invalid(attribute, problem);
    fault.code = FaultCode::Invalid;
    ChangeError::Faults(vec![fault])
}
