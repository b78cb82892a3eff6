//! Reading stored values back into the domain's types.

use meishi_contacts::{
    Attributes, Availability, ChannelType, Contact, ContactId, Email, Identifier, Inbox, InboxId,
    Phone, Seq, UnixMillis, UnixSeconds, Version,
};
use rusqlite::{Row, types::Type};

use crate::ledger::StoredInbox;

/// A statement around the columns of a contact, in the order in which [`contact`] reads them.
macro_rules! contact_columns {
    ($before:expr, $after:expr) => {
        concat!(
            $before,
            "id, version, name, first_name, last_name, email, phone_number, identifier, thumbnail,
               availability_status, blocked, additional_attributes, custom_attributes,
               last_activity_at, created_at, last_seq, label_ids, links",
            $after
        )
    };
}
pub(super) use contact_columns;

/// A contact without its labels, of which the row has the numbers.
pub(super) fn contact(row: &Row<'_>) -> rusqlite::Result<Contact> {
    Ok(Contact {
        id: ContactId(row.get(0)?),
        version: Version(row.get(1)?),
        name: row.get(2)?,
        first_name: row.get(3)?,
        last_name: row.get(4)?,
        email: row.get::<_, Option<String>>(5)?.map(Email::from_stored),
        phone_number: row.get::<_, Option<String>>(6)?.map(Phone::from_stored),
        identifier: row.get::<_, Option<String>>(7)?.map(Identifier::from_stored),
        thumbnail: row.get(8)?,
        availability_status: parsed(row, 9, Availability::parse)?,
        blocked: row.get(10)?,
        additional_attributes: attributes(row, 11)?,
        custom_attributes: attributes(row, 12)?,
        last_activity_at: row.get::<_, Option<i64>>(13)?.map(UnixSeconds),
        created_at: UnixSeconds(row.get(14)?),
        labels: Vec::new(),
    })
}

/// A channel from `id, name, channel_type, created_at, made_seq`.
pub(super) fn inbox(row: &Row<'_>) -> rusqlite::Result<StoredInbox> {
    let inbox = Inbox {
        id: InboxId(row.get(0)?),
        name: row.get(1)?,
        channel_type: parsed(row, 2, ChannelType::parse)?,
        created_at: UnixMillis(row.get(3)?),
    };
    Ok(StoredInbox { inbox, made_seq: Seq(row.get(4)?) })
}

/// A column of text that a parser of the domain must understand.
pub(super) fn parsed<T>(
    row: &Row<'_>,
    column: usize,
    parse: impl FnOnce(&str) -> Option<T>,
) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    parse(text).ok_or_else(|| unreadable(column, "not a word that is known".to_owned()))
}

/// A column of JSON.
pub(super) fn json<T: serde::de::DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(column)?.as_str()?)
        .map_err(|error| unreadable(column, error.to_string()))
}

/// A value as a column of JSON.
pub(super) fn to_json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

fn attributes(row: &Row<'_>, column: usize) -> rusqlite::Result<Attributes> {
    Attributes::from_stored(row.get(column)?)
        .ok_or_else(|| unreadable(column, "not a JSON object".to_owned()))
}

fn unreadable(column: usize, reason: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, reason.into())
}
