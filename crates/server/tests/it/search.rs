//! `GET …/contacts?q=` (`livedesk-wire.md` 4.4 and 9.7).

use rstest::rstest;
use serde_json::json;

use crate::app::{Client, TestApp, contact, list};

async fn people() -> (TestApp, Client) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    for fields in [
        json!({ "name": "Jörg Müller", "email": "joerg@acme.inc", "identifier": "User-42" }),
        json!({ "name": "ＴＡＲＯ　太郎", "phone_number": "+81312345678" }),
        json!({ "name": "王伟", "phone_number": "+8613912345678" }),
        json!({ "name": "สมชาย ใจดี", "identifier": "th_7" }),
        json!({ "name": "Straße 100%", "email": "under_score@b.org" }),
        json!({ "name": "Ὀδυσσεύς", "custom_attributes": { "secret": "hidden" } }),
        json!({ "name": "Ёлка", "additional_attributes": { "city": "hidden" } }),
        json!({ "name": "مُحَمَّد", "first_name": "hidden", "last_name": "hidden" }),
        json!({ "name": "a😀b", "source_id": "hidden" }),
        json!({ "name": "", "email": "nameless@acme.inc" }),
    ] {
        anna.contact(fields).await;
    }
    (app, anna)
}

const JOERG: &str = "Jörg Müller";
const TARO: &str = "ＴＡＲＯ　太郎";
const STREET: &str = "Straße 100%";

#[rstest]
// Case, width and diacritics.
#[case("müller", &[JOERG])]
#[case("MULLER", &[JOERG])]
#[case("Mu\u{308}ller", &[JOERG])]
#[case("ｍｕｌｌｅｒ", &[JOERG])]
#[case("taro", &[TARO])]
#[case("Ｔａｒｏ", &[TARO])]
#[case("taro 太", &[TARO])]
#[case("taro\u{3000}\u{3000}太", &[TARO])]
#[case("STRASSE", &[STREET])]
#[case("strasse", &[STREET])]
#[case("ΟΔΥΣΣΕΥΣ", &["Ὀδυσσεύς"])]
#[case("елка", &["Ёлка"])]
#[case("محمد", &["مُحَمَّد"])]
// One character, in any script.
#[case("王", &["王伟"])]
#[case("郎", &[TARO])]
#[case("ใ", &["สมชาย ใจดี"])]
#[case("Ё", &["Ёлка"])]
#[case("σ", &["Ὀδυσσεύς"])]
#[case("م", &["مُحَمَّد"])]
#[case("😀", &["a😀b"])]
#[case("ß", &["", STREET])]
// All four fields, and only those.
#[case("JOERG@ACME.INC", &[JOERG])]
#[case("acme", &["", JOERG])]
#[case("user-42", &[JOERG])]
#[case("hidden", &[])]
#[case("+8613912345678", &["王伟"])]
// A phone number by its digits.
#[case("+86 139 1234 5678", &["王伟"])]
#[case("(139) 1234-5678", &["王伟"])]
#[case("139.1234/5678", &["王伟"])]
#[case("＋８６ １３９", &["王伟"])]
#[case("1234-5678", &["王伟", TARO])]
#[case("3 1 2", &[TARO])]
#[case("139x1234", &[])]
// Nothing is a wildcard, nothing is near.
#[case("%", &[STREET])]
#[case("100%", &[STREET])]
#[case("m%r", &[])]
#[case("_", &[STREET, "สมชาย ใจดี"])]
#[case("r_s", &[STREET])]
#[case("m_ller", &[])]
#[case("*", &[])]
#[case("\\", &[])]
#[case("\"", &[])]
#[case("'", &[])]
#[case("'; DROP TABLE contacts; --", &[])]
#[case("\0", &[])]
#[case("()", &[])]
#[case("+", &[TARO, "王伟"])]
#[case("mueller", &[])]
#[case("mullerr", &[])]
#[case("muller joerg", &[])]
#[case("müller joerg@", &[])]
#[tokio::test]
async fn a_search_finds_what_contains_the_text(#[case] q: &str, #[case] names: &[&str]) {
    let (_app, anna) = people().await;
    let mut names = names.to_vec();
    names.sort_unstable();
    assert_eq!(anna.search(q).await, names);
}

#[rstest]
#[case("")]
#[case(" ")]
#[case("\t\n\u{3000}\u{a0}")]
#[tokio::test]
async fn a_blank_search_is_the_list(#[case] q: &str) {
    let (_app, anna) = people().await;
    let answer = anna.get(list(&[("q", q)])).await.ok();
    assert_eq!(answer.count(), 10);
    assert_eq!(answer.json["meta"]["current_page"], 1);
}

