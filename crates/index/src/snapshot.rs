//! An index as bytes, for a file that spares an account the load from its rows.
//!
//! A snapshot is what the memory is, column by column, without what is left over in it from
//! contacts that are gone, and without what is made of other columns as fast as it would be read:
//! trees, hash tables, numbers for sorting. Each part writes and reads itself, in a `stored.rs`
//! below it; `stream.rs` is the form, and finds any damage before a part sees it.
//!
//! A file is read by the version that wrote it, and by no other: what is stored depends on how texts
//! are folded, and on every rule of the index. To store one more thing: write it, read it, and raise
//! [`FORMAT`].

mod stream;

use std::io::{self, Read, Write};

use meishi_contacts::{AccountId, Seq};

pub(crate) use self::stream::{Reader, Writer};
use crate::{
    Index, Search, columns::Columns, entries::Entries, grams::Grams, heads::Heads, labels::Labels,
    recency, texts::Texts, words::Words,
};

/// What the file begins with: of which kind it is, in which form. The form changes with every change
/// of what is stored, or of what it means.
const FORMAT: &[u8] = b"meishi index 1\n";

/// Bytes of a digest.
const DIGEST: usize = 32;

/// Why a snapshot could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is none, or another version wrote it.
    #[error("it is of another version")]
    OtherVersion,
    /// It is not what was written.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
}

/// Of what an index is a snapshot: whoever reads it makes sure that this is still so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The program that wrote it: another one may fold texts in another way.
    pub program: String,
    /// The database's id.
    pub database: String,
    /// The database's epoch.
    pub epoch: i64,
    /// The account.
    pub account: AccountId,
    /// The last event that the index knows of.
    pub seq: Seq,
    /// A digest of that event, by which a history that took another way is told.
    pub event: [u8; DIGEST],
}

impl Stamp {
    fn write(&self, out: &mut Writer<'_>) -> io::Result<()> {
        let Self { program, database, epoch, account, seq, event } = self;
        out.text(program)?;
        out.text(database)?;
        out.number(*epoch)?;
        out.number(account.0)?;
        out.number(seq.0)?;
        out.bytes(event)
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        Ok(Self {
            program: input.text()?,
            database: input.text()?,
            epoch: input.number()?,
            account: AccountId(input.number()?),
            seq: Seq(input.number()?),
            event: input.bytes(DIGEST)?.try_into().unwrap_or_default(),
        })
    }

    /// Reads no more than the beginning of a snapshot of so many bytes.
    pub fn read(input: &mut dyn Read, bytes: u64) -> Result<Self, SnapshotError> {
        Self::take(&mut Reader::begin(input, bytes, FORMAT)?)
    }
}

impl Index {
    /// Writes a snapshot, some hundred kilobytes at a time. The stamp must tell of this index.
    pub fn write(&self, stamp: &Stamp, out: &mut dyn Write) -> io::Result<()> {
        let Self {
            seq: _,
            entries,
            slots: _,
            texts,
            labels,
            columns,
            heads: _,
            recent: _,
            search,
            grams_from,
        } = self;
        let mut out = Writer::begin(out, FORMAT)?;
        stamp.write(&mut out)?;
        out.count(*grams_from)?;
        entries.write(&mut out)?;
        texts.write(&mut out)?;
        labels.write(&mut out)?;
        columns.write(&mut out)?;
        out.number(u8::from(search.is_some()))?;
        if let Some(Search { grams, words, domains }) = search {
            grams.write(&mut out)?;
            words.write(&mut out)?;
            domains.write(&mut out)?;
        }
        out.finish()
    }

    /// Reads a snapshot of so many bytes: an index that answers as the one that was written.
    /// Whatever is wrong with the bytes is an error, and takes no more memory than they do.
    pub fn read(input: &mut dyn Read, bytes: u64) -> Result<(Stamp, Self), SnapshotError> {
        let mut input = Reader::begin(input, bytes, FORMAT)?;
        let stamp = Stamp::take(&mut input)?;
        let grams_from: u64 = input.number()?;
        let entries = Entries::read(&mut input)?;
        let texts = Texts::read(&mut input, entries.len())?;
        let labels = Labels::read(&mut input)?;
        let columns = Columns::read(&mut input)?;
        let search = match input.number::<u8>()? {
            0 => None,
            _ => Some(Search {
                grams: Grams::read(&mut input)?,
                words: Words::read(&mut input)?,
                domains: Words::read(&mut input)?,
            }),
        };
        input.finish()?;
        let index = Self {
            seq: stamp.seq,
            // Both are sorted before they become trees.
            slots: entries.slots().map(|slot| (entries.id(slot), slot)).collect(),
            recent: entries
                .slots()
                .map(|slot| recency(entries.last_activity_at(slot), entries.id(slot)))
                .collect(),
            entries,
            texts,
            labels,
            columns,
            heads: Heads::default(),
            search,
            grams_from: usize::try_from(grams_from).unwrap_or(usize::MAX),
        };
        if index.slots.len() != index.entries.slots().count() {
            return Err(SnapshotError::Damaged("a contact is there twice"));
        }
        Ok((stamp, index))
    }
}
