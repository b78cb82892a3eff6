//! `Idempotency-Key`: a write that is repeated is done once and answered the same.

use std::time::Duration;

use futures::future::join_all;
use meishi_contacts::Role;
use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    answer::{Answer, members},
    app::{CONTACTS, Client, INBOXES, KEYS, TestApp, contact},
    routes::{self, Subjects},
};

const REPLAYED: &str = "idempotency-replayed";

/// Calls under a key, with a body where there is one.
async fn call(client: &Client, method: &str, path: &str, key: &str, body: &Value) -> Answer {
    let call = client.call(method, path).header("idempotency-key", key);
    let call = if body.is_null() { call } else { call.json(body) };
    call.send().await
}

async fn create(client: &Client, key: &str, name: &str) -> Answer {
    call(client, "POST", CONTACTS, key, &json!({ "inbox_id": 1, "name": name })).await
}

fn is_replay(answer: &Answer) -> bool {
    match answer.header(REPLAYED) {
        None => false,
        Some("true") => true,
        Some(other) => panic!("{other}"),
    }
}

/// An error as it is told again: all of it but the request's own id.
#[track_caller]
fn assert_same_error(first: &Answer, again: &Answer) {
    assert!(!is_replay(first) && is_replay(again), "{} {}", first.text, again.text);
    assert_eq!(first.status, again.status);
    assert_eq!(again.json["request_id"].as_str(), again.header("x-request-id"));
    let [mut first, mut again] = [first.json.clone(), again.json.clone()];
    first["request_id"] = Value::Null;
    again["request_id"] = Value::Null;
    assert_eq!(first, again);
}

/// Holds a repeat to the first answer. Only a secret is not told again.
#[track_caller]
fn assert_repeats(first: &Answer, again: &Answer) {
    assert_eq!(first.status, again.status, "{}", again.text);
    assert!(!is_replay(first) && is_replay(again), "{} {}", first.text, again.text);
    assert_eq!(first.header("etag"), again.header("etag"));
    let mut expected = first.json.clone();
    let secret = expected["payload"].as_object_mut().and_then(|payload| {
        let [of_key, of_webhook] = ["api_secret", "secret"].map(|name| payload.shift_remove(name));
        of_key.or(of_webhook)
    });
    let Some(secret) = secret else {
        assert_eq!(first.text, again.text);
        return;
    };
    assert!(!again.text.contains(secret.as_str().unwrap()), "{}", again.text);
    assert_eq!(again.members(), ["meta", "payload"]);
    assert_eq!(members(&again.json["meta"]), ["secret"]);
    assert!(again.json["meta"]["secret"].as_str().unwrap().starts_with("shown once"));
    assert_eq!(*again.payload(), expected["payload"]);
}

#[tokio::test]
async fn every_route_that_writes_does_a_repeat_once_and_answers_it_the_same() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    for (method, path) in routes::all() {
        if routes::only_reads(&method, &path) || !routes::has_account(&path) {
            continue;
        }
        let subjects = Subjects::make(&anna, "subject").await;
        let target = subjects.fill(&path);
        let body = subjects.body(&method, &path, app.inbox);
        let before = app.events().await;
        let first = call(&anna, &method, &target, "key", &body).await.ok();
        let after = app.events().await;
        // To deliver once more changes nothing of the account.
        let is_told = after > before || path.ends_with("/redeliver");
        assert!(is_told, "{method} {path} writes nothing that could be repeated");
        for _ in 0..2 {
            assert_repeats(&first, &call(&anna, &method, &target, "key", &body).await);
        }
        // Another query, another body: another request.
        let other = call(&anna, &method, &format!("{target}?other=1"), "key", &body).await;
        assert_eq!((other.status, other.code()), (422, "idempotency_mismatch"), "{method} {path}");
        assert!(!is_replay(&other));
        if !body.is_null() {
            let mut changed = body.clone();
            changed["unknown"] = json!(true);
            let other = call(&anna, &method, &target, "key", &changed).await;
            assert_eq!(other.code(), "idempotency_mismatch", "{method} {path}");
        }
        assert_eq!(app.events().await, after, "{method} {path}");
        // What it tells of another request is no outcome: the key still stands for the first.
        assert_repeats(&first, &call(&anna, &method, &target, "key", &body).await);
    }
}

