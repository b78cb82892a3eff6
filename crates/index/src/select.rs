//! The order, and the slice of it: counts all rows and keeps no more than the slice needs. A slice
//! after a place costs the same pass as the first one, and so does one far behind: `window.rs` says
//! between which rows it lies, `headed.rs` passes over all of them, and `best.rs` keeps those.

mod best;
mod headed;
mod window;

use std::cmp::Ordering;

use meishi_contacts::{ContactId, Place, Query, SortField, SortKey, place::compare_optional};

use self::{
    best::Best,
    headed::{Column, Headed, Listed},
    window::Window,
};
use crate::{
    Answer, Slot,
    entries::{Entries, Row, member_of},
    heads::{Direction, Heads, number_head, time_head},
    patience::Patience,
    texts::Texts,
    values::rank_in,
};

/// A contact that matches, and how well the text fits it, where the order asks.
pub(crate) type Candidate = (Slot, u32);

/// Whoever matches.
pub(crate) enum Rows<'a> {
    /// A bit for each slot; no text is searched, so that none fits better than another.
    Set(&'a [u64]),
    /// Each once.
    These(Vec<Candidate>),
}

impl Rows<'_> {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Set(words) => words.iter().map(|word| word.count_ones() as usize).sum(),
            Self::These(rows) => rows.len(),
        }
    }

    fn into_candidates(self) -> Vec<Candidate> {
        match self {
            Self::Set(words) => slots_of(words).map(|slot| (slot, 0)).collect(),
            Self::These(rows) => rows,
        }
    }
}

/// The slots whose bits are set, in order.
pub(crate) fn slots_of(words: &[u64]) -> impl Iterator<Item = Slot> + use<'_> {
    (0..).step_by(64).zip(words).flat_map(|(from, bits)| bits_in(*bits).map(move |bit| from + bit))
}

/// The numbers of the bits that are set.
fn bits_in(mut bits: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = (bits != 0).then(|| bits.trailing_zeros())?;
        bits &= bits - 1;
        Some(bit)
    })
}

/// What an order is made of.
#[derive(Clone, Copy)]
pub(crate) struct Order<'a> {
    pub(crate) query: &'a Query,
    pub(crate) entries: &'a Entries,
    pub(crate) texts: &'a Texts,
    pub(crate) heads: &'a Heads,
    pub(crate) patience: &'a Patience<'a>,
}

/// Counts the rows and sorts the slice of them.
pub(crate) fn select(order: Order<'_>, rows: Rows<'_>) -> Answer {
    let Order { query, entries, texts, heads, .. } = order;
    let total = rows.len();
    if query.slice.offset >= total || query.slice.limit == 0 {
        return Answer::Exact { ids: Vec::new(), total: total as u64, next: None };
    }
    heads.prepare(&query.order, total, entries, texts);
    let rest = match query.order.first() {
        Some(key) => match in_column(order, *key, rows) {
            Ok(answer) => return answer,
            Err(rows) => rows,
        },
        None => rows,
    };
    let rows = rest.into_candidates();
    let head = |slot, rank| order.first_head(slot, rank);
    slice_of(order, total, &Listed { rows: &rows, head })
}

/// The same, where the numbers of the first key are a column, or come from one at once. Each of
/// these becomes a loop of its own.
fn in_column<'r>(order: Order<'_>, key: SortKey, rows: Rows<'r>) -> Result<Answer, Rows<'r>> {
    let Order { entries, heads, .. } = order;
    let direction = Direction::of(key);
    if let Some(kept) = heads.kept(key.field) {
        return Ok(of_column(order, rows, kept, |head| direction.turned(head)));
    }
    match (key.field, member_of(key.field)) {
        (SortField::LastActivityAt, _) => {
            let head = |at| direction.turned(time_head(at));
            Ok(of_column(order, rows, entries.last_activity_column(), head))
        }
        (SortField::CreatedAt, _) => {
            let head = |at| direction.turned(number_head(at));
            Ok(of_column(order, rows, entries.created_column(), head))
        }
        (_, Some(member)) => {
            let Some((ids, ranks)) = entries.member_column(member) else { return Err(rows) };
            let head = |id| direction.turned(rank_in(ranks, id) * 2);
            Ok(of_column(order, rows, ids, head))
        }
        _ => Err(rows),
    }
}

fn of_column<T: Copy>(
    order: Order<'_>,
    rows: Rows<'_>,
    column: &[T],
    head: impl Fn(T) -> u64,
) -> Answer {
    let total = rows.len();
    match rows {
        Rows::Set(words) => slice_of(order, total, &Column { words, values: column, head }),
        Rows::These(rows) => {
            let of = |slot, _| column.get(slot as usize).map_or(0, |value| head(*value));
            slice_of(order, total, &Listed { rows: &rows, head: of })
        }
    }
}

