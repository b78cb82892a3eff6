//! What can be wrong before anything is served: each is one sentence that says what to do.

use std::{fs, net::TcpListener};

use rusqlite::Connection;

use crate::running::{Finished, Place};

const SERVE: [&str; 3] = ["serve", "--listen", "127.0.0.1:0"];

/// Every command that opens the data directory is refused with a sentence that has these parts.
fn all_refused(place: &Place, parts: &[&str]) {
    for args in [&SERVE[..], &["init", "--json"], &["keys", "list"], &["doctor"], &["backup", "x"]]
    {
        refused(place, args, parts);
    }
}

fn refused(place: &Place, args: &[&str], parts: &[&str]) {
    let sentence = place.run(args).refused();
    for part in parts {
        assert!(sentence.contains(part), "{args:?}: {part:?} is not in {sentence:?}");
    }
}

#[test]
fn a_data_directory_that_another_process_holds_is_named() {
    let place = Place::new();
    let credential = place.init();
    let server = place.serve(&[]);
    for args in [&SERVE[..], &["init", "--json"]] {
        refused(&place, args, &["meishi-data is in use", "stop that one", "--data-dir"]);
    }
    assert_eq!(server.client(&credential).status(), 200, "the holder serves on");
}

#[test]
fn a_database_of_a_newer_version_is_left_as_it_is() {
    let place = Place::new();
    place.init();
    let version = |wanted: Option<i64>| {
        let database = Connection::open(place.database()).unwrap();
        if let Some(version) = wanted {
            database.pragma_update(None, "user_version", version).unwrap();
        }
        database.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)).unwrap()
    };
    version(Some(999));
    all_refused(&place, &["meishi.db", "newer meishi", "999", "start that version"]);
    assert_eq!(version(None), 999);
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let place = Place::new();
    fs::write(place.home().join("file"), "").unwrap();
    for directory in ["file", "file/below"] {
        let args = [&SERVE[..], &["--data-dir", directory]].concat();
        refused(&place, &args, &[directory, "cannot be used", "--data-dir"]);
        refused(&place, &["init", "--data-dir", directory], &[directory, "--data-dir"]);
    }
}

#[test]
fn a_file_that_is_no_database_of_ours_is_left_as_it_is() {
    let place = Place::new();
    fs::create_dir(place.data()).unwrap();
    let text = "This is the diary of somebody else.\n".repeat(100);
    fs::write(place.database(), &text).unwrap();
    all_refused(&place, &["meishi.db is not a database of meishi's", "move it away"]);
    assert_eq!(fs::read_to_string(place.database()).unwrap(), text);
}

#[test]
fn a_database_of_another_program_is_left_as_it_is() {
    let place = Place::new();
    fs::create_dir(place.data()).unwrap();
    let other = Connection::open(place.database()).unwrap();
    other.execute_batch("CREATE TABLE diary (day TEXT); INSERT INTO diary VALUES ('x');").unwrap();
    drop(other);
    let before = fs::read(place.database()).unwrap();
    all_refused(&place, &["meishi.db is not a database of meishi's", "move it away"]);
    assert!(fs::read(place.database()).unwrap() == before);
}

#[test]
fn a_directory_in_the_place_of_the_database_is_named() {
    let place = Place::new();
    fs::create_dir_all(place.database()).unwrap();
    all_refused(&place, &["meishi.db", "--data-dir"]);
}

#[test]
fn a_damaged_database_is_named() {
    let place = Place::new();
    place.init();
    let mut bytes = fs::read(place.database()).unwrap();
    // The header stays, the schema's first page does not.
    bytes[100..4096].fill(0x5a);
    fs::write(place.database(), bytes).unwrap();
    all_refused(&place, &["meishi.db cannot be opened", "restore it from a backup"]);
}

#[test]
fn a_taken_port_is_named_and_the_secret_is_not_lost_on_it() {
    let place = Place::new();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let sentence = ["is taken by another process", "stop that one or choose another", &taken];
    let parts = |flag| [&sentence[..], &[flag]].concat();
    refused(&place, &["serve", "--listen", &taken], &parts("--listen"));
    let args = [&SERVE[..], &["--metrics-listen", &taken]].concat();
    refused(&place, &args, &parts("--metrics-listen"));

    // No account was made whose secret nobody saw: the next start is still the first.
    place.serve(&[]).out_with("API secret  ms_");
}

#[test]
fn an_address_that_is_none_is_named() {
    let place = Place::new();
    for wrong in ["nonsense", "127.0.0.1", "127.0.0.1:99999", "192.0.2.1:80"] {
        refused(&place, &["serve", "--listen", wrong], &[wrong, "--listen"]);
    }
}

#[test]
fn a_configuration_file_that_cannot_be_read_is_named_with_the_line() {
    let place = Place::new();
    let file = place.home().join("meishi.toml");
    for (text, parts) in [
        ("listen = \n", &["line 1"][..]),
        ("\nlisten = 8080\n", &["line 2", "expected a string"]),
        ("log_format = \"xml\"\n", &["line 1", "xml", "text", "json"]),
        ("metrics_listen = \"here\"\n", &["line 1"]),
        ("data_dirr = \"x\"\n", &["line 1", "data_dirr"]),
    ] {
        fs::write(&file, text).unwrap();
        let parts = [&["meishi.toml", "meishi config example"], parts].concat();
        all_refused(&place, &parts);
    }
    fs::remove_file(file).unwrap();
    refused(&place, &["init", "--config", "gone.toml"], &["gone.toml", "is not there"]);
}

#[test]
fn an_environment_variable_that_cannot_be_read_is_named() {
    let place = Place::new();
    for (name, value) in [("MEISHI_LOG_FORMAT", "xml"), ("MEISHI_METRICS_LISTEN", "here")] {
        let mut command = place.command(&SERVE);
        let sentence = Finished::of(command.env(name, value)).refused();
        assert!(sentence.contains(name), "{sentence}");
    }
    let sentence = place.run(&[&SERVE[..], &["--log", "loud=very"]].concat()).refused();
    assert!(sentence.contains("loud=very"), "{sentence}");
}

#[test]
fn a_command_where_there_is_no_database_makes_none_and_says_how_to() {
    let place = Place::new();
    for args in [
        &["keys", "list"][..],
        &["inboxes", "list"],
        &["accounts", "list"],
        &["keys", "create", "--name", "x", "--role", "agent"],
    ] {
        refused(&place, args, &["no database in ./meishi-data", "meishi init", "--data-dir"]);
    }
    assert!(!place.data().exists());
}
