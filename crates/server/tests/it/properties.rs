//! What holds for whatever callers send.

use std::cell::Cell;

use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

use crate::{
    answer::Answer,
    app::{CHANGES, CONTACTS, Client, EVENTS, TestApp, contact},
    routes::{self, Subjects},
};

/// Every member that some route reads, and two that none does.
const FIELDS: [&str; 46] = [
    "inbox_id",
    "source_id",
    "name",
    "email",
    "phone_number",
    "identifier",
    "avatar_url",
    "thumbnail",
    "availability_status",
    "blocked",
    "last_activity_at",
    "created_at",
    "first_name",
    "last_name",
    "custom_attributes",
    "additional_attributes",
    "description",
    "company_name",
    "city",
    "telegram",
    "country",
    "country_code",
    "social_profiles",
    "labels",
    "id",
    "channel_type",
    "role",
    "expires_at",
    "overlap_seconds",
    "url",
    "events",
    "format",
    "include_activity",
    "state",
    "seq",
    "from",
    "to",
    "failed",
    "contact",
    "atomic",
    "operations",
    "op",
    "keys",
    "field",
    "",
    "unknown",
];

/// An app that a whole property shares, with its runtime.
pub(crate) struct Scene {
    pub(crate) runtime: Runtime,
    pub(crate) app: TestApp,
    pub(crate) anna: Client,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (app, anna) = runtime.block_on(async {
            let app = TestApp::start().await;
            let anna = app.administrator().await;
            (app, anna)
        });
        Self { runtime, app, anna }
    }
}

pub(crate) fn runner(cases: u32) -> TestRunner {
    TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    })
}

