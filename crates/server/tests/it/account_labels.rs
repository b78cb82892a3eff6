//! The account's labels: `…/accounts/labels` (`livedesk-wire.md` 9.8).

use meishi_contacts::Clock as _;
use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    answer::{Answer, texts},
    app::{CHANGES, CONTACTS, Client, LABELS, TestApp, contact, list},
};

async fn set(client: &Client, id: i64, labels: Value) {
    client.post(format!("{}/labels", contact(id)), json!({ "labels": labels })).await.ok();
}

/// The labels that a contact shows.
async fn borne(client: &Client, id: i64) -> Vec<String> {
    let answer = client.get(format!("{}/labels", contact(id))).await.ok();
    texts(answer.payload()).into_iter().map(str::to_owned).collect()
}

async fn as_of(client: &Client, id: i64, when: impl ToString) -> Answer {
    let path = format!("{}?include=labels&as_of={}", contact(id), when.to_string());
    client.get(path).await
}

/// The number of the label of a title.
async fn number(client: &Client, title: &str) -> i64 {
    let answer = client.get(LABELS).await.ok();
    let labels = answer.payload().as_array().unwrap();
    labels.iter().find(|label| label["title"] == title).unwrap()["id"].as_i64().unwrap()
}

async fn rename(client: &Client, before: &str, after: &str) {
    let path = format!("{LABELS}/{}", number(client, before).await);
    client.patch(path, json!({ "title": after })).await.ok();
}

async fn delete(client: &Client, title: &str) {
    let path = format!("{LABELS}/{}", number(client, title).await);
    assert_eq!(client.delete(path).await.ok().text, "{}");
}

#[tokio::test]
async fn a_label_is_shown_with_all_that_it_is_and_how_many_bear_it() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let body = json!({
        "title": " VIP ", "color": "#FF0000", "description": "Call at once",
        "show_on_sidebar": false,
    });
    let answer = anna.post(LABELS, body).await.ok();
    let vip = json!({
        "id": 1, "title": "vip", "color": "#ff0000", "description": "Call at once",
        "show_on_sidebar": false, "count": 0,
    });
    assert_eq!(answer.text, json!({ "payload": vip }).to_string());
    // One that is assigned before it is made by itself.
    for labels in [json!(["alpha", "vip"]), json!(["vip"])] {
        let id = anna.contact(json!({})).await;
        set(&anna, id, labels).await;
    }
    let alpha = json!({
        "id": 2, "title": "alpha", "color": "#1f93ff", "description": null,
        "show_on_sidebar": true, "count": 1,
    });
    let mut vip = vip;
    vip["count"] = json!(2);
    let expected = json!({ "meta": { "count": 2 }, "payload": [alpha, vip] });
    assert_eq!(anna.get(LABELS).await.ok().text, expected.to_string());
    let answer = anna.get(format!("{LABELS}/1")).await.ok();
    assert_eq!(answer.text, json!({ "payload": vip }).to_string());
}

#[rstest]
#[case(json!({}), &["title"])]
#[case(json!({ "title": null }), &["title"])]
#[case(json!({ "title": "  " }), &["title"])]
#[case(json!({ "title": 5 }), &["title"])]
#[case(json!({ "title": "v" }), &["title"])]
#[case(json!({ "title": "with space" }), &["title"])]
#[case(json!({ "title": "-vip" }), &["title"])]
#[case(json!({ "title": "nul\u{0}" }), &["title"])]
#[case(json!({ "title": "x".repeat(256) }), &["title"])]
#[case(json!({ "title": "vip", "color": "red" }), &["color"])]
#[case(json!({ "title": "vip", "color": 5 }), &["color"])]
#[case(json!({ "title": "vip", "description": 5 }), &["description"])]
#[case(json!({ "title": "vip", "description": "x".repeat(256) }), &["description"])]
#[case(json!({ "title": "vip", "show_on_sidebar": "x" }), &["show_on_sidebar"])]
#[case(json!({ "color": "" }), &["color", "title"])]
#[tokio::test]
async fn a_label_that_makes_no_sense_is_refused(#[case] body: Value, #[case] wrong: &[&str]) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let before = app.events().await;
    let answer = anna.post(LABELS, body).await;
    assert_eq!((answer.status, answer.code()), (422, "invalid"));
    let mut attributes = answer.attributes();
    attributes.sort_unstable();
    assert_eq!(attributes, wrong);
    assert_eq!(app.events().await, before);
}

