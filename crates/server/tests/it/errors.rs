//! Statuses, codes, members and headers of errors, and the request's id (`livedesk-wire.md` 9.2).

use meishi_contacts::Role;
use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    answer::{Answer, members},
    app::{CONTACTS, INBOXES, KEYS, TestApp, contact},
};

#[track_caller]
fn assert_plain(answer: &Answer, status: u16, code: &str, text: &str) {
    assert_eq!(answer.status, status, "{}", answer.text);
    assert_eq!(answer.members(), ["error", "code", "request_id"]);
    assert_eq!(answer.json["error"], text);
    assert_eq!(answer.code(), code);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json["request_id"].as_str(), answer.header("x-request-id"));
}

#[tokio::test]
async fn a_fault_of_a_field_is_told_with_pointer_code_and_message() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let body = json!({ "inbox_id": 1, "email": "nonsense" });
    let answer = anna.call("POST", CONTACTS).header("x-request-id", "r").json(&body).send().await;
    let expected = json!({
        "message": "Email Invalid email",
        "attributes": ["email"],
        "code": "invalid",
        "errors": [{ "pointer": "/email", "code": "invalid", "message": "Email Invalid email" }],
        "request_id": "r",
    });
    assert_eq!((answer.status, answer.text), (422, expected.to_string()));
}

#[tokio::test]
async fn plain_errors_have_the_decided_texts() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let reader = app.key(Role::ReadOnly).await;
    let text = "You are not authorized to do this action";
    assert_plain(&reader.post(CONTACTS, json!({})).await, 403, "forbidden", text);
    let text = "Resource could not be found";
    assert_plain(&anna.get(contact(1)).await, 404, "not_found", text);
    let text = "Method Not Allowed";
    assert_plain(&anna.delete(CONTACTS).await, 405, "method_not_allowed", text);
    let text = "Invalid Access Token";
    assert_plain(&app.nobody().get(CONTACTS).await, 401, "unauthenticated", text);
}

#[rstest]
#[case("/api")]
#[case("/api/")]
#[case("/api/v2")]
#[case("/api/v2/accounts")]
#[case("/api/v2/accounts/")]
#[case("/api/v2/accounts/contacts/")]
#[case("/api/v2/accounts/contacts/1/")]
#[case("/api/v2/accounts/contacts/1/nonsense")]
#[case("/api/v2/accounts/Contacts")]
#[case("/api/v2/accounts//contacts")]
#[case("/api/v2/accounts/keys/1/rotate/x")]
#[case("/api/v3/accounts/contacts")]
#[case("/api/openapi.yaml")]
#[case("/api/%FF/%00")]
#[case("/nonsense")]
#[tokio::test]
async fn an_unknown_path_is_not_found_for_everybody(#[case] path: &str) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    for client in [&anna, &app.nobody()] {
        for method in ["GET", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"] {
            let answer = client.call(method, path).send().await;
            assert_plain(&answer, 404, "not_found", "Resource could not be found");
        }
    }
}

#[rstest]
#[case(CONTACTS, &["GET", "POST", "PUT"], &["DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])]
#[case("/api/v2/accounts/contacts/1", &["GET", "PATCH", "PUT", "DELETE"], &["POST", "OPTIONS"])]
#[case("/api/v2/accounts/contacts/1/labels", &["GET", "POST"], &["PUT", "PATCH", "DELETE"])]
#[case(INBOXES, &["GET", "POST"], &["DELETE", "PATCH", "PUT"])]
#[case("/api/v2/accounts/inboxes/1", &["PATCH", "DELETE"], &["GET", "POST", "PUT", "HEAD"])]
#[case(KEYS, &["GET", "POST"], &["DELETE", "PATCH", "PUT"])]
#[case("/api/v2/accounts/keys/1", &["PATCH", "DELETE"], &["GET", "POST", "PUT"])]
#[case("/api/v2/accounts/keys/1/rotate", &["POST"], &["GET", "PATCH", "DELETE"])]
#[case("/api/openapi.json", &["GET"], &["POST", "DELETE"])]
#[case("/livez", &["GET"], &["POST"])]
#[case("/readyz", &["GET"], &["POST"])]
#[case("/", &["GET"], &["POST"])]
#[tokio::test]
async fn a_wrong_verb_is_told_which_are_right(
    #[case] path: &str,
    #[case] right: &[&str],
    #[case] wrong: &[&str],
) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let with_account = path.replacen("accounts/", &format!("accounts/{}/", app.id), 1);
    for path in [path, &with_account] {
        for method in wrong {
            let answer = anna.call(method, path).send().await;
            assert_eq!(answer.status, 405, "{method} {path}");
            if *method != "HEAD" {
                assert_plain(&answer, 405, "method_not_allowed", "Method Not Allowed");
            }
            let allow = answer.header("allow").expect("Allow");
            let mut verbs: Vec<&str> = allow.split(',').map(str::trim).collect();
            verbs.retain(|verb| *verb != "HEAD" || !right.contains(&"GET"));
            verbs.sort_unstable();
            let mut right = right.to_vec();
            right.sort_unstable();
            assert_eq!(verbs, right, "{method} {path}: {allow}");
        }
    }
}

