//! `meishi copy`: a service moves to PostgreSQL and back, also when the copy is killed on the way.

use std::{
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use meishi_test_postgres::Cluster;
use rusqlite::{Connection, OpenFlags};
use serde_json::json;

use crate::{
    client::Client,
    running::{Finished, PATIENCE, Place},
};

/// Labels that make a database large enough to be killed in.
const LABELS: i64 = 60_000;

/// A data directory as `--from` and `--to` name it.
fn named(place: &Place) -> String {
    format!("sqlite:{}", place.data().display())
}

/// A copy that must end well, with every table equal.
fn succeeds(finished: Finished, to: &str) {
    let done = finished.succeeded();
    let mut lines: Vec<&str> = done.stdout.lines().collect();
    let last = lines.pop().unwrap();
    assert!(last.starts_with("copied ") && last.ends_with(to), "{last}");
    assert_eq!(lines.len(), 17, "{done:?}");
    for line in &lines[1..] {
        let columns: Vec<&str> = line.split_whitespace().collect();
        assert_eq!((columns.len(), columns[3]), (4, "yes"), "{line}");
    }
}

/// What callers see of an account.
fn seen(client: &Client) -> Vec<(u16, serde_json::Value)> {
    let paths = ["contacts?page_size=100", "contacts/1", "contacts/1/labels", "inboxes", "keys"];
    let mut answers: Vec<_> = paths.iter().map(|path| client.get(path)).collect();
    // The one thing that reading changes.
    let keys = answers.last_mut().unwrap().1["payload"].as_array_mut().unwrap();
    for key in keys {
        assert!(key.as_object_mut().unwrap().shift_remove("last_used_at").is_some());
    }
    answers
}

#[test]
fn a_service_moves_to_postgresql_and_back() {
    let (here, back) = (Place::new(), Place::new());
    let database = Cluster::shared().create_database();
    let url = database.url();
    let first = here.init();

    let server = here.serve(&[]);
    let client = server.client(&first);
    let id = client.create(first.inbox, "王伟@例え.jp");
    for number in 0..20 {
        client.create(first.inbox, &format!("anna{number}@example.com"));
    }
    let labels = json!({ "labels": ["vip", "中文"] });
    assert_eq!(client.post(&format!("contacts/{id}/labels"), &labels).0, 200);
    let before = seen(&client);
    assert!(before.iter().all(|(status, _)| *status == 200), "{before:?}");
    server.stop();

    succeeds(here.run(&["copy", "--from", &named(&here), "--to", url]), database.name());
    let server = here.serve(&["--database", url]);
    let client = server.client(&first);
    assert_eq!(seen(&client), before);
    assert_eq!(client.create(first.inbox, "later@example.com"), 22);
    let after = seen(&client);
    server.stop();

    let copied = back.run(&["copy", "--from", url, "--to", &named(&back)]);
    succeeds(copied, &named(&back));
    let server = back.serve(&[]);
    assert_eq!(seen(&server.client(&first)), after);
    server.stop();
}

/// A place with many labels.
fn large() -> Place {
    let place = Place::new();
    place.init();
    let connection = Connection::open(place.database()).unwrap();
    let labels = "INSERT INTO labels (account_id, id, title)
        WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?1)
        SELECT account_id, n, 'label ' || n FROM counters, numbers";
    connection.execute(labels, [LABELS]).unwrap();
    connection.execute("UPDATE counters SET last_label_id = ?1", [LABELS]).unwrap();
    place
}

