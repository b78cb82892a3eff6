//! Every limit of Meishi, in one place. `docs/api.md` lists the ones a caller meets; each has an
//! error of its own, named here.

use std::{ops::RangeInclusive, time::Duration};

// Strings of a contact (`livedesk-wire.md` 9.3): 422 `invalid`, "… is too long".

/// Code points in `name`, `first_name`, `last_name`, `email`, `identifier`, `source_id`, a label,
/// a channel's or a key's name. Of attributes, so many are sorted by.
pub const STRING_CHARS: usize = 255;
/// Code points in `avatar_url` and `thumbnail`.
pub const URL_CHARS: usize = 2048;
/// The last second of the year 9999: 422 `invalid`, "must be seconds, not milliseconds".
pub const LAST_SECOND: i64 = 253_402_300_799;

// Attributes and labels of a contact: 422 `limit_exceeded`.

/// Bytes of JSON in both attribute maps of a contact together.
pub const ATTRIBUTES_BYTES: usize = 64 * 1024;
/// Levels of nesting in an attribute map, the map itself being the first.
pub const ATTRIBUTES_DEPTH: usize = 32;
/// Labels of one contact.
pub const LABELS: usize = 200;

// Per account: 422 `limit_exceeded`.

/// Webhooks of an account.
pub const WEBHOOKS: i64 = 100;
/// Channels of an account.
pub const INBOXES: i64 = 1000;
/// Labels of an account, those that contacts were given among them.
pub const ACCOUNT_LABELS: i64 = 10_000;
/// Definitions of custom attributes of an account.
pub const ATTRIBUTES: i64 = 200;
/// Renamings and deletions of labels since a moment of the past: 422 `limit_exceeded` of a contact
/// `as_of` it, `invalid` of an event of it that is to be undone.
pub const RELABELLINGS: usize = 10_000;
/// API keys of an account.
pub const KEYS: i64 = 1000;
/// The highest Channel ID that may be chosen; as many lie above it for those that Meishi gives.
pub const CHOSEN_INBOX_ID: i64 = (1 << 52) - 1;
/// How long a rotated secret may stay valid beside the new one.
pub const ROTATION_OVERLAP_SECONDS: i64 = 30 * 24 * 3600;

// A definition of a custom attribute: 422 `limit_exceeded`, of the pattern's characters `too_long`.

/// Values of a list.
pub const ATTRIBUTE_VALUES: usize = 200;
/// Code points in the pattern that texts match.
pub const REGEX_CHARS: usize = 255;
/// Bytes that such a pattern takes when it is compiled, which bounds what matching costs.
pub const REGEX_BYTES: usize = 128 * 1024;
/// Code points in a text that is to match a pattern: longer ones do not fit, 422 `invalid`.
pub const REGEX_TEXT_CHARS: usize = 1024;
/// Values of a list that a fault repeats.
pub const REPEATED_VALUES: usize = 10;

// Webhooks.

/// Bytes of a secret that messages are signed with, as Standard Webhooks has it: 422 `invalid`.
pub const WEBHOOK_SECRET_BYTES: RangeInclusive<usize> = 24..=64;
/// How long an endpoint's `Retry-After` can put the next attempt off; a longer one is cut.
pub const RETRY_AFTER_SECONDS: i64 = 24 * 3600;
/// How long an endpoint may take nothing at all before its webhook is paused.
pub const WEBHOOK_PATIENCE: Duration = Duration::from_hours(72);
/// Webhooks that one server works on at once, whose last attempt did not fail; further ones wait for
/// their turn.
pub const WEBHOOK_TURNS: usize = 24;
/// Failing webhooks that it works on besides: what hangs takes no turn of what works.
pub const WEBHOOK_FAILING_TURNS: usize = 8;
/// Webhooks of one account that are worked on at once by all servers, whose last attempt did not
/// fail.
pub const WEBHOOK_ACCOUNT_TURNS: i64 = 8;
/// Failing webhooks of one account that are worked on at once, their rest included.
pub const WEBHOOK_ACCOUNT_FAILING_TURNS: i64 = 4;
/// Turns of webhooks that end with a rest, beside those at work.
pub const WEBHOOK_RESTS: usize = 1024;
/// Time after which a turn begins no further request, so that others get theirs.
pub const WEBHOOK_TURN_TIME: Duration = Duration::from_secs(20);
/// For how long a turn has its webhook for itself: longer than it can take, its last requests
/// included.
pub const WEBHOOK_LEASE: Duration = Duration::from_mins(1);
/// How long a webhook is left alone after an attempt that failed, whatever else is due.
pub const WEBHOOK_REST: Duration = Duration::from_secs(1);
/// How often a server looks for something to do that another one, or the time, brought.
pub const WEBHOOK_POLL: Duration = Duration::from_secs(1);
/// The least time between two such looks, however often something changes.
pub const WEBHOOK_PAUSE: Duration = Duration::from_millis(20);
/// Events that a webhook looks at in one step.
pub const WEBHOOK_EVENTS: usize = 100;
/// Contacts of which a turn remembers what they were, to tell what they became.
pub const WEBHOOK_CONTACTS: usize = 1000;
/// Deliveries that are read at once.
pub const WEBHOOK_BATCH: usize = 32;
/// Requests to one endpoint at once.
pub const WEBHOOK_REQUESTS: usize = 8;
/// Bytes of a text that a fault repeats.
pub const REPEATED_CHARS: usize = 64;

