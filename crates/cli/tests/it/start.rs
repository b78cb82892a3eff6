//! The first start, the later ones, `init`, and where the settings come from.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use serde_json::Value;

use crate::{
    client::{Client, Credential, fetch},
    running::{Finished, Place, Server},
};

/// Runs a line of shell as somebody would who pasted it.
fn paste(line: &str) -> Finished {
    let mut shell = Command::new("sh");
    for proxy in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        shell.env_remove(proxy);
    }
    let done = Finished::of(shell.args(["-c", line]));
    assert_ne!(done.code, Some(127), "curl must be installed for this test: {}", done.stderr);
    done
}

#[test]
fn the_first_start_prints_its_address_a_key_and_a_curl_that_works_as_pasted() {
    for place in Place::both() {
        let server = place.serve(&[]);
        let greeting = server.out_with("-d '");
        assert!(greeting.starts_with(&format!("listening on {}\n", server.base)), "{greeting}");
        for part in ["API key     mk_", "API secret  ms_", "Channel ID  1"] {
            assert!(greeting.contains(part), "{greeting}");
        }

        let curl = &greeting[greeting.find("curl ").unwrap()..];
        let done = paste(curl);
        assert_eq!(done.code, Some(0), "{done:?}");
        let answer: Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!(answer["payload"]["contact"]["id"], 1);
        assert_eq!(answer["payload"]["contact"]["email"], "alice@example.com");
        assert_eq!(answer["payload"]["contact_inbox"]["inbox"]["id"], 1);
    }
}

#[test]
fn a_later_start_says_where_it_listens_and_what_it_serves_and_no_secret() {
    for place in Place::both() {
        let credential = place.init();
        let start = |contacts: &str| {
            let server = place.serve(&[]);
            let base = server.base.clone();
            let greeting = server.out_with("serving ");
            let (told, from) = greeting.trim_end().split_once(" from ").unwrap();
            assert_eq!(told, format!("listening on {base}\nserving 1 account with {contacts}"));
            assert!(place.is_named(from), "{greeting}");
            (server, greeting)
        };
        let (server, _) = start("0 contacts");
        server.client(&credential).create(credential.inbox, "anna@example.com");
        assert_eq!(fetch(&format!("{}/livez", server.base)).0, 200);
        assert_eq!(fetch(&format!("{}/readyz", server.base)).0, 200);
        server.stop();

        let (server, _) = start("1 contact");
        let (out, log) = server.stop();
        assert!(!out.contains("ms_") && !log.contains("ms_"), "{out}{log}");
    }
}

#[test]
fn init_prints_one_object_and_a_second_one_is_refused_without_a_secret() {
    for place in Place::both() {
        let credential = place.init();
        assert!(credential.key.starts_with("mk_") && credential.secret.starts_with("ms_"));
        assert!((1..1 << 53).contains(&credential.account));

        for args in [&["init", "--json"][..], &["init"]] {
            let sentence = place.run(args).refused();
            assert!(sentence.contains("there is an account already"), "{sentence}");
            assert!(!sentence.contains("ms_"), "{sentence}");
        }
        let server = place.serve(&[]);
        assert_eq!(server.client(&credential).status(), 200);
    }
}

#[test]
fn init_without_json_prints_the_same_for_people() {
    let place = Place::new();
    let done = place.run(&["init"]).succeeded();
    let names: Vec<&str> =
        done.stdout.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["account_id", "inbox_id", "api_key", "api_secret"]);
}

#[test]
fn a_further_account_is_made_with_or_without_a_server_and_is_served() {
    for place in Place::both() {
        let first = place.init();
        let second =
            Credential::of(&place.json(&["accounts", "create", "--name", "Two", "--json"]));

        let server = place.serve(&[]);
        server.out_with("serving 2 accounts");
        let third =
            Credential::of(&place.json(&["accounts", "create", "--name", "Three", "--json"]));

        let accounts = [first.account, second.account, third.account];
        assert!(
            accounts.iter().all(|id| accounts.iter().filter(|other| *other == id).count() == 1)
        );
        for (credential, email) in
            [(&first, "1@x.test"), (&second, "2@x.test"), (&third, "3@x.test")]
        {
            let client = server.client(credential);
            assert_eq!(client.create(credential.inbox, email), 1, "ids count per account");
            assert_eq!(
                client.list(""),
                (1, vec![email.to_owned()]),
                "and see nothing of the others"
            );
        }
    }
}

