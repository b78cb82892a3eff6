//! What the tables of a database hold, of either kind, while no server writes to it.

use std::collections::{BTreeMap, BTreeSet};

use meishi_contacts::{
    Attributes, Availability, Card, ChannelType, Contact, ContactId, ContactLink, Email, EventBody,
    Identifier, Inbox, InboxId, KeyId, Label, Phone, Role, SourceId, UnixMillis, UnixSeconds,
    Version, event::KeyCard,
};

use crate::tables::{Row, Tables};

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
    pub(super) fn read(tables: &Tables) -> Self {
        let names = tables.rows("SELECT id, name FROM accounts", None);
        let accounts: BTreeMap<i64, Account> =
            names.iter().map(|row| (row.get(0), account(tables, row.get(0), row.get(1)))).collect();
        for table in ["counters", "contacts", "contact_inboxes", "events"] {
            for row in tables.rows(&format!("SELECT DISTINCT account_id FROM {table}"), None) {
                assert!(accounts.contains_key(&row.get(0)), "{table} has rows of no account");
            }
        }
        Self { accounts }
    }
}

fn account(tables: &Tables, id: i64, name: String) -> Account {
    let counters = tables.rows(
        "SELECT last_seq, last_contact_id, last_inbox_id, last_key_id, contacts, resolved_contacts
         FROM counters WHERE account_id = $1",
        Some(id),
    );
    let counters = counters.first().expect("every account has counters");
    let identities = tables.rows(
        "SELECT kind, value, contact_id, is_primary FROM addresses WHERE account_id = $1",
        Some(id),
    );
    assert!(identities.iter().all(|row| row.is_true(3)), "a second address of a kind");
    Account {
        state: State {
            name,
            contacts: contacts(tables, id),
            inboxes: inboxes(tables, id),
            labels: labels(tables, id),
            keys: keys(tables, id),
        },
        counters: Counters {
            last_seq: counters.get(0),
            last_contact_id: counters.get(1),
            last_inbox_id: counters.get(2),
            last_key_id: counters.get(3),
            contacts: counters.get(4),
            resolved_contacts: counters.get(5),
        },
        events: events(tables, id),
        identities: identities.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect(),
    }
}

fn contacts(tables: &Tables, account: i64) -> BTreeMap<ContactId, Card> {
    let found = tables.rows(
        "SELECT id, version, name, first_name, last_name, email, phone_number, identifier,
           thumbnail, availability_status, blocked, additional_attributes, custom_attributes,
           last_activity_at, created_at
         FROM contacts WHERE account_id = $1",
        Some(account),
    );
    let mut cards: BTreeMap<ContactId, Card> = found
        .iter()
        .map(contact)
        .map(|contact| (contact.id, Card { contact, contact_inboxes: Vec::new() }))
        .collect();

    let held = tables.rows(
        "SELECT held.contact_id, label.title FROM held_labels AS held
         JOIN labels AS label
           ON label.account_id = held.account_id AND label.id = held.label_id
         WHERE held.account_id = $1 ORDER BY label.title",
        Some(account),
    );
    for row in held {
        let card = cards.get_mut(&ContactId(row.get(0))).expect("a label is borne by a contact");
        card.contact.labels.push(Label::from_stored(row.get(1)));
    }
    let links = tables.rows(
        "SELECT contact_id, inbox_id, source_id FROM contact_inboxes WHERE account_id = $1
         ORDER BY inbox_id, source_id",
        Some(account),
    );
    for row in links {
        let card = cards.get_mut(&ContactId(row.get(0))).expect("a link is of a contact");
        let (inbox_id, source_id) = (InboxId(row.get(1)), SourceId::from_stored(row.get(2)));
        card.contact_inboxes.push(ContactLink { inbox_id, source_id });
    }
    cards
}

fn contact(row: &Row) -> Contact {
    let text = |column| row.get::<Option<String>>(column);
    let attributes = |column| Attributes::from_stored(row.get(column)).expect("a JSON object");
    Contact {
        id: ContactId(row.get(0)),
        version: Version(row.get(1)),
        name: row.get(2),
        first_name: text(3),
        last_name: text(4),
        email: text(5).map(Email::from_stored),
        phone_number: text(6).map(Phone::from_stored),
        identifier: text(7).map(Identifier::from_stored),
        thumbnail: row.get(8),
        availability_status: Availability::parse(&row.get::<String>(9)).unwrap(),
        blocked: row.is_true(10),
        additional_attributes: attributes(11),
        custom_attributes: attributes(12),
        last_activity_at: row.get::<Option<i64>>(13).map(UnixSeconds),
        created_at: UnixSeconds(row.get(14)),
        labels: Vec::new(),
    }
}

fn inboxes(tables: &Tables, account: i64) -> BTreeMap<InboxId, Inbox> {
    let statement = "SELECT id, name, channel_type, created_at FROM inboxes WHERE account_id = $1";
    let inbox = |row: &Row| {
        let id = InboxId(row.get(0));
        let channel_type = ChannelType::parse(&row.get::<String>(2)).unwrap();
        (id, Inbox { id, name: row.get(1), channel_type, created_at: UnixMillis(row.get(3)) })
    };
    tables.rows(statement, Some(account)).iter().map(inbox).collect()
}

fn labels(tables: &Tables, account: i64) -> BTreeSet<Label> {
    let statement = "SELECT title FROM labels WHERE account_id = $1";
    let label = |row: &Row| Label::from_stored(row.get(0));
    tables.rows(statement, Some(account)).iter().map(label).collect()
}

fn keys(tables: &Tables, account: i64) -> BTreeMap<KeyId, KeyCard> {
    let statement =
        "SELECT id, api_key, name, role, expires_at FROM api_keys WHERE account_id = $1";
    let key = |row: &Row| {
        let id = KeyId(row.get(0));
        let card = KeyCard {
            id,
            api_key: row.get(1),
            name: row.get(2),
            role: Role::parse(&row.get::<String>(3)).unwrap(),
            expires_at: row.get::<Option<i64>>(4).map(UnixMillis),
        };
        (id, card)
    };
    tables.rows(statement, Some(account)).iter().map(key).collect()
}

fn events(tables: &Tables, account: i64) -> Vec<EventRow> {
    let statement = "SELECT seq, actor, actor_id, request_id, kind, subject_id, body FROM events
         WHERE account_id = $1 ORDER BY seq";
    let event = |row: &Row| {
        let body: String = row.get(6);
        EventRow {
            seq: row.get(0),
            actor: row.get(1),
            actor_id: row.get(2),
            request_id: row.get(3),
            kind: row.get(4),
            subject: row.get(5),
            body: serde_json::from_str(&body).unwrap_or_else(|e| panic!("{e}: {body}")),
        }
    };
    tables.rows(statement, Some(account)).iter().map(event).collect()
}
