//! `meishi keys`, `inboxes` and `accounts`: the same with and without a running server, beside one
//! at once, and on either store.

use std::{
    collections::BTreeSet,
    fs::File,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    client::{Credential, fetch},
    running::{Place, Server},
};

/// A place with one account, and a server on it if so wanted.
struct Office {
    place: Place,
    first: Credential,
    server: Option<Server>,
}

impl Office {
    fn new(place: Place, serve: bool) -> Self {
        let first = place.init();
        let server = serve.then(|| place.serve(&[]));
        Self { place, first, server }
    }

    /// Every kind of office: with and without a server, on either store.
    fn all() -> [Self; 4] {
        let [sqlite, postgres] = Self::served();
        let closed = Place::both().map(|place| Self::new(place, false));
        let [closed_sqlite, closed_postgres] = closed;
        [closed_sqlite, sqlite, closed_postgres, postgres]
    }

    /// Those with a server.
    fn served() -> [Self; 2] {
        Place::both().map(|place| Self::new(place, true))
    }

    fn json(&self, args: &[&str]) -> Value {
        self.place.json(&[args, &["--json"]].concat())
    }

    fn refused(&self, args: &[&str]) -> String {
        self.place.run(args).refused()
    }

    /// Holds the server to refusing a credential from now on.
    fn refuses(&self, credential: &Credential) {
        let begun = Instant::now();
        loop {
            let asked = begun.elapsed();
            match self.status(credential) {
                401 => return,
                200 if self.place.is_on_postgres() && asked < KNOWN => {}
                status => panic!("{status} after {asked:?}"),
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The status that a credential gets from the server; from one that is started for it, where
    /// none is running.
    fn status(&self, credential: &Credential) -> u16 {
        if let Some(server) = &self.server {
            return server.client(credential).status();
        }
        let server = self.place.serve(&[]);
        let status = server.client(credential).status();
        server.stop();
        status
    }
}

/// How long a server on PostgreSQL goes on with what it knows of a key that another one changed. On
/// SQLite a command goes through the server.
const KNOWN: Duration = Duration::from_secs(1);

fn members(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn keys_are_made_listed_rotated_and_revoked_with_and_without_a_server() {
    for office in Office::all() {
        let args = ["keys", "create", "--name", "CRM sync", "--role", "agent"];
        let created = office.json(&args);
        assert_eq!(members(&created), ["id", "api_key", "api_secret"]);
        assert_eq!(created["id"], 2);
        let crm = office.first.with_key(&created);
        assert_eq!(office.status(&crm), 200);

        let listed = office.json(&["keys", "list"]);
        let rows = listed.as_array().unwrap();
        assert_eq!(rows.len(), 2);
        let columns = [
            "id",
            "api_key",
            "name",
            "role",
            "created_at",
            "expires_at",
            "last_used_at",
            "previous_secret_until",
        ];
        assert!(rows.iter().all(|row| members(row) == columns), "{listed}");
        assert_eq!(rows[1]["api_key"], created["api_key"]);
        assert_eq!((&rows[1]["name"], &rows[1]["role"]), (&json!("CRM sync"), &json!("agent")));
        assert_eq!(rows[1]["expires_at"], Value::Null);
        assert!(rows[1]["created_at"].as_str().unwrap().ends_with('Z'));

        let rotated = office.json(&["keys", "rotate", "2"]);
        assert_eq!(members(&rotated), ["id", "api_key", "api_secret"]);
        assert_eq!(rotated["api_key"], created["api_key"], "the public half stays");
        assert_eq!(office.status(&office.first.with_key(&rotated)), 200);
        // Without an overlap the old secret ends.
        office.refuses(&crm);

        assert_eq!(office.json(&["keys", "revoke", "2"]), json!({}));
        office.refuses(&office.first.with_key(&rotated));
        assert_eq!(office.status(&office.first), 200, "others stay");
        assert_eq!(office.json(&["keys", "list"]).as_array().unwrap().len(), 1);
        let sentence = office.refused(&["keys", "revoke", "2"]);
        assert!(sentence.contains("no such thing in this account"), "{sentence}");
        // A number is never given twice.
        assert_eq!(office.json(&args)["id"], 3);
    }
}

#[test]
fn a_revocation_beside_a_running_server_holds_for_the_very_next_request() {
    let office = Office::new(Place::new(), true);
    let created = office.json(&["keys", "create", "--name", "x", "--role", "read_only"]);
    let server = office.server.as_ref().unwrap();
    // The same connection goes on to be used, and whatever the server remembers of the key.
    let client = server.client(&office.first.with_key(&created));
    for _ in 0..3 {
        assert_eq!(client.status(), 200);
    }
    office.json(&["keys", "revoke", "2"]);
    assert_eq!(client.status(), 401);
}

#[test]
fn a_rotated_secret_stays_valid_beside_the_new_one_for_the_overlap() {
    for office in Office::all() {
        let rotated = office.json(&["keys", "rotate", "1", "--overlap", "3600"]);
        assert_eq!(office.status(&office.first), 200);
        assert_eq!(office.status(&office.first.with_key(&rotated)), 200);
        for wrong in ["--overlap=-1", "--overlap=2592001"] {
            let sentence = office.refused(&["keys", "rotate", "1", wrong]);
            assert!(sentence.contains("from 0 to 2592000 seconds"), "{sentence}");
        }
    }
}

#[test]
fn a_role_that_is_chosen_on_the_command_line_is_the_one_that_counts() {
    for office in Office::served() {
        let server = office.server.as_ref().unwrap();
        let body = json!({ "inbox_id": office.first.inbox, "name": "Anna" });
        for (role, write, keys) in
            [("read_only", 403, 403), ("agent", 200, 403), ("administrator", 200, 200)]
        {
            let created = office.json(&["keys", "create", "--name", role, "--role", role]);
            let client = server.client(&office.first.with_key(&created));
            assert_eq!(client.status(), 200);
            assert_eq!(client.afresh().post("contacts", &body).0, write, "{role}");
            assert_eq!(client.afresh().get("keys").0, keys, "{role}");
        }
    }
}

#[test]
fn a_key_with_an_end_works_until_then() {
    for office in Office::all() {
        let create = |end: &str| {
            let args = ["keys", "create", "--name", "x", "--role", "agent", "--expires-at", end];
            office.first.with_key(&office.json(&args))
        };
        let (over, alive) = (create("2020-01-31T00:00:00Z"), create("2999-01-31T12:00:00+09:00"));
        assert_eq!(office.status(&over), 401);
        assert_eq!(office.status(&alive), 200);
        let listed = office.json(&["keys", "list"]);
        assert_eq!(listed[1]["expires_at"], "2020-01-31T00:00:00Z");
        assert_eq!(listed[2]["expires_at"], "2999-01-31T03:00:00Z");
    }
}

#[test]
fn channels_are_made_listed_renamed_and_deleted_with_and_without_a_server() {
    for office in Office::all() {
        let created = office.json(&["inboxes", "create", "--name", "客服", "--id", "407"]);
        assert_eq!(created, json!({ "id": 407, "name": "客服", "channel_type": "Channel::Api" }));
        let next = office.json(&["inboxes", "create", "--name", "Next"]);
        assert_eq!(next["id"], 408);
        let sentence = office.refused(&["inboxes", "create", "--name", "x", "--id", "407"]);
        assert!(sentence.contains("Id has already been taken"), "{sentence}");

        let renamed = office.json(&["inboxes", "rename", "407", "--name", "サポート"]);
        assert_eq!((&renamed["id"], &renamed["name"]), (&json!(407), &json!("サポート")));
        assert_eq!(office.json(&["inboxes", "delete", "408"]), json!({}));

        let listed = office.json(&["inboxes", "list"]);
        let rows = listed.as_array().unwrap();
        assert!(rows.iter().all(|r| members(r) == ["id", "name", "channel_type", "created_at"]));
        let names: Vec<_> = rows.iter().map(|row| (&row["id"], &row["name"])).collect();
        assert_eq!(names, [(&json!(1), &json!("API")), (&json!(407), &json!("サポート"))]);

        for args in [&["inboxes", "rename", "9", "--name", "x"][..], &["inboxes", "delete", "9"]] {
            let sentence = office.refused(args);
            assert!(sentence.contains("no such thing in this account"), "{sentence}");
        }
    }
}

#[test]
fn a_channel_with_contacts_is_deleted_only_with_force_and_the_contacts_stay() {
    for office in Office::served() {
        let client = office.server.as_ref().unwrap().client(&office.first);
        let id = client.create(1, "anna@x.test");
        let sentence = office.refused(&["inboxes", "delete", "1"]);
        assert!(sentence.contains('1') && sentence.contains("force"), "{sentence}");
        office.json(&["inboxes", "delete", "1", "--force"]);
        let (status, answer) = client.get(&format!("contacts/{id}"));
        assert_eq!((status, &answer["payload"]["contact_inboxes"]), (200, &json!([])), "{answer}");
        assert_eq!(client.list("q=anna@x.test").0, 1);
    }
}

#[test]
fn where_there_are_several_accounts_one_must_be_chosen() {
    for office in Office::all() {
        let second = Credential::of(&office.json(&["accounts", "create", "--name", "Second"]));
        let commands = [
            &["keys", "list"][..],
            &["keys", "create", "--name", "x", "--role", "agent"],
            &["keys", "revoke", "1"],
            &["inboxes", "list"],
            &["inboxes", "create", "--name", "x"],
        ];
        for args in commands {
            let sentence = office.refused(args);
            assert!(sentence.contains("choose one with --account"), "{sentence}");
        }
        let account = second.account.to_string();
        let keys = office.json(&["keys", "list", "--account", &account]);
        assert_eq!((keys.as_array().unwrap().len(), &keys[0]["api_key"]), (1, &second.key.into()));
        let sentence = office.refused(&["keys", "list", "--account", "12"]);
        assert!(sentence.contains("there is no account 12"), "{sentence}");

        let accounts = office.json(&["accounts", "list"]);
        let rows = accounts.as_array().unwrap();
        assert!(rows.iter().all(|row| members(row) == ["id", "name", "contacts", "created_at"]));
        let mut names: Vec<_> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
        names.sort_unstable();
        assert_eq!(names, ["Meishi", "Second"]);
    }
}

#[test]
fn lists_are_tables_for_people_and_show_no_secret() {
    for office in Office::all() {
        office.json(&["keys", "create", "--name", "CRM", "--role", "read_only"]);
        for (args, header, rows) in [
            (["keys", "list"], "ID  API_KEY", 2),
            (["inboxes", "list"], "ID  NAME", 1),
            (["accounts", "list"], "ID", 1),
        ] {
            let table = office.place.run(&args).succeeded().stdout;
            let lines: Vec<&str> = table.lines().collect();
            assert!(lines[0].starts_with(header), "{table}");
            assert_eq!(lines.len(), rows + 1, "{table}");
            assert!(!table.contains("ms_"), "{table}");
        }
        let keys = office.json(&["keys", "list"]).to_string();
        assert!(!keys.contains("ms_") && !keys.contains("hash"), "{keys}");
        // What is made is shown for people too, a name and a value a line.
        let shown = office.place.run(&["keys", "rotate", "2"]).succeeded().stdout;
        assert!(shown.contains("\napi_secret  ms_"), "{shown}");
        assert_eq!(office.place.run(&["keys", "revoke", "2"]).succeeded().stdout, "done\n");
    }
}

#[test]
fn names_and_roles_are_checked() {
    for office in Office::all() {
        let long = "x".repeat(256);
        for name in ["", "  ", &long] {
            for args in [
                &["accounts", "create", "--name", name][..],
                &["inboxes", "create", "--name", name],
                &["inboxes", "rename", "1", "--name", name],
                &["keys", "create", "--role", "agent", "--name", name],
            ] {
                let sentence = office.refused(args).to_lowercase();
                assert!(sentence.contains("name"), "{sentence}");
            }
        }
        // What the flags alone tell is the command line's own error, with its own code.
        for args in [
            &["keys", "create", "--name", "x", "--role", "owner"][..],
            &["keys", "create", "--name", "x"],
            &["keys", "create", "--name", "x", "--role", "agent", "--expires-at", "tomorrow"],
            &["inboxes", "create", "--name", "x", "--id", "0"],
            &["keys", "list", "--account", "me"],
        ] {
            assert_eq!(office.place.run(args).code, Some(2), "{args:?}");
        }
        assert_eq!(office.json(&["accounts", "list"]).as_array().unwrap().len(), 1);
        assert_eq!(office.json(&["keys", "list"]).as_array().unwrap().len(), 1);
    }
}

#[test]
fn a_command_after_a_crash_finds_the_store_although_the_socket_is_still_there() {
    let mut office = Office::new(Place::new(), true);
    office.server.take().unwrap().kill();
    assert!(office.place.data().join("meishi.sock").exists());
    assert_eq!(office.json(&["keys", "list"]).as_array().unwrap().len(), 1);

    let server = office.place.serve(&[]);
    assert_eq!(fetch(&format!("{}/readyz", server.base)).0, 200);
    assert_eq!(office.json(&["keys", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn commands_at_the_same_time_wait_for_each_other_and_for_a_server_that_is_starting() {
    let without = Place::both().map(|place| (place, false));
    let with = Place::both().map(|place| (place, true));
    for (place, serve) in without.into_iter().chain(with) {
        place.init();
        let server = serve.then(|| {
            let mut command = place.command(&["serve", "--listen", "127.0.0.1:0"]);
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        });
        let numbers: Vec<i64> = thread::scope(|scope| {
            let commands: Vec<_> = (0..8)
                .map(|_| {
                    let create =
                        || place.json(&["keys", "create", "--name", "x", "--role=agent", "--json"]);
                    scope.spawn(move || create()["id"].as_i64().unwrap())
                })
                .collect();
            commands.into_iter().map(|command| command.join().unwrap()).collect()
        });
        if let Some(mut server) = server {
            server.kill().unwrap();
            server.wait().unwrap();
        }
        let different: BTreeSet<i64> = numbers.iter().copied().collect();
        assert_eq!(different, (2..10).collect(), "{numbers:?}");
    }
}

#[test]
fn a_holder_that_never_listens_is_named() {
    let place = Place::new();
    place.init();
    let lock = File::options().write(true).open(place.data().join("meishi.lock")).unwrap();
    lock.lock().unwrap();
    let sentence = place.run(&["keys", "list"]).refused();
    assert!(sentence.contains("holds ./meishi-data does not answer"), "{sentence}");
}
