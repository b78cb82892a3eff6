//! The filter language (`chatwoot-wire.md` section 4, and beyond): which contacts, by conditions
//! on their fields, attributes and labels.
//!
//! A [`Filter`] is read from JSON once ([`Filter::parse`]), with the time of the call, so that
//! relative dates are fixed from there on; [`Filter::matches`] is its plain meaning, to which the
//! index is held. `subject.rs` has what can be asked about, `operator.rs` what can be asked,
//! `check.rs` what a value that is asked for means, `datum.rs` how a stored value is read,
//! `parse.rs` the two forms in JSON and all faults, `print.rs` the way back, `explain.rs` the
//! words.
//!
//! To add an operator: `operator.rs`, its subjects in `subject.rs`, its meaning in `check.rs`, its
//! words in `explain.rs`. To add a field: `subject.rs`, and `Fields::of` here.

mod check;
mod datum;
mod explain;
mod number;
mod operator;
mod parse;
mod print;
mod subject;
#[cfg(test)]
mod tests;
mod time;

use std::{cell::OnceCell, ops::RangeBounds};

use serde_json::{Map, Value};

use self::check::Check;
pub use self::{
    datum::{Datum, Scalar},
    number::Num,
    operator::Operator,
    subject::Subject,
    time::Span,
};
use crate::{AttributeType, Attributes, Contact, Label, UnixMillis, UnixSeconds, search::fold};

/// Which contacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// Those that all of these match; never fewer than two.
    And(Vec<Filter>),
    /// Those that any of these matches; never fewer than two.
    Or(Vec<Filter>),
    /// Those that this does not match.
    Not(Box<Filter>),
    /// Those that meet a condition.
    Is(Condition),
}

/// A condition on one thing of a contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    subject: Subject,
    operator: Operator,
    /// As they were sent.
    values: Vec<Value>,
    /// One of them is to be passed; or none, where the operator is negated.
    checks: Vec<Check>,
}

/// What a filter is read with.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    /// The time, from which relative dates count.
    pub now: UnixMillis,
    /// The type of a custom attribute, where the account defines it. Values of the others are
    /// read as what they look like.
    pub types: &'a dyn Fn(&str) -> Option<AttributeType>,
    /// Whether a custom attribute that is not defined is a fault, as it is in Chatwoot.
    pub only_defined: bool,
}

impl Reading<'_> {
    /// Without any definition.
    pub fn untyped(now: UnixMillis) -> Self {
        Self { now, types: &|_| None, only_defined: false }
    }
}

impl Filter {
    /// Whether the contact is one of those that are asked for.
    pub fn matches(&self, contact: &Contact) -> bool {
        let fields = Fields { contact, additional: OnceCell::new(), custom: OnceCell::new() };
        self.holds(&|condition| fields.meet(condition))
    }

    /// Whether the filter holds where its conditions do as `is_met` says.
    pub fn holds(&self, is_met: &dyn Fn(&Condition) -> bool) -> bool {
        match self {
            Self::And(filters) => filters.iter().all(|filter| filter.holds(is_met)),
            Self::Or(filters) => filters.iter().any(|filter| filter.holds(is_met)),
            Self::Not(filter) => !filter.holds(is_met),
            Self::Is(condition) => is_met(condition),
        }
    }
}

impl Condition {
    /// What it is about.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// What it asks.
    pub fn operator(&self) -> Operator {
        self.operator
    }

    /// Whether a member of the maps meets it.
    pub fn is_met_by(&self, datum: &Datum<'_>) -> bool {
        let passes = |check: &Check| datum.scalars().iter().any(|one| check.is_passed_by(one));
        self.verdict(*datum != Datum::Absent, || datum.is_present(), passes)
    }

    /// Whether a text field meets it, which is given folded; an empty address is none.
    pub fn is_met_by_text(&self, folded: &str) -> bool {
        let scalar = Scalar::text(folded);
        let is_there = self.subject == Subject::Name || !folded.is_empty();
        self.verdict(is_there, || !folded.is_empty(), |check| check.is_passed_by(&scalar))
    }

    /// Whether a time field meets it.
    pub fn is_met_by_time(&self, at: Option<UnixSeconds>) -> bool {
        let moment = at.map(|at| at.0.saturating_mul(1000));
        let passes = |check: &Check| match (check, moment) {
            (Check::Time(span), Some(moment)) => span.contains(moment),
            _ => false,
        };
        self.verdict(at.is_some(), || at.is_some(), passes)
    }

