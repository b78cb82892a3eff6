//! What is refused, with which words at which place.

use serde_json::{Value, json};

use super::{condition, parse};
use crate::limits::{
    FAULTS_PER_FIELD, FILTER_CONDITIONS, FILTER_DEPTH, FILTER_VALUE_BYTES, FILTER_VALUES,
};

/// Pointer and message of each fault.
fn faults(body: &Value) -> Vec<(String, String)> {
    let faults = parse(body).unwrap_err();
    faults.into_iter().map(|fault| (fault.pointer, fault.message)).collect()
}

#[test]
fn messages_are_chatwoots() {
    let payload = |condition: Value| json!({ "payload": [condition] });
    assert_eq!(
        faults(&payload(condition("country_code", "is_greater_than", &json!(["x"])))),
        [(
            "/payload/0/filter_operator".to_owned(),
            "Invalid operator. The allowed operators for country_code are [equal_to,not_equal_to,\
             contains,does_not_contain,starts_with,ends_with,is_present,is_not_present]."
                .to_owned()
        )]
    );
    assert_eq!(
        faults(&payload(condition("country_code", "equal_to", &json!([])))),
        [(
            "/payload/0/values".to_owned(),
            "Invalid value. The values provided for country_code are invalid".to_owned()
        )]
    );
    let mut joined = condition("name", "equal_to", &json!("x"));
    joined["query_operator"] = json!("INVALID");
    assert_eq!(
        faults(&json!({ "payload": [joined, condition("name", "equal_to", &json!("x"))] })),
        [(
            "/payload/0/query_operator".to_owned(),
            r#"Query operator must be either "AND" or "OR"."#.to_owned()
        )]
    );
    assert_eq!(
        faults(&payload(condition("", "equal_to", &json!(["x"])))),
        [(
            "/payload/0/attribute_key".to_owned(),
            "Invalid attribute key - []. The key should be one of [name,phone_number,email,\
             identifier,first_name,last_name,labels,blocked,created_at,last_activity_at,\
             country_code,city,company_name,country] or a custom attribute defined in the account."
                .to_owned()
        )]
    );
}

#[test]
fn every_fault_is_told_with_its_place() {
    let mut last = condition("plan", "equal_to", &json!(["x", null, "y"]));
    last["query_operator"] = json!("and");
    let mut middle = condition("name", "nonsense", &json!(["x"]));
    middle["query_operator"] = json!(1);
    let body = json!({ "payload": ["x", middle, last] });
    let pointers: Vec<String> = faults(&body).into_iter().map(|(pointer, _)| pointer).collect();
    assert_eq!(
        pointers,
        [
            "/payload/0",
            "/payload/0/query_operator",
            "/payload/1/filter_operator",
            "/payload/1/query_operator",
            "/payload/2/values/1",
            "/payload/2/query_operator",
        ]
    );
    let good = condition("name", "is_present", &json!([]));
    for (body, pointer) in [
        (json!({}), "/payload"),
        (json!({ "payload": [] }), "/payload"),
        (json!({ "payload": { "attribute_key": "name" } }), "/payload"),
        (json!({ "payload": [good], "filter": good }), "/filter"),
        (json!({ "filter": "x" }), "/filter"),
        (json!({ "filter": [] }), "/filter"),
        (json!({ "filter": {} }), "/filter/attribute_key"),
        (json!({ "filter": { "and": [] } }), "/filter/and"),
        (json!({ "filter": { "and": good } }), "/filter/and"),
        (json!({ "filter": { "and": [good], "or": [good] } }), "/filter"),
        (json!({ "filter": { "and": [good], "attribute_key": "name" } }), "/filter"),
        (json!({ "filter": { "or": [good, { "not": {} }] } }), "/filter/or/1/not/attribute_key"),
        (
            json!({ "filter": { "or": [good, condition("created_at", "between", &json!(["2026-01-02", "2026-01-01"]))] } }),
            "/filter/or/1/values",
        ),
        (
            json!({ "filter": condition("x", "between", &json!([1, "2026-01-01"])) }),
            "/filter/values",
        ),
        (json!({ "filter": condition("x", "is_less_than", &json!([1, 2])) }), "/filter/values"),
        (json!({ "filter": condition("x", "days_before", &json!([-1])) }), "/filter/values/0"),
        (json!({ "filter": condition("x", "days_before", &json!(["1e99"])) }), "/filter/values/0"),
        (json!({ "filter": condition("x", "contains", &json!([" "])) }), "/filter/values/0"),
        (
            json!({ "filter": condition("labels", "contains", &json!(["x"])) }),
            "/filter/filter_operator",
        ),
        (
            json!({ "filter": condition("phone_number", "equal_to", &json!(["()"])) }),
            "/filter/values/0",
        ),
    ] {
        let told = faults(&body);
        assert_eq!(told.len().min(1), 1, "{body}");
        assert_eq!(told[0].0, pointer, "{body} {told:?}");
    }
    let joined = json!({ "attribute_key": "name", "filter_operator": "is_present", "query_operator": "and" });
    assert_eq!(faults(&json!({ "filter": joined }))[0].0, "/filter/query_operator");
}

#[test]
fn a_filter_has_limits() {
    let good = condition("name", "is_present", &json!([]));
    let any = |count: usize| json!({ "filter": { "or": vec![good.clone(); count] } });
    assert!(parse(&any(FILTER_CONDITIONS)).is_ok());
    let nested = |depth: usize| {
        let inner = (0..depth).fold(good.clone(), |inner, _| json!({ "not": inner }));
        json!({ "filter": inner })
    };
    assert!(parse(&nested(FILTER_DEPTH)).is_ok());
    let values = |count: usize| json!({ "filter": condition("x", "in", &json!(vec!["v"; count])) });
    assert!(parse(&values(FILTER_VALUES)).is_ok());
    let long = |bytes| json!({ "filter": condition("x", "in", &json!(["v".repeat(bytes)])) });
    assert!(parse(&long(FILTER_VALUE_BYTES)).is_ok());
    let key = |chars| json!({ "filter": condition(&"ü".repeat(chars), "is_present", &json!([])) });
    assert!(parse(&key(255)).is_ok());
    for body in [
        any(FILTER_CONDITIONS + 50),
        nested(FILTER_DEPTH + 50),
        values(FILTER_VALUES + 1),
        long(FILTER_VALUE_BYTES + 1),
        key(256),
    ] {
        let faults = parse(&body).unwrap_err();
        let codes: Vec<&str> = faults.iter().map(|fault| fault.code.as_str()).collect();
        assert_eq!(codes, ["limit_exceeded"], "{faults:?}");
    }
    let wrong = json!({ "payload": vec![json!({}); 90] });
    assert_eq!(faults(&wrong).len(), FAULTS_PER_FIELD);
}
