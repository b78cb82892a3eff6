//! A set of slots in a snapshot.

use std::io;

use super::{FEW, Postings};
use crate::{
    Slot,
    block::Block,
    snapshot::{Reader, SnapshotError, Writer},
};

impl Postings {
    pub(crate) fn write(&self, out: &mut Writer<'_>) -> io::Result<()> {
        match self {
            // No row of blocks is empty.
            Self::Few(slots) => {
                out.number(0_u32)?;
                slots.iter().try_for_each(|slot| out.number(*slot))
            }
            Self::Many(blocks) => {
                out.number(u32::try_from(blocks.len()).map_err(io::Error::other)?)?;
                blocks.iter().try_for_each(|block| block.write(out))
            }
        }
    }

    pub(crate) fn read_from(input: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let count: u32 = input.number()?;
        if count == 0 {
            let mut few = [Slot::MAX; FEW];
            for slot in &mut few {
                *slot = input.number()?;
            }
            return Ok(Self::Few(few));
        }
        let mut blocks = Vec::new();
        for _ in 0..count {
            // As many as there are bytes for, whatever the number says.
            if blocks.len() == blocks.capacity() {
                blocks.reserve_exact((count as usize - blocks.len()).min(4096));
            }
            blocks.push(Block::read_from(input)?);
        }
        Ok(Self::Many(blocks))
    }
}

impl Block {
    fn write(&self, out: &mut Writer<'_>) -> io::Result<()> {
        let Self { first, last, count, dense, bytes } = self;
        out.number(*first)?;
        out.number(*last)?;
        out.number(*count)?;
        out.number(u8::from(*dense))?;
        out.number(u16::try_from(bytes.len()).map_err(io::Error::other)?)?;
        out.bytes(bytes)
    }

    fn read_from(input: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        Ok(Self {
            first: input.number()?,
            last: input.number()?,
            count: input.number()?,
            dense: input.number::<u8>()? == 1,
            bytes: {
                let count: u16 = input.number()?;
                input.bytes(usize::from(count))?
            },
        })
    }
}
