//! Values to make up calls of: a few that collide, and strange ones that a database could garble.
//!
//! All of them are of the kind that passes the checks at the edge; only [`any_text`] has the NUL,
//! for look-ups that take whatever a caller sends.

use meishi_contacts::{Fault, Patch, UnixSeconds};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Map, Value, json};

/// What a database, a driver, JSON or a collation could take for something else.
const STRANGE: [&str; 32] = [
    "",
    " ",
    "\u{a0}\u{3000}",
    "'",
    "''; DROP TABLE contacts; --",
    "\"quoted\", {and} (more)",
    "\\",
    "\\N",
    "\\x00\\u0000",
    "NULL",
    "null",
    "{NULL,\"\"}",
    "$1 ?1 :a @a",
    "%_%",
    "line\r\nfeed\ttab\u{b}\u{1b}[31m",
    "\u{1}\u{7f}\u{80}\u{9f}",
    "\u{feff}bom",
    "\u{fffd}\u{fffe}\u{ffff}",
    "\u{10ffff}\u{e000}",
    "Mu\u{308}ller",
    "Müller",
    "a\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}",
    "İıIi ǅ ß ẞ ſ ς Σ ﬁ",
    "王伟",
    "さくら ﾊﾝｶｸ",
    "नमस्ते",
    "ไก่",
    "שלום\u{202e}abc\u{202c}",
    "مرحبا\u{200f}",
    "👩\u{200d}👩\u{200d}👧\u{200d}👦🇩🇪",
    "\u{1f3f4}\u{e0067}\u{e007f}",
    "Łódź\u{2028}Þór\u{2029}",
];

/// One of a few texts mostly, so that calls collide, else any that has no NUL.
pub(crate) fn text(few: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop_oneof![
        8 => select(few).prop_map(str::to_owned),
        3 => strange_text(),
    ]
}

/// A text without NUL that may hold anything else.
pub(crate) fn strange_text() -> impl Strategy<Value = String> {
    let without_nul = any::<char>().prop_map(|c| if c == '\0' { '\u{1}' } else { c });
    prop_oneof![
        6 => select(&STRANGE[..]).prop_map(str::to_owned),
        2 => vec(without_nul.clone(), 0..20).prop_map(String::from_iter),
        1 => (without_nul, 250..=255_usize).prop_map(|(c, times)| String::from_iter(vec![c; times])),
    ]
    .boxed()
}

/// A text that may hold anything.
pub(crate) fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => strange_text(),
        1 => strange_text().prop_map(|text| format!("{text}\0")),
        1 => Just("\0".to_owned()),
        1 => Just("long ".repeat(2000)),
    ]
}

/// Keeps a field mostly, empties it sometimes, else sets it to a text that `parse` takes.
pub(crate) fn patch<T: Clone + std::fmt::Debug + 'static>(
    few: &'static [&'static str],
    parse: fn(&str) -> Result<Option<T>, Fault>,
) -> impl Strategy<Value = Patch<T>> {
    let set = text(few).prop_map(move |text| parse(&text).map_or(Patch::Keep, Patch::from_option));
    prop_oneof![3 => Just(Patch::Keep), 1 => Just(Patch::Clear), 3 => set].boxed()
}

/// A number of a size that somebody might send.
pub(crate) fn number() -> impl Strategy<Value = i64> {
    prop_oneof![
        6 => 0..4_i64,
        1 => select(vec![i64::MIN, -1, (1 << 31) - 1, 1 << 31, 1 << 53, i64::MAX - 1, i64::MAX]),
        1 => any::<i64>(),
    ]
}

/// A second of any year, and further; the least number is the index's for no time at all, which no
/// caller can send (`limits.rs`).
pub(crate) fn seconds() -> impl Strategy<Value = UnixSeconds> {
    number().prop_map(|second| UnixSeconds(second.max(i64::MIN + 1)))
}

/// Members of an attribute map.
pub(crate) fn members() -> impl Strategy<Value = Map<String, Value>> {
    let few = vec(
        (
            select(vec!["a", "b", "city"]),
            select(vec![json!(null), json!(1), json!("x"), json!({"n": 1}), json!({"n": null})]),
        ),
        1..3,
    )
    .prop_map(|members| members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect());
    let anything = vec((text(&["a", "b", "company_name"]), value()), 0..5)
        .prop_map(|members| members.into_iter().collect());
    let deep = (1..31_usize, any::<bool>()).prop_map(|(levels, in_arrays)| {
        let wrap = |inner, _| if in_arrays { json!([inner]) } else { json!({ "n": inner }) };
        Map::from_iter([("deep".to_owned(), (0..levels).fold(json!(0.1), wrap))])
    });
    prop_oneof![6 => few, 3 => anything, 1 => deep].boxed()
}

/// Any JSON.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number().prop_map(Value::from),
        Just(json!(u64::MAX)),
        select(vec![-0.0, 0.1 + 0.2, 5e-324, 1e16, 1e21, 1.797_693_134_862_315_7e308])
            .prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        strange_text().prop_map(Value::from),
        Just(json!("NUL \u{0} in the middle")),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((strange_text(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
    .boxed()
}
