//! What a value that is asked for means: a check, which a stored value passes or not.
//!
//! A value is read by the kind of its field, by the type of its attribute where one is defined,
//! and otherwise as what it looks like. A stored value that cannot be read that way passes no
//! check; it is never an error.

use std::ops::{Bound, RangeBounds};

use serde_json::Value;

use super::{
    Reading,
    datum::{Scalar, flag_of},
    number::Num,
    operator::Operator,
    subject::{Kind, Subject},
    time::{Span, When, day_after},
};
use crate::{AttributeType, Label, limits::RELATIVE_DAYS, search::fold};

/// What a stored value may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Check {
    /// A text that folds to the same, or the number that the text is.
    Equals { folded: String, number: Option<Num> },
    /// A text that contains the folded one.
    Contains(String),
    /// A text that begins with the folded one.
    StartsWith(String),
    /// A text that ends with the folded one.
    EndsWith(String),
    /// A number within bounds.
    Number(Bound<Num>, Bound<Num>),
    /// A moment within a span.
    Time(Span),
    /// A boolean.
    Flag(bool),
    /// A label.
    Label(Label),
}

impl Check {
    pub(super) fn is_passed_by(&self, scalar: &Scalar<'_>) -> bool {
        match self {
            Self::Equals { folded, number } => {
                scalar.folded == *folded
                    || scalar.is_number && number.is_some() && scalar.number == *number
            }
            Self::Contains(part) => scalar.folded.contains(part.as_str()),
            Self::StartsWith(part) => scalar.folded.starts_with(part.as_str()),
            Self::EndsWith(part) => scalar.folded.ends_with(part.as_str()),
            Self::Number(from, to) => {
                scalar.number.is_some_and(|number| (*from, *to).contains(&number))
            }
            Self::Time(span) => scalar.moment.is_some_and(|at| span.contains(at)),
            Self::Flag(flag) => scalar.flag == Some(*flag),
            Self::Label(_) => false,
        }
    }
}

/// How the values of a condition are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Phone,
    Label,
    Number,
    Date,
    /// Dates, and Unix seconds.
    Time,
    Flag,
    /// As what they look like.
    Open,
}

impl Form {
    fn of(subject: &Subject, operator: Operator, reading: &Reading<'_>) -> Self {
        match subject.kind() {
            Kind::Text => Self::Text,
            Kind::Phone => Self::Phone,
            Kind::Labels => Self::Label,
            Kind::Flag => Self::Flag,
            Kind::Time => Self::Time,
            Kind::Open => {
                let defined = match subject {
                    Subject::Custom(key) => (reading.types)(key),
                    _ => None,
                };
                let compares = !matches!(operator, Operator::EqualTo | Operator::NotEqualTo);
                match defined {
                    None => Self::Open,
                    // Texts have no order of their own; what is asked for may have one.
                    Some(AttributeType::Text | AttributeType::Link | AttributeType::List) => {
                        if compares {
                            Self::Open
                        } else {
                            Self::Text
                        }
                    }
                    Some(
                        AttributeType::Number | AttributeType::Currency | AttributeType::Percent,
                    ) => Self::Number,
                    Some(AttributeType::Date) => Self::Date,
                    Some(AttributeType::Checkbox) => Self::Flag,
                }
            }
        }
    }
}

/// Reads the values of a condition, whose number is right; tells the first that cannot be read,
/// or `None` of it where they do not go together.
pub(super) fn read(
    subject: &Subject,
    operator: Operator,
    values: &[Value],
    reading: &Reading<'_>,
) -> Result<Vec<Check>, Option<usize>> {
    let form = Form::of(subject, operator, reading);
    let each = |read: &dyn Fn(&Value) -> Option<Vec<Check>>| {
        let mut checks = Vec::new();
        for (number, value) in values.iter().enumerate() {
            checks.extend(read(value).ok_or(Some(number))?);
        }
        Ok(checks)
    };
    let part = |value: &Value| folded(form, value);
    match operator {
        Operator::IsPresent | Operator::IsNotPresent => Ok(Vec::new()),
        Operator::EqualTo | Operator::NotEqualTo => each(&|value| equality(form, value)),
        Operator::Contains | Operator::DoesNotContain => {
            each(&|value| Some(vec![Check::Contains(part(value)?)]))
        }
        Operator::StartsWith => {
            each(&|value| Some(vec![Check::StartsWith(led_by_plus(form, part(value)?))]))
        }
        Operator::EndsWith => each(&|value| Some(vec![Check::EndsWith(part(value)?)])),
        Operator::IsGreaterThan
        | Operator::IsLessThan
        | Operator::IsGreaterThanOrEqualTo
        | Operator::IsLessThanOrEqualTo => {
            each(&|value| Some(vec![order(operator, &Ordered::read(form, value)?)]))
        }
        Operator::Between => between(form, values).map(|check| vec![check]),
        Operator::DaysBefore | Operator::WithinLastDays | Operator::WithinNextDays => {
            each(&|value| {
                let days = days(value)?;
                let today = day_after(reading.now, 0);
                let day = |days| day_after(reading.now, days);
                Some(vec![Check::Time(match operator {
                    Operator::DaysBefore => Span { until: day(-days), ..Span::ALL },
                    Operator::WithinLastDays => Span { from: day(-days), until: day(1) },
                    _ => Span { from: today, until: day(days + 1) },
                })])
            })
        }
    }
}

