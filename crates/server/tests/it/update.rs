//! `GET`, `PATCH`, `PUT` and `DELETE …/contacts/:id` (`livedesk-wire.md` 4.2 and 9.3).

use rstest::rstest;
use serde_json::{Value, json};

use crate::app::{CONTACTS, Client, TestApp, contact, list};

async fn full_contact(client: &Client) -> i64 {
    client
        .contact(json!({
            "name": "Anna Berg",
            "email": "anna@acme.inc",
            "phone_number": "+4912345",
            "identifier": "U1",
            "avatar_url": "https://a",
            "first_name": "Anna",
            "last_name": "Berg",
            "availability_status": "online",
            "blocked": true,
            "last_activity_at": 10,
            "created_at": 5,
            "custom_attributes": { "a": 1 },
            "additional_attributes": { "city": "Bern" },
        }))
        .await
}

#[tokio::test]
async fn an_update_sets_what_is_sent_and_keeps_the_rest() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = full_contact(&anna).await;
    let before = anna.get(contact(id)).await.ok();
    for (field, value) in [
        ("email", json!("new@acme.inc")),
        ("name", json!("新しい名前")),
        ("phone_number", json!("+8613912345678")),
        ("identifier", json!("u1")),
        ("thumbnail", json!("https://b")),
        ("availability_status", json!("offline")),
        ("blocked", json!(false)),
        ("last_activity_at", json!(253_402_300_799_i64)),
        ("created_at", json!(0)),
        ("custom_attributes", json!({ "a": 2 })),
        ("additional_attributes", json!({ "city": "Zürich" })),
    ] {
        let after = anna.patch(contact(id), json!({ field: value })).await.ok();
        let mut expected = before.payload().clone();
        expected[field] = value;
        assert_eq!(after.payload().to_string(), expected.to_string(), "{field}");
        assert_eq!(anna.get(contact(id)).await.ok().text, after.text);
        let back = anna.patch(contact(id), json!({ field: before.payload()[field] })).await.ok();
        assert_eq!(back.text, before.text, "{field}");
    }
}

#[rstest]
#[case("email", json!(null))]
#[case("phone_number", json!(null))]
#[case("identifier", json!(null))]
#[case("thumbnail", json!(""))]
#[case("name", json!(""))]
#[tokio::test]
async fn null_empties_what_may_be_empty(#[case] field: &str, #[case] shown: Value) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = full_contact(&anna).await;
    let mut expected = anna.get(contact(id)).await.ok().json;
    expected["payload"][field] = shown;
    let answer = anna.patch(contact(id), json!({ field: null })).await.ok();
    assert_eq!(answer.text, expected.to_string());
    let id = anna.contact(json!({ field: "" })).await;
    let answer = anna.patch(contact(id), json!({ field: "" })).await.ok();
    assert_eq!(answer.payload()[field], expected["payload"][field]);
}

#[tokio::test]
async fn null_takes_the_last_activity_away() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = full_contact(&anna).await;
    let answer = anna.patch(contact(id), json!({ "last_activity_at": null })).await.ok();
    assert!(answer.payload().get("last_activity_at").is_none());
}

#[rstest]
#[case("blocked")]
#[case("availability_status")]
#[case("created_at")]
#[case("inbox_id")]
#[case("custom_attributes")]
#[case("additional_attributes")]
#[tokio::test]
async fn null_counts_as_not_sent_where_there_is_always_a_value(#[case] field: &str) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = full_contact(&anna).await;
    let (before, events) = (anna.get(contact(id)).await.ok(), app.events().await);
    let answer = anna.patch(contact(id), json!({ field: null })).await.ok();
    assert_eq!(answer.text, before.text);
    assert_eq!(app.events().await, events);
}

#[rstest]
#[case::first(json!({ "first_name": "Bea" }), "Bea Berg")]
#[case::last(json!({ "last_name": "Tal" }), "Anna Tal")]
#[case::both(json!({ "first_name": " Bea ", "last_name": "Tal" }), "Bea Tal")]
#[case::list(json!({ "last_name": ["van", "der", "Tal"] }), "Anna van der Tal")]
#[case::blank(json!({ "last_name": "  " }), "Anna")]
#[case::empty_list(json!({ "last_name": [] }), "Anna")]
#[case::null(json!({ "first_name": null }), "Berg")]
#[case::name_wins(json!({ "name": "Chris", "first_name": "Bea" }), "Chris")]
#[case::empty_name_wins(json!({ "name": "", "first_name": "Bea" }), "")]
#[case::neither(json!({ "blocked": false }), "Anna Berg")]
#[tokio::test]
async fn a_name_is_derived_where_the_body_has_none(#[case] body: Value, #[case] name: &str) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = full_contact(&anna).await;
    let answer = anna.patch(contact(id), body).await.ok();
    assert_eq!(answer.payload()["name"], name);
}