    /// Whether a flag meets it.
    pub fn is_met_by_flag(&self, flag: bool) -> bool {
        self.verdict(true, || true, |check| *check == Check::Flag(flag))
    }

    /// Whether labels meet it.
    pub fn is_met_by_labels(&self, labels: &[Label]) -> bool {
        let passes = |check: &Check| matches!(check, Check::Label(label) if labels.contains(label));
        let is_there = !labels.is_empty();
        self.verdict(is_there, || is_there, passes)
    }

    /// Whether a number meets it; `None` where that depends on how the number is written.
    pub fn is_met_by_number(&self, number: Num) -> Option<bool> {
        let is_of_text = |check: &Check| {
            matches!(check, Check::Contains(_) | Check::StartsWith(_) | Check::EndsWith(_))
        };
        let passes = |check: &Check| match check {
            Check::Equals { number: asked, .. } => *asked == Some(number),
            Check::Number(from, to) => (*from, *to).contains(&number),
            _ => false,
        };
        (!self.checks.iter().any(is_of_text)).then(|| self.verdict(true, || true, passes))
    }

    /// The folded texts of which one must be part of a text that passes a check.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.checks.iter().filter_map(|check| match check {
            Check::Equals { folded: text, .. }
            | Check::Contains(text)
            | Check::StartsWith(text)
            | Check::EndsWith(text) => Some(text.as_str()),
            Check::Number(..) | Check::Time(_) | Check::Flag(_) | Check::Label(_) => None,
        })
    }

    /// Whether a text meets it, or fails to, only by being equal to one of [`Self::texts`].
    pub fn is_of_equal_texts(&self) -> bool {
        matches!(self.operator, Operator::EqualTo | Operator::NotEqualTo)
            && self.checks.iter().all(|check| matches!(check, Check::Equals { .. }))
    }

    /// The labels of which it wants one, or none where its operator is negated.
    pub fn labels(&self) -> impl Iterator<Item = &Label> {
        self.checks.iter().filter_map(|check| match check {
            Check::Label(label) => Some(label),
            _ => None,
        })
    }

    fn verdict(
        &self,
        is_there: bool,
        is_present: impl FnOnce() -> bool,
        passes: impl FnMut(&Check) -> bool,
    ) -> bool {
        match self.operator {
            Operator::IsPresent => is_present(),
            Operator::IsNotPresent => !is_present(),
            operator if operator.is_negated() => {
                if is_there {
                    !self.checks.iter().any(passes)
                } else {
                    self.subject.absent_is_unequal()
                }
            }
            _ => self.checks.iter().any(passes),
        }
    }
}

/// A contact, whose maps are read when they are first asked for.
struct Fields<'a> {
    contact: &'a Contact,
    additional: OnceCell<Map<String, Value>>,
    custom: OnceCell<Map<String, Value>>,
}

impl Fields<'_> {
    fn meet(&self, condition: &Condition) -> bool {
        let contact = self.contact;
        let text = |text: Option<&str>| condition.is_met_by_text(&fold(text.unwrap_or_default()));
        let member = |map: &OnceCell<Map<String, Value>>, attributes: &Attributes, key: &str| {
            let map = map.get_or_init(|| attributes.to_map());
            condition.is_met_by(&Datum::of(map.get(key)))
        };
        match &condition.subject {
            Subject::Name => text(Some(&contact.name)),
            Subject::FirstName => text(contact.first_name.as_deref()),
            Subject::LastName => text(contact.last_name.as_deref()),
            Subject::Email => text(contact.email.as_ref().map(crate::Email::as_str)),
            Subject::PhoneNumber => text(contact.phone_number.as_ref().map(crate::Phone::as_str)),
            Subject::Identifier => text(contact.identifier.as_ref().map(crate::Identifier::as_str)),
            Subject::Labels => condition.is_met_by_labels(&contact.labels),
            Subject::Blocked => condition.is_met_by_flag(contact.blocked),
            Subject::CreatedAt => condition.is_met_by_time(Some(contact.created_at)),
            Subject::LastActivityAt => condition.is_met_by_time(contact.last_activity_at),
            Subject::Additional(key) => {
                member(&self.additional, &contact.additional_attributes, key)
            }
            Subject::Custom(key) => member(&self.custom, &contact.custom_attributes, key),
        }
    }
}
