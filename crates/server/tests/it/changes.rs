//! The feed: every event, once, in order, and where to begin again when some are missing.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use meishi_contacts::{Role, UnixMillis};
use serde_json::{Value, json};

use crate::{
    answer::{Answer, members},
    app::{CHANGES, CONTACTS, Client, EVENTS, INBOXES, KEYS, LABELS, TestApp, contact},
};

async fn changes(client: &Client, query: &str) -> Answer {
    client.get(format!("{CHANGES}?{query}")).await
}

fn seqs(answer: &Answer) -> Vec<i64> {
    let events = answer.payload().as_array().unwrap().iter();
    events.map(|event| event["seq"].as_i64().unwrap()).collect()
}

fn kinds(answer: &Answer) -> Vec<&str> {
    let events = answer.payload().as_array().unwrap().iter();
    events.map(|event| event["type"].as_str().unwrap()).collect()
}

/// The last event there is.
async fn head(client: &Client) -> i64 {
    changes(client, "after=last").await.ok().json["meta"]["last_seq"].as_i64().unwrap()
}

#[tokio::test]
async fn a_page_has_the_events_after_one_without_a_gap_and_says_how_it_goes_on() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    for number in 0..5 {
        anna.contact(json!({ "name": number.to_string() })).await;
    }
    let last = app.events().await;
    let all = changes(&anna, "").await.ok();
    assert_eq!(seqs(&all), (1..=last).collect::<Vec<_>>());
    assert_eq!(
        members(&all.json["meta"]),
        ["after", "last_seq", "has_more", "next_after", "cursor"]
    );
    assert_eq!(all.json["meta"]["has_more"], false);
    assert_eq!(all.header("link"), None);
    assert_eq!(all.header("cache-control"), Some("no-store"));

    let mut walked = Vec::new();
    let mut path = format!("{CHANGES}?after=0&limit=2");
    loop {
        let page = anna.get(&path).await.ok();
        let meta = &page.json["meta"];
        assert_eq!(meta["last_seq"], last);
        assert_eq!(meta["after"], walked.len());
        walked.extend(seqs(&page));
        assert_eq!(meta["next_after"], walked.len());
        assert_eq!(meta["has_more"], page.header("link").is_some());
        let Some(link) = page.header("link") else { break };
        let query = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
        assert_eq!(query, format!("{CHANGES}?limit=2&cursor={}", meta["cursor"].as_str().unwrap()));
        query.clone_into(&mut path);
    }
    assert_eq!(walked, seqs(&all));
    let none = changes(&anna, "after=last").await.ok();
    assert_eq!((seqs(&none), &none.json["meta"]["next_after"]), (vec![], &json!(last)));
}

