//! The live stream, read as it comes.

use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt as _;
use meishi_contacts::{
    ContactId, ContactPatch, Role,
    limits::{STREAM_HEARTBEAT, WRITE_TIMEOUT},
};
use meishi_store::{Change, Context};
use serde_json::{Value, json};
use tokio::{net::TcpSocket, time::timeout};

use crate::{
    app::{CHANGES, Client, EVENTS, KEYS, Tenant, TestApp, basic, contact},
    tcp::TcpServer,
};

const PATIENCE: Duration = Duration::from_secs(10);

/// One message of a stream.
#[derive(Debug, Default)]
struct Message {
    id: Option<i64>,
    event: String,
    data: Value,
}

/// A stream that is open.
struct Stream {
    body: Body,
    text: String,
}

impl Stream {
    async fn open(client: &Client, query: &str, last_event_id: Option<i64>) -> Self {
        let mut call = client.call("GET", format!("{EVENTS}{query}"));
        if let Some(id) = last_event_id {
            call = call.header("last-event-id", id.to_string());
        }
        let response = call.respond().await;
        assert_eq!(response.status(), 200);
        for (name, value) in [
            ("content-type", "text/event-stream"),
            ("cache-control", "no-store"),
            ("x-accel-buffering", "no"),
        ] {
            assert_eq!(response.headers()[name], value);
        }
        Self { body: response.into_body(), text: String::new() }
    }

    /// The next message, comments included; `None` at the end.
    async fn next(&mut self) -> Option<Message> {
        while !self.text.contains("\n\n") {
            let frame = timeout(PATIENCE, self.body.frame()).await.expect("it says something")?;
            let bytes = frame.unwrap().into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
        let text = std::mem::take(&mut self.text);
        let (message, rest) = text.split_once("\n\n").unwrap();
        self.text.push_str(rest);
        let mut read = Message::default();
        for line in message.lines() {
            match line.split_once(": ") {
                Some(("id", id)) => read.id = Some(id.parse().unwrap()),
                Some(("event", event)) => event.clone_into(&mut read.event),
                Some(("data", data)) => read.data = serde_json::from_str(data).unwrap(),
                _ => assert_eq!(line, ":", "a comment"),
            }
        }
        Some(read)
    }

    async fn expect(&mut self, event: &str) -> Message {
        let message = self.next().await.expect("the stream goes on");
        assert_eq!(message.event, event, "{message:?}");
        message
    }
}

/// Lets so much time pass at once, and no more: a store that is reached over a socket needs time that
/// does not leap.
async fn leap(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_stream_says_hello_and_then_what_happens_without_anything_of_a_person() {
    let app = TestApp::start().await;
    let (anna, reader) = (app.administrator().await, app.key(Role::ReadOnly).await);
    let last = app.events().await;
    let mut stream = Stream::open(&reader, "", None).await;
    let hello = stream.expect("hello").await;
    let database = app.app.store.database().await.unwrap();
    let standing = json!({ "database": database.id, "epoch": database.epoch, "last_seq": last });
    assert_eq!((hello.id, hello.data), (Some(last), standing));

    let id = anna.contact(json!({ "name": "Anna", "email": "anna@acme.inc" })).await;
    let created = stream.expect("contact.created").await;
    assert_eq!(created.id, Some(last + 1));
    let data = json!({
        "seq": last + 1, "type": "contact.created", "contact_id": id, "version": 1,
        "at": "2025-12-24T10:21:43Z",
    });
    assert_eq!(created.data, data);
    anna.patch(contact(id), json!({ "name": "Hanna" })).await.ok();
    anna.post(KEYS, json!({ "name": "Sync", "role": "agent" })).await.ok();
    anna.delete(contact(id)).await.ok();
    assert_eq!(stream.expect("contact.updated").await.data["version"], 2);
    let key = stream.expect("key.created").await;
    let data = json!({ "seq": last + 3, "type": "key.created", "at": "2025-12-24T10:21:43Z" });
    assert_eq!(key.data, data);
    assert_eq!(stream.expect("contact.deleted").await.data["contact_id"], id);
    // Nothing of another account.
    let bert = app.account("Globex").await.administrator().await;
    bert.contact(json!({})).await;
    anna.contact(json!({})).await;
    assert_eq!(stream.expect("contact.created").await.id, Some(last + 5));
}

#[tokio::test]
async fn a_stream_goes_on_after_the_event_that_its_reader_knows() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let known = app.events().await;
    // More than is read at once.
    for _ in 0..50 {
        anna.contact(json!({})).await;
    }
    for (query, header) in [
        (String::new(), Some(known)),
        (format!("?after={known}"), None),
        (format!("?after={}&epoch=1", known - 1), Some(known)),
    ] {
        let mut stream = Stream::open(&anna, &query, header).await;
        stream.expect("hello").await;
        for seq in known + 1..=known + 50 {
            assert_eq!(stream.expect("contact.created").await.id, Some(seq));
        }
    }
    let mut stream = Stream::open(&anna, "?after=0", None).await;
    stream.expect("hello").await;
    assert_eq!(stream.expect("account.created").await.id, Some(1));
}

#[tokio::test]
async fn a_reader_that_was_cut_off_after_the_hello_misses_nothing() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let (last, mut known) = (app.events().await, None);
    for query in ["", "?after=1"] {
        let mut stream = Stream::open(&anna, query, known).await;
        // A browser keeps the last id that it read, and sends it from then on.
        known = stream.expect("hello").await.id;
        assert_eq!(known, Some(if query.is_empty() { last } else { last + 1 }));
        drop(stream);
        anna.contact(json!({})).await;
        let mut stream = Stream::open(&anna, query, known).await;
        assert_eq!(stream.expect("hello").await.id, known);
        known = stream.expect("contact.created").await.id;
        assert_eq!(known, Some(app.events().await));
    }
    let mut stream = Stream::open(&anna, "?after=1", None).await;
    assert_eq!(stream.expect("hello").await.id, Some(1));
}

