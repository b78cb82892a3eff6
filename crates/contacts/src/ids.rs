//! Identifiers: 64-bit integers that JavaScript can hold exactly.
//!
//! Contact, channel and key ids count per account, so an id tells nothing of other tenants; every
//! look-up therefore takes the `AccountId` beside it.

use serde::{Deserialize, Serialize};

/// The largest integer that an IEEE double, and so every JSON client, holds exactly.
pub const MAX_ID: i64 = (1 << 53) - 1;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl $name {
            /// Reads an id from a path or a query: ASCII digits only, 1 to 2^53 - 1.
            pub fn parse(text: &str) -> Option<Self> {
                parse(text).map(Self)
            }
        }

        impl From<i64> for $name {
            fn from(id: i64) -> Self {
                Self(id)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// A tenant: LiveDesk's project.
    AccountId
);
id!(
    /// A contact, counted per account and never given twice.
    ContactId
);
id!(
    /// A channel: the Channel ID of the console, `inbox_id` of the API. Counted per account.
    InboxId
);
id!(
    /// An API key, counted per account.
    KeyId
);
id!(
    /// A definition of a custom attribute, counted per account.
    AttributeId
);
id!(
    /// A label, counted per account.
    LabelId
);
id!(
    /// A webhook, counted per account.
    WebhookId
);

/// The number of an event in its account: dense, from 1. 0 stands before the first event.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Seq(pub i64);

impl Seq {
    /// The number after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl std::fmt::Display for Seq {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// How often a contact has changed, from 1 at its creation. What `If-Match` compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub i64);

impl Version {
    /// The version of a contact that was just created.
    pub const FIRST: Self = Self(1);

    /// The version after one more change.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// ASCII digits that make an integer from 1 to [`MAX_ID`].
pub fn parse(text: &str) -> Option<i64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|id| (1..=MAX_ID).contains(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_id_is_digits_only_and_within_what_javascript_holds() {
        assert_eq!(ContactId::parse("42"), Some(ContactId(42)));
        assert_eq!(ContactId::parse("9007199254740991"), Some(ContactId(MAX_ID)));
        for wrong in ["", "0", "+1", "-1", "12abc", "9007199254740992", "99999999999999999999", "١"]
        {
            assert_eq!(ContactId::parse(wrong), None, "{wrong}");
        }
    }
}
