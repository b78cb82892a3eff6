//! Contacts, their addresses in the ledger and their links to channels.

use std::sync::LazyLock;

use meishi_contacts::{
    AccountId, Card, Contact, ContactId, ContactLink, ContactPatch, EventBody, Fault, FieldChange,
    Identity, IdentityKind, Inbox, InboxId, NewContact, SourceId, limits::READ_ROWS,
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    changes::{Ledger, Stop},
    inboxes, labels,
    row::{self, CONTACT_COLUMNS},
};
use crate::{ChangeError, ContactInbox, ContactRecord, Include, Missing, Outcome};

/// Creates a contact and its link.
pub(super) fn create(ledger: &mut Ledger<'_>, new: &NewContact) -> Result<Outcome, Stop> {
    let account = ledger.cx.account;
    let mut faults = taken(ledger, &new.fields, None)?;
    let inbox = match &new.link {
        Some(link) => inboxes::get(ledger.connection, account, link.inbox_id)?,
        None => None,
    };
    let source_id = new.link.as_ref().map(|link| {
        let random = || ledger.cx.seed.uuid("source id", ledger.change).to_string();
        link.source_id.clone().unwrap_or_else(|| SourceId::from_stored(random()))
    });
    if let (Some(inbox), Some(source_id)) = (&inbox, &source_id)
        && let Some(holder) = source_holder(ledger.connection, account, inbox.id, source_id)?
    {
        faults.push(Fault::taken("source_id", holder));
    }

    ledger.counters.last_contact_id += 1;
    let id = ContactId(ledger.counters.last_contact_id);
    let mut contact = Contact::blank(id, ledger.cx.at.seconds());
    if let Err(limits) = contact.apply(&new.fields) {
        faults.extend(limits);
    }
    if !faults.is_empty() {
        return Err(ChangeError::Faults(faults).into());
    }
    // The channel is looked up last: a caller mends the fields first.
    if new.link.is_some() && inbox.is_none() {
        return Err(ChangeError::NotFound(Missing::Inbox).into());
    }

    insert(ledger.connection, account, &contact)?;
    for identity in contact.identities() {
        insert_identity(ledger.connection, account, id, &identity)?;
    }
    let mut contact_inboxes = Vec::new();
    if let (Some(inbox), Some(source_id)) = (inbox, source_id) {
        insert_link(ledger.connection, account, id, inbox.id, &source_id)?;
        contact_inboxes.push(ContactInbox { source_id, inbox });
    }
    ledger.counters.contacts += 1;
    ledger.counters.resolved_contacts += i64::from(contact.is_resolved());
    let record = ContactRecord { contact, contact_inboxes };
    ledger.record(EventBody::ContactCreated(card(&record)))?;
    Ok(Outcome::ContactCreated(Box::new(record)))
}

/// Merges a patch into a contact.
pub(super) fn update(
    ledger: &mut Ledger<'_>,
    id: ContactId,
    patch: &ContactPatch,
) -> Result<Outcome, Stop> {
    let mut record = expect(ledger, id, Include::Inboxes)?;
    let before = record.contact.clone();
    let mut faults = taken(ledger, patch, Some(id))?;
    let changes = record.contact.apply(patch).unwrap_or_else(|limits| {
        faults.extend(limits);
        Vec::new()
    });
    if !faults.is_empty() {
        return Err(ChangeError::Faults(faults).into());
    }
    if changes.is_empty() {
        return Ok(Outcome::ContactUpdated(Box::new(record)));
    }
    move_identities(ledger, &before, &record.contact)?;
    ledger.counters.resolved_contacts +=
        i64::from(record.contact.is_resolved()) - i64::from(before.is_resolved());
    save(ledger, &mut record.contact, changes)?;
    Ok(Outcome::ContactUpdated(Box::new(record)))
}

/// Deletes a contact and everything that hangs on it.
pub(super) fn delete(ledger: &mut Ledger<'_>, id: ContactId) -> Result<Outcome, Stop> {
    let record = expect(ledger, id, Include::Inboxes)?;
    let owner = params![ledger.cx.account.0, id.0];
    for identity in record.contact.identities() {
        delete_identity(ledger.connection, ledger.cx.account, &identity)?;
    }
    for statement in [
        "DELETE FROM contact_labels WHERE account_id = ?1 AND contact_id = ?2",
        "DELETE FROM contact_inboxes WHERE account_id = ?1 AND contact_id = ?2",
        "DELETE FROM contacts WHERE account_id = ?1 AND id = ?2",
    ] {
        ledger.connection.prepare_cached(statement)?.execute(owner)?;
    }
    ledger.counters.contacts -= 1;
    ledger.counters.resolved_contacts -= i64::from(record.contact.is_resolved());
    ledger.record(EventBody::ContactDeleted(card(&record)))?;
    Ok(Outcome::ContactDeleted)
}

