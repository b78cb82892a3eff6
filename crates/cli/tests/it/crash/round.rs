//! A round of writing: what its writers and the one who disturbs them tell each other.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;

use super::writer::Writer;
use crate::{
    client::Client,
    running::{PATIENCE, Server},
};

/// Which of the servers is killed, where one is.
pub(super) const VICTIM: usize = 0;

/// The state of a round.
#[derive(Default)]
pub(super) struct Round {
    victim: Mutex<Option<Server>>,
    /// From now on the next answer of the victim is its last.
    armed: AtomicBool,
    killed: AtomicBool,
    over: AtomicBool,
    outage: bool,
    answered: AtomicUsize,
}

impl Round {
    /// A round in which a server is killed.
    pub(super) fn with_victim(server: Server) -> Self {
        Self { victim: Mutex::new(Some(server)), ..Self::default() }
    }

    /// A round in which the servers live and their database does not always.
    pub(super) fn with_outage() -> Self {
        Self { outage: true, ..Self::default() }
    }

    /// Lets each writer write, with its clients, until something is done, and answers how many
    /// calls were answered.
    pub(super) fn run(
        &self,
        writers: &mut [Writer],
        clients: &[Vec<Client>],
        something: impl FnOnce(),
    ) -> usize {
        thread::scope(|scope| {
            let _end = End(self);
            for (writer, clients) in writers.iter_mut().zip(clients) {
                scope.spawn(move || writer.write(clients, self));
            }
            something();
        });
        self.answered.load(Ordering::SeqCst)
    }

    /// A writer got an answer. Where it comes before its commit, killing at once shows it.
    pub(super) fn answered(&self, server: usize) {
        self.answered.fetch_add(1, Ordering::SeqCst);
        if server == VICTIM && self.armed.load(Ordering::SeqCst) {
            self.kill();
        }
    }

    /// Kills the victim at some moment, often right at one of its answers.
    pub(super) fn strike(&self, rng: &mut Rng) {
        // Some die young: while the first writes after a recovery are under way.
        let (pause, least) = match rng.u8(..4) {
            0 => (rng.u64(..60), 0),
            _ => (rng.u64(150..600), 40),
        };
        let at_an_answer = rng.u8(..3) > 0;
        thread::sleep(Duration::from_millis(pause));
        self.wait_for_answers(least);
        if at_an_answer {
            self.armed.store(true, Ordering::SeqCst);
            wait_until(|| self.is_killed());
        }
        self.kill();
    }

    fn kill(&self) {
        let server = self.victim.lock().unwrap().take();
        if let Some(server) = server {
            self.killed.store(true, Ordering::SeqCst);
            server.kill();
        }
    }

    /// Waits until so many more calls were answered.
    pub(super) fn wait_for_answers(&self, more: usize) {
        let answered = || self.answered.load(Ordering::SeqCst);
        let wanted = answered() + more;
        wait_until(|| answered() >= wanted);
        assert!(answered() >= wanted, "{} writes, {wanted} expected", answered());
    }

    pub(super) fn is_killed(&self) -> bool {
        self.killed.load(Ordering::SeqCst)
    }

    pub(super) fn is_outage(&self) -> bool {
        self.outage
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}

/// Ends the round, also where whoever disturbs it panics.
struct End<'a>(&'a Round);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::SeqCst);
    }
}

/// Each writer's clients of some servers.
pub(super) fn clients(writers: &[Writer], servers: &[Server]) -> Vec<Vec<Client>> {
    let of_one =
        |writer: &Writer| servers.iter().map(|server| server.client(&writer.credential)).collect();
    writers.iter().map(of_one).collect()
}

/// Waits for something, or for so long that it does not come any more.
fn wait_until(there: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !there() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
}
