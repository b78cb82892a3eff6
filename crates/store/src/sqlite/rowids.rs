//! In which row of its table a contact probably is.
//!
//! Contacts and rows both get their numbers one after the other, so that in most accounts all but a
//! few contacts are as far from the row of their own number as the one that was looked up last. A
//! guess that is right saves the look-up in the index, a tenth of what a read costs; one that is
//! wrong is noticed, since the row found must be the contact's, and costs as much. So an account in
//! which guesses would often be wrong gets none.

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering::Relaxed};

use meishi_contacts::{AccountId, ContactId};

/// Accounts share a slot where there are more of them, and then guess wrong more often.
const SLOTS: usize = 1024;

/// What a right guess, or one that would have been right, adds to the trust in a slot.
const RIGHT: u32 = 1;
/// What a wrong one takes away.
const WRONG: u32 = 8;
/// From here on guesses are made.
const TRUSTED: u32 = 8;
/// More trust than this is not kept.
const MOST: u32 = 32;

/// What was learned of all accounts. No look-up waits for another one: where two meet, one of them
/// teaches nothing.
#[derive(Debug)]
pub(super) struct Rowids(Box<[Slot]>);

#[derive(Debug, Default)]
struct Slot {
    /// How far the row was from the contact's number.
    distance: AtomicI64,
    trust: AtomicU32,
}

impl Default for Rowids {
    fn default() -> Self {
        Self((0..SLOTS).map(|_| Slot::default()).collect())
    }
}

impl Rowids {
    /// A row to look at before the index.
    pub(super) fn guess(&self, account: AccountId, id: ContactId) -> Option<i64> {
        let slot = self.slot(account)?;
        (slot.trust.load(Relaxed) >= TRUSTED).then(|| slot.row(id))
    }

    /// The guess was the contact's row, or was not.
    pub(super) fn judge(&self, account: AccountId, is_right: bool) {
        let Some(slot) = self.slot(account) else { return };
        let trust = slot.trust.load(Relaxed);
        let judged = if is_right { (trust + RIGHT).min(MOST) } else { trust.saturating_sub(WRONG) };
        // Mostly there is as much as there can be.
        if judged != trust {
            slot.trust.store(judged, Relaxed);
        }
    }

    /// The index says in which row the contact is.
    pub(super) fn learn(&self, account: AccountId, id: ContactId, row: i64) {
        let Some(slot) = self.slot(account) else { return };
        let would_be_right = slot.row(id) == row;
        slot.distance.store(row.wrapping_sub(id.0), Relaxed);
        self.judge(account, would_be_right);
    }

    fn slot(&self, account: AccountId) -> Option<&Slot> {
        self.0.get(usize::try_from(account.0.unsigned_abs()).unwrap_or_default() % SLOTS)
    }
}

impl Slot {
    fn row(&self, id: ContactId) -> i64 {
        id.0.wrapping_add(self.distance.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACME: AccountId = AccountId(17_000_000_000_001);

    #[test]
    fn an_account_whose_rows_follow_each_other_is_guessed() {
        let rowids = Rowids::default();
        assert_eq!(rowids.guess(ACME, ContactId(1)), None);
        for id in 1..20 {
            rowids.learn(ACME, ContactId(id), id + 100);
        }
        assert_eq!(rowids.guess(ACME, ContactId(1000)), Some(1100));
        assert_eq!(rowids.guess(AccountId(2), ContactId(1000)), None);
    }

    #[test]
    fn one_whose_rows_lie_between_those_of_others_is_not() {
        let rowids = Rowids::default();
        for id in 1..1000 {
            rowids.learn(ACME, ContactId(id), id * 2);
            assert_eq!(rowids.guess(ACME, ContactId(id)), None);
        }
    }

    #[test]
    fn wrong_guesses_end_them_and_right_ones_bring_them_back() {
        let rowids = Rowids::default();
        for id in 1..100 {
            rowids.learn(ACME, ContactId(id), id);
        }
        for _ in 0..4 {
            assert!(rowids.guess(ACME, ContactId(1)).is_some());
            rowids.judge(ACME, false);
        }
        assert_eq!(rowids.guess(ACME, ContactId(1)), None);
        for id in 200..210 {
            rowids.learn(ACME, ContactId(id), id + 7);
        }
        assert_eq!(rowids.guess(ACME, ContactId(500)), Some(507));
    }
}
