//! `POST …/contacts/filter` (`chatwoot-wire.md` sections 4 and 11.L): what Chatwoot's own tests ask
//! of it, and what is ours.

use meishi_contacts::Role;
use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    answer::Answer,
    app::{CONTACTS, Client, NOON, TestApp, contact},
};

const FILTER: &str = "/api/v2/accounts/contacts/filter";
const DAY: i64 = 24 * 3600;

/// The contacts of the filter service's tests: Ella, Cora and Elly, and a fourth that is blocked.
/// The clock stands at 2025-12-24.
async fn scene() -> (TestApp, Client) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let ella = anna.contact(json!({
        "name": "Ella", "email": "ella@acme.inc", "phone_number": "+4930111",
        "last_activity_at": NOON - 4 * DAY, "created_at": NOON,
        "additional_attributes": { "country_code": "UK", "city": "Zürich" },
        "custom_attributes": {
            "contact_additional_information": "test custom data", "customer_type": "silver",
            "signed_in_at": "2025-12-19", "lifetime_value": "120.50", "seats": 3, "beta": true,
        },
    }));
    let ella = ella.await;
    let cora = anna.contact(json!({
        "name": "Cora", "email": "cora@acme.inc",
        "last_activity_at": NOON - 2 * DAY, "created_at": NOON,
        "additional_attributes": { "country_code": "IN", "company_name": "Ácme" },
        "custom_attributes": {
            "customer_type": "platinum", "signed_in_at": "2025-12-21T22:00:00+01:00",
            "lifetime_value": 99.75, "seats": "many",
        },
    }));
    cora.await;
    let third = anna.contact(json!({
        "name": "Elly", "identifier": "U-3", "last_activity_at": NOON, "created_at": NOON - 9 * DAY,
        "custom_attributes": { "customer_type": "gold", "lifetime_value": null, "seats": 30 },
    }));
    let third = third.await;
    let bob = json!({ "name": "Bob", "email": "bob@acme.inc", "created_at": NOON });
    let bob = anna.contact(bob).await;
    anna.patch(contact(bob), json!({ "blocked": true })).await.ok();
    for id in [ella, third] {
        let labels = json!({ "labels": ["support", "vip"] });
        anna.post(format!("{}/labels", contact(id)), labels).await.ok();
    }
    // Nobody that could be reached, and so nobody that is found unless asked for.
    anna.contact(json!({ "name": "Visitor", "created_at": NOON })).await;
    (app, anna)
}

fn asks(key: &str, operator: &str, values: &Value) -> Value {
    json!({ "attribute_key": key, "filter_operator": operator, "values": values })
}

/// The conditions of a payload, joined by the same word.
fn joined(word: &str, conditions: &[(&str, &str, Value)]) -> Value {
    let mut payload: Vec<Value> =
        conditions.iter().map(|(key, operator, values)| asks(key, operator, values)).collect();
    let last = payload.len() - 1;
    payload[..last].iter_mut().for_each(|condition| condition["query_operator"] = json!(word));
    json!({ "payload": payload })
}

async fn find(client: &Client, body: Value) -> Answer {
    let answer = client.post(format!("{FILTER}?sort=name"), body).await.ok();
    assert_eq!(answer.count(), answer.names().len() as u64, "{}", answer.text);
    answer
}

