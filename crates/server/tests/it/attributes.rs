//! Definitions of contacts' custom attributes: `…/accounts/attributes` (`chatwoot-wire.md` 3.4).

use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    answer::Answer,
    app::{ATTRIBUTES, CHANGES, CONTACTS, Client, TestApp, contact},
};

async fn define(client: &Client, body: Value) -> i64 {
    client.post(ATTRIBUTES, body).await.ok().payload()["id"].as_i64().unwrap()
}

/// Defines what is enforced of `seats`, numbers, and of `zip`, texts of a pattern.
async fn strict(client: &Client) {
    define(client, json!({ "key": "seats", "type": "number", "mode": "enforce" })).await;
    let zip = json!({
        "key": "zip", "type": "text", "regex": r"^\d{5}$", "hint": "five digits",
        "mode": "enforce",
    });
    define(client, zip).await;
}

async fn custom(client: &Client, id: i64) -> Value {
    client.get(contact(id)).await.ok().payload()["custom_attributes"].clone()
}

async fn found(client: &Client, condition: Value) -> Vec<i64> {
    let path = format!("{CONTACTS}/filter?resolved=false&sort=id");
    client.post(path, json!({ "payload": [condition] })).await.ok().ids()
}

fn is_refused(answer: &Answer, pointers: &[&str]) {
    assert_eq!((answer.status, answer.code()), (422, "invalid"), "{}", answer.text);
    assert_eq!(answer.attributes(), vec!["custom_attributes"; pointers.len()]);
    assert_eq!(answer.pointers(), pointers);
}

#[tokio::test]
async fn a_definition_is_shown_with_all_that_it_is() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let body = json!({
        "key": " tier ", "name": "Tier", "description": "What is paid for", "type": "list",
        "values": ["gold", " 王 "], "mode": "enforce",
    });
    let tier = json!({
        "id": 1, "key": "tier", "name": "Tier", "description": "What is paid for", "type": "list",
        "values": ["gold", "王"], "regex": null, "hint": null, "mode": "enforce",
        "created_at": meishi_server::api::rfc3339(meishi_contacts::Clock::now(&*app.clock)),
    });
    let answer = anna.post(ATTRIBUTES, body).await.ok();
    assert_eq!(answer.text, json!({ "payload": tier }).to_string());
    define(&anna, json!({ "key": "Zip", "type": "text" })).await;
    let list = anna.get(ATTRIBUTES).await.ok();
    assert_eq!((list.count(), &list.payload()[1]), (2, &tier));
    let [name, mode] = ["name", "mode"].map(|member| &list.payload()[0][member]);
    assert_eq!((name, mode), (&json!("Zip"), &json!("observe")));
    let answer = anna.get(format!("{ATTRIBUTES}/1")).await.ok();
    assert_eq!(answer.text, json!({ "payload": tier }).to_string());

    let before = app.events().await;
    let patch = json!({ "type": "text", "regex": "^g", "hint": "a g", "description": "" });
    let answer = anna.patch(format!("{ATTRIBUTES}/1"), patch.clone()).await.ok();
    let mut after = tier.clone();
    for (member, value) in [
        ("type", json!("text")),
        ("values", json!([])),
        ("regex", json!("^g")),
        ("hint", json!("a g")),
        ("description", Value::Null),
    ] {
        after[member] = value;
    }
    assert_eq!(answer.payload(), &after);
    // The same once more, and nothing at all, are no change.
    anna.patch(format!("{ATTRIBUTES}/1"), patch).await.ok();
    anna.patch(format!("{ATTRIBUTES}/1"), json!({ "key": "tier", "mode": null })).await.ok();
    assert_eq!(anna.delete(format!("{ATTRIBUTES}/1")).await.ok().text, "{}");
    assert_eq!(anna.get(format!("{ATTRIBUTES}/1")).await.status, 404);

    let events = anna.get(format!("{CHANGES}?after={before}")).await.ok();
    let [updated, deleted] = events.payload().as_array().unwrap().as_slice() else { panic!() };
    assert_eq!(updated["type"], "attribute.updated");
    assert_eq!((&updated["attribute"], &updated["attribute_id"]), (&json!("tier"), &json!(1)));
    assert_eq!(
        updated["changes"][1],
        json!({ "field": "type", "before": "list", "after": "text" })
    );
    assert_eq!((&deleted["type"], &deleted["definition"]), (&json!("attribute.deleted"), &after));
    let first = anna.get(format!("{CHANGES}?after={}&limit=1", before - 2)).await.ok();
    assert_eq!(first.payload()[0]["type"], "attribute.created");
    assert_eq!(first.payload()[0]["definition"], tier);
}

