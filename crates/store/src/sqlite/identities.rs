//! Who holds which address, without a random page for each new one.
//!
//! Addresses come in no order, and each new one in the sorted table (`identities`) would be another
//! page of the log. So the new ones are appended to a table in the order in which they come
//! (`recent_identities`) and kept in memory besides, sorted. Once there are many, they are folded:
//! written to the sorted table in its order, a part with each commit that brings new ones, so that
//! a page takes several at once and no commit takes long. Then they leave the appended table, part
//! by part too, and at last memory. What neither memory nor the sorted table holds is mostly known
//! without a look at the table (`known.rs`).
//!
//! The two tables together are the truth (the view `addresses`): what memory holds is read from the
//! appended one when the store is opened, and a part that is folded twice changes nothing. A clean
//! stop folds all of it.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    thread,
};

use meishi_contacts::{AccountId, ContactId, Identity, IdentityKind};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{known::Known, row};

/// So many addresses are gathered before they are folded: some 60 MB, of which a page of the sorted
/// table takes ten at once where it holds a million contacts.
const GATHERED: usize = 1 << 19;

/// How many are folded for each one that a commit brings. They must be done before as many have come
/// again; the fewer, the less a write is slowed down meanwhile.
const FOLDED_FOR_EACH: usize = 2;

/// How many times as many leave the appended table at once, which costs little.
const TRIMMED: usize = 4;

/// At most so many are folded in one commit, unless it brings more.
const FOLDED_AT_ONCE: usize = 4096;

statements! {
    OWNER = "SELECT contact_id FROM identities
         WHERE account_id = ?1 AND kind = ?2 AND value = ?3";
    INSERT = "INSERT INTO recent_identities (position, account_id, kind, value, contact_id,
           is_primary)
         VALUES (?1, ?2, ?3, ?4, ?5, 1)";
    DELETE = "DELETE FROM identities WHERE account_id = ?1 AND kind = ?2 AND value = ?3";
    DELETE_RECENT = "DELETE FROM recent_identities WHERE position = ?1";
    FOLD = "INSERT INTO identities (account_id, kind, value, contact_id, is_primary)
         VALUES (?1, ?2, ?3, ?4, 1)
         ON CONFLICT DO NOTHING";
    TRIM_TO = "SELECT position FROM recent_identities WHERE position <= ?1
         ORDER BY position LIMIT 1 OFFSET ?2";
    TRIM = "DELETE FROM recent_identities WHERE position <= ?1";
    RECENT = "SELECT position, account_id, kind, value, contact_id FROM recent_identities
         ORDER BY position";
    FOLD_ALL = "INSERT INTO identities (account_id, kind, value, contact_id, is_primary)
         SELECT account_id, kind, value, contact_id, is_primary FROM recent_identities
         WHERE true
         ORDER BY account_id, kind, value
         ON CONFLICT DO NOTHING";
    TRIM_ALL = "DELETE FROM recent_identities";
}

/// An address of an account: those of a kind lie together in the sorted table.
type Key = (AccountId, Identity);

/// Who holds an address that is in the appended table, and where in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    contact: ContactId,
    position: i64,
}

/// What memory holds, as it was committed last.
#[derive(Debug, Default)]
struct Gathered {
    recent: BTreeMap<Key, Held>,
    /// Those that are being folded: they are in the appended table, and some in the sorted one too.
    folding: BTreeMap<Key, Held>,
    /// Those of the sorted table that the transaction being committed gives to somebody else.
    moving: BTreeMap<Key, ContactId>,
}

impl Gathered {
    fn get(&self, key: &Key) -> Option<Held> {
        self.recent.get(key).or_else(|| self.folding.get(key)).copied()
    }
}

/// What memory holds of the ledger, for readers.
#[derive(Debug, Clone, Default)]
pub(super) struct Recent(Arc<RwLock<Gathered>>);

impl Recent {
    /// Who holds an address, as far as memory knows.
    pub(super) fn owner(&self, account: AccountId, identity: &Identity) -> Option<ContactId> {
        self.read().get(&(account, identity.clone())).map(|held| held.contact)
    }

    /// The same of an address that neither memory nor, after that, the sorted table held: it may
    /// have come to somebody else in between.
    pub(super) fn next_owner(&self, account: AccountId, identity: &Identity) -> Option<ContactId> {
        let (gathered, key) = (self.read(), (account, identity.clone()));
        gathered.get(&key).map(|held| held.contact).or_else(|| gathered.moving.get(&key).copied())
    }

