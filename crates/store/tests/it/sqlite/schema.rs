//! A file of an earlier version.

use rusqlite::Connection;

use super::open;
use crate::{
    conformance::{
        damage::found,
        old::{FIRST_TABLES, fill},
        replay::every_account_is_as_its_events_tell,
    },
    differential::tables,
};

const FIRST: &str = include_str!("../../../migrations/sqlite/0001_initial.sql");

#[tokio::test]
async fn a_file_of_the_first_schema_comes_out_as_if_it_had_always_been_of_this_one() {
    let (new, old) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(new.path()).unwrap();
    fill(&store).await;
    store.close().await;

    let file = Connection::open(old.path().join("meishi.db")).unwrap();
    file.execute_batch(FIRST).unwrap();
    file.pragma_update(None, "application_id", 0x4d45_4953).unwrap();
    file.pragma_update(None, "user_version", 1).unwrap();
    let source = new.path().join("meishi.db").display().to_string();
    file.execute("ATTACH ?1 AS source", [source]).unwrap();
    for table in FIRST_TABLES {
        let columns: String = file
            .query_row("SELECT group_concat(name) FROM pragma_table_info(?1)", [table], |row| {
                row.get(0)
            })
            .unwrap();
        let copy = format!("INSERT INTO {table} ({columns}) SELECT {columns} FROM source.{table}");
        assert!(file.execute(&copy, []).unwrap() > 0, "{table}");
    }
    file.close().unwrap();

    let store = open(old.path()).unwrap();
    every_account_is_as_its_events_tell(&store).await;
    assert_eq!(found(store.as_ref()).await, []);
    store.close().await;
    assert_eq!(tables::of_sqlite(old.path()), tables::of_sqlite(new.path()));
}
