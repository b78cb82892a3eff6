//! The documented samples (`livedesk-wire.md` section 6): whole bodies, the order of their members
//! included. Inside `additional_attributes` order carries no meaning (trap 21).

use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    answer::{Answer, members},
    app::{CONTACTS, Client, INBOXES, TestApp, contact},
};

const CREATE_REQUEST: &str = include_str!("../../fixtures/create-request.json");
const CREATE_VERBATIM: &str = include_str!("../../fixtures/create-request-verbatim.txt");
const CREATE_DOCUMENTED: &str = include_str!("../../fixtures/create-response-documented.json");
const CREATE_RESPONSE: &str = include_str!("../../fixtures/create-response-meishi.json");
const UPDATE_REQUEST: &str = include_str!("../../fixtures/update-request.json");
const UPDATE_VERBATIM: &str = include_str!("../../fixtures/update-request-verbatim.txt");
const UPDATE_DOCUMENTED: &str = include_str!("../../fixtures/update-response.json");
const UPDATE_RESPONSE: &str = include_str!("../../fixtures/update-response-meishi.json");
const LIST_RESPONSE: &str = include_str!("../../fixtures/list-response.json");
const COMMENT: &str = include_str!("../../fixtures/malformed-comment.txt");
const COMMA: &str = include_str!("../../fixtures/malformed-comma.txt");

const GERMAN: &str = "Kundendienstkanal";
const JAPANESE: &str = "カスタマーサービスチャネル";
const THAI: &str = "ช่องทางบริการลูกค้า";

fn json_of(fixture: &str) -> Value {
    serde_json::from_str(fixture).unwrap()
}

/// Two bodies are the same when their texts are, but for values that vary (which must be of the
/// same type) and for the order inside `additional_attributes`.
#[track_caller]
fn assert_same(answer: &Answer, mut expected: Value, varying: &[&str]) {
    let mut actual = answer.json.clone();
    assert_eq!(actual.to_string(), answer.text, "the answer is compact JSON");
    for pointer in varying {
        let wanted = expected.pointer(pointer).expect(pointer);
        let value = actual.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer} is missing"));
        assert_eq!(value.is_i64(), wanted.is_i64(), "{pointer} is {value}");
        assert_eq!(value.is_string(), wanted.is_string(), "{pointer} is {value}");
        *value = wanted.clone();
    }
    sort_profiles(&mut actual);
    sort_profiles(&mut expected);
    assert_eq!(actual.to_string(), expected.to_string());
}

fn sort_profiles(value: &mut Value) {
    if let Some(profile) = value.get_mut("additional_attributes") {
        profile.sort_all_objects();
    }
    match value {
        Value::Array(entries) => entries.iter_mut().for_each(sort_profiles),
        Value::Object(entries) => entries.values_mut().for_each(sort_profiles),
        _ => {}
    }
}

async fn channel(client: &Client, id: i64, name: &str) {
    client.post(INBOXES, json!({ "id": id, "name": name })).await.ok();
}

#[rstest]
#[case(GERMAN)]
#[case(JAPANESE)]
#[case(THAI)]
#[tokio::test]
async fn the_create_sample_is_answered_as_decided(#[case] channel_name: &str) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    channel(&anna, 407, channel_name).await;

    let answer = anna.post(CONTACTS, json_of(CREATE_REQUEST)).await.ok();

    let mut expected = json_of(CREATE_RESPONSE);
    for pointer in
        ["/payload/contact/contact_inboxes/0/inbox/name", "/payload/contact_inbox/inbox/name"]
    {
        *expected.pointer_mut(pointer).unwrap() = channel_name.into();
    }
    let link = "/payload/contact/contact_inboxes/0/source_id";
    let source_id = answer.json.pointer(link).unwrap().as_str().unwrap();
    assert_eq!(answer.payload()["contact_inbox"]["source_id"], source_id);
    assert!(uuid::Uuid::parse_str(source_id).is_ok(), "{source_id}");
    assert_same(
        &answer,
        expected,
        &["/payload/contact/id", link, "/payload/contact_inbox/source_id"],
    );
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn a_create_of_a_name_alone_has_the_documented_shape() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;

    let request = json!({ "inbox_id": app.inbox, "name": "Test" });
    let mut answer = anna.post(CONTACTS, request).await.ok();

    // The documented answer is that of a create without a channel, which Meishi does not do.
    let expected = json_of(CREATE_DOCUMENTED);
    let link = &mut answer.json["payload"]["contact_inbox"];
    assert_eq!(members(link), members(&expected["payload"]["contact_inbox"]));
    *link = expected["payload"]["contact_inbox"].clone();
    answer.json["payload"]["contact"]["contact_inboxes"] = json!([]);
    answer.text = answer.json.to_string();
    assert_same(&answer, expected, &["/payload/contact/id"]);
}