/// Texts that some field takes, texts that break something elsewhere, and any others.
fn text() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "",
        " ",
        "a@b.c",
        "A@B.C",
        "+4912345",
        "true",
        "online",
        "offline",
        "1",
        "407",
        "0",
        "-1",
        "9007199254740993",
        "99999999999999999999",
        "1765441895",
        "agent",
        "Channel::Api",
        "{}",
        "{\"a\":1}",
        "2027-01-31T00:00:00Z",
        "-009999-01-02T01:59:59Z",
        "\0",
        "\u{feff}",
        "a,b,",
        "https://example.com/",
        "contact.created",
        "meishi",
        "paused",
        "%",
        "名刺",
        "\u{202e}",
        "'; --",
        "$serde_json::private::RawValue",
        "$serde_json::private::Number",
    ]);
    prop_oneof![
        3 => known.prop_map(str::to_owned),
        1 => ".{0,20}",
        1 => (0..3000_usize).prop_map(|length| "x".repeat(length)),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec![-1_i64, 0, 1, 2, 407, 253_402_300_799, 253_402_300_800])
            .prop_map(Value::from),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number,
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((text(), inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A body with some of the known fields, each with any value.
fn body() -> impl Strategy<Value = Value> {
    let field = prop::sample::select(FIELDS.to_vec());
    prop::collection::vec((field, value()), 0..7).prop_map(|members| {
        let members: Map<String, Value> =
            members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Value::Object(members)
    })
}

/// A body that is likely to be accepted, of few values, so that some change nothing.
fn plausible() -> impl Strategy<Value = Value> {
    let attribute = prop_oneof![
        Just(Value::Null),
        (0..3).prop_map(Value::from),
        "[ab]{0,1}".prop_map(Value::from),
        prop::collection::btree_map("[xy]", prop::option::of(0..3), 0..3)
            .prop_map(|map| json!(map)),
    ];
    let map = prop::collection::btree_map("[a-d]", attribute, 0..4).prop_map(|map| json!(map));
    let map = prop_oneof![4 => map, 1 => Just(Value::Null)];
    let word = prop_oneof![Just(Value::Null), "[ab]{0,2}".prop_map(Value::from)];
    let email = prop::sample::select(vec![json!(null), json!("a@b.c"), json!("D@e.f "), json!("")]);
    let time = prop_oneof![Just(Value::Null), (0..3).prop_map(Value::from)];
    let member = prop_oneof![
        4 => (prop::sample::select(vec!["custom_attributes", "additional_attributes"]), map),
        2 => (
            prop::sample::select(vec!["name", "first_name", "last_name", "identifier", "city"]),
            word,
        ),
        1 => (Just("email"), email),
        1 => (prop::sample::select(vec!["last_activity_at", "created_at"]), time),
        1 => (Just("blocked"), any::<bool>().prop_map(Value::from)),
    ];
    prop::collection::vec(member, 0..5).prop_map(|members| {
        let members: Map<String, Value> =
            members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Value::Object(members)
    })
}

/// The routes that read a body.
fn writing_routes() -> Vec<(String, String)> {
    let mut routes = routes::all();
    routes.retain(|(method, path)| {
        routes::has_account(path) && !matches!(method.as_str(), "GET" | "DELETE")
    });
    routes
}

fn never_a_defect(answer: &Answer, what: &str) -> Result<(), TestCaseError> {
    prop_assert!(answer.status < 500, "{what}: {}", answer.text);
    prop_assert!(answer.json.is_object(), "{what}: {}", answer.text);
    if answer.status != 200 {
        prop_assert!(!answer.code().is_empty(), "{what}: {}", answer.text);
        prop_assert_eq!(answer.json["request_id"].as_str(), answer.header("x-request-id"));
    }
    Ok(())
}

#[test]
fn no_body_is_a_servers_fault() {
    let scene = Scene::new();
    let subjects = scene.runtime.block_on(Subjects::make(&scene.anna, "subject"));
    let route = prop::sample::select(writing_routes());
    let content_type = prop::sample::select(vec![
        "application/json",
        "application/merge-patch+json",
        "application/x-www-form-urlencoded",
    ]);
    let strategy = (route, content_type, body());
    runner(400)
        .run(&strategy, |((method, path), content_type, body)| {
            let target = subjects.fill(&path);
            let call = scene.anna.call(&method, &target).text(content_type, body.to_string());
            let answer = scene.runtime.block_on(call.send());
            never_a_defect(&answer, &format!("{method} {path}"))
        })
        .unwrap();
}

#[test]
fn no_broken_body_is_a_servers_fault() {
    let scene = Scene::new();
    let subjects = scene.runtime.block_on(Subjects::make(&scene.anna, "subject"));
    let route = prop::sample::select(writing_routes());
    let is_form = any::<bool>();
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    let junk = prop_oneof![
        body().prop_map(|body| body.to_string().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..200),
        "([a-z_]{1,8}(\\[[a-z]{0,2}\\]){0,3}=[%0-9a-f]{0,6}&){0,5}".prop_map(String::into_bytes),
    ];
    runner(300)
        .run(&(route, is_form, junk, edits), |((method, path), is_form, mut body, edits)| {
            for (at, byte) in edits {
                body.insert(at.index(body.len() + 1), byte);
            }
            let content_type =
                if is_form { "application/x-www-form-urlencoded" } else { "application/json" };
            let call = scene.anna.call(&method, subjects.fill(&path)).text(content_type, body);
            let answer = scene.runtime.block_on(call.send());
            never_a_defect(&answer, &format!("{method} {path}"))
        })
        .unwrap();
}

#[test]
fn no_query_is_a_servers_fault() {
    let scene = Scene::new();
    scene.runtime.block_on(scene.anna.contact(json!({ "name": "Anna", "email": "a@b.c" })));
    let name = prop::sample::select(vec![
        "q",
        "page",
        "page_size",
        "per_page",
        "limit",
        "cursor",
        "labels",
        "labels[]",
        "sort",
        "direction",
        "include_contact_inboxes",
        "fuzzy",
        "force",
        "%71",
        "",
    ]);
    let raw = prop_oneof![
        text().prop_map(|text| form_urlencoded::byte_serialize(text.as_bytes()).collect()),
        "[%0-9a-fA-F+,=;-]{0,12}",
        prop::sample::select(vec![
            "-name,email,-city",
            "name,name,name",
            "desc",
            "asc",
            "100",
            "%00"
        ])
        .prop_map(str::to_owned),
    ];
    let pairs = prop::collection::vec((name, raw), 0..5);
    let page = |query: &str| format!("{CONTACTS}?{query}");
    runner(400)
        .run(&pairs, |pairs| {
            let query: Vec<String> =
                pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let answer = scene.runtime.block_on(scene.anna.get(page(&query.join("&"))));
            prop_assert!(matches!(answer.status, 200 | 400 | 422), "{}", answer.text);
            never_a_defect(&answer, "GET")
        })
        .unwrap();
}

#[test]
fn no_place_in_the_feed_is_a_servers_fault() {
    let scene = Scene::new();
    let cursor = scene.runtime.block_on(async {
        scene.anna.contact(json!({ "name": "Anna" })).await;
        let page = scene.anna.get(format!("{CHANGES}?limit=1")).await.ok();
        page.json["meta"]["cursor"].as_str().unwrap().to_owned()
    });
    let name = prop::sample::select(vec!["after", "cursor", "limit", "epoch", "", "type"]);
    let known = vec!["0", "1", "2", "last", "-1", "9007199254740991", "9007199254740992", "00"];
    let value = prop_oneof![
        2 => prop::sample::select(known).prop_map(str::to_owned),
        1 => Just(cursor.clone()),
        1 => (0..cursor.len()).prop_map(move |at| cursor[..at].to_owned()),
        1 => text().prop_map(|text| form_urlencoded::byte_serialize(text.as_bytes()).collect()),
        1 => "[%0-9a-fA-F+,=;-]{0,12}",
    ];
    let pairs = prop::collection::vec((name, value), 0..4);
    let told = Cell::new(0);
    runner(300)
        .run(&pairs, |pairs| {
            let query: Vec<String> =
                pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let query = query.join("&");
            let answer = scene.runtime.block_on(scene.anna.get(format!("{CHANGES}?{query}")));
            prop_assert!(matches!(answer.status, 200 | 400 | 410), "{}", answer.text);
            never_a_defect(&answer, "GET changes")?;
            told.set(told.get() + u32::from(answer.status == 200));
            let answer = scene.runtime.block_on(scene.anna.get(format!("{EVENTS}?{query}")));
            prop_assert!(matches!(answer.status, 200 | 400), "{}", answer.text);
            prop_assert!(answer.status == 400 || answer.text.contains("event: hello"));
            Ok(())
        })
        .unwrap();
    assert!(told.get() > 50, "only {} places are places", told.get());
}

#[test]
fn a_patch_that_is_sent_twice_does_what_it_does_once() {
    let scene = Scene::new();
    let id = scene.runtime.block_on(scene.anna.contact(json!({})));
    let bodies = prop_oneof![3 => plausible(), 1 => body()];
    let accepted = Cell::new(0);
    runner(300)
        .run(&(bodies, any::<bool>()), |(body, merge_patch)| {
            scene.runtime.block_on(async {
                let content_type =
                    if merge_patch { "application/merge-patch+json" } else { "application/json" };
                let send = || {
                    let call = scene.anna.call("PATCH", contact(id));
                    call.text(content_type, body.to_string()).send()
                };
                let once = send().await;
                let events = scene.app.events().await;
                let twice = send().await;
                prop_assert_eq!(once.status, twice.status);
                if once.status == 200 {
                    accepted.set(accepted.get() + 1);
                    prop_assert_eq!(&once.text, &twice.text);
                    let read = scene.anna.get(contact(id)).await;
                    prop_assert_eq!(&read.text, &twice.text);
                }
                prop_assert_eq!(scene.app.events().await, events);
                Ok(())
            })
        })
        .unwrap();
    assert!(accepted.get() > 100, "only {} bodies were accepted", accepted.get());
}

/// The fields that lists are sorted by, from so few values that ties are common.
pub(crate) fn sortable() -> impl Strategy<Value = Value> {
    let word =
        || prop::sample::select(vec![json!(null), json!(""), json!("a"), json!("Á"), json!("b")]);
    let time = || prop::sample::select(vec![json!(null), json!(1), json!(2)]);
    (word(), word(), word(), time(), time()).prop_map(|(name, city, company, active, created)| {
        json!({
            "name": name, "city": city, "company_name": company, "last_activity_at": active,
            "created_at": created,
        })
    })
}

#[test]
fn page_after_page_shows_each_contact_once_and_in_the_lists_order() {
    let scene = Scene::new();
    let sort = prop::sample::select(vec![
        "",
        "name",
        "-name",
        "city",
        "-city,name",
        "company,-created_at",
        "last_activity_at",
        "-created_at",
        "email",
        "-phone_number",
        "country,city,name",
    ]);
    let direction = prop::sample::select(vec!["", "asc", "desc"]);
    let contacts = prop::collection::vec(sortable(), 0..14);
    runner(24)
        .run(&(contacts, sort, direction, 1..6_usize), |(contacts, sort, direction, size)| {
            scene.runtime.block_on(async {
                let client = scene.app.account("Tenant").await.administrator().await;
                for fields in &contacts {
                    client.contact(fields.clone()).await;
                }
                let order = format!("sort={sort}&direction={direction}");
                let whole = client.get(format!("{CONTACTS}?{order}&page_size=100")).await.ok();
                let mut each: Vec<i64> = whole.ids();
                each.sort_unstable();
                prop_assert_eq!(each, (1..).take(contacts.len()).collect::<Vec<i64>>());

                let mut walked = Vec::new();
                for page in 1.. {
                    let query = format!("{order}&page_size={size}&page={page}");
                    let answer = client.get(format!("{CONTACTS}?{query}")).await.ok();
                    prop_assert_eq!(answer.count(), contacts.len() as u64);
                    if answer.ids().is_empty() {
                        break;
                    }
                    prop_assert!(answer.ids().len() <= size);
                    walked.extend(answer.ids());
                }
                prop_assert_eq!(walked, whole.ids());
                Ok(())
            })
        })
        .unwrap();
}
