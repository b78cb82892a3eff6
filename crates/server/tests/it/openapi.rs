//! The API description, and that answers keep to it.

use meishi_contacts::{Role, webhook::WebhookEvent};
use meishi_server::router;
use serde_json::{Value, json};

use crate::{
    answer::{Answer, EVENT_STREAM},
    app::{CHANGES, CONTACTS, INBOXES, KEYS, TestApp, contact},
    routes::{self, Subjects},
};

fn document() -> Value {
    serde_json::from_str(&router::document_json()).unwrap()
}

/// Every operation with its method and path.
fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, item)| {
        let item = item.as_object().unwrap();
        item.iter().map(|(method, operation)| (method.to_uppercase(), path.clone(), operation))
    });
    operations.collect()
}

/// The schema that a schema refers to.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        None => schema,
        Some(reference) => {
            let pointer = reference.strip_prefix('#').expect("a reference within the document");
            resolved(document, document.pointer(pointer).expect(reference))
        }
    }
}

#[tokio::test]
async fn the_description_is_served_as_it_is_generated() {
    let app = TestApp::start().await;
    let answer = app.nobody().get("/api/openapi.json").await.ok();
    assert_eq!(answer.text, router::document_json());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(answer.json["openapi"].as_str().unwrap().starts_with("3.1"));
}

#[test]
fn the_committed_description_is_the_generated_one() {
    let committed = include_str!("../../../../openapi.json");
    assert!(
        committed == router::document_json(),
        "openapi.json is stale: run `cargo xtask openapi`"
    );
}

