//! Filters by attributes, defined and not, over values of every type: held to `plain.rs`.
#![expect(clippy::unwrap_used, reason = "a test may panic; clippy does not see that this is one")]

use meishi_contacts::{
    AttributesPatch, Contact, ContactId, ContactPatch, Filter, Query, Slice, SortField, SortKey,
    UnixMillis, filter::Reading,
};
use meishi_index::{Answer, Index};
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};
use serde_json::{Map, Value, json};

use crate::{
    account::Account,
    plain::{NOW, holds, type_of},
    snapshots::restored,
};

/// One of each type, and some that are not defined.
const KEYS: [&str; 11] =
    ["note", "site", "plan", "seats", "price", "share", "since", "beta", "free", "other", "nobody"];

const OPERATORS: [&str; 18] = [
    "equal_to",
    "not_equal_to",
    "in",
    "not_in",
    "contains",
    "does_not_contain",
    "starts_with",
    "ends_with",
    "is_present",
    "is_not_present",
    "is_greater_than",
    "is_less_than",
    "is_greater_than_or_equal_to",
    "is_less_than_or_equal_to",
    "between",
    "days_before",
    "within_last_days",
    "within_next_days",
];

fn stored() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        Value::Null,
        json!(""),
        json!(" "),
        json!("Pro"),
        json!("prö"),
        json!("pro  plan"),
        json!("plan pro"),
        json!(7),
        json!(7.0),
        json!(" 7 "),
        json!("7"),
        json!(-2.5),
        json!("2.5"),
        json!(2.5),
        json!(100),
        json!(9_007_199_254_740_993_i64),
        json!(9_007_199_254_740_992_i64),
        json!(true),
        json!(false),
        json!("True"),
        json!("false"),
        json!("1970-01-03"),
        json!("1970-01-05"),
        json!("1970-01-06"),
        json!("1970-01-07"),
        json!("1970-01-05T12:00:00Z"),
        json!("1970-01-06T00:00:00Z"),
        json!(["pro", 7]),
        json!(["1970-01-05", true, null]),
        json!([]),
        json!([null]),
        json!({ "pro": 7 }),
        json!("pro ".repeat(100)),
    ])
}

fn asked() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!("pro"),
        json!("PRÖ"),
        json!("o"),
        json!("plan"),
        json!(" "),
        json!(7),
        json!("7"),
        json!("7.0"),
        json!(2.5),
        json!("-2.5"),
        json!(100),
        json!(9_007_199_254_740_993_i64),
        json!(true),
        json!(false),
        json!("TRUE"),
        json!("false"),
        json!("1970-01-03"),
        json!("1970-01-05"),
        json!("1970-01-06"),
        json!("1970-01-05T12:00:00Z"),
        json!("1970-01-06T00:00:00Z"),
        json!(0),
        json!(1),
        json!("3"),
        json!(-1),
        json!(null),
    ])
}

fn members() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::vec((prop::sample::select(&KEYS[..10]), stored()), 0..8).prop_map(|members| {
        members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    })
}

fn condition() -> impl Strategy<Value = Value> {
    let parts = (prop::sample::select(&KEYS[..]), prop::sample::select(&OPERATORS[..]));
    (parts, prop::collection::vec(asked(), 2..4)).prop_map(|((key, operator), mut values)| {
        match operator {
            "is_present" | "is_not_present" => values.clear(),
            "between" => values.truncate(2),
            "is_greater_than"
            | "is_less_than"
            | "is_greater_than_or_equal_to"
            | "is_less_than_or_equal_to"
            | "days_before"
            | "within_last_days"
            | "within_next_days" => values.truncate(1),
            // Of several values one that cannot be read spoils all.
            _ if values.len() == 2 => values.truncate(1),
            _ => {}
        }
        json!({ "attribute_key": key, "filter_operator": operator, "values": values })
    })
}

/// A condition, or a group of those that can be read.
fn filter() -> impl Strategy<Value = Value> {
    let readable = || {
        condition().prop_filter("a value does not suit its attribute", |condition| {
            holds(condition, &Map::new()).is_some()
        })
    };
    let group = readable().prop_recursive(3, 8, 3, |inner| {
        let list = prop::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            list.clone().prop_map(|list| json!({ "and": list })),
            list.prop_map(|list| json!({ "or": list })),
            inner.prop_map(|inner| json!({ "not": inner })),
        ]
    });
    prop_oneof![1 => condition(), 3 => group]
}

