//! `GET …/contacts` by cursor: `limit`, `cursor`, `Link`, and which cursors are refused. What it
//! shows while contacts are written is in `drift.rs`.

use futures::future::join_all;
use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    answer::{Answer, members},
    app::{CONTACTS, Client, TestApp, contact, list},
};

/// An account of so many contacts, all created in the same second.
async fn crowd(count: usize) -> (TestApp, Client) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    join_all((0..count).map(|_| anna.contact(json!({})))).await;
    (app, anna)
}

/// The cursor of the page after this one.
pub(crate) fn next(answer: &Answer) -> Option<&str> {
    answer.json["meta"]["next_cursor"].as_str()
}

/// The path that the `Link` header leads to.
fn link(answer: &Answer) -> Option<&str> {
    let (path, rest) = answer.header("link")?.strip_prefix('<').unwrap().split_once('>').unwrap();
    assert_eq!(rest, "; rel=\"next\"");
    Some(path)
}

/// All pages from this path on, by their links.
pub(crate) async fn pages(client: &Client, first: impl Into<String>) -> Vec<Answer> {
    let (mut path, mut pages) = (Some(first.into()), Vec::new());
    while let Some(next_path) = path {
        let answer = client.get(&next_path).await.ok();
        let next = next(&answer);
        assert_eq!(answer.json["meta"]["has_more"], next.is_some(), "{}", answer.text);
        path = link(&answer).map(str::to_owned);
        assert_eq!(path.is_some(), next.is_some());
        assert!(path.iter().all(|path| path.ends_with(next.unwrap())), "{path:?}");
        pages.push(answer);
        assert!(pages.len() < 1000, "the pages never end");
    }
    pages
}

pub(crate) fn ids(pages: &[Answer]) -> Vec<i64> {
    pages.iter().flat_map(Answer::ids).collect()
}

#[tokio::test]
async fn each_page_says_where_the_next_begins_and_the_last_that_none_follows() {
    let (_app, anna) = crowd(5).await;
    let pages = pages(&anna, format!("{CONTACTS}?limit=2")).await;
    let of_each: Vec<_> = pages.iter().map(Answer::ids).collect();
    assert_eq!(of_each, [vec![5, 4], vec![3, 2], vec![1]]);
    for page in &pages {
        assert_eq!(members(&page.json), ["meta", "payload"]);
        assert_eq!(members(&page.json["meta"]), ["count", "has_more", "next_cursor"]);
        assert_eq!(page.count(), 5);
    }
    let last = r#""meta":{"count":5,"has_more":false,"next_cursor":null}"#;
    assert!(pages[2].text.contains(last), "{}", pages[2].text);
}

#[tokio::test]
async fn a_page_that_holds_all_is_the_last() {
    let (_app, anna) = crowd(4).await;
    for (query, count) in [("limit=4", 4), ("limit=5", 4), ("limit=2&q=x", 0), ("cursor=", 4)] {
        let answer = anna.get(format!("{CONTACTS}?{query}")).await.ok();
        assert_eq!((answer.ids().len(), answer.count()), (count, count as u64), "{query}");
        assert_eq!((next(&answer), link(&answer)), (None, None), "{query}");
    }
}

