//! The log of deliveries, and what is delivered once more.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use rstest::rstest;

use super::*;

const MEMBERS: [&str; 9] =
    ["seq", "id", "type", "contact_id", "state", "attempts", "created_at", "next_at", "settled_at"];

#[tokio::test]
async fn the_log_shows_the_newest_first_page_by_page_and_by_state() {
    let scene = Scene::new().await;
    let endpoint =
        Endpoint::deciding(|body| answer(if body.contains("poison") { 500 } else { 200 })).await;
    let hook = scene.hook(&endpoint, json!({ "events": ["contact.created"] })).await;
    for number in 0..7 {
        let name = if number == 3 { "poison".to_owned() } else { number.to_string() };
        scene.anna.contact(json!({ "name": name })).await;
    }
    scene.work().await;
    let whole = scene.log(&hook).await;
    let seqs = |deliveries: &[Value]| -> Vec<i64> {
        deliveries.iter().map(|delivery| delivery["seq"].as_i64().unwrap()).collect()
    };
    assert_eq!(whole.len(), 7);
    assert!(seqs(&whole).is_sorted_by(|a, b| a > b));
    let mut walked = Vec::new();
    let mut cursor = String::new();
    loop {
        let page =
            scene.anna.get(hook.path(&format!("/deliveries?limit=3&cursor={cursor}"))).await.ok();
        walked.extend(page.payload().as_array().unwrap().clone());
        let next = &page.json["meta"]["next_cursor"];
        assert_eq!(page.json["meta"]["has_more"], next.is_string());
        let Some(next) = next.as_str() else { break };
        next.clone_into(&mut cursor);
    }
    assert_eq!(walked, whole);
    let by_state = async |state: &str| {
        let answer = scene.anna.get(hook.path(&format!("/deliveries?state={state}"))).await.ok();
        answer.payload().as_array().unwrap().len()
    };
    assert_eq!((by_state("pending").await, by_state("delivered").await), (1, 6));
    assert_eq!((by_state("failed").await, by_state("waiting").await), (0, 0));
    let count = async |limit: &str| {
        let answer = scene.anna.get(hook.path(&format!("/deliveries?limit={limit}"))).await.ok();
        answer.payload().as_array().unwrap().len()
    };
    assert_eq!((count("-5").await, count("0").await, count("x").await), (1, 1, 7));
    // A cursor belongs to its list.
    let first = scene.anna.get(hook.path("/deliveries?limit=3")).await.ok();
    let cursor = first.json["meta"]["next_cursor"].as_str().unwrap();
    let other = scene.hook(&endpoint, json!({})).await;
    for path in [
        hook.path(&format!("/deliveries?state=delivered&cursor={cursor}")),
        other.path(&format!("/deliveries?cursor={cursor}")),
    ] {
        let refused = scene.anna.get(&path).await;
        assert_eq!((refused.status, refused.code()), (400, "malformed_request"), "{path}");
    }
    for query in ["state=lost", "cursor=x", "cursor=%00", "cursor=AAAAAAAAAAA"] {
        let refused = scene.anna.get(hook.path(&format!("/deliveries?{query}"))).await;
        assert_eq!((refused.status, refused.code()), (400, "malformed_request"), "{query}");
    }
}

#[tokio::test]
async fn one_delivery_shows_its_message_byte_for_byte() {
    let scene = Scene::new().await;
    let mut endpoint = Endpoint::answering(&answer(204)).await;
    let hook = scene.hook(&endpoint, json!({})).await;
    let id = scene.anna.contact(json!({ "name": "Zoë" })).await;
    scene.work().await;
    let received = endpoint.received().await;
    let listed = scene.log(&hook).await;
    assert_eq!(crate::answer::members(&listed[0]), MEMBERS);
    let path = hook.path(&format!("/deliveries/{}", listed[0]["seq"]));
    let shown = scene.anna.get(&path).await.ok();
    assert_eq!(shown.payload()["payload"], received.body);
    assert_eq!(shown.payload()["id"], received.header("webhook-id").unwrap());
    assert_eq!(shown.payload()["contact_id"], id);
    assert_eq!(shown.payload()["settled_at"], "2025-12-24T10:21:43Z");
    for nothing in ["/deliveries/999", "/deliveries/x", "/deliveries/0"] {
        assert_eq!(scene.anna.get(hook.path(nothing)).await.status, 404);
    }
}

