//! Between which rows the slice lies.
//!
//! Of many rows, some thousands that are spread over all of them are sorted first. By those, two
//! rows are chosen that the slice lies between, by all that is likely, with few others. So all but
//! few of the rows are only compared with two numbers, in whatever order they come; and that the
//! slice does lie there is known by the number of rows before and in the window.

use meishi_contacts::{Place, SortValue, place::compare_optional};

use super::{Headed, Order, Ranked, joined};
use crate::heads::Heads;

/// Rows from which on some are sorted first.
const MANY: usize = 16 * 1024;

/// How many those are, about.
const SAMPLE: usize = 8 * 1024;

/// Where to look for the slice.
pub(super) struct Window<'a> {
    low: Low<'a>,
    /// The last row.
    high: Option<Ranked>,
}

enum Low<'a> {
    Open,
    /// What the slice comes after, as the query says.
    Place(After<'a>),
    /// The first row.
    Row(Ranked),
}

impl<'a> Window<'a> {
    /// All rows that the query lets the slice be of.
    pub(super) fn open(order: Order<'a>) -> Self {
        let after = order.query.after.as_ref().map(|place| Low::Place(After::new(order, place)));
        Self { low: after.unwrap_or(Low::Open), high: None }
    }

    /// The rows around the slice, as far as a sample tells.
    pub(super) fn narrow(order: Order<'a>, rows: &impl Headed, total: usize) -> Self {
        let mut window = Self::open(order);
        if total < MANY {
            return window;
        }
        let mut sample = Vec::with_capacity(SAMPLE);
        let each = rows.sample(SAMPLE, |ranked| {
            let low = window.low();
            if ranked.head > low || ranked.head == low && window.reaches(order, &ranked) {
                sample.push(ranked);
            }
        });
        // Four times as far off as such a guess usually is, and a little for small numbers.
        let margin = |expected: usize| 4 * expected.isqrt() + 8;
        let slice = order.query.slice;
        let last = slice.offset.saturating_add(slice.limit) / each;
        let last = last.saturating_add(margin(last));
        let mut until = sample.as_mut_slice();
        if last < until.len() {
            let (before, high, _) = until.select_nth_unstable_by(last, |a, b| order.compare(a, b));
            window.high = Some(*high);
            until = before;
        }
        let first = slice.offset / each;
        let first = first.saturating_sub(margin(first));
        if first > 0 && first < until.len() && matches!(window.low, Low::Open) {
            let (_, low, _) = until.select_nth_unstable_by(first, |a, b| order.compare(a, b));
            window.low = Low::Row(*low);
        }
        window
    }

    /// The last row, if one was chosen.
    pub(super) fn high(&self) -> Option<Ranked> {
        self.high
    }

    /// Whether the rows before the window are before the slice and part of the answer.
    pub(super) fn is_sampled_below(&self) -> bool {
        matches!(self.low, Low::Row(_))
    }

    /// No row with a lower number is in the window.
    pub(super) fn low(&self) -> u64 {
        match &self.low {
            Low::Open => 0,
            Low::Place(after) => after.head(),
            Low::Row(row) => row.head,
        }
    }

    /// Whether a row with that number is not before the window.
    pub(super) fn reaches(&self, order: Order<'_>, row: &Ranked) -> bool {
        match &self.low {
            Low::Open => true,
            Low::Place(after) => after.is_before_on(row),
            Low::Row(first) => order.compare_on(row, first).is_ge(),
        }
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
        let mut heads: Vec<u64> = heads.collect();
        if order.is_joined()
            && let [first, second, ..] = heads.as_mut_slice()
        {
            *first = joined(*first, *second);
        }
        Self { order, heads, place }
    }

    /// The first number of the place.
    fn head(&self) -> u64 {
        self.heads.first().copied().unwrap_or_default()
    }

    /// The same as `Query::follows`, of a row with that number.
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
