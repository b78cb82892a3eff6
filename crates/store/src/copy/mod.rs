//! A whole database from one store into another: every table as it is, with every id, every event
//! number and the database's identity.
//!
//! It works on tables (`tables.rs`) and not through the trait, so that nothing is decided anew.
//! `sqlite.rs` and `postgres.rs` read and write rows; here is the order of things:
//!
//! 1. The source is locked against writers and the target against other copies.
//! 2. The target says in a marker whose copy it is and how far that came; each slice of rows is
//!    written in one transaction with it. So a copy that was killed goes on where it was, unless
//!    the source moved on meanwhile; and no server starts on half a copy.
//! 3. Both sides are read once more and compared. Only then the marker goes.

mod error;
mod postgres;
mod row;
mod sqlite;
mod tables;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use async_trait::async_trait;

pub use error::CopyError;
pub(crate) use postgres::refuse_unfinished as refuse_unfinished_postgres;
use row::{Checksum, Key, Marker, Row};
pub(crate) use sqlite::refuse_unfinished as refuse_unfinished_sqlite;
use tables::{TABLES, Table, Trace};

use crate::{DatabaseUrl, OpenError};

/// The marker's table, in both stores. That it is there tells of an unfinished copy.
const CREATE_MARKER: &str = "CREATE TABLE IF NOT EXISTS copies (
  one integer PRIMARY KEY CHECK (one = 1),
  source text NOT NULL,
  standing text NOT NULL,
  at_table text NOT NULL,
  last_key text
)";

const READ_MARKER: &str = "SELECT source, standing, at_table, last_key FROM copies";

const SET_MARKER: &str = "INSERT INTO copies (one, source, standing, at_table, last_key)
  VALUES (1, $1, $2, $3, $4)
  ON CONFLICT (one) DO UPDATE SET source = excluded.source, standing = excluded.standing,
    at_table = excluded.at_table, last_key = excluded.last_key";

const DROP_MARKER: &str = "DROP TABLE copies";

/// Rows of a slice, at most.
const SLICE_ROWS: usize = 5000;

/// About how many bytes of rows a slice has.
const SLICE_BYTES: usize = 4 * 1024 * 1024;

/// Rows of a table's first slice, from which it is learnt how long they are.
const FIRST_ROWS: usize = 250;

/// A database that is copied from or to.
#[derive(Debug, Clone)]
pub enum Place {
    /// The data directory of an embedded one.
    Sqlite(PathBuf),
    /// One on a PostgreSQL server.
    Postgres(DatabaseUrl),
}

impl Place {
    /// Reads `sqlite:DIR` or the URL of a PostgreSQL database.
    pub fn parse(text: &str) -> Result<Self, OpenError> {
        match text.strip_prefix("sqlite:") {
            Some("") => Err(OpenError::UnknownPlace),
            Some(directory) => Ok(Self::Sqlite(Path::new(directory).to_owned())),
            None => match DatabaseUrl::parse(text) {
                Err(OpenError::UnknownScheme) => Err(OpenError::UnknownPlace),
                parsed => parsed.map(Self::Postgres),
            },
        }
    }
}

/// Without the password.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(directory) => write!(f, "sqlite:{}", directory.display()),
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

/// A part of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Rows are copied.
    Copying,
    /// Rows of both sides are compared.
    Comparing,
}

/// Who wants to know how far it is.
pub trait Progress: Send + Sync {
    /// A phase of so many rows begins, of which some were done by an earlier run.
    fn begin(&self, phase: Phase, rows: u64, done: u64);

    /// So many more rows are done.
    fn advance(&self, rows: u64);
}

/// What a table's copy came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableCopy {
    /// The table.
    pub name: &'static str,
    /// Its rows in the source.
    pub rows: u64,
    /// The SHA-256 of its rows in the source, in hexadecimal digits.
    pub checksum: String,
    /// Whether the target has the same rows.
    pub equal: bool,
}

