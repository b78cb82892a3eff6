//! What calls left to be saved: rows that differ, by table, and the events that tell of it.

use std::collections::BTreeSet;

use meishi_contacts::{
    AttributeDefinition, ContactId, EventBody, Identity, InboxId, KeyId, LabelCard, LabelId, Seq,
    StoredKey, StoredWebhook, WebhookId, WebhookState,
};

use super::{
    Counters, DeliveryRow, KeptOutcome, Ledger, LinkKey, NewEvent, OutcomeKey, StoredContact,
    StoredInbox, erasure::tells_of, rows::Difference,
};
use crate::held::{ContactRow, HeldLink};

/// What of the record an erasure empties.
#[derive(Debug)]
pub(crate) struct Erased {
    pub(crate) id: ContactId,
    /// Saved events, which become tombstones.
    pub(crate) events: Vec<Seq>,
    /// Whether there are deliveries, of which nothing stays but that they were. Whatever else calls
    /// made of them is saved before.
    pub(crate) has_deliveries: bool,
    /// How many events the calls had made by then; the contact's own among them are saved as
    /// tombstones.
    pub(super) fresh_events: usize,
}

/// Everything to be written of one account, in the order in which it can be: what goes, then what
/// comes or changes, each list by key. A row that moves to another owner goes and comes.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    /// Channels whose links all go.
    pub(crate) emptied_inboxes: Vec<InboxId>,
    /// Labels that go. Contacts that bear them keep their numbers, which mean nothing from then on.
    pub(crate) gone_labels: Vec<LabelId>,
    /// Keys whose definitions go, or come anew.
    pub(crate) gone_attributes: Vec<String>,
    pub(crate) gone_links: Vec<LinkKey>,
    pub(crate) gone_identities: Vec<Identity>,
    pub(crate) gone_contacts: Vec<ContactId>,
    pub(crate) gone_inboxes: Vec<InboxId>,
    pub(crate) gone_keys: Vec<KeyId>,
    /// Outcomes that are written anew or not.
    pub(crate) gone_outcomes: Vec<OutcomeKey>,
    /// Contacts that are there again.
    pub(crate) returned_contacts: Vec<ContactId>,
    pub(crate) gone_webhooks: Vec<WebhookId>,
    pub(crate) erased: Vec<Erased>,
    pub(crate) new_inboxes: Vec<StoredInbox>,
    pub(crate) changed_inboxes: Vec<StoredInbox>,
    pub(crate) new_contacts: Vec<ContactRow>,
    pub(crate) changed_contacts: Vec<ContactRow>,
    /// Where the histories begin of contacts that are gone; one may have been known.
    pub(crate) deleted_contacts: Vec<(ContactId, Seq)>,
    pub(crate) new_identities: Vec<(Identity, ContactId)>,
    pub(crate) new_links: Vec<(LinkKey, ContactId)>,
    /// Labels that change; their titles may go round among them, so that each has to let go of its
    /// own before one gets another's.
    pub(crate) changed_labels: Vec<LabelCard>,
    pub(crate) new_labels: Vec<LabelCard>,
    pub(crate) new_attributes: Vec<AttributeDefinition>,
    pub(crate) new_keys: Vec<StoredKey>,
    pub(crate) changed_keys: Vec<StoredKey>,
    pub(crate) new_webhooks: Vec<StoredWebhook>,
    pub(crate) changed_webhooks: Vec<StoredWebhook>,
    /// Webhooks that were set to work again, or have a new URL: what is pending begins anew.
    pub(crate) revived_webhooks: Vec<WebhookId>,
    pub(crate) changed_deliveries: Vec<((WebhookId, Seq), DeliveryRow)>,
    /// Webhooks that have something to do again.
    pub(crate) woken_webhooks: BTreeSet<WebhookId>,
    pub(crate) new_outcomes: Vec<(OutcomeKey, KeptOutcome)>,
    pub(crate) events: Vec<NewEvent>,
    /// The counters, where they changed.
    pub(crate) counters: Option<Counters>,
}

impl Writes {
    /// Whether there is nothing to be saved: no change without an event or an outcome, but that
    /// deliveries are made once more.
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
            && self.new_outcomes.is_empty()
            && self.gone_outcomes.is_empty()
            && self.changed_deliveries.is_empty()
    }
}

