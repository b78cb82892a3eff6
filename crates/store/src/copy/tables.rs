//! What is copied: every table with its columns, parents before children. A test holds the list
//! against the catalogues of both stores.

/// How a column's values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `bigint` and `INTEGER`.
    Integer,
    /// `text` and `TEXT`.
    Text,
    /// `bytea` and `BLOB`.
    Bytes,
    /// `boolean`, and `INTEGER` that is 0 or 1.
    Boolean,
}

/// A table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// The columns of its primary key, in the key's order.
    pub(super) key: &'static [&'static str],
    /// All columns, in the order in which they are declared.
    pub(super) columns: &'static [(&'static str, Kind)],
    /// What tells that its rows changed.
    pub(super) trace: Trace,
}

/// What tells that a table's rows changed, beside their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trace {
    /// The event that every change writes, and so the account's counters.
    Events,
    /// The rows themselves: some change without an event, and they are few.
    Rows,
    /// The highest value of a column: rows come and go without an event, and none is updated.
    Latest(&'static str),
}

impl Table {
    /// The columns' names, as a statement lists them.
    pub(super) fn column_list(&self) -> String {
        self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }

    /// The key's columns, as a statement lists them.
    pub(super) fn key_list(&self) -> String {
        self.key.join(", ")
    }

    /// The statement that reads rows in the key's order, those after a key or all of them; the
    /// limit is the last parameter. SQLite takes `$n` too.
    pub(super) fn select(&self, after: bool) -> String {
        let (columns, key) = (self.column_list(), self.key_list());
        let bound = if after { self.key.len() } else { 0 };
        let condition = match bound {
            0 => String::new(),
            _ => format!("WHERE ({key}) > ({}) ", parameters(bound)),
        };
        format!(
            "SELECT {columns} FROM {} {condition}ORDER BY {key} LIMIT ${}",
            self.name,
            bound + 1
        )
    }

    /// The statement that adds a row.
    pub(super) fn insert(&self) -> String {
        let (columns, parameters) = (self.column_list(), parameters(self.columns.len()));
        format!("INSERT INTO {} ({columns}) VALUES ({parameters})", self.name)
    }
}

fn parameters(number: usize) -> String {
    (1..=number).map(|position| format!("${position}")).collect::<Vec<_>>().join(", ")
}

use Kind::{Boolean, Bytes, Integer, Text};

