//! The account's events as consumers follow them: `changes.rs` by pages, `stream.rs` as server-sent
//! events. `event.rs` renders an event.

pub mod changes;
pub mod event;
pub mod stream;

use meishi_contacts::{Seq, ids};
use meishi_store::Counts;

use crate::{ApiError, params::Params};

/// Whether the events after one are all there.
fn are_known(counts: &Counts, after: Seq) -> bool {
    (counts.dropped_seq..=counts.last_seq).contains(&after)
}

/// The number of an event, or 0 for the place before the first.
fn parse_seq(text: &str) -> Option<Seq> {
    if !text.is_empty() && text.bytes().all(|byte| byte == b'0') {
        return Some(Seq(0));
    }
    ids::parse(text).map(Seq)
}

/// A number of a query, strictly: a place that is taken for another would lose events.
fn number(params: &Params, name: &str) -> Result<Option<Seq>, ApiError> {
    let number = |text| {
        parse_seq(text).ok_or_else(|| {
            ApiError::MalformedRequest(format!("`{name}` must be a whole number, 0 or more"))
        })
    };
    params.get(name).map(number).transpose()
}
