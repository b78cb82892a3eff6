//! Who holds which address, without a random page for each new one.
//!
//! Addresses come in no order, and each new one in the sorted table (`identities`) would be another
//! page of the log. So the new ones are appended to a table in the order in which they come
//! (`recent_identities`) and kept in memory besides (`gathered.rs`). Once there are many, they are
//! folded: sorted, and written to the sorted table in its order, a part with each commit that brings
//! new ones, so that a page takes several at once and no commit takes long. Then they leave the
//! appended table, part by part too, and at last memory. What neither memory nor the sorted table
//! holds is mostly known without a look at them (`known.rs`).
//!
//! The two tables together are the truth (the view `addresses`): what memory holds is read from the
//! appended one when the store is opened, and a part that is folded twice changes nothing. A clean
//! stop folds all of it.

mod gathered;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use indexmap::map::Entry;
use meishi_contacts::{AccountId, ContactId, Identity, IdentityKind};
use rusqlite::{Connection, OptionalExtension as _, params};

pub(super) use self::gathered::Recent;
use self::gathered::{Asked, Held, Key, Map};
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

/// What the open transaction made of an address.
#[derive(Debug, Clone, Copy)]
struct Change {
    /// Who holds it, unless it is not gathered.
    held: Option<Held>,
    /// Whether memory held it before.
    was_gathered: bool,
}

/// How far the addresses are that are being folded: those that are at `to` or before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fold {
    /// None are.
    Resting,
    /// So many of them are in the sorted table.
    Inserting { done: usize, to: i64 },
    /// All are, and leave the appended table.
    Trimming { to: i64 },
}

/// The ledger as the writer's transactions change it.
#[derive(Debug)]
pub(super) struct Identities {
    recent: Recent,
    known: Known,
    /// What the open transaction changed.
    changed: Map<Change>,
    /// Addresses that it took from the sorted table.
    taken: BTreeSet<Key>,
    /// What `changed` said before each change, by its index there; nothing before the first.
    undo: Vec<(usize, Option<Change>)>,
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
        let mut recent = Map::default();
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
        Ok(Self {
            recent: Recent::new(recent),
            known: Known::new(connection),
            changed: Map::default(),
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
        let asked = Asked(account, identity);
        if let Some(change) = self.changed.get(&asked) {
            // What it took is in neither table any more.
            return Ok(change.held.map(|held| held.contact));
        }
        if !self.known.may_hold(account, identity) {
            return Ok(None);
        }
        if let Some(held) = self.recent.read().get(&asked) {
            return Ok(Some(held.contact));
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
        if sorted > 0 {
            self.taken.insert((account, identity.clone()));
        }
        let asked = Asked(account, identity);
        let held = match self.changed.get(&asked) {
            Some(change) => change.held,
            None => self.recent.read().get(&asked),
        };
        if let Some(held) = held {
            connection.prepare_cached(DELETE_RECENT)?.execute([held.position])?;
            self.change((account, identity.clone()), None);
        }
        Ok(())
    }

    fn change(&mut self, key: Key, held: Option<Held>) {
        let entry = self.changed.entry(key);
        let index = entry.index();
        let before = match entry {
            Entry::Occupied(mut known) => {
                let change = Change { held, ..*known.get() };
                Some(known.insert(change))
            }
            Entry::Vacant(new) => {
                // What is given at first nobody held, and what is taken at first memory did.
                new.insert(Change { held, was_gathered: held.is_none() });
                None
            }
        };
        self.undo.push((index, before));
    }

    /// A savepoint to roll back to.
    pub(super) fn savepoint(&self) -> usize {
        self.undo.len()
    }

    /// Forgets what was changed since a savepoint, whose rows are rolled back too.
    pub(super) fn roll_back_to(&mut self, savepoint: usize) {
        while self.undo.len() > savepoint {
            let Some((index, before)) = self.undo.pop() else { return };
            match (before, self.changed.get_index_mut(index)) {
                (Some(before), Some((_, change))) => *change = before,
                // It was the last that was changed for the first time.
                _ => self.changed.truncate(index),
            }
        }
    }

    /// Folds a part, in the open transaction: the more, the more it brings.
    pub(super) fn fold(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let brought = self.changed.values().filter(|change| change.held.is_some()).count();
        let rows = (brought * FOLDED_FOR_EACH).min(FOLDED_AT_ONCE.max(brought * 2));
        self.folded = match self.fold {
            _ if rows == 0 || self.is_stuck => None,
            Fold::Resting => None,
            Fold::Inserting { done, to } => self.insert_sorted(connection, done, to, rows)?,
            Fold::Trimming { to } => Some(trim(connection, to, rows * TRIMMED)?),
        };
        Ok(())
    }

    /// Notes that a part could not be folded, as on a damaged page: no write need fail for it.
    pub(super) fn give_up_folding(&mut self, error: &rusqlite::Error) {
        tracing::error!(%error, "new addresses stay unsorted; see what `meishi doctor` says");
        (self.is_stuck, self.folded) = (true, None);
    }

    /// Writes those after the first `done` to the sorted table, unless they are still being sorted.
    fn insert_sorted(
        &self,
        connection: &Connection,
        done: usize,
        to: i64,
        rows: usize,
    ) -> rusqlite::Result<Option<Fold>> {
        let gathered = self.recent.read();
        let Some(rest) = gathered.sorted(done) else { return Ok(None) };
        let left = rest.len();
        let mut insert = connection.prepare_cached(FOLD)?;
        for (key, held) in rest.take(rows).flatten() {
            // What the open transaction took or gave anew is not to be seen here any more.
            if !self.changed.contains_key(key) {
                let (account, Identity { kind, value }) = key;
                insert.execute(params![account.0, kind.as_str(), value, held.contact.0])?;
            }
        }
        let is_last = left <= rows;
        let inserting = Fold::Inserting { done: done + rows, to };
        Ok(Some(if is_last { Fold::Trimming { to } } else { inserting }))
    }

    /// The transaction is about to be committed: who does not find an address in the sorted table
    /// any more is to find who has it now.
    pub(super) fn announce(&self) {
        if self.taken.is_empty() {
            return;
        }
        let mut gathered = self.recent.write();
        for key in &self.taken {
            if let Some(Change { held: Some(held), .. }) = self.changed.get(key) {
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
        for (key, change) in self.changed.drain(..) {
            if change.was_gathered {
                gathered.remove(&key);
            }
            if let Some(held) = change.held {
                self.known.add(key.0, &key.1);
                gathered.recent.insert(key, held);
            }
        }
        if let Some(fold) = self.folded.take() {
            if fold == Fold::Resting {
                gathered.end_folding();
            }
            self.fold = fold;
        }
        if self.fold == Fold::Resting && gathered.recent.len() >= self.gather {
            gathered.begin_folding();
            self.fold = Fold::Inserting { done: 0, to: self.position };
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
