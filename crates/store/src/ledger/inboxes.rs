//! Channels.

use meishi_contacts::{
    EventBody, Fault, FaultCode, Field, FieldChange, Inbox, InboxId, InboxPatch, NewInbox,
    ids::MAX_ID, limits::INBOXES,
};

use super::{Count, Ledger, LinkKey, Step, StoredInbox};
use crate::{ChangeError, Missing, Outcome};

/// Makes a channel, under the id that the caller chose or the next one.
pub(super) fn create(step: &mut Step<'_>, new: &NewInbox) -> Result<Outcome, ChangeError> {
    let ledger = &mut *step.ledger;
    let refused =
        |code, message: String| Err(ChangeError::Faults(vec![Fault::new("id", code, message)]));
    let id = new.id.unwrap_or(InboxId(ledger.counters.last_inbox_id + 1));
    if ledger.inboxes.get(&id).is_some() {
        return refused(FaultCode::Taken, "Id has already been taken".into());
    }
    if id.0 > MAX_ID || ledger.counted(Count::Inboxes) + ledger.inboxes.growth() >= INBOXES {
        let message = format!("Channels are too many (maximum is {INBOXES})");
        return refused(FaultCode::LimitExceeded, message);
    }
    ledger.counters.last_inbox_id = ledger.counters.last_inbox_id.max(id.0);
    let inbox = Inbox {
        id,
        name: new.name.clone(),
        channel_type: new.channel_type,
        created_at: step.cx.at,
    };
    let made_seq = step.record(EventBody::InboxCreated(inbox.clone()));
    step.ledger.inboxes.put(id, StoredInbox { inbox: inbox.clone(), made_seq });
    Ok(Outcome::InboxCreated(inbox))
}

/// Renames a channel.
pub(super) fn update(
    step: &mut Step<'_>,
    id: InboxId,
    patch: &InboxPatch,
) -> Result<Outcome, ChangeError> {
    let StoredInbox { mut inbox, made_seq } = expect(step, id)?.clone();
    let Some(name) = patch.name.as_ref().filter(|name| **name != inbox.name) else {
        return Ok(Outcome::InboxUpdated(inbox));
    };
    let before = std::mem::replace(&mut inbox.name, name.clone());
    step.ledger.inboxes.put(id, StoredInbox { inbox: inbox.clone(), made_seq });
    let changes = vec![FieldChange::of(Field::Name, before, name.clone())];
    step.record(EventBody::InboxUpdated { id, changes });
    Ok(Outcome::InboxUpdated(inbox))
}

/// Deletes a channel, and its links where `force` says so.
pub(super) fn delete(
    step: &mut Step<'_>,
    id: InboxId,
    force: bool,
) -> Result<Outcome, ChangeError> {
    let inbox = expect(step, id)?.inbox.clone();
    let ledger = &mut *step.ledger;
    let links = link_count(ledger, id);
    if links > 0 {
        if !force {
            return Err(ChangeError::HasContacts { count: links });
        }
        let known: Vec<LinkKey> =
            ledger.links.keys().filter(|(inbox, _)| *inbox == id).cloned().collect();
        for link in known {
            ledger.links.remove(link);
        }
        ledger.emptied_inboxes.put(id, ());
    }
    ledger.inboxes.remove(id);
    step.record(EventBody::InboxDeleted { inbox, links });
    Ok(Outcome::InboxDeleted)
}

/// How many links a channel has: those that were counted, and what calls made of the known ones.
fn link_count(ledger: &Ledger, id: InboxId) -> i64 {
    let of_inbox = |(inbox, _): &LinkKey| *inbox == id;
    if ledger.emptied_inboxes.get(&id).is_some() {
        let known = ledger.links.keys().filter(|key| of_inbox(key)).count();
        return i64::try_from(known).unwrap_or(i64::MAX);
    }
    let counted = ledger.loaded_link_counts.get(&id).copied().unwrap_or_default();
    counted + ledger.links.growth_where(of_inbox)
}

fn expect<'a>(step: &'a Step<'_>, id: InboxId) -> Result<&'a StoredInbox, ChangeError> {
    step.ledger.inboxes.get(&id).ok_or(ChangeError::NotFound(Missing::Inbox))
}
