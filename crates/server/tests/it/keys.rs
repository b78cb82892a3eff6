//! API keys: `…/accounts/keys`.

use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    answer::{Answer, members},
    app::{CONTACTS, Client, KEYS, TestApp},
};

const MEMBERS: [&str; 8] = [
    "id",
    "api_key",
    "name",
    "role",
    "created_at",
    "expires_at",
    "last_used_at",
    "previous_secret_until",
];

/// The caller with the key that the answer shows.
fn holder(app: &TestApp, answer: &Answer) -> Client {
    let text = |name: &str| answer.payload()[name].as_str().unwrap();
    app.client(text("api_key"), text("api_secret"))
}

async fn works(client: &Client) -> bool {
    match client.get(CONTACTS).await.status {
        200 => true,
        401 => false,
        other => panic!("{other}"),
    }
}

/// Whether a secret opens the account as a bearer token.
async fn bears(app: &TestApp, secret: &str) -> bool {
    let call = app.nobody().call("GET", CONTACTS);
    call.header("authorization", format!("Bearer {secret}")).send().await.status == 200
}

#[tokio::test]
async fn the_secret_is_shown_on_creation_and_rotation_and_nowhere_else() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;

    let created = anna.post(KEYS, json!({ "name": "CRM sync", "role": "agent" })).await.ok();
    let key = created.payload();
    let mut with_secret = MEMBERS.to_vec();
    with_secret.insert(2, "api_secret");
    assert_eq!(members(key), with_secret);
    assert_eq!(key["name"], "CRM sync");
    assert_eq!(key["role"], "agent");
    assert_eq!(key["created_at"], "2025-12-24T10:21:43Z");
    for absent in ["expires_at", "last_used_at", "previous_secret_until"] {
        assert_eq!(key[absent], Value::Null);
    }

    let path = format!("{KEYS}/{}", key["id"]);
    let rotated = anna.post(format!("{path}/rotate"), json!({})).await.ok();
    assert_eq!(members(rotated.payload()), with_secret);
    assert_ne!(rotated.payload()["api_secret"], key["api_secret"]);
    assert_eq!(rotated.payload()["api_key"], key["api_key"]);

    let listed = anna.get(KEYS).await.ok();
    let changed = anna.patch(&path, json!({ "name": "x" })).await.ok();
    assert_eq!(members(changed.payload()), MEMBERS);
    for entry in listed.payload().as_array().unwrap() {
        assert_eq!(members(entry), MEMBERS);
    }
    assert_eq!(listed.count(), 3);
    for secret in [&key["api_secret"], &rotated.payload()["api_secret"]] {
        let secret = secret.as_str().unwrap();
        for answer in [&listed, &changed, &anna.get(CONTACTS).await] {
            assert!(!answer.text.contains(secret));
        }
    }
}

#[tokio::test]
async fn a_new_key_works_in_its_role() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    for role in ["administrator", "agent", "read_only"] {
        let created = anna.post(KEYS, json!({ "name": "new", "role": role })).await.ok();
        let bert = holder(&app, &created);
        assert_eq!(bert.get(CONTACTS).await.status, 200);
        let writes = bert.post(CONTACTS, json!({ "inbox_id": 1 })).await.status;
        assert_eq!(writes, if role == "read_only" { 403 } else { 200 });
        let keys = bert.get(KEYS).await.status;
        assert_eq!(keys, if role == "administrator" { 200 } else { 403 });
    }
}

