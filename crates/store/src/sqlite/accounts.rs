//! Accounts, their counters, and the database's own identity.

use meishi_contacts::{
    AccountId, Actor, ChannelType, Event, EventBody, Inbox, InboxId, KeyId, Seq, UnixMillis,
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{events, inboxes, keys, store_error};
use crate::{Account, Counts, CreatedAccount, Database, NewAccount, StoreError};

/// Makes an account with its first channel and key.
pub(super) fn create(
    connection: &Connection,
    new: &NewAccount,
) -> Result<Option<CreatedAccount>, StoreError> {
    let create = || -> rusqlite::Result<Option<CreatedAccount>> {
        if new.only_first && !list(connection)?.is_empty() {
            return Ok(None);
        }
        insert(connection, new).map(Some)
    };
    create().map_err(|error| store_error(&error))
}

fn insert(connection: &Connection, new: &NewAccount) -> rusqlite::Result<CreatedAccount> {
    let account =
        Account { id: free_id(connection, new)?, name: new.name.clone(), created_at: new.at };
    connection
        .prepare_cached("INSERT INTO accounts (id, name, created_at) VALUES (?1, ?2, ?3)")?
        .execute(params![account.id.0, account.name, account.created_at.0])?;
    let inbox = Inbox {
        id: InboxId(1),
        name: new.inbox_name.clone(),
        channel_type: ChannelType::Api,
        created_at: new.at,
    };
    inboxes::insert(connection, account.id, &inbox)?;
    let key = keys::key_of(KeyId(1), &new.key, new.at);
    keys::insert(connection, account.id, &key, &new.key.secret_hash)?;
    let bodies = [
        EventBody::AccountCreated { name: account.name.clone() },
        EventBody::InboxCreated(inbox.clone()),
        EventBody::KeyCreated(key.card()),
    ];
    let mut last_seq = Seq::default();
    for body in bodies {
        last_seq = last_seq.next();
        let event = Event {
            seq: last_seq,
            at: new.at,
            actor: Actor::System,
            request_id: new.request_id.clone(),
            body,
        };
        events::insert(connection, account.id, &event)?;
    }
    connection
        .prepare_cached(
            "INSERT INTO counters (account_id, last_seq, last_inbox_id, last_key_id)
             VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![account.id.0, last_seq.0, inbox.id.0, key.id.0])?;
    Ok(CreatedAccount { account, inbox, key })
}

/// The second of the account's birth and four random digits, as LiveDesk's ids look: it does not
/// tell how many accounts there are.
fn free_id(connection: &Connection, new: &NewAccount) -> rusqlite::Result<AccountId> {
    let [a, b, ..] = new.seed.bytes("account id", 0);
    let digits = i64::from(u16::from_be_bytes([a, b])) % 10_000;
    let mut id = new.at.seconds().0 * 10_000 + digits;
    while account_exists(connection, id)? {
        id += 1;
    }
    Ok(AccountId(id))
}

fn account_exists(connection: &Connection, id: i64) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM accounts WHERE id = ?1")?
        .query_row(params![id], |_| Ok(()))
        .optional()
        .map(|found| found.is_some())
}

/// All accounts, by id.
pub(super) fn list(connection: &Connection) -> rusqlite::Result<Vec<Account>> {
    connection
        .prepare_cached("SELECT id, name, created_at FROM accounts ORDER BY id")?
        .query_map([], |row| {
            Ok(Account {
                id: AccountId(row.get(0)?),
                name: row.get(1)?,
                created_at: UnixMillis(row.get(2)?),
            })
        })?
        .collect()
}

/// An account's exact counts.
pub(super) fn counts(
    connection: &Connection,
    account: AccountId,
) -> rusqlite::Result<Option<Counts>> {
    connection
        .prepare_cached(
            "SELECT contacts, resolved_contacts, last_seq FROM counters WHERE account_id = ?1",
        )?
        .query_row(params![account.0], |row| {
            Ok(Counts {
                contacts: row.get(0)?,
                resolved_contacts: row.get(1)?,
                last_seq: Seq(row.get(2)?),
            })
        })
        .optional()
}

/// Which database this is.
pub(super) fn database(connection: &Connection) -> rusqlite::Result<Database> {
    connection
        .prepare_cached("SELECT id, epoch FROM databases")?
        .query_row([], |row| Ok(Database { id: row.get(0)?, epoch: row.get(1)? }))
}
