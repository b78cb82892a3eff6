//! Snapshots of indexes, from one run of the server to the next.

use std::{fs, os::unix::fs::PermissionsExt, thread, time::Duration};

use serde_json::{Value, json};

use crate::{
    client::{Client, Credential, fetch},
    running::{PATIENCE, Place, Server},
};

/// As many contacts as have a snapshot.
fn fill(client: &Client, credential: &Credential) {
    for from in (0..11_000).step_by(1000) {
        let operation = |number: i32| {
            let contact =
                json!({ "inbox_id": credential.inbox, "name": format!("Somebody {number}") });
            json!({ "op": "create", "contact": contact })
        };
        let operations: Vec<Value> = (from..from + 1000).map(operation).collect();
        let body = json!({ "atomic": true, "operations": operations });
        assert_eq!(client.try_call("POST", "contacts/batch", "test", Some(&body)).unwrap().0, 200);
    }
}

fn found(client: &Client, q: &str) -> i64 {
    let (status, answer) =
        client.try_call("GET", &format!("contacts?q={q}"), "test", None).unwrap();
    assert_eq!(status, 200, "{answer}");
    answer["meta"]["count"].as_i64().unwrap()
}

/// How far the warming is, once it is over.
fn warmed(server: &Server) -> Value {
    let begun = std::time::Instant::now();
    loop {
        let (status, body) = fetch(&format!("{}/readyz?verbose", server.base));
        assert_eq!(status, 200);
        let body: Value = serde_json::from_str(&body).unwrap();
        if body["warming"]["over"] == true {
            return body["warming"].clone();
        }
        assert!(begun.elapsed() < PATIENCE, "{body}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_stop_leaves_a_snapshot_and_a_start_takes_it_up() {
    for place in Place::both() {
        let credential = place.init();
        let folder = if place.is_on_postgres() {
            place.home().join("snapshots")
        } else {
            place.data().join("indexes")
        };
        let shown = folder.display().to_string();
        let args = if place.is_on_postgres() { vec!["--index-dir", &shown] } else { vec![] };
        let server = place.serve(&args);
        let client = server.client(&credential);
        assert_eq!(warmed(&server)["accounts"], 0);
        fill(&client, &credential);
        assert_eq!(found(&client, "somebody"), 11_000);
        server.stop();
        let file = folder.join(format!("{}.snapshot", credential.account));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);

        let server = place.serve(&args);
        assert_eq!(warmed(&server)["done"], 1);
        let client = server.client(&credential);
        assert_eq!(found(&client, "somebody%209999"), 1);
        assert_eq!(client.try_call("POST", "contacts/17/erase", "test", None).unwrap().0, 200);
        assert!(!file.exists());
        assert_eq!(found(&client, "somebody"), 10_999);
        server.kill();

        let server = place.serve(&args);
        assert_eq!(found(&server.client(&credential), "somebody"), 10_999);
        server.stop();
        assert!(file.exists());
    }
}

#[test]
fn memory_that_is_none_is_refused() {
    let place = Place::new();
    for (size, told) in [("2GB", "is not an amount of memory"), ("1KiB", "of 1MiB or more")] {
        let done = place.run(&["serve", "--index-memory", size]);
        assert_ne!(done.code, Some(0));
        assert!(done.stderr.contains(told), "{done:?}");
    }
}

#[test]
fn the_doctor_names_an_account_that_does_not_fit_into_memory() {
    let place = Place::new();
    let credential = place.init();
    let server = place.serve(&["--index-memory", "1MiB"]);
    let client = server.client(&credential);
    let told = |severity: &str| {
        let done = place.run(&["doctor"]);
        let line = done.stdout.lines().find(|line| line.contains(" index_memory: ")).unwrap();
        assert!(line.starts_with(severity), "{line}");
        (done.code, line.to_owned())
    };
    assert_eq!(told("ok  ").0, Some(0));

    let contact = json!({ "inbox_id": credential.inbox, "name": "x".repeat(250) });
    let operation = json!({ "op": "create", "contact": contact });
    let body = json!({ "atomic": true, "operations": vec![operation; 1000] });
    for _ in 0..4 {
        assert_eq!(client.post("contacts/batch", &body).0, 200);
    }
    let (status, refusal) = client.get("contacts");
    assert_eq!((status, &refusal["code"]), (503, &json!("no_index_memory")));
    let (code, line) = told("wrong  ");
    assert_eq!(code, Some(1));
    assert!(line.contains(&format!(": account {}: its contacts do not fit", credential.account)));
    assert!(line.ends_with("; give indexes more memory with --index-memory"), "{line}");

    // What it says to do is what helps.
    server.stop();
    let server = place.serve(&["--index-memory", "16MiB"]);
    assert_eq!(server.client(&credential).status(), 200);
    assert_eq!(told("ok  ").0, Some(0));
}
