//! The texts in a snapshot: chunks as in memory, without what is dead in them.

use std::{io, mem::take};

use super::{CHUNK_BYTES, Chunk, END, NOBODY, NOWHERE, Place, Texts, records};
use crate::{
    Slot,
    snapshot::{Reader, SnapshotError, Writer},
};

impl Texts {
    pub(crate) fn write(&self, out: &mut Writer<'_>) -> io::Result<()> {
        let mut living = Chunk::default();
        for chunk in &self.chunks {
            for (slot, range) in records(chunk).filter(|(slot, _)| *slot != NOBODY) {
                let text = chunk.text.get(range).unwrap_or_default();
                if !living.text.is_empty() && living.text.len() + text.len() >= CHUNK_BYTES {
                    take(&mut living).write(out)?;
                }
                let start = u32::try_from(living.text.len()).unwrap_or(u32::MAX);
                living.records.push((start, slot));
                living.text.push_str(text);
                living.text.push(END);
            }
        }
        living.write(out)?;
        // A chunk without a text is the end.
        if living.records.is_empty() { Ok(()) } else { Chunk::default().write(out) }
    }

    /// Reads the texts of so many slots.
    pub(crate) fn read(input: &mut Reader<'_>, slots: usize) -> Result<Self, SnapshotError> {
        let mut texts = Self { places: vec![NOWHERE; slots], ..Self::default() };
        loop {
            let chunk = Chunk::read(input)?;
            if chunk.records.is_empty() {
                break;
            }
            texts.take_in(chunk).ok_or(SnapshotError::Damaged("the place of a text"))?;
        }
        texts.chunks.shrink_to_fit();
        texts.tail = texts.chunks.len().saturating_sub(1);
        Ok(texts)
    }

    /// Notes where the texts of a chunk are; `None` where that cannot be.
    fn take_in(&mut self, chunk: Chunk) -> Option<()> {
        let number = u32::try_from(self.chunks.len()).ok()?;
        let starts = chunk.records.iter().map(|(start, _)| *start);
        let ends = starts.clone().skip(1).chain([u32::try_from(chunk.text.len()).ok()?]);
        for ((start, slot), end) in chunk.records.iter().copied().zip(ends) {
            let len = end.checked_sub(start)?.checked_sub(1)?;
            chunk.text.get(start as usize..(start + len) as usize)?;
            let place = self.places.get_mut(slot as usize).filter(|place| place.chunk == u32::MAX);
            *place? = Place { chunk: number, start, len };
        }
        self.chunks.push(chunk);
        Some(())
    }
}

impl Chunk {
    fn write(&self, out: &mut Writer<'_>) -> io::Result<()> {
        out.numbers(self.records.len(), self.records.iter().map(|(start, _)| *start))?;
        out.numbers(self.records.len(), self.records.iter().map(|(_, slot)| *slot))?;
        out.text(&self.text)
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let starts: Vec<u32> = input.array()?;
        let slots: Vec<Slot> = input.array_of(starts.len())?;
        let records = starts.into_iter().zip(slots).collect();
        Ok(Self { records, text: input.text()?, dead: 0 })
    }
}
