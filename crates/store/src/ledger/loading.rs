//! What a store tells a ledger of the rows that its calls need.

use meishi_contacts::{
    AttributeDefinition, ContactId, Event, Identity, InboxId, LabelCard, Seq, StoredKey,
    StoredWebhook, WebhookId, limits::RELABELLINGS,
};

use super::{
    Count, DeliveryRow, KeptOutcome, Ledger, LinkKey, OutcomeKey, StoredContact, StoredInbox,
    Traces,
};
use crate::{Redelivery, held::LoadedContact};

impl Ledger {
    /// Notes a contact as it is stored, with its labels, its links and their channels, and the last
    /// event of its history.
    pub(crate) fn load_contact(&mut self, loaded: LoadedContact) {
        let (id, last_seq) = (loaded.contact.id, loaded.last_seq);
        for (label, title) in &loaded.labels {
            self.titles.load(title.clone(), *label);
        }
        for (source_id, stored) in &loaded.links {
            let key = (stored.inbox.id, source_id.clone());
            self.link_keys.entry(id).or_default().insert(key.clone());
            self.links.load(key, id);
            self.load_inbox(stored.clone());
        }
        let contact = loaded.into_contact();
        for identity in contact.identities() {
            self.identities.load(identity, id);
        }
        self.contacts.load(id, StoredContact { contact, last_seq });
    }

    /// Notes where the history of a contact begins that is gone.
    pub(crate) fn load_deleted_contact(&mut self, id: ContactId, last_seq: Seq) {
        self.deleted_contacts.load(id, last_seq);
    }

    /// Notes an event.
    pub(crate) fn load_event(&mut self, event: Event) {
        self.past.insert(event.seq, event);
    }

    /// Notes what an erasure of a contact has to reach.
    pub(crate) fn load_traces(&mut self, id: ContactId, traces: Traces) {
        self.traces.insert(id, traces);
    }

    /// Notes a webhook.
    pub(crate) fn load_webhook(&mut self, webhook: StoredWebhook) {
        self.webhooks.load(webhook.webhook.id, webhook);
    }

    /// Notes deliveries that can be made once more, by their events.
    pub(crate) fn load_redeliverable(
        &mut self,
        webhook: WebhookId,
        which: Redelivery,
        rows: Vec<(Seq, DeliveryRow)>,
    ) {
        let seqs = rows.iter().map(|(seq, _)| *seq).collect();
        self.redeliverable.insert((webhook, which), seqs);
        for (seq, row) in rows {
            self.deliveries.load((webhook, seq), row);
        }
    }

    /// Notes who holds an address.
    pub(crate) fn load_owner(&mut self, identity: Identity, owner: ContactId) {
        self.identities.load(identity, owner);
    }

    /// Notes who holds an address in a channel.
    pub(crate) fn load_link(&mut self, link: LinkKey, holder: ContactId) {
        self.links.load(link, holder);
    }

    /// Notes a channel.
    pub(crate) fn load_inbox(&mut self, stored: StoredInbox) {
        self.inboxes.load(stored.inbox.id, stored);
    }

    /// Notes how many the account has.
    pub(crate) fn load_count(&mut self, of: Count, count: i64) {
        self.loaded_counts.insert(of, count);
    }

    /// Notes how many links a channel has.
    pub(crate) fn load_link_count(&mut self, inbox: InboxId, count: i64) {
        self.loaded_link_counts.insert(inbox, count);
    }

    /// Notes a label.
    pub(crate) fn load_label(&mut self, label: LabelCard) {
        self.titles.load(label.title.clone(), label.id);
        self.labels.load(label.id, label);
    }

    /// Notes the events that renamed or deleted labels, of which one more is asked for than there
    /// may be.
    pub(crate) fn load_relabelled(&mut self, events: Vec<Event>) {
        self.relabelled = Some(events).filter(|events| events.len() <= RELABELLINGS);
    }

    /// Whether the account ever defined an attribute.
    pub(crate) fn defined_attributes(&self) -> bool {
        self.loaded_counters.last_attribute_id > 0
    }

    /// Notes a definition.
    pub(crate) fn load_attribute(&mut self, definition: AttributeDefinition) {
        self.attributes.load(definition.key.clone(), definition);
    }

    /// Notes a key.
    pub(crate) fn load_key(&mut self, key: StoredKey) {
        self.keys.load(key.key.id, key);
    }

    /// Notes what a keyed call came to.
    pub(crate) fn load_outcome(&mut self, key: OutcomeKey, outcome: KeptOutcome) {
        self.outcomes.load(key, outcome);
    }
}
