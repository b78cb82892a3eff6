//! What takes more contacts than chance brings together: large sets of grams, crowded ranks, and the
//! names that are proposed.

use meishi_contacts::{
    AttributesPatch, ContactId, ContactPatch, Email, Patch, Place, Query, SortField, SortKey,
    TextQuery, UnixSeconds, order::NEAR_ORDER,
};
use meishi_index::{Answer, Index};
use serde_json::{Map, json};

use crate::{
    account::{Account, check},
    cases::{by_default, named},
};

fn near(query: &Query) -> Query {
    let text = query.text.clone().map(TextQuery::misspelt);
    Query { text, order: NEAR_ORDER.to_vec(), ..query.clone() }
}

/// More contacts than a set of grams holds in a block, in blocks of all kinds, so that what is
/// found, sorted and taken away is not all in one of them.
#[test]
fn large_sets_of_grams_are_right_through_many_changes() {
    const NAMES: [&str; 8] = [
        "Ana Hernández",
        "hernandez",
        "Fernandez Ana",
        "王小明",
        "สมชาย ใจดี",
        "김민준",
        "Stephanie Scneider",
        "Иван Петров",
    ];
    const TEXTS: [&str; 15] = [
        "hernandez",
        "ana",
        "herna",
        "nandez ana",
        "小明",
        "王小明",
        "ใจดี",
        "김민",
        "Петров",
        "example.com",
        "a599",
        "a59",
        "dez 4",
        "he",
        "王",
    ];
    const FIELDS: [SortField; 4] =
        [SortField::Name, SortField::Email, SortField::LastActivityAt, SortField::Relevance];
    let name = |number: i64| format!("{} {number}", NAMES[usize::try_from(number % 8).unwrap()]);
    let mut account = Account::default();
    for number in 0..6000_i64 {
        let mut patch = named(&name(number));
        let email = format!("a{}@example.com", 1 + number * 7919 % 6000);
        patch.email = Patch::Set(Email::from_stored(email));
        patch.last_activity_at = Patch::Set(UnixSeconds(number % 50));
        account.create(&patch);
    }
    let mut index = account.with_grams(0);
    let mut queries = Vec::new();
    for (number, text) in TEXTS.iter().enumerate() {
        let field = FIELDS[number % FIELDS.len()];
        let order = vec![SortKey { field, descending: number % 3 == 0 }];
        let written = Query { order, ..by_default(Some(text), 30 * (number % 2), 15) };
        queries.push(near(&written));
        queries.push(written);
    }
    for text in ["hernandes", "stehpanie", "anna hernandez"] {
        queries.push(near(&by_default(Some(text), 0, 40)));
    }
    for field in [SortField::Email, SortField::Name, SortField::CreatedAt] {
        let order = vec![SortKey { field, descending: true }];
        queries.push(Query { order, ..by_default(None, 2000, 15) });
    }
    check(&index, &account, &queries);
    for round in 1..=3_i64 {
        for id in (round..=6000).step_by(7).map(ContactId) {
            let Some(mut contact) = account.contacts.get(&id).cloned() else { continue };
            if id.0 % 5 == 0 {
                account.delete(id);
            } else {
                let changes = contact.apply(&named(&name(id.0 * 3 + round))).unwrap();
                account.save(contact, changes);
            }
        }
        for number in 0..300 {
            account.create(&named(&name(10_000 * round + number)));
        }
        let known = usize::try_from(index.seq().0).unwrap();
        for event in &account.events[known..] {
            index.apply(event).unwrap();
        }
    }
    check(&index, &account, &queries);
    check(&account.with_grams(0), &account, &queries);
}

