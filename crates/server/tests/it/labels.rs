//! `GET` and `POST …/contacts/:id/labels`, and lists by label (`livedesk-wire.md` 4.3).

use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    answer::{Answer, texts},
    app::{CONTACTS, Client, TestApp, contact, list},
};

async fn set(client: &Client, id: i64, labels: Value) -> Answer {
    client.post(format!("{}/labels", contact(id)), json!({ "labels": labels })).await
}

#[rstest]
#[case(json!(["vip", "alpha"]), &["alpha", "vip"])]
#[case(json!(["vip", "vip", " VIP "]), &["vip"])]
#[case(json!("vip, alpha,,"), &["alpha", "vip"])]
#[case(json!(["a,b", "c"]), &["a", "b", "c"])]
#[case(json!(["Zürich", "お客様"]), &["zürich", "お客様"])]
#[case(json!(["with space"]), &["with space"])]
#[case(json!([]), &[])]
#[case(json!(""), &[])]
#[case(json!(["", "  "]), &[])]
#[case(json!(null), &[])]
#[tokio::test]
async fn the_labels_that_are_sent_replace_the_list(#[case] sent: Value, #[case] labels: &[&str]) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    set(&anna, id, json!(["old"])).await.ok();

    let answer = set(&anna, id, sent).await.ok();

    assert_eq!(answer.text, json!({ "payload": labels }).to_string());
    assert_eq!(anna.get(format!("{}/labels", contact(id))).await.ok().text, answer.text);
}

#[tokio::test]
async fn no_labels_at_all_clear_the_list() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    assert_eq!(anna.get(format!("{}/labels", contact(id))).await.ok().text, r#"{"payload":[]}"#);
    set(&anna, id, json!(["old"])).await.ok();
    let answer = anna.post(format!("{}/labels", contact(id)), json!({})).await.ok();
    assert_eq!(answer.text, r#"{"payload":[]}"#);
}

#[rstest]
#[case(json!(1))]
#[case(json!(true))]
#[case(json!({ "a": 1 }))]
#[case(json!([1]))]
#[case(json!([["a"]]))]
#[case(json!([null]))]
#[case(json!(["nul\u{0}"]))]
#[case(json!(["x".repeat(256)]))]
#[tokio::test]
async fn what_can_be_no_label_is_refused(#[case] sent: Value) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    set(&anna, id, json!(["old"])).await.ok();
    let answer = set(&anna, id, sent).await;
    assert_eq!((answer.status, answer.code()), (422, "invalid"));
    assert_eq!(answer.attributes(), ["labels"]);
    let kept = anna.get(format!("{}/labels", contact(id))).await.ok();
    assert_eq!(texts(kept.payload()), ["old"]);
}

#[tokio::test]
async fn of_many_wrong_labels_ten_are_told() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    let answer = set(&anna, id, json!(vec!["nul\u{0}"; 1000])).await;
    assert_eq!((answer.status, answer.attributes()), (422, vec!["labels"; 10]));
}

#[tokio::test]
async fn setting_the_same_labels_writes_nothing() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    set(&anna, id, json!(["a", "b"])).await.ok();
    let (events, version) = (app.events().await, app.version(id).await);
    set(&anna, id, json!("B,A,a")).await.ok();
    assert_eq!((app.events().await, app.version(id).await), (events, version));
}

#[tokio::test]
async fn a_contact_has_at_most_two_hundred_labels() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    let labels: Vec<String> = (0..=200).map(|number| format!("l{number}")).collect();
    let answer = set(&anna, id, json!(labels)).await;
    assert_eq!((answer.status, answer.code()), (422, "limit_exceeded"));
    assert_eq!(answer.attributes(), ["labels"]);
    set(&anna, id, json!(labels[1..])).await.ok();
}

/// Contacts 1 `a`, 2 `b`, 3 `a` and `b`, 4 `zürich`, 5 none.
async fn labelled() -> (TestApp, Client) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    for labels in [json!(["a"]), json!(["b"]), json!(["a", "b"]), json!(["zürich"]), json!([])] {
        let id = anna.contact(json!({})).await;
        set(&anna, id, labels).await.ok();
    }
    (app, anna)
}

#[rstest]
#[case("labels=a", &[3, 1])]
#[case("labels=a,b", &[3, 2, 1])]
#[case("labels=a%2Cb", &[3, 2, 1])]
#[case("labels[]=a&labels[]=b", &[3, 2, 1])]
#[case("labels%5B%5D=a", &[3, 1])]
#[case("labels=a&labels=b", &[3, 2, 1])]
#[case("labels=%20A%20,nothing", &[3, 1])]
#[case("labels=Z%C3%9CRICH", &[4])]
#[case("labels=nothing", &[])]
#[case("labels=%25", &[])]
#[case("labels=", &[5, 4, 3, 2, 1])]
#[case("labels=,%20,", &[5, 4, 3, 2, 1])]
#[case("labels[]=", &[5, 4, 3, 2, 1])]
#[tokio::test]
async fn a_list_by_labels_shows_contacts_with_any_of_them(
    #[case] query: &str,
    #[case] ids: &[i64],
) {
    let (_app, anna) = labelled().await;
    let answer = anna.get(format!("{CONTACTS}?{query}")).await.ok();
    assert_eq!(answer.ids(), ids);
    assert_eq!(answer.count(), ids.len() as u64);
}

#[tokio::test]
async fn a_list_by_labels_follows_every_write_at_once() {
    let (_app, anna) = labelled().await;
    set(&anna, 1, json!([])).await.ok();
    set(&anna, 5, json!(["a"])).await.ok();
    assert_eq!(anna.get(list(&[("labels", "a")])).await.ok().ids(), [5, 3]);
    anna.delete(contact(3)).await.ok();
    assert_eq!(anna.get(list(&[("labels", "a")])).await.ok().ids(), [5]);
    assert_eq!(anna.get(list(&[("labels", "b")])).await.ok().ids(), [2]);
}

#[rstest]
#[case("labels=%00")]
#[case(&format!("labels={}", "x".repeat(256)))]
#[tokio::test]
async fn a_filter_by_what_can_be_no_label_is_told_where(#[case] query: &str) {
    let (_app, anna) = labelled().await;
    let answer = anna.get(format!("{CONTACTS}?{query}")).await;
    assert_eq!((answer.status, answer.code()), (422, "invalid"));
    assert_eq!(answer.pointers(), ["?labels"]);
}

#[tokio::test]
async fn a_filter_has_at_most_a_hundred_labels() {
    let (_app, anna) = labelled().await;
    let labels = |count: usize| vec!["a"; count].join(",");
    anna.get(list(&[("labels", &labels(100))])).await.ok();
    let answer = anna.get(list(&[("labels", &labels(101))])).await;
    assert_eq!((answer.status, answer.code()), (400, "malformed_request"));
}

#[tokio::test]
async fn labels_of_another_account_do_not_matter() {
    let (app, anna) = labelled().await;
    let bert = app.account("Globex").await.administrator().await;
    let id = bert.contact(json!({})).await;
    set(&bert, id, json!(["a"])).await.ok();
    assert_eq!(bert.get(list(&[("labels", "a")])).await.ok().count(), 1);
    assert_eq!(anna.get(list(&[("labels", "a")])).await.ok().count(), 2);
}
