//! Lenient in, canonical out (`livedesk-wire.md` 9.1 and 9.3).

use rstest::rstest;
use serde_json::{Value, json};

use crate::app::{CONTACTS, TestApp, contact};

#[rstest]
// Numbers as texts.
#[case(json!({ "created_at": "1765441895" }), "/created_at", json!(1_765_441_895))]
#[case(json!({ "created_at": 0 }), "/created_at", json!(0))]
#[case(json!({ "last_activity_at": "0" }), "/last_activity_at", json!(0))]
#[case(json!({ "last_activity_at": 253_402_300_799_i64 }), "/last_activity_at", json!(253_402_300_799_i64))]
// Booleans as texts.
#[case(json!({ "blocked": "true" }), "/blocked", json!(true))]
#[case(json!({ "blocked": "false" }), "/blocked", json!(false))]
#[case(json!({ "blocked": true }), "/blocked", json!(true))]
// A family name as a list.
#[case(json!({ "first_name": "Anna", "last_name": ["van", "Dyk"] }), "/name", json!("Anna van Dyk"))]
#[case(json!({ "last_name": ["Dyk"] }), "/name", json!("Dyk"))]
#[case(json!({ "last_name": "Dyk" }), "/name", json!("Dyk"))]
// Profile data, nested and flat.
#[case(
    json!({ "additional_attributes": { "description": { "b": 1, "a": [null] } } }),
    "/additional_attributes",
    json!({ "description": r#"{"b":1,"a":[null]}"# })
)]
#[case(
    json!({ "description": { "a": 1 } }),
    "/additional_attributes",
    json!({ "description": r#"{"a":1}"# })
)]
#[case(
    json!({ "additional_attributes": { "social_profiles": "" } }),
    "/additional_attributes",
    json!({ "social_profiles": {} })
)]
#[case(
    json!({ "additional_attributes": { "social_profiles": r#"{"github":"anna","x":{"y":1}}"# } }),
    "/additional_attributes",
    json!({ "social_profiles": { "github": "anna", "x": { "y": 1 } } })
)]
#[case(
    json!({ "social_profiles": { "github": "" } }),
    "/additional_attributes",
    json!({ "social_profiles": { "github": "" } })
)]
#[case(
    json!({
        "description": "d", "company_name": "ACME", "city": "Bern", "telegram": "@a", "country": "CH",
        "country_code": "CH", "social_profiles": {},
    }),
    "/additional_attributes",
    json!({
        "description": "d", "company_name": "ACME", "city": "Bern", "telegram": "@a", "country": "CH",
        "country_code": "CH", "social_profiles": {},
    })
)]
#[case(
    json!({ "city": "flat", "country": "CH", "additional_attributes": { "city": "nested" } }),
    "/additional_attributes",
    json!({ "city": "nested", "country": "CH" })
)]
#[case(
    json!({ "city": "flat", "additional_attributes": { "city": "" } }),
    "/additional_attributes",
    json!({ "city": "" })
)]
#[case(
    json!({ "additional_attributes": { "source_id": "email:x", "anything": [1, { "a": null }] } }),
    "/additional_attributes",
    json!({ "source_id": "email:x", "anything": [1, { "a": null }] })
)]
// Nothing to merge.
#[case(json!({ "custom_attributes": "" }), "/custom_attributes", json!({}))]
#[case(json!({ "custom_attributes": null }), "/custom_attributes", json!({}))]
#[case(json!({ "additional_attributes": "" }), "/additional_attributes", json!({}))]
#[case(json!({ "city": null }), "/additional_attributes", json!({}))]
// Addresses.
#[case(json!({ "email": " A@B.C\n" }), "/email", json!("a@b.c"))]
#[case(json!({ "email": "" }), "/email", json!(null))]
#[case(json!({ "email": "用户@例子.广告" }), "/email", json!("用户@例子.广告"))]
#[case(json!({ "phone_number": "" }), "/phone_number", json!(null))]
#[case(json!({ "phone_number": "+12" }), "/phone_number", json!("+12"))]
#[case(json!({ "phone_number": "+123456789012345" }), "/phone_number", json!("+123456789012345"))]
#[case(json!({ "identifier": "" }), "/identifier", json!(null))]
#[case(json!({ "identifier": " " }), "/identifier", json!(" "))]
#[case(json!({ "identifier": "a\u{1}\"\\" }), "/identifier", json!("a\u{1}\"\\"))]
#[case(json!({ "name": "  two  blanks " }), "/name", json!("  two  blanks "))]
#[case(json!({ "name": "line\nbreak\u{202e}" }), "/name", json!("line\nbreak\u{202e}"))]
// Texts of exactly the length that is allowed, in characters.
#[case(json!({ "name": "名".repeat(255) }), "/name", json!("名".repeat(255)))]
#[case(json!({ "identifier": "😀".repeat(255) }), "/identifier", json!("😀".repeat(255)))]
#[case(json!({ "avatar_url": "u".repeat(2048) }), "/thumbnail", json!("u".repeat(2048)))]
#[tokio::test]
async fn what_callers_send_is_taken_and_shown_in_its_own_type(
    #[case] body: Value,
    #[case] pointer: &str,
    #[case] shown: Value,
) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let mut create = body.clone();
    create["inbox_id"] = json!(1);
    let created = anna.post(CONTACTS, create).await.ok();
    assert_eq!(created.payload()["contact"].pointer(pointer), Some(&shown), "created");
    anna.delete(contact(1)).await.ok();

    let id = anna.contact(json!({})).await;
    let updated = anna.patch(contact(id), body).await.ok();
    assert_eq!(updated.payload().pointer(pointer), Some(&shown), "updated");
}

