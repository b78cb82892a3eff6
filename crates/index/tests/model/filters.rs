//! Random filters over what contacts are made of, so that conditions hold of some.
#![expect(clippy::unwrap_used, reason = "a test may panic; clippy does not see that this is one")]

use meishi_contacts::{
    AttributesPatch, ContactPatch, Email, Filter, Patch, Query, Slice, SortField, SortKey,
    UnixMillis,
    filter::{Operator, Reading, Subject},
};
use meishi_index::Answer;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::account::Account;

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

/// What is held in memory is answered without a look at any row.
#[test]
fn only_given_and_family_name_and_long_values_are_left_to_the_rows() {
    let mut account = Account::default();
    for number in 0..300_i64 {
        let plans = ["pro", "Pro", "free"];
        let attributes = json!({
            "plan": plans.get(usize::try_from(number % 3).unwrap()),
            "seats": number,
            "since": format!("1970-01-{:02}", number % 28 + 1),
            "beta": number % 2 == 0,
            "note": if number == 7 { "long".repeat(100) } else { "short".to_owned() },
        });
        let patch = ContactPatch {
            name: Some(format!("n{number}")),
            email: Email::parse(&format!("n{number}@acme.inc"))
                .unwrap()
                .map_or(Patch::Keep, Patch::Set),
            blocked: Some(number % 10 == 0),
            custom_attributes: AttributesPatch::Merge(attributes.as_object().unwrap().clone()),
            ..ContactPatch::default()
        };
        account.create(&patch);
    }
    let index = account.loaded();
    let query = |filter: Value| Query {
        text: None,
        labels: Vec::new(),
        filter: Some(Filter::from_json(&filter, &Reading::untyped(NOW)).unwrap()),
        resolved: true,
        order: vec![SortKey { field: SortField::Id, descending: false }],
        after: None,
        slice: Slice { offset: 2, limit: 5 },
    };
    let asks = |key: &str, operator: &str, value: Value| json!({ "attribute_key": key, "filter_operator": operator, "values": value });
    let seats = asks("seats", "is_greater_than", json!(290));
    let nobody = asks("first_name", "is_present", json!([]));
    for (filter, total) in [
        (asks("plan", "equal_to", json!("pro")), 200),
        (asks("plan", "not_equal_to", json!("pro")), 100),
        (seats.clone(), 9),
        (asks("since", "is_less_than", json!("1970-01-03")), 22),
        (asks("beta", "equal_to", json!(true)), 150),
        (asks("blocked", "equal_to", json!(true)), 30),
        (asks("email", "ends_with", json!("9@acme.inc")), 30),
        (asks("name", "does_not_contain", json!("n1")), 189),
        (asks("labels", "is_not_present", json!([])), 300),
        (asks("created_at", "is_less_than", json!("1970-01-02")), 300),
        (asks("unknown", "is_not_present", json!([])), 300),
        // What is open does not matter where the rest decides.
        (json!({ "and": [seats, asks("plan", "equal_to", json!("gold")), nobody] }), 0),
    ] {
        let query = query(filter);
        let answer = index.query(&query);
        let Answer::Exact { total: found, .. } = answer else { panic!("{query:?}") };
        assert_eq!(found, total, "{query:?}");
        assert_eq!(answer, account.answer(&query));
    }
    for (filter, left) in [
        (asks("first_name", "is_not_present", json!([])), 300),
        (asks("note", "equal_to", json!("x")), 1),
        (json!({ "not": asks("note", "contains", json!("longlong")) }), 300),
    ] {
        let query = query(filter);
        let answer = index.query(&query);
        let Answer::Candidates { ids, .. } = &answer else { panic!("{query:?}") };
        assert_eq!(ids.len(), left, "{query:?}");
        assert_eq!(account.settled(answer), account.answer(&query));
    }
}