#[tokio::test]
async fn a_search_without_a_match_is_an_empty_page() {
    let (_app, anna) = people().await;
    let answer = anna.get(list(&[("q", "nobody@nowhere")])).await.ok();
    assert_eq!(answer.count(), 0);
    assert_eq!(answer.payload().to_string(), "[]");
}

#[tokio::test]
async fn a_search_follows_every_write_at_once() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    assert_eq!(anna.search("anna").await, [""; 0]);
    let id = anna.contact(json!({ "name": "Anna", "email": "anna@acme.inc" })).await;
    assert_eq!(anna.search("ann").await, ["Anna"]);

    anna.patch(contact(id), json!({ "name": "Bea", "phone_number": "+4912345" })).await.ok();
    assert_eq!(anna.search("bea").await, ["Bea"]);
    assert_eq!(anna.search("123").await, ["Bea"]);
    assert_eq!(anna.search("anna").await, ["Bea"], "by the e-mail");

    anna.patch(contact(id), json!({ "email": null })).await.ok();
    assert_eq!(anna.search("anna").await, [""; 0]);
    assert_eq!(anna.search("acme").await, [""; 0]);

    anna.delete(contact(id)).await.ok();
    assert_eq!(anna.search("bea").await, [""; 0]);
    assert_eq!(anna.search("123").await, [""; 0]);
}

#[tokio::test]
async fn other_accounts_contacts_are_never_found() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let bert = app.account("Globex").await.administrator().await;
    anna.contact(json!({ "name": "Shared Name", "email": "anna@acme.inc" })).await;
    bert.contact(json!({ "name": "Shared Name", "email": "bert@globex.inc" })).await;
    bert.contact(json!({ "name": "Only Bert's" })).await;

    assert_eq!(anna.search("shared").await.len(), 1);
    assert_eq!(anna.search("globex").await, [""; 0]);
    assert_eq!(anna.search("bert").await, [""; 0]);
    assert_eq!(bert.search("shared").await.len(), 1);
    assert_eq!(bert.search("acme").await, [""; 0]);
}

#[tokio::test]
async fn a_search_and_a_label_filter_are_both_to_be_met() {
    let (_app, anna) = people().await;
    anna.post(format!("{}/labels", contact(1)), json!({ "labels": ["vip"] })).await.ok();
    anna.post(format!("{}/labels", contact(2)), json!({ "labels": ["vip"] })).await.ok();
    let answer = anna.get(list(&[("q", "muller"), ("labels", "vip")])).await.ok();
    assert_eq!(answer.names(), [JOERG]);
    let answer = anna.get(list(&[("q", "王"), ("labels", "vip")])).await.ok();
    assert_eq!(answer.count(), 0);
}

#[tokio::test]
async fn the_last_of_several_searches_counts() {
    let (_app, anna) = people().await;
    assert_eq!(anna.get(list(&[("q", "taro"), ("q", "müller")])).await.ok().names(), [JOERG]);
}

/// An account of these names, the one with the latest activity last.
async fn named(names: &[&str]) -> (TestApp, Client) {
    let app = TestApp::start().await;
    let client = app.administrator().await;
    for (at, name) in (1..).zip(names) {
        client.contact(json!({ "name": name, "last_activity_at": at })).await;
    }
    (app, client)
}

#[tokio::test]
async fn the_best_match_comes_first_when_it_is_asked_for() {
    let names = ["Ana Ruiz", "Ana Gil", "Anabel", "Dana", "Maria Ana", "Otto"];
    let (_app, client) = named(&names).await;
    let by_relevance = ["Maria Ana", "Ana Gil", "Ana Ruiz", "Anabel", "Dana"];
    for sort in ["relevance", "-relevance"] {
        let answer = client.get(list(&[("q", "ana"), ("sort", sort)])).await.ok();
        assert_eq!(answer.names(), by_relevance);
    }
    let answer = client.get(list(&[("q", "ana"), ("sort", "relevance,name")])).await.ok();
    assert_eq!(answer.names(), ["Ana Gil", "Ana Ruiz", "Maria Ana", "Anabel", "Dana"]);
    let answer = client.get(list(&[("sort", "relevance")])).await.ok();
    assert_eq!(answer.names(), ["Otto", "Maria Ana", "Dana", "Anabel", "Ana Gil", "Ana Ruiz"]);

    let mut shown = Vec::new();
    let mut cursor = String::new();
    loop {
        let asked = [("q", "ana"), ("sort", "relevance"), ("limit", "2"), ("cursor", &cursor)];
        let answer = client.get(list(&asked)).await.ok();
        shown.extend(answer.names().into_iter().map(str::to_owned));
        let Some(next) = answer.json["meta"]["next_cursor"].as_str() else { break };
        cursor = next.to_owned();
    }
    assert_eq!(shown, by_relevance);
}

