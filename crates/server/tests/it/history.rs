//! `GET …/contacts/:id/history`: who changed what, when and by which request.

use meishi_contacts::{Role, limits::HISTORY_EVENTS};
use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    answer::Answer,
    app::{CONTACTS, Client, TestApp, contact},
};

fn history(id: i64, query: &str) -> String {
    format!("{}/history{query}", contact(id))
}

fn seqs(answer: &Answer) -> Vec<i64> {
    let events = answer.payload().as_array().unwrap();
    events.iter().map(|event| event["seq"].as_i64().unwrap()).collect()
}

fn types(answer: &Answer) -> Vec<&str> {
    let events = answer.payload().as_array().unwrap();
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

/// All of a history, page after page.
async fn walk(client: &Client, id: i64, query: &str) -> Vec<Value> {
    let (mut events, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = client.get(history(id, &format!("?{query}&cursor={cursor}"))).await.ok();
        events.extend(answer.payload().as_array().unwrap().clone());
        let meta = &answer.json["meta"];
        assert_eq!(meta["has_more"], !meta["next_cursor"].is_null());
        assert_eq!(meta["complete"], true);
        match meta["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return events,
        }
    }
}

#[tokio::test]
async fn it_tells_who_changed_what_when_and_by_which_request() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let key = app.events().await;
    let body = json!({
        "inbox_id": app.inbox, "source_id": "s", "name": "Zoe", "custom_attributes": { "plan": "free" },
    });
    let id = anna.contact(body).await;
    app.clock.advance(60);
    let patch =
        json!({ "name": "Zoë", "email": "zoe@acme.inc", "custom_attributes": { "plan": null } });
    let call = anna.call("PATCH", contact(id)).header("X-Request-Id", "call-7").json(&patch);
    call.send().await.ok();
    let labels = json!({ "labels": ["vip"] });
    anna.post(format!("{}/labels", contact(id)), labels).await.ok();
    anna.delete(contact(id)).await.ok();

    let reader = app.key(Role::ReadOnly).await;
    let answer = reader.get(history(id, "")).await.ok();
    let expected = ["contact.deleted", "contact.updated", "contact.updated", "contact.created"];
    assert_eq!(types(&answer), expected);
    let events = answer.payload();
    assert_eq!(
        events[2],
        json!({
            "seq": key + 2,
            "type": "contact.updated",
            "at": "2025-12-24T10:22:43Z",
            "actor": { "type": "key", "id": 2 },
            "request_id": "call-7",
            "contact_id": id,
            "version": 2,
            "changes": [
                { "field": "email", "before": null, "after": "zoe@acme.inc" },
                { "field": "name", "before": "Zoe", "after": "Zoë" },
                { "field": "custom_attributes", "key": "plan", "before": "free" },
            ],
        })
    );
    let label = json!([{ "field": "labels", "before": [], "after": ["vip"] }]);
    assert_eq!(events[1]["changes"], label);
    assert_eq!(events[3]["at"], "2025-12-24T10:21:43Z");
    assert_eq!(events[3]["version"], 1);
    assert_eq!(events[3]["contact"]["name"], "Zoe");
    assert_eq!(events[3]["contact_inboxes"], json!([{ "inbox_id": app.inbox, "source_id": "s" }]));
    assert_eq!(events[0]["contact"]["name"], "Zoë");
    assert_eq!(events[0]["contact"]["labels"], json!(["vip"]));
    let meta = json!({ "has_more": false, "next_cursor": null, "complete": true });
    assert_eq!(answer.json["meta"], meta);
}

#[tokio::test]
async fn it_is_read_page_after_page_from_the_newest() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({ "name": "0" })).await;
    let other = anna.contact(json!({})).await;
    for number in 1..30 {
        anna.patch(contact(id), json!({ "name": number.to_string() })).await.ok();
        anna.patch(contact(other), json!({ "name": number.to_string() })).await.ok();
    }
    let whole = anna.get(history(id, "?limit=100")).await.ok();
    let mut sorted = seqs(&whole);
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    assert_eq!((seqs(&whole), whole.payload().as_array().unwrap().len()), (sorted, 30));
    for limit in ["1", "7", "15", "29", "30", "1000", "", "x", "-5"] {
        let walked = walk(&anna, id, &format!("limit={limit}")).await;
        assert_eq!(json!(walked), *whole.payload(), "{limit}");
    }
    // What happens meanwhile does not move the pages.
    let first = anna.get(history(id, "?limit=10")).await.ok();
    anna.patch(contact(id), json!({ "name": "new" })).await.ok();
    let cursor = first.json["meta"]["next_cursor"].as_str().unwrap();
    let second = anna.get(history(id, &format!("?limit=20&cursor={cursor}"))).await.ok();
    assert_eq!([seqs(&first), seqs(&second)].concat(), seqs(&whole));
    // It is the cursor of this history alone.
    let answer = anna.get(history(other, &format!("?cursor={cursor}"))).await;
    assert_eq!((answer.status, answer.code()), (400, "malformed_request"));
}

