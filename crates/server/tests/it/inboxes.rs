//! Channels: `…/accounts/inboxes` (`livedesk-wire.md` 9.8).

use rstest::rstest;
use serde_json::{Value, json};

use crate::app::{CONTACTS, INBOXES, TestApp, contact};

const MADE_AT: &str = "2025-12-24T10:21:43Z";

#[tokio::test]
async fn a_channel_is_shown_with_its_id_name_type_and_birth() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;

    let body = json!({ "id": 407, "name": "Kundendienstkanal", "channel_type": "Channel::Api" });
    let answer = anna.post(INBOXES, body).await.ok();
    let channel = json!({
        "id": 407, "name": "Kundendienstkanal", "channel_type": "Channel::Api", "created_at": MADE_AT,
    });
    assert_eq!(answer.text, json!({ "payload": channel }).to_string());

    let answer = anna.get(INBOXES).await.ok();
    let website = json!({ "id": 1, "name": "Website", "channel_type": "Channel::Api", "created_at": MADE_AT });
    let expected = json!({ "meta": { "count": 2 }, "payload": [website, channel] });
    assert_eq!(answer.text, expected.to_string());
}

#[tokio::test]
async fn ids_are_chosen_or_come_next() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    for (body, id) in [
        (json!({ "name": "a" }), 2_i64),
        (json!({ "name": "b", "id": "407" }), 407),
        (json!({ "name": "c", "id": null }), 408),
        (json!({ "name": "d", "id": 5 }), 5),
        (json!({ "name": "e" }), 409),
        (json!({ "name": "f", "id": (1_i64 << 52) - 1 }), (1 << 52) - 1),
        (json!({ "name": "g" }), 1 << 52),
    ] {
        assert_eq!(anna.post(INBOXES, body).await.ok().payload()["id"], id);
    }
    assert_eq!(
        anna.get(INBOXES).await.ok().ids(),
        [1, 2, 5, 407, 408, 409, (1 << 52) - 1, 1 << 52]
    );
}

#[tokio::test]
async fn an_id_that_is_taken_is_refused() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let answer = anna.post(INBOXES, json!({ "id": 1, "name": "again" })).await;
    assert_eq!((answer.status, answer.code()), (422, "taken"));
    assert_eq!(answer.attributes(), ["id"]);
    assert_eq!(answer.members(), ["message", "attributes", "code", "errors", "request_id"]);
    assert_eq!(anna.get(INBOXES).await.ok().names(), ["Website"]);
}

#[tokio::test]
async fn a_taken_id_is_told_with_the_other_faults() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let answer = anna.post(INBOXES, json!({ "id": 1, "name": "" })).await;
    assert_eq!((answer.status, answer.code()), (422, "invalid"));
    let mut wrong = answer.attributes();
    wrong.sort_unstable();
    assert_eq!(wrong, ["id", "name"]);
}

#[rstest]
#[case(json!({}), &["name"])]
#[case(json!({ "name": null }), &["name"])]
#[case(json!({ "name": "" }), &["name"])]
#[case(json!({ "name": "  " }), &["name"])]
#[case(json!({ "name": 5 }), &["name"])]
#[case(json!({ "name": "x".repeat(256) }), &["name"])]
#[case(json!({ "name": "nul\u{0}" }), &["name"])]
#[case(json!({ "name": "x", "id": 0 }), &["id"])]
#[case(json!({ "name": "x", "id": -1 }), &["id"])]
#[case(json!({ "name": "x", "id": 1_i64 << 52 }), &["id"])]
#[case(json!({ "name": "x", "id": 1.5 }), &["id"])]
#[case(json!({ "name": "x", "id": "abc" }), &["id"])]
#[case(json!({ "name": "x", "id": [] }), &["id"])]
#[case(json!({ "name": "x", "channel_type": "Channel::WebWidget" }), &["channel_type"])]
#[case(json!({ "name": "x", "channel_type": 5 }), &["channel_type"])]
#[tokio::test]
async fn a_channel_that_makes_no_sense_is_refused(#[case] body: Value, #[case] wrong: &[&str]) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let before = app.events().await;
    let answer = anna.post(INBOXES, body).await;
    assert_eq!((answer.status, answer.code()), (422, "invalid"));
    assert_eq!(answer.attributes(), wrong);
    assert_eq!(app.events().await, before);
}

