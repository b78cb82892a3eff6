//! A filter in words.

use serde_json::Value;

use super::{Condition, Filter, operator::Operator, subject::Subject};

impl Filter {
    /// The filter in plain words: `plan is pro and (label is vip or seats is more than 10)`.
    pub fn explain(&self) -> String {
        let joined = |filters: &[Self], word: &str| {
            let parts: Vec<String> = filters.iter().map(Self::within).collect();
            parts.join(word)
        };
        match self {
            Self::And(filters) => joined(filters, " and "),
            Self::Or(filters) => joined(filters, " or "),
            Self::Not(filter) => format!("not ({})", filter.explain()),
            Self::Is(condition) => condition.explain(),
        }
    }

    /// The same as a part of a group.
    fn within(&self) -> String {
        match self {
            Self::And(_) | Self::Or(_) => format!("({})", self.explain()),
            Self::Not(_) | Self::Is(_) => self.explain(),
        }
    }
}

impl Condition {
    fn explain(&self) -> String {
        let what = self.subject.explain();
        let values: Vec<String> = self.values.iter().map(quoted).collect();
        let first = values.first().map(String::as_str).unwrap_or_default();
        let is_time = matches!(self.subject, Subject::CreatedAt | Subject::LastActivityAt)
            || self.asks_for_time();
        let one = |verb: &str, of: &str| match values.as_slice() {
            [value] => format!("{what} {verb} {value}"),
            _ => format!("{what} {verb} {of}{}", values.join(", ")),
        };
        match self.operator {
            Operator::EqualTo => one("is", "one of "),
            Operator::NotEqualTo => match values.as_slice() {
                [value] => format!("{what} is not {value}"),
                _ => format!("{what} is none of {}", values.join(", ")),
            },
            Operator::Contains => one("contains", "one of "),
            Operator::DoesNotContain => match values.as_slice() {
                [value] => format!("{what} does not contain {value}"),
                _ => format!("{what} contains none of {}", values.join(", ")),
            },
            Operator::StartsWith => one("starts with", "one of "),
            Operator::EndsWith => one("ends with", "one of "),
            Operator::IsPresent => format!("{what} is present"),
            Operator::IsNotPresent => format!("{what} is not present"),
            Operator::IsGreaterThan if is_time => format!("{what} is after {first}"),
            Operator::IsGreaterThan => format!("{what} is more than {first}"),
            Operator::IsLessThan if is_time => format!("{what} is before {first}"),
            Operator::IsLessThan => format!("{what} is less than {first}"),
            Operator::IsGreaterThanOrEqualTo if is_time => {
                format!("{what} is {first} or later")
            }
            Operator::IsGreaterThanOrEqualTo => format!("{what} is {first} or more"),
            Operator::IsLessThanOrEqualTo if is_time => format!("{what} is {first} or earlier"),
            Operator::IsLessThanOrEqualTo => format!("{what} is {first} or less"),
            Operator::Between => format!("{what} is between {}", values.join(" and ")),
            Operator::DaysBefore => format!("{what} is more than {} ago", days(first)),
            Operator::WithinLastDays => format!("{what} is within the last {}", days(first)),
            Operator::WithinNextDays => format!("{what} is within the next {}", days(first)),
        }
    }

    fn asks_for_time(&self) -> bool {
        matches!(self.checks.first(), Some(super::Check::Time(_)))
    }
}

impl Subject {
    fn explain(&self) -> String {
        match self {
            Self::FirstName => "first name".into(),
            Self::LastName => "last name".into(),
            Self::Email => "e-mail".into(),
            Self::PhoneNumber => "phone number".into(),
            Self::Labels => "label".into(),
            Self::CreatedAt => "creation".into(),
            Self::LastActivityAt => "last activity".into(),
            Self::Name | Self::Identifier | Self::Blocked => self.name().to_owned(),
            Self::Additional(key) | Self::Custom(key) => plain(key).unwrap_or_else(|| json(key)),
        }
    }
}

fn days(number: &str) -> String {
    if number == "1" { "day".to_owned() } else { format!("{number} days") }
}

/// A value as it is where that cannot be misread, else in quotes.
fn quoted(value: &Value) -> String {
    match value {
        Value::String(text) => plain(text).unwrap_or_else(|| json(text)),
        other => other.to_string(),
    }
}

/// A single word.
fn plain(text: &str) -> Option<String> {
    let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '@' | '+' | ':');
    (!text.is_empty() && text.chars().all(word)).then(|| text.to_owned())
}

fn json(text: &str) -> String {
    Value::from(text).to_string()
}
