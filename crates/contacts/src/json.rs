//! The strict JSON parser of request bodies: bytes in, a [`Value`] or the first fault out.
//!
//! Only RFC 8259 is judged here; what the fields of a contact may hold is judged elsewhere.
//! `serde_json` reads the good path in one pass. It cannot say where a key began or whether a
//! float was written as an integer, so a text it refuses (or doubts) is read again by the
//! scanner, which builds nothing and knows every position.

mod scanner;

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

use crate::limits::JSON_DEPTH;

use self::scanner::{Defect, scan};

/// How many characters of the client's own text an error repeats.
const MAX_QUOTED: usize = 64;

/// No integer that `serde_json` had to turn into a float is smaller than this.
const INEXACT: f64 = 9.2e18;

/// What is wrong with a text that should be JSON, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Malformed JSON at line {line}, column {column}: {cause}")]
pub struct Malformed {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in Unicode code points, counted from 1.
    pub column: usize,
    /// The fault itself.
    pub cause: Cause,
}

/// A way in which a text can fail to be JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// A `//` or `/*` where a token is expected.
    #[error("comments (//) are not allowed in JSON")]
    Comment,
    /// A comma directly before the closing bracket.
    #[error("a trailing comma is not allowed in JSON")]
    TrailingComma,
    /// The second occurrence of a key (shortened if long) in one object.
    #[error("the key {} occurs more than once in the same object", Value::from(.0.as_str()))]
    DuplicateKey(String),
    /// A number that could not be kept without loss.
    #[error("the number is out of range (an integer must fit in 64 bits)")]
    NumberOutOfRange,
    /// Too many brackets open at once.
    #[error("more than {JSON_DEPTH} levels of nesting")]
    TooDeep,
    /// A byte that is not part of UTF-8.
    #[error("the body is not valid UTF-8")]
    NotUtf8,
    /// Nothing but whitespace.
    #[error("the body is empty")]
    Empty,
    /// The text stops before its value is complete.
    #[error("the body ends before the JSON value is complete")]
    UnexpectedEnd,
    /// Any other breach of the grammar.
    #[error("{0}")]
    Syntax(Cow<'static, str>),
}

/// Parses a request body. With several faults the first in the text is reported.
///
/// A byte order mark at the start is skipped, as RFC 8259 permits, and not counted.
pub fn parse(body: &[u8]) -> Result<Value, Malformed> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let Ok(text) = std::str::from_utf8(body) else {
        let prefix = body.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        return Err(not_utf8(prefix).locate(prefix));
    };
    let inexact = Cell::new(false);
    match build(text, &inexact) {
        Ok(value) if !inexact.get() => Ok(value),
        Ok(value) => match scan(text) {
            Ok(()) => Ok(value),
            Err(fault) => Err(fault.locate(text)),
        },
        Err(error) => {
            let fault = scan(text).err().unwrap_or_else(|| translate(text, &error));
            Err(fault.locate(text))
        }
    }
}

/// How deeply a value is nested: a scalar is 0, `{}` is 1, `{"a": {}}` is 2.
pub fn depth(value: &Value) -> usize {
    let mut deepest = 0;
    let mut pending = vec![(value, 0)];
    while let Some((value, above)) = pending.pop() {
        match value {
            Value::Array(items) => pending.extend(items.iter().map(|item| (item, above + 1))),
            Value::Object(map) => pending.extend(map.values().map(|item| (item, above + 1))),
            _ => continue,
        }
        deepest = deepest.max(above + 1);
    }
    deepest
}

/// The key under which `serde_json`, with `raw_value`, hands a text through to itself: stored as
/// an ordinary key, it would be read back as something else.
const RESERVED_KEY: &str = "$serde_json::private::RawValue";

const NUL: &str = "must not contain the NUL character";

/// What in a value no store can keep, at any depth, as the end of a sentence.
pub fn unstorable(value: &Value) -> Option<&'static str> {
    let mut pending = vec![value];
    while let Some(value) = pending.pop() {
        let problem = match value {
            Value::String(text) if text.contains('\0') => Some(NUL),
            Value::Object(map) => map.keys().find_map(|key| unstorable_key(key)),
            _ => None,
        };
        if problem.is_some() {
            return problem;
        }
        match value {
            Value::Array(items) => pending.extend(items),
            Value::Object(map) => pending.extend(map.values()),
            _ => {}
        }
    }
    None
}

