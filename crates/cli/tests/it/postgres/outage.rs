//! A database that goes away under a running server, and comes back.

use std::{
    thread,
    time::{Duration, Instant},
};

use meishi_test_postgres::Cluster;
use serde_json::json;

use crate::{
    client::{Client, fetch},
    running::{PATIENCE, Place, Server},
};

/// How soon a caller is to be told that nothing goes, and a server to find its database again.
const SOON: Duration = Duration::from_secs(8);

fn probe(server: &Server, name: &str) -> u16 {
    fetch(&format!("{}/{name}", server.base)).0
}

fn heals(server: &Server, client: &Client) {
    let begun = Instant::now();
    while probe(server, "readyz") != 200 || client.status() != 200 {
        assert!(begun.elapsed() < SOON, "still not ready");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn requests_are_refused_while_the_database_is_away_and_served_when_it_is_back() {
    let cluster = Cluster::start(&[], &[]);
    let place = Place::on(&cluster);
    let credential = place.init();
    let server = place.serve(&[]);
    let client = server.client(&credential);
    let mut id = client.create(credential.inbox, "anna@x.test");
    assert_eq!(client.list("q=anna").0, 1);

    for (number, away) in [Cluster::stop as fn(&Cluster), Cluster::crash].into_iter().enumerate() {
        away(&cluster);
        let anna = format!("contacts/{id}");
        let body = json!({ "inbox_id": credential.inbox, "name": "never there" });
        // More than there are connections in the pool.
        for _ in 0..4 {
            for (method, path, body) in [
                ("GET", "contacts", None),
                ("GET", "contacts?q=anna", None),
                ("GET", "keys", None),
                ("GET", &anna, None),
                ("POST", "contacts", Some(&body)),
                ("PATCH", &anna, Some(&body)),
                ("DELETE", &anna, None),
            ] {
                let begun = Instant::now();
                let refusal = client.afresh().call_in_vain(method, path, body);
                assert_eq!(refusal, (503, Some("1".into()), "unavailable".into()), "{method}");
                assert!(begun.elapsed() < SOON, "{method} {path}: {:?}", begun.elapsed());
            }
        }
        assert_eq!((probe(&server, "readyz"), probe(&server, "livez")), (503, 200));
        // A command says so in its sentence.
        assert!(place.run(&["keys", "list"]).refused().contains("cannot be reached"));

        cluster.resume();
        heals(&server, &client);
        assert_eq!(client.list("q=never").0, 0, "nothing was written");
        assert_eq!(client.list("").0, 1 + i64::try_from(number).unwrap());
        id = client.create(credential.inbox, &format!("bert{number}@x.test"));
        assert_eq!(client.list(&format!("q=bert{number}")).0, 1);
        assert_eq!(place.json(&["keys", "list", "--json"]).as_array().unwrap().len(), 1);
    }
    let (_, log) = server.stop();
    assert!(!log.contains("defect"), "{log}");
}

#[test]
fn callers_that_write_on_while_the_database_restarts_lose_nothing() {
    let cluster = Cluster::start(&[], &[]);
    let place = Place::on(&cluster);
    let credential = place.init();
    let server = place.serve(&[]);
    let client = server.client(&credential);
    let written: Vec<String> = thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let (client, credential) = (client.clone(), &credential);
                scope.spawn(move || write_through(&client, credential.inbox, writer))
            })
            .collect();
        for _ in 0..2 {
            thread::sleep(Duration::from_millis(400));
            cluster.stop();
            cluster.resume();
        }
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    assert_eq!(client.list("").0, i64::try_from(written.len()).unwrap());
    for email in written {
        assert_eq!(client.list(&format!("q={email}")).0, 1);
    }
}

/// Writes some contacts, each again until it is answered for.
fn write_through(client: &Client, inbox: i64, writer: usize) -> Vec<String> {
    let deadline = Instant::now() + PATIENCE;
    let email = |number| format!("w{writer}-{number}@x.test");
    for number in 0..40 {
        let body = json!({ "inbox_id": inbox, "email": email(number) });
        let mut in_doubt = false;
        loop {
            let (status, answer) = client.afresh().post("contacts", &body);
            match (status, answer["code"].as_str()) {
                (200, _) => break,
                (503, Some("unavailable" | "busy")) => {}
                (503, Some("commit_in_doubt")) => in_doubt = true,
                (422, Some("taken")) if in_doubt => break,
                _ => panic!("{status}: {answer}"),
            }
            assert!(Instant::now() < deadline, "{answer}");
            thread::sleep(Duration::from_millis(30));
        }
        thread::sleep(Duration::from_millis(30));
    }
    (0..40).map(email).collect()
}