#[tokio::test]
async fn one_answer_tells_every_fault_of_a_channel() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let body = json!({ "name": "", "id": 0, "channel_type": "x" });
    let mut wrong = anna.post(INBOXES, body).await.attributes().join(" ");
    assert_eq!(wrong.matches(' ').count(), 2, "{wrong}");
    for attribute in ["name", "id", "channel_type"] {
        assert!(wrong.contains(attribute), "{wrong}");
        wrong = wrong.replace(attribute, "");
    }
}

#[tokio::test]
async fn a_channel_can_be_renamed_and_its_contacts_show_it() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    let path = format!("{INBOXES}/1");
    let answer = anna.patch(&path, json!({ "name": "ช่องทางบริการลูกค้า" })).await.ok();
    assert_eq!(answer.payload()["name"], "ช่องทางบริการลูกค้า");
    let shown = anna.get(contact(id)).await.ok();
    assert_eq!(shown.payload()["contact_inboxes"][0]["inbox"]["name"], "ช่องทางบริการลูกค้า");

    let before = app.events().await;
    for body in [json!({}), json!({ "name": "ช่องทางบริการลูกค้า" }), json!({ "id": 9 })]
    {
        anna.patch(&path, body).await.ok();
    }
    assert_eq!(app.events().await, before);
    for body in [json!({ "name": "" }), json!({ "name": null }), json!({ "channel_type": "x" })] {
        assert_eq!(anna.patch(&path, body).await.status, 422);
    }
}

#[tokio::test]
async fn a_channel_without_contacts_is_deleted() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let answer = anna.delete(format!("{INBOXES}/1")).await.ok();
    assert_eq!(answer.text, "{}");
    assert_eq!(anna.get(INBOXES).await.ok().count(), 0);
    assert_eq!(anna.delete(format!("{INBOXES}/1")).await.status, 404);
    let answer = anna.post(INBOXES, json!({ "name": "next" })).await.ok();
    assert_eq!(answer.payload()["id"], 2, "an id is never given twice");
}

#[rstest]
#[case("")]
#[case("?force=false")]
#[case("?force=")]
#[case("?force=yes")]
#[tokio::test]
async fn a_channel_with_contacts_is_kept_and_says_how_many(#[case] query: &str) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    for (count, contacts) in [(1, "1 contact;"), (2, "2 contacts;")] {
        anna.contact(json!({})).await;
        let answer = anna.delete(format!("{INBOXES}/1{query}")).await;
        assert_eq!((answer.status, answer.code()), (409, "has_contacts"));
        assert_eq!(answer.members(), ["error", "count", "code", "request_id"]);
        assert_eq!(answer.json["count"], count);
        assert!(answer.text.contains(contacts), "{}", answer.text);
    }
    assert_eq!(anna.get(INBOXES).await.ok().count(), 1);
}

#[tokio::test]
async fn force_removes_the_links_and_never_a_contact() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({ "name": "Kept", "email": "a@b.c" })).await;
    anna.delete(format!("{INBOXES}/1?force=true")).await.ok();
    let answer = anna.get(contact(id)).await.ok();
    assert_eq!(answer.payload()["contact_inboxes"], json!([]));
    assert_eq!(answer.payload()["email"], "a@b.c");
    assert_eq!(anna.search("kept").await, ["Kept"]);
    assert_eq!(anna.get(CONTACTS).await.ok().count(), 1);
}

#[rstest]
#[case("999")]
#[case("0")]
#[case("abc")]
#[case("%FF")]
#[case("99999999999999999999")]
#[tokio::test]
async fn a_channel_that_is_none_is_not_found(#[case] id: &str) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let path = format!("{INBOXES}/{id}");
    for answer in [
        anna.patch(&path, json!({ "name": "x" })).await,
        anna.patch(&path, json!({ "name": "" })).await,
        anna.delete(&path).await,
        anna.delete(format!("{path}?force=true")).await,
    ] {
        assert_eq!((answer.status, answer.code()), (404, "not_found"));
    }
}
