//! The members of a stored map, told apart and not read: for those who look at a few of them in
//! very many maps. A text that is stored is known to be JSON, so brackets, quotes and commas are
//! enough to go by.

use std::borrow::Cow;

/// The members of a map in the order in which they stand, as key and JSON of the value.
#[derive(Debug, Clone)]
pub struct Members<'a> {
    /// What follows the opening bracket or the member before.
    rest: &'a str,
}

impl<'a> Members<'a> {
    /// Those of the text of an object.
    pub(super) fn of(object: &'a str) -> Self {
        Self { rest: object.strip_prefix('{').unwrap_or_default() }
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (Cow<'a, str>, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = after_blanks(self.rest);
        let rest = rest.strip_prefix(',').map_or(rest, after_blanks);
        let (key, rest) = rest.split_at_checked(string_len(rest)?)?;
        let rest = after_blanks(after_blanks(rest).strip_prefix(':')?);
        let (value, rest) = rest.split_at_checked(value_len(rest)?)?;
        self.rest = rest;
        let key = plain_string(key).map(Cow::Borrowed).or_else(|| {
            let key: String = serde_json::from_str(key).ok()?;
            Some(key.into())
        })?;
        Some((key, value))
    }
}

/// The text of a JSON string, if it is one and stands in it as it is.
pub fn plain_string(json: &str) -> Option<&str> {
    let text = json.strip_prefix('"')?.strip_suffix('"')?;
    (!text.as_bytes().contains(&b'\\')).then_some(text)
}

fn after_blanks(text: &str) -> &str {
    text.trim_start_matches([' ', '\n', '\r', '\t'])
}

/// Bytes of the string at the beginning, with its quotes.
fn string_len(text: &str) -> Option<usize> {
    let mut bytes = text.bytes().enumerate();
    bytes.next().filter(|(_, first)| *first == b'"')?;
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some(at + 1),
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
    None
}

/// Bytes of the value at the beginning.
fn value_len(text: &str) -> Option<usize> {
    match text.as_bytes().first()? {
        b'"' => string_len(text),
        b'{' | b'[' => nested_len(text),
        _ => {
            text.bytes().position(|byte| matches!(byte, b',' | b'}' | b' ' | b'\n' | b'\r' | b'\t'))
        }
    }
}

/// Bytes of the object or list at the beginning.
fn nested_len(text: &str) -> Option<usize> {
    let (mut at, mut depth) = (0, 0_usize);
    loop {
        let rest = text.get(at..)?;
        match rest.as_bytes().first()? {
            b'"' => {
                at += string_len(rest)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            // What else there is may be longer than a byte; the next of these is looked for.
            _ => {
                at += rest
                    .bytes()
                    .position(|byte| matches!(byte, b'"' | b'{' | b'[' | b'}' | b']'))?;
                continue;
            }
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;

    fn read(object: &str) -> Map<String, Value> {
        let members = Members::of(object);
        members
            .map(|(key, value)| (key.into_owned(), serde_json::from_str(value).unwrap()))
            .collect()
    }

    #[test]
    fn members_are_told_apart_wherever_blanks_are() {
        let object =
            "{ \"a\" : [ 1, {\"b\\\"}\": \"]\"} ] ,\n\t\"\\u00e9\\\\\":\"x\\\"\" , \"c\":-1.5e3\r}";
        let expected = json!({"a": [1, {"b\"}": "]"}], "é\\": "x\"", "c": -1.5e3});
        assert_eq!(Value::Object(read(object)), expected);
        assert_eq!(Members::of("{ }").count() + Members::of("{}").count(), 0);
    }

    #[test]
    fn a_string_without_escapes_is_lent() {
        assert_eq!(plain_string(r#""é a""#), Some("é a"));
        assert_eq!(plain_string(r#""""#), Some(""));
        for json in [r#""a\n""#, r#""\"""#, "1", "null", "[\"a\"]", "\""] {
            assert_eq!(plain_string(json), None, "{json}");
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Value::from),
            "[名é\\[\\]{}:,\"\\\\ a\n]{0,6}".prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            let pairs = prop::collection::vec(("[é\"\\\\{},:a]{0,4}", inner.clone()), 0..4);
            prop_oneof![
                prop::collection::vec(inner, 0..4).prop_map(Value::from),
                pairs.prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn members_are_those_of_the_map(
            pairs in prop::collection::vec(("[é\"\\\\{},:a]{0,4}", value()), 0..6),
            pretty in any::<bool>(),
        ) {
            let map: Map<String, Value> = pairs.into_iter().collect();
            let text = if pretty { serde_json::to_string_pretty(&map) } else { serde_json::to_string(&map) };
            let text = text.unwrap();
            prop_assert_eq!(read(&text), map.clone());
            let texts: Vec<String> = Members::of(&text).map(|(_, json)| json.to_owned()).collect();
            if !pretty {
                prop_assert_eq!(texts, map.values().map(ToString::to_string).collect::<Vec<_>>());
            }
        }
    }
}
