//! What a running server tells its operator: probes, metrics, the log.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    client::{Client, Credential, fetch},
    running::{PATIENCE, Place},
};

/// The samples of a page in Prometheus' text format: name with labels, and value.
fn samples(page: &str) -> BTreeMap<&str, f64> {
    page.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line:?}"));
            (name, value.parse().unwrap_or_else(|_| panic!("{line:?}")))
        })
        .collect()
}

/// An address that was free a moment ago: the one for metrics is not printed, so it is chosen. The
/// servers of the tests beside this one listen on another.
fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.9:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn metrics_tell_of_requests_the_writer_contacts_and_the_index_on_an_address_of_their_own() {
    for place in Place::both() {
        let credential = place.init();
        let address = free_address();
        let server = place.serve(&["--metrics-listen", &address]);
        let client = server.client(&credential);
        for email in ["anna@x.test", "ben@x.test"] {
            client.create(credential.inbox, email);
        }
        let conflict = json!({ "inbox_id": credential.inbox, "email": "anna@x.test" });
        assert_eq!(client.post("contacts", &conflict).0, 422);
        assert_eq!(client.list("q=ben@").0, 1);
        assert_eq!(client.get("contacts/1").0, 200);
        assert_eq!(client.get("no-such-thing").0, 404);
        assert_eq!(client.get("changes?after=last&wait=1").0, 200);
        for invented in ["FROB", "NICATE"] {
            assert_eq!(client.try_call(invented, "contacts", "x", None).unwrap().0, 405);
        }

        // Some of the numbers are looked up every few seconds.
        let deadline = Instant::now() + PATIENCE;
        let page = loop {
            let (status, page) = fetch(&format!("http://{address}/metrics"));
            assert_eq!(status, 200);
            let samples = samples(&page);
            if samples.get("meishi_contacts") == Some(&2.0)
                && samples.get("meishi_index_contacts") == Some(&2.0)
            {
                break page;
            }
            assert!(Instant::now() < deadline, "{page}");
            thread::sleep(Duration::from_millis(100));
        };
        let samples = samples(&page);
        let labels = |method: &str, route: &str, status: u16| {
            format!("{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}}")
        };
        let contacts = "/api/v2/accounts/contacts";
        for (labels, expected) in [
            (labels("POST", contacts, 200), 2.0),
            (labels("POST", contacts, 422), 1.0),
            (labels("GET", contacts, 200), 1.0),
            (labels("GET", &format!("{contacts}/{{id}}"), 200), 1.0),
            (labels("GET", "none", 404), 1.0),
        ] {
            let name = format!("meishi_http_requests_total{labels}");
            assert_eq!(samples.get(name.as_str()), Some(&expected), "{name} in {page}");
            let name = format!("meishi_http_request_seconds_count{labels}");
            assert_eq!(samples.get(name.as_str()), Some(&expected), "{name} in {page}");
            let buckets =
                format!("meishi_http_request_seconds_bucket{}", labels.trim_end_matches('}'));
            assert!(samples.keys().filter(|name| name.starts_with(&buckets)).count() > 5, "{page}");
        }
        assert_eq!(samples.get("meishi_streams{kind=\"wait\"}"), Some(&0.0), "{page}");
        for name in [
            "meishi_store_queue_calls",
            "meishi_store_group_calls_count",
            "meishi_store_group_calls_sum",
            "meishi_store_commit_seconds_count",
            "meishi_store_commit_seconds_sum",
            "meishi_index_accounts",
            "meishi_index_bytes",
        ] {
            let value = samples.get(name).unwrap_or_else(|| panic!("{name} is not in {page}"));
            // A queue that is empty most of the time may be seen empty.
            assert!(*value > 0.0 || name == "meishi_store_queue_calls", "{name} {value}");
            let described = name.trim_end_matches("_count").trim_end_matches("_sum");
            assert!(page.contains(&format!("# TYPE {described} ")), "{described}");
            assert!(page.contains(&format!("# HELP {described} ")), "{described}");
        }
        // Who invents methods makes no series of their own.
        assert!(page.contains("method=\"other\"") && !page.contains("FROB"), "{page}");
        assert!(!page.contains("anna") && !page.contains("ms_"), "{page}");
        // The address of the service serves none of it.
        assert_eq!(fetch(&format!("{}/metrics", server.base)).0, 404);
    }
}