fn custom(members: &Map<String, Value>) -> ContactPatch {
    ContactPatch {
        custom_attributes: AttributesPatch::Replace(members.clone()),
        ..ContactPatch::default()
    }
}

fn read(filter: &Value) -> Option<Filter> {
    let types = |key: &str| type_of(key);
    let reading = Reading { now: UnixMillis(NOW), types: &types, only_defined: false };
    Filter::from_json(filter, &reading).ok()
}

/// Holds a filter, and what the indexes say of it, to its plain meaning. Tells whether memory alone
/// answered.
fn check(indexes: &[&Index], contacts: &[(Contact, Map<String, Value>)], filter: &Value) -> bool {
    let parsed = read(filter);
    let can_be_read = holds(filter, &Map::new()).is_some();
    assert_eq!(parsed.is_some(), can_be_read, "whether it can be read: {filter}");
    let Some(parsed) = parsed else { return true };
    let mut expected: Vec<ContactId> = Vec::new();
    for (contact, members) in contacts {
        let matches = holds(filter, members).unwrap();
        // Of very many, the rows of some.
        if contacts.len() < 1000 || contact.id.0 % 97 == 0 {
            assert_eq!(parsed.matches(contact), matches, "{filter} of {members:?}");
        }
        if matches {
            expected.push(contact.id);
        }
    }
    let query = Query {
        text: None,
        labels: Vec::new(),
        filter: Some(parsed),
        resolved: false,
        order: vec![SortKey { field: SortField::Id, descending: false }],
        after: None,
        slice: Slice { offset: 0, limit: usize::MAX },
    };
    let mut is_exact = true;
    for index in indexes {
        match index.query(&query) {
            Answer::Exact { ids, total, next } => {
                assert_eq!(ids, expected, "{filter}");
                assert_eq!((total, next), (expected.len() as u64, None));
            }
            Answer::Candidates { ids, .. } => {
                let all_there = expected.iter().all(|id| ids.binary_search(id).is_ok());
                assert!(all_there, "{filter}: {ids:?} lack some of {expected:?}");
                is_exact = false;
            }
        }
    }
    is_exact
}

fn contacts(account: &Account) -> Vec<(Contact, Map<String, Value>)> {
    let with_members = |contact: &Contact| (contact.clone(), contact.custom_attributes.to_map());
    account.contacts.values().map(with_members).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn a_typed_filter_is_what_it_plainly_means(
        first in prop::collection::vec(members(), 0..80),
        changes in prop::collection::vec((any::<prop::sample::Index>(), members()), 0..15),
        filters in prop::collection::vec(filter(), 1..20),
    ) {
        let mut account = Account::default();
        for members in &first {
            account.create(&custom(members));
        }
        let mut followed = account.loaded();
        for (which, members) in &changes {
            if !account.contacts.is_empty() {
                let which = which.index(account.contacts.len());
                let mut contact = account.contacts.values().nth(which).unwrap().clone();
                let changes = contact.apply(&custom(members)).unwrap();
                account.save(contact, changes);
            }
        }
        for event in &account.events[first.len()..] {
            followed.apply(event).unwrap();
        }
        let loaded = account.loaded();
        let contacts = contacts(&account);
        for filter in &filters {
            check(&[&loaded, &followed, &restored(&loaded)], &contacts, filter);
        }
    }
}

/// More values than are kept each once: columns of numbers, and of hashes of texts.
#[test]
fn a_typed_filter_of_very_many_values_is_what_it_plainly_means() {
    let mut random = TestRunner::deterministic();
    let mut account = Account::default();
    for number in 0..34_000 {
        let mut members =
            json!({ "seats": number, "free": number, "note": format!("pro {number}") });
        let members = members.as_object_mut().unwrap();
        if number % 50 == 0 {
            let odd = ["seats", "free", "note"][number % 3];
            members.insert(odd.to_owned(), stored().new_tree(&mut random).unwrap().current());
        }
        account.create(&custom(members));
    }
    let index = account.loaded();
    let contacts = contacts(&account);
    let mut exact = 0;
    for round in 0..120 {
        let mut filter = condition().new_tree(&mut random).unwrap().current();
        filter["attribute_key"] = json!(["seats", "free", "note"][round % 3]);
        exact += usize::from(check(&[&index], &contacts, &filter));
    }
    assert!(exact > 40, "memory answers most: {exact}");
}
