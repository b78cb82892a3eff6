//! Accounts, their counters, and the database's own identity.

use futures::FutureExt;
use meishi_contacts::{AccountId, Seq, UnixMillis};
use tokio_postgres::Row;

use super::{
    doubt,
    error::Error,
    lock,
    row::{self, column},
    save,
    session::{Session, Sessions},
    statement::{Statement, statements},
};
use crate::{
    Account, Counts, CreatedAccount, Database, NewAccount, StoreError,
    ledger::{AccountRows, Counters, account_id},
};

statements! {
    LOCK(INT8) = "SELECT pg_advisory_xact_lock($1)";
    INSERT(INT8, TEXT, INT8) = "INSERT INTO accounts (id, name, created_at) VALUES ($1, $2, $3)
         ON CONFLICT DO NOTHING";
    ALL() = "SELECT id, name, created_at FROM accounts ORDER BY id";
    UNFINISHED_COPY() = "SELECT 1 FROM pg_class WHERE oid = to_regclass('copies')";
    ANY_ACCOUNT() = "SELECT 1 FROM accounts LIMIT 1";
    HAS_KEY(TEXT) = "SELECT 1 FROM api_keys WHERE api_key = $1";
    COUNTS(INT8) = "SELECT contacts, resolved_contacts, last_seq, dropped_seq FROM counters
         WHERE account_id = $1";
    COUNTERS(INT8) = "SELECT last_seq, last_contact_id, last_inbox_id, last_key_id, last_label_id,
           last_webhook_id, dropped_seq, contacts, resolved_contacts, last_attribute_id
         FROM counters WHERE account_id = $1 FOR UPDATE";
    HEADS(INT8_ARRAY) = "SELECT wanted.id, counters.last_seq
         FROM unnest($1::bigint[]) AS wanted (id)
         CROSS JOIN LATERAL (
           SELECT last_seq FROM counters WHERE account_id = wanted.id OFFSET 0) AS counters";
    DATABASE() = "SELECT id, epoch FROM databases";
    READS_ONLY() = "SELECT pg_is_in_recovery()";
}

/// Makes an account with its first channel and key. Accounts are made one after the other, so that
/// only one can be the first. Where the connection is lost before COMMIT was sent, nothing was
/// written, and it is tried again.
pub(super) async fn create(
    sessions: &Sessions,
    new: &NewAccount,
) -> Result<Option<CreatedAccount>, StoreError> {
    let mut tries = sessions.tries();
    loop {
        match try_create(sessions, new).await {
            Err(Failure::Lost(_)) if tries.again() => {}
            Err(Failure::Lost(error) | Failure::Other(error)) => return Err(error),
            Ok(created) => return Ok(created),
        }
    }
}

/// Why no account was made.
enum Failure {
    /// The connection is gone; nothing was written.
    Lost(StoreError),
    Other(StoreError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let kind = if error.is_lost() { Self::Lost } else { Self::Other };
        kind(error.into())
    }
}

async fn try_create(
    sessions: &Sessions,
    new: &NewAccount,
) -> Result<Option<CreatedAccount>, Failure> {
    let session = sessions.get().await?;
    let rows = match insert(sessions, &session, new).await {
        Ok(Some(rows)) => rows,
        Ok(None) => {
            session.roll_back().await;
            return Ok(None);
        }
        Err(error) => {
            session.roll_back().await;
            return Err(error.into());
        }
    };
    if let Err(error) = session.commit().await {
        if error.is_refusal() {
            session.roll_back().await;
            return Err(error.into());
        }
        session.give_up();
        tracing::warn!(%error, "the commit of a new account is in doubt");
        match doubt::took_place(|| is_made(sessions, new).boxed()).await {
            Some(true) => {}
            Some(false) => return Err(error.into()),
            None => return Err(Failure::Other(StoreError::InDoubt(error.to_string()))),
        }
    }
    Ok(Some(rows.created()))
}

