//! Conditional requests: `ETag`, `If-Match`, `If-None-Match`.

use futures::future::join_all;
use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    answer::Answer,
    app::{CONTACTS, Client, INBOXES, TestApp, contact},
    routes::{self, Subjects},
    tcp::TcpServer,
};

const WITHOUT: &str = "?include_contact_inboxes=false";

fn etag(answer: &Answer) -> &str {
    answer.header("etag").expect("an ETag")
}

/// The tag of a contact as a GET shows it now.
async fn tag(client: &Client, id: i64) -> String {
    etag(&client.get(contact(id)).await.ok()).to_owned()
}

async fn send(
    client: &Client,
    method: &str,
    path: &str,
    header: (&str, &str),
    body: &Value,
) -> Answer {
    let call = client.call(method, path).header(header.0, header.1);
    let call = if body.is_null() { call } else { call.json(body) };
    call.send().await
}

async fn get(client: &Client, path: &str, known: &str) -> Answer {
    send(client, "GET", path, ("if-none-match", known), &Value::Null).await
}

#[tokio::test]
async fn answers_of_one_contact_bear_the_tag_of_what_a_get_shows() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let created = anna.post(CONTACTS, json!({ "inbox_id": 1, "name": "Anna" })).await.ok();
    let id = created.payload()["contact"]["id"].as_i64().unwrap();
    let read = anna.get(contact(id)).await.ok();
    assert_eq!(etag(&created), etag(&read));

    let (version, hash) = etag(&read).trim_matches('"').split_once('.').unwrap();
    assert_eq!(version, "1");
    assert_eq!(etag(&read), format!("\"{version}.{hash}\""), "a strong tag");
    assert!(hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{hash}");

    for query in ["", "?include_contact_inboxes=true", WITHOUT] {
        for method in ["PATCH", "PUT"] {
            let path = format!("{}{query}", contact(id));
            let body = json!({ "name": format!("{method} {query}") });
            let written = send(&anna, method, &path, ("x", "x"), &body).await.ok();
            let read = anna.get(&path).await.ok();
            assert_eq!((etag(&written), &written.text), (etag(&read), &read.text), "{query}");
        }
    }
    assert!(tag(&anna, id).await.starts_with("\"7."));
}

#[tokio::test]
async fn a_tag_stays_as_long_as_the_answer_and_changes_with_it() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let fields = json!({ "name": "Anna", "custom_attributes": { "a": 1, "b": 2 } });
    let id = anna.contact(fields.clone()).await;
    let mut seen = vec![tag(&anna, id).await];
    // What changes nothing leaves the tag, whoever reads, and whatever happens elsewhere.
    anna.patch(contact(id), fields).await.ok();
    anna.contact(json!({ "name": "Bert" })).await;
    assert_eq!(tag(&app.administrator().await, id).await, seen[0]);

    let labels = format!("{}/labels", contact(id));
    for (method, path, body) in [
        ("PATCH", contact(id), json!({ "name": "Anne" })),
        ("PATCH", contact(id), json!({ "name": "Anna" })),
        ("POST", labels, json!({ "labels": ["vip"] })),
        ("PATCH", format!("{INBOXES}/1"), json!({ "name": "Renamed" })),
        ("DELETE", format!("{INBOXES}/1?force=true"), Value::Null),
    ] {
        routes::request(&anna, method, &path, &body).await.ok();
        let now = tag(&anna, id).await;
        assert!(!seen.contains(&now), "{method} {path}: {now}");
        seen.push(now);
    }
    // A channel's name and a lost link are no change of the contact.
    assert_eq!(seen.iter().filter(|tag| tag.starts_with("\"4.")).count(), 3, "{seen:?}");
    let without = anna.get(format!("{}{WITHOUT}", contact(id))).await.ok();
    assert!(!seen.contains(&etag(&without).to_owned()));
}

#[tokio::test]
async fn without_the_channels_their_names_have_no_part_in_the_tag() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    let path = format!("{}{WITHOUT}", contact(id));
    let before = anna.get(&path).await.ok();
    anna.patch(format!("{INBOXES}/1"), json!({ "name": "Renamed" })).await.ok();
    assert_eq!(etag(&anna.get(&path).await.ok()), etag(&before));
}

