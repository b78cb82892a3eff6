//! How a query is answered: who matches, and which way to the order is the shortest.

use std::ops::Bound::{Excluded, Unbounded};

use meishi_contacts::{
    ContactId, Place, Query, Slice, SortField, SortKey, SortValue, TextQuery,
    limits::{SUGGESTED_AMONG, SUGGESTIONS},
    order::{DEFAULT_ORDER, NEAR_ORDER},
};

use crate::{
    Index, Search, Slot,
    columns::Bits,
    grams::Found,
    near::Misspelt,
    patience::{Patience, TooLate},
    select::{self, Candidate, Order, Rows},
};

/// Texts to look at before it pays to ask first whose name has the text.
const MANY: usize = 2048;

/// Contacts that are passed over or looked at in well below a millisecond.
const FEW: usize = 2048;

/// What a query comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// All that was asked for.
    Exact {
        /// The ids of the slice, in order.
        ids: Vec<ContactId>,
        /// How many contacts match in all.
        total: u64,
        /// Where the slice ends, if more follow it and it is not empty: what comes `after` this
        /// place is the next one, whatever changes until then.
        next: Option<Place>,
    },
    /// What is not held in memory leaves open: some attributes that filters ask of.
    Candidates {
        /// All contacts that may match, in order: every match is among them.
        ids: Vec<ContactId>,
        /// What a row must meet (`condition.matches(contact)`) to be counted; the slice is taken
        /// of those that do and come after its place (`condition.follows(contact)`).
        condition: Box<Query>,
    },
}

impl Index {
    /// Which contacts, in which order, and how many in all.
    pub fn query(&self, query: &Query) -> Answer {
        self.ask(query, &Patience::until(&|| false))
    }

    /// The same, unless `is_late` says so before there is an answer; it is asked every few thousand
    /// contacts, and for each condition of a filter.
    pub fn query_until(
        &self,
        query: &Query,
        is_late: &dyn Fn() -> bool,
    ) -> Result<Answer, TooLate> {
        let patience = Patience::until(is_late);
        patience.whole(self.ask(query, &patience))
    }

    fn ask(&self, query: &Query, patience: &Patience<'_>) -> Answer {
        let Some(filtered) = self.filtered(query, patience) else {
            return self.answer(query, None, patience);
        };
        if filtered.is_exact() {
            return self.answer(query, Some(&filtered.may), patience);
        }
        let slice = Slice { offset: 0, limit: usize::MAX };
        let all = Query { after: None, slice, ..query.clone() };
        match self.answer(&all, Some(&filtered.may), patience) {
            Answer::Exact { ids, .. } => {
                let condition = Box::new(query.clone());
                Answer::Candidates { ids, condition }
            }
            answer @ Answer::Candidates { .. } => answer,
        }
    }

    /// Whether the answer takes well below a millisecond, however many contacts there are: not worth
    /// the way to another thread.
    pub fn is_brief(&self, query: &Query) -> bool {
        if query.filter.is_some() || query.resolved || !query.labels.is_empty() {
            return false;
        }
        let Some(text) = &query.text else {
            let in_order = query.order == DEFAULT_ORDER
                || matches!(query.order.as_slice(), [SortKey { field: SortField::Id, .. }]);
            return in_order && query.slice.offset <= 10 * FEW;
        };
        let Some(search) = self.search.as_ref().filter(|_| !text.is_misspelt()) else {
            return false;
        };
        let is_few = |text| search.grams.looks(text).is_some_and(|looks| looks <= FEW);
        is_few(text.folded()) && text.digits().is_none_or(is_few)
    }