#[rstest]
#[case("abc", true)]
#[case("3f0d7c62-9d35-4c6b-8c64-0a3b1f0c5d11", true)]
#[case("A-Z_a.z:0/9+=", true)]
#[case(&"x".repeat(128), true)]
#[case(&"x".repeat(129), false)]
#[case("", false)]
#[case("with blank", false)]
#[case("quote\"", false)]
#[case("<script>", false)]
#[case("{}", false)]
#[case("名刺", false)]
#[tokio::test]
async fn a_request_id_is_kept_where_it_is_sane_and_made_where_not(
    #[case] sent: &str,
    #[case] kept: bool,
) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    for path in [CONTACTS, "/nonsense", "/livez", "/"] {
        let answer = anna.call("GET", path).header("x-request-id", sent).send().await;
        let id = answer.header("x-request-id").unwrap();
        assert_eq!(id == sent, kept, "{id}");
        assert!(kept || uuid::Uuid::parse_str(id).is_ok(), "{id}");
    }
}

#[tokio::test]
async fn every_answer_has_a_request_id_of_its_own() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let mut ids = Vec::new();
    for answer in [
        anna.get(CONTACTS).await,
        anna.get(CONTACTS).await,
        anna.get(contact(99)).await,
        anna.delete(CONTACTS).await,
        anna.get("/nonsense").await,
        anna.get("/").await,
        app.nobody().get(CONTACTS).await,
        anna.call("POST", CONTACTS).text("text/plain", "x").send().await,
        anna.call("POST", CONTACTS).text("application/json", "{").send().await,
        anna.call("GET", CONTACTS).header("x-request-id", b"\xff").send().await,
    ] {
        ids.push(answer.header("x-request-id").unwrap().to_owned());
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 10);
}

#[tokio::test]
async fn a_change_bears_the_id_of_its_request() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let body = json!({ "inbox_id": 1 });
    let call = anna.call("POST", CONTACTS).header("x-request-id", "the-request").json(&body);
    call.send().await.ok();
    let events = app.app.store.events(app.id, meishi_contacts::Seq(0), 100).await.unwrap();
    assert_eq!(events.last().unwrap().request_id, "the-request");
}

#[rstest]
#[case("text/plain")]
#[case("multipart/form-data; boundary=x")]
#[case("application/xml")]
#[case("application/jsonx")]
#[case("text/json")]
#[case("application/json, text/plain")]
#[case("application/merge-patch+json")]
#[tokio::test]
async fn a_content_type_that_is_not_read_is_told_which_are(#[case] content_type: &str) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let body = json!({ "inbox_id": 1, "name": "x" }).to_string();
    let answer = anna.call("POST", CONTACTS).text(content_type, body).send().await;
    assert_eq!((answer.status, answer.code()), (415, "unsupported_media_type"));
    assert_eq!(answer.members(), ["error", "code", "request_id"]);
    assert_eq!(
        answer.header("accept"),
        Some("application/json, application/x-www-form-urlencoded")
    );
    assert_eq!(anna.get(CONTACTS).await.ok().count(), 0);
}

#[rstest]
#[case("gzip", 415)]
#[case("br, identity", 415)]
#[case("identity", 200)]
#[case("Identity", 200)]
#[tokio::test]
async fn a_compressed_body_is_not_read(#[case] coding: &str, #[case] status: u16) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let call = anna.call("POST", CONTACTS).header("content-encoding", coding);
    let answer = call.json(&json!({ "inbox_id": 1 })).send().await;
    assert_eq!(answer.status, status);
    assert_eq!(answer.header("accept").is_some(), status == 415);
}