#[tokio::test]
async fn a_title_that_another_label_has_is_refused() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    anna.post(LABELS, json!({ "title": "vip" })).await.ok();
    let made = anna.post(LABELS, json!({ "title": "beta" })).await.ok();
    let path = format!("{LABELS}/{}", made.payload()["id"]);
    let before = app.events().await;
    for answer in [
        anna.post(LABELS, json!({ "title": "Vip" })).await,
        anna.patch(path, json!({ "title": "VIP", "color": "#000000" })).await,
    ] {
        assert_eq!((answer.status, answer.code()), (422, "taken"));
        assert_eq!((answer.attributes(), answer.pointers()), (vec!["title"], vec!["/title"]));
        assert_eq!(answer.message(), "Title has already been taken");
    }
    assert_eq!(app.events().await, before);
}

#[tokio::test]
async fn what_contacts_were_labelled_with_stays_valid() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    set(&anna, id, json!(["with space", "!"])).await;
    let path = format!("{LABELS}/{}", number(&anna, "with space").await);
    let answer = anna.patch(&path, json!({ "description": "kept" })).await.ok();
    assert_eq!(answer.payload()["title"], "with space");
    assert_eq!(anna.patch(&path, json!({ "title": "another space" })).await.status, 422);
    anna.patch(&path, json!({ "title": "without" })).await.ok();
    assert_eq!(borne(&anna, id).await, ["!", "without"]);
}

#[tokio::test]
async fn a_renamed_label_is_shown_everywhere_by_one_event() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let id = anna.contact(json!({})).await;
        set(&anna, id, json!(["neu", "vip"])).await;
        ids.push(id);
    }
    assert_eq!(anna.get(list(&[("labels", "vip")])).await.ok().count(), 3);
    let shown = format!("{}?include=labels", contact(ids[0]));
    let seen = anna.get(&shown).await.ok();
    let (before, version) = (app.events().await, app.version(ids[0]).await);
    let path = format!("{LABELS}/{}", number(&anna, "vip").await);
    let answer = anna.patch(&path, json!({ "title": "Alpha", "color": "#000000" })).await.ok();
    let [title, count] = ["title", "count"].map(|member| &answer.payload()[member]);
    assert_eq!((title, count), (&json!("alpha"), &json!(3)));

    assert_eq!(app.events().await, before + 1);
    assert_eq!(app.version(ids[0]).await, version);
    assert_eq!(borne(&anna, ids[1]).await, ["alpha", "neu"]);
    assert_eq!(anna.get(list(&[("labels", "alpha")])).await.ok().ids().len(), 3);
    assert_eq!(anna.get(list(&[("labels", "vip")])).await.ok().count(), 0);
    let condition = json!({
        "attribute_key": "labels", "filter_operator": "equal_to", "values": ["alpha"],
    });
    let path = format!("{CONTACTS}/filter?resolved=false");
    let found = anna.post(path, json!({ "payload": [condition] })).await.ok();
    assert_eq!(found.count(), 3);
    // What shows it has another tag, and a write still goes by the version.
    let now = anna.call("GET", &shown).header("if-none-match", seen.header("etag").unwrap());
    let now = now.send().await.ok();
    assert_ne!(now.header("etag"), seen.header("etag"));
    let tag = seen.header("etag").unwrap();
    let write = anna.call("PATCH", contact(ids[0])).header("if-match", tag);
    write.json(&json!({ "name": "Zoe" })).send().await.ok();

    let event = anna.get(format!("{CHANGES}?after={before}")).await.ok().payload()[0].clone();
    assert_eq!(event["type"], "label.updated");
    assert_eq!((&event["label"], &event["label_id"]), (&json!("alpha"), &json!(2)));
    let changes = json!([
        { "field": "title", "before": "vip", "after": "alpha" },
        { "field": "color", "before": "#1f93ff", "after": "#000000" },
    ]);
    assert_eq!(event["changes"], changes);
}

