//! Channels: how people reach a team. The API says inbox, the console says channel.

use serde::{Deserialize, Serialize};

use crate::{InboxId, UnixMillis};

/// A channel of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inbox {
    /// The Channel ID.
    pub id: InboxId,
    /// What people call it.
    pub name: String,
    /// What kind of channel it is.
    pub channel_type: ChannelType,
    /// When it was made.
    pub created_at: UnixMillis,
}

/// The kinds of channel that Meishi has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ChannelType {
    /// A channel that programs write to.
    #[default]
    #[serde(rename = "Channel::Api")]
    Api,
}

impl ChannelType {
    /// The type's name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "Channel::Api",
        }
    }

    /// The type of that name.
    pub fn parse(name: &str) -> Option<Self> {
        (name == Self::Api.as_str()).then_some(Self::Api)
    }
}

/// A channel to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInbox {
    /// The Channel ID where the caller chooses it, 1 to 2^52 - 1; else the next free one.
    pub id: Option<InboxId>,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub channel_type: ChannelType,
}

/// What a write does to a channel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InboxPatch {
    /// New name.
    pub name: Option<String>,
}
