//! Changes and their outcomes, as values that can be queued, kept and compared.

use meishi_contacts::{
    ApiKey, AttributeDefinition, AttributeId, AttributePatch, Contact, ContactId, ContactPatch,
    Fault, FieldChange, FieldPath, IdentityKind, Inbox, InboxId, InboxPatch, KeyId, KeyPatch,
    Label, LabelCard, LabelId, LabelPatch, NewAttribute, NewContact, NewInbox, NewKey, NewLabel,
    NewWebhook, SecretHash, Seq, SourceId, Version, Webhook, WebhookId, WebhookPatch,
};
use serde::{Deserialize, Serialize};

/// One whole change of an account.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Creates a contact, with its link to a channel.
    CreateContact(Box<NewContact>),
    /// Merges into a contact.
    UpdateContact {
        /// Which contact.
        id: ContactId,
        /// What to merge.
        patch: Box<ContactPatch>,
    },
    /// Finds a contact by identifier, e-mail or phone number, in that order, and merges into it, or
    /// creates it. Addresses of other kinds that it has already are never replaced.
    UpsertContact {
        /// What to merge, or the contact to be made.
        new: Box<NewContact>,
        /// What a creation lacks; an update does without.
        lacks: Vec<Fault>,
        /// Refuse to update (`If-None-Match: *`).
        only_create: bool,
    },
    /// Undoes an event of a contact, or one field of it, as a new event. The deletion of a contact
    /// is undone by bringing it back.
    RevertContact {
        /// Which contact.
        id: ContactId,
        /// Which event.
        seq: Seq,
        /// The one field to undo.
        only: Option<FieldPath>,
    },
    /// Erases a contact, be it there or deleted: what the record holds of it goes, too.
    EraseContact {
        /// Which contact.
        id: ContactId,
    },
    /// Deletes a contact with its addresses, links and labels.
    DeleteContact {
        /// Which contact.
        id: ContactId,
    },
    /// Replaces a contact's labels; a label that the account does not have is made.
    SetLabels {
        /// Which contact.
        id: ContactId,
        /// All its labels from now on.
        labels: Vec<Label>,
    },
    /// Makes a label. Its title must be free.
    CreateLabel(NewLabel),
    /// Changes a label. Contacts that bear it show a new title at once and keep their versions: one
    /// event tells of all of them.
    UpdateLabel {
        /// Which label.
        id: LabelId,
        /// What to change.
        patch: LabelPatch,
    },
    /// Deletes a label and takes it from all contacts that bear it, which keep their versions: one
    /// event tells of all of them.
    DeleteLabel {
        /// Which label.
        id: LabelId,
    },
    /// Defines a custom attribute. Its key must be free.
    CreateAttribute(NewAttribute),
    /// Changes a definition. Contacts stay as they are; from then on it says what writes may set.
    UpdateAttribute {
        /// Which definition.
        id: AttributeId,
        /// What to change.
        patch: AttributePatch,
    },
    /// Deletes a definition. Values of contacts stay.
    DeleteAttribute {
        /// Which definition.
        id: AttributeId,
    },
    /// Makes a channel.
    CreateInbox(NewInbox),
    /// Changes a channel.
    UpdateInbox {
        /// Which channel.
        id: InboxId,
        /// What to change.
        patch: InboxPatch,
    },
    /// Deletes a channel, its links too when `force` says so; never a contact.
    DeleteInbox {
        /// Which channel.
        id: InboxId,
        /// Delete it even though contacts are linked to it.
        force: bool,
    },
    /// Makes a key.
    CreateKey(NewKey),
    /// Changes a key's name, role or end.
    UpdateKey {
        /// Which key.
        id: KeyId,
        /// What to change.
        patch: KeyPatch,
    },
    /// Gives a key a new secret; the old one stays valid for `overlap_seconds`.
    RotateKey {
        /// Which key.
        id: KeyId,
        /// What is kept of the new secret.
        secret_hash: SecretHash,
        /// How long the old secret stays valid.
        overlap_seconds: i64,
    },
    /// Revokes a key at once.
    RevokeKey {
        /// Which key.
        id: KeyId,
    },
    /// Makes a webhook, which is told of what happens from then on.
    CreateWebhook(Box<NewWebhook>),
    /// Changes a webhook.
    UpdateWebhook {
        /// Which webhook.
        id: WebhookId,
        /// What to change.
        patch: WebhookPatch,
    },
    /// Gives a webhook a new secret; for `overlap_seconds` deliveries are signed with both.
    RotateWebhook {
        /// Which webhook.
        id: WebhookId,
        /// The new secret.
        secret: String,
        /// How long the old one signs too.
        overlap_seconds: i64,
    },
    /// Deletes a webhook, what it was not told of yet included.
    DeleteWebhook {
        /// Which webhook.
        id: WebhookId,
    },
    /// Delivers once more. Not an event: nothing of the account changes.
    Redeliver {
        /// Which webhook.
        id: WebhookId,
        /// What of it.
        which: Redelivery,
    },
}

/// Which deliveries of a webhook are to be made once more; of a range and of the failed ones the
/// oldest [`REDELIVERIES`](meishi_contacts::limits::REDELIVERIES).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Redelivery {
    /// That of one event.
    One(Seq),
    /// Those of the events from the first to the second, both included.
    Range(Seq, Seq),
    /// Those that were given up.
    Failed,
}

impl Change {
    /// Whether it is about an API key.
    pub const fn is_of_a_key(&self) -> bool {
        matches!(
            self,
            Self::CreateKey(_)
                | Self::UpdateKey { .. }
                | Self::RotateKey { .. }
                | Self::RevokeKey { .. }
        )
    }
}