/// Rows 303 to 311, 313 to 315, 317 to 323 and 325, and what goes beyond them.
#[tokio::test]
async fn conditions_find_whom_they_hold_of() {
    let (_app, anna) = scene().await;
    let custom = |value: &str| ("customer_type", "equal_to", json!([value]));
    for (conditions, names) in [
        (vec![("name", "equal_to", json!(["ella"]))], vec!["Ella"]),
        (vec![("phone_number", "equal_to", json!(["+4930111"]))], vec!["Ella"]),
        (vec![("phone_number", "equal_to", json!(["4930111"]))], vec!["Ella"]),
        (vec![("phone_number", "starts_with", json!(["+49 30"]))], vec!["Ella"]),
        (vec![("blocked", "equal_to", json!(["true"]))], vec!["Bob"]),
        (vec![("blocked", "equal_to", json!([false]))], vec!["Cora", "Ella", "Elly"]),
        (vec![("labels", "equal_to", json!(["support"]))], vec!["Ella", "Elly"]),
        (vec![("labels", "not_equal_to", json!(["support"]))], vec!["Bob", "Cora"]),
        (vec![("labels", "is_present", json!([]))], vec!["Ella", "Elly"]),
        (vec![("labels", "is_not_present", json!([]))], vec!["Bob", "Cora"]),
        (
            vec![
                ("last_activity_at", "days_before", json!(["3"])),
                ("contact_additional_information", "equal_to", json!(["test custom data"])),
            ],
            vec!["Ella"],
        ),
        (vec![("last_activity_at", "days_before", json!(["2"]))], vec!["Ella"]),
        (vec![("last_activity_at", "days_before", json!(["1"]))], vec!["Cora", "Ella"]),
        (
            vec![("last_activity_at", "is_greater_than", json!(["2025-12-20"]))],
            vec!["Cora", "Elly"],
        ),
        (vec![("country_code", "equal_to", json!(["uk"]))], vec!["Ella"]),
        (
            vec![
                custom("silver"),
                ("labels", "equal_to", json!(["support"])),
                ("signed_in_at", "is_less_than", json!(["2025-12-20"])),
            ],
            vec!["Ella"],
        ),
        (
            vec![
                custom("SILVER"),
                ("country_code", "equal_to", json!(["UK"])),
                ("contact_additional_information", "equal_to", json!(["Test Custom Data"])),
            ],
            vec!["Ella"],
        ),
        (
            vec![custom("platinum"), ("created_at", "is_less_than", json!(["2025-12-25"]))],
            vec!["Cora"],
        ),
        (vec![("signed_in_at", "is_less_than", json!(["2025-12-21"]))], vec!["Ella"]),
        (vec![("signed_in_at", "equal_to", json!(["2025-12-21"]))], vec!["Cora"]),
        (vec![("signed_in_at", "days_before", json!(["4"]))], vec!["Ella"]),
        (vec![("signed_in_at", "days_before", json!(["2"]))], vec!["Cora", "Ella"]),
        (vec![("lifetime_value", "is_greater_than", json!(["100.25"]))], vec!["Ella"]),
        (vec![("lifetime_value", "between", json!([99.75, 120.5]))], vec!["Cora", "Ella"]),
        // Of another type, or nothing at all: no match, and no failure.
        (vec![("seats", "is_greater_than", json!([2]))], vec!["Ella", "Elly"]),
        (vec![("beta", "equal_to", json!([true]))], vec!["Ella"]),
        (vec![("customer_type", "in", json!(["gold", "Silver"]))], vec!["Ella", "Elly"]),
        (vec![("customer_type", "not_equal_to", json!(["gold"]))], vec!["Bob", "Cora", "Ella"]),
        (vec![("country_code", "not_equal_to", json!(["uk"]))], vec!["Cora"]),
        (vec![("company_name", "contains", json!("CM"))], vec!["Cora"]),
        (vec![("city", "equal_to", json!("zurich"))], vec!["Ella"]),
        (vec![("email", "ends_with", json!("acme.inc"))], vec!["Bob", "Cora", "Ella"]),
        (vec![("identifier", "is_present", json!([]))], vec!["Elly"]),
    ] {
        let answer = find(&anna, joined("AND", &conditions)).await;
        assert_eq!(answer.names(), names, "{conditions:?}");
    }
}

#[tokio::test]
async fn and_binds_tighter_than_or_and_groups_say_otherwise() {
    let (_app, anna) = scene().await;
    let (ella, cora) = (("name", "equal_to", json!("ella")), ("name", "equal_to", json!("cora")));
    let answer = find(&anna, joined("or", &[ella.clone(), cora.clone()])).await;
    assert_eq!(answer.names(), ["Cora", "Ella"]);

    let mut flat = joined("OR", &[cora.clone(), ella.clone(), ("labels", "is_present", json!([]))]);
    flat["payload"][1]["query_operator"] = json!("And");
    assert_eq!(find(&anna, flat).await.names(), ["Cora", "Ella"]);

    let either = [cora, ella].map(|(key, operator, value)| asks(key, operator, &value));
    let labelled = asks("labels", "is_present", &Value::Null);
    let grouped = json!({ "filter": { "and": [{ "or": either }, labelled] } });
    assert_eq!(find(&anna, grouped).await.names(), ["Ella"]);
    let none = json!({ "filter": { "not": { "or": either } } });
    assert_eq!(find(&anna, none).await.names(), ["Bob", "Elly"]);
}

