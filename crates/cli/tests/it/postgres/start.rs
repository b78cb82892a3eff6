//! Where the URL comes from, and servers that start together.

use std::{fs, thread};

use meishi_test_postgres::Cluster;

use crate::{
    client::{Client, Credential, fetch},
    running::{Finished, Place, Server},
};

const SERVE: [&str; 3] = ["serve", "--listen", "127.0.0.1:0"];

/// A way to tell the program which database it is to use.
#[derive(Debug, Clone, Copy)]
enum Way {
    Flag,
    Environment,
    File,
}

/// A command with a database told in one or several ways.
fn command(place: &Place, args: &[&str], told: &[(Way, &str)]) -> std::process::Command {
    let mut command = place.command(args);
    let file = place.home().join("meishi.toml");
    // Already gone is what is wanted.
    let _ = fs::remove_file(&file);
    for (way, url) in told {
        match way {
            Way::Flag => command.args(["--database", url]),
            Way::Environment => command.env("MEISHI_DATABASE_URL", url),
            Way::File => {
                fs::write(&file, format!("database = \"{url}\"\n")).unwrap();
                &mut command
            }
        };
    }
    command
}

#[test]
fn every_command_takes_the_database_from_a_flag_the_environment_or_the_file() {
    for way in [Way::Flag, Way::Environment, Way::File] {
        let (place, database) = (Place::new(), Cluster::shared().create_database());
        let told = [(way, database.url())];
        let run = |args: &[&str]| Finished::of(&mut command(&place, args, &told)).json();
        let credential = Credential::of(&run(&["init", "--json"]));
        assert_eq!(run(&["accounts", "list", "--json"])[0]["id"], credential.account, "{way:?}");
        assert_eq!(run(&["inboxes", "list", "--json"])[0]["id"], credential.inbox);
        assert_eq!(run(&["keys", "list", "--json"])[0]["api_key"], credential.key);
        let server = Server::start(command(&place, &SERVE, &told));
        assert_eq!(server.client(&credential).create(credential.inbox, "anna@x.test"), 1);
        assert!(!place.data().exists(), "the embedded database was not wanted");
    }
}

#[test]
fn a_flag_wins_over_the_environment_and_the_environment_over_the_file() {
    let place = Place::new();
    let [first, second, third] = [(); 3].map(|()| Cluster::shared().create_database());
    let told =
        [(Way::File, first.url()), (Way::Environment, second.url()), (Way::Flag, third.url())];
    for known in (1..=3).rev() {
        // Each is a database in which nothing was made before.
        let init = &["init", "--json"];
        Finished::of(&mut command(&place, init, &told[..known])).json();
    }
}

#[test]
fn of_ten_first_starts_at_once_one_shows_a_secret_and_all_serve() {
    let place = Place::on(Cluster::shared());
    let servers: Vec<Server> = thread::scope(|scope| {
        let starts: Vec<_> = (0..10).map(|_| scope.spawn(|| place.serve(&[]))).collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    let shown: Vec<String> = servers.iter().map(|server| server.out_with("account")).collect();
    let serving = shown.iter().filter(|text| text.contains("serving 1 account with 0 contacts"));
    assert_eq!(serving.count(), 9, "{shown:?}");
    let first = shown.iter().position(|text| text.contains("Made account")).unwrap();
    let welcome = servers[first].out_with("-d '");
    let word = |prefix: &str| {
        welcome.split_whitespace().find(|word| word.starts_with(prefix)).unwrap().to_owned()
    };
    let credential = Credential { account: 0, inbox: 1, key: word("mk_"), secret: word("ms_") };
    for (id, server) in (1..).zip(&servers) {
        assert_eq!(fetch(&format!("{}/readyz", server.base)).0, 200);
        let client: Client = server.client(&credential);
        assert_eq!(client.create(1, &format!("anna{id}@x.test")), id);
        assert_eq!(client.list("").0, id);
    }
    for (number, server) in servers.into_iter().enumerate() {
        let (out, _) = server.stop();
        assert_eq!(out.contains("ms_"), number == first, "{out}");
    }
}
