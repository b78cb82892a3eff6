//! Outgoing requests: what an endpoint is sent, what of its answer is taken, where nothing is sent.

mod time;
mod tls;

use std::{
    io,
    net::IpAddr,
    sync::{Arc, Mutex},
};

use axum::{body::Bytes, http::HeaderMap};
use futures::future::BoxFuture;
use meishi_contacts::{
    AccountId,
    limits::{EGRESS_BODY_BYTES, EGRESS_HEAD_BYTES, EGRESS_KEPT_BYTES},
};
use meishi_server::egress::{Answer, Egress, EgressError, EgressSettings, Lookup, Target};
use tokio::{io::AsyncWriteExt as _, sync::oneshot};

use crate::endpoint::{Endpoint, OK};

/// Names as the test has them; remembers what it was asked.
#[derive(Default)]
struct Names {
    known: Vec<(&'static str, Vec<IpAddr>)>,
    asked: Mutex<Vec<String>>,
}

impl Lookup for Names {
    fn addresses(&self, _: AccountId, name: String) -> BoxFuture<'_, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            self.asked.lock().unwrap().push(name.clone());
            if name == "never.example" {
                std::future::pending::<()>().await;
            }
            let known = self.known.iter().find(|known| known.0 == name);
            known.map(|known| known.1.clone()).ok_or_else(|| io::Error::other("no such name"))
        })
    }
}

