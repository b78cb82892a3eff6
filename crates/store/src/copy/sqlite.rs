//! The side of a copy that is an embedded database.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use rusqlite::{
    Connection, OptionalExtension as _, Params, ToSql, params_from_iter,
    types::{Null, ToSqlOutput, ValueRef},
};

use super::{
    CREATE_MARKER, CopyError, DROP_MARKER, READ_MARKER, SET_MARKER, Side, Target,
    row::{Key, Marker, Row, Value, read_key, write_key},
    tables::{Kind, TABLES, Table},
};
use crate::{
    OpenError,
    sqlite::{DataDirectory, identities, migrations},
};

/// How often a directory that is held is tried, and how long is waited in between.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);

/// Refuses a database that is half a copy.
pub(crate) fn refuse_unfinished(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    match is_unfinished(connection) {
        Ok(false) => Ok(()),
        Ok(true) => Err(OpenError::Unfinished { database: path.display().to_string() }),
        Err(error) => Err(OpenError::Damaged { path: path.to_owned(), reason: error.to_string() }),
    }
}

fn is_unfinished(connection: &Connection) -> rusqlite::Result<bool> {
    connection.table_exists(None, "copies")
}

/// Holds a directory. A copy that was killed just now may take a moment to let go of it.
async fn hold(directory: &Path) -> Result<DataDirectory, OpenError> {
    for _ in 0..ATTEMPTS {
        match DataDirectory::hold(directory) {
            Err(OpenError::Held(_)) => tokio::time::sleep(PAUSE).await,
            held => return held,
        }
    }
    DataDirectory::hold(directory)
}

/// An embedded database, held by this process.
pub(super) struct Sqlite {
    held: Arc<Mutex<Held>>,
    name: String,
}

/// The directory stays held until the last statement has ended, also where nobody waits for it.
struct Held {
    connection: Connection,
    _directory: DataDirectory,
}

impl Sqlite {
    /// Opens the database to read it.
    pub(super) async fn source(directory: &Path) -> Result<Self, CopyError> {
        let name = format!("sqlite:{}", directory.display());
        if !DataDirectory::has_database(directory) {
            return Err(CopyError::NoSource(name));
        }
        let directory = hold(directory).await.map_err(CopyError::Source)?;
        let path = directory.database();
        let connection = migrations::open_any(&path, "").map_err(CopyError::Source)?;
        let source = Self::new(connection, directory, name.clone());
        source.call(|connection| identities::fold_all(connection)).await?;
        if source.call(|connection| is_unfinished(connection)).await? {
            return Err(CopyError::UnfinishedSource(name));
        }
        Ok(source)
    }

    /// Opens the database to write it, making it as needed.
    pub(super) async fn target(directory: &Path, database_id: &str) -> Result<Self, CopyError> {
        let name = format!("sqlite:{}", directory.display());
        let directory = hold(directory).await.map_err(CopyError::Target)?;
        let path = directory.database();
        let connection = migrations::open_any(&path, database_id).map_err(CopyError::Target)?;
        let target = Self::new(connection, directory, name);
        // The rows come from tables that have these very keys. What a power cut takes is copied
        // again: the marker goes with it.
        target
            .call(|connection| {
                identities::fold_all(connection)?;
                connection.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA synchronous = NORMAL")
            })
            .await?;
        Ok(target)
    }

    fn new(connection: Connection, directory: DataDirectory, name: String) -> Self {
        let held = Held { connection, _directory: directory };
        Self { held: Arc::new(Mutex::new(held)), name }
    }

    /// Runs statements on a thread that may block.
    async fn call<T: Send + 'static>(
        &self,
        statements: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, CopyError> {
        let held = self.held.clone();
        let done = tokio::task::spawn_blocking(move || {
            let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
            statements(&mut held.connection)
        });
        let reason = match done.await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        Err(CopyError::Failed { database: self.name.clone(), reason })
    }

    async fn number<P: Params + Send + 'static>(
        &self,
        query: String,
        params: P,
    ) -> Result<Option<i64>, CopyError> {
        self.call(move |connection| connection.query_row(&query, params, |row| row.get(0))).await
    }
}

#[async_trait]
impl Side for Sqlite {
    async fn count(&mut self, table: &'static Table) -> Result<u64, CopyError> {
        let number = self.number(format!("SELECT count(*) FROM {}", table.name), []).await?;
        Ok(number.and_then(|number| number.try_into().ok()).unwrap_or(0))
    }

