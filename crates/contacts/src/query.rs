//! A query over an account's contacts, and what it means, written down as plainly as possible.
//!
//! The index answers queries fast; this says what a right answer is. The index's model test holds
//! the two together, and the server checks with it what the index leaves open.

use std::cmp::Ordering;

use serde_json::Value;

use crate::{
    Contact, Label,
    order::{SortField, SortKey},
    search::{TextQuery, fold},
};

/// Which contacts, in which order, which of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The text that one of name, e-mail, phone and identifier must contain.
    pub text: Option<TextQuery>,
    /// Labels of which a contact must have one; none is no condition.
    pub labels: Vec<Label>,
    /// The order; ties go by id, descending.
    pub order: Vec<SortKey>,
    /// Which part of the answer.
    pub slice: Slice,
}

/// A part of an ordered answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// How many to leave out first.
    pub offset: usize,
    /// How many at most.
    pub limit: usize,
}

impl Query {
    /// Whether the contact belongs to the answer.
    pub fn matches(&self, contact: &Contact) -> bool {
        self.text.as_ref().is_none_or(|text| text.matches(contact))
            && (self.labels.is_empty()
                || self.labels.iter().any(|label| contact.labels.contains(label)))
    }

    /// Which of two contacts comes first.
    pub fn compare(&self, a: &Contact, b: &Contact) -> Ordering {
        self.order
            .iter()
            .map(|key| compare_by(*key, a, b))
            .find(|ordering| ordering.is_ne())
            .unwrap_or_else(|| b.id.cmp(&a.id))
    }
}

fn compare_by(key: SortKey, a: &Contact, b: &Contact) -> Ordering {
    match key.field {
        SortField::Email => compare_optional(key, a.email.as_ref(), b.email.as_ref()),
        SortField::Name => {
            let folded = |contact: &Contact| (fold(&contact.name), contact.name.clone());
            compare_optional(key, Some(folded(a)), Some(folded(b)))
        }
        SortField::PhoneNumber => {
            compare_optional(key, a.phone_number.as_ref(), b.phone_number.as_ref())
        }
        SortField::LastActivityAt => compare_optional(key, a.last_activity_at, b.last_activity_at),
        SortField::CreatedAt => compare_optional(key, Some(a.created_at), Some(b.created_at)),
        SortField::CompanyName => by_attribute(key, "company_name", a, b),
        SortField::City => by_attribute(key, "city", a, b),
        SortField::Country => by_attribute(key, "country", a, b),
    }
}

fn by_attribute(key: SortKey, member: &str, a: &Contact, b: &Contact) -> Ordering {
    let text =
        |contact: &Contact| attribute_text(contact.additional_attributes.to_map().get(member));
    compare_optional(key, text(a), text(b))
}

/// What a member of the maps sorts by: a string as it is, anything else but `null` by its JSON.
pub fn attribute_text(value: Option<&Value>) -> Option<String> {
    match value {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(other) => Some(other.to_string()),
    }
}

/// Compares two values of a sort key, absent ones where `livedesk-wire.md` 9.5 puts them.
pub fn compare_optional<T: Ord>(key: SortKey, a: Option<T>, b: Option<T>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) if key.descending => b.cmp(&a),
        (Some(a), Some(b)) => a.cmp(&b),
        (None, None) => Ordering::Equal,
        (a, _) => {
            let absent_first = key.descending && !key.field.nulls_always_last();
            if a.is_none() == absent_first { Ordering::Less } else { Ordering::Greater }
        }
    }
}
