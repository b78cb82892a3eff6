//! kill -9 at random moments while many clients write: every answer that was given holds, nothing
//! is there by half, and tables, counters, events and search tell the same.
//!
//! `world.rs` is what a client believes, `writer.rs` the client, `round.rs` lets clients write and
//! kills. `record.rs` reads what the tables of a database hold, `replay.rs` folds its events,
//! `check.rs` compares all of them. The tests with one server are here, those with
//! two on one PostgreSQL in `pair.rs` and, where one is not killed but frozen, `frozen.rs`; `keyed.rs`
//! repeats what was not answered. `MEISHI_CRASH_ROUNDS` and `MEISHI_CRASH_SEED` make a run longer or
//! another one.
//!
//! What a killed process leaves is what the system took from it: a power cut, which also loses what
//! was not synced, is not tried here.

mod check;
mod frozen;
mod keyed;
mod pair;
mod record;
mod replay;
mod round;
mod world;
mod writer;

use std::{fs, process::Stdio, thread, time::Duration};

use fastrand::Rng;
use meishi_test_postgres::Cluster;

use self::{
    check::{check_answers, check_database},
    record::Database,
    round::{Round, clients},
    writer::Writer,
};
use crate::{
    client::Credential,
    running::{Place, Server, setting},
    tables::Tables,
};

const ROUNDS: u64 = 24;
const SEED: u64 = 20_261_121;

/// Writers of each of the two accounts.
const WRITERS: usize = 3;

fn number(name: &str, default: u64) -> u64 {
    setting(name).map_or(default, |text| text.parse().expect("a number"))
}

/// The clients of two accounts.
fn writers(place: &Place, rng: &mut Rng) -> Vec<Writer> {
    let first = place.init();
    let second = Credential::of(&place.json(&["accounts", "create", "--name", "B", "--json"]));
    (0..2 * WRITERS)
        .map(|number| {
            Writer::new(number, if number % 2 == 0 { &first } else { &second }, rng.fork())
        })
        .collect()
}

#[test]
fn every_acknowledged_write_outlives_kill_9_and_nothing_is_there_by_half() {
    let (rounds, seed) = (number("MEISHI_CRASH_ROUNDS", ROUNDS), number("MEISHI_CRASH_SEED", SEED));
    println!("seed {seed}");
    let mut rng = Rng::with_seed(seed);
    let place = Place::new();
    let mut writers = writers(&place, &mut rng);

    for round in 0..rounds {
        if rng.u8(..3) == 0 {
            kill_while_starting(&place, rng.u64(..40));
        }
        let server = place.serve(&[]);
        check_answers(&server, &writers, &mut rng);
        let answered = write_until_killed(server, &mut writers, &mut rng);
        let database = left_behind(&place);
        let survived = check_database(&database, &mut writers);
        println!("round {round}: {answered} answered, {survived} more survived");
    }

    let server = place.serve(&[]);
    check_answers(&server, &writers, &mut rng);
    server.stop();
    // A clean end, and the starts before it, wrote nothing of their own.
    check_database(&Database::read(&place.tables()), &mut writers);
}

#[test]
fn a_first_start_that_is_killed_leaves_what_the_next_one_can_use() {
    kill_first_starts(Place::new);
}

#[test]
fn a_first_start_that_is_killed_on_postgresql_leaves_what_the_next_one_can_use() {
    kill_first_starts(|| Place::on(Cluster::shared()));
}

fn kill_first_starts(place: impl Fn() -> Place) {
    let mut rng = Rng::with_seed(number("MEISHI_CRASH_SEED", SEED));
    for _ in 0..number("MEISHI_CRASH_ROUNDS", ROUNDS) {
        let place = place();
        kill_while_starting(&place, rng.u64(..80));
        let server = place.serve(&[]);
        // Where the secret was lost with the first process, the operator makes a key.
        let args = ["keys", "create", "--name", "x", "--role", "administrator", "--json"];
        let created = place.json(&args);
        let accounts = place.json(&["accounts", "list", "--json"]);
        assert_eq!(accounts.as_array().unwrap().len(), 1, "one first start, one account");
        let credential = Credential {
            account: accounts[0]["id"].as_i64().unwrap(),
            inbox: 1,
            key: created["api_key"].as_str().unwrap().to_owned(),
            secret: created["api_secret"].as_str().unwrap().to_owned(),
        };
        assert_eq!(server.client(&credential).create(1, "anna@x.test"), 1);
        server.stop();
        check_database(&Database::read(&place.tables()), &mut []);
    }
}

/// Lets all writers write, kills the server at some moment and answers how many calls it answered.
fn write_until_killed(server: Server, writers: &mut [Writer], rng: &mut Rng) -> usize {
    let clients = clients(writers, std::slice::from_ref(&server));
    let round = Round::with_victim(server);
    round.run(writers, &clients, || round.strike(rng))
}

/// Starts a server and kills it before or after it is ready: a recovery that is cut short too.
fn kill_while_starting(place: &Place, after_millis: u64) {
    let mut command = place.command(&["serve", "--listen", "127.0.0.1:0", "--log", "off"]);
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    thread::sleep(Duration::from_millis(after_millis));
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The database as the killed process left it. It is read from a copy, so that the recovery is
/// left to the next server.
fn left_behind(place: &Place) -> Database {
    let copy = place.home().join("left-behind");
    fs::create_dir_all(&copy).unwrap();
    for name in ["meishi.db", "meishi.db-wal"] {
        let from = place.data().join(name);
        if from.exists() {
            fs::copy(from, copy.join(name)).unwrap();
        }
    }
    let database = Database::read(&Tables::of_file(&copy.join("meishi.db")));
    fs::remove_dir_all(&copy).unwrap();
    database
}
