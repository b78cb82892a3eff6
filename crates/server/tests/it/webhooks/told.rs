//! What endpoints are told, in both forms.

use super::*;

#[tokio::test]
async fn a_contacts_life_is_told_in_both_forms_and_signed() {
    let scene = Scene::new().await;
    let (mut ours, mut theirs) =
        (Endpoint::answering(&answer(204)).await, Endpoint::answering(&answer(200)).await);
    let own = scene.hook(&ours, json!({})).await;
    let chatwoot = scene.hook(&theirs, json!({ "format": "chatwoot" })).await;
    let id = scene.anna.contact(json!({ "name": "Zoë", "email": "zoe@acme.inc" })).await;
    scene.work().await;
    scene.clock.advance(60);
    scene.rename(id, "Zoé").await;
    scene.anna.delete(contact(id)).await.ok();
    let deleted = scene.last_seq().await;
    scene.work().await;
    let id = ContactId(id);
    scene.change(Change::RevertContact { id, seq: deleted, only: None }).await;
    scene.work().await;
    scene.erase(id.0).await;
    scene.work().await;

    let received = ours.all_received();
    let expected = EVENTS.iter().zip(["Zoë", "Zoé", "Zoé", "Zoé", ""]);
    let expected: Vec<_> =
        expected.map(|(event, name)| ((*event).to_owned(), name.to_owned())).collect();
    assert_eq!(told(&received), expected);
    for (received, at) in received.iter().zip([NOON, NOON + 60, NOON + 60, NOON + 60, NOON + 60]) {
        assert_signed(&own, received, at);
    }
    let updated = json_of(&received[1]);
    assert_eq!(updated["timestamp"], "2025-12-24T10:22:43Z");
    assert_eq!(updated["data"]["account_id"], scene.id.0);
    assert_eq!(updated["data"]["contact"]["email"], "zoe@acme.inc");
    let told_changes = json!([{ "field": "name", "before": "Zoë", "after": "Zoé" }]);
    assert_eq!(updated["data"]["changes"], told_changes);
    assert_eq!(json_of(&received[4])["data"]["contact"], json!({ "id": id.0 }));
    let mut ids = ids(&received);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 5, "each message has an id of its own");

    let received = theirs.all_received();
    let events: Vec<Value> =
        received.iter().map(|received| json_of(received)["event"].clone()).collect();
    let expected = EVENTS.map(|event| Value::from(event.replace('.', "_")));
    assert_eq!(events, expected);
    for (received, at) in received.iter().zip([NOON, NOON + 60, NOON + 60, NOON + 60, NOON + 60]) {
        assert_signed(&chatwoot, received, at);
    }
    let updated = json_of(&received[1]);
    assert_eq!(updated["name"], "Zoé");
    assert_eq!(updated["account"], json!({ "id": scene.id.0, "name": "Acme" }));
    let changed = json!([{ "name": { "previous_value": "Zoë", "current_value": "Zoé" } }]);
    assert_eq!(updated["changed_attributes"], changed);
    for log in [scene.log(&own).await, scene.log(&chatwoot).await] {
        let states: Vec<_> =
            log.iter().map(|delivery| delivery["state"].as_str().unwrap()).collect();
        assert_eq!(states, ["delivered", "erased", "erased", "erased", "erased"]);
    }
}

#[tokio::test]
async fn a_webhook_is_told_of_what_it_selected_and_of_what_happens_since_it_is_there() {
    let scene = Scene::new().await;
    let before = scene.anna.contact(json!({ "name": "before" })).await;
    let mut endpoint = Endpoint::answering(&answer(204)).await;
    let hook =
        scene.hook(&endpoint, json!({ "events": ["contact_deleted", "contact.created"] })).await;
    assert_eq!(scene.shown(&hook).await["events"], json!(["contact.created", "contact.deleted"]));
    let id = scene.anna.contact(json!({ "name": "after" })).await;
    scene.anna.patch(contact(id), json!({ "name": "changed" })).await.ok();
    scene.anna.delete(contact(before)).await.ok();
    scene.work().await;
    let mut told = told(&endpoint.all_received());
    told.sort_unstable();
    let expected = [("contact.created", "after"), ("contact.deleted", "before")];
    assert_eq!(told, expected.map(|(event, name)| (event.to_owned(), name.to_owned())));
}

#[tokio::test]
async fn mere_activity_is_told_to_those_alone_who_ask() {
    let scene = Scene::new().await;
    let id = scene.anna.contact(json!({ "name": "Anna" })).await;
    let (mut quiet, mut keen) =
        (Endpoint::answering(&answer(204)).await, Endpoint::answering(&answer(204)).await);
    let hook = scene.hook(&quiet, json!({})).await;
    scene.hook(&keen, json!({ "include_activity": true })).await;
    for fields in [
        json!({ "last_activity_at": 1_765_441_908 }),
        json!({ "availability_status": "online" }),
        json!({ "last_activity_at": 1_765_441_909, "name": "Bert" }),
    ] {
        scene.anna.patch(contact(id), fields).await.ok();
        scene.work().await;
    }
    assert_eq!(names(&quiet.all_received()), ["Bert"]);
    assert_eq!(names(&keen.all_received()), ["Anna", "Anna", "Bert"]);
    // It can change its mind.
    scene.anna.patch(hook.path(""), json!({ "include_activity": true })).await.ok();
    scene.anna.patch(contact(id), json!({ "availability_status": "offline" })).await.ok();
    scene.work().await;
    assert_eq!(names(&quiet.all_received()), ["Bert"]);
}