#[tokio::test]
async fn an_event_tells_who_when_by_which_request_and_what() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let before = head(&anna).await;
    let fields = json!({
        "inbox_id": 1, "source_id": "s", "first_name": "Zoë", "email": "zoe@acme.inc",
        "custom_attributes": { "vip": 1, "gone": true },
    });
    let call = anna.call("POST", CONTACTS).header("x-request-id", "create-1").json(&fields);
    let created = call.send().await.ok();
    app.clock.advance(1);
    let id = created.payload()["contact"]["id"].as_i64().unwrap();
    let patch =
        json!({ "email": null, "custom_attributes": { "vip": 2, "gone": null, "new": null } });
    anna.patch(contact(id), patch).await.ok();
    anna.post(format!("{}/labels", contact(id)), json!({ "labels": ["vip"] })).await.ok();
    anna.delete(contact(id)).await.ok();

    let page = changes(&anna, &format!("after={before}")).await.ok();
    assert_eq!(
        kinds(&page),
        [
            "contact.created",
            "contact.updated",
            "label.created",
            "contact.updated",
            "contact.deleted"
        ]
    );
    let event = &page.payload()[0];
    assert_eq!(
        members(event),
        [
            "seq",
            "type",
            "at",
            "actor",
            "request_id",
            "contact_id",
            "version",
            "contact",
            "contact_inboxes"
        ]
    );
    assert_eq!(event["at"], "2025-12-24T10:21:43Z");
    assert_eq!(event["request_id"], "create-1");
    assert_eq!(event["actor"]["type"], "key");
    assert!(event["actor"]["id"].is_i64());
    assert_eq!((&event["contact_id"], &event["version"]), (&json!(id), &json!(1)));
    assert_eq!(event["contact_inboxes"], json!([{ "inbox_id": 1, "source_id": "s" }]));
    let mut shown = created.payload()["contact"].clone();
    shown.as_object_mut().unwrap().shift_remove("contact_inboxes");
    shown["first_name"] = json!("Zoë");
    shown["last_name"] = json!(null);
    shown["labels"] = json!([]);
    assert_eq!(event["contact"], shown);

    let event = &page.payload()[1];
    assert_eq!(event["at"], "2025-12-24T10:21:44Z");
    assert_eq!(event["version"], 2);
    assert_eq!(
        event["changes"],
        json!([
            { "field": "email", "before": "zoe@acme.inc", "after": null },
            { "field": "custom_attributes", "key": "vip", "before": 1, "after": 2 },
            { "field": "custom_attributes", "key": "gone", "before": true },
        ])
    );
    assert_eq!(page.payload()[2]["label"], "vip");
    let event = &page.payload()[4];
    assert_eq!((&event["version"], &event["contact"]["labels"]), (&json!(3), &json!(["vip"])));
}

#[tokio::test]
async fn keys_are_shown_to_administrators_alone_and_to_others_without_a_gap() {
    let app = TestApp::start().await;
    let (anna, agent) = (app.administrator().await, app.key(Role::Agent).await);
    let before = head(&anna).await;
    let key = anna.post(KEYS, json!({ "name": "Sync", "role": "agent" })).await.ok();
    let id = key.payload()["id"].as_i64().unwrap();
    let expiry = json!({ "expires_at": "2030-01-01T00:00:00Z" });
    anna.patch(format!("{KEYS}/{id}"), expiry).await.ok();
    anna.post(format!("{KEYS}/{id}/rotate"), json!({ "overlap_seconds": 60 })).await.ok();
    anna.delete(format!("{KEYS}/{id}")).await.ok();
    anna.post(INBOXES, json!({ "name": "Support" })).await.ok();

    let query = format!("after={before}");
    let seen = changes(&anna, &query).await.ok();
    let kinds_of_all =
        ["key.created", "key.updated", "key.rotated", "key.revoked", "inbox.created"];
    assert_eq!(kinds(&seen), kinds_of_all);
    assert_eq!(seen.payload()[0]["key"]["name"], "Sync");
    let expires =
        json!([{ "field": "expires_at", "before": null, "after": "2030-01-01T00:00:00Z" }]);
    assert_eq!(seen.payload()[1]["changes"], expires);
    assert_eq!(seen.payload()[2]["previous_secret_until"], "2025-12-24T10:22:43Z");
    assert!(!seen.text.contains("ms_"), "no secret");

    let seen = changes(&agent, &query).await.ok();
    assert_eq!(kinds(&seen), kinds_of_all);
    assert_eq!(seqs(&seen), (before + 1..=before + 5).collect::<Vec<_>>());
    for event in &seen.payload().as_array().unwrap()[..4] {
        assert_eq!(members(event), ["seq", "type", "at"]);
    }
    assert_eq!(seen.payload()[4]["inbox"]["name"], "Support");
}

