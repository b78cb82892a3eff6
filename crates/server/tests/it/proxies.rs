//! As whose call one counts: addresses, networks, and what proxies tell.

use rstest::rstest;

use crate::{app::TestApp, tcp::TcpServer};

#[rstest]
#[case::one_network("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true)]
#[case::another_network("2001:db8:1:2::1", "2001:db8:1:3::1", false)]
#[case::mapped("192.0.2.1", "::ffff:192.0.2.1", true)]
#[case::mapped_others("::ffff:192.0.2.1", "::ffff:192.0.2.2", false)]
#[case::neighbours("192.0.2.1", "192.0.2.2", false)]
#[case::none_at_all("127.0.0.1", "", true)]
#[tokio::test]
async fn an_ipv6_caller_is_its_network_and_a_mapped_one_its_ipv4_address(
    #[case] one: &str,
    #[case] other: &str,
    #[case] same: bool,
) {
    let app = TestApp::limited(|limits| limits.per_address = "1/h".parse().unwrap()).await;
    let nobody = app.nobody();
    nobody.call("GET", "/").from(one).send().await.ok();
    let call = nobody.call("GET", "/");
    let call = if other.is_empty() { call } else { call.from(other) };
    assert_eq!(call.send().await.status == 429, same);
}

#[rstest]
#[case("x-forwarded-for", "203.0.113.7")]
#[case("forwarded", "for=203.0.113.7")]
#[tokio::test]
async fn nobody_is_believed_about_addresses_who_is_not_trusted(
    #[case] name: &str,
    #[case] spoofed: &str,
) {
    for trusted in [vec![], vec!["10.0.0.0/8".parse().unwrap()]] {
        let app = TestApp::limited(|limits| {
            limits.per_address = "1/h".parse().unwrap();
            limits.trusted_proxies = trusted;
        })
        .await;
        let nobody = app.nobody();
        let call = |peer: &str| nobody.call("GET", "/").from(peer);
        call("192.0.2.1").send().await.ok();
        assert_eq!(call("192.0.2.1").header(name, spoofed).send().await.status, 429);
        // Nor is the one who was named charged for it.
        call("203.0.113.7").send().await.ok();
    }
}

/// Behind the trusted proxy 10.0.0.1: as whose call one with these headers counts.
#[rstest]
#[case(&[("x-forwarded-for", "192.0.2.1")], "192.0.2.1")]
#[case(&[("x-forwarded-for", "198.51.100.1, 192.0.2.1, 10.0.0.2")], "192.0.2.1")]
#[case(&[("x-forwarded-for", "198.51.100.1"), ("x-forwarded-for", "192.0.2.1")], "192.0.2.1")]
#[case(&[("x-forwarded-for", "2001:db8::5")], "2001:db8::99")]
#[case(&[("x-forwarded-for", "10.0.0.3, 10.0.0.2")], "10.0.0.3")]
#[case(&[("forwarded", "for=198.51.100.1, for=192.0.2.1;proto=https")], "192.0.2.1")]
#[case(&[("forwarded", r#"for="[2001:db8:cafe::17]:4711""#)], "2001:db8:cafe::1")]
#[case(&[("forwarded", r#"For="192.0.2.1:80";by="_x", for=10.0.0.2"#)], "192.0.2.1")]
#[case(&[("forwarded", "for=192.0.2.1"), ("x-forwarded-for", "192.0.2.1")], "192.0.2.1")]
#[case(&[("forwarded", "for=198.51.100.1"), ("x-forwarded-for", "192.0.2.1")], "10.0.0.1")]
#[case(&[("forwarded", "for=_hidden")], "10.0.0.1")]
#[case(&[("forwarded", "for=unknown")], "10.0.0.1")]
#[case(&[("forwarded", "for=192.0.2.1, for=_hidden")], "10.0.0.1")]
#[case(&[("forwarded", r#"for=198.51.100.1;x=", for=192.0.2.1"#)], "10.0.0.1")]
#[case(&[("x-forwarded-for", "nonsense")], "10.0.0.1")]
#[case(&[("x-forwarded-for", "")], "10.0.0.1")]
#[case(&[("x-real-ip", "192.0.2.1")], "10.0.0.1")]
#[case(&[], "10.0.0.1")]
#[tokio::test]
async fn a_trusted_proxy_tells_who_calls(#[case] headers: &[(&str, &str)], #[case] caller: &str) {
    let app = TestApp::limited(|limits| {
        limits.per_address = "1/h".parse().unwrap();
        limits.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
    })
    .await;
    let nobody = app.nobody();
    let call = || {
        let call = nobody.call("GET", "/").from("10.0.0.1");
        headers.iter().fold(call, |call, (name, value)| call.header(name, value))
    };
    call().send().await.ok();
    assert_eq!(call().send().await.status, 429);
    // Whoever it counted for has no call left, and others have.
    assert_eq!(nobody.call("GET", "/").from(caller).send().await.status, 429);
    nobody.call("GET", "/").from("198.51.100.1").send().await.ok();
}

#[tokio::test]
async fn a_header_of_no_text_is_nonsense() {
    let app = TestApp::limited(|limits| {
        limits.per_address = "1/h".parse().unwrap();
        limits.trusted_proxies = vec!["10.0.0.1".parse().unwrap()];
    })
    .await;
    let nobody = app.nobody();
    let call = || nobody.call("GET", "/").from("10.0.0.1").header("x-forwarded-for", b"\xff, ::1");
    call().send().await.ok();
    assert_eq!(nobody.call("GET", "/").from("10.0.0.1").send().await.status, 429);
}

#[tokio::test]
async fn the_address_of_a_connection_is_the_one_that_counts() {
    let app = TestApp::limited(|limits| {
        limits.per_address = "2/h".parse().unwrap();
        limits.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    })
    .await;
    let server = TcpServer::start(&app).await;
    let get = async |header: &str| {
        let mut connection = server.connect().await;
        connection.send(format!("GET / HTTP/1.1\r\nHost: x\r\n{header}\r\n")).await;
        connection.answer().await.unwrap().status
    };
    // The tests' own caller without a connection counts as this machine.
    app.nobody().get("/").await.ok();
    assert_eq!(get("").await, 200);
    assert_eq!(get("").await, 429);
    for _ in 0..2 {
        assert_eq!(get("X-Forwarded-For: 192.0.2.1\r\n").await, 200);
    }
    assert_eq!(get("X-Forwarded-For: 192.0.2.1\r\n").await, 429);
    assert_eq!(get("X-Forwarded-For: 192.0.2.2\r\n").await, 200);
    server.stop().await.unwrap();
}
