//! The order, and the slice of it: counts all rows and keeps no more than the slice needs.

use std::cmp::Ordering;

use meishi_contacts::{Query, SortField, SortKey, query::compare_optional};

use crate::{Answer, entry::Row};

/// Rows that are gathered before the worst are dropped, at least.
const GATHERED: usize = 256;

/// Counts the rows and sorts the slice of them.
pub(crate) fn select<'a>(query: &Query, rows: impl Iterator<Item = Row<'a>>) -> Answer {
    let slice = query.slice;
    let keep = if slice.limit == 0 { 0 } else { slice.offset.saturating_add(slice.limit) };
    let mut best = Best { order: &query.order, keep, rows: Vec::new(), worst: None };
    let mut total = 0;
    for row in rows {
        total += 1;
        best.offer(row);
    }
    let ids = best.from(slice.offset).iter().map(|ranked| ranked.row.entry.id).collect();
    Answer::Exact { ids, total }
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

impl<'a> Best<'_, 'a> {
    fn offer(&mut self, row: Row<'a>) {
        if self.keep == 0 {
            return;
        }
        let ranked = Ranked { head: self.order.first().map_or(0, |key| head(*key, &row)), row };
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

fn compare(order: &[SortKey], a: &Ranked<'_>, b: &Ranked<'_>) -> Ordering {
    a.head.cmp(&b.head).then_with(|| {
        order
            .iter()
            .map(|key| compare_by(*key, &a.row, &b.row))
            .find(|ordering| ordering.is_ne())
            .unwrap_or_else(|| b.row.entry.id.cmp(&a.row.entry.id))
    })
}

/// The same as `Query::compare` by one key, on what is kept.
fn compare_by(key: SortKey, a: &Row<'_>, b: &Row<'_>) -> Ordering {
    match key.field {
        SortField::Email => compare_optional(key, a.email(), b.email()),
        SortField::Name => compare_optional(key, Some(a.name()), Some(b.name())),
        SortField::PhoneNumber => compare_optional(key, a.phone_number(), b.phone_number()),
        SortField::LastActivityAt => {
            compare_optional(key, a.entry.last_activity_at, b.entry.last_activity_at)
        }
        SortField::CreatedAt => {
            compare_optional(key, Some(a.entry.created_at), Some(b.entry.created_at))
        }
        SortField::CompanyName => compare_optional(key, a.company_name(), b.company_name()),
        SortField::City => compare_optional(key, a.city(), b.city()),
        SortField::Country => compare_optional(key, a.country(), b.country()),
    }
}

/// The bits of a head that are of the value; above them stands where absent ones go.
const VALUE: u128 = (1 << 120) - 1;

/// A number that never contradicts the order by this key: the beginning of a text or a time.
fn head(key: SortKey, row: &Row<'_>) -> u128 {
    let value = match key.field {
        SortField::Email => row.email().map(text_head),
        SortField::Name => Some(text_head(row.name().0)),
        SortField::PhoneNumber => row.phone_number().map(text_head),
        SortField::LastActivityAt => row.entry.last_activity_at.map(|at| time_head(at.0)),
        SortField::CreatedAt => Some(time_head(row.entry.created_at.0)),
        SortField::CompanyName => row.company_name().map(text_head),
        SortField::City => row.city().map(text_head),
        SortField::Country => row.country().map(text_head),
    };
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

fn time_head(at: i64) -> u128 {
    // As an unsigned number, with the sign turned, so that the past before 1970 comes first.
    u128::from(at.cast_unsigned() ^ (1 << 63))
}
