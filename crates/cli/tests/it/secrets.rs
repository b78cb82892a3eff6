//! Where secrets and people's data must never be: in the log, in the database's files, in answers
//! to the command line.

use std::{fs, path::Path};

use meishi_test_postgres::Cluster;
use serde_json::json;

use crate::{client::Credential, running::Place, tables::Tables};

/// The files of the data directory that hold a text.
fn files_with(directory: &Path, needle: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        if !entry.file_type().unwrap().is_file() {
            continue;
        }
        let bytes = fs::read(entry.path()).unwrap();
        if bytes.windows(needle.len()).any(|window| window == needle.as_bytes()) {
            found.push(entry.file_name().into_string().unwrap());
        }
    }
    found
}

/// The tables of a PostgreSQL database that hold a text.
fn tables_with(url: &str, needle: &str) -> Vec<String> {
    let tables = Tables::in_use(url);
    let all = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'";
    let names = tables.rows(all, None).into_iter().map(|row| row.get::<String>(0));
    let holds = |name: &String| {
        let rows = format!("SELECT 1 FROM {name} AS one WHERE one::text LIKE '%{needle}%'");
        !tables.rows(&rows, None).is_empty()
    };
    names.filter(holds).collect()
}

#[test]
fn no_secret_is_in_the_log_or_in_the_files_of_the_database() {
    let place = Place::new();
    tell_secrets(&place, |needle| files_with(&place.data(), needle), "meishi.db");
}

#[test]
fn no_secret_is_in_the_log_or_in_the_tables_on_postgresql() {
    let place = Place::on(Cluster::shared());
    tell_secrets(&place, |needle| tables_with(place.url(), needle), "api_keys");
}

/// Uses secrets in every way, and looks for them where data is kept. `keys` is where the public
/// halves of keys are.
fn tell_secrets(place: &Place, kept: impl Fn(&str) -> Vec<String>, keys: &str) {
    // Everything that can be logged is.
    let server = place.serve(&["--log", "trace", "--log-format", "json"]);
    let greeting = server.out_with("-d '");
    let word = |prefix: &str| {
        greeting.split_whitespace().find(|word| word.starts_with(prefix)).unwrap().to_owned()
    };
    let first = Credential { account: 0, inbox: 1, key: word("mk_"), secret: word("ms_") };

    let client = server.client(&first);
    client.create(1, "anna@x.test");
    let mut secrets = vec![first.secret.clone()];
    let (status, made) = client.post("keys", &json!({ "name": "x", "role": "agent" }));
    assert_eq!(status, 200, "{made}");
    secrets.push(made["payload"]["api_secret"].as_str().unwrap().to_owned());
    for args in [
        &["keys", "create", "--name", "y", "--role", "agent", "--json"][..],
        &["keys", "rotate", "2", "--overlap", "60", "--json"],
        &["accounts", "create", "--name", "z", "--json"],
    ] {
        secrets.push(place.json(args)["api_secret"].as_str().unwrap().to_owned());
    }
    // Right and wrong, and in the places where a client may put them by mistake.
    let wrong = Credential { secret: "ms_0000wrong0000".into(), ..first.clone() };
    assert_eq!(server.client(&wrong).status(), 401);
    secrets.push(wrong.secret);
    let misplaced = format!("contacts?api_access_token={}&q={0}", first.secret);
    assert_eq!(client.get(&misplaced).0, 200);
    assert_eq!(client.get(&format!("contacts/{}", first.secret)).0, 404);

    let while_running: Vec<_> = secrets.iter().map(|secret| kept(secret)).collect();
    assert!(while_running.iter().all(Vec::is_empty), "{while_running:?}");
    let (_, log) = server.stop();
    for secret in &secrets {
        assert!(!log.contains(secret), "{secret} was logged");
        assert_eq!(kept(secret), [""; 0], "{secret} was stored");
    }
    assert!(log.contains("meishi::request") && !log.contains("ms_"), "{log}");
    // The search finds what is there.
    assert!(kept(&first.key).contains(&keys.to_owned()));
}

#[test]
fn what_people_are_called_and_how_they_are_reached_is_never_logged() {
    let formats = ["text", "json"].into_iter();
    for (format, place) in formats.flat_map(|format| Place::both().map(|place| (format, place))) {
        let credential = place.init();
        let server = place.serve(&["--log", "debug", "--log-format", format]);
        let client = server.client(&credential);
        let anna = json!({
            "inbox_id": credential.inbox, "name": "Annegret", "email": "annegret@x.test",
            "phone_number": "+4915112345678", "identifier": "uid-annegret",
        });
        assert_eq!(client.post("contacts", &anna).0, 200);
        assert_eq!(client.post("contacts", &anna).0, 422);
        for query in ["q=annegret@x.test", "q=%2B4915112345678", "q=Annegret&page=1&sort=name"] {
            assert_eq!(client.list(query).0, 1, "{query}");
        }
        assert_eq!(client.get("contacts/annegret@x.test").0, 404);
        assert_eq!(client.get("annegret@x.test").0, 404);
        assert_eq!(client.get(&format!("contacts?q={}", "annegret".repeat(2000))).0, 414);
        let broken = client.try_call("POST", "contacts", "annegret-is-my-own-id", None).unwrap();
        assert!((400..500).contains(&broken.0), "{broken:?}");

        let (_, log) = server.stop();
        // A request's id is the caller's own word.
        let log = log.replace("annegret-is-my-own-id", "").to_lowercase();
        for personal in ["annegret", "4915112345678"] {
            let line = log.lines().find(|line| line.contains(personal));
            assert!(line.is_none(), "{line:?}");
        }
        assert!(log.contains("/api/v2/accounts/contacts"), "{log}");
    }
}
