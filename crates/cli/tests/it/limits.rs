//! Limits for callers and for what is kept, as an operator sets them: by flag, environment and file.

use std::fs;

use crate::{
    client::{Client, Credential, status_for},
    running::{Finished, Place, Server},
};

const SERVE: [&str; 3] = ["serve", "--listen", "127.0.0.1:0"];

/// Starts the service three times, set by flags, by the environment and by the file, and looks.
fn with_each(
    place: &Place,
    flags: &[&str],
    environment: &[(&str, &str)],
    file: &str,
    look: impl Fn(&Server),
) {
    let stop_after = |server: Server| {
        look(&server);
        server.stop();
    };
    stop_after(place.serve(flags));
    let mut command = place.command(&SERVE);
    command.envs(environment.iter().copied());
    stop_after(Server::start(command));
    fs::write(place.home().join("meishi.toml"), file).unwrap();
    stop_after(place.serve(&[]));
    fs::remove_file(place.home().join("meishi.toml")).unwrap();
}

#[test]
fn calls_are_limited_per_key_as_set() {
    let place = Place::new();
    let credential = place.init();
    with_each(
        &place,
        &["--limit-per-key", "2/h"],
        &[("MEISHI_LIMIT_PER_KEY", "2/h")],
        "limit_per_key = \"2/h\"\n",
        |server| {
            let client = server.client(&credential);
            assert_eq!([client.status(), client.status(), client.status()], [200, 200, 429]);
            let (status, retry_after, code) = client.call_in_vain("GET", "contacts", None);
            assert_eq!((status, code.as_str()), (429, "rate_limited"));
            let seconds: u64 = retry_after.unwrap().parse().unwrap();
            assert!((1700..=1800).contains(&seconds), "{seconds}");
        },
    );
    // A flag wins over the file, also to switch a limit off.
    fs::write(place.home().join("meishi.toml"), "limit_per_key = \"1/h\"\n").unwrap();
    let server = place.serve(&["--limit-per-key", "off"]);
    let client = server.client(&credential);
    assert_eq!([client.status(), client.status()], [200, 200]);
}

#[test]
fn addresses_are_those_that_trusted_proxies_tell() {
    let place = Place::new();
    place.init();
    with_each(
        &place,
        &["--limit-per-address=1/h", "--trusted-proxy=10.0.0.0/8", "--trusted-proxy=127.0.0.1"],
        &[("MEISHI_LIMIT_PER_ADDRESS", "1/h"), ("MEISHI_TRUSTED_PROXIES", "10.0.0.0/8,127.0.0.1")],
        "limit_per_address = \"1/h\"\ntrusted_proxies = [\"10.0.0.0/8\", \"127.0.0.1\"]\n",
        |server| {
            let told = ["192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.2, 10.9.9.9"];
            let answered = told.map(|address| status_for(&server.base, address));
            assert_eq!(answered, [200, 200, 429, 429]);
        },
    );
    let server = place.serve(&["--limit-per-address=1/h"]);
    let answered = ["192.0.2.1", "192.0.2.2"].map(|address| status_for(&server.base, address));
    assert_eq!(answered, [200, 429], "nobody is trusted who is not named");
}

#[test]
fn failed_authentication_is_limited_as_set_and_by_default() {
    let place = Place::new();
    let credential = place.init();
    let good = |server: &Server| server.client(&credential);
    let wrong = |server: &Server| {
        let wrong = Credential { secret: "ms_wrong".to_owned(), ..credential.clone() };
        Client::new(&server.base, &wrong)
    };
    with_each(
        &place,
        &["--limit-failed-authentication", "1/h"],
        &[("MEISHI_LIMIT_FAILED_AUTHENTICATION", "1/h")],
        "limit_failed_authentication = \"1/h\"\n",
        |server| {
            let wrong = wrong(server);
            assert_eq!([wrong.status(), wrong.status()], [401, 429]);
            assert_eq!(good(server).status(), 200);
        },
    );
    let server = place.serve(&[]);
    let client = wrong(&server);
    let answered: Vec<u16> = (0..40).map(|_| client.status()).collect();
    assert_eq!(answered[..20], [401; 20]);
    assert!(answered.contains(&429), "{answered:?}");
    assert_eq!(good(&server).status(), 200);
    let (_, log) = server.stop();
    assert!(log.contains("status=429"), "{log}");
    assert!(!log.contains("ms_") && !log.contains(&credential.key), "{log}");
}

#[test]
fn a_limit_or_a_proxy_that_is_none_is_refused_with_how_to_write_it() {
    let place = Place::new();
    for (flag, value, expected) in [
        ("--limit-per-key", "100", "as in 100/s, 20/m or 1000/10m, or off"),
        ("--limit-per-address", "0/s", "write calls (1 to 1000000)"),
        ("--limit-failed-authentication", "20/d", "a time (up to 24h)"),
        ("--trusted-proxy", "proxy.example", "neither an address nor a network"),
    ] {
        let done = place.run(&[&SERVE[..], &[flag, value]].concat());
        assert_eq!(done.code, Some(2), "{done:?}");
        for part in [flag, value, expected] {
            assert!(done.stderr.contains(part), "{part:?} is not in {}", done.stderr);
        }
        assert!(!done.stderr.contains("panicked"), "{done:?}");
    }
    for (name, value, expected) in [
        ("MEISHI_LIMIT_PER_KEY", "many", "as in 100/s"),
        ("MEISHI_TRUSTED_PROXIES", "10.0.0.0/8,10.0.0/8", "neither an address nor a network"),
    ] {
        let sentence = Finished::of(place.command(&SERVE).env(name, value)).refused();
        for part in [name, expected] {
            assert!(sentence.contains(part), "{part:?} is not in {sentence}");
        }
    }
    for (text, parts) in [
        ("\nlimit_per_key = \"100\"\n", ["line 2", "as in 100/s"]),
        ("trusted_proxies = [\"x\"]\n", ["line 1", "neither an address nor a network"]),
    ] {
        fs::write(place.home().join("meishi.toml"), text).unwrap();
        let sentence = place.run(&SERVE).refused();
        for part in parts {
            assert!(sentence.contains(part), "{part:?} is not in {sentence}");
        }
    }
}

#[test]
fn days_that_things_are_kept_are_whole_and_at_least_one() {
    let place = Place::new();
    let credential = place.init();
    with_each(
        &place,
        &["--event-retention", "365", "--delivery-retention", "7"],
        &[("MEISHI_EVENT_RETENTION", "365"), ("MEISHI_DELIVERY_RETENTION", "7")],
        "event_retention = 365\ndelivery_retention = 7\n",
        |server| assert_eq!(server.client(&credential).status(), 200),
    );
    for flag in ["--event-retention", "--delivery-retention"] {
        for value in ["0", "1.5", "many"] {
            let done = place.run(&[&SERVE[..], &[flag, value]].concat());
            assert_eq!(done.code, Some(2), "{done:?}");
            assert!(done.stderr.contains(flag) && !done.stderr.contains("panicked"), "{done:?}");
        }
    }
    for name in ["MEISHI_EVENT_RETENTION", "MEISHI_DELIVERY_RETENTION"] {
        let sentence = Finished::of(place.command(&SERVE).env(name, "0")).refused();
        assert!(sentence.contains(name), "{sentence}");
    }
    fs::write(place.home().join("meishi.toml"), "\nevent_retention = 0\n").unwrap();
    let sentence = place.run(&SERVE).refused();
    assert!(sentence.contains("line 2"), "{sentence}");
}
