//! Real connections: heads and bodies that dawdle, limits of the head, and the drain at the end.
//!
//! Where time matters it stands still and leaps as soon as everybody waits, so that the real
//! limits are tested without waiting for them. It must not leap while a store that is reached over
//! a socket is about to answer, so that it stands still only once no more is asked of the store.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use meishi_contacts::{
    Role,
    limits::{BODY_TIMEOUT, DRAIN_TIMEOUT, HEADER_TIMEOUT, WRITE_TIMEOUT},
};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    app::{CONTACTS, Client, TestApp},
    tcp::{self, TcpServer},
};

/// The lines that every request of the caller's has.
fn headers(client: &Client) -> String {
    let pair = BASE64_STANDARD.encode(format!("{}:{}", client.api_key, client.api_secret));
    format!("host: localhost\r\nauthorization: Basic {pair}\r\n")
}

fn create(client: &Client, body: &str, length: usize) -> String {
    let headers = headers(client);
    format!("POST {CONTACTS} HTTP/1.1\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

/// The head of a create whose body is sent only when the server says that it waits for it.
fn ask(client: &Client, length: usize) -> String {
    create(client, "", length).replacen("\r\n", "\r\nexpect: 100-continue\r\n", 1)
}

#[tokio::test]
async fn a_connection_serves_one_request_after_another() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let server = TcpServer::start(&app).await;
    let mut connection = server.connect().await;
    let body = json!({ "inbox_id": 1, "name": "Anna" }).to_string();
    for number in 1..=3 {
        connection.send(create(&anna, &body, body.len())).await;
        let answer = connection.answer().await.unwrap().ok();
        assert_eq!(answer.payload()["contact"]["id"], number);
    }
    connection.send(format!("GET /nonsense HTTP/1.1\r\n{}\r\n", headers(&anna))).await;
    assert_eq!(connection.answer().await.unwrap().code(), "not_found");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_body_in_chunks_and_an_address_in_full_are_understood() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let server = TcpServer::start(&app).await;
    let mut connection = server.connect().await;
    let lines = headers(&anna);
    let path = format!("http://localhost/api/v2/accounts/{}/contacts", app.id);
    let chunks = ["{\"inbox_id\":1,", "\"name\":", "\"Anna\"}", ""]
        .map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len()))
        .concat();
    let coding = "transfer-encoding: chunked\r\n";
    connection.send(format!("POST {path} HTTP/1.1\r\n{lines}{coding}\r\n{chunks}")).await;
    let answer = connection.answer().await.unwrap().ok();
    assert_eq!(answer.payload()["contact"]["name"], "Anna");
    connection.send(format!("GET {path}?q=anna HTTP/1.1\r\n{lines}\r\n")).await;
    assert_eq!(connection.answer().await.unwrap().ok().names(), ["Anna"]);
}

#[tokio::test]
async fn a_caller_that_asks_before_it_sends_is_answered_first() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let server = TcpServer::start(&app).await;
    let body = json!({ "inbox_id": 1 }).to_string();

    let mut connection = server.connect().await;
    connection.send(ask(&anna, body.len())).await;
    assert_eq!(connection.answer().await.unwrap().status, 100);
    connection.send(&body).await;
    connection.answer().await.unwrap().ok();

    let mut connection = server.connect().await;
    connection.send(ask(&anna, 100_000_000)).await;
    assert_eq!(connection.answer().await.unwrap().status, 413);
}

