//! The grams in a snapshot.

use std::io;

use super::{Gram, Grams};
use crate::{
    postings::Postings,
    snapshot::{Reader, SnapshotError, Writer},
};

impl Grams {
    pub(crate) fn write(&self, out: &mut Writer<'_>) -> io::Result<()> {
        out.numbers(self.places.len(), self.places.keys().copied())?;
        let none = Postings::default();
        // In the same order as long as nothing changes.
        let sets = self.places.values().map(|place| self.sets.get(*place as usize));
        sets.map(|set| set.unwrap_or(&none)).try_for_each(|set| set.write(out))
    }

    pub(crate) fn read(input: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let grams: Vec<Gram> = input.array()?;
        let mut sets = Vec::with_capacity(grams.len());
        for _ in 0..grams.len() {
            sets.push(Postings::read_from(input)?);
        }
        Ok(Self { places: grams.into_iter().zip(0..).collect(), sets, free: Vec::new() })
    }
}
