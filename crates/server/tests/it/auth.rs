//! Who may come in: credentials, their precedence, the account in the path
//! (`livedesk-wire.md` 2, 9.1 and 9.2).

use base64::{Engine as _, prelude::BASE64_STANDARD};
use meishi_contacts::Role;
use rstest::rstest;
use serde_json::json;

use crate::{
    answer::Answer,
    app::{CONTACTS, Client, INBOXES, KEYS, TestApp, basic},
};

#[track_caller]
fn assert_refused(answer: &Answer) {
    assert_eq!(answer.status, 401, "{}", answer.text);
    assert_eq!(answer.members(), ["error", "code", "request_id"]);
    assert_eq!(answer.json["error"], "Invalid Access Token");
    assert_eq!(answer.code(), "unauthenticated");
    let challenge = answer.header("www-authenticate").unwrap();
    assert!(challenge.starts_with("Basic realm=\"Meishi\""), "{challenge}");
}

/// Lists contacts with these headers and no others.
async fn with(app: &TestApp, headers: &[(&str, &str)]) -> Answer {
    let call = app.nobody().call("GET", CONTACTS);
    headers.iter().fold(call, |call, (name, value)| call.header(name, value)).send().await
}

#[tokio::test]
async fn key_and_secret_open_the_account_in_every_form() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let (pair, secret) = (basic(&anna.api_key, &anna.api_secret), anna.api_secret.as_str());
    let unpadded = pair.trim_end_matches('=');
    for (name, value) in [
        ("authorization", pair.as_str()),
        ("authorization", unpadded),
        ("authorization", &pair.replacen("Basic", "basic", 1)),
        ("authorization", &pair.replacen("Basic ", "BASIC   ", 1)),
        ("authorization", &format!("Bearer {secret}")),
        ("authorization", &format!("bearer  {secret} ")),
        ("api_access_token", secret),
        ("API_ACCESS_TOKEN", secret),
        ("Api-Access-Token", secret),
        ("api-access-token", secret),
        ("API-ACCESS-TOKEN", secret),
        ("Api_Access_Token", secret),
    ] {
        let answer = with(&app, &[(name, value)]).await;
        assert_eq!(answer.status, 200, "{name}: {value}");
        assert_eq!(answer.header("www-authenticate"), None);
    }
}

#[tokio::test]
async fn whatever_opens_nothing_is_refused() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let (key, secret) = (anna.api_key.as_str(), anna.api_secret.as_str());
    let other = app.administrator().await;
    let encode = |text: &str| BASE64_STANDARD.encode(text);
    for (name, value) in [
        ("authorization", basic(key, "wrong")),
        ("authorization", basic(key, "")),
        ("authorization", basic(key, &format!("{secret} "))),
        ("authorization", basic(key, &secret.to_uppercase())),
        ("authorization", basic(key, &other.api_secret)),
        ("authorization", basic("", secret)),
        ("authorization", basic("mk_unknown", secret)),
        ("authorization", basic(secret, key)),
        ("authorization", basic(key, &format!("{secret}:"))),
        ("authorization", format!("Basic {}", encode(key))),
        ("authorization", format!("Basic {}", encode(""))),
        ("authorization", "Basic".to_owned()),
        ("authorization", "Basic ".to_owned()),
        ("authorization", "Basic !!!".to_owned()),
        ("authorization", "Basic /w==".to_owned()),
        ("authorization", format!("Basic {key}:{secret}")),
        ("authorization", format!("Digest {}", encode(&format!("{key}:{secret}")))),
        ("authorization", secret.to_owned()),
        ("authorization", String::new()),
        ("authorization", "Bearer".to_owned()),
        ("authorization", "Bearer ".to_owned()),
        ("authorization", format!("Bearer {key}")),
        ("authorization", format!("Bearer {key}:{secret}")),
        ("api_access_token", String::new()),
        ("api_access_token", key.to_owned()),
        ("api_access_token", "wrong".to_owned()),
        ("x-api-key", secret.to_owned()),
        ("access-token", secret.to_owned()),
    ] {
        assert_refused(&with(&app, &[(name, &value)]).await);
    }
    assert_refused(&with(&app, &[]).await);
    let call = app.nobody().call("GET", format!("{CONTACTS}?api_access_token={secret}"));
    assert_refused(&call.send().await);
    let call = app.nobody().call("GET", CONTACTS).header("authorization", b"Bearer \xff\xfe");
    assert_refused(&call.send().await);
    let call = app.nobody().call("GET", CONTACTS).header("api_access_token", b"\xff\xfe");
    assert_refused(&call.send().await);
}

/// What a request for the account's keys answers: 200 to an administrator, 403 to an agent, 401 to
/// nobody.
async fn keys_with(app: &TestApp, headers: &[(&str, &str)]) -> u16 {
    let call = app.nobody().call("GET", KEYS);
    headers.iter().fold(call, |call, (name, value)| call.header(name, value)).send().await.status
}

