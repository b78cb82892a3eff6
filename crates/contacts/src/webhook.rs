//! What is true of every webhook, whoever sends it and wherever it is kept: which events it is told
//! of, how a message is signed, when a failed attempt is made again.
//!
//! What a message says is rendered by the server (`server/src/webhooks.rs`), and sent by its one
//! place of outgoing HTTP (`server/src/egress.rs`).

mod retry;
mod selection;
mod signature;
mod subscription;

pub use retry::{Attempt, Verdict};
pub use selection::{PayloadForm, Selection, WebhookEvent, is_activity};
pub use signature::{Secrets, SigningSecret};
pub use subscription::{NewWebhook, StoredWebhook, Webhook, WebhookPatch, WebhookState};
