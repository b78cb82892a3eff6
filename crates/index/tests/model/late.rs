//! Queries that are given up: none of them has half an answer.

use std::cell::Cell;

use meishi_contacts::{
    Filter, Query, SortField, SortKey, TextQuery, UnixMillis, filter::Reading, order::NEAR_ORDER,
};
use meishi_index::TooLate;
use serde_json::json;

use crate::{
    account::Account,
    cases::{by_default, named},
};

#[test]
fn a_query_that_is_given_up_at_any_point_has_no_answer() {
    let mut account = Account::default();
    for number in 0..20_000 {
        account.create(&named(&format!("Ana Hernández {number}")));
    }
    let by = |field| vec![SortKey { field, descending: true }];
    let list = by_default(None, 0, 15);
    let asks = |key: &str| json!({ "attribute_key": key, "filter_operator": "contains", "values": ["9", "8"] });
    let filter = json!({ "or": [asks("name"), asks("plan"), asks("first_name")] });
    let filter = Filter::from_json(&filter, &Reading::untyped(UnixMillis(0))).ok();
    let search = |q: &str| Query { text: TextQuery::parse(q), ..list.clone() };
    let near = search("hernandes").text.map(TextQuery::misspelt);
    let queries = [
        Query { order: by(SortField::CreatedAt), ..list.clone() },
        Query { order: by(SortField::Name), ..by_default(None, 9000, 15) },
        Query { order: by(SortField::Relevance), ..search("ana") },
        search("999"),
        search("dez 1"),
        Query { filter, ..list.clone() },
        Query { text: near, order: NEAR_ORDER.to_vec(), ..list.clone() },
    ];
    for index in [account.loaded(), account.with_grams(0)] {
        for query in &queries {
            let whole = index.query(query);
            let asked = Cell::new(0);
            let mut points = 0;
            loop {
                asked.set(0);
                let is_late = || {
                    asked.set(asked.get() + 1);
                    asked.get() > points
                };
                match index.query_until(query, &is_late) {
                    // It was not asked again.
                    Ok(answer) => break assert_eq!(answer, whole, "{query:?}"),
                    Err(TooLate) => points += 1,
                }
            }
            assert!(points > 0, "it can be given up: {query:?}");
        }
        let text = TextQuery::parse("hernandes").unwrap();
        assert_eq!(index.did_you_mean_until(&text, &|| true), Err(TooLate));
        assert_eq!(index.did_you_mean_until(&text, &|| false), Ok(index.did_you_mean(&text)));
    }
}
