//! No key sees, changes, counts or infers anything of another account (`DESIGN.md`, 3): every
//! route of the router's own list, so that a new one cannot escape.

use serde_json::{Value, json};

use crate::{
    app::{CONTACTS, Client, INBOXES, KEYS, Tenant, TestApp, contact, list},
    routes::{self, Subjects},
};

/// What stands in Bert's names and in nothing of Anna's.
const MARK: &str = "globex-secret";

/// Bert's account: contacts, channels and keys, some of numbers that Anna's account has too.
struct Bert {
    tenant: Tenant,
    client: Client,
    /// Numbers that exist in his account alone.
    own: Subjects,
    /// Numbers that exist in Anna's account as well.
    shared: Subjects,
}

impl Bert {
    async fn new(app: &TestApp) -> Self {
        let tenant = app.account("Globex").await;
        let client = tenant.administrator().await;
        let mut made = Vec::new();
        for number in 0..16 {
            made.push(Subjects::make(&client, &format!("{MARK} {number}")).await);
        }
        let fields = json!({
            "email": "shared@acme.inc", "identifier": "shared", "phone_number": "+4912345",
            "custom_attributes": { "note": MARK },
        });
        for subjects in &made {
            let labels = json!({ "labels": [MARK] });
            client.post(format!("{}/labels", contact(subjects.contact)), labels).await.ok();
        }
        client.patch(contact(made[0].contact), fields).await.ok();
        Self { tenant, client, own: made[15], shared: made[0] }
    }

    /// All that can be read of his account.
    async fn snapshot(&self) -> Value {
        let mut seen = Vec::new();
        for (method, path) in routes::all() {
            if method != "GET" || !routes::has_account(&path) {
                continue;
            }
            for subjects in [self.own, self.shared] {
                let path = subjects.fill(&path);
                let answer = self.client.get(format!("{path}?page_size=100")).await.ok();
                // A stream is no JSON.
                let text = answer.json.is_null().then_some(answer.text);
                seen.push(json!([path, answer.json, text]));
            }
        }
        let mut seen = Value::from(seen);
        forget_uses(&mut seen);
        json!([self.tenant.events().await, seen])
    }
}

/// A key's last use is noted after the answer, so that it may or may not be there yet.
fn forget_uses(value: &mut Value) {
    match value {
        Value::Array(entries) => entries.iter_mut().for_each(forget_uses),
        Value::Object(members) => {
            members.shift_remove("last_used_at");
            members.values_mut().for_each(forget_uses);
        }
        _ => {}
    }
}

/// Anna's account: fewer things than Bert's, so that he has numbers that she has not.
async fn anna(app: &TestApp) -> (Client, Subjects) {
    let client = app.administrator().await;
    let subjects = Subjects::make(&client, "anna's").await;
    (client, subjects)
}

#[tokio::test]
async fn what_another_account_has_is_not_found_on_any_route() {
    let app = TestApp::start().await;
    let (anna, _) = anna(&app).await;
    let bert = Bert::new(&app).await;
    let before = bert.snapshot().await;
    for (method, path) in routes::all() {
        let target = bert.own.fill(&path);
        if target == path {
            continue;
        }
        let body = bert.own.body(&method, &path, app.inbox);
        let events = app.events().await;
        for target in [target.clone(), format!("{target}?force=true&include_contact_inboxes=true")]
        {
            let answer = routes::request(&anna, &method, &target, &body).await;
            assert_eq!(answer.status, 404, "{method} {target}: {}", answer.text);
            assert_eq!(answer.members(), ["error", "code", "request_id"]);
            assert_eq!(answer.json["error"], "Resource could not be found");
        }
        assert_eq!(app.events().await, events, "{method} {path}");
        assert_eq!(bert.snapshot().await, before, "{method} {path}");
    }
}

#[tokio::test]
async fn a_number_that_both_accounts_have_is_the_callers_own() {
    let app = TestApp::start().await;
    let (anna, own) = anna(&app).await;
    let bert = Bert::new(&app).await;
    assert_eq!(
        (own.contact, own.inbox),
        (bert.shared.contact, bert.shared.inbox),
        "numbers count per account"
    );
    let before = bert.snapshot().await;
    for (method, path) in routes::all() {
        if !routes::has_account(&path) {
            continue;
        }
        // Fresh things of hers, whose numbers he has as well, since he has more.
        let fresh = routes::uses_up(&method, &path);
        let subjects = if fresh { Subjects::make(&anna, "anna's").await } else { own };
        let body = subjects.body(&method, &path, app.inbox);
        let answer = routes::request(&anna, &method, &subjects.fill(&path), &body).await;
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text);
        assert!(!answer.text.contains(MARK), "{method} {path}: {}", answer.text);
        assert_eq!(bert.snapshot().await, before, "{method} {path}");
    }
}

