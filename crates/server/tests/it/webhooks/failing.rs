//! Endpoints that do not take what they are told.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use super::*;

const HOUR: i64 = 3600;

/// An endpoint that takes everything or nothing, as its switch says.
async fn switched() -> (Endpoint, Arc<AtomicBool>) {
    let works = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&works);
    let endpoint =
        Endpoint::deciding(move |_| answer(if switch.load(Ordering::SeqCst) { 200 } else { 500 }));
    (endpoint.await, works)
}

#[tokio::test]
async fn what_failed_is_sent_again_with_the_same_bytes_when_its_time_has_come() {
    let scene = Scene::new().await;
    let busy = "HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nContent-Length: 4\r\n\r\nbusy";
    let count = Arc::new(AtomicUsize::new(0));
    let mut endpoint = Endpoint::deciding(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => busy.to_owned(),
        1 => answer(500),
        _ => answer(204),
    })
    .await;
    let hook = scene.hook(&endpoint, json!({})).await;
    scene.anna.contact(json!({ "name": "Zoë" })).await;
    scene.work().await;
    let first = endpoint.received().await;
    assert_signed(&hook, &first, NOON);
    assert_eq!(scene.shown(&hook).await["failing_since"], "2025-12-24T10:21:43Z");

    // `Retry-After` is longer than the pause would be.
    scene.clock.advance(119);
    scene.work().await;
    assert!(endpoint.all_received().is_empty());
    scene.clock.advance(1);
    scene.work().await;
    let second = endpoint.received().await;
    assert_signed(&hook, &second, NOON + 120);

    // The second pause is a minute, give or take a fifth.
    scene.clock.advance(47);
    scene.work().await;
    assert!(endpoint.all_received().is_empty());
    scene.clock.advance(26);
    scene.work().await;
    let third = endpoint.received().await;
    for again in [&second, &third] {
        assert_eq!(again.body, first.body);
        assert_eq!(again.header("webhook-id"), first.header("webhook-id"));
    }
    scene.clock.advance(HOUR);
    scene.work().await;
    assert!(endpoint.all_received().is_empty(), "it was taken");

    let log = scene.log(&hook).await;
    let attempts = log[0]["attempts"].as_array().unwrap();
    let seen: Vec<_> = attempts.iter().map(|one| json!([one["status"], one["answer"]])).collect();
    assert_eq!(json!(seen), json!([[503, "busy"], [500, ""], [204, ""]]));
    assert_eq!(attempts[1]["at"], "2025-12-24T10:23:43Z");
    assert_eq!((&log[0]["state"], &log[0]["next_at"]), (&json!("delivered"), &Value::Null));
    assert_eq!(scene.shown(&hook).await["failing_since"], Value::Null);
}

#[tokio::test]
async fn a_contacts_messages_keep_their_order_and_other_contacts_go_on() {
    let scene = Scene::new().await;
    let works = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&works);
    let mut endpoint = Endpoint::deciding(move |body| {
        let refused = body.contains("poison") && !switch.load(Ordering::SeqCst);
        answer(if refused { 422 } else { 200 })
    })
    .await;
    let hook = scene.hook(&endpoint, json!({})).await;
    let first = scene.anna.contact(json!({ "name": "poison 0" })).await;
    for number in 1..4 {
        scene.anna.patch(contact(first), json!({ "name": format!("poison {number}") })).await.ok();
    }
    let second = scene.anna.contact(json!({ "name": "good 0" })).await;
    scene.anna.patch(contact(second), json!({ "name": "good 1" })).await.ok();
    scene.work().await;
    let mut seen = names(&endpoint.all_received());
    seen.sort();
    assert_eq!(seen, ["good 0", "good 1", "poison 0"]);
    let log = scene.log(&hook).await;
    let states: Vec<_> = log.iter().map(|delivery| delivery["state"].as_str().unwrap()).collect();
    let expected = ["delivered", "delivered", "waiting", "waiting", "waiting", "pending"];
    assert_eq!(states, expected);

    works.store(true, Ordering::SeqCst);
    scene.clock.advance(HOUR);
    scene.work().await;
    assert_eq!(names(&endpoint.all_received()), ["poison 0", "poison 1", "poison 2", "poison 3"]);
}

