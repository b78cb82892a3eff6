//! `GET …/contacts/:id?as_of=`: the contact as it was.

use meishi_contacts::Clock as _;
use proptest::{prelude::*, test_runner::TestRunner};
use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    answer::Answer,
    app::{CONTACTS, Client, TestApp, contact},
};

async fn as_of(client: &Client, id: i64, when: impl ToString) -> Answer {
    client.get(format!("{}?as_of={}", contact(id), when.to_string())).await
}

async fn read(client: &Client, id: i64) -> Value {
    let path = format!("{}?include_contact_inboxes=false", contact(id));
    client.get(path).await.ok().payload().clone()
}

#[tokio::test]
async fn each_state_is_shown_as_it_was_by_event_and_by_time() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let before = app.events().await;
    let id = anna.contact(json!({ "name": "Zoe", "custom_attributes": { "plan": "free" } })).await;
    let mut states =
        vec![(app.events().await, "2025-12-24T10:21:43Z".to_owned(), read(&anna, id).await)];
    for (number, body) in [
        json!({ "email": "zoe@acme.inc", "phone_number": "+4912345", "blocked": true }),
        json!({ "email": null, "name": "Zoë", "last_activity_at": 7, "created_at": 5 }),
        json!({ "custom_attributes": { "plan": null, "seats": { "a": [1] } } }),
        json!({ "first_name": "Z", "thumbnail": "https://a", "availability_status": "online" }),
        json!({ "custom_attributes": { "seats": null } }),
    ]
    .into_iter()
    .enumerate()
    {
        app.clock.advance(60);
        anna.patch(contact(id), body).await.ok();
        let at = format!("2025-12-24T10:{}:43Z", 22 + number);
        states.push((app.events().await, at, read(&anna, id).await));
        // Something else happens in between.
        anna.contact(json!({})).await;
    }
    for (number, (seq, at, state)) in states.iter().enumerate() {
        for answer in [
            as_of(&anna, id, seq).await.ok(),
            as_of(&anna, id, seq + i64::from(number > 0)).await.ok(),
            as_of(&anna, id, at).await.ok(),
            as_of(&anna, id, at.replace("43Z", "59.9Z")).await.ok(),
            as_of(&anna, id, at.replace("T10", "T12").replace('Z', "%2B02:00")).await.ok(),
        ] {
            assert_eq!(answer.payload(), state, "{number}");
            assert_eq!(answer.json["meta"], json!({ "seq": seq, "at": at }), "{number}");
        }
    }
    for before in [before.to_string(), "0".into(), "2025-12-24T10:21:42.999Z".into()] {
        assert_eq!(as_of(&anna, id, before).await.status, 404);
    }
    for later in ["99999999999999999999999", "2999-01-01T00:00:00Z"] {
        assert_eq!(as_of(&anna, id, later).await.ok().payload(), &states[5].2);
    }
}

#[tokio::test]
async fn a_deleted_contact_is_shown_as_it_was_and_not_after() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({ "name": "Zoe", "email": "zoe@acme.inc" })).await;
    let created = app.events().await;
    let first = read(&anna, id).await;
    anna.patch(contact(id), json!({ "name": "Zoë" })).await.ok();
    let second = read(&anna, id).await;
    anna.delete(contact(id)).await.ok();
    let deleted = app.events().await;
    assert_eq!(as_of(&anna, id, created).await.ok().payload(), &first);
    assert_eq!(as_of(&anna, id, created + 1).await.ok().payload(), &second);
    assert_eq!(as_of(&anna, id, deleted).await.status, 404);
    // Brought back, the gap stays one.
    anna.post(format!("{}/revert", contact(id)), json!({ "seq": deleted })).await.ok();
    anna.patch(contact(id), json!({ "name": "Zoé" })).await.ok();
    assert_eq!(as_of(&anna, id, created).await.ok().payload(), &first);
    assert_eq!(as_of(&anna, id, deleted - 1).await.ok().payload(), &second);
    assert_eq!(as_of(&anna, id, deleted).await.status, 404);
    assert_eq!(as_of(&anna, id, deleted + 1).await.ok().payload(), &second);
    assert_eq!(as_of(&anna, id, deleted + 2).await.ok().payload()["name"], "Zoé");
}

