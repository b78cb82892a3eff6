//! The rules that keep schema and statements usable on Citus, sharded by account, and the proof
//! that each statement fits the schema.

use meishi_test_postgres::{Cluster, Database};
use tokio_postgres::{Client, SimpleQueryMessage, types::Type};

use super::{
    accounts, attributes, connect::DatabaseUrl, contacts, deliveries, events, gone, inboxes, keys,
    labels, lanes, load, migrations, retention, save, session, statement::Statement, webhooks,
};

/// Tables without an account: reference tables on Citus.
const WITHOUT_ACCOUNT: [&str; 3] = ["accounts", "databases", "meishi_schema"];

/// Looked up before the account is known, and so a reference table too.
const BEFORE_ACCOUNT: &str = "api_keys";

async fn migrated() -> (Client, Database) {
    let database = Cluster::shared().create_database();
    let url = DatabaseUrl::parse(database.url()).unwrap();
    let (mut client, _connection) = url.connect().await.unwrap();
    migrations::run(&mut client, &url, "test").await.unwrap();
    (client, database)
}

fn all_statements() -> Vec<(&'static str, Statement)> {
    [
        accounts::STATEMENTS,
        attributes::STATEMENTS,
        contacts::STATEMENTS,
        deliveries::STATEMENTS,
        events::STATEMENTS,
        gone::STATEMENTS,
        inboxes::STATEMENTS,
        keys::STATEMENTS,
        labels::STATEMENTS,
        lanes::STATEMENTS,
        load::STATEMENTS,
        retention::STATEMENTS,
        save::STATEMENTS,
        webhooks::STATEMENTS,
    ]
    .concat()
}

fn is_write_anywhere(statement: &str) -> bool {
    statement.split_whitespace().any(|word| ["INSERT", "UPDATE", "DELETE"].contains(&word))
}

fn is_write(statement: &str) -> bool {
    ["INSERT", "UPDATE", "DELETE"].iter().any(|verb| statement.trim_start().starts_with(verb))
}

#[tokio::test]
async fn every_statement_prepares_on_an_empty_database() {
    let (client, _database) = migrated().await;
    for (name, statement) in all_statements() {
        let prepared = client.prepare_typed(statement.sql, statement.types).await;
        let prepared = prepared.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(prepared.params(), statement.types, "{name} takes other parameters");
    }
}

/// Statements that look at all rows of a key's first part on purpose, of tables that are small or to
/// count or delete what is there.
const WHOLE: [&str; 17] = [
    "ALL",
    "ANY_ACCOUNT",
    "AT_WORK",
    "COUNT_ATTRIBUTES",
    "COUNT_INBOXES",
    "COUNT_KEYS",
    "COUNT_LABELS",
    "COUNT_LINKS",
    "COUNT_WEBHOOKS",
    "DATABASE",
    "DROP_DELETED",
    "FIRST_KEPT",
    "LOCK_WEBHOOKS",
    "LOOKED_AT",
    "SETTLED",
    "SOME",
    "WEBHOOKS",
];

/// Statements that find rows by their keys and then ask more of them.
const CONDITIONAL: [&str; 8] = [
    "ADVANCE",
    "COUNT_OF_CONTACT",
    "ERASE_DELIVERIES",
    "GIVE_BACK",
    "HOLDS",
    "REVIVED",
    "STOP",
    "TAKE",
];

