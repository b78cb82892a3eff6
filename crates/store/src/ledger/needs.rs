//! Which rows calls need: found from the calls alone, so that all can be loaded at once.

use std::collections::BTreeSet;

use meishi_contacts::{
    AttributeId, Card, ContactId, ContactPatch, EventBody, Field, FieldChange, Identity,
    IdentityKind, InboxId, KeyId, Label, LabelId, Seq, WebhookId, definition::is_key,
    limits::ACCOUNT_LABELS,
};

use super::{Call, Ledger, LinkKey, OutcomeKey, labels};
use crate::{Change, Redelivery};

/// What an account may have only so many of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Count {
    Attributes,
    Inboxes,
    Keys,
    Labels,
    Webhooks,
}

/// Rows of an account that are to be loaded before the calls are run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Contacts, with their labels, links and the links' channels.
    pub(crate) contacts: BTreeSet<ContactId>,
    /// Addresses, with who holds them.
    pub(crate) identities: BTreeSet<Identity>,
    /// Addresses in channels, with who holds them.
    pub(crate) links: BTreeSet<LinkKey>,
    /// Channels.
    pub(crate) inboxes: BTreeSet<InboxId>,
    /// What is to be counted.
    pub(crate) counts: BTreeSet<Count>,
    /// Channels whose links are to be counted.
    pub(crate) link_counts: BTreeSet<InboxId>,
    /// Labels by title.
    pub(crate) labels: BTreeSet<Label>,
    /// Labels by number.
    pub(crate) label_ids: BTreeSet<LabelId>,
    /// Definitions of custom attributes by key.
    pub(crate) attributes: BTreeSet<String>,
    /// Definitions by number.
    pub(crate) attribute_ids: BTreeSet<AttributeId>,
    /// From which event on those are needed that renamed or deleted labels.
    pub(crate) relabelled_after: Option<Seq>,
    /// Keys.
    pub(crate) keys: BTreeSet<KeyId>,
    /// Outcomes of keyed calls.
    pub(crate) outcomes: BTreeSet<OutcomeKey>,
    /// Contacts that may be gone, with where their histories begin.
    pub(crate) deleted_contacts: BTreeSet<ContactId>,
    /// Events.
    pub(crate) events: BTreeSet<Seq>,
    /// Contacts of which everything is to be found that tells of them.
    pub(crate) traces: BTreeSet<ContactId>,
    /// Webhooks.
    pub(crate) webhooks: BTreeSet<WebhookId>,
    /// Deliveries that may be made once more.
    pub(crate) redeliveries: BTreeSet<(WebhookId, Redelivery)>,
}