#[tokio::test]
async fn without_the_parameters_nothing_is_said_of_cursors() {
    let (_app, anna) = crowd(3).await;
    for (query, meta) in [
        ("page_size=2", r#"{"meta":{"count":3,"current_page":1},"#),
        ("page_size=2&page=1&sort=id", r#"{"meta":{"count":3,"current_page":"1"},"#),
    ] {
        let answer = anna.get(format!("{CONTACTS}?{query}")).await.ok();
        assert!(answer.text.starts_with(meta), "{}", answer.text);
        assert_eq!(answer.header("link"), None);
    }
}

#[tokio::test]
async fn a_page_holds_what_the_limit_says_within_1_and_100() {
    let (_app, anna) = crowd(103).await;
    for (query, size) in [
        ("limit=10", 10),
        ("limit=100", 100),
        ("limit=101", 100),
        ("limit=99999999999999999999999", 100),
        ("limit=0", 1),
        ("limit=-5", 1),
        ("limit=", 15),
        ("limit", 15),
        ("limit=junk", 15),
        ("limit=7.5", 15),
        ("cursor=", 15),
        ("cursor=&page_size=20", 20),
        ("cursor=&per_page=20", 20),
        ("limit=10&page_size=20", 10),
    ] {
        let answer = anna.get(format!("{CONTACTS}?{query}")).await.ok();
        assert_eq!((answer.ids().len(), answer.count()), (size, 103), "{query}");
    }
}

#[rstest]
#[case("page=1&limit=5")]
#[case("limit=5&page=")]
#[case("cursor=&page=2")]
#[case("page=junk&cursor=x")]
#[tokio::test]
async fn a_pages_number_beside_a_cursor_is_refused(#[case] query: &str) {
    let (_app, anna) = crowd(1).await;
    let answer = anna.get(format!("{CONTACTS}?{query}")).await;
    assert_eq!((answer.status, answer.code()), (400, "malformed_request"));
    let text = answer.json["error"].as_str().unwrap();
    assert!(text.starts_with("`page` cannot be combined with `limit` or `cursor`"), "{text}");
    assert_eq!(answer.members(), ["error", "code", "request_id"]);
}

#[tokio::test]
async fn lists_by_id_go_either_way() {
    let (_app, anna) = crowd(5).await;
    anna.patch(contact(2), json!({ "last_activity_at": 9 })).await.ok();
    for (query, expected) in [
        ("sort=id", [1, 2, 3, 4, 5]),
        ("sort=-id", [5, 4, 3, 2, 1]),
        ("sort=id&direction=desc", [5, 4, 3, 2, 1]),
        ("sort=name,id,-created_at", [1, 2, 3, 4, 5]),
    ] {
        let numbered = anna.get(format!("{CONTACTS}?{query}")).await.ok();
        assert_eq!(numbered.ids(), expected, "{query}");
        let pages = pages(&anna, format!("{CONTACTS}?{query}&limit=2")).await;
        assert_eq!((ids(&pages), pages.len()), (expected.to_vec(), 3), "{query}");
    }
}

#[tokio::test]
async fn a_link_keeps_all_that_was_asked_and_the_account_in_the_path() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    for name in ["a&b=c#d \"e\" <王>|", "A&B=C#D \"E\" <王>|", "other"] {
        let id = anna.contact(json!({ "name": name })).await;
        anna.post(format!("{}/labels", contact(id)), json!({ "labels": ["vip"] })).await.ok();
    }
    let query = list(&[
        ("q", "a&b=c#d \"e\" <王>|"),
        ("labels[]", "vip"),
        ("include_contact_inboxes", "false"),
        ("limit", "1"),
    ]);
    let query = query.strip_prefix(CONTACTS).unwrap().replace("labels%5B%5D", "labels[]");
    let path = format!("/api/v2/accounts/{}/contacts", app.id);
    for path in [&path, CONTACTS] {
        let pages = pages(&anna, format!("{path}{query}")).await;
        assert_eq!(ids(&pages), [2, 1]);
        let link = link(&pages[0]).unwrap();
        assert!(link.starts_with(&format!("{path}?q=a%26b%3Dc%23d")), "{link}");
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"<>[]\\^`{|}#".contains(&byte);
        assert!(link.bytes().all(plain), "{link}");
        assert!(pages.iter().all(|page| page.payload()[0]["contact_inboxes"].is_null()));
    }
    // As it comes from callers who escape nothing, and over HTTP as bytes.
    let answer = anna.get(format!("{CONTACTS}?limit=1&q=王")).await.ok();
    assert!(link(&answer).unwrap().contains("&q=%E7%8E%8B&cursor="));
    assert_eq!(ids(&pages(&anna, link(&answer).unwrap()).await), [1]);
}

#[rstest]
#[case::not_base64("cursor=%00")]
#[case::padded("cursor=AAAA====")]
#[case::short("cursor=AA")]
#[case::another_form("cursor=eyJpZCI6MX0")]
#[case::long(&format!("cursor={}", "A".repeat(7000)))]
#[tokio::test]
async fn what_is_no_cursor_is_malformed(#[case] query: &str) {
    let (_app, anna) = crowd(3).await;
    let answer = anna.get(format!("{CONTACTS}?{query}")).await;
    assert_eq!((answer.status, answer.code()), (400, "malformed_request"));
    let text = answer.json["error"].as_str().unwrap();
    assert!(text.contains("start again without a cursor"), "{text}");
}

#[tokio::test]
async fn a_cursor_belongs_to_its_query_its_order_and_its_account() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let bert = app.account("Globex").await.administrator().await;
    for client in [&anna, &bert] {
        for _ in 0..3 {
            let id = client.contact(json!({ "name": "Müller" })).await;
            let labels = json!({ "labels": ["vip", "neu"] });
            client.post(format!("{}/labels", contact(id)), labels).await.ok();
        }
    }
    let asked = "q=Müller&labels=vip,neu&sort=-city,name";
    let first = anna.get(format!("{CONTACTS}?{asked}&limit=1")).await.ok();
    let cursor = next(&first).unwrap();
    let then = |client: &Client, query: &str| {
        let (client, path) = (client.clone(), format!("{CONTACTS}?cursor={cursor}&{query}"));
        async move { client.get(path).await }
    };
    for same in [
        asked,
        "q=MULLER&labels[]=neu&labels[]=vip&labels=neu&sort=-city,name,nonsense",
        "q=+muller+&labels=neu,vip&sort=city,-name&direction=asc&sort=-city,name&fuzzy=true",
        "q=Müller&labels=vip,neu&sort=-city,name&limit=7&include_contact_inboxes=false",
    ] {
        let answer = then(&anna, same).await.ok();
        assert_eq!(answer.ids(), [2, 1], "{same}");
    }
    for other in [
        "",
        "q=Mülle&labels=vip,neu&sort=-city,name",
        "labels=vip,neu&sort=-city,name",
        "q=Müller&labels=vip&sort=-city,name",
        "q=Müller&sort=-city,name",
        "q=Müller&labels=vip,neu",
        "q=Müller&labels=vip,neu&sort=-city",
        "q=Müller&labels=vip,neu&sort=city,name",
        "q=Müller&labels=vip,neu&sort=name,-city",
    ] {
        let answer = then(&anna, other).await;
        assert_eq!((answer.status, answer.code()), (400, "malformed_request"), "{other}");
    }
    let answer = then(&bert, asked).await;
    assert_eq!((answer.status, answer.code()), (400, "malformed_request"));
}

