//! Commands beside running servers: they go to the database themselves, and the servers see what
//! they did.

use std::{
    thread,
    time::{Duration, Instant},
};

use meishi_test_postgres::Cluster;
use serde_json::json;

use crate::{
    client::{Client, Credential},
    running::Place,
};

/// How long a server may go on with what it knows of a key.
const KNOWN: Duration = Duration::from_secs(1);

fn refused_within_a_second(client: &Client) {
    let revoked = Instant::now();
    loop {
        let asked = revoked.elapsed();
        match client.status() {
            401 => return,
            status => assert!(status == 200 && asked < KNOWN, "{status} after {asked:?}"),
        }
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_a_command_does_holds_for_every_server_at_once() {
    let place = Place::on(Cluster::shared());
    let first = place.init();
    let servers = [place.serve(&[]), place.serve(&[])];

    let args = ["keys", "create", "--name", "x", "--role", "administrator", "--json"];
    let key = first.with_key(&place.json(&args));
    let clients = servers.each_ref().map(|server| server.client(&key));
    for client in &clients {
        assert_eq!(client.status(), 200);
    }
    let rotated = place.json(&["keys", "rotate", "2", "--json"]);
    let clients_after = servers.each_ref().map(|server| server.client(&key.with_key(&rotated)));
    for (old, new) in clients.iter().zip(&clients_after) {
        assert_eq!(new.status(), 200);
        refused_within_a_second(old);
    }
    place.json(&["keys", "revoke", "2", "--json"]);
    for client in &clients_after {
        refused_within_a_second(client);
    }

    let inbox = place.json(&["inboxes", "create", "--name", "Mail", "--json"])["id"].clone();
    let second = Credential::of(&place.json(&["accounts", "create", "--name", "B", "--json"]));
    for (number, server) in servers.iter().enumerate() {
        let email = format!("anna{number}@x.test");
        let body = json!({ "inbox_id": inbox, "email": email });
        assert_eq!(server.client(&first).post("contacts", &body).0, 200);
        server.client(&second).create(second.inbox, &email);
    }
    let accounts = place.json(&["accounts", "list", "--json"]);
    assert!(accounts.as_array().unwrap().iter().all(|row| row["contacts"] == 2), "{accounts}");
}

#[test]
fn what_one_server_wrote_the_other_finds_with_its_next_search() {
    let place = Place::on(Cluster::shared());
    let credential = place.init();
    let servers = [place.serve(&[]), place.serve(&[])];
    let [one, other] = servers.each_ref().map(|server| server.client(&credential));
    for number in 0..20 {
        let (writes, looks) = if number % 2 == 0 { (&one, &other) } else { (&other, &one) };
        let email = format!("anna{number}@x.test");
        let id = writes.create(credential.inbox, &email);
        assert_eq!(looks.list(&format!("q={email}")), (1, vec![email.clone()]));
        let path = format!("contacts/{id}");
        let body = json!({ "email": format!("new{number}@x.test") });
        assert_eq!(looks.try_call("PATCH", &path, "test", Some(&body)).unwrap().0, 200);
        assert_eq!(writes.list(&format!("q={email}")).0, 0);
        assert_eq!(writes.list(&format!("q=new{number}@x.test")).0, 1);
    }
}

#[test]
fn of_one_key_at_two_servers_one_does_the_work_and_the_other_waits_for_it() {
    let place = Place::on(Cluster::shared());
    let credential = place.init();
    let servers = [place.serve(&[]), place.serve(&[])];
    let clients = servers.each_ref().map(|server| server.client(&credential));
    for number in 0..40 {
        let key = format!("key-{number}");
        let body = json!({ "inbox_id": credential.inbox, "name": key });
        let answers = thread::scope(|scope| {
            let calls = clients.each_ref().map(|client| {
                let (key, body) = (&key, &body);
                scope.spawn(move || client.try_keyed("contacts", key, body).unwrap())
            });
            calls.map(|call| call.join().unwrap())
        });
        let [one, other] = answers;
        assert_eq!((one.0, other.0), (200, 200), "{} {}", one.2, other.2);
        assert!(one.1 != other.1, "one is a replay of the other");
        assert_eq!(one.2, other.2);
    }
    assert_eq!(clients[0].list("").0, 40);
}