#[tokio::test]
async fn those_who_cannot_be_reached_are_found_on_demand() {
    let (_app, anna) = scene().await;
    let body = joined("and", &[("created_at", "is_greater_than", json!("2025-12-23"))]);
    for (query, names) in [
        ("sort=name", vec!["Bob", "Cora", "Ella"]),
        ("sort=name&resolved=true", vec!["Bob", "Cora", "Ella"]),
        ("sort=name&resolved=false", vec!["Bob", "Cora", "Ella", "Visitor"]),
        ("sort=-name&q=ell", vec!["Ella"]),
        ("sort=name&q=elka&fuzzy=true", vec!["Ella"]),
        ("sort=name&labels=vip", vec!["Ella"]),
        ("sort=name&page=2&page_size=2", vec!["Ella"]),
    ] {
        let answer = anna.post(format!("{FILTER}?{query}"), body.clone()).await.ok();
        assert_eq!(answer.names(), names, "{query}");
    }
    let listed = anna.get(CONTACTS).await.ok();
    assert_eq!(listed.count(), 5);
}

#[tokio::test]
async fn a_page_is_that_of_the_list() {
    let (app, anna) = scene().await;
    let body = joined("and", &[("name", "equal_to", json!("Elly"))]);
    let listed = anna.get(format!("{CONTACTS}?q=elly")).await.ok();
    let filtered = anna.post(FILTER, body.clone()).await.ok();
    assert_eq!(filtered.text, listed.text);
    let bare =
        anna.post(format!("{FILTER}?include_contact_inboxes=false"), body.clone()).await.ok();
    assert!(bare.payload()[0].get("contact_inboxes").is_none(), "{}", bare.text);

    let reader = app.key(Role::ReadOnly).await;
    let events = app.events().await;
    let explained = reader.post(format!("{FILTER}?explain=true&limit=1"), body.clone()).await.ok();
    assert_eq!(explained.json["meta"]["explanation"], "name is Elly");
    assert_eq!(app.events().await, events);
    let form = "payload[][attribute_key]=name&payload[][filter_operator]=equal_to&payload[][values][]=elly";
    let call = anna.call("POST", FILTER).text("application/x-www-form-urlencoded", form);
    assert_eq!(call.send().await.ok().text, listed.text);
}

#[tokio::test]
async fn pages_go_on_by_cursor_for_the_same_filter() {
    let (_app, anna) = scene().await;
    let body = joined("and", &[("created_at", "within_last_days", json!(0))]);
    let path = format!("{FILTER}?sort=id&limit=2");
    let first = anna.post(&path, body.clone()).await.ok();
    assert_eq!((first.count(), first.names()), (3, vec!["Ella", "Cora"]));
    let link = first.header("link").unwrap();
    let next = link.strip_prefix('<').unwrap().split_once('>').unwrap().0.to_owned();
    let last = anna.post(&next, body.clone()).await.ok();
    assert_eq!((last.count(), last.names()), (3, vec!["Bob"]));
    assert_eq!(last.json["meta"]["next_cursor"], Value::Null);

    let cursor = first.json["meta"]["next_cursor"].as_str().unwrap();
    let other = joined("and", &[("created_at", "within_last_days", json!(1))]);
    assert_eq!(anna.post(&next, other).await.status, 400);
    assert_eq!(anna.post(format!("{next}&resolved=false"), body.clone()).await.status, 400);
    assert_eq!(anna.get(format!("{CONTACTS}?sort=id&cursor={cursor}")).await.status, 400);
    // The same question in the other form.
    let grouped = json!({ "filter": { "and": [body["payload"][0]] } });
    assert_eq!(anna.post(&next, grouped).await.ok().names(), ["Bob"]);
    assert_eq!(anna.post(format!("{path}&page=1"), body).await.status, 400);
}

