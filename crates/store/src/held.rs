//! What hangs on a contact, as its own row has it: the numbers of its labels, and its links.

use meishi_contacts::{Contact, InboxId, Label, LabelId, Seq, SourceId};
use serde::{Deserialize, Serialize};

use crate::{
    ContactInbox, ContactRecord,
    ledger::{StoredContact, StoredInbox},
};

/// A link as a contact's row has it. The channel is the one that the event made: an id may be
/// another channel's by now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeldLink(pub(crate) InboxId, pub(crate) SourceId, pub(crate) Seq);

/// A contact's row.
#[derive(Debug)]
pub(crate) struct ContactRow {
    pub(crate) stored: StoredContact,
    pub(crate) label_ids: Vec<LabelId>,
    pub(crate) links: Vec<HeldLink>,
}

/// A contact as it was read, with the labels and channels that are there.
#[derive(Debug)]
pub(crate) struct LoadedContact {
    /// The contact without its labels.
    pub(crate) contact: Contact,
    /// The last event of its history.
    pub(crate) last_seq: Seq,
    pub(crate) labels: Vec<(LabelId, Label)>,
    pub(crate) links: Vec<(SourceId, StoredInbox)>,
}

impl LoadedContact {
    /// The contact with its labels, by title.
    pub(crate) fn into_contact(self) -> Contact {
        self.into_record().contact
    }

    /// The contact with its labels, by title, and its links, by channel and source id.
    pub(crate) fn into_record(self) -> ContactRecord {
        let mut labels: Vec<Label> = self.labels.into_iter().map(|(_, title)| title).collect();
        labels.sort_unstable();
        let link =
            |(source_id, stored): (_, StoredInbox)| ContactInbox { source_id, inbox: stored.inbox };
        let mut contact_inboxes: Vec<ContactInbox> = self.links.into_iter().map(link).collect();
        contact_inboxes
            .sort_unstable_by(|a, b| (a.inbox.id, &a.source_id).cmp(&(b.inbox.id, &b.source_id)));
        ContactRecord { contact: Contact { labels, ..self.contact }, contact_inboxes }
    }
}

/// A list as a column has it: nothing where it is empty.
pub(crate) fn column<T: Serialize>(held: &[T]) -> serde_json::Result<Option<String>> {
    (!held.is_empty()).then(|| serde_json::to_string(held)).transpose()
}
