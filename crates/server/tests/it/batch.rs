//! `POST …/contacts/batch`: many writes in one call.

use meishi_contacts::limits::{BATCH_BYTES, BATCH_CHANGES, BODY_BYTES, OUTCOME_BYTES};
use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    answer::Answer,
    app::{CONTACTS, Client, TestApp, contact},
};

const BATCH: &str = "/api/v2/accounts/contacts/batch";

async fn batch(client: &Client, atomic: bool, operations: Value) -> Answer {
    client.post(BATCH, json!({ "atomic": atomic, "operations": operations })).await
}

fn statuses(answer: &Answer) -> Vec<u64> {
    let entries = answer.payload().as_array().expect("entries");
    entries.iter().map(|entry| entry["status"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn each_operation_is_answered_as_its_own_route_would() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let other = app.account("Globex").await;
    let bert = other.administrator().await;
    let create = json!({ "inbox_id": app.inbox, "source_id": "s", "email": "a@acme.inc" });
    let update = json!({ "name": "Anna", "custom_attributes": { "vip": true } });
    let upsert = json!({ "email": "a@acme.inc", "phone_number": "+4912345" });
    let taken = json!({ "inbox_id": app.inbox, "email": "A@acme.inc", "phone_number": "x" });

    let answer = batch(
        &anna,
        false,
        json!([
            { "op": "create", "contact": create },
            { "op": "update", "id": 1, "contact": update },
            { "op": "upsert", "contact": upsert },
            { "op": "create", "contact": taken },
            { "op": "update", "id": "1", "contact": { "email": "nonsense" } },
            { "op": "delete", "id": 1 },
            { "op": "delete", "id": 1 },
            { "op": "update", "id": -7, "contact": {} },
        ]),
    )
    .await
    .ok();

    // Another account, where the same things are done one by one.
    let singles = [
        bert.post(CONTACTS, create).await,
        bert.patch(contact(1), update).await,
        bert.put(CONTACTS, upsert).await,
        bert.post(CONTACTS, taken).await,
        bert.patch(contact(1), json!({ "email": "nonsense" })).await,
        bert.delete(contact(1)).await,
        bert.delete(contact(1)).await,
        bert.patch(contact(1), json!({})).await,
    ];
    assert_eq!(statuses(&answer), [200, 200, 200, 422, 422, 200, 404, 404]);
    for (number, single) in singles.iter().enumerate() {
        let entry = &answer.payload()[number];
        assert_eq!(entry["status"], single.status, "{number}");
        let mut expected = single.json.clone();
        if single.status != 200 {
            assert_eq!(entry["body"]["request_id"].as_str(), answer.header("x-request-id"));
            expected["request_id"] = entry["body"]["request_id"].clone();
        }
        for fault in expected.get_mut("errors").and_then(Value::as_array_mut).into_iter().flatten()
        {
            let pointer = fault["pointer"].as_str().unwrap();
            fault["pointer"] = format!("/operations/{number}/contact{pointer}").into();
        }
        assert_eq!(entry["body"].to_string(), expected.to_string(), "{number}");
    }
    assert_eq!(app.events().await, other.events().await);
}

#[tokio::test]
async fn without_atomic_the_others_stand() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let answer = batch(
        &anna,
        false,
        json!([
            { "op": "create", "contact": { "inbox_id": app.inbox, "name": "one" } },
            { "op": "create", "contact": { "name": "no channel" } },
            { "op": "nonsense" },
            { "op": "create", "contact": { "inbox_id": app.inbox, "name": "two" } },
        ]),
    )
    .await
    .ok();
    assert_eq!(statuses(&answer), [200, 422, 422, 200]);
    assert_eq!(anna.get(CONTACTS).await.ok().names(), ["two", "one"]);
}

#[rstest]
#[case::refused(json!({ "op": "create", "contact": { "name": "no channel" } }), 422)]
#[case::missing(json!({ "op": "delete", "id": 99 }), 404)]
#[case::ill_formed(json!({ "op": "nonsense" }), 422)]
#[tokio::test]
async fn with_atomic_one_failure_undoes_all(#[case] failing: Value, #[case] status: u64) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let known = anna.contact(json!({ "name": "known" })).await;
    let before = (anna.get(CONTACTS).await.ok().text, app.events().await);
    let operations = |failing: &Value| {
        json!([
            { "op": "create", "contact": { "inbox_id": app.inbox, "name": "one" } },
            { "op": "delete", "id": known },
            failing,
            { "op": "create", "contact": { "inbox_id": app.inbox, "name": "two" } },
        ])
    };
    let answer = batch(&anna, true, operations(&failing)).await.ok();
    assert_eq!(statuses(&answer), [424, 424, status, 424]);
    assert_eq!(answer.payload()[0]["body"]["code"], "skipped");
    assert_ne!(answer.payload()[2]["body"]["code"], "skipped");
    assert_eq!((anna.get(CONTACTS).await.ok().text, app.events().await), before);

    let fine = json!({ "op": "update", "id": known + 1, "contact": { "name": "renamed" } });
    let answer = batch(&anna, true, operations(&fine)).await.ok();
    assert_eq!(statuses(&answer), [200, 200, 200, 200]);
    assert_eq!(anna.get(CONTACTS).await.ok().names(), ["two", "renamed"]);
}

#[rstest]
#[case(json!(7), "")]
#[case(json!(null), "")]
#[case(json!({}), "/op")]
#[case(json!({ "op": "merge" }), "/op")]
#[case(json!({ "op": 1 }), "/op")]
#[case(json!({ "op": "create" }), "/contact")]
#[case(json!({ "op": "upsert", "contact": null }), "/contact")]
#[case(json!({ "op": "upsert", "contact": [] }), "/contact")]
#[case(json!({ "op": "update", "contact": {} }), "/id")]
#[case(json!({ "op": "update", "id": 1.5, "contact": {} }), "/id")]
#[case(json!({ "op": "delete", "id": "x" }), "/id")]
#[case(json!({ "op": "delete", "id": 99_999_999_999_999_999_999_f64 }), "/id")]
#[tokio::test]
async fn an_ill_formed_operation_is_told_where(#[case] operation: Value, #[case] pointer: &str) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let known = json!({ "op": "upsert", "contact": { "inbox_id": app.inbox, "identifier": "U" } });
    let answer = batch(&anna, false, json!([known, operation])).await.ok();
    assert_eq!(statuses(&answer), [200, 422], "{}", answer.text);
    let body = &answer.payload()[1]["body"];
    assert_eq!(body["errors"][0]["pointer"], format!("/operations/1{pointer}"), "{body}");
    assert_eq!(body["errors"].as_array().unwrap().len(), 1, "{body}");
}

#[rstest]
#[case(json!({}), "invalid", "/operations")]
#[case(json!({ "operations": [] }), "invalid", "/operations")]
#[case(json!({ "operations": {} }), "invalid", "/operations")]
#[case(json!({ "operations": vec![json!({}); BATCH_CHANGES + 1] }), "limit_exceeded", "/operations")]
#[case(json!({ "operations": [{}], "atomic": 1 }), "invalid", "/atomic")]
#[tokio::test]
async fn a_batch_that_is_none_is_refused_whole(
    #[case] body: Value,
    #[case] code: &str,
    #[case] pointer: &str,
) {
    let app = TestApp::start().await;
    let answer = app.administrator().await.post(BATCH, body).await;
    assert_eq!((answer.status, answer.code()), (422, code), "{}", answer.text);
    assert_eq!(answer.pointers(), [pointer]);
}

#[tokio::test]
async fn a_thousand_operations_and_eight_mebibytes_are_taken_and_no_more() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let note = "x".repeat(5000);
    let create = |number: usize| {
        let attributes = json!({ "note": note });
        let contact = json!({
            "inbox_id": app.inbox, "identifier": number.to_string(), "custom_attributes": attributes,
        });
        json!({ "op": "create", "contact": contact })
    };
    let operations: Vec<Value> = (0..BATCH_CHANGES).map(create).collect();
    let body = json!({ "atomic": true, "operations": operations }).to_string();
    assert!(body.len() > 4 * BODY_BYTES);
    let answer = anna.call("POST", BATCH).text("application/json", body).send().await.ok();
    assert!(statuses(&answer).iter().all(|status| *status == 200));
    assert_eq!(anna.get(CONTACTS).await.ok().count(), BATCH_CHANGES as u64);

    let padded = |bytes: usize| {
        let mut body = json!({ "operations": [create(0)] }).to_string();
        body.push_str(&" ".repeat(bytes - body.len()));
        anna.call("POST", BATCH).text("application/json", body).send()
    };
    assert_eq!(statuses(&padded(BATCH_BYTES).await.ok()), [422]);
    let answer = padded(BATCH_BYTES + 1).await;
    assert_eq!((answer.status, answer.code()), (413, "body_too_large"));
    assert_eq!(answer.json["error"], "The body must not exceed 8388608 bytes");
    // The limit of the other routes is as it was.
    let answer = anna.call("POST", CONTACTS).body(vec![b' '; BODY_BYTES + 1]).send().await;
    assert_eq!(answer.json["error"], "The body must not exceed 1048576 bytes");
}