#[rstest]
#[case(json!({}), &["key", "type"])]
#[case(json!({ "key": null, "type": null }), &["key", "type"])]
#[case(json!({ "key": "a b", "type": "text" }), &["key"])]
#[case(json!({ "key": 5, "type": "text" }), &["key"])]
#[case(json!({ "key": "email", "type": "text" }), &["key"])]
#[case(json!({ "key": "x".repeat(256), "type": "text" }), &["key"])]
#[case(json!({ "key": "a", "type": "money" }), &["type"])]
#[case(json!({ "key": "a", "type": "text", "name": "" }), &["name"])]
#[case(json!({ "key": "a", "type": "text", "mode": "strict" }), &["mode"])]
#[case(json!({ "key": "a", "type": "list" }), &["values"])]
#[case(json!({ "key": "a", "type": "list", "values": [] }), &["values"])]
#[case(json!({ "key": "a", "type": "list", "values": "gold" }), &["values"])]
#[case(json!({ "key": "a", "type": "list", "values": ["x", "x"] }), &["values"])]
#[case(json!({ "key": "a", "type": "text", "values": ["x"] }), &["values"])]
#[case(json!({ "key": "a", "type": "text", "regex": "(" }), &["regex"])]
#[case(json!({ "key": "a", "type": "text", "regex": "(?=x)" }), &["regex"])]
#[case(json!({ "key": "a", "type": "text", "regex": "x".repeat(256) }), &["regex"])]
#[case(json!({ "key": "a", "type": "date", "regex": "x", "hint": "y" }), &["regex", "hint"])]
#[case(json!({ "key": "a", "type": "text", "hint": "x".repeat(256) }), &["hint"])]
#[case(json!({ "key": "a", "type": "text", "description": ["x"] }), &["description"])]
#[tokio::test]
async fn a_definition_that_makes_no_sense_is_refused(#[case] body: Value, #[case] wrong: &[&str]) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let before = app.events().await;
    let answer = anna.post(ATTRIBUTES, body).await;
    assert_eq!((answer.status, answer.code()), (422, "invalid"), "{}", answer.text);
    assert_eq!(answer.attributes(), wrong, "{}", answer.text);
    assert_eq!(app.events().await, before);
}

#[tokio::test]
async fn a_key_is_one_definitions_for_good() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = define(&anna, json!({ "key": "tier", "type": "text" })).await;
    let answer = anna.post(ATTRIBUTES, json!({ "key": "tier", "type": "date" })).await;
    assert_eq!((answer.status, answer.code()), (422, "taken"));
    assert_eq!((answer.pointers(), answer.message()), (vec!["/key"], "Key has already been taken"));
    let answer = anna.patch(format!("{ATTRIBUTES}/{id}"), json!({ "key": "plan" })).await;
    assert_eq!((answer.status, answer.message()), (422, "Key cannot be changed"));
    let huge = json!({ "key": "a", "type": "text", "regex": "(a{1000}){1000}" });
    assert_eq!(anna.post(ATTRIBUTES, huge).await.code(), "limit_exceeded");
}

#[tokio::test]
async fn what_does_not_fit_is_refused_by_every_write() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({ "identifier": "u1" })).await;
    strict(&anna).await;
    let unfit = json!({ "seats": "many", "zip": "1234", "other": {} });
    let pointers = ["/custom_attributes/seats", "/custom_attributes/zip"];
    let before = app.events().await;
    let answer =
        anna.post(CONTACTS, json!({ "inbox_id": app.inbox, "custom_attributes": unfit })).await;
    is_refused(&answer, &pointers);
    assert_eq!(
        answer.message(),
        "Custom attributes seats (number) must be a number, Custom attributes zip (text) does not \
         match: five digits"
    );
    let body = json!({ "custom_attributes": unfit });
    is_refused(&anna.patch(contact(id), body.clone()).await, &pointers);
    is_refused(&anna.call("PUT", contact(id)).json(&body).send().await, &pointers);
    let upsert = json!({ "identifier": "u1", "inbox_id": app.inbox, "custom_attributes": unfit });
    is_refused(&anna.call("PUT", CONTACTS).json(&upsert).send().await, &pointers);
    let operations = json!([
        { "op": "update", "id": id, "contact": { "custom_attributes": { "seats": 1 } } },
        { "op": "update", "id": id, "contact": body },
    ]);
    let batch = json!({ "atomic": true, "operations": operations });
    let answer = anna.post(format!("{CONTACTS}/batch"), batch).await;
    assert!(answer.text.contains("seats (number) must be a number"), "{}", answer.text);
    assert_eq!(app.events().await, before);

    anna.patch(contact(id), json!({ "custom_attributes": { "seats": "12", "zip": "12345" } }))
        .await
        .ok();
    anna.patch(contact(id), json!({ "custom_attributes": { "zip": null } })).await.ok();
    assert_eq!(custom(&anna, id).await, json!({ "seats": "12" }));
}

