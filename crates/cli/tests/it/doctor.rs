//! `meishi doctor`: with and without a running server.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
};

use rusqlite::Connection;

use crate::running::Place;

#[test]
fn a_healthy_data_directory_is_told_check_by_check() {
    for serve in [false, true] {
        let place = Place::new();
        place.init();
        let _server = serve.then(|| place.serve(&[]));
        let told = place.run(&["doctor"]).succeeded().stdout;
        let checks = ["data_directory", "files", "schema", "file", "contacts_counted", "clock"];
        for check in checks {
            assert!(told.contains(&format!("ok       {check}: ")), "{check}: {told}");
        }
        assert!(told.lines().all(|line| line.starts_with("ok ") || line.contains("free_space")));

        let json = place.json(&["doctor", "--json"]);
        let rows = json.as_array().unwrap();
        assert_eq!(rows.len(), told.lines().count());
        let columns = ["check", "severity", "account_id", "count", "message", "advice"];
        for row in rows {
            let members: Vec<_> = row.as_object().unwrap().keys().collect();
            assert_eq!(members, columns);
        }
        assert_eq!(json[0]["severity"], "ok");
    }
}

#[test]
fn what_is_wrong_is_told_with_the_account_how_many_and_what_to_do() {
    for serve in [false, true] {
        let place = Place::new();
        let first = place.init();
        let connection = Connection::open(place.database()).unwrap();
        connection.execute("UPDATE counters SET contacts = 7", []).unwrap();
        drop(connection);
        let server = serve.then(|| place.serve(&[]));

        let told = place.run(&["doctor"]);
        assert_eq!((told.code, told.stderr.as_str()), (Some(1), ""), "{told:?}");
        let wrong: Vec<&str> =
            told.stdout.lines().filter(|line| line.starts_with("wrong")).collect();
        let [line] = wrong[..] else { panic!("{told:?}") };
        let account = format!("wrong    contacts_counted: account {}: ", first.account);
        assert!(line.starts_with(&account), "{line}");
        assert!(
            line.contains("wrong by 7; with the server stopped: UPDATE counters SET"),
            "{line}"
        );

        let json = place.run(&["doctor", "--json"]);
        assert_eq!(json.code, Some(1));
        let rows: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
        let wrong = rows.as_array().unwrap().iter().find(|row| row["severity"] == "wrong").unwrap();
        assert_eq!((&wrong["account_id"], &wrong["count"]), (&first.account.into(), &7.into()));

        // What it says to do is what helps.
        drop(server);
        let (_, advice) = line.split_once("stopped: ").unwrap();
        let (statement, _) = advice.rsplit_once("; and report").unwrap();
        let connection = Connection::open(place.database()).unwrap();
        assert_eq!(connection.execute(statement, []).unwrap(), 1);
        drop(connection);
        place.run(&["doctor"]).succeeded();
    }
}

#[test]
fn a_warning_alone_is_no_failure() {
    let place = Place::new();
    place.init();
    fs::set_permissions(place.data(), Permissions::from_mode(0o755)).unwrap();
    let told = place.run(&["doctor"]).succeeded().stdout;
    let line = told.lines().find(|line| line.starts_with("warning  data_directory")).unwrap();
    assert!(line.contains("(755)") && line.ends_with("chmod 700 ./meishi-data"), "{line}");
}

#[test]
fn a_place_without_a_database_is_named_and_stays_as_it_is() {
    let place = Place::new();
    let sentence = place.run(&["doctor"]).refused();
    assert!(sentence.contains("no database in ./meishi-data"), "{sentence}");
    assert!(!place.data().exists());
}
