//! The side of a copy that is a database on a PostgreSQL server.

use std::{error::Error as _, pin::pin, time::Duration};

use async_trait::async_trait;
use tokio_postgres::{
    Client, GenericClient,
    binary_copy::BinaryCopyInWriter,
    error::SqlState,
    types::{ToSql, Type},
};

use super::{
    CREATE_MARKER, CopyError, DROP_MARKER, READ_MARKER, SET_MARKER, Side, Target,
    row::{Key, Marker, Row, Value, key_of, read_key, write_key},
    tables::{Kind, TABLES, Table},
};
use crate::{DatabaseUrl, OpenError, postgres};

/// How often the lock is tried, and how long is waited in between: the server may take a moment
/// to notice that the last copy was killed.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);

/// For both sides: a copy may take as long as it takes, but waits for nobody.
const SETTINGS: &str = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0;
  SET lock_timeout = '5s';";

/// Holds off whoever writes, while plain readers go on. Every change locks its account's counters,
/// and a key's use is noted in its own row. The snapshot is taken by the first query after it.
const LOCK_SOURCE: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ;
  LOCK TABLE counters, api_keys IN EXCLUSIVE MODE;";

/// Refuses a database that is half a copy.
pub(crate) async fn refuse_unfinished(url: &DatabaseUrl, client: &Client) -> Result<(), OpenError> {
    let failed = |error| postgres::open_error(url, &error);
    if exists(client, "copies").await.map_err(failed)? {
        return Err(OpenError::Unfinished { database: url.to_string() });
    }
    Ok(())
}

async fn exists(client: &Client, table: &str) -> Result<bool, tokio_postgres::Error> {
    // Not prepared: there may be a pooler in between.
    let asked = [(&table as &(dyn ToSql + Sync), Type::TEXT)];
    client.query_typed_one("SELECT to_regclass($1) IS NOT NULL", &asked).await?.try_get(0)
}

/// A database on a server, with the one connection that the copy goes through.
pub(super) struct Postgres {
    client: Client,
    name: String,
}

impl Postgres {
    /// Opens the database to read it, as it is now.
    pub(super) async fn source(url: &DatabaseUrl) -> Result<Self, CopyError> {
        let mut source = Self::connect(url).await.map_err(CopyError::Source)?;
        if !exists(&source.client, "databases").await.map_err(source.failed())? {
            return Err(CopyError::NoSource(source.name));
        }
        let migrated = postgres::migrations::run(&mut source.client, url, "").await;
        migrated.map_err(CopyError::Source)?;
        if exists(&source.client, "copies").await.map_err(source.failed())? {
            return Err(CopyError::UnfinishedSource(source.name));
        }
        source.execute(SETTINGS).await?;
        match source.client.batch_execute(LOCK_SOURCE).await {
            Ok(()) => Ok(source),
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                Err(CopyError::SourceBusy(source.name))
            }
            Err(error) => Err(source.failed()(error)),
        }
    }

    /// Opens the database to write it, making its tables as needed.
    pub(super) async fn target(url: &DatabaseUrl, database_id: &str) -> Result<Self, CopyError> {
        let mut target = Self::connect(url).await.map_err(CopyError::Target)?;
        target.lock().await?;
        target.execute(SETTINGS).await?;
        // What a power cut takes is copied again: the marker goes with it.
        target.execute("SET synchronous_commit = off").await?;
        let migrated = postgres::migrations::run(&mut target.client, url, database_id).await;
        migrated.map_err(CopyError::Target)?;
        Ok(target)
    }

    async fn connect(url: &DatabaseUrl) -> Result<Self, OpenError> {
        // The task ends with the client.
        let (client, _) = url.connect().await?;
        postgres::check_server(url, &client).await?;
        Ok(Self { client, name: url.to_string() })
    }

    async fn lock(&self) -> Result<(), CopyError> {
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            let row = self
                .client
                .query_one("SELECT pg_try_advisory_lock($1)", &[&postgres::lock::COPY])
                .await;
            if row.and_then(|row| row.try_get(0)).map_err(self.failed())? {
                return Ok(());
            }
        }
        Err(CopyError::TargetBusy(self.name.clone()))
    }

    async fn execute(&self, statements: &str) -> Result<(), CopyError> {
        self.client.batch_execute(statements).await.map_err(self.failed())
    }

    /// What the server or the driver says, as a sentence.
    fn failed(&self) -> impl Fn(tokio_postgres::Error) -> CopyError + use<> {
        let database = self.name.clone();
        move |error| {
            let reason = match (error.as_db_error(), error.source()) {
                (Some(error), _) => error.message().to_owned(),
                (None, Some(source)) => format!("{error}: {source}"),
                (None, None) => error.to_string(),
            };
            CopyError::Failed { database: database.clone(), reason }
        }
    }
}

