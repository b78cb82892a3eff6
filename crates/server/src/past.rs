//! What a contact was right after one of its events.

use std::cmp::Ordering;

use meishi_contacts::{AccountId, Contact, ContactId, EventBody, Seq, limits::READ_ROWS};
use meishi_store::{Include, Store, StoreError};

/// The contact as it was right after its event `seq`: from what it is now, or last was, back event
/// by event. `None` where there was none, and where what is left of it does not tell: it was erased,
/// or retention took away what lies between.
pub(crate) async fn contact_after(
    store: &dyn Store,
    account: AccountId,
    id: ContactId,
    seq: Seq,
) -> Result<Option<Contact>, StoreError> {
    let now = store.contact(account, id, Include::Nothing).await?;
    let mut contact = now.map(|record| record.contact);
    let mut from = None;
    loop {
        let history = store.history(account, id, from, READ_ROWS).await?;
        let Some(history) = history else { return Ok(None) };
        for event in history.events {
            if event.seq < seq {
                return Ok(None);
            }
            let is_it = event.seq == seq;
            match event.body {
                EventBody::ContactCreated(card) | EventBody::ContactRestored(card) if is_it => {
                    return Ok(Some(card.contact));
                }
                // Before it there was none, and then what its deletion tells of.
                EventBody::ContactCreated(_) | EventBody::ContactRestored(_) => contact = None,
                EventBody::ContactDeleted(_) if is_it => return Ok(None),
                EventBody::ContactDeleted(card) => contact = Some(card.contact),
                EventBody::ContactUpdated { version, changes, .. } => {
                    let Some(known) = &mut contact else { continue };
                    match known.version.cmp(&version) {
                        Ordering::Equal if is_it => return Ok(contact),
                        Ordering::Equal => {
                            known.undo(&changes).map_err(|_| unreadable(account, event.seq))?;
                            known.version.0 -= 1;
                        }
                        // Happened after the contact was read.
                        Ordering::Less if !is_it => {}
                        Ordering::Less | Ordering::Greater => {
                            return Err(unreadable(account, event.seq));
                        }
                    }
                }
                _ => return Ok(None),
            }
        }
        match history.next {
            Some(next) => from = Some(next),
            None => return Ok(None),
        }
    }
}

fn unreadable(account: AccountId, seq: Seq) -> StoreError {
    StoreError::Internal(format!("event {seq} of account {account} does not follow"))
}
