//! Webhooks of a real server that is killed while it tells them.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    client::{Client, fetch},
    running::{PATIENCE, Place},
};

/// A message: its id and its body.
type Message = (String, Value);

/// An endpoint that takes so many messages, and reads further ones without ever answering.
struct Receiver {
    url: String,
    takes: Arc<AtomicUsize>,
    received: Arc<Mutex<Vec<Message>>>,
}

impl Receiver {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let shared = Self { url, takes: Arc::default(), received: Arc::default() };
        let (takes, received) = (Arc::clone(&shared.takes), Arc::clone(&shared.received));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (takes, received) = (Arc::clone(&takes), Arc::clone(&received));
                thread::spawn(move || serve(stream.unwrap(), &takes, &received));
            }
        });
        shared
    }

    fn received(&self) -> Vec<Message> {
        self.received.lock().unwrap().clone()
    }

    /// What it received, once that is enough.
    fn wait_for(&self, what: &str, enough: impl Fn(&[Message]) -> bool) -> Vec<Message> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let received = self.received();
            if enough(&received) {
                return received;
            }
            assert!(Instant::now() < deadline, "{what}: {received:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn serve(stream: TcpStream, takes: &AtomicUsize, received: &Mutex<Vec<Message>>) {
    let mut stream = BufReader::new(stream);
    let (mut id, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        // A server that was killed in the middle of a request sent no message.
        if stream.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        match line.trim_end().split_once(": ") {
            Some(("webhook-id", value)) => value.clone_into(&mut id),
            Some(("content-length", value)) => length = value.parse().unwrap(),
            _ if line == "\r\n" => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    if stream.read_exact(&mut body).is_err() {
        return;
    }
    received.lock().unwrap().push((id, serde_json::from_slice(&body).unwrap()));
    let take = takes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    if take.is_ok() {
        // Whoever sent it may be gone.
        let _ = stream.get_mut().write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
    } else {
        let _ = stream.read(&mut [0; 1]);
    }
}

#[test]
fn metrics_and_the_log_tell_how_webhooks_fare() {
    let place = Place::new();
    let credential = place.init();
    let receiver = Receiver::start();
    receiver.takes.store(usize::MAX, Ordering::SeqCst);
    // Chosen, since it is not printed.
    let address = TcpListener::bind("127.0.0.8:0").unwrap().local_addr().unwrap().to_string();
    let server = place.serve(&["--egress-allow", "127.0.0.1", "--metrics-listen", &address]);
    let client = server.client(&credential);
    for url in [receiver.url.as_str(), "http://127.0.0.1:1/secret-path"] {
        let hook = json!({ "url": url, "events": ["contact.created"] });
        assert_eq!(client.post("webhooks", &hook).0, 200);
    }
    client.create(credential.inbox, "anna@x.test");
    let deadline = Instant::now() + PATIENCE;
    let wanted = [
        "meishi_webhook_attempts_total{outcome=\"delivered\"} 1\n",
        "meishi_webhook_attempts_total{outcome=\"retry\"} ",
        "meishi_webhook_attempt_seconds_count ",
        "meishi_webhooks{state=\"enabled\"} 2\n",
        "meishi_webhooks{state=\"paused\"} 0\n",
        "meishi_webhooks_failing 1\n",
        "# HELP meishi_webhooks_failing ",
    ];
    loop {
        let page = fetch(&format!("http://{address}/metrics")).1;
        let missing: Vec<_> = wanted.iter().filter(|line| !page.contains(**line)).collect();
        if missing.is_empty() {
            break;
        }
        // Some of the numbers are looked up every few seconds.
        assert!(Instant::now() < deadline, "{missing:?} in {page}");
        thread::sleep(Duration::from_millis(50));
    }
    let (_, log) = server.stop();
    assert!(log.contains("a webhook was not told"), "{log}");
    assert!(!log.contains("secret-path") && !log.contains("anna"), "{log}");
}

/// Creates so many contacts and changes each once.
fn write(client: &Client, inbox: i64, round: usize, contacts: usize) {
    for number in 0..contacts {
        let id = client.create(inbox, &format!("{round}.{number}@x.test"));
        let (status, _) = client
            .try_call("PATCH", &format!("contacts/{id}"), "test", Some(&json!({ "name": "Bert" })))
            .unwrap();
        assert_eq!(status, 200);
    }
}

#[test]
fn a_server_that_is_killed_while_it_tells_a_webhook_leaves_nothing_out() {
    const ROUNDS: usize = 3;
    const CONTACTS: usize = 8;
    let place = Place::new();
    let credential = place.init();
    let receiver = Receiver::start();
    let serve = || place.serve(&["--egress-allow", "127.0.0.1"]);
    let mut server = serve();
    let events = ["contact.created", "contact.updated"];
    let hook = json!({ "url": receiver.url, "events": events });
    let (status, hook) = server.client(&credential).post("webhooks", &hook);
    assert_eq!(status, 200, "{hook}");
    for round in 0..ROUNDS {
        let before = receiver.received().len();
        receiver.takes.store(3, Ordering::SeqCst);
        write(&server.client(&credential), credential.inbox, round, CONTACTS);
        // Some are told, and some wait for an answer that does not come.
        receiver.wait_for("the middle", |received| received.len() > before + 3);
        server.kill();
        server = serve();
    }
    receiver.takes.store(usize::MAX, Ordering::SeqCst);
    let client = server.client(&credential);
    let path = format!("webhooks/{}/deliveries?limit=100", hook["payload"]["id"]);
    let deadline = Instant::now() + PATIENCE;
    let log = loop {
        let (status, log) = client.get(&path);
        assert_eq!(status, 200, "{log}");
        let log = log["payload"].as_array().unwrap().clone();
        let delivered = log.iter().filter(|one| one["state"] == "delivered").count();
        if delivered == ROUNDS * CONTACTS * 2 {
            break log;
        }
        assert!(Instant::now() < deadline, "{delivered} are delivered of {log:?}");
        thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(log.len(), ROUNDS * CONTACTS * 2, "each event once");

    let messages = receiver.received();
    let mut first = BTreeMap::new();
    for (place, (id, message)) in messages.iter().enumerate() {
        let seq = message["data"]["seq"].as_i64().unwrap();
        let (seen, _) = first.entry(seq).or_insert((id, place));
        assert_eq!(*seen, id, "event {seq} has one id in all attempts");
    }
    assert!(messages.len() > first.len(), "what was not answered was sent again");
    for delivery in &log {
        let (id, _) = first[&delivery["seq"].as_i64().unwrap()];
        assert_eq!(delivery["id"], **id);
    }
    // Of each contact the creation was told before the change.
    let mut of_contact: BTreeMap<i64, Vec<(usize, &str)>> = BTreeMap::new();
    for delivery in &log {
        let (_, place) = first[&delivery["seq"].as_i64().unwrap()];
        let told = of_contact.entry(delivery["contact_id"].as_i64().unwrap()).or_default();
        told.push((place, delivery["type"].as_str().unwrap()));
    }
    assert_eq!(of_contact.len(), ROUNDS * CONTACTS);
    for told in of_contact.values_mut() {
        told.sort_unstable();
        assert_eq!(told.iter().map(|(_, kind)| *kind).collect::<Vec<_>>(), events);
    }
}
