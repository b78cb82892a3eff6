//! `meishi backup` and `restore`: with and without a running server, and when they are broken off.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use rusqlite::Connection;
use serde_json::Value;

use crate::{
    client::Credential,
    running::{Finished, Place, Server},
};

/// A place with an account of three contacts, served or not.
fn filled(serve: bool) -> (Place, Credential, Option<Server>) {
    let place = Place::new();
    let first = place.init();
    let server = place.serve(&[]);
    for number in 0..3 {
        server.client(&first).create(first.inbox, &format!("{number}@x.test"));
    }
    if serve {
        return (place, first, Some(server));
    }
    server.stop();
    (place, first, None)
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_backup_is_restored_elsewhere_with_everything_in_its_next_epoch() {
    for serve in [false, true] {
        let (place, first, server) = filled(serve);
        fs::create_dir(place.home().join("backups")).unwrap();
        // The path is the command's own, not the server's.
        let backup = place.json(&["backup", "backups/one.db", "--json"]);
        let file = place.home().join("backups/one.db");
        assert_eq!(backup["path"], fs::canonicalize(&file).unwrap().to_str().unwrap());
        let metadata = fs::metadata(&file).unwrap();
        assert_eq!(backup["bytes"], metadata.len());
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        let counts = |reply: &Value| {
            ["accounts", "contacts", "events"].map(|name| reply[name].as_i64().unwrap())
        };
        assert_eq!(counts(&backup), [1, 3, 6]);
        assert!(backup["last_event_at"].as_str().unwrap().ends_with('Z'));

        let args = ["restore", "backups/one.db", "--data-dir", "other", "--json"];
        let restored = place.json(&args);
        assert_eq!(restored["path"], "other/meishi.db");
        assert_eq!((counts(&restored), &restored["epoch"]), ([1, 3, 6], &2.into()));
        assert_eq!(restored["last_event_at"], backup["last_event_at"]);
        let other = place.serve(&["--data-dir", "other"]);
        assert_eq!(other.client(&first).list("").0, 3);
        assert_eq!(other.client(&first).create(first.inbox, "4@x.test"), 4);
        if let Some(server) = server {
            assert_eq!(server.client(&first).list("").0, 3, "the origin goes on by itself");
        }
        assert_eq!(names(&place.home().join("backups")), ["one.db"]);
    }
}

#[test]
fn a_cursor_outlives_a_restart_and_not_a_restore() {
    let (place, first, server) = filled(true);
    let server = server.unwrap();
    let (_, page) = server.client(&first).get("contacts?sort=id&limit=1");
    let cursor = page["meta"]["next_cursor"].as_str().unwrap();
    let next_page = format!("contacts?sort=id&limit=1&cursor={cursor}");
    place.run(&["backup", "one.db"]).succeeded();
    server.stop();
    let server = place.serve(&[]);
    let (status, page) = server.client(&first).get(&next_page);
    assert_eq!((status, &page["payload"][0]["id"]), (200, &2.into()), "{page}");
    place.run(&["restore", "one.db", "--data-dir", "other"]).succeeded();
    let other = place.serve(&["--data-dir", "other"]);
    let (status, refusal) = other.client(&first).get(&next_page);
    assert_eq!((status, &refusal["code"]), (410, &"cursor_expired".into()), "{refusal}");
}

#[test]
fn people_are_told_in_one_line() {
    for serve in [false, true] {
        let (place, _first, _server) = filled(serve);
        let wrote = place.run(&["backup", "one.db"]).succeeded().stdout;
        let holds = "1 account, 3 contacts, 6 events, the last of 2";
        assert!(wrote.starts_with("wrote /") && wrote.contains("/one.db ("), "{wrote}");
        assert!(wrote.contains(" bytes): ") && wrote.contains(holds), "{wrote}");
        let restored = place.run(&["restore", "one.db", "--data-dir", "other"]).succeeded().stdout;
        assert!(restored.starts_with("restored other/meishi.db: "), "{restored}");
        assert!(restored.contains(holds) && restored.ends_with("; epoch 2\n"), "{restored}");
        assert_eq!((wrote.lines().count(), restored.lines().count()), (1, 1));
    }
}

#[test]
fn a_backup_that_cannot_be_made_is_told_in_one_sentence_and_leaves_nothing() {
    for serve in [false, true] {
        let (place, _first, _server) = filled(serve);
        let before = names(place.home());
        for (file, parts) in [
            ("no/such/place.db", ["no/such/place.db", "cannot be written"]),
            ("meishi-data/meishi.db/x", ["meishi.db/x", "cannot be written"]),
            ("meishi-data/meishi.db", ["meishi-data/meishi.db is there already", "choose another"]),
        ] {
            let sentence = place.run(&["backup", file]).refused();
            assert!(parts.iter().all(|part| sentence.contains(part)), "{sentence}");
        }
        assert_eq!(names(place.home()), before);
    }
    let place = Place::new();
    let sentence = place.run(&["backup", "one.db"]).refused();
    assert!(sentence.contains("no database in ./meishi-data"), "{sentence}");
}

#[test]
fn a_backup_that_finds_no_room_leaves_nothing() {
    let (place, _first, _server) = filled(false);
    let size = fs::metadata(place.database()).unwrap().size();
    let mut command = Command::new("sh");
    // No file may grow beyond half of what is needed; the write fails as on a full disk.
    let script = "trap '' XFSZ; ulimit -f \"$1\"; shift; exec \"$@\"";
    command.env_clear().current_dir(place.home()).args(["-c", script, "sh"]);
    command.arg((size / 2 / 512).to_string()).arg(env!("CARGO_BIN_EXE_meishi"));
    let sentence = Finished::of(command.args(["backup", "one.db"])).refused();
    assert!(sentence.contains("one.db cannot be written ("), "{sentence}");
    assert!(sentence.contains("has room"), "{sentence}");
    assert_eq!(names(place.home()), ["meishi-data"]);
}

#[test]
fn a_restore_overwrites_nothing() {
    let (place, first, server) = filled(true);
    place.run(&["backup", "one.db"]).succeeded();
    let sentence = place.run(&["restore", "one.db"]).refused();
    assert!(sentence.contains("is in use by another meishi process"), "{sentence}");
    server.unwrap().stop();
    let sentence = place.run(&["restore", "one.db"]).refused();
    assert!(sentence.contains("meishi.db is there already"), "{sentence}");
    assert!(sentence.contains("--data-dir"), "{sentence}");
    assert_eq!(place.serve(&[]).client(&first).list("").0, 3);
}

#[test]
fn what_is_no_sound_backup_is_refused_in_one_sentence() {
    let (place, _first, _server) = filled(false);
    place.run(&["backup", "one.db"]).succeeded();
    let file = place.home().join("one.db");
    let change = |statement: &str| {
        Connection::open(&file).unwrap().execute_batch(statement).unwrap();
    };
    let restore = ["restore", "one.db", "--data-dir", "other"];
    let refused = |parts: &[&str]| {
        let sentence = place.run(&restore).refused();
        assert!(parts.iter().all(|part| sentence.contains(part)), "{sentence}");
        assert!(!place.home().join("other/meishi.db").exists());
    };
    change("UPDATE counters SET contacts = 7");
    refused(&["one.db is not sound", "contacts_counted", "--force", "meishi doctor"]);
    change("UPDATE counters SET contacts = 3; PRAGMA user_version = 999");
    refused(&["one.db was written by a newer meishi", "999", "restore it with that version"]);
    change("PRAGMA user_version = 1; PRAGMA application_id = 1");
    refused(&["one.db is not a backup of meishi's"]);
    fs::write(&file, "a diary").unwrap();
    refused(&["one.db is not a backup of meishi's"]);
    fs::remove_file(&file).unwrap();
    refused(&["one.db cannot be read"]);
}

#[test]
fn force_restores_what_contradicts_itself_and_the_doctor_goes_on_telling() {
    let (place, _first, _server) = filled(false);
    place.run(&["backup", "one.db"]).succeeded();
    let connection = Connection::open(place.home().join("one.db")).unwrap();
    connection.execute("UPDATE counters SET contacts = 7", []).unwrap();
    drop(connection);
    place.run(&["restore", "one.db", "--data-dir", "other", "--force"]).succeeded();
    let told = place.run(&["doctor", "--data-dir", "other"]);
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(told.stdout.contains("wrong    contacts_counted"), "{told:?}");
}

#[test]
fn a_restore_that_is_killed_leaves_nothing_or_a_whole_database() {
    let (place, first, _server) = filled(false);
    place.run(&["backup", "one.db"]).succeeded();
    let mut whole = 0;
    for round in 0..24 {
        let directory = format!("other-{round}");
        let args = ["restore", "one.db", "--data-dir", &directory];
        let mut child = place.command(&args).stdout(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis(round));
        child.kill().unwrap();
        child.wait().unwrap();
        if place.home().join(&directory).join("meishi.db").exists() {
            whole += 1;
        } else {
            place.run(&args).succeeded();
        }
        place.run(&["doctor", "--data-dir", &directory]).succeeded();
        let names = names(&place.home().join(&directory));
        assert_eq!(names, ["meishi.db", "meishi.lock"]);
    }
    println!("{whole} were whole");
    let server = place.serve(&["--data-dir", "other-0"]);
    assert_eq!(server.client(&first).list("").0, 3);
}
