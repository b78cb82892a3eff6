//! How webhooks are made, changed and deleted.

use meishi_contacts::limits::WEBHOOKS as MOST;
use rstest::rstest;

use super::*;

const MEMBERS: [&str; 10] = [
    "id",
    "url",
    "events",
    "format",
    "include_activity",
    "state",
    "state_reason",
    "failing_since",
    "created_at",
    "previous_secret_until",
];

#[tokio::test]
async fn a_webhook_is_made_shown_changed_and_deleted() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let body = json!({ "url": "https://Example.com/a b#part", "events": EVENTS });
    let created = anna.post(WEBHOOKS, body).await.ok();
    let expected = json!({
        "id": 1,
        "url": "https://example.com/a%20b",
        "secret": created.payload()["secret"],
        "events": EVENTS,
        "format": "meishi",
        "include_activity": false,
        "state": "enabled",
        "state_reason": null,
        "failing_since": null,
        "created_at": "2025-12-24T10:21:43Z",
        "previous_secret_until": null,
    });
    assert_eq!(created.json, json!({ "payload": expected }));
    let hook = Hook::of(&created);
    assert_eq!(BASE64_STANDARD.decode(&hook.secret[6..]).unwrap().len(), 32);
    let shown = anna.get(hook.path("")).await.ok();
    assert_eq!(crate::answer::members(shown.payload()), MEMBERS);
    let listed = anna.get(WEBHOOKS).await.ok();
    assert_eq!(listed.json, json!({ "meta": { "count": 1 }, "payload": [shown.payload()] }));

    let changes = json!({
        "url": "http://hooks.example.com:8080/x", "events": ["contact.erased"],
        "format": "chatwoot", "include_activity": "true", "state": "paused",
    });
    let after = anna.patch(hook.path(""), changes.clone()).await.ok();
    for (name, value) in changes.as_object().unwrap() {
        let value = if name == "include_activity" { &json!(true) } else { value };
        assert_eq!(after.payload()[name], *value, "{name}");
    }
    let before = app.events().await;
    for nothing in [json!({}), changes, json!({ "format": null, "state": null })] {
        anna.patch(hook.path(""), nothing).await.ok();
    }
    assert_eq!(app.events().await, before, "nothing changed");
    assert_eq!(anna.delete(hook.path("")).await.ok().text, "{}");
    for gone in [
        anna.get(hook.path("")).await,
        anna.patch(hook.path(""), json!({ "format": "x" })).await,
        anna.delete(hook.path("")).await,
        anna.post(hook.path("/rotate"), json!({ "overlap_seconds": "x" })).await,
        anna.get(hook.path("/deliveries")).await,
        anna.post(hook.path("/redeliver"), json!({})).await,
    ] {
        assert_eq!(gone.status, 404, "{}", gone.text);
    }
    assert_eq!(anna.get(WEBHOOKS).await.ok().count(), 0);
}

#[rstest]
#[case(json!({}), &["/url", "/events"])]
#[case(json!({ "url": null, "events": null }), &["/url", "/events"])]
#[case(json!({ "url": " ", "events": [] }), &["/url", "/events"])]
#[case(json!({ "url": 1, "events": 1 }), &["/url", "/events"])]
#[case(json!({ "url": "example.com", "events": ["contact.merged", "contact.created", 5] }), &["/url", "/events/0", "/events/2"])]
#[case(json!({ "url": "ftp://example.com", "events": ["contact.created"], "format": "xml" }), &["/url", "/format"])]
#[case(json!({ "url": "https://a:b@example.com", "events": "contact.created", "include_activity": 5 }), &["/url", "/include_activity"])]
#[case(json!({ "url": "http://127.0.0.1/", "events": EVENTS }), &["/url"])]
#[case(json!({ "url": "http://0x7f.1/", "events": EVENTS }), &["/url"])]
#[case(json!({ "url": "http://[::ffff:10.0.0.1]/", "events": EVENTS }), &["/url"])]
#[case(json!({ "url": "http://169.254.169.254/latest", "events": EVENTS }), &["/url"])]
#[tokio::test]
async fn every_fault_is_told_at_once(#[case] body: Value, #[case] pointers: &[&str]) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let refused = anna.post(WEBHOOKS, body).await;
    assert_eq!((refused.status, refused.pointers()), (422, pointers.to_vec()), "{}", refused.text);
    assert_eq!(anna.get(WEBHOOKS).await.ok().count(), 0);
}

