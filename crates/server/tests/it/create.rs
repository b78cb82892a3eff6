//! `POST …/contacts` (`livedesk-wire.md` 4.1).

use rstest::rstest;
use serde_json::{Value, json};

use crate::app::{CONTACTS, INBOXES, TestApp, contact};

#[rstest]
#[case::absent(json!({ "name": "Test" }))]
#[case::null(json!({ "name": "Test", "inbox_id": null }))]
#[case::empty(json!({ "name": "Test", "inbox_id": "" }))]
#[tokio::test]
async fn a_create_without_a_channel_is_refused(#[case] body: Value) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let before = app.events().await;

    let answer = anna.call("POST", CONTACTS).json(&body).header("x-request-id", "r").send().await;

    assert_eq!(answer.status, 422);
    let expected = json!({
        "message": "Inbox can't be blank",
        "attributes": ["inbox_id"],
        "code": "invalid",
        "errors": [
            { "pointer": "/inbox_id", "code": "blank", "message": "Inbox can't be blank" }
        ],
        "request_id": "r",
    });
    assert_eq!(answer.text, expected.to_string());
    assert_eq!(app.events().await, before);
    assert_eq!(anna.get(CONTACTS).await.count(), 0);
}

#[rstest]
#[case(json!(999))]
#[case(json!("999"))]
#[case(json!(0))]
#[case(json!(-1))]
#[case(json!(9_007_199_254_740_993_i64))]
#[case(json!(i64::MAX))]
#[tokio::test]
async fn a_create_in_an_unknown_channel_is_not_found(#[case] inbox_id: Value) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let before = app.events().await;

    let answer = anna.post(CONTACTS, json!({ "inbox_id": inbox_id, "name": "Test" })).await;

    assert_eq!(answer.status, 404);
    assert_eq!(answer.json["error"], "Resource could not be found");
    assert_eq!(app.events().await, before);
}

#[tokio::test]
async fn a_channel_of_another_account_is_not_found() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let bert = app.account("Globex").await.administrator().await;
    bert.post(INBOXES, json!({ "id": 407, "name": "Bert's" })).await.ok();

    let answer = anna.post(CONTACTS, json!({ "inbox_id": 407 })).await;

    assert_eq!(answer.status, 404);
    assert_eq!(anna.get(CONTACTS).await.count(), 0);
    assert_eq!(bert.get(CONTACTS).await.count(), 0);
}

#[tokio::test]
async fn the_faults_of_fields_come_before_an_unknown_channel() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    anna.contact(json!({ "email": "a@b.c" })).await;

    let answer = anna.post(CONTACTS, json!({ "inbox_id": 999, "email": "nonsense" })).await;
    assert_eq!((answer.status, answer.attributes()), (422, vec!["email"]));

    let answer = anna.post(CONTACTS, json!({ "inbox_id": 999, "email": "a@b.c" })).await;
    assert_eq!((answer.status, answer.code()), (422, "taken"));
}

#[tokio::test]
async fn a_channel_id_may_be_sent_as_a_text() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let answer = anna.post(CONTACTS, json!({ "inbox_id": app.inbox.to_string() })).await.ok();
    assert_eq!(answer.payload()["contact_inbox"]["inbox"]["id"], app.inbox);
}

#[tokio::test]
async fn a_given_source_id_is_the_contacts_address_in_the_channel() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;

    let body = json!({ "inbox_id": app.inbox, "source_id": " Src-001 " });
    let answer = anna.post(CONTACTS, body.clone()).await.ok();
    assert_eq!(answer.payload()["contact_inbox"]["source_id"], " Src-001 ");
    assert_eq!(answer.payload()["contact"]["contact_inboxes"][0]["source_id"], " Src-001 ");

    let answer = anna.post(CONTACTS, body.clone()).await;
    assert_eq!(answer.status, 422);
    assert_eq!(answer.message(), "Source has already been taken");
    assert_eq!(answer.attributes(), ["source_id"]);
    assert_eq!(answer.code(), "taken");

    let other = anna.post(INBOXES, json!({ "name": "Other" })).await.ok();
    let mut elsewhere = body;
    elsewhere["inbox_id"] = other.payload()["id"].clone();
    anna.post(CONTACTS, elsewhere).await.ok();
}

