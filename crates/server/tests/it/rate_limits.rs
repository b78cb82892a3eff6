//! How often somebody may call (`livedesk-wire.md` 9.2); `proxies.rs` is about as whose call one
//! counts.

use futures::future::join_all;
use meishi_contacts::Role;
use serde_json::json;

use crate::{
    answer::Answer,
    app::{CONTACTS, Call, KEYS, NOON, TestApp, basic, contact},
    tcp::TcpServer,
};

const FIELDS: [&str; 5] = [
    "ratelimit",
    "ratelimit-policy",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
];

#[track_caller]
fn assert_unlimited(answer: &Answer) {
    for name in FIELDS {
        assert_eq!(answer.header(name), None, "{name}");
    }
}

/// Holds an answer to a refusal by that limit, for so many seconds.
#[track_caller]
fn assert_limited(answer: &Answer, limit: &str, seconds: i64) {
    assert_eq!((answer.status, answer.code()), (429, "rate_limited"), "{}", answer.text);
    assert_eq!(answer.members(), ["error", "code", "request_id"]);
    assert_eq!(answer.json["request_id"], answer.header("x-request-id").unwrap());
    assert_eq!(answer.header("retry-after"), Some(seconds.to_string().as_str()));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("www-authenticate"), None);
    let told = answer.header("ratelimit").unwrap();
    assert!(told.contains(&format!("\"{limit}\";r=0;t={seconds}")), "{told}");
    assert_eq!(answer.header("x-ratelimit-remaining"), Some("0"));
}

/// A call with a credential that opens nothing.
fn wrong(app: &TestApp) -> Call {
    app.client("mk_wrong", "ms_wrong").call("GET", CONTACTS)
}

async fn statuses(calls: impl IntoIterator<Item = Call>) -> Vec<u16> {
    let mut statuses = Vec::new();
    for call in calls {
        statuses.push(call.send().await.status);
    }
    statuses
}

#[tokio::test]
async fn nobody_with_a_good_key_is_limited_by_default_nor_told_of_limits() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    for _ in 0..150 {
        assert_unlimited(&anna.get(CONTACTS).await.ok());
    }
    assert_unlimited(&anna.get(contact(99)).await);
    assert_unlimited(&app.nobody().get(CONTACTS).await);
    assert_unlimited(&app.nobody().get("/").await);
}

#[tokio::test]
async fn a_key_has_as_many_calls_at_once_as_are_set_and_gets_them_back_evenly() {
    let app = TestApp::limited(|limits| limits.per_key = "3/m".parse().unwrap()).await;
    let (anna, bert) = (app.administrator().await, app.key(Role::Agent).await);
    for left in ["2", "1", "0"] {
        let answer = anna.get(CONTACTS).await.ok();
        assert_eq!(answer.header("ratelimit-policy"), Some("\"key\";q=3;w=60"));
        let expected = format!("\"key\";r={left};t=20");
        assert_eq!(answer.header("ratelimit"), Some(expected.as_str()));
        assert_eq!(answer.header("x-ratelimit-limit"), Some("3"));
        assert_eq!(answer.header("x-ratelimit-remaining"), Some(left));
        let reset = (NOON + 20).to_string();
        assert_eq!(answer.header("x-ratelimit-reset"), Some(reset.as_str()));
        assert_eq!(answer.header("retry-after"), None);
    }
    let refused = anna.post(CONTACTS, json!({ "inbox_id": 1 })).await;
    assert_limited(&refused, "key", 20);
    assert_eq!(refused.json["error"], "Too many calls with this key; try again in 20 s");
    assert_eq!(bert.get(CONTACTS).await.ok().count(), 0, "nothing was done, and others may call");

    app.clock.advance(19);
    assert_limited(&anna.get(CONTACTS).await, "key", 1);
    app.clock.advance(1);
    anna.get(CONTACTS).await.ok();
    assert_limited(&anna.get(CONTACTS).await, "key", 20);
    app.clock.advance(3600);
    assert_eq!(statuses((0..4).map(|_| anna.call("GET", CONTACTS))).await, [200, 200, 200, 429]);
}

#[tokio::test]
async fn what_fails_counts_as_well_and_tells_what_is_left() {
    let app = TestApp::limited(|limits| limits.per_key = "9/m".parse().unwrap()).await;
    let reader = app.key(Role::ReadOnly).await;
    let agent = app.key(Role::Agent).await;
    let other = app.account("Globex").await;
    let elsewhere = format!("/api/v2/accounts/{}/contacts", other.id);
    for (answer, status, left) in [
        (reader.get(contact(99)).await, 404, "8"),
        (reader.post(CONTACTS, json!({})).await, 403, "7"),
        (reader.get(elsewhere).await, 404, "6"),
        (reader.get(format!("{CONTACTS}?q=%zz")).await, 400, "5"),
        (agent.post(CONTACTS, json!({})).await, 422, "8"),
        (agent.call("POST", CONTACTS).text("application/json", "{").send().await, 400, "7"),
        (agent.call("POST", CONTACTS).text("text/plain", "x").send().await, 415, "6"),
    ] {
        assert_eq!(answer.status, status, "{}", answer.text);
        assert_eq!(answer.header("x-ratelimit-remaining"), Some(left), "{}", answer.text);
        assert!(!answer.text.is_empty() && answer.header("x-request-id").is_some());
    }
}

