//! Contacts, their addresses in the ledger and their links to channels.

use meishi_contacts::{
    Card, Contact, ContactId, ContactLink, ContactPatch, EventBody, Fault, FieldChange, Identity,
    NewContact, Seq, SourceId,
};

use super::{Ledger, Step, StoredContact, attributes};
use crate::{ChangeError, ContactInbox, ContactRecord, Context, Missing, Outcome};

/// Creates a contact and its link.
pub(super) fn create(step: &mut Step<'_>, new: &NewContact) -> Result<Outcome, ChangeError> {
    let ledger = &mut *step.ledger;
    let mut faults = taken(ledger, &new.fields, None);
    let inbox = new.link.as_ref().and_then(|link| ledger.inboxes.get(&link.inbox_id));
    let inbox = inbox.map(|stored| stored.inbox.clone());
    let link = match (&new.link, inbox) {
        (Some(link), Some(inbox)) => {
            let random = || random_source_id(step.cx, step.number);
            let source_id = link.source_id.clone().unwrap_or_else(random);
            if let Some(holder) = ledger.links.get(&(inbox.id, source_id.clone())) {
                faults.push(Fault::taken("source_id", *holder));
            }
            Some(ContactInbox { source_id, inbox })
        }
        _ => None,
    };

    ledger.counters.last_contact_id += 1;
    let id = ContactId(ledger.counters.last_contact_id);
    let mut contact = Contact::blank(id, step.cx.at.seconds());
    let custom = &new.fields.custom_attributes;
    faults.extend(attributes::refused(ledger, &contact.custom_attributes, custom));
    if let Err(limits) = contact.apply(&new.fields) {
        faults.extend(limits);
    }
    if !faults.is_empty() {
        return Err(ChangeError::Faults(faults));
    }
    // The channel is looked at last: a caller mends the fields first.
    if new.link.is_some() && link.is_none() {
        return Err(ChangeError::NotFound(Missing::Inbox));
    }

    for identity in contact.identities() {
        ledger.identities.put(identity, id);
    }
    if let Some(link) = &link {
        let key = (link.inbox.id, link.source_id.clone());
        ledger.link_keys.entry(id).or_default().insert(key.clone());
        ledger.links.put(key, id);
    }
    ledger.counters.contacts += 1;
    ledger.counters.resolved_contacts += i64::from(contact.is_resolved());
    let record = ContactRecord { contact, contact_inboxes: link.into_iter().collect() };
    let last_seq = step.record(EventBody::ContactCreated(card(&record)));
    put(step.ledger, &record.contact, last_seq);
    Ok(Outcome::ContactCreated(Box::new(record)))
}

/// Merges a patch into a contact.
pub(super) fn update(
    step: &mut Step<'_>,
    id: ContactId,
    patch: &ContactPatch,
) -> Result<Outcome, ChangeError> {
    let before = expect(step, id)?.clone();
    let ledger = &mut *step.ledger;
    let mut faults = taken(ledger, patch, Some(id));
    let custom = &patch.custom_attributes;
    faults.extend(attributes::refused(ledger, &before.custom_attributes, custom));
    let mut contact = before.clone();
    let changes = contact.apply(patch).unwrap_or_else(|limits| {
        faults.extend(limits);
        Vec::new()
    });
    if !faults.is_empty() {
        return Err(ChangeError::Faults(faults));
    }
    if !changes.is_empty() {
        readdress(ledger, &before, &contact);
        save(step, &mut contact, changes);
    }
    let contact_inboxes = links(step.ledger, id);
    Ok(Outcome::ContactUpdated(Box::new(ContactRecord { contact, contact_inboxes })))
}

