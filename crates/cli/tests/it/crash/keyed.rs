//! kill -9 between the effect of a keyed call and its answer: whoever repeats the call under its
//! `Idempotency-Key` until it is answered has made one contact. Nothing but the name tells one
//! contact from another, so that one that is made twice shows.

use std::{collections::BTreeMap, thread};

use fastrand::Rng;
use serde_json::{Value, json};

use super::{
    SEED,
    check::check_database,
    number,
    record::Database,
    round::{Round, VICTIM},
};
use crate::{
    client::{Client, Credential},
    running::Place,
};

const ROUNDS: u64 = 12;
const WRITERS: usize = 6;

/// A client that creates contacts, each under a key of its own that is the contact's name too.
struct Creator {
    number: usize,
    inbox: i64,
    rng: Rng,
    /// What was answered, by key.
    answers: BTreeMap<String, Value>,
    /// The key of the call that has no answer yet.
    open: Option<String>,
    /// How many calls were done although their answer was lost, and how many were not.
    survived: usize,
    lost: usize,
}

impl Creator {
    fn new(number: usize, credential: &Credential, rng: Rng) -> Self {
        let (answers, open) = (BTreeMap::new(), None);
        Self { number, inbox: credential.inbox, rng, answers, open, survived: 0, lost: 0 }
    }

    fn create(&self, client: &Client, key: &str) -> Result<(bool, Value), ureq::Error> {
        let body = json!({ "inbox_id": self.inbox, "name": key });
        let (status, is_replay, answer) = client.try_keyed("contacts", key, &body)?;
        assert_eq!(status, 200, "{key}: {answer}");
        assert_eq!(answer["payload"]["contact"]["name"], key);
        Ok((is_replay, answer))
    }

    /// Repeats what has no answer, then creates until there is none any more.
    fn write(&mut self, client: &Client, round: &Round) {
        while self.step(client).is_ok() {
            round.answered(VICTIM);
        }
        assert!(round.is_killed(), "no answer from a living server");
    }

    fn step(&mut self, client: &Client) -> Result<(), ureq::Error> {
        let known: Vec<&String> = self.answers.keys().collect();
        if self.rng.u8(..8) == 0
            && let Some(key) = self.rng.choice(known)
        {
            let (is_replay, answer) = self.create(client, key)?;
            assert!(is_replay, "{key} was done again");
            assert_eq!(answer, self.answers[key]);
        }
        let repeated = self.open.is_some();
        let fresh = format!("w{}-{:06}", self.number, self.answers.len());
        let key = self.open.get_or_insert(fresh).clone();
        let (is_replay, answer) = self.create(client, &key)?;
        self.open = None;
        assert!(repeated || !is_replay, "{key} was not there before");
        self.survived += usize::from(repeated && is_replay);
        self.lost += usize::from(repeated && !is_replay);
        self.answers.insert(key, answer);
        Ok(())
    }
}

fn repeat_after_kills(place: &Place) {
    let (rounds, seed) = (number("MEISHI_CRASH_ROUNDS", ROUNDS), number("MEISHI_CRASH_SEED", SEED));
    println!("seed {seed}");
    let mut rng = Rng::with_seed(seed);
    let credential = place.init();
    let mut creators: Vec<Creator> =
        (0..WRITERS).map(|number| Creator::new(number, &credential, rng.fork())).collect();

    for _ in 0..rounds {
        let server = place.serve(&[]);
        let client = server.client(&credential);
        let round = Round::with_victim(server);
        thread::scope(|scope| {
            for creator in &mut creators {
                let client = client.afresh();
                let round = &round;
                scope.spawn(move || creator.write(&client, round));
            }
            round.strike(&mut rng);
        });
    }

    let server = place.serve(&[]);
    let client = server.client(&credential);
    for creator in &mut creators {
        creator.step(&client).unwrap();
    }
    server.stop();

    let database = Database::read(&place.tables());
    check_database(&database, &mut []);
    let mut made: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for card in database.accounts[&credential.account].state.contacts.values() {
        made.entry(&card.contact.name).or_default().push(card.contact.id.0);
    }
    let mut answered = BTreeMap::new();
    for (key, answer) in creators.iter().flat_map(|creator| &creator.answers) {
        let id = answer["payload"]["contact"]["id"].as_i64().unwrap();
        answered.insert(key.as_str(), vec![id]);
    }
    assert_eq!(made, answered, "one contact a key, and no other");
    let sum = |of: fn(&Creator) -> usize| creators.iter().map(of).sum::<usize>();
    let (survived, lost) = (sum(|creator| creator.survived), sum(|creator| creator.lost));
    println!("{} created, {survived} repeats had been done, {lost} had not", answered.len());
    assert!(survived > 0, "no kill came between an effect and its answer");
}

#[test]
fn a_create_that_is_repeated_after_kill_9_made_one_contact() {
    repeat_after_kills(&Place::new());
}

#[test]
fn a_create_that_is_repeated_after_kill_9_on_postgresql_made_one_contact() {
    repeat_after_kills(&Place::on(meishi_test_postgres::Cluster::shared()));
}