/// Fields that are refused: attribute, value, and a part of the message.
#[rstest]
#[case("created_at", json!("abc"), "Created at must be")]
#[case("created_at", json!(""), "Created at must be")]
#[case("created_at", json!(1.5), "Created at must be")]
#[case("created_at", json!("1.5"), "Created at must be")]
#[case("created_at", json!(true), "Created at must be")]
#[case("created_at", json!([]), "Created at must be")]
#[case("created_at", json!(-1), "seconds, not milliseconds")]
#[case("created_at", json!(1_765_441_895_000_i64), "seconds, not milliseconds")]
#[case("created_at", json!("1765441895000"), "seconds, not milliseconds")]
#[case("last_activity_at", json!(253_402_300_800_i64), "seconds, not milliseconds")]
#[case("last_activity_at", json!(u64::MAX), "seconds, not milliseconds")]
#[case("last_activity_at", json!("99999999999999999999"), "seconds, not milliseconds")]
#[case("last_activity_at", json!({}), "Last activity at must be")]
#[case("blocked", json!("yes"), "Blocked must be true or false")]
#[case("blocked", json!("TRUE"), "Blocked must be true or false")]
#[case("blocked", json!(""), "Blocked must be true or false")]
#[case("blocked", json!(1), "Blocked must be true or false")]
#[case("blocked", json!([]), "Blocked must be true or false")]
#[case("availability_status", json!("away"), "Availability status must be online or offline")]
#[case("availability_status", json!("Online"), "Availability status must be")]
#[case("availability_status", json!(""), "Availability status must be")]
#[case("availability_status", json!(1), "Availability status must be")]
#[case("email", json!("a"), "Email Invalid email")]
#[case("email", json!("a@"), "Email Invalid email")]
#[case("email", json!("@b"), "Email Invalid email")]
#[case("email", json!("a@b@c"), "Email Invalid email")]
#[case("email", json!("a b@c"), "Email Invalid email")]
#[case("email", json!("a@b\u{3000}c"), "Email Invalid email")]
#[case("email", json!(["a@b"]), "Email must be a string")]
#[case("email", json!(true), "Email must be a string")]
#[case("email", json!(format!("{}@b", "a".repeat(254))), "Email is too long (maximum is 255 characters)")]
#[case("phone_number", json!("+1"), "Phone number should be in e164 format")]
#[case("phone_number", json!("123456"), "Phone number should be in e164 format")]
#[case("phone_number", json!("+0123"), "Phone number should be in e164 format")]
#[case("phone_number", json!("+1234567890123456"), "Phone number should be in e164 format")]
#[case("phone_number", json!("+123456\n"), "Phone number should be in e164 format")]
#[case("phone_number", json!(" +123456"), "Phone number should be in e164 format")]
#[case("phone_number", json!("+12 34"), "Phone number should be in e164 format")]
#[case("phone_number", json!("+１２３"), "Phone number should be in e164 format")]
#[case("phone_number", json!("x\n+123456"), "Phone number should be in e164 format")]
#[case("phone_number", json!({}), "Phone number must be a string")]
#[case("identifier", json!("x".repeat(256)), "Identifier is too long (maximum is 255 characters)")]
#[case("identifier", json!([]), "Identifier must be a string")]
#[case("name", json!("名".repeat(256)), "Name is too long (maximum is 255 characters)")]
#[case("name", json!(false), "Name must be a string")]
#[case("first_name", json!("x".repeat(256)), "First name is too long (maximum is 255 characters)")]
#[case("first_name", json!([]), "First name must be a string")]
#[case("last_name", json!("x".repeat(256)), "Last name is too long (maximum is 255 characters)")]
#[case("last_name", json!(["x".repeat(200), "x".repeat(200)]), "Last name is too long")]
#[case("last_name", json!([1]), "Last name must be")]
#[case("last_name", json!({}), "Last name must be")]
#[case("avatar_url", json!("u".repeat(2049)), "Avatar url is too long (maximum is 2048 characters)")]
#[case("thumbnail", json!("u".repeat(2049)), "Thumbnail is too long (maximum is 2048 characters)")]
#[case("thumbnail", json!({}), "Thumbnail must be a string")]
#[case("custom_attributes", json!("x"), "Custom attributes must be an object")]
#[case("custom_attributes", json!("{\"a\":1}"), "Custom attributes must be an object")]
#[case("custom_attributes", json!([]), "Custom attributes must be an object")]
#[case("custom_attributes", json!(5), "Custom attributes must be an object")]
#[case("custom_attributes", json!(false), "Custom attributes must be an object")]
#[case("additional_attributes", json!("x"), "Additional attributes must be an object")]
#[case("additional_attributes", json!([]), "Additional attributes must be an object")]
#[tokio::test]
async fn a_value_that_makes_no_sense_is_refused_by_name(
    #[case] attribute: &str,
    #[case] value: Value,
    #[case] message: &str,
) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({ "name": "Kept" })).await;
    let before = app.events().await;
    for answer in [
        anna.post(CONTACTS, json!({ "inbox_id": 1, attribute: value })).await,
        anna.patch(contact(id), json!({ attribute: value })).await,
    ] {
        assert_eq!((answer.status, answer.code()), (422, "invalid"));
        assert_eq!(answer.attributes(), [attribute]);
        assert_eq!(answer.pointers(), [format!("/{attribute}")]);
        assert!(answer.message().contains(message), "{}", answer.message());
    }
    assert_eq!(app.events().await, before);
}

