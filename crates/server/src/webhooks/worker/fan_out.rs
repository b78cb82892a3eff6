//! New events become messages, which are stored before the first attempt.

use std::{collections::HashMap, sync::Arc};

use meishi_contacts::{
    AccountId, Contact, ContactId, Event, EventBody, FieldChange, Relabelling, Version,
    limits::{WEBHOOK_CONTACTS, WEBHOOK_EVENTS},
};
use meishi_store::{NewDelivery, Store, StoreError};

use super::turn::Turn;
use crate::{past::contact_after, webhooks::render};

impl Turn<'_> {
    /// Looks at the next events and keeps the messages that tell of them. `false` when there is no
    /// further event.
    pub(super) async fn fan_out(&mut self) -> Result<bool, StoreError> {
        let account = self.lease.account;
        let from = self.stored.cursor;
        let store = Arc::clone(&self.app().store);
        let events = store.events(account, from, WEBHOOK_EVENTS).await?;
        let Some(to) = events.last().map(|event| event.seq) else { return Ok(false) };
        let selection = self.stored.webhook.selection();
        let seed = self.app().rng.seed();
        let mut new = Vec::new();
        for event in &events {
            self.cards.relabel(&event.body);
            let Some(contact) = event.body.contact() else { continue };
            let wanted = selection.wants(&event.body);
            let after = self.cards.after(&*store, account, event, wanted).await?;
            if !wanted {
                continue;
            }
            // Of a contact that was erased meanwhile there is nothing left to tell.
            let form = self.stored.webhook.format;
            let Some(payload) = render(form, &self.account, event, after) else { continue };
            let payload = String::from_utf8(payload)
                .map_err(|_| StoreError::Internal("a message is no text".into()))?;
            let (seq, kind) = (event.seq, event.body.kind().to_owned());
            let id = seed.uuid("webhook delivery", new.len()).to_string();
            new.push(NewDelivery { seq, id, kind, contact, payload });
        }
        let now = self.app().clock.now();
        if store.enqueue_deliveries(self.lease, from, to, new, now).await? {
            self.stored.cursor = to;
        } else {
            self.course().lost = true;
        }
        Ok(true)
    }
}

/// What contacts were after the last event of theirs that the turn looked at: what the next one
/// made of them follows, so that a history is read at most once.
#[derive(Debug, Default)]
pub(super) struct Cards(HashMap<ContactId, Contact>);

impl Cards {
    /// The contact right after the event, as far as the event's message tells of it; where it is
    /// not `wanted`, only if that is known anyway.
    async fn after(
        &mut self,
        store: &dyn Store,
        account: AccountId,
        event: &Event,
        wanted: bool,
    ) -> Result<Option<&Contact>, StoreError> {
        match &event.body {
            EventBody::ContactCreated(card) | EventBody::ContactRestored(card) => {
                self.put(card.contact.clone());
            }
            EventBody::ContactUpdated { id, version, changes } => {
                if !self.follow(*id, *version, changes) {
                    self.0.remove(id);
                    if wanted {
                        let after = contact_after(store, account, *id, event.seq).await?;
                        if let Some(contact) = after {
                            self.put(contact);
                        }
                    }
                }
                return Ok(self.0.get(id));
            }
            body => {
                body.contact().map(|id| self.0.remove(&id));
            }
        }
        Ok(None)
    }

    /// Follows what happened to a label with all contacts that bear it.
    fn relabel(&mut self, body: &EventBody) {
        if let Some(relabelling) = Relabelling::of(body) {
            self.0.values_mut().for_each(|contact| relabelling.apply(&mut contact.labels));
        }
    }

    /// Does to the contact what the event tells of. `false` when it is not known as it was before.
    fn follow(&mut self, id: ContactId, version: Version, changes: &[FieldChange]) -> bool {
        let Some(contact) = self.0.get_mut(&id) else { return false };
        if contact.version.next() != version {
            return false;
        }
        contact.version = version;
        changes.iter().all(|change| contact.put(&change.path(), change.after.as_ref()).is_ok())
    }

    fn put(&mut self, contact: Contact) {
        if self.0.len() >= WEBHOOK_CONTACTS {
            self.0.clear();
        }
        self.0.insert(contact.id, contact);
    }
}