#[tokio::test]
async fn every_form_of_a_credential_and_every_account_in_the_path_is_the_same_key() {
    let app = TestApp::limited(|limits| limits.per_key = "3/m".parse().unwrap()).await;
    let anna = app.administrator().await;
    let nobody = app.nobody();
    let secret = anna.api_secret.as_str();
    anna.get(format!("/api/v2/accounts/{}/contacts", app.id)).await.ok();
    let bearer = format!("Bearer {secret}");
    nobody.call("GET", CONTACTS).header("authorization", bearer).send().await.ok();
    nobody.call("GET", CONTACTS).header("api_access_token", secret).send().await.ok();
    assert_limited(&anna.get(KEYS).await, "key", 20);
    // The key with the same number of another account is another one.
    let other = app.account("Globex").await.administrator().await;
    assert_eq!(other.get(CONTACTS).await.ok().header("x-ratelimit-remaining"), Some("2"));
}

#[tokio::test]
async fn an_address_is_limited_whatever_it_calls_with_but_never_the_probes() {
    let app = TestApp::limited(|limits| limits.per_address = "5/m".parse().unwrap()).await;
    let (anna, nobody) = (app.administrator().await, app.nobody());
    let there = "192.0.2.1";
    for (call, status) in [
        (anna.call("GET", CONTACTS), 200),
        (nobody.call("GET", CONTACTS), 401),
        (nobody.call("GET", "/nonsense"), 404),
        (nobody.call("DELETE", CONTACTS), 405),
        (nobody.call("GET", "/api/openapi.json"), 200),
    ] {
        let answer = call.from(there).send().await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("ratelimit-policy"), Some("\"address\";q=5;w=60"));
        assert_eq!(answer.header("allow").is_some(), status == 405);
    }
    for call in [anna.call("GET", CONTACTS), nobody.call("GET", "/"), anna.call("POST", "/x")] {
        let refused = call.from(there).send().await;
        assert_limited(&refused, "address", 12);
        assert_eq!(refused.json["error"], "Too many calls from this address; try again in 12 s");
    }
    for probe in ["/livez", "/readyz"] {
        for _ in 0..20 {
            assert_unlimited(&nobody.call("GET", probe).from(there).send().await.ok());
        }
        // Only the probes themselves are free.
        let near = format!("{probe}/");
        assert_limited(&nobody.call("GET", near).from(there).send().await, "address", 12);
    }
    anna.call("GET", CONTACTS).from("192.0.2.2").send().await.ok();
    anna.get(CONTACTS).await.ok();
    app.clock.advance(12);
    anna.call("GET", CONTACTS).from(there).send().await.ok();
}

#[tokio::test]
async fn both_limits_are_told_and_the_older_headers_tell_the_tighter_one() {
    let app = TestApp::limited(|limits| {
        limits.per_key = "2/s".parse().unwrap();
        limits.per_address = "100/10m".parse().unwrap();
    })
    .await;
    let anna = app.administrator().await;
    let answer = anna.get(CONTACTS).await.ok();
    assert_eq!(answer.header("ratelimit-policy"), Some("\"address\";q=100;w=600, \"key\";q=2;w=1"));
    assert_eq!(answer.header("ratelimit"), Some("\"address\";r=99;t=6, \"key\";r=1;t=1"));
    assert_eq!(answer.header("x-ratelimit-limit"), Some("2"));
    assert_eq!(answer.header("x-ratelimit-remaining"), Some("1"));
    anna.get(CONTACTS).await.ok();
    let refused = anna.get(CONTACTS).await;
    assert_limited(&refused, "key", 1);
    // What the key was refused did cost the address a call.
    assert_eq!(refused.header("ratelimit"), Some("\"address\";r=97;t=6, \"key\";r=0;t=1"));
}

#[tokio::test]
async fn a_burst_of_concurrent_calls_gets_through_to_the_limit_and_no_further() {
    let app = TestApp::limited(|limits| limits.per_key = "10/h".parse().unwrap()).await;
    let anna = app.administrator().await;
    let answers = join_all((0..100).map(|_| anna.get(CONTACTS))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 10);
    assert_eq!(answers.iter().filter(|answer| answer.status == 429).count(), 90);
}

