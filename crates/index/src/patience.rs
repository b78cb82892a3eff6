//! How long a query may compute. Nothing here knows of time: who asks says when it is too late, and
//! the loops that may be long ask every few thousand contacts. What they leave undone then is never
//! seen, because the answer is not given.

use std::cell::Cell;

/// The query was given up before it had an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the query took too long")]
pub struct TooLate;

/// Contacts that are looked at between two questions, about.
pub(crate) const BETWEEN: usize = 4096;

/// Whether a query goes on.
pub(crate) struct Patience<'a> {
    is_late: &'a dyn Fn() -> bool,
    /// It was too late once: something may have been left undone.
    is_over: Cell<bool>,
}

impl<'a> Patience<'a> {
    pub(crate) fn until(is_late: &'a dyn Fn() -> bool) -> Self {
        Self { is_late, is_over: Cell::new(false) }
    }

    /// Whether to leave the rest undone.
    pub(crate) fn is_over(&self) -> bool {
        if !self.is_over.get() {
            self.is_over.set((self.is_late)());
        }
        self.is_over.get()
    }

    /// The same, asked at every so many steps only.
    pub(crate) fn is_over_at(&self, step: usize) -> bool {
        step.is_multiple_of(BETWEEN) && self.is_over()
    }

    /// What was found, unless something was left undone.
    pub(crate) fn whole<T>(&self, found: T) -> Result<T, TooLate> {
        if self.is_over.get() { Err(TooLate) } else { Ok(found) }
    }
}