#[tokio::test]
async fn what_is_delivered_once_more_is_the_same_bytes_under_the_same_id() {
    let scene = Scene::new().await;
    let mut endpoint = Endpoint::answering(&answer(204)).await;
    let hook = scene.hook(&endpoint, json!({})).await;
    let id = scene.anna.contact(json!({ "name": "first" })).await;
    scene.rename(id, "second").await;
    let first = endpoint.all_received();
    assert_eq!(names(&first), ["first", "second"]);
    let log = scene.log(&hook).await;
    let (newer, older) = (log[0]["seq"].as_i64().unwrap(), log[1]["seq"].as_i64().unwrap());

    scene.clock.advance(5);
    let again = async |body: Value| {
        let answer = scene.anna.post(hook.path("/redeliver"), body).await.ok();
        scene.work().await;
        answer.payload()["count"].as_u64().unwrap()
    };
    assert_eq!(again(json!({ "seq": older })).await, 1);
    let once_more = endpoint.all_received();
    assert_eq!(once_more.len(), 1);
    assert_eq!((&once_more[0].body, ids(&once_more)[0]), (&first[0].body, ids(&first)[0]));
    assert_signed(&hook, &once_more[0], NOON + 5);
    assert_eq!(again(json!({ "from": older, "to": newer })).await, 2);
    let both = endpoint.all_received();
    assert_eq!((names(&both), ids(&both)), (names(&first), ids(&first)));
    assert_eq!(again(json!({ "from": newer, "to": newer + 100 })).await, 1);
    assert_eq!(endpoint.all_received().len(), 1);
    assert_eq!(again(json!({ "failed": true })).await, 0);
    assert!(endpoint.all_received().is_empty());
    let log = scene.log(&hook).await;
    assert_eq!(log[0]["attempts"].as_array().unwrap().len(), 3);
    assert_eq!(log[1]["state"], "delivered");
    let unknown = scene.anna.post(hook.path("/redeliver"), json!({ "seq": 999 })).await;
    assert_eq!(unknown.status, 404);
}

#[tokio::test]
async fn what_is_delivered_once_more_waits_for_earlier_messages_of_its_contact() {
    let scene = Scene::new().await;
    let works = Arc::new(AtomicBool::new(true));
    let switch = Arc::clone(&works);
    let mut endpoint =
        Endpoint::deciding(move |_| answer(if switch.load(Ordering::SeqCst) { 200 } else { 500 }))
            .await;
    let hook = scene.hook(&endpoint, json!({})).await;
    let id = scene.anna.contact(json!({ "name": "0" })).await;
    scene.work().await;
    works.store(false, Ordering::SeqCst);
    for name in ["1", "2"] {
        scene.rename(id, name).await;
    }
    assert_eq!(names(&endpoint.all_received()), ["0", "1"]);
    works.store(true, Ordering::SeqCst);
    let seqs: Vec<_> = scene.log(&hook).await.iter().map(|one| one["seq"].clone()).collect();
    let [newest, _, oldest] = seqs.as_slice() else { panic!("{seqs:?}") };
    let redeliver = async |body: Value| {
        let answer = scene.anna.post(hook.path("/redeliver"), body).await.ok();
        scene.work().await;
        answer.payload().clone()
    };
    let one = json!({ "count": 1, "next_from": null });
    assert_eq!(redeliver(json!({ "seq": newest })).await, one);
    assert!(endpoint.all_received().is_empty(), "the one before it is tried again later");
    assert_eq!(redeliver(json!({ "seq": oldest })).await, one);
    assert_eq!(names(&endpoint.all_received()), ["0", "1", "2"]);
    let three = json!({ "count": 3, "next_from": null });
    assert_eq!(redeliver(json!({ "from": oldest, "to": newest })).await, three);
    assert_eq!(names(&endpoint.all_received()), ["0", "1", "2"]);
}

#[tokio::test]
async fn all_that_were_given_up_go_out_once_more() {
    let scene = Scene::new().await;
    let mut endpoint =
        Endpoint::deciding(|body| answer(if body.contains("poison") { 500 } else { 200 })).await;
    let hook =
        scene.hook(&endpoint, json!({ "events": ["contact.created", "contact.deleted"] })).await;
    for number in 0..2 {
        scene.anna.contact(json!({ "name": format!("poison {number}") })).await;
    }
    for hour in 0..100 {
        scene.anna.contact(json!({ "name": format!("good {hour}") })).await;
        scene.work().await;
        scene.clock.advance(3600);
    }
    endpoint.all_received();
    let answer = scene.anna.post(hook.path("/redeliver"), json!({ "failed": true })).await.ok();
    assert_eq!(answer.payload()["count"], 2);
    scene.work().await;
    let mut seen = names(&endpoint.all_received());
    seen.sort();
    assert_eq!(seen, ["poison 0", "poison 1"]);
    // They have all their attempts again.
    let failed = scene.anna.get(hook.path("/deliveries?state=failed")).await.ok();
    assert_eq!(failed.payload(), &json!([]));
}

#[rstest]
#[case(json!({}), "")]
#[case(json!({ "failed": false }), "")]
#[case(json!({ "seq": 1, "failed": true }), "")]
#[case(json!({ "seq": 1, "from": 1, "to": 2 }), "")]
#[case(json!({ "from": 1 }), "")]
#[case(json!({ "to": 1 }), "")]
#[case(json!({ "from": 2, "to": 1 }), "/to")]
#[case(json!({ "seq": 0 }), "/seq")]
#[case(json!({ "seq": "x" }), "/seq")]
#[case(json!({ "seq": 1.5 }), "/seq")]
#[case(json!({ "failed": "perhaps" }), "/failed")]
#[tokio::test]
async fn what_does_not_say_which_is_refused(#[case] body: Value, #[case] pointer: &str) {
    let scene = Scene::new().await;
    let endpoint = Endpoint::answering(&answer(204)).await;
    let hook = scene.hook(&endpoint, json!({})).await;
    let refused = scene.anna.post(hook.path("/redeliver"), body).await;
    assert_eq!((refused.status, refused.pointers()), (422, vec![pointer]), "{}", refused.text);
}
