//! Bodies that make no sense: 400 or 422, never 500 (`livedesk-wire.md` 9.2).

use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    app::{CONTACTS, TestApp, contact, list},
    routes::{self, Subjects},
};

#[rstest]
#[case::duplicate_keys(r#"{"name":"a","name":"b"}"#, "the key \"name\" occurs more than once")]
#[case::duplicate_escaped(r#"{"name":"a","n\u0061me":"b"}"#, "occurs more than once")]
#[case::duplicate_nested(r#"{"custom_attributes":{"a":1,"a":2}}"#, "occurs more than once")]
#[case::lone_high_surrogate(r#"{"name":"\ud800"}"#, "a lone surrogate")]
#[case::lone_low_surrogate(r#"{"name":"a\udc00"}"#, "a lone surrogate")]
#[case::swapped_surrogates(r#"{"name":"\udc00\ud800"}"#, "a lone surrogate")]
#[case::surrogate_in_key(r#"{"custom_attributes":{"\ud800":1}}"#, "a lone surrogate")]
#[case::too_large(r#"{"custom_attributes":{"a":18446744073709551616}}"#, "out of range")]
#[case::too_small(r#"{"custom_attributes":{"a":-9223372036854775809}}"#, "out of range")]
#[case::too_large_float(r#"{"custom_attributes":{"a":1e400}}"#, "out of range")]
#[case::digits(&format!(r#"{{"inbox_id":{}}}"#, "9".repeat(5000)), "out of range")]
#[case::nan(r#"{"custom_attributes":{"a":NaN}}"#, "expected a value")]
#[case::infinity(r#"{"custom_attributes":{"a":-Infinity}}"#, "invalid number")]
#[case::single_quotes("{'name':'a'}", "double quotes")]
#[case::bare_key("{name:1}", "double quotes")]
#[case::raw_nul("{\"name\":\"a\0b\"}", "control character")]
#[case::raw_line_break("{\"name\":\"a\nb\"}", "a line break in a string")]
#[case::block_comment(r#"{"name":/* x */"a"}"#, "comments")]
#[case::trailing_comma(r#"{"custom_attributes":{"a":[1,2,]}}"#, "trailing comma")]
#[case::cut(r#"{"name":"a"#, "ends before")]
#[case::two_values(r#"{"name":"a"}{"name":"b"}"#, "nothing after")]
#[case::text("name=Anna", "expected a value")]
#[tokio::test]
async fn a_body_that_is_no_json_is_malformed(#[case] body: &str, #[case] cause: &str) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({ "name": "Kept" })).await;
    for (method, path) in [("POST", CONTACTS.to_owned()), ("PATCH", contact(id))] {
        let call = anna.call(method, &path).text("application/json", body.to_owned());
        let answer = call.send().await;
        assert_eq!((answer.status, answer.code()), (400, "malformed_json"), "{}", answer.text);
        assert_eq!(answer.members(), ["error", "code", "request_id"]);
        let error = answer.json["error"].as_str().unwrap();
        assert!(error.starts_with("Malformed JSON at line "), "{error}");
        assert!(error.contains(cause), "{error}");
        assert!(error.len() < 400, "{error}");
    }
    assert_eq!(anna.search("kept").await, ["Kept"]);
}

#[rstest]
#[case(b"{\"name\":\"\xff\"}")]
#[case(b"{\"name\":\"\xc3\"}")]
#[case(b"{\"name\":\"\xed\xa0\x80\"}")]
#[case(b"\xff\xfe{\0}\0")]
#[case(b"{\"\xf8\x88\x80\x80\x80\":1}")]
#[tokio::test]
async fn a_body_that_is_not_utf8_is_malformed(#[case] body: &'static [u8]) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    for content_type in ["application/json", "application/json; charset=iso-8859-1"] {
        let answer = anna.call("POST", CONTACTS).text(content_type, body).send().await;
        assert_eq!((answer.status, answer.code()), (400, "malformed_json"));
        assert!(answer.text.contains("not valid UTF-8"), "{}", answer.text);
    }
}

#[rstest]
#[case("[]")]
#[case("null")]
#[case("5")]
#[case("\"text\"")]
#[case("[{\"inbox_id\":1}]")]
#[tokio::test]
async fn a_body_that_is_no_object_is_malformed(#[case] body: &str) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let subjects = Subjects::make(&anna, "subject").await;
    for (method, path) in routes::all() {
        let reads_none = matches!(method.as_str(), "GET" | "DELETE") || path.ends_with("/erase");
        if !routes::has_account(&path) || reads_none {
            continue;
        }
        let call = anna.call(&method, subjects.fill(&path));
        let answer = call.text("application/json", body.to_owned()).send().await;
        assert_eq!((answer.status, answer.code()), (400, "malformed_request"), "{method} {path}");
    }
}