#[tokio::test]
async fn a_caller_that_has_it_already_is_told_so_in_short() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({ "name": "Anna" })).await;
    let now = tag(&anna, id).await;
    for known in [
        now.clone(),
        format!("W/{now}"),
        format!("\"other\", {now}"),
        format!("W/\"1.0\",,{now} , \"x\""),
        "*".to_owned(),
    ] {
        for method in ["GET", "HEAD"] {
            let header = ("if-none-match", known.as_str());
            let answer = send(&anna, method, &contact(id), header, &Value::Null).await;
            assert_eq!((answer.status, answer.text.as_str()), (304, ""), "{method} {known}");
            assert_eq!(etag(&answer), now);
            assert!(answer.header("x-request-id").is_some());
            assert_eq!(answer.header("content-type"), None);
        }
    }
    let version_alone = "\"1\"";
    for other in [version_alone, "\"\"", "W/\"x\"", "\"1.0000000000000000\", \"2\""] {
        let answer = get(&anna, &contact(id), other).await.ok();
        assert_eq!(etag(&answer), now, "{other}");
        assert_eq!(answer.payload()["name"], "Anna");
    }
    // Another representation is another thing.
    get(&anna, &format!("{}{WITHOUT}", contact(id)), &now).await.ok();
    anna.patch(contact(id), json!({ "name": "Anne" })).await.ok();
    assert_eq!(get(&anna, &contact(id), &now).await.ok().payload()["name"], "Anne");
    assert_eq!(get(&anna, &contact(404), "*").await.status, 404);
}

#[tokio::test]
async fn several_headers_are_one_list() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    let now = tag(&anna, id).await;
    let call = |method: &str, name: &'static str| {
        anna.call(method, contact(id)).header(name, "\"x\"").header(name, &now)
    };
    assert_eq!(call("GET", "if-none-match").send().await.status, 304);
    call("PATCH", "if-match").json(&json!({ "name": "x" })).send().await.ok();
}

#[tokio::test]
async fn on_the_wire_an_unchanged_contact_is_a_head_alone() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    let now = tag(&anna, id).await;
    let server = TcpServer::start(&app).await;
    let mut connection = server.connect().await;
    let path = contact(id);
    let secret = &anna.api_secret;
    let head = format!("host: x\r\nauthorization: Bearer {secret}\r\nif-none-match: {now}\r\n\r\n");
    for method in ["GET", "HEAD", "GET"] {
        connection.send(format!("{method} {path} HTTP/1.1\r\n{head}")).await;
        let answer = connection.answer().await.unwrap();
        assert_eq!((answer.status, etag(&answer)), (304, now.as_str()));
        // It would be that of the whole answer (RFC 9110, 8.6).
        assert_eq!(answer.header("content-length"), None);
    }
}

#[tokio::test]
async fn a_head_has_the_tag_of_the_get() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    let head = anna.call("HEAD", contact(id)).send().await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    assert_eq!(etag(&head), tag(&anna, id).await);
}

#[tokio::test]
async fn a_write_on_the_condition_of_a_version_is_made_of_that_version_only() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({ "name": "Anna" })).await;
    let old = tag(&anna, id).await;
    let patch = async |condition: &str, name: &str| {
        let body = json!({ "name": name });
        send(&anna, "PATCH", &contact(id), ("if-match", condition), &body).await
    };
    let new = etag(&patch(&old, "Anne").await.ok()).to_owned();

    let before = app.events().await;
    for condition in [
        old.clone(),
        format!("W/{new}"),
        "\"1\"".into(),
        "\"3.0\"".into(),
        "\"\"".into(),
        "\"x\"".into(),
        "\"02\"".into(),
        format!("{old}, W/{new}, \"x\""),
    ] {
        let stale = patch(&condition, "x").await;
        assert_eq!((stale.status, stale.code()), (412, "version_mismatch"), "{condition}");
        assert_eq!(
            stale.members(),
            ["error", "contact_id", "current_version", "code", "request_id"]
        );
        assert_eq!(stale.json["current_version"], 2);
    }
    assert_eq!(app.events().await, before);

    for (number, condition) in
        [new.as_str(), "\"1\", \"3\"", "\"4.ffffffffffffffff\"", "*", "\"6\""].iter().enumerate()
    {
        patch(condition, &format!("name {number}")).await.ok();
    }
    assert_eq!(app.version(id).await.0, 7);
}

#[tokio::test]
async fn a_channel_that_was_renamed_does_not_stand_in_the_way_of_a_write() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    let before = tag(&anna, id).await;
    anna.patch(format!("{INBOXES}/1"), json!({ "name": "Renamed" })).await.ok();
    assert_ne!(tag(&anna, id).await, before);
    let body = json!({ "name": "Anna" });
    send(&anna, "PATCH", &contact(id), ("if-match", &before), &body).await.ok();
}

