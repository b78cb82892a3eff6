//! kill -9 at random moments while many clients write: every answer that was given holds, nothing
//! is there by half, and tables, counters, events and search tell the same.
//!
//! `world.rs` is what a client believes, `writer.rs` the client, `record.rs` reads a database's
//! tables, `replay.rs` folds its events, `check.rs` compares all of them. `MEISHI_CRASH_ROUNDS` and
//! `MEISHI_CRASH_SEED` make a run longer or another one.
//!
//! What a killed process leaves is what the system took from it: a power cut, which also loses what
//! was not synced, is not tried here.

mod check;
mod record;
mod replay;
mod world;
mod writer;

use std::{
    fs,
    process::Stdio,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;

use self::{
    check::{check_answers, check_database},
    record::Database,
    writer::Writer,
};
use crate::{
    client::Credential,
    running::{PATIENCE, Place, Server, setting},
};

const ROUNDS: u64 = 24;
const SEED: u64 = 20_261_121;

/// Writers of each of the two accounts.
const WRITERS: usize = 3;

fn number(name: &str, default: u64) -> u64 {
    setting(name).map_or(default, |text| text.parse().expect("a number"))
}

/// The server of a round, and what its writers and the one who kills it tell each other.
struct Round {
    server: Mutex<Option<Server>>,
    /// From now on the next answer is the server's last.
    armed: AtomicBool,
    killed: AtomicBool,
    answered: AtomicUsize,
}

impl Round {
    fn new(server: Server) -> Self {
        Self {
            server: Mutex::new(Some(server)),
            armed: AtomicBool::new(false),
            killed: AtomicBool::new(false),
            answered: AtomicUsize::new(0),
        }
    }

    /// A writer got an answer. Where it comes before its commit, killing at once shows it.
    fn answered(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
        if self.armed.load(Ordering::SeqCst) {
            self.kill();
        }
    }

    fn kill(&self) {
        let server = self.server.lock().unwrap().take();
        if let Some(server) = server {
            self.killed.store(true, Ordering::SeqCst);
            server.kill();
        }
    }
}

#[test]
fn every_acknowledged_write_outlives_kill_9_and_nothing_is_there_by_half() {
    let (rounds, seed) = (number("MEISHI_CRASH_ROUNDS", ROUNDS), number("MEISHI_CRASH_SEED", SEED));
    println!("seed {seed}");
    let mut rng = Rng::with_seed(seed);
    let place = Place::new();
    let first = place.init();
    let second = Credential::of(&place.json(&["accounts", "create", "--name", "B", "--json"]));
    let mut writers: Vec<Writer> = (0..2 * WRITERS)
        .map(|number| {
            Writer::new(number, if number % 2 == 0 { &first } else { &second }, rng.fork())
        })
        .collect();

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
    check_database(&Database::read(&place.database()), &mut writers);
}

#[test]
fn a_first_start_that_is_killed_leaves_what_the_next_one_can_use() {
    let mut rng = Rng::with_seed(number("MEISHI_CRASH_SEED", SEED));
    for _ in 0..number("MEISHI_CRASH_ROUNDS", ROUNDS) {
        let place = Place::new();
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
        let database = Database::read(&place.database());
        check_database(&database, &mut []);
    }
}

/// Lets all writers write, kills the server at some moment and answers how many calls it answered.
fn write_until_killed(server: Server, writers: &mut [Writer], rng: &mut Rng) -> usize {
    // Some die young: while the first writes after a recovery are under way.
    let (pause, least) = match rng.u8(..4) {
        0 => (rng.u64(..60), 0),
        _ => (rng.u64(150..600), 40),
    };
    let at_an_answer = rng.u8(..3) > 0;
    let clients: Vec<_> = writers.iter().map(|w| server.client(&w.credential)).collect();
    let round = Round::new(server);
    thread::scope(|scope| {
        for (writer, client) in writers.iter_mut().zip(clients) {
            let round = &round;
            scope.spawn(move || writer.write(&client, round));
        }
        thread::sleep(Duration::from_millis(pause));
        wait_until(|| round.answered.load(Ordering::Relaxed) >= least);
        if at_an_answer {
            round.armed.store(true, Ordering::SeqCst);
            wait_until(|| round.killed.load(Ordering::SeqCst));
        }
        round.kill();
    });
    let answered = round.answered.into_inner();
    assert!(answered >= least, "{answered} writes, {least} expected");
    answered
}

/// Waits for something, or for so long that it does not come any more.
fn wait_until(there: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !there() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
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
    let database = Database::read(&copy.join("meishi.db"));
    fs::remove_dir_all(&copy).unwrap();
    database
}
