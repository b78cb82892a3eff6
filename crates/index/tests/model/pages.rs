//! Page after page while contacts are written: what an answer's `next` promises.

use std::collections::BTreeMap;

use meishi_contacts::{
    Contact, ContactId, ContactPatch, Place, Query, Slice, SortField, SortKey, UnixSeconds,
    order::DEFAULT_ORDER,
};
use meishi_index::{Answer, Index};
use proptest::prelude::*;

use crate::{
    account::Account,
    steps::{Step, patch, query, step},
};

/// The contacts that matched at every moment so far and never moved, with their places.
struct Steady(BTreeMap<ContactId, Place>);

impl Steady {
    fn of(query: &Query, account: &Account) -> Self {
        let matching = account.contacts.values().filter(|contact| query.matches(contact));
        Self(matching.map(|contact| (contact.id, Place::of(query, contact))).collect())
    }

    fn look(&mut self, query: &Query, account: &Account) {
        self.0.retain(|id, place| {
            let is_as_before =
                |contact: &Contact| query.matches(contact) && Place::of(query, contact) == *place;
            account.contacts.get(id).is_some_and(is_as_before)
        });
    }
}

/// Reads all pages, with some steps before each but the first, and holds them to the promise.
fn read(mut query: Query, mut index: Index, account: &mut Account, between: &[Vec<Step>]) {
    let mut steady = Steady::of(&query, account);
    let mut shown: Vec<ContactId> = Vec::new();
    let mut between = between.iter();
    loop {
        let answer = account.settled(index.query(&query));
        assert_eq!(answer, account.answer(&query), "{query:?}");
        let Answer::Exact { ids, next, .. } = answer else { unreachable!() };
        shown.extend(ids);
        let Some(next) = next else { break };
        query.after = Some(next);
        for step in between.next().into_iter().flatten() {
            let known = account.events.len();
            account.run(step);
            for event in account.events.iter().skip(known) {
                assert_eq!(index.apply(event), Ok(()));
            }
            steady.look(&query, account);
        }
    }
    for id in steady.0.keys() {
        let times = shown.iter().filter(|shown| *shown == id).count();
        assert_eq!(times, 1, "{id} stays as it is; {shown:?} {query:?}");
    }
    if let [SortKey { field: SortField::Id, descending }] = query.order[..] {
        let in_order = |a: &ContactId, b: &ContactId| (a < b) != descending && a != b;
        assert!(shown.is_sorted_by(in_order), "nobody twice and in order: {shown:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn whoever_stays_is_shown_once_whatever_is_written_between_pages(
        first in prop::collection::vec(patch(), 0..40),
        query in query(),
        limit in 1..6_usize,
        grams in any::<bool>(),
        between in prop::collection::vec(prop::collection::vec(step(), 0..6), 0..20),
    ) {
        let mut account = Account::default();
        for patch in &first {
            account.create(patch);
        }
        let slice = Slice { offset: 0, limit };
        let index = if grams { account.with_grams(0) } else { account.loaded() };
        read(Query { slice, ..query }, index, &mut account, &between);
    }
}

/// More contacts than the index sorts at a time, in few places.
#[test]
fn a_long_list_is_read_to_its_end() {
    let mut account = Account::default();
    for number in 0..1500_i64 {
        account.create(&ContactPatch {
            name: Some(format!("Same beginning {}", number * 7919 % 1500 / 100)),
            created_at: Some(UnixSeconds(number % 3)),
            ..ContactPatch::default()
        });
    }
    let index: Index = account.loaded();
    let key = |field, descending| vec![SortKey { field, descending }];
    for order in [
        DEFAULT_ORDER.to_vec(),
        key(SortField::Id, false),
        key(SortField::Id, true),
        key(SortField::Name, true),
        key(SortField::CreatedAt, false),
        key(SortField::Email, true),
    ] {
        let slice = Slice { offset: 0, limit: 97 };
        let mut query = Query {
            text: None,
            labels: Vec::new(),
            filter: None,
            resolved: false,
            order: order.clone(),
            after: None,
            slice,
        };
        let whole = Query { slice: Slice { limit: usize::MAX, ..slice }, ..query.clone() };
        let Answer::Exact { ids: whole, next: None, .. } = index.query(&whole) else {
            unreachable!()
        };
        let mut shown = Vec::new();
        loop {
            let Answer::Exact { ids, total, next } = index.query(&query) else { unreachable!() };
            assert_eq!((total, ids.len()), (1500, (1500 - shown.len()).min(97)));
            shown.extend(ids);
            query.after = next;
            if query.after.is_none() {
                break;
            }
        }
        assert_eq!(shown, whole, "{order:?}");
    }
}
