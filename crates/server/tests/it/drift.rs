//! Page after page by cursor while contacts are written (`DESIGN.md`, what must always be true, 7):
//! ordered by id, every contact that is there throughout is shown exactly once; in another order,
//! every one whose sort key stays.

use std::collections::BTreeMap;

use proptest::{prelude::*, sample::Index};
use serde_json::{Value, json};

use super::{
    paging::{ids, next, pages},
    properties::{Scene, runner, sortable},
};
use crate::app::{CONTACTS, Client, TestApp, contact, list};

/// Orders, each with the members of a contact that it compares.
const ORDERS: [(&str, &[&str]); 9] = [
    ("id", &[]),
    ("-id", &[]),
    ("", &["/last_activity_at"]),
    ("name", &["/name"]),
    ("-name,id", &["/name"]),
    ("-city,name", &["/additional_attributes/city", "/name"]),
    ("company,-created_at", &["/additional_attributes/company_name", "/created_at"]),
    ("-created_at", &["/created_at"]),
    ("email,-phone_number", &["/email", "/phone_number"]),
];

#[derive(Debug, Clone)]
enum Write {
    Create(Value),
    Patch(Index, Value),
    Delete(Index),
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        3 => sortable().prop_map(Write::Create),
        4 => (any::<Index>(), sortable()).prop_map(|(which, fields)| Write::Patch(which, fields)),
        2 => any::<Index>().prop_map(Write::Delete),
    ]
}

impl Write {
    async fn send(&self, client: &Client) {
        let there = client.get(list(&[("page_size", "100")])).await.ok().ids();
        let pick = |which: &Index| contact(*which.get(&there));
        match self {
            Self::Create(fields) => {
                client.contact(fields.clone()).await;
            }
            Self::Patch(which, fields) if !there.is_empty() => {
                client.patch(pick(which), fields.clone()).await.ok();
            }
            Self::Delete(which) if !there.is_empty() => {
                client.delete(pick(which)).await.ok();
            }
            Self::Patch(..) | Self::Delete(_) => {}
        }
    }
}

/// What the order compares of each contact that the search finds.
async fn keys(client: &Client, q: &str, members: &[&str]) -> BTreeMap<i64, Vec<Value>> {
    let answer = client.get(list(&[("q", q), ("page_size", "100")])).await.ok();
    let contacts = answer.payload().as_array().unwrap();
    assert_eq!(answer.count(), contacts.len() as u64, "one page shows all of them");
    let keys = |contact: &Value| {
        let values = members.iter().map(|place| contact.pointer(place).cloned());
        values.map(Option::unwrap_or_default).collect()
    };
    contacts.iter().map(|contact| (contact["id"].as_i64().unwrap(), keys(contact))).collect()
}

#[test]
fn whoever_stays_is_shown_exactly_once_whatever_is_written_between_pages() {
    let scene = Scene::new();
    let contacts = prop::collection::vec(sortable(), 0..16);
    let between = prop::collection::vec(prop::collection::vec(write(), 0..4), 0..8);
    let order = prop::sample::select(ORDERS.to_vec());
    let q = prop::sample::select(vec!["", "", "a"]);
    runner(40)
        .run(&(contacts, between, order, q, 1..4_usize), |(contacts, between, order, q, limit)| {
            scene.runtime.block_on(async {
                let client = scene.app.account("Tenant").await.administrator().await;
                for fields in &contacts {
                    client.contact(fields.clone()).await;
                }
                let (sort, members) = order;
                let mut steady = keys(&client, q, members).await;
                let mut between = between.iter();
                let mut shown = Vec::new();
                let mut cursor = String::new();
                let limit = limit.to_string();
                loop {
                    let parameters = [("q", q), ("sort", sort), ("limit", &limit)];
                    let page = [&parameters[..], &[("cursor", &cursor)]].concat();
                    let answer = client.get(list(&page)).await.ok();
                    shown.extend(answer.ids());
                    prop_assert!(shown.len() < 200, "the pages never end: {:?}", shown);
                    let Some(next) = next(&answer) else { break };
                    cursor = next.to_owned();
                    for write in between.next().into_iter().flatten() {
                        write.send(&client).await;
                        let now = keys(&client, q, members).await;
                        steady.retain(|id, keys| now.get(id) == Some(keys));
                    }
                }
                for id in steady.keys() {
                    let times = shown.iter().filter(|shown| *shown == id).count();
                    prop_assert_eq!(times, 1, "{} of {:?}", id, shown);
                }
                if members.is_empty() {
                    let follows = |a: &i64, b: &i64| if sort == "id" { a < b } else { a > b };
                    prop_assert!(shown.is_sorted_by(follows), "{:?}", shown);
                }
                Ok(())
            })
        })
        .unwrap();
}

#[tokio::test]
async fn whoever_stays_is_shown_exactly_once_while_others_write() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    for _ in 0..60 {
        anna.contact(json!({ "name": "kept" })).await;
    }
    let writing = async {
        for id in 1..=60 {
            if id % 3 == 0 {
                anna.delete(contact(id)).await.ok();
            } else {
                let fields = json!({ "name": "changed", "last_activity_at": id });
                anna.patch(contact(id), fields).await.ok();
            }
            anna.contact(json!({ "name": "new" })).await;
        }
    };
    let up = format!("{CONTACTS}?sort=id&limit=2");
    let down = format!("{CONTACTS}?sort=-id&limit=3");
    let ((), up, down) = futures::join!(writing, pages(&anna, up), pages(&anna, down));
    for shown in [ids(&up), ids(&down)] {
        for id in (1..=60).filter(|id| id % 3 != 0) {
            let times = shown.iter().filter(|shown| **shown == id).count();
            assert_eq!(times, 1, "{id} of {shown:?}");
        }
        let mut each = shown.clone();
        each.sort_unstable();
        each.dedup();
        assert_eq!(each.len(), shown.len(), "nobody twice: {shown:?}");
    }
}
