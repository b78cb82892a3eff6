//! Limits, each with its own error.

use std::time::Duration;

use axum::body::Body;
use futures::stream;
use meishi_contacts::limits::{
    ATTRIBUTES_BYTES, ATTRIBUTES_DEPTH, BODY_BYTES, BODY_TIMEOUT, HEADER_BYTES, URI_BYTES,
};
use meishi_server::{Settings, directory::IndexSettings};
use serde_json::{Value, json};

use super::indexes;
use crate::app::{CONTACTS, TestApp, contact, list};

/// A JSON body of exactly so many bytes, with a name that is too long.
fn body_of(bytes: usize) -> String {
    let frame = r#"{"inbox_id":1,"name":""}"#.len();
    format!(r#"{{"inbox_id":1,"name":"{}"}}"#, "x".repeat(bytes - frame))
}

#[tokio::test]
async fn a_body_of_more_than_a_mebibyte_is_too_large() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let answer = anna.call("POST", CONTACTS).body(body_of(BODY_BYTES)).send().await;
    assert_eq!((answer.status, answer.attributes()), (422, vec!["name"]));
    assert!(answer.text.len() < 1000);

    let too_large = body_of(BODY_BYTES + 1);
    let told = anna.call("POST", CONTACTS).header("content-length", too_large.len().to_string());
    let chunks = stream::iter([Ok::<_, std::io::Error>("x".repeat(BODY_BYTES)), Ok("x".into())]);
    for answer in [
        anna.call("POST", CONTACTS).body(too_large.clone()).send().await,
        told.body(too_large).send().await,
        anna.call("POST", CONTACTS).body(Body::from_stream(chunks)).send().await,
    ] {
        assert_eq!((answer.status, answer.code()), (413, "body_too_large"));
        assert_eq!(answer.members(), ["error", "code", "request_id"]);
        assert_eq!(answer.header("connection"), Some("close"));
    }
}

#[tokio::test]
async fn a_length_that_is_told_is_judged_before_a_byte_is_read() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let never = Body::from_stream(stream::pending::<Result<String, std::io::Error>>());
    let call = anna.call("POST", CONTACTS).header("content-length", "99999999");
    let answer = tokio::time::timeout(Duration::from_secs(5), call.body(never).send()).await;
    assert_eq!(answer.unwrap().status, 413);
}

#[tokio::test]
async fn a_body_that_does_not_arrive_in_time_is_told_so() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let begun = tokio::time::Instant::now();
    // Time leaps from when the body is waited for, and not while the store is.
    let never = Body::from_stream(stream::once(async {
        tokio::time::pause();
        std::future::pending::<Result<String, std::io::Error>>().await
    }));
    let answer = anna.call("POST", CONTACTS).body(never).send().await;
    assert_eq!((answer.status, answer.code()), (408, "timeout"));
    assert_eq!(answer.members(), ["error", "code", "request_id"]);
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(begun.elapsed() >= BODY_TIMEOUT);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_malformed() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let broken = stream::iter([Ok("{"), Err(std::io::Error::other("gone"))]);
    let answer = anna.call("POST", CONTACTS).body(Body::from_stream(broken)).send().await;
    assert_eq!((answer.status, answer.code()), (400, "malformed_request"));
}

#[tokio::test]
async fn a_path_and_query_of_more_than_eight_kibibytes_are_too_long() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let query = |bytes: usize| format!("{CONTACTS}?q={}", "a".repeat(bytes - CONTACTS.len() - 3));
    assert_eq!(query(URI_BYTES).len(), URI_BYTES);
    anna.get(query(URI_BYTES)).await.ok();
    let path = format!("{CONTACTS}/{}", "1".repeat(URI_BYTES));
    for answer in [
        anna.get(query(URI_BYTES + 1)).await,
        anna.get(path).await,
        anna.get(format!("/{}", "x".repeat(URI_BYTES))).await,
    ] {
        assert_eq!((answer.status, answer.code()), (414, "uri_too_long"));
        assert_eq!(answer.members(), ["error", "code", "request_id"]);
    }
}

#[tokio::test]
async fn headers_of_more_than_thirty_two_kibibytes_are_too_large() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let with = async |bytes: usize| {
        let call = anna.call("GET", CONTACTS).header("x-padding", "x".repeat(bytes));
        call.send().await
    };
    with(HEADER_BYTES - 1024).await.ok();
    let answer = with(HEADER_BYTES).await;
    assert_eq!((answer.status, answer.code()), (431, "headers_too_large"));
    assert_eq!(answer.members(), ["error", "code", "request_id"]);
}

