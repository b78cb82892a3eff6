//! `POST …/contacts/lookup`: many contacts by number or address.

use meishi_contacts::{
    Role,
    limits::{LOOKUP_BYTES, LOOKUP_KEYS},
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::app::TestApp;

const LOOKUP: &str = "/api/v2/accounts/contacts/lookup";

#[tokio::test]
async fn each_key_is_answered_in_order_as_it_was_sent() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let one = anna.contact(json!({ "name": "one", "email": "one@acme.inc" })).await;
    let two = anna.contact(json!({ "name": "two", "identifier": "42" })).await;
    anna.contact(json!({ "name": "three", "phone_number": "+4912345" })).await;
    let reader = app.key(Role::ReadOnly).await;
    let events = app.events().await;
    let keys = json!([
        { "phone_number": "+4912345" },
        { "email": " ONE@acme.inc " },
        { "identifier": 42 },
        { "email": "nobody@acme.inc" },
        { "id": two },
        { "id": one.to_string(), "note": "mine" },
        { "id": 999 },
        { "id": -1 },
        { "identifier": "one@acme.inc" },
        { "email": "one@acme.inc" },
    ]);
    let answer = reader.post(LOOKUP, json!({ "keys": keys })).await.ok();
    let entries = answer.payload().as_array().unwrap();
    let sent: Vec<&Value> = entries.iter().map(|entry| &entry["key"]).collect();
    assert_eq!(json!(sent).to_string(), keys.to_string());
    let names: Vec<Option<&str>> =
        entries.iter().map(|entry| entry["contact"]["name"].as_str()).collect();
    let (one, two) = (Some("one"), Some("two"));
    let expected = [Some("three"), one, two, None, two, one, None, None, None, one];
    assert_eq!(names, expected, "{}", answer.text);
    assert_eq!(answer.count(), 6);
    assert_eq!(app.events().await, events);
}

#[tokio::test]
async fn a_contact_is_shown_as_it_is_read() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({ "email": "a@acme.inc" })).await;
    for query in ["", "?include_contact_inboxes=false"] {
        let read = anna.get(format!("{}{query}", crate::app::contact(id))).await.ok();
        let body = json!({ "keys": [{ "email": "a@acme.inc" }] });
        let found = anna.post(format!("{LOOKUP}{query}"), body).await.ok();
        assert_eq!(found.payload()[0]["contact"].to_string(), read.payload().to_string());
    }
    anna.delete(crate::app::contact(id)).await.ok();
    let found = anna.post(LOOKUP, json!({ "keys": [{ "email": "a@acme.inc" }, { "id": id }] }));
    assert_eq!(found.await.ok().count(), 0);
}

#[rstest]
#[case(json!({}), "/keys")]
#[case(json!({ "keys": [] }), "/keys")]
#[case(json!({ "keys": "x" }), "/keys")]
#[case(json!({ "keys": [{ "id": 1 }, 7] }), "/keys/1")]
#[case(json!({ "keys": [{}] }), "/keys/0")]
#[case(json!({ "keys": [{ "name": "x" }] }), "/keys/0")]
#[case(json!({ "keys": [{ "id": 1, "email": "a@b.c" }] }), "/keys/0")]
#[case(json!({ "keys": [{ "id": null }] }), "/keys/0/id")]
#[case(json!({ "keys": [{ "id": "x" }] }), "/keys/0/id")]
#[case(json!({ "keys": [{ "email": "nonsense" }] }), "/keys/0/email")]
#[case(json!({ "keys": [{ "email": "" }] }), "/keys/0/email")]
#[case(json!({ "keys": [{ "email": ["a@b.c"] }] }), "/keys/0/email")]
#[case(json!({ "keys": [{ "phone_number": "12345" }] }), "/keys/0/phone_number")]
#[case(json!({ "keys": [{ "identifier": "\0" }] }), "/keys/0/identifier")]
#[tokio::test]
async fn an_ill_formed_key_is_told_where(#[case] body: Value, #[case] pointer: &str) {
    let app = TestApp::start().await;
    let answer = app.administrator().await.post(LOOKUP, body).await;
    assert_eq!((answer.status, answer.code()), (422, "invalid"), "{}", answer.text);
    assert_eq!(answer.pointers(), [pointer], "{}", answer.text);
    assert_eq!(answer.attributes(), ["keys"]);
}

#[tokio::test]
async fn a_thousand_keys_are_taken_and_no_more() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let create = |number: usize| {
        let contact = json!({ "inbox_id": app.inbox, "identifier": number.to_string() });
        json!({ "op": "create", "contact": contact })
    };
    let operations: Vec<Value> = (0..LOOKUP_KEYS).map(create).collect();
    let batch = "/api/v2/accounts/contacts/batch";
    anna.post(batch, json!({ "operations": operations })).await.ok();
    let keys = |count: usize| {
        let keys: Vec<Value> =
            (0..count).map(|number| json!({ "identifier": number.to_string() })).collect();
        json!({ "keys": keys })
    };
    let answer = anna.post(LOOKUP, keys(LOOKUP_KEYS)).await.ok();
    assert_eq!(answer.count(), LOOKUP_KEYS as u64);
    for (number, entry) in answer.payload().as_array().unwrap().iter().enumerate() {
        assert_eq!(entry["contact"]["identifier"], number.to_string());
    }
    let answer = anna.post(LOOKUP, keys(LOOKUP_KEYS + 1)).await;
    assert_eq!((answer.status, answer.code()), (422, "limit_exceeded"));
}

#[tokio::test]
async fn an_answer_has_only_so_many_bytes_however_few_contacts_it_shows() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let filler = "x".repeat(60_000);
    let id = anna.contact(json!({ "custom_attributes": { "filler": filler } })).await;
    let keys = |count: usize| json!({ "keys": vec![json!({ "id": id }); count] });
    let most = LOOKUP_BYTES / (filler.len() + 1000);
    let answer = anna.post(LOOKUP, keys(most)).await.ok();
    assert_eq!(answer.count(), most as u64);
    let answer = anna.post(LOOKUP, keys(LOOKUP_BYTES / filler.len() + 1)).await;
    assert_eq!((answer.status, answer.code()), (422, "limit_exceeded"), "{}", answer.text);
    assert!(answer.text.contains(&LOOKUP_BYTES.to_string()), "{}", answer.text);
}

#[tokio::test]
async fn another_accounts_contacts_are_not_found() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let bert = app.account("Globex").await.administrator().await;
    let id = bert.contact(json!({ "email": "bert@globex.inc", "identifier": "B" })).await;
    let keys = json!([{ "email": "bert@globex.inc" }, { "identifier": "B" }, { "id": id }]);
    assert_eq!(anna.post(LOOKUP, json!({ "keys": keys })).await.ok().count(), 0);
    assert_eq!(bert.post(LOOKUP, json!({ "keys": keys })).await.ok().count(), 3);
}
