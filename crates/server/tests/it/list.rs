//! `GET …/contacts`: pages, their size, what `meta` says (`livedesk-wire.md` 4.3 and 9.5).

use futures::future::join_all;
use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    answer::members,
    app::{CONTACTS, Client, TestApp, contact, list},
};

/// An account of so many contacts, all created in the same second.
async fn crowd(count: usize) -> (TestApp, Client) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    join_all((0..count).map(|_| anna.contact(json!({})))).await;
    (app, anna)
}

#[tokio::test]
async fn an_empty_account_has_an_empty_page() {
    let (_app, anna) = crowd(0).await;
    let answer = anna.get(CONTACTS).await.ok();
    assert_eq!(answer.text, r#"{"meta":{"count":0,"current_page":1},"payload":[]}"#);
}

#[tokio::test]
async fn pages_hold_fifteen_and_count_all_of_them() {
    let (_app, anna) = crowd(33).await;
    for (page, ids) in [("1", 19..34), ("2", 4..19), ("3", 1..4), ("4", 0..0)] {
        let answer = anna.get(list(&[("page", page)])).await.ok();
        assert_eq!(answer.ids(), ids.rev().collect::<Vec<i64>>(), "page {page}");
        assert_eq!(answer.count(), 33);
    }
}

#[rstest]
#[case("", json!(1), 1)]
#[case("page=1", json!("1"), 1)]
#[case("page=2", json!("2"), 2)]
#[case("page=002", json!("2"), 2)]
#[case("page=99", json!("99"), 99)]
#[case("page=0", json!("1"), 1)]
#[case("page=-1", json!("1"), 1)]
#[case("page=", json!("1"), 1)]
#[case("page", json!("1"), 1)]
#[case("page=junk", json!("1"), 1)]
#[case("page=2x", json!("1"), 1)]
#[case("page=1.5", json!("1"), 1)]
#[case("page=%00", json!("1"), 1)]
#[case("page=%EF%BC%92", json!("1"), 1)]
#[case("q=a", json!(1), 1)]
#[case("q=a&page=1", json!("1"), 1)]
#[tokio::test]
async fn the_current_page_is_a_text_where_the_call_names_one(
    #[case] query: &str,
    #[case] current_page: Value,
    #[case] page: usize,
) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    join_all((0..17).map(|_| anna.contact(json!({ "name": "a" })))).await;
    let answer = anna.get(format!("{CONTACTS}?{query}")).await.ok();
    let expected = json!({ "count": 17, "current_page": current_page });
    assert_eq!(answer.json["meta"].to_string(), expected.to_string());
    assert_eq!(answer.ids().len(), [15, 2, 0][page.min(3) - 1]);
    assert_eq!(members(&answer.json), ["meta", "payload"]);
}

#[tokio::test]
async fn a_page_too_far_to_count_to_is_empty() {
    let (_app, anna) = crowd(1).await;
    for page in ["9223372036854775807", "18446744073709551616", "99999999999999999999999999999"] {
        let answer = anna.get(list(&[("page", page), ("page_size", "100")])).await.ok();
        assert_eq!(answer.ids(), [0; 0]);
        assert_eq!(answer.count(), 1);
    }
}

#[tokio::test]
async fn page_sizes_are_clamped_and_junk_means_fifteen() {
    let (_app, anna) = crowd(103).await;
    for (query, size) in [
        ("page_size=10", 10),
        ("per_page=10", 10),
        ("page_size=1", 1),
        ("page_size=100", 100),
        ("page_size=101", 100),
        ("page_size=9999999999", 100),
        ("page_size=99999999999999999999999", 100),
        ("page_size=0", 1),
        ("page_size=-5", 1),
        ("page_size=", 15),
        ("page_size=junk", 15),
        ("page_size=7.5", 15),
        ("page_size=10&per_page=20", 10),
        ("per_page=20&page_size=10", 10),
        ("page_size=10&q=", 10),
    ] {
        let answer = anna.get(format!("{CONTACTS}?{query}")).await.ok();
        assert_eq!(answer.ids().len(), size, "{query}");
        assert_eq!(answer.count(), 103, "{query}");
    }
}

#[tokio::test]
async fn contacts_without_any_address_are_listed_too() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    anna.contact(json!({ "name": "nobody" })).await;
    anna.contact(json!({ "name": "somebody", "email": "a@b.c" })).await;
    assert_eq!(anna.get(CONTACTS).await.ok().names(), ["somebody", "nobody"]);
}

#[tokio::test]
async fn a_listed_contact_is_the_contact_that_is_read() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna
        .contact(json!({
            "name": "Anna", "email": "a@b.c", "last_activity_at": 7, "custom_attributes": { "a": [1] }
        }))
        .await;
    let listed = anna.get(CONTACTS).await.ok();
    let read = anna.get(contact(id)).await.ok();
    assert_eq!(listed.payload()[0].to_string(), read.payload().to_string());
}

#[tokio::test]
async fn a_deleted_contact_leaves_the_list_and_the_count() {
    let (_app, anna) = crowd(3).await;
    anna.get(CONTACTS).await.ok();
    anna.delete(contact(2)).await.ok();
    let answer = anna.get(CONTACTS).await.ok();
    assert_eq!((answer.ids(), answer.count()), (vec![3, 1], 2));
}

#[tokio::test]
async fn a_deleted_channel_leaves_the_listed_contacts() {
    let (app, anna) = crowd(1).await;
    assert_eq!(anna.get(CONTACTS).await.ok().payload()[0]["contact_inboxes"][0]["inbox"]["id"], 1);
    anna.patch(format!("/api/v2/accounts/inboxes/{}", app.inbox), json!({ "name": "Neu" }))
        .await
        .ok();
    let answer = anna.get(CONTACTS).await.ok();
    assert_eq!(answer.payload()[0]["contact_inboxes"][0]["inbox"]["name"], "Neu");
    anna.delete(format!("/api/v2/accounts/inboxes/{}?force=true", app.inbox)).await.ok();
    let answer = anna.get(CONTACTS).await.ok();
    assert_eq!(answer.payload()[0]["contact_inboxes"], json!([]));
}

#[rstest]
#[case::bad_escape("q=%zz")]
#[case::cut_escape("q=a&page=%4")]
#[case::not_utf8("labels=%ff%fe")]
#[case::surrogate("q=%ED%A0%80")]
#[tokio::test]
async fn a_query_that_cannot_be_decoded_is_malformed(#[case] query: &str) {
    let (_app, anna) = crowd(0).await;
    let answer = anna.get(format!("{CONTACTS}?{query}")).await;
    assert_eq!((answer.status, answer.code()), (400, "malformed_request"));
    assert_eq!(answer.members(), ["error", "code", "request_id"]);
}
