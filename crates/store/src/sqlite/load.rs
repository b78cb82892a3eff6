//! The rows that a call needs.

use std::collections::BTreeSet;

use meishi_contacts::{AccountId, ContactId, KeyId, UnixMillis};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    attributes, contacts, deliveries, events, identities::Identities, inboxes, keys, labels,
    names::LookedUp, row, webhooks,
};
use crate::{
    Include,
    ledger::{Count, KeptOutcome, Ledger, Needs, OutcomeKey, Traces},
};

statements! {
    HOLDER = "SELECT contact_id FROM contact_inboxes
         WHERE account_id = ?1 AND inbox_id = ?2 AND source_id = ?3";
    COUNT_INBOXES = "SELECT count(*) FROM inboxes WHERE account_id = ?1";
    COUNT_LINKS = "SELECT count(*) FROM contact_inboxes WHERE account_id = ?1 AND inbox_id = ?2";
    COUNT_LABELS = "SELECT count(*) FROM labels WHERE account_id = ?1";
    COUNT_ATTRIBUTES = "SELECT count(*) FROM attribute_definitions WHERE account_id = ?1";
    COUNT_KEYS = "SELECT count(*) FROM api_keys WHERE account_id = ?1";
    COUNT_WEBHOOKS = "SELECT count(*) FROM webhooks WHERE account_id = ?1 AND state <> 'deleted'";
    OUTCOMES_OF = "SELECT api_key_id, route, key FROM idempotency_contacts
         WHERE account_id = ?1 AND contact_id = ?2";
    OUTCOME = "SELECT fingerprint, outcome, created_at FROM idempotency_keys
         WHERE account_id = ?1 AND api_key_id = ?2 AND route = ?3 AND key = ?4";
}

/// Loads what is needed, as far as it is there.
pub(super) fn rows(
    connection: &Connection,
    identities: &mut Identities,
    account: AccountId,
    needs: &Needs,
    ledger: &mut Ledger,
) -> rusqlite::Result<()> {
    let mut finder = contacts::Finder::by_index(connection);
    for id in &needs.contacts {
        let found = contacts::loaded(&mut finder, &LookedUp, account, *id, Include::Inboxes)?;
        if let Some(contact) = found {
            ledger.load_contact(contact);
        }
    }
    for id in &needs.deleted_contacts {
        if let Some(last_seq) = events::of_deleted(connection, account, *id)? {
            ledger.load_deleted_contact(*id, last_seq);
        }
    }
    for seq in &needs.events {
        if let Some((event, _)) = events::get(connection, account, *seq)? {
            ledger.load_event(event);
        }
    }
    for id in &needs.traces {
        let traces = traces(connection, account, *id, ledger)?;
        ledger.load_traces(*id, traces);
    }
    for identity in &needs.identities {
        if let Some(owner) = identities.owner(connection, account, identity)? {
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
        if let Some(inbox) = inboxes::stored(connection, account, *id)? {
            ledger.load_inbox(inbox);
        }
    }
    let number = |statement: &str, owner: &[i64]| -> rusqlite::Result<i64> {
        connection
            .prepare_cached(statement)?
            .query_row(rusqlite::params_from_iter(owner), |row| row.get(0))
    };
    for count in &needs.counts {
        let statement = match count {
            Count::Attributes => COUNT_ATTRIBUTES,
            Count::Inboxes => COUNT_INBOXES,
            Count::Keys => COUNT_KEYS,
            Count::Labels => COUNT_LABELS,
            Count::Webhooks => COUNT_WEBHOOKS,
        };
        ledger.load_count(*count, number(statement, &[account.0])?);
    }
    for inbox in &needs.link_counts {
        ledger.load_link_count(*inbox, number(COUNT_LINKS, &[account.0, inbox.0])?);
    }
    labels_and_attributes(connection, account, needs, ledger)?;
    for id in &needs.keys {
        if let Some(key) = keys::get(connection, account, *id)? {
            ledger.load_key(key);
        }
    }
    for id in &needs.webhooks {
        if let Some(webhook) = webhooks::get(connection, account, *id)? {
            ledger.load_webhook(webhook);
        }
    }
    for (webhook, which) in &needs.redeliveries {
        let rows = deliveries::redeliverable(connection, account, *webhook, *which)?;
        let oldest = deliveries::oldest_unsettled(connection, account, *webhook, &rows)?;
        ledger.load_unsettled(*webhook, oldest);
        ledger.load_redeliverable(*webhook, *which, rows);
    }
    for key in &needs.outcomes {
        if let Some(kept) = outcome(connection, account, key)? {
            ledger.load_outcome(key.clone(), kept);
        }
    }
    Ok(())
}

/// Labels, what happened to them, and definitions of attributes.
fn labels_and_attributes(
    connection: &Connection,
    account: AccountId,
    needs: &Needs,
    ledger: &mut Ledger,
) -> rusqlite::Result<()> {
    for title in &needs.labels {
        if let Some(label) = labels::titled(connection, account, title)? {
            ledger.load_label(label);
        }
    }
    for id in &needs.label_ids {
        if let Some(label) = labels::get(connection, account, *id)? {
            ledger.load_label(label);
        }
    }
    if let Some(after) = needs.relabelled_after {
        ledger.load_relabelled(events::relabelled(connection, account, after)?);
    }
    if ledger.defined_attributes() {
        for key in &needs.attributes {
            if let Some(definition) = attributes::keyed(connection, account, key)? {
                ledger.load_attribute(definition);
            }
        }
    }
    for id in &needs.attribute_ids {
        if let Some(definition) = attributes::get(connection, account, *id)? {
            ledger.load_attribute(definition);
        }
    }
    Ok(())
}

/// What an erasure of a contact has to reach. The outcomes themselves are loaded with it.
fn traces(
    connection: &Connection,
    account: AccountId,
    id: ContactId,
    ledger: &mut Ledger,
) -> rusqlite::Result<Traces> {
    let events = events::telling(connection, account, id)?;
    let outcomes: BTreeSet<OutcomeKey> = connection
        .prepare_cached(OUTCOMES_OF)?
        .query_map(params![account.0, id.0], |row| {
            let api_key_id = KeyId(row.get(0)?);
            Ok(OutcomeKey { api_key_id, route: row.get(1)?, key: row.get(2)? })
        })?
        .collect::<rusqlite::Result<_>>()?;
    for key in &outcomes {
        if let Some(kept) = outcome(connection, account, key)? {
            ledger.load_outcome(key.clone(), kept);
        }
    }
    let deliveries = deliveries::count_of_contact(connection, account, id)?;
    Ok(Traces { events, outcomes, deliveries })
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
                contacts: BTreeSet::new(),
            })
        })
        .optional()
}