#[async_trait]
impl Side for Postgres {
    async fn count(&mut self, table: &'static Table) -> Result<u64, CopyError> {
        let query = format!("SELECT count(*) FROM {}", table.name);
        let row = self.client.query_one(&query, &[]).await;
        let number: i64 = row.and_then(|row| row.try_get(0)).map_err(self.failed())?;
        Ok(number.try_into().unwrap_or(0))
    }

    async fn highest(
        &mut self,
        table: &'static Table,
        column: &'static str,
    ) -> Result<Option<i64>, CopyError> {
        let query = format!("SELECT max({column}) FROM {}", table.name);
        let row = self.client.query_one(&query, &[]).await;
        row.and_then(|row| row.try_get(0)).map_err(self.failed())
    }

    async fn read(
        &mut self,
        table: &'static Table,
        after: Option<Key>,
        rows: usize,
    ) -> Result<Vec<Row>, CopyError> {
        let query = table.select(after.is_some());
        let limit = i64::try_from(rows).unwrap_or(i64::MAX);
        // No column of a key may be null.
        let key = after.iter().flatten().map(|value| parameter(value, Kind::Text));
        let params: Vec<_> = key.chain([&limit as &(dyn ToSql + Sync)]).collect();
        let rows = self.client.query(&query, &params).await.map_err(self.failed())?;
        let values = |row: &tokio_postgres::Row| {
            let columns = table.columns.iter().enumerate();
            columns.map(|(position, (_, kind))| value(row, position, *kind)).collect()
        };
        rows.iter().map(values).collect::<Result<_, _>>().map_err(self.failed())
    }
}

#[async_trait]
impl Target for Postgres {
    async fn marker(&mut self) -> Result<Option<Marker>, CopyError> {
        if !exists(&self.client, "copies").await.map_err(self.failed())? {
            return Ok(None);
        }
        let row = self.client.query_opt(READ_MARKER, &[]).await.map_err(self.failed())?;
        let read = |row: tokio_postgres::Row| {
            let last: Option<&str> = row.try_get(3)?;
            Ok(Marker {
                source: row.try_get(0)?,
                standing: row.try_get(1)?,
                table: row.try_get(2)?,
                last: last.and_then(read_key),
            })
        };
        row.map(read).transpose().map_err(self.failed())
    }

    async fn begin(&mut self, marker: Marker) -> Result<(), CopyError> {
        let failed = self.failed();
        let tables: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
        let sql = format!("TRUNCATE {}; {CREATE_MARKER};", tables.join(", "));
        let is_copy = exists(&self.client, "copies").await.map_err(&failed)?;
        let begun = async {
            let transaction = self.client.transaction().await?;
            // A server may have begun its work here since the tables were looked at.
            transaction.batch_execute("LOCK TABLE accounts").await?;
            let accounts = transaction.query_typed("SELECT 1 FROM accounts LIMIT 1", &[]).await?;
            if !is_copy && !accounts.is_empty() {
                return Ok(false);
            }
            transaction.batch_execute(&sql).await?;
            set(&transaction, &marker).await?;
            transaction.commit().await?;
            Ok(true)
        };
        if begun.await.map_err(failed)? {
            return Ok(());
        }
        Err(CopyError::NotEmpty(self.name.clone()))
    }

