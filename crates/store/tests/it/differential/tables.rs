//! Every row of every table, as texts, so that two databases can be compared.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, types::ValueRef};

/// A table's name, and its rows in an order of their own.
pub(crate) type Table = (String, Vec<Vec<Option<String>>>);

/// The columns that are booleans in PostgreSQL and numbers in SQLite.
const BOOLEANS: [&str; 4] = ["blocked", "include_activity", "show_on_sidebar", "is_primary"];

/// What hangs on contacts: what meant something once stays in a row until the next write, and which
/// that is depends on the calls that were done together.
const HELD: [&str; 2] = ["label_ids", "links"];

/// What hangs on contacts and means something.
const LIVE: [&str; 2] = [
    "held_labels NATURAL JOIN (SELECT account_id, id AS label_id, title FROM labels) AS label",
    "held_links NATURAL JOIN
       (SELECT account_id, id AS inbox_id, name, made_seq FROM inboxes) AS inbox",
];

/// The tables of a SQLite file, its two of addresses as one, and for each the statement that reads the same of PostgreSQL.
pub(crate) fn of_sqlite(directory: &Path) -> Vec<(Table, String)> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = Connection::open_with_flags(directory.join("meishi.db"), flags).unwrap();
    let names = "SELECT name FROM sqlite_schema
        WHERE type IN ('table', 'view')
          AND name NOT IN ('identities', 'recent_identities', 'held_labels', 'held_links')
        ORDER BY name";
    let mut names = connection.prepare(names).unwrap();
    let names = names.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap);
    let names = names.chain(LIVE.map(str::to_owned));
    names.map(|name| of_table(&connection, name)).collect()
}

fn of_table(connection: &Connection, name: String) -> (Table, String) {
    let all = connection.prepare(&format!("SELECT * FROM {name}")).unwrap();
    let columns = all.column_names().map(str::to_owned);
    let columns: Vec<String> = columns.filter(|name| !HELD.contains(&name.as_str())).collect();
    let compared = format!("SELECT {} FROM {name}", columns.join(", "));
    let mut statement = connection.prepare(&compared).unwrap();
    let mut found = statement.query([]).unwrap();
    let mut rows = Vec::new();
    while let Some(row) = found.next().unwrap() {
        rows.push((0..columns.len()).map(|n| text(row.get_ref(n).unwrap())).collect());
    }
    rows.sort_unstable();
    let shown = |column: &String| {
        let is_boolean = BOOLEANS.contains(&column.as_str());
        format!("{column}{}::text", if is_boolean { "::int" } else { "" })
    };
    let shown: Vec<String> = columns.iter().map(shown).collect();
    let same = format!("SELECT ARRAY[{}] FROM {name}", shown.join(", "));
    ((name, rows), same)
}

fn text(value: ValueRef<'_>) -> Option<String> {
    let hexadecimal = |bytes: &[u8]| -> String {
        let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
        format!("\\x{}", digits.collect::<String>())
    };
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(text) => Some(String::from_utf8(text.to_vec()).unwrap()),
        ValueRef::Blob(bytes) => Some(hexadecimal(bytes)),
    }
}

/// Fails where a PostgreSQL database holds something else.
pub(crate) async fn compare(sqlite: &Path, postgres: &tokio_postgres::Client, except: &[&str]) {
    for ((name, rows), statement) in of_sqlite(sqlite) {
        if except.contains(&name.as_str()) {
            continue;
        }
        let found = postgres.query(&statement, &[]).await.unwrap();
        let mut found: Vec<Vec<Option<String>>> = found.iter().map(|row| row.get(0)).collect();
        found.sort_unstable();
        assert_eq!(rows, found, "the table {name} in SQLite and in PostgreSQL");
    }
}
