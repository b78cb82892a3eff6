//! The order, and the slice of it: counts all rows and keeps no more than the slice needs. A slice
//! after a place costs the same pass as the first one.

use std::cmp::Ordering;

use meishi_contacts::{Place, Query, SortKey, SortValue, place::compare_optional};

use crate::{Answer, entry::Row};

/// Rows that are gathered before the worst are dropped, at least.
const GATHERED: usize = 256;

/// Counts the rows and sorts the slice of them.
pub(crate) fn select<'a>(query: &Query, rows: impl Iterator<Item = Row<'a>>) -> Answer {
    let slice = query.slice;
    let keep = if slice.limit == 0 { 0 } else { slice.offset.saturating_add(slice.limit) };
    let after = query.after.as_ref().map(|place| After::new(&query.order, place));
    let mut best = Best { order: &query.order, keep, rows: Vec::new(), worst: None };
    let (mut total, mut following) = (0, 0);
    for row in rows {
        total += 1;
        let ranked = Ranked::new(&query.order, row);
        if after.as_ref().is_none_or(|after| after.is_before(&ranked)) {
            following += 1;
            best.offer(ranked);
        }
    }
    let chosen = best.from(slice.offset);
    let ids = chosen.iter().map(|ranked| ranked.row.entry.id).collect();
    let more = following > keep;
    let next = chosen.last().filter(|_| more).map(|ranked| ranked.row.place(&query.order));
    Answer::Exact { ids, total, next }
}

/// The place that the slice begins after.
struct After<'q> {
    order: &'q [SortKey],
    head: u128,
    place: &'q Place,
}

impl<'q> After<'q> {
    fn new(order: &'q [SortKey], place: &'q Place) -> Self {
        let first = place.values.first().and_then(Option::as_ref).map(SortValue::as_deref);
        Self { order, head: order.first().map_or(0, |key| head(*key, first)), place }
    }

    /// The same as `Query::follows`.
    fn is_before(&self, ranked: &Ranked<'_>) -> bool {
        let row = &ranked.row;
        let ordering = self.head.cmp(&ranked.head).then_with(|| {
            self.order
                .iter()
                .zip(&self.place.values)
                .map(|(key, value)| {
                    let value = value.as_ref().map(SortValue::as_deref);
                    compare_optional(*key, value, row.value(key.field))
                })
                .find(|ordering| ordering.is_ne())
                .unwrap_or_else(|| row.entry.id.cmp(&self.place.id))
        });
        ordering.is_lt()
    }
}

/// The first `keep` rows of those that were offered.
struct Best<'q, 'a> {
    order: &'q [SortKey],
    keep: usize,
    /// At least the first `keep`, unsorted.
    rows: Vec<Ranked<'a>>,
    /// A row that at least `keep` rows do not come after.
    worst: Option<Ranked<'a>>,
}

/// A row, and the beginning of its place in the order: where two heads differ, the rows need not
/// be looked at.
#[derive(Clone, Copy)]
struct Ranked<'a> {
    head: u128,
    row: Row<'a>,
}

impl<'a> Ranked<'a> {
    fn new(order: &[SortKey], row: Row<'a>) -> Self {
        Self { head: order.first().map_or(0, |key| head(*key, row.value(key.field))), row }
    }
}

impl<'a> Best<'_, 'a> {
    fn offer(&mut self, ranked: Ranked<'a>) {
        if self.keep == 0 {
            return;
        }
        if self.worst.is_some_and(|worst| compare(self.order, &ranked, &worst).is_gt()) {
            return;
        }
        self.rows.push(ranked);
        if self.rows.len() >= self.keep.saturating_mul(2).max(GATHERED) {
            self.cut();
        }
    }

    /// Drops what is not among the first `keep`.
    fn cut(&mut self) {
        if self.keep > 0 && self.rows.len() > self.keep {
            let order = self.order;
            self.rows.select_nth_unstable_by(self.keep - 1, |a, b| compare(order, a, b));
            self.rows.truncate(self.keep);
            self.worst = self.rows.last().copied();
        }
    }

    /// Those of the first `keep` that come after the first `offset`, sorted.
    fn from(&mut self, offset: usize) -> &[Ranked<'a>] {
        self.cut();
        let order = self.order;
        if offset > 0 && offset < self.rows.len() {
            self.rows.select_nth_unstable_by(offset, |a, b| compare(order, a, b));
        }
        let slice = self.rows.get_mut(offset..).unwrap_or_default();
        slice.sort_unstable_by(|a, b| compare(order, a, b));
        slice
    }
}

/// The same as `Query::compare`, on what is kept.
fn compare(order: &[SortKey], a: &Ranked<'_>, b: &Ranked<'_>) -> Ordering {
    a.head.cmp(&b.head).then_with(|| {
        order
            .iter()
            .map(|key| compare_optional(*key, a.row.value(key.field), b.row.value(key.field)))
            .find(|ordering| ordering.is_ne())
            .unwrap_or_else(|| b.row.entry.id.cmp(&a.row.entry.id))
    })
}

/// The bits of a head that are of the value; above them stands where absent ones go.
const VALUE: u128 = (1 << 120) - 1;

/// A number that never contradicts the order by this key: the beginning of a text, a time or an id.
fn head(key: SortKey, value: Option<SortValue<&str>>) -> u128 {
    let value = value.map(|value| match value {
        SortValue::Text(text) | SortValue::Name { folded: text, .. } => text_head(text),
        SortValue::Time(at) => number_head(at.0),
        SortValue::Id(id) => number_head(id.0),
    });
    match value {
        Some(value) if key.descending => (VALUE + 1) | (VALUE - value),
        Some(value) => (VALUE + 1) | value,
        None if key.descending && !key.field.nulls_always_last() => 0,
        None => (VALUE + 1) << 1,
    }
}

/// The first 15 bytes.
fn text_head(text: &str) -> u128 {
    let mut bytes = [0; 16];
    // The first byte stays free for where absent ones go.
    for (place, byte) in bytes.iter_mut().skip(1).zip(text.bytes()) {
        *place = byte;
    }
    u128::from_be_bytes(bytes)
}

fn number_head(number: i64) -> u128 {
    // As an unsigned number, with the sign turned, so that the past before 1970 comes first.
    u128::from(number.cast_unsigned() ^ (1 << 63))
}