#[rstest]
#[case("social_profiles", json!("x"))]
#[case("social_profiles", json!("[]"))]
#[case("social_profiles", json!([]))]
#[case("social_profiles", json!(5))]
#[case("social_profiles", json!("{\"a\":1,}"))]
#[case("description", json!([]))]
#[case("city", json!([]))]
#[case("city", json!({}))]
#[case("country_code", json!(["CH"]))]
#[tokio::test]
async fn a_profile_that_makes_no_sense_is_refused_where_it_stands(
    #[case] member: &str,
    #[case] value: Value,
) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    let nested = json!({ "additional_attributes": { member: value } });
    let answer = anna.patch(contact(id), nested).await;
    assert_eq!((answer.status, answer.attributes()), (422, vec!["additional_attributes"]));
    assert_eq!(answer.pointers(), [format!("/additional_attributes/{member}")]);
    let answer = anna.patch(contact(id), json!({ member: value })).await;
    assert_eq!((answer.status, answer.code()), (422, "invalid"));
    assert_eq!(answer.pointers(), [format!("/{member}")]);
}

#[tokio::test]
async fn of_both_names_of_the_picture_the_one_that_is_wrong_is_told() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    let body = json!({ "avatar_url": null, "thumbnail": "u".repeat(2049) });
    let answer = anna.patch(contact(id), body).await;
    assert_eq!((answer.status, answer.attributes()), (422, vec!["thumbnail"]));
}

#[rstest]
#[case(json!("abc"))]
#[case(json!(1.5))]
#[case(json!(true))]
#[case(json!([1]))]
#[case(json!({}))]
#[case(json!("99999999999999999999"))]
#[tokio::test]
async fn a_channel_id_that_is_no_number_is_refused(#[case] inbox_id: Value) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let answer = anna.post(CONTACTS, json!({ "inbox_id": inbox_id })).await;
    assert_eq!((answer.status, answer.attributes()), (422, vec!["inbox_id"]));
}

#[rstest]
#[case(json!("x".repeat(256)), "Source is too long (maximum is 255 characters)")]
#[case(json!([]), "Source must be a string")]
#[tokio::test]
async fn a_source_id_that_makes_no_sense_is_refused(#[case] source: Value, #[case] message: &str) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let answer = anna.post(CONTACTS, json!({ "inbox_id": 1, "source_id": source })).await;
    assert_eq!((answer.status, answer.attributes()), (422, vec!["source_id"]));
    assert_eq!(answer.message(), message);
}
