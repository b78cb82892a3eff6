//! Holds the index to the plain meaning of a query: whatever happens to an account, an answer is
//! what filtering, sorting and slicing all of its contacts gives.

mod account;
mod cases;
mod filters;
mod pages;
mod steps;

use meishi_index::Index;
use proptest::prelude::*;

use crate::{
    account::{Account, check},
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
        let mut index = account.loaded();
        let mut queries = Vec::new();
        let mut lagging = account.loaded();
        for (steps, asked) in &rounds {
            for step in steps {
                let known = account.events.len();
                account.run(step);
                let repeated = if let Step::Repeat(count) = step { *count } else { 0 };
                for event in &account.events[known.saturating_sub(repeated)..] {
                    // Through JSON, as the store keeps it.
                    let text = serde_json::to_string(event).unwrap();
                    index.apply(&serde_json::from_str(&text).unwrap()).unwrap();
                }
            }
            queries = asked.iter().map(|asked| account.query(asked)).collect();
            check(&index, &account, &queries);
            let loaded = account.loaded();
            check(&loaded, &account, &queries);
            let mut builder = Index::builder();
            for contact in account.contacts.values().rev() {
                builder.push(contact);
            }
            check(&builder.finish(account.seq()), &account, &queries);
        }
        // One that goes on where it stood, over events that are tombstones meanwhile.
        for event in &account.events[usize::try_from(lagging.seq().0).unwrap()..] {
            lagging.apply(event).unwrap();
        }
        check(&lagging, &account, &queries);
        let mut late = Index::new();
        for event in &account.events {
            late.apply(event).unwrap();
        }
        check(&late, &account, &queries);
    }
}
