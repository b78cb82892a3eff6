//! What conditions on attributes mean, written down once more and only for the values that
//! `typed.rs` makes: from the JSON that is sent and the JSON that is stored, without a line of the
//! filter's own code.

use meishi_contacts::AttributeType;
use serde_json::{Map, Value};

const DAY: i64 = 24 * 3600 * 1000;

/// The sixth day of all, in the morning.
pub(crate) const NOW: i64 = 5 * DAY + 7 * 3600 * 1000;

/// The attributes that the account defines.
pub(crate) fn type_of(key: &str) -> Option<AttributeType> {
    Some(match key {
        "note" => AttributeType::Text,
        "site" => AttributeType::Link,
        "plan" => AttributeType::List,
        "seats" => AttributeType::Number,
        "price" => AttributeType::Currency,
        "share" => AttributeType::Percent,
        "since" => AttributeType::Date,
        "beta" => AttributeType::Checkbox,
        _ => return None,
    })
}

/// A filter or a part of one, as it is sent: whether a contact with these attributes is one of those
/// that are asked for; `None` where it cannot be read.
pub(crate) fn holds(filter: &Value, custom: &Map<String, Value>) -> Option<bool> {
    let list = |name: &str| filter.get(name)?.as_array();
    if let Some(parts) = list("and") {
        let parts: Option<Vec<bool>> = parts.iter().map(|part| holds(part, custom)).collect();
        return Some(parts?.into_iter().all(|part| part));
    }
    if let Some(parts) = list("or") {
        let parts: Option<Vec<bool>> = parts.iter().map(|part| holds(part, custom)).collect();
        return Some(parts?.into_iter().any(|part| part));
    }
    if let Some(part) = filter.get("not") {
        return holds(part, custom).map(|holds| !holds);
    }
    let key = filter.get("attribute_key")?.as_str()?;
    let operator = filter.get("filter_operator")?.as_str()?;
    let asked = filter.get("values")?.as_array()?;
    is_met(type_of(key), operator, asked, custom.get(key))
}

fn is_met(
    defined: Option<AttributeType>,
    operator: &str,
    asked: &[Value],
    stored: Option<&Value>,
) -> Option<bool> {
    let stored = stored.filter(|stored| !stored.is_null());
    let is_present = match stored {
        None => false,
        Some(Value::String(text)) => !seen(text).is_empty(),
        Some(Value::Array(items)) => items.iter().any(|item| shown(item).is_some()),
        Some(_) => true,
    };
    let (operator, is_negated) = match operator {
        "is_present" => return Some(is_present),
        "is_not_present" => return Some(!is_present),
        "not_equal_to" | "not_in" => ("equal_to", true),
        "does_not_contain" => ("contains", true),
        "in" => ("equal_to", false),
        operator => (operator, false),
    };
    let passes_any = |stored: &Value| -> Option<bool> {
        if let ("between", [from, to]) = (operator, asked) {
            return is_between(defined, from, to, stored);
        }
        let passed: Option<Vec<bool>> =
            asked.iter().map(|asked| passes(defined, operator, asked, stored)).collect();
        Some(passed?.contains(&true))
    };
    // Whether it can be read does not depend on what is stored.
    passes_any(&Value::Null)?;
    let is_met = match stored {
        None => false,
        Some(Value::Array(items)) => items.iter().any(|item| passes_any(item) == Some(true)),
        Some(stored) => passes_any(stored)?,
    };
    Some(is_met != is_negated)
}

/// Whether a stored text, number or boolean passes one of the values that are asked for.
fn passes(
    defined: Option<AttributeType>,
    operator: &str,
    asked: &Value,
    stored: &Value,
) -> Option<bool> {
    let lies_in =
        |(from, until): (i64, i64)| moment(stored).is_some_and(|at| from <= at && at < until);
    match operator {
        "equal_to" => equals(defined, asked, stored),
        "contains" | "starts_with" | "ends_with" => {
            let part = Some(seen(&shown(asked)?)).filter(|part| !part.is_empty())?;
            let text = shown(stored).map(|text| seen(&text));
            Some(text.is_some_and(|text| match operator {
                "contains" => text.contains(&part),
                "starts_with" => text.starts_with(&part),
                _ => text.ends_with(&part),
            }))
        }
        "days_before" | "within_last_days" | "within_next_days" => {
            let days: i64 = shown(asked)?.trim().parse().ok()?;
            if !(0..=36_525).contains(&days) {
                return None;
            }
            Some(lies_in(match operator {
                "days_before" => (i64::MIN, (5 - days) * DAY),
                "within_last_days" => ((5 - days) * DAY, 6 * DAY),
                _ => (5 * DAY, (6 + days) * DAY),
            }))
        }
        _ => match ordered(defined, asked)? {
            Ordered::Number(asked) => Some(number(stored).is_some_and(|stored| match operator {
                "is_greater_than" => stored > asked,
                "is_less_than" => stored < asked,
                "is_greater_than_or_equal_to" => stored >= asked,
                _ => stored <= asked,
            })),
            // A day as a whole: after it, before it, not before it, not after it.
            Ordered::Span(from, until) => Some(moment(stored).is_some_and(|at| match operator {
                "is_greater_than" => at >= until,
                "is_less_than" => at < from,
                "is_greater_than_or_equal_to" => at >= from,
                _ => at < until,
            })),
        },
    }
}