/// Texts that, with their key, are so many bytes of JSON.
fn map_of(bytes: usize) -> Value {
    json!({ "k": "x".repeat(bytes - r#"{"k":""}"#.len()) })
}

#[tokio::test]
async fn both_attribute_maps_together_hold_sixty_four_kibibytes() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let half = ATTRIBUTES_BYTES / 2;
    let fits = json!({ "custom_attributes": map_of(half), "additional_attributes": map_of(half) });
    let id = anna.contact(fits).await;
    let before = app.events().await;
    for (body, attributes) in [
        (json!({ "custom_attributes": map_of(half + 1) }), vec!["custom_attributes"]),
        (json!({ "additional_attributes": { "one": "more" } }), vec!["additional_attributes"]),
        (json!({ "city": "Bern" }), vec!["additional_attributes"]),
    ] {
        let answer = anna.patch(contact(id), body).await;
        assert_eq!((answer.status, answer.code()), (422, "limit_exceeded"));
        assert_eq!(answer.attributes(), attributes);
        assert!(answer.message().contains("65536"), "{}", answer.message());
    }
    let body = json!({ "inbox_id": 1, "custom_attributes": map_of(ATTRIBUTES_BYTES - 1) });
    let answer = anna.post(CONTACTS, body).await;
    assert_eq!((answer.status, answer.code()), (422, "limit_exceeded"));
    assert_eq!(app.events().await, before);
    // What makes it smaller is always allowed.
    anna.patch(contact(id), json!({ "custom_attributes": { "k": null } })).await.ok();
}

#[tokio::test]
async fn an_exceeded_limit_is_told_with_the_other_faults() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({ "identifier": "taken" })).await;
    let other = anna.contact(json!({})).await;
    let body = json!({
        "inbox_id": 1, "email": "nonsense", "identifier": "taken",
        "custom_attributes": map_of(ATTRIBUTES_BYTES),
    });
    for answer in [anna.post(CONTACTS, body.clone()).await, anna.patch(contact(other), body).await]
    {
        assert_eq!((answer.status, answer.code()), (422, "invalid"));
        assert_eq!(answer.attributes(), ["email", "identifier", "custom_attributes"]);
        assert_eq!(answer.json["existing_contact_id"], id);
    }
}

#[tokio::test]
async fn an_attribute_map_has_at_most_thirty_two_levels() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!({ "k": inner }));
    anna.patch(contact(id), json!({ "custom_attributes": nested(ATTRIBUTES_DEPTH) })).await.ok();
    for field in ["custom_attributes", "additional_attributes"] {
        let answer = anna.patch(contact(id), json!({ field: nested(ATTRIBUTES_DEPTH + 1) })).await;
        assert_eq!((answer.status, answer.code()), (422, "limit_exceeded"));
        assert_eq!(answer.attributes(), [field]);
        assert_eq!(answer.pointers(), [format!("/{field}/k")]);
    }
}

#[tokio::test]
async fn a_merge_patch_cannot_nest_deeper_by_steps() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    // Each step is an object of the allowed depth; together they must not exceed it.
    let deep =
        |levels: usize, leaf: Value| (0..levels).fold(leaf, |inner, _| json!({ "k": inner }));
    let send = async |body: Value| {
        let call = anna.call("PATCH", contact(id));
        call.text("application/merge-patch+json", body.to_string()).send().await
    };
    send(json!({ "custom_attributes": deep(31, json!({})) })).await.ok();
    let answer = send(json!({ "custom_attributes": deep(32, json!({})) })).await;
    assert_eq!((answer.status, answer.code()), (422, "limit_exceeded"));
}

#[tokio::test]
async fn a_query_that_computes_too_long_is_given_up_as_busy() {
    let index = IndexSettings { query_time: Duration::ZERO, ..IndexSettings::default() };
    let app = TestApp::start_with(Settings { index, ..Settings::default() }).await;
    // As many as make a query long.
    let names = (0..20_001).map(|number| format!("Somebody {number}"));
    indexes::create(&app.app, app.id, names).await;
    let sorted = list(&[("sort", "name")]);
    let found = list(&[("q", "somebody"), ("sort", "-name")]);
    let filter = format!("{CONTACTS}/filter?resolved=false");
    let condition =
        json!({ "attribute_key": "name", "filter_operator": "contains", "values": ["BODY 7"] });
    let body = json!({ "payload": [condition] });

    let anna = app.administrator().await;
    for answer in
        [anna.get(&sorted).await, anna.get(&found).await, anna.post(&filter, body.clone()).await]
    {
        assert_eq!((answer.status, answer.code()), (503, "busy"), "{}", answer.text);
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_eq!(answer.members(), ["error", "code", "request_id"]);
    }
    // What is no work needs no time.
    assert_eq!(anna.get(CONTACTS).await.ok().payload().as_array().unwrap().len(), 15);

    let app = app.on(app.restarted_with(Settings::default()));
    let anna = app.administrator().await;
    assert_eq!(anna.get(&sorted).await.ok().names()[..2], ["Somebody 0", "Somebody 1"]);
    assert_eq!(anna.get(&found).await.ok().names()[0], "Somebody 9999");
    assert_eq!(anna.post(&filter, body).await.ok().count(), 1 + 10 + 100 + 1000);
}
