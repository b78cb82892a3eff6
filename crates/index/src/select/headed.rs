//! Rows with the numbers that they have under the first key: a set of slots and a column of
//! numbers, or rows one by one.

use super::{Best, Candidate, Order, Ranked, Window, bits_in};
use crate::Slot;

/// Rows that can be passed over more than once.
pub(super) trait Headed {
    /// Calls `each` with about so many rows, if there are more than that, and tells how many rows
    /// each of them stands for.
    fn sample(&self, wanted: usize, each: impl FnMut(Ranked)) -> usize;

    /// Offers the rows of a window, and tells how many come before it.
    fn pass(&self, order: Order<'_>, window: &Window<'_>, best: &mut Best<'_>) -> usize;
}

/// A set of slots, and what is known of each slot.
pub(super) struct Column<'a, T, H> {
    pub(super) words: &'a [u64],
    pub(super) values: &'a [T],
    /// The number that comes of it.
    pub(super) head: H,
}

impl<T: Copy, H: Fn(T) -> u64> Headed for Column<'_, T, H> {
    fn sample(&self, wanted: usize, mut each: impl FnMut(Ranked)) -> usize {
        let step = self.words.len().div_ceil(wanted.max(1)).max(1);
        for (number, bits) in self.words.iter().enumerate().step_by(step) {
            // Another bit of each word, so that no short pattern of the slots is followed.
            let bit = (number / step).wrapping_mul(37) % 64;
            let at = number * 64 + bit;
            if bits >> bit & 1 == 1
                && let (Some(value), Ok(slot)) = (self.values.get(at), Slot::try_from(at))
            {
                each(Ranked { head: (self.head)(*value), slot, rank: 0 });
            }
        }
        step * 64
    }

    fn pass(&self, order: Order<'_>, window: &Window<'_>, best: &mut Best<'_>) -> usize {
        let mut before = 0;
        let low = window.low();
        let mut look = |slot: Slot, head: u64, best: &mut Best<'_>| {
            let ranked = Ranked { head, slot, rank: 0 };
            if head < low || head == low && !window.reaches(order, &ranked) {
                before += 1;
            } else {
                best.offer(ranked);
            }
        };
        for ((from, bits), chunk) in (0..).step_by(64).zip(self.words).zip(self.values.chunks(64)) {
            if order.patience.is_over_at(from as usize) {
                break;
            }
            if *bits == u64::MAX {
                if let Some(least) = best.least_id() {
                    let high = best.high();
                    let ids = order.entries.ids().get(from as usize..).unwrap_or_default();
                    for ((bit, value), id) in (0..).zip(chunk).zip(ids) {
                        let head = (self.head)(*value);
                        #[expect(
                            clippy::needless_bitwise_bool,
                            reason = "many may have the last number, in no pattern: one branch, \
                                      that nearly none takes, instead of three"
                        )]
                        if (head < high) | ((head == high) & (*id >= least)) {
                            look(from + bit, head, best);
                        }
                    }
                    continue;
                }
                for (bit, value) in (0..).zip(chunk) {
                    let head = (self.head)(*value);
                    // Nearly none is.
                    if head <= best.high() {
                        look(from + bit, head, best);
                    }
                }
                continue;
            }
            for bit in bits_in(*bits) {
                let Some(value) = chunk.get(bit as usize) else { break };
                let head = (self.head)(*value);
                if head <= best.high() {
                    look(from + bit, head, best);
                }
            }
        }
        before
    }
}

/// Rows one by one.
pub(super) struct Listed<'a, H> {
    pub(super) rows: &'a [Candidate],
    pub(super) head: H,
}

impl<H: Fn(Slot, u32) -> u64> Listed<'_, H> {
    fn ranked(&self, (slot, rank): Candidate) -> Ranked {
        Ranked { head: (self.head)(slot, rank), slot, rank }
    }
}

impl<H: Fn(Slot, u32) -> u64> Headed for Listed<'_, H> {
    fn sample(&self, wanted: usize, each: impl FnMut(Ranked)) -> usize {
        let step = self.rows.len().div_ceil(wanted.max(1)).max(1);
        self.rows.iter().step_by(step).map(|row| self.ranked(*row)).for_each(each);
        step
    }

    fn pass(&self, order: Order<'_>, window: &Window<'_>, best: &mut Best<'_>) -> usize {
        let mut before = 0;
        let low = window.low();
        for (number, row) in self.rows.iter().enumerate() {
            if order.patience.is_over_at(number) {
                break;
            }
            let ranked = self.ranked(*row);
            if ranked.head < low || ranked.head == low && !window.reaches(order, &ranked) {
                before += 1;
            } else {
                best.offer(ranked);
            }
        }
        before
    }
}
