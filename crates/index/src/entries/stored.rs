//! The columns in a snapshot.

use std::io;

use meishi_contacts::{ContactId, Version};

use super::{Entries, Slot, Values, piece};
use crate::{
    labels::LabelId,
    snapshot::{Reader, SnapshotError, Writer},
};

impl Entries {
    pub(crate) fn write(&self, out: &mut Writer<'_>) -> io::Result<()> {
        let Self {
            live,
            free,
            ids,
            versions,
            last_activity,
            created,
            labels,
            members,
            values,
            emails,
            held: _,
        } = self;
        out.numbers(ids.len(), ids.iter().map(|id| id.0))?;
        out.array(live)?;
        out.array(free)?;
        out.numbers(versions.len(), versions.iter().map(|version| version.0))?;
        out.array(last_activity)?;
        out.array(created)?;
        // A contact has a few hundred labels at most.
        let narrow = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
        out.numbers(ids.len(), labels.all().map(|labels| narrow(labels.len())))?;
        let all = labels.all().map(<[LabelId]>::len).sum();
        out.numbers(all, labels.all().flatten().copied())?;
        for (column, values) in members.iter().zip(values) {
            out.array(column)?;
            values.write(out)?;
        }
        out.count(emails.len())?;
        for (slot, email) in emails {
            out.number(*slot)?;
            out.text(email)?;
        }
        Ok(())
    }

    pub(crate) fn read(input: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let ids: Vec<i64> = input.array()?;
        let count = ids.len();
        let mut entries = Self {
            live: input.array()?,
            free: input.array()?,
            ids: ids.into_iter().map(ContactId).collect(),
            versions: input.array_of(count)?.into_iter().map(Version).collect(),
            last_activity: input.array_of(count)?,
            created: input.array_of(count)?,
            ..Self::default()
        };
        if entries.slots().any(|slot| slot as usize >= count)
            || entries.free.iter().any(|slot| *slot as usize >= count)
        {
            return Err(SnapshotError::Damaged("a slot"));
        }
        let counts: Vec<u16> = input.array_of(count)?;
        let labels: Vec<LabelId> = input.array()?;
        let mut labels = labels.as_slice();
        entries.labels.reserve(count);
        for (slot, count) in (0..).zip(counts) {
            let (these, rest) = labels
                .split_at_checked(usize::from(count))
                .ok_or(SnapshotError::Damaged("the labels of a contact"))?;
            entries.labels.push();
            entries.labels.set(slot, these);
            labels = rest;
        }
        for (column, values) in entries.members.iter_mut().zip(&mut entries.values) {
            *column = input.array_of(count)?;
            *values = Values::read(input, count)?;
        }
        let emails = input.count(size_of::<Slot>())?;
        entries.emails.reserve(emails);
        for _ in 0..emails {
            let slot = input.number()?;
            let email = input.text()?.into_boxed_str();
            entries.held += piece(email.len());
            entries.emails.insert(slot, email);
        }
        Ok(entries)
    }
}
