//! Which rows calls need: found from the calls alone, so that all can be loaded at once.

use std::collections::BTreeSet;

use meishi_contacts::{ContactId, ContactPatch, Identity, InboxId, KeyId, Label, SourceId};

use super::{Call, LinkKey, OutcomeKey};
use crate::{Change, Context};

/// Rows of an account that are to be loaded before the calls are run.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    /// Contacts, with their labels, links and the links' channels.
    pub(crate) contacts: BTreeSet<ContactId>,
    /// Addresses, with who holds them.
    pub(crate) identities: BTreeSet<Identity>,
    /// Addresses in channels, with who holds them.
    pub(crate) links: BTreeSet<LinkKey>,
    /// Channels.
    pub(crate) inboxes: BTreeSet<InboxId>,
    /// How many channels there are.
    pub(crate) inbox_count: bool,
    /// Channels whose links are to be counted.
    pub(crate) link_counts: BTreeSet<InboxId>,
    /// Labels, with their numbers.
    pub(crate) labels: BTreeSet<Label>,
    /// Keys.
    pub(crate) keys: BTreeSet<KeyId>,
    /// How many keys there are.
    pub(crate) key_count: bool,
    /// Outcomes of keyed calls.
    pub(crate) outcomes: BTreeSet<OutcomeKey>,
}

impl Needs {
    /// What the calls need together.
    pub(crate) fn of<'a>(calls: impl IntoIterator<Item = &'a Call>) -> Self {
        let mut needs = Self::default();
        for call in calls {
            needs.outcomes.extend(call.cx.idempotency.iter().map(OutcomeKey::from));
            for (number, change) in call.changes.iter().enumerate() {
                needs.add(&call.cx, number, change);
            }
        }
        needs
    }

    fn add(&mut self, cx: &Context, number: usize, change: &Change) {
        match change {
            Change::CreateContact(new) => {
                self.add_identities(&new.fields);
                if let Some(link) = &new.link {
                    let source_id = source_id(cx, number, link.source_id.as_ref());
                    self.links.insert((link.inbox_id, source_id));
                    self.inboxes.insert(link.inbox_id);
                }
            }
            Change::UpdateContact { id, patch } => {
                self.contacts.insert(*id);
                self.add_identities(patch);
            }
            Change::DeleteContact { id } => {
                self.contacts.insert(*id);
            }
            Change::SetLabels { id, labels } => {
                self.contacts.insert(*id);
                self.labels.extend(labels.iter().cloned());
            }
            Change::CreateInbox(new) => {
                self.inboxes.extend(new.id);
                self.inbox_count = true;
            }
            Change::UpdateInbox { id, .. } => {
                self.inboxes.insert(*id);
            }
            Change::DeleteInbox { id, .. } => {
                self.inboxes.insert(*id);
                self.link_counts.insert(*id);
            }
            Change::CreateKey(_) => self.key_count = true,
            Change::UpdateKey { id, .. }
            | Change::RotateKey { id, .. }
            | Change::RevokeKey { id } => {
                self.keys.insert(*id);
            }
        }
    }

    fn add_identities(&mut self, patch: &ContactPatch) {
        self.identities.extend(patch.identities());
    }
}

/// The address in a channel that a new contact gets: the one that is given, or a random one.
pub(super) fn source_id(cx: &Context, number: usize, given: Option<&SourceId>) -> SourceId {
    let random = || SourceId::from_stored(cx.seed.uuid("source id", number).to_string());
    given.cloned().unwrap_or_else(random)
}
