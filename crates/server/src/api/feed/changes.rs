//! `GET /api/v2/accounts/changes`: the events by pages, with a wait for the next one.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, header},
    response::{AppendHeaders, IntoResponse, Response},
};
use meishi_contacts::{
    Role, Seq,
    limits::{FEED_BYTES, FEED_PAGE, FEED_READ_ROWS, FEED_WAIT_SECONDS, MAX_FEED_PAGE},
};
use meishi_store::{Counts, Database, StoreError};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::{Instant, sleep_until};
use utoipa::ToSchema;

use super::{are_known, event::EventView, number};
use crate::{
    ApiError, App,
    auth::{Caller, Reader},
    cursor::{self, Position, Question},
    paging::Target,
    params::Params,
    streams::Kind,
};

/// A page of the feed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChangePage)]
pub struct Answer {
    meta: Meta,
    /// The events, the oldest first, without a gap.
    #[schema(value_type = Vec<EventView<'static>>)]
    payload: Vec<Box<RawValue>>,
}

/// Where the page stands in the feed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChangePageMeta)]
pub struct Meta {
    /// The page has the events after this one.
    #[schema(example = 41)]
    after: i64,
    /// The account's last event.
    #[schema(example = 42)]
    last_seq: i64,
    /// Whether there are events after the page.
    has_more: bool,
    /// What `after` is for the next page.
    #[schema(example = 42)]
    next_after: i64,
    /// The same as a `cursor`, which a restore of the database makes invalid.
    #[schema(example = "MS40Mi4wMTk3")]
    cursor: String,
}

/// Follow the account's changes
///
/// The events after one, the oldest first and without a gap; with `wait` the answer comes as soon as
/// there is one. Where the place is not known any more (retention took events away, or the database
/// was restored) the answer is a 410: read all contacts again, then go on after `resume_after`.
#[utoipa::path(
    get,
    path = "/api/v2/accounts/changes",
    tag = "feed",
    operation_id = "listChanges",
    params(
        ("after" = Option<String>, Query, description = "The events after that number; `0`, the default, for all of them, `last` for those that are yet to come", example = "41"),
        ("cursor" = Option<String>, Query, description = "In place of `after`: the `cursor` of an earlier answer", example = "MS40Mi4wMTk3"),
        ("limit" = Option<i64>, Query, description = "Events on a page, 1 to 1000, default 100; a page of large events has fewer", example = 100),
        ("wait" = Option<i64>, Query, description = "Seconds to wait for an event, 0 to 60, default 0", example = 0),
    ),
    responses(
        (status = 200, description = "A page of events", body = Answer),
        (status = 410, description = "The place is not known any more", body = crate::openapi::FeedExpired),
    ),
)]
pub async fn list(
    Reader(caller): Reader,
    State(app): State<App>,
    params: Params,
    target: Target,
) -> Result<Response, ApiError> {
    let wish = Wish::read(&params)?;
    let database = app.store.database().await?;
    let feed = Feed { database, question: Question::of("changes", caller.account) };
    let mut is_patient = !wish.wait.is_zero();
    // Before the first look, so that nothing comes unnoticed between that and the wait.
    let mut signs = is_patient.then(|| app.tail.follow(caller.account));
    let until = Instant::now() + wish.wait;
    let mut place = wish.place;
    let mut slot = None;
    loop {
        let counts = app.store.counts(caller.account).await?.ok_or(ApiError::NotFound)?;
        let after = place.after(&feed, &counts)?;
        place = Place::After(after);
        let page = Page::read(&app, &caller, after, wish.limit, &counts).await?;
        let Some(signs) = signs.as_mut().filter(|_| is_patient && page.payload.is_empty()) else {
            return Ok(page.answer(&feed, after, &counts, &target));
        };
        if slot.is_none() {
            slot = Some(app.streams.enter(Kind::Wait, &caller)?);
        }
        tokio::select! {
            Ok(()) = signs.changed() => {}
            () = sleep_until(until) => is_patient = false,
            () = app.stopped() => is_patient = false,
        }
    }
}

/// What a call asks for.
struct Wish {
    place: Place,
    limit: usize,
    wait: Duration,
}

/// Where a page begins.
enum Place {
    After(Seq),
    Last,
    Cursor(String),
}

