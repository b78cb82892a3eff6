//! A column in a snapshot. Values stand as the JSON that they have, and are read anew.

use std::{io, sync::Arc};

use meishi_contacts::filter::Datum;
use serde_json::Value;

use super::{Code, Coded, Column, Hashes, Known, Numbers, Odd};
use crate::{
    Slot,
    snapshot::{Reader, SnapshotError, Writer},
};

impl Column {
    pub(crate) fn write(&self, out: &mut Writer<'_>) -> io::Result<()> {
        match self {
            Self::Coded(coded) => {
                out.number(0_u8)?;
                coded.write(out)
            }
            Self::Numbers(numbers) => {
                out.number(1_u8)?;
                numbers.write(out)
            }
            Self::Hashes(hashes) => {
                out.number(2_u8)?;
                hashes.write(out)
            }
            Self::GivenUp => out.number(3_u8),
        }
    }

    pub(crate) fn read(input: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        Ok(match input.number::<u8>()? {
            0 => Self::Coded(Coded::read(input)?),
            1 => Self::Numbers(Numbers::read(input)?),
            2 => Self::Hashes(Hashes::read(input)?),
            3 => Self::GivenUp,
            _ => return Err(SnapshotError::Damaged("the kind of a column")),
        })
    }
}

fn datum(json: &str) -> Result<Datum<'static>, SnapshotError> {
    let value: Value =
        serde_json::from_str(json).map_err(|_| SnapshotError::Damaged("the value of a column"))?;
    Ok(Datum::of(Some(&value)))
}

impl Coded {
    fn write(&self, out: &mut Writer<'_>) -> io::Result<()> {
        let Self { codes, codes_of: _, known, free: _, users, held: _ } = self;
        out.array(codes)?;
        out.count(*users)?;
        out.count(known.len())?;
        for Known { json, datum: _, users } in known {
            out.number(*users)?;
            out.text(json)?;
        }
        Ok(())
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let mut coded = Self { codes: input.array()?, ..Self::default() };
        coded.users = input.count(0)?;
        let count = input.count(size_of::<u32>())?;
        for number in 1..=count {
            let code = Code::try_from(number);
            let code = code.map_err(|_| SnapshotError::Damaged("the number of a value"))?;
            let (users, json) = (input.number::<u32>()?, Arc::<str>::from(input.text()?));
            if users == 0 {
                coded.free.push(code);
                coded.known.push(Known { json, datum: Datum::Absent, users });
                continue;
            }
            let known = Known { json: Arc::clone(&json), datum: datum(&json)?, users };
            coded.held += known.held();
            coded.known.push(known);
            coded.codes_of.insert(json, code);
        }
        Ok(coded)
    }
}

impl Numbers {
    fn write(&self, out: &mut Writer<'_>) -> io::Result<()> {
        out.array(&self.by_slot)?;
        out.count(self.odd.len())?;
        for (slot, odd) in &self.odd {
            out.number(*slot)?;
            // No JSON is empty.
            out.text(odd.as_ref().map_or("", |odd| &odd.json))?;
        }
        Ok(())
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let mut numbers = Self { by_slot: input.array()?, ..Self::default() };
        for _ in 0..input.count(size_of::<Slot>())? {
            let (slot, json) = (input.number()?, input.text()?);
            let odd = match json.as_str() {
                "" => None,
                _ => Some(Odd { datum: datum(&json)?, json: json.into() }),
            };
            numbers.odd.insert(slot, odd);
        }
        Ok(numbers)
    }
}
