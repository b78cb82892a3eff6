//! The order, and the slice of it: counts all rows and keeps no more than the slice needs. A slice
//! after a place costs the same pass as the first one.

use std::cmp::Ordering;

use meishi_contacts::{Place, Query, SortField, SortValue, place::compare_optional};

use crate::{
    Answer, Slot,
    entries::{Entries, Row, member_of},
    heads::{FIRST, Heads, directed, number_head},
    texts::Texts,
};

/// Rows that are gathered before the worst are dropped, at least.
const GATHERED: usize = 256;

/// A contact that matches, and how well the text fits it, where the order asks.
pub(crate) type Candidate = (Slot, u32);

/// What an order is made of.
#[derive(Clone, Copy)]
pub(crate) struct Order<'a> {
    pub(crate) query: &'a Query,
    pub(crate) entries: &'a Entries,
    pub(crate) texts: &'a Texts,
    pub(crate) heads: &'a Heads,
}

/// Counts the rows, at most `most`, and sorts the slice of them.
pub(crate) fn select(
    order: Order<'_>,
    rows: impl Iterator<Item = Candidate>,
    most: usize,
) -> Answer {
    let Order { query, entries, texts, heads } = order;
    heads.prepare(&query.order, most, entries, texts);
    let Some(key) = query.order.first().copied() else { return pass(order, rows, |_, _| 0) };
    // Each of these becomes a loop of its own, over one column.
    match key.field {
        SortField::LastActivityAt => pass(order, rows, |slot, _| {
            directed(key, entries.last_activity_at(slot).map(|at| number_head(at.0)))
        }),
        SortField::CreatedAt => pass(order, rows, |slot, _| {
            directed(key, Some(number_head(entries.created_at(slot).0)))
        }),
        field => match (heads.kept(field), member_of(field)) {
            (Some(kept), _) => pass(order, rows, |slot, _| {
                let head = kept.get(slot as usize).copied();
                directed(key, head.filter(|head| *head != FIRST))
            }),
            (None, Some(member)) => {
                pass(order, rows, |slot, _| directed(key, entries.doubled_rank(member, slot)))
            }
            (None, None) => pass(order, rows, |slot, rank| order.head(0, slot, rank)),
        },
    }
}

/// The same, where `head` is the number of a row under the first key.
fn pass(
    order: Order<'_>,
    rows: impl Iterator<Item = Candidate>,
    head: impl Fn(Slot, u32) -> u64,
) -> Answer {
    let Order { query, entries, .. } = order;
    let slice = query.slice;
    let keep = if slice.limit == 0 { 0 } else { slice.offset.saturating_add(slice.limit) };
    let after = query.after.as_ref().map(|place| After::new(order, place));
    let mut best = Best { order, keep, rows: Vec::new(), worst: None };
    let (mut total, mut following) = (0, 0);
    // Faster than a loop: rows come through filters within filters.
    rows.for_each(|(slot, rank)| {
        total += 1;
        let ranked = Ranked { head: head(slot, rank), slot, rank };
        if after.as_ref().is_none_or(|after| after.is_before(&ranked)) {
            following += 1;
            best.offer(ranked);
        }
    });
    let chosen = best.from(slice.offset);
    let ids = chosen.iter().map(|ranked| entries.id(ranked.slot)).collect();
    let last = chosen.last().filter(|_| following > keep);
    let next = last.map(|ranked| order.row(ranked.slot).place(query, ranked.rank));
    Answer::Exact { ids, total, next }
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

    /// The same as `Query::compare`, on what is kept.
    fn compare(&self, a: &Ranked, b: &Ranked) -> Ordering {
        a.head.cmp(&b.head).then_with(|| self.compare_on(a, b))
    }

    /// Compares where the first heads are the same.
    fn compare_on(&self, a: &Ranked, b: &Ranked) -> Ordering {
        let query = self.query;
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

/// The place that the slice begins after.
struct After<'a> {
    order: Order<'a>,
    /// The number of the place under each key.
    heads: Vec<u64>,
    place: &'a Place,
}

impl<'a> After<'a> {
    fn new(order: Order<'a>, place: &'a Place) -> Self {
        let values = place.values.iter().map(|value| value.as_ref().map(SortValue::as_deref));
        let keys = order.query.order.iter().zip(values);
        let heads = keys.map(|(key, value)| Heads::head_of(*key, value, order.entries));
        Self { order, heads: heads.collect(), place }
    }

    /// The same as `Query::follows`.
    fn is_before(&self, ranked: &Ranked) -> bool {
        match self.heads.first() {
            Some(head) if *head != ranked.head => *head < ranked.head,
            _ => self.is_before_on(ranked),
        }
    }

    fn is_before_on(&self, ranked: &Ranked) -> bool {
        let query = self.order.query;
        let keys = query.order.iter().zip(&self.heads).zip(&self.place.values);
        for (number, ((key, place), value)) in keys.enumerate() {
            let head = match number {
                0 => ranked.head,
                _ => self.order.head(number, ranked.slot, ranked.rank),
            };
            let ordering = if *place != head {
                place.cmp(&head)
            } else if Heads::is_whole(*key, head) {
                continue;
            } else {
                let row = self.order.row(ranked.slot).value(key.field, query, ranked.rank);
                compare_optional(*key, value.as_ref().map(SortValue::as_deref), row)
            };
            if ordering.is_ne() {
                return ordering.is_lt();
            }
        }
        self.order.entries.id(ranked.slot) < self.place.id
    }
}

/// The first `keep` rows of those that were offered.
struct Best<'a> {
    order: Order<'a>,
    keep: usize,
    /// At least the first `keep`, unsorted.
    rows: Vec<Ranked>,
    /// A row that at least `keep` rows do not come after.
    worst: Option<Ranked>,
}

impl Best<'_> {
    fn offer(&mut self, ranked: Ranked) {
        if let Some(worst) = &self.worst
            && (ranked.head > worst.head || self.order.compare(&ranked, worst).is_gt())
        {
            return;
        }
        if self.keep > 0 {
            self.take(ranked);
        }
    }

    fn take(&mut self, ranked: Ranked) {
        self.rows.push(ranked);
        if self.rows.len() >= self.keep.saturating_mul(2).max(GATHERED) {
            self.cut();
        }
    }

    /// Drops what is not among the first `keep`.
    fn cut(&mut self) {
        if self.keep > 0 && self.rows.len() > self.keep {
            let order = self.order;
            self.rows.select_nth_unstable_by(self.keep - 1, |a, b| order.compare(a, b));
            self.rows.truncate(self.keep);
            self.worst = self.rows.last().copied();
        }
    }

    /// Those of the first `keep` that come after the first `offset`, sorted.
    fn from(&mut self, offset: usize) -> &[Ranked] {
        self.cut();
        let order = self.order;
        if offset > 0 && offset < self.rows.len() {
            self.rows.select_nth_unstable_by(offset, |a, b| order.compare(a, b));
        }
        let slice = self.rows.get_mut(offset..).unwrap_or_default();
        slice.sort_unstable_by(|a, b| order.compare(a, b));
        slice
    }
}