    /// The answer of a query, but for its filter: of all contacts, or of some.
    fn answer(&self, query: &Query, of: Option<&Bits>, patience: &Patience<'_>) -> Answer {
        let Some(text) = &query.text else { return self.list(query, of, patience) };
        let labels = self.labels.known(&query.labels);
        let labelled = |slot: Slot| {
            let ids = self.entries.labels(slot);
            let has = || ids.iter().any(|label| labels.binary_search(label).is_ok());
            of.is_none_or(|of| of.contains(slot)) && (query.labels.is_empty() || has())
        };
        if text.is_misspelt() {
            let mut hits = self.near(text, patience);
            hits.retain(|(slot, _)| labelled(*slot));
            return self.select(query, Rows::These(hits), patience);
        }
        let mut slots = self.find(text, patience);
        slots.retain(|slot| labelled(*slot));
        let ranked = query.order.iter().any(|key| key.field == SortField::Relevance);
        // Whose name has the text as a word ranks first without a look.
        let first = match &self.search {
            Some(search) if ranked => search.words.having(text.folded()),
            _ => Vec::new(),
        };
        let mut first = first.into_iter().peekable();
        // Slot by slot in order.
        let mut rank = |slot: Slot| {
            while first.next_if(|known| *known < slot).is_some() {}
            if !ranked || first.next_if_eq(&slot).is_some() {
                return 0;
            }
            text.rank(self.row(slot).searched()).unwrap_or_default()
        };
        // To rank is to look at the text.
        let rows = slots.into_iter().enumerate();
        let rows = rows.take_while(|(number, _)| !patience.is_over_at(*number));
        let rows = rows.map(|(_, slot)| (slot, rank(slot))).collect();
        self.select(query, Rows::These(rows), patience)
    }

    /// The answer of a query for no text.
    fn list(&self, query: &Query, of: Option<&Bits>, patience: &Patience<'_>) -> Answer {
        if query.labels.is_empty() {
            let of = match of {
                Some(of) => of.as_words(),
                None if query.order == DEFAULT_ORDER => return self.latest(query),
                None => match query.order.as_slice() {
                    [SortKey { field: SortField::Id, descending }] => {
                        return self.by_id(query, *descending);
                    }
                    _ => self.entries.live(),
                },
            };
            return self.select(query, Rows::Set(of), patience);
        }
        let mut rows = self.columns.with_labels(&self.labels.known(&query.labels));
        if let Some(of) = of {
            rows.intersect(of);
        }
        self.select(query, Rows::Set(rows.as_words()), patience)
    }

    /// Names that hold the text misspelt, at most [`SUGGESTIONS`], the nearest first and, of those,
    /// the ones of the latest contacts; each once, among the first [`SUGGESTED_AMONG`] contacts.
    pub fn did_you_mean(&self, text: &TextQuery) -> Vec<String> {
        self.did_you_mean_until(text, &|| false).unwrap_or_default()
    }