#[rstest]
#[case("email", &["contact.deleted", "email", "contact.created"])]
#[case("name", &["contact.deleted", "name"])]
#[case("labels", &["contact.deleted", "labels"])]
#[case("phone_number", &[])]
#[case("custom_attributes", &["contact.deleted", "vip", "a.b", "contact.created"])]
#[case("custom_attributes.vip", &["vip", "contact.created"])]
#[case("custom_attributes.a.b", &["contact.deleted", "a.b"])]
#[case("additional_attributes.vip", &[])]
#[tokio::test]
async fn only_events_that_touch_a_field_are_shown(#[case] field: &str, #[case] expected: &[&str]) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id =
        anna.contact(json!({ "email": "a@acme.inc", "custom_attributes": { "vip": 1 } })).await;
    for body in [
        json!({ "email": "b@acme.inc" }),
        json!({ "name": "Anna" }),
        json!({ "custom_attributes": { "a.b": 1 } }),
    ] {
        anna.patch(contact(id), body).await.ok();
    }
    let labels = json!({ "labels": ["vip"] });
    anna.post(format!("{}/labels", contact(id)), labels).await.ok();
    let patch = json!({ "custom_attributes": { "vip": null } });
    anna.patch(contact(id), patch).await.ok();
    anna.delete(contact(id)).await.ok();
    for limit in [1, 2, 100] {
        let events = walk(&anna, id, &format!("field={field}&limit={limit}")).await;
        let told: Vec<&str> = events
            .iter()
            .map(|event| match event["changes"][0]["key"].as_str() {
                Some(key) => key,
                None => event["changes"][0]["field"]
                    .as_str()
                    .unwrap_or_else(|| event["type"].as_str().unwrap()),
            })
            .collect();
        assert_eq!(told, expected, "{limit}");
    }
}

#[tokio::test]
async fn a_long_history_is_looked_through_in_parts() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({ "email": "a@acme.inc" })).await;
    let mut number = 0;
    while number < HISTORY_EVENTS + 500 {
        let rename = |offset: usize| {
            let contact = json!({ "name": (number + offset).to_string() });
            json!({ "op": "update", "id": id, "contact": contact })
        };
        let operations: Vec<Value> = (0..1000).map(rename).collect();
        anna.post(format!("{CONTACTS}/batch"), json!({ "operations": operations })).await.ok();
        number += 1000;
    }
    let first = anna.get(history(id, "?field=email")).await.ok();
    assert_eq!(first.payload(), &json!([]));
    assert_eq!(first.json["meta"]["has_more"], true);
    let events = walk(&anna, id, "field=email").await;
    assert_eq!(events.len(), 1);
    // As far back the contact is not unrolled.
    let seq = events[0]["seq"].as_i64().unwrap();
    let answer = anna.get(format!("{}?as_of={seq}", contact(id))).await;
    assert_eq!((answer.status, answer.code()), (422, "limit_exceeded"));
    let answer = anna.get(format!("{}?as_of={}", contact(id), app.events().await - 4000)).await;
    assert_eq!(answer.ok().payload()["name"], (number - 4001).to_string());
}

#[rstest]
#[case("?field=nonsense", 422)]
#[case("?field=url", 422)]
#[case("?field=email.x", 422)]
#[case("?field=.", 422)]
#[case("?cursor=nonsense", 400)]
#[case("?cursor=%00", 400)]
#[case("?cursor=x&page=2", 400)]
#[tokio::test]
async fn nonsense_is_told(#[case] query: &str, #[case] status: u16) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    let answer = anna.get(history(id, query)).await;
    assert_eq!(answer.status, status, "{}", answer.text);
    if status == 422 {
        assert_eq!(answer.pointers(), ["?field"]);
    }
}

#[tokio::test]
async fn what_never_was_has_none_and_neither_has_another_accounts() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let bert = app.account("Globex").await.administrator().await;
    let id = bert.contact(json!({})).await;
    assert_eq!(anna.get(history(id, "")).await.status, 404);
    assert_eq!(bert.get(history(id, "")).await.ok().payload().as_array().unwrap().len(), 1);
    assert_eq!(anna.get(format!("{CONTACTS}/x/history")).await.status, 404);
}

#[tokio::test]
async fn what_retention_took_away_is_said_to_be_missing() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({ "name": "0" })).await;
    app.clock.advance(3600);
    for number in 1..4 {
        anna.patch(contact(id), json!({ "name": number.to_string() })).await.ok();
    }
    let whole = seqs(&anna.get(history(id, "")).await.ok());
    let now = meishi_contacts::Clock::now(&*app.clock);
    app.app.store.drop_events(app.id, now).await.unwrap();
    let answer = anna.get(history(id, "")).await.ok();
    assert_eq!(seqs(&answer), whole[..3]);
    let meta = json!({ "has_more": false, "next_cursor": null, "complete": false });
    assert_eq!(answer.json["meta"], meta);
}
