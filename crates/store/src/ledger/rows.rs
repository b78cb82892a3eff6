//! Rows by their key: as they were loaded, as the accepted changes left them, and as the change at
//! work sees them.

use std::collections::BTreeMap;

/// Rows of one table that some calls touch.
#[derive(Debug)]
pub(super) struct Rows<K, V> {
    loaded: BTreeMap<K, V>,
    accepted: BTreeMap<K, Option<V>>,
    pending: BTreeMap<K, Option<V>>,
}

impl<K, V> Default for Rows<K, V> {
    fn default() -> Self {
        Self { loaded: BTreeMap::new(), accepted: BTreeMap::new(), pending: BTreeMap::new() }
    }
}

/// A row that is not as it was loaded; one of both sides is there.
#[derive(Debug)]
pub(super) struct Difference<K, V> {
    pub(super) key: K,
    pub(super) before: Option<V>,
    pub(super) after: Option<V>,
}

impl<K: Ord + Clone, V: PartialEq> Rows<K, V> {
    /// Notes a row as it is stored.
    pub(super) fn load(&mut self, key: K, row: V) {
        self.loaded.insert(key, row);
    }

    /// The row as it is now.
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        match self.pending.get(key).or_else(|| self.accepted.get(key)) {
            Some(changed) => changed.as_ref(),
            None => self.loaded.get(key),
        }
    }

    /// Writes a row.
    pub(super) fn put(&mut self, key: K, row: V) {
        self.pending.insert(key, Some(row));
    }

    /// Deletes a row.
    pub(super) fn remove(&mut self, key: K) {
        self.pending.insert(key, None);
    }

    /// The keys of the rows that there are now.
    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        let seen = |key: &&K| self.get(key).is_some();
        let accepted = self.accepted.keys().filter(|key| !self.loaded.contains_key(key));
        let pending = self
            .pending
            .keys()
            .filter(|key| !self.loaded.contains_key(key) && !self.accepted.contains_key(key));
        self.loaded.keys().chain(accepted).chain(pending).filter(seen)
    }

    /// How many more rows there are than were loaded.
    pub(super) fn growth(&self) -> i64 {
        self.growth_where(|_| true)
    }

    /// How many more rows with such keys there are than were loaded.
    pub(super) fn growth_where(&self, wanted: impl Fn(&K) -> bool) -> i64 {
        let now = self.keys().filter(|key| wanted(key)).count();
        let before = self.loaded.keys().filter(|key| wanted(key)).count();
        i64::try_from(now).unwrap_or(i64::MAX) - i64::try_from(before).unwrap_or(i64::MAX)
    }

    /// Keeps what the change at work did.
    pub(super) fn accept(&mut self) {
        // Not `append`, which goes through all that was accepted before.
        self.accepted.extend(std::mem::take(&mut self.pending));
    }

    /// Forgets what the change at work did.
    pub(super) fn undo(&mut self) {
        self.pending.clear();
    }

    /// Takes loaded rows with such keys as gone: something else deletes them.
    pub(super) fn forget(&mut self, gone: impl Fn(&K) -> bool) {
        self.loaded.retain(|key, _| !gone(key));
    }

    /// What was accepted, where it differs from what was loaded, by key.
    pub(super) fn differences(mut self) -> Vec<Difference<K, V>> {
        let mut differences = Vec::with_capacity(self.accepted.len());
        for (key, after) in self.accepted {
            let before = self.loaded.remove(&key);
            if before != after {
                differences.push(Difference { key, before, after });
            }
        }
        differences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_in_the_end_is_a_difference() {
        let mut rows = Rows::default();
        for key in 1..=3 {
            rows.load(key, "old");
        }
        rows.put(1, "new");
        rows.remove(2);
        rows.remove(3);
        rows.put(4, "made");
        rows.accept();
        rows.put(3, "old");
        rows.put(5, "made and gone");
        rows.accept();
        rows.remove(5);
        rows.accept();
        assert_eq!(rows.keys().copied().collect::<Vec<_>>(), [1, 3, 4]);
        assert_eq!(rows.growth(), 0);
        let differences: Vec<_> =
            rows.differences().into_iter().map(|d| (d.key, d.before, d.after)).collect();
        let expected =
            [(1, Some("old"), Some("new")), (2, Some("old"), None), (4, None, Some("made"))];
        assert_eq!(differences, expected);
    }

    #[test]
    fn what_is_undone_was_never_there() {
        let mut rows = Rows::default();
        rows.load(1, "old");
        rows.put(2, "kept");
        rows.accept();
        rows.remove(1);
        rows.put(2, "lost");
        rows.put(3, "lost");
        assert_eq!(
            (rows.get(&1), rows.get(&2), rows.get(&3)),
            (None, Some(&"lost"), Some(&"lost"))
        );
        assert_eq!(rows.growth(), 1);
        rows.undo();
        assert_eq!((rows.get(&1), rows.get(&2), rows.get(&3)), (Some(&"old"), Some(&"kept"), None));
        assert_eq!(rows.growth(), 1);
    }
}
