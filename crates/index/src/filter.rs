//! Who matches a filter, as sets of slots.
//!
//! Each condition comes to two sets: who surely meets it and who may. Where all that is asked of
//! is held in memory they are the same; what is not held leaves a condition open, and so does the
//! filter only where it matters.

use meishi_contacts::{
    Filter, Query, TextQuery,
    filter::{Condition, Operator, Subject},
};

use crate::{
    Index, Slot,
    columns::{Bits, Outcome},
    patience::Patience,
    texts::Parts,
};

impl Index {
    /// Who matches the filter of a query and is resolved, where that is asked; `None` where neither
    /// is asked.
    pub(crate) fn filtered(&self, query: &Query, patience: &Patience<'_>) -> Option<Outcome> {
        if query.filter.is_none() && !query.resolved {
            return None;
        }
        let mut universe = Bits::of(self.entries.live());
        if query.resolved {
            universe.intersect(&self.columns.resolved());
        }
        Some(match &query.filter {
            Some(filter) => self.evaluate(filter, &universe, patience),
            None => exact(universe),
        })
    }

    /// Who of the universe matches.
    fn evaluate(&self, filter: &Filter, universe: &Bits, patience: &Patience<'_>) -> Outcome {
        match filter {
            Filter::And(filters) => {
                let mut all = exact(universe.clone());
                for filter in filters {
                    // Whoever is out already need not be looked at.
                    let part = self.evaluate(filter, &all.may, patience);
                    all.must.intersect(&part.must);
                    all.may = part.may;
                }
                all
            }
            Filter::Or(filters) => {
                let mut any = exact(Bits::default());
                for filter in filters {
                    let part = self.evaluate(filter, universe, patience);
                    any.must.unite(&part.must);
                    any.may.unite(&part.may);
                }
                any
            }
            Filter::Not(filter) => {
                let part = self.evaluate(filter, universe, patience);
                Outcome { must: part.may.complement(universe), may: part.must.complement(universe) }
            }
            Filter::Is(_) if patience.is_over() => exact(Bits::default()),
            Filter::Is(condition) => self.meeting(condition, universe, patience),
        }
    }

    fn meeting(&self, condition: &Condition, universe: &Bits, patience: &Patience<'_>) -> Outcome {
        let chosen = |mut chosen: Bits| {
            chosen.intersect(universe);
            exact(chosen)
        };
        let tested = |test: &dyn Fn(Slot) -> bool| exact(universe.filtered(test));
        match condition.subject() {
            Subject::Name | Subject::Email | Subject::PhoneNumber | Subject::Identifier => {
                chosen(self.meeting_in_text(condition, universe, patience))
            }
            Subject::Labels => {
                let labels: Vec<_> = condition.labels().cloned().collect();
                let any = || self.columns.with_labels(&self.labels.known(&labels));
                match condition.operator() {
                    Operator::IsPresent => chosen(self.columns.labelled().clone()),
                    Operator::IsNotPresent => exact(self.columns.labelled().complement(universe)),
                    operator if operator.is_negated() => exact(any().complement(universe)),
                    _ => chosen(any()),
                }
            }
            Subject::Blocked => {
                let blocked = self.columns.blocked();
                let mut met = Bits::default();
                if condition.is_met_by_flag(true) {
                    met.unite(blocked);
                }
                if condition.is_met_by_flag(false) {
                    met.unite(&blocked.complement(universe));
                }
                chosen(met)
            }
            Subject::CreatedAt => {
                tested(&|slot| condition.is_met_by_time(Some(self.entries.created_at(slot))))
            }
            Subject::LastActivityAt => {
                tested(&|slot| condition.is_met_by_time(self.entries.last_activity_at(slot)))
            }
            Subject::Additional(_) | Subject::Custom(_) => {
                self.columns.evaluate(condition, universe).unwrap_or_else(|| open(universe))
            }
            Subject::FirstName | Subject::LastName => open(universe),
        }
    }

    /// Who meets a condition on a searched text: only of whoever has one of the values somewhere,
    /// the text is looked at.
    fn meeting_in_text(
        &self,
        condition: &Condition,
        universe: &Bits,
        patience: &Patience<'_>,
    ) -> Bits {
        let with = self.columns.with(condition.subject());
        let mut met = match condition.operator() {
            Operator::IsPresent => return with.clone(),
            Operator::IsNotPresent => return with.complement(universe),
            // Whoever has none of the values: a name is always there.
            operator if operator.is_negated() => match condition.subject() {
                Subject::Name => universe.clone(),
                _ => with.clone(),
            },
            _ => Bits::default(),
        };
        for text in condition.texts().filter_map(TextQuery::parse) {
            if patience.is_over() {
                break;
            }
            for slot in self.find(&text, patience) {
                if universe.contains(slot) {
                    met.set(slot, condition.is_met_by_text(self.text(condition.subject(), slot)));
                }
            }
        }
        met
    }

    fn text(&self, subject: &Subject, slot: Slot) -> &str {
        let Parts { folded_name, email, identifier, phone, .. } = self.row(slot).parts();
        match subject {
            Subject::Email => email,
            Subject::Identifier => identifier,
            Subject::PhoneNumber => phone,
            _ => folded_name,
        }
    }
}

fn exact(must: Bits) -> Outcome {
    Outcome { may: must.clone(), must }
}

/// Only rows can tell.
fn open(universe: &Bits) -> Outcome {
    Outcome { must: Bits::default(), may: universe.clone() }
}
