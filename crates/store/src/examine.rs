//! What `meishi doctor` looks at: what must be true of the data beyond what the tables' own rules
//! see to.
//!
//! [`CHECKS`] holds SQL that runs unchanged on SQLite and on PostgreSQL; each store runs all of it
//! at one moment. To add a check: an entry there, and the damage that it finds in
//! `tests/it/conformance/damage.rs`.

use meishi_contacts::{AccountId, UnixMillis, limits::FINDINGS_PER_CHECK};
use serde::{Deserialize, Serialize};

/// How far ahead of the clock the last event may be: two machines' clocks are never the same.
const CLOCK_TOLERANCE_MILLIS: i64 = 60_000;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// As it must be.
    Ok,
    /// Nothing is wrong yet.
    Warning,
    /// Something is wrong.
    Wrong,
}

impl Severity {
    /// Its name, as JSON has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Wrong => "wrong",
        }
    }
}

/// What a check found: one that all is well, or one for each account where it is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The check's name, stable for programs.
    pub check: String,
    /// How it came out.
    pub severity: Severity,
    /// The account that it is about; none where it is about the whole database.
    pub account_id: Option<AccountId>,
    /// How many of what the message speaks of; none where nothing was counted.
    pub count: Option<i64>,
    /// What is so, or what is wrong.
    pub message: String,
    /// What to do; none where all is well.
    pub advice: Option<String>,
}

impl Finding {
    /// All is well.
    pub fn ok(check: &str, message: impl Into<String>) -> Self {
        Self {
            check: check.into(),
            severity: Severity::Ok,
            account_id: None,
            count: None,
            message: message.into(),
            advice: None,
        }
    }

    /// Something is wrong, or will be.
    pub fn bad(
        check: &str,
        severity: Severity,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { severity, advice: Some(advice.into()), ..Self::ok(check, message) }
    }
}

/// A check of the data.
#[derive(Debug)]
pub struct Check {
    /// Its name, stable for programs.
    pub name: &'static str,
    /// What it comes out as when it does not hold.
    pub severity: Severity,
    /// Answers a row for each account where it does not hold, by account: the account's id, or
    /// NULL for the whole database, and how many. `{now}` stands for the time in milliseconds,
    /// `{latest}` for what the last event may bear.
    sql: &'static str,
    /// What is so when it holds.
    pub holds: &'static str,
    /// What is wrong otherwise; `{count}` stands for how many.
    wrong: &'static str,
    /// What to do about it; `{account}` stands for the account's id.
    advice: &'static str,
}

impl Check {
    /// The statement, for a clock that shows `now`. It has no parameters; its two columns are a
    /// bigint or NULL, and a bigint.
    pub fn sql(&self, now: UnixMillis) -> String {
        let latest = now.0.saturating_add(CLOCK_TOLERANCE_MILLIS);
        self.sql.replace("{now}", &now.0.to_string()).replace("{latest}", &latest.to_string())
    }

    /// What the statement's rows mean. Only so many accounts are told of one by one.
    pub fn findings<E>(
        &self,
        rows: impl IntoIterator<Item = Result<(Option<i64>, i64), E>>,
    ) -> Result<Vec<Finding>, E> {
        let mut findings = Vec::new();
        let mut further = 0;
        for row in rows {
            let (account, count) = row?;
            if findings.len() < FINDINGS_PER_CHECK {
                findings.push(self.finding(account, count));
            } else {
                further += 1;
            }
        }
        if further > 0 {
            let message = format!("the same is wrong in {further} further accounts");
            let advice = "begin with the accounts above";
            findings.push(Finding::bad(self.name, self.severity, message, advice));
        }
        if findings.is_empty() {
            findings.push(Finding::ok(self.name, self.holds));
        }
        Ok(findings)
    }

    /// The check could not be done.
    pub fn failed(&self, reason: &str) -> Finding {
        let message = format!("it could not be checked ({reason})");
        Finding::bad(self.name, Severity::Wrong, message, RESTORE)
    }

