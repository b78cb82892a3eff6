//! What comes of an attempt to deliver a message, and when the next one is made.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::{Seed, UnixMillis, limits::RETRY_AFTER_SECONDS};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;

/// Seconds between an attempt that failed and the next one: short enough at first that a restart of
/// the endpoint is hardly noticed, three days in all.
const PAUSES: [i64; Attempt::MAX as usize - 1] = [
    5,
    MINUTE,
    5 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    4 * HOUR,
    8 * HOUR,
    8 * HOUR,
    8 * HOUR,
    8 * HOUR,
    8 * HOUR,
    8 * HOUR,
    8 * HOUR,
    8 * HOUR,
];

/// How far a pause may be from its length, in thousandths of it, so that messages that failed
/// together do not all come back together.
const JITTER: i64 = 200;

/// One attempt that is over.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    /// Which one of its message it was, from 1.
    pub number: u32,
    /// When it was over.
    pub at: UnixMillis,
    /// Randomness of the message or of the attempt.
    pub seed: Seed,
}

/// What comes of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The endpoint has the message.
    Delivered,
    /// The endpoint says that it wants no more messages at all (410).
    Disable,
    /// The message is sent again.
    Retry {
        /// Not before then.
        at: UnixMillis,
    },
    /// The message was sent as often as messages are.
    GiveUp,
}

impl Attempt {
    /// How often a message is sent before it is given up.
    pub const MAX: u32 = 16;

    /// What comes of the attempt, by the status of the answer (`None` where there was none) and its
    /// `Retry-After`. A redirect is a failure like any other.
    pub fn verdict(&self, status: Option<u16>, retry_after: Option<&str>) -> Verdict {
        match status {
            Some(200..=299) => return Verdict::Delivered,
            Some(410) => return Verdict::Disable,
            _ => {}
        }
        let Some(pause) = self.pause() else {
            return Verdict::GiveUp;
        };
        let asked = retry_after.and_then(|text| seconds_until(text, self.at)).unwrap_or(0);
        let pause = pause.max(asked.min(RETRY_AFTER_SECONDS) * 1000);
        Verdict::Retry { at: UnixMillis(self.at.0.saturating_add(pause)) }
    }

    /// Milliseconds until the next attempt; `None` after the last one.
    fn pause(&self) -> Option<i64> {
        let index = usize::try_from(self.number).ok()?.checked_sub(1)?;
        let seconds = PAUSES.get(index)?;
        let [first, second, ..] = self.seed.bytes("webhook retry", index);
        let random = i64::from(u16::from_be_bytes([first, second]));
        let factor = 1000 - JITTER + random * 2 * JITTER / i64::from(u16::MAX);
        Some(seconds * factor)
    }
}