#[test]
fn metrics_tell_how_many_were_refused_by_which_limit() {
    let place = Place::new();
    let credential = place.init();
    let address = free_address();
    let server = place.serve(&[
        "--metrics-listen",
        &address,
        "--limit-per-key=1/h",
        "--limit-per-address=6/h",
        "--limit-failed-authentication=1/h",
    ]);
    let good = server.client(&credential);
    let wrong = Credential { secret: "wrong".to_owned(), ..credential };
    let wrong = server.client(&wrong);
    let answered = [&good, &good, &good, &wrong, &wrong, &wrong, &wrong].map(Client::status);
    assert_eq!(answered, [200, 429, 429, 401, 429, 429, 429]);
    let page = fetch(&format!("http://{address}/metrics")).1;
    let samples = samples(&page);
    for (limit, refused) in [("key", 2.0), ("failed-authentication", 2.0), ("address", 1.0)] {
        let name = format!("meishi_rate_limited_total{{limit=\"{limit}\"}}");
        assert_eq!(samples.get(name.as_str()), Some(&refused), "{name} in {page}");
    }
    assert!(page.contains("# HELP meishi_rate_limited_total "), "{page}");
}

#[test]
fn metrics_are_served_only_where_they_are_asked_for() {
    let place = Place::new();
    let server = place.serve(&[]);
    assert_eq!(fetch(&format!("{}/metrics", server.base)).0, 404);
    let (_, log) = server.stop();
    assert!(!log.contains("metrics are"), "{log}");
}

#[test]
fn the_probes_answer_without_a_key() {
    for place in Place::both() {
        let server = place.serve(&[]);
        for probe in ["livez", "readyz"] {
            let (status, body) = fetch(&format!("{}/{probe}", server.base));
            assert_eq!((status, body.as_str()), (200, r#"{"status":"ok"}"#), "{probe}");
        }
        let (status, page) = fetch(&server.base);
        assert!(status == 200 && page.contains("/api/openapi.json"), "{page}");
    }
}

#[test]
fn the_json_log_has_one_object_a_request_with_its_id_route_and_status() {
    let place = Place::new();
    let credential = place.init();
    let server = place.serve(&["--log-format", "json"]);
    let client = server.client(&credential);
    let contacts = "/api/v2/accounts/contacts";
    for (id, method, path, route, status) in [
        ("first-1", "POST", "contacts", contacts, 200),
        ("second-2", "GET", "contacts/1", "/api/v2/accounts/contacts/{id}", 200),
        ("third-3", "GET", "contacts/2", "/api/v2/accounts/contacts/{id}", 404),
        ("fourth-4", "GET", "nothing", "none", 404),
    ] {
        let body = (method == "POST").then(|| json!({ "inbox_id": credential.inbox }));
        let (answered, _) = client.try_call(method, path, id, body.as_ref()).unwrap();
        assert_eq!(answered, status);
        let log = server.log_with(&format!("\"{id}\""));
        let told: Vec<Value> = log
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter(|line| line["request_id"] == id)
            .collect();
        assert_eq!(told.len(), 1, "{log}");
        let line = &told[0];
        assert_eq!((&line["method"], &line["route"]), (&json!(method), &json!(route)), "{line}");
        assert_eq!(line["status"], status, "{line}");
        assert!(line["micros"].as_u64().is_some(), "{line}");
        assert!(line["timestamp"].as_str().is_some() && line["level"] == "INFO", "{line}");
        if route != "none" {
            let caller = (&line["account"], &line["key"]);
            assert_eq!(caller, (&json!(credential.account), &json!(1)), "{line}");
        }
    }
    // Every other line is an object too, and the last one tells of the stop.
    let (_, log) = server.stop();
    assert!(log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{log}");
}

#[test]
fn the_log_of_text_has_one_line_a_request_and_can_be_turned_off() {
    let place = Place::new();
    let credential = place.init();
    let server = place.serve(&[]);
    for _ in 0..3 {
        assert_eq!(server.client(&credential).status(), 200);
    }
    let (_, log) = server.stop();
    let lines = log.lines().filter(|line| line.contains("route=\"/api/v2/accounts/contacts\""));
    assert_eq!(lines.count(), 3, "{log}");
    assert!(!log.contains('\u{1b}'), "no colours where nobody sees them: {log}");

    let server = place.serve(&["--log", "off"]);
    assert_eq!(server.client(&credential).status(), 200);
    assert_eq!(server.stop().1, "");
}
