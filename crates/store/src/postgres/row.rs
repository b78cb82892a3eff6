//! Reading stored values back into the domain's types.

use std::collections::HashMap;

use meishi_contacts::{
    AccountId, ApiKey, Attributes, Availability, ChannelType, Contact, ContactId, Email, Event,
    Identifier, Inbox, InboxId, KeyId, Label, LabelId, Phone, Role, SecretHash, Seq, SourceId,
    StoredKey, UnixMillis, UnixSeconds, Version,
};
use serde::de::DeserializeOwned;
use tokio_postgres::{Row, types::FromSql};

use super::error::Error;
use crate::{
    Counts, Include,
    held::LoadedContact,
    ledger::{self, StoredInbox},
};

/// A column, or why it is not what was written.
pub(super) fn column<'a, T: FromSql<'a>>(row: &'a Row, index: usize) -> Result<T, Error> {
    row.try_get(index).map_err(|error| unreadable(index, &error))
}

/// A contact without its labels, from the columns that `contacts.rs` reads.
fn card(row: &Row) -> Result<Contact, Error> {
    let text = |index| column::<Option<String>>(row, index);
    Ok(Contact {
        id: ContactId(column(row, 0)?),
        version: Version(column(row, 1)?),
        name: column(row, 2)?,
        first_name: text(3)?,
        last_name: text(4)?,
        email: text(5)?.map(Email::from_stored),
        phone_number: text(6)?.map(Phone::from_stored),
        identifier: text(7)?.map(Identifier::from_stored),
        thumbnail: column(row, 8)?,
        availability_status: parsed(row, 9, Availability::parse)?,
        blocked: column(row, 10)?,
        additional_attributes: attributes(row, 11)?,
        custom_attributes: attributes(row, 12)?,
        last_activity_at: column::<Option<i64>>(row, 13)?.map(UnixSeconds),
        created_at: UnixSeconds(column(row, 14)?),
        labels: Vec::new(),
    })
}

/// A contact with what hangs on it, from the columns that `contacts.rs` reads.
pub(super) fn contact(row: &Row, include: Include) -> Result<LoadedContact, Error> {
    let contact = card(row)?;
    let label = |(id, title)| (LabelId(id), Label::from_stored(title));
    let labels = held(row, 15)?.into_iter().map(label).collect();
    let links = match include {
        Include::Nothing => Vec::new(),
        Include::Inboxes => links(row, 17)?,
    };
    Ok(LoadedContact { contact, last_seq: Seq(column(row, 16)?), labels, links })
}

/// A contact with its labels, from the columns of its own row and then the numbers of its labels, which
/// have those titles.
pub(super) fn labelled(row: &Row, titles: &HashMap<LabelId, Label>) -> Result<Contact, Error> {
    let ids = column::<Option<&str>>(row, 15)?.map(serde_json::from_str::<Vec<LabelId>>);
    let ids = ids.transpose().map_err(|error| not_json(15, &error))?.unwrap_or_default();
    let mut labels: Vec<Label> = ids.iter().filter_map(|id| titles.get(id).cloned()).collect();
    labels.sort_unstable();
    Ok(Contact { labels, ..card(row)? })
}

/// What hangs on a contact, from an array of JSON arrays, where there still is what it hangs on.
fn held<T: DeserializeOwned>(row: &Row, index: usize) -> Result<Vec<T>, Error> {
    let found = column::<Vec<Option<&str>>>(row, index)?.into_iter().flatten();
    found.map(|json| serde_json::from_str(json).map_err(|error| not_json(index, &error))).collect()
}

/// A contact's channels.
fn links(row: &Row, index: usize) -> Result<Vec<(SourceId, StoredInbox)>, Error> {
    let link = |link: (String, i64, String, String, i64, i64)| {
        let (source_id, id, name, channel_type, created_at, made_seq) = link;
        let channel_type = ChannelType::parse(&channel_type)
            .ok_or_else(|| unreadable(index, &"a channel type that is not known"))?;
        let inbox =
            Inbox { id: InboxId(id), name, channel_type, created_at: UnixMillis(created_at) };
        let stored = StoredInbox { inbox, made_seq: Seq(made_seq) };
        Ok((SourceId::from_stored(source_id), stored))
    };
    held(row, index)?.into_iter().map(link).collect()
}