#[test]
fn what_a_start_makes_is_for_its_owner_only_whatever_the_umask() {
    let place = Place::new();
    let mut command = Command::new("sh");
    command.env_clear().current_dir(place.home());
    command.args(["-c", "umask 000; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_meishi")]);
    command.args(["serve", "--listen", "127.0.0.1:0"]);
    let server = Server::start(command);
    // The first line is printed when all of it is there, and nobody needs to wait for more.

    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(format!("{:o}", mode(place.data())), "700");
    let mut names = Vec::new();
    for entry in fs::read_dir(place.data()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        assert_eq!(mode(entry.path()) & 0o077, 0, "{name} is open to others");
        names.push(name);
    }
    for expected in ["meishi.db", "meishi.db-wal", "meishi.lock", "meishi.sock"] {
        assert!(names.iter().any(|name| name == expected), "{expected} is not in {names:?}");
    }
    // It goes with the server, so that the next command does not look for one.
    server.stop();
    assert!(!place.data().join("meishi.sock").exists());
}

#[test]
fn flags_win_over_the_environment_the_environment_over_the_file_the_file_over_the_default() {
    let place = Place::new();
    let home = place.home();
    fs::write(home.join("meishi.toml"), "listen = \"127.0.0.2:0\"\ndata_dir = \"by-file\"\n")
        .unwrap();
    let start = |args: &[&str], environment: &[(&str, &str)]| {
        let mut command = place.command(&["serve"]);
        command.args(args).envs(environment.iter().copied());
        let server = Server::start(command);
        (server.address().split(':').next().unwrap().to_owned(), server)
    };
    let environment = [("MEISHI_LISTEN", "127.0.0.3:0"), ("MEISHI_DATA_DIR", "by-environment")];
    let flags = ["--listen", "127.0.0.4:0", "--data-dir", "by-flag"];

    for (args, environment, address, directory) in [
        (&flags[..], &environment[..], "127.0.0.4", "by-flag"),
        (&[], &environment, "127.0.0.3", "by-environment"),
        (&[], &[], "127.0.0.2", "by-file"),
    ] {
        assert!(!home.join(directory).exists());
        let (bound, server) = start(args, environment);
        assert_eq!(bound, address);
        assert!(home.join(directory).join("meishi.db").exists());
        server.stop();
    }
    assert!(!place.data().exists(), "the default was not wanted");

    // A file that is named stands in for the one that is found.
    fs::write(home.join("other.toml"), "data_dir = \"by-other-file\"\n").unwrap();
    place.run(&["init", "--config", "other.toml"]).succeeded();
    assert!(home.join("by-other-file").exists());
    // Commands that only need the database find it in the same way.
    let mut command = place.command(&["accounts", "list", "--json"]);
    let found = Finished::of(command.env("MEISHI_DATA_DIR", "by-flag")).json();
    assert_eq!(found.as_array().unwrap().len(), 1);
}

#[test]
fn port_0_takes_a_free_port_and_each_server_its_own() {
    let (one, two) = (Place::new(), Place::new());
    let servers = [one.serve(&[]), two.serve(&[])];
    assert_ne!(servers[0].base, servers[1].base);
    for server in &servers {
        assert!(!server.base.ends_with(":0"), "{}", server.base);
        assert_eq!(fetch(&format!("{}/livez", server.base)).0, 200);
    }
}

#[test]
fn a_server_that_listens_everywhere_prints_a_curl_for_this_machine() {
    let place = Place::new();
    let server = Server::start(place.command(&["serve", "--listen", "0.0.0.0:0"]));
    let greeting = server.out_with("-d '");
    let port = server.base.rsplit(':').next().unwrap();
    assert!(greeting.contains(&format!(" http://127.0.0.1:{port}/api/")), "{greeting}");
    let secret = greeting.split_whitespace().find(|word| word.starts_with("ms_")).unwrap();
    let key = greeting.split_whitespace().find(|word| word.starts_with("mk_")).unwrap();
    let credential =
        Credential { account: 0, inbox: 1, key: key.to_owned(), secret: secret.to_owned() };
    assert_eq!(Client::new(&format!("http://127.0.0.1:{port}"), &credential).status(), 200);
}