#[tokio::test]
async fn another_body_is_told_in_the_form_of_errors_of_fields() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    create(&anna, "k", "Anna").await.ok();
    let other = create(&anna, "k", "Bert").await;
    assert_eq!(other.status, 422);
    assert_eq!(other.members(), ["message", "attributes", "code", "request_id"]);
    assert_eq!(other.message(), "The idempotency key was used for another request");
    assert_eq!(other.attributes(), Vec::<&str>::new());
    assert_eq!(anna.get(CONTACTS).await.ok().names(), ["Anna"]);
}

#[tokio::test]
async fn a_repeat_is_answered_as_it_was_although_it_changed_since() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let first = create(&anna, "k", "Anna").await.ok();
    let id = first.payload()["contact"]["id"].as_i64().unwrap();
    anna.patch(contact(id), json!({ "name": "Anne" })).await.ok();
    anna.patch(format!("{INBOXES}/1"), json!({ "name": "Renamed" })).await.ok();
    assert_repeats(&first, &create(&anna, "k", "Anna").await);
    anna.delete(contact(id)).await.ok();
    app.clock.advance(23 * 3600);
    assert_repeats(&first, &create(&anna, "k", "Anna").await);
    assert_eq!(anna.get(CONTACTS).await.ok().count(), 0);
}

#[tokio::test]
async fn refusals_are_told_again_although_nothing_stands_in_the_way_any_more() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let email = json!({ "inbox_id": 1, "email": "anna@acme.inc" });
    let id = anna.contact(email.clone()).await;
    let channel = format!("{INBOXES}/1");
    let missing = contact(404);
    let cases = [
        ("POST", CONTACTS, &email, 422, "taken"),
        ("POST", CONTACTS, &json!({ "inbox_id": 404 }), 404, "not_found"),
        ("POST", CONTACTS, &json!({ "inbox_id": 1, "email": "x" }), 422, "invalid"),
        ("PATCH", &missing, &json!({ "name": "x" }), 404, "not_found"),
        ("DELETE", &missing, &Value::Null, 404, "not_found"),
        ("DELETE", &channel, &Value::Null, 409, "has_contacts"),
    ];
    let mut refused = Vec::new();
    for (number, (method, path, body, status, code)) in cases.iter().enumerate() {
        let answer = call(&anna, method, path, &number.to_string(), body).await;
        assert_eq!((answer.status, answer.code()), (*status, *code), "{}", answer.text);
        refused.push(answer);
    }
    anna.delete(contact(id)).await.ok();
    let before = app.events().await;
    for (number, (first, (method, path, body, ..))) in refused.iter().zip(&cases).enumerate() {
        assert_same_error(first, &call(&anna, method, path, &number.to_string(), body).await);
    }
    assert_eq!(app.events().await, before);
}

#[tokio::test]
async fn what_is_refused_before_the_record_is_asked_leaves_the_key_free() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let reader = app.key(Role::ReadOnly).await;
    let refused = [
        anna.call("POST", CONTACTS).header("idempotency-key", "k").body("{").send().await,
        anna.call("POST", CONTACTS)
            .header("idempotency-key", "k")
            .text("text/plain", "x")
            .send()
            .await,
        create(&reader, "k", "Anna").await,
        create(&app.nobody(), "k", "Anna").await,
        call(&anna, "POST", INBOXES, "k", &json!({ "name": "" })).await,
        call(&anna, "POST", KEYS, "k", &json!({ "role": "owner" })).await,
    ];
    let statuses: Vec<u16> = refused.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [400, 415, 403, 401, 422, 422]);
    assert!(!is_replay(&create(&anna, "k", "Anna").await.ok()));
    for (path, body) in
        [(INBOXES, json!({ "name": "x" })), (KEYS, json!({ "name": "x", "role": "agent" }))]
    {
        assert!(!is_replay(&call(&anna, "POST", path, "k", &body).await.ok()));
    }
}

#[tokio::test]
async fn a_key_in_quotes_is_the_same_as_without() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let first = create(&anna, "8e03978e-40d5", "Anna").await.ok();
    assert_repeats(&first, &create(&anna, "\"8e03978e-40d5\"", "Anna").await);
    let long = "x".repeat(255);
    let first = create(&anna, &format!("\"{long}\""), "Bert").await.ok();
    assert_repeats(&first, &create(&anna, &long, "Bert").await);
    assert!(!is_replay(&create(&anna, "8e03978e-40D5", "Anna").await.ok()));
}

