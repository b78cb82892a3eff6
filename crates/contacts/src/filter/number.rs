//! Numbers as a filter compares them: integers exactly, others as JSON has them.

use std::cmp::Ordering;

use serde_json::{Number, Value};

/// Below it every whole float is an integer of [`Num::Int`].
const WHOLE: f64 = 1e30;

/// A finite number; one value has one form.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Num {
    /// A whole number.
    Int(i128),
    /// Any other.
    Float(f64),
}

/// No float in it is NaN.
impl Eq for Num {}

impl Num {
    /// The number of a JSON number.
    pub fn of(number: &Number) -> Option<Self> {
        let whole = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
        whole.map(Self::Int).or_else(|| Self::of_float(number.as_f64()?))
    }

    /// The number of a float; `None` where it is not finite.
    pub fn of_float(float: f64) -> Option<Self> {
        if !float.is_finite() {
            return None;
        }
        if float.fract() == 0.0 && float.abs() < WHOLE {
            #[expect(clippy::cast_possible_truncation, reason = "whole, and far smaller")]
            return Some(Self::Int(float as i128));
        }
        Some(Self::Float(float))
    }

    /// Reads a decimal number, blanks around it aside: `-1`, `120.50`, `1e3`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        // Neither `inf` nor `NaN` nor a hexadecimal number is a decimal one.
        let decimal = |c: u8| c.is_ascii_digit() || matches!(c, b'+' | b'-' | b'.' | b'e' | b'E');
        if !text.bytes().any(|c| c.is_ascii_digit()) || !text.bytes().all(decimal) {
            return None;
        }
        let whole = text.parse::<i64>().ok().map(|whole| Self::Int(whole.into()));
        whole.or_else(|| Self::of_float(text.parse().ok()?))
    }

    /// Reads what is asked for: a JSON number, or a text that is one.
    pub(super) fn of_value(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => Self::of(number),
            Value::String(text) => Self::parse(text),
            _ => None,
        }
    }

    /// The nearest float.
    #[expect(clippy::cast_precision_loss, reason = "the nearest is what is asked for")]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Int(whole) => whole as f64,
            Self::Float(float) => float,
        }
    }
}

impl PartialOrd for Num {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Num {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            // A float that is not whole is so small, and one that is so large, that rounding the
            // other one leaves their order.
            _ => self.as_f64().total_cmp(&other.as_f64()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case("120.50", Some(120.5))]
    #[case(" +7 ", Some(7.0))]
    #[case("-1e3", Some(-1000.0))]
    #[case(".5", Some(0.5))]
    #[case("", None)]
    #[case(" ", None)]
    #[case("NaN", None)]
    #[case("inf", None)]
    #[case("1e999", None)]
    #[case("0x10", None)]
    #[case("1,5", None)]
    #[case("1 5", None)]
    #[case("e", None)]
    #[case("--1", None)]
    fn reads_decimals(#[case] text: &str, #[case] number: Option<f64>) {
        assert_eq!(Num::parse(text).map(Num::as_f64), number);
    }

    #[test]
    fn one_value_has_one_form_and_integers_are_exact() {
        let number = |value: Value| Num::of(value.as_number().unwrap()).unwrap();
        assert_eq!(number(json!(5.0)), number(json!(5)));
        assert_eq!(Num::parse("5.00"), Some(Num::Int(5)));
        assert_eq!(number(json!(-0.0)), number(json!(0)));
        assert!(
            number(json!(9_007_199_254_740_993_i64)) > number(json!(9_007_199_254_740_992_i64))
        );
        assert!(number(json!(u64::MAX)) > number(json!(i64::MAX)));
        assert!(number(json!(1e300)) > number(json!(u64::MAX)));
        assert!(number(json!(0.5)) < number(json!(1)));
    }
}
