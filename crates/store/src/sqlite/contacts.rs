//! Reads of contacts, their labels, their links and who holds an address.

use meishi_contacts::{
    AccountId, Contact, ContactId, Identity, Label, Seq, SourceId, limits::READ_ROWS,
};
use rusqlite::{Connection, OptionalExtension, params};

use super::row;
use crate::{ContactInbox, ContactRecord, Include};

statements! {
    CONTACT = row::contact_columns!("SELECT ", " FROM contacts WHERE account_id = ?1 AND id = ?2");
    LABELS = "SELECT label.title
         FROM contact_labels AS held
         JOIN labels AS label ON label.account_id = held.account_id AND label.id = held.label_id
         WHERE held.account_id = ?1 AND held.contact_id = ?2
         ORDER BY label.title";
    LINKS = "SELECT link.source_id, inbox.id, inbox.name, inbox.channel_type, inbox.created_at
         FROM contact_inboxes AS link
         JOIN inboxes AS inbox
           ON inbox.account_id = link.account_id AND inbox.id = link.inbox_id
         WHERE link.account_id = ?1 AND link.contact_id = ?2
         ORDER BY link.inbox_id, link.source_id";
    OWNER = "SELECT contact_id FROM identities
         WHERE account_id = ?1 AND kind = ?2 AND value = ?3";
}

/// A contact with its labels and, if asked for, its channels.
pub(super) fn record(
    connection: &Connection,
    account: AccountId,
    id: ContactId,
    include: Include,
) -> rusqlite::Result<Option<ContactRecord>> {
    Ok(stored(connection, account, id, include)?.map(|(record, _)| record))
}

/// The same with the last event of the contact's history.
pub(super) fn stored(
    connection: &Connection,
    account: AccountId,
    id: ContactId,
    include: Include,
) -> rusqlite::Result<Option<(ContactRecord, Seq)>> {
    let owner = params![account.0, id.0];
    let found: Option<(Contact, Seq)> = connection
        .prepare_cached(CONTACT)?
        .query_row(owner, |row| Ok((row::contact(row)?, Seq(row.get(15)?))))
        .optional()?;
    let Some((mut contact, last_seq)) = found else { return Ok(None) };
    contact.labels = connection
        .prepare_cached(LABELS)?
        .query_map(owner, |row| row.get(0).map(Label::from_stored))?
        .collect::<rusqlite::Result<_>>()?;
    let contact_inboxes = match include {
        Include::Nothing => Vec::new(),
        Include::Inboxes => connection
            .prepare_cached(LINKS)?
            .query_map(owner, |row| {
                let source_id = SourceId::from_stored(row.get(0)?);
                Ok(ContactInbox { source_id, inbox: row::inbox(row, 1)? })
            })?
            .collect::<rusqlite::Result<_>>()?,
    };
    Ok(Some((ContactRecord { contact, contact_inboxes }, last_seq)))
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
        .prepare_cached(OWNER)?
        .query_row(params![account.0, identity.kind.as_str(), identity.value], |row| {
            row.get(0).map(ContactId)
        })
        .optional()
}
