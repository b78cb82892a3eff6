//! Addresses that another contact holds: 422 with the contact's number (`livedesk-wire.md` 9.2).

use rstest::rstest;
use serde_json::{Value, json};

use crate::app::{CONTACTS, Client, TestApp, contact};

/// Contacts 1 with an e-mail, 2 with an identifier, 3 with a phone number.
async fn three() -> (TestApp, Client) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    for fields in [
        json!({ "email": "taken@acme.inc" }),
        json!({ "identifier": "Taken" }),
        json!({ "phone_number": "+4912345" }),
    ] {
        anna.contact(fields).await;
    }
    (app, anna)
}

fn taken(attribute: &str, message: &str) -> Value {
    json!({ "pointer": format!("/{attribute}"), "code": "taken", "message": message })
}

const EMAIL: &str = "Email has already been taken";
const IDENTIFIER: &str = "Identifier has already been taken";
const PHONE: &str = "Phone number has already been taken";

#[tokio::test]
async fn a_conflict_names_the_contact_in_the_decided_body() {
    let (app, anna) = three().await;
    let before = app.events().await;
    let body = json!({
        "inbox_id": 1, "phone_number": "+4912345", "email": " TAKEN@acme.inc", "identifier": "Taken",
    });
    let answer = anna.call("POST", CONTACTS).header("x-request-id", "r").json(&body).send().await;
    assert_eq!(answer.status, 422);
    let expected = json!({
        "message": format!("{EMAIL}, {IDENTIFIER}, {PHONE}"),
        "attributes": ["email", "identifier", "phone_number"],
        "existing_contact_id": 1,
        "conflicts": [
            { "attribute": "email", "contact_id": 1 },
            { "attribute": "identifier", "contact_id": 2 },
            { "attribute": "phone_number", "contact_id": 3 },
        ],
        "code": "taken",
        "errors": [
            taken("email", EMAIL),
            taken("identifier", IDENTIFIER),
            taken("phone_number", PHONE),
        ],
        "request_id": "r",
    });
    assert_eq!(answer.text, expected.to_string());
    assert_eq!(app.events().await, before);
    assert_eq!(anna.get(CONTACTS).await.ok().count(), 3);

    let fourth = anna.contact(json!({ "name": "four" })).await;
    let call = anna.call("PATCH", contact(fourth)).header("x-request-id", "r");
    let answer = call.json(&body).send().await;
    assert_eq!(answer.text, expected.to_string());
}

#[rstest]
#[case(json!({ "email": "taken@ACME.inc" }), "email", 1)]
#[case(json!({ "identifier": "Taken" }), "identifier", 2)]
#[case(json!({ "phone_number": "+4912345" }), "phone_number", 3)]
#[tokio::test]
async fn each_address_conflicts_by_itself(
    #[case] mut body: Value,
    #[case] attribute: &str,
    #[case] holder: i64,
) {
    let (_app, anna) = three().await;
    // Its own address is no conflict.
    anna.patch(contact(holder), body.clone()).await.ok();
    body["inbox_id"] = json!(1);
    let answer = anna.post(CONTACTS, body.clone()).await;
    assert_eq!((answer.status, answer.code()), (422, "taken"));
    assert_eq!(answer.attributes(), [attribute]);
    assert_eq!(answer.json["existing_contact_id"], holder);
    assert_eq!(answer.json["conflicts"], json!([{ "attribute": attribute, "contact_id": holder }]));
    anna.delete(contact(holder)).await.ok();
    anna.post(CONTACTS, body).await.ok();
}

#[tokio::test]
async fn ill_formed_and_taken_fields_are_told_in_one_answer() {
    let (app, anna) = three().await;
    let before = app.events().await;
    let body = json!({
        "inbox_id": 1,
        "email": "nonsense",
        "identifier": "Taken",
        "phone_number": "+4912345",
        "name": "x".repeat(256),
        "blocked": "perhaps",
    });
    let fourth = anna.contact(json!({})).await;
    for answer in [
        anna.post(CONTACTS, body.clone()).await,
        anna.patch(contact(fourth), body.clone()).await,
        anna.put(contact(fourth), body.clone()).await,
    ] {
        assert_eq!(answer.status, 422);
        assert_eq!(
            answer.members(),
            [
                "message",
                "attributes",
                "existing_contact_id",
                "conflicts",
                "code",
                "errors",
                "request_id"
            ]
        );
        assert_eq!(answer.attributes(), ["email", "identifier", "phone_number", "name", "blocked"]);
        assert_eq!(
            answer.message(),
            format!(
                "Email Invalid email, {IDENTIFIER}, {PHONE}, \
                 Name is too long (maximum is 255 characters), Blocked must be true or false"
            )
        );
        assert_eq!(answer.json["existing_contact_id"], 2);
        assert_eq!(
            answer.json["conflicts"],
            json!([
                { "attribute": "identifier", "contact_id": 2 },
                { "attribute": "phone_number", "contact_id": 3 },
            ])
        );
    }
    assert_eq!(app.events().await, before + 1, "the fourth contact's creation alone");
}

