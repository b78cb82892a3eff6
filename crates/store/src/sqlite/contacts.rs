//! Reads of contacts with what hangs on them.

use std::sync::Arc;

use meishi_contacts::{AccountId, Contact, ContactId, Label, LabelId, Seq, limits::READ_ROWS};
use rusqlite::{Connection, OptionalExtension, Row, params, types::ValueRef};
use serde::de::DeserializeOwned;

use super::{names::Names, row};
use crate::{
    ContactRecord, Include,
    held::{HeldLink, LoadedContact},
    ledger::StoredInbox,
};

statements! {
    CONTACT = row::contact_columns!("SELECT ", " FROM contacts WHERE account_id = ?1 AND id = ?2");
}

/// A contact with its labels and, if asked for, its channels.
pub(super) fn record(
    connection: &Connection,
    names: &impl Names,
    account: AccountId,
    id: ContactId,
    include: Include,
) -> rusqlite::Result<Option<ContactRecord>> {
    Ok(loaded(connection, names, account, id, include)?.map(LoadedContact::into_record))
}

/// The same as the ledger wants it.
pub(super) fn loaded(
    connection: &Connection,
    names: &impl Names,
    account: AccountId,
    id: ContactId,
    include: Include,
) -> rusqlite::Result<Option<LoadedContact>> {
    let row = connection
        .prepare_cached(CONTACT)?
        .query_row(params![account.0, id.0], |row| numbered(row, include))
        .optional()?;
    row.map(|row| row.named(connection, names, account)).transpose()
}

/// Those of the contacts that there are.
pub(super) fn records(
    connection: &Connection,
    names: &impl Names,
    account: AccountId,
    ids: &[ContactId],
    include: Include,
) -> rusqlite::Result<Vec<Arc<ContactRecord>>> {
    let mut statement = connection.prepare_cached(CONTACT)?;
    let mut records = Vec::with_capacity(ids.len().min(READ_ROWS));
    for id in ids.iter().take(READ_ROWS) {
        let row = statement
            .query_row(params![account.0, id.0], |row| numbered(row, include))
            .optional()?;
        if let Some(row) = row {
            records.push(Arc::new(row.named(connection, names, account)?.into_record()));
        }
    }
    Ok(records)
}

/// A contact's row as it is.
pub(super) struct Numbered {
    contact: Contact,
    last_seq: Seq,
    label_ids: Vec<LabelId>,
    links: Vec<HeldLink>,
}

/// Reads the columns of a contact.
pub(super) fn numbered(row: &Row<'_>, include: Include) -> rusqlite::Result<Numbered> {
    let links = match include {
        Include::Nothing => Vec::new(),
        Include::Inboxes => list(row, 17)?,
    };
    Ok(Numbered {
        contact: row::contact(row)?,
        last_seq: Seq(row.get(15)?),
        label_ids: list(row, 16)?,
        links,
    })
}

impl Numbered {
    /// The same with the names of what is there.
    pub(super) fn named(
        self,
        connection: &Connection,
        names: &impl Names,
        account: AccountId,
    ) -> rusqlite::Result<LoadedContact> {
        let mut labels: Vec<(LabelId, Label)> = Vec::with_capacity(self.label_ids.len());
        for id in self.label_ids {
            labels.extend(names.title(connection, account, id)?.map(|title| (id, title)));
        }
        let mut links: Vec<(_, StoredInbox)> = Vec::with_capacity(self.links.len());
        for HeldLink(inbox, source_id, made_seq) in self.links {
            let found = names.inbox(connection, account, inbox, made_seq)?;
            links.extend(found.map(|stored| (source_id, stored)));
        }
        Ok(LoadedContact { contact: self.contact, last_seq: self.last_seq, labels, links })
    }
}

/// A column of a JSON list; nothing is an empty one.
fn list<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<T>> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(Vec::new()),
        _ => row::json(row, column),
    }
}
