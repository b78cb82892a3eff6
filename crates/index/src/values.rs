//! The distinct values of a text that contacts are sorted by and share: companies, cities,
//! countries.
//!
//! Each has a number, which its contacts hold, and a rank: ranks are in the order of the texts, so
//! that contacts are compared without looking at a text. Between two ranks there is room for new
//! values; where it runs out, all are ranked anew, which a million values take some ten
//! milliseconds for and some forty of them in the same place bring about.

mod stored;

use std::{
    collections::{BTreeMap, HashMap},
    mem::{size_of, take},
    ops::Bound::{Excluded, Included, Unbounded},
    sync::Arc,
};

/// A value's number, or [`NONE`].
pub(crate) type ValueId = u32;

/// Where there is no value.
pub(crate) const NONE: ValueId = ValueId::MAX;

/// No rank is higher.
const HIGHEST: u64 = 1 << 62;

/// The room that is left after a value which comes after all others.
const ROOM: u64 = 1 << 40;

#[derive(Debug, Default)]
pub(crate) struct Values {
    ids: BTreeMap<Arc<str>, ValueId>,
    /// By number.
    known: Vec<Known>,
    /// See [`rank_in`]; apart from the rest, as of a sorted list nothing else is looked at.
    ranks: Vec<u64>,
    free: Vec<ValueId>,
    /// Bytes of all texts.
    text: usize,
    /// The ids while values are added first and ranked later.
    unranked: Option<HashMap<Arc<str>, ValueId>>,
}

#[derive(Debug)]
struct Known {
    text: Arc<str>,
    /// How many contacts have it; a value that nobody has is forgotten.
    users: u32,
}

impl Values {
    /// Puts the ranks off until [`Self::rank_all`].
    pub(crate) fn rank_later(&mut self) {
        self.unranked = Some(take(&mut self.ids).into_iter().collect());
    }

    /// Ranks all values, as far apart as may be.
    pub(crate) fn rank_all(&mut self) {
        if let Some(ids) = self.unranked.take() {
            self.ids = ids.into_iter().collect();
        }
        let apart = HIGHEST / (self.ids.len() as u64 + 1);
        for (number, id) in (1..).zip(self.ids.values()) {
            set_rank(&mut self.ranks, *id, number * apart);
        }
    }

    /// The number of a value that one more contact has.
    pub(crate) fn take(&mut self, text: &str) -> ValueId {
        let known = match &self.unranked {
            Some(ids) => ids.get(text),
            None => self.ids.get(text),
        };
        let id = known.copied().unwrap_or_else(|| self.add(text));
        if let Some(known) = self.known.get_mut(id as usize) {
            known.users += 1;
        }
        id
    }

    fn add(&mut self, text: &str) -> ValueId {
        let rank = self.room_for(text);
        let text: Arc<str> = text.into();
        let known = Known { text: Arc::clone(&text), users: 0 };
        self.text += text.len();
        let id =
            self.free.pop().unwrap_or_else(|| ValueId::try_from(self.known.len()).unwrap_or(NONE));
        match self.known.get_mut(id as usize) {
            Some(place) => *place = known,
            None => self.known.push(known),
        }
        self.ranks.resize(self.known.len() + 1, 0);
        set_rank(&mut self.ranks, id, rank.unwrap_or_default());
        if let Some(ids) = &mut self.unranked {
            ids.insert(text, id);
            return id;
        }
        self.ids.insert(text, id);
        if rank.is_none() {
            self.rank_all();
        }
        id
    }

    /// A rank for a text that is new, if there is one left.
    fn room_for(&self, text: &str) -> Option<u64> {
        if self.unranked.is_some() {
            return None;
        }
        let below = self.before(text).map_or(0, |(_, rank)| rank);
        let above = self.ids.range::<str, _>((Excluded(text), Unbounded)).next();
        let above = above.map_or(HIGHEST, |(_, id)| self.rank(*id));
        let room = (above.saturating_sub(below) / 2).min(ROOM);
        (room > 0).then_some(below + room)
    }

    /// The last value that is not after the text.
    fn before(&self, text: &str) -> Option<(&str, u64)> {
        let (known, id) = self.ids.range::<str, _>((Unbounded, Included(text))).next_back()?;
        Some((known, self.rank(*id)))
    }