#[tokio::test]
async fn every_statement_is_planned_by_key_though_the_tables_are_empty() {
    let (client, _database) = migrated().await;
    client.batch_execute(&session::settings("SET")).await.unwrap();
    let mut wrong = Vec::new();
    for (name, statement) in all_statements() {
        // This one is planned anew each time.
        if CONDITIONAL.contains(&name) || WHOLE.contains(&name) || name == "UPDATE_CONTACTS" {
            continue;
        }
        let plan = plan(&client, statement).await;
        for sign in ["Filter", "Seq Scan", "Sort", "Hash", "Materialize"] {
            if plan.contains(sign) {
                wrong.push(format!("{name}:\n{plan}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn plan(client: &Client, Statement { sql, types }: Statement) -> String {
    let bracketed = |words: Vec<String>| {
        if words.is_empty() { String::new() } else { format!("({})", words.join(", ")) }
    };
    let names = bracketed(types.iter().map(type_name).collect());
    client.batch_execute(&format!("PREPARE planned {names} AS {sql}")).await.unwrap();
    let nulls = bracketed(types.iter().map(|_| "NULL".to_owned()).collect());
    let explain = format!("EXPLAIN EXECUTE planned {nulls}");
    let messages = client.simple_query(&explain).await.unwrap();
    client.batch_execute("DEALLOCATE planned").await.unwrap();
    let mut plan = String::new();
    for message in messages {
        if let SimpleQueryMessage::Row(row) = message {
            plan.push_str(row.get(0).unwrap_or_default());
            plan.push('\n');
        }
    }
    plan
}

fn type_name(of: &Type) -> String {
    match of.name().strip_prefix('_') {
        Some(element) => format!("{element}[]"),
        None => of.name().to_owned(),
    }
}

#[test]
fn no_statement_writes_in_or_with_a_cte() {
    for (name, Statement { sql, .. }) in all_statements() {
        // A history is read as a chain.
        if sql.starts_with("WITH RECURSIVE chain") && !is_write_anywhere(sql) {
            continue;
        }
        let words = sql.to_ascii_uppercase();
        assert!(!words.split_whitespace().any(|word| word == "WITH"), "{name} has a CTE");
    }
}

#[tokio::test]
async fn no_write_calls_a_volatile_function() {
    let (client, _database) = migrated().await;
    let mut calls = 0;
    for (name, Statement { sql, .. }) in all_statements() {
        if !is_write(sql) {
            continue;
        }
        for function in called(sql) {
            let volatile = client
                .query(
                    "SELECT 1 FROM pg_proc WHERE proname = $1 AND provolatile = 'v'",
                    &[&function],
                )
                .await
                .unwrap();
            assert!(volatile.is_empty(), "{name} calls {function}");
            calls += 1;
        }
        for word in ["CURRENT_TIMESTAMP", "CURRENT_DATE", "LOCALTIME"] {
            assert!(!sql.to_ascii_uppercase().contains(word), "{name} reads the clock: {word}");
        }
    }
    assert!(calls > 0, "some write calls a function");
}

/// The words before an opening bracket that no space parts from it.
fn called(sql: &str) -> Vec<&str> {
    let name = |before: &str| {
        before.rfind(|c: char| !c.is_alphanumeric() && c != '_').map_or(0, |at| at + 1)
    };
    sql.match_indices('(')
        .map(|(at, _)| &sql[name(&sql[..at])..at])
        .filter(|function| !function.is_empty())
        .collect()
}

#[test]
fn calls_are_found() {
    assert_eq!(called("SELECT max(a), (b) FROM unnest($1) AS new (c)"), ["max", "unnest"]);
}

#[tokio::test]
async fn every_key_and_unique_index_of_a_tenants_table_begins_with_the_account() {
    let (client, _database) = migrated().await;
    let rows = client
        .query(
            "SELECT t.relname::text, i.relname::text, a.attname::text
             FROM pg_index x
             JOIN pg_class t ON t.oid = x.indrelid
             JOIN pg_class i ON i.oid = x.indexrelid
             JOIN pg_namespace n ON n.oid = t.relnamespace AND n.nspname = 'public'
             JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = x.indkey[0]
             WHERE x.indisunique",
            &[],
        )
        .await
        .unwrap();
    assert!(rows.len() > 10, "the catalogue was read");
    for row in rows {
        let [table, index, first]: [String; 3] = [0, 1, 2].map(|column| row.get(column));
        let found_before = table == BEFORE_ACCOUNT && index != "api_keys_pkey";
        if WITHOUT_ACCOUNT.contains(&table.as_str()) || found_before {
            continue;
        }
        assert_eq!(first, "account_id", "{index} of {table}");
    }
}

#[tokio::test]
async fn every_foreign_key_begins_with_the_account() {
    let (client, _database) = migrated().await;
    let rows = client
        .query(
            "SELECT c.conname::text, a.attname::text, f.relname::text, b.attname::text
             FROM pg_constraint c
             JOIN pg_class f ON f.oid = c.confrelid
             JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
             JOIN pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = c.confkey[1]
             WHERE c.contype = 'f'",
            &[],
        )
        .await
        .unwrap();
    assert!(rows.len() > 3, "the catalogue was read");
    for row in rows {
        let [name, first, table, referenced]: [String; 4] =
            [0, 1, 2, 3].map(|column| row.get(column));
        assert_eq!(first, "account_id", "{name}");
        let expected = if table == "accounts" { "id" } else { "account_id" };
        assert_eq!(referenced, expected, "{name}");
    }
}

#[tokio::test]
async fn there_are_no_triggers_sequences_or_defaults_that_the_database_makes_up() {
    let (client, _database) = migrated().await;
    for (what, query) in [
        ("a trigger", "SELECT tgname::text FROM pg_trigger WHERE NOT tgisinternal"),
        (
            "a sequence",
            "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE c.relkind = 'S' AND n.nspname = 'public'",
        ),
        (
            "a default that is no constant",
            "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef
             WHERE pg_get_expr(adbin, adrelid) !~ '^([''(0-9]|true$|false$)'",
        ),
    ] {
        let found: Vec<String> =
            client.query(query, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
        assert!(found.is_empty(), "{what}: {found:?}");
    }
}

#[tokio::test]
async fn text_is_compared_byte_by_byte_everywhere() {
    let (client, _database) = migrated().await;
    let rows = client
        .query(
            "SELECT table_name::text, column_name::text FROM information_schema.columns
             WHERE table_schema = 'public' AND data_type = 'text'
               AND collation_name IS DISTINCT FROM 'C'",
            &[],
        )
        .await
        .unwrap();
    let found: Vec<String> = rows
        .iter()
        .map(|row| format!("{}.{}", row.get::<_, &str>(0), row.get::<_, &str>(1)))
        .collect();
    assert!(found.is_empty(), "{found:?}");
}

#[tokio::test]
async fn both_stores_have_the_same_tables_and_columns() {
    let (client, _database) = migrated().await;
    let query = "SELECT table_name::text, column_name::text, is_nullable = 'YES'
        FROM information_schema.columns WHERE table_schema = 'public'
          AND table_name <> 'meishi_schema'
          AND table_name NOT IN (SELECT table_name FROM information_schema.views)";
    let mut here: Vec<(String, String, bool)> = client
        .query(query, &[])
        .await
        .unwrap()
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect();
    here.sort();
    let mut there = crate::sqlite::columns();
    there.sort();
    assert_eq!(here, there);
}
