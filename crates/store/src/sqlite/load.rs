//! The rows that a call needs.

use meishi_contacts::{AccountId, ContactId, UnixMillis};
use rusqlite::{Connection, OptionalExtension, params};

use super::{contacts, inboxes, keys, row};
use crate::{
    Include,
    ledger::{KeptOutcome, Ledger, Needs, OutcomeKey},
};

statements! {
    HOLDER = "SELECT contact_id FROM contact_inboxes
         WHERE account_id = ?1 AND inbox_id = ?2 AND source_id = ?3";
    COUNT_INBOXES = "SELECT count(*) FROM inboxes WHERE account_id = ?1";
    COUNT_LINKS = "SELECT count(*) FROM contact_inboxes WHERE account_id = ?1 AND inbox_id = ?2";
    LABEL = "SELECT id FROM labels WHERE account_id = ?1 AND title = ?2";
    COUNT_KEYS = "SELECT count(*) FROM api_keys WHERE account_id = ?1";
    OUTCOME = "SELECT fingerprint, outcome, created_at FROM idempotency_keys
         WHERE account_id = ?1 AND api_key_id = ?2 AND route = ?3 AND key = ?4";
}

/// Loads what is needed, as far as it is there.
pub(super) fn rows(
    connection: &Connection,
    account: AccountId,
    needs: &Needs,
    ledger: &mut Ledger,
) -> rusqlite::Result<()> {
    for id in &needs.contacts {
        if let Some(record) = contacts::record(connection, account, *id, Include::Inboxes)? {
            ledger.load_contact(record.contact, record.contact_inboxes);
        }
    }
    for identity in &needs.identities {
        if let Some(owner) = contacts::owner(connection, account, identity)? {
            ledger.load_owner(identity.clone(), owner);
        }
    }
    for (inbox, source_id) in &needs.links {
        let holder = connection
            .prepare_cached(HOLDER)?
            .query_row(params![account.0, inbox.0, source_id.as_str()], |row| row.get(0))
            .optional()?;
        if let Some(holder) = holder {
            ledger.load_link((*inbox, source_id.clone()), ContactId(holder));
        }
    }
    for id in &needs.inboxes {
        if let Some(inbox) = inboxes::get(connection, account, *id)? {
            ledger.load_inbox(inbox);
        }
    }
    let number = |statement: &str, owner: &[i64]| -> rusqlite::Result<i64> {
        connection
            .prepare_cached(statement)?
            .query_row(rusqlite::params_from_iter(owner), |row| row.get(0))
    };
    if needs.inbox_count {
        ledger.load_inbox_count(number(COUNT_INBOXES, &[account.0])?);
    }
    for inbox in &needs.link_counts {
        ledger.load_link_count(*inbox, number(COUNT_LINKS, &[account.0, inbox.0])?);
    }
    for label in &needs.labels {
        let id = connection
            .prepare_cached(LABEL)?
            .query_row(params![account.0, label.as_str()], |row| row.get(0))
            .optional()?;
        if let Some(id) = id {
            ledger.load_label(label.clone(), id);
        }
    }
    for id in &needs.keys {
        if let Some(key) = keys::get(connection, account, *id)? {
            ledger.load_key(key);
        }
    }
    if needs.key_count {
        ledger.load_key_count(number(COUNT_KEYS, &[account.0])?);
    }
    for key in &needs.outcomes {
        if let Some(kept) = outcome(connection, account, key)? {
            ledger.load_outcome(key.clone(), kept);
        }
    }
    Ok(())
}

fn outcome(
    connection: &Connection,
    account: AccountId,
    key: &OutcomeKey,
) -> rusqlite::Result<Option<KeptOutcome>> {
    connection
        .prepare_cached(OUTCOME)?
        .query_row(params![account.0, key.api_key_id.0, key.route, key.key], |row| {
            Ok(KeptOutcome {
                fingerprint: row.get(0)?,
                results: row::json(row, 1)?,
                at: UnixMillis(row.get(2)?),
            })
        })
        .optional()
}