fn equals(defined: Option<AttributeType>, asked: &Value, stored: &Value) -> Option<bool> {
    use AttributeType::{Checkbox, Currency, Date, Link, List, Number, Percent, Text};
    let same_number = || Some(number(stored) == Some(number(asked)?));
    let same_flag = || Some(flag(stored) == Some(flag(asked)?));
    let lies_in = |(from, until)| moment(stored).is_some_and(|at| from <= at && at < until);
    let same_text = || {
        let asked_text = Some(seen(&shown(asked)?)).filter(|text| !text.is_empty())?;
        let is_same = shown(stored).is_some_and(|text| seen(&text) == asked_text);
        // A number is found however it is written.
        Some(
            is_same
                || stored.is_number() && number(asked).is_some_and(|n| number(stored) == Some(n)),
        )
    };
    match (defined, asked) {
        (Some(Text | Link | List), _) => same_text(),
        (Some(Number | Currency | Percent), _) | (None, Value::Number(_)) => same_number(),
        (Some(Date), _) => Some(lies_in(span(asked)?)),
        (Some(Checkbox), _) | (None, Value::Bool(_)) => same_flag(),
        (None, _) => Some(same_text()? || span(asked).is_some_and(lies_in)),
    }
}

fn is_between(
    defined: Option<AttributeType>,
    from: &Value,
    to: &Value,
    stored: &Value,
) -> Option<bool> {
    match (ordered(defined, from)?, ordered(defined, to)?) {
        (Ordered::Number(from), Ordered::Number(to)) if from <= to => {
            Some(number(stored).is_some_and(|stored| (from..=to).contains(&stored)))
        }
        (Ordered::Span(from, _), Ordered::Span(_, until)) if from < until => {
            Some(moment(stored).is_some_and(|at| (from..until).contains(&at)))
        }
        _ => None,
    }
}

/// What others are more or less than.
enum Ordered {
    Number(i128),
    Span(i64, i64),
}

fn ordered(defined: Option<AttributeType>, asked: &Value) -> Option<Ordered> {
    use AttributeType::{Checkbox, Currency, Date, Number, Percent};
    let number = || number(asked).map(Ordered::Number);
    let span = || span(asked).map(|(from, until)| Ordered::Span(from, until));
    match defined {
        Some(Number | Currency | Percent) => number(),
        Some(Date) => span(),
        Some(Checkbox) => None,
        // Texts as what they look like.
        _ => span().or_else(number),
    }
}

/// A text, number or boolean as a text.
fn shown(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

/// A text as filters see it.
fn seen(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").to_lowercase().replace('\u{f6}', "o")
}

/// In tenths: the values have no more.
fn number(value: &Value) -> Option<i128> {
    let text = shown(value).filter(|_| !value.is_boolean())?;
    let (whole, tenth) = text.trim().split_once('.').unwrap_or((text.trim(), "0"));
    let sign = if whole.starts_with('-') { -1 } else { 1 };
    let digit: i128 = tenth.parse().ok().filter(|_| tenth.len() == 1)?;
    Some(whole.parse::<i128>().ok()? * 10 + sign * digit)
}

fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) if seen(text) == "true" => Some(true),
        Value::String(text) if seen(text) == "false" => Some(false),
        _ => None,
    }
}

/// A day of January 1970 as its first moment, or a moment in UTC.
fn moment(value: &Value) -> Option<i64> {
    let text = value.as_str()?.trim().strip_prefix("1970-01-")?;
    let (day, time) = text.split_once('T').unwrap_or((text, "00:00:00Z"));
    let parts = time.strip_suffix('Z')?.split(':').map(|part| part.parse::<i64>().ok());
    let parts: Vec<i64> = parts.collect::<Option<_>>()?;
    let [hours, minutes, seconds] = parts[..] else { return None };
    let seconds = (hours * 60 + minutes) * 60 + seconds;
    Some((day.parse::<i64>().ok()? - 1) * DAY + seconds * 1000)
}

/// From a first moment on and before another: a whole day, or one moment.
fn span(value: &Value) -> Option<(i64, i64)> {
    let from = moment(value)?;
    let is_moment = value.as_str().is_some_and(|text| text.contains('T'));
    Some((from, from + if is_moment { 1 } else { DAY }))
}