#[tokio::test]
async fn a_place_that_is_not_known_any_more_is_gone_and_says_where_to_go_on() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let bert = app.account("Globex").await.administrator().await;
    for name in ["a", "b", "c"] {
        anna.contact(json!({ "name": name })).await;
    }
    let head = head(&anna).await;
    let early = changes(&anna, "limit=1").await.ok().json["meta"]["cursor"].clone();
    let early = early.as_str().unwrap();
    let gone = |answer: Answer| {
        assert_eq!((answer.status, answer.code()), (410, "cursor_expired"), "{}", answer.text);
        assert_eq!(answer.members(), ["error", "resume_after", "code", "request_id"]);
        assert_eq!(answer.json["resume_after"], head);
        assert!(answer.json["error"].as_str().unwrap().contains("read all contacts again"));
    };
    gone(changes(&anna, &format!("after={}", head + 1)).await);
    gone(changes(&anna, &format!("after={}&wait=60", head + 1)).await);

    // Retention took the first ones.
    changes(&anna, "after=0").await.ok();
    app.clock.advance(3600);
    let now = UnixMillis(i64::MAX);
    let retained = app.app.store.drop_events(app.id, now).await.unwrap();
    assert_eq!(retained.dropped_seq.0, head - 1);
    gone(changes(&anna, "after=0").await);
    gone(changes(&anna, "").await);
    gone(changes(&anna, &format!("cursor={early}")).await);
    gone(changes(&anna, &format!("after={}", head - 2)).await);
    assert_eq!(seqs(&changes(&anna, &format!("after={}", head - 1)).await.ok()), [head]);
    assert!(seqs(&changes(&anna, "after=last").await.ok()).is_empty());
    // Another account's events are all there.
    changes(&bert, "after=0").await.ok();
}

#[tokio::test]
async fn a_cursor_is_of_its_account_and_gone_after_a_restore() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let bert = app.account("Globex").await.administrator().await;
    let cursor = changes(&anna, "limit=1").await.ok().json["meta"]["cursor"].clone();
    let query = format!("cursor={}", cursor.as_str().unwrap());
    assert_eq!(seqs(&changes(&anna, &query).await.ok())[0], 2);
    let answer = changes(&bert, &query).await;
    assert_eq!((answer.status, answer.code()), (400, "malformed_request"), "of another account");
    app.raise_epoch().await;
    let answer = changes(&anna, &query).await;
    assert_eq!((answer.status, answer.code()), (410, "cursor_expired"));
    assert_eq!(answer.json["resume_after"], app.events().await);
    changes(&anna, "after=1").await.ok();
}

#[tokio::test]
async fn what_is_no_place_is_a_400_and_numbers_beyond_the_limits_are_clamped() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    for query in [
        "after=x",
        "after=-1",
        "after=1.5",
        "after=",
        "after=99999999999999999999",
        "limit=many",
        "limit=-1",
        "wait=soon",
        "cursor=x",
        "cursor=%C3",
        "after=0&cursor=MS4xLng",
    ] {
        let answer = changes(&anna, query).await;
        assert_eq!((answer.status, answer.code()), (400, "malformed_request"), "{query}");
    }
    let last = app.events().await;
    assert_eq!(seqs(&changes(&anna, "limit=0").await.ok()), [1]);
    assert_eq!(seqs(&changes(&anna, "limit=5000").await.ok()), (1..=last).collect::<Vec<_>>());
    for value in ["x", "-1", "1,2", "ü"] {
        let call = anna.call("GET", EVENTS).header("last-event-id", value);
        assert_eq!(call.send().await.code(), "malformed_request", "{value}");
    }
}

#[tokio::test]
async fn a_page_of_large_events_ends_early() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let before = head(&anna).await;
    let large = json!({ "custom_attributes": { "text": "x".repeat(60_000) } });
    for _ in 0..80 {
        anna.contact(large.clone()).await;
    }
    let page = changes(&anna, &format!("after={before}&limit=1000")).await.ok();
    let count = seqs(&page).len();
    assert!((60..75).contains(&count), "{count}");
    assert!(page.text.len() < 5_000_000);
    assert_eq!(page.json["meta"]["has_more"], true);
    let next = &page.json["meta"]["next_after"];
    let rest = changes(&anna, &format!("after={next}&limit=1000")).await.ok();
    assert_eq!(seqs(&page).len() + seqs(&rest).len(), 80);
    assert_eq!(seqs(&rest)[0], next.as_i64().unwrap() + 1);
}

