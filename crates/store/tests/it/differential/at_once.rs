//! Calls that come together, at two servers: what they leave is what one store makes of the same
//! calls one after the other, in the order that the events tell.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::future::join_all;
use meishi_contacts::{AccountId, KeyId, Seq};
use meishi_store::{Applied, Change, Context, Outcome, Store, StoreError};
use proptest::{collection::vec, prelude::*};

use super::{
    Places, config,
    pair::{Pair, same, snapshot},
    run,
    steps::{Apply, credential, independent_apply},
};
use crate::conformance::{
    fields::{NOON, delete},
    replay::{all_events, every_account_is_as_its_events_tell},
};

proptest! {
    #![proptest_config(config(4))]

    #[test]
    fn calls_that_come_at_once_are_done_one_after_the_other(
        calls in vec(independent_apply(), 1..80),
    ) {
        run(&Places::make(), async |places| carry_out(places, calls).await);
    }
}

struct Asked {
    cx: Context,
    changes: Vec<Change>,
    atomic: bool,
    answer: Result<Applied, StoreError>,
}

impl Asked {
    /// Holds the answer to whether there are events of the call.
    fn check(&self, has_events: bool) {
        let changed = |outcome: &Outcome| {
            use Outcome::{
                AttributeUpdated, ContactReverted, ContactUpdated, ContactUpserted, InboxUpdated,
                KeyUpdated, LabelUpdated, LabelsSet, Redelivering, WebhookUpdated,
            };
            match outcome {
                ContactUpdated(_)
                | ContactReverted(_)
                | InboxUpdated(_)
                | KeyUpdated(_)
                | LabelsSet { .. }
                | WebhookUpdated(_)
                | LabelUpdated(_)
                | AttributeUpdated(_)
                | Redelivering { .. } => false,
                ContactUpserted(upserted) => upserted.matched_by.is_none(),
                Outcome::ContactErased(receipt) => receipt.contact,
                _ => true,
            }
        };
        // A key that is taken, here or by the account that never gives its key up.
        let mut wanted = BTreeSet::from([credential(0).api_key]);
        let fails = self.changes.iter().any(|change| match change {
            Change::CreateKey(key) => !wanted.insert(key.api_key.clone()),
            _ => false,
        });
        let (may, must) = match &self.answer {
            Err(StoreError::Internal(reason)) => {
                assert!(fails, "a call fails with another: {reason}");
                (false, false)
            }
            Ok(applied) if !applied.replayed => {
                let outcomes = || applied.results.iter().flatten();
                (outcomes().next().is_some(), outcomes().any(changed))
            }
            Ok(_)
            | Err(
                StoreError::IdempotencyMismatch
                | StoreError::TooManyChanges
                | StoreError::OutcomeTooLarge,
            ) => (false, false),
            Err(error) => panic!("{error:?}"),
        };
        assert!(if has_events { may } else { !must }, "{has_events}: {:?}", self.answer);
    }
}

async fn carry_out(places: &Places, calls: Vec<Apply>) {
    let mut pair = places.open(2).await;
    pair.create_account(1).await;
    pair.create_account(2).await;
    let working = pair.accounts.clone();
    // Its key is what others want and do not get.
    pair.create_account(0).await;
    pair.accounts = working;

    let filled = pair.sqlite.counts(pair.accounts[0].id).await.unwrap().unwrap().last_seq;

    let asked = join_all(calls.iter().enumerate().map(|(number, call)| ask(&pair, number, call)));
    let asked = asked.await;
    every_account_is_as_its_events_tell(&pair.postgres[0]).await;

    let mut first_events = BTreeMap::new();
    for account in &pair.accounts {
        for event in all_events(pair.postgres[0].as_ref(), account.id, filled).await {
            first_events.entry((account.id, event.request_id)).or_insert(event.seq);
        }
    }
    let mut done: Vec<(AccountId, Seq, &Asked)> = Vec::new();
    for asked in &asked {
        let key = (asked.cx.account, asked.cx.request_id.clone());
        let first = first_events.remove(&key);
        asked.check(first.is_some());
        done.extend(first.map(|seq| (asked.cx.account, seq, asked)));
    }
    assert_eq!(first_events, BTreeMap::new(), "events of nobody");
    done.sort_by_key(|(account, seq, _)| (*account, *seq));
    for (_, _, asked) in done {
        // What was kept of a call without events is not there.
        let cx = Context { idempotency: None, ..asked.cx.clone() };
        let again = pair.sqlite.apply(cx, asked.changes.clone(), asked.atomic).await;
        same(again, asked.answer.clone());
    }
    for account in &pair.accounts {
        let (sqlite, postgres) = (pair.sqlite.as_ref(), pair.postgres[1].as_ref());
        same(snapshot(sqlite, account.id).await, snapshot(postgres, account.id).await);
        same(sqlite.webhooks(account.id).await, postgres.webhooks(account.id).await);
    }
    // Of a webhook that came and went in one transaction nothing is left, otherwise its bare row.
    for store in [&pair.sqlite, &pair.postgres[0]] {
        while store.purge(NOON, NOON).await.unwrap() > 0 {}
    }
    // A webhook that is made, or stopped, and set to work in one transaction has nothing that would
    // begin anew; in two it is noted that it would (`revive_from`).
    let apart = ["idempotency_keys", "idempotency_contacts", "webhooks"];
    places.compare_tables(&apart).await;
    for store in pair.postgres.iter().chain([&pair.sqlite]) {
        store.close().await;
    }
}

/// Makes a call under a request id of its own.
async fn ask(pair: &Pair, number: usize, call: &Apply) -> Asked {
    let (cx, mut changes) = pair.call(call, number);
    // A key that is taken fails a call, unless one in the same transaction gives it up right after;
    // so no key that is made here is given up.
    for change in &mut changes {
        match change {
            Change::RevokeKey { id } => *id = KeyId(1),
            // The events of an erased contact do not tell any more which call they are of.
            Change::EraseContact { id } => *change = delete(*id),
            _ => {}
        }
    }
    let cx = Context { request_id: format!("request {number}"), ..cx };
    let store: &Arc<dyn Store> = &pair.postgres[number % 2];
    let answer = store.apply(cx.clone(), changes.clone(), call.atomic).await;
    Asked { cx, changes, atomic: call.atomic, answer }
}