/// Rows 312, 316, 324 and 326 to 328.
#[rstest]
#[case::no_body(json!({}), "/payload", "Payload can't be blank")]
#[case::no_conditions(json!({ "payload": [] }), "/payload", "Payload can't be blank")]
#[case::operator(
    json!({ "payload": [asks("country_code", "is_less_than", &json!(["x"]))] }),
    "/payload/0/filter_operator",
    "Invalid operator. The allowed operators for country_code are [equal_to,not_equal_to,contains,\
     does_not_contain,starts_with,ends_with,is_present,is_not_present].",
)]
#[case::join(
    joined("INVALID", &[("name", "equal_to", json!(["x"])), ("name", "equal_to", json!(["y"]))]),
    "/payload/0/query_operator",
    r#"Query operator must be either "AND" or "OR"."#,
)]
#[case::trailing_join(
    json!({ "payload": [{
        "attribute_key": "name", "filter_operator": "equal_to", "values": ["x"],
        "query_operator": "AND",
    }] }),
    "/payload/0/query_operator",
    "Query operator must be left out of the last condition, which it would join to nothing",
)]
#[case::sql(
    joined("and", &[("last_activity_at", "is_greater_than", json!(["2025-12-20'; DROP TABLE contacts"]))]),
    "/payload/0/values/0",
    "Invalid value. The values provided for last_activity_at are invalid",
)]
#[case::sql_in_a_custom_date(
    joined("and", &[("signed_in_at", "is_less_than", json!(["2025-12-20'::date OR 1=1"]))]),
    "/payload/0/values/0",
    "Invalid value. The values provided for signed_in_at are invalid",
)]
#[case::blank_number(
    joined("and", &[("lifetime_value", "is_greater_than", json!([""]))]),
    "/payload/0/values/0",
    "Invalid value. The values provided for lifetime_value are invalid",
)]
#[case::infinite_number(
    joined("and", &[("lifetime_value", "is_greater_than", json!(["Infinity"]))]),
    "/payload/0/values/0",
    "Invalid value. The values provided for lifetime_value are invalid",
)]
#[case::no_values(
    joined("and", &[("name", "equal_to", json!([]))]),
    "/payload/0/values",
    "Invalid value. The values provided for name are invalid",
)]
#[case::key(
    joined("and", &[("", "equal_to", json!(["x"]))]),
    "/payload/0/attribute_key",
    "Invalid attribute key - []. The key should be one of [name,phone_number,email,identifier,\
     first_name,last_name,labels,blocked,created_at,last_activity_at,country_code,city,\
     company_name,country] or a custom attribute defined in the account.",
)]
#[tokio::test]
async fn a_fault_is_told_with_its_place(
    #[case] body: Value,
    #[case] pointer: &str,
    #[case] message: &str,
) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let answer = anna.post(FILTER, body).await;
    assert_eq!((answer.status, answer.code()), (422, "invalid"), "{}", answer.text);
    assert_eq!((answer.pointers(), answer.message()), (vec![pointer], message));
    assert_eq!(answer.attributes(), ["payload"]);
}

#[tokio::test]
async fn one_answer_tells_every_fault() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let group = json!({ "filter": { "or": [
        asks("name", "like", &json!("x")),
        { "and": [] },
        { "not": asks("created_at", "days_before", &json!("soon")) },
    ] } });
    let answer = anna.post(FILTER, group).await;
    assert_eq!(
        answer.pointers(),
        ["/filter/or/0/filter_operator", "/filter/or/1/and", "/filter/or/2/not/values/0"]
    );
    let many = json!({ "filter": { "or": vec![asks("name", "equal_to", &json!("x")); 101] } });
    let answer = anna.post(FILTER, many).await;
    assert_eq!((answer.status, answer.code()), (422, "limit_exceeded"), "{}", answer.text);
}

#[tokio::test]
async fn what_was_written_is_found_by_the_next_filter() {
    let (_app, anna) = scene().await;
    let gold = joined("and", &[("customer_type", "equal_to", json!("gold"))]);
    assert_eq!(find(&anna, gold.clone()).await.names(), ["Elly"]);
    let cora = anna.get(format!("{CONTACTS}?q=cora")).await.ok().ids()[0];
    let patch = |value: Value| json!({ "custom_attributes": { "customer_type": value } });
    anna.patch(contact(cora), patch(json!("Gold"))).await.ok();
    assert_eq!(find(&anna, gold.clone()).await.names(), ["Cora", "Elly"]);
    anna.patch(contact(cora), patch(Value::Null)).await.ok();
    assert_eq!(find(&anna, gold.clone()).await.names(), ["Elly"]);
    let elly = anna.get(format!("{CONTACTS}?q=elly")).await.ok().ids()[0];
    anna.delete(contact(elly)).await.ok();
    assert!(find(&anna, gold).await.names().is_empty());
}