/// The same of an object's key.
pub fn unstorable_key(key: &str) -> Option<&'static str> {
    if key.contains('\0') {
        Some(NUL)
    } else if key == RESERVED_KEY {
        Some("must not contain the key that marks raw JSON")
    } else {
        None
    }
}

fn build(text: &str, inexact: &Cell<bool>) -> serde_json::Result<Value> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Builder { inexact }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// Builds a [`Value`] as `serde_json` would, except that a duplicate key is an error and that
/// no key is magic (with `raw_value`, `Value`'s own visitor gives one key a private meaning).
#[derive(Clone, Copy)]
struct Builder<'a> {
    /// Set on meeting a float that may have been written as an integer.
    inexact: &'a Cell<bool>,
}

impl<'de> DeserializeSeed<'de> for Builder<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Builder<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        if value.abs() >= INEXACT {
            self.inexact.set(true);
        }
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            match map.entry(key) {
                Entry::Vacant(entry) => entry.insert(access.next_value_seed(self)?),
                Entry::Occupied(_) => return Err(A::Error::custom("duplicate key")),
            };
        }
        Ok(Value::Object(map))
    }
}
/// The first fault of a body that stops being UTF-8 after `prefix`.
fn not_utf8(prefix: &str) -> Defect {
    match scan(prefix) {
        // An end that is only the prefix's is no fault of the text.
        Ok(()) | Err(Defect { cause: Cause::UnexpectedEnd | Cause::Empty, .. }) => {
            Defect { at: prefix.len(), cause: Cause::NotUtf8 }
        }
        Err(fault) => fault,
    }
}

/// `serde_json`'s own account of a fault, for a text the scanner finds good. The two agree (a
/// test holds them to it), so this only keeps a future disagreement from passing as success.
fn translate(text: &str, error: &serde_json::Error) -> Defect {
    let message = error.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(before, _)| before);
    let lines = text.split_inclusive('\n').take(error.line().saturating_sub(1));
    let at = lines.map(str::len).sum::<usize>() + error.column().saturating_sub(1);
    let cause = Cause::Syntax(message.to_owned().into());
    Defect { at: text.floor_char_boundary(at), cause }
}
#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn fault(text: impl AsRef<[u8]>) -> (usize, usize, Cause) {
        let Malformed { line, column, cause } = parse(text.as_ref()).unwrap_err();
        (line, column, cause)
    }

    const ALICE: &str = r#"{