    async fn write(
        &mut self,
        table: &'static Table,
        rows: Vec<Row>,
        marker: Marker,
    ) -> Result<(), CopyError> {
        if let Some(row) = rows.iter().find(|row| has_nul(row)) {
            let key = write_key(&key_of(table, row));
            return Err(CopyError::Nul { table: table.name, key });
        }
        let failed = self.failed();
        let sql =
            format!("COPY {} ({}) FROM STDIN (FORMAT binary)", table.name, table.column_list());
        let types: Vec<Type> = table.columns.iter().map(|(_, kind)| sql_type(*kind)).collect();
        let written = async {
            let transaction = self.client.transaction().await?;
            let sink = transaction.copy_in(&sql).await?;
            let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
            let mut values = Vec::with_capacity(types.len());
            for row in &rows {
                values.clear();
                let columns = row.iter().zip(table.columns);
                values.extend(columns.map(|(value, (_, kind))| parameter(value, *kind)));
                writer.as_mut().write(&values).await?;
            }
            writer.finish().await?;
            set(&transaction, &marker).await?;
            transaction.commit().await
        };
        written.await.map_err(failed)
    }

    async fn mark(&mut self, marker: Marker) -> Result<(), CopyError> {
        set(&self.client, &marker).await.map_err(self.failed())
    }

    async fn finish(&mut self) -> Result<(), CopyError> {
        // Plans of the first queries go by what is known of the tables.
        let tables: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
        self.execute(&format!("ANALYZE {}", tables.join(", "))).await?;
        // With this commit all earlier ones are on the disk too.
        self.execute("SET synchronous_commit = on").await?;
        self.execute(DROP_MARKER).await
    }
}

async fn set(client: &impl GenericClient, marker: &Marker) -> Result<(), tokio_postgres::Error> {
    let last = marker.last.as_ref().map(write_key);
    let params: [&(dyn ToSql + Sync); 4] = [&marker.source, &marker.standing, &marker.table, &last];
    client.execute(SET_MARKER, &params).await.map(drop)
}

fn has_nul(row: &Row) -> bool {
    row.iter().any(|value| matches!(value, Value::Text(text) if text.contains('\0')))
}

fn sql_type(kind: Kind) -> Type {
    match kind {
        Kind::Integer => Type::INT8,
        Kind::Text => Type::TEXT,
        Kind::Bytes => Type::BYTEA,
        Kind::Boolean => Type::BOOL,
    }
}

/// A value as the driver takes it; `kind` says what it is where it is null.
fn parameter(value: &Value, kind: Kind) -> &(dyn ToSql + Sync) {
    match (value, kind) {
        (Value::Integer(number), _) => number,
        (Value::Text(text), _) => text,
        (Value::Bytes(bytes), _) => bytes,
        (Value::Boolean(boolean), _) => boolean,
        (Value::Null, Kind::Integer) => &None::<i64>,
        (Value::Null, Kind::Text) => &None::<&str>,
        (Value::Null, Kind::Bytes) => &None::<&[u8]>,
        (Value::Null, Kind::Boolean) => &None::<bool>,
    }
}

fn value(
    row: &tokio_postgres::Row,
    position: usize,
    kind: Kind,
) -> Result<Value, tokio_postgres::Error> {
    Ok(match kind {
        Kind::Integer => row.try_get::<_, Option<_>>(position)?.map_or(Value::Null, Value::Integer),
        Kind::Text => row.try_get::<_, Option<_>>(position)?.map_or(Value::Null, Value::Text),
        Kind::Bytes => row.try_get::<_, Option<_>>(position)?.map_or(Value::Null, Value::Bytes),
        Kind::Boolean => row.try_get::<_, Option<_>>(position)?.map_or(Value::Null, Value::Boolean),
    })
}