#[tokio::test]
async fn a_head_that_dawdles_is_cut() {
    let app = TestApp::start().await;
    tokio::time::pause();
    let server = TcpServer::start(&app).await;
    let mut connection = server.connect().await;
    connection.send("GET /livez HTTP/1.1\r\nhost: loc").await;
    let begun = Instant::now();
    let answer = connection.answer().await;
    assert!(answer.is_none(), "{answer:?}");
    assert!(begun.elapsed() >= HEADER_TIMEOUT);
    assert!(begun.elapsed() < HEADER_TIMEOUT * 2);
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let app = TestApp::start().await;
    tokio::time::pause();
    let server = TcpServer::start(&app).await;
    let mut connection = server.connect().await;
    let begun = Instant::now();
    assert!(connection.answer().await.is_none());
    assert!(begun.elapsed() < HEADER_TIMEOUT * 2);

    let mut kept = server.connect().await;
    kept.send("GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    kept.answer().await.unwrap().ok();
    let begun = Instant::now();
    assert!(kept.answer().await.is_none());
    assert!(begun.elapsed() < HEADER_TIMEOUT * 2);
}

#[tokio::test]
async fn a_body_that_dawdles_is_told_so_and_cut() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let server = TcpServer::start(&app).await;
    let mut connection = server.connect().await;
    let begun = Instant::now();
    connection.send(ask(&anna, 100)).await;
    assert_eq!(connection.answer().await.unwrap().status, 100);
    tokio::time::pause();
    connection.send("{\"inbox").await;
    let answer = connection.answer().await.unwrap();
    assert_eq!((answer.status, answer.code()), (408, "timeout"));
    assert!(answer.header("x-request-id").is_some());
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(begun.elapsed() >= BODY_TIMEOUT);
    assert!(connection.answer().await.is_none(), "the connection is closed");
    tokio::time::resume();
    assert_eq!(anna.get(CONTACTS).await.ok().count(), 0);
}

#[tokio::test]
async fn a_caller_that_does_not_read_is_dropped() {
    let app = TestApp::start().await;
    tokio::time::pause();
    let server = TcpServer::start(&app).await;
    let mut deaf = server.connect().await;
    // Far more answers than the buffers between the two hold.
    let request = "GET /api/openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n";
    deaf.send(request.repeat(500)).await;
    tokio::time::sleep(WRITE_TIMEOUT * 2).await;
    let begun = Instant::now();
    server.stop().await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1), "nothing was in flight any more");
    drop(deaf);
}

#[tokio::test]
async fn a_body_that_says_it_is_too_large_is_refused_at_once() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let server = TcpServer::start(&app).await;
    let mut connection = server.connect().await;
    connection.send(create(&anna, "{", 100_000_000)).await;
    let answer = connection.answer().await.unwrap();
    assert_eq!((answer.status, answer.code()), (413, "body_too_large"));
    assert!(connection.answer().await.is_none(), "the connection is closed");
}

#[tokio::test]
async fn a_refusal_before_the_body_is_read_says_that_the_connection_ends() {
    let app = TestApp::start().await;
    let (anna, reader) = (app.administrator().await, app.key(Role::ReadOnly).await);
    let server = TcpServer::start(&app).await;
    let stranger = app.client(&anna.api_key, "wrong");
    for (client, code) in [(&reader, "forbidden"), (&stranger, "unauthenticated")] {
        let mut connection = server.connect().await;
        connection.send(create(client, "{\"inbox", 100)).await;
        let answer = connection.answer().await.unwrap();
        assert_eq!((answer.code(), answer.header("connection")), (code, Some("close")));
        assert!(connection.answer().await.is_none(), "the connection is closed");
    }
    // Who was to be asked for the body never sends it.
    let mut connection = server.connect().await;
    connection.send(ask(&reader, 100)).await;
    let answer = connection.answer().await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (403, Some("close")));

    // A refusal of what was read, or without a body, leaves the connection as it is.
    let mut connection = server.connect().await;
    connection.send(create(&anna, "{}", 2)).await;
    connection.send(create(&anna, "nonsense", 8)).await;
    connection.send(format!("DELETE {CONTACTS}/1 HTTP/1.1\r\n{}\r\n", headers(&reader))).await;
    connection.send(create(&anna, "{\"inbox_id\":1}", 14)).await;
    for status in [422, 400, 403, 200] {
        let answer = connection.answer().await.unwrap();
        assert_eq!((answer.status, answer.header("connection")), (status, None));
    }
}

