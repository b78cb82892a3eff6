//! What a contact was: its events taken back, from the present one on.
//!
//! Every caller that wants an earlier state goes through here. Cards of creations, deletions and
//! restorations are taken as they stand; between them each update is undone. What happened to labels
//! is in no contact's history; `past/labels.rs` finds it.

mod labels;

use meishi_contacts::{
    AccountId, Contact, ContactId, Event, EventBody, Seq, UnixMillis, Version,
    limits::{HISTORY_EVENTS, HISTORY_ROWS},
};
use meishi_store::{Include, Store, StoreError};

use self::labels::{Known, Labels};
use crate::ApiError;

/// How often it is tried again when the contact changes between two reads.
const TRIES: usize = 5;

/// An earlier moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Right after the event of that number.
    After(Seq),
    /// At that time, its whole millisecond included.
    At(UnixMillis),
}

impl Moment {
    /// Whether the event happened later.
    fn is_before(self, event: &Event) -> bool {
        match self {
            Self::After(seq) => event.seq > seq,
            Self::At(at) => event.at > at,
        }
    }
}

/// What a contact was.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Was {
    /// The contact.
    pub contact: Contact,
    /// The last event that it shows; nothing when that is no longer kept.
    pub event: Option<(Seq, UnixMillis)>,
}

/// The contact as it was right after an event of its account, however far back. `None` where there
/// was none, and where what is left of it does not tell: it was erased, or retention took away what
/// lies between.
pub(crate) async fn contact_after(
    store: &dyn Store,
    account: AccountId,
    id: ContactId,
    seq: Seq,
) -> Result<Option<Contact>, StoreError> {
    for _ in 0..TRIES {
        match walk(store, account, id, Moment::After(seq), usize::MAX).await? {
            Walk::There(was) => return Ok(Some(was.contact)),
            Walk::Absent | Walk::Erased | Walk::Dropped | Walk::TooFar => return Ok(None),
            Walk::Changed => {}
        }
    }
    Err(StoreError::Busy)
}

/// The contact as it was at a moment; `None` when it was not there. Fails with [`ApiError::Gone`]
/// when what is needed was erased or is no longer kept, and with [`ApiError::LimitExceeded`] when it
/// lies more than [`HISTORY_EVENTS`] of its events back.
pub(crate) async fn contact_at(
    store: &dyn Store,
    account: AccountId,
    id: ContactId,
    moment: Moment,
) -> Result<Option<Was>, ApiError> {
    for _ in 0..TRIES {
        match walk(store, account, id, moment, HISTORY_EVENTS).await? {
            Walk::There(was) => return Ok(Some(*was)),
            Walk::Absent => return Ok(None),
            Walk::Erased => return Err(gone("The contact was erased")),
            Walk::Dropped => return Err(gone("The events of that time are no longer kept")),
            Walk::TooFar => {
                let text = format!("More than {HISTORY_EVENTS} events have happened since");
                return Err(ApiError::LimitExceeded(text));
            }
            Walk::Changed => {}
        }
    }
    Err(ApiError::Busy)
}

/// Whether the contact is there, or was and is still told of.
pub(crate) async fn is_known(
    store: &dyn Store,
    account: AccountId,
    id: ContactId,
) -> Result<bool, StoreError> {
    Ok(store.history(account, id, None, 1).await?.is_some())
}

fn gone(text: &str) -> ApiError {
    ApiError::Gone(text.to_owned())
}

/// Where a walk ended.
enum Walk {
    There(Box<Was>),
    Absent,
    Erased,
    Dropped,
    TooFar,
    /// The contact was changed meanwhile, so that its row and its events do not fit.
    Changed,
}