#[tokio::test]
async fn each_message_shows_the_contact_as_it_was_right_after_its_event() {
    let scene = Scene::new().await;
    let early =
        scene.anna.contact(json!({ "name": "early 0", "custom_attributes": { "a": 1 } })).await;
    let mut endpoint = Endpoint::answering(&answer(204)).await;
    let hook = scene.hook(&endpoint, json!({})).await;
    // Nothing is looked at until everything has happened.
    let late = scene.anna.contact(json!({ "name": "late 0" })).await;
    for number in 1..4 {
        let fields = |name: &str| json!({ "name": format!("{name} {number}"), "custom_attributes": { "n": number } });
        scene.anna.patch(contact(early), fields("early")).await.ok();
        scene.anna.patch(contact(late), fields("late")).await.ok();
        let labels = json!({ "labels": [format!("l{number}")] });
        scene.anna.post(format!("{}/labels", contact(early)), labels).await.ok();
    }
    scene.anna.delete(contact(early)).await.ok();
    scene.work().await;
    let received = endpoint.all_received();
    let of = |id: i64| {
        let told = received.iter().map(json_of);
        told.filter(|told| told["data"]["contact"]["id"] == id).collect::<Vec<_>>()
    };
    let name = |told: &Value| told["data"]["contact"]["name"].as_str().unwrap().to_owned();
    let attributes = |told: &Value| told["data"]["contact"]["custom_attributes"].clone();
    let (early, late) = (of(early), of(late));
    assert_eq!(late.iter().map(name).collect::<Vec<_>>(), ["late 0", "late 1", "late 2", "late 3"]);
    let expected = ["early 1", "early 1", "early 2", "early 2", "early 3", "early 3", "early 3"];
    assert_eq!(early.iter().map(name).collect::<Vec<_>>(), expected);
    for (told, n) in early.iter().zip([1, 1, 2, 2, 3, 3, 3]) {
        assert_eq!(attributes(told), json!({ "a": 1, "n": n }));
    }
    for (told, n) in late.iter().zip(0..) {
        assert_eq!(attributes(told), if n == 0 { json!({}) } else { json!({ "n": n }) });
    }
    assert_eq!(scene.log(&hook).await.len(), 11);
}

#[tokio::test]
async fn what_another_account_does_is_not_told() {
    let scene = Scene::new().await;
    let mut endpoint = Endpoint::answering(&answer(204)).await;
    scene.hook(&endpoint, json!({})).await;
    let bert = scene.account("Globex").await.administrator().await;
    bert.contact(json!({ "name": "Bert's" })).await;
    scene.anna.contact(json!({ "name": "Anna's" })).await;
    scene.work().await;
    assert_eq!(names(&endpoint.all_received()), ["Anna's"]);
}

#[tokio::test]
async fn while_a_secret_is_rotated_both_sign() {
    let scene = Scene::new().await;
    let mut endpoint = Endpoint::answering(&answer(204)).await;
    let old = scene.hook(&endpoint, json!({})).await;
    let id = scene.anna.contact(json!({ "name": "x" })).await;
    let rotated = scene.anna.post(old.path("/rotate"), json!({ "overlap_seconds": 60 })).await.ok();
    assert_eq!(rotated.payload()["previous_secret_until"], "2025-12-24T10:22:43Z");
    let new = Hook::of(&rotated);
    assert_ne!(old.secret, new.secret);
    scene.work().await;
    let received = endpoint.received().await;
    let both = format!("{} {}", standard(&new.secret, &received), standard(&old.secret, &received));
    assert_eq!(received.header("webhook-signature"), Some(both.as_str()));

    scene.clock.advance(60);
    scene.rename(id, "y").await;
    assert_signed(&new, &endpoint.received().await, NOON + 60);
    // Without an overlap the old one ends at once.
    let newest = Hook::of(&scene.anna.post(new.path("/rotate"), json!({})).await.ok());
    scene.rename(id, "z").await;
    assert_signed(&newest, &endpoint.received().await, NOON + 60);
}

#[tokio::test]
async fn of_an_erased_contact_neither_messages_nor_answers_are_kept() {
    let scene = Scene::new().await;
    let endpoint = Endpoint::answering("HTTP/1.1 500 x\r\nContent-Length: 8\r\n\r\nI am Zoë").await;
    let hook = scene.hook(&endpoint, json!({})).await;
    let id = scene.anna.contact(json!({ "name": "Zoë" })).await;
    scene.work().await;
    scene.rename(id, "Zoé").await;
    let log = scene.log(&hook).await;
    assert_eq!((&log[1]["state"], &log[0]["state"]), (&json!("pending"), &json!("waiting")));
    assert_eq!(log[1]["attempts"][0]["answer"], "I am Zo\u{fffd}");
    let seqs: Vec<i64> = log.iter().map(|delivery| delivery["seq"].as_i64().unwrap()).collect();
    scene.erase(id).await;
    for seq in seqs {
        let answer = scene.anna.get(hook.path(&format!("/deliveries/{seq}"))).await.ok();
        let delivery = answer.payload();
        assert_eq!(delivery["state"], "erased");
        assert_eq!((&delivery["payload"], &delivery["attempts"]), (&json!(""), &json!([])));
        let again = scene.anna.post(hook.path("/redeliver"), json!({ "seq": seq })).await;
        assert_eq!(again.status, 404, "{}", again.text);
    }
    // What was not told before is told no more, but that it was erased.
    scene.clock.advance(60);
    scene.work().await;
    let log = scene.log(&hook).await;
    let states: Vec<_> = log.iter().map(|delivery| &delivery["state"]).collect();
    assert_eq!(states, ["pending", "erased", "erased"]);
    assert_eq!(log[0]["type"], "contact.erased");
}
