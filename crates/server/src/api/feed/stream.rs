//! `GET /api/v2/accounts/events`: the events as server-sent events, with ids and versions and nothing
//! of a person.
//!
//! The body is pulled: a stream takes what it sends next of what `tail/recent.rs` read for all streams
//! at the end, or else of the store, once the connection has taken what it sent before. One that is not read holds nothing back, and is dropped by the write timeout
//! of `serve.rs`.

use std::convert::Infallible;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use futures::stream::unfold;
use meishi_contacts::{
    Event, EventBody, Seq,
    limits::{FEED_READ_ROWS, STREAM_HEARTBEAT},
};
use meishi_store::{Database, StoreError};
use serde::Serialize;
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use super::{are_known, number, parse_seq};
use crate::{
    ApiError, App,
    api::rfc3339,
    auth::{Caller, Reader},
    params::Params,
    streams::{Kind, Slot},
    tail::{Follower, Found, Source},
};

/// Stream the account's changes
///
/// Server-sent events: `id` is the event's number, `event` its type, `data` an object with `seq`,
/// `type`, `at` and, where it is about a contact, `contact_id` and `version`. The first event is
/// `hello` with `database`, `epoch` and `last_seq`; its `id` is the event after which the stream
/// begins. The stream goes on after `Last-Event-ID` or
/// `after`, else it begins with what is yet to come. `resync`, with the same members as `hello`, says
/// that events are missing before what follows: read what you show anew. A comment comes every 15
/// seconds.
#[utoipa::path(
    get,
    path = "/api/v2/accounts/events",
    tag = "feed",
    operation_id = "streamEvents",
    params(
        ("Last-Event-ID" = Option<String>, Header, description = "The last event that you know; browsers send it when they connect again", example = "41"),
        ("after" = Option<String>, Query, description = "The same, where there is no such header", example = "41"),
        ("epoch" = Option<i64>, Query, description = "The database's epoch as `hello` told it: when it is another, the stream begins with `resync`", example = 1),
    ),
    responses((
        status = 200, description = "The events, without end",
        body = String, content_type = "text/event-stream",
        example = "id: 41\nevent: hello\ndata: {\"database\":\"0197\",\"epoch\":1,\"last_seq\":41}\n\nid: 42\nevent: contact.updated\ndata: {\"seq\":42,\"type\":\"contact.updated\",\"contact_id\":7,\"version\":3,\"at\":\"2026-11-20T08:00:00Z\"}\n\n",
    )),
)]
pub async fn stream(
    Reader(caller): Reader,
    State(app): State<App>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, ApiError> {
    let after = match last_event_id(&headers)? {
        Some(seq) => Some(seq),
        None => number(&params, "after")?,
    };
    let epoch = number(&params, "epoch")?;
    let slot = app.streams.enter(Kind::Stream, &caller)?;
    // Before the first look, so that nothing comes unnoticed between the two.
    let follower = app.tail.stream(caller.account);
    let database = app.store.database().await?;
    let counts = app.store.counts(caller.account).await?.ok_or(ApiError::NotFound)?;
    let is_known = after.is_none_or(|seq| are_known(&counts, seq))
        && epoch.is_none_or(|epoch| epoch.0 == database.epoch);
    let after = after.filter(|_| is_known).unwrap_or(counts.last_seq);
    // Whoever is cut off before the first event connects again with this id, and misses nothing. A
    // place that is not known gets none: until the reader has the `resync`, it is to ask as before.
    let place = is_known.then_some(after);
    let mut first = message("hello", place, &standing(&database, counts.last_seq));
    if !is_known {
        first.push_str(&resync(&database, counts.last_seq));
    }
    let beat = Instant::now() + STREAM_HEARTBEAT;
    let stream = Stream { app, caller, follower, slot, database, after, beat, first: Some(first) };
    let body = unfold(stream, |mut stream| async {
        let text = stream.next().await?;
        Some((Ok::<_, Infallible>(text), stream))
    });
    let headers = [
        (header::CONTENT_TYPE.as_str(), "text/event-stream"),
        (header::CACHE_CONTROL.as_str(), "no-store"),
        // Or nginx would keep events back.
        ("x-accel-buffering", "no"),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<Seq>, ApiError> {
    let Some(value) = headers.get("last-event-id").filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let seq = value.to_str().ok().and_then(parse_seq);
    seq.map(Some).ok_or_else(|| {
        ApiError::MalformedRequest("`Last-Event-ID` must be the number of an event".into())
    })
}

/// An open stream.
struct Stream {
    app: App,
    caller: Caller,
    follower: Follower,
    slot: Slot,
    database: Database,
    /// The last event that was sent, or passed over.
    after: Seq,
    /// When to say the next time that the stream is there.
    beat: Instant,
    first: Option<String>,
}

impl Stream {
    /// What to send next; `None` at the end.
    async fn next(&mut self) -> Option<String> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        loop {
            if Instant::now() >= self.beat {
                self.beat = Instant::now() + STREAM_HEARTBEAT;
                return self.heartbeat().await;
            }
            match self.read().await {
                Ok(None) => {}
                Ok(text) => return text,
                // The next sign or heartbeat tries again.
                Err(error) => tracing::debug!(%error, "a stream could not be fed"),
            }
            tokio::select! {
                biased;
                () = self.app.stopped() => return None,
                Ok(()) = self.follower.signs.changed() => {}
                () = sleep_until(self.beat) => {}
            }
        }
    }

    /// A comment, while the key is good.
    async fn heartbeat(&self) -> Option<String> {
        match self.caller.is_still_good(&self.app).await {
            Ok(false) => return None,
            Ok(true) => {}
            // A database that is away for a while must not send everybody away.
            Err(error) => tracing::debug!(%error, "a stream's key was not looked at"),
        }
        Some(":\n\n".to_owned())
    }

    /// The events that there are now, or a `resync` where they do not follow those before.
    async fn read(&mut self) -> Result<Option<String>, StoreError> {
        let sign = *self.follower.signs.borrow_and_update();
        if sign.epoch > self.database.epoch {
            return self.resync().await.map(Some);
        }
        let account = self.caller.account;
        let source = Source { store: &*self.app.store, account, render: told };
        match self.follower.after(&source, sign, self.after).await? {
            Found::Nothing => return Ok(None),
            Found::Events(messages) => {
                self.slot.events += messages.len() as u64;
                self.after = messages.last().map_or(self.after, |(seq, _)| *seq);
                return Ok(Some(messages.iter().map(|(_, text)| &**text).collect()));
            }
            Found::Elsewhere => {}
        }
        let events = self.app.store.events(account, self.after, FEED_READ_ROWS).await?;
        let Some(first) = events.first() else {
            // Fewer than there were: the database lost some, or the sign is older than they are.
            if sign.seq < self.after && self.head().await? < self.after {
                return self.resync().await.map(Some);
            }
            return Ok(None);
        };
        if first.seq != self.after.next() {
            return self.resync().await.map(Some);
        }
        self.slot.events += events.len() as u64;
        self.after = events.last().map_or(self.after, |event| event.seq);
        Ok(Some(events.iter().map(told).collect()))
    }

    /// Passes over everything up to the last event, and says so.
    async fn resync(&mut self) -> Result<String, StoreError> {
        self.database = self.app.store.database().await?;
        self.after = self.head().await?;
        Ok(resync(&self.database, self.after))
    }

    async fn head(&self) -> Result<Seq, StoreError> {
        let counts = self.app.store.counts(self.caller.account).await?;
        Ok(counts.map(|counts| counts.last_seq).unwrap_or_default())
    }
}

/// What a stream tells of an event.
#[derive(Serialize)]
struct Told {
    seq: Seq,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i64>,
    at: String,
}

fn told(event: &Event) -> String {
    let version = match &event.body {
        EventBody::ContactCreated(card)
        | EventBody::ContactDeleted(card)
        | EventBody::ContactRestored(card) => Some(card.contact.version),
        EventBody::ContactUpdated { version, .. } => Some(*version),
        _ => None,
    };
    let told = Told {
        seq: event.seq,
        kind: event.body.kind(),
        contact_id: event.body.contact().map(|id| id.0),
        version: version.map(|version| version.0),
        at: rfc3339(event.at),
    };
    message(told.kind, Some(told.seq), &told)
}

fn standing(database: &Database, last: Seq) -> impl Serialize {
    json!({ "database": database.id, "epoch": database.epoch, "last_seq": last })
}

/// Its id is the last event, so that whoever connects again goes on from there.
fn resync(database: &Database, last: Seq) -> String {
    message("resync", Some(last), &standing(database, last))
}

fn message(event: &str, id: Option<Seq>, data: &impl Serialize) -> String {
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    // Without line breaks, which JSON escapes.
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("{id}event: {event}\ndata: {data}\n\n")
}