#[tokio::test]
async fn a_call_that_waits_is_answered_as_soon_as_there_is_something() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let after = head(&anna).await;
    let begun = Instant::now();
    // There is something already.
    assert_eq!(seqs(&changes(&anna, "limit=1&wait=60").await.ok()), [1]);
    let waiting = {
        let anna = anna.clone();
        tokio::spawn(async move { changes(&anna, &format!("after={after}&wait=60")).await.ok() })
    };
    while app.app.streams.open() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    anna.contact(json!({ "name": "Anna" })).await;
    let told = Instant::now();
    let answer = waiting.await.unwrap();
    assert_eq!(seqs(&answer), [after + 1]);
    assert!(told.elapsed() < Duration::from_millis(400), "sooner than the poller looks");
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert_eq!(app.app.streams.open(), 0);
}

#[tokio::test]
async fn what_another_server_writes_is_noticed_too() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let after = head(&anna).await;
    let waiting = {
        let anna = anna.clone();
        tokio::spawn(async move { changes(&anna, &format!("after={after}&wait=60")).await.ok() })
    };
    while app.app.streams.open() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // Written past this server's own way.
    app.key(Role::Agent).await;
    let told = Instant::now();
    assert_eq!(kinds(&waiting.await.unwrap()), ["key.created"]);
    assert!(told.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_call_that_waits_in_vain_has_an_empty_page() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let bert = app.account("Globex").await.administrator().await;
    let after = head(&anna).await;
    let begun = Instant::now();
    let waiting = changes(&anna, "after=last&wait=1");
    // What happens in another account is none of its business.
    let (answer, _) = tokio::join!(waiting, bert.contact(json!({})));
    let answer = answer.ok();
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!((seqs(&answer), &answer.json["meta"]["next_after"]), (vec![], &json!(after)));
}

/// A copy of an account's contacts that follows its feed as `docs/api.md` says.
#[derive(Default)]
struct Copy {
    contacts: BTreeMap<i64, Value>,
    /// By which each contact's links are shown.
    inboxes: BTreeMap<i64, Value>,
    after: i64,
}

/// Whole cards.
const WHOLE: &str = "include=labels,first_name,last_name";

impl Copy {
    /// Remembers the feed's end, then reads all channels, and all contacts by id, page by page, while
    /// others write. Once more where labels were renamed or deleted meanwhile.
    async fn begin(client: &Client) -> Self {
        loop {
            let copy = Self::read(client).await;
            let page = changes(client, &format!("after={}&limit=1000", copy.after)).await.ok();
            let kinds = page.payload().as_array().unwrap().iter().map(|event| &event["type"]);
            let mut relabelled =
                kinds.filter(|kind| **kind == "label.updated" || **kind == "label.deleted");
            if relabelled.next().is_none() {
                return copy;
            }
        }
    }

    async fn read(client: &Client) -> Self {
        let mut copy = Self { after: head(client).await, ..Self::default() };
        for inbox in client.get(INBOXES).await.ok().payload().as_array().unwrap() {
            copy.inboxes.insert(inbox["id"].as_i64().unwrap(), channel(inbox));
        }
        let mut cursor = json!("");
        while let Some(at) = cursor.as_str() {
            let path = format!("{CONTACTS}?sort=id&limit=5&{WHOLE}&cursor={at}");
            let page = client.get(path).await.ok();
            for contact in page.payload().as_array().unwrap() {
                let mut contact = contact.clone();
                for link in contact["contact_inboxes"].as_array_mut().unwrap() {
                    let id = link["inbox"]["id"].clone();
                    *link = json!({ "inbox_id": id, "source_id": link["source_id"] });
                }
                copy.contacts.insert(contact["id"].as_i64().unwrap(), contact);
            }
            cursor = page.json["meta"]["next_cursor"].clone();
            // Others write meanwhile, one processor or not.
            tokio::task::yield_now().await;
        }
        copy
    }

