//! The two open maps of a contact, `additional_attributes` and `custom_attributes`, and how a
//! write merges into them (`livedesk-wire.md` 9.4).

mod members;

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, value::RawValue};

use crate::{
    fault::{Fault, FaultCode, escape_pointer},
    json,
    limits::ATTRIBUTES_DEPTH,
};

pub use self::members::{Members, plain_string};

/// A JSON object, held as its text: it is stored and shown far more often than looked into.
#[derive(Clone)]
pub struct Attributes(Box<RawValue>);

impl Attributes {
    /// Takes the text of a JSON object that was stored before; `None` if it is no object.
    pub fn from_stored(text: String) -> Option<Self> {
        let raw = RawValue::from_string(text).ok()?;
        raw.get().starts_with('{').then_some(Self(raw))
    }

    /// The text of the object.
    pub fn as_json(&self) -> &str {
        self.0.get()
    }

    /// The object itself.
    pub fn to_map(&self) -> Map<String, Value> {
        serde_json::from_str(self.as_json()).unwrap_or_default()
    }

    /// The members as key and JSON of the value, in the order in which they are stored. Costs a tenth
    /// of [`Self::to_map`].
    pub fn members(&self) -> Members<'_> {
        Members::of(self.as_json())
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.as_json() == "{}"
    }
}

impl Default for Attributes {
    fn default() -> Self {
        Self::from(Map::new())
    }
}

impl From<Map<String, Value>> for Attributes {
    fn from(map: Map<String, Value>) -> Self {
        let text = Value::Object(map).to_string();
        // The text of a `Value` is JSON, so the fallback is never taken.
        Self(RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned()))
    }
}

/// Two maps are equal when their members are; order and white space carry no meaning.
impl PartialEq for Attributes {
    fn eq(&self, other: &Self) -> bool {
        self.as_json() == other.as_json() || self.to_map() == other.to_map()
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_json())
    }
}

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Map::deserialize(deserializer).map(Self::from)
    }
}

/// What a write does to a map.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum AttributesPatch {
    /// Nothing.
    #[default]
    Keep,
    /// Sets the members that are sent, each as a whole; `null` removes the member (v2).
    Merge(Map<String, Value>),
    /// RFC 7396: deep, `null` removes at any depth.
    MergePatch(Map<String, Value>),
    /// Empties the map, then merges as [`MergePatch`](Self::MergePatch) does.
    Replace(Map<String, Value>),
}

impl AttributesPatch {
    /// The members that the write names.
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        let members = match self {
            Self::Keep => None,
            Self::Merge(map) | Self::MergePatch(map) | Self::Replace(map) => Some(map.keys()),
        };
        members.into_iter().flatten()
    }

    /// The map after the write. A member that keeps its value keeps its place.
    #[must_use]
    pub fn apply(&self, before: &Map<String, Value>) -> Map<String, Value> {
        let mut after = before.clone();
        match self {
            Self::Keep => {}
            Self::Merge(patch) => {
                remove_nulls(&mut after, patch);
                let set = patch.iter().filter(|(_, value)| !value.is_null());
                after.extend(set.map(|(key, value)| (key.clone(), value.clone())));
            }
            Self::MergePatch(patch) => merge_patch(&mut after, patch),
            Self::Replace(members) => {
                after.clear();
                merge_patch(&mut after, members);
            }
        }
        after
    }

    /// Checks what can be known before the merge: nesting and characters that no database keeps.
    pub fn check(&self, attribute: &str) -> Result<(), Fault> {
        let map = match self {
            Self::Keep => return Ok(()),
            Self::Merge(map) | Self::MergePatch(map) | Self::Replace(map) => map,
        };
        for (key, value) in map {
            let pointer = || format!("/{attribute}/{}", escape_pointer(key));
            // The map itself is the first level.
            if json::depth(value) + 1 > ATTRIBUTES_DEPTH {
                let message =
                    format!("is nested too deeply (maximum is {ATTRIBUTES_DEPTH} levels)");
                let mut fault = Fault::invalid(attribute, &message).at(pointer());
                fault.code = FaultCode::LimitExceeded;
                return Err(fault);
            }
            if let Some(problem) = json::unstorable_key(key).or_else(|| json::unstorable(value)) {
                return Err(Fault::invalid(attribute, problem).at(pointer()));
            }
        }
        Ok(())
    }
}