#[tokio::test]
async fn a_cursor_of_another_database_has_expired() {
    let (_app, anna) = crowd(3).await;
    let (_other, same_number) = crowd(3).await;
    let answer = anna.get(format!("{CONTACTS}?limit=1")).await.ok();
    let path = link(&answer).unwrap();
    // An account of the same number, with contacts of the same numbers.
    let answer = same_number.get(path).await;
    assert_eq!((answer.status, answer.code()), (410, "cursor_expired"));
    let text = answer.json["error"].as_str().unwrap();
    assert!(text.ends_with("start again without a cursor"), "{text}");
    assert_eq!(answer.members(), ["error", "code", "request_id"]);
}

#[tokio::test]
async fn a_restore_under_a_running_server_makes_the_cursors_before_it_invalid() {
    let (app, anna) = crowd(3).await;
    let listed = anna.get(format!("{CONTACTS}?limit=1")).await.ok();
    let id = listed.payload()[0]["id"].as_i64().unwrap();
    anna.patch(contact(id), json!({ "name": "new" })).await.ok();
    let history = format!("{}/history?limit=1", contact(id));
    let read = anna.get(&history).await.ok();
    let cursor = next(&read).unwrap();
    app.raise_epoch().await;
    for path in [link(&listed).unwrap().to_owned(), format!("{history}&cursor={cursor}")] {
        let answer = anna.get(&path).await;
        assert_eq!((answer.status, answer.code()), (410, "cursor_expired"), "{path}");
    }
    let listed = anna.get(format!("{CONTACTS}?limit=1")).await.ok();
    anna.get(link(&listed).unwrap()).await.ok();
}

#[tokio::test]
async fn a_changed_cursor_is_malformed_wherever_it_was_changed() {
    let (_app, anna) = crowd(3).await;
    let answer = anna.get(format!("{CONTACTS}?limit=1&sort=name")).await.ok();
    let cursor = next(&answer).unwrap();
    for at in 0..cursor.len() {
        let other = if cursor.as_bytes()[at] == b'A' { "B" } else { "A" };
        for changed in [
            format!("{}{other}{}", &cursor[..at], &cursor[at + 1..]),
            format!("{}{}", &cursor[..at], &cursor[at + 1..]),
            format!("{}{other}{}", &cursor[..at], &cursor[at..]),
        ] {
            let answer = anna.get(list(&[("sort", "name"), ("cursor", &changed)])).await;
            assert_eq!((answer.status, answer.code()), (400, "malformed_request"), "{changed}");
        }
    }
}

#[tokio::test]
async fn a_page_goes_on_after_a_contact_that_moved_or_went_away() {
    let (_app, anna) = crowd(0).await;
    for name in ["a", "b", "c", "d", "e"] {
        anna.contact(json!({ "name": name })).await;
    }
    let first = anna.get(format!("{CONTACTS}?limit=2&sort=name")).await.ok();
    assert_eq!(first.names(), ["a", "b"]);
    anna.patch(contact(2), json!({ "name": "z" })).await.ok();
    anna.contact(json!({ "name": "b0" })).await;
    anna.contact(json!({ "name": "a0" })).await;
    let second = anna.get(link(&first).unwrap()).await.ok();
    assert_eq!(second.names(), ["b0", "c"], "what is new before the place is not shown");
    anna.delete(contact(3)).await.ok();
    anna.delete(contact(4)).await.ok();
    let third = anna.get(link(&second).unwrap()).await.ok();
    assert_eq!((third.names(), link(&third)), (vec!["e", "z"], None));
    // The same cursor again, after all of that.
    assert_eq!(anna.get(link(&first).unwrap()).await.ok().names(), ["b0", "e"]);
}

