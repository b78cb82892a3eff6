//! The account's labels as small numbers. A label that no contact has any more keeps its number:
//! an account's labels are few and stay, too, where the store keeps them. One that is renamed keeps
//! it as well; that of a deleted one is given again.

use std::{collections::HashMap, io, mem::size_of};

use meishi_contacts::Label;

use crate::snapshot::{Reader, SnapshotError, Writer};

/// A label, for as long as the account has it.
pub(crate) type LabelId = u32;

#[derive(Debug, Default)]
pub(crate) struct Labels {
    ids: HashMap<Label, LabelId>,
    /// Numbers of labels that were deleted.
    free: Vec<LabelId>,
    /// Bytes of all titles.
    text: usize,
}

impl Labels {
    /// The number of a label, a new one if need be.
    pub(crate) fn intern(&mut self, label: &Label) -> LabelId {
        if let Some(id) = self.ids.get(label) {
            return *id;
        }
        let next = || LabelId::try_from(self.ids.len()).unwrap_or(LabelId::MAX);
        let id = self.free.pop().unwrap_or_else(next);
        self.text += label.as_str().len();
        self.ids.insert(label.clone(), id);
        id
    }

    /// Gives a label another title. Fails where a contact has had a label of that title, which no
    /// store lets happen.
    pub(crate) fn rename(&mut self, before: &Label, after: &Label) -> Result<(), &'static str> {
        if self.ids.contains_key(after) {
            return Err("the title that it gives a label is another's");
        }
        if let Some(id) = self.ids.remove(before) {
            self.text += after.as_str().len();
            self.text -= before.as_str().len();
            self.ids.insert(after.clone(), id);
        }
        Ok(())
    }

    /// Forgets a label, whose number no contact may have by then.
    pub(crate) fn remove(&mut self, label: &Label) {
        if let Some(id) = self.ids.remove(label) {
            self.text -= label.as_str().len();
            self.free.push(id);
        }
    }

    /// The number of a label that a contact has had.
    pub(crate) fn id(&self, label: &Label) -> Option<LabelId> {
        self.ids.get(label).copied()
    }

    /// The numbers of those labels that a contact has had, sorted.
    pub(crate) fn known(&self, labels: &[Label]) -> Vec<LabelId> {
        let mut known: Vec<LabelId> = labels.iter().filter_map(|label| self.id(label)).collect();
        known.sort_unstable();
        known
    }

    pub(crate) fn write(&self, out: &mut Writer<'_>) -> io::Result<()> {
        let Self { ids, free, text: _ } = self;
        out.count(ids.len())?;
        for (label, id) in ids {
            out.number(*id)?;
            out.text(label.as_str())?;
        }
        out.count(free.len())?;
        free.iter().try_for_each(|id| out.number(*id))
    }

    pub(crate) fn read(input: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let (mut ids, mut text) = (HashMap::new(), 0);
        for _ in 0..input.count(size_of::<LabelId>())? {
            let id = input.number()?;
            let label = Label::from_stored(input.text()?);
            text += label.as_str().len();
            if ids.insert(label, id).is_some() {
                return Err(SnapshotError::Damaged("a label is there twice"));
            }
        }
        let free = (0..input.count(size_of::<LabelId>())?).map(|_| input.number());
        let free: Vec<LabelId> = free.collect::<Result<_, _>>()?;
        let mut numbers: Vec<LabelId> = ids.values().chain(&free).copied().collect();
        numbers.sort_unstable();
        if numbers.iter().zip(0..).any(|(number, expected)| *number != expected) {
            return Err(SnapshotError::Damaged("labels have numbers that they cannot have"));
        }
        Ok(Self { ids, free, text })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.ids.capacity() * 8 / 7 * (size_of::<(Label, LabelId)>() + 1)
            + self.free.capacity() * size_of::<LabelId>()
            + self.text
    }
}
