//! The values in a snapshot, in their order, so that they are ranked without being sorted.

use std::{io, sync::Arc};

use super::{Known, NONE, ValueId, Values};
use crate::snapshot::{Reader, SnapshotError, Writer};

impl Values {
    pub(crate) fn write(&self, out: &mut Writer<'_>) -> io::Result<()> {
        out.count(self.known.len())?;
        out.count(self.ids.len())?;
        for (text, id) in &self.ids {
            let users = self.known.get(*id as usize).map_or(0, |known| known.users);
            out.number(*id)?;
            out.number(users)?;
            out.text(text)?;
        }
        Ok(())
    }

    /// Reads the values of so many contacts.
    pub(crate) fn read(input: &mut Reader<'_>, contacts: usize) -> Result<Self, SnapshotError> {
        let mut values = Self::default();
        let numbers: u64 = input.number()?;
        // A value that nobody has any more keeps its number for the next one.
        let numbers = usize::try_from(numbers).ok().filter(|numbers| *numbers <= contacts + 1);
        let numbers = numbers.ok_or(SnapshotError::Damaged("the number of values"))?;
        let nothing: Arc<str> = Arc::default();
        values.known.resize_with(numbers, || Known { text: Arc::clone(&nothing), users: 0 });
        values.ranks.resize(numbers + 1, 0);
        let count = input.count(2 * size_of::<u32>())?;
        let mut in_order: Vec<(Arc<str>, ValueId)> = Vec::with_capacity(count);
        for _ in 0..count {
            let (id, users) = (input.number::<ValueId>()?, input.number::<u32>()?);
            let text: Arc<str> = input.text()?.into();
            let place = values.known.get_mut(id as usize).filter(|known| known.users == 0);
            let place = place.ok_or(SnapshotError::Damaged("the number of a value"))?;
            *place = Known { text: Arc::clone(&text), users };
            values.text += text.len();
            in_order.push((text, id));
        }
        values.ids = in_order.into_iter().collect();
        values.free = (0..NONE)
            .zip(&values.known)
            .filter(|(_, known)| known.users == 0)
            .map(|(id, _)| id)
            .collect();
        values.rank_all();
        Ok(values)
    }
}
