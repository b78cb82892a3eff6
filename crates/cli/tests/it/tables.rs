//! The tables of either kind of database, read by SQL that both understand and by nothing of the
//! store's own.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, params_from_iter, types::ValueRef};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, NoTls, types::Type};

/// A database that is only read.
pub(crate) enum Tables {
    Sqlite(Connection),
    Postgres(Runtime, Client),
}

/// What a row has in its columns.
pub(crate) struct Row(Vec<Value>);

impl Row {
    pub(crate) fn get<T: DeserializeOwned>(&self, column: usize) -> T {
        let value = self.0[column].clone();
        serde_json::from_value(value).unwrap_or_else(|e| panic!("{e}: {column} of {:?}", self.0))
    }

    /// A yes or no, for which SQLite has numbers.
    pub(crate) fn is_true(&self, column: usize) -> bool {
        match &self.0[column] {
            Value::Bool(yes) => *yes,
            number => number == 1,
        }
    }
}

impl Tables {
    /// A file of SQLite's, which must be sound.
    pub(crate) fn of_file(path: &Path) -> Self {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        let connection = Connection::open_with_flags(path, flags).unwrap();
        connection.pragma_update(None, "query_only", true).unwrap();
        let tables = Self::Sqlite(connection);
        let sound = tables.rows("SELECT integrity_check FROM pragma_integrity_check", None);
        assert_eq!(sound[0].get::<String>(0), "ok");
        let dangling = tables.rows("SELECT 1 FROM pragma_foreign_key_check", None);
        assert_eq!(dangling.len(), 0, "rows that point nowhere");
        tables
    }

    /// A database of PostgreSQL's, once the transactions that are under way in it have ended: a
    /// commit that a killed server sent may still be at work. Nobody writes to it from then on.
    pub(crate) fn of_server(url: &str) -> Self {
        let tables = Self::in_use(url);
        if let Self::Postgres(runtime, client) = &tables {
            let wait = client.batch_execute("BEGIN; SELECT 1 FROM counters FOR UPDATE");
            runtime.block_on(wait).unwrap();
        }
        tables
    }

    /// A database of PostgreSQL's, whatever else goes on in it.
    pub(crate) fn in_use(url: &str) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (client, connection) =
            runtime.block_on(tokio_postgres::connect(url, NoTls)).expect("a connection");
        runtime.spawn(connection);
        Self::Postgres(runtime, client)
    }

    /// The rows of a statement, whose one parameter is an account where it has one.
    pub(crate) fn rows(&self, statement: &str, account: Option<i64>) -> Vec<Row> {
        match self {
            Self::Sqlite(connection) => {
                let mut statement = connection.prepare(statement).unwrap();
                let columns = statement.column_count();
                let read = |row: &rusqlite::Row<'_>| {
                    let cell = |column| Ok(of_sqlite(row.get_ref(column)?));
                    Ok(Row((0..columns).map(cell).collect::<rusqlite::Result<_>>()?))
                };
                let rows = statement.query_map(params_from_iter(account), read).unwrap();
                rows.collect::<rusqlite::Result<_>>().unwrap()
            }
            Self::Postgres(runtime, client) => {
                let rows = runtime.block_on(async {
                    match account {
                        Some(account) => client.query(statement, &[&account]).await,
                        None => client.query(statement, &[]).await,
                    }
                });
                rows.unwrap().iter().map(of_postgres).collect()
            }
        }
    }
}

fn of_sqlite(cell: ValueRef<'_>) -> Value {
    match cell {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Text(text) => std::str::from_utf8(text).unwrap().into(),
        other => panic!("{other:?} is not read here"),
    }
}

fn of_postgres(row: &tokio_postgres::Row) -> Row {
    let cell = |(column, of): (usize, &tokio_postgres::Column)| match *of.type_() {
        Type::BOOL => row.get::<_, Option<bool>>(column).into(),
        Type::INT4 => row.get::<_, Option<i32>>(column).into(),
        Type::INT8 => row.get::<_, Option<i64>>(column).into(),
        Type::TEXT => row.get::<_, Option<String>>(column).into(),
        ref other => panic!("{other} is not read here"),
    };
    Row(row.columns().iter().enumerate().map(cell).collect())
}