#[tokio::test]
async fn what_is_no_longer_kept_is_gone() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({ "name": "0" })).await;
    let quiet = anna.contact(json!({ "name": "quiet" })).await;
    let created = app.events().await - 1;
    app.clock.advance(3600);
    for number in 1..4 {
        anna.patch(contact(id), json!({ "name": number.to_string() })).await.ok();
    }
    let first_kept = created + 2;
    app.app.store.drop_events(app.id, app.clock.now()).await.unwrap();
    let answer = as_of(&anna, id, created).await;
    assert_eq!((answer.status, answer.code()), (410, "gone"), "{}", answer.text);
    assert_eq!(as_of(&anna, id, "2025-12-24T10:30:00Z").await.status, 410);
    assert_eq!(as_of(&anna, id, first_kept).await.ok().payload()["name"], "1");
    assert_eq!(as_of(&anna, id, first_kept + 1).await.ok().payload()["name"], "2");
    // Right before the first event that is kept nothing else can have happened.
    let answer = as_of(&anna, id, first_kept - 1).await.ok();
    assert_eq!(answer.payload()["name"], "0");
    assert_eq!(answer.json["meta"], json!({ "seq": null, "at": null }));
    // One that did not change since is as it is.
    assert_eq!(as_of(&anna, quiet, first_kept).await.ok().payload()["name"], "quiet");
    assert_eq!(as_of(&anna, quiet, "2025-12-24T12:00:00Z").await.ok().payload()["name"], "quiet");
    assert_eq!(as_of(&anna, quiet, created).await.status, 410);
}

#[rstest]
#[case("")]
#[case("x")]
#[case("-1")]
#[case("1.5")]
#[case("%201")]
#[case("2025-12-24")]
#[case("2025-12-24T10:21:43")]
#[case("1969-01-01T00:00:00Z")]
#[case("%D9%A1")]
#[tokio::test]
async fn nonsense_is_told(#[case] when: &str) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    let answer = as_of(&anna, id, when).await;
    assert_eq!((answer.status, answer.code()), (400, "malformed_request"), "{}", answer.text);
}

#[tokio::test]
async fn another_accounts_contact_never_was() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let bert = app.account("Globex").await.administrator().await;
    let id = bert.contact(json!({})).await;
    assert_eq!(as_of(&anna, id, 999).await.status, 404);
    bert.delete(contact(id)).await.ok();
    assert_eq!(as_of(&anna, id, 1).await.status, 404);
}

/// One step of a contact's life.
fn step() -> impl Strategy<Value = Value> {
    let word = || prop::sample::select(vec![json!(null), json!("a"), json!("b")]);
    let member = || prop::sample::select(vec![json!(null), json!(1), json!({ "x": [] })]);
    prop_oneof![
        4 => (word(), word(), member(), member()).prop_map(|(name, email, a, b)| json!({
            "name": name, "email": email.as_str().map(|word| format!("{word}@acme.inc")),
            "custom_attributes": { "a": a, "b": b },
        })),
        1 => Just(json!("delete and bring back")),
    ]
}

#[test]
fn whatever_happened_every_state_can_be_read_again() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (app, anna) = runtime.block_on(async {
        let app = TestApp::start().await;
        let anna = app.administrator().await;
        (app, anna)
    });
    let config =
        ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&prop::collection::vec(step(), 1..12), |steps| {
            runtime.block_on(async {
                let id = anna.contact(json!({ "name": "first" })).await;
                let mut states = vec![(app.events().await, read(&anna, id).await)];
                for step in steps {
                    if step.is_object() {
                        anna.patch(contact(id), step).await.ok();
                    } else {
                        anna.delete(contact(id)).await.ok();
                        let seq = app.events().await;
                        let revert = format!("{}/revert", contact(id));
                        anna.post(revert, json!({ "seq": seq })).await.ok();
                    }
                    states.push((app.events().await, read(&anna, id).await));
                }
                for (seq, state) in states {
                    let answer = as_of(&anna, id, seq).await.ok();
                    prop_assert_eq!(answer.payload(), &state, "{}", seq);
                }
                anna.delete(contact(id)).await.ok();
                Ok(())
            })
        })
        .unwrap();
    assert_eq!(runtime.block_on(anna.get(CONTACTS)).ok().count(), 0);
}