fn start(place: &Place, from: &str, to: &str) -> Child {
    let mut command = place.command(&["copy", "--from", from, "--to", to]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// As `kill -9` does.
fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// How many labels half a copy has, if it is one.
fn labels_of(target: &Place) -> Option<i64> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = Connection::open_with_flags(target.database(), flags).ok()?;
    let sql = "SELECT (SELECT count(*) FROM labels) FROM copies";
    connection.query_row(sql, [], |row| row.get(0)).ok()
}

/// Kills a copy once it has some of the labels.
fn kill_among_labels(from: &Place, target: &Place) {
    let child = start(from, &named(from), &named(target));
    let begun = Instant::now();
    while labels_of(target).unwrap_or(0) < LABELS / 10 {
        assert!(begun.elapsed() < PATIENCE, "it does not get there");
        thread::sleep(Duration::from_millis(1));
    }
    kill(child);
}

#[test]
fn a_copy_that_was_killed_goes_on_and_nobody_uses_it_before() {
    let (place, target) = (large(), Place::new());
    kill_among_labels(&place, &target);
    let copied = labels_of(&target).expect("the marker is there");
    let sentence = target.run(&["keys", "list"]).refused();
    assert!(sentence.contains("unfinished copy; run `meishi copy` again"), "{sentence}");

    succeeds(
        place.run(&["copy", "--from", &named(&place), "--to", &named(&target)]),
        "meishi-data",
    );
    assert!(copied > 0 && labels_of(&target).is_none());
    target.run(&["keys", "list"]).succeeded();
}

#[test]
fn a_copy_into_postgresql_survives_any_number_of_kills() {
    let place = large();
    let database = Cluster::shared().create_database();
    for _ in 0..6 {
        let child = start(&place, &named(&place), database.url());
        thread::sleep(Duration::from_millis(fastrand::u64(50..800)));
        kill(child);
    }
    let again = place.run(&["copy", "--from", &named(&place), "--to", database.url()]);
    // It may have got to its end before the last kill.
    if again.code == Some(0) {
        succeeds(again, database.name());
    } else {
        assert!(again.refused().contains("is not empty"));
    }
    let back = Place::new();
    succeeds(back.run(&["copy", "--from", database.url(), "--to", &named(&back)]), "meishi-data");
}

#[test]
fn a_copy_that_differs_says_where_and_fails() {
    let (place, target) = (large(), Place::new());
    kill_among_labels(&place, &target);
    let connection = Connection::open(target.database()).unwrap();
    assert_eq!(connection.execute("UPDATE inboxes SET name = name || '.'", []).unwrap(), 1);
    drop(connection);

    let args = ["copy", "--from", &named(&place), "--to", &named(&target)];
    let differs = place.run(&args);
    assert_eq!(differs.code, Some(1), "{differs:?}");
    let line = differs.stdout.lines().find(|line| line.starts_with("inboxes")).unwrap();
    assert!(line.ends_with("NO"), "{line}");
    assert_eq!(differs.stdout.matches("NO").count(), 1, "{differs:?}");
    assert_eq!(differs.stderr.lines().count(), 1, "{differs:?}");
    assert!(differs.stderr.contains("in inboxes: something else wrote"), "{differs:?}");
    target.run(&["keys", "list"]).refused();
    succeeds(place.run(&args), "meishi-data");
}

#[test]
fn what_is_refused_is_said_without_a_password() {
    let place = Place::new();
    place.init();
    let here = named(&place);
    for (from, to, says) in [
        ("meishi-data", here.as_str(), "give --from sqlite:DIR or a URL"),
        (&here, "mysql://u:hunter2@db/m", "give --to sqlite:DIR or a URL"),
        (&here, "postgres://u:hunter2@127.0.0.1:1/m", "correct the host and the port in --to"),
        (&here, "postgres://u:p@hunter2@db/m", "write %40"),
        (&here, &here, "name the same database"),
        (&here, "sqlite:meishi-data/../meishi-data", "is in use"),
        ("sqlite:nowhere", "sqlite:target", "there is no database of meishi's in sqlite:nowhere"),
    ] {
        let sentence = place.run(&["copy", "--from", from, "--to", to]).refused();
        assert!(sentence.contains(says), "{sentence}");
        assert!(!sentence.contains("hunter2"), "{sentence}");
    }
}

#[test]
fn the_databases_may_be_named_by_the_environment() {
    let (place, target) = (Place::new(), Place::new());
    place.init();
    let mut command = place.command(&["copy"]);
    command.env("MEISHI_COPY_FROM", named(&place)).env("MEISHI_COPY_TO", named(&target));
    succeeds(Finished::of(&mut command), "meishi-data");
    let mut command = place.command(&["copy", "--help"]);
    command.env("MEISHI_COPY_TO", "postgres://u:hunter2@db/m");
    let help = Finished::of(&mut command).succeeded().stdout;
    assert!(help.contains("MEISHI_COPY_TO") && !help.contains("hunter2"), "{help}");
}