/// The contact of a change, if it is there and has the version that the caller expects.
pub(super) fn expect(
    ledger: &Ledger<'_>,
    id: ContactId,
    include: Include,
) -> Result<ContactRecord, Stop> {
    let record = record(ledger.connection, ledger.cx.account, id, include)?
        .ok_or(ChangeError::NotFound(Missing::Contact))?;
    let current = record.contact.version;
    if ledger.cx.precondition.is_some_and(|expected| expected != current) {
        return Err(ChangeError::Stale { current }.into());
    }
    Ok(record)
}

/// Writes a contact that changed, under its next version, and records what changed.
pub(super) fn save(
    ledger: &mut Ledger<'_>,
    contact: &mut Contact,
    changes: Vec<FieldChange>,
) -> rusqlite::Result<()> {
    contact.version = contact.version.next();
    ledger
        .connection
        .prepare_cached(
            "UPDATE contacts SET version = ?3, name = ?4, first_name = ?5, last_name = ?6,
               email = ?7, phone_number = ?8, identifier = ?9, thumbnail = ?10,
               availability_status = ?11, blocked = ?12, additional_attributes = ?13,
               custom_attributes = ?14, last_activity_at = ?15, created_at = ?16
             WHERE account_id = ?1 AND id = ?2",
        )?
        .execute(columns(ledger.cx.account, contact))?;
    ledger.record(EventBody::ContactUpdated { id: contact.id, version: contact.version, changes })
}

/// A contact with its labels and, if asked for, its channels.
pub(super) fn record(
    connection: &Connection,
    account: AccountId,
    id: ContactId,
    include: Include,
) -> rusqlite::Result<Option<ContactRecord>> {
    let found = connection
        .prepare_cached(select_one())?
        .query_row(params![account.0, id.0], row::contact)
        .optional()?;
    let Some(mut contact) = found else { return Ok(None) };
    contact.labels = labels::of(connection, account, id)?;
    let contact_inboxes = match include {
        Include::Nothing => Vec::new(),
        Include::Inboxes => links(connection, account, id)?,
    };
    Ok(Some(ContactRecord { contact, contact_inboxes }))
}

/// Those of the contacts that there are.
pub(super) fn records(
    connection: &Connection,
    account: AccountId,
    ids: &[ContactId],
    include: Include,
) -> rusqlite::Result<Vec<ContactRecord>> {
    ids.iter()
        .take(READ_ROWS)
        .filter_map(|id| record(connection, account, *id, include).transpose())
        .collect()
}

/// The contact that holds an address.
pub(super) fn owner(
    connection: &Connection,
    account: AccountId,
    identity: &Identity,
) -> rusqlite::Result<Option<ContactId>> {
    connection
        .prepare_cached(
            "SELECT contact_id FROM identities
             WHERE account_id = ?1 AND kind = ?2 AND value = ?3",
        )?
        .query_row(params![account.0, identity.kind.as_str(), identity.value], |row| {
            row.get(0).map(ContactId)
        })
        .optional()
}

fn select_one() -> &'static str {
    static SELECT: LazyLock<String> = LazyLock::new(|| {
        format!("SELECT {CONTACT_COLUMNS} FROM contacts WHERE account_id = ?1 AND id = ?2")
    });
    &SELECT
}

/// What of the patch's addresses another contact than `id` holds.
fn taken(
    ledger: &Ledger<'_>,
    patch: &ContactPatch,
    id: Option<ContactId>,
) -> rusqlite::Result<Vec<Fault>> {
    let mut faults = Vec::new();
    for identity in patch.identities() {
        if let Some(holder) = owner(ledger.connection, ledger.cx.account, &identity)?
            && Some(holder) != id
        {
            faults.push(Fault::taken(identity.kind.as_str(), holder));
        }
    }
    Ok(faults)
}

fn card(record: &ContactRecord) -> Card {
    let link = |link: &ContactInbox| ContactLink {
        inbox_id: link.inbox.id,
        source_id: link.source_id.clone(),
    };
    Card {
        contact: record.contact.clone(),
        contact_inboxes: record.contact_inboxes.iter().map(link).collect(),
    }
}