#[rstest]
#[case(json!({ "name": "x" }), &["role"])]
#[case(json!({ "name": "x", "role": null }), &["role"])]
#[case(json!({ "name": "x", "role": "owner" }), &["role"])]
#[case(json!({ "name": "x", "role": "Agent" }), &["role"])]
#[case(json!({ "name": "x", "role": 1 }), &["role"])]
#[case(json!({ "role": "agent" }), &["name"])]
#[case(json!({ "name": "", "role": "agent" }), &["name"])]
#[case(json!({ "name": "nul\u{0}", "role": "agent" }), &["name"])]
#[case(json!({ "name": "x".repeat(256), "role": "agent" }), &["name"])]
#[case(json!({ "name": "x", "role": "agent", "expires_at": "tomorrow" }), &["expires_at"])]
#[case(json!({ "name": "x", "role": "agent", "expires_at": 1_800_000_000 }), &["expires_at"])]
#[case(json!({ "name": "x", "role": "agent", "expires_at": "2027-01-31" }), &["expires_at"])]
#[case(json!({ "name": "x", "role": "agent", "expires_at": "1969-01-31T00:00:00Z" }), &["expires_at"])]
#[case(json!({ "expires_at": [] }), &["name", "role", "expires_at"])]
#[tokio::test]
async fn a_key_that_makes_no_sense_is_refused(#[case] body: Value, #[case] wrong: &[&str]) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let before = app.events().await;
    let answer = anna.post(KEYS, body).await;
    assert_eq!((answer.status, answer.code()), (422, "invalid"));
    let mut attributes = answer.attributes();
    attributes.sort_unstable();
    let mut wrong = wrong.to_vec();
    wrong.sort_unstable();
    assert_eq!(attributes, wrong);
    assert_eq!(app.events().await, before);
}

#[tokio::test]
async fn a_rotated_secret_stays_valid_for_the_chosen_overlap() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let created = anna.post(KEYS, json!({ "name": "x", "role": "agent" })).await.ok();
    let old = holder(&app, &created);
    let path = format!("{KEYS}/{}/rotate", created.payload()["id"]);

    let rotated = anna.post(&path, json!({ "overlap_seconds": 3600 })).await.ok();
    let new = holder(&app, &rotated);
    assert_eq!(rotated.payload()["previous_secret_until"], "2025-12-24T11:21:43Z");
    assert!(works(&old).await && works(&new).await);
    assert!(bears(&app, &old.api_secret).await && bears(&app, &new.api_secret).await);

    app.clock.advance(3599);
    assert!(works(&old).await && bears(&app, &old.api_secret).await);
    app.clock.advance(1);
    assert!(!works(&old).await && !bears(&app, &old.api_secret).await);
    assert!(works(&new).await && bears(&app, &new.api_secret).await);
}

#[rstest]
#[case(json!({}))]
#[case(json!({ "overlap_seconds": 0 }))]
#[case(json!({ "overlap_seconds": null }))]
#[tokio::test]
async fn without_an_overlap_the_old_secret_ends_at_once(#[case] body: Value) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let created = anna.post(KEYS, json!({ "name": "x", "role": "agent" })).await.ok();
    let old = holder(&app, &created);
    assert!(works(&old).await);
    let path = format!("{KEYS}/{}/rotate", created.payload()["id"]);
    let rotated = anna.post(&path, body).await.ok();
    assert!(!works(&old).await && !bears(&app, &old.api_secret).await);
    assert!(works(&holder(&app, &rotated)).await);
}

#[tokio::test]
async fn a_second_rotation_ends_the_first_secret() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let created = anna.post(KEYS, json!({ "name": "x", "role": "agent" })).await.ok();
    let path = format!("{KEYS}/{}/rotate", created.payload()["id"]);
    let second = anna.post(&path, json!({ "overlap_seconds": "3600" })).await.ok();
    let third = anna.post(&path, json!({ "overlap_seconds": 3600 })).await.ok();
    assert!(!works(&holder(&app, &created)).await);
    assert!(works(&holder(&app, &second)).await && works(&holder(&app, &third)).await);
}

#[rstest]
#[case(json!(-1))]
#[case(json!(2_592_001))]
#[case(json!("soon"))]
#[case(json!(1.5))]
#[case(json!(true))]
#[case(json!([]))]
#[case(json!(u64::MAX))]
#[tokio::test]
async fn an_overlap_that_makes_no_sense_is_refused(#[case] overlap: Value) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let created = anna.post(KEYS, json!({ "name": "x", "role": "agent" })).await.ok();
    let path = format!("{KEYS}/{}/rotate", created.payload()["id"]);
    let answer = anna.post(&path, json!({ "overlap_seconds": overlap })).await;
    assert_eq!((answer.status, answer.attributes()), (422, vec!["overlap_seconds"]));
    assert!(works(&holder(&app, &created)).await);
}