#[rstest]
#[case(json!({}))]
#[case(json!({ "source_id": null }))]
#[case(json!({ "source_id": "" }))]
#[tokio::test]
async fn a_source_id_that_is_not_given_is_a_uuid_of_its_own(#[case] mut body: Value) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    body["inbox_id"] = app.inbox.into();
    let mut seen = Vec::new();
    for _ in 0..2 {
        let answer = anna.post(CONTACTS, body.clone()).await.ok();
        let text = answer.payload()["contact_inbox"]["source_id"].as_str().unwrap().to_owned();
        let uuid = uuid::Uuid::parse_str(&text).unwrap();
        assert_eq!(uuid.get_version_num(), 7);
        assert_eq!(uuid.to_string(), text);
        seen.push(text);
    }
    assert_ne!(seen[0], seen[1]);
}

#[rstest]
#[case(json!({ "avatar_url": "https://a" }), "https://a")]
#[case(json!({ "thumbnail": "https://t" }), "https://t")]
#[case(json!({ "thumbnail": "https://t", "avatar_url": "https://a" }), "https://a")]
#[case(json!({ "thumbnail": "" }), "")]
#[case(json!({ "avatar_url": null }), "")]
#[case(json!({ "avatar_url": null, "thumbnail": "https://t" }), "https://t")]
#[case(json!({ "avatar_url": "", "thumbnail": "https://t" }), "")]
#[case(json!({}), "")]
#[tokio::test]
async fn the_avatars_url_is_the_thumbnail(#[case] mut body: Value, #[case] thumbnail: &str) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    body["inbox_id"] = app.inbox.into();
    let answer = anna.post(CONTACTS, body).await.ok();
    assert_eq!(answer.payload()["contact"]["thumbnail"], thumbnail);
}

#[tokio::test]
async fn a_create_takes_the_fields_of_an_update() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let answer = anna
        .post(
            CONTACTS,
            json!({
                "inbox_id": app.inbox,
                "first_name": "Anna",
                "last_name": "Berg",
                "availability_status": "online",
                "blocked": true,
                "last_activity_at": 1_765_441_908,
                "created_at": 1_765_441_895,
                "custom_attributes": { "vip_level": "platinum", "gone": null },
                "additional_attributes": { "city": "Zürich" },
            }),
        )
        .await
        .ok();
    let mut created = answer.payload()["contact"].clone();
    let id = created["id"].as_i64().unwrap();
    let read = anna.get(contact(id)).await.ok();
    assert_eq!(*read.payload(), created);
    created.as_object_mut().unwrap().shift_remove("contact_inboxes");
    let expected = json!({
        "additional_attributes": { "city": "Zürich" },
        "availability_status": "online",
        "email": null,
        "id": id,
        "name": "Anna Berg",
        "phone_number": null,
        "blocked": true,
        "identifier": null,
        "thumbnail": "",
        "custom_attributes": { "vip_level": "platinum" },
        "last_activity_at": 1_765_441_908,
        "created_at": 1_765_441_895,
    });
    assert_eq!(created.to_string(), expected.to_string());
}

#[tokio::test]
async fn unknown_members_are_ignored_and_so_is_a_wrapper() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let body = json!({
        "inbox_id": app.inbox,
        "id": 4711,
        "contact": { "name": "wrapped" },
        "nonsense": [1, { "a": null }],
        "labels": ["not-here"],
        "contact_inboxes": [{ "source_id": "x" }],
    });
    let answer = anna.post(CONTACTS, body).await.ok();
    let created = &answer.payload()["contact"];
    assert_eq!(created["id"], 1);
    assert_eq!(created["name"], "");
}

#[tokio::test]
async fn a_contact_that_was_refused_leaves_no_gap_in_the_numbers() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let first = anna.contact(json!({ "email": "a@b.c" })).await;
    anna.post(CONTACTS, json!({ "inbox_id": 1, "email": "a@b.c" })).await;
    anna.post(CONTACTS, json!({ "inbox_id": 999 })).await;
    assert_eq!(anna.contact(json!({})).await, first + 1);
}
