//! What a PATCH does to the two open maps (`livedesk-wire.md` 9.4).

use rstest::rstest;
use serde_json::{Value, json};

use crate::app::{Client, TestApp, contact};

const MERGE_PATCH: &str = "application/merge-patch+json";

async fn merge_patch(client: &Client, id: i64, body: Value) -> crate::answer::Answer {
    let call = client.call("PATCH", contact(id)).text(MERGE_PATCH, body.to_string());
    call.send().await
}

#[rstest]
#[case::a_value_sets(json!({ "new": 1 }), json!({ "a": 1, "deep": { "x": 1, "y": 2 }, "new": 1 }))]
#[case::null_removes(json!({ "a": null }), json!({ "deep": { "x": 1, "y": 2 } }))]
#[case::unknown_null(json!({ "z": null }), json!({ "a": 1, "deep": { "x": 1, "y": 2 } }))]
#[case::nested_is_replaced_whole(json!({ "deep": { "x": 2 } }), json!({ "a": 1, "deep": { "x": 2 } }))]
#[case::nested_null_is_stored(
    json!({ "deep": { "x": null, "y": "" } }),
    json!({ "a": 1, "deep": { "x": null, "y": "" } })
)]
#[case::empty_text_is_a_value(json!({ "a": "" }), json!({ "a": "", "deep": { "x": 1, "y": 2 } }))]
#[case::lists_are_values(json!({ "a": [null, {}] }), json!({ "a": [null, {}], "deep": { "x": 1, "y": 2 } }))]
#[case::nothing_to_merge(json!({}), json!({ "a": 1, "deep": { "x": 1, "y": 2 } }))]
#[case::null_map(json!(null), json!({ "a": 1, "deep": { "x": 1, "y": 2 } }))]
#[case::empty_map_text(json!(""), json!({ "a": 1, "deep": { "x": 1, "y": 2 } }))]
#[tokio::test]
async fn a_patch_merges_the_maps_at_their_top_level(#[case] patch: Value, #[case] after: Value) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    for field in ["custom_attributes", "additional_attributes"] {
        let before = json!({ field: { "a": 1, "deep": { "x": 1, "y": 2 } } });
        let id = anna.contact(before).await;
        let answer = anna.patch(contact(id), json!({ field: patch })).await.ok();
        assert_eq!(answer.payload()[field], after, "{field}");
    }
}

#[rstest]
#[case::deep(json!({ "deep": { "x": 2 } }), json!({ "a": 1, "deep": { "x": 2, "y": 2 } }))]
#[case::deep_null(json!({ "deep": { "x": null } }), json!({ "a": 1, "deep": { "y": 2 } }))]
#[case::top_null(json!({ "a": null }), json!({ "deep": { "x": 1, "y": 2 } }))]
#[case::list_is_whole(json!({ "deep": [null] }), json!({ "a": 1, "deep": [null] }))]
#[case::null_in_a_new_object(
    json!({ "n": { "x": null, "y": {} } }),
    json!({ "a": 1, "deep": { "x": 1, "y": 2 }, "n": { "y": {} } })
)]
#[case::a_value_becomes_an_object(
    json!({ "a": { "b": 1 } }),
    json!({ "a": { "b": 1 }, "deep": { "x": 1, "y": 2 } })
)]
#[case::null_map(json!(null), json!({}))]
#[case::nothing(json!({}), json!({ "a": 1, "deep": { "x": 1, "y": 2 } }))]
#[tokio::test]
async fn a_merge_patch_is_rfc_7396(#[case] patch: Value, #[case] after: Value) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    for field in ["custom_attributes", "additional_attributes"] {
        let before = json!({ field: { "a": 1, "deep": { "x": 1, "y": 2 } } });
        let id = anna.contact(before).await;
        let answer = merge_patch(&anna, id, json!({ field: patch })).await.ok();
        assert_eq!(answer.payload()[field], after, "{field}");
    }
}

#[tokio::test]
async fn a_merge_patch_keeps_the_other_fields_meanings() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id =
        anna.contact(json!({ "email": "a@b.c", "phone_number": "+4912", "blocked": true })).await;
    let answer = merge_patch(&anna, id, json!({ "email": null, "blocked": null })).await.ok();
    assert_eq!(answer.payload()["email"], json!(null));
    assert_eq!(answer.payload()["phone_number"], "+4912");
    assert_eq!(answer.payload()["blocked"], true);
    let answer = merge_patch(&anna, id, json!([])).await;
    assert_eq!((answer.status, answer.code()), (400, "malformed_request"));
}

#[tokio::test]
async fn a_merge_patch_that_empties_the_profile_still_takes_its_flat_members() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({ "additional_attributes": { "country": "CH" } })).await;
    let body = json!({ "additional_attributes": null, "city": "Bern" });
    let answer = merge_patch(&anna, id, body).await.ok();
    assert_eq!(answer.payload()["additional_attributes"], json!({ "city": "Bern" }));
}

#[tokio::test]
async fn a_member_that_keeps_its_value_keeps_its_place() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({ "custom_attributes": { "z": 1, "a": 2, "m": 3 } })).await;
    let body = json!({ "custom_attributes": { "b": 4, "a": 5 } });
    let answer = anna.patch(contact(id), body).await.ok();
    assert_eq!(answer.payload()["custom_attributes"].to_string(), r#"{"z":1,"a":5,"m":3,"b":4}"#);
}

#[tokio::test]
async fn numbers_and_texts_of_attributes_come_back_as_they_were_sent() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let sent = r#"{"custom_attributes":{"big":18446744073709551615,"small":-9223372036854775808,"third":0.1,"e":1e300,"text":"\"\\/\u2028😀","$oid":{"$serde_json":1},"":""}}"#;
    let id = anna.contact(json!({})).await;
    let call = anna.call("PATCH", contact(id)).text("application/json", sent);
    let answer = call.send().await.ok();
    let sent: Value = serde_json::from_str(sent).unwrap();
    assert_eq!(answer.payload()["custom_attributes"], sent["custom_attributes"]);
    assert_eq!(anna.get(contact(id)).await.text, answer.text);
}
