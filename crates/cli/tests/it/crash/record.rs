//! The tables of a database that no server has open, read by SQL alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use meishi_contacts::{
    Attributes, Availability, Card, ChannelType, Contact, ContactId, ContactLink, Email, EventBody,
    Identifier, Inbox, InboxId, KeyId, Label, Phone, Role, SourceId, UnixMillis, UnixSeconds,
    Version, event::KeyCard,
};
use rusqlite::{Connection, OpenFlags, Row, params};

/// What an account is, whether read from its tables or folded from its events.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct State {
    pub(super) name: String,
    pub(super) contacts: BTreeMap<ContactId, Card>,
    pub(super) inboxes: BTreeMap<InboxId, Inbox>,
    pub(super) labels: BTreeSet<Label>,
    pub(super) keys: BTreeMap<KeyId, KeyCard>,
}

/// A row of the events.
#[derive(Debug)]
pub(super) struct EventRow {
    pub(super) seq: i64,
    pub(super) actor: String,
    pub(super) actor_id: Option<i64>,
    pub(super) request_id: String,
    pub(super) kind: String,
    pub(super) subject: Option<i64>,
    pub(super) body: EventBody,
}

/// The row of the counters.
#[derive(Debug)]
pub(super) struct Counters {
    pub(super) last_seq: i64,
    pub(super) last_contact_id: i64,
    pub(super) last_inbox_id: i64,
    pub(super) last_key_id: i64,
    pub(super) contacts: i64,
    pub(super) resolved_contacts: i64,
}

/// One account's rows.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) state: State,
    pub(super) counters: Counters,
    pub(super) events: Vec<EventRow>,
    /// Kind, value, contact; all of them primary.
    pub(super) identities: BTreeSet<(String, String, i64)>,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) accounts: BTreeMap<i64, Account>,
}

impl Database {
    pub(super) fn read(path: &Path) -> Self {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE);
        let connection = connection.unwrap();
        connection.pragma_update(None, "query_only", true).unwrap();
        let sound: String =
            connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(sound, "ok");
        let dangling = rows(&connection, "SELECT 1 FROM pragma_foreign_key_check", [], |_| Ok(()));
        assert_eq!(dangling.len(), 0, "rows that point nowhere");

        let names = rows(&connection, "SELECT id, name FROM accounts", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        });
        let accounts: BTreeMap<i64, Account> =
            names.into_iter().map(|(id, name)| (id, account(&connection, id, name))).collect();
        for table in ["counters", "contacts", "contact_inboxes", "contact_labels", "events"] {
            let statement = format!("SELECT DISTINCT account_id FROM {table}");
            for owner in rows(&connection, &statement, [], |row| row.get::<_, i64>(0)) {
                assert!(accounts.contains_key(&owner), "{table} has rows of no account");
            }
        }
        Self { accounts }
    }
}