/// The checks of which one must be passed by what is equal to the value.
fn equality(form: Form, value: &Value) -> Option<Vec<Check>> {
    let exactly = |number| Check::Number(Bound::Included(number), Bound::Included(number));
    let equals = |value| {
        let number = Num::of_value(value);
        Some(Check::Equals { folded: led_by_plus(form, folded(form, value)?), number })
    };
    Some(match (form, value) {
        (Form::Text | Form::Phone, _) => vec![equals(value)?],
        (Form::Label, _) => vec![Check::Label(Label::parse(&text(value)?).ok()??)],
        (Form::Number, _) | (Form::Open, Value::Number(_)) => vec![exactly(Num::of_value(value)?)],
        (Form::Date, Value::String(text)) => vec![Check::Time(When::parse(text)?.span())],
        (Form::Date, _) => return None,
        (Form::Time, _) => vec![Check::Time(When::of_value(value)?.span())],
        (Form::Flag, _) | (Form::Open, Value::Bool(_)) => vec![Check::Flag(flag(value)?)],
        (Form::Open, _) => {
            let moment = value.as_str().and_then(When::parse).map(|when| Check::Time(when.span()));
            [Some(equals(value)?), moment].into_iter().flatten().collect()
        }
    })
}

/// A value that others can be more or less than.
enum Ordered {
    Number(Num),
    Time(When),
}

impl Ordered {
    fn read(form: Form, value: &Value) -> Option<Self> {
        match form {
            Form::Number => Num::of_value(value).map(Self::Number),
            Form::Date => When::parse(value.as_str()?).map(Self::Time),
            Form::Time => When::of_value(value).map(Self::Time),
            Form::Open => {
                let moment = value.as_str().and_then(When::parse).map(Self::Time);
                moment.or_else(|| Num::of_value(value).map(Self::Number))
            }
            Form::Text | Form::Phone | Form::Label | Form::Flag => None,
        }
    }
}

fn order(operator: Operator, than: &Ordered) -> Check {
    use Bound::{Excluded, Included, Unbounded};
    match than {
        Ordered::Number(number) => match operator {
            Operator::IsGreaterThan => Check::Number(Excluded(*number), Unbounded),
            Operator::IsLessThan => Check::Number(Unbounded, Excluded(*number)),
            Operator::IsGreaterThanOrEqualTo => Check::Number(Included(*number), Unbounded),
            _ => Check::Number(Unbounded, Included(*number)),
        },
        Ordered::Time(when) => {
            let span = when.span();
            Check::Time(match operator {
                Operator::IsGreaterThan => Span { from: span.until, ..Span::ALL },
                Operator::IsLessThan => Span { until: span.from, ..Span::ALL },
                Operator::IsGreaterThanOrEqualTo => Span { from: span.from, ..Span::ALL },
                _ => Span { until: span.until, ..Span::ALL },
            })
        }
    }
}

/// Both ends are part of it; the first must not be the larger one.
fn between(form: Form, values: &[Value]) -> Result<Check, Option<usize>> {
    let read = |number: usize| {
        values.get(number).and_then(|value| Ordered::read(form, value)).ok_or(Some(number))
    };
    match (read(0)?, read(1)?) {
        (Ordered::Number(from), Ordered::Number(to)) if from <= to => {
            Ok(Check::Number(Bound::Included(from), Bound::Included(to)))
        }
        (Ordered::Time(from), Ordered::Time(to)) if from.span().from < to.span().until => {
            Ok(Check::Time(Span { from: from.span().from, until: to.span().until }))
        }
        _ => Err(None),
    }
}

/// The folded text that is looked for; a blank one is none.
fn folded(form: Form, value: &Value) -> Option<String> {
    let mut folded = fold(&text(value)?);
    if form == Form::Phone {
        // What people put between digits is not stored.
        folded.retain(|c| !matches!(c, ' ' | '-' | '.' | '/' | '(' | ')'));
    }
    Some(folded).filter(|folded| !folded.is_empty())
}

/// The whole of a phone number, or its beginning: exactly one `+` leads it.
fn led_by_plus(form: Form, folded: String) -> String {
    if form == Form::Phone { format!("+{}", folded.trim_start_matches('+')) } else { folded }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) => flag_of(&fold(text)),
        _ => None,
    }
}

/// A number of days.
fn days(value: &Value) -> Option<i64> {
    let days = match value {
        Value::Number(number) => number.as_i64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    (0..=RELATIVE_DAYS).contains(&days).then_some(days)
}