#[tokio::test]
async fn a_bearer_token_counts_before_the_token_header_and_that_before_basic() {
    let app = TestApp::start().await;
    let (anna, bert) = (app.administrator().await, app.key(Role::Agent).await);
    let bearer = |client: &Client| format!("Bearer {}", client.api_secret);
    let pair = |client: &Client| basic(&client.api_key, &client.api_secret);
    let (good, other) = (anna.api_secret.as_str(), bert.api_secret.as_str());

    let both = |authorization: &str, token: &str| {
        let headers = [
            ("authorization".to_owned(), authorization.to_owned()),
            ("api_access_token".to_owned(), token.to_owned()),
        ];
        let app = &app;
        async move {
            let headers: Vec<(&str, &str)> =
                headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            keys_with(app, &headers).await
        }
    };
    assert_eq!(both(&bearer(&anna), other).await, 200);
    assert_eq!(both(&bearer(&bert), good).await, 403);
    assert_eq!(both("Bearer wrong", good).await, 401);
    assert_eq!(both("Bearer", good).await, 401, "an empty token is one too");
    assert_eq!(both(&bearer(&anna), "wrong").await, 200);
    assert_eq!(both(&pair(&bert), good).await, 200);
    assert_eq!(both(&pair(&anna), other).await, 403);
    assert_eq!(both(&pair(&anna), "wrong").await, 401);
    assert_eq!(both(&pair(&anna), "").await, 401);
    assert_eq!(both(&basic(&anna.api_key, "wrong"), good).await, 200);
    assert_eq!(both("nonsense", good).await, 200);
}

#[tokio::test]
async fn the_account_in_the_path_may_be_the_keys_own() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = anna.contact(json!({ "name": "Anna" })).await;
    let root = format!("/api/v2/accounts/{}", app.id);
    let same = async |path: &str| {
        let with_account = anna.get(format!("{root}{path}")).await.ok();
        assert_eq!(with_account.text, anna.get(format!("/api/v2/accounts{path}")).await.text);
    };
    same("/contacts").await;
    same("/contacts?q=ann&page=1").await;
    same(&format!("/contacts/{id}")).await;
    same(&format!("/contacts/{id}/labels")).await;
    same("/inboxes").await;
    same("/keys").await;

    let answer = anna.post(format!("{root}/contacts"), json!({ "inbox_id": 1 })).await.ok();
    assert_eq!(answer.payload()["contact"]["id"], id + 1);
    anna.patch(format!("{root}/contacts/{id}"), json!({ "name": "Bea" })).await.ok();
    anna.delete(format!("{root}/contacts/{id}")).await.ok();
    assert_eq!(anna.delete(format!("{root}/contacts")).await.status, 405);
}

#[rstest]
#[case("1")]
#[case("0")]
#[case("17629000001207")]
#[case("00000000000000000000000000000000000")]
#[case("9007199254740993")]
#[case("99999999999999999999999999999999")]
#[tokio::test]
async fn any_other_account_in_the_path_is_not_found(#[case] account: &str) {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    for path in ["contacts", "contacts/1", "contacts?q=a", "inboxes", "keys"] {
        let answer = anna.get(format!("/api/v2/accounts/{account}/{path}")).await;
        assert_eq!((answer.status, answer.code()), (404, "not_found"), "{path}");
        assert_eq!(answer.json["error"], "Resource could not be found");
        // A caller without a key learns nothing of accounts.
        assert_refused(&app.nobody().get(format!("/api/v2/accounts/{account}/{path}")).await);
    }
}

#[tokio::test]
async fn the_account_of_somebody_else_is_not_found_though_it_exists() {
    let app = TestApp::start().await;
    let (anna, other) = (app.administrator().await, app.account("Globex").await);
    let bert = other.administrator().await;
    let path = format!("/api/v2/accounts/{}/contacts", other.id);
    assert_eq!(anna.get(&path).await.status, 404);
    assert_eq!(anna.post(&path, json!({ "inbox_id": 1 })).await.status, 404);
    assert_eq!(bert.get(&path).await.ok().count(), 0);
}

#[tokio::test]
async fn what_is_no_account_id_is_no_account_in_the_path() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    let id = app.id;
    for path in [
        format!("/api/v2/accounts/-{id}/contacts"),
        format!("/api/v2/accounts/{id}x/contacts"),
        format!("/api/v2/accounts/{id}"),
        format!("/api/v2/accounts/{id}/"),
        format!("/api/v2/accounts/{id}/{id}/contacts"),
        format!("/api/v2/accounts//contacts/{id}"),
        format!("/api/v1/accounts/{id}/contacts"),
        format!("/api/v2/{id}/contacts"),
    ] {
        let answer = anna.get(&path).await;
        assert_eq!((answer.status, answer.code()), (404, "not_found"), "{path}");
    }
}

#[tokio::test]
async fn an_unknown_body_or_path_is_not_looked_at_without_a_key() {
    let app = TestApp::start().await;
    let nobody = app.nobody();
    assert_refused(&nobody.get(format!("{CONTACTS}/abc")).await);
    assert_refused(&nobody.get(format!("{CONTACTS}?q=%zz")).await);
    assert_refused(&nobody.post(INBOXES, json!({})).await);
    assert_refused(&nobody.call("POST", CONTACTS).text("text/plain", "{").send().await);
    let agent = app.key(Role::Agent).await;
    let answer = agent.call("POST", INBOXES).text("text/plain", "{").send().await;
    assert_eq!((answer.status, answer.code()), (403, "forbidden"));
}