/// Deletes a contact and everything that hangs on it.
pub(super) fn delete(step: &mut Step<'_>, id: ContactId) -> Result<Outcome, ChangeError> {
    let contact = expect(step, id)?.clone();
    let ledger = &mut *step.ledger;
    let contact_inboxes = links(ledger, id);
    for identity in contact.identities() {
        ledger.identities.remove(identity);
    }
    for link in &contact_inboxes {
        ledger.links.remove((link.inbox.id, link.source_id.clone()));
    }
    ledger.counters.contacts -= 1;
    ledger.counters.resolved_contacts -= i64::from(contact.is_resolved());
    let record = ContactRecord { contact, contact_inboxes };
    let last_seq = step.record(EventBody::ContactDeleted(card(&record)));
    step.ledger.contacts.remove(id);
    step.ledger.deleted_contacts.put(id, last_seq);
    Ok(Outcome::ContactDeleted)
}

/// The contact of a change, if it is there and has a version that the caller expects.
pub(super) fn expect<'a>(step: &'a Step<'_>, id: ContactId) -> Result<&'a Contact, ChangeError> {
    let stored = step.ledger.contacts.get(&id).ok_or(ChangeError::NotFound(Missing::Contact))?;
    let contact = &stored.contact;
    let current = contact.version;
    if step.cx.precondition.as_ref().is_some_and(|expected| !expected.allows(current)) {
        return Err(ChangeError::Stale { id, current });
    }
    Ok(contact)
}

/// Writes a contact that changed, under its next version, and records what changed.
pub(super) fn save(step: &mut Step<'_>, contact: &mut Contact, changes: Vec<FieldChange>) {
    contact.version = contact.version.next();
    let (id, version) = (contact.id, contact.version);
    let last_seq = step.record(EventBody::ContactUpdated { id, version, changes });
    put(step.ledger, contact, last_seq);
}

/// Writes a contact as its last event left it.
pub(super) fn put(ledger: &mut Ledger, contact: &Contact, last_seq: Seq) {
    ledger.contacts.put(contact.id, StoredContact { contact: contact.clone(), last_seq });
}

/// Gives a contact the addresses that it has now, and takes those that it had.
pub(super) fn readdress(ledger: &mut Ledger, before: &Contact, contact: &Contact) {
    for gone in before.identities() {
        ledger.identities.remove(gone);
    }
    for held in contact.identities() {
        ledger.identities.put(held, contact.id);
    }
    ledger.counters.resolved_contacts +=
        i64::from(contact.is_resolved()) - i64::from(before.is_resolved());
}

/// What of the patch's addresses another contact than `id` holds.
fn taken(ledger: &Ledger, patch: &ContactPatch, id: Option<ContactId>) -> Vec<Fault> {
    held_by_others(ledger, patch.identities(), id)
}

/// Which of the addresses another contact than `id` holds.
pub(super) fn held_by_others(
    ledger: &Ledger,
    identities: impl IntoIterator<Item = Identity>,
    id: Option<ContactId>,
) -> Vec<Fault> {
    let mut faults = Vec::new();
    for identity in identities {
        if let Some(holder) = ledger.identities.get(&identity)
            && Some(*holder) != id
        {
            faults.push(Fault::taken(identity.kind.as_str(), *holder));
        }
    }
    faults
}

/// A contact's links, by channel and source id.
pub(super) fn links(ledger: &Ledger, id: ContactId) -> Vec<ContactInbox> {
    let link = |(inbox, source_id): &super::LinkKey| {
        let inbox = ledger.inboxes.get(inbox)?.inbox.clone();
        Some(ContactInbox { source_id: source_id.clone(), inbox })
    };
    let keys = ledger.link_keys.get(&id).into_iter().flatten();
    keys.filter(|key| ledger.links.get(key) == Some(&id)).filter_map(link).collect()
}

pub(super) fn card(record: &ContactRecord) -> Card {
    let link = |link: &ContactInbox| ContactLink {
        inbox_id: link.inbox.id,
        source_id: link.source_id.clone(),
    };
    Card {
        contact: record.contact.clone(),
        contact_inboxes: record.contact_inboxes.iter().map(link).collect(),
    }
}

/// The address in a channel of a new contact for which none was given.
fn random_source_id(cx: &Context, number: usize) -> SourceId {
    SourceId::from_stored(cx.seed.uuid_at(cx.at, "source id", number).to_string())
}