#[tokio::test]
async fn what_is_there_already_stays_and_hinders_nothing() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({ "custom_attributes": { "seats": "many", "zip": "x" } })).await;
    anna.patch(contact(id), json!({ "custom_attributes": { "zip": "12345" } })).await.ok();
    let seq = app.events().await;
    strict(&anna).await;
    let body = json!({ "name": "Zoe", "custom_attributes": { "seats": "many", "plan": "gold" } });
    anna.patch(contact(id), body).await.ok();
    // Undone, it would be set anew.
    let answer = anna.post(format!("{}/revert", contact(id)), json!({ "seq": seq })).await;
    is_refused(&answer, &["/custom_attributes/zip"]);
    let number = anna.get(ATTRIBUTES).await.ok().payload()[1]["id"].clone();
    anna.delete(format!("{ATTRIBUTES}/{number}")).await.ok();
    anna.post(format!("{}/revert", contact(id)), json!({ "seq": seq })).await.ok();
    let left = json!({ "seats": "many", "zip": "x", "plan": "gold" });
    assert_eq!(custom(&anna, id).await, left);
}

#[tokio::test]
async fn filters_read_values_by_their_definitions() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let mut ids = Vec::new();
    for (size, due, paid) in [
        (json!("9"), json!("2026-01-05"), json!("true")),
        (json!(10), json!("2026-01-05T10:00:00Z"), json!(true)),
        (json!("large"), json!("soon"), json!("yes")),
    ] {
        let attributes = json!({ "size": size, "due": due, "paid": paid });
        ids.push(anna.contact(json!({ "custom_attributes": attributes })).await);
    }
    let asks = |key: &str, operator: &str, value: Value| json!({ "attribute_key": key, "filter_operator": operator, "values": [value] });
    let size = || asks("size", "equal_to", json!("9.0"));
    let paid = || asks("paid", "equal_to", json!("true"));
    // Undefined, they are what is asked for looks like: texts.
    assert!(found(&anna, size()).await.is_empty());
    for (key, kind) in [("size", "number"), ("due", "date"), ("paid", "checkbox")] {
        define(&anna, json!({ "key": key, "type": kind })).await;
    }
    assert_eq!(found(&anna, size()).await, ids[..1]);
    assert_eq!(found(&anna, paid()).await, ids[..2]);
    assert_eq!(found(&anna, asks("due", "equal_to", json!("2026-01-05"))).await, ids[..2]);
    assert_eq!(found(&anna, asks("size", "is_greater_than", json!("9.5"))).await, ids[1..2]);
    // A value of another type is told of now.
    let path = format!("{CONTACTS}/filter");
    let wrong = json!({ "payload": [asks("size", "equal_to", json!("large"))] });
    let answer = anna.post(&path, wrong.clone()).await;
    assert_eq!((answer.status, answer.pointers()), (422, vec!["/payload/0/values/0"]));
    // And no more without the definition.
    let definitions = anna.get(ATTRIBUTES).await.ok();
    let size = definitions.payload().as_array().unwrap().iter().find(|d| d["key"] == "size");
    anna.delete(format!("{ATTRIBUTES}/{}", size.unwrap()["id"])).await.ok();
    assert_eq!(found(&anna, asks("size", "equal_to", json!("large"))).await, ids[2..]);
}

#[rstest]
#[case("999")]
#[case("0")]
#[case("abc")]
#[tokio::test]
async fn a_definition_that_is_none_is_not_found(#[case] id: &str) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let path = format!("{ATTRIBUTES}/{id}");
    for answer in [
        anna.get(&path).await,
        anna.patch(&path, json!({ "name": "x" })).await,
        anna.patch(&path, json!({ "name": "" })).await,
        anna.delete(&path).await,
    ] {
        assert_eq!((answer.status, answer.code()), (404, "not_found"));
    }
}