    async fn highest(
        &mut self,
        table: &'static Table,
        column: &'static str,
    ) -> Result<Option<i64>, CopyError> {
        self.number(format!("SELECT max({column}) FROM {}", table.name), []).await
    }

    async fn read(
        &mut self,
        table: &'static Table,
        after: Option<Key>,
        rows: usize,
    ) -> Result<Vec<Row>, CopyError> {
        self.call(move |connection| {
            let mut statement = connection.prepare_cached(&table.select(after.is_some()))?;
            let limit = Value::Integer(rows.try_into().unwrap_or(i64::MAX));
            let params = after.unwrap_or_default().into_iter().chain([limit]);
            let rows = statement.query_map(params_from_iter(params), |row| {
                let columns = table.columns.iter().enumerate();
                columns.map(|(position, (_, kind))| value(row, position, *kind)).collect()
            })?;
            rows.collect()
        })
        .await
    }
}

#[async_trait]
impl Target for Sqlite {
    async fn marker(&mut self) -> Result<Option<Marker>, CopyError> {
        self.call(|connection| {
            if !is_unfinished(connection)? {
                return Ok(None);
            }
            let marker = connection.query_row(READ_MARKER, [], |row| {
                let last: Option<String> = row.get(3)?;
                Ok(Marker {
                    source: row.get(0)?,
                    standing: row.get(1)?,
                    table: row.get(2)?,
                    last: last.as_deref().and_then(read_key),
                })
            });
            marker.optional()
        })
        .await
    }

    async fn begin(&mut self, marker: Marker) -> Result<(), CopyError> {
        self.call(move |connection| {
            let transaction = connection.transaction()?;
            for table in TABLES.iter().rev() {
                transaction.execute(&format!("DELETE FROM {}", table.name), [])?;
            }
            transaction.execute(CREATE_MARKER, [])?;
            set(&transaction, &marker)?;
            transaction.commit()
        })
        .await
    }

    async fn write(
        &mut self,
        table: &'static Table,
        rows: Vec<Row>,
        marker: Marker,
    ) -> Result<(), CopyError> {
        self.call(move |connection| {
            let transaction = connection.transaction()?;
            let mut insert = transaction.prepare_cached(&table.insert())?;
            for row in &rows {
                insert.execute(params_from_iter(row))?;
            }
            drop(insert);
            set(&transaction, &marker)?;
            transaction.commit()
        })
        .await
    }

    async fn mark(&mut self, marker: Marker) -> Result<(), CopyError> {
        self.call(move |connection| set(connection, &marker)).await
    }

    async fn finish(&mut self) -> Result<(), CopyError> {
        self.call(|connection| {
            connection.execute_batch("PRAGMA synchronous = FULL")?;
            connection.execute(DROP_MARKER, [])?;
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        })
        .await
    }
}

fn set(connection: &Connection, marker: &Marker) -> rusqlite::Result<()> {
    let last = marker.last.as_ref().map(write_key);
    let params = (&marker.source, &marker.standing, &marker.table, last);
    connection.prepare_cached(SET_MARKER)?.execute(params).map(drop)
}

fn value(row: &rusqlite::Row<'_>, position: usize, kind: Kind) -> rusqlite::Result<Value> {
    Ok(match (kind, row.get_ref(position)?) {
        (_, ValueRef::Null) => Value::Null,
        (Kind::Integer, ValueRef::Integer(number)) => Value::Integer(number),
        (Kind::Boolean, ValueRef::Integer(0)) => Value::Boolean(false),
        (Kind::Boolean, ValueRef::Integer(1)) => Value::Boolean(true),
        (Kind::Text, ValueRef::Text(_)) => Value::Text(row.get(position)?),
        (Kind::Bytes, ValueRef::Blob(bytes)) => Value::Bytes(bytes.to_owned()),
        (_, other) => {
            let name = row.as_ref().column_name(position)?.to_owned();
            return Err(rusqlite::Error::InvalidColumnType(position, name, other.data_type()));
        }
    })
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Null => Ok(Null.into()),
            Self::Integer(number) => number.to_sql(),
            Self::Text(text) => text.to_sql(),
            Self::Bytes(bytes) => bytes.to_sql(),
            Self::Boolean(boolean) => boolean.to_sql(),
        }
    }
}
