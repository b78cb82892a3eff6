//! What keyed calls came to, as it is kept for a repeat.

use std::{collections::BTreeSet, io};

use meishi_contacts::{ContactId, KeyId, UnixMillis, limits::IDEMPOTENCY_TTL};

use super::Results;
use crate::{Change, ChangeError, Idempotency, Missing, Outcome};

/// What an idempotency key names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OutcomeKey {
    pub(crate) api_key_id: KeyId,
    pub(crate) route: String,
    pub(crate) key: String,
}

impl From<&Idempotency> for OutcomeKey {
    fn from(key: &Idempotency) -> Self {
        Self { api_key_id: key.api_key_id, route: key.route.clone(), key: key.key.clone() }
    }
}

/// What a keyed call was, and what it came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KeptOutcome {
    pub(crate) fingerprint: [u8; 32],
    pub(crate) results: Results,
    pub(crate) at: UnixMillis,
    /// The contacts that it tells of; not loaded, only saved.
    pub(crate) contacts: BTreeSet<ContactId>,
}

impl KeptOutcome {
    /// What is kept of a call: what it told of contacts that it erased later is not.
    pub(super) fn new(
        key: &Idempotency,
        changes: &[Change],
        results: &Results,
        at: UnixMillis,
    ) -> Self {
        let mut results = results.clone();
        for number in 0..changes.len() {
            let erased = match (changes.get(number), results.get(number)) {
                (Some(Change::EraseContact { id }), Some(Ok(_))) => *id,
                _ => continue,
            };
            forget(&mut results, erased);
        }
        let contacts = told_of(&results);
        Self { fingerprint: key.fingerprint, results, at, contacts }
    }

    /// Takes what tells of the contact out of it: a repeat of the call finds nothing any more.
    pub(super) fn forget(&mut self, id: ContactId) {
        forget(&mut self.results, id);
        self.contacts = told_of(&self.results);
    }

    /// Whether the key may be used anew.
    pub(super) fn is_expired(&self, now: UnixMillis) -> bool {
        let seconds = i64::try_from(IDEMPOTENCY_TTL.as_secs()).unwrap_or(i64::MAX);
        self.at.plus_seconds(seconds) <= now
    }
}

/// The contacts of which results hold more than the number.
fn told_of(results: &Results) -> BTreeSet<ContactId> {
    results.iter().filter_map(tells_of).collect()
}

/// The contact of which a result holds more than the number.
fn tells_of(result: &Result<Outcome, ChangeError>) -> Option<ContactId> {
    match result {
        Ok(Outcome::LabelsSet { id, .. }) | Err(ChangeError::RevertConflict { id, .. }) => {
            Some(*id)
        }
        Ok(outcome) => outcome.record().map(|record| record.contact.id),
        Err(_) => None,
    }
}

/// Takes what tells of the contact out of results.
fn forget(results: &mut Results, id: ContactId) {
    for result in results {
        if tells_of(result) == Some(id) {
            *result = Err(ChangeError::NotFound(Missing::Contact));
        }
    }
}

/// Whether results are larger than so many bytes, in the form in which they are kept.
pub(super) fn are_larger(results: &Results, bytes: usize) -> bool {
    serde_json::to_writer(Room(bytes), results).is_err()
}

/// Counts what is written, and takes no more than there is room for.
struct Room(usize);

impl io::Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_measured_in_the_form_in_which_they_are_kept() {
        let missing = || Err(ChangeError::NotFound(Missing::Contact));
        let results = vec![Ok(Outcome::ContactDeleted), missing()];
        let bytes = serde_json::to_vec(&results).unwrap().len();
        assert!(!are_larger(&results, bytes));
        assert!(are_larger(&results, bytes - 1));
    }
}