"inbox_id": 407,
"name": "Test", // Optional
"email": "alice@acme.inc",
"phone_number": "+123456789",
"avatar_url": "https://example.com/avatar.png",
"identifier": "1234567890",
}"#;
    const INDENTED: &str = r#"{
  "inbox_id": 407,
  "name": "Test", // optional
  "avatar_url": "https://example.com/avatar.png"
}"#;

    #[rstest]
    #[case(ALICE, 3, 17)]
    #[case(INDENTED, 3, 19)]
    #[case("{ // Optional: name\n}", 1, 3)]
    #[case("{\n  \"custom_attributes\": { // 可选\n  }\n}", 2, 26)]
    #[case("{\"name\": \"张伟\", // 姓名", 1, 16)]
    #[case("{\"name\": \"田中さくら\" // 氏名", 1, 18)]
    #[case("{\"name\": \"สมชาย ใจดี\", // ชื่อ", 1, 24)]
    #[case("{\"a\" /* b */: 1}", 1, 6)]
    #[case("{\"a\": 1//\n}", 1, 8)]
    #[case("[1, // none\n]", 1, 5)]
    #[case("// first\n{}", 1, 1)]
    #[case("{}\n// last", 2, 1)]
    #[case("\u{feff}{} //", 1, 4)]
    fn comments(#[case] text: &str, #[case] line: usize, #[case] column: usize) {
        let error = parse(text.as_bytes()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "Malformed JSON at line {line}, column {column}: comments (//) are not allowed in \
                 JSON"
            )
        );
    }

    #[rstest]
    #[case("{\n  \"inbox_id\": 407,\n  \"identifier\": \"1234567890\",\n}", 4, 1)]
    #[case("[1, 2 , ]", 1, 9)]
    #[case("[{\"a\":[1,]}]", 1, 10)]
    fn trailing_commas(#[case] text: &str, #[case] line: usize, #[case] column: usize) {
        assert_eq!(fault(text), (line, column, Cause::TrailingComma));
        let message = parse(text.as_bytes()).unwrap_err().to_string();
        assert!(message.ends_with(": a trailing comma is not allowed in JSON"), "{message}");
    }

    #[rstest]
    #[case(r#"{"a": 1, "a": 2}"#, 1, 10, "a")]
    #[case("{\"名\": [{\"é\": 1,\n \"\\u00e9\": 2}]}", 2, 2, "é")]
    #[case(r#"{"a": 1, "a": x"#, 1, 10, "a")]
    fn duplicate_keys(
        #[case] text: &str,
        #[case] line: usize,
        #[case] column: usize,
        #[case] key: &str,
    ) {
        assert_eq!(fault(text), (line, column, Cause::DuplicateKey(key.to_owned())));
    }

    #[test]
    fn a_duplicate_key_is_named_shortened_and_escaped() {
        let cause = |key: &str| fault(format!("{{\"{key}\":1,\"{key}\":1}}")).2.to_string();
        assert_eq!(cause("a\\n"), r#"the key "a\n" occurs more than once in the same object"#);
        assert!(cause(&"長".repeat(500)).contains(&format!(" \"{}…\" ", "長".repeat(64))));
    }

    #[rstest]
    #[case("[18446744073709551616]", 2)]
    #[case("[-9223372036854775809]", 2)]
    #[case("[1.5, 1e400]", 7)]
    #[case("[1e19, -1E+999, x", 8)]
    #[case("{\"a\":123456789012345678901234567890, \"a\":1}", 6)]
    fn numbers_out_of_range(#[case] text: &str, #[case] column: usize) {
        assert_eq!(fault(text), (1, column, Cause::NumberOutOfRange));
    }

    #[test]
    fn a_hundred_digits_of_integer_are_out_of_range_and_of_fraction_are_not() {
        assert_eq!(fault("9".repeat(400)).2, Cause::NumberOutOfRange);
        assert!(parse(format!("0.{}", "1".repeat(400)).as_bytes()).is_ok());
    }

    #[rstest]
    #[case("-9223372036854775808", json!(i64::MIN))]
    #[case("18446744073709551615", json!(u64::MAX))]
    #[case("-0", json!(-0.0))]
    #[case("1e19", json!(1e19))]
    #[case("18446744073709551616.0", json!(18_446_744_073_709_551_616.0))]
    #[case("0e999999999999", json!(0.0))]
    #[case("1e-400", json!(0.0))]
    #[case(r#""http://a/*\u0000\ud83d\ude00""#, json!("http://a/*\0😀"))]
    #[case("\u{feff} null\r\n", json!(null))]
    fn accepted(#[case] text: &str, #[case] value: Value) {
        assert_eq!(parse(text.as_bytes()), Ok(value));
    }

    #[test]
    fn no_key_is_magic() {
        let value = parse(br#"{"$serde_json::private::RawValue": "1"}"#).unwrap();
        assert_eq!(value.as_object().map(Map::len), Some(1));
    }

    #[rstest]
    #[case("{a: 1}", 2, "expected a key in double quotes but found `a`")]
    #[case("[NaN]", 2, "expected a value but found `NaN`")]
    #[case("[1 2]", 4, "expected `,` or `]` but found `2`")]
    #[case("{\"a\" 1}", 6, "expected `:` after the key but found `1`")]
    #[case("{“a”: 1}", 2, "expected a key in double quotes but found `“`")]
    #[case("{'a': 1}", 2, "expected a key in double quotes but found `'`")]
    #[case("[1,\u{3000}2]", 4, "expected a value but found U+3000")]
    #[case("[,]", 2, "expected a value but found `,`")]
    #[case("{} {}", 4, "expected nothing after the JSON value but found `{`")]
    #[case("[1 / 2]", 4, "expected `,` or `]` but found `/`")]
    #[case("[01]", 2, "an invalid number")]
    #[case("[-.5]", 2, "an invalid number")]
    #[case("[1.]", 2, "an invalid number")]
    #[case("[1e+]", 2, "an invalid number")]
    #[case("[\"é\\x\"]", 4, "an invalid escape in a string")]
    #[case("[\"\\u+123\"]", 3, "an invalid escape in a string")]
    #[case("[\"\\ud800\"]", 3, "a lone surrogate escape in a string")]
    #[case("[\"\\ud800\\u0041\"]", 3, "a lone surrogate escape in a string")]
    #[case("[\"\\ud800\\ud800\"]", 3, "a lone surrogate escape in a string")]
    #[case("[\"a\\udc00\"]", 4, "a lone surrogate escape in a string")]
    #[case("[\"a\tb\"]", 4, "an unescaped control character in a string")]
    #[case("\"a\n", 3, "a line break in a string (is a closing quote missing?)")]
    fn syntax(#[case] text: &str, #[case] column: usize, #[case] message: &'static str) {
        assert_eq!(fault(text), (1, column, Cause::Syntax(message.into())));
    }

    #[rstest]
    #[case("", 1, 1, Cause::Empty)]
    #[case(" \n", 2, 1, Cause::Empty)]
    #[case("{\"é\": [1,", 1, 10, Cause::UnexpectedEnd)]
    #[case("\"\\u12", 1, 6, Cause::UnexpectedEnd)]
    #[case("nul", 1, 4, Cause::UnexpectedEnd)]
    #[case("-", 1, 2, Cause::UnexpectedEnd)]
    fn ends(#[case] text: &str, #[case] line: usize, #[case] column: usize, #[case] cause: Cause) {
        assert_eq!(fault(text), (line, column, cause));
    }

    #[test]
    fn invalid_utf8_is_reported_at_its_first_byte_unless_a_fault_precedes() {
        assert_eq!(fault(b"{\n\"\xe5\xa7\x93\xff\""), (2, 3, Cause::NotUtf8));
        assert_eq!(fault(b"\xff"), (1, 1, Cause::NotUtf8));
        assert_eq!(fault(b"{} \xe5\xa7"), (1, 4, Cause::NotUtf8));
        assert_eq!(fault(b"[1,]\xff"), (1, 4, Cause::TrailingComma));
    }

    #[test]
    fn nesting_is_limited_without_overflowing_the_stack() {
        assert_eq!(fault("[".repeat(100_000)), (1, 128, Cause::TooDeep));
        assert_eq!(fault(r#"{"a":"#.repeat(100_000)), (1, 127 * 5 + 1, Cause::TooDeep));
        let deepest = format!("{}{}", "[".repeat(JSON_DEPTH), "]".repeat(JSON_DEPTH));
        assert_eq!(depth(&parse(deepest.as_bytes()).unwrap()), JSON_DEPTH);
    }

    #[test]
    fn depth_counts_brackets() {
        assert_eq!([json!(1), json!({}), json!({"a": {}})].map(|v| depth(&v)), [0, 1, 2]);
        assert_eq!(depth(&json!([1, {"a": [2]}, {}])), 3);
    }

    #[test]
    fn what_cannot_be_stored_is_found_in_keys_and_strings() {
        assert!(unstorable(&json!([{"a": ["b\0"]}])).is_some());
        assert!(unstorable(&json!([{"a": {"\0": 1}}])).is_some());
        assert!(unstorable(&json!([{ RESERVED_KEY: "{}" }])).is_some());
        assert!(unstorable(&json!({"a": [1, null, "\u{1}"]})).is_none());
    }

    #[test]
    fn a_serde_json_error_loses_its_suffix() {
        let text = "[1,\n\"é\" 2]";
        let fault = translate(text, &build(text, &Cell::default()).unwrap_err());
        let Malformed { line, column, cause } = fault.locate(text);
        assert_eq!((line, column, cause.to_string().as_str()), (2, 5, "expected `,` or `]`"));
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[名é/*\"\\\\ a]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 40, 6, |inner| {
            let pairs = prop::collection::vec(("[名é/\"\\\\ a]{0,4}", inner.clone()), 0..6);
            prop_oneof![
                prop::collection::vec(inner, 0..6).prop_map(Value::from),
                pairs.prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    /// A document with a few random edits: nearly JSON, which is where parsers disagree.
    fn nearly_json() -> impl Strategy<Value = String> {
        let piece = "[\\[\\]{}:,\"\\\\/0-9eE+\\-.u \n\té]|\\\\u[dD][8-9a-fA-F][0-9]{2}|//|true";
        let edit = (any::<prop::sample::Index>(), 0..3_usize, piece);
        let edited = (value(), prop::collection::vec(edit, 0..4)).prop_map(|(value, edits)| {
            let mut chars: Vec<char> = value.to_string().chars().collect();
            for (index, removed, piece) in edits {
                let at = index.index(chars.len() + 1);
                chars.splice(at..(at + removed).min(chars.len()), piece.chars());
            }
            chars.into_iter().collect::<String>()
        });
        let surrogates = "\"(\\\\u[dD][8-9a-fA-F][0-9]{2}|a){1,3}\"";
        prop_oneof![3 => edited, 1 => "\\[[-+.eE0-9]{1,6}\\]", 1 => surrogates]
    }

    /// The offsets at which a comment would stand between two tokens.
    fn boundaries(text: &str) -> Vec<usize> {
        let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.');
        let (mut quoted, mut escaped, mut last) = (false, false, ' ');
        let mut found = Vec::new();
        for (at, c) in text.char_indices() {
            if !(quoted || inner(last) && inner(c)) {
                found.push(at);
            }
            quoted ^= c == '"' && !escaped;
            escaped = quoted && c == '\\' && !escaped;
            last = c;
        }
        found.push(text.len());
        found
    }

    fn check_position(body: &[u8]) -> Result<(), TestCaseError> {
        let Err(Malformed { line, column, .. }) = parse(body) else { return Ok(()) };
        let text = String::from_utf8_lossy(body);
        let length = text.split('\n').nth(line - 1).map(|line| line.chars().count());
        prop_assert!(column >= 1 && length.is_some_and(|length| column <= length + 1));
        Ok(())
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(body in prop::collection::vec(any::<u8>(), 0..200)) {
            check_position(&body)?;
        }

        #[test]
        fn any_position_lies_within_the_text(
            text in nearly_json(),
            bad in prop::option::of(any::<prop::sample::Index>()),
        ) {
            let mut body = text.into_bytes();
            if let Some(index) = bad {
                body.insert(index.index(body.len() + 1), 0xff);
            }
            check_position(&body)?;
        }

        #[test]
        fn the_scanner_and_serde_json_agree(text in nearly_json()) {
            let inexact = Cell::new(false);
            let built = build(&text, &inexact);
            match scan(&text) {
                Ok(()) => prop_assert!(built.is_ok(), "{built:?}"),
                Err(Defect { cause: Cause::NumberOutOfRange, .. }) => {
                    prop_assert!(built.is_err() || inexact.get());
                }
                Err(_) => prop_assert!(built.is_err()),
            }
        }

        #[test]
        fn what_was_written_is_read_back(value in value()) {
            let text = value.to_string();
            let read = parse(text.as_bytes()).unwrap();
            prop_assert_eq!(read.to_string(), text);
            prop_assert_eq!(read, value);
        }

        #[test]
        fn a_comment_is_found_where_it_stands(
            value in value(),
            index in any::<prop::sample::Index>(),
            comment in prop::sample::select(vec!["// x\n", "/* 可选 */", "//"]),
        ) {
            let mut text = serde_json::to_string_pretty(&value).unwrap();
            let at = *index.get(&boundaries(&text));
            let expected = Defect { at, cause: Cause::Comment }.locate(&text);
            text.insert_str(at, comment);
            prop_assert_eq!(parse(text.as_bytes()), Err(expected));
        }
    }
}