    /// Applies the next page; `false` when there was nothing.
    async fn follow(&mut self, client: &Client) -> bool {
        let answer = changes(client, &format!("after={}&limit=9", self.after)).await.ok();
        for event in answer.payload().as_array().unwrap() {
            assert_eq!(event["seq"], self.after + 1, "dense");
            self.after += 1;
            self.apply(event);
        }
        !seqs(&answer).is_empty()
    }

    fn apply(&mut self, event: &Value) {
        let id = event["contact_id"].as_i64().unwrap_or_default();
        let inbox_id = event["inbox_id"].as_i64().unwrap_or_default();
        match event["type"].as_str().unwrap() {
            "contact.created" | "contact.restored" => {
                let mut contact = event["contact"].clone();
                contact["contact_inboxes"] = event["contact_inboxes"].clone();
                self.contacts.insert(id, contact);
            }
            "contact.updated" => {
                // Gone when the contacts were read: its deletion is yet to come.
                let Some(contact) = self.contacts.get_mut(&id) else { return };
                for change in event["changes"].as_array().unwrap() {
                    set(contact, change);
                }
            }
            "contact.deleted" | "contact.erased" => drop(self.contacts.remove(&id)),
            "inbox.created" => drop(self.inboxes.insert(inbox_id, channel(&event["inbox"]))),
            "inbox.updated" => {
                let Some(inbox) = self.inboxes.get_mut(&inbox_id) else { return };
                for change in event["changes"].as_array().unwrap() {
                    set(inbox, change);
                }
            }
            "inbox.deleted" => {
                self.inboxes.remove(&inbox_id);
                for contact in self.contacts.values_mut() {
                    let links = contact["contact_inboxes"].as_array_mut().unwrap();
                    links.retain(|link| link["inbox_id"] != inbox_id);
                }
            }
            "label.created" | "attribute.created" | "attribute.updated" | "attribute.deleted" => {}
            "label.updated" | "label.deleted" => {
                let title = match event["changes"].as_array() {
                    None => Some((event["label"].clone(), None)),
                    Some(changes) => {
                        let change = changes.iter().find(|change| change["field"] == "title");
                        change.map(|c| (c["before"].clone(), Some(c["after"].clone())))
                    }
                };
                let Some((before, after)) = title else { return };
                for contact in self.contacts.values_mut() {
                    let labels = contact["labels"].as_array_mut().unwrap();
                    let Some(place) = labels.iter().position(|l| *l == before) else { continue };
                    labels.remove(place);
                    labels.extend(after.clone());
                    labels.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
                }
            }
            other => panic!("{other}"),
        }
    }

    /// The contacts as a list shows them.
    fn shown(&self) -> BTreeMap<i64, Value> {
        let mut contacts = self.contacts.clone();
        for contact in contacts.values_mut() {
            for link in contact["contact_inboxes"].as_array_mut().unwrap() {
                let inbox = &self.inboxes[&link["inbox_id"].as_i64().unwrap()];
                *link = json!({ "source_id": link["source_id"], "inbox": inbox });
            }
        }
        contacts
    }
}

/// Sets a field, or a member of a map, to what it became.
fn set(card: &mut Value, change: &Value) {
    let field = change["field"].as_str().unwrap();
    match (change["key"].as_str(), change.get("after")) {
        // A contact on which nothing happened yet does not show it.
        (None, Some(Value::Null)) if field == "last_activity_at" => {
            card.as_object_mut().unwrap().shift_remove(field);
        }
        (None, after) => card[field] = after.unwrap().clone(),
        (Some(key), Some(after)) => card[field][key] = after.clone(),
        (Some(key), None) => drop(card[field].as_object_mut().unwrap().shift_remove(key)),
    }
}

