//! The account's labels as small numbers. A label that no contact has any more keeps its number:
//! an account's labels are few and stay, too, where the store keeps them.

use std::{collections::HashMap, io, mem::size_of};

use meishi_contacts::Label;

use crate::snapshot::{Reader, SnapshotError, Writer};

/// A label, for as long as the index lives.
pub(crate) type LabelId = u32;

#[derive(Debug, Default)]
pub(crate) struct Labels {
    ids: HashMap<Label, LabelId>,
    /// Bytes of all titles.
    text: usize,
}

impl Labels {
    /// The number of a label, a new one if need be.
    pub(crate) fn intern(&mut self, label: &Label) -> LabelId {
        if let Some(id) = self.ids.get(label) {
            return *id;
        }
        let id = LabelId::try_from(self.ids.len()).unwrap_or(LabelId::MAX);
        self.text += label.as_str().len();
        self.ids.insert(label.clone(), id);
        id
    }

    /// The numbers of those labels that a contact has had, sorted.
    pub(crate) fn known(&self, labels: &[Label]) -> Vec<LabelId> {
        let mut known: Vec<LabelId> =
            labels.iter().filter_map(|label| self.ids.get(label).copied()).collect();
        known.sort_unstable();
        known
    }

    pub(crate) fn write(&self, out: &mut Writer<'_>) -> io::Result<()> {
        let Self { ids, text: _ } = self;
        out.count(ids.len())?;
        for (label, id) in ids {
            out.number(*id)?;
            out.text(label.as_str())?;
        }
        Ok(())
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
        Ok(Self { ids, text })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.ids.capacity() * 8 / 7 * (size_of::<(Label, LabelId)>() + 1) + self.text
    }
}