#[test]
fn every_operation_has_an_id_of_its_own_and_says_what_a_success_is() {
    let document = document();
    let mut ids = Vec::new();
    for (method, path, operation) in operations(&document) {
        ids.push(operation["operationId"].as_str().expect("an operationId").to_owned());
        for text in ["summary", "tags"] {
            assert!(!operation[text].is_null(), "{method} {path} has no {text}");
        }
        let content = &operation["responses"]["200"]["content"];
        if content[EVENT_STREAM].is_null() {
            let schema = resolved(&document, &content["application/json"]["schema"]);
            assert_eq!(schema["type"], "object", "{method} {path}");
        }
        if routes::has_account(&path) {
            let needs: Vec<_> = operation["security"].as_array().unwrap().iter().collect();
            assert_eq!(needs.len(), 3, "{method} {path}");
            for status in ["400", "401", "403", "404", "413", "414", "422", "429", "431", "503"] {
                assert!(!operation["responses"][status].is_null(), "{method} {path}: {status}");
            }
        }
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[test]
fn every_reference_leads_somewhere() {
    fn walk(document: &Value, value: &Value) {
        match value {
            Value::Array(entries) => entries.iter().for_each(|entry| walk(document, entry)),
            Value::Object(members) => {
                if members.get("$ref").is_some_and(Value::is_string) {
                    resolved(document, value);
                }
                members.values().for_each(|member| walk(document, member));
            }
            _ => {}
        }
    }
    let document = document();
    walk(&document, &document);
}

/// The places below a schema that show no example though a reader would want one.
fn without_example(document: &Value, schema: &Value, place: &str, found: &mut Vec<String>) {
    let shows = |schema: &Value| !schema["example"].is_null() || !schema["examples"].is_null();
    let target = resolved(document, schema);
    if shows(schema) || shows(target) {
        return;
    }
    let schema = target;
    for part in ["oneOf", "anyOf", "allOf"] {
        for alternative in schema[part].as_array().unwrap_or(&Vec::new()) {
            without_example(document, alternative, place, found);
        }
    }
    if let Some(properties) = schema["properties"].as_object() {
        for (name, property) in properties {
            without_example(document, property, &format!("{place}.{name}"), found);
        }
        return;
    }
    let kinds = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().map(|kind| kind.as_str().unwrap()).collect(),
        kind => vec![kind.as_str().unwrap_or_default()],
    };
    if kinds.contains(&"array") {
        without_example(document, &schema["items"], &format!("{place}[]"), found);
    } else if kinds.iter().any(|kind| ["string", "integer", "number", "object"].contains(kind))
        && schema["enum"].is_null()
    {
        found.push(place.to_owned());
    }
}

#[test]
fn every_body_has_an_example_as_a_whole_or_of_each_of_its_values() {
    let document = document();
    let mut found = Vec::new();
    for (method, path, operation) in operations(&document) {
        let bodies = [
            &operation["requestBody"]["content"]["application/json"],
            &operation["responses"]["200"]["content"]["application/json"],
        ];
        for (content, what) in bodies.into_iter().zip(["request", "answer"]) {
            let has_whole = !content["example"].is_null() || !content["examples"].is_null();
            // A schema without properties is the empty object, which needs no example.
            let schema = resolved(&document, &content["schema"]);
            if !has_whole && schema["properties"].is_object() {
                let place = format!("{method} {path} {what}");
                without_example(&document, schema, &place, &mut found);
            }
        }
        for parameter in operation["parameters"].as_array().unwrap_or(&Vec::new()) {
            let has_example = !parameter["example"].is_null();
            if !has_example && parameter["schema"]["type"] != "boolean" {
                found.push(format!("{method} {path} {}", parameter["name"]));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// Checks that a value has no member that its schema does not name, lacks none that is required,
/// and is of the type that it says.
fn check(document: &Value, schema: &Value, value: &Value, place: &str) -> Result<(), String> {
    let schema = resolved(document, schema);
    for part in ["oneOf", "anyOf"] {
        if let Some(alternatives) = schema[part].as_array() {
            let fits = |alternative| check(document, alternative, value, place);
            let wrong: Vec<_> = alternatives.iter().filter_map(|one| fits(one).err()).collect();
            return if wrong.len() < alternatives.len() { Ok(()) } else { Err(wrong.join("; ")) };
        }
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let whole = parts.iter().fold(json!({ "type": "object" }), |mut whole, part| {
            let part = resolved(document, part);
            for (name, property) in part["properties"].as_object().unwrap() {
                whole["properties"][name] = property.clone();
            }
            let mut required = whole["required"].as_array().cloned().unwrap_or_default();
            required.extend(part["required"].as_array().cloned().unwrap_or_default());
            whole["required"] = required.into();
            whole
        });
        return check(document, &whole, value, place);
    }
    // A schema that names no type takes anything.
    if schema.is_object() && schema["type"].is_null() {
        return Ok(());
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let kinds = &schema["type"];
    // What says nothing of its type is of any.
    if kinds.is_null() && schema["properties"].is_null() {
        return Ok(());
    }
    if *kinds != kind && !kinds.as_array().is_some_and(|kinds| kinds.contains(&kind.into())) {
        return Err(format!("{place} is {kind}, not {kinds}"));
    }
    for name in schema["required"].as_array().unwrap_or(&Vec::new()) {
        if value.get(name.as_str().unwrap()).is_none() {
            return Err(format!("{place} lacks {name}"));
        }
    }
    match value {
        Value::Array(entries) => entries.iter().enumerate().try_for_each(|(number, entry)| {
            check(document, &schema["items"], entry, &format!("{place}[{number}]"))
        }),
        Value::Object(members) => members.iter().try_for_each(|(name, member)| {
            match schema["properties"].get(name) {
                Some(property) => check(document, property, member, &format!("{place}.{name}")),
                None if schema["additionalProperties"].is_object() => {
                    let place = format!("{place}.{name}");
                    check(document, &schema["additionalProperties"], member, &place)
                }
                // An object whose members are nowhere named is an open map.
                None if schema["properties"].is_null() && place != "body" => Ok(()),
                None => Err(format!("{place}.{name} is not documented")),
            }
        }),
        _ => Ok(()),
    }
}

/// Holds an answer to the description of its operation.
#[track_caller]
fn assert_documented(document: &Value, method: &str, path: &str, answer: &Answer) {
    let operation = &document["paths"][path][method.to_lowercase()];
    let content = &operation["responses"][answer.status.to_string()]["content"];
    if answer.header("content-type") == Some(EVENT_STREAM) {
        assert!(!content[EVENT_STREAM].is_null(), "{method} {path} is not documented as a stream");
        return;
    }
    let schema = &content["application/json"]["schema"];
    assert!(!schema.is_null(), "{method} {path}: {} is not documented", answer.status);
    let checked = check(document, schema, &answer.json, "body");
    assert_eq!(checked, Ok(()), "{method} {path}: {}", answer.text);
}

#[tokio::test]
async fn answers_have_the_members_that_are_documented_and_no_others() {
    let app = TestApp::start().await;
    let document = document();
    let (anna, reader) = (app.administrator().await, app.key(Role::ReadOnly).await);
    for (method, path, _) in operations(&document) {
        let subjects = Subjects::make(&anna, "subject").await;
        let target = subjects.fill(&path);
        let body = subjects.body(&method, &path, app.inbox);
        let mut answers = vec![routes::request(&anna, &method, &target, &body).await.ok()];
        if routes::has_account(&path) {
            answers.push(routes::request(&app.nobody(), &method, &target, &body).await);
            answers.push(routes::request(&reader, &method, &target, &body).await);
            answers.push(anna.call(&method, format!("{target}?{}", "x".repeat(9000))).send().await);
            if !body.is_null() {
                let wrong = json!({
                    "name": 1.5e300, "inbox_id": "x", "role": [], "overlap_seconds": [],
                    "labels": 1, "channel_type": 1,
                });
                let wrong = match path.as_str() {
                    "/api/v2/accounts/contacts/{id}" => json!({ "email": [], "city": [] }),
                    _ => wrong,
                };
                answers.push(anna.call(&method, &target).json(&wrong).send().await);
                answers.push(anna.call(&method, &target).text("text/plain", "x").send().await);
                answers.push(anna.call(&method, &target).body("{").send().await);
            }
            if target != path {
                let nothing = Subjects::NONE.fill(&path);
                answers.push(routes::request(&anna, &method, &nothing, &body).await);
            }
        }
        for answer in answers {
            assert_documented(&document, &method, &path, &answer);
        }
    }
}

#[tokio::test]
async fn full_and_empty_contacts_conflicts_and_full_channels_are_documented() {
    let app = TestApp::start().await;
    let document = document();
    let anna = app.administrator().await;
    let full = json!({
        "inbox_id": 1, "name": "x", "email": "a@b.c", "phone_number": "+4912", "identifier": "i",
        "avatar_url": "u", "blocked": true, "last_activity_at": 5, "created_at": 5,
        "custom_attributes": { "a": { "b": [1] } },
        "additional_attributes": { "city": "c", "social_profiles": { "github": "" }, "other": 1 },
    });
    let one = "/api/v2/accounts/contacts/{id}";
    let created = anna.post(CONTACTS, full.clone()).await.ok();
    assert_documented(&document, "POST", CONTACTS, &created);
    let conflict = anna.post(CONTACTS, full.clone()).await;
    assert_eq!(conflict.status, 422);
    assert_documented(&document, "POST", CONTACTS, &conflict);
    let bare = anna.contact(json!({})).await;
    let conflict = anna.patch(contact(bare), full).await;
    assert_eq!(conflict.status, 422);
    assert_documented(&document, "PATCH", one, &conflict);
    let source = json!({ "inbox_id": 1, "source_id": "s" });
    anna.post(CONTACTS, source.clone()).await.ok();
    let conflict = anna.post(CONTACTS, source).await;
    assert_eq!(conflict.status, 422);
    assert_documented(&document, "POST", CONTACTS, &conflict);
    for query in [
        "",
        "?page=2",
        "?q=a&page=1",
        "?include_contact_inboxes=false",
        "?limit=1",
        "?cursor=",
        "?limit=1&q=nobody",
    ] {
        let listed = anna.get(format!("{CONTACTS}{query}")).await.ok();
        assert_documented(&document, "GET", CONTACTS, &listed);
    }
    let listed = anna.get(format!("{CONTACTS}?limit=1")).await.ok();
    let cursor = listed.json["meta"]["next_cursor"].as_str().unwrap();
    let elsewhere = TestApp::start().await;
    let expired = elsewhere.administrator().await.get(format!("{CONTACTS}?cursor={cursor}")).await;
    assert_eq!(expired.status, 410);
    assert_documented(&document, "GET", CONTACTS, &expired);
    anna.patch(contact(bare), json!({ "name": "one" })).await.ok();
    let event = app.events().await;
    anna.patch(contact(bare), json!({ "name": "two" })).await.ok();
    let conflict = anna.post(format!("{}/revert", contact(bare)), json!({ "seq": event })).await;
    assert_eq!(conflict.status, 409);
    assert_documented(&document, "POST", &format!("{one}/revert"), &conflict);
    anna.patch(contact(bare), json!({ "identifier": "bare" })).await.ok();
    let both = json!({ "identifier": "bare", "email": "a@b.c" });
    let conflict = anna.put(CONTACTS, both).await;
    assert_eq!(conflict.status, 409);
    assert_documented(&document, "PUT", CONTACTS, &conflict);
    let known = json!({ "identifier": "bare", "email": "x@y.z", "phone_number": "+4999" });
    anna.put(CONTACTS, known).await.ok();
    let again = json!({ "identifier": "bare", "email": "other@y.z" });
    let upserted = anna.put(CONTACTS, again.clone()).await.ok();
    assert_documented(&document, "PUT", CONTACTS, &upserted);
    let there = anna.call("PUT", CONTACTS).header("If-None-Match", "*").json(&again).send().await;
    assert_eq!(there.status, 412);
    assert_documented(&document, "PUT", CONTACTS, &there);
    let then = anna.get(format!("{}?as_of={event}", contact(bare))).await.ok();
    assert_documented(&document, "GET", one, &then);
    anna.delete(contact(bare)).await.ok();
    let past = anna.get(format!("{}/history", contact(bare))).await.ok();
    assert_documented(&document, "GET", &format!("{one}/history"), &past);
    anna.post(format!("{}/erase", contact(bare)), Value::Null).await.ok();
    let past = anna.get(format!("{}/history", contact(bare))).await.ok();
    assert_documented(&document, "GET", &format!("{one}/history"), &past);
    let gone = anna.get(format!("{}?as_of={event}", contact(bare))).await;
    assert_eq!(gone.status, 410);
    assert_documented(&document, "GET", one, &gone);
    let kept = anna.delete(format!("{INBOXES}/1")).await;
    assert_eq!(kept.status, 409);
    assert_documented(&document, "DELETE", "/api/v2/accounts/inboxes/{id}", &kept);
}

#[tokio::test]
async fn repeats_and_conditions_are_documented() {
    let app = TestApp::start().await;
    let document = document();
    for (method, path, operation) in operations(&document) {
        if !routes::has_account(&path) {
            continue;
        }
        // One account has room for the webhooks of a few routes.
        let app = app.account(&format!("{method} {path}")).await;
        let anna = app.administrator().await;
        let fixed = Subjects::make(&anna, "fixed").await.body(&method, &path, app.inbox);
        let send = async |subjects: Subjects, header: &str, value: &str| {
            // An event is each subject's own; all else is the same in each call.
            let is_of_event = path.ends_with("/revert");
            let own = is_of_event.then(|| subjects.body(&method, &path, app.inbox));
            let mut body = own.unwrap_or_else(|| fixed.clone());
            // A title and a key can be given once.
            for once in ["title", "key"] {
                if body.get(once).is_some() {
                    body[once] = json!(header);
                }
            }
            let call = anna.call(&method, subjects.fill(&path)).header(header, value);
            let call = if body.is_null() { call } else { call.json(&body) };
            call.send().await
        };
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let takes = |name: &str| parameters.iter().any(|parameter| parameter["name"] == name);

        let subjects = Subjects::make(&anna, "subject").await;
        let mut answers = vec![send(subjects, "if-match", "\"9\"").await];
        // An upsert has both headers, and the version of nobody yet is none.
        let is_upsert = operation["operationId"] == "upsertContact";
        let stale = if is_upsert { 404 } else { 412 };
        assert_eq!(takes("If-Match"), answers[0].status == stale, "{method} {path}");
        let subjects = Subjects::make(&anna, "subject").await;
        for _ in 0..2 {
            answers.push(send(subjects, "idempotency-key", "key").await.ok());
        }
        let replayed = answers[2].header("idempotency-replayed").is_some();
        assert_eq!(takes("Idempotency-Key"), replayed, "{method} {path}");
        let is_write = !routes::only_reads(&method, &path);
        assert_eq!(takes("Idempotency-Key"), is_write, "{method} {path}");
        for answer in &answers {
            assert_documented(&document, &method, &path, answer);
        }
        let headers = &operation["responses"]["200"]["headers"];
        for name in ["ETag", "Idempotency-Replayed"] {
            let is_there = answers[2].header(name).is_some();
            assert_eq!(!headers[name].is_null(), is_there, "{method} {path}: {name}");
        }
        let known = send(subjects, "if-none-match", "*").await;
        let is_known = if is_upsert { 412 } else { 304 };
        assert_eq!(takes("If-None-Match"), known.status == is_known, "{method} {path}");
        assert_eq!(!operation["responses"]["304"].is_null(), known.status == 304);
        if is_write {
            let schema = &operation["responses"]["409"]["content"]["application/json"]["schema"];
            let in_flight = json!({ "error": "x", "code": "in_flight", "request_id": "r" });
            assert_eq!(check(&document, schema, &in_flight, "body"), Ok(()), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn every_kind_of_event_is_documented_for_every_role() {
    let app = TestApp::start().await;
    let document = document();
    let (anna, reader) = (app.administrator().await, app.key(Role::ReadOnly).await);
    for (method, path, _) in operations(&document) {
        let subjects = Subjects::make(&anna, "subject").await;
        let body = subjects.body(&method, &path, app.inbox);
        routes::request(&anna, &method, &subjects.fill(&path), &body).await.ok();
    }
    let full = json!({
        "email": "a@b.c", "last_activity_at": 5, "first_name": "A", "labels": ["x"],
        "custom_attributes": { "a": { "b": [1] } }, "blocked": true,
    });
    let id = anna.contact(full).await;
    anna.delete(contact(id)).await.ok();
    let key = Subjects::make(&anna, "subject").await.key;
    let expiry = json!({ "expires_at": "2030-01-01T00:00:00Z" });
    anna.patch(format!("{KEYS}/{key}"), expiry).await.ok();
    for caller in [anna, reader] {
        let answer = caller.get(format!("{CHANGES}?limit=1000")).await.ok();
        assert_documented(&document, "GET", CHANGES, &answer);
        let gone = caller.get(format!("{CHANGES}?after=100000")).await;
        assert_eq!(gone.status, 410);
        assert_documented(&document, "GET", CHANGES, &gone);
    }
}

#[test]
fn the_check_of_documented_members_finds_what_it_is_for() {
    let document = document();
    let schema = json!({ "$ref": "#/components/schemas/ContactAnswer" });
    let operation = &document["paths"]["/api/v2/accounts/contacts/{id}"]["get"];
    let schema_of_read = &operation["responses"]["200"]["content"]["application/json"]["schema"];
    assert_eq!(*schema_of_read, schema);
    for (wrong, why) in [
        (json!({ "payload": {} }), "lacks"),
        (json!({ "payload": 1 }), "is integer"),
        (json!({}), "lacks"),
    ] {
        let error = check(&document, &schema, &wrong, "body").unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn every_event_of_webhooks_is_described_by_messages_that_keep_to_it() {
    let document = document();
    let described: Vec<_> = document["webhooks"].as_object().unwrap().keys().collect();
    let mut events = WebhookEvent::ALL.map(WebhookEvent::as_str);
    events.sort_unstable();
    assert_eq!(described, events);
    let ids = operations(&document).into_iter().map(|(_, _, operation)| &operation["operationId"]);
    let ids: Vec<_> = ids.collect();
    for event in events {
        let operation = &document["webhooks"][event]["post"];
        assert!(!ids.contains(&&operation["operationId"]), "{event}");
        let content = &operation["requestBody"]["content"]["application/json"];
        let schemas = content["schema"]["oneOf"].as_array().unwrap();
        for (schema, form, name) in
            [(&schemas[0], "meishi", "type"), (&schemas[1], "chatwoot", "event")]
        {
            let message = &content["examples"][form]["value"];
            assert_eq!(check(&document, schema, message, "body"), Ok(()), "{event} {message}");
            let told = message[name].as_str().unwrap();
            assert_eq!(WebhookEvent::parse(told).unwrap().as_str(), event);
            let pattern = &resolved(&document, schema)["properties"][name]["pattern"];
            let word = event.strip_prefix("contact.").unwrap();
            assert!(pattern.as_str().unwrap().contains(word), "{pattern}");
        }
    }
}
