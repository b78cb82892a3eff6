//! Many callers at once (`DESIGN.md`, 4, 5 and 8).

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::json;

use crate::app::{CONTACTS, INBOXES, KEYS, TestApp, contact, list};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_patches_of_one_key_each_leave_two_hundred_keys() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    let version = app.version(id).await;
    let patches = (0..200).map(|number| {
        let anna = anna.clone();
        let map = if number % 2 == 0 { "custom_attributes" } else { "additional_attributes" };
        tokio::spawn(async move {
            let body = json!({ map: { format!("k{number}"): number } });
            anna.patch(contact(id), body).await.ok()
        })
    });
    for answer in join_all(patches).await {
        answer.unwrap();
    }
    let read = anna.get(contact(id)).await.ok();
    for number in 0..200 {
        let map = if number % 2 == 0 { "custom_attributes" } else { "additional_attributes" };
        assert_eq!(read.payload()[map][format!("k{number}")], number);
    }
    assert_eq!(app.version(id).await.0, version.0 + 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_fifty_creates_of_one_email_one_wins_and_the_others_are_told_which() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let creates = (0..50).map(|number| {
        let anna = anna.clone();
        tokio::spawn(async move {
            let email = if number % 2 == 0 { "ONE@acme.inc" } else { " one@acme.inc " };
            anna.post(CONTACTS, json!({ "inbox_id": 1, "email": email })).await
        })
    });
    let answers: Vec<_> = join_all(creates).await.into_iter().map(Result::unwrap).collect();
    let winners: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(winners.len(), 1);
    let id = &winners[0].payload()["contact"]["id"];
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!((answer.status, answer.code()), (422, "taken"));
        assert_eq!(answer.json["existing_contact_id"], *id);
    }
    assert_eq!(anna.get(CONTACTS).await.ok().count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_that_many_contacts_want_goes_to_one_of_them() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let ids = join_all((0..20).map(|_| anna.contact(json!({})))).await;
    let patches = ids.into_iter().map(|id| {
        let anna = anna.clone();
        tokio::spawn(async move {
            anna.patch(contact(id), json!({ "phone_number": "+4912345" })).await.status
        })
    });
    let statuses: Vec<u16> = join_all(patches).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1);
    assert_eq!(statuses.iter().filter(|status| **status == 422).count(), 19);
    assert_eq!(anna.search("12345").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_that_are_given_at_once_are_all_different_and_without_a_gap() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let contacts = join_all((0..40).map(|_| anna.contact(json!({})))).await;
    assert_eq!(contacts.into_iter().collect::<BTreeSet<_>>(), (1..=40).collect());
    for (path, body) in
        [(INBOXES, json!({ "name": "x" })), (KEYS, json!({ "name": "x", "role": "agent" }))]
    {
        let first = anna.get(path).await.ok().ids().last().unwrap() + 1;
        let made = join_all((0..20).map(|_| anna.post(path, body.clone()))).await;
        let ids = made.into_iter().map(|answer| answer.ok().payload()["id"].as_i64().unwrap());
        assert_eq!(ids.collect::<BTreeSet<_>>(), (first..first + 20).collect());
    }
}

/// What one of many callers does again and again: write, and look for what was just written.
async fn write_and_look(anna: &crate::app::Client, task: usize) {
    let ids = async |query: &[(&str, &str)]| anna.get(list(query)).await.ok().ids();
    for round in 0..6 {
        let (first, second) = (format!("a{task}r{round}x"), format!("b{task}r{round}x"));
        let label = format!("l{task}r{round}");
        let id = anna.contact(json!({ "name": first, "email": format!("{first}@a.b") })).await;
        assert_eq!(ids(&[("q", &first)]).await, [id], "created");

        anna.patch(contact(id), json!({ "name": second, "email": null })).await.ok();
        assert_eq!(ids(&[("q", &second)]).await, [id], "renamed");
        assert_eq!(ids(&[("q", &first)]).await, [0; 0], "its former name");

        let labels = json!({ "labels": [label] });
        anna.post(format!("{}/labels", contact(id)), labels).await.ok();
        assert_eq!(ids(&[("labels", &label)]).await, [id], "labelled");
        assert_eq!(ids(&[("labels", &label), ("q", &second)]).await, [id], "both");

        if round % 2 == 0 {
            anna.delete(contact(id)).await.ok();
            assert_eq!(ids(&[("q", &second)]).await, [0; 0], "deleted");
            assert_eq!(ids(&[("labels", &label)]).await, [0; 0], "deleted");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_written_is_found_by_the_next_search_whoever_else_writes() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let tasks = (0..24).map(|task| {
        let anna = anna.clone();
        tokio::spawn(async move { write_and_look(&anna, task).await })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
    assert_eq!(anna.get(CONTACTS).await.ok().count(), 24 * 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_that_are_first_searched_at_once_find_their_own() {
    let app = TestApp::start().await;
    let mut tasks = Vec::new();
    for number in 0..8 {
        let client = app.account("Tenant").await.administrator().await;
        client.contact(json!({ "name": format!("person {number}") })).await;
        for _ in 0..4 {
            let client = client.clone();
            tasks.push(tokio::spawn(async move {
                assert_eq!(client.search("person").await, [format!("person {number}")]);
            }));
        }
    }
    for task in join_all(tasks).await {
        task.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_patches_at_once_both_are_whole() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({})).await;
    for round in 0..20 {
        let write = |name: &str| {
            let body = json!({ "name": name, "custom_attributes": { "name": name, "r": round } });
            anna.patch(contact(id), body)
        };
        let (one, two) = tokio::join!(write("one"), write("two"));
        one.ok();
        two.ok();
        let read = anna.get(contact(id)).await.ok();
        assert_eq!(read.payload()["name"], read.payload()["custom_attributes"]["name"]);
    }
}
