//! What conditions and groups mean.

mod faults;
mod printed;

use std::cell::Cell;

use rstest::rstest;
use serde_json::{Map, Value, json};

use super::{Filter, Reading, Subject};
use crate::{
    AttributeType, Contact, ContactId, Email, Fault, Identifier, Label, Phone, UnixMillis,
    UnixSeconds,
};

/// 2026-11-21T12:00:00Z.
const NOW: UnixMillis = UnixMillis(1_795_262_400_000);
const DAY: i64 = 24 * 3600;

fn contact() -> Contact {
    let text = str::to_owned;
    Contact {
        name: text("Zoë Müller"),
        first_name: Some(text("Zoë")),
        email: Some(Email::from_stored(text("zoe@example.com"))),
        phone_number: Some(Phone::from_stored(text("+4930123456"))),
        identifier: Some(Identifier::from_stored(text("User-4711"))),
        labels: ["key account", "vip"].map(|label| Label::from_stored(text(label))).into(),
        additional_attributes: json!({ "city": "Zürich", "country_code": "CH", "age": 41 })
            .as_object()
            .unwrap()
            .clone()
            .into(),
        custom_attributes: json!({
            "plan": "Gold", "seats": 120.5, "score": "120.50", "renewal": "2026-11-24",
            "seen": "2026-11-18T23:30:00Z", "beta": true, "old": "FALSE", "none": null,
            "empty": "", "tags": ["Red", 7], "nested": { "a": 1 }, "zip": "01234",
            "huge": 9_007_199_254_740_993_i64,
        })
        .as_object()
        .unwrap()
        .clone()
        .into(),
        last_activity_at: Some(UnixSeconds(NOW.0 / 1000 - 3 * DAY)),
        ..Contact::blank(ContactId(1), UnixSeconds(NOW.0 / 1000))
    }
}