fn rows<T>(
    connection: &Connection,
    statement: &str,
    parameters: impl rusqlite::Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Vec<T> {
    let mut statement = connection.prepare(statement).unwrap();
    let rows = statement.query_map(parameters, read).unwrap();
    rows.collect::<rusqlite::Result<_>>().unwrap()
}

fn account(connection: &Connection, id: i64, name: String) -> Account {
    let counters = rows(
        connection,
        "SELECT last_seq, last_contact_id, last_inbox_id, last_key_id, contacts, resolved_contacts
         FROM counters WHERE account_id = ?1",
        [id],
        |row| {
            Ok(Counters {
                last_seq: row.get(0)?,
                last_contact_id: row.get(1)?,
                last_inbox_id: row.get(2)?,
                last_key_id: row.get(3)?,
                contacts: row.get(4)?,
                resolved_contacts: row.get(5)?,
            })
        },
    );
    let identities = rows(
        connection,
        "SELECT kind, value, contact_id, is_primary FROM identities WHERE account_id = ?1",
        [id],
        |row| {
            assert!(row.get::<_, bool>(3)?, "a second address of a kind");
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        },
    );
    Account {
        state: State {
            name,
            contacts: contacts(connection, id),
            inboxes: inboxes(connection, id),
            labels: labels(connection, id),
            keys: keys(connection, id),
        },
        counters: counters.into_iter().next().expect("every account has counters"),
        events: events(connection, id),
        identities: identities.into_iter().collect(),
    }
}

fn contacts(connection: &Connection, account: i64) -> BTreeMap<ContactId, Card> {
    let found = rows(
        connection,
        "SELECT id, version, name, first_name, last_name, email, phone_number, identifier,
           thumbnail, availability_status, blocked, additional_attributes, custom_attributes,
           last_activity_at, created_at
         FROM contacts WHERE account_id = ?1",
        [account],
        |row| {
            let text = |column| row.get::<_, Option<String>>(column);
            let attributes = |column| {
                let text: String = row.get(column)?;
                Ok::<_, rusqlite::Error>(Attributes::from_stored(text).expect("a JSON object"))
            };
            Ok(Contact {
                id: ContactId(row.get(0)?),
                version: Version(row.get(1)?),
                name: row.get(2)?,
                first_name: text(3)?,
                last_name: text(4)?,
                email: text(5)?.map(Email::from_stored),
                phone_number: text(6)?.map(Phone::from_stored),
                identifier: text(7)?.map(Identifier::from_stored),
                thumbnail: row.get(8)?,
                availability_status: Availability::parse(&row.get::<_, String>(9)?).unwrap(),
                blocked: row.get(10)?,
                additional_attributes: attributes(11)?,
                custom_attributes: attributes(12)?,
                last_activity_at: row.get::<_, Option<i64>>(13)?.map(UnixSeconds),
                created_at: UnixSeconds(row.get(14)?),
                labels: Vec::new(),
            })
        },
    );
    let mut cards: BTreeMap<ContactId, Card> = found
        .into_iter()
        .map(|contact| (contact.id, Card { contact, contact_inboxes: Vec::new() }))
        .collect();

    let held = rows(
        connection,
        "SELECT held.contact_id, label.title FROM contact_labels AS held
         LEFT JOIN labels AS label
           ON label.account_id = held.account_id AND label.id = held.label_id
         WHERE held.account_id = ?1 ORDER BY label.title",
        [account],
        |row| Ok((ContactId(row.get(0)?), Label::from_stored(row.get(1)?))),
    );
    for (id, label) in held {
        cards.get_mut(&id).expect("a label is borne by a contact").contact.labels.push(label);
    }
    let links = rows(
        connection,
        "SELECT contact_id, inbox_id, source_id FROM contact_inboxes WHERE account_id = ?1
         ORDER BY inbox_id, source_id",
        [account],
        |row| {
            let source_id = SourceId::from_stored(row.get(2)?);
            Ok((ContactId(row.get(0)?), ContactLink { inbox_id: InboxId(row.get(1)?), source_id }))
        },
    );
    for (id, link) in links {
        cards.get_mut(&id).expect("a link is of a contact").contact_inboxes.push(link);
    }
    cards
}

fn inboxes(connection: &Connection, account: i64) -> BTreeMap<InboxId, Inbox> {
    let statement = "SELECT id, name, channel_type, created_at FROM inboxes WHERE account_id = ?1";
    let found = rows(connection, statement, [account], |row| {
        let id = InboxId(row.get(0)?);
        let channel_type = ChannelType::parse(&row.get::<_, String>(2)?).unwrap();
        let created_at = UnixMillis(row.get(3)?);
        Ok((id, Inbox { id, name: row.get(1)?, channel_type, created_at }))
    });
    found.into_iter().collect()
}

fn labels(connection: &Connection, account: i64) -> BTreeSet<Label> {
    let statement = "SELECT title FROM labels WHERE account_id = ?1";
    let found = rows(connection, statement, [account], |row| row.get(0).map(Label::from_stored));
    found.into_iter().collect()
}

fn keys(connection: &Connection, account: i64) -> BTreeMap<KeyId, KeyCard> {
    let statement =
        "SELECT id, api_key, name, role, expires_at FROM api_keys WHERE account_id = ?1";
    let found = rows(connection, statement, [account], |row| {
        let id = KeyId(row.get(0)?);
        let card = KeyCard {
            id,
            api_key: row.get(1)?,
            name: row.get(2)?,
            role: Role::parse(&row.get::<_, String>(3)?).unwrap(),
            expires_at: row.get::<_, Option<i64>>(4)?.map(UnixMillis),
        };
        Ok((id, card))
    });
    found.into_iter().collect()
}

fn events(connection: &Connection, account: i64) -> Vec<EventRow> {
    rows(
        connection,
        "SELECT seq, actor, actor_id, request_id, kind, subject_id, body FROM events
         WHERE account_id = ?1 ORDER BY seq",
        params![account],
        |row| {
            let body: String = row.get(6)?;
            Ok(EventRow {
                seq: row.get(0)?,
                actor: row.get(1)?,
                actor_id: row.get(2)?,
                request_id: row.get(3)?,
                kind: row.get(4)?,
                subject: row.get(5)?,
                body: serde_json::from_str(&body).unwrap_or_else(|e| panic!("{e}: {body}")),
            })
        },
    )
}
