//! Days and moments as a filter reads them, in milliseconds since 1970-01-01 UTC. Days are UTC's.

use jiff::{Timestamp, civil, tz::TimeZone};
use serde_json::Value;

use crate::UnixMillis;

const DAY: i64 = 24 * 3600 * 1000;

/// A day or a moment that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// A whole day, by its first millisecond.
    Day(i64),
    /// One moment.
    At(i64),
}

/// From a first moment on, and before another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first moment in it.
    pub from: i64,
    /// The first moment after it.
    pub until: i64,
}

impl Span {
    /// All times.
    pub(super) const ALL: Self = Self { from: i64::MIN, until: i64::MAX };

    /// Whether the moment lies in it.
    pub const fn contains(self, at: i64) -> bool {
        self.from <= at && at < self.until
    }
}

impl When {
    /// Reads an ISO date or an RFC 3339 time.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        // jiff reads more forms than are dates to everybody; and this tells most texts apart fast.
        let dashed =
            matches!(text.as_bytes(), [y, _, _, _, b'-', _, _, b'-', ..] if y.is_ascii_digit());
        if !dashed {
            return None;
        }
        if text.len() == "2026-01-01".len() {
            return start_of(text.parse().ok()?).map(Self::Day);
        }
        moment(text).map(Self::At)
    }

    /// Reads what is asked of a time field: dates and times as above, or Unix seconds.
    pub(super) fn of_value(value: &Value) -> Option<Self> {
        let seconds = |seconds: i64| seconds.checked_mul(1000).map(Self::At);
        match value {
            Value::Number(number) => seconds(number.as_i64()?),
            Value::String(text) => Self::parse(text).or_else(|| seconds(text.trim().parse().ok()?)),
            _ => None,
        }
    }

    /// The moments that are meant.
    pub(super) const fn span(self) -> Span {
        match self {
            Self::Day(from) => Span { from, until: from.saturating_add(DAY) },
            Self::At(from) => Span { from, until: from.saturating_add(1) },
        }
    }
}

/// The moment that a stored text tells; a day is its beginning.
pub(super) fn moment_of(text: &str) -> Option<i64> {
    match When::parse(text)? {
        When::Day(at) | When::At(at) => Some(at),
    }
}

/// The beginning of the day that lies so many days after the one of `now`.
pub(super) fn day_after(now: UnixMillis, days: i64) -> i64 {
    now.0.div_euclid(DAY).saturating_add(days).saturating_mul(DAY)
}

fn start_of(date: civil::Date) -> Option<i64> {
    let start = date.to_zoned(TimeZone::UTC).ok()?;
    Some(start.timestamp().as_millisecond())
}

/// A time without an offset is taken for UTC.
fn moment(text: &str) -> Option<i64> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at.as_millisecond());
    }
    let at = text.parse::<civil::DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?;
    Some(at.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("2026-11-21", Some(When::Day(1_795_219_200_000)))]
    #[case(" 2026-11-21 ", Some(When::Day(1_795_219_200_000)))]
    #[case("2026-11-21T01:00:00+01:00", Some(When::At(1_795_219_200_000)))]
    #[case("2026-11-21T00:00:00.5Z", Some(When::At(1_795_219_200_500)))]
    #[case("2026-11-21 00:00:01", Some(When::At(1_795_219_201_000)))]
    #[case("1969-12-31", Some(When::Day(-DAY)))]
    #[case("2026-02-30", None)]
    #[case("20261121", None)]
    #[case("2026-11-21'; DROP TABLE contacts; --", None)]
    #[case("tomorrow", None)]
    #[case("", None)]
    fn reads_days_and_moments(#[case] text: &str, #[case] when: Option<When>) {
        assert_eq!(When::parse(text), when);
    }
}