#[tokio::test]
async fn a_patch_reads_merge_patches_too() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    let answer = anna.call("PATCH", contact(id)).text("text/plain", "{}").send().await;
    assert_eq!(answer.status, 415);
    assert_eq!(
        answer.header("accept"),
        Some("application/json, application/x-www-form-urlencoded, application/merge-patch+json")
    );
    for content_type in
        ["application/merge-patch+json", "Application/Merge-Patch+JSON; charset=utf-8"]
    {
        for method in ["PATCH", "PUT"] {
            anna.call(method, contact(id)).text(content_type, "{}").send().await.ok();
        }
    }
}

#[rstest]
#[case(None)]
#[case(Some("application/json"))]
#[case(Some("APPLICATION/JSON"))]
#[case(Some("application/json; charset=utf-8"))]
#[case(Some(" application/json ;charset=UTF-8"))]
#[case(Some("application/x-www-form-urlencoded"))]
#[tokio::test]
async fn json_is_read_without_a_content_type_and_as_what_curl_calls_a_form(
    #[case] content_type: Option<&str>,
) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let body = json!({ "inbox_id": 1, "name": "a=b&c", "blocked": true }).to_string();
    let call = anna.call("POST", CONTACTS).body(format!(" \r\n{body}\n"));
    let call = match content_type {
        Some(value) => call.header("content-type", value),
        None => call,
    };
    let answer = call.send().await.ok();
    assert_eq!(answer.payload()["contact"]["name"], "a=b&c");
    assert_eq!(answer.payload()["contact"]["blocked"], true);
}

#[tokio::test]
async fn a_form_is_read_by_the_conventions_of_rails() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let form = "application/x-www-form-urlencoded";
    let body = "inbox_id=1&name=J%C3%B6rg+M%C3%BCller&email=J%40acme.inc&blocked=true&phone_number=\
                &created_at=5&custom_attributes[vip]=yes&custom_attributes[a][b]=c\
                &additional_attributes%5Bcity%5D=Bern&country=CH&last_name[]=x&last_name[]=y";
    let answer = anna.call("POST", CONTACTS).text(form, body).send().await.ok();
    let created = &answer.payload()["contact"];
    assert_eq!(created["name"], "Jörg Müller");
    assert_eq!(created["email"], "j@acme.inc");
    assert_eq!(created["phone_number"], Value::Null);
    assert_eq!(created["blocked"], true);
    assert_eq!(created["created_at"], 5);
    assert_eq!(created["custom_attributes"], json!({ "vip": "yes", "a": { "b": "c" } }));
    assert_eq!(created["additional_attributes"], json!({ "city": "Bern", "country": "CH" }));

    let path = format!("{}/labels", contact(1));
    let answer = anna.call("POST", &path).text(form, "labels[]=b&labels[]=a").send().await.ok();
    assert_eq!(answer.text, r#"{"payload":["a","b"]}"#);
    let answer = anna.call("POST", &path).text(form, "labels=c,d").send().await.ok();
    assert_eq!(answer.text, r#"{"payload":["c","d"]}"#);
    anna.call("POST", INBOXES).text(form, "name=Form&id=407").send().await.ok();
    let answer = anna.call("POST", KEYS).text(form, "name=Form&role=agent").send().await.ok();
    assert_eq!(members(answer.payload())[2], "api_secret");

    for body in ["name=%zz", "name=%ff", "a[b=1", "=1", "a=1&a[b]=2"] {
        let answer = anna.call("POST", CONTACTS).text(form, body).send().await;
        assert_eq!((answer.status, answer.code()), (400, "malformed_request"), "{body}");
    }
}

#[tokio::test]
async fn a_store_that_is_gone_is_told_as_such() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    app.app.store.close().await;
    for answer in [anna.get(CONTACTS).await, anna.get("/readyz").await] {
        assert_eq!((answer.status, answer.code()), (503, "unavailable"));
        assert_eq!(answer.members(), ["error", "code", "request_id"]);
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    assert_eq!(anna.get("/livez").await.ok().text, r#"{"status":"ok"}"#);
}