/// Walks back to the last event that is not later than the moment, past so many at most.
async fn walk(
    store: &dyn Store,
    account: AccountId,
    id: ContactId,
    moment: Moment,
    most: usize,
) -> Result<Walk, StoreError> {
    let row = store.contact(account, id, Include::Nothing).await?;
    let mut state = row.map(|record| record.contact);
    let (mut from, mut walked, mut told_before) = (None, 0, None);
    loop {
        let Some(page) = store.history(account, id, from, HISTORY_ROWS).await? else {
            return Ok(Walk::Absent);
        };
        for event in page.events {
            if !moment.is_before(&event) {
                let last = event.seq;
                let was = match arrive(state, event) {
                    Walk::There(was) => was,
                    arrived => return Ok(arrived),
                };
                let known =
                    Known { labels: Vec::new(), told_before, last: Some(last), after: last };
                return with_labels(store, account, was, moment, known, most).await;
            }
            if matches!(event.body, EventBody::ContactErased { .. } | EventBody::Tombstone { .. }) {
                return Ok(Walk::Erased);
            }
            if walked == most {
                return Ok(Walk::TooFar);
            }
            walked += 1;
            if labels::told(&event.body).is_some() {
                told_before = Some(event.seq);
            }
            state = before(state, event)?;
        }
        if page.dropped {
            return reach_dropped(store, account, state, moment, told_before).await;
        }
        match page.next {
            Some(next) => from = Some(next),
            None => return Ok(Walk::Absent),
        }
    }
}

/// The contact right after the event at which the walk ends.
fn arrive(state: Option<Contact>, event: Event) -> Walk {
    let (contact, version) = match event.body {
        EventBody::ContactCreated(card) | EventBody::ContactRestored(card) => {
            let version = card.contact.version;
            (Some(card.contact), version)
        }
        EventBody::ContactUpdated { version, .. } => (state, version),
        _ => return Walk::Absent,
    };
    match contact.filter(|contact| contact.version == version) {
        Some(contact) => Walk::There(Box::new(Was { contact, event: Some((event.seq, event.at)) })),
        None => Walk::Changed,
    }
}

/// The contact before an event, of which `state` is the contact after it.
fn before(state: Option<Contact>, event: Event) -> Result<Option<Contact>, StoreError> {
    match event.body {
        EventBody::ContactDeleted(card) => Ok(Some(card.contact)),
        EventBody::ContactUpdated { version, changes, .. } => {
            let Some(mut contact) = state else { return Ok(None) };
            // One that happened after the row was read is not in it.
            if contact.version == version {
                let broken = |_| {
                    StoreError::Internal(format!("the event {} cannot be taken back", event.seq))
                };
                contact.undo(&changes).map_err(broken)?;
                contact.version = Version(version.0 - 1);
            }
            Ok(Some(contact))
        }
        _ => Ok(None),
    }
}

/// The contact before the first event of it that is kept: it was like that ever since the last one
/// that is not, so that it can be told for every moment since then.
async fn reach_dropped(
    store: &dyn Store,
    account: AccountId,
    state: Option<Contact>,
    moment: Moment,
    told_before: Option<Seq>,
) -> Result<Walk, StoreError> {
    let Some(counts) = store.counts(account).await? else { return Ok(Walk::Absent) };
    let is_kept = match moment {
        Moment::After(seq) => seq >= counts.dropped_seq,
        Moment::At(at) => {
            let first = store.events(account, counts.dropped_seq, 1).await?;
            first.first().is_some_and(|first| first.at <= at)
        }
    };
    match state {
        Some(contact) if is_kept => {
            let was = Box::new(Was { contact, event: None });
            let known =
                Known { labels: Vec::new(), told_before, last: None, after: counts.dropped_seq };
            with_labels(store, account, was, moment, known, 0).await
        }
        None if is_kept => Ok(Walk::Absent),
        _ => Ok(Walk::Dropped),
    }
}

/// Gives the contact the labels that it had at the moment.
async fn with_labels(
    store: &dyn Store,
    account: AccountId,
    mut was: Box<Was>,
    moment: Moment,
    mut known: Known,
    most: usize,
) -> Result<Walk, StoreError> {
    let id = was.contact.id;
    known.labels = std::mem::take(&mut was.contact.labels);
    Ok(match labels::at(store, account, id, moment, known, most).await? {
        Labels::Were(labels) => {
            was.contact.labels = labels;
            Walk::There(was)
        }
        Labels::Erased => Walk::Erased,
        Labels::Dropped => Walk::Dropped,
        Labels::TooFar => Walk::TooFar,
        Labels::Changed => Walk::Changed,
    })
}
