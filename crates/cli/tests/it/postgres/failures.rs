//! What can be wrong with the database before anything is served: each is one sentence that says
//! what to do, without the password.

use std::{fs, net::TcpListener};

use meishi_test_postgres::Cluster;

use super::{Guarded, PASSWORD};
use crate::running::{Finished, Place};

const COMMANDS: [&[&str]; 3] =
    [&["serve", "--listen", "127.0.0.1:0"], &["init", "--json"], &["keys", "list"]];

/// Every command is refused with a sentence that has these parts, by flag and by environment.
fn all_refused(url: &str, parts: &[&str]) {
    let place = Place::new();
    for args in COMMANDS {
        let mut by_flag = place.command(args);
        by_flag.args(["--database", url]);
        let mut by_environment = place.command(args);
        by_environment.env("MEISHI_DATABASE_URL", url);
        for mut command in [by_flag, by_environment] {
            let sentence = Finished::of(&mut command).refused();
            for part in parts.iter().chain(&["--database"]) {
                assert!(sentence.contains(part), "{part:?} is not in {sentence:?}");
            }
            assert!(!sentence.contains(PASSWORD), "{sentence}");
        }
    }
}

#[test]
fn a_server_that_does_not_let_one_in_is_named_with_its_reason() {
    let guarded = Guarded::start();
    let name = guarded.database.name();
    let refused =
        &["refuses the connection", "anna@127.0.0.1", "correct the user and the password"];
    all_refused(&guarded.url_with(&format!("{PASSWORD}wrong"), name), refused);
    let none = guarded.url().replace(&format!(":{PASSWORD}%40Wort"), "");
    all_refused(&none, &["it asks for a password"]);
    let missing = guarded.url_with(&format!("{PASSWORD}%40Wort"), "missing");
    all_refused(&missing, &["/missing does not exist", "CREATE DATABASE"]);

    guarded.cluster.stop();
    all_refused(
        &guarded.url(),
        &["cannot be reached", "the connection is refused", "start its server"],
    );
    guarded.cluster.resume();
    let place = Place::new();
    let mut init = place.command(&["init", "--json", "--database", &guarded.url()]);
    Finished::of(&mut init).json();
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    for (place, parts) in [
        (format!("127.0.0.1:{port}/x"), ["cannot be reached", "the connection is refused"]),
        ("no-such-host.invalid/x".to_owned(), ["cannot be reached", "host's name is not known"]),
        ("%2Fno-such-directory/x".to_owned(), ["cannot be reached", "there is no such socket"]),
    ] {
        all_refused(&format!("postgres://anna:{PASSWORD}@{place}"), &parts);
    }
}

#[test]
fn a_text_that_is_no_url_of_postgresql_is_not_repeated() {
    let scheme = &["does not begin with postgres://"][..];
    for (url, parts) in [
        ("mysql://anna:PASSWORD@db/x", scheme),
        ("PASSWORD", scheme),
        ("", scheme),
        ("host=db password=PASSWORD", scheme),
        ("anna:PASSWORD@db/x", scheme),
        ("postgres://", &["names no host"]),
        ("postgres://anna:PASS/WORD@PASSWORD/x", &["%2F"]),
        ("postgres://anna:PASSWORD@PASSWORD@db/x", &["%40"]),
        ("postgres://anna:PASSWORD@db:PASSWORD/x", &["cannot be used"]),
        ("postgres://anna:PASSWORD@db:99999/x", &["cannot be used"]),
        ("postgres://db/x?password=PASSWORD&sslmode=PASSWORD", &["sslmode"]),
        ("postgres://db/x?password=PASSWORD&PASSWORD=1", &["parameter number 2"]),
        ("postgres://anna:PASSWORD@db/x?connect_timeout=PASSWORD", &["connect_timeout"]),
    ] {
        all_refused(&url.replace("PASSWORD", PASSWORD), parts);
    }
}

#[test]
fn a_file_that_is_broken_where_the_password_stands_is_named_without_it() {
    let place = Place::new();
    for text in [
        format!("database = postgres://anna:{PASSWORD}@db/x\n"),
        format!("database = \"postgres://anna:{PASSWORD}\"@db/x\"\n"),
        format!("database = 'postgres://anna:{PASSWORD}@db/x\n"),
        format!("database = [\"postgres://anna:{PASSWORD}@db/x\"]\n"),
        format!("databas = \"postgres://anna:{PASSWORD}@db/x\"\n"),
        format!("[database]\nurl = \"postgres://anna:{PASSWORD}@db/x\"\n"),
        format!("database = \"postgres://anna:{PASSWORD}@db/x\"\nlisten = 1\n"),
    ] {
        fs::write(place.home().join("meishi.toml"), &text).unwrap();
        for args in COMMANDS {
            let sentence = place.run(args).refused();
            assert!(sentence.contains("meishi.toml"), "{sentence}");
            assert!(!sentence.contains(PASSWORD), "{sentence}");
        }
    }
}

#[test]
fn too_few_connections_are_refused() {
    let database = Cluster::shared().create_database();
    let place = Place::new();
    let mut command = place.command(COMMANDS[0]);
    command.args(["--database", database.url(), "--database-connections", "1"]);
    let sentence = Finished::of(&mut command).refused();
    assert!(sentence.contains("database_connections to 2 or more"), "{sentence}");
}
