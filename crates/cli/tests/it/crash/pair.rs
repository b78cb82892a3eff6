//! Two servers on one PostgreSQL: one of them is killed while the other goes on, or PostgreSQL
//! itself crashes under both.

use fastrand::Rng;
use meishi_test_postgres::Cluster;

use super::{
    SEED,
    check::{check_answers, check_database},
    kill_while_starting, number,
    record::Database,
    round::{Round, clients},
    writer::Writer,
    writers,
};
use crate::running::{Place, Server};

const ROUNDS: u64 = 12;

/// One round of so many is a crash of PostgreSQL.
const CRASH_EVERY: u64 = 4;

/// What is answered after a disturbance, before the next look at the tables.
const MORE: usize = 40;

/// A server may live through all rounds, each of which tries revoked keys at it: on a quick machine
/// that is more failed calls a minute than an address has by default.
const SERVE: [&str; 2] = ["--limit-failed-authentication", "off"];

#[test]
fn two_servers_on_one_postgresql_lose_nothing_when_one_is_killed_or_the_database_crashes() {
    let (rounds, seed) = (number("MEISHI_CRASH_ROUNDS", ROUNDS), number("MEISHI_CRASH_SEED", SEED));
    println!("seed {seed}");
    let mut rng = Rng::with_seed(seed);
    let cluster = Cluster::start(&[("fsync", "on"), ("full_page_writes", "on")], &[]);
    let place = Place::on(&cluster);
    let mut writers = writers(&place, &mut rng);
    let mut servers = vec![place.serve(&SERVE), place.serve(&SERVE)];
    let look = |writers: &mut [Writer]| check_database(&Database::read(&place.tables()), writers);

    for round in 0..rounds {
        let answered = if round % CRASH_EVERY == CRASH_EVERY - 1 {
            crash(&cluster, &servers, &mut writers, &mut rng)
        } else {
            kill_one(&place, &mut servers, &mut writers, &mut rng)
        };
        let open = writers.iter().filter(|writer| writer.in_flight.is_some()).count();
        let survived = look(&mut writers);
        println!("round {round}: {answered} answered, {survived} of {open} more survived");
        for server in &servers {
            check_answers(server, &writers, &mut rng);
        }
    }
    for server in servers {
        server.stop();
    }
    look(&mut writers);
}

/// Kills one of the servers and starts it again, while the other goes on.
fn kill_one(
    place: &Place,
    servers: &mut Vec<Server>,
    writers: &mut [Writer],
    rng: &mut Rng,
) -> usize {
    if rng.bool() {
        servers.reverse();
    }
    let clients = clients(writers, servers);
    let round = Round::with_victim(servers.remove(0));
    round.run(writers, &clients, || {
        round.strike(rng);
        if rng.u8(..3) == 0 {
            kill_while_starting(place, rng.u64(..100));
        }
        servers.push(place.serve(&SERVE));
        round.wait_for_answers(MORE);
    })
}

/// Crashes PostgreSQL, whose return both servers must find by themselves.
fn crash(cluster: &Cluster, servers: &[Server], writers: &mut [Writer], rng: &mut Rng) -> usize {
    let round = Round::with_outage();
    round.run(writers, &clients(writers, servers), || {
        round.wait_for_answers(rng.usize(MORE..4 * MORE));
        cluster.crash();
        cluster.resume();
        round.wait_for_answers(MORE);
    })
}