#[rstest]
#[case("[")]
#[case("{\"a\":")]
#[case("{\"custom_attributes\":{\"a\":[[")]
#[case("{\"custom_attributes\":{\"a\":")]
#[tokio::test]
async fn a_hundred_thousand_brackets_are_survived(#[case] opening: &str) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    for body in [
        opening.repeat(100_000),
        format!("{{\"custom_attributes\":{}1{}}}", "{\"a\":".repeat(100_000), "}".repeat(100_000)),
        format!(
            "{{\"custom_attributes\":{{\"a\":{}{}}}}}",
            "[".repeat(100_000),
            "]".repeat(100_000)
        ),
    ] {
        for content_type in ["application/json", "application/merge-patch+json"] {
            // `{"a":` a hundred thousand times stays below the limit of a body.
            let body = body[..body.len().min(1024 * 1024)].to_owned();
            let answer = anna.call("PATCH", contact(id)).text(content_type, body).send().await;
            assert_eq!((answer.status, answer.code()), (400, "malformed_json"));
            assert!(answer.text.contains("levels of nesting"), "{}", answer.text);
        }
    }
    let name = format!("a{}=1", "[b]".repeat(100_000));
    let call = anna.call("PATCH", contact(id)).text("application/x-www-form-urlencoded", name);
    let answer = call.send().await;
    assert_eq!((answer.status, answer.code()), (400, "malformed_request"));
}

#[rstest]
#[case("name", json!("a\u{0}b"))]
#[case("email", json!("a\u{0}@b.c"))]
#[case("phone_number", json!("+49123\u{0}"))]
#[case("identifier", json!("\u{0}"))]
#[case("avatar_url", json!("https://\u{0}"))]
#[case("thumbnail", json!("https://\u{0}"))]
#[case("first_name", json!("\u{0}"))]
#[case("last_name", json!("\u{0}"))]
#[case("last_name", json!(["a", "\u{0}"]))]
#[case("availability_status", json!("online\u{0}"))]
#[case("blocked", json!("true\u{0}"))]
#[case("created_at", json!("1\u{0}"))]
#[case("custom_attributes", json!({ "a": "\u{0}" }))]
#[case("custom_attributes", json!({ "\u{0}": 1 }))]
#[case("custom_attributes", json!({ "a": [{ "b": { "\u{0}": 1 } }] }))]
#[case("additional_attributes", json!({ "x": ["\u{0}"] }))]
#[case("additional_attributes", json!({ "city": "\u{0}" }))]
#[case("additional_attributes", json!({ "social_profiles": "{\"a\":\"\\u0000\"}" }))]
#[tokio::test]
async fn nul_is_refused_in_every_field(#[case] field: &str, #[case] value: Value) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    let before = app.events().await;
    for answer in [
        anna.post(CONTACTS, json!({ "inbox_id": 1, field: value })).await,
        anna.patch(contact(id), json!({ field: value })).await,
    ] {
        assert_eq!((answer.status, answer.code()), (422, "invalid"), "{}", answer.text);
        assert_eq!(answer.attributes(), [field]);
    }
    assert_eq!(app.events().await, before);
}

#[tokio::test]
async fn a_fault_of_a_flat_member_points_to_where_it_stands() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    let answer = anna.patch(contact(id), json!({ "city": "\u{0}" })).await;
    assert_eq!((answer.status, answer.pointers()), (422, vec!["/city"]));
}

#[rstest]
#[case(json!({ "a/b~c": "\u{0}" }), "/custom_attributes/a~1b~0c")]
#[case(json!({ "ok": 1, "vip_level": ["\u{0}"] }), "/custom_attributes/vip_level")]
#[tokio::test]
async fn a_fault_of_an_attribute_points_to_its_key(#[case] map: Value, #[case] pointer: &str) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    let answer = anna.patch(contact(id), json!({ "custom_attributes": map })).await;
    assert_eq!((answer.status, answer.pointers()), (422, vec![pointer]));
}

#[tokio::test]
async fn nul_in_a_query_finds_nothing_and_breaks_nothing() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    anna.contact(json!({ "name": "Anna" })).await;
    for (name, value) in [("q", "an\0na"), ("sort", "na\0me"), ("direction", "\0"), ("page", "\0")]
    {
        let answer = anna.get(list(&[(name, value)])).await.ok();
        assert_eq!(answer.count(), u64::from(name != "q"), "{name}");
    }
}

#[tokio::test]
async fn a_source_id_with_nul_is_refused() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let answer = anna.post(CONTACTS, json!({ "inbox_id": 1, "source_id": "a\u{0}" })).await;
    assert_eq!((answer.status, answer.attributes()), (422, vec!["source_id"]));
}

#[rstest]
#[case("")]
#[case("  \n")]
#[tokio::test]
async fn an_empty_body_is_one_without_fields(#[case] body: &str) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    for content_type in ["application/json", "application/x-www-form-urlencoded"] {
        let call = anna.call("PATCH", contact(id)).text(content_type, body.to_owned());
        call.send().await.ok();
        let call = anna.call("POST", CONTACTS).text(content_type, body.to_owned());
        let answer = call.send().await;
        assert_eq!((answer.status, answer.attributes()), (422, vec!["inbox_id"]));
    }
}