// Outgoing requests; a delivery log tells of each that fails.

/// Time to look a name up, and then again to connect to one of its addresses.
pub const EGRESS_CONNECT_TIME: Duration = Duration::from_secs(5);
/// Time of a whole outgoing request.
pub const EGRESS_TIME: Duration = Duration::from_secs(15);
/// Names that are looked up at once; further ones wait, within their time.
pub const EGRESS_LOOKUPS: usize = 32;
/// Names that are looked up at once for one account.
pub const EGRESS_ACCOUNT_LOOKUPS: usize = 4;
/// Addresses of a name that are tried.
pub const EGRESS_ADDRESSES: usize = 8;
/// Bytes of status line and headers that an answer may have.
pub const EGRESS_HEAD_BYTES: usize = 64 * 1024;
/// Bytes of an answer's body that are read; the rest is left unread.
pub const EGRESS_BODY_BYTES: usize = 64 * 1024;
/// Bytes of it that are kept.
pub const EGRESS_KEPT_BYTES: usize = 1024;
/// Bytes of an answer's `Retry-After`; a longer one says nothing.
pub const RETRY_AFTER_BYTES: usize = 64;

// Pages.

/// Rows on a page when the call names no size (`livedesk-wire.md` 4.3).
pub const PAGE_SIZE: usize = 15;
/// Rows on a page at most; a larger wish is clamped.
pub const MAX_PAGE_SIZE: usize = 100;
/// Sort keys that are read of a list; further ones are ignored.
pub const SORT_KEYS: usize = 8;
/// Words of a misspelt `q`; one with more is near to nothing.
pub const NEAR_WORDS: usize = 8;
/// Names that are proposed where nothing matches a `q`.
pub const SUGGESTIONS: usize = 3;
/// Contacts, the nearest, whose names are looked at for them.
pub const SUGGESTED_AMONG: usize = 50;
/// Labels that a list can be filtered by: 400 `malformed_request`.
pub const LABEL_FILTERS: usize = 100;

// The filter language: 422 `limit_exceeded`.

