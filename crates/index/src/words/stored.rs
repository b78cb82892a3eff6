//! The words in a snapshot, without those that nobody has any more.

use std::io;

use super::Words;
use crate::{
    postings::Postings,
    snapshot::{Reader, SnapshotError, Writer},
};

impl Words {
    pub(crate) fn write(&self, out: &mut Writer<'_>) -> io::Result<()> {
        let used = || self.known.iter().filter(|known| !known.slots.is_empty());
        out.count(used().count())?;
        for known in used() {
            let word = self.text.get(known.start as usize..(known.start + known.len) as usize);
            out.text(word.unwrap_or_default())?;
            known.slots.write(out)?;
        }
        Ok(())
    }

    pub(crate) fn read(input: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let mut words = Self::default();
        for number in 0..input.count(size_of::<u64>())? {
            let word = input.text()?;
            let slots = Postings::read_from(input)?;
            let id = words.intern(&word) as usize;
            let known = words.known.get_mut(id).filter(|_| id == number);
            known.ok_or(SnapshotError::Damaged("a word is there twice"))?.slots = slots;
        }
        words.unused = 0;
        words.known.shrink_to_fit();
        words.text.shrink_to_fit();
        Ok(words)
    }
}
