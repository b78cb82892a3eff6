//! Deliveries of webhooks: what a server asks for, notes and answers of them.
//!
//! They are the bookkeeping of consumers, not changes of an account: no event tells of them. What
//! one server works on no other does, for as long as its lease lasts.

use meishi_contacts::{
    AccountId, ContactId, Seq, StoredWebhook, UnixMillis, WebhookId, WebhookState,
    limits::{
        LOGGED_ATTEMPTS, REVIVED_DELIVERIES, WEBHOOK_ACCOUNT_FAILING_TURNS, WEBHOOK_ACCOUNT_TURNS,
    },
};
use serde::{Deserialize, Serialize};

/// How far a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// An earlier one of the same contact is under way.
    Waiting,
    /// It goes out when its time has come.
    Pending,
    /// The receiver took it.
    Delivered,
    /// It was given up after the last attempt.
    Failed,
    /// Its contact was erased; nothing is left of it.
    Erased,
}

impl DeliveryState {
    /// All states.
    pub const ALL: [Self; 5] =
        [Self::Waiting, Self::Pending, Self::Delivered, Self::Failed, Self::Erased];

    /// The state's name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Erased => "erased",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// One event for one webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The event.
    pub seq: Seq,
    /// The delivery's own id: what receivers know repeats by.
    pub id: String,
    /// The event's kind, such as `contact.created`.
    pub kind: String,
    /// The contact that it is about.
    pub contact: ContactId,
    /// The body, as it was when it was first built; empty in lists, and once it is erased.
    pub payload: String,
    /// How far it is.
    pub state: DeliveryState,
    /// The attempts so far, the first one first; of many the last ones.
    pub attempts: Vec<Attempt>,
    /// How many attempts were made since it was begun, or begun anew.
    pub tries: i64,
    /// When the webhook was to be told of it first.
    pub created_at: UnixMillis,
    /// When the next attempt is due.
    pub next_at: Option<UnixMillis>,
    /// When it was delivered or given up.
    pub settled_at: Option<UnixMillis>,
}

/// An attempt at a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it began.
    pub at: UnixMillis,
    /// How long it took.
    pub millis: i64,
    /// The answer's status; none where there was no answer.
    pub status: Option<u16>,
    /// The beginning of the answer's body.
    pub answer: Option<String>,
    /// Why there was no answer, or why it was none that counts.
    pub error: Option<String>,
}

/// A delivery that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    /// The event.
    pub seq: Seq,
    /// The delivery's own id.
    pub id: String,
    /// The event's kind.
    pub kind: String,
    /// The contact that it is about.
    pub contact: ContactId,
    /// The body.
    pub payload: String,
}

/// A webhook that this server may work on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeasedWebhook {
    /// The webhook.
    pub stored: StoredWebhook,
    /// The account's last event when it was leased.
    pub last_seq: Seq,
}

/// How many webhooks are to be leased at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseRoom {
    /// Of those whose last attempt did not fail, or that have had none.
    pub well: usize,
    /// Of the failing ones.
    pub failing: usize,
}

impl LeaseRoom {
    /// So many of both.
    pub const fn of_each(room: usize) -> Self {
        Self { well: room, failing: room }
    }

    /// Whether there is none.
    pub const fn is_none(&self) -> bool {
        self.well == 0 && self.failing == 0
    }

    /// Both kinds: whether it fails, how many of it, and how many of one account at once.
    pub(crate) const fn kinds(self) -> [(bool, usize, i64); 2] {
        [
            (false, self.well, WEBHOOK_ACCOUNT_TURNS),
            (true, self.failing, WEBHOOK_ACCOUNT_FAILING_TURNS),
        ]
    }
}

/// Whose lease it is, of which webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The account.
    pub account: AccountId,
    /// The webhook.
    pub webhook: WebhookId,
    /// The server.
    pub owner: String,
}

/// What became of a delivery after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// It was taken.
    Delivered,
    /// It is tried again at that time.
    Retry(UnixMillis),
    /// It is given up.
    GivenUp,
}

impl Settlement {
    /// The delivery's state and the time of its next attempt, in milliseconds.
    pub(crate) fn columns(self) -> (DeliveryState, Option<i64>) {
        match self {
            Self::Delivered => (DeliveryState::Delivered, None),
            Self::Retry(at) => (DeliveryState::Pending, Some(at.0)),
            Self::GivenUp => (DeliveryState::Failed, None),
        }
    }
}

/// The log of a delivery with one more attempt.
pub(crate) fn logged(mut attempts: Vec<Attempt>, attempt: &Attempt) -> Vec<Attempt> {
    attempts.push(attempt.clone());
    let surplus = attempts.len().saturating_sub(LOGGED_ATTEMPTS);
    attempts.drain(..surplus);
    attempts
}

/// From which event on there may be more to begin anew, after a step that found these.
pub(crate) fn revive_after(seqs: &[i64]) -> Option<i64> {
    let is_full = i64::try_from(seqs.len()).is_ok_and(|found| found >= REVIVED_DELIVERIES);
    seqs.last().filter(|_| is_full).map(|last| last + 1)
}

/// What an attempt says of its webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookHealth {
    /// It takes deliveries.
    Well,
    /// It failed, the first time in a row at that time or earlier.
    Failing(UnixMillis),
    /// It is not to be told any more until its account says so, and why.
    Stopped {
        /// Paused or disabled.
        state: WebhookState,
        /// Why, for people.
        reason: String,
    },
}
