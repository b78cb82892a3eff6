//! Holds the index to the plain meaning of a query: whatever happens to an account, an answer is
//! what filtering, sorting and slicing all of its contacts gives.

mod account;
mod broad;
mod cases;
mod filters;
mod large;
mod late;
mod pages;
mod plain;
mod snapshots;
mod steps;
mod typed;

use meishi_index::Index;
use proptest::prelude::*;

use crate::{
    account::{Account, check},
    snapshots::restored,
    steps::{Step, asked, patch, step},
};

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn an_answer_is_what_the_query_means(
        first in prop::collection::vec(patch(), 0..25),
        rounds in prop::collection::vec(
            (prop::collection::vec(step(), 1..12), prop::collection::vec(asked(), 1..8)),
            1..8,
        ),
    ) {
        let mut account = Account::default();
        for patch in &first {
            account.create(patch);
        }
        // Without grams, with them, and one that comes to have them and to have them no more.
        let mut indexes = [account.loaded(), account.with_grams(0), account.with_grams(12)];
        let mut queries = Vec::new();
        let mut lagging = [account.loaded(), account.with_grams(0)];
        for (steps, asked) in &rounds {
            for step in steps {
                let known = account.events.len();
                account.run(step);
                let repeated = if let Step::Repeat(count) = step { *count } else { 0 };
                for event in &account.events[known.saturating_sub(repeated)..] {
                    // Through JSON, as the store keeps it.
                    let text = serde_json::to_string(event).unwrap();
                    let event = serde_json::from_str(&text).unwrap();
                    for index in &mut indexes {
                        index.apply(&event).unwrap();
                    }
                }
            }
            queries = asked.iter().map(|asked| account.query(asked)).collect();
            for index in &mut indexes {
                check(index, &account, &queries);
                // It goes on as what comes out of its snapshot.
                *index = restored(index);
                check(index, &account, &queries);
            }
            for index in [account.loaded(), account.with_grams(0)] {
                check(&index, &account, &queries);
            }
            let mut builder = Index::builder().grams_from(5);
            for contact in account.contacts.values().rev() {
                builder.push(contact);
            }
            check(&builder.finish(account.seq()), &account, &queries);
        }
        // One that goes on where it stood, over events that are tombstones meanwhile.
        for index in &mut lagging {
            for event in &account.events[usize::try_from(index.seq().0).unwrap()..] {
                index.apply(event).unwrap();
            }
            check(index, &account, &queries);
        }
        let mut late = Index::new();
        for event in &account.events {
            late.apply(event).unwrap();
        }
        check(&late, &account, &queries);
    }
}