/// Companies that come in between, in an order that leaves no room between their ranks.
#[test]
fn new_values_are_sorted_among_those_that_are_there() {
    let mut account = Account::default();
    let mut index = Index::new();
    let company = |name: String| ContactPatch {
        additional_attributes: AttributesPatch::Merge(Map::from_iter([(
            "company_name".to_owned(),
            json!(name),
        )])),
        ..ContactPatch::default()
    };
    for number in 0..200 {
        account.create(&company(format!("a{:03}", 200 - number)));
        account.create(&company(format!("b{number:03}")));
        account.create(&company(format!("aa{number:03}")));
    }
    let gone: Vec<ContactId> = (1..=600).step_by(25).map(ContactId).collect();
    for id in &gone {
        account.delete(*id);
    }
    for event in &account.events {
        index.apply(event).unwrap();
    }
    for descending in [false, true] {
        let order = vec![SortKey { field: SortField::CompanyName, descending }];
        let mut query = Query { order, ..by_default(None, 0, 50) };
        while let Answer::Exact { next: Some(next), .. } = index.query(&query) {
            check(&index, &account, &[query.clone()]);
            query.after = Some(next);
        }
        // Places where nobody stands any more.
        for id in &gone {
            query.after = Some(Place::of(&query, account.deleted(*id).unwrap()));
            check(&index, &account, &[query.clone()]);
        }
    }
}

/// A server may have tens of thousands of accounts with a handful of contacts.
#[test]
fn a_small_account_takes_little() {
    let mut account = Account::default();
    let empty = account.loaded();
    for number in 0..5 {
        let mut patch = named(&format!("Ana Hernández {number}"));
        patch.email = Patch::Set(Email::from_stored(format!("Ana{number}@example.com")));
        let attributes = json!({ "company_name": "Acme", "city": format!("City {number}") });
        patch.additional_attributes =
            AttributesPatch::Merge(attributes.as_object().unwrap().clone());
        account.create(&patch);
    }
    let few = account.loaded();
    let mut grown = Index::new();
    for event in &account.events {
        grown.apply(event).unwrap();
    }
    for (index, most) in [(empty, 2), (few, 8), (grown, 10)] {
        assert!(index.bytes() < most * 1024, "{}", index.bytes());
    }
}

#[test]
fn names_are_proposed_the_nearest_first() {
    let mut account = Account::default();
    for (number, name) in (0..).zip([
        "Ana Fernández",
        "Ana Hernández",
        "Luis Hernández",
        "Ana Hernández",
        "Eva Hermandes",
        "Hernandes",
        "Müller",
    ]) {
        let mut patch = named(name);
        patch.last_activity_at = Patch::Set(UnixSeconds(number));
        account.create(&patch);
    }
    for index in [account.loaded(), account.with_grams(0)] {
        let propose = |q: &str| index.did_you_mean(&TextQuery::parse(q).unwrap());
        assert_eq!(propose("hernandes"), ["Hernandes", "Eva Hermandes", "Ana Hernández"]);
        assert_eq!(propose("ana hernandes"), ["Ana Hernández", "Ana Fernández"]);
        assert_eq!(propose("muler"), ["Müller"]);
        assert!(propose("nobody").is_empty());
        assert!(propose("a b c d e f g h i").is_empty());
    }
}

#[test]
fn queries_that_look_at_few_contacts_are_brief() {
    let mut account = Account::default();
    for number in 0..3000 {
        account.create(&named(&format!("Ana Hernández {number}")));
    }
    let index = account.with_grams(0);
    let list = by_default(None, 0, 15);
    let search = |q: &str| Query { text: TextQuery::parse(q), ..list.clone() };
    for query in [list.clone(), search("2999"), search("nobody")] {
        assert!(index.is_brief(&query), "{query:?}");
    }
    let by_name = vec![SortKey { field: SortField::Name, descending: false }];
    let sorted = Query { order: by_name, ..list.clone() };
    let resolved = Query { resolved: true, ..list.clone() };
    for query in [sorted, resolved, search("hernandez"), search("an"), near(&search("2999"))] {
        assert!(!index.is_brief(&query), "{query:?}");
    }
    assert!(!account.loaded().is_brief(&search("2999")), "without grams it is a scan");
}