/// Removes the members that a patch says `null` of. In one pass: removing them one by one would
/// move all that follow each time.
fn remove_nulls(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    if patch.values().any(Value::is_null) {
        target.retain(|key, _| !patch.get(key).is_some_and(Value::is_null));
    }
}

/// RFC 7396, section 2.
fn merge_patch(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    remove_nulls(target, patch);
    for (key, value) in patch {
        match value {
            Value::Null => {}
            Value::Object(members) => {
                let slot = target.entry(key.as_str()).or_insert(Value::Null);
                let mut below = match slot.take() {
                    Value::Object(map) => map,
                    _ => Map::new(),
                };
                merge_patch(&mut below, members);
                *slot = Value::Object(below);
            }
            _ => {
                target.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("not an object: {other}"),
        }
    }

    #[test]
    fn merge_sets_keeps_and_removes_at_the_top_level_only() {
        let before = map(json!({"a": 1, "b": {"x": 1, "y": 2}, "c": 3}));
        let patch = map(json!({"b": {"x": null}, "c": null, "d": "", "e": null}));
        let after = AttributesPatch::Merge(patch).apply(&before);
        assert_eq!(Value::Object(after), json!({"a": 1, "b": {"x": null}, "d": ""}));
    }

    #[test]
    fn merge_patch_follows_the_examples_of_rfc_7396() {
        // Appendix A, those whose target and patch are objects.
        for (target, patch, result) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            let after = AttributesPatch::MergePatch(map(patch)).apply(&map(target));
            assert_eq!(Value::Object(after), result);
        }
    }

    #[test]
    fn nesting_is_limited_with_the_map_as_the_first_level() {
        let nested = |levels: usize| {
            let value = (1..levels).fold(json!(1), |inner, _| json!({ "k": inner }));
            AttributesPatch::Merge(map(json!({ "key": value })))
        };
        assert!(nested(32).check("custom_attributes").is_ok());
        let fault = nested(33).check("custom_attributes").unwrap_err();
        assert_eq!(fault.code, FaultCode::LimitExceeded);
        assert_eq!(fault.pointer, "/custom_attributes/key");
    }

    fn any_map() -> impl Strategy<Value = Map<String, Value>> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-c]{0,2}".prop_map(Value::from),
        ];
        let value = leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-d]", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        });
        prop::collection::btree_map("[a-d]", value, 0..5)
            .prop_map(|members| members.into_iter().collect())
    }

    proptest! {
        #[test]
        fn merging_twice_is_merging_once(before in any_map(), patch in any_map()) {
            for patch in [AttributesPatch::Merge(patch.clone()), AttributesPatch::MergePatch(patch)] {
                let once = patch.apply(&before);
                prop_assert_eq!(patch.apply(&once), once);
            }
        }

        #[test]
        fn a_merge_sets_what_is_sent_and_keeps_the_rest(before in any_map(), patch in any_map()) {
            let after = AttributesPatch::Merge(patch.clone()).apply(&before);
            for key in before.keys().chain(patch.keys()) {
                let expected = match patch.get(key) {
                    Some(Value::Null) => None,
                    Some(value) => Some(value),
                    None => before.get(key),
                };
                prop_assert_eq!(after.get(key), expected);
            }
            prop_assert!(after.keys().all(|key| before.contains_key(key) || patch.contains_key(key)));
        }

        #[test]
        fn stored_text_reads_back_the_same(map in any_map()) {
            let attributes = Attributes::from(map.clone());
            let again = Attributes::from_stored(attributes.as_json().to_owned()).unwrap();
            prop_assert_eq!(again.to_map(), map);
        }
    }
}