impl Wish {
    fn read(params: &Params) -> Result<Self, ApiError> {
        let whole = |name, default| {
            number(params, name).map(|number| {
                number.map_or(default, |number| usize::try_from(number.0).unwrap_or(usize::MAX))
            })
        };
        let limit = whole("limit", FEED_PAGE)?.clamp(1, MAX_FEED_PAGE);
        let wait = u64::try_from(whole("wait", 0)?).unwrap_or(u64::MAX).min(FEED_WAIT_SECONDS);
        Ok(Self { place: Place::read(params)?, limit, wait: Duration::from_secs(wait) })
    }
}

impl Place {
    fn read(params: &Params) -> Result<Self, ApiError> {
        // An empty cursor is none, as on lists.
        match (params.get("after"), params.get("cursor").filter(|cursor| !cursor.is_empty())) {
            (Some(_), Some(_)) => {
                Err(ApiError::MalformedRequest("Send either `after` or `cursor`".into()))
            }
            (None, Some(cursor)) => Ok(Self::Cursor(cursor.to_owned())),
            (Some("last"), None) => Ok(Self::Last),
            (_, None) => Ok(Self::After(number(params, "after")?.unwrap_or_default())),
        }
    }

    /// The event that the place is behind, if the events after it are all known.
    fn after(&self, of: &Feed, counts: &Counts) -> Result<Seq, ApiError> {
        let after = match self {
            Self::After(seq) => *seq,
            Self::Last => counts.last_seq,
            Self::Cursor(text) => match of.open(text) {
                Err(ApiError::CursorExpired(_)) => return Err(expired(counts)),
                opened => opened?,
            },
        };
        if are_known(counts, after) { Ok(after) } else { Err(expired(counts)) }
    }
}

/// What a cursor is of: the account's events in this database, since its last restore.
struct Feed {
    database: Database,
    question: Question,
}

impl Feed {
    fn open(&self, cursor: &str) -> Result<Seq, ApiError> {
        let mut reader = cursor::Reader::open(cursor, &self.database, &self.question)?;
        let seq = reader.number();
        reader.finish(seq.map(Seq))
    }

    fn seal(&self, seq: Seq) -> String {
        Position::default().number(seq.0).seal(&self.database, &self.question)
    }
}

fn expired(counts: &Counts) -> ApiError {
    ApiError::FeedExpired { resume_after: counts.last_seq }
}

/// Events, rendered.
struct Page {
    payload: Vec<Box<RawValue>>,
    next: Seq,
}

impl Page {
    async fn read(
        app: &App,
        caller: &Caller,
        after: Seq,
        limit: usize,
        counts: &Counts,
    ) -> Result<Self, ApiError> {
        let to_administrator = caller.role >= Role::Administrator;
        let mut page = Self { payload: Vec::new(), next: after };
        let mut bytes = 0;
        while page.payload.len() < limit && bytes < FEED_BYTES {
            let rows = FEED_READ_ROWS.min(limit - page.payload.len());
            let events = app.store.events(caller.account, page.next, rows).await?;
            for event in &events {
                // Retention was faster.
                if event.seq != page.next.next() {
                    return if page.payload.is_empty() { Err(expired(counts)) } else { Ok(page) };
                }
                let event_json = to_raw_value(&EventView::new(event, to_administrator))
                    .map_err(|error| StoreError::Internal(error.to_string()))?;
                bytes += event_json.get().len();
                page.payload.push(event_json);
                page.next = event.seq;
                if bytes >= FEED_BYTES {
                    break;
                }
            }
            if events.len() < rows {
                break;
            }
        }
        Ok(page)
    }

    fn answer(self, feed: &Feed, after: Seq, counts: &Counts, target: &Target) -> Response {
        let Self { payload, next } = self;
        // Events may have been written since they were counted.
        let last = counts.last_seq.max(next);
        let cursor = feed.seal(next);
        let link = (next < last).then(|| target.next_link(&cursor)).flatten();
        let meta = Meta {
            after: after.0,
            last_seq: last.0,
            has_more: next < last,
            next_after: next.0,
            cursor,
        };
        let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
        (AppendHeaders(link), no_store, Json(Answer { meta, payload })).into_response()
    }
}