#[tokio::test]
async fn a_gap_or_another_epoch_is_told_and_the_stream_goes_on_from_the_end() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    anna.contact(json!({})).await;
    let last = app.events().await;
    let resynced = async |query: &str, header| {
        let last = app.events().await;
        let mut stream = Stream::open(&anna, query, header).await;
        let hello = stream.expect("hello").await;
        assert_eq!(hello.id, None, "who sees only that much asks for the same place again");
        let resync = stream.expect("resync").await;
        assert_eq!(resync.id, Some(last));
        assert_eq!(resync.data, hello.data);
        anna.contact(json!({})).await;
        assert_eq!(stream.expect("contact.created").await.id, Some(last + 1));
    };
    resynced("", Some(last + 1)).await;
    resynced("?after=100", None).await;
    resynced("?after=1&epoch=2", None).await;
    resynced("?epoch=2", None).await;
    let all = meishi_contacts::UnixMillis(i64::MAX);
    app.app.store.drop_events(app.id, all).await.unwrap();
    resynced("?after=1", None).await;
    resynced("", Some(0)).await;
}

#[tokio::test]
async fn events_that_retention_takes_from_under_a_stream_are_a_gap() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let mut stream = Stream::open(&anna, "", None).await;
    stream.expect("hello").await;
    // It is not read meanwhile.
    for _ in 0..3 {
        anna.contact(json!({})).await;
    }
    let all = meishi_contacts::UnixMillis(i64::MAX);
    app.app.store.drop_events(app.id, all).await.unwrap();
    assert_eq!(stream.expect("resync").await.id, Some(app.events().await));
}

#[tokio::test]
async fn a_restore_under_an_open_stream_is_told() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let mut stream = Stream::open(&anna, "", None).await;
    assert_eq!(stream.expect("hello").await.data["epoch"], 1);
    let cursor = anna.get(CHANGES).await.ok().json["meta"]["cursor"].clone();
    app.raise_epoch().await;
    let resync = stream.expect("resync").await;
    assert_eq!((&resync.data["epoch"], resync.id), (&json!(2), Some(app.events().await)));
    anna.contact(json!({})).await;
    stream.expect("contact.created").await;
    let gone = anna.get(format!("{CHANGES}?cursor={}", cursor.as_str().unwrap())).await;
    assert_eq!((gone.status, gone.code()), (410, "cursor_expired"));
}

#[tokio::test]
async fn a_stream_on_which_nothing_happens_says_that_it_is_there() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let mut stream = Stream::open(&anna, "", None).await;
    stream.expect("hello").await;
    for _ in 0..2 {
        let silence = timeout(Duration::from_millis(100), stream.next()).await;
        assert!(silence.is_err(), "{silence:?}");
        leap(STREAM_HEARTBEAT).await;
        // A comment.
        stream.expect("").await;
    }
}

#[tokio::test]
async fn a_stream_ends_when_its_key_opens_nothing_any_more() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    for how in ["revoke", "expire", "rotate"] {
        let made = anna.post(KEYS, json!({ "name": how, "role": "read_only" })).await.ok();
        let member = |name: &str| made.payload()[name].as_str().unwrap().to_owned();
        let key = app.client(&member("api_key"), &member("api_secret"));
        let path = format!("{KEYS}/{}", made.payload()["id"]);
        let mut stream = Stream::open(&key, "", None).await;
        stream.expect("hello").await;
        assert_eq!(app.app.streams.open(), 1);
        match how {
            "revoke" => anna.delete(&path).await.ok(),
            "expire" => {
                let soon = json!({ "expires_at": "2025-12-24T12:00:00Z" });
                anna.patch(&path, soon).await.ok();
                app.clock.advance(2 * 3600);
                anna.get(KEYS).await.ok()
            }
            _ => anna.post(format!("{path}/rotate"), json!({ "overlap_seconds": 0 })).await.ok(),
        };
        // What a server on PostgreSQL knows of a key it believes for a second of real time.
        tokio::time::sleep(Duration::from_millis(1100)).await;
        leap(STREAM_HEARTBEAT).await;
        assert!(stream.next().await.is_none(), "{how}");
        drop(stream);
        assert_eq!(app.app.streams.open(), 0);
    }
}

