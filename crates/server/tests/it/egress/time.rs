//! What takes too long. Time stands still and leaps as soon as everybody waits, so that the real
//! limits are tested without waiting for them.

use std::{net::SocketAddr, time::Duration};

use meishi_contacts::limits::{EGRESS_CONNECT_TIME, EGRESS_TIME};
use meishi_server::egress::{Answer, Egress, EgressError, EgressSettings, Phase};
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpSocket,
    time::{Instant, timeout},
};

use super::{allowing, egress, names, post};
use crate::{
    endpoint::{Endpoint, Visit},
    tcp,
};

/// What a post comes to while time leaps, and how long it took.
pub(super) async fn post_timed(
    egress: &Egress,
    url: &str,
) -> (Result<Answer, EgressError>, Duration) {
    let begun = Instant::now();
    let result = post(egress, url).await;
    (result, begun.elapsed())
}

/// Lets what was sent arrive, then lets time leap.
pub(super) async fn wait_for_ever() {
    tokio::time::sleep(Duration::from_millis(50)).await;
    tokio::time::pause();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn an_endpoint_that_says_nothing_is_given_up() {
    let endpoint = Endpoint::start(async |mut visit: Visit| {
        visit.request().await;
        wait_for_ever().await;
    })
    .await;
    let (result, took) = post_timed(&egress(), &endpoint.url("/")).await;
    assert_eq!(result, Err(EgressError::Timeout(Phase::Answer)));
    assert!((EGRESS_TIME..EGRESS_TIME + Duration::from_secs(1)).contains(&took), "{took:?}");
}

#[tokio::test]
async fn a_body_that_never_ends_does_not_undo_the_answer() {
    let endpoint = Endpoint::start(async |mut visit: Visit| {
        visit.request().await;
        let start = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc";
        visit.stream.write_all(start).await.unwrap();
        wait_for_ever().await;
    })
    .await;
    let (result, took) = post_timed(&egress(), &endpoint.url("/")).await;
    let answer = result.unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (200, b"abc".as_slice()));
    assert!((EGRESS_TIME..EGRESS_TIME + Duration::from_secs(1)).contains(&took), "{took:?}");
}

#[tokio::test]
async fn a_name_that_nobody_answers_for_is_given_up() {
    let egress = Egress::with(EgressSettings::default(), names(&[]), None);
    tokio::time::pause();
    let (result, took) = post_timed(&egress, "http://never.example/").await;
    assert_eq!(result, Err(EgressError::Timeout(Phase::Lookup)));
    assert!((EGRESS_CONNECT_TIME..EGRESS_TIME).contains(&took), "{took:?}");
}

/// A listener on that address that takes no further connection, and what holds it so.
async fn full_listener(address: SocketAddr) -> (SocketAddr, impl Sized) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    let patience = Duration::from_millis(200);
    while let Ok(stream) = timeout(patience, tcp::connect(address)).await {
        waiting.push(stream.unwrap());
    }
    (address, (listener, waiting))
}

#[tokio::test]
async fn addresses_that_do_not_answer_share_the_time_to_connect() {
    let (address, _held) = full_listener("127.0.0.1:0".parse().unwrap()).await;
    let second = SocketAddr::new("127.0.0.2".parse().unwrap(), address.port());
    let (_, _also_held) = full_listener(second).await;
    let names = names(&[("deaf.example", &["127.0.0.1", "127.0.0.2"])]);
    let egress = Egress::with(allowing(&["127.0.0.0/8"]), names, None);
    tokio::time::pause();
    for host in ["127.0.0.1", "deaf.example"] {
        let url = format!("http://{host}:{}/", address.port());
        let (result, took) = post_timed(&egress, &url).await;
        assert_eq!(result, Err(EgressError::Timeout(Phase::Connect)));
        let limit = EGRESS_CONNECT_TIME + Duration::from_millis(100);
        assert!((EGRESS_CONNECT_TIME..limit).contains(&took), "{host}: {took:?}");
    }
}
