//! `application/x-www-form-urlencoded` bodies, read by the conventions of Rails into the same
//! [`Value`] a JSON body gives, and the pairs of a URL's query string.
//!
//! The crates for this format replace what they cannot decode; here nothing is lost in silence:
//! a bad escape, a byte that is not UTF-8 or a contradiction between two names is an error.

use meishi_contacts::limits::{FORM_DEPTH, FORM_FIELDS};
use serde_json::{Map, Value};

/// How many characters of a parameter's name an error repeats.
const MAX_QUOTED: usize = 64;

/// What is wrong with a form or a query string. Parameters are counted from 1, names shortened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// A `%` without two hexadecimal digits after it.
    #[error("Parameter {0} holds a % that is not followed by two hexadecimal digits")]
    BadEscape(usize),
    /// Decoded bytes that are not UTF-8.
    #[error("Parameter {0} is not valid UTF-8")]
    NotUtf8(usize),
    /// More parameters than are read.
    #[error("There are more than {FORM_FIELDS} parameters")]
    TooManyPairs,
    /// A name with more levels than are read.
    #[error("The parameter {0:?} is nested more than {FORM_DEPTH} levels deep")]
    TooDeep(String),
    /// An empty name, or brackets that do not match.
    #[error("The parameter name {0:?} is not of the form name, name[key] or name[]")]
    BadName(String),
    /// A name that gives a value another shape than an earlier name did.
    #[error("The parameter {0:?} gives a value another shape than an earlier parameter did")]
    Conflict(String),
}

/// Parses a form. Every leaf is a string and the whole is always an object.
pub fn parse(body: &[u8]) -> Result<Value, FormError> {
    let mut root = Value::Object(Map::new());
    for (name, text) in pairs(body)? {
        let path = path(&name)?;
        insert(&mut root, &path, text).ok_or_else(|| FormError::Conflict(shorten(&name)))?;
    }
    Ok(root)
}

/// The decoded pairs of a query string, in order. Brackets in names have no meaning here.
pub fn query_pairs(query: &str) -> Result<Vec<(String, String)>, FormError> {
    pairs(query.as_bytes())
}

fn pairs(encoded: &[u8]) -> Result<Vec<(String, String)>, FormError> {
    let mut pairs = Vec::new();
    for pair in encoded.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        if pairs.len() == FORM_FIELDS {
            return Err(FormError::TooManyPairs);
        }
        let number = pairs.len() + 1;
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let name = decode(halves.next().unwrap_or_default(), number)?;
        let text = decode(halves.next().unwrap_or_default(), number)?;
        pairs.push((name, text));
    }
    Ok(pairs)
}

/// Undoes `+` and `%XX`. Written out because `percent-encoding` lets a bad escape pass.
fn decode(encoded: &[u8], number: usize) -> Result<String, FormError> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut bytes = encoded.iter().copied();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => match (bytes.next().and_then(hex_digit), bytes.next().and_then(hex_digit)) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return Err(FormError::BadEscape(number)),
            },
            byte => byte,
        });
    }
    String::from_utf8(decoded).map_err(|_| FormError::NotUtf8(number))
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// One step from a value to a value within it.
enum Step<'a> {
    Key(&'a str),
    /// `[]`: a list's next item.
    Next,
}

fn path(name: &str) -> Result<Vec<Step<'_>>, FormError> {
    let bad = || FormError::BadName(shorten(name));
    let (first, mut rest) = name.split_at(name.find('[').unwrap_or(name.len()));
    if first.is_empty() || first.contains(']') {
        return Err(bad());
    }
    let mut steps = vec![Step::Key(first)];
    while !rest.is_empty() {
        let inner = rest.strip_prefix('[').ok_or_else(bad)?;
        let (key, after) = inner.split_once(']').ok_or_else(bad)?;
        if key.contains('[') {
            return Err(bad());
        }
        steps.push(if key.is_empty() { Step::Next } else { Step::Key(key) });
        if steps.len() > FORM_DEPTH {
            return Err(FormError::TooDeep(shorten(name)));
        }
        rest = after;
    }
    Ok(steps)
}

