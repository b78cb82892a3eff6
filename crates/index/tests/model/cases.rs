//! What chance would hardly meet: long answers, worn texts, events that do not fit.

use meishi_contacts::{
    Card, Contact, ContactId, ContactPatch, Event, EventBody, Field, FieldChange, Patch, Query,
    Seq, Slice, SortField, SortKey, TextQuery, UnixSeconds, Version, order::DEFAULT_ORDER,
};
use meishi_index::{ApplyError, Index};
use serde_json::{Value, json};

use crate::account::{Account, check};

pub(crate) fn by_default(text: Option<&str>, offset: usize, limit: usize) -> Query {
    Query {
        text: text.and_then(TextQuery::parse),
        labels: Vec::new(),
        filter: None,
        resolved: false,
        order: DEFAULT_ORDER.to_vec(),
        after: None,
        slice: Slice { offset, limit },
    }
}

pub(crate) fn named(name: &str) -> ContactPatch {
    ContactPatch { name: Some(name.to_owned()), ..ContactPatch::default() }
}

/// Many contacts and many changes of each, so that chunks of text fill, are given up and are
/// written again.
#[test]
fn many_changes_leave_neither_garbage_nor_gaps() {
    let mut account = Account::default();
    let mut index = Index::new();
    let mut with_grams = account.with_grams(1000);
    let long = "X".repeat(200);
    for number in 0..2000 {
        account.create(&named(&format!("n{number}. {long}")));
    }
    for round in 1..=10 {
        for id in (1..=2000).map(ContactId) {
            // Some rest, so that no chunk dies as a whole.
            if let Some(mut contact) = account.contacts.get(&id).cloned()
                && id.0 % 11 != round
            {
                let name = format!("r{round} n{}. {long}", id.0);
                let changes = contact.apply(&named(&name)).unwrap();
                account.save(contact, changes);
            }
        }
        for id in (round..=2000).step_by(100).map(ContactId) {
            account.delete(id);
            account.create(&named(&format!("late{round} n{}. {long}", id.0)));
        }
    }
    for event in &account.events {
        index.apply(event).unwrap();
        with_grams.apply(event).unwrap();
    }

    let queries = ["x", "r10", "r9 n8", "n1999.", "late3", "n77."]
        .map(|text| by_default(Some(text), 0, usize::MAX));
    check(&index, &account, &queries);
    check(&with_grams, &account, &queries);
    assert!(with_grams.has_grams() && !index.has_grams());
    let fresh = account.with_grams(1000).bytes();
    assert!(with_grams.bytes() < fresh * 2, "{} {fresh}", with_grams.bytes());
    let loaded = account.loaded().bytes();
    // Each contact holds its name as it is and folded.
    assert!((2000 * 400..2000 * 1000).contains(&loaded), "{loaded}");
    assert!(index.bytes() < loaded * 2, "{} {loaded}", index.bytes());

    for id in account.contacts.keys().copied().collect::<Vec<_>>() {
        account.delete(id);
        index.apply(account.events.last().unwrap()).unwrap();
        with_grams.apply(account.events.last().unwrap()).unwrap();
    }
    check(&index, &account, &queries);
    check(&with_grams, &account, &queries);
    assert!(!with_grams.has_grams());
    assert!(with_grams.bytes() * 3 < loaded * 2, "{} {loaded}", with_grams.bytes());
    assert!(index.bytes() * 3 < loaded * 2, "{} {loaded}", index.bytes());
}

#[test]
fn a_page_deep_in_a_long_answer_is_right() {
    let mut account = Account::default();
    for number in 0..5000_i64 {
        let mut patch = named(&format!("Same beginning of all {}", number * 7919 % 5000 / 2));
        patch.last_activity_at = Patch::Set(UnixSeconds(number % 50));
        account.create(&patch);
    }
    let index = account.loaded();
    for (field, descending) in [(SortField::Name, false), (SortField::LastActivityAt, true)] {
        for (offset, limit) in [(0, 15), (3000, 100), (4990, 15), (5000, 15), (0, 0)] {
            for text in [None, Some("same"), Some("all 1")] {
                let order = vec![SortKey { field, descending }];
                let query = Query { order, ..by_default(text, offset, limit) };
                check(&index, &account, &[query]);
            }
        }
    }
}

