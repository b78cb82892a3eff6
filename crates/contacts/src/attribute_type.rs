//! What kind of values an attribute holds, where an account defines that.

use serde::{Deserialize, Serialize};

/// The type of a defined attribute, by Chatwoot's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttributeType {
    /// Any text.
    Text,
    /// A number.
    Number,
    /// An amount of money, as a number.
    Currency,
    /// A share of a hundred, as a number.
    Percent,
    /// The address of a page.
    Link,
    /// A day.
    Date,
    /// One of some texts.
    List,
    /// Yes or no.
    Checkbox,
}

impl AttributeType {
    /// All types, in the order of their documentation.
    pub const ALL: [Self; 8] = [
        Self::Text,
        Self::Number,
        Self::Currency,
        Self::Percent,
        Self::Link,
        Self::Date,
        Self::List,
        Self::Checkbox,
    ];

    /// The type's name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Currency => "currency",
            Self::Percent => "percent",
            Self::Link => "link",
            Self::Date => "date",
            Self::List => "list",
            Self::Checkbox => "checkbox",
        }
    }

    /// The type of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }
}