    /// One contact less has the value.
    pub(crate) fn give_back(&mut self, id: ValueId) {
        let Some(known) = self.known.get_mut(id as usize) else { return };
        known.users = known.users.saturating_sub(1);
        if known.users == 0 {
            let text = take(&mut known.text);
            match &mut self.unranked {
                Some(ids) => ids.remove(&text),
                None => self.ids.remove(&text),
            };
            self.text -= text.len();
            self.free.push(id);
        }
    }

    pub(crate) fn get(&self, id: ValueId) -> Option<&str> {
        Some(&self.known.get(id as usize)?.text)
    }

    /// Where a value stands among all: greater than 0.
    pub(crate) fn rank(&self, id: ValueId) -> u64 {
        rank_in(&self.ranks, id)
    }

    /// The ranks of all values, for [`rank_in`].
    pub(crate) fn ranks(&self) -> &[u64] {
        &self.ranks
    }

    /// Where any text would stand, at twice the ranks: even if it is a value, odd if it lies
    /// behind one.
    pub(crate) fn doubled_rank(&self, text: &str) -> u64 {
        match self.before(text) {
            Some((known, rank)) => rank * 2 + u64::from(known != text),
            None => 1,
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        // The text with its two counters, and the nodes of the tree, of which a third is free.
        self.ids.len() * (24 + 8 + (size_of::<Arc<str>>() + size_of::<ValueId>()) * 3 / 2)
            + self.text
            + self.known.capacity() * size_of::<Known>()
            + self.ranks.capacity() * size_of::<u64>()
            + self.free.capacity() * size_of::<ValueId>()
    }
}

/// The rank of a value among those of all; that of [`NONE`] is 0. It is the first, so that nothing
/// is asked before it is read.
#[inline]
pub(crate) fn rank_in(ranks: &[u64], id: ValueId) -> u64 {
    ranks.get(id.wrapping_add(1) as usize).copied().unwrap_or_default()
}

fn set_rank(ranks: &mut [u64], id: ValueId, rank: u64) {
    if let Some(place) = ranks.get_mut(id.wrapping_add(1) as usize) {
        *place = rank;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_are_not_ranked_yet_come_and_go() {
        let mut values = Values::default();
        let before = values.take("before");
        values.rank_later();
        let (a, b) = (values.take("a"), values.take("b"));
        assert_eq!((values.take("before"), values.take("a")), (before, a));
        values.give_back(b);
        values.give_back(a);
        assert_eq!((values.take("c"), values.get(a)), (b, Some("a")));
        values.rank_all();
        assert_eq!(values.ids.keys().map(|text| &**text).collect::<Vec<_>>(), ["a", "before", "c"]);
        check(&values);
    }

    fn check(values: &Values) {
        let ranks: Vec<u64> = values.ids.values().map(|id| values.rank(*id)).collect();
        assert!(ranks.iter().all(|rank| (1..HIGHEST).contains(rank)));
        assert!(ranks.windows(2).all(|pair| pair[0] < pair[1]), "{ranks:?}");
        for (text, id) in &values.ids {
            assert_eq!(values.get(*id), Some(&**text));
            assert_eq!(values.doubled_rank(text), values.rank(*id) * 2);
            let behind = format!("{text}\0");
            assert_eq!(values.doubled_rank(&behind), values.rank(*id) * 2 + 1);
        }
        assert_eq!(values.doubled_rank(""), 1);
    }

    #[test]
    fn ranks_are_in_order_whatever_comes_where() {
        let mut values = Values::default();
        values.rank_later();
        for number in 0..50 {
            values.take(&format!("m{number:02}"));
        }
        values.rank_all();
        check(&values);
        for number in 0..200 {
            values.take(&format!("z{number:03}"));
            values.take(&format!("c{:03}", 200 - number));
            // Always in the same gap.
            values.take(&format!("m10{number:03}"));
        }
        check(&values);
    }

    #[test]
    fn a_value_that_nobody_has_is_forgotten() {
        let mut values = Values::default();
        values.give_back(NONE);
        let a = values.take("a");
        assert_eq!(values.take("a"), a);
        values.give_back(a);
        assert_eq!(values.get(a), Some("a"));
        values.give_back(a);
        assert!(values.ids.is_empty() && values.text == 0);
        assert_eq!(values.take("b"), a);
        assert_eq!(values.get(a), Some("b"));
        check(&values);
    }
}