#[rstest]
#[case::empty("")]
#[case::empty_in_quotes("\"\"")]
#[case::blank("two words")]
#[case::blank_in_quotes("\"two words\"")]
#[case::half_quoted("\"k")]
#[case::list("\"a\", \"b\"")]
#[case::parameter("\"a\";x=1")]
#[case::escape("\"a\\b\"")]
#[case::not_ascii("schlüssel")]
#[case::long(&"x".repeat(256))]
#[tokio::test]
async fn what_is_no_key_is_refused_where_it_would_count(#[case] key: &str) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    let before = app.events().await;
    for (method, path, body) in [
        ("POST", CONTACTS, json!({ "inbox_id": 1 })),
        ("PATCH", &contact(id), json!({ "name": "x" })),
        ("PUT", &contact(id), json!({ "name": "x" })),
        ("DELETE", &contact(id), Value::Null),
    ] {
        let answer = call(&anna, method, path, key, &body).await;
        assert_eq!((answer.status, answer.code()), (400, "malformed_request"), "{}", answer.text);
        assert!(answer.json["error"].as_str().unwrap().contains("Idempotency-Key"));
        assert_eq!(call(&app.nobody(), method, path, key, &body).await.status, 401);
    }
    call(&anna, "GET", &contact(id), key, &Value::Null).await.ok();
    assert_eq!(call(&anna, "HEAD", &contact(id), key, &Value::Null).await.status, 200);
    assert_eq!(app.events().await, before);
}

#[tokio::test]
async fn two_keys_are_one_too_many() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let call = anna.call("POST", CONTACTS).header("idempotency-key", "a");
    let call = call.header("idempotency-key", "a").json(&json!({ "inbox_id": 1 }));
    let answer = call.send().await;
    assert_eq!((answer.status, answer.code()), (400, "malformed_request"));
    assert_eq!(anna.get(CONTACTS).await.ok().count(), 0);
}

#[tokio::test]
async fn a_read_has_no_use_for_a_key() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({ "name": "Anna" })).await;
    let read = async || call(&anna, "GET", &contact(id), "k", &Value::Null).await.ok();
    assert!(!is_replay(&read().await));
    anna.patch(contact(id), json!({ "name": "Anne" })).await.ok();
    let again = read().await;
    assert_eq!((again.payload()["name"].as_str(), is_replay(&again)), (Some("Anne"), false));
}

#[tokio::test]
async fn the_account_in_the_path_and_how_the_type_is_written_make_no_other_request() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let body = json!({ "inbox_id": 1, "name": "Anna" }).to_string();
    let send = async |path: &str, content_type: &str| {
        let call = anna.call("POST", path).header("idempotency-key", "k");
        call.text(content_type, body.clone()).send().await
    };
    let first = send(CONTACTS, "application/json").await.ok();
    let with_account = format!("/api/v2/accounts/{}/contacts", app.id);
    assert_repeats(&first, &send(&with_account, "application/json").await);
    assert_repeats(&first, &send(CONTACTS, "Application/JSON; charset=utf-8").await);
    let without = anna.call("POST", CONTACTS).header("idempotency-key", "k");
    assert_repeats(&first, &without.body(body.clone()).send().await);
    let as_form = send(CONTACTS, "application/x-www-form-urlencoded").await;
    assert_eq!(as_form.code(), "idempotency_mismatch");
}

#[tokio::test]
async fn a_patch_as_a_merge_patch_is_another_request() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    let send = async |content_type: &str| {
        let call = anna.call("PATCH", contact(id)).header("idempotency-key", "k");
        call.text(content_type, r#"{"custom_attributes":{"a":1}}"#).send().await
    };
    send("application/json").await.ok();
    assert_eq!(send("application/merge-patch+json").await.code(), "idempotency_mismatch");
}

#[tokio::test]
async fn credentials_accounts_and_routes_have_keys_of_their_own() {
    let app = TestApp::start().await;
    let (anna, bert) = (app.administrator().await, app.administrator().await);
    let globex = app.account("Globex").await;
    // Her key has the same number in her account as Anna's in hers.
    let gina = globex.administrator().await;
    for client in [&anna, &bert, &gina] {
        assert!(!is_replay(&create(client, "k", "Anna").await.ok()));
        assert!(is_replay(&create(client, "k", "Anna").await.ok()));
    }
    assert_eq!(anna.get(CONTACTS).await.ok().count(), 2);
    assert_eq!(gina.get(CONTACTS).await.ok().count(), 1);

    let id = anna.get(CONTACTS).await.ok().ids()[0];
    let name = json!({ "name": "Anne" });
    for (method, path) in
        [("POST", INBOXES.to_owned()), ("PATCH", contact(id)), ("PUT", contact(id))]
    {
        assert!(!is_replay(&call(&anna, method, &path, "k", &name).await.ok()), "{method} {path}");
    }
    // The contacts of a route share its keys.
    let other = call(&anna, "PATCH", &contact(id - 1), "k", &name).await;
    assert_eq!(other.code(), "idempotency_mismatch");
}