/// Takes the slice of rows that are not in order.
fn slice_of(order: Order<'_>, total: usize, rows: &impl Headed) -> Answer {
    let narrow = Window::narrow(order, rows, total);
    let found = page(order, rows, &narrow);
    // What the sample says is likely, not sure.
    let (ids, next) = found.or_else(|| page(order, rows, &Window::open(order))).unwrap_or_default();
    Answer::Exact { ids, total: total as u64, next }
}

/// The ids of the slice and where it ends, if more follow it; `None` where the slice does not lie
/// in the window.
fn page(
    order: Order<'_>,
    rows: &impl Headed,
    window: &Window<'_>,
) -> Option<(Vec<ContactId>, Option<Place>)> {
    let Order { query, entries, .. } = order;
    let slice = query.slice;
    let keep = slice.offset.saturating_add(slice.limit);
    let mut best = Best::new(order, keep, window.high());
    let before = rows.pass(order, window, &mut best);
    // What follows is to sort them.
    if order.patience.is_over() {
        return Some((Vec::new(), None));
    }
    let skipped = if window.is_sampled_below() { before } else { 0 };
    let (offset, keep) = (slice.offset.checked_sub(skipped)?, keep.checked_sub(skipped)?);
    let offered = best.offered();
    if window.high().is_some() && offered <= keep {
        return None;
    }
    let chosen = best.from(offset, keep);
    let ids = chosen.iter().map(|ranked| entries.id(ranked.slot)).collect();
    let last = chosen.last().filter(|_| offered > keep);
    Some((ids, last.map(|ranked| order.row(ranked.slot).place(query, ranked.rank))))
}

/// The number of a rank and the beginning of another number, in the order of both. No row has a rank
/// that does not fit.
fn joined(rank: u64, second: u64) -> u64 {
    rank.min(u64::from(u8::MAX)) << 56 | second >> 8
}

/// A row, and the number of its first key: where two differ, the rows need not be looked at.
#[derive(Clone, Copy)]
struct Ranked {
    head: u64,
    slot: Slot,
    rank: u32,
}

impl<'a> Order<'a> {
    fn row(&self, slot: Slot) -> Row<'a> {
        Row { slot, entries: self.entries, texts: self.texts }
    }

    /// The number of a row under one of the keys; without such a key all are alike.
    fn head(&self, key: usize, slot: Slot, rank: u32) -> u64 {
        let rank = self.query.text.as_ref().map(|_| rank);
        let key = self.query.order.get(key);
        key.map_or(0, |key| self.heads.head(*key, &self.row(slot), rank))
    }

    /// The number of a row under the first key, joined with the second one where that is needed.
    fn first_head(&self, slot: Slot, rank: u32) -> u64 {
        let first = self.head(0, slot, rank);
        if self.is_joined() { joined(first, self.head(1, slot, rank)) } else { first }
    }

    /// Whether the first number holds the beginning of the second: of all who match, most fit a
    /// text equally well.
    fn is_joined(&self) -> bool {
        const BEST: SortKey = SortKey { field: SortField::Relevance, descending: false };
        matches!(self.query.order.as_slice(), [first, _, ..] if *first == BEST)
    }

    /// Whether the id alone decides among rows with this number under the first key.
    fn is_by_id_on(&self, head: u64) -> bool {
        matches!(self.query.order.as_slice(), [key] if Heads::is_whole(*key, head))
    }

    /// The same as `Query::compare`, on what is kept.
    fn compare(&self, a: &Ranked, b: &Ranked) -> Ordering {
        a.head.cmp(&b.head).then_with(|| self.compare_on(a, b))
    }

    /// Compares where the first heads are the same.
    fn compare_on(&self, a: &Ranked, b: &Ranked) -> Ordering {
        let query = self.query;
        if self.is_by_id_on(a.head) {
            return self.entries.id(b.slot).cmp(&self.entries.id(a.slot));
        }
        for (number, key) in query.order.iter().enumerate() {
            let head = |row: &Ranked| match number {
                0 => row.head,
                _ => self.head(number, row.slot, row.rank),
            };
            let (one, other) = (head(a), head(b));
            let ordering = if one != other {
                one.cmp(&other)
            } else if Heads::is_whole(*key, one) {
                continue;
            } else {
                let value = |row: &Ranked| self.row(row.slot).value(key.field, query, row.rank);
                compare_optional(*key, value(a), value(b))
            };
            if ordering.is_ne() {
                return ordering;
            }
        }
        self.entries.id(b.slot).cmp(&self.entries.id(a.slot))
    }
}
