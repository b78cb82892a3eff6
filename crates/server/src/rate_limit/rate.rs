//! What an operator writes: `100/s`, `20/m`, `1000/10m`, or `off`.

use std::{fmt, str::FromStr};

use meishi_contacts::limits::{RATE_CALLS, RATE_SECONDS};
use serde::Deserialize;
use thiserror::Error;

/// Calls in a time: as many at once, and as many again, evenly, in each such time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// 1 to [`RATE_CALLS`].
    pub(super) calls: u32,
    /// 1 to [`RATE_SECONDS`].
    pub(super) seconds: u32,
}

/// A rate, or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Limit(pub Option<Rate>);

/// A text that is no limit.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{0}` is no limit: write calls (1 to {RATE_CALLS}) and a time (up to 24h) as in 100/s, 20/m or \
     1000/10m, or off"
)]
pub struct NotALimit(String);

impl Rate {
    /// Nanoseconds after which there is one more call.
    pub(super) fn interval(self) -> i64 {
        i64::from(self.seconds) * 1_000_000_000 / i64::from(self.calls.max(1))
    }

    /// `<calls>/<unit>` or `<calls>/<number><unit>`.
    fn parse(text: &str) -> Option<Self> {
        let (calls, time) = text.split_once('/')?;
        let unit = time.chars().last()?;
        let unit_seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            _ => return None,
        };
        let seconds = match time.strip_suffix(unit)? {
            "" => unit_seconds,
            number => whole(number)?.checked_mul(unit_seconds)?,
        };
        let calls = whole(calls)?;
        let fits = (1..=RATE_CALLS).contains(&calls) && (1..=RATE_SECONDS).contains(&seconds);
        fits.then_some(Self { calls, seconds })
    }
}

/// A number of digits alone; `parse` would take a sign.
fn whole(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}s", self.calls, self.seconds)
    }
}

impl FromStr for Limit {
    type Err = NotALimit;

    fn from_str(text: &str) -> Result<Self, NotALimit> {
        if text == "off" {
            return Ok(Self(None));
        }
        Rate::parse(text).map(|rate| Self(Some(rate))).ok_or_else(|| NotALimit(text.to_owned()))
    }
}

impl TryFrom<String> for Limit {
    type Error = NotALimit;

    fn try_from(text: String) -> Result<Self, NotALimit> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_calls_in_a_time_or_off() {
        for (text, calls, seconds) in [
            ("100/s", 100, 1),
            ("20/m", 20, 60),
            ("1000/10m", 1000, 600),
            ("5/h", 5, 3600),
            ("1/24h", 1, 86400),
            ("1000000/1s", 1_000_000, 1),
        ] {
            assert_eq!(text.parse(), Ok(Limit(Some(Rate { calls, seconds }))), "{text}");
        }
        assert_eq!("off".parse(), Ok(Limit(None)));
        for text in [
            "",
            "/",
            "100",
            "100/",
            "/s",
            "0/s",
            "1/0s",
            "-1/s",
            "+1/s",
            "1/+1s",
            "1.5/s",
            "1/d",
            "1/25h",
            "1000001/s",
            "1/s ",
            " 1/s",
            "1 / s",
            "1/ss",
            "OFF",
            "1/99999999999999h",
            "1/ş",
            "99999999999/s",
            "1//s",
        ] {
            let refused = text.parse::<Limit>().unwrap_err();
            assert!(refused.to_string().starts_with(&format!("`{text}` is no limit")), "{refused}");
        }
    }

    #[test]
    fn a_call_comes_back_after_its_share_of_the_time() {
        let interval = |text: &str| text.parse::<Limit>().unwrap().0.unwrap().interval();
        assert_eq!(interval("20/m"), 3_000_000_000);
        assert_eq!(interval("100/s"), 10_000_000);
        assert_eq!(interval("1000000/s"), 1000);
    }
}
