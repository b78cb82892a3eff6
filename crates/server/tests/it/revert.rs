//! `POST …/contacts/:id/revert`: an event, or one field of it, undone.

use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    answer::Answer,
    app::{CONTACTS, Client, TestApp, contact},
};

async fn revert(client: &Client, id: i64, body: Value) -> Answer {
    client.post(format!("{}/revert", contact(id)), body).await
}

async fn known(client: &Client) -> i64 {
    let fields = json!({
        "name": "Anna", "email": "anna@acme.inc", "custom_attributes": { "plan": "free", "a": 1 },
    });
    client.contact(fields).await
}

#[tokio::test]
async fn an_update_is_undone_as_a_new_event() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = known(&anna).await;
    let before = anna.get(contact(id)).await.ok();
    let body =
        json!({ "name": "Bea", "email": null, "custom_attributes": { "plan": "pro", "b": 2 } });
    anna.patch(contact(id), body).await.ok();
    let seq = app.events().await;
    let answer = revert(&anna, id, json!({ "seq": seq })).await.ok();
    assert_eq!(answer.text, before.text);
    assert_eq!(anna.get(contact(id)).await.ok().text, before.text);
    assert_eq!(app.events().await, seq + 1);
    assert_eq!(anna.search("anna@acme").await, ["Anna"]);
    // Once more there is nothing to undo, and the undoing can be undone.
    revert(&anna, id, json!({ "seq": seq.to_string() })).await.ok();
    assert_eq!(app.events().await, seq + 1);
    let answer = revert(&anna, id, json!({ "seq": seq + 1 })).await.ok();
    assert_eq!(answer.payload()["name"], "Bea");
}

#[rstest]
#[case(json!({ "field": "email" }), "/email", json!("anna@acme.inc"))]
#[case(json!({ "field": "custom_attributes", "key": "plan" }), "/custom_attributes/plan", json!("free"))]
#[case(json!({ "field": "custom_attributes", "key": "b" }), "/custom_attributes/b", json!(null))]
#[tokio::test]
async fn one_field_is_undone_and_the_others_stay(
    #[case] mut body: Value,
    #[case] pointer: &str,
    #[case] value: Value,
) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = known(&anna).await;
    let patch =
        json!({ "name": "Bea", "email": null, "custom_attributes": { "plan": "pro", "b": 2 } });
    let mut expected = anna.patch(contact(id), patch).await.ok().json["payload"].clone();
    body["seq"] = app.events().await.into();
    let answer = revert(&anna, id, body).await.ok();
    let mut shown = answer.payload().clone();
    assert_eq!(shown.pointer(pointer).cloned().unwrap_or_default(), value);
    for payload in [&mut shown, &mut expected] {
        payload["email"] = Value::Null;
        for key in ["plan", "b"] {
            payload["custom_attributes"][key] = Value::Null;
        }
    }
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn later_changes_that_stand_in_the_way_are_named() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = known(&anna).await;
    let patch = json!({ "name": "Bea", "custom_attributes": { "plan": "pro" } });
    anna.patch(contact(id), patch).await.ok();
    let seq = app.events().await;
    anna.patch(contact(id), json!({ "custom_attributes": { "plan": null } })).await.ok();
    let events = app.events().await;
    let answer = revert(&anna, id, json!({ "seq": seq })).await;
    assert_eq!((answer.status, answer.code()), (409, "revert_conflict"));
    assert_eq!(
        answer.json["errors"],
        json!([{
            "pointer": "/custom_attributes/plan", "code": "changed_since",
            "message": "has been changed since", "after_event": "pro", "now": null,
        }])
    );
    assert_eq!(app.events().await, events);
    // The other field is free.
    let answer = revert(&anna, id, json!({ "seq": seq, "field": "name" })).await.ok();
    assert_eq!(answer.payload()["name"], "Anna");
}

