//! What is found: the index of each store's contacts, and of its events, asked the same.

use std::collections::HashSet;

use meishi_contacts::{
    AccountId, Contact, ContactId, Label, Place, Query, Seq, Slice, SortField, SortKey, TextQuery,
};
use meishi_index::{Answer, Index};
use meishi_store::Store;
use proptest::{collection::vec, option, prelude::*, sample::select};

use super::pair::snapshot;
use crate::conformance::{
    replay::all_events,
    values::{strange_text, text},
};

/// A question about an account's contacts.
pub(crate) fn query() -> impl Strategy<Value = Query> {
    let words = prop_oneof![
        3 => text(&["a", "an", "ANNA", "bob", "@example", "+49", "4911", "u1", "x", "müller", "王"]),
        1 => strange_text(),
    ];
    let text_query = (words, prop::bool::weighted(0.2)).prop_map(|(words, misspelt)| {
        let query = TextQuery::parse(&words)?;
        Some(if misspelt { query.misspelt() } else { query })
    });
    let label = text(&["a", "b", "c", "new"]).prop_map(|title| Label::parse(&title).ok().flatten());
    let field = select(vec![
        SortField::Email,
        SortField::Name,
        SortField::PhoneNumber,
        SortField::LastActivityAt,
        SortField::CreatedAt,
        SortField::CompanyName,
        SortField::City,
        SortField::Country,
        SortField::Id,
        SortField::Relevance,
    ]);
    let key = (field, any::<bool>()).prop_map(|(field, descending)| SortKey { field, descending });
    let slice = (0..20_usize, 1..9_usize).prop_map(|(offset, limit)| Slice { offset, limit });
    (option::of(text_query), vec(label, 0..3), vec(key, 0..4), slice).prop_map(
        |(text, labels, order, slice)| Query {
            text: text.flatten(),
            labels: labels.into_iter().flatten().collect(),
            filter: None,
            resolved: false,
            order,
            after: None,
            slice,
        },
    )
}

/// Asks every index that can be made of the stores' account, and compares the answers with what
/// the question means.
pub(crate) async fn compare(stores: [&dyn Store; 2], account: AccountId, queries: &[Query]) {
    let mut indexes = Vec::new();
    let mut contacts = Vec::new();
    for store in stores {
        let (seq, _, found) = snapshot(store, account).await.unwrap();
        indexes.push(Index::load(seq, found.clone()));
        // The events alone tell it only as long as all of them are there.
        let counts = store.counts(account).await.unwrap().unwrap();
        if counts.dropped_seq == Seq(0) {
            let mut followed = Index::new();
            for event in all_events(store, account, Seq(0)).await {
                followed.apply(&event).unwrap();
            }
            assert_eq!((followed.seq(), followed.len()), (seq, found.len()));
            indexes.push(followed);
        }
        contacts = found;
    }
    for query in queries {
        let meant = meaning(query, &contacts);
        for index in &indexes {
            let Slice { offset, limit } = query.slice;
            let slice: Vec<&Contact> = meant.iter().skip(offset).take(limit).copied().collect();
            let more = meant.len() > offset + slice.len();
            let expected = Answer::Exact {
                ids: slice.iter().map(|contact| contact.id).collect(),
                total: meant.len() as u64,
                next: slice.last().filter(|_| more).map(|last| Place::of(query, last)),
            };
            assert_eq!(index.query(query), expected, "{query:?}");
            let all: Vec<ContactId> = meant.iter().map(|contact| contact.id).collect();
            assert_eq!(numbered(index, query), all, "{query:?}");
            assert_eq!(one_after_another(index, query), all, "{query:?}");
        }
    }
}

/// What a question means, taken literally.
fn meaning<'a>(query: &Query, contacts: &'a [Contact]) -> Vec<&'a Contact> {
    let mut found: Vec<&Contact> = contacts.iter().filter(|one| query.matches(one)).collect();
    found.sort_by(|a, b| query.compare(a, b));
    found
}

fn answer(index: &Index, query: &Query) -> (Vec<ContactId>, Option<Place>) {
    let Answer::Exact { ids, next, .. } = index.query(query) else {
        panic!("the index leaves something open");
    };
    (ids, next)
}

/// All that a question finds, page after page by number.
fn numbered(index: &Index, query: &Query) -> Vec<ContactId> {
    let mut found = Vec::new();
    loop {
        let slice = Slice { offset: found.len(), ..query.slice };
        let (ids, _) = answer(index, &Query { slice, ..query.clone() });
        if ids.is_empty() {
            assert_eq!(found.iter().collect::<HashSet<_>>().len(), found.len());
            return found;
        }
        found.extend(ids);
    }
}

/// The same, each page after the place where the one before ended.
fn one_after_another(index: &Index, query: &Query) -> Vec<ContactId> {
    let slice = Slice { offset: 0, ..query.slice };
    let mut query = Query { slice, ..query.clone() };
    let mut found = Vec::new();
    loop {
        let (ids, next) = answer(index, &query);
        found.extend(ids);
        assert!(found.len() <= index.len(), "the pages never end");
        if next.is_none() {
            return found;
        }
        query.after = next;
    }
}