#[tokio::test]
async fn every_write_to_a_contact_heeds_the_condition_and_no_other_write_does() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let one = contact(0).replace("/0", "/{id}");
    for (method, path) in routes::all() {
        // Where an upsert finds nobody there is no version: see below.
        let is_upsert = (method.as_str(), path.as_str()) == ("PUT", CONTACTS);
        if method == "GET" || !routes::has_account(&path) || is_upsert {
            continue;
        }
        let subjects = Subjects::make(&anna, "subject").await;
        let target = subjects.fill(&path);
        let body = subjects.body(&method, &path, app.inbox);
        let before = app.events().await;
        let stale = send(&anna, &method, &target, ("if-match", "\"9\""), &body).await;
        if !path.starts_with(&one) {
            assert_eq!(stale.status, 200, "{method} {path}: {}", stale.text);
            continue;
        }
        assert_eq!(stale.status, 412, "{method} {path}: {}", stale.text);
        let junk = send(&anna, &method, &target, ("if-match", "9"), &body).await;
        assert_eq!((junk.status, junk.code()), (400, "malformed_request"), "{method} {path}");
        assert_eq!(app.events().await, before, "{method} {path}");
        let now = tag(&anna, subjects.contact).await;
        send(&anna, &method, &target, ("if-match", &now), &body).await.ok();
        assert!(app.events().await > before, "{method} {path}");
        let nobody = Subjects { contact: 404, ..subjects }.fill(&path);
        let missing = send(&anna, &method, &nobody, ("if-match", "*"), &body).await;
        assert_eq!(missing.status, 404, "{method} {path}");
    }
}

#[tokio::test]
async fn an_upsert_heeds_the_condition_and_then_creates_nobody() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({ "identifier": "U1" })).await;
    let body = |name: &str| json!({ "inbox_id": 1, "identifier": "U1", "name": name });
    let now = tag(&anna, id).await;
    let stale = send(&anna, "PUT", CONTACTS, ("if-match", "\"9\""), &body("x")).await;
    assert_eq!((stale.status, stale.code()), (412, "version_mismatch"));
    let junk = send(&anna, "PUT", CONTACTS, ("if-match", "9"), &body("x")).await;
    assert_eq!((junk.status, junk.code()), (400, "malformed_request"));
    let done = send(&anna, "PUT", CONTACTS, ("if-match", &now), &body("Anna")).await.ok();
    assert_eq!(done.header("etag"), Some(tag(&anna, id).await.as_str()));
    let other = json!({ "inbox_id": 1, "identifier": "U2" });
    let missing = send(&anna, "PUT", CONTACTS, ("if-match", &now), &other).await;
    assert_eq!(missing.status, 404);
    assert_eq!(anna.get(CONTACTS).await.ok().ids(), [id]);
}

#[rstest]
#[case("")]
#[case("1")]
#[case("1.0011223344556677")]
#[case("\"1")]
#[case("'1'")]
#[case("w/\"1\"")]
#[case("\"1\" \"2\"")]
#[case("*, \"1\"")]
#[case("\"a b\"")]
#[tokio::test]
async fn what_is_no_list_of_tags_is_told(#[case] value: &str) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    let body = json!({ "name": "x" });
    let path = contact(id);
    for answer in [
        send(&anna, "PATCH", &path, ("if-match", value), &body).await,
        get(&anna, &path, value).await,
    ] {
        assert_eq!((answer.status, answer.code()), (400, "malformed_request"));
        assert!(answer.json["error"].as_str().unwrap().starts_with("If-"), "{}", answer.text);
    }
    // Where there is no version there is nothing to say of it.
    for name in ["if-match", "if-none-match"] {
        send(&anna, "GET", CONTACTS, (name, value), &Value::Null).await.ok();
        send(&anna, "PATCH", &format!("{INBOXES}/1"), (name, value), &body).await.ok();
    }
}

#[tokio::test]
async fn an_earlier_state_has_a_tag_of_its_own() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({ "name": "Anna" })).await;
    let then = format!("{}?as_of={}", contact(id), app.events().await);
    let first = anna.get(&then).await.ok();
    assert!(etag(&first).starts_with("\"1."), "{}", etag(&first));
    anna.patch(contact(id), json!({ "name": "Hanna" })).await.ok();
    let again = get(&anna, &then, etag(&first)).await;
    assert_eq!((again.status, etag(&again)), (304, etag(&first)));
    // It is one of what was: a write that expects it comes too late.
    let body = json!({ "name": "Johanna" });
    let stale = send(&anna, "PATCH", &contact(id), ("if-match", etag(&first)), &body).await;
    assert_eq!((stale.status, stale.code()), (412, "version_mismatch"));
    assert_eq!(stale.json["contact_id"], id);
}

