//! Where a change meets its statements: the ledger of one call, and the way from `Change` to
//! `Outcome`.

use meishi_contacts::{Event, EventBody, Seq};
use rusqlite::{Connection, OptionalExtension, params};

use super::{contacts, events, execute, idempotency, inboxes, keys, labels, store_error};
use crate::{Applied, Change, ChangeError, Context, Missing, Outcome, StoreError};

/// Why a change stops: the caller's fault, or the database's.
pub(super) enum Stop {
    Refused(ChangeError),
    Failed(rusqlite::Error),
}

impl From<ChangeError> for Stop {
    fn from(error: ChangeError) -> Self {
        Self::Refused(error)
    }
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error)
    }
}

/// The account's counters row while a call works on it. Read once and written once a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) last_seq: i64,
    pub(super) last_contact_id: i64,
    pub(super) last_inbox_id: i64,
    pub(super) last_key_id: i64,
    pub(super) last_label_id: i64,
    pub(super) contacts: i64,
    pub(super) resolved_contacts: i64,
}

/// One call at work on one account.
pub(super) struct Ledger<'a> {
    pub(super) connection: &'a Connection,
    pub(super) cx: &'a Context,
    pub(super) counters: Counters,
    /// Which change of the call is at work, so that each derives random values of its own.
    pub(super) change: usize,
}

impl Ledger<'_> {
    /// Records a change, as the account's next event.
    pub(super) fn record(&mut self, body: EventBody) -> rusqlite::Result<()> {
        self.counters.last_seq += 1;
        let event = Event {
            seq: Seq(self.counters.last_seq),
            at: self.cx.at,
            actor: self.cx.actor,
            request_id: self.cx.request_id.clone(),
            body,
        };
        events::insert(self.connection, self.cx.account, &event)
    }
}

/// [`Store::apply`](crate::Store::apply).
pub(super) fn apply(
    connection: &Connection,
    cx: &Context,
    changes: &[Change],
    atomic: bool,
) -> Result<Applied, StoreError> {
    let failed = |error| store_error(&error);
    if let Some(key) = &cx.idempotency
        && let Some(results) = idempotency::find(connection, cx.account, key)?
    {
        return Ok(Applied { results, replayed: true });
    }
    let Some(counters) = load_counters(connection, cx).map_err(failed)? else {
        let missing = ChangeError::NotFound(Missing::Account);
        let results = changes.iter().map(|_| Err(missing.clone())).collect();
        return Ok(Applied { results, replayed: false });
    };
    let before = counters.clone();
    let mut ledger = Ledger { connection, cx, counters, change: 0 };
    let results = run_all(&mut ledger, changes, atomic).map_err(failed)?;
    if ledger.counters != before {
        save_counters(&ledger).map_err(failed)?;
    }
    if let Some(key) = &cx.idempotency {
        idempotency::keep(connection, cx, key, &results).map_err(failed)?;
    }
    Ok(Applied { results, replayed: false })
}

type Results = Vec<Result<Outcome, ChangeError>>;

fn run_all(ledger: &mut Ledger<'_>, changes: &[Change], atomic: bool) -> rusqlite::Result<Results> {
    if !atomic || changes.len() < 2 {
        return (0..)
            .zip(changes)
            .map(|(number, change)| run_one(ledger, number, change))
            .collect();
    }
    let before = ledger.counters.clone();
    execute(ledger.connection, "SAVEPOINT changes")?;
    let mut results = Results::new();
    for (number, change) in (0..).zip(changes) {
        results.push(run_one(ledger, number, change)?);
        if results.last().is_some_and(Result::is_err) {
            execute(ledger.connection, "ROLLBACK TO changes")?;
            ledger.counters = before;
            let refused = results.pop();
            results = std::iter::repeat_n(Err(ChangeError::Skipped), changes.len()).collect();
            if let (Some(slot), Some(refused)) = (results.get_mut(number), refused) {
                *slot = refused;
            }
            break;
        }
    }
    execute(ledger.connection, "RELEASE changes")?;
    Ok(results)
}

/// Runs one change in a savepoint of its own, so that a refusal leaves nothing behind.
fn run_one(
    ledger: &mut Ledger<'_>,
    number: usize,
    change: &Change,
) -> rusqlite::Result<Result<Outcome, ChangeError>> {
    let before = ledger.counters.clone();
    ledger.change = number;
    execute(ledger.connection, "SAVEPOINT change")?;
    let result = match run(ledger, change) {
        Ok(outcome) => Ok(outcome),
        Err(Stop::Failed(error)) => return Err(error),
        Err(Stop::Refused(error)) => {
            execute(ledger.connection, "ROLLBACK TO change")?;
            ledger.counters = before;
            Err(error)
        }
    };
    execute(ledger.connection, "RELEASE change")?;
    Ok(result)
}

fn run(ledger: &mut Ledger<'_>, change: &Change) -> Result<Outcome, Stop> {
    match change {
        Change::CreateContact(new) => contacts::create(ledger, new),
        Change::UpdateContact { id, patch } => contacts::update(ledger, *id, patch),
        Change::DeleteContact { id } => contacts::delete(ledger, *id),
        Change::SetLabels { id, labels } => labels::set(ledger, *id, labels),
        Change::CreateInbox(new) => inboxes::create(ledger, new),
        Change::UpdateInbox { id, patch } => inboxes::update(ledger, *id, patch),
        Change::DeleteInbox { id, force } => inboxes::delete(ledger, *id, *force),
        Change::CreateKey(new) => keys::create(ledger, new),
        Change::UpdateKey { id, patch } => keys::update(ledger, *id, patch),
        Change::RotateKey { id, secret_hash, overlap_seconds } => {
            keys::rotate(ledger, *id, *secret_hash, *overlap_seconds)
        }
        Change::RevokeKey { id } => keys::revoke(ledger, *id),
    }
}

fn load_counters(connection: &Connection, cx: &Context) -> rusqlite::Result<Option<Counters>> {
    connection
        .prepare_cached(
            "SELECT last_seq, last_contact_id, last_inbox_id, last_key_id, last_label_id, contacts,
               resolved_contacts
             FROM counters WHERE account_id = ?1",
        )?
        .query_row(params![cx.account.0], |row| {
            Ok(Counters {
                last_seq: row.get(0)?,
                last_contact_id: row.get(1)?,
                last_inbox_id: row.get(2)?,
                last_key_id: row.get(3)?,
                last_label_id: row.get(4)?,
                contacts: row.get(5)?,
                resolved_contacts: row.get(6)?,
            })
        })
        .optional()
}

fn save_counters(ledger: &Ledger<'_>) -> rusqlite::Result<()> {
    let counters = &ledger.counters;
    ledger
        .connection
        .prepare_cached(
            "UPDATE counters SET last_seq = ?2, last_contact_id = ?3, last_inbox_id = ?4,
               last_key_id = ?5, last_label_id = ?6, contacts = ?7, resolved_contacts = ?8
             WHERE account_id = ?1",
        )?
        .execute(params![
            ledger.cx.account.0,
            counters.last_seq,
            counters.last_contact_id,
            counters.last_inbox_id,
            counters.last_key_id,
            counters.last_label_id,
            counters.contacts,
            counters.resolved_contacts,
        ])
        .map(drop)
}