    fn read(&self) -> RwLockReadGuard<'_, Gathered> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Gathered> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who holds an address, as far as the sorted table knows.
pub(super) fn sorted_owner(
    connection: &Connection,
    account: AccountId,
    identity: &Identity,
) -> rusqlite::Result<Option<ContactId>> {
    connection
        .prepare_cached(OWNER)?
        .query_row(params![account.0, identity.kind.as_str(), identity.value], |row| {
            row.get(0).map(ContactId)
        })
        .optional()
}

/// Takes so many rows from the beginning of the appended table, those up to `to`. Positions do not
/// tell how many there are: most may have been taken by their owners before.
fn trim(connection: &Connection, to: i64, rows: usize) -> rusqlite::Result<Fold> {
    let last = connection
        .prepare_cached(TRIM_TO)?
        .query_row(params![to, rows - 1], |row| row.get(0))
        .optional()?
        .unwrap_or(to);
    connection.prepare_cached(TRIM)?.execute([last])?;
    Ok(if last == to { Fold::Resting } else { Fold::Trimming { to } })
}

/// Folds everything. Nobody else may write to the database meanwhile.
pub(crate) fn fold_all(connection: &Connection) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute(FOLD_ALL, [])?;
    transaction.execute(TRIM_ALL, [])?;
    transaction.commit()
}

/// What the open transaction had made of an address.
#[derive(Debug, Clone, Copy)]
enum Before {
    Untouched,
    Changed(Option<Held>),
}

/// How far the addresses are that are being folded: those that are at `to` or before.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fold {
    /// None are.
    Resting,
    /// Those up to `last` are in the sorted table.
    Inserting { last: Option<Key>, to: i64 },
    /// All are, and leave the appended table.
    Trimming { to: i64 },
}

/// The ledger as the writer's transactions change it.
#[derive(Debug)]
pub(super) struct Identities {
    recent: Recent,
    known: Known,
    /// What the open transaction changed: who holds an address, or that it is not gathered.
    changed: BTreeMap<Key, Option<Held>>,
    /// Addresses that it took from the sorted table.
    taken: BTreeSet<Key>,
    /// What `changed` said before each change.
    undo: Vec<(Key, Before)>,
    /// The last position that was given; none is given twice.
    position: i64,
    fold: Fold,
    /// How far the open transaction brought it.
    folded: Option<Fold>,
    /// Whether it failed and is left to the next start.
    is_stuck: bool,
    gather: usize,
}

impl Identities {
    /// Reads what was not folded yet.
    pub(super) fn open(connection: &Connection) -> rusqlite::Result<Self> {
        let mut recent = BTreeMap::new();
        let mut statement = connection.prepare(RECENT)?;
        let mut rows = statement.query([])?;
        let mut position = 0;
        while let Some(row) = rows.next()? {
            position = row.get(0)?;
            let kind = row::parsed(row, 2, IdentityKind::parse)?;
            let identity = Identity { kind, value: row.get(3)? };
            let held = Held { contact: ContactId(row.get(4)?), position };
            recent.insert((AccountId(row.get(1)?), identity), held);
        }
        let gathered = Gathered { recent, ..Gathered::default() };
        Ok(Self {
            recent: Recent(Arc::new(RwLock::new(gathered))),
            known: Known::new(connection),
            changed: BTreeMap::new(),
            taken: BTreeSet::new(),
            undo: Vec::new(),
            position,
            fold: Fold::Resting,
            folded: None,
            is_stuck: false,
            gather: GATHERED,
        })
    }

    /// What readers look into.
    pub(super) fn recent(&self) -> Recent {
        self.recent.clone()
    }

    /// Who holds an address, as the open transaction left it.
    pub(super) fn owner(
        &mut self,
        connection: &Connection,
        account: AccountId,
        identity: &Identity,
    ) -> rusqlite::Result<Option<ContactId>> {
        let key = (account, identity.clone());
        if let Some(held) = self.held(&key) {
            return Ok(Some(held.contact));
        }
        if !self.known.may_hold(account, identity) {
            return Ok(None);
        }
        let owner = sorted_owner(connection, account, identity)?;
        if owner.is_none() {
            self.known.missed();
        }
        Ok(owner)
    }

    /// Folds everything and ends what goes on beside the writer.
    pub(super) fn close(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.known.close();
        fold_all(connection)
    }

    /// Gives an address that nobody holds to a contact.
    pub(super) fn insert(
        &mut self,
        connection: &Connection,
        account: AccountId,
        identity: &Identity,
        contact: ContactId,
    ) -> rusqlite::Result<()> {
        self.position += 1;
        let position = self.position;
        let (kind, value) = (identity.kind.as_str(), &identity.value);
        connection
            .prepare_cached(INSERT)?
            .execute(params![position, account.0, kind, value, contact.0])?;
        self.change((account, identity.clone()), Some(Held { contact, position }));
        Ok(())
    }

    /// Takes an address from whoever holds it.
    pub(super) fn remove(
        &mut self,
        connection: &Connection,
        account: AccountId,
        identity: &Identity,
    ) -> rusqlite::Result<()> {
        let (kind, value) = (identity.kind.as_str(), &identity.value);
        let sorted = connection.prepare_cached(DELETE)?.execute(params![account.0, kind, value])?;
        let key = (account, identity.clone());
        if sorted > 0 {
            self.taken.insert(key.clone());
        }
        if let Some(held) = self.held(&key) {
            connection.prepare_cached(DELETE_RECENT)?.execute([held.position])?;
            self.change(key, None);
        }
        Ok(())
    }

