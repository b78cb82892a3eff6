//! What each role may do, route by route (`livedesk-wire.md` 9.2).

use meishi_contacts::Role;

use crate::{
    app::{TestApp, WEBHOOKS},
    routes::{self, Subjects},
};

/// What a caller needs for a route.
#[derive(Debug, Clone, Copy)]
enum Needs {
    Nothing,
    Role(Role),
}

use Needs::Nothing;
const READER: Needs = Needs::Role(Role::ReadOnly);
const AGENT: Needs = Needs::Role(Role::Agent);
const ADMINISTRATOR: Needs = Needs::Role(Role::Administrator);

/// Every route. A route that is missing here fails the test.
const PERMISSIONS: [(&str, &str, Needs); 49] = [
    ("GET", "/api/v2/accounts/contacts", READER),
    ("POST", "/api/v2/accounts/contacts", AGENT),
    ("PUT", "/api/v2/accounts/contacts", AGENT),
    ("POST", "/api/v2/accounts/contacts/batch", AGENT),
    ("POST", "/api/v2/accounts/contacts/lookup", READER),
    ("POST", "/api/v2/accounts/contacts/filter", READER),
    ("GET", "/api/v2/accounts/contacts/{id}", READER),
    ("PATCH", "/api/v2/accounts/contacts/{id}", AGENT),
    ("PUT", "/api/v2/accounts/contacts/{id}", AGENT),
    ("DELETE", "/api/v2/accounts/contacts/{id}", AGENT),
    ("GET", "/api/v2/accounts/contacts/{id}/labels", READER),
    ("POST", "/api/v2/accounts/contacts/{id}/labels", AGENT),
    ("GET", "/api/v2/accounts/contacts/{id}/history", READER),
    ("POST", "/api/v2/accounts/contacts/{id}/revert", AGENT),
    ("POST", "/api/v2/accounts/contacts/{id}/erase", ADMINISTRATOR),
    ("GET", "/api/v2/accounts/labels", READER),
    ("POST", "/api/v2/accounts/labels", ADMINISTRATOR),
    ("GET", "/api/v2/accounts/labels/{id}", READER),
    ("PATCH", "/api/v2/accounts/labels/{id}", ADMINISTRATOR),
    ("DELETE", "/api/v2/accounts/labels/{id}", ADMINISTRATOR),
    ("GET", "/api/v2/accounts/attributes", READER),
    ("POST", "/api/v2/accounts/attributes", ADMINISTRATOR),
    ("GET", "/api/v2/accounts/attributes/{id}", READER),
    ("PATCH", "/api/v2/accounts/attributes/{id}", ADMINISTRATOR),
    ("DELETE", "/api/v2/accounts/attributes/{id}", ADMINISTRATOR),
    ("GET", "/api/v2/accounts/inboxes", READER),
    ("POST", "/api/v2/accounts/inboxes", ADMINISTRATOR),
    ("PATCH", "/api/v2/accounts/inboxes/{id}", ADMINISTRATOR),
    ("DELETE", "/api/v2/accounts/inboxes/{id}", ADMINISTRATOR),
    ("GET", "/api/v2/accounts/keys", ADMINISTRATOR),
    ("POST", "/api/v2/accounts/keys", ADMINISTRATOR),
    ("PATCH", "/api/v2/accounts/keys/{id}", ADMINISTRATOR),
    ("DELETE", "/api/v2/accounts/keys/{id}", ADMINISTRATOR),
    ("POST", "/api/v2/accounts/keys/{id}/rotate", ADMINISTRATOR),
    ("GET", "/api/v2/accounts/webhooks", ADMINISTRATOR),
    ("POST", "/api/v2/accounts/webhooks", ADMINISTRATOR),
    ("GET", "/api/v2/accounts/webhooks/{id}", ADMINISTRATOR),
    ("PATCH", "/api/v2/accounts/webhooks/{id}", ADMINISTRATOR),
    ("DELETE", "/api/v2/accounts/webhooks/{id}", ADMINISTRATOR),
    ("POST", "/api/v2/accounts/webhooks/{id}/rotate", ADMINISTRATOR),
    ("GET", "/api/v2/accounts/webhooks/{id}/deliveries", ADMINISTRATOR),
    ("GET", "/api/v2/accounts/webhooks/{id}/deliveries/{seq}", ADMINISTRATOR),
    ("POST", "/api/v2/accounts/webhooks/{id}/redeliver", ADMINISTRATOR),
    ("GET", "/api/v2/accounts/changes", READER),
    ("GET", "/api/v2/accounts/events", READER),
    ("GET", "/livez", Nothing),
    ("GET", "/readyz", Nothing),
    ("GET", "/api/openapi.json", Nothing),
    ("GET", "/", Nothing),
];

fn needs(method: &str, path: &str) -> Needs {
    let found = PERMISSIONS.iter().find(|(m, p, _)| *m == method && *p == path);
    let Some((_, _, needs)) = found else {
        panic!("who may {method} {path}? Say so in PERMISSIONS")
    };
    *needs
}

#[test]
fn the_table_names_only_routes_that_there_are() {
    let routes = routes::all();
    for (method, path, _) in PERMISSIONS {
        assert!(routes.contains(&(method.to_owned(), path.to_owned())), "{method} {path}");
    }
    assert_eq!(routes.len(), PERMISSIONS.len());
}

#[tokio::test]
async fn each_role_may_do_what_the_table_says_and_nothing_else() {
    let app = TestApp::start().await;
    let administrator = app.administrator().await;
    let mut callers = vec![(None, app.nobody())];
    for role in Role::ALL {
        callers.push((Some(role), app.key(role).await));
    }
    for (method, path) in routes::all() {
        let needs = needs(&method, &path);
        for (role, caller) in &callers {
            let subjects = Subjects::make(&administrator, "subject").await;
            let before = app.events().await;
            let target = subjects.fill(&path);
            let body = subjects.body(&method, &path, app.inbox);
            let answer = routes::request(caller, &method, &target, &body).await;
            let expected = match (needs, role) {
                (Nothing, _) => 200,
                (Needs::Role(_), None) => 401,
                (Needs::Role(needed), Some(role)) if *role >= needed => 200,
                (Needs::Role(_), Some(_)) => 403,
            };
            assert_eq!(answer.status, expected, "{method} {path} as {role:?}: {}", answer.text);
            // To deliver once more changes nothing of the account.
            let is_write = !routes::only_reads(&method, &path) && !path.ends_with("/redeliver");
            let wrote = app.events().await > before;
            assert_eq!(wrote, is_write && expected == 200, "{method} {path} as {role:?}");
            // There may only be so many.
            administrator.delete(format!("{WEBHOOKS}/{}", subjects.webhook)).await;
            let created = answer.payload()["id"].as_i64().filter(|_| path == WEBHOOKS);
            if let Some(id) = created {
                administrator.delete(format!("{WEBHOOKS}/{id}")).await;
            }
        }
    }
}

#[tokio::test]
async fn a_head_request_needs_what_a_get_needs() {
    let app = TestApp::start().await;
    let agent = app.key(Role::Agent).await;
    for (method, path) in routes::all() {
        if method != "GET" || path.contains('{') {
            continue;
        }
        let (nobody, agent) =
            (app.nobody().call("HEAD", &path).send(), agent.call("HEAD", &path).send());
        let (nobody, agent) = (nobody.await.status, agent.await.status);
        let expected = match needs("GET", &path) {
            Nothing => (200, 200),
            Needs::Role(Role::Administrator) => (401, 403),
            Needs::Role(_) => (401, 200),
        };
        assert_eq!((nobody, agent), expected, "{path}");
    }
}