#[tokio::test]
async fn a_deleted_contact_is_brought_back_with_what_it_had() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = known(&anna).await;
    let labels = json!({ "labels": ["vip"] });
    anna.post(format!("{}/labels", contact(id)), labels).await.ok();
    let before = anna.get(contact(id)).await.ok();
    anna.delete(contact(id)).await.ok();
    let seq = app.events().await;
    let answer = revert(&anna, id, json!({ "seq": seq })).await.ok();
    assert_eq!(answer.text, before.text);
    assert_eq!(anna.get(contact(id)).await.ok().text, before.text);
    let labels = anna.get(format!("{}/labels", contact(id))).await.ok();
    assert_eq!(labels.payload(), &json!(["vip"]));
    assert_eq!(anna.search("Anna").await, ["Anna"]);
    // It is undone already, which is no error, and nothing happens.
    let events = app.events().await;
    let again = revert(&anna, id, json!({ "seq": seq })).await.ok();
    assert_eq!((again.text, app.events().await), (before.text, events));
    let path = format!("{}/revert", contact(id));
    let call = anna.call("POST", path).header("if-match", "\"1\"").json(&json!({ "seq": seq }));
    assert_eq!(call.send().await.status, 412);
}

#[tokio::test]
async fn an_address_that_another_has_by_now_is_a_conflict() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = known(&anna).await;
    anna.delete(contact(id)).await.ok();
    let seq = app.events().await;
    let other = anna.contact(json!({ "email": "anna@acme.inc" })).await;
    let answer = revert(&anna, id, json!({ "seq": seq })).await;
    assert_eq!((answer.status, answer.code()), (422, "taken"));
    assert_eq!(answer.json["existing_contact_id"], other);
    assert_eq!(anna.get(contact(id)).await.status, 404);
}

#[rstest]
#[case(json!({}), "/seq")]
#[case(json!({ "seq": "x" }), "/seq")]
#[case(json!({ "seq": 1.5 }), "/seq")]
#[case::another_ones(json!({ "seq": 1 }), "/seq")]
#[case::none(json!({ "seq": 999 }), "/seq")]
#[case::negative(json!({ "seq": -1 }), "/seq")]
#[case(json!({ "seq": "the update", "field": "nonsense" }), "/field")]
#[case(json!({ "seq": "the update", "field": 7 }), "/field")]
#[case(json!({ "seq": "the update", "field": "custom_attributes.plan" }), "/field")]
#[case(json!({ "seq": "the update", "field": "phone_number" }), "/field")]
#[case(json!({ "seq": "the update", "field": "custom_attributes" }), "/key")]
#[case(json!({ "seq": "the update", "field": "custom_attributes", "key": 7 }), "/key")]
#[case(json!({ "seq": "the update", "field": "email", "key": "x" }), "/key")]
#[case(json!({ "seq": "the update", "key": "x" }), "/key")]
#[tokio::test]
async fn what_cannot_be_undone_is_told(#[case] mut body: Value, #[case] pointer: &str) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = known(&anna).await;
    anna.patch(contact(id), json!({ "name": "Bea" })).await.ok();
    let events = app.events().await;
    if body["seq"] == "the update" {
        body["seq"] = events.into();
    }
    let answer = revert(&anna, id, body.clone()).await;
    assert_eq!((answer.status, answer.code()), (422, "invalid"), "{}", answer.text);
    assert_eq!(answer.pointers(), [pointer]);
    assert_eq!(app.events().await, events);
    // What is not there is not found, whatever is asked of it.
    assert_eq!(revert(&anna, 999, body).await.status, 404);
}

#[tokio::test]
async fn a_creation_is_not_undone() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = known(&anna).await;
    let answer = revert(&anna, id, json!({ "seq": app.events().await })).await;
    assert_eq!((answer.status, answer.pointers()), (422, vec!["/seq"]));
    assert!(answer.message().contains("delete the contact instead"), "{}", answer.text);
}

#[tokio::test]
async fn another_accounts_contact_is_not_found() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let other = app.account("Globex").await;
    let bert = other.administrator().await;
    let id = bert.contact(json!({ "name": "x" })).await;
    bert.delete(contact(id)).await.ok();
    let seq = other.events().await;
    assert_eq!(revert(&anna, id, json!({ "seq": seq })).await.status, 404);
    assert_eq!(bert.get(CONTACTS).await.ok().count(), 0);
}
