//! The order of a list: keys, directions, absent values, ties (`livedesk-wire.md` 9.5).

use rstest::rstest;
use serde_json::json;

use crate::app::{CONTACTS, Client, TestApp};

/// Contacts 1 to 6, whose names say nothing of their other fields' order.
async fn six() -> (TestApp, Client) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let profile = |company: &str, city: &str, country: &str| json!({ "company_name": company, "city": city, "country": country });
    for fields in [
        json!({
            "name": "Élan", "email": "M@x.io", "phone_number": "+4420", "last_activity_at": 300,
            "created_at": 50, "additional_attributes": profile("acme", "Bern", "CH"),
        }),
        json!({ "name": "ｅｌａｎ", "last_activity_at": 100, "created_at": 60 }),
        json!({
            "name": "Zoë", "email": "a@x.io", "phone_number": "+100", "last_activity_at": 200,
            "created_at": 10, "additional_attributes": profile("Zebra", "aarau", "DE"),
        }),
        json!({
            "name": "bob", "email": "z@x.io", "phone_number": "+99", "created_at": 20,
            "additional_attributes": profile("Acme", "Zug", "AT"),
        }),
        json!({ "name": "Bob", "created_at": 30, "additional_attributes": { "city": null } }),
        json!({
            "name": "王伟", "email": "b@x.io", "phone_number": "+1001", "last_activity_at": 200,
            "created_at": 60, "additional_attributes": profile("acme", "Bern", "CH"),
        }),
    ] {
        anna.contact(fields).await;
    }
    (app, anna)
}

#[rstest]
// Nothing said: last activity first, none last, ties by id descending.
#[case("", [1, 6, 3, 2, 5, 4])]
#[case("sort=", [1, 6, 3, 2, 5, 4])]
#[case("sort=nonsense", [1, 6, 3, 2, 5, 4])]
#[case("direction=asc", [1, 6, 3, 2, 5, 4])]
#[case("sort=last_activity_at", [2, 6, 3, 1, 5, 4])]
#[case("sort=-last_activity_at", [1, 6, 3, 2, 5, 4])]
#[case("sort=last_activity_at&direction=desc", [1, 6, 3, 2, 5, 4])]
#[case("sort=created_at", [3, 4, 5, 1, 6, 2])]
#[case("sort=-created_at", [6, 2, 1, 5, 4, 3])]
// E-mail and phone: compared as texts, none last ascending, first descending.
#[case("sort=email", [3, 6, 1, 4, 5, 2])]
#[case("sort=-email", [5, 2, 4, 1, 6, 3])]
#[case("sort=email&direction=desc", [5, 2, 4, 1, 6, 3])]
#[case("sort=phone_number", [3, 6, 1, 4, 5, 2])]
#[case("sort=-phone_number", [5, 2, 4, 1, 6, 3])]
// Names as they are folded, then the text itself.
#[case("sort=name", [5, 4, 1, 2, 3, 6])]
#[case("sort=-name", [6, 3, 2, 1, 4, 5])]
// Company, city and country as they are written, none last both ways.
#[case("sort=company", [4, 3, 6, 1, 5, 2])]
#[case("sort=company_name", [4, 3, 6, 1, 5, 2])]
#[case("sort=-company", [6, 1, 3, 4, 5, 2])]
#[case("sort=city", [6, 1, 4, 3, 5, 2])]
#[case("sort=-city", [3, 4, 6, 1, 5, 2])]
#[case("sort=country", [4, 6, 1, 3, 5, 2])]
#[case("sort=-country", [3, 6, 1, 4, 5, 2])]
// Several keys, precedence as sent; `-` decides for its key, `direction` for the others.
#[case("sort=city,created_at", [1, 6, 4, 3, 5, 2])]
#[case("sort=city,-created_at", [6, 1, 4, 3, 2, 5])]
#[case("sort=-city,created_at", [3, 4, 1, 6, 5, 2])]
#[case("sort=-city,created_at&direction=desc", [3, 4, 6, 1, 2, 5])]
#[case("sort=city,created_at&direction=desc", [3, 4, 6, 1, 2, 5])]
#[case("sort=-email&direction=asc", [5, 2, 4, 1, 6, 3])]
#[case("sort=nonsense,-created_at", [6, 2, 1, 5, 4, 3])]
#[case("sort=created_at&direction=sideways", [3, 4, 5, 1, 6, 2])]
#[case("sort=created_at&direction=", [3, 4, 5, 1, 6, 2])]
#[case("sort=created_at&direction=asc", [3, 4, 5, 1, 6, 2])]
#[tokio::test]
async fn a_list_is_in_the_order_that_is_asked_for(#[case] query: &str, #[case] ids: [i64; 6]) {
    let (_app, anna) = six().await;
    let answer = anna.get(format!("{CONTACTS}?{query}")).await.ok();
    assert_eq!(answer.ids(), ids, "{query}");
}

#[tokio::test]
async fn ties_go_by_id_the_latest_first() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    for _ in 0..4 {
        anna.contact(json!({ "name": "same", "last_activity_at": 5, "created_at": 5 })).await;
    }
    for sort in ["", "name", "-name", "created_at", "-created_at", "city", "-email", "email"] {
        let answer = anna.get(format!("{CONTACTS}?sort={sort}")).await.ok();
        assert_eq!(answer.ids(), [4, 3, 2, 1], "{sort}");
    }
}

#[tokio::test]
async fn a_search_is_in_the_order_that_is_asked_for_too() {
    let (_app, anna) = six().await;
    let answer = anna.get(format!("{CONTACTS}?q=x.io&sort=-email&page_size=2&page=2")).await.ok();
    assert_eq!((answer.ids(), answer.count()), (vec![6, 3], 4));
}

#[tokio::test]
async fn an_update_moves_a_contact_in_the_order() {
    let (_app, anna) = six().await;
    let first = || async { anna.get(format!("{CONTACTS}?sort=name")).await.ok().ids()[0] };
    assert_eq!(first().await, 5);
    anna.patch(format!("{CONTACTS}/6"), json!({ "name": "Aa" })).await.ok();
    assert_eq!(first().await, 6);
    anna.patch(format!("{CONTACTS}/6"), json!({ "name": "Zz" })).await.ok();
    assert_eq!(first().await, 5);
}
