//! A query over an account's contacts, and what it means, written down as plainly as possible.
//!
//! The index answers queries fast; this says what a right answer is. The index's model test holds
//! the two together, and the server checks with it what the index leaves open.

use std::cmp::Ordering;

use crate::{Contact, Filter, Label, Place, SortKey, TextQuery};

/// Which contacts, in which order, which of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The text that one of name, e-mail, phone and identifier must contain.
    pub text: Option<TextQuery>,
    /// Labels of which a contact must have one; none is no condition.
    pub labels: Vec<Label>,
    /// What a contact must match.
    pub filter: Option<Filter>,
    /// Whether a contact must have an e-mail address, a phone number or an identifier.
    pub resolved: bool,
    /// The order; ties go by id, descending.
    pub order: Vec<SortKey>,
    /// A place in that order: what does not come after it is counted and otherwise left out.
    pub after: Option<Place>,
    /// Which part of the answer, or of what comes after the place.
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
            && (!self.resolved || contact.is_resolved())
            && self.filter.as_ref().is_none_or(|filter| filter.matches(contact))
    }

    /// Which of two contacts comes first.
    pub fn compare(&self, a: &Contact, b: &Contact) -> Ordering {
        Place::of(self, a).compare(&Place::of(self, b), &self.order)
    }

    /// Whether the contact comes after the place that the answer begins at.
    pub fn follows(&self, contact: &Contact) -> bool {
        self.after
            .as_ref()
            .is_none_or(|after| Place::of(self, contact).compare(after, &self.order).is_gt())
    }
}
