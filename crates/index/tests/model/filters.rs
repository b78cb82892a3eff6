//! Random filters over what contacts are made of, so that conditions hold of some.
#![expect(clippy::unwrap_used, reason = "a test may panic; clippy does not see that this is one")]

use meishi_contacts::{
    Filter, UnixMillis,
    filter::{Operator, Reading, Subject},
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// The time of every call, in the days that values tell of.
const NOW: UnixMillis = UnixMillis(5 * 24 * 3600 * 1000);

/// What a filter asks about: every field, and members of both maps.
const KEYS: [&str; 21] = [
    "name",
    "first_name",
    "last_name",
    "email",
    "phone_number",
    "identifier",
    "labels",
    "blocked",
    "created_at",
    "last_activity_at",
    "country_code",
    "city",
    "company_name",
    "country",
    "additional_attributes.plan",
    "plan",
    "seats",
    "since",
    "beta",
    "note",
    "nobody",
];

fn value() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!("anna"),
        json!("Müller"),
        json!("a"),
        json!("王"),
        json!("u-1"),
        json!("anna@example.com"),
        json!("8613912345678"),
        json!("vip"),
        json!("gone"),
        json!(true),
        json!("false"),
        json!(1),
        json!("2.5"),
        json!(7),
        json!("1970-01-03"),
        json!("1970-01-05"),
        json!("1970-01-05T06:00:00Z"),
        json!("acme"),
        json!("pro"),
        json!("Pro"),
    ])
}

fn condition() -> impl Strategy<Value = Value> {
    let values = prop::collection::vec(value(), 1..4);
    (prop::sample::select(&KEYS[..]), any::<prop::sample::Index>(), values).prop_map(
        |(key, which, mut values)| {
            let operators = Subject::parse(key).unwrap().operators();
            let operator = which.get(operators);
            match operator {
                Operator::Between => {
                    values.truncate(1);
                    values.extend(values.clone());
                }
                Operator::EqualTo
                | Operator::NotEqualTo
                | Operator::Contains
                | Operator::DoesNotContain
                | Operator::StartsWith
                | Operator::EndsWith => {}
                _ => values.truncate(1),
            }
            json!({
                "attribute_key": key,
                "filter_operator": operator.as_str(),
                "values": values,
            })
        },
    )
}

/// A filter that can be read, of conditions and groups.
pub(crate) fn filter() -> impl Strategy<Value = Filter> {
    let readable = condition().prop_filter_map("a value does not suit its field", |condition| {
        Filter::from_json(&condition, &Reading::untyped(NOW)).ok().map(|_| condition)
    });
    let group = readable.prop_recursive(3, 8, 3, |inner| {
        let list = prop::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            list.clone().prop_map(|list| json!({ "and": list })),
            list.prop_map(|list| json!({ "or": list })),
            inner.prop_map(|inner| json!({ "not": inner })),
        ]
    });
    group.prop_map(|group| Filter::from_json(&group, &Reading::untyped(NOW)).unwrap())
}