    fn finding(&self, account: Option<i64>, count: i64) -> Finding {
        let message = self.wrong.replace("{count}", &count.to_string());
        let account_text = account.map(|id| id.to_string()).unwrap_or_default();
        let advice = self.advice.replace("{account}", &account_text);
        Finding {
            account_id: account.map(AccountId),
            count: Some(count),
            ..Finding::bad(self.name, self.severity, message, advice)
        }
    }
}

/// What to do where the tables contradict each other in a way that nobody can decide from here.
pub(crate) const RESTORE: &str =
    "restore a backup in which `meishi doctor` finds nothing, and report this";

/// An id is given by raising the counter: a row above it takes an id that is given again.
macro_rules! ids_below_the_last {
    ($name:literal, $table:literal, $counter:literal) => {
        Check {
            name: $name,
            severity: Severity::Wrong,
            sql: concat!(
                "SELECT counters.account_id, count(*) FROM counters JOIN ",
                $table,
                " ON ",
                $table,
                ".account_id = counters.account_id AND ",
                $table,
                ".id > counters.",
                $counter,
                " GROUP BY counters.account_id ORDER BY 1"
            ),
            holds: concat!("no id in ", $table, " is yet to be given"),
            wrong: concat!("ids in ", $table, " that are yet to be given: {count}"),
            advice: concat!(
                "with the server stopped: UPDATE counters SET ",
                $counter,
                " = (SELECT max(id) FROM ",
                $table,
                " WHERE account_id = {account}) WHERE account_id = {account}; and report this"
            ),
        }
    };
}

