//! A webhook itself: what is asked for, what is stored, what its account sees.

use serde::{Deserialize, Serialize};

use super::{PayloadForm, Selection, WebhookEvent};
use crate::{AccountId, Seq, UnixMillis, WebhookId};

/// An address that is told of changes, as its account sees it: without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// The webhook's number in its account.
    pub id: WebhookId,
    /// Where to.
    pub url: String,
    /// Of what, in the order of [`WebhookEvent::ALL`] and without repeats.
    pub events: Vec<WebhookEvent>,
    /// The form of the payload.
    pub format: PayloadForm,
    /// Also told of updates that are nothing but activity.
    pub include_activity: bool,
    /// Whether it is at work.
    pub state: WebhookState,
    /// Why it is not at work, where that was not its account's wish.
    pub state_reason: Option<String>,
    /// When it was made.
    pub created_at: UnixMillis,
    /// Since when every attempt has failed.
    pub failing_since: Option<UnixMillis>,
    /// Until when deliveries are signed with the secret before the last rotation too.
    pub previous_until: Option<UnixMillis>,
}

impl Webhook {
    /// What it is told of.
    pub fn selection(&self) -> Selection {
        Selection::new(self.events.iter().copied(), self.include_activity)
    }
}

/// Whether a webhook is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookState {
    /// It is told of changes.
    #[default]
    Enabled,
    /// It waits, because its account or its endless failures made it; nothing is lost meanwhile.
    Paused,
    /// It asked not to be told any more (410); nothing is lost meanwhile.
    Disabled,
}

impl WebhookState {
    /// The state's name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Enabled, Self::Paused, Self::Disabled]
            .into_iter()
            .find(|state| state.as_str() == name)
    }
}

/// A webhook to be made.
#[derive(Clone, PartialEq, Eq)]
pub struct NewWebhook {
    /// Where to.
    pub url: String,
    /// Of what.
    pub events: Vec<WebhookEvent>,
    /// In which form.
    pub format: PayloadForm,
    /// Also told of updates that are nothing but activity.
    pub include_activity: bool,
    /// What deliveries are signed with: `whsec_` and base64.
    pub secret: String,
}

/// What a write does to a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WebhookPatch {
    /// New address.
    pub url: Option<String>,
    /// New selection.
    pub events: Option<Vec<WebhookEvent>>,
    /// New form; what is stored already keeps its own.
    pub format: Option<PayloadForm>,
    /// Whether mere activity counts.
    pub include_activity: Option<bool>,
    /// Pauses it or sets it to work again.
    pub state: Option<WebhookState>,
}

/// A webhook as it is stored. Its secret has to be known to sign with, so that no hash would do.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredWebhook {
    /// Whose webhook it is.
    pub account: AccountId,
    /// The webhook.
    pub webhook: Webhook,
    /// What deliveries are signed with.
    pub secret: String,
    /// What they were signed with before the last rotation.
    pub previous_secret: Option<String>,
    /// The last event that was looked at for it.
    pub cursor: Seq,
}

impl std::fmt::Debug for NewWebhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NewWebhook({}, …)", self.url)
    }
}

impl std::fmt::Debug for StoredWebhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StoredWebhook({:?}, …)", self.webhook)
    }
}