/// Puts `text` at the end of `path`; `None` if an earlier value stands in the way. Leaves are
/// strings, so `Null` is free to mean a place not yet given a shape.
fn insert(root: &mut Value, path: &[Step<'_>], text: String) -> Option<()> {
    let mut place = root;
    let mut rest = path;
    while let Some((step, after)) = rest.split_first() {
        place = match step {
            Step::Key(key) => {
                if place.is_null() {
                    *place = Value::Object(Map::new());
                }
                place.as_object_mut()?.entry(*key).or_insert(Value::Null)
            }
            Step::Next => {
                if place.is_null() {
                    *place = Value::Array(Vec::new());
                }
                let items = place.as_array_mut()?;
                if !items.last().is_some_and(|last| continues(last, after)) {
                    items.push(Value::Null);
                }
                items.last_mut()?
            }
        };
        rest = after;
    }
    if !place.is_null() && !place.is_string() {
        return None;
    }
    *place = Value::String(text);
    Some(())
}

/// Whether a list's last item takes one more value, or `path` begins the next item. As in Rails
/// `a[][x]=1&a[][y]=2&a[][x]=3` is two items: an item ends when a key would repeat.
fn continues(last: &Value, path: &[Step<'_>]) -> bool {
    if !last.is_object() || !matches!(path.first(), Some(Step::Key(_))) {
        return false;
    }
    let mut place = last;
    for step in path {
        let Step::Key(key) = step else { return true };
        let Some(inner) = place.get(key) else { return true };
        place = inner;
    }
    false
}

fn shorten(name: &str) -> String {
    match name.char_indices().nth(MAX_QUOTED) {
        None => name.to_owned(),
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case("", json!({}))]
    #[case("&&", json!({}))]
    #[case("a=1&b=&c", json!({"a": "1", "b": "", "c": ""}))]
    #[case("a=1&a=2", json!({"a": "2"}))]
    #[case("a=b=c", json!({"a": "b=c"}))]
    #[case("name=Ada+Lovelace%2B&n%61m%65=%E5%BC%A0", json!({"name": "张"}))]
    #[case(
        "a=1&custom_attributes[vip]=x&custom_attributes[a][b]=y&labels[]=a&labels[]=b",
        json!({"a": "1", "custom_attributes": {"vip": "x", "a": {"b": "y"}}, "labels": ["a", "b"]})
    )]
    #[case("a%5Bb%5D=1&a[b]=2&a[c+d]=3", json!({"a": {"b": "2", "c d": "3"}}))]
    #[case("a[][x]=1&a[][y]=2&a[][x]=3", json!({"a": [{"x": "1", "y": "2"}, {"x": "3"}]}))]
    #[case("a[][x][]=1&a[][x][]=2", json!({"a": [{"x": ["1", "2"]}]}))]
    #[case("a[][]=1&a[][]=2", json!({"a": [["1"], ["2"]]}))]
    fn forms(#[case] body: &str, #[case] value: Value) {
        assert_eq!(parse(body.as_bytes()), Ok(value));
    }

    #[rstest]
    #[case("a=1&a[b]=2", "a[b]")]
    #[case("a[b]=2&a=1", "a")]
    #[case("a[]=1&a=2", "a")]
    #[case("a[]=1&a[b]=2", "a[b]")]
    #[case("a[b]=1&a[]=2", "a[]")]
    #[case("a[][x]=1&a[][x][y]=2", "a[][x][y]")]
    fn conflicts(#[case] body: &str, #[case] name: &str) {
        assert_eq!(parse(body.as_bytes()), Err(FormError::Conflict(name.to_owned())));
    }

    #[rstest]
    #[case("=1")]
    #[case("[a]=1")]
    #[case("a]=1")]
    #[case("a[b=1")]
    #[case("a[b]c=1")]
    #[case("a[[b]]=1")]
    fn bad_names(#[case] body: &str) {
        assert!(matches!(parse(body.as_bytes()), Err(FormError::BadName(_))));
    }

    #[rstest]
    #[case(b"a=1&b=%", FormError::BadEscape(2))]
    #[case(b"%4=1", FormError::BadEscape(1))]
    #[case(b"a=%+1", FormError::BadEscape(1))]
    #[case(b"a=100%25%zz", FormError::BadEscape(1))]
    #[case(b"a=%FF", FormError::NotUtf8(1))]
    #[case(b"a=%ED%A0%80", FormError::NotUtf8(1))]
    #[case(b"a=1&&\xe5=2", FormError::NotUtf8(2))]
    fn undecodable(#[case] body: &[u8], #[case] error: FormError) {
        assert_eq!(parse(body), Err(error));
    }

    #[test]
    fn nesting_and_number_are_limited() {
        let nested = |levels: usize| format!("a{}=1", "[b]".repeat(levels - 1));
        assert!(parse(nested(FORM_DEPTH).as_bytes()).is_ok());
        let error = parse(nested(FORM_DEPTH + 1).as_bytes()).unwrap_err().to_string();
        assert!(error.ends_with("…\" is nested more than 32 levels deep"), "{error}");
        assert!(parse("a=1&".repeat(FORM_FIELDS).as_bytes()).is_ok());
        assert_eq!(parse("a=1&".repeat(FORM_FIELDS + 1).as_bytes()), Err(FormError::TooManyPairs));
    }

    #[test]
    fn query_pairs_keep_order_duplicates_and_brackets() {
        let pairs = query_pairs("q=a+b&f[]=%2B&q=c&=d").unwrap();
        let pairs: Vec<_> = pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(pairs, [("q", "a b"), ("f[]", "+"), ("q", "c"), ("", "d")]);
        assert_eq!(query_pairs("q=%C3"), Err(FormError::NotUtf8(1)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&body);
        }

        #[test]
        fn any_names_are_survived(body in "([ab]{0,2}(\\[[ab]{0,1}\\]){0,3}=[%0-9a]{0,3}&){0,8}") {
            let _ = parse(body.as_bytes());
        }

        #[test]
        fn what_was_encoded_is_decoded(
            pairs in prop::collection::vec((any::<String>(), any::<String>()), 0..8),
        ) {
            let encoded =
                form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
            prop_assert_eq!(query_pairs(&encoded), Ok(pairs));
        }
    }
}
