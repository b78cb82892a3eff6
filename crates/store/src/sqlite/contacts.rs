//! Reads of contacts, their labels, their links and who holds an address.

use meishi_contacts::{
    AccountId, ChannelType, Contact, ContactId, Inbox, InboxId, Label, Seq, SourceId, UnixMillis,
    limits::READ_ROWS,
};
use rusqlite::{Connection, OptionalExtension, Row, params, types::ValueRef};
use serde::de::DeserializeOwned;

use super::row;
use crate::{ContactInbox, ContactRecord, Include};

/// A contact, its labels and, between them, what `$links` selects.
macro_rules! select_contact {
    ($links:literal) => {
        row::contact_columns!(
            "SELECT ",
            concat!(
                ", (SELECT json_group_array(label.title)
                    FROM contact_labels AS held
                    JOIN labels AS label
                      ON label.account_id = held.account_id AND label.id = held.label_id
                    WHERE held.account_id = ?1 AND held.contact_id = ?2
                    HAVING count(*) > 0),",
                $links,
                " FROM contacts WHERE account_id = ?1 AND id = ?2"
            )
        )
    };
}

statements! {
    CONTACT = select_contact!("NULL");
    CONTACT_AND_LINKS = select_contact!(
        "(SELECT json_group_array(
            json_array(link.source_id, inbox.id, inbox.name, inbox.channel_type, inbox.created_at))
          FROM contact_inboxes AS link
          JOIN inboxes AS inbox
            ON inbox.account_id = link.account_id AND inbox.id = link.inbox_id
          WHERE link.account_id = ?1 AND link.contact_id = ?2
          HAVING count(*) > 0)"
    );
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
    let statement = match include {
        Include::Nothing => CONTACT,
        Include::Inboxes => CONTACT_AND_LINKS,
    };
    connection
        .prepare_cached(statement)?
        .query_row(params![account.0, id.0], |row| {
            // Sorted here: SQLite would set up a table for it, also where there is none.
            let mut titles: Vec<String> = list(row, 16)?;
            titles.sort_unstable();
            let labels = titles.into_iter().map(Label::from_stored).collect();
            let contact = Contact { labels, ..row::contact(row)? };
            let links = list(row, 17)?.into_iter().map(link);
            let mut contact_inboxes = links.collect::<rusqlite::Result<Vec<ContactInbox>>>()?;
            contact_inboxes.sort_unstable_by(|a, b| {
                (a.inbox.id, &a.source_id).cmp(&(b.inbox.id, &b.source_id))
            });
            Ok((ContactRecord { contact, contact_inboxes }, Seq(row.get(15)?)))
        })
        .optional()
}

/// A column of a JSON list; nothing is an empty one.
fn list<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<T>> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(Vec::new()),
        _ => row::json(row, column),
    }
}

fn link(columns: (String, i64, String, String, i64)) -> rusqlite::Result<ContactInbox> {
    let (source_id, id, name, channel_type, created_at) = columns;
    let channel_type = row::parsed_text(17, &channel_type, ChannelType::parse)?;
    let created_at = UnixMillis(created_at);
    let inbox = Inbox { id: InboxId(id), name, channel_type, created_at };
    Ok(ContactInbox { source_id: SourceId::from_stored(source_id), inbox })
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