#[tokio::test]
async fn a_key_lives_through_the_rotation_of_its_credential() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let made = anna.post(KEYS, json!({ "name": "x", "role": "agent" })).await.ok();
    let text = |answer: &Answer, name: &str| answer.payload()[name].as_str().unwrap().to_owned();
    let holder =
        |answer: &Answer| app.client(&text(answer, "api_key"), &text(answer, "api_secret"));
    let first = create(&holder(&made), "k", "Anna").await.ok();
    let rotate = format!("{KEYS}/{}/rotate", made.payload()["id"]);
    let rotated = anna.post(rotate, json!({})).await.ok();
    assert_repeats(&first, &create(&holder(&rotated), "k", "Anna").await);
}

#[tokio::test]
async fn a_secret_is_told_once_and_stays_good() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let body = json!({ "name": "CRM", "role": "agent" });
    let first = call(&anna, "POST", KEYS, "k", &body).await.ok();
    let again = call(&anna, "POST", KEYS, "k", &body).await.ok();
    assert_repeats(&first, &again);
    let text = |name: &str| first.payload()[name].as_str().unwrap();
    let crm = app.client(text("api_key"), text("api_secret"));
    crm.get(CONTACTS).await.ok();

    let rotate = format!("{KEYS}/{}/rotate", first.payload()["id"]);
    let rotated = call(&anna, "POST", &rotate, "k", &json!({})).await.ok();
    let secret = rotated.payload()["api_secret"].as_str().unwrap();
    assert_repeats(&rotated, &call(&anna, "POST", &rotate, "k", &json!({})).await);
    // The repeat did not rotate again.
    app.client(text("api_key"), secret).get(CONTACTS).await.ok();
    assert_eq!(crm.get(CONTACTS).await.status, 401);
    assert_eq!(anna.get(KEYS).await.ok().count(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_one_is_done_and_the_others_are_told_so() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let creates = (0..30).map(|_| {
        let anna = anna.clone();
        tokio::spawn(async move { create(&anna, "k", "Anna").await })
    });
    let answers: Vec<Answer> = join_all(creates).await.into_iter().map(Result::unwrap).collect();
    let done: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 200).collect();
    let first = done.iter().find(|answer| !is_replay(answer)).expect("one that was done");
    assert_eq!(done.iter().filter(|answer| !is_replay(answer)).count(), 1);
    for answer in &done {
        assert_eq!(answer.text, first.text);
    }
    let in_flight: Vec<&Answer> = answers.iter().filter(|answer| answer.status != 200).collect();
    assert!(!in_flight.is_empty(), "none met another");
    for answer in in_flight {
        assert_eq!((answer.status, answer.code()), (409, "in_flight"));
        assert_eq!(answer.members(), ["error", "code", "request_id"]);
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert!(!is_replay(answer));
    }
    assert_eq!(anna.get(CONTACTS).await.ok().count(), 1);
    assert_repeats(first, &create(&anna, "k", "Anna").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_keys_do_not_wait_for_one_another() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let creates = (0..30).map(|number| {
        let anna = anna.clone();
        tokio::spawn(async move { create(&anna, &number.to_string(), "Anna").await.ok() })
    });
    for answer in join_all(creates).await {
        assert!(!is_replay(&answer.unwrap()));
    }
    assert_eq!(anna.get(CONTACTS).await.ok().count(), 30);
}

#[tokio::test]
async fn a_caller_that_went_away_finds_what_became_of_its_call() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let mut replayed = 0;
    for number in 0..24 {
        let key = number.to_string();
        let gone = tokio::spawn({
            let (anna, key) = (anna.clone(), key.clone());
            async move { create(&anna, &key, &key).await }
        });
        tokio::time::sleep(Duration::from_micros(100 * number)).await;
        gone.abort();
        let answer = loop {
            let answer = create(&anna, &key, &key).await;
            if answer.status != 409 {
                break answer.ok();
            }
            assert_eq!(answer.code(), "in_flight");
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        replayed += usize::from(is_replay(&answer));
        let id = answer.payload()["contact"]["id"].as_i64().unwrap();
        assert_eq!(anna.get(contact(id)).await.ok().payload()["name"], key);
    }
    assert!(replayed > 0, "none was done for a caller that had gone");
    assert_eq!(anna.get(CONTACTS).await.ok().count(), 24);
}