impl Ledger {
    /// What the accepted calls left.
    pub(crate) fn into_writes(mut self) -> Writes {
        let mut writes = Writes::default();
        for Difference { key, before, after } in std::mem::take(&mut self.contacts).differences() {
            match (before, after) {
                // Of its own row nothing changed: labels that it bears were renamed or deleted.
                (Some(before), Some(after)) if before.last_seq == after.last_seq => {}
                (None, Some(after)) => writes.new_contacts.push(self.row(after)),
                (Some(_), Some(after)) => writes.changed_contacts.push(self.row(after)),
                (_, None) => writes.gone_contacts.push(key),
            }
        }
        sort_out(
            self.labels.differences(),
            &mut writes.gone_labels,
            &mut writes.new_labels,
            &mut writes.changed_labels,
        );
        for Difference { key, before, after } in self.attributes.differences() {
            writes.gone_attributes.extend(before.map(|_| key));
            writes.new_attributes.extend(after);
        }
        moved(
            self.identities.differences(),
            &mut writes.gone_identities,
            &mut writes.new_identities,
        );
        let emptied = &self.emptied_inboxes;
        self.links.forget(|(inbox, _)| emptied.get(inbox).is_some());
        moved(self.links.differences(), &mut writes.gone_links, &mut writes.new_links);
        writes.emptied_inboxes = emptied.keys().copied().collect();
        sort_out(
            self.inboxes.differences(),
            &mut writes.gone_inboxes,
            &mut writes.new_inboxes,
            &mut writes.changed_inboxes,
        );
        sort_out(
            self.keys.differences(),
            &mut writes.gone_keys,
            &mut writes.new_keys,
            &mut writes.changed_keys,
        );
        for Difference { key, before, after } in self.outcomes.differences() {
            writes.gone_outcomes.extend(before.map(|_| key.clone()));
            writes.new_outcomes.extend(after.map(|kept| (key, kept)));
        }
        for Difference { key, after, .. } in self.deleted_contacts.differences() {
            match after {
                Some(last_seq) => writes.deleted_contacts.push((key, last_seq)),
                None => writes.returned_contacts.push(key),
            }
        }
        let changed = self.webhooks.differences();
        writes.revived_webhooks = changed.iter().filter(|d| is_revived(d)).map(|d| d.key).collect();
        sort_out(
            changed,
            &mut writes.gone_webhooks,
            &mut writes.new_webhooks,
            &mut writes.changed_webhooks,
        );
        let changed = self.deliveries.differences().into_iter();
        writes.changed_deliveries = changed.filter_map(|d| Some((d.key, d.after?))).collect();
        writes.woken_webhooks = writes.changed_deliveries.iter().map(|((id, _), _)| *id).collect();
        for erased in &self.erased {
            for new in self.events.iter_mut().take(erased.fresh_events) {
                if tells_of(&new.event.body, erased.id) {
                    new.event.body = EventBody::Tombstone { id: erased.id };
                    new.event.request_id.clear();
                }
            }
        }
        writes.erased = self.erased;
        writes.events = self.events;
        writes.counters = (self.counters != self.loaded_counters).then_some(self.counters);
        writes
    }

    /// A contact's row, with the numbers of its labels and its links as they are in the end.
    fn row(&self, stored: StoredContact) -> ContactRow {
        let id = stored.contact.id;
        let labels = stored.contact.labels.iter();
        let label_ids = labels.filter_map(|title| self.titles.get(title).copied()).collect();
        let keys = self.link_keys.get(&id).into_iter().flatten();
        let held = keys.filter(|key| self.links.get(key) == Some(&id));
        let link = |(inbox, source_id): &LinkKey| {
            let made_seq = self.inboxes.get(inbox)?.made_seq;
            Some(HeldLink(*inbox, source_id.clone(), made_seq))
        };
        ContactRow { stored, label_ids, links: held.filter_map(link).collect() }
    }
}

/// Whether a webhook was set to work again, or has a new URL.
fn is_revived(changed: &Difference<WebhookId, StoredWebhook>) -> bool {
    let is_at_work = |stored: &StoredWebhook| stored.webhook.state == WebhookState::Enabled;
    let (Some(before), Some(after)) = (&changed.before, &changed.after) else { return false };
    (!is_at_work(before) && is_at_work(after)) || before.webhook.url != after.webhook.url
}

/// Rows that are nothing but who owns them: a new owner is a row that goes and one that comes.
fn moved<K: Clone, V>(
    differences: Vec<Difference<K, V>>,
    gone: &mut Vec<K>,
    new: &mut Vec<(K, V)>,
) {
    for Difference { key, before, after } in differences {
        if before.is_some() {
            gone.push(key.clone());
        }
        new.extend(after.map(|owner| (key, owner)));
    }
}

fn sort_out<K, V>(
    differences: Vec<Difference<K, V>>,
    gone: &mut Vec<K>,
    new: &mut Vec<V>,
    changed: &mut Vec<V>,
) {
    for Difference { key, before, after } in differences {
        match (before, after) {
            (None, Some(row)) => new.push(row),
            (Some(_), Some(row)) => changed.push(row),
            (_, None) => gone.push(key),
        }
    }
}