fn columns(account: AccountId, contact: &Contact) -> impl rusqlite::Params {
    rusqlite::params_from_iter([
        value(account.0),
        value(contact.id.0),
        value(contact.version.0),
        value(contact.name.clone()),
        value(contact.first_name.clone()),
        value(contact.last_name.clone()),
        value(contact.identity(IdentityKind::Email).map(str::to_owned)),
        value(contact.identity(IdentityKind::PhoneNumber).map(str::to_owned)),
        value(contact.identity(IdentityKind::Identifier).map(str::to_owned)),
        value(contact.thumbnail.clone()),
        value(contact.availability_status.as_str().to_owned()),
        value(contact.blocked),
        value(contact.additional_attributes.as_json().to_owned()),
        value(contact.custom_attributes.as_json().to_owned()),
        value(contact.last_activity_at.map(|at| at.0)),
        value(contact.created_at.0),
    ])
}

fn value(value: impl Into<rusqlite::types::Value>) -> rusqlite::types::Value {
    value.into()
}

fn insert(connection: &Connection, account: AccountId, contact: &Contact) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO contacts (account_id, id, version, name, first_name, last_name, email,
               phone_number, identifier, thumbnail, availability_status, blocked,
               additional_attributes, custom_attributes, last_activity_at, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        )?
        .execute(columns(account, contact))
        .map(drop)
}

fn insert_identity(
    connection: &Connection,
    account: AccountId,
    id: ContactId,
    identity: &Identity,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO identities (account_id, kind, value, contact_id, is_primary)
             VALUES (?1, ?2, ?3, ?4, 1)",
        )?
        .execute(params![account.0, identity.kind.as_str(), identity.value, id.0])
        .map(drop)
}

fn delete_identity(
    connection: &Connection,
    account: AccountId,
    identity: &Identity,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM identities WHERE account_id = ?1 AND kind = ?2 AND value = ?3",
        )?
        .execute(params![account.0, identity.kind.as_str(), identity.value])
        .map(drop)
}

/// Brings the ledger from a contact's former addresses to its present ones.
fn move_identities(ledger: &Ledger<'_>, before: &Contact, after: &Contact) -> rusqlite::Result<()> {
    let (old, new): (Vec<_>, Vec<_>) =
        (before.identities().collect(), after.identities().collect());
    for gone in old.iter().filter(|identity| !new.contains(identity)) {
        delete_identity(ledger.connection, ledger.cx.account, gone)?;
    }
    for added in new.iter().filter(|identity| !old.contains(identity)) {
        insert_identity(ledger.connection, ledger.cx.account, after.id, added)?;
    }
    Ok(())
}

fn insert_link(
    connection: &Connection,
    account: AccountId,
    id: ContactId,
    inbox: InboxId,
    source_id: &SourceId,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO contact_inboxes (account_id, inbox_id, source_id, contact_id)
             VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![account.0, inbox.0, source_id.as_str(), id.0])
        .map(drop)
}

fn source_holder(
    connection: &Connection,
    account: AccountId,
    inbox: InboxId,
    source_id: &SourceId,
) -> rusqlite::Result<Option<ContactId>> {
    connection
        .prepare_cached(
            "SELECT contact_id FROM contact_inboxes
             WHERE account_id = ?1 AND inbox_id = ?2 AND source_id = ?3",
        )?
        .query_row(params![account.0, inbox.0, source_id.as_str()], |row| row.get(0).map(ContactId))
        .optional()
}

fn links(
    connection: &Connection,
    account: AccountId,
    id: ContactId,
) -> rusqlite::Result<Vec<ContactInbox>> {
    connection
        .prepare_cached(
            "SELECT link.source_id, inbox.id, inbox.name, inbox.channel_type, inbox.created_at
             FROM contact_inboxes AS link
             JOIN inboxes AS inbox
               ON inbox.account_id = link.account_id AND inbox.id = link.inbox_id
             WHERE link.account_id = ?1 AND link.contact_id = ?2
             ORDER BY link.inbox_id, link.source_id",
        )?
        .query_map(params![account.0, id.0], |row| {
            let inbox: Inbox = row::inbox(row, 1)?;
            Ok(ContactInbox { source_id: SourceId::from_stored(row.get(0)?), inbox })
        })?
        .collect()
}