/// The seconds that a `Retry-After` asks to wait (RFC 9110, 10.2.3): a number of them, or a date in
/// one of HTTP's three forms. `None` for what is neither.
fn seconds_until(text: &str, now: UnixMillis) -> Option<i64> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(text.parse().unwrap_or(i64::MAX));
    }
    let date: SystemTime = httpdate::parse_http_date(text).ok()?;
    let seconds = date.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let millis = i64::try_from(seconds).ok()?.saturating_mul(1000).saturating_sub(now.0);
    // Up to the second that is named, not one short of it.
    Some((millis.max(0) + 999) / 1000)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// 1994-11-06 08:49:37 UTC, the moment of RFC 9110's examples.
    const EXAMPLE: i64 = 784_111_777;

    fn attempt(number: u32) -> Attempt {
        Attempt { number, at: UnixMillis(1_000_000_000_000), seed: Seed([7; 32]) }
    }

    fn pause(attempt: Attempt, status: Option<u16>, retry_after: Option<&str>) -> i64 {
        match attempt.verdict(status, retry_after) {
            Verdict::Retry { at } => at.0 - attempt.at.0,
            verdict => panic!("{verdict:?}"),
        }
    }

    #[rstest]
    #[case(Some(200), Verdict::Delivered)]
    #[case(Some(204), Verdict::Delivered)]
    #[case(Some(299), Verdict::Delivered)]
    #[case(Some(410), Verdict::Disable)]
    #[case(Some(199), Verdict::GiveUp)]
    #[case(Some(301), Verdict::GiveUp)]
    #[case(Some(304), Verdict::GiveUp)]
    #[case(Some(400), Verdict::GiveUp)]
    #[case(Some(404), Verdict::GiveUp)]
    #[case(Some(429), Verdict::GiveUp)]
    #[case(Some(500), Verdict::GiveUp)]
    #[case(Some(999), Verdict::GiveUp)]
    #[case(None, Verdict::GiveUp)]
    fn what_fails_is_tried_again_until_the_last_attempt(
        #[case] status: Option<u16>,
        #[case] last: Verdict,
    ) {
        assert_eq!(attempt(Attempt::MAX).verdict(status, Some("5")), last);
        for number in [1, Attempt::MAX - 1] {
            let verdict = attempt(number).verdict(status, None);
            match last {
                Verdict::GiveUp => assert!(matches!(verdict, Verdict::Retry { .. }), "{verdict:?}"),
                last => assert_eq!(verdict, last),
            }
        }
    }

    #[test]
    fn the_pauses_grow_over_three_days() {
        assert!(PAUSES.is_sorted());
        let hours = PAUSES.iter().sum::<i64>() / HOUR;
        assert!((70..=72).contains(&hours), "{hours}");
    }

    #[test]
    fn a_pause_is_off_its_length_by_a_fifth_at_most_and_differs_from_message_to_message() {
        for number in 1..Attempt::MAX {
            let length = PAUSES[number as usize - 1] * 1000;
            let mut pauses: Vec<i64> = (0..=255)
                .map(|byte| Attempt { seed: Seed([byte; 32]), ..attempt(number) })
                .map(|attempt| pause(attempt, None, None))
                .collect();
            pauses.sort_unstable();
            let (shortest, longest) = (pauses[0], pauses[255]);
            assert!(length * 4 / 5 <= shortest && longest <= length * 6 / 5, "{number}");
            // 256 draws reach well into both ends.
            assert!(shortest < length * 9 / 10 && length * 11 / 10 < longest, "{number}");
        }
        assert_eq!(pause(attempt(3), None, None), pause(attempt(3), None, None));
    }

    #[rstest]
    // Shorter than the pause of the eighth attempt, 8 h.
    #[case(8, "0", None)]
    #[case(8, "60", None)]
    #[case(1, "120", Some(120))]
    #[case(1, " 120 ", Some(120))]
    #[case(8, "86399", Some(86_399))]
    #[case(1, "86401", Some(86_400))]
    #[case(1, "99999999999999999999999", Some(86_400))]
    // What is neither seconds nor a date asks for nothing.
    #[case(1, "", None)]
    #[case(1, "-1", None)]
    #[case(1, "1.5", None)]
    #[case(1, "soon", None)]
    #[case(1, "1994-11-06T08:49:37Z", None)]
    fn retry_after_puts_an_attempt_off_for_a_day_at_most(
        #[case] number: u32,
        #[case] retry_after: &str,
        #[case] seconds: Option<i64>,
    ) {
        let plain = pause(attempt(number), Some(503), None);
        let expected = seconds.map_or(plain, |seconds| seconds * 1000);
        assert_eq!(pause(attempt(number), Some(503), Some(retry_after)), expected);
        assert_eq!(pause(attempt(number), Some(302), Some(retry_after)), expected);
    }

    #[rstest]
    #[case("Sun, 06 Nov 1994 08:49:37 GMT")]
    #[case("Sunday, 06-Nov-94 08:49:37 GMT")]
    #[case("Sun Nov  6 08:49:37 1994")]
    fn a_date_is_waited_for_in_all_forms_of_http(#[case] date: &str) {
        let at = |seconds: i64, millis| UnixMillis((EXAMPLE - seconds) * 1000 + millis);
        for (now, seconds) in [
            (at(600, 0), 600),
            (at(600, 1), 600),
            (at(600, -1), 601),
            (at(0, 0), 0),
            (at(-600, 0), 0),
        ] {
            assert_eq!(seconds_until(date, now), Some(seconds));
        }
        let attempt = Attempt { at: at(7200, 0), ..attempt(1) };
        assert_eq!(pause(attempt, Some(429), Some(date)), 7_200_000);
    }
}