/// A channel as contacts show it.
fn channel(inbox: &Value) -> Value {
    let names = ["id", "name", "channel_type"];
    names.into_iter().map(|name| (name.to_owned(), inbox[name].clone())).collect()
}

#[tokio::test]
async fn a_snapshot_and_the_changes_after_it_make_a_true_copy_while_others_write() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    for id in [7, 8, 9] {
        anna.post(INBOXES, json!({ "id": id, "name": format!("early {id}") })).await.ok();
    }
    for number in 0..30 {
        let inbox = [app.inbox, 7, 8, 9][number % 4];
        anna.contact(json!({ "name": format!("early {number}"), "inbox_id": inbox })).await;
    }
    let writers = (0..4_i64).map(|writer| {
        let (anna, inbox) = (anna.clone(), app.inbox);
        tokio::spawn(async move {
            for step in 0..40 {
                let id = (writer * 17 + step * 7) % 40 + 1;
                let text = format!("{writer} {step}");
                let fields = match step % 8 {
                    0 | 4 => {
                        let fields = json!({ "name": text, "inbox_id": inbox });
                        anna.contact(fields).await;
                        continue;
                    }
                    1 => json!({ "first_name": text, "last_name": "x", "email": format!("{id}@x.y") }),
                    2 => {
                        json!({ "custom_attributes": { format!("k{}", id % 3): step, "gone": 1 } })
                    }
                    3 => {
                        // Someone else may have been faster.
                        anna.delete(contact(id)).await;
                        continue;
                    }
                    5 => {
                        let labels = json!({ "labels": ["vip", format!("l{step}")] });
                        anna.post(format!("{}/labels", contact(id)), labels).await;
                        continue;
                    }
                    6 => json!({
                        "last_activity_at": 1_700_000_000 + step, "blocked": step % 3 == 0,
                        "additional_attributes": { "city": text }, "availability_status": "online",
                    }),
                    _ if writer == 0 => {
                        let path = format!("{INBOXES}/{}", 7 + step % 3);
                        anna.patch(&path, json!({ "name": text })).await;
                        if step > 20 {
                            anna.delete(format!("{path}?force=true")).await;
                        }
                        continue;
                    }
                    _ => json!({
                        "email": null, "last_activity_at": null, "last_name": null,
                        "custom_attributes": { "gone": null }, "thumbnail": format!("https://{step}"),
                    }),
                };
                anna.patch(contact(id), fields).await;
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let mut copy = Copy::begin(&anna).await;
    let begun = copy.after;
    for (number, writer) in writers.into_iter().enumerate() {
        copy.follow(&anna).await;
        let labels = anna.get(LABELS).await.ok();
        let vip = labels.payload().as_array().unwrap().iter().find(|l| l["title"] == "vip");
        if let Some(id) = vip.map(|label| &label["id"]) {
            let path = format!("{LABELS}/{id}");
            match number % 2 {
                0 => anna.patch(path, json!({ "title": format!("was-vip-{number}") })).await.ok(),
                _ => anna.delete(path).await.ok(),
            };
        }
        writer.await.unwrap();
    }
    while copy.follow(&anna).await {}
    assert_eq!(copy.after, app.events().await);
    assert!(copy.after > begun + 20, "others wrote meanwhile");

    let mut truth = BTreeMap::new();
    for page in 1..=2 {
        let path = format!("{CONTACTS}?page_size=100&page={page}&{WHOLE}");
        for contact in anna.get(path).await.ok().payload().as_array().unwrap() {
            truth.insert(contact["id"].as_i64().unwrap(), contact.clone());
        }
    }
    assert!(truth.len() > 40);
    let has = |what: fn(&Value) -> bool| truth.values().any(what);
    assert!(has(|contact| contact["contact_inboxes"] == json!([])), "a channel went");
    assert!(has(|contact| contact["labels"] != json!([])));
    assert!(has(|contact| contact["first_name"] != Value::Null));
    assert_eq!(copy.shown(), truth);
}