#[tokio::test]
async fn an_account_has_only_so_many_streams() {
    use meishi_contacts::limits::{STREAMS, STREAMS_PER_ACCOUNT};
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let mut streams = Vec::new();
    for _ in 0..STREAMS_PER_ACCOUNT {
        streams.push(anna.call("GET", EVENTS).respond().await);
    }
    let refused = anna.get(EVENTS).await;
    assert_eq!((refused.status, refused.code()), (429, "too_many_streams"));
    assert_eq!(refused.header("retry-after"), Some("15"));
    let refused = anna.get(format!("{CHANGES}?after=last&wait=60")).await;
    assert_eq!(refused.status, 429);
    anna.get(format!("{CHANGES}?wait=60")).await.ok();
    let bert = app.account("Globex").await.administrator().await;
    for _ in STREAMS_PER_ACCOUNT..STREAMS {
        streams.push(bert.call("GET", EVENTS).respond().await);
    }
    let refused = bert.get(EVENTS).await;
    assert_eq!((refused.status, refused.code()), (503, "busy"));
    drop(streams);
    anna.get(EVENTS).await.ok();
}

/// The bare words of a request for a stream.
fn request(client: &Client) -> String {
    let authorization = basic(&client.api_key, &client.api_secret);
    format!(
        "GET {EVENTS}?after=0 HTTP/1.1\r\nhost: localhost\r\nauthorization: {authorization}\r\n\r\n"
    )
}

/// Waits until so many streams are open.
async fn open(app: &Tenant, count: usize) {
    let waiting = async {
        while app.app.streams.open() != count {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("streams open and end");
}

#[tokio::test]
async fn streams_and_calls_that_wait_end_at_once_when_the_server_stops() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let server = TcpServer::start(&app).await;
    let mut stream = server.connect().await;
    stream.send(request(&anna)).await;
    let mut waiting = server.connect().await;
    let path = format!("{CHANGES}?after=last&wait=60");
    waiting.send(request(&anna).replace(&format!("{EVENTS}?after=0"), &path)).await;
    open(&app, 2).await;
    let begun = std::time::Instant::now();
    let stopped = server.stop();
    let answer = waiting.answer().await.unwrap().ok();
    assert_eq!(answer.payload(), &json!([]));
    let text = stream.rest().await;
    assert!(
        text.contains("event: account.created\r\n") || text.contains("event: account.created\n")
    );
    assert!(text.ends_with("\r\n0\r\n\r\n"), "the body is ended properly: {text:?}");
    stopped.await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_stream_whose_reader_goes_away_is_gone() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let server = TcpServer::start(&app).await;
    let mut stream = server.connect().await;
    stream.send(request(&anna)).await;
    open(&app, 1).await;
    drop(stream);
    open(&app, 0).await;
}

#[tokio::test]
async fn a_stream_that_is_not_read_is_dropped_and_holds_nothing_back() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    // Small buffers between the two, so that some hundred kilobytes fill them.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(16 * 1024).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let server = TcpServer::listen(&app, socket.listen(16).unwrap());
    let mut deaf = server.connect_narrowly(16 * 1024).await;
    deaf.send(request(&anna)).await;
    open(&app, 1).await;
    for round in 0..5 {
        let update = |number: i64| Change::UpdateContact {
            id: ContactId(id),
            patch: Box::new(ContactPatch {
                name: Some(format!("{round} {number}")),
                ..ContactPatch::default()
            }),
        };
        let cx = Context {
            account: app.id,
            actor: meishi_contacts::Actor::System,
            at: app.app.clock.now(),
            request_id: "many".to_owned(),
            seed: app.app.rng.seed(),
            precondition: None,
            idempotency: None,
        };
        let updates = (0..1000).map(update).collect();
        app.app.store.apply(cx, updates, true).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(app.app.streams.open(), 1);
    leap(WRITE_TIMEOUT * 2).await;
    open(&app, 0).await;
    let heard = deaf.rest().await;
    assert!(heard.len() < 1_000_000, "{} bytes were on their way", heard.len());
    server.stop().await.unwrap();
}