    fn held(&self, key: &Key) -> Option<Held> {
        match self.changed.get(key) {
            Some(changed) => *changed,
            None => self.recent.read().get(key),
        }
    }

    fn change(&mut self, key: Key, to: Option<Held>) {
        let before = self.changed.insert(key.clone(), to);
        self.undo.push((key, before.map_or(Before::Untouched, Before::Changed)));
    }

    /// A savepoint to roll back to.
    pub(super) fn savepoint(&self) -> usize {
        self.undo.len()
    }

    /// Forgets what was changed since a savepoint, whose rows are rolled back too.
    pub(super) fn roll_back_to(&mut self, savepoint: usize) {
        while self.undo.len() > savepoint {
            match self.undo.pop() {
                Some((key, Before::Changed(before))) => self.changed.insert(key, before),
                Some((key, Before::Untouched)) => self.changed.remove(&key),
                None => None,
            };
        }
    }

    /// Folds a part, in the open transaction: the more, the more it brings.
    pub(super) fn fold(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let brought = self.changed.values().flatten().count();
        let rows = (brought * FOLDED_FOR_EACH).min(FOLDED_AT_ONCE.max(brought * 2));
        self.folded = match &self.fold {
            _ if rows == 0 || self.is_stuck => None,
            Fold::Resting => None,
            Fold::Inserting { last, to } => {
                Some(self.insert_sorted(connection, last.as_ref(), *to, rows)?)
            }
            Fold::Trimming { to } => Some(trim(connection, *to, rows * TRIMMED)?),
        };
        Ok(())
    }

    /// Notes that a part could not be folded, as on a damaged page: no write need fail for it.
    pub(super) fn give_up_folding(&mut self, error: &rusqlite::Error) {
        tracing::error!(%error, "new addresses stay unsorted; see what `meishi doctor` says");
        (self.is_stuck, self.folded) = (true, None);
    }

    /// Writes those after `last` to the sorted table.
    fn insert_sorted(
        &self,
        connection: &Connection,
        last: Option<&Key>,
        to: i64,
        rows: usize,
    ) -> rusqlite::Result<Fold> {
        let mut insert = connection.prepare_cached(FOLD)?;
        let after = last.map_or(Bound::Unbounded, Bound::Excluded);
        let gathered = self.recent.read();
        let mut rest = gathered.folding.range((after, Bound::Unbounded));
        let mut reached = None;
        for (key, held) in rest.by_ref().take(rows) {
            // What the open transaction took or gave anew is not to be seen here any more.
            if !self.changed.contains_key(key) {
                let (account, Identity { kind, value }) = key;
                insert.execute(params![account.0, kind.as_str(), value, held.contact.0])?;
            }
            reached = Some(key);
        }
        Ok(match (reached, rest.next()) {
            (Some(last), Some(_)) => Fold::Inserting { last: Some(last.clone()), to },
            _ => Fold::Trimming { to },
        })
    }

    /// The transaction is about to be committed: who does not find an address in the sorted table
    /// any more is to find who has it now.
    pub(super) fn announce(&self) {
        if self.taken.is_empty() {
            return;
        }
        let mut gathered = self.recent.write();
        for key in &self.taken {
            if let Some(Some(held)) = self.changed.get(key) {
                gathered.moving.insert(key.clone(), held.contact);
            }
        }
    }

    /// The transaction is committed.
    pub(super) fn commit(&mut self) {
        self.undo.clear();
        self.taken.clear();
        let mut gathered = self.recent.write();
        gathered.moving.clear();
        for (key, held) in std::mem::take(&mut self.changed) {
            gathered.folding.remove(&key);
            match held {
                Some(held) => {
                    self.known.add(key.0, &key.1);
                    gathered.recent.insert(key, held)
                }
                None => gathered.recent.remove(&key),
            };
        }
        match self.folded.take() {
            Some(Fold::Resting) => {
                self.fold = Fold::Resting;
                let folded = std::mem::take(&mut gathered.folding);
                // To free them takes some milliseconds, which no commit need wait for.
                let _ = thread::Builder::new().spawn(move || drop(folded));
            }
            Some(fold) => self.fold = fold,
            None => {}
        }
        if self.fold == Fold::Resting && gathered.recent.len() >= self.gather {
            gathered.folding = std::mem::take(&mut gathered.recent);
            self.fold = Fold::Inserting { last: None, to: self.position };
        }
    }

    /// The transaction is rolled back.
    pub(super) fn roll_back(&mut self) {
        if !std::mem::take(&mut self.taken).is_empty() {
            self.recent.write().moving.clear();
        }
        self.undo.clear();
        self.changed.clear();
        self.folded = None;
    }
}
