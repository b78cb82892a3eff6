//! A server that freezes in the middle of a transaction, as that of a paused virtual machine does,
//! holds its account's lock. The others must get it within seconds, and what the frozen one writes
//! when it goes on must be as it then answers.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use meishi_test_postgres::Cluster;
use serde_json::{Value, json};

use super::{check::check_database, record::Database};
use crate::{
    client::{Client, Credential},
    running::{PATIENCE, Place, Server},
    tables::Tables,
};

/// How long the others may be held up.
const HELD_UP: Duration = Duration::from_secs(15);

const FREEZES: usize = 2;
const WRITERS: usize = 3;

/// What became of the contact of a name, which is one write's alone.
type Answers = BTreeMap<String, (u16, Value)>;

/// Nothing but the name tells one from another: a write that is done twice shows as two contacts.
fn create(client: &Client, credential: &Credential, name: &str) -> (u16, Value) {
    client.post("contacts", &json!({ "inbox_id": credential.inbox, "name": name }))
}

fn write(client: &Client, credential: &Credential, writer: usize, over: &AtomicBool) -> Answers {
    let mut answers = Answers::new();
    while !over.load(Ordering::SeqCst) {
        let name = format!("frozen {writer}-{}", answers.len());
        answers.insert(name.clone(), create(client, credential, &name));
    }
    answers
}

/// Writes, again as long as the answer is that nothing was written, and answers how long it took.
fn write_in_the_end(client: &Client, credential: &Credential, name: &str) -> Duration {
    let begun = Instant::now();
    loop {
        let (status, answer) = create(client, credential, name);
        if status == 200 {
            return begun.elapsed();
        }
        assert_eq!(status, 503, "{answer}");
        assert!(["busy", "unavailable"].contains(&answer["code"].as_str().unwrap()), "{answer}");
        assert!(begun.elapsed() < PATIENCE, "{answer}");
        thread::sleep(Duration::from_millis(100));
    }
}

/// Stops the process while PostgreSQL waits for the rest of its transaction.
fn freeze_amid_a_transaction(server: &Server, tables: &Tables) {
    let waiting = "SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND state = 'idle in transaction'";
    let deadline = Instant::now() + PATIENCE;
    loop {
        server.signal("STOP");
        // What it sent before is still worked off.
        thread::sleep(Duration::from_millis(100));
        if tables.rows(waiting, None)[0].get::<i64>(0) > 0 {
            return;
        }
        server.signal("CONT");
        assert!(Instant::now() < deadline, "it is never amid a transaction");
        thread::sleep(Duration::from_millis(fastrand::u64(..20)));
    }
}

/// Lets the writers end, also where the test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_server_that_freezes_amid_a_transaction_holds_nobody_up_for_long_and_answers_what_is_true() {
    let place = Place::on(Cluster::shared());
    let credential = place.init();
    let (frozen, other) = (place.serve(&[]), place.serve(&[]));
    let (mine, others) = (frozen.client(&credential), other.client(&credential));
    let tables = Tables::in_use(place.url());
    let over = AtomicBool::new(false);

    let answers: Answers = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                scope.spawn({
                    let (mine, credential, over) = (&mine, &credential, &over);
                    move || write(mine, credential, writer, over)
                })
            })
            .collect();
        let end = End(&over);
        for number in 0..FREEZES {
            thread::sleep(Duration::from_millis(300));
            freeze_amid_a_transaction(&frozen, &tables);
            let begun = Instant::now();
            others.list("");
            assert!(begun.elapsed() < HELD_UP / 3, "reads take no lock");
            let took = write_in_the_end(&others, &credential, &format!("other {number}"));
            println!("the other server's write took {took:?}");
            assert!(took < HELD_UP, "{took:?}");
            frozen.signal("CONT");
        }
        thread::sleep(Duration::from_millis(500));
        drop(end);
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });

    let database = Database::read(&place.tables());
    check_database(&database, &mut []);
    let mut there: BTreeMap<&str, usize> = BTreeMap::new();
    for card in database.accounts[&credential.account].state.contacts.values() {
        *there.entry(&card.contact.name).or_default() += 1;
    }
    for (name, (status, answer)) in &answers {
        let times = there.get(name.as_str()).copied().unwrap_or(0);
        match (status, answer["code"].as_str()) {
            (200, _) => assert_eq!(times, 1, "{name}: {answer}"),
            (503, Some("commit_in_doubt")) => assert!(times <= 1, "{name}: {answer}"),
            (503, Some("busy" | "unavailable")) => assert_eq!(times, 0, "{name}: {answer}"),
            _ => panic!("{name}: {status} {answer}"),
        }
    }
    for number in 0..FREEZES {
        assert_eq!(there.get(format!("other {number}").as_str()), Some(&1));
    }
    let refused = answers.values().filter(|(status, _)| *status != 200).count();
    println!("{} answers, {refused} of them refusals", answers.len());
    let count = i64::try_from(database.accounts[&credential.account].state.contacts.len()).unwrap();
    drop(tables);
    for client in [&mine, &others] {
        assert_eq!(client.list("").0, count);
    }
}