#[tokio::test]
async fn another_accounts_id_in_the_path_is_not_found_on_any_route() {
    let app = TestApp::start().await;
    let (anna, own) = anna(&app).await;
    let bert = Bert::new(&app).await;
    let before = bert.snapshot().await;
    let events = app.events().await;
    let foreign = format!("/api/v2/accounts/{}/", bert.tenant.id);
    for (method, path) in routes::all() {
        if !routes::has_account(&path) {
            continue;
        }
        for subjects in [own, bert.own, bert.shared] {
            let target = subjects.fill(&path).replacen("/api/v2/accounts/", &foreign, 1);
            let body = subjects.body(&method, &path, app.inbox);
            let answer = routes::request(&anna, &method, &target, &body).await;
            assert_eq!(answer.status, 404, "{method} {target}: {}", answer.text);
        }
    }
    assert_eq!(app.events().await, events);
    assert_eq!(bert.snapshot().await, before);
}

#[tokio::test]
async fn no_list_shows_counts_or_finds_what_another_account_has() {
    let app = TestApp::start().await;
    let (anna, _) = anna(&app).await;
    let lists = async || {
        let mut seen = Vec::new();
        for (method, path) in routes::all() {
            if method == "GET" && routes::has_account(&path) && !path.contains('{') {
                let answer = anna.get(format!("{path}?page_size=100")).await.ok();
                let mut shown = json!([answer.json, answer.text]);
                if !answer.json.is_null() {
                    shown = answer.json;
                }
                forget_uses(&mut shown);
                seen.push(shown);
            }
        }
        assert_eq!(seen.len(), 8, "a new list: think of what its filters could tell");
        seen
    };
    let before = lists().await;
    let bert = Bert::new(&app).await;
    assert_eq!(lists().await, before);
    for query in [
        list(&[("q", MARK)]),
        list(&[("q", "shared@acme.inc")]),
        list(&[("q", "12345")]),
        list(&[("labels", MARK)]),
        list(&[("sort", "-name"), ("page", "2"), ("page_size", "1")]),
    ] {
        let answer = anna.get(query).await.ok();
        assert!(answer.ids().is_empty(), "{}", answer.text);
    }
    assert_eq!(bert.client.search(MARK).await.len(), 16);
}

#[tokio::test]
async fn the_same_addresses_in_two_accounts_are_no_conflict() {
    let app = TestApp::start().await;
    let (anna, own) = anna(&app).await;
    let bert = Bert::new(&app).await;
    let before = bert.snapshot().await;
    let fields = json!({
        "email": "shared@acme.inc", "identifier": "shared", "phone_number": "+4912345",
    });
    anna.patch(contact(own.contact), fields.clone()).await.ok();
    // Within one account they are, and the contact that is named is the account's own.
    let mut again = fields;
    again["inbox_id"] = json!(app.inbox);
    let answer = anna.post(CONTACTS, again).await;
    assert_eq!(answer.json["existing_contact_id"], own.contact);
    assert_eq!(bert.snapshot().await, before);
}

#[tokio::test]
async fn a_channel_of_another_account_takes_no_contact() {
    let app = TestApp::start().await;
    let (anna, _) = anna(&app).await;
    let bert = Bert::new(&app).await;
    let before = bert.snapshot().await;
    for inbox in [json!(bert.own.inbox), json!(bert.own.inbox.to_string())] {
        let answer = anna.post(CONTACTS, json!({ "inbox_id": inbox, "name": "x" })).await;
        assert_eq!(answer.status, 404);
    }
    assert_eq!(bert.snapshot().await, before);
}

#[tokio::test]
async fn numbers_count_per_account_and_tell_nothing() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let bert = Bert::new(&app).await;
    let first = Subjects::make(&anna, "first").await;
    Subjects::make(&bert.client, "between").await;
    let second = Subjects::make(&anna, "second").await;
    assert_eq!(first.contact, 1);
    for (a, b) in
        [(first.contact, second.contact), (first.inbox, second.inbox), (first.key, second.key)]
    {
        assert_eq!(a + 1, b);
    }
}

#[tokio::test]
async fn one_accounts_key_with_anothers_secret_opens_neither() {
    let app = TestApp::start().await;
    let bert = Bert::new(&app).await;
    let anna = app.administrator().await;
    // Bert's public half with Anna's secret, and the other way round.
    for (key, secret) in
        [(&bert.client.api_key, &anna.api_secret), (&anna.api_key, &bert.client.api_secret)]
    {
        let mixed = app.client(key, secret);
        for path in [CONTACTS, INBOXES, KEYS] {
            assert_eq!(mixed.get(path).await.status, 401);
        }
    }
}
