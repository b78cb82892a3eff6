//! A filter in words, and in JSON and back.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{NOW, condition, contact, object, parse};
use crate::{
    AttributeType,
    filter::{Filter, Operator, Reading},
    limits::FAULTS_PER_FIELD,
};

#[test]
fn a_filter_is_explained_in_words() {
    let body = json!({ "filter": { "and": [
        condition("plan", "equal_to", &json!("pro")),
        condition("seats", "is_greater_than", &json!(10)),
        { "or": [
            condition("labels", "equal_to", &json!(["vip", "key account"])),
            condition("last_activity_at", "days_before", &json!(["3"])),
            { "not": condition("created_at", "is_greater_than", &json!("2026-01-01")) },
            condition("renewal", "within_next_days", &json!([30])),
            condition("blocked", "not_equal_to", &json!([true])),
            condition("the day", "between", &json!(["2026-01-01", "2026-12-31"])),
            condition("email", "is_not_present", &json!([])),
            condition("city", "does_not_contain", &json!(["bad", "gone"])),
        ] },
    ] } });
    assert_eq!(
        parse(&body).unwrap().explain(),
        "plan is pro and seats is more than 10 and (label is one of vip, \"key account\" or last \
         activity is more than 3 days ago or not (creation is after 2026-01-01) or renewal is \
         within the next 30 days or blocked is not true or \"the day\" is between 2026-01-01 and \
         2026-12-31 or e-mail is not present or city contains none of bad, gone)"
    );
}

/// JSON that often nearly is a filter.
fn anything() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        prop::sample::select(vec![
            "name",
            "labels",
            "blocked",
            "created_at",
            "phone_number",
            "city",
            "plan",
            "seats",
            "custom_attributes.name",
            "additional_attributes.x",
            "custom_attributes.",
            "",
            "custom_attributes.custom_attributes.a",
        ])
        .prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(Value::Null),
    ];
    let operator = prop_oneof![
        8 => prop::sample::select(Operator::ALL.map(Operator::as_str).to_vec()).prop_map(Value::from),
        1 => Just(json!("in")),
        1 => any::<String>().prop_map(Value::from),
    ];
    let value = prop_oneof![
        any::<i64>().prop_map(Value::from),
        (0..9_i64).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(Value::Null),
        prop::sample::select(vec![
            "2026-01-01",
            "2026-01-01T00:00:00Z",
            "vip",
            "12",
            "+49 1",
            "-9999-01-01"
        ])
        .prop_map(Value::from),
    ];
    let values = prop_oneof![
        3 => prop::collection::vec(value.clone(), 0..4).prop_map(Value::from),
        1 => value.clone(),
    ];
    let join = prop::sample::select(vec![json!("AND"), json!("or"), Value::Null, json!("xor")]);
    let condition = (key, operator, values, join).prop_map(|(key, operator, values, join)| {
        json!({
            "attribute_key": key, "filter_operator": operator, "values": values,
            "query_operator": join,
        })
    });
    let group = prop_oneof![9 => condition, 1 => value].prop_recursive(5, 24, 4, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            list.clone().prop_map(|list| json!({ "and": list })),
            list.clone().prop_map(|list| json!({ "or": list })),
            inner.prop_map(|inner| json!({ "not": inner })),
        ]
    });
    prop_oneof![
        group.clone().prop_map(|group| json!({ "filter": group })),
        prop::collection::vec(group, 0..4).prop_map(|list| json!({ "payload": list })),
    ]
}

proptest! {
    #[test]
    fn whatever_is_sent_is_read_or_refused_and_what_is_read_is_printed_and_read_the_same(
        body in anything(), defined in prop::option::of(prop::sample::select(AttributeType::ALL.to_vec())),
    ) {
        let types = |_: &str| defined;
        let reading = Reading { now: NOW, types: &types, only_defined: false };
        match Filter::parse(&object(&body), &reading) {
            Ok(filter) => {
                let printed = filter.to_json();
                let text = printed.to_string();
                let read: Value = serde_json::from_str(&text).unwrap();
                let again = Filter::from_json(&read, &reading);
                prop_assert_eq!(&again, &Ok(filter.clone()));
                prop_assert_eq!(again.unwrap().to_json().to_string(), text);
                let matches = filter.matches(&contact());
                prop_assert_eq!(Filter::Not(Box::new(filter.clone())).matches(&contact()), !matches);
                prop_assert!(!filter.explain().is_empty());
            }
            Err(faults) => {
                prop_assert!(!faults.is_empty() && faults.len() <= FAULTS_PER_FIELD);
                for fault in faults {
                    // What is missing has no place of its own.
                    let whole = Value::Object(object(&body));
                    let above = fault.pointer.rsplit_once('/').unwrap().0;
                    let found = whole.pointer(&fault.pointer).or(whole.pointer(above));
                    prop_assert!(found.is_some(), "{} {}", fault.pointer, fault.message);
                }
            }
        }
    }
}
