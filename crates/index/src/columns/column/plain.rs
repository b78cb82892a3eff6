//! Values that need not be read to be told: their JSON, as it is stored, is the one that would be
//! written of them.

use meishi_contacts::attributes::plain_string;

/// Characters of a number, of which a float keeps as many digits.
const DIGITS: usize = 15;

/// Whether the JSON of a value is what would be written of it; where in doubt, not.
pub(super) fn is_canonical(json: &str) -> bool {
    matches!(json, "true" | "false" | "{}" | "[]")
        || plain_string(json).is_some()
        || plain_number(json).is_some()
}

/// The number that a JSON is, if it would be written like that.
pub(super) fn plain_number(json: &str) -> Option<f64> {
    let digits = json.strip_prefix('-').unwrap_or(json);
    if digits.len() > DIGITS || !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (digits, None),
    };
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_plain = is_digits(whole)
        && match fraction {
            None => json != "-0",
            // What is small may be written with an exponent; a zero at the end says nothing.
            Some(fraction) => {
                let is_small = whole == "0" && fraction.starts_with('0');
                let is_short = !fraction.is_empty() && !fraction.ends_with('0');
                is_digits(fraction) && is_short && !is_small
            }
        };
    if is_plain { json.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use meishi_contacts::filter::Num;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn check(json: &str) {
        let value: Value = serde_json::from_str(json).unwrap();
        if is_canonical(json) {
            assert_eq!(value.to_string(), json);
        }
        if let Some(number) = plain_number(json) {
            let read = Num::of(value.as_number().unwrap()).unwrap().as_f64();
            assert_eq!(read.to_bits(), number.to_bits(), "{json}");
        }
    }

    #[test]
    fn usual_values_are_plain() {
        for json in ["0", "7", "-12", "1234.56", "-0.5", "123456789012345", "0.1"] {
            check(json);
            assert!(plain_number(json).is_some(), "{json}");
        }
        for json in [
            "-0",
            "0.0",
            "-0.0",
            "1.0",
            "1.50",
            "1e3",
            "1E3",
            "0.01",
            "1234567890123456",
            "0.00001",
            "123456789012345.5",
            "1.5e1",
            "-0.05",
            "123456789012345678901234567890",
        ] {
            check(json);
            assert!(plain_number(json).is_none(), "{json}");
        }
        for json in ["\"a\"", "true", "{}", "[]"] {
            assert!(is_canonical(json) && plain_number(json).is_none(), "{json}");
        }
        for json in [r#""\u0061""#, r#""\/""#, "[ ]", "null", r#""\\""#, "[1]", "{\"a\":1}"] {
            assert!(!is_canonical(json), "{json}");
        }
    }

    proptest! {
        #[test]
        fn what_is_taken_as_it_stands_is_what_would_be_written(
            json in "-?(0|[1-9][0-9]{0,17})(\\.[0-9]{1,17})?([eE][-+]?[0-9]{1,2})?|\"([ -!#-\\[\\]-\u{ff}]|\\\\[nt/\"])*\""
        ) {
            check(&json);
        }

        #[test]
        fn numbers_that_are_written_read_the_same(float in any::<f64>(), decimal in 0..1_000_000, places in 0..8) {
            for float in [float, f64::from(decimal) / 10_f64.powi(places)] {
                if let Some(number) = serde_json::Number::from_f64(float) {
                    check(&number.to_string());
                }
            }
        }
    }
}
