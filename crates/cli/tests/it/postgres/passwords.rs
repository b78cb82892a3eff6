//! A password is for the server and its database alone: other users of the machine see command
//! lines, and many people read logs.

use std::fs;

use super::{Guarded, PASSWORD};
use crate::{
    client::Credential,
    running::{Finished, Place, Server},
};

fn hidden(what: &str, text: &str) {
    let line = text.lines().find(|line| line.contains(PASSWORD));
    assert!(line.is_none(), "{what}: {line:?}");
}

#[test]
fn a_password_is_on_no_command_line_and_in_no_output_whatever_is_logged() {
    let guarded = Guarded::start();
    let url = guarded.url();
    let place = Place::new();
    let mut init = place.command(&["init", "--json", "--database", &url]);
    let credential = Credential::of(&Finished::of(&mut init).json());

    let one = format!("--database={url}");
    let two = ["--database", &url];
    for (flags, format) in [(&two[..], "text"), (&[one.as_str()], "json")] {
        let mut command = place.command(&["serve", "--listen", "127.0.0.1:0"]);
        let server = Server::start({
            command.args(flags).args(["--log", "trace,tokio_postgres=trace"]);
            command.args(["--log-format", format]);
            command
        });
        let seen = fs::read(format!("/proc/{}/cmdline", server.id())).unwrap();
        let seen = String::from_utf8(seen).unwrap();
        assert!(seen.contains("serve") && seen.contains(format), "{seen}");
        hidden("the command line", &seen);

        let client = server.client(&credential);
        assert_eq!(client.status(), 200);
        guarded.cluster.stop();
        assert_eq!(client.status(), 503);
        guarded.cluster.resume();
        server.out_with(&format!("anna@127.0.0.1:{}", guarded.cluster.port()));
        let (out, log) = server.stop();
        assert!(out.contains(guarded.database.name()), "{out}");
        assert!(log.contains("the database is unavailable"), "{log}");
        hidden("standard output", &out);
        hidden("the log", &log);
    }
}
