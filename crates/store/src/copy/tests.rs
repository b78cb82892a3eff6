//! The list of tables against what each store's own migrations make.

use meishi_test_postgres::Cluster;

use super::{
    postgres::Postgres,
    sqlite::Sqlite,
    tables::{Kind, TABLES, Table},
};
use crate::{DatabaseUrl, sqlite::migrations};

/// Tables by which a store's migrations know how far they came.
const BOOKKEEPING: [&str; 1] = ["meishi_schema"];

/// A table in words: its name, its columns with their types, its key.
type Described = (String, Vec<(String, String)>, Vec<String>);

fn described(table: &Table, type_of: fn(Kind) -> &'static str) -> Described {
    let columns = table.columns.iter();
    (
        table.name.to_owned(),
        columns.map(|(name, kind)| ((*name).to_owned(), type_of(*kind).to_owned())).collect(),
        table.key.iter().map(|name| (*name).to_owned()).collect(),
    )
}

fn listed(type_of: fn(Kind) -> &'static str) -> Vec<Described> {
    let mut listed: Vec<_> = TABLES.iter().map(|table| described(table, type_of)).collect();
    listed.sort();
    listed
}

#[test]
fn every_table_and_column_of_sqlite_is_copied() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("meishi.db");
    let connection = migrations::open(&path, "id").unwrap();
    let texts = |query: &str, table: &str| -> Vec<(String, String)> {
        let mut statement = connection.prepare(query).unwrap();
        let rows = statement.query_map([table], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.unwrap().map(Result::unwrap).collect()
    };
    let tables = texts(
        "SELECT name, type FROM pragma_table_list
         WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> ?1
         ORDER BY 1",
        // It is folded before.
        "recent_identities",
    );
    let found: Vec<Described> = tables
        .into_iter()
        .filter(|(name, _)| !BOOKKEEPING.contains(&name.as_str()))
        .map(|(name, _)| {
            let columns = texts("SELECT name, type FROM pragma_table_info(?1) ORDER BY cid", &name);
            let key = "SELECT name, type FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk";
            let key = texts(key, &name).into_iter().map(|(name, _)| name).collect();
            (name, columns, key)
        })
        .collect();
    let type_of = |kind| match kind {
        Kind::Integer | Kind::Boolean => "INTEGER",
        Kind::Text => "TEXT",
        Kind::Bytes => "BLOB",
    };
    assert_eq!(found, listed(type_of));
}

#[tokio::test]
async fn every_table_and_column_of_postgresql_is_copied() {
    let database = Cluster::shared().create_database();
    let url = DatabaseUrl::parse(database.url()).unwrap();
    let made = Postgres::target(&url, "id").await.unwrap();
    let (client, _task) = url.connect().await.unwrap();
    let texts = async |query: &str, table: &str| -> Vec<(String, String)> {
        let rows = client.query(query, &[&table]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    };
    let tables = texts(
        "SELECT relname::text, '' FROM pg_class
         WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')
           AND relname <> $1 ORDER BY relname::text COLLATE \"C\"",
        "",
    );
    let mut found: Vec<Described> = Vec::new();
    for (name, _) in tables.await {
        if BOOKKEEPING.contains(&name.as_str()) {
            continue;
        }
        let columns = "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute
             WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped
             ORDER BY attnum";
        let key =
            "SELECT attname::text, '' FROM pg_index, unnest(indkey) WITH ORDINALITY AS k (n, place)
             JOIN pg_attribute ON attnum = k.n
             WHERE indisprimary AND indrelid = $1::text::regclass AND attrelid = indrelid
             ORDER BY place";
        let key = texts(key, &name).await.into_iter().map(|(name, _)| name).collect();
        found.push((name.clone(), texts(columns, &name).await, key));
    }
    drop(made);
    let type_of = |kind| match kind {
        Kind::Integer => "bigint",
        Kind::Text => "text",
        Kind::Bytes => "bytea",
        Kind::Boolean => "boolean",
    };
    assert_eq!(found, listed(type_of));
}

#[tokio::test]
async fn a_store_does_not_open_half_a_copy() {
    let directory = tempfile::tempdir().unwrap();
    let database = Cluster::shared().create_database();
    let url = DatabaseUrl::parse(database.url()).unwrap();
    let marker = super::Marker {
        source: "source".into(),
        standing: "standing".into(),
        table: "contacts".into(),
        last: None,
    };
    let mut file = Sqlite::target(directory.path(), "id").await.unwrap();
    let mut server = Postgres::target(&url, "id").await.unwrap();
    let (client, _task) = url.connect().await.unwrap();
    let path = directory.path().join("meishi.db");
    assert!(migrations::open(&path, "").is_ok());
    assert!(super::refuse_unfinished_postgres(&url, &client).await.is_ok());

    let targets: [&mut dyn super::Target; 2] = [&mut file, &mut server];
    for target in targets {
        target.begin(marker.clone()).await.unwrap();
        assert_eq!(target.marker().await.unwrap(), Some(marker.clone()));
    }
    for error in [
        migrations::open(&path, "").unwrap_err(),
        super::refuse_unfinished_postgres(&url, &client).await.unwrap_err(),
    ] {
        assert!(error.to_string().contains("run `meishi copy` again"), "{error}");
    }

    let targets: [&mut dyn super::Target; 2] = [&mut file, &mut server];
    for target in targets {
        target.finish().await.unwrap();
    }
    assert!(migrations::open(&path, "").is_ok());
    assert!(super::refuse_unfinished_postgres(&url, &client).await.is_ok());
}
