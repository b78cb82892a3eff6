//! A place in the order of a list: what the order compares of a contact, apart from the contact.
//!
//! Contacts are in order as their places are, and a list goes on after a place, whatever became of
//! the contact that stood there. All values are of bounded length ([`STRING_CHARS`] for a text as
//! it is kept), so that a place fits into a cursor.
//!
//! To sort by one more field: `order.rs` (its name), `SortField::of` here, `Row::value` in the
//! index, and how a cursor writes it (`server/src/api/livedesk/contacts/position.rs`).

use std::{borrow::Cow, cmp::Ordering};

use serde_json::Value;

use crate::{
    Contact, ContactId, Email, Phone, Query, SortField, SortKey, TextQuery, UnixSeconds,
    attributes::plain_string, limits::STRING_CHARS, search::fold,
};

/// What a contact is sorted by under one key. Values of one key are always of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SortValue<T> {
    /// An address or an attribute.
    Text(T),
    /// A name: as searched, then as it is.
    Name {
        /// The folded name ([`fold`]).
        folded: T,
        /// The name itself.
        name: T,
    },
    /// A time.
    Time(UnixSeconds),
    /// The contact's own number.
    Id(ContactId),
    /// How well the text fits, the best 0.
    Relevance(u32),
}

impl SortValue<String> {
    /// The same value, borrowed.
    pub fn as_deref(&self) -> SortValue<&str> {
        match self {
            Self::Text(text) => SortValue::Text(text),
            Self::Name { folded, name } => SortValue::Name { folded, name },
            Self::Time(at) => SortValue::Time(*at),
            Self::Id(id) => SortValue::Id(*id),
            Self::Relevance(rank) => SortValue::Relevance(*rank),
        }
    }
}

impl SortValue<&str> {
    /// The same value, on its own.
    pub fn into_owned(self) -> SortValue<String> {
        match self {
            Self::Text(text) => SortValue::Text(text.to_owned()),
            Self::Name { folded, name } => {
                SortValue::Name { folded: folded.to_owned(), name: name.to_owned() }
            }
            Self::Time(at) => SortValue::Time(at),
            Self::Id(id) => SortValue::Id(id),
            Self::Relevance(rank) => SortValue::Relevance(rank),
        }
    }
}

/// Where a contact stands, or once stood, in an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// What it has at each key of the order.
    pub values: Vec<Option<SortValue<String>>>,
    /// The contact, which decides among those with the same values.
    pub id: ContactId,
}

impl Place {
    /// The place of a contact in the answer to a query.
    pub fn of(query: &Query, contact: &Contact) -> Self {
        let text = query.text.as_ref();
        let values = query.order.iter().map(|key| key.field.of(contact, text)).collect();
        Self { values, id: contact.id }
    }

    /// Which of two places of an order comes first.
    pub fn compare(&self, other: &Self, order: &[SortKey]) -> Ordering {
        order
            .iter()
            .zip(self.values.iter().zip(&other.values))
            .map(|(key, (a, b))| compare_optional(*key, a.as_ref(), b.as_ref()))
            .find(|ordering| ordering.is_ne())
            .unwrap_or_else(|| other.id.cmp(&self.id))
    }
}

impl SortField {
    /// What a contact is sorted by under this field, where this text is searched.
    pub fn of(self, contact: &Contact, text: Option<&TextQuery>) -> Option<SortValue<String>> {
        let attribute = |member| attribute_text(contact.additional_attributes.to_map().get(member));
        let text = match self {
            Self::Id => return Some(SortValue::Id(contact.id)),
            Self::Relevance => return text?.relevance(contact).map(SortValue::Relevance),
            Self::Name => {
                let (folded, name) = (fold(&contact.name), contact.name.clone());
                return Some(SortValue::Name { folded, name });
            }
            Self::LastActivityAt => return contact.last_activity_at.map(SortValue::Time),
            Self::CreatedAt => return Some(SortValue::Time(contact.created_at)),
            Self::Email => contact.email.as_ref().map(Email::to_string),
            Self::PhoneNumber => contact.phone_number.as_ref().map(Phone::to_string),
            Self::CompanyName => attribute("company_name"),
            Self::City => attribute("city"),
            Self::Country => attribute("country"),
        };
        text.map(SortValue::Text)
    }
}

/// What a member of the maps sorts by: a string as it is, anything else but `null` by its JSON, of
/// either the first [`STRING_CHARS`] code points.
pub fn attribute_text(value: Option<&Value>) -> Option<String> {
    match value {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(beginning(text).to_owned()),
        Some(other) => Some(beginning(&other.to_string()).to_owned()),
    }
}

/// The same of the JSON of a stored value, lent where the value stands in it as it is.
pub fn stored_text(json: &str) -> Option<Cow<'_, str>> {
    match plain_string(json) {
        Some(text) => Some(beginning(text).into()),
        None => attribute_text(serde_json::from_str(json).ok().as_ref()).map(Cow::from),
    }
}

fn beginning(text: &str) -> &str {
    if text.len() <= STRING_CHARS {
        return text;
    }
    text.char_indices().nth(STRING_CHARS).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_attribute_is_sorted_by_its_first_255_characters() {
        let long = "ü".repeat(300);
        let text = |value: Value| attribute_text(Some(&value)).unwrap();
        assert_eq!(text(json!(long)), "ü".repeat(255));
        assert_eq!(text(json!("ü".repeat(255))), "ü".repeat(255));
        assert_eq!(text(json!([long])), format!("[\"{}", "ü".repeat(253)));
        assert_eq!(text(json!("")), "");
        assert_eq!(attribute_text(Some(&Value::Null)), None);
    }

    #[test]
    fn a_stored_attribute_is_sorted_by_the_same_text() {
        let long = "ü".repeat(300);
        for value in [
            json!(long),
            json!([long]),
            json!(""),
            json!("a\"\n"),
            json!("é"),
            json!(null),
            json!(1.5),
            json!(true),
            json!({"a": [1, null]}),
        ] {
            let json = value.to_string();
            assert_eq!(
                stored_text(&json).map(Cow::into_owned),
                attribute_text(Some(&value)),
                "{json}"
            );
            assert_eq!(stored_text(&json.replace(',', ", ")).is_some(), !value.is_null());
        }
        assert!(matches!(stored_text("\"a\""), Some(Cow::Borrowed("a"))));
    }
}