/// Conditions of a filter.
pub const FILTER_CONDITIONS: usize = 100;
/// Groups of a filter within one another.
pub const FILTER_DEPTH: usize = 8;
/// Values of all conditions of a filter together.
pub const FILTER_VALUES: usize = 1000;
/// Bytes of one value of a filter.
pub const FILTER_VALUE_BYTES: usize = 1024;
/// Code points of an attribute's key in a filter.
pub const FILTER_KEY_CHARS: usize = 255;
/// Contacts whose rows one query looks at, where memory leaves open whether they match.
pub const CHECKED_ROWS: usize = 50_000;
/// Time for that: 503 `busy`.
pub const CHECK_TIME: Duration = Duration::from_secs(10);
/// Time that a query computes on its account's index: 503 `busy`. It is given up then.
pub const QUERY_TIME: Duration = Duration::from_secs(5);
/// Time that a query waits for the account's index to be loaded or to catch up: 503 `busy`. The work
/// goes on for whoever asks next.
pub const INDEX_WAIT: Duration = Duration::from_secs(10);
/// Events that are applied to an index before those who read it are let in again.
pub const FOLLOW_EVENTS: usize = 64;
/// Events that are read at once for an index or its snapshot, and contacts that are put into an index,
/// before other tasks get their turn.
pub const INDEX_READ: usize = 128;
/// How often memory is counted, and snapshots are looked after.
pub const INDEX_PERIOD: Duration = Duration::from_secs(10);
/// Such periods that at least lie between two snapshots of an account.
pub const SNAPSHOT_PERIODS: u64 = 60;
/// Events after which a next snapshot is written, at least; of large accounts, a twentieth of their
/// contacts.
pub const SNAPSHOT_EVENTS: usize = 10_000;
/// Events after which one is written when the server stops.
pub const SNAPSHOT_EVENTS_AT_STOP: i64 = 1000;
/// Time after which none is begun or gone on with when the server stops.
pub const SNAPSHOT_STOP_TIME: Duration = Duration::from_secs(10);
/// Accounts that are asked at the start whether they were used lately.
pub const WARM_LOOKUPS: usize = 1000;
/// How long ago that may be.
pub const WARM_USED_WITHIN: Duration = Duration::from_hours(7 * 24);
/// Days that a relative date of a filter may lie before or after today, a century: 422 `invalid`.
pub const RELATIVE_DAYS: i64 = 36_525;

// The past of a contact.

/// Events that one read of a history returns.
pub const HISTORY_ROWS: usize = 200;
/// Events of a contact that one call looks at: a history then goes on by cursor, an earlier state
/// that lies further back is 422 `limit_exceeded`.
pub const HISTORY_EVENTS: usize = 5000;

// Requests.

/// Bytes of a request body: 413 `body_too_large`.
pub const BODY_BYTES: usize = 1024 * 1024;
/// Bytes of the body of a batch: 413 `body_too_large`.
pub const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// Keys of one look-up: 422 `limit_exceeded`.
pub const LOOKUP_KEYS: usize = 1000;
/// Bytes of the contacts in the answer to one look-up, one that several keys lead to each time: 422
/// `limit_exceeded`.
pub const LOOKUP_BYTES: usize = 8 * 1024 * 1024;
/// Contacts that a look-up reads of the store at once: with 64 KiB of attributes, some megabytes.
pub const LOOKUP_READ_ROWS: usize = 64;
/// Bytes of path and query: 414 `uri_too_long`.
pub const URI_BYTES: usize = 8 * 1024;
/// Bytes of all header names and values: 431 `headers_too_large`.
pub const HEADER_BYTES: usize = 32 * 1024;
/// Headers: 431 `headers_too_large`.
pub const HEADERS: usize = 80;
/// Headers that the HTTP parser reads, above the limit for the same reason as the next one. It keeps
/// no more than 100 on its stack, and each request would pay for more.
pub const PARSED_HEADERS: usize = 100;
/// Bytes that the HTTP parser buffers for request line and headers, above both limits, so that a
/// request somewhat beyond them still gets an answer with a body.
pub const HEAD_BUFFER_BYTES: usize = 128 * 1024;
/// Time for the headers to arrive; the connection is closed after it.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
/// Time for the body to arrive: 408 `timeout`.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Time without progress after which a caller that does not read its answer is dropped.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(15);
/// Time that requests in flight have to finish after SIGTERM.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);
/// Connections at once; further ones wait to be accepted.
pub const CONNECTIONS: usize = 16 * 1024;
/// Fields of a form body or a query: 400 `malformed_request`.
pub const FORM_FIELDS: usize = 10_000;
/// Brackets after the name of a form's field: 400 `malformed_request`.
pub const FORM_DEPTH: usize = 32;
/// Levels of nesting in a JSON body, what `serde_json` reads: 400 `malformed_json`.
pub const JSON_DEPTH: usize = 127;
/// Bytes of a caller's own `X-Request-Id`; a longer one is replaced.
pub const REQUEST_ID_BYTES: usize = 128;
/// Characters of an `Idempotency-Key`, without its quotes: 400 `malformed_request`.
pub const IDEMPOTENCY_KEY_CHARS: usize = 255;
/// Faults that an answer tells of one field with many entries.
pub const FAULTS_PER_FIELD: usize = 10;
/// Bytes of one command on the control socket, and of its answer.
pub const CONTROL_BYTES: u64 = 4 * 1024 * 1024;
/// Accounts that one check of `meishi doctor` tells of one by one.
pub const FINDINGS_PER_CHECK: usize = 20;
/// Bytes that should be free on the disk of the embedded database; `meishi doctor` warns below.
pub const FREE_BYTES: u64 = 1 << 30;