/// A contact with the channels that it was read with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContactRecord {
    /// The contact.
    pub contact: Contact,
    /// Its channels, by channel and source id; empty when not asked for.
    pub contact_inboxes: Vec<ContactInbox>,
}

/// A contact's link with the channel it leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactInbox {
    /// The contact's address in the channel.
    pub source_id: SourceId,
    /// The channel.
    pub inbox: Inbox,
}

/// What an upsert came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Upserted {
    /// The contact after it.
    pub record: ContactRecord,
    /// By what it was found; nothing when it was created.
    pub matched_by: Option<IdentityKind>,
    /// What changed; all that was given when it was created.
    pub changed: Vec<FieldPath>,
    /// What was sent and is as it was.
    pub unchanged: Vec<FieldPath>,
    /// Addresses that were sent and not taken, because the contact has others.
    pub refused: Vec<FieldPath>,
}

/// What went with an erased contact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureReceipt {
    /// The event that tells of the erasure.
    pub seq: Seq,
    /// Whether the contact was still there.
    pub contact: bool,
    /// Addresses.
    pub identities: usize,
    /// Links to channels.
    pub links: usize,
    /// Earlier events that are tombstones now.
    pub events: usize,
    /// Kept outcomes of keyed calls that told of it.
    pub outcomes: usize,
    /// Deliveries whose payload and answers are gone.
    pub deliveries: usize,
}

/// What a change came to. Never holds a secret, since it may be kept for a repeat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// The contact as created, with its link.
    ContactCreated(Box<ContactRecord>),
    /// The contact after the update.
    ContactUpdated(Box<ContactRecord>),
    /// The contact was found or made.
    ContactUpserted(Box<Upserted>),
    /// The contact after an event was undone.
    ContactReverted(Box<ContactRecord>),
    /// The contact is gone, and what told of it.
    ContactErased(ErasureReceipt),
    /// The contact is gone.
    ContactDeleted,
    /// The contact's labels after the change.
    LabelsSet {
        /// Whose they are.
        id: ContactId,
        /// All of them.
        labels: Vec<Label>,
    },
    /// The label as made.
    LabelCreated(LabelCard),
    /// The label after the change.
    LabelUpdated(LabelCard),
    /// The label is gone.
    LabelDeleted,
    /// The definition as made.
    AttributeCreated(AttributeDefinition),
    /// The definition after the change.
    AttributeUpdated(AttributeDefinition),
    /// The definition is gone.
    AttributeDeleted,
    /// The channel as made.
    InboxCreated(Inbox),
    /// The channel after the change.
    InboxUpdated(Inbox),
    /// The channel is gone.
    InboxDeleted,
    /// The key as made.
    KeyCreated(ApiKey),
    /// The key after the change.
    KeyUpdated(ApiKey),
    /// The key after its rotation.
    KeyRotated(ApiKey),
    /// The key is gone.
    KeyRevoked,
    /// The webhook as made.
    WebhookCreated(Webhook),
    /// The webhook after the change.
    WebhookUpdated(Webhook),
    /// The webhook after its rotation.
    WebhookRotated(Webhook),
    /// The webhook is gone.
    WebhookDeleted,
    /// So many deliveries are made once more.
    Redelivering {
        /// How many.
        count: usize,
        /// The first event that there was no room for.
        #[serde(default)]
        next_from: Option<Seq>,
    },
}

impl Outcome {
    /// The contact that it shows.
    pub(crate) fn record(&self) -> Option<&ContactRecord> {
        match self {
            Self::ContactCreated(record)
            | Self::ContactUpdated(record)
            | Self::ContactReverted(record) => Some(record),
            Self::ContactUpserted(upserted) => Some(&upserted.record),
            _ => None,
        }
    }
}

/// Why a change was not made. The account is as it was before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangeError {
    /// Fields that could not be judged without the store: taken values, exceeded limits.
    Faults(Vec<Fault>),
    /// There is no such thing in this account.
    NotFound(Missing),
    /// The contact has none of the versions that the precondition names.
    Stale {
        /// Which contact.
        id: ContactId,
        /// The version that it has.
        current: Version,
    },
    /// The addresses of an upsert lead to several contacts.
    Ambiguous {
        /// Which leads to which.
        matches: Vec<(IdentityKind, ContactId)>,
    },
    /// Later changes stand in the way of undoing an event.
    RevertConflict {
        /// Which contact.
        id: ContactId,
        /// The fields in which they do: what the event made of each, and what it is now.
        fields: Vec<FieldChange>,
    },
    /// The channel still has contacts.
    HasContacts {
        /// How many links there are.
        count: i64,
    },
    /// Another change of the same atomic call failed.
    Skipped,
}

impl ChangeError {
    /// The same without contacts that have higher numbers: the call that made them was undone.
    pub(crate) fn without_newer(mut self, last: ContactId) -> Self {
        match &mut self {
            Self::Faults(faults) => {
                for fault in faults {
                    fault.contact_id = fault.contact_id.filter(|id| *id <= last);
                }
            }
            Self::Ambiguous { matches } => matches.retain(|(_, id)| *id <= last),
            _ => {}
        }
        self
    }
}

/// What was not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Missing {
    /// The account.
    Account,
    /// The contact.
    Contact,
    /// The label.
    Label,
    /// The definition of a custom attribute.
    Attribute,
    /// The channel.
    Inbox,
    /// The key.
    Key,
    /// The webhook.
    Webhook,
    /// The event.
    Event,
    /// The delivery.
    Delivery,
}

/// What a call of `apply` came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// One result for each change, in order.
    pub results: Vec<Result<Outcome, ChangeError>>,
    /// The call had been made before under its idempotency key, and nothing was done now.
    pub replayed: bool,
}