#[rstest]
#[case("application/x-www-form-urlencoded")]
#[case("application/merge-patch+json")]
#[case("text/plain")]
#[tokio::test]
async fn only_json_is_read(#[case] content_type: &str) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let answer = anna.call("POST", BATCH).text(content_type, r#"{"operations": []}"#).send().await;
    assert_eq!(answer.status, 415);
    assert_eq!(answer.header("accept"), Some("application/json"));
}

#[tokio::test]
async fn channels_are_left_out_where_they_are_not_wanted() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    let body = json!({ "operations": [{ "op": "update", "id": id, "contact": {} }] });
    for (query, shown) in [("", true), ("?include_contact_inboxes=false", false)] {
        let answer = anna.post(format!("{BATCH}{query}"), body.clone()).await.ok();
        let contact = &answer.payload()[0]["body"]["payload"];
        assert_eq!(contact.get("contact_inboxes").is_some(), shown);
    }
}

#[tokio::test]
async fn a_batch_reaches_nothing_of_another_account() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let other = app.account("Globex").await;
    let bert = other.administrator().await;
    let id = bert.contact(json!({ "email": "bert@globex.inc" })).await;
    let before = (bert.get(contact(id)).await.ok().text, other.events().await);
    let answer = batch(
        &anna,
        false,
        json!([
            { "op": "update", "id": id, "contact": { "name": "x" } },
            { "op": "delete", "id": id },
            { "op": "upsert", "contact": { "email": "bert@globex.inc" } },
        ]),
    )
    .await
    .ok();
    assert_eq!(statuses(&answer), [404, 404, 422]);
    assert!(!answer.text.contains("conflicts"), "{}", answer.text);
    assert_eq!((bert.get(contact(id)).await.ok().text, other.events().await), before);
}

#[tokio::test]
async fn a_batch_that_comes_to_too_much_is_refused_and_nothing_of_it_is_done() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let filler = "x".repeat(60_000);
    let id = anna.contact(json!({ "custom_attributes": { "filler": filler } })).await;
    let events = app.events().await;
    let operations = |count: usize| {
        let update = |number: usize| json!({ "op": "update", "id": id, "contact": { "name": number.to_string() } });
        json!({ "operations": (0..count).map(update).collect::<Vec<_>>() })
    };
    let send = async |count: usize| {
        let call = anna.call("POST", BATCH).header("idempotency-key", "k");
        call.json(&operations(count)).send().await
    };
    let answer = send(OUTCOME_BYTES / filler.len() + 1).await;
    assert_eq!((answer.status, answer.code()), (422, "limit_exceeded"), "{}", answer.text);
    assert!(answer.text.contains(&OUTCOME_BYTES.to_string()), "{}", answer.text);
    assert_eq!(app.events().await, events);
    // The key was not used up.
    assert_eq!(statuses(&send(3).await.ok()), [200; 3]);
}
