//! What chance would hardly meet: long answers, worn texts, events that do not fit.

use meishi_contacts::{
    Card, Contact, ContactId, ContactPatch, Event, EventBody, Field, FieldChange, Patch, Query,
    Seq, Slice, SortField, SortKey, TextQuery, UnixSeconds, Version, order::DEFAULT_ORDER,
};
use meishi_index::{ApplyError, Index};
use serde_json::{Value, json};

use crate::account::{Account, check};

fn by_default(text: Option<&str>, offset: usize, limit: usize) -> Query {
    Query {
        text: text.and_then(TextQuery::parse),
        labels: Vec::new(),
        order: DEFAULT_ORDER.to_vec(),
        slice: Slice { offset, limit },
    }
}

fn named(name: &str) -> ContactPatch {
    ContactPatch { name: Some(name.to_owned()), ..ContactPatch::default() }
}

/// Many contacts and many changes of each, so that chunks of text fill, are given up and are
/// written again.
#[test]
fn many_changes_leave_neither_garbage_nor_gaps() {
    let mut account = Account::default();
    let mut index = Index::new();
    let long = "x".repeat(200);
    for number in 0..3000 {
        account.create(&named(&format!("n{number}. {long}")));
    }
    for round in 0..6_u8 {
        for number in (i64::from(round % 3)..3000).step_by(usize::from(round) + 1) {
            let id = ContactId(number + 1);
            let Some(mut contact) = account.contacts.get(&id).cloned() else { continue };
            if number % 10 == i64::from(round) {
                account.delete(id);
                continue;
            }
            let changes = contact.apply(&named(&format!("r{round} n{number}. {long}"))).unwrap();
            account.save(contact, changes);
        }
        for number in 0..100 {
            account.create(&named(&format!("late{round} n{number}. {long}")));
        }
    }
    for event in &account.events {
        index.apply(event).unwrap();
    }

    let queries = ["x", "r5", "r1 n8", "n2999.", "late3", "n77."]
        .map(|text| by_default(Some(text), 0, usize::MAX));
    check(&index, &account, &queries);
    let loaded = account.loaded();
    assert!(index.bytes() < loaded.bytes() * 3, "{} {}", index.bytes(), loaded.bytes());
    assert!(loaded.bytes() > account.contacts.len() * 200);
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