#[tokio::test]
async fn pages_of_near_matches_stay_near_whatever_is_written() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    for name in ["Muller A", "Muller B", "Muller C"] {
        anna.contact(json!({ "name": name })).await;
    }
    let near = list(&[("q", "muler"), ("fuzzy", "true"), ("limit", "1"), ("sort", "name")]);
    let first = anna.get(near).await.ok();
    assert_eq!((first.names(), first.count()), (vec!["Muller A"], 3));
    let meta = members(&first.json["meta"]);
    assert_eq!(meta, ["count", "has_more", "next_cursor", "fuzzy"]);
    // From now on something matches as written; the others are near to it as before.
    anna.contact(json!({ "name": "A Muler" })).await;
    let rest = pages(&anna, link(&first).unwrap()).await;
    let names: Vec<&str> = rest.iter().flat_map(Answer::names).collect();
    assert_eq!(names, ["Muller B", "Muller C"]);
    assert!(rest.iter().all(|page| page.json["meta"]["fuzzy"] == true));
}

#[tokio::test]
async fn pages_of_exact_matches_never_become_near() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    for name in ["Muller A", "Muller B", "Muler C"] {
        anna.contact(json!({ "name": name })).await;
    }
    let near = list(&[("q", "muller"), ("fuzzy", "true"), ("limit", "1"), ("sort", "name")]);
    let first = anna.get(near).await.ok();
    assert_eq!((first.names(), first.count()), (vec!["Muller A"], 2));
    anna.delete(contact(1)).await.ok();
    anna.delete(contact(2)).await.ok();
    let second = anna.get(link(&first).unwrap()).await.ok();
    assert_eq!((second.ids(), second.count()), (vec![], 0));
    assert_eq!(second.json["meta"]["fuzzy"], Value::Null);
}

/// A text of 255 characters, most of them of four bytes, the others such as JSON escapes.
fn long(end: char) -> String {
    let mut text = "\u{10ffff}".repeat(200) + &"\u{1}".repeat(54);
    text.push(end);
    text
}

#[tokio::test]
async fn the_longest_values_are_paged_through_in_every_order() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    for number in 1..=4 {
        let end = char::from_digit(number, 10).unwrap();
        // Beyond the 255 characters that count, all are different too.
        let beyond = format!("{}{}{end}", long('x'), "y".repeat(20_000));
        anna.contact(json!({
            "name": long(end),
            "email": format!("{}@{end}", "\u{10ffff}".repeat(250)),
            "phone_number": format!("+12345678901234{end}"),
            "additional_attributes": {
                "company_name": beyond, "city": long(end), "country": beyond,
            },
        }))
        .await;
    }
    let all = "company,country,city,name,email,phone_number,last_activity_at,created_at";
    for (sort, expected) in [
        ("name", [1, 2, 3, 4]),
        ("-email", [4, 3, 2, 1]),
        ("city", [1, 2, 3, 4]),
        // The same as far as they are compared.
        ("company", [4, 3, 2, 1]),
        ("-company,country", [4, 3, 2, 1]),
        ("country,name", [1, 2, 3, 4]),
        (all, [1, 2, 3, 4]),
    ] {
        let numbered = anna.get(list(&[("sort", sort)])).await.ok();
        assert_eq!(numbered.ids(), expected, "{sort}");
        let pages = pages(&anna, list(&[("sort", sort), ("limit", "1")])).await;
        assert_eq!(ids(&pages), expected, "{sort}");
    }
}

#[tokio::test]
async fn a_query_that_leaves_no_room_for_a_cursor_is_refused_at_the_first_page() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    for number in 1..=3 {
        let name = format!("{}{number}", "\u{10ffff}".repeat(254));
        anna.contact(json!({ "name": name })).await;
    }
    let padded = |sort: &str, length: usize| {
        let start = format!("{CONTACTS}?sort={sort}&limit=1&x=");
        format!("{start}{}", "x".repeat(length - start.len()))
    };
    let refused = anna.get(padded("name", 7500)).await;
    assert_eq!((refused.status, refused.code()), (400, "malformed_request"));
    let text = refused.json["error"].as_str().unwrap();
    let words: Vec<&str> = text.split(' ').collect();
    let bytes = words.iter().position(|word| *word == "bytes").unwrap();
    let most: usize = words[bytes - 1].parse().unwrap();

    // As long as it says is not too long, neither at the first page nor at a later one.
    assert_eq!(anna.get(padded("name", most + 1)).await.status, 400);
    assert_eq!(ids(&pages(&anna, padded("name", most)).await), [1, 2, 3]);
    // In an order whose cursors are short there is more room, and without a cursor all of it.
    assert_eq!(ids(&pages(&anna, padded("id", 8000)).await), [1, 2, 3]);
    anna.get(padded("name", 8000).replace("limit=1", "page=1")).await.ok();
}
