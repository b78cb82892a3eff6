//! `POST …/contacts/:id/erase`: a person taken out of the record.

use meishi_contacts::{Event, Seq};
use serde_json::{Value, json};

use crate::{
    answer::Answer,
    app::{CONTACTS, Client, TestApp, contact, list},
};

async fn erase(client: &Client, id: i64) -> Answer {
    client.call("POST", format!("{}/erase", contact(id))).send().await
}

/// What no answer may hold any more.
const PERSON: [&str; 6] = ["Zoë", "Müller", "zoe@", "+4912345", "user-4711", "platinum"];

async fn person(client: &Client) -> i64 {
    let fields = json!({
        "name": "Zoë", "email": "zoe@acme.inc", "phone_number": "+4912345",
        "identifier": "user-4711", "custom_attributes": { "level": "platinum" },
    });
    let id = client.contact(fields).await;
    client.patch(contact(id), json!({ "name": "Zoë Müller" })).await.ok();
    let labels = json!({ "labels": ["vip"] });
    client.post(format!("{}/labels", contact(id)), labels).await.ok();
    id
}

/// All that can be read of the account, and the whole of its record.
async fn everything(app: &TestApp, client: &Client, id: i64) -> String {
    let mut texts = Vec::new();
    let keys = json!([
        { "id": id }, { "email": "zoe@acme.inc" }, { "identifier": "user-4711" },
        { "phone_number": "+4912345" },
    ]);
    let found = client.post(format!("{CONTACTS}/lookup"), json!({ "keys": keys })).await.ok();
    for entry in found.payload().as_array().unwrap() {
        texts.push(entry["contact"].to_string());
    }
    texts.push(client.get(CONTACTS).await.ok().text);
    for q in PERSON {
        for fuzzy in ["true", "false"] {
            texts.push(client.get(list(&[("q", q), ("fuzzy", fuzzy)])).await.ok().text);
        }
    }
    texts.push(client.get(list(&[("labels", "vip")])).await.ok().text);
    texts.push(client.get(contact(id)).await.text);
    texts.push(client.get(format!("{}/history", contact(id))).await.ok().text);
    let last = app.events().await;
    for seq in 0..=last {
        texts.push(client.get(format!("{}?as_of={seq}", contact(id))).await.text);
    }
    let events: Vec<Event> = app.app.store.events(app.id, Seq(0), 1000).await.unwrap();
    assert_eq!(i64::try_from(events.len()), Ok(last), "each number stays");
    texts.push(serde_json::to_string(&events).unwrap());
    texts.join("\n")
}

#[tokio::test]
async fn nothing_tells_of_an_erased_person_any_more() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let other = anna.contact(json!({ "name": "Bea" })).await;
    let id = person(&anna).await;
    let created = app.events().await - 3;
    let before = everything(&app, &anna, id).await;
    for part in PERSON {
        assert!(before.contains(part), "{part}");
    }
    app.clock.advance(60);
    let answer = erase(&anna, id).await.ok();
    let seq = app.events().await;
    assert_eq!(
        answer.payload(),
        &json!({
            "contact_id": id, "seq": seq, "erased_at": "2025-12-24T10:22:43Z", "contact": true,
            "identities": 3, "links": 1, "events": 3, "idempotency_outcomes": 0, "deliveries": 0,
        })
    );
    let after = everything(&app, &anna, id).await;
    for part in PERSON {
        assert!(!after.contains(part), "{part} is still there: {after}");
    }
    assert_eq!(anna.get(CONTACTS).await.ok().ids(), [other]);
    assert_eq!(anna.get(contact(id)).await.status, 404);
    let gone = anna.get(format!("{}?as_of={}", contact(id), created)).await;
    assert_eq!((gone.status, gone.code()), (410, "gone"));
    assert_eq!(anna.get(format!("{}?as_of={seq}", contact(id))).await.status, 404);

    // What is left of its history.
    let history = anna.get(format!("{}/history", contact(id))).await.ok();
    let events = history.payload().as_array().unwrap();
    let types: Vec<&Value> = events.iter().map(|event| &event["type"]).collect();
    assert_eq!(json!(types), json!(["contact.erased", "tombstone", "tombstone", "tombstone"]));
    for tombstone in &events[1..] {
        assert_eq!(crate::answer::members(tombstone), ["seq", "type", "at", "actor", "contact_id"]);
    }
    // Its addresses are free, and its number is not given again.
    assert_ne!(person(&anna).await, id);
}

#[tokio::test]
async fn a_contact_that_was_deleted_before_is_erased_too_and_cannot_come_back() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = person(&anna).await;
    anna.delete(contact(id)).await.ok();
    let deleted = app.events().await;
    let answer = erase(&anna, id).await.ok();
    assert_eq!(answer.payload()["contact"], false);
    assert_eq!(answer.payload()["events"], 4);
    let after = everything(&app, &anna, id).await;
    for part in PERSON {
        assert!(!after.contains(part), "{part} is still there: {after}");
    }
    let revert = format!("{}/revert", contact(id));
    for seq in [deleted, deleted - 1, deleted + 1] {
        assert_eq!(anna.post(&revert, json!({ "seq": seq })).await.status, 422);
    }
    assert_eq!(anna.get(contact(id)).await.status, 404);
}

#[tokio::test]
async fn what_was_erased_before_is_answered_with_the_event_that_told_of_it() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = person(&anna).await;
    let first = erase(&anna, id).await.ok();
    let events = app.events().await;
    app.clock.advance(60);
    let second = erase(&anna, id).await.ok();
    for member in ["contact_id", "seq", "erased_at"] {
        assert_eq!(second.payload()[member], first.payload()[member], "{member}");
    }
    assert_eq!(second.payload()["events"], 0);
    assert_eq!(app.events().await, events);
}

#[tokio::test]
async fn what_never_was_and_what_is_anothers_is_not_found() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let other = app.account("Globex").await;
    let bert = other.administrator().await;
    let id = person(&bert).await;
    let before = (bert.get(contact(id)).await.ok().text, other.events().await);
    assert_eq!(erase(&anna, id).await.status, 404);
    assert_eq!(erase(&bert, 999).await.status, 404);
    assert_eq!((bert.get(contact(id)).await.ok().text, other.events().await), before);
}

#[tokio::test]
async fn a_version_that_is_expected_is_that_of_a_contact_that_is_there() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = person(&anna).await;
    let expecting = async |version: &str| {
        let call = anna.call("POST", format!("{}/erase", contact(id)));
        call.header("if-match", version).send().await
    };
    assert_eq!(expecting("\"1\"").await.status, 412);
    anna.delete(contact(id)).await.ok();
    let events = app.events().await;
    assert_eq!(expecting("\"3\"").await.status, 404);
    assert_eq!(app.events().await, events);
    erase(&anna, id).await.ok();
    assert_eq!(expecting("\"3\"").await.status, 404);
}
