//! Reads of contacts with what hangs on them.

use std::sync::Arc;

use meishi_contacts::{AccountId, Contact, ContactId, Label, LabelId, Seq, limits::READ_ROWS};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, params, types::ValueRef};
use serde::de::DeserializeOwned;

use super::{names::Names, row, rowids::Rowids};
use crate::{
    ContactRecord, Include,
    held::{HeldLink, LoadedContact},
    ledger::StoredInbox,
};

statements! {
    CONTACT = row::contact_columns!(
        "SELECT ",
        ", rowid FROM contacts WHERE account_id = ?1 AND id = ?2"
    );
    GUESSED = row::contact_columns!(
        "SELECT ",
        " FROM contacts NOT INDEXED WHERE rowid = ?3 AND account_id = ?1 AND id = ?2"
    );
}

/// Where the rows of contacts are found.
pub(super) struct Finder<'c> {
    connection: &'c Connection,
    rowids: Option<&'c Rowids>,
    // Prepared when first asked for.
    by_id: Option<CachedStatement<'c>>,
    guessed: Option<CachedStatement<'c>>,
}

impl<'c> Finder<'c> {
    /// By the index alone.
    pub(super) fn by_index(connection: &'c Connection) -> Self {
        Self { connection, rowids: None, by_id: None, guessed: None }
    }

    /// By a look at where a row probably is.
    pub(super) fn guessing(connection: &'c Connection, rowids: &'c Rowids) -> Self {
        Self { rowids: Some(rowids), ..Self::by_index(connection) }
    }

    /// The row of a contact.
    fn find(
        &mut self,
        account: AccountId,
        id: ContactId,
        include: Include,
    ) -> rusqlite::Result<Option<Numbered>> {
        let connection = self.connection;
        if let Some(rowids) = self.rowids
            && let Some(guess) = rowids.guess(account, id)
        {
            let found = prepared(&mut self.guessed, connection, GUESSED)?
                .query_row(params![account.0, id.0, guess], |row| numbered(row, include))
                .optional()?;
            rowids.judge(account, found.is_some());
            if found.is_some() {
                return Ok(found);
            }
        }
        let found = prepared(&mut self.by_id, connection, CONTACT)?
            .query_row(params![account.0, id.0], |row| Ok((numbered(row, include)?, row.get(18)?)))
            .optional()?;
        Ok(found.map(|(numbered, rowid)| {
            if let Some(rowids) = self.rowids {
                rowids.learn(account, id, rowid);
            }
            numbered
        }))
    }
}

/// A statement, prepared once.
fn prepared<'s, 'c>(
    place: &'s mut Option<CachedStatement<'c>>,
    connection: &'c Connection,
    sql: &str,
) -> rusqlite::Result<&'s mut CachedStatement<'c>> {
    Ok(match place {
        Some(statement) => statement,
        None => place.insert(connection.prepare_cached(sql)?),
    })
}

/// A contact with its labels and, if asked for, its channels.
pub(super) fn record(
    mut finder: Finder<'_>,
    names: &impl Names,
    account: AccountId,
    id: ContactId,
    include: Include,
) -> rusqlite::Result<Option<ContactRecord>> {
    Ok(loaded(&mut finder, names, account, id, include)?.map(LoadedContact::into_record))
}

/// The same as the ledger wants it.
pub(super) fn loaded(
    finder: &mut Finder<'_>,
    names: &impl Names,
    account: AccountId,
    id: ContactId,
    include: Include,
) -> rusqlite::Result<Option<LoadedContact>> {
    let row = finder.find(account, id, include)?;
    row.map(|row| row.named(finder.connection, names, account)).transpose()
}

/// Those of the contacts that there are.
pub(super) fn records(
    mut finder: Finder<'_>,
    names: &impl Names,
    account: AccountId,
    ids: &[ContactId],
    include: Include,
) -> rusqlite::Result<Vec<Arc<ContactRecord>>> {
    let mut records = Vec::with_capacity(ids.len().min(READ_ROWS));
    for id in ids.iter().take(READ_ROWS) {
        let found = loaded(&mut finder, names, account, *id, include)?;
        records.extend(found.map(|found| Arc::new(found.into_record())));
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