#[tokio::test]
async fn a_revoked_key_ends_at_once_with_all_its_secrets() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let created = anna.post(KEYS, json!({ "name": "x", "role": "agent" })).await.ok();
    let path = format!("{KEYS}/{}", created.payload()["id"]);
    let rotated = anna.post(format!("{path}/rotate"), json!({ "overlap_seconds": 60 })).await.ok();
    let (old, new) = (holder(&app, &created), holder(&app, &rotated));
    assert!(works(&old).await && works(&new).await);
    assert_eq!(anna.delete(&path).await.ok().text, "{}");
    for client in [&old, &new] {
        assert!(!works(client).await && !bears(&app, &client.api_secret).await);
    }
    assert_eq!(anna.get(KEYS).await.ok().count(), 2);
    for answer in [
        anna.delete(&path).await,
        anna.patch(&path, json!({ "name": "x" })).await,
        anna.patch(&path, json!({ "name": "" })).await,
        anna.post(format!("{path}/rotate"), json!({})).await,
        anna.post(format!("{path}/rotate"), json!({ "overlap_seconds": "x" })).await,
        anna.delete(format!("{KEYS}/abc")).await,
        anna.delete(format!("{KEYS}/%FF")).await,
    ] {
        assert_eq!((answer.status, answer.code()), (404, "not_found"));
    }
}

#[tokio::test]
async fn a_key_ends_when_it_says() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let body = json!({ "name": "x", "role": "agent", "expires_at": "2025-12-24T13:21:44+01:00" });
    let created = anna.post(KEYS, body).await.ok();
    assert_eq!(created.payload()["expires_at"], "2025-12-24T12:21:44Z");
    let bert = holder(&app, &created);
    app.clock.advance(7200);
    assert!(works(&bert).await);
    app.clock.advance(1);
    assert!(!works(&bert).await && !bears(&app, &bert.api_secret).await);

    let path = format!("{KEYS}/{}", created.payload()["id"]);
    let answer = anna.patch(&path, json!({ "expires_at": null })).await.ok();
    assert_eq!(answer.payload()["expires_at"], Value::Null);
    assert!(works(&bert).await);
}

#[tokio::test]
async fn a_changed_role_holds_at_once() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let created = anna.post(KEYS, json!({ "name": "x", "role": "read_only" })).await.ok();
    let bert = holder(&app, &created);
    let path = format!("{KEYS}/{}", created.payload()["id"]);
    let write = || bert.post(CONTACTS, json!({ "inbox_id": 1 }));
    assert_eq!(write().await.status, 403);
    let answer = anna.patch(&path, json!({ "role": "agent" })).await.ok();
    assert_eq!(answer.payload()["role"], "agent");
    assert_eq!(write().await.status, 200);
    anna.patch(&path, json!({ "role": "read_only" })).await.ok();
    assert_eq!(write().await.status, 403);

    let before = app.events().await;
    for body in [json!({}), json!({ "role": "read_only", "name": "x" }), json!({ "role": null })] {
        anna.patch(&path, body).await.ok();
    }
    assert_eq!(app.events().await, before, "nothing changed");
    for body in [json!({ "role": "x" }), json!({ "name": "" }), json!({ "expires_at": 5 })] {
        assert_eq!(anna.patch(&path, body).await.status, 422);
    }
}

#[tokio::test]
async fn a_use_is_noted_once_a_minute_and_is_no_event() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let created = anna.post(KEYS, json!({ "name": "x", "role": "agent" })).await.ok();
    let bert = holder(&app, &created);
    let before = app.events().await;
    let seen = async |wanted: &str| {
        for _ in 0..200 {
            let keys = anna.get(KEYS).await.ok();
            let key = keys.payload().as_array().unwrap().iter().find(|k| k["name"] == "x").unwrap();
            if key["last_used_at"] == *wanted {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!("a use at {wanted} was not noted");
    };
    assert!(works(&bert).await);
    seen("2025-12-24T10:21:43Z").await;
    app.clock.advance(59);
    assert!(works(&bert).await);
    seen("2025-12-24T10:21:43Z").await;
    app.clock.advance(1);
    assert!(works(&bert).await);
    seen("2025-12-24T10:22:43Z").await;
    assert_eq!(app.events().await, before);
}