async fn insert(
    sessions: &Sessions,
    session: &Session,
    new: &NewAccount,
) -> Result<Option<AccountRows>, Error> {
    session.begin(&sessions.begin()).await?;
    session.query(LOCK, &[&lock::ACCOUNTS]).await?;
    if new.only_first && session.query_opt(ANY_ACCOUNT, &[]).await?.is_some() {
        return Ok(None);
    }
    let mut id = account_id(new);
    while session.execute(INSERT, &[&id.0, &new.name, &new.at.0]).await? == 0 {
        id = AccountId(id.0 + 1);
    }
    // The row keeps a copy into this database from beginning; one that has begun must be let finish.
    if session.query_opt(UNFINISHED_COPY, &[]).await?.is_some() {
        return Err(Error::NoConnection("a copy into the database is not finished".into()));
    }
    let rows = AccountRows::new(id, new);
    save::account(session, &rows).await?;
    Ok(Some(rows))
}

/// Whether an account was made after all. Waits for whoever is making one.
async fn is_made(sessions: &Sessions, new: &NewAccount) -> Result<bool, Error> {
    let session = sessions.get().await?;
    let found = async {
        session.begin(&sessions.begin()).await?;
        session.query(LOCK, &[&lock::ACCOUNTS]).await?;
        session.query_opt(HAS_KEY, &[&new.key.api_key]).await
    };
    let found = found.await;
    session.roll_back().await;
    Ok(found?.is_some())
}

/// All accounts, by id.
pub(super) async fn list(session: &Session) -> Result<Vec<Account>, Error> {
    let account = |row: &Row| -> Result<Account, Error> {
        Ok(Account {
            id: AccountId(column(row, 0)?),
            name: column(row, 1)?,
            created_at: UnixMillis(column(row, 2)?),
        })
    };
    session.query(ALL, &[]).await?.iter().map(account).collect()
}

/// An account's exact counts.
pub(super) async fn counts(session: &Session, account: AccountId) -> Result<Option<Counts>, Error> {
    let row = session.query_opt(COUNTS, &[&account.0]).await?;
    row.map(|row| row::counts(&row, 0)).transpose()
}

/// The last events of those accounts that there are.
pub(super) async fn heads(
    session: &Session,
    accounts: &[i64],
) -> Result<Vec<(AccountId, Seq)>, Error> {
    let rows = session.query(HEADS, &[&accounts]).await?;
    rows.iter().map(|row| Ok((AccountId(column(row, 0)?), Seq(column(row, 1)?)))).collect()
}

/// The statement that locks an account's counters for a transaction, and reads them.
pub(super) const LOCK_COUNTERS: Statement = COUNTERS;

/// The counters that [`LOCK_COUNTERS`] read.
pub(super) fn counters(row: &Row) -> Result<Counters, Error> {
    Ok(Counters {
        last_seq: column(row, 0)?,
        last_contact_id: column(row, 1)?,
        last_inbox_id: column(row, 2)?,
        last_key_id: column(row, 3)?,
        last_label_id: column(row, 4)?,
        last_webhook_id: column(row, 5)?,
        dropped_seq: column(row, 6)?,
        contacts: column(row, 7)?,
        resolved_contacts: column(row, 8)?,
        last_attribute_id: column(row, 9)?,
    })
}

/// Which database this is.
pub(super) async fn database(session: &Session) -> Result<Database, Error> {
    let found = session.query_opt(DATABASE, &[]).await?;
    let row = found.ok_or_else(|| Error::Unreadable("the database has no identity".into()))?;
    Ok(Database { id: column(&row, 0)?, epoch: column(&row, 1)? })
}

/// Whether the server is a replica.
pub(super) async fn reads_only(session: &Session) -> Result<bool, Error> {
    session.query_opt(READS_ONLY, &[]).await?.map_or(Ok(true), |row| column(&row, 0))
}