#[tokio::test]
async fn an_email_is_trimmed_and_lower_cased_and_an_identifier_is_not() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    let body = json!({ "email": "  Anna@ACME.inc ", "identifier": " User One " });
    let answer = anna.patch(contact(id), body).await.ok();
    assert_eq!(answer.payload()["email"], "anna@acme.inc");
    assert_eq!(answer.payload()["identifier"], " User One ");
}

#[tokio::test]
async fn put_is_the_same_as_patch() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = full_contact(&anna).await;
    let answer = anna.put(contact(id), json!({ "custom_attributes": { "b": 2 } })).await.ok();
    assert_eq!(answer.payload()["custom_attributes"], json!({ "a": 1, "b": 2 }));
    assert_eq!(answer.payload()["email"], "anna@acme.inc");
}

#[rstest]
#[case("", true)]
#[case("?include_contact_inboxes", true)]
#[case("?include_contact_inboxes=", true)]
#[case("?include_contact_inboxes=true", true)]
#[case("?include_contact_inboxes=1", true)]
#[case("?include_contact_inboxes=false", false)]
#[case("?include_contact_inboxes=0", false)]
#[case("?include_contact_inboxes=yes", false)]
#[tokio::test]
async fn channels_are_shown_unless_they_are_not_wanted(#[case] query: &str, #[case] shown: bool) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    let path = format!("{}{query}", contact(id));
    let has = |contact: &Value| contact.get("contact_inboxes").is_some();
    assert_eq!(has(anna.get(&path).await.ok().payload()), shown);
    assert_eq!(has(anna.patch(&path, json!({ "name": "x" })).await.ok().payload()), shown);
    let listed = anna.get(format!("{CONTACTS}{query}")).await.ok();
    assert_eq!(has(&listed.payload()[0]), shown);
}

#[rstest]
#[case("999")]
#[case("0")]
#[case("-1")]
#[case("+1")]
#[case("abc")]
#[case("1abc")]
#[case("1.0")]
#[case("%31%00")]
#[case("%FF")]
#[case("%D9%A1")]
#[case("9007199254740992")]
#[case("99999999999999999999999999")]
#[tokio::test]
async fn an_id_that_is_none_is_not_found(#[case] id: &str) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    anna.contact(json!({})).await;
    let path = format!("{CONTACTS}/{id}");
    for answer in [
        anna.get(&path).await,
        anna.patch(&path, json!({ "name": "x" })).await,
        anna.patch(&path, json!({ "email": "nonsense" })).await,
        anna.put(&path, json!({})).await,
        anna.delete(&path).await,
        anna.get(format!("{path}/labels")).await,
        anna.post(format!("{path}/labels"), json!({ "labels": [] })).await,
        anna.post(format!("{path}/labels"), json!({ "labels": 1 })).await,
    ] {
        assert_eq!(answer.status, 404, "{}", answer.text);
        assert_eq!(answer.json["error"], "Resource could not be found");
    }
}

#[tokio::test]
async fn a_deleted_contact_is_gone_and_its_addresses_are_free() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = full_contact(&anna).await;
    let answer = anna.delete(contact(id)).await.ok();
    assert_eq!(answer.text, "{}");
    assert_eq!(anna.get(contact(id)).await.status, 404);
    assert_eq!(anna.delete(contact(id)).await.status, 404);
    assert_eq!(anna.patch(contact(id), json!({ "name": "x" })).await.status, 404);
    assert_eq!(anna.get(CONTACTS).await.count(), 0);
    assert_eq!(anna.get(list(&[("q", "Anna")])).await.count(), 0);
    assert_ne!(full_contact(&anna).await, id, "a number is never given twice");
}

#[tokio::test]
async fn a_patch_that_changes_nothing_keeps_the_version_and_writes_no_event() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = full_contact(&anna).await;
    let read = anna.get(contact(id)).await.ok();
    let (version, events) = (app.version(id).await, app.events().await);
    app.clock.advance(60);
    for body in [
        json!({}),
        read.payload().clone(),
        json!({ "email": " ANNA@acme.inc " }),
        json!({ "custom_attributes": { "a": 1, "gone": null }, "first_name": "Anna", "name": "Anna Berg" }),
        json!({ "additional_attributes": {}, "custom_attributes": "" }),
        json!({ "inbox_id": 1, "id": 7, "unknown": true }),
    ] {
        let answer = anna.patch(contact(id), body.clone()).await.ok();
        assert_eq!(answer.text, read.text, "{body}");
        assert_eq!(app.version(id).await, version, "{body}");
        assert_eq!(app.events().await, events, "{body}");
    }
    anna.patch(contact(id), json!({ "name": "other" })).await.ok();
    assert_eq!(app.version(id).await, version.next());
    assert_eq!(app.events().await, events + 1);
}

#[tokio::test]
async fn only_a_write_that_names_the_last_activity_moves_it() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({ "name": "x" })).await;
    app.clock.advance(3600);
    let answer = anna.patch(contact(id), json!({ "name": "y" })).await.ok();
    assert!(answer.payload().get("last_activity_at").is_none());
}
