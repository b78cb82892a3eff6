//! The domain of Meishi: types and rules, without I/O.
//!
//! A value that exists is valid: text is parsed once at the edge (`fields`, `contact`, `json`) and
//! the type carries the proof from there on. Both stores, the index and both dialects share what
//! is here, so that a rule lives once. No clock, no randomness, no SQL, no HTTP.
//!
//! To add a field of the contact: `contact.rs` (card, patch, `apply`), `event.rs` (`Field`), then
//! the stores' `contacts.rs` and the dialects' views; the compiler leads through the rest.

pub mod attribute_type;
pub mod attributes;
pub mod clock;
pub mod contact;
pub mod definition;
pub mod event;
pub mod fault;
pub mod fields;
pub mod filter;
pub mod ids;
pub mod inbox;
pub mod json;
pub mod key;
pub mod label;
pub mod limits;
pub mod order;
pub mod past;
pub mod patch;
pub mod place;
pub mod query;
pub mod relevance;
pub mod search;
pub mod seed;
pub mod webhook;

pub use attribute_type::AttributeType;
pub use attributes::{Attributes, AttributesPatch};
pub use clock::{Clock, SystemClock, UnixMillis, UnixSeconds};
pub use contact::{Availability, Card, Contact, ContactLink};
pub use definition::{AttributeDefinition, AttributeMode, AttributePatch, NewAttribute};
pub use event::{Actor, Event, EventBody, Field, FieldChange, FieldPath};
pub use fault::{Fault, FaultCode};
pub use fields::{Email, Identifier, Identity, IdentityKind, Label, Phone, SourceId};
pub use filter::Filter;
pub use ids::{
    AccountId, AttributeId, ContactId, InboxId, KeyId, LabelId, Seq, Version, WebhookId,
};
pub use inbox::{ChannelType, Inbox, InboxPatch, NewInbox};
pub use key::{ApiKey, Credential, KeyPatch, NewKey, Role, SecretHash, StoredKey};
pub use label::{LabelCard, LabelPatch, NewLabel, Relabelling};
pub use order::{SortField, SortKey};
pub use past::NotOfTheField;
pub use patch::{ContactPatch, NewContact, NewLink, Patch};
pub use place::{Place, SortValue};
pub use query::{Query, Slice};
pub use search::{FOLD_VERSION, TextQuery};
pub use seed::Seed;
pub use webhook::{
    NewWebhook, PayloadForm, StoredWebhook, Webhook, WebhookEvent, WebhookPatch, WebhookState,
};