fn names(known: &[(&'static str, &[&str])]) -> Arc<Names> {
    let known = known.iter().map(|(name, addresses)| {
        (*name, addresses.iter().map(|address| address.parse().unwrap()).collect())
    });
    Arc::new(Names { known: known.collect(), asked: Mutex::default() })
}

fn allowing(networks: &[&str]) -> EgressSettings {
    let allow = networks.iter().map(|network| network.parse().unwrap()).collect();
    EgressSettings { allow }
}

/// One that may reach the tests' endpoints.
fn egress() -> Egress {
    Egress::new(allowing(&["127.0.0.1"]))
}

async fn post(egress: &Egress, url: &str) -> Result<Answer, EgressError> {
    let target = Target::parse(url).unwrap();
    egress.post(AccountId(1), &target, HeaderMap::new(), Bytes::from_static(b"{}")).await
}

fn code(result: &Result<Answer, EgressError>) -> &'static str {
    result.as_ref().unwrap_err().code()
}

#[tokio::test]
async fn a_post_arrives_as_it_was_given() {
    let mut endpoint = Endpoint::answering(
        "HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nContent-Length: 4\r\n\r\nbusy",
    )
    .await;
    let target = Target::parse(&endpoint.url("/hooks/ü?key=a b#part")).unwrap();
    let headers: HeaderMap = [
        ("content-type", "application/json"),
        ("webhook-id", "0b5c7c0e"),
        // What is the connection's is not the caller's to say.
        ("content-length", "1"),
        ("transfer-encoding", "chunked"),
        ("host", "example.com"),
        ("connection", "keep-alive"),
    ]
    .into_iter()
    .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
    .collect();
    let body = r#"{"name": "Zoë"}"#;
    let answer = egress().post(AccountId(1), &target, headers, Bytes::from(body)).await.unwrap();
    let expected = Answer {
        address: endpoint.address,
        status: 503,
        retry_after: Some("120".into()),
        body: b"busy".into(),
    };
    assert_eq!(answer, expected);

    let received = endpoint.received().await;
    assert_eq!(received.line, "POST /hooks/%C3%BC?key=a%20b HTTP/1.1");
    assert_eq!(received.body, body);
    assert_eq!(received.header("host"), Some(endpoint.address.to_string().as_str()));
    assert_eq!(received.header("user-agent"), Some(concat!("Meishi/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(received.header("content-type"), Some("application/json"));
    assert_eq!(received.header("webhook-id"), Some("0b5c7c0e"));
    assert_eq!(received.header("content-length"), Some("16"));
    assert_eq!(received.header("connection"), Some("close"));
    assert_eq!(received.headers.len(), 6, "{received:?}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let elsewhere = Endpoint::answering(OK).await;
    for status in [301, 302, 303, 307, 308] {
        let location = elsewhere.url("/");
        let answer =
            format!("HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        let endpoint = Endpoint::answering(&answer).await;
        assert_eq!(post(&egress(), &endpoint.url("/")).await.unwrap().status, status);
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn nothing_of_the_inside_is_reached_however_it_is_spelt() {
    let endpoint = Endpoint::answering(OK).await;
    let egress = Egress::with(
        EgressSettings::default(),
        names(&[("inside.example", &["127.0.0.1"]), ("mapped.example", &["::ffff:127.0.0.1"])]),
        None,
    );
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "0177.0.0.1",
        "2130706433",
        "0.0.0.0",
        "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::127.0.0.1]",
        "inside.example",
        "INSIDE.example",
        "mapped.example",
    ] {
        let url = format!("http://{host}:{}/", endpoint.address.port());
        let refused = post(&egress, &url).await;
        assert_eq!(code(&refused), "refused_address", "{host}: {refused:?}");
        let text = refused.unwrap_err().to_string();
        assert!(text.starts_with("address not allowed: "), "{text}");
    }
    assert_eq!(endpoint.connections(), 0);
}

#[tokio::test]
async fn the_systems_own_names_are_looked_at_too() {
    let mut endpoint = Endpoint::answering(OK).await;
    let url = format!("http://localhost:{}/", endpoint.address.port());
    assert_eq!(code(&post(&Egress::new(EgressSettings::default()), &url).await), "refused_address");
    assert_eq!(post(&egress(), &url).await.unwrap().status, 204);
    assert_eq!(endpoint.received().await.header("host"), Some(&url[7..url.len() - 1]));
    assert_eq!(endpoint.connections(), 1);
    // No name has a part this long, so that nobody need be asked.
    let unknown = post(&egress(), &format!("http://{}.invalid/", "a".repeat(64))).await;
    assert_eq!(code(&unknown), "dns", "{unknown:?}");
}

#[tokio::test]
async fn addresses_that_are_not_allowed_are_passed_over_and_the_rest_tried_in_turn() {
    let endpoint = Endpoint::answering(OK).await;
    let port = endpoint.address.port();
    let names = names(&[
        ("some.example", &["10.0.0.1", "::1", "127.0.0.2", "127.0.0.1"]),
        ("none.example", &["10.0.0.1", "::1"]),
        ("deaf.example", &["127.0.0.2", "127.0.0.3"]),
        ("empty.example", &[]),
    ]);
    let egress = Egress::with(allowing(&["127.0.0.0/8"]), Arc::clone(&names) as _, None);
    let url = |name: &str| format!("http://{name}:{port}/");

    // Nobody listens on 127.0.0.2.
    let answer = post(&egress, &url("some.example")).await.unwrap();
    assert_eq!((answer.status, answer.address), (204, endpoint.address));
    assert_eq!(
        post(&egress, &url("none.example")).await.unwrap_err().to_string(),
        "address not allowed: 10.0.0.1 is private"
    );
    let deaf = post(&egress, &url("deaf.example")).await.unwrap_err();
    assert!(matches!(deaf, EgressError::Connect { .. }));
    assert!(deaf.to_string().starts_with(&format!("cannot connect to 127.0.0.3:{port}: ")));
    assert_eq!(code(&post(&egress, &url("empty.example")).await), "dns");
    assert_eq!(code(&post(&egress, &url("unknown.example")).await), "dns");
    assert_eq!(endpoint.connections(), 1);
    // Once each: what was checked is what was connected to.
    assert_eq!(
        *names.asked.lock().unwrap(),
        ["some.example", "none.example", "deaf.example", "empty.example", "unknown.example"]
    );
}

#[tokio::test]
async fn a_long_answer_is_read_in_part_and_its_beginning_kept() {
    let (told, sent) = oneshot::channel();
    let told = Mutex::new(Some(told));
    let endpoint = Endpoint::start(move |mut visit| {
        let told = told.lock().unwrap().take().unwrap();
        async move {
            visit.request().await;
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nabc";
            visit.stream.write_all(head.as_bytes()).await.unwrap();
            let mut sent = 3;
            while visit.stream.write_all(&[b'x'; 10_000]).await.is_ok() {
                sent += 10_000;
            }
            told.send(sent).unwrap();
        }
    })
    .await;
    let answer = post(&egress(), &endpoint.url("/")).await.unwrap();
    assert_eq!((answer.status, answer.body.len()), (200, EGRESS_KEPT_BYTES));
    assert!(answer.body.starts_with(b"abcxxx"));
    // What the two systems' buffers take counts as sent.
    let sent = sent.await.unwrap();
    assert!(sent < EGRESS_BODY_BYTES + 20_000_000, "{sent}");
}

#[tokio::test]
async fn answers_of_every_form_are_understood() {
    let long = format!("HTTP/1.1 200 OK\r\nRetry-After: {}\r\n\r\n", "1".repeat(65));
    for (answer, status, body) in [
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
            200,
            "abc",
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Length: 1\r\n\r\na",
            202,
            "a",
        ),
        ("HTTP/1.0 500 Oh\r\n\r\nuntil the end", 500, "until the end"),
        // An answer that breaks off is one all the same.
        ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", 200, "half"),
        ("HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n", 410, ""),
        ("HTTP/1.1 200 OK\r\nRetry-After: \u{fc}\r\nContent-Length: 0\r\n\r\n", 200, ""),
        (&long, 200, ""),
    ] {
        let endpoint = Endpoint::answering(answer).await;
        let got = post(&egress(), &endpoint.url("/")).await.unwrap();
        assert_eq!((got.status, got.body.as_slice()), (status, body.as_bytes()), "{answer}");
        assert_eq!(got.retry_after, None);
    }
}

#[tokio::test]
async fn what_is_no_answer_is_a_failure() {
    let endless = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "x".repeat(2 * EGRESS_HEAD_BYTES));
    for answer in ["", "SSH-2.0-OpenSSH\r\n", "HTTP/1.1 2", "HTTP/2 200\r\n\r\n", &endless] {
        let endpoint = Endpoint::answering(answer).await;
        let failed = post(&egress(), &endpoint.url("/")).await;
        let shown: String = answer.chars().take(20).collect();
        assert_eq!(code(&failed), "protocol", "{shown}: {failed:?}");
    }
}