#[tokio::test]
async fn a_failing_endpoint_is_tried_with_one_message_at_a_time() {
    let scene = Scene::new().await;
    let (endpoint, works) = switched().await;
    let hook = scene.hook(&endpoint, json!({})).await;
    for number in 0..30 {
        scene.anna.contact(json!({ "name": format!("{number}") })).await;
    }
    // The first turn finds it out with as many as it sends at once.
    assert_eq!(scene.worker.step().await.unwrap(), 1);
    let first = endpoint.connections();
    assert!((1..=8).contains(&first), "{first}");
    for turn in 1..4 {
        assert_eq!(scene.worker.step().await.unwrap(), 1);
        assert_eq!(endpoint.connections(), first + turn);
    }
    works.store(true, Ordering::SeqCst);
    assert_eq!(scene.worker.step().await.unwrap(), 1);
    assert_eq!(endpoint.connections(), 30, "all that are due, once one got through");
    scene.clock.advance(HOUR);
    scene.work().await;
    assert!(scene.log(&hook).await.iter().all(|delivery| delivery["state"] == "delivered"));
}

#[tokio::test]
async fn after_410_a_webhook_is_told_nothing_until_it_is_set_to_work() {
    let scene = Scene::new().await;
    let works = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&works);
    let mut endpoint =
        Endpoint::deciding(move |_| answer(if switch.load(Ordering::SeqCst) { 204 } else { 410 }))
            .await;
    let hook = scene.hook(&endpoint, json!({})).await;
    scene.anna.contact(json!({ "name": "first" })).await;
    scene.work().await;
    assert_eq!(endpoint.all_received().len(), 1);
    let shown = scene.shown(&hook).await;
    assert_eq!(shown["state"], "disabled");
    assert_eq!(shown["state_reason"], "The endpoint answered 410: it wants no more messages");
    scene.anna.contact(json!({ "name": "second" })).await;
    scene.clock.advance(100 * HOUR);
    scene.work().await;
    assert!(endpoint.all_received().is_empty());

    works.store(true, Ordering::SeqCst);
    let shown = scene.anna.patch(hook.path(""), json!({ "state": "enabled" })).await.ok();
    assert_eq!(shown.payload()["state"], "enabled");
    assert_eq!(shown.payload()["state_reason"], Value::Null);
    scene.work().await;
    let mut seen = names(&endpoint.all_received());
    seen.sort();
    assert_eq!(seen, ["first", "second"]);
}

