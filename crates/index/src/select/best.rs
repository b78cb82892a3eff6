//! The first of many rows.

use meishi_contacts::ContactId;

use super::{Order, Ranked};

/// Rows that are gathered before the worst are dropped, at least.
const GATHERED: usize = 256;

/// The first `keep` rows of those that were offered.
pub(super) struct Best<'a> {
    order: Order<'a>,
    keep: usize,
    /// At least the first `keep`, unsorted.
    rows: Vec<Ranked>,
    /// No row after it is wanted.
    worst: Option<Ranked>,
    offered: usize,
}

impl<'a> Best<'a> {
    /// Keeps so many rows, none of them after `worst`.
    pub(super) fn new(order: Order<'a>, keep: usize, worst: Option<Ranked>) -> Self {
        Self { order, keep, rows: Vec::new(), worst, offered: 0 }
    }

    /// No row with a higher number is wanted.
    pub(super) fn high(&self) -> u64 {
        self.worst.map_or(u64::MAX, |worst| worst.head)
    }

    /// No contact with that number and a lower id is wanted, where ids decide among those.
    pub(super) fn least_id(&self) -> Option<ContactId> {
        let worst = self.worst.filter(|worst| self.order.is_by_id_on(worst.head))?;
        Some(self.order.entries.id(worst.slot))
    }

    /// How many rows were wanted when they were offered; if that is more than are kept, there are
    /// more.
    pub(super) fn offered(&self) -> usize {
        self.offered
    }

    pub(super) fn offer(&mut self, ranked: Ranked) {
        if let Some(worst) = &self.worst
            && (ranked.head > worst.head || self.order.compare(&ranked, worst).is_gt())
        {
            return;
        }
        self.offered += 1;
        self.rows.push(ranked);
        if self.rows.len() >= self.keep.saturating_mul(2).max(GATHERED) {
            self.cut(self.keep);
        }
    }

    /// Drops what is not among the first `keep`.
    fn cut(&mut self, keep: usize) {
        if keep > 0 && self.rows.len() > keep {
            let order = self.order;
            self.rows.select_nth_unstable_by(keep - 1, |a, b| order.compare(a, b));
            self.rows.truncate(keep);
            self.worst = self.rows.last().copied();
        }
    }

    /// Those of the first `keep`, no more than before, that come after the first `offset`, sorted.
    pub(super) fn from(&mut self, offset: usize, keep: usize) -> &[Ranked] {
        self.cut(keep);
        let order = self.order;
        if offset > 0 && offset < self.rows.len() {
            self.rows.select_nth_unstable_by(offset, |a, b| order.compare(a, b));
        }
        let slice = self.rows.get_mut(offset..).unwrap_or_default();
        slice.sort_unstable_by(|a, b| order.compare(a, b));
        slice
    }
}
