//! Changes and their outcomes, as values that can be queued, kept and compared.

use meishi_contacts::{
    ApiKey, Contact, ContactId, ContactPatch, Fault, Inbox, InboxId, InboxPatch, KeyId, KeyPatch,
    Label, NewContact, NewInbox, NewKey, SecretHash, SourceId, Version,
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

/// What a change came to. Never holds a secret, since it may be kept for a repeat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// The contact as created, with its link.
    ContactCreated(Box<ContactRecord>),
    /// The contact after the update.
    ContactUpdated(Box<ContactRecord>),
    /// The contact is gone.
    ContactDeleted,
    /// The contact's labels after the change.
    LabelsSet(Vec<Label>),
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
        /// The version that it has.
        current: Version,
    },
    /// The channel still has contacts.
    HasContacts {
        /// How many links there are.
        count: i64,
    },
    /// Another change of the same atomic call failed.
    Skipped,
}

/// What was not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Missing {
    /// The account.
    Account,
    /// The contact.
    Contact,
    /// The channel.
    Inbox,
    /// The key.
    Key,
}

/// What a call of `apply` came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// One result for each change, in order.
    pub results: Vec<Result<Outcome, ChangeError>>,
    /// The call had been made before under its idempotency key, and nothing was done now.
    pub replayed: bool,
}