impl Needs {
    /// What the calls need together.
    pub(crate) fn of<'a>(calls: impl IntoIterator<Item = &'a Call>) -> Self {
        let mut needs = Self::default();
        for call in calls {
            needs.outcomes.extend(call.cx.idempotency.iter().map(OutcomeKey::from));
            call.changes.iter().for_each(|change| needs.add(change));
        }
        needs
    }

    /// What the calls need besides, as the rows show that were loaded first: the contacts that an
    /// upsert finds, and what an event speaks of that is to be undone.
    pub(crate) fn further<'a>(calls: impl IntoIterator<Item = &'a Call>, ledger: &Ledger) -> Self {
        let mut needs = Self::default();
        // No more labels than numbers were given: they need not be counted before that many were,
        // nor where no change may make one.
        let mut last_label = ledger.counters.last_label_id;
        let mut makes_labels = false;
        let is_new = |title: &&Label| ledger.titles.get(title).is_none();
        for change in calls.into_iter().flat_map(|call| &call.changes) {
            makes_labels |= matches!(
                change,
                Change::CreateLabel(_) | Change::SetLabels { .. } | Change::RevertContact { .. }
            );
            match change {
                Change::CreateLabel(_) => last_label += 1,
                Change::SetLabels { labels, .. } => {
                    let new = labels.iter().filter(is_new).count();
                    last_label += i64::try_from(new).unwrap_or(i64::MAX);
                }
                Change::UpsertContact { new, .. } => {
                    let identities = new.fields.identities();
                    let owners = identities.iter().filter_map(|known| ledger.identities.get(known));
                    needs.contacts.extend(owners.filter(|id| ledger.contacts.get(id).is_none()));
                }
                Change::RevertContact { id, seq, .. } => {
                    let event = ledger.past.get(seq).map(|event| &event.body);
                    match event.filter(|body| body.contact() == Some(*id)) {
                        Some(EventBody::ContactDeleted(card)) => needs.add_card(card, *seq, ledger),
                        Some(EventBody::ContactUpdated { changes, .. }) => {
                            for change in changes {
                                needs.add_before(change, *seq, ledger);
                            }
                        }
                        Some(_) => {}
                        // One that a call is yet to make; what the contact has then is loaded but
                        // for what is said of its attributes.
                        None => {
                            if let Some(stored) = ledger.contacts.get(id) {
                                let attributes = stored.contact.custom_attributes.to_map();
                                needs.add_keys(attributes.keys());
                            }
                        }
                    }
                }
                _ => {}
            }
        }
        if makes_labels && last_label > ACCOUNT_LABELS {
            needs.counts.insert(Count::Labels);
        }
        needs
    }

    /// Whether nothing is needed.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn add_card(&mut self, card: &Card, seq: Seq, ledger: &Ledger) {
        self.identities.extend(card.contact.identities());
        self.add_titles(&card.contact.labels, seq, ledger);
        for link in &card.contact_inboxes {
            self.inboxes.insert(link.inbox_id);
            self.links.insert((link.inbox_id, link.source_id.clone()));
        }
    }

    /// Labels by their titles after an event, under those that they have now.
    fn add_titles(&mut self, titles: &[Label], seq: Seq, ledger: &Ledger) {
        self.labels.extend(labels::since(ledger, seq, titles).unwrap_or_default());
    }

    fn add_before(&mut self, change: &FieldChange, seq: Seq, ledger: &Ledger) {
        let kind = match change.field {
            Field::Email => Some(IdentityKind::Email),
            Field::Identifier => Some(IdentityKind::Identifier),
            Field::PhoneNumber => Some(IdentityKind::PhoneNumber),
            Field::Labels => {
                self.add_titles(&labels::told(change.before.as_ref()), seq, ledger);
                None
            }
            Field::CustomAttributes => {
                self.add_keys(&change.key);
                None
            }
            _ => None,
        };
        let value = change.before.as_ref().and_then(|before| before.as_str());
        if let (Some(kind), Some(value)) = (kind, value) {
            self.identities.insert(Identity { kind, value: value.to_owned() });
        }
    }

    fn add(&mut self, change: &Change) {
        match change {
            Change::CreateContact(new) | Change::UpsertContact { new, .. } => {
                self.add_fields(&new.fields);
                if let Some(link) = &new.link {
                    // A random one is nobody's.
                    if let Some(given) = &link.source_id {
                        self.links.insert((link.inbox_id, given.clone()));
                    }
                    self.inboxes.insert(link.inbox_id);
                }
            }
            Change::UpdateContact { id, patch } => {
                self.contacts.insert(*id);
                self.add_fields(patch);
            }
            Change::DeleteContact { id } => {
                self.contacts.insert(*id);
            }
            Change::RevertContact { id, seq, .. } => {
                self.contacts.insert(*id);
                self.deleted_contacts.insert(*id);
                self.events.insert(*seq);
                let first = self.relabelled_after.map_or(*seq, |first| first.min(*seq));
                self.relabelled_after = Some(first);
            }
            Change::EraseContact { id } => {
                self.contacts.insert(*id);
                self.deleted_contacts.insert(*id);
                self.traces.insert(*id);
            }
            Change::SetLabels { id, labels } => {
                self.contacts.insert(*id);
                self.labels.extend(labels.iter().cloned());
            }
            Change::CreateLabel(new) => {
                self.labels.insert(new.title.clone());
            }
            Change::UpdateLabel { id, patch } => {
                self.label_ids.insert(*id);
                self.labels.extend(patch.title.clone());
            }
            Change::DeleteLabel { id } => {
                self.label_ids.insert(*id);
            }
            Change::CreateAttribute(new) => {
                self.attributes.insert(new.key.clone());
                self.counts.insert(Count::Attributes);
            }
            Change::UpdateAttribute { id, .. } | Change::DeleteAttribute { id } => {
                self.attribute_ids.insert(*id);
            }
            Change::CreateInbox(new) => {
                self.inboxes.extend(new.id);
                self.counts.insert(Count::Inboxes);
            }
            Change::UpdateInbox { id, .. } => {
                self.inboxes.insert(*id);
            }
            Change::DeleteInbox { id, .. } => {
                self.inboxes.insert(*id);
                self.link_counts.insert(*id);
            }
            Change::CreateKey(_) => {
                self.counts.insert(Count::Keys);
            }
            Change::UpdateKey { id, .. }
            | Change::RotateKey { id, .. }
            | Change::RevokeKey { id } => {
                self.keys.insert(*id);
            }
            Change::CreateWebhook(_) => {
                self.counts.insert(Count::Webhooks);
            }
            Change::UpdateWebhook { id, .. }
            | Change::RotateWebhook { id, .. }
            | Change::DeleteWebhook { id } => {
                self.webhooks.insert(*id);
            }
            Change::Redeliver { id, which } => {
                self.webhooks.insert(*id);
                self.redeliveries.insert((*id, *which));
            }
        }
    }

    fn add_fields(&mut self, patch: &ContactPatch) {
        self.identities.extend(patch.identities());
        self.add_keys(patch.custom_attributes.keys());
    }

    /// Definitions of attributes, of those keys that there can be one of.
    fn add_keys<'k>(&mut self, keys: impl IntoIterator<Item = &'k String>) {
        self.attributes.extend(keys.into_iter().filter(|key| is_key(key)).cloned());
    }
}
