//! What the tables hold, looked at from outside.

use std::path::Path;

use proptest::prelude::*;
use rusqlite::Connection;

use super::{look_into, open};
use crate::conformance::random_changes::{calls, carry_out};

proptest! {
    // Every call is an fsync.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn after_any_sequence_of_changes_the_tables_agree(calls in calls(30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let directory = tempfile::tempdir().unwrap();
        runtime.block_on(async {
            let store = open(directory.path()).unwrap();
            carry_out(&store, calls).await;
            store.close().await;
        });
        the_tables_agree(directory.path());
    }
}

fn the_tables_agree(directory: &Path) {
    let connection = look_into(directory);
    let integrity: String =
        connection.pragma_query_value(None, "integrity_check", |row| row.get(0)).unwrap();
    assert_eq!(integrity, "ok");
    for (what, query) in [
        ("a foreign key leads nowhere", "SELECT * FROM pragma_foreign_key_check"),
        ("the counters are not what is counted", COUNTERS),
        ("a number beyond the last one given", NUMBERS),
        ("the events are not dense", EVENTS),
        ("the ledger of addresses is not what the contacts say", IDENTITIES),
        ("an account without counters", ACCOUNTS),
    ] {
        let wrong: i64 = connection
            .query_row(&format!("SELECT count(*) FROM ({query})"), [], |row| row.get(0))
            .unwrap();
        assert_eq!(wrong, 0, "{what}");
    }
}

const COUNTERS: &str = "
    SELECT 1 FROM counters
    WHERE contacts <> (SELECT count(*) FROM contacts c WHERE c.account_id = counters.account_id)
      OR resolved_contacts <> (
        SELECT count(*) FROM contacts c WHERE c.account_id = counters.account_id
          AND coalesce(c.email, c.phone_number, c.identifier) IS NOT NULL)
      OR last_seq <> (SELECT count(*) FROM events e WHERE e.account_id = counters.account_id)";

const NUMBERS: &str = "
    SELECT 1 FROM counters
    WHERE EXISTS (SELECT 1 FROM contacts r
        WHERE r.account_id = counters.account_id AND r.id > last_contact_id)
      OR EXISTS (SELECT 1 FROM inboxes r
        WHERE r.account_id = counters.account_id AND r.id > last_inbox_id)
      OR EXISTS (SELECT 1 FROM api_keys r
        WHERE r.account_id = counters.account_id AND r.id > last_key_id)
      OR EXISTS (SELECT 1 FROM labels r
        WHERE r.account_id = counters.account_id AND r.id > last_label_id)
      OR EXISTS (SELECT 1 FROM attribute_definitions r
        WHERE r.account_id = counters.account_id AND r.id > last_attribute_id)";

const EVENTS: &str = "
    SELECT account_id FROM events GROUP BY account_id
    HAVING min(seq) <> 1 OR max(seq) <> count(*)";

const IDENTITIES: &str = "
    WITH said AS (
      SELECT account_id, 'email' AS kind, email AS value, id FROM contacts WHERE email IS NOT NULL
      UNION ALL SELECT account_id, 'phone_number', phone_number, id FROM contacts
        WHERE phone_number IS NOT NULL
      UNION ALL SELECT account_id, 'identifier', identifier, id FROM contacts
        WHERE identifier IS NOT NULL),
    held AS (SELECT account_id, kind, value, contact_id FROM identities WHERE is_primary = 1)
    SELECT * FROM (SELECT * FROM said EXCEPT SELECT * FROM held)
    UNION ALL SELECT * FROM (SELECT * FROM held EXCEPT SELECT * FROM said)
    UNION ALL SELECT account_id, kind, value, contact_id FROM identities WHERE is_primary <> 1";

const ACCOUNTS: &str = "
    SELECT id FROM accounts EXCEPT SELECT account_id FROM counters";

/// What a schema must be that is to be sharded by account (DESIGN.md, rule 6).
#[tokio::test]
async fn the_schema_can_be_sharded_by_account() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path()).unwrap().close().await;
    let connection = look_into(directory.path());
    let triggers = "SELECT name FROM sqlite_schema WHERE type = 'trigger'";
    assert_eq!(texts(&connection, triggers), [""; 0]);
    // The tables that say which tenants there are, and the look-ups that find one.
    let unique_indexes = "
        SELECT t.name || ': ' || group_concat(c.name, ', ')
        FROM pragma_table_list t, pragma_index_list(t.name) i, pragma_index_info(i.name) c
        WHERE t.schema = 'main' AND i.\"unique\"
        GROUP BY t.name, i.name HAVING max(c.name = 'account_id' AND c.seqno = 0) = 0
        ORDER BY 1";
    let known = ["api_keys: api_key", "api_keys: secret_hash"];
    assert_eq!(texts(&connection, unique_indexes), known);
    let foreign_keys = "
        SELECT t.name || ' → ' || f.\"table\"
        FROM pragma_table_list t, pragma_foreign_key_list(t.name) f
        WHERE t.schema = 'main' AND f.seq = 0 AND f.\"from\" <> 'account_id'
        ORDER BY 1";
    assert_eq!(texts(&connection, foreign_keys), [""; 0]);
    let primary_keys = "
        SELECT t.name FROM pragma_table_list t, pragma_table_info(t.name) c
        WHERE t.schema = 'main' AND c.pk = 1 AND c.name <> 'account_id'
        ORDER BY 1";
    // New addresses are gathered in this store alone.
    let known = ["accounts", "databases", "recent_identities"];
    assert_eq!(texts(&connection, primary_keys), known);
}

fn texts(connection: &Connection, query: &str) -> Vec<String> {
    let mut statement = connection.prepare(query).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}