#[tokio::test]
async fn a_missing_channel_and_a_taken_address_are_told_in_one_answer() {
    let (_app, anna) = three().await;
    let answer = anna.post(CONTACTS, json!({ "email": "taken@acme.inc" })).await;
    assert_eq!(answer.attributes(), ["email", "inbox_id"]);
    assert_eq!(answer.message(), format!("{EMAIL}, Inbox can't be blank"));
    assert_eq!(answer.json["existing_contact_id"], 1);
}

#[tokio::test]
async fn a_taken_source_id_is_told_with_a_taken_address() {
    let (_app, anna) = three().await;
    let fourth = anna.contact(json!({ "source_id": "src" })).await;
    let body = json!({ "inbox_id": 1, "email": "taken@acme.inc", "source_id": "src" });
    let answer = anna.post(CONTACTS, body).await;
    assert_eq!(answer.attributes(), ["email", "source_id"]);
    assert_eq!(answer.message(), format!("{EMAIL}, Source has already been taken"));
    assert_eq!(answer.json["existing_contact_id"], 1);
    assert_ne!(fourth, 1);
}

#[tokio::test]
async fn a_taken_source_id_is_told_with_an_ill_formed_field() {
    let (_app, anna) = three().await;
    anna.contact(json!({ "source_id": "src" })).await;
    let body = json!({ "inbox_id": 1, "email": "nonsense", "source_id": "src" });
    let answer = anna.post(CONTACTS, body).await;
    assert_eq!(answer.attributes(), ["email", "source_id"]);
}

#[tokio::test]
async fn every_ill_formed_field_is_told_in_the_documented_order() {
    let (_app, anna) = three().await;
    let long = "x".repeat(2049);
    let answer = anna
        .post(
            CONTACTS,
            json!({
                "source_id": long, "custom_attributes": 1, "last_name": 1.5 , "first_name": long,
                "created_at": "x", "last_activity_at": -1, "avatar_url": long, "blocked": 1,
                "availability_status": "x", "city": [], "name": long, "inbox_id": "x",
                "phone_number": "1", "identifier": long, "email": "x",
            }),
        )
        .await;
    assert_eq!(
        answer.attributes(),
        [
            "email",
            "identifier",
            "phone_number",
            "inbox_id",
            "name",
            "avatar_url",
            "additional_attributes",
            "availability_status",
            "blocked",
            "last_activity_at",
            "created_at",
            "first_name",
            "custom_attributes",
            "source_id",
        ]
    );
    assert_eq!(answer.code(), "invalid");
    assert_eq!(answer.json.get("conflicts"), None);
    assert_eq!(answer.json.get("existing_contact_id"), None);
    let messages: Vec<&str> = answer.json["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["message"].as_str().unwrap())
        .collect();
    assert_eq!(answer.message(), messages.join(", "));
}

#[tokio::test]
async fn an_address_that_was_given_up_is_free() {
    let (_app, anna) = three().await;
    anna.patch(contact(1), json!({ "email": "new@acme.inc" })).await.ok();
    anna.patch(contact(2), json!({ "email": "taken@acme.inc" })).await.ok();
    let answer = anna.patch(contact(3), json!({ "email": "new@acme.inc" })).await;
    assert_eq!(answer.json["existing_contact_id"], 1);
}

#[tokio::test]
async fn identifiers_are_case_sensitive_and_addresses_are_of_one_kind() {
    let (_app, anna) = three().await;
    anna.contact(json!({ "identifier": "taken" })).await;
    anna.contact(json!({ "identifier": "taken@acme.inc" })).await;
    anna.contact(json!({ "identifier": "+4912345" })).await;
}