#[tokio::test]
async fn failed_authentication_slows_an_address_down_and_nobody_else() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    for left in (0..20).rev() {
        let answer = wrong(&app).from("192.0.2.1").send().await;
        assert_eq!((answer.status, answer.code()), (401, "unauthenticated"));
        assert!(answer.header("www-authenticate").is_some());
        assert_eq!(answer.header("ratelimit-policy"), Some("\"failed-authentication\";q=20;w=60"));
        let expected = format!("\"failed-authentication\";r={left};t=3");
        assert_eq!(answer.header("ratelimit"), Some(expected.as_str()));
    }
    let refused = wrong(&app).from("192.0.2.1").send().await;
    assert_limited(&refused, "failed-authentication", 3);
    assert_eq!(
        refused.json["error"],
        "Invalid Access Token, and too many of them from this address; try again in 3 s"
    );
    // Who shares the address and has a good key notices nothing.
    for _ in 0..30 {
        assert_unlimited(&anna.call("GET", CONTACTS).from("192.0.2.1").send().await.ok());
    }
    assert_eq!(wrong(&app).from("192.0.2.2").send().await.status, 401);
    assert_eq!(wrong(&app).send().await.status, 401);

    app.clock.advance(3);
    let again = statuses((0..2).map(|_| wrong(&app).from("192.0.2.1"))).await;
    assert_eq!(again, [401, 429]);
    app.clock.advance(60);
    let again = statuses((0..21).map(|_| wrong(&app).from("192.0.2.1"))).await;
    assert_eq!(again, [[401; 20].as_slice(), &[429]].concat());
}

#[tokio::test]
async fn every_way_to_fail_counts_and_asking_without_a_credential_does_not() {
    let app =
        TestApp::limited(|limits| limits.failed_authentication = "7/h".parse().unwrap()).await;
    let (anna, nobody) = (app.administrator().await, app.nobody());
    let expiring = json!({ "name": "x", "role": "agent", "expires_at": "2025-12-24T10:30:00Z" });
    let made = anna.post(KEYS, expiring).await.ok();
    let text = |name: &str| made.payload()[name].as_str().unwrap().to_owned();
    let expired = app.client(&text("api_key"), &text("api_secret"));
    expired.get(CONTACTS).await.ok();
    let revoked = app.key(Role::Agent).await;
    let listed = anna.get(KEYS).await.ok();
    let id = listed.payload().as_array().unwrap().iter().map(|key| key["id"].as_i64().unwrap());
    anna.delete(format!("{KEYS}/{}", id.max().unwrap())).await.ok();
    app.clock.advance(600);

    // A client that waits to be asked for its credential sends its first request without one.
    for _ in 0..50 {
        let answer = nobody.get(CONTACTS).await;
        assert_eq!(answer.status, 401);
        assert_unlimited(&answer);
    }
    let with = |name: &str, value: &str| nobody.call("GET", CONTACTS).header(name, value);
    let failures = [
        with("authorization", &basic(&anna.api_key, "wrong")),
        with("authorization", &basic("mk_unknown", &anna.api_secret)),
        with("authorization", "Bearer wrong"),
        with("api_access_token", "wrong"),
        expired.call("GET", CONTACTS),
        revoked.call("GET", CONTACTS),
        with("authorization", "Bearer "),
        with("api_access_token", "wrong"),
        revoked.call("GET", CONTACTS),
    ];
    assert_eq!(statuses(failures).await, [401, 401, 401, 401, 401, 401, 401, 429, 429]);
    assert_eq!(nobody.get(CONTACTS).await.status, 401);
    anna.get(CONTACTS).await.ok();
}

#[tokio::test]
async fn the_limit_of_failures_can_be_switched_off() {
    let app =
        TestApp::limited(|limits| limits.failed_authentication = "off".parse().unwrap()).await;
    for _ in 0..100 {
        let answer = wrong(&app).send().await;
        assert_eq!(answer.status, 401);
        assert_unlimited(&answer);
    }
}

#[tokio::test]
async fn many_addresses_are_counted_each_for_itself() {
    let app =
        TestApp::limited(|limits| limits.failed_authentication = "1/h".parse().unwrap()).await;
    for round in [401, 429] {
        for host in 0..300_u32 {
            let address = std::net::Ipv4Addr::from(0xc633_6400 + host).to_string();
            assert_eq!(wrong(&app).from(&address).send().await.status, round, "{address}");
        }
    }
}

#[tokio::test]
async fn a_refusal_leaves_the_connection_usable() {
    let app = TestApp::limited(|limits| limits.per_key = "1/h".parse().unwrap()).await;
    let anna = app.administrator().await;
    let server = TcpServer::start(&app).await;
    let mut connection = server.connect().await;
    let credential = basic(&anna.api_key, &anna.api_secret);
    let request =
        format!("GET {CONTACTS} HTTP/1.1\r\nHost: x\r\nAuthorization: {credential}\r\n\r\n");
    for status in [200, 429, 429] {
        connection.send(&request).await;
        assert_eq!(connection.answer().await.unwrap().status, status);
    }
    server.stop().await.unwrap();
}
