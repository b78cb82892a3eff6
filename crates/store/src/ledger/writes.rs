//! What calls left to be saved: rows that differ, by table, and the events that tell of it.

use meishi_contacts::{
    Contact, ContactId, Event, Identity, Inbox, InboxId, KeyId, Label, StoredKey,
};

use super::{Counters, KeptOutcome, Ledger, LinkKey, OutcomeKey, rows::Difference};

/// Everything to be written of one account, in the order in which it can be: what goes, then what
/// comes or changes, each list by key. A row that moves to another owner goes and comes.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    /// Channels whose links all go.
    pub(crate) emptied_inboxes: Vec<InboxId>,
    /// Contacts whose label rows go; those that stay are among `new_contact_labels`.
    pub(crate) unlabelled_contacts: Vec<ContactId>,
    pub(crate) gone_links: Vec<LinkKey>,
    pub(crate) gone_identities: Vec<Identity>,
    pub(crate) gone_contacts: Vec<ContactId>,
    pub(crate) gone_inboxes: Vec<InboxId>,
    pub(crate) gone_keys: Vec<KeyId>,
    pub(crate) new_inboxes: Vec<Inbox>,
    pub(crate) changed_inboxes: Vec<Inbox>,
    pub(crate) new_contacts: Vec<Contact>,
    pub(crate) changed_contacts: Vec<Contact>,
    pub(crate) new_identities: Vec<(Identity, ContactId)>,
    pub(crate) new_links: Vec<(LinkKey, ContactId)>,
    pub(crate) new_labels: Vec<(Label, i64)>,
    pub(crate) new_contact_labels: Vec<(ContactId, i64)>,
    pub(crate) new_keys: Vec<StoredKey>,
    pub(crate) changed_keys: Vec<StoredKey>,
    pub(crate) new_outcomes: Vec<(OutcomeKey, KeptOutcome)>,
    pub(crate) events: Vec<Event>,
    /// The counters, where they changed.
    pub(crate) counters: Option<Counters>,
}

impl Writes {
    /// Whether there is nothing to be saved: no change without an event or an outcome.
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.new_outcomes.is_empty()
    }
}

impl Ledger {
    /// What the accepted calls left.
    pub(crate) fn into_writes(mut self) -> Writes {
        let mut writes = Writes::default();
        let labels = &self.labels;
        for Difference { key, before, after } in self.contacts.differences() {
            let held = before.as_ref().map(|contact| contact.labels.as_slice());
            let bears = after.as_ref().map(|contact| contact.labels.as_slice());
            if held.unwrap_or_default() != bears.unwrap_or_default() {
                writes.unlabelled_contacts.extend(before.as_ref().map(|contact| contact.id));
                let numbers = bears.unwrap_or_default().iter().filter_map(|l| labels.get(l));
                writes.new_contact_labels.extend(numbers.map(|label| (key, *label)));
            }
            match (before, after) {
                (None, Some(contact)) => writes.new_contacts.push(contact),
                (Some(_), Some(contact)) => writes.changed_contacts.push(contact),
                (_, None) => writes.gone_contacts.push(key),
            }
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
        let made = self.labels.differences().into_iter();
        writes.new_labels = made.filter_map(|d| Some((d.key, d.after?))).collect();
        let kept = self.outcomes.differences().into_iter();
        writes.new_outcomes = kept.filter_map(|d| Some((d.key, d.after?))).collect();
        writes.events = self.events;
        writes.counters = (self.counters != self.loaded_counters).then_some(self.counters);
        writes
    }
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
