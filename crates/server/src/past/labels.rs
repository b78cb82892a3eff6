//! Which labels a contact had: what happened to labels themselves is in no contact's history, since
//! one event tells of all that bear them (`docs/decisions/0024-labels-change-for-all.md`).

use meishi_contacts::{
    AccountId, ContactId, Event, EventBody, Field, Label, Relabelling, Seq,
    limits::{HISTORY_ROWS, RELABELLINGS},
};
use meishi_store::{Include, Store, StoreError};

use super::Moment;

/// What is known of the labels where a walk ends.
pub(super) struct Known {
    /// All that it had, as the next event after the moment tells, or the row.
    pub(super) labels: Vec<Label>,
    /// That event.
    pub(super) told_before: Option<Seq>,
    /// The last event of the contact that is not later than the moment; none where it is no longer
    /// kept.
    pub(super) last: Option<Seq>,
    /// An event of the account that is not later than the moment, with none of the contact's
    /// between the two.
    pub(super) after: Seq,
}

/// What the labels were.
pub(super) enum Labels {
    Were(Vec<Label>),
    Erased,
    Dropped,
    TooFar,
    Changed,
}

/// What the labels were at the moment. Renamings are taken back. Who bore a label that was deleted
/// since is found by going on from where the contact's history last told all of its labels, past so
/// many of its events at most.
pub(super) async fn at(
    store: &dyn Store,
    account: AccountId,
    id: ContactId,
    moment: Moment,
    known: Known,
    most: usize,
) -> Result<Labels, StoreError> {
    let events = store.relabelled(account, known.after).await?;
    if events.len() > RELABELLINGS {
        return Ok(Labels::TooFar);
    }
    let until = |event: &&Event| known.told_before.is_none_or(|seq| event.seq < seq);
    let later = events.iter().filter(|event| moment.is_before(event)).filter(until);
    let later: Vec<Relabelling> = later.filter_map(|e| Relabelling::of(&e.body)).collect();
    let mut labels = known.labels;
    if later.is_empty() {
        return Ok(Labels::Were(labels));
    }
    if later.iter().any(|later| matches!(later, Relabelling::Deleted(_))) {
        let Some(last) = known.last else { return Ok(Labels::Dropped) };
        return forward(store, account, id, moment, last, most).await;
    }
    if known.told_before.is_none() {
        // The row may be older than what happened to labels in the meantime.
        let row = store.contact(account, id, Include::Nothing).await?;
        if row.is_none_or(|record| record.contact.labels != labels) {
            return Ok(Labels::Changed);
        }
    }
    later.iter().rev().for_each(|later| later.take_back(&mut labels));
    Ok(Labels::Were(labels))
}

/// Goes back from an event of the contact to one that tells all of its labels, and does to those
/// what happened to labels from there up to the moment.
async fn forward(
    store: &dyn Store,
    account: AccountId,
    id: ContactId,
    moment: Moment,
    last: Seq,
    most: usize,
) -> Result<Labels, StoreError> {
    let (mut from, mut walked) = (last, 0);
    loop {
        let page = store.history(account, id, Some(from), HISTORY_ROWS).await?;
        let Some(page) = page else { return Ok(Labels::Changed) };
        for event in page.events {
            if matches!(event.body, EventBody::Tombstone { .. } | EventBody::ContactErased { .. }) {
                return Ok(Labels::Erased);
            }
            if let Some(mut labels) = told(&event.body) {
                let since = store.relabelled(account, event.seq).await?;
                if since.len() > RELABELLINGS {
                    return Ok(Labels::TooFar);
                }
                let since = since.iter().filter(|event| !moment.is_before(event));
                let since = since.filter_map(|event| Relabelling::of(&event.body));
                since.for_each(|since| since.apply(&mut labels));
                return Ok(Labels::Were(labels));
            }
            if walked == most {
                return Ok(Labels::TooFar);
            }
            walked += 1;
        }
        match page.next {
            Some(next) => from = next,
            None => return Ok(Labels::Dropped),
        }
    }
}

/// All labels of the contact after an event, where the event tells them.
pub(super) fn told(body: &EventBody) -> Option<Vec<Label>> {
    match body {
        EventBody::ContactCreated(card)
        | EventBody::ContactRestored(card)
        | EventBody::ContactDeleted(card) => Some(card.contact.labels.clone()),
        EventBody::ContactUpdated { changes, .. } => {
            let change = changes.iter().find(|change| change.field == Field::Labels)?;
            let titles = change.after.as_ref()?.as_array()?.iter();
            let title = |title: &serde_json::Value| title.as_str().map(str::to_owned);
            titles.map(|text| title(text).map(Label::from_stored)).collect()
        }
        _ => None,
    }
}
