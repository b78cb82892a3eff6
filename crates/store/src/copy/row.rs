//! A row on its way, the sum over rows, and where a copy stands.

use std::fmt::Write as _;

use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use super::tables::Table;

/// A value, as both stores have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
    Boolean(bool),
}

/// The values of a row, in the order of the table's columns.
pub(super) type Row = Vec<Value>;

/// The values of a primary key.
pub(super) type Key = Vec<Value>;

impl Value {
    /// About how much memory it takes.
    fn size(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Text(text) => text.len(),
                Self::Bytes(bytes) => bytes.len(),
                Self::Null | Self::Integer(_) | Self::Boolean(_) => 0,
            }
    }
}

/// About how much memory a row takes.
pub(super) fn size(row: &Row) -> usize {
    row.iter().map(Value::size).sum()
}

/// A row's primary key.
pub(super) fn key_of(table: &Table, row: &Row) -> Key {
    let values = table.columns.iter().zip(row);
    let of = |column: &&str| {
        let mut values = values.clone();
        values.find(|((name, _), _)| name == column).map_or(Value::Null, |(_, value)| value.clone())
    };
    table.key.iter().map(of).collect()
}

/// A key as one text that [`read_key`] understands. Keys are numbers and texts.
pub(super) fn write_key(key: &Key) -> String {
    let json = key.iter().map(|value| match value {
        Value::Integer(number) => Json::from(*number),
        Value::Text(text) => Json::from(text.as_str()),
        Value::Null | Value::Bytes(_) | Value::Boolean(_) => Json::Null,
    });
    Json::Array(json.collect()).to_string()
}

/// The key that a text stands for.
pub(super) fn read_key(text: &str) -> Option<Key> {
    let Ok(Json::Array(values)) = serde_json::from_str(text) else { return None };
    let read = |value| match value {
        Json::Number(number) => number.as_i64().map(Value::Integer),
        Json::String(text) => Some(Value::Text(text)),
        _ => None,
    };
    values.into_iter().map(read).collect()
}

/// A sum over rows that says the same of the same rows in whichever store they are.
pub(super) struct Checksum(Sha256);

impl Checksum {
    pub(super) fn new(table: &Table) -> Self {
        let mut sum = Self(Sha256::new());
        sum.text(table.name);
        sum.text(&table.column_list());
        sum
    }

    /// Adds rows. Each value goes in with its type and its length, so that rows of different
    /// values never make the same bytes.
    pub(super) fn rows(&mut self, rows: &[Row]) {
        for value in rows.iter().flatten() {
            match value {
                Value::Null => self.0.update(b"n"),
                Value::Integer(number) => {
                    self.0.update(b"i");
                    self.0.update(number.to_be_bytes());
                }
                Value::Text(text) => self.text(text),
                Value::Bytes(bytes) => {
                    self.0.update(b"b");
                    self.0.update((bytes.len() as u64).to_be_bytes());
                    self.0.update(bytes);
                }
                Value::Boolean(false) => self.0.update(b"0"),
                Value::Boolean(true) => self.0.update(b"1"),
            }
        }
    }

    pub(super) fn text(&mut self, text: &str) {
        self.0.update(b"t");
        self.0.update((text.len() as u64).to_be_bytes());
        self.0.update(text);
    }

    pub(super) fn number(&mut self, number: u64) {
        self.0.update(b"u");
        self.0.update(number.to_be_bytes());
    }

    /// The sum in hexadecimal digits.
    pub(super) fn finish(self) -> String {
        self.0.finalize().iter().fold(String::new(), |mut text, byte| {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// Where a copy stands, kept in the target until it is finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marker {
    /// The source's identity.
    pub(super) source: String,
    /// Where the source stood when the copy began.
    pub(super) standing: String,
    /// The table that is being copied; those before it are.
    pub(super) table: String,
    /// The last row of it that was copied.
    pub(super) last: Option<Key>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::tables::TABLES;

    fn sum(rows: &[Row]) -> String {
        let mut sum = Checksum::new(&TABLES[0]);
        sum.rows(rows);
        sum.finish()
    }

    #[test]
    fn different_rows_have_different_sums() {
        let text = |text: &str| Value::Text(text.into());
        let rows: Vec<Vec<Row>> = vec![
            vec![],
            vec![vec![Value::Null]],
            vec![vec![Value::Null, Value::Null]],
            vec![vec![text("")]],
            vec![vec![text("ab")]],
            vec![vec![text("a"), text("b")]],
            vec![vec![text("b"), text("a")]],
            vec![vec![text("a")], vec![text("b")], vec![Value::Null]],
            vec![vec![Value::Bytes(b"ab".into())]],
            vec![vec![Value::Integer(0)]],
            vec![vec![Value::Integer(1)]],
            vec![vec![Value::Boolean(false)]],
            vec![vec![Value::Boolean(true)]],
            vec![vec![text("i\0\0\0\0\0\0\0\0")]],
        ];
        let sums: std::collections::BTreeSet<String> = rows.iter().map(|rows| sum(rows)).collect();
        assert_eq!(sums.len(), rows.len());
        assert!(sums.iter().all(|sum| sum.len() == 64));
    }

    #[test]
    fn a_key_is_read_as_it_was_written() {
        for key in [
            vec![],
            vec![Value::Integer(i64::MAX), Value::Integer(i64::MIN)],
            vec![Value::Integer(1), Value::Text("\"王伟\"\u{0}\n[".into())],
        ] {
            assert_eq!(read_key(&write_key(&key)), Some(key));
        }
        assert_eq!(read_key("[null]"), None);
        assert_eq!(read_key("{}"), None);
    }

    #[test]
    fn every_key_is_of_numbers_and_texts() {
        use crate::copy::tables::Kind;
        for table in &TABLES {
            let row: Row = table
                .columns
                .iter()
                .map(|(name, kind)| match kind {
                    Kind::Integer => Value::Integer(1),
                    Kind::Text => Value::Text((*name).to_owned()),
                    Kind::Bytes => Value::Bytes(vec![]),
                    Kind::Boolean => Value::Boolean(true),
                })
                .collect();
            let key = key_of(table, &row);
            assert_eq!(read_key(&write_key(&key)), Some(key), "{}", table.name);
        }
    }
}