#[tokio::test]
async fn limits_of_the_head_are_told_over_the_wire_too() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let server = TcpServer::start(&app).await;
    let lines = headers(&anna);

    let mut connection = server.connect().await;
    connection.send(format!("GET /{} HTTP/1.1\r\n{lines}\r\n", "x".repeat(10_000))).await;
    let answer = connection.answer().await.unwrap();
    assert_eq!((answer.status, answer.code()), (414, "uri_too_long"));

    let padding = format!("x-padding: {}\r\n", "x".repeat(40_000));
    let mut connection = server.connect().await;
    connection.send(format!("GET {CONTACTS} HTTP/1.1\r\n{lines}{padding}\r\n")).await;
    let answer = connection.answer().await.unwrap();
    assert_eq!((answer.status, answer.code()), (431, "headers_too_large"));
    assert!(answer.header("x-request-id").is_some());
}

#[tokio::test]
async fn more_headers_than_are_read_get_a_431_too() {
    use std::fmt::Write as _;
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let server = TcpServer::start(&app).await;
    let mut connection = server.connect().await;
    let many = |count| {
        let lines = (0..count).fold(String::new(), |mut lines, number| {
            write!(lines, "x-{number}: 1\r\n").unwrap();
            lines
        });
        format!("GET {CONTACTS} HTTP/1.1\r\n{}{lines}\r\n", headers(&anna))
    };
    connection.send(many(90)).await;
    let answer = connection.answer().await.unwrap();
    assert_eq!((answer.status, &answer.json["code"]), (431, &"headers_too_large".into()));
    assert_eq!(answer.json["request_id"], answer.headers["x-request-id"].to_str().unwrap());
    // So many that nobody reads them to the end.
    let mut connection = server.connect().await;
    connection.send(many(500)).await;
    assert_eq!(connection.answer().await.unwrap().status, 431);
}

#[tokio::test]
async fn what_is_no_http_gets_a_400_and_the_server_lives_on() {
    let app = TestApp::start().await;
    let server = TcpServer::start(&app).await;
    for nonsense in ["\0\0\0\0\r\n\r\n", "GET\r\n\r\n", "\u{16}\u{3}\u{1}\u{2}\0\r\n\r\n"] {
        let mut connection = server.connect().await;
        connection.send(nonsense).await;
        if let Some(answer) = connection.answer().await {
            assert_eq!(answer.status, 400, "{nonsense:?}");
        }
    }
    let mut connection = server.connect().await;
    connection.send("GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    connection.answer().await.unwrap().ok();
}

#[tokio::test]
async fn a_request_in_flight_when_the_server_stops_is_finished() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let server = TcpServer::start(&app).await;
    let address = server.address;
    let mut flying = server.connect().await;
    let mut idle = server.connect().await;
    idle.send("GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    idle.answer().await.unwrap().ok();

    let body = json!({ "inbox_id": 1, "name": "Anna" }).to_string();
    let (first, rest) = body.split_at(10);
    flying.send(create(&anna, first, body.len())).await;
    // The server has the head for certain once it has served another request after it.
    let mut other = server.connect().await;
    other.send("GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    other.answer().await.unwrap().ok();

    let drained = server.stop();
    assert!(idle.answer().await.is_none(), "an idle connection is closed at once");
    assert!(tcp::connect(address).await.is_err(), "nobody listens any more");
    assert!(!drained.is_finished());

    flying.send(rest).await;
    let answer = flying.answer().await.unwrap().ok();
    assert_eq!(answer.payload()["contact"]["name"], "Anna");
    tokio::time::timeout(Duration::from_secs(5), drained).await.unwrap().unwrap();
    assert!(flying.answer().await.is_none());
    assert_eq!(anna.search("anna").await, ["Anna"]);
}

#[tokio::test]
async fn a_drain_does_not_wait_for_ever() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let server = TcpServer::start(&app).await;
    let mut connection = server.connect().await;
    connection.send(ask(&anna, 100)).await;
    assert_eq!(connection.answer().await.unwrap().status, 100);
    tokio::time::pause();
    connection.send("{").await;
    let mut other = server.connect().await;
    other.send("GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    other.answer().await.unwrap().ok();
    let begun = Instant::now();
    server.stop().await.unwrap();
    assert!(begun.elapsed() <= DRAIN_TIMEOUT + Duration::from_secs(1));
    assert!(begun.elapsed() >= DRAIN_TIMEOUT);
}
