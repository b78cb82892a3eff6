//! `PUT …/contacts`: find by address and update, or create.

use meishi_contacts::Role;
use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    answer::texts,
    app::{CONTACTS, Client, TestApp, contact},
};

async fn known(client: &Client) -> i64 {
    let fields = json!({
        "identifier": "U1", "email": "anna@acme.inc", "phone_number": "+4912345", "name": "Anna",
        "custom_attributes": { "plan": "free" },
    });
    client.contact(fields).await
}

#[tokio::test]
async fn somebody_unknown_is_created() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let body = json!({
        "inbox_id": app.inbox, "source_id": "s1", "email": " Zoe@ACME.inc ", "name": "Zoë",
        "custom_attributes": { "vip": true, "a/b": 1 },
    });
    let answer = anna.put(CONTACTS, body.clone()).await.ok();
    let members = ["payload", "matched_by", "created", "changed", "unchanged", "refused"];
    assert_eq!(answer.members(), members);
    assert_eq!(answer.payload()["email"], "zoe@acme.inc");
    assert_eq!(answer.payload()["contact_inboxes"][0]["source_id"], "s1");
    assert_eq!(answer.json["matched_by"], Value::Null);
    assert_eq!(answer.json["created"], true);
    let changed = ["/email", "/name", "/custom_attributes/vip", "/custom_attributes/a~1b"];
    assert_eq!(texts(&answer.json["changed"]), changed);
    assert_eq!(answer.json["unchanged"], json!([]));
    assert_eq!(answer.json["refused"], json!([]));
    let id = answer.payload()["id"].as_i64().unwrap();
    assert_eq!(anna.get(contact(id)).await.ok().payload(), answer.payload());

    // The same once more finds it and changes nothing.
    let events = app.events().await;
    let again = anna.put(CONTACTS, body).await.ok();
    assert_eq!(again.payload(), answer.payload());
    assert_eq!(again.json["matched_by"], "email");
    assert_eq!(again.json["created"], false);
    assert_eq!(again.json["changed"], json!([]));
    assert_eq!(texts(&again.json["unchanged"]), changed);
    assert_eq!(app.events().await, events);
}

#[rstest]
#[case(json!({ "identifier": "U1" }), "identifier")]
#[case(json!({ "email": "ANNA@acme.inc" }), "email")]
#[case(json!({ "phone_number": "+4912345" }), "phone_number")]
#[case(json!({ "phone_number": "+4912345", "email": "anna@acme.inc" }), "email")]
#[case(json!({ "phone_number": "+4912345", "email": "anna@acme.inc", "identifier": "U1" }), "identifier")]
#[tokio::test]
async fn a_known_person_is_found_and_updated_without_a_channel(
    #[case] mut body: Value,
    #[case] by: &str,
) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = known(&anna).await;
    body["name"] = json!("Anna Berg");
    body["custom_attributes"] = json!({ "plan": null, "seats": 5 });
    let answer = anna.put(CONTACTS, body).await.ok();
    assert_eq!(answer.payload()["id"], id);
    assert_eq!(answer.json["matched_by"], by);
    assert_eq!(answer.json["created"], false);
    let changed = ["/name", "/custom_attributes/plan", "/custom_attributes/seats"];
    assert_eq!(texts(&answer.json["changed"]), changed);
    assert_eq!(answer.payload()["custom_attributes"], json!({ "seats": 5 }));
    assert_eq!(anna.get(contact(id)).await.ok().payload(), answer.payload());
}

#[tokio::test]
async fn an_address_that_is_set_is_never_replaced_and_one_that_is_not_is_added() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = known(&anna).await;
    let body = json!({
        "identifier": "U1", "email": "other@acme.inc", "phone_number": null, "name": "Anna Berg",
    });
    let answer = anna.put(CONTACTS, body).await.ok();
    assert_eq!(answer.payload()["id"], id);
    assert_eq!(answer.payload()["email"], "anna@acme.inc");
    assert_eq!(answer.payload()["phone_number"], "+4912345");
    assert_eq!(texts(&answer.json["changed"]), ["/name"]);
    assert_eq!(texts(&answer.json["unchanged"]), ["/identifier"]);
    let message = "is already set, and an upsert does not replace it";
    assert_eq!(
        answer.json["refused"],
        json!([
            { "pointer": "/email", "code": "already_set", "message": format!("Email {message}") },
            {
                "pointer": "/phone_number", "code": "already_set",
                "message": format!("Phone number {message}"),
            },
        ])
    );

    let bare = anna.contact(json!({ "identifier": "U2" })).await;
    let body = json!({ "identifier": "U2", "email": "two@acme.inc" });
    let answer = anna.put(CONTACTS, body).await.ok();
    assert_eq!(
        (answer.payload()["id"].as_i64(), &answer.json["refused"]),
        (Some(bare), &json!([]))
    );
    assert_eq!(texts(&answer.json["changed"]), ["/email"]);
}