/// The checks, in the order in which they are told.
///
/// Each statement reads a table from its beginning to its end at most once and looks up the rest
/// by primary key, so that memory stays bounded and a million contacts take seconds.
pub const CHECKS: [Check; 22] = [
    Check {
        name: "database_identity",
        severity: Severity::Wrong,
        sql: "SELECT CAST(NULL AS bigint), count(*) FROM databases HAVING count(*) <> 1",
        holds: "the database knows which one it is",
        wrong: "rows that say which database this is, instead of one: {count}",
        advice: "with the server stopped: INSERT INTO databases (one, id, epoch) VALUES (1, \
                 '<a new UUID>', 1)",
    },
    Check {
        name: "accounts_without_counters",
        severity: Severity::Wrong,
        sql: "SELECT id, CAST(1 AS bigint) FROM accounts
              WHERE NOT EXISTS (SELECT 1 FROM counters WHERE counters.account_id = accounts.id)
              ORDER BY 1",
        holds: "every account has its counters",
        wrong: "the account has no counters",
        advice: RESTORE,
    },
    Check {
        name: "counters_without_account",
        severity: Severity::Wrong,
        sql: "SELECT account_id, CAST(1 AS bigint) FROM counters
              WHERE NOT EXISTS (SELECT 1 FROM accounts WHERE accounts.id = counters.account_id)
              ORDER BY 1",
        holds: "all counters are an account's",
        wrong: "there are counters, but no such account",
        advice: RESTORE,
    },
    Check {
        name: "contacts_counted",
        severity: Severity::Wrong,
        sql: "SELECT account_id, abs(said - counted)
              FROM (SELECT counters.account_id AS account_id, counters.contacts AS said,
                      (SELECT count(*) FROM contacts
                       WHERE contacts.account_id = counters.account_id) AS counted
                    FROM counters) AS numbers
              WHERE said <> counted
              ORDER BY 1",
        holds: "the counters of contacts are right",
        wrong: "the counter of contacts is wrong by {count}",
        advice: "with the server stopped: UPDATE counters SET contacts = (SELECT count(*) FROM \
                 contacts WHERE account_id = {account}) WHERE account_id = {account}; and report \
                 this",
    },
    Check {
        name: "resolved_contacts_counted",
        severity: Severity::Wrong,
        sql: "SELECT account_id, abs(said - counted)
              FROM (SELECT counters.account_id AS account_id, counters.resolved_contacts AS said,
                      (SELECT count(*) FROM contacts
                       WHERE contacts.account_id = counters.account_id
                         AND (email IS NOT NULL OR phone_number IS NOT NULL
                              OR identifier IS NOT NULL)) AS counted
                    FROM counters) AS numbers
              WHERE said <> counted
              ORDER BY 1",
        holds: "the counters of contacts with an address are right",
        wrong: "the counter of contacts with an address is wrong by {count}",
        advice: "with the server stopped: UPDATE counters SET resolved_contacts = (SELECT count(*) \
                 FROM contacts WHERE account_id = {account} AND (email IS NOT NULL OR \
                 phone_number IS NOT NULL OR identifier IS NOT NULL)) WHERE account_id = \
                 {account}; and report this",
    },
    Check {
        name: "last_event",
        severity: Severity::Wrong,
        sql: "SELECT account_id, abs(said - found)
              FROM (SELECT counters.account_id AS account_id, counters.last_seq AS said,
                      (SELECT coalesce(max(seq), 0) FROM events
                       WHERE events.account_id = counters.account_id) AS found
                    FROM counters) AS numbers
              WHERE said <> found
              ORDER BY 1",
        holds: "the counters of events are right",
        wrong: "the number of the last event differs from the counter by {count}",
        advice: RESTORE,
    },
    Check {
        // What is missing before it was taken away by retention, which says how far it got.
        name: "first_event",
        severity: Severity::Wrong,
        sql: "SELECT account_id, abs(found - 1 - dropped)
              FROM (SELECT counters.account_id AS account_id, counters.dropped_seq AS dropped,
                      (SELECT min(seq) FROM events
                       WHERE events.account_id = counters.account_id) AS found
                    FROM counters) AS numbers
              WHERE found <> dropped + 1
              ORDER BY 1",
        holds: "the events begin where they should",
        wrong: "events that are missing at the beginning: {count}",
        advice: RESTORE,
    },
    Check {
        name: "events_dense",
        severity: Severity::Wrong,
        sql: "SELECT account_id, max(seq) - min(seq) + 1 - count(*) FROM events
              GROUP BY account_id
              HAVING count(*) <> max(seq) - min(seq) + 1
              ORDER BY 1",
        holds: "the events have no gap",
        wrong: "events that are missing between the first and the last: {count}",
        advice: RESTORE,
    },
    ids_below_the_last!("contact_ids", "contacts", "last_contact_id"),
    ids_below_the_last!("inbox_ids", "inboxes", "last_inbox_id"),
    ids_below_the_last!("key_ids", "api_keys", "last_key_id"),
    ids_below_the_last!("label_ids", "labels", "last_label_id"),
    ids_below_the_last!("attribute_ids", "attribute_definitions", "last_attribute_id"),
    ids_below_the_last!("webhook_ids", "webhooks", "last_webhook_id"),
    Check {
        // An event of the contact's own, or one that retention took away.
        name: "histories",
        severity: Severity::Wrong,
        sql: "SELECT heads.account_id, count(*)
              FROM (SELECT account_id, id, last_seq FROM contacts
                    UNION ALL
                    SELECT account_id, id, last_seq FROM deleted_contacts) AS heads
              JOIN counters ON counters.account_id = heads.account_id
              LEFT JOIN events ON events.account_id = heads.account_id
                AND events.seq = heads.last_seq
              WHERE heads.last_seq > counters.dropped_seq
                AND (events.subject_id IS DISTINCT FROM heads.id
                     OR NOT (events.kind LIKE 'contact.%' OR events.kind = 'tombstone'))
              GROUP BY heads.account_id
              ORDER BY 1",
        holds: "every contact's last event is its own",
        wrong: "contacts whose last event is missing or another's: {count}",
        advice: RESTORE,
    },
    Check {
        name: "history_chains",
        severity: Severity::Wrong,
        sql: "SELECT later.account_id, count(*) FROM events AS later
              JOIN counters ON counters.account_id = later.account_id
              LEFT JOIN events AS earlier ON earlier.account_id = later.account_id
                AND earlier.seq = later.previous_seq
              WHERE later.previous_seq > counters.dropped_seq
                AND (earlier.subject_id IS DISTINCT FROM later.subject_id
                     OR NOT (earlier.kind LIKE 'contact.%' OR earlier.kind = 'tombstone')
                     OR later.previous_seq >= later.seq)
              GROUP BY later.account_id
              ORDER BY 1",
        holds: "every event of a contact leads to the one before it",
        wrong: "events that lead to another contact's or to none: {count}",
        advice: RESTORE,
    },
    Check {
        name: "webhook_cursors",
        severity: Severity::Wrong,
        sql: "SELECT webhooks.account_id, count(*) FROM webhooks
              JOIN counters ON counters.account_id = webhooks.account_id
              WHERE webhooks.cursor > counters.last_seq
              GROUP BY webhooks.account_id
              ORDER BY 1",
        holds: "no webhook is ahead of the events",
        wrong: "webhooks that are ahead of the events: {count}",
        advice: "with the server stopped: UPDATE webhooks SET cursor = (SELECT last_seq FROM \
                 counters WHERE account_id = {account}) WHERE account_id = {account}; and report \
                 this",
    },
    Check {
        name: "contacts_in_ledger",
        severity: Severity::Wrong,
        sql: "SELECT contacts.account_id, count(*) FROM contacts
              LEFT JOIN identities AS email
                ON email.account_id = contacts.account_id AND email.kind = 'email'
                AND email.value = contacts.email AND email.contact_id = contacts.id
                AND email.is_primary
              LEFT JOIN recent_identities AS new_email
                ON new_email.account_id = contacts.account_id AND new_email.kind = 'email'
                AND new_email.value = contacts.email AND new_email.contact_id = contacts.id
                AND new_email.is_primary
              LEFT JOIN identities AS phone
                ON phone.account_id = contacts.account_id AND phone.kind = 'phone_number'
                AND phone.value = contacts.phone_number AND phone.contact_id = contacts.id
                AND phone.is_primary
              LEFT JOIN recent_identities AS new_phone
                ON new_phone.account_id = contacts.account_id AND new_phone.kind = 'phone_number'
                AND new_phone.value = contacts.phone_number AND new_phone.contact_id = contacts.id
                AND new_phone.is_primary
              LEFT JOIN identities AS identifier
                ON identifier.account_id = contacts.account_id AND identifier.kind = 'identifier'
                AND identifier.value = contacts.identifier AND identifier.contact_id = contacts.id
                AND identifier.is_primary
              LEFT JOIN recent_identities AS new_identifier
                ON new_identifier.account_id = contacts.account_id AND new_identifier.kind = 'identifier'
                AND new_identifier.value = contacts.identifier AND new_identifier.contact_id = contacts.id
                AND new_identifier.is_primary
              WHERE (contacts.email IS NOT NULL
                     AND email.value IS NULL AND new_email.value IS NULL)
                OR (contacts.phone_number IS NOT NULL
                    AND phone.value IS NULL AND new_phone.value IS NULL)
                OR (contacts.identifier IS NOT NULL
                    AND identifier.value IS NULL AND new_identifier.value IS NULL)
              GROUP BY contacts.account_id
              ORDER BY 1",
        holds: "every address of a contact is in the ledger of addresses",
        wrong: "contacts with an address that the ledger does not give them: {count}",
        advice: RESTORE,
    },
    Check {
        // A contact that is not there has no address either.
        name: "ledger_in_contacts",
        severity: Severity::Wrong,
        sql: "SELECT addresses.account_id, count(*) FROM addresses
              LEFT JOIN contacts ON contacts.account_id = addresses.account_id
                AND contacts.id = addresses.contact_id
              WHERE contacts.id IS NULL
                OR (addresses.is_primary
                    AND CASE addresses.kind
                          WHEN 'email' THEN contacts.email
                          WHEN 'phone_number' THEN contacts.phone_number
                          WHEN 'identifier' THEN contacts.identifier
                        END IS DISTINCT FROM addresses.value)
              GROUP BY addresses.account_id
              ORDER BY 1",
        holds: "every address in the ledger is its contact's",
        wrong: "addresses in the ledger whose contact is missing or does not have them: {count}",
        advice: RESTORE,
    },
    Check {
        name: "links",
        severity: Severity::Wrong,
        sql: "SELECT account_id, count(*)
              FROM (SELECT contact_inboxes.account_id AS account_id FROM contact_inboxes
                    LEFT JOIN inboxes ON inboxes.account_id = contact_inboxes.account_id
                      AND inboxes.id = contact_inboxes.inbox_id
                    LEFT JOIN held_links ON held_links.account_id = contact_inboxes.account_id
                      AND held_links.contact_id = contact_inboxes.contact_id
                      AND held_links.inbox_id = contact_inboxes.inbox_id
                      AND held_links.source_id = contact_inboxes.source_id
                      AND held_links.made_seq = inboxes.made_seq
                    WHERE held_links.contact_id IS NULL
                    UNION ALL
                    SELECT held_links.account_id AS account_id FROM held_links
                    JOIN inboxes ON inboxes.account_id = held_links.account_id
                      AND inboxes.id = held_links.inbox_id
                      AND inboxes.made_seq = held_links.made_seq
                    LEFT JOIN contact_inboxes
                      ON contact_inboxes.account_id = held_links.account_id
                      AND contact_inboxes.inbox_id = held_links.inbox_id
                      AND contact_inboxes.source_id = held_links.source_id
                      AND contact_inboxes.contact_id = held_links.contact_id
                    WHERE contact_inboxes.contact_id IS NULL) AS loose
              GROUP BY account_id
              ORDER BY 1",
        holds: "contacts and channels agree on who is in which",
        wrong: "links between contacts and channels that one of the two does not have: {count}",
        advice: RESTORE,
    },
    Check {
        // A number that was given and is of no label was one of a label that is gone.
        name: "labels",
        severity: Severity::Wrong,
        sql: "SELECT held_labels.account_id, count(*) FROM held_labels
              JOIN counters ON counters.account_id = held_labels.account_id
              WHERE held_labels.label_id > counters.last_label_id
              GROUP BY held_labels.account_id
              ORDER BY 1",
        holds: "no contact bears a label that was never made",
        wrong: "labels that contacts bear and that were never made: {count}",
        advice: RESTORE,
    },
    Check {
        name: "clock",
        severity: Severity::Warning,
        sql: "SELECT counters.account_id, (events.at - {now}) / 1000 FROM counters
              JOIN events ON events.account_id = counters.account_id
                AND events.seq = counters.last_seq
              WHERE events.at > {latest}
              ORDER BY 1",
        holds: "the last events are not in the future",
        wrong: "the last event is {count} seconds in the future",
        advice: "look at the clock of this machine and of whichever wrote it: one of them is wrong",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_accounts_are_told_of_one_by_one() {
        let most = i64::try_from(FINDINGS_PER_CHECK).unwrap();
        let accounts = |number: i64| {
            let rows = (1..=number).map(|account| Ok::<_, ()>((Some(account), 1)));
            CHECKS[1].findings(rows).unwrap()
        };
        assert_eq!(accounts(0), [Finding::ok(CHECKS[1].name, CHECKS[1].holds)]);
        assert!(accounts(most).iter().all(|finding| finding.account_id.is_some()));
        let told = accounts(most + 5);
        let rest = told.last().unwrap();
        assert_eq!((told.len(), rest.account_id), (FINDINGS_PER_CHECK + 1, None));
        assert!(rest.message.contains("5 further accounts"), "{}", rest.message);
        assert_eq!(rest.severity, Severity::Wrong);
    }
}