#[tokio::test]
async fn a_deleted_label_is_gone_everywhere_by_one_event() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let [one, two] = [anna.contact(json!({})).await, anna.contact(json!({})).await];
    set(&anna, one, json!(["neu", "vip"])).await;
    set(&anna, two, json!(["vip"])).await;
    assert_eq!(anna.get(list(&[("labels", "vip")])).await.ok().count(), 2);
    let before = app.events().await;
    delete(&anna, "vip").await;
    assert_eq!(app.events().await, before + 1);
    assert_eq!((borne(&anna, one).await, borne(&anna, two).await), (vec!["neu".into()], vec![]));
    assert_eq!(anna.get(list(&[("labels", "vip")])).await.ok().count(), 0);
    assert_eq!(anna.get(LABELS).await.ok().count(), 1);
    let event = anna.get(format!("{CHANGES}?after={before}")).await.ok().payload()[0].clone();
    assert_eq!((&event["type"], &event["label"]), (&json!("label.deleted"), &json!("vip")));
    // Another one of that title.
    set(&anna, two, json!(["vip"])).await;
    assert_eq!(anna.get(list(&[("labels", "vip")])).await.ok().ids(), [two]);
}

#[tokio::test]
async fn the_past_shows_the_labels_that_there_were() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    let mut states = Vec::new();
    let note = async |states: &mut Vec<_>| {
        states.push((
            app.events().await,
            meishi_server::api::rfc3339(app.clock.now()),
            borne(&anna, id).await,
        ));
        app.clock.advance(60);
    };
    note(&mut states).await;
    set(&anna, id, json!(["alpha", "vip"])).await;
    note(&mut states).await;
    rename(&anna, "vip", "gold").await;
    note(&mut states).await;
    anna.patch(contact(id), json!({ "name": "Zoe" })).await.ok();
    note(&mut states).await;
    delete(&anna, "alpha").await;
    note(&mut states).await;
    // Titles that come again and mean others.
    anna.post(LABELS, json!({ "title": "alpha" })).await.ok();
    anna.post(LABELS, json!({ "title": "vip" })).await.ok();
    rename(&anna, "gold", "silver").await;
    note(&mut states).await;
    set(&anna, id, json!(["vip"])).await;
    note(&mut states).await;
    rename(&anna, "vip", "gold").await;
    delete(&anna, "silver").await;
    note(&mut states).await;
    let check = async |states: &[(i64, String, Vec<String>)]| {
        for (seq, at, labels) in states {
            for when in [seq.to_string(), at.clone()] {
                let answer = as_of(&anna, id, &when).await.ok();
                assert_eq!(texts(&answer.payload()["labels"]), *labels, "{when}");
            }
        }
    };
    check(&states).await;
    assert_eq!(states.last().unwrap().2, ["gold"]);
    // Also of one that is gone by now.
    anna.delete(contact(id)).await.ok();
    delete(&anna, "gold").await;
    check(&states).await;
}

#[tokio::test]
async fn undoing_goes_by_what_labels_are_called_now() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    set(&anna, id, json!(["gone", "vip"])).await;
    set(&anna, id, json!([])).await;
    let seq = app.events().await;
    rename(&anna, "vip", "gold").await;
    delete(&anna, "gone").await;
    anna.post(format!("{}/revert", contact(id)), json!({ "seq": seq })).await.ok();
    assert_eq!(borne(&anna, id).await, ["gold"]);
    assert_eq!(anna.get(list(&[("labels", "gold")])).await.ok().ids(), [id]);
}

#[tokio::test]
async fn what_changes_nothing_is_no_event() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    anna.post(LABELS, json!({ "title": "vip", "description": "x" })).await.ok();
    let before = app.events().await;
    for body in [json!({}), json!({ "title": "VIP", "color": null, "description": "x" })] {
        anna.patch(format!("{LABELS}/1"), body).await.ok();
    }
    assert_eq!(app.events().await, before);
    let answer = anna.patch(format!("{LABELS}/1"), json!({ "description": null })).await.ok();
    assert_eq!(answer.payload()["description"], Value::Null);
}

#[rstest]
#[case("999")]
#[case("0")]
#[case("abc")]
#[case("99999999999999999999")]
#[tokio::test]
async fn a_label_that_is_none_is_not_found(#[case] id: &str) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let path = format!("{LABELS}/{id}");
    for answer in [
        anna.get(&path).await,
        anna.patch(&path, json!({ "title": "vip" })).await,
        anna.patch(&path, json!({ "title": "" })).await,
        anna.delete(&path).await,
    ] {
        assert_eq!((answer.status, answer.code()), (404, "not_found"));
    }
}