#[tokio::test]
async fn near_matches_come_nearest_first_page_after_page() {
    let names = ["Hernandes", "Ana Hernández", "Eva Fernández", "Luis Hernández", "Fernanda"];
    let (_app, client) = named(&names).await;
    let mut shown = Vec::new();
    let mut cursor = String::new();
    loop {
        let asked =
            [("q", "hermandes"), ("fuzzy", "true"), ("limit", "1"), ("cursor", cursor.as_str())];
        let answer = client.get(list(&asked)).await.ok();
        assert_eq!(answer.json["meta"]["fuzzy"], json!(true));
        shown.extend(answer.names().into_iter().map(str::to_owned));
        let Some(next) = answer.json["meta"]["next_cursor"].as_str() else { break };
        cursor = next.to_owned();
    }
    assert_eq!(shown, ["Hernandes", "Luis Hernández", "Ana Hernández"]);
    let by_name = [("q", "hermandes"), ("fuzzy", "true"), ("sort", "name")];
    let answer = client.get(list(&by_name)).await.ok();
    assert_eq!(answer.names(), ["Ana Hernández", "Hernandes", "Luis Hernández"]);
}

#[tokio::test]
async fn a_misspelt_name_is_found_only_when_near_matches_are_asked_for() {
    let (_app, anna) = people().await;
    let near = |q: &'static str| list(&[("q", q), ("fuzzy", "true")]);
    let answer = anna.get(list(&[("q", "jögr muler")])).await.ok();
    assert_eq!(answer.json["meta"], json!({ "count": 0, "current_page": 1 }));

    let answer = anna.get(near("jögr muler")).await.ok();
    assert_eq!(answer.names(), [JOERG]);
    assert_eq!(answer.json["meta"], json!({ "count": 1, "current_page": 1, "fuzzy": true }));

    // What matches as written is never widened, and what is near to nothing says nothing of it.
    let answer = anna.get(near("muller")).await.ok();
    assert_eq!(answer.json["meta"], json!({ "count": 1, "current_page": 1 }));
    let answer = anna.get(near("zzzzzzzz")).await.ok();
    assert_eq!(answer.json["meta"], json!({ "count": 0, "current_page": 1 }));
}

#[tokio::test]
async fn a_hit_tells_on_which_fields_it_is_one_if_asked() {
    let (_app, anna) = people().await;
    let asked = [("q", "jörg"), ("include", "labels,matched_on")];
    let answer = anna.get(list(&asked)).await.ok();
    assert_eq!(answer.names(), [JOERG]);
    assert_eq!(answer.json["payload"][0]["matched_on"], json!(["name"]));
    let near = [("q", "jögr"), ("fuzzy", "true"), ("include", "matched_on"), ("limit", "1")];
    let answer = anna.get(list(&near)).await.ok();
    assert_eq!(answer.json["payload"][0]["matched_on"], json!(["name"]));

    for not_asked in [&[("q", "jörg")][..], &[("include", "matched_on")]] {
        let answer = anna.get(list(not_asked)).await.ok();
        assert_eq!(answer.json["payload"][0].get("matched_on"), None);
    }
}

#[tokio::test]
async fn a_fruitless_search_proposes_names_if_asked() {
    let (_app, anna) = people().await;
    let proposed = async |q: &'static str, limit: &'static str| {
        let asked = [("q", q), ("include", "did_you_mean"), ("limit", limit)];
        let asked = if limit.is_empty() { &asked[..2] } else { &asked };
        let answer = anna.get(list(asked)).await.ok();
        assert!(answer.names().is_empty() || answer.json["meta"].get("did_you_mean").is_none());
        answer.json["meta"].get("did_you_mean").cloned()
    };
    for limit in ["", "1"] {
        assert_eq!(proposed("jögr muler", limit).await, Some(json!([JOERG])));
        assert_eq!(proposed("zzzzzzzz", limit).await, Some(json!([])));
        assert_eq!(proposed("muller", limit).await, None, "it has hits");
    }
}