#[tokio::test]
async fn faults_say_what_would_be_right() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let refused = async |body: Value| anna.post(WEBHOOKS, body).await.message().to_owned();
    let unknown = json!({ "url": "https://example.com", "events": ["contact.merged"] });
    assert_eq!(
        refused(unknown).await,
        "Events has no \"contact.merged\"; there are contact.created, contact.updated, \
         contact.deleted, contact.restored, contact.erased"
    );
    let inside = json!({ "url": "http://10.1.2.3/", "events": EVENTS });
    assert_eq!(
        refused(inside).await,
        "Url must lead to a public address (address not allowed: 10.1.2.3 is private)"
    );
    let long = format!("https://example.com/{}", "a".repeat(2048));
    let long = anna.post(WEBHOOKS, json!({ "url": long, "events": EVENTS })).await;
    assert_eq!(long.json["errors"][0]["code"], "too_long");
    let created = anna.post(WEBHOOKS, json!({ "url": "https://example.com", "events": EVENTS }));
    let hook = Hook::of(&created.await.ok());
    for (wrong, pointer) in [
        (json!({ "state": "disabled" }), "/state"),
        (json!({ "url": "" }), "/url"),
        (json!({ "url": "http://[::1]/" }), "/url"),
        (json!({ "events": ["x"] }), "/events/0"),
    ] {
        let refused = anna.patch(hook.path(""), wrong).await;
        assert_eq!((refused.status, refused.pointers()), (422, vec![pointer]), "{}", refused.text);
    }
}

#[tokio::test]
async fn an_account_has_so_many_webhooks_and_no_more() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let create = || anna.post(WEBHOOKS, json!({ "url": "https://example.com", "events": EVENTS }));
    for _ in 0..MOST {
        create().await.ok();
    }
    let refused = create().await;
    assert_eq!((refused.status, refused.code()), (422, "limit_exceeded"), "{}", refused.text);
    anna.delete(format!("{WEBHOOKS}/1")).await.ok();
    create().await.ok();
}

#[tokio::test]
async fn a_secret_is_nowhere_but_in_the_answer_that_makes_it() {
    let scene = Scene::new().await;
    let endpoint = Endpoint::answering(&answer(204)).await;
    let first = scene.hook(&endpoint, json!({})).await;
    let rotated =
        scene.anna.post(first.path("/rotate"), json!({ "overlap_seconds": 60 })).await.ok();
    let second = Hook::of(&rotated);
    scene.anna.contact(json!({ "name": "x" })).await;
    scene.work().await;
    let mut seen = vec![
        scene.anna.get(WEBHOOKS).await.ok().text,
        scene.anna.get(first.path("")).await.ok().text,
        scene.anna.patch(first.path(""), json!({ "state": "paused" })).await.ok().text,
        scene.anna.get(first.path("/deliveries")).await.ok().text,
    ];
    let events = scene.app.app.store.events(scene.id, Seq(0), 1000).await.unwrap();
    seen.push(serde_json::to_string(&events).unwrap());
    for text in seen {
        for secret in [&first.secret, &second.secret] {
            assert!(!text.contains(&secret[6..]), "{text}");
        }
    }
}

#[tokio::test]
async fn a_form_makes_a_webhook_too() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    for events in ["events=contact.created", "events[]=contact_created"] {
        let form = format!("url=https%3A%2F%2Fexample.com&{events}&include_activity=1");
        let call = anna.call("POST", WEBHOOKS).text("application/x-www-form-urlencoded", form);
        let created = call.send().await.ok();
        assert_eq!(created.payload()["events"], json!(["contact.created"]));
        assert_eq!(created.payload()["include_activity"], true);
    }
}