/// A channel from `id, name, channel_type, created_at, made_seq`.
pub(super) fn inbox(row: &Row) -> Result<StoredInbox, Error> {
    let inbox = Inbox {
        id: InboxId(column(row, 0)?),
        name: column(row, 1)?,
        channel_type: parsed(row, 2, ChannelType::parse)?,
        created_at: UnixMillis(column(row, 3)?),
    };
    Ok(StoredInbox { inbox, made_seq: Seq(column(row, 4)?) })
}

/// A key from the columns that `keys.rs` reads.
pub(super) fn stored_key(row: &Row) -> Result<StoredKey, Error> {
    let time = |index| Ok::<_, Error>(column::<Option<i64>>(row, index)?.map(UnixMillis));
    let previous: Option<&[u8]> = column(row, 10)?;
    Ok(StoredKey {
        account: AccountId(column(row, 0)?),
        key: ApiKey {
            id: KeyId(column(row, 1)?),
            api_key: column(row, 2)?,
            name: column(row, 3)?,
            role: parsed(row, 4, Role::parse)?,
            created_at: UnixMillis(column(row, 5)?),
            expires_at: time(6)?,
            last_used_at: time(7)?,
            previous_until: time(8)?,
        },
        secret_hash: SecretHash(hash(column(row, 9)?, 9)?),
        previous_hash: previous.map(|bytes| hash(bytes, 10).map(SecretHash)).transpose()?,
    })
}

/// An event from `seq, at, actor, actor_id, request_id, body`.
pub(super) fn event(row: &Row) -> Result<Event, Error> {
    let actor_id: Option<i64> = column(row, 3)?;
    Ok(Event {
        seq: Seq(column(row, 0)?),
        at: UnixMillis(column(row, 1)?),
        actor: parsed(row, 2, |actor| ledger::actor(actor, actor_id))?,
        request_id: column(row, 4)?,
        body: json(row, 5)?,
    })
}

/// An account's counts, from that column on.
pub(super) fn counts(row: &Row, from: usize) -> Result<Counts, Error> {
    Ok(Counts {
        contacts: column(row, from)?,
        resolved_contacts: column(row, from + 1)?,
        last_seq: Seq(column(row, from + 2)?),
        dropped_seq: Seq(column(row, from + 3)?),
    })
}

/// A column of JSON.
pub(super) fn json<T: DeserializeOwned>(row: &Row, index: usize) -> Result<T, Error> {
    serde_json::from_str(column(row, index)?).map_err(|error| not_json(index, &error))
}

/// A value as a column of JSON.
pub(super) fn to_json(value: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Unreadable(error.to_string()))
}

/// 32 bytes of a hash.
pub(super) fn hash(bytes: &[u8], index: usize) -> Result<[u8; 32], Error> {
    bytes.try_into().map_err(|error| unreadable(index, &error))
}

/// A column of text that a parser of the domain must understand.
pub(super) fn parsed<T>(
    row: &Row,
    index: usize,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, Error> {
    parse(column(row, index)?).ok_or_else(|| unreadable(index, &"not a word that is known"))
}

fn attributes(row: &Row, index: usize) -> Result<Attributes, Error> {
    Attributes::from_stored(column(row, index)?)
        .ok_or_else(|| unreadable(index, &"not a JSON object"))
}

/// Where the JSON is wrong; what stands there may be somebody's data.
fn not_json(index: usize, error: &serde_json::Error) -> Error {
    let (line, column) = (error.line(), error.column());
    unreadable(index, &format_args!("{:?} at line {line}, column {column}", error.classify()))
}

fn unreadable(index: usize, reason: &dyn std::fmt::Display) -> Error {
    Error::Unreadable(format!("column {index}: {reason}"))
}