    /// The same, unless `is_late` says so before, as with [`Self::query_until`].
    pub fn did_you_mean_until(
        &self,
        text: &TextQuery,
        is_late: &dyn Fn() -> bool,
    ) -> Result<Vec<String>, TooLate> {
        let query = Query {
            text: Some(text.clone().misspelt()),
            labels: Vec::new(),
            filter: None,
            resolved: false,
            order: NEAR_ORDER.to_vec(),
            after: None,
            slice: Slice { offset: 0, limit: SUGGESTED_AMONG },
        };
        let (Answer::Exact { ids, .. } | Answer::Candidates { ids, .. }) =
            self.query_until(&query, is_late)?;
        let mut names: Vec<String> = Vec::new();
        for slot in ids.iter().filter_map(|id| self.slots.get(id)) {
            let name = self.row(*slot).parts().name;
            if names.len() < SUGGESTIONS && !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Whoever has a text in one of the searched fields, or its digits in the phone number.
    pub(crate) fn find(&self, text: &TextQuery, patience: &Patience<'_>) -> Vec<Slot> {
        let Some(search) = &self.search else { return self.texts.find(text, patience) };
        let folded = text.folded();
        // A phone number is in the text as `+` and digits, so digits alone are found anyway.
        let digits = text.digits().filter(|digits| *digits != folded);
        let by_digits = digits.map(|digits| (digits, search.grams.find(digits)));
        let by_text = search.grams.find(folded);
        if matches!(by_text, Found::Anybody) || matches!(by_digits, Some((_, Found::Anybody))) {
            return self.texts.find(text, patience);
        }
        let mut slots = match by_text {
            Found::These(slots) => slots,
            Found::Among(slots) => self.having(search, &slots, folded, patience),
            Found::Anybody => Vec::new(),
        };
        if let Some((digits, Found::These(among) | Found::Among(among))) = by_digits {
            slots = merged(slots, self.texts.having(&among, digits, true, patience));
        }
        slots
    }

    /// Those of some contacts, among whom are all that have a text, that do have it.
    fn having(
        &self,
        search: &Search,
        among: &[Slot],
        text: &str,
        patience: &Patience<'_>,
    ) -> Vec<Slot> {
        if among.len() < MANY || text.contains(' ') {
            return self.texts.having(among, text, false, patience);
        }
        // What many have in common is a word of their names or a part of a domain more often than
        // not, and who has that is known: only the texts of the others are looked at.
        let mut slots = search.words.holding(text);
        slots = merged(slots, search.domains.holding(text));
        let mut named = slots.iter().peekable();
        let mut others = among.to_vec();
        others.retain(|slot| {
            while named.next_if(|named| *named < slot).is_some() {}
            named.next_if_eq(&slot).is_none()
        });
        let others = self.texts.having(&others, text, false, patience);
        merged(slots, others)
    }

    /// Whose name holds a text misspelt, and how many letters are wrong.
    fn near(&self, text: &TextQuery, patience: &Patience<'_>) -> Vec<Candidate> {
        let Some(misspelt) = Misspelt::of(text) else { return Vec::new() };
        if let Some(search) = &self.search {
            return search.words.find(&misspelt);
        }
        let near = |slot| Some((slot, misspelt.distance(self.row(slot).parts().folded_name)?));
        let slots = self.entries.slots().take_while(|slot| !patience.is_over_at(*slot as usize));
        slots.filter_map(near).collect()
    }

    fn select(&self, query: &Query, rows: Rows<'_>, patience: &Patience<'_>) -> Answer {
        let Self { entries, texts, heads, .. } = self;
        select::select(Order { query, entries, texts, heads, patience }, rows)
    }

    /// The plain list in its default order.
    fn latest(&self, query: &Query) -> Answer {
        let before = query.after.as_ref().map_or(Unbounded, |place| {
            let at = match place.values.first() {
                Some(Some(SortValue::Time(at))) => Some(*at),
                _ => None,
            };
            Excluded(super::recency(at, place.id))
        });
        let ids = self.recent.range((Unbounded, before)).rev();
        self.walk(query, ids.map(|(_, id)| *id))
    }

    /// The plain list by id.
    fn by_id(&self, query: &Query, descending: bool) -> Answer {
        let after = query.after.as_ref().map_or(Unbounded, |place| Excluded(place.id));
        if descending {
            self.walk(query, self.slots.range((Unbounded, after)).rev().map(|(id, _)| *id))
        } else {
            self.walk(query, self.slots.range((after, Unbounded)).map(|(id, _)| *id))
        }
    }

    /// Takes the slice of a list of all contacts, which come as they are in order.
    fn walk(&self, query: &Query, ids: impl Iterator<Item = ContactId>) -> Answer {
        let Slice { offset, limit } = query.slice;
        let total = self.len() as u64;
        if offset >= self.len() {
            return Answer::Exact { ids: Vec::new(), total, next: None };
        }
        let mut rest = ids.skip(offset);
        let ids: Vec<ContactId> = rest.by_ref().take(limit).collect();
        let last = ids.last().filter(|_| rest.next().is_some()).and_then(|id| self.slots.get(id));
        let next = last.map(|slot| self.row(*slot).place(query, 0));
        Answer::Exact { ids, total, next }
    }
}

/// Two rows of slots as one, all in order and each once.
fn merged(mut slots: Vec<Slot>, others: Vec<Slot>) -> Vec<Slot> {
    if slots.is_empty() {
        return others;
    }
    if !others.is_empty() {
        slots.extend(others);
        #[expect(clippy::stable_sort_primitive, reason = "it merges what is in order already")]
        slots.sort();
        slots.dedup();
    }
    slots
}