#[tokio::test]
async fn after_three_days_of_failures_a_webhook_is_paused_and_nothing_is_lost() {
    let scene = Scene::new().await;
    let (mut endpoint, works) = switched().await;
    let hook = scene.hook(&endpoint, json!({})).await;
    let id = scene.anna.contact(json!({ "name": "0" })).await;
    scene.rename(id, "1").await;
    let mut hours = 0;
    while scene.shown(&hook).await["state"] == "enabled" {
        assert!(hours < 100, "it is never paused");
        scene.clock.advance(HOUR);
        hours += 1;
        scene.work().await;
    }
    assert!((56..=84).contains(&hours), "after {hours} hours");
    let shown = scene.shown(&hook).await;
    assert_eq!(shown["state"], "paused");
    let reason =
        "Every attempt has failed since 2025-12-24T10:21:43Z; at the last one it answered 500";
    assert_eq!(shown["state_reason"], reason);
    assert_eq!(shown["failing_since"], "2025-12-24T10:21:43Z");
    let tried = endpoint.all_received().len();
    assert!((10..=16).contains(&tried), "{tried} attempts");
    let log = scene.log(&hook).await;
    let states: Vec<_> = log.iter().map(|delivery| delivery["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["waiting", "pending"]);

    // Whatever happens meanwhile is told when it is set to work again, and at once.
    scene.anna.patch(contact(id), json!({ "name": "2" })).await.ok();
    scene.clock.advance(100 * HOUR);
    scene.work().await;
    assert!(endpoint.all_received().is_empty());
    works.store(true, Ordering::SeqCst);
    let shown = scene.anna.patch(hook.path(""), json!({ "state": "enabled" })).await.ok();
    assert_eq!(shown.payload()["failing_since"], Value::Null);
    scene.work().await;
    assert_eq!(names(&endpoint.all_received()), ["0", "1", "2"]);
}

#[tokio::test]
async fn a_message_that_is_given_up_while_others_get_through_pauses_nothing() {
    let scene = Scene::new().await;
    let mut endpoint =
        Endpoint::deciding(|body| answer(if body.contains("poison") { 500 } else { 200 })).await;
    let hook = scene.hook(&endpoint, json!({})).await;
    let poison = scene.anna.contact(json!({ "name": "poison" })).await;
    scene.anna.patch(contact(poison), json!({ "name": "cured" })).await.ok();
    let good = scene.anna.contact(json!({ "name": "good" })).await;
    for hour in 0..100 {
        scene.rename(good, &format!("good {hour}")).await;
        scene.clock.advance(HOUR);
    }
    scene.work().await;
    let seen = names(&endpoint.all_received());
    assert_eq!(seen.iter().filter(|name| *name == "poison").count(), 16);
    assert!(seen.contains(&"cured".to_owned()), "the contact's next one goes out");
    assert!(seen.contains(&"good 99".to_owned()));
    assert_eq!(scene.shown(&hook).await["state"], "enabled");
    let failed = scene.anna.get(hook.path("/deliveries?state=failed")).await.ok();
    let failed = failed.payload().as_array().unwrap();
    assert_eq!((failed.len(), &failed[0]["contact_id"]), (1, &json!(poison)));
    assert_eq!(failed[0]["attempts"].as_array().unwrap().len(), 16);
    assert!(failed[0]["settled_at"].is_string() && failed[0]["next_at"].is_null());
}

#[tokio::test]
async fn a_failure_long_ago_with_nothing_to_tell_since_pauses_nothing() {
    let scene = Scene::new().await;
    let (fails, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (switch, requests) = (Arc::clone(&fails), Arc::clone(&count));
    let endpoint = Endpoint::deciding(move |body| {
        requests.fetch_add(1, Ordering::SeqCst);
        let refused = body.contains("poison") || switch.load(Ordering::SeqCst);
        answer(if refused { 502 } else { 200 })
    })
    .await;
    let hook = scene.hook(&endpoint, json!({})).await;
    scene.anna.contact(json!({ "name": "poison" })).await;
    scene.work().await;
    let given_up = async || {
        let failed = scene.anna.get(hook.path("/deliveries?state=failed")).await.ok();
        failed.payload().as_array().unwrap().len()
    };
    let mut hours = 0;
    while given_up().await == 0 {
        assert!(hours < 100, "it is never given up");
        scene.clock.advance(HOUR);
        hours += 1;
        if hours == 40 {
            scene.anna.contact(json!({ "name": "good" })).await;
        }
        scene.work().await;
    }
    let shown = scene.shown(&hook).await;
    assert!(shown["state"] == "enabled" && shown["failing_since"].is_string(), "{shown}");
    // Four days of silence, and then a first message that fails once.
    scene.clock.advance(96 * HOUR);
    fails.store(true, Ordering::SeqCst);
    scene.anna.contact(json!({ "name": "new" })).await;
    let before = count.load(Ordering::SeqCst);
    scene.work().await;
    assert_eq!(count.load(Ordering::SeqCst), before + 1);
    assert_eq!(scene.shown(&hook).await["state"], "enabled");
    // One that takes nothing for three days from then on is paused all the same.
    for _ in 0..90 {
        scene.clock.advance(HOUR);
        scene.work().await;
    }
    assert_eq!(scene.shown(&hook).await["state"], "paused");
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_not_followed() {
    let scene = Scene::new().await;
    let elsewhere = Endpoint::answering(&answer(204)).await;
    let location = elsewhere.url("/");
    let moved = format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
    let endpoint = Endpoint::answering(&moved).await;
    let hook = scene.hook(&endpoint, json!({})).await;
    scene.anna.contact(json!({ "name": "x" })).await;
    scene.work().await;
    let log = scene.log(&hook).await;
    assert_eq!(log[0]["state"], "pending");
    assert_eq!(log[0]["attempts"][0]["status"], 302);
    assert_eq!(log[0]["attempts"][0]["error"], "redirects are not followed");
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_when_it_is_connected_to_and_the_log_says_so() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let endpoint = Endpoint::answering(&answer(204)).await;
    let url = format!("http://localhost:{}/", endpoint.address.port());
    let created = anna.post(WEBHOOKS, json!({ "url": url, "events": EVENTS })).await.ok();
    let hook = Hook::of(&created);
    anna.contact(json!({ "name": "x" })).await;
    let worker = Worker::new(app.app.clone());
    while worker.step().await.unwrap() > 0 {}
    let log = anna.get(hook.path("/deliveries")).await.ok();
    let attempt = &log.payload()[0]["attempts"][0];
    let error = attempt["error"].as_str().unwrap();
    assert!(
        error.starts_with("address not allowed: ") && error.ends_with(" is loopback"),
        "{error}"
    );
    assert_eq!((&attempt["status"], &attempt["answer"]), (&Value::Null, &Value::Null));
    assert_eq!(log.payload()[0]["state"], "pending");
    assert_eq!(endpoint.connections(), 0);
}
