//! Slices of so many contacts that a sample says where they lie: whatever the sample says, they are
//! right.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic; clippy does not see that this is one"
)]

use meishi_contacts::{
    AttributesPatch, Contact, ContactId, ContactPatch, Email, Patch, Phone, Place, Query, Slice,
    SortKey, TextQuery, UnixSeconds, order,
};
use meishi_index::Index;
use serde_json::{Value, json};

use crate::{account::Account, cases::by_default};

const CONTACTS: i64 = 20_000;

/// A contact that a sample is likely to be of, if slots are given in the order of the ids.
fn is_sampled(number: i64) -> bool {
    number % 64 == (number / 64 * 37) % 64
}

fn patch(number: i64) -> ContactPatch {
    let scattered = number * 7919 % CONTACTS;
    let city = (scattered % 10 > 2).then(|| json!(format!("City {}", scattered % 40)));
    // What a sample sees of it is nothing like the rest.
    let company = json!(format!("{} {scattered:05}", if is_sampled(number) { "A" } else { "B" }));
    let attributes: Value = json!({ "city": city, "company_name": company });
    let email = format!(
        "{}{}@example.com",
        if number % 2 == 0 { "a" } else { "same.beginning" },
        scattered
    );
    ContactPatch {
        name: Some(format!("Same beginning {}", scattered / 3)),
        email: if number % 5 == 0 { Patch::Keep } else { Patch::Set(Email::from_stored(email)) },
        phone_number: if scattered % 10 < 7 {
            Patch::Set(Phone::from_stored(format!("+4915{scattered}")))
        } else {
            Patch::Keep
        },
        created_at: Some(UnixSeconds(if is_sampled(number) { 0 } else { number })),
        last_activity_at: Patch::Set(UnixSeconds(if is_sampled(number) { 9 } else { 7 })),
        additional_attributes: AttributesPatch::Merge(attributes.as_object().unwrap().clone()),
        ..ContactPatch::default()
    }
}

/// Holds the index to the account wherever a slice may lie.
fn check(index: &Index, account: &Account, order: &[SortKey]) {
    let all = Query { order: order.to_vec(), ..by_default(None, 0, 15) };
    let resolved = Query { resolved: true, ..all.clone() };
    // Who has it is told one by one.
    let searched = Query { text: TextQuery::parse("same beginning"), ..all.clone() };
    for query in [all, resolved, searched] {
        let matches: Vec<&Contact> =
            account.contacts.values().filter(|contact| query.matches(contact)).collect();
        let mut places: Vec<Place> =
            matches.iter().map(|contact| Place::of(&query, contact)).collect();
        places.sort_by(|a, b| a.compare(b, order));
        let last = places.len() - 1;
        let at = |offset, limit, after: Option<&Place>| Query {
            slice: Slice { offset, limit },
            after: after.cloned(),
            ..query.clone()
        };
        for query in [
            at(0, 15, None),
            at(700, 15, None),
            at(last / 2, 300, None),
            at(last - 14, 15, None),
            at(last - 15, 15, None),
            at(last, 15, None),
            at(0, 0, None),
            at(0, 15, Some(&places[0])),
            at(0, 15, Some(&places[last / 3])),
            at(5000, 15, Some(&places[last / 3])),
            at(0, 15, Some(&places[last - 15])),
            at(0, 15, Some(&places[last])),
        ] {
            assert_eq!(index.query(&query), Account::sliced(&query, places.clone()), "{query:?}");
        }
    }
}

#[test]
fn a_slice_of_very_many_is_right_wherever_it_lies() {
    let mut account = Account::default();
    for number in 0..CONTACTS {
        account.create(&patch(number));
    }
    let mut index = account.loaded();
    let orders: Vec<Vec<SortKey>> = [
        "name",
        "email",
        "-email",
        "phone_number",
        "-phone_number",
        "created_at",
        "-created_at",
        "last_activity_at",
        "company_name",
        "city",
        "-city",
        "-city,name",
        "",
    ]
    .iter()
    .map(|order| order::parse(Some(order), None, false))
    .collect();
    for order in &orders {
        check(&index, &account, order);
    }

    // Slots that nobody has, and some that others got.
    let known = account.events.len();
    for id in (1..=CONTACTS).step_by(17).map(ContactId) {
        account.delete(id);
    }
    for number in 0..700 {
        account.create(&patch(CONTACTS + number));
    }
    for event in &account.events[known..] {
        index.apply(event).unwrap();
    }
    for order in &orders {
        check(&index, &account, order);
    }
}
