//! Columns and sets in a snapshot.

use std::io;

use super::{Bits, Column, Columns, Of, Sets, hashes};
use crate::{
    postings::Postings,
    snapshot::{Reader, SnapshotError, Writer},
};

impl Columns {
    pub(crate) fn write(&self, out: &mut Writer<'_>) -> io::Result<()> {
        let Self { by_key, is_partial, values: _, sets, labels } = self;
        out.number(hashes::probe())?;
        out.count(by_key.len())?;
        for ((of, key), column) in by_key {
            out.number(u8::from(*of == Of::Custom))?;
            out.text(key)?;
            column.write(out)?;
        }
        out.number(u8::from(*is_partial))?;
        let Sets { name, email, phone, identifier, any_identifier, blocked, labelled } = sets;
        for set in [name, email, phone, identifier, any_identifier, blocked, labelled] {
            set.write(out)?;
        }
        out.count(labels.len())?;
        labels.iter().try_for_each(|slots| slots.write(out))
    }

    pub(crate) fn read(input: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        if input.number::<u32>()? != hashes::probe() {
            return Err(SnapshotError::OtherVersion);
        }
        let mut columns = Self::default();
        for _ in 0..input.count(1)? {
            let of = if input.number::<u8>()? == 1 { Of::Custom } else { Of::Additional };
            let key = input.text()?.into_boxed_str();
            let column = Column::read(input)?;
            columns.values += column.values();
            columns.by_key.insert((of, key), column);
        }
        columns.is_partial = input.number::<u8>()? == 1;
        columns.sets = Sets {
            name: Bits::read(input)?,
            email: Bits::read(input)?,
            phone: Bits::read(input)?,
            identifier: Bits::read(input)?,
            any_identifier: Bits::read(input)?,
            blocked: Bits::read(input)?,
            labelled: Bits::read(input)?,
        };
        for _ in 0..input.count(size_of::<u32>())? {
            columns.labels.push(Postings::read_from(input)?);
        }
        Ok(columns)
    }
}