/// Every table.
pub(super) const TABLES: [Table; 16] = [
    Table {
        name: "databases",
        key: &["one"],
        columns: &[("one", Integer), ("id", Text), ("epoch", Integer)],
        trace: Trace::Rows,
    },
    Table {
        name: "accounts",
        key: &["id"],
        columns: &[("id", Integer), ("name", Text), ("created_at", Integer)],
        trace: Trace::Rows,
    },
    Table {
        name: "counters",
        key: &["account_id"],
        columns: &[
            ("account_id", Integer),
            ("last_seq", Integer),
            ("last_contact_id", Integer),
            ("last_inbox_id", Integer),
            ("last_key_id", Integer),
            ("last_label_id", Integer),
            ("contacts", Integer),
            ("resolved_contacts", Integer),
            ("last_webhook_id", Integer),
            ("dropped_seq", Integer),
            ("last_attribute_id", Integer),
        ],
        trace: Trace::Rows,
    },
    Table {
        name: "api_keys",
        key: &["account_id", "id"],
        columns: &[
            ("account_id", Integer),
            ("id", Integer),
            ("api_key", Text),
            ("secret_hash", Bytes),
            ("previous_hash", Bytes),
            ("previous_until", Integer),
            ("name", Text),
            ("role", Text),
            ("created_at", Integer),
            ("expires_at", Integer),
            ("last_used_at", Integer),
        ],
        trace: Trace::Rows,
    },
    Table {
        name: "inboxes",
        key: &["account_id", "id"],
        columns: &[
            ("account_id", Integer),
            ("id", Integer),
            ("name", Text),
            ("channel_type", Text),
            ("created_at", Integer),
            ("made_seq", Integer),
        ],
        trace: Trace::Events,
    },
    Table {
        name: "contacts",
        key: &["account_id", "id"],
        columns: &[
            ("account_id", Integer),
            ("id", Integer),
            ("version", Integer),
            ("name", Text),
            ("first_name", Text),
            ("last_name", Text),
            ("email", Text),
            ("phone_number", Text),
            ("identifier", Text),
            ("thumbnail", Text),
            ("availability_status", Text),
            ("blocked", Boolean),
            ("additional_attributes", Text),
            ("custom_attributes", Text),
            ("last_activity_at", Integer),
            ("created_at", Integer),
            ("label_ids", Text),
            ("links", Text),
            ("last_seq", Integer),
        ],
        trace: Trace::Events,
    },
    Table {
        name: "deleted_contacts",
        key: &["account_id", "id"],
        columns: &[("account_id", Integer), ("id", Integer), ("last_seq", Integer)],
        trace: Trace::Events,
    },
    Table {
        name: "identities",
        key: &["account_id", "kind", "value"],
        columns: &[
            ("account_id", Integer),
            ("kind", Text),
            ("value", Text),
            ("contact_id", Integer),
            ("is_primary", Boolean),
        ],
        trace: Trace::Events,
    },
    Table {
        name: "contact_inboxes",
        key: &["account_id", "inbox_id", "source_id"],
        columns: &[
            ("account_id", Integer),
            ("inbox_id", Integer),
            ("source_id", Text),
            ("contact_id", Integer),
        ],
        trace: Trace::Events,
    },
    Table {
        name: "labels",
        key: &["account_id", "id"],
        columns: &[
            ("account_id", Integer),
            ("id", Integer),
            ("title", Text),
            ("color", Text),
            ("description", Text),
            ("show_on_sidebar", Boolean),
        ],
        trace: Trace::Events,
    },
    Table {
        name: "attribute_definitions",
        key: &["account_id", "id"],
        columns: &[
            ("account_id", Integer),
            ("id", Integer),
            ("key", Text),
            ("name", Text),
            ("description", Text),
            ("type", Text),
            ("list_values", Text),
            ("regex", Text),
            ("hint", Text),
            ("mode", Text),
            ("created_at", Integer),
        ],
        trace: Trace::Events,
    },
    Table {
        name: "events",
        key: &["account_id", "seq"],
        columns: &[
            ("account_id", Integer),
            ("seq", Integer),
            ("at", Integer),
            ("actor", Text),
            ("actor_id", Integer),
            ("request_id", Text),
            ("kind", Text),
            ("subject_id", Integer),
            ("body", Text),
            ("previous_seq", Integer),
        ],
        trace: Trace::Events,
    },
    Table {
        name: "idempotency_keys",
        key: &["account_id", "api_key_id", "route", "key"],
        columns: &[
            ("account_id", Integer),
            ("api_key_id", Integer),
            ("route", Text),
            ("key", Text),
            ("fingerprint", Bytes),
            ("outcome", Text),
            ("created_at", Integer),
        ],
        trace: Trace::Latest("created_at"),
    },
    Table {
        name: "idempotency_contacts",
        key: &["account_id", "api_key_id", "route", "key", "contact_id"],
        columns: &[
            ("account_id", Integer),
            ("api_key_id", Integer),
            ("route", Text),
            ("key", Text),
            ("contact_id", Integer),
        ],
        trace: Trace::Rows,
    },
    Table {
        name: "webhooks",
        key: &["account_id", "id"],
        columns: &[
            ("account_id", Integer),
            ("id", Integer),
            ("url", Text),
            ("events", Text),
            ("format", Text),
            ("include_activity", Boolean),
            ("state", Text),
            ("state_reason", Text),
            ("created_at", Integer),
            ("failing_since", Integer),
            ("secret", Text),
            ("previous_secret", Text),
            ("previous_until", Integer),
            ("cursor", Integer),
            ("next_at", Integer),
            ("lease", Text),
            ("lease_until", Integer),
            ("leased_at", Integer),
            ("revive_from", Integer),
        ],
        trace: Trace::Rows,
    },
    Table {
        name: "deliveries",
        key: &["account_id", "webhook_id", "seq"],
        columns: &[
            ("account_id", Integer),
            ("webhook_id", Integer),
            ("seq", Integer),
            ("id", Text),
            ("kind", Text),
            ("contact_id", Integer),
            ("payload", Text),
            ("state", Text),
            ("attempts", Text),
            ("tries", Integer),
            ("created_at", Integer),
            ("next_at", Integer),
            ("settled_at", Integer),
        ],
        trace: Trace::Rows,
    },
];