#[tokio::test]
async fn addresses_of_two_people_are_a_conflict_that_names_both() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let one = anna.contact(json!({ "email": "one@acme.inc" })).await;
    let two = anna.contact(json!({ "phone_number": "+4922222" })).await;
    let events = app.events().await;
    let body = json!({ "phone_number": "+4922222", "email": "one@acme.inc", "name": "x" });
    let answer = anna.put(CONTACTS, body).await;
    assert_eq!((answer.status, answer.code()), (409, "ambiguous_match"));
    assert_eq!(answer.json["existing_contact_id"], one);
    assert_eq!(
        answer.json["conflicts"],
        json!([
            { "attribute": "email", "contact_id": one },
            { "attribute": "phone_number", "contact_id": two },
        ])
    );
    assert_eq!(app.events().await, events);
}

#[rstest]
#[case::nothing(json!({}), &["/identifier"])]
#[case::no_address(json!({ "name": "x", "inbox_id": 1 }), &["/identifier"])]
#[case::empty(json!({ "email": "", "identifier": null, "phone_number": " " }), &["/phone_number"])]
#[case::all_empty(json!({ "email": "", "identifier": null, "phone_number": "" }), &["/identifier"])]
#[case::ill_formed(json!({ "email": "nonsense", "blocked": 7 }), &["/email", "/blocked"])]
#[case::no_channel(json!({ "email": "new@acme.inc" }), &["/inbox_id"])]
#[case::wrong_channel(json!({ "email": "new@acme.inc", "inbox_id": "x" }), &["/inbox_id"])]
#[tokio::test]
async fn what_is_missing_or_ill_formed_is_told(#[case] body: Value, #[case] pointers: &[&str]) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let events = app.events().await;
    let answer = anna.put(CONTACTS, body).await;
    assert_eq!((answer.status, answer.code()), (422, "invalid"), "{}", answer.text);
    assert_eq!(answer.pointers(), pointers, "{}", answer.text);
    assert_eq!(app.events().await, events);
}

#[tokio::test]
async fn an_unusable_channel_counts_only_for_a_creation() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    known(&anna).await;
    for inbox in [json!("x"), json!(null), json!(999)] {
        let body = json!({ "identifier": "U1", "inbox_id": inbox, "source_id": 7 });
        let answer = anna.put(CONTACTS, body).await.ok();
        assert_eq!(answer.json["created"], false);
    }
    let answer = anna.put(CONTACTS, json!({ "identifier": "U2", "inbox_id": 999 })).await;
    assert_eq!(answer.status, 404, "{}", answer.text);
}

#[tokio::test]
async fn with_if_none_match_it_only_creates() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = known(&anna).await;
    let put = async |identifier: &str| {
        let body = json!({ "inbox_id": app.inbox, "identifier": identifier, "name": "x" });
        anna.call("PUT", CONTACTS).header("If-None-Match", "*").json(&body).send().await
    };
    let answer = put("U1").await;
    assert_eq!((answer.status, answer.code()), (412, "version_mismatch"));
    assert_eq!(answer.json["current_version"], app.version(id).await.0);
    assert_eq!(answer.json["contact_id"], id);
    assert_eq!(anna.get(contact(id)).await.ok().payload()["name"], "Anna");
    assert_eq!(put("U2").await.ok().json["created"], true);
}

#[tokio::test]
async fn channels_are_shown_unless_they_are_not_wanted() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    known(&anna).await;
    let body = json!({ "identifier": "U1" });
    let answer = anna.put(format!("{CONTACTS}?include_contact_inboxes=false"), body.clone()).await;
    assert!(answer.ok().payload().get("contact_inboxes").is_none());
    let answer = anna.put(CONTACTS, body).await.ok();
    assert_eq!(answer.payload()["contact_inboxes"][0]["inbox"]["id"], app.inbox);
}

#[tokio::test]
async fn of_many_at_once_one_creates() {
    let app = TestApp::start().await;
    let anna = app.key(Role::Agent).await;
    let put = |number: usize| {
        let anna = anna.clone();
        let body = json!({
            "inbox_id": app.inbox, "email": "zoe@acme.inc",
            "custom_attributes": { number.to_string(): number },
        });
        tokio::spawn(async move { anna.put(CONTACTS, body).await.ok() })
    };
    let calls: Vec<_> = (0..20).map(put).collect();
    let mut created = 0;
    for call in calls {
        created += usize::from(call.await.unwrap().json["created"] == true);
    }
    assert_eq!(created, 1);
    let found = anna.get(CONTACTS).await.ok();
    assert_eq!(found.count(), 1);
    assert_eq!(found.payload()[0]["custom_attributes"].as_object().unwrap().len(), 20);
}