fn condition(key: &str, operator: &str, values: &Value) -> Value {
    json!({ "attribute_key": key, "filter_operator": operator, "values": values })
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn parse(body: &Value) -> Result<Filter, Vec<Fault>> {
    Filter::parse(&object(body), &Reading::untyped(NOW))
}

fn parse_one(key: &str, operator: &str, values: &Value) -> Filter {
    parse(&json!({ "payload": [condition(key, operator, values)] })).unwrap()
}

#[rstest]
#[case("name", "equal_to", json!(["zoe müller"]), true)]
#[case("name", "equal_to", json!("ZOE MULLER"), true)]
#[case("name", "equal_to", json!(["z"]), false)]
#[case("name", "equal_to", json!(["x", "zoe muller"]), true)]
#[case("name", "in", json!(["x", "zoe muller"]), true)]
#[case("name", "not_equal_to", json!(["x", "zoe muller"]), false)]
#[case("name", "not_in", json!(["x", "y"]), true)]
#[case("name", "contains", json!(["x", "MÜLL"]), true)]
#[case("name", "does_not_contain", json!(["x", "müll"]), false)]
#[case("name", "does_not_contain", json!("x"), true)]
#[case("name", "starts_with", json!("zo"), true)]
#[case("name", "starts_with", json!("mu"), false)]
#[case("name", "ends_with", json!("ler"), true)]
#[case("first_name", "equal_to", json!("zoe"), true)]
#[case("last_name", "equal_to", json!("zoe"), false)]
#[case("last_name", "not_equal_to", json!("zoe"), false)]
#[case("last_name", "is_not_present", json!([]), true)]
#[case("email", "ends_with", json!("@EXAMPLE.com"), true)]
#[case("phone_number", "equal_to", json!("+4930123456"), true)]
#[case("phone_number", "equal_to", json!("4930123456"), true)]
#[case("phone_number", "equal_to", json!(4_930_123_456_i64), true)]
#[case("phone_number", "equal_to", json!("++49 (30) 123-456"), true)]
#[case("phone_number", "starts_with", json!("4930"), true)]
#[case("phone_number", "starts_with", json!("30"), false)]
#[case("phone_number", "contains", json!("30 123"), true)]
#[case("identifier", "equal_to", json!("user-4711"), true)]
#[case("city", "equal_to", json!("zurich"), true)]
#[case("city", "contains", json!("RICH"), true)]
#[case("country_code", "equal_to", json!("ch"), true)]
#[case("country_code", "not_equal_to", json!("de"), true)]
#[case("company_name", "not_equal_to", json!("acme"), false)]
#[case("company_name", "does_not_contain", json!("acme"), false)]
#[case("additional_attributes.age", "is_greater_than", json!(40), true)]
#[case("additional_attributes.none", "not_equal_to", json!(40), false)]
#[case("labels", "equal_to", json!([" VIP "]), true)]
#[case("labels", "equal_to", json!(["x", "key account"]), true)]
#[case("labels", "equal_to", json!(["vi"]), false)]
#[case("labels", "not_equal_to", json!(["vip"]), false)]
#[case("labels", "not_equal_to", json!(["x"]), true)]
#[case("labels", "is_present", json!(null), true)]
#[case("labels", "is_not_present", json!([]), false)]
#[case("blocked", "equal_to", json!(["false"]), true)]
#[case("blocked", "equal_to", json!(true), false)]
#[case("blocked", "not_equal_to", json!("True"), true)]
#[case("created_at", "equal_to", json!("2026-11-21"), true)]
#[case("created_at", "is_less_than", json!("2026-11-22"), true)]
#[case("created_at", "is_less_than", json!("2026-11-21"), false)]
#[case("created_at", "is_greater_than", json!("2026-11-21"), false)]
#[case("created_at", "is_greater_than_or_equal_to", json!("2026-11-21"), true)]
#[case("created_at", "is_less_than_or_equal_to", json!("2026-11-21"), true)]
#[case("created_at", "is_greater_than", json!("2026-11-21T11:59:59Z"), true)]
#[case("created_at", "is_greater_than", json!(1_795_262_400), false)]
#[case("created_at", "is_less_than", json!("1795262401"), true)]
#[case("created_at", "between", json!(["2026-11-20", "2026-11-21"]), true)]
#[case("created_at", "between", json!(["2026-11-19", "2026-11-20"]), false)]
#[case("created_at", "within_last_days", json!(0), true)]
#[case("last_activity_at", "days_before", json!(["2"]), true)]
#[case("last_activity_at", "days_before", json!(3), false)]
#[case("last_activity_at", "within_last_days", json!(3), true)]
#[case("last_activity_at", "within_last_days", json!(2), false)]
#[case("last_activity_at", "is_present", json!([]), true)]
#[case("plan", "equal_to", json!("gold"), true)]
#[case("custom_attributes.plan", "equal_to", json!(["gold"]), true)]
#[case("plan", "not_equal_to", json!("gold"), false)]
#[case("plan", "is_greater_than", json!(5), false)]
#[case("plan", "is_greater_than", json!("2026-01-01"), false)]
#[case("nobody", "not_equal_to", json!("gold"), true)]
#[case("none", "not_equal_to", json!("gold"), true)]
#[case("none", "equal_to", json!("null"), false)]
#[case("none", "is_not_present", json!([]), true)]
#[case("empty", "is_present", json!([]), false)]
#[case("seats", "is_greater_than", json!(120), true)]
#[case("seats", "is_greater_than", json!("100.25"), true)]
#[case("seats", "equal_to", json!("120.50"), true)]
#[case("seats", "equal_to", json!(120.5), true)]
#[case("seats", "between", json!([120.5, "130"]), true)]
#[case("seats", "between", json!([0, 120]), false)]
#[case("seats", "contains", json!("20."), true)]
#[case("score", "is_greater_than", json!(100.25), true)]
#[case("score", "is_less_than", json!(["120.50"]), false)]
#[case("score", "is_less_than_or_equal_to", json!(["120.50"]), true)]
#[case("score", "equal_to", json!(120.5), true)]
#[case("zip", "equal_to", json!("1234"), false)]
#[case("zip", "equal_to", json!(1234), true)]
#[case("huge", "equal_to", json!(9_007_199_254_740_992_i64), false)]
#[case("renewal", "is_less_than", json!("2026-11-25"), true)]
#[case("renewal", "is_greater_than", json!("2026-11-24"), false)]
#[case("renewal", "within_next_days", json!(3), true)]
#[case("renewal", "within_next_days", json!(2), false)]
#[case("seen", "equal_to", json!("2026-11-18"), true)]
#[case("seen", "days_before", json!("2"), true)]
#[case("seen", "days_before", json!("3"), false)]
#[case("beta", "equal_to", json!(true), true)]
#[case("beta", "equal_to", json!("true"), true)]
#[case("old", "equal_to", json!(false), true)]
#[case("tags", "equal_to", json!("red"), true)]
#[case("tags", "equal_to", json!(7), true)]
#[case("tags", "not_equal_to", json!("red"), false)]
#[case("tags", "contains", json!("ed"), true)]
#[case("nested", "is_present", json!([]), true)]
#[case("nested", "equal_to", json!("1"), false)]
#[case("nested", "not_equal_to", json!("1"), true)]
fn a_condition_means(
    #[case] key: &str,
    #[case] operator: &str,
    #[case] values: Value,
    #[case] matches: bool,
) {
    let filter = parse_one(key, operator, &values);
    assert_eq!(filter.matches(&contact()), matches, "{}", filter.explain());
}

#[test]
fn a_name_is_always_there_and_an_empty_one_not_present() {
    let nameless = Contact::blank(ContactId(1), UnixSeconds(0));
    let matches = |key, operator, value| parse_one(key, operator, &value).matches(&nameless);
    assert!(matches("name", "not_equal_to", json!("x")));
    assert!(matches("name", "is_not_present", json!([])));
    assert!(!matches("email", "not_equal_to", json!("x")));
    assert!(!matches("last_activity_at", "not_equal_to", json!("2026-01-01")));
    assert!(matches("labels", "not_equal_to", json!("x")));
}

#[rstest]
// As if it were (a and b) or c, whatever the case.
#[case(&[("seats", "and"), ("nobody", "OR"), ("plan", "")], true)]
#[case(&[("plan", "Or"), ("seats", "AND"), ("nobody", "")], true)]
#[case(&[("nobody", "or"), ("seats", "and"), ("nobody", "")], false)]
#[case(&[("seats", "and"), ("plan", "")], true)]
fn and_binds_tighter_than_or(#[case] joined: &[(&str, &str)], #[case] matches: bool) {
    let conditions: Vec<Value> = joined
        .iter()
        .map(|(key, join)| {
            let mut condition = condition(key, "is_present", &Value::Null);
            condition["query_operator"] = if join.is_empty() { Value::Null } else { json!(join) };
            condition
        })
        .collect();
    assert_eq!(parse(&json!({ "payload": conditions })).unwrap().matches(&contact()), matches);
}

#[test]
fn groups_join_conditions_and_groups() {
    let has = |key: &str| condition(key, "is_present", &Value::Null);
    for (group, matches) in [
        (json!({ "and": [has("plan"), { "or": [has("nobody"), has("seats")] }] }), true),
        (json!({ "or": [has("nobody"), { "and": [has("plan"), has("nobody")] }] }), false),
        (json!({ "not": { "or": [has("nobody"), has("none")] } }), true),
        (json!({ "and": [{ "not": has("plan") }] }), false),
        (has("plan"), true),
    ] {
        let filter = parse(&json!({ "filter": group })).unwrap();
        assert_eq!(filter.matches(&contact()), matches, "{group}");
    }
}

#[test]
fn a_custom_attribute_may_have_the_name_of_a_field() {
    for (key, model, subject) in [
        ("name", "standard", Subject::Name),
        ("name", "customAttributes", Subject::Custom("name".into())),
        ("city", "custom_attributes", Subject::Custom("city".into())),
        ("plan", "customAttributes", Subject::Custom("plan".into())),
        ("custom_attributes.a.b", "customAttributes", Subject::Custom("a.b".into())),
        ("additional_attributes.city", "", Subject::Additional("city".into())),
    ] {
        let mut condition = condition(key, "equal_to", &json!("x"));
        condition["attribute_model"] = json!(model);
        let Ok(Filter::Is(condition)) = parse(&json!({ "payload": [condition] })) else {
            panic!("{key} {model}")
        };
        assert_eq!(condition.subject(), &subject);
        assert_eq!(Subject::parse(&subject.key()), Some(subject));
    }
}

#[test]
fn a_defined_type_decides_how_values_are_read() {
    let asked = Cell::new(AttributeType::Text);
    let types = |key: &str| (key != "undefined").then(|| asked.get());
    let reading = Reading { now: NOW, types: &types, only_defined: true };
    let parse = |key: &str, operator: &str, values: Value| {
        let body = json!({ "payload": [condition(key, operator, &values)] });
        Filter::parse(&object(&body), &reading)
    };
    for (defined, key, operator, values, matches) in [
        (AttributeType::Text, "seats", "equal_to", json!(["120.5"]), Some(true)),
        (AttributeType::List, "plan", "equal_to", json!(["GOLD"]), Some(true)),
        (AttributeType::Link, "plan", "is_greater_than", json!(["GOLD"]), None),
        (AttributeType::Number, "score", "equal_to", json!(["120.500"]), Some(true)),
        (AttributeType::Currency, "score", "is_greater_than", json!("100.25"), Some(true)),
        (AttributeType::Percent, "plan", "is_greater_than", json!("100.25"), Some(false)),
        (AttributeType::Number, "score", "is_greater_than", json!(""), None),
        (AttributeType::Number, "score", "equal_to", json!("NaN"), None),
        (AttributeType::Number, "score", "equal_to", json!("Infinity"), None),
        (AttributeType::Number, "score", "is_greater_than", json!("2026-01-01"), None),
        (AttributeType::Date, "renewal", "is_less_than", json!(["2026-12-01"]), Some(true)),
        (AttributeType::Date, "renewal", "days_before", json!(["3"]), Some(false)),
        (AttributeType::Date, "renewal", "is_less_than", json!(["1'; DROP TABLE x"]), None),
        (AttributeType::Date, "renewal", "is_less_than", json!([7]), None),
        (AttributeType::Checkbox, "beta", "equal_to", json!(["TRUE"]), Some(true)),
        (AttributeType::Checkbox, "beta", "equal_to", json!(["yes"]), None),
        (AttributeType::Text, "undefined", "equal_to", json!(["x"]), None),
    ] {
        asked.set(defined);
        let parsed = parse(key, operator, values.clone());
        let matched = parsed.map(|filter| filter.matches(&contact())).ok();
        assert_eq!(matched, matches, "{defined:?} {key} {operator} {values}");
    }
}