#[tokio::test]
async fn what_else_is_shown_is_in_the_tag() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({ "first_name": "Zoë", "last_name": "Müller" })).await;
    let labels = json!({ "labels": ["vip"] });
    anna.post(format!("{}/labels", contact(id)), labels).await.ok();
    let bare = anna.get(contact(id)).await.ok();
    let whole = format!("{}?include=labels,first_name,last_name", contact(id));
    let shown = anna.get(&whole).await.ok();
    let mut expected = bare.payload().clone();
    for name in ["first_name", "last_name", "labels"] {
        assert_eq!(bare.payload().get(name), None);
    }
    expected["first_name"] = json!("Zoë");
    expected["last_name"] = json!("Müller");
    expected["labels"] = json!(["vip"]);
    assert_eq!(shown.payload(), &expected);
    assert_ne!(etag(&shown), etag(&bare));
    assert_eq!(get(&anna, &whole, etag(&shown)).await.status, 304);
    assert_eq!(get(&anna, &whole, etag(&bare)).await.status, 200);
    // What it does not know it passes over.
    let unknown = anna.get(format!("{}?include=notes,,Labels", contact(id))).await.ok();
    assert_eq!((etag(&unknown), &unknown.text), (etag(&bare), &bare.text));
    // Lists, look-ups and earlier states show the same.
    let listed =
        anna.get(format!("{CONTACTS}?include[]=labels&include=first_name,last_name")).await;
    assert_eq!(listed.ok().payload()[0], expected);
    let keys = json!({ "keys": [{ "id": id }] });
    let path = format!("{CONTACTS}/lookup?include=last_name,first_name,labels");
    assert_eq!(anna.post(path, keys).await.ok().payload()[0]["contact"], expected);
    let then = anna.get(format!("{whole}&as_of={}", app.events().await)).await.ok();
    expected.as_object_mut().unwrap().shift_remove("contact_inboxes");
    assert_eq!(then.payload(), &expected);
    let nameless = anna.contact(json!({})).await;
    let shown = anna.get(format!("{}?include=last_name", contact(nameless))).await.ok();
    assert_eq!(shown.payload().get("last_name"), Some(&Value::Null));
}

#[tokio::test]
async fn a_condition_that_is_told_again_is_the_one_of_then() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    let delete = async |key: &str, condition: &str| {
        let call = anna.call("DELETE", contact(id)).header("idempotency-key", key);
        call.header("if-match", condition).send().await
    };
    let stale = delete("a", "\"2\"").await;
    assert_eq!(stale.status, 412);
    anna.patch(contact(id), json!({ "name": "Anna" })).await.ok();
    let again = delete("a", "\"2\"").await;
    assert_eq!((again.status, &again.json["current_version"]), (412, &json!(1)));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    // Another condition is another request.
    let mended = delete("a", "\"1\"").await;
    assert_eq!((mended.status, mended.code()), (422, "idempotency_mismatch"));
    delete("b", "\"2\"").await.ok();
    delete("b", "\"2\"").await.ok();
    assert_eq!(delete("c", "\"2\"").await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_read_the_same_and_write_it_back_one_is_not_told_to_read_again() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({ "custom_attributes": { "count": 0 } })).await;
    // Each adds one to what it read, as often as it takes.
    let adders = (0..8).map(|_| {
        let anna = anna.clone();
        tokio::spawn(async move {
            for tries in 1.. {
                let read = anna.get(contact(id)).await.ok();
                let count = read.payload()["custom_attributes"]["count"].as_i64().unwrap();
                let body = json!({ "custom_attributes": { "count": count + 1 } });
                let condition = ("if-match", etag(&read));
                match send(&anna, "PATCH", &contact(id), condition, &body).await.status {
                    200 => return tries,
                    412 => {}
                    other => panic!("{other}"),
                }
            }
            unreachable!()
        })
    });
    let tries: Vec<i32> = join_all(adders).await.into_iter().map(Result::unwrap).collect();
    println!("{tries:?}");
    let read = anna.get(contact(id)).await.ok();
    assert_eq!(read.payload()["custom_attributes"]["count"], 8);
    assert_eq!(app.version(id).await.0, 9);
}