// Limits for callers, as far as they are not settings: 429 `rate_limited`.

/// Calls that a limit may allow at once; a setting with more is refused.
pub const RATE_CALLS: u32 = 1_000_000;
/// Seconds in which a limit may allow them; a setting with more is refused.
pub const RATE_SECONDS: u32 = 24 * 3600;
/// Keys, and addresses, that each limit keeps in mind; beyond it, whoever called longest ago is
/// forgotten and has all calls again.
pub const TRACKED_CALLERS: usize = 64 * 1024;

// The writer: 503 `busy` when the queue is full.

/// Calls that may wait for the writer: a few commits' worth, so that whoever waits does not wait for
/// long.
pub const WRITE_QUEUE: usize = 1024;
/// Calls that share one commit.
pub const GROUP_CALLS: usize = 256;
/// Changes in one call of `apply`, and operations of a batch: 422 `limit_exceeded`.
pub const BATCH_CHANGES: usize = 1000;
/// Changes of all calls that may wait for the writer: those of a batch count one by one.
pub const WRITE_QUEUE_CHANGES: usize = 16 * 1024;
/// Bytes that the changes of one call may come to together, as an idempotency key keeps it: 422
/// `limit_exceeded`. More than a batch of [`BATCH_BYTES`] can make of what it sends.
pub const OUTCOME_BYTES: usize = 16 * 1024 * 1024;
/// Events that one statement of an erasure empties.
pub const ERASED_EVENTS: usize = 1000;
/// Rows that one step of retention takes away.
pub const PURGED_ROWS: i64 = 5000;
/// Attempts that the log of a delivery keeps, the last ones.
pub const LOGGED_ATTEMPTS: usize = 20;
/// Deliveries that begin anew in one step when their webhook is set to work again; there are as many
/// steps as it takes.
pub const REVIVED_DELIVERIES: i64 = 1000;
/// Deliveries that one call makes once more.
pub const REDELIVERIES: usize = 1000;
/// Time for which the outcome of a call with an idempotency key is kept.
pub const IDEMPOTENCY_TTL: Duration = Duration::from_hours(24);
/// Rows of a page that one read of the store returns.
pub const READ_ROWS: usize = 1000;

// Feed and streams.

/// Events on a page of the feed when the call names no number.
pub const FEED_PAGE: usize = 100;
/// Events on a page of the feed at most; a larger wish is clamped.
pub const MAX_FEED_PAGE: usize = READ_ROWS;
/// Bytes of events after which a page of the feed ends, however many were wished for.
pub const FEED_BYTES: usize = 4 * 1024 * 1024;
/// Events that feed and streams read of the store at once: with their 64 KiB of attributes, before and
/// after, some megabytes.
pub const FEED_READ_ROWS: usize = 32;
/// Events of an account that are kept as its streams send them: small messages, so that streams need
/// not read them one by one.
pub const RECENT_EVENTS: usize = 256;
/// Seconds that a call of the feed waits for an event at most; a larger wish is clamped.
pub const FEED_WAIT_SECONDS: u64 = 60;
/// Time after which a stream on which nothing happens says so, and looks whether its key is good.
pub const STREAM_HEARTBEAT: Duration = Duration::from_secs(15);
/// Streams and waiting calls of the feed at once, below [`CONNECTIONS`] so that other calls get
/// through: 503 `busy`.
pub const STREAMS: usize = 12 * 1024;
/// The same for one account: 429 `too_many_streams`.
pub const STREAMS_PER_ACCOUNT: usize = 8 * 1024;
/// Time between two looks for events that another server wrote.
pub const TAIL_POLL: Duration = Duration::from_millis(500);

// Retention.

/// Time between two rounds of retention.
pub const RETENTION_PERIOD: Duration = Duration::from_hours(1);
/// Pause between two of its steps, in which others write.
pub const RETENTION_PAUSE: Duration = Duration::from_millis(100);