#[test]
fn a_gap_is_told_and_a_repeat_ignored() {
    let mut account = Account::default();
    for name in ["a", "b", "c"] {
        account.create(&named(name));
    }
    let [first, second, third] = account.events.as_slice() else { unreachable!() };
    let mut index = Index::new();
    let gap = |expected, found| Err(ApplyError::Gap { expected: Seq(expected), found: Seq(found) });
    assert_eq!(index.apply(second), gap(1, 2));
    assert_eq!(index.apply(first), Ok(()));
    assert_eq!(index.apply(third), gap(2, 3));
    assert_eq!((index.seq(), index.len()), (Seq(1), 1));
    assert_eq!(index.apply(first), Ok(()));
    assert_eq!(index.apply(second), Ok(()));
    assert_eq!(index.apply(third), Ok(()));
    assert_eq!(index.apply(second), Ok(()));
    check(&index, &account, &[by_default(None, 0, 10)]);
}

#[test]
fn an_event_that_does_not_fit_changes_nothing() {
    let mut account = Account::default();
    account.create(&named("Anna"));
    let anna = account.contacts[&ContactId(1)].clone();
    let stranger = Contact::blank(ContactId(9), UnixSeconds(0));
    let card = |contact: &Contact| Card { contact: contact.clone(), contact_inboxes: Vec::new() };
    let update = |id, version, changes| EventBody::ContactUpdated {
        id: ContactId(id),
        version: Version(version),
        changes,
    };
    let to = |field, after: Value| vec![FieldChange::of(field, Value::Null, after)];
    let mut no_key = to(Field::AdditionalAttributes, json!({"city": "x"}));
    no_key.insert(0, FieldChange::of(Field::Name, "Anna", "Berta"));

    for body in [
        EventBody::ContactCreated(card(&anna)),
        EventBody::ContactDeleted(card(&stranger)),
        update(9, 2, to(Field::Name, json!("x"))),
        update(1, 1, to(Field::Name, json!("x"))),
        update(1, 3, to(Field::Name, json!("x"))),
        update(1, 2, to(Field::Name, Value::Null)),
        update(1, 2, to(Field::Email, json!(7))),
        update(1, 2, to(Field::PhoneNumber, json!(""))),
        update(1, 2, to(Field::Identifier, json!(["x"]))),
        update(1, 2, to(Field::CreatedAt, Value::Null)),
        update(1, 2, to(Field::CreatedAt, json!(1.5))),
        update(1, 2, to(Field::LastActivityAt, json!("yesterday"))),
        update(1, 2, to(Field::Labels, json!("vip"))),
        update(1, 2, to(Field::Labels, json!(["vip", 7]))),
        update(1, 2, no_key),
    ] {
        let mut index = account.loaded();
        let odd = Event { seq: Seq(2), body: body.clone(), ..account.events[0].clone() };
        let result = index.apply(&odd);
        assert!(
            matches!(result, Err(ApplyError::Inconsistent { seq: Seq(2), .. })),
            "{body:?} {result:?}"
        );
        let texts = [None, Some("anna"), Some("berta"), Some("x")];
        check(&index, &account, &texts.map(|text| by_default(text, 0, 10)));
    }
}

#[test]
fn contacts_may_be_added_in_any_order_and_again() {
    let mut account = Account::default();
    for number in 0..300 {
        account.create(&named(&format!("n{number} {}", ["ana", "bob", "王小明"][number % 3])));
    }
    let ids: Vec<ContactId> = account.contacts.keys().copied().collect();
    let queries =
        ["n1", "n29 ", "ana", "小明", "stale"].map(|q| by_default(Some(q), 0, 500)).to_vec();
    for apart in [1, 7, 299] {
        let mut builder = Index::builder().grams_from(100).expecting(10);
        for at in 0..ids.len() {
            let contact = &account.contacts[&ids[at * apart % ids.len()]];
            if at % 3 > 0 {
                builder.push(&Contact { name: "stale".to_owned(), ..contact.clone() });
            }
            if at % 3 < 2 {
                builder.push(contact);
            }
        }
        account.contacts.values().step_by(2).for_each(|contact| builder.push(contact));
        account.contacts.values().rev().step_by(2).for_each(|contact| builder.push(contact));
        let index = builder.finish(account.seq());
        assert_eq!(index.len(), account.contacts.len());
        check(&index, &account, &queries);
    }
}
