//! Lanes: how calls become transactions.
//!
//! The calls on one account queue up in its lane. A lane takes what is queued (it never waits for
//! more), and in one transaction locks the account's counters row, reads what the calls need, lets
//! the ledger decide, writes what is left, and commits; only then it answers. So an answer means
//! that the change is on disk, several servers take turns at the lock, and under load many calls
//! share one commit. An account has one lane in each server; lanes of different accounts run side
//! by side.

use std::{
    collections::{HashMap, VecDeque},
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use futures::{FutureExt, join};
use meishi_contacts::{
    AccountId, Event, UnixMillis,
    limits::{BATCH_CHANGES, GROUP_CALLS, WRITE_QUEUE, WRITE_QUEUE_CHANGES},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio_postgres::types::ToSql;

use super::{
    accounts, doubt,
    error::Error,
    events, load, row, save,
    session::{Session, Sessions},
    statement::statements,
};
use crate::{
    Applied, Change, StoreError,
    key_cache::KeyCache,
    ledger::{Call, Ledger, Needs, OutcomeKey, missing_account},
};

statements! {
    KEPT(INT8, INT8, TEXT, TEXT) = "SELECT created_at FROM idempotency_keys
         WHERE account_id = $1 AND api_key_id = $2 AND route = $3 AND key = $4";
}

type Answer = Result<Applied, StoreError>;

/// The lanes of a server.
pub(super) struct Lanes {
    sessions: Sessions,
    /// Forgets what a call may have changed, whether anybody still waits for it or not.
    key_cache: Arc<KeyCache>,
    /// Lets so many lanes at a connection; the others of the pool are for reads.
    turns: Semaphore,
    queues: Mutex<Queues>,
    /// How many changes may wait besides.
    room: Arc<Semaphore>,
    /// How many lanes there are.
    running: watch::Sender<usize>,
}

#[derive(Default)]
struct Queues {
    /// What waits, by account; an account is here for as long as its lane runs.
    accounts: HashMap<AccountId, VecDeque<Waiting>>,
    waiting: usize,
    closed: bool,
}

struct Waiting {
    call: Call,
    reply: oneshot::Sender<Answer>,
    /// Room for its changes, until it runs.
    _room: OwnedSemaphorePermit,
}

impl Lanes {
    pub(super) fn new(sessions: Sessions, at_once: usize, key_cache: Arc<KeyCache>) -> Arc<Self> {
        Arc::new(Self {
            sessions,
            key_cache,
            turns: Semaphore::new(at_once),
            queues: Mutex::default(),
            room: Arc::new(Semaphore::new(WRITE_QUEUE_CHANGES)),
            running: watch::Sender::new(0),
        })
    }

    /// Runs a call in its account's lane and answers when it is on disk.
    pub(super) async fn call(self: &Arc<Self>, call: Call) -> Answer {
        let account = call.cx.account;
        let (reply, answer) = oneshot::channel();
        {
            let mut queues = self.queues();
            if queues.closed {
                return Err(StoreError::closed());
            }
            if queues.waiting >= WRITE_QUEUE {
                return Err(StoreError::Busy);
            }
            let changes = u32::try_from(call.changes.len()).unwrap_or(u32::MAX);
            let room = Arc::clone(&self.room).try_acquire_many_owned(changes);
            let room = room.map_err(|_| StoreError::Busy)?;
            queues.waiting += 1;
            let waiting = Waiting { call, reply, _room: room };
            if let Some(queue) = queues.accounts.get_mut(&account) {
                queue.push_back(waiting);
            } else {
                queues.accounts.insert(account, VecDeque::from([waiting]));
                self.running.send_modify(|lanes| *lanes += 1);
                tokio::spawn(Arc::clone(self).serve(account));
            }
        }
        answer.await.unwrap_or_else(|_| Err(StoreError::closed()))
    }

    /// Refuses further calls and waits for those that are queued.
    pub(super) async fn close(&self) {
        self.queues().closed = true;
        // The sender is here, so that waiting cannot fail.
        let _ = self.running.subscribe().wait_for(|lanes| *lanes == 0).await;
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves an account until nothing waits any more.
    async fn serve(self: Arc<Self>, account: AccountId) {
        loop {
            // Never closed, so that waiting cannot fail.
            let turn = self.turns.acquire().await;
            let Some(group) = self.next_group(account) else { break };
            let (calls, replies): (Vec<_>, Vec<_>) =
                group.into_iter().map(|waiting| (waiting.call, waiting.reply)).unzip();
            let begun = Instant::now();
            let answers = self.run(account, &calls).await;
            drop(turn);
            if calls.iter().flat_map(|call| &call.changes).any(Change::is_of_a_key) {
                self.key_cache.forget();
            }
            metrics::histogram!("meishi_store_commit_seconds").record(begun.elapsed());
            // Another server holds the account for long. Who came while this one waited for it has
            // waited as well.
            if answers.iter().all(|answer| matches!(answer, Err(StoreError::Busy))) {
                self.refuse_waiting(account);
            }
            for (reply, answer) in replies.into_iter().zip(answers) {
                // Nobody to answer is no failure: the caller has gone away.
                let _ = reply.send(answer);
            }
        }
        self.running.send_modify(|lanes| *lanes -= 1);
    }

    /// Answers what waits for an account that the database is too busy for it.
    fn refuse_waiting(&self, account: AccountId) {
        let mut queues = self.queues();
        let waiting = queues.accounts.get_mut(&account).map(std::mem::take).unwrap_or_default();
        queues.waiting -= waiting.len();
        drop(queues);
        for call in waiting {
            let _ = call.reply.send(Err(StoreError::Busy));
        }
    }

    /// What waits for an account, up to what one transaction takes; `None` ends the lane.
    fn next_group(&self, account: AccountId) -> Option<Vec<Waiting>> {
        let mut queues = self.queues();
        let queue = queues.accounts.get_mut(&account)?;
        let (mut group, mut changes, mut taken) = (Vec::new(), 0, 0);
        while let Some(next) = queue.front() {
            changes += next.call.changes.len();
            if group.len() >= GROUP_CALLS || (changes > BATCH_CHANGES && !group.is_empty()) {
                break;
            }
            taken += 1;
            group.extend(queue.pop_front().filter(|next| !next.reply.is_closed()));
        }
        if group.is_empty() {
            queues.accounts.remove(&account);
        }
        queues.waiting -= taken;
        metrics::gauge!("meishi_store_queue_calls").set(count(queues.waiting));
        metrics::histogram!("meishi_store_group_calls").record(count(group.len()));
        (!group.is_empty()).then_some(group)
    }

    /// Runs a group, or its calls one by one where one of them fails the others.
    async fn run(&self, account: AccountId, calls: &[Call]) -> Vec<Answer> {
        match self.commit(account, calls).await {
            Ok(answers) => answers,
            Err(Failure::OfACall(_)) if calls.len() > 1 => {
                let mut answers = Vec::with_capacity(calls.len());
                for call in calls {
                    let one = std::slice::from_ref(call);
                    let answer = self.commit(account, one).await;
                    answers.extend(answer.unwrap_or_else(|failure| failure.answers(1)));
                }
                answers
            }
            Err(failure) => failure.answers(calls.len()),
        }
    }

    /// Runs calls in one transaction. Where the connection is lost before COMMIT was sent, nothing
    /// was written, and it is tried again: each connection of the pool may have ended unnoticed.
    async fn commit(&self, account: AccountId, calls: &[Call]) -> Result<Vec<Answer>, Failure> {
        let mut tries = self.sessions.tries();
        loop {
            let trying = AssertUnwindSafe(self.try_commit(account, calls)).catch_unwind();
            match trying.await {
                Ok(Err(Failure::Lost(_))) if tries.again() => {}
                Ok(result) => return result,
                Err(_) => {
                    let panicked = StoreError::Internal("a change panicked".into());
                    return Err(Failure::OfACall(panicked));
                }
            }
        }
    }

    async fn try_commit(&self, account: AccountId, calls: &[Call]) -> Result<Vec<Answer>, Failure> {
        let session = self.sessions.get().await?;
        let written = match self.write(&session, account, calls).await {
            Ok(written) => written,
            Err(error) if error.is_lost() => {
                session.give_up();
                return Err(error.into());
            }
            Err(error) => {
                session.roll_back().await;
                return Err(error.into());
            }
        };
        let (answers, Some(trace)) = written else {
            session.roll_back().await;
            return Ok(written.0);
        };
        let Err(error) = session.commit().await else { return Ok(answers) };
        if error.is_refusal() {
            session.roll_back().await;
            return Err(error.into());
        }
        session.give_up();
        tracing::warn!(%account, %error, "a commit is in doubt");
        if trace.is_empty() {
            // Deliveries are made once more: nothing tells whether they are, and made anew they
            // might be sent twice.
            return Err(Failure::InDoubt(error.to_string()));
        }
        match doubt::took_place(|| self.look_for(account, &trace).boxed()).await {
            Some(true) => Ok(answers),
            Some(false) => Err(Failure::Lost(error.into())),
            None => Err(Failure::InDoubt(error.to_string())),
        }
    }

    /// Everything of a transaction but its end. Without a trace there is nothing to commit.
    async fn write(
        &self,
        session: &Session,
        account: AccountId,
        calls: &[Call],
    ) -> Result<(Vec<Answer>, Option<Trace>), Error> {
        let needs = Needs::of(calls);
        // One round trip. It must not be read before the lock is taken: what is polled first is
        // sent first, if it need not be prepared.
        session.prepare(accounts::LOCK_COUNTERS).await?;
        let begin = self.sessions.begin();
        let locked: [&(dyn ToSql + Sync); 1] = [&account.0];
        let (open, counters, loaded) = join!(
            session.begin(&begin),
            session.query_opt(accounts::LOCK_COUNTERS, &locked),
            load::rows(session, account, &needs).boxed(),
        );
        open?;
        let Some(counters) = counters? else {
            return Ok((calls.iter().map(|call| Ok(missing_account(call))).collect(), None));
        };
        let mut ledger = Ledger::new(account, accounts::counters(&counters)?);
        for note in loaded? {
            note(&mut ledger);
        }
        let further = Needs::further(calls, &ledger);
        if !further.is_empty() {
            for note in load::rows(session, account, &further).boxed().await? {
                note(&mut ledger);
            }
        }
        let answers: Vec<Answer> = calls.iter().map(|call| ledger.run(call)).collect();
        // It must leave nothing behind, and those beside it what they would without it.
        if answers.iter().any(|answer| matches!(answer, Err(StoreError::OutcomeTooLarge))) {
            return Err(Error::OutcomeTooLarge);
        }
        let writes = ledger.into_writes();
        if writes.is_empty() {
            return Ok((answers, None));
        }
        save::rows(session, account, &writes).boxed().await?;
        let event = writes.events.into_iter().next_back().map(|new| new.event);
        let outcome = writes.new_outcomes.into_iter().next().map(|(key, kept)| (key, kept.at));
        Ok((answers, Some(Trace { event, outcome })))
    }

    /// Whether a transaction was committed after all. Waits for the account's lock, and so for the
    /// end of the transaction, if it is still under way.
    async fn look_for(&self, account: AccountId, trace: &Trace) -> Result<bool, Error> {
        let session = self.sessions.get().await?;
        let found = async {
            session.begin(&self.sessions.begin()).await?;
            session.query(accounts::LOCK_COUNTERS, &[&account.0]).await?;
            if let Some(event) = &trace.event {
                return Ok(events::get(&session, account, event.seq).await?.as_ref() == Some(event));
            }
            let Some((key, at)) = &trace.outcome else { return Ok(false) };
            let kept = session
                .query_opt(KEPT, &[&account.0, &key.api_key_id.0, &key.route, &key.key])
                .await?;
            let kept = kept.map(|row| row::column(&row, 0)).transpose()?;
            Ok(kept == Some(at.0))
        };
        let found = found.await;
        session.roll_back().await;
        found
    }
}

/// What a transaction leaves that no other does: by it one can see later whether it took place.
struct Trace {
    event: Option<Event>,
    outcome: Option<(OutcomeKey, UnixMillis)>,
}

impl Trace {
    /// Whether there is nothing to look for.
    const fn is_empty(&self) -> bool {
        self.event.is_none() && self.outcome.is_none()
    }
}

/// Why a group was not committed.
enum Failure {
    /// The connection is gone; nothing was written.
    Lost(StoreError),
    /// One of the calls cannot be done.
    OfACall(StoreError),
    /// The database cannot do it now; nothing was written.
    Other(StoreError),
    /// It may or may not have been committed.
    InDoubt(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        if error.is_lost() {
            Self::Lost(error.into())
        } else if error.is_of_a_call() {
            Self::OfACall(error.into())
        } else {
            Self::Other(error.into())
        }
    }
}

impl Failure {
    /// The same answer to every call.
    fn answers(self, calls: usize) -> Vec<Answer> {
        let error = match self {
            Self::Lost(error) | Self::OfACall(error) | Self::Other(error) => error,
            Self::InDoubt(reason) => StoreError::InDoubt(reason),
        };
        if !matches!(error, StoreError::OutcomeTooLarge) {
            tracing::error!(%error, calls, "a group of writes failed");
        }
        vec![Err(error); calls]
    }
}

#[expect(clippy::cast_precision_loss, reason = "a queue's length is far below 2^52")]
fn count(number: usize) -> f64 {
    number as f64
}