/// A sample with another name of its channel.
fn named(fixture: &str, channel_name: &str) -> Value {
    let mut expected = json_of(fixture);
    let name = expected.pointer_mut("/payload/contact_inboxes/0/inbox/name").unwrap();
    *name = channel_name.into();
    expected
}

#[rstest]
#[case(GERMAN)]
#[case(JAPANESE)]
#[case(THAI)]
#[tokio::test]
async fn the_update_and_list_samples_are_answered_as_decided(#[case] channel_name: &str) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    channel(&anna, 10, channel_name).await;
    let id = anna.contact(json!({ "inbox_id": 10, "source_id": "src_001" })).await;

    let answer = anna.patch(contact(id), json_of(UPDATE_REQUEST)).await.ok();
    assert_same(&answer, named(UPDATE_RESPONSE, channel_name), &["/payload/id"]);

    let sample = "?include_contact_inboxes=false&page=1&sort=last_activity_at&page_size=10";
    let answer = anna.get(format!("{CONTACTS}{sample}")).await.ok();
    let mut expected = json_of(LIST_RESPONSE);
    expected["payload"][0]["custom_attributes"] = json!({ "vip_level": "platinum" });
    assert_same(&answer, expected, &["/payload/0/id"]);

    let answer = anna.get(format!("{CONTACTS}?q=support@jiguang.cn")).await.ok();
    assert_eq!(answer.json["meta"].to_string(), r#"{"count":1,"current_page":1}"#);
}

#[test]
fn the_decided_update_answer_is_the_documented_one_with_its_attribute() {
    let mut documented = json_of(UPDATE_DOCUMENTED);
    documented["payload"]["custom_attributes"] = json!({ "vip_level": "platinum" });
    assert_eq!(json_of(UPDATE_RESPONSE).to_string(), documented.to_string());
}

/// Sends a body that is no JSON and gives what the answer says.
async fn refusal(method: &str, body: &str) -> String {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    channel(&anna, 407, JAPANESE).await;
    let id = anna.contact(json!({})).await;
    let path = if method == "POST" { CONTACTS.to_owned() } else { contact(id) };
    let answer = anna.call(method, path).text("application/json", body.to_owned()).send().await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.members(), ["error", "code", "request_id"]);
    assert_eq!(answer.code(), "malformed_json");
    answer.json["error"].as_str().unwrap().to_owned()
}

fn comment_at(line: usize, column: usize) -> String {
    format!("Malformed JSON at line {line}, column {column}: comments (//) are not allowed in JSON")
}

#[rstest]
#[case::english("Optional")]
#[case::chinese("可选")]
#[case::japanese("任意")]
#[case::thai("ไม่บังคับ")]
#[tokio::test]
async fn the_published_create_body_is_told_its_comment(#[case] word: &str) {
    let body = CREATE_VERBATIM.replace("Optional", word);
    assert_eq!(refusal("POST", &body).await, comment_at(3, 17));
}

#[rstest]
#[case::english("Optional: fields that the project defines")]
#[case::chinese("可选：项目定义的字段")]
#[case::japanese("任意：プロジェクトが定義する項目")]
#[case::thai("ไม่บังคับ: ฟิลด์ที่โครงการกำหนด")]
#[tokio::test]
async fn the_published_update_body_is_told_its_comment(#[case] comment: &str) {
    let body = UPDATE_VERBATIM.replace("Optional: fields that the project defines", comment);
    assert!(body.contains(comment));
    assert_eq!(refusal("PATCH", &body).await, comment_at(25, 26));
}

#[rstest]
#[case::chinese("张伟", 15)]
#[case::japanese("田中さくら", 18)]
#[case::thai("สมชาย ใจดี", 23)]
#[tokio::test]
async fn columns_are_counted_in_code_points(#[case] name: &str, #[case] column: usize) {
    let body = CREATE_VERBATIM.replace("Test", name);
    assert_eq!(refusal("POST", &body).await, comment_at(3, column));
}

#[tokio::test]
async fn each_fault_of_the_published_bodies_is_told_alone() {
    assert_eq!(refusal("POST", COMMENT).await, comment_at(3, 19));
    assert_eq!(
        refusal("POST", COMMA).await,
        "Malformed JSON at line 4, column 1: a trailing comma is not allowed in JSON"
    );
}
