//! SIGTERM and Ctrl-C: what is in flight is finished, the store is closed, the code is 0.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    client::Credential,
    running::{PATIENCE, Place, Server},
    tables::Tables,
};

/// Far less than the server's patience with requests in flight, far more than a stop takes.
const SOON: Duration = Duration::from_secs(8);

#[expect(clippy::disallowed_methods, reason = "a caller connects")]
fn connect(server: &Server) -> io::Result<TcpStream> {
    TcpStream::connect(server.address())
}

/// A create whose head the server has read and whose body it waits for.
struct HalfSent {
    stream: BufReader<TcpStream>,
    rest: String,
}

impl HalfSent {
    fn begin(server: &Server, credential: &Credential, email: &str) -> Self {
        let body = json!({ "inbox_id": credential.inbox, "email": email }).to_string();
        let (first, rest) = body.split_at(body.len() / 2);
        let mut stream = BufReader::new(connect(server).unwrap());
        stream.get_mut().set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream.get_mut(),
            "POST /api/v2/accounts/contacts HTTP/1.1\r\nHost: meishi\r\nAuthorization: {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
            credential.basic(),
            body.len()
        )
        .unwrap();
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        assert!(line.starts_with("HTTP/1.1 100"), "{line}");
        stream.get_mut().write_all(first.as_bytes()).unwrap();
        Self { stream, rest: rest.to_owned() }
    }

    /// Sends the rest and reads to the end of the connection.
    fn finish(mut self) -> (String, Value) {
        self.stream.get_mut().write_all(self.rest.as_bytes()).unwrap();
        let mut answer = String::new();
        self.stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.trim_start().split_once("\r\n\r\n").unwrap();
        (head.to_owned(), serde_json::from_str(body).unwrap())
    }
}

/// The e-mail addresses in a database that nobody has open. One of SQLite is looked at in a copy,
/// by its file alone.
fn stored_emails(place: &Place) -> Vec<String> {
    let tables = if place.is_on_postgres() {
        place.tables()
    } else {
        let wal = fs::metadata(place.data().join("meishi.db-wal")).map_or(0, |file| file.len());
        assert_eq!(wal, 0, "the log is folded into the file");
        let copy = place.home().join("copy.db");
        fs::copy(place.database(), &copy).unwrap();
        Tables::of_file(&copy)
    };
    let rows = tables.rows("SELECT email FROM contacts ORDER BY email", None);
    rows.iter().map(|row| row.get(0)).collect()
}

fn a_stop_finishes_what_is_in_flight(signal: &str) {
    for place in Place::both() {
        let credential = place.init();
        let server = place.serve(&[]);
        server.client(&credential).create(credential.inbox, "before@x.test");
        let half_sent = HalfSent::begin(&server, &credential, "during@x.test");

        server.signal(signal);
        server.log_with("stopping; requests in flight are finished first");
        let deadline = Instant::now() + PATIENCE;
        while connect(&server).is_ok() {
            assert!(Instant::now() < deadline, "new connections are still taken");
            thread::sleep(Duration::from_millis(5));
        }

        let (head, body) = half_sent.finish();
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
        assert_eq!(body["payload"]["contact"]["email"], "during@x.test");
        let (status, _, log) = server.wait();
        assert_eq!(status.code(), Some(0), "{log}");
        // The PostgreSQL of tests is one that a power cut may harm, of which servers warn.
        let worries = |line: &&str| line.contains("WARN") || line.contains("ERROR");
        let mut worries = log.lines().filter(worries).filter(|line| !line.contains("fsync = off"));
        assert_eq!(worries.next(), None);
        assert_eq!(stored_emails(&place), ["before@x.test", "during@x.test"]);
    }
}

#[test]
fn sigterm_finishes_the_request_in_flight_and_folds_the_log() {
    a_stop_finishes_what_is_in_flight("TERM");
}

#[test]
fn ctrl_c_finishes_the_request_in_flight_and_folds_the_log() {
    a_stop_finishes_what_is_in_flight("INT");
}

#[test]
fn connections_on_which_nothing_is_asked_do_not_hold_up_a_stop() {
    let place = Place::new();
    let credential = place.init();
    let server = place.serve(&[]);
    // One that was never used, and one that is kept for the next call.
    let silent = connect(&server).unwrap();
    let client = server.client(&credential);
    assert_eq!(client.status(), 200);

    let begun = Instant::now();
    server.stop();
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    drop((silent, client));
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    for (first, second) in [("TERM", "TERM"), ("INT", "TERM"), ("TERM", "INT")] {
        let place = Place::new();
        let credential = place.init();
        let server = place.serve(&[]);
        server.client(&credential).create(credential.inbox, "before@x.test");
        let half_sent = HalfSent::begin(&server, &credential, "during@x.test");

        server.signal(first);
        server.log_with("stopping");
        let begun = Instant::now();
        server.signal(second);
        let (status, _, log) = server.wait();
        assert!(begun.elapsed() < SOON, "{first}, {second}: {:?}", begun.elapsed());
        assert_eq!(status.code(), Some(1), "{first}, {second}: {log}");
        drop(half_sent);

        let server = place.serve(&[]);
        let (count, emails) = server.client(&credential).list("");
        assert_eq!((count, emails), (1, vec!["before@x.test".to_owned()]));
    }
}

#[test]
fn a_stop_under_load_loses_nothing_that_was_answered_and_answers_no_error() {
    for place in Place::both() {
        let credential = place.init();
        let server = place.serve(&[]);
        let client = server.client(&credential);
        let answered = AtomicUsize::new(0);
        let mut expected: Vec<String> = thread::scope(|scope| {
            let writers: Vec<_> = (0..4)
                .map(|writer| {
                    let (client, credential, answered) = (client.clone(), &credential, &answered);
                    scope.spawn(move || {
                        let mut created = Vec::new();
                        for number in 0.. {
                            let email = format!("w{writer}-{number:05}@x.test");
                            let body = json!({ "inbox_id": credential.inbox, "email": email });
                            // No answer at all is what a call after the stop gets.
                            match client.try_call("POST", "contacts", "load", Some(&body)) {
                                Ok((status, answer)) => assert_eq!(status, 200, "{answer}"),
                                Err(_) => break,
                            }
                            created.push(email);
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                        created
                    })
                })
                .collect();
            let deadline = Instant::now() + PATIENCE;
            while answered.load(Ordering::Relaxed) < 200 && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(5));
            }
            let (_, log) = server.stop();
            assert!(!log.contains("ERROR"), "{log}");
            writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
        });
        expected.sort_unstable();
        assert!(expected.len() >= 200, "{}", expected.len());
        let stored = stored_emails(&place);
        let lost: Vec<_> = expected.iter().filter(|email| !stored.contains(email)).collect();
        assert!(lost.is_empty(), "{lost:?}");
    }
}