/// What can be read of a side.
#[async_trait]
trait Side: Send {
    /// How many rows a table has.
    async fn count(&mut self, table: &'static Table) -> Result<u64, CopyError>;

    /// The highest value of a column of numbers.
    async fn highest(
        &mut self,
        table: &'static Table,
        column: &'static str,
    ) -> Result<Option<i64>, CopyError>;

    /// At most so many rows after a key, in the key's order.
    async fn read(
        &mut self,
        table: &'static Table,
        after: Option<Key>,
        rows: usize,
    ) -> Result<Vec<Row>, CopyError>;
}

/// What can be done to the target.
#[async_trait]
trait Target: Side {
    /// How far a copy came that was not finished.
    async fn marker(&mut self) -> Result<Option<Marker>, CopyError>;

    /// Empties every table and sets the marker.
    async fn begin(&mut self, marker: Marker) -> Result<(), CopyError>;

    /// Adds rows and moves the marker behind them, both or neither.
    async fn write(
        &mut self,
        table: &'static Table,
        rows: Vec<Row>,
        marker: Marker,
    ) -> Result<(), CopyError>;

    /// Sets the marker.
    async fn mark(&mut self, marker: Marker) -> Result<(), CopyError>;

    /// Takes the marker away and brings all to the disk.
    async fn finish(&mut self) -> Result<(), CopyError>;
}

/// Copies a database into an empty one, or goes on with such a copy, and compares the two.
///
/// Where a table is not equal, the next run begins anew.
pub async fn copy(
    from: &Place,
    to: &Place,
    progress: &dyn Progress,
) -> Result<Vec<TableCopy>, CopyError> {
    // There are other ways to name it twice; those end with what is held or not empty.
    if from.to_string() == to.to_string() {
        return Err(CopyError::Same);
    }
    let mut source: Box<dyn Side> = match from {
        Place::Sqlite(directory) => Box::new(sqlite::Sqlite::source(directory).await?),
        Place::Postgres(url) => Box::new(postgres::Postgres::source(url).await?),
    };
    let mut counts = [0; TABLES.len()];
    for (count, table) in counts.iter_mut().zip(&TABLES) {
        *count = source.count(table).await?;
    }
    let id = identity(&mut *source, from).await?;
    let standing = standing(&mut *source, &counts).await?;
    let mut target: Box<dyn Target> = match to {
        Place::Sqlite(directory) => Box::new(sqlite::Sqlite::target(directory, &id).await?),
        Place::Postgres(url) => Box::new(postgres::Postgres::target(url, &id).await?),
    };

    let marker = begin(&mut *target, to, id, standing).await?;
    transfer(&mut *source, &mut *target, marker.clone(), counts.iter().sum(), progress).await?;
    let tables = compare(&mut *source, &mut *target, &counts, progress).await?;
    if tables.iter().all(|table| table.equal) {
        target.finish().await?;
    } else {
        // No source stands there, so that the next run begins anew.
        target.mark(Marker { standing: String::new(), ..marker }).await?;
    }
    Ok(tables)
}

/// The id of the source.
async fn identity(source: &mut dyn Side, from: &Place) -> Result<String, CopyError> {
    let [databases, ..] = &TABLES;
    let rows = source.read(databases, None, 1).await?;
    match rows.first().map(Vec::as_slice) {
        Some([_, row::Value::Text(id), _]) => Ok(id.clone()),
        _ => Err(CopyError::NoSource(from.to_string())),
    }
}

/// A sum that is another one whenever the source has changed.
async fn standing(
    source: &mut dyn Side,
    counts: &[u64; TABLES.len()],
) -> Result<String, CopyError> {
    let mut sum = None;
    for (table, count) in TABLES.iter().zip(counts) {
        let sum = sum.get_or_insert_with(|| Checksum::new(table));
        // Another version may know other columns.
        sum.text(&table.column_list());
        sum.number(*count);
        match table.trace {
            Trace::Events => {}
            Trace::Rows => {
                let mut slices = Slices::new(table, None);
                while let Some(rows) = slices.next(source).await? {
                    sum.rows(&rows);
                }
            }
            Trace::Latest(column) => {
                let highest = source.highest(table, column).await?;
                sum.text(&highest.map_or_else(String::new, |highest| highest.to_string()));
            }
        }
    }
    Ok(sum.map(Checksum::finish).unwrap_or_default())
}

/// Where the copy begins: at the end of the last run's, or at the beginning.
async fn begin(
    target: &mut dyn Target,
    to: &Place,
    source: String,
    standing: String,
) -> Result<Marker, CopyError> {
    match target.marker().await? {
        Some(marker) if marker.source != source => {
            return Err(CopyError::OtherCopy(to.to_string()));
        }
        Some(marker) if marker.standing == standing => return Ok(marker),
        Some(_) => {}
        None => {
            for table in TABLES.iter().filter(|table| table.name != "databases") {
                if target.count(table).await? > 0 {
                    return Err(CopyError::NotEmpty(to.to_string()));
                }
            }
        }
    }
    let [first, ..] = &TABLES;
    let marker = Marker { source, standing, table: first.name.to_owned(), last: None };
    target.begin(marker.clone()).await?;
    Ok(marker)
}

/// Copies what is not there yet.
async fn transfer(
    source: &mut dyn Side,
    target: &mut dyn Target,
    mut marker: Marker,
    rows: u64,
    progress: &dyn Progress,
) -> Result<(), CopyError> {
    let reached = TABLES.iter().position(|table| table.name == marker.table).unwrap_or(0);
    let mut done = 0;
    for table in TABLES.iter().take(reached + 1) {
        done += target.count(table).await?;
    }
    progress.begin(Phase::Copying, rows, done);
    let mut last = marker.last.take();
    for table in TABLES.iter().skip(reached) {
        marker.table = table.name.to_owned();
        let mut slices = Slices::new(table, last.take());
        let mut next = slices.next(source).await?;
        while let Some(rows) = next {
            let copied = rows.len() as u64;
            marker.last.clone_from(&slices.after);
            // The one is read while the other is written.
            let (read, written) =
                tokio::join!(slices.next(source), target.write(table, rows, marker.clone()));
            written?;
            next = read?;
            progress.advance(copied);
        }
    }
    Ok(())
}

/// Reads both sides and compares them.
async fn compare(
    source: &mut dyn Side,
    target: &mut dyn Target,
    counts: &[u64; TABLES.len()],
    progress: &dyn Progress,
) -> Result<Vec<TableCopy>, CopyError> {
    progress.begin(Phase::Comparing, 2 * counts.iter().sum::<u64>(), 0);
    let mut tables = Vec::with_capacity(TABLES.len());
    for table in &TABLES {
        let (here, there) =
            tokio::join!(summed(source, table, progress), summed(&mut *target, table, progress));
        let ((rows, checksum), (_, other)) = (here?, there?);
        let equal = checksum == other;
        tables.push(TableCopy { name: table.name, rows, checksum, equal });
    }
    Ok(tables)
}

/// The rows of a table: their number and their sum.
async fn summed<S: Side + ?Sized>(
    side: &mut S,
    table: &'static Table,
    progress: &dyn Progress,
) -> Result<(u64, String), CopyError> {
    let (mut number, mut sum) = (0, Checksum::new(table));
    let mut slices = Slices::new(table, None);
    while let Some(rows) = slices.next(side).await? {
        sum.rows(&rows);
        number += rows.len() as u64;
        progress.advance(rows.len() as u64);
    }
    Ok((number, sum.finish()))
}

/// The rows of a table after a key, slice after slice.
struct Slices {
    table: &'static Table,
    /// The last row that was read.
    after: Option<Key>,
    rows: usize,
}

impl Slices {
    fn new(table: &'static Table, after: Option<Key>) -> Self {
        Self { table, after, rows: FIRST_ROWS }
    }

    /// The next rows; `None` after the last one.
    async fn next<S: Side + ?Sized>(
        &mut self,
        side: &mut S,
    ) -> Result<Option<Vec<Row>>, CopyError> {
        let rows = side.read(self.table, self.after.clone(), self.rows).await?;
        let Some(last) = rows.last() else { return Ok(None) };
        self.after = Some(row::key_of(self.table, last));
        let bytes: usize = rows.iter().map(row::size).sum();
        self.rows = (SLICE_BYTES * rows.len() / bytes.max(1)).clamp(1, SLICE_ROWS);
        Ok(Some(rows))
    }
}
