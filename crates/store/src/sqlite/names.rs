//! What a contact's row only has the numbers of: its labels' titles, and its channels.
//!
//! They are few and rarely change, so that readers keep them. Numbers of labels and of events grow:
//! one beyond those that were known when an account's names were read is what makes them read anew.

use std::{
    cell::RefCell,
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use meishi_contacts::{AccountId, InboxId, Label, LabelId, Seq};
use rusqlite::{Connection, OptionalExtension, params};

use super::{inboxes, labels};
use crate::ledger::StoredInbox;

/// Names that are kept at most, of all accounts.
const KEPT: usize = 200_000;

statements! {
    MOMENT = "SELECT last_seq, last_label_id FROM counters WHERE account_id = ?1";
    TITLES = "SELECT id, title FROM labels WHERE account_id = ?1";
}

/// Where names come from.
pub(super) trait Names {
    /// The title of a label, if it is still there.
    fn title(
        &self,
        connection: &Connection,
        account: AccountId,
        id: LabelId,
    ) -> rusqlite::Result<Option<Label>>;

    /// The channel that an event made, if it is still there.
    fn inbox(
        &self,
        connection: &Connection,
        account: AccountId,
        id: InboxId,
        made_seq: Seq,
    ) -> rusqlite::Result<Option<StoredInbox>>;
}

/// Names as the connection's transaction has them: each is looked up.
#[derive(Debug)]
pub(super) struct LookedUp;

impl Names for LookedUp {
    fn title(
        &self,
        connection: &Connection,
        account: AccountId,
        id: LabelId,
    ) -> rusqlite::Result<Option<Label>> {
        Ok(labels::get(connection, account, id)?.map(|label| label.title))
    }

    fn inbox(
        &self,
        connection: &Connection,
        account: AccountId,
        id: InboxId,
        made_seq: Seq,
    ) -> rusqlite::Result<Option<StoredInbox>> {
        let found = inboxes::stored(connection, account, id)?;
        Ok(found.filter(|stored| stored.made_seq == made_seq))
    }
}

/// All names of one account, as of the transaction in which they were read or as they were while
/// that moment's were read.
#[derive(Debug)]
pub(super) struct AccountNames {
    /// The last event and the last label that they are sure to know of.
    last_seq: Seq,
    last_label: LabelId,
    titles: HashMap<LabelId, Label>,
    inboxes: HashMap<InboxId, StoredInbox>,
}

impl AccountNames {
    /// Reads them.
    pub(super) fn read(connection: &Connection, account: AccountId) -> rusqlite::Result<Self> {
        // First, so that no more is promised than is read.
        let moment = connection
            .prepare_cached(MOMENT)?
            .query_row(params![account.0], |row| Ok((Seq(row.get(0)?), LabelId(row.get(1)?))))
            .optional()?;
        let (last_seq, last_label) = moment.unwrap_or((Seq(0), LabelId(0)));
        let titles = connection
            .prepare_cached(TITLES)?
            .query_map(params![account.0], |row| {
                Ok((LabelId(row.get(0)?), Label::from_stored(row.get(1)?)))
            })?
            .collect::<rusqlite::Result<_>>()?;
        let inboxes = inboxes::all(connection, account)?;
        let inboxes = inboxes.into_iter().map(|stored| (stored.inbox.id, stored)).collect();
        Ok(Self { last_seq, last_label, titles, inboxes })
    }

    fn len(&self) -> usize {
        self.titles.len() + self.inboxes.len()
    }

    fn title_of(&self, id: LabelId) -> Option<Label> {
        self.titles.get(&id).cloned()
    }

    fn made_by(&self, id: InboxId, made_seq: Seq) -> Option<StoredInbox> {
        self.inboxes.get(&id).filter(|stored| stored.made_seq == made_seq).cloned()
    }
}

/// Those of one account in the transaction that read them.
impl Names for AccountNames {
    fn title(&self, _: &Connection, _: AccountId, id: LabelId) -> rusqlite::Result<Option<Label>> {
        Ok(self.title_of(id))
    }

    fn inbox(
        &self,
        _: &Connection,
        _: AccountId,
        id: InboxId,
        made_seq: Seq,
    ) -> rusqlite::Result<Option<StoredInbox>> {
        Ok(self.made_by(id, made_seq))
    }
}

/// Names that readers keep.
#[derive(Debug, Default)]
pub(super) struct NameCache(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    accounts: HashMap<AccountId, Arc<AccountNames>>,
    names: usize,
    /// How often names changed: what was read before a change is not kept.
    changes: u64,
}

impl NameCache {
    /// Forgets all: some were changed, and those are on disk.
    pub(super) fn forget(&self) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let changes = known.changes + 1;
        *known = Known { changes, ..Known::default() };
    }

    fn get(&self, account: AccountId) -> Option<Arc<AccountNames>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.accounts.get(&account).cloned()
    }

    fn read(
        &self,
        connection: &Connection,
        account: AccountId,
    ) -> rusqlite::Result<Arc<AccountNames>> {
        let changes = self.0.read().unwrap_or_else(PoisonError::into_inner).changes;
        let names = Arc::new(AccountNames::read(connection, account)?);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.changes == changes {
            if known.names + names.len() > KEPT {
                *known = Known { changes, ..Known::default() };
            }
            known.names += names.len();
            if let Some(before) = known.accounts.insert(account, Arc::clone(&names)) {
                known.names -= before.len();
            }
        }
        Ok(names)
    }

    /// The names of one account, for one read.
    pub(super) fn of(&self, account: AccountId) -> KnownNames<'_> {
        KnownNames { cache: self, account, names: RefCell::new(None) }
    }
}

/// Names for one read: those that are known, read anew where they do not suffice.
#[derive(Debug)]
pub(super) struct KnownNames<'a> {
    cache: &'a NameCache,
    account: AccountId,
    names: RefCell<Option<Arc<AccountNames>>>,
}

impl KnownNames<'_> {
    /// What is found among names of which `suffices` says that they will do.
    fn find<T>(
        &self,
        connection: &Connection,
        suffices: impl Fn(&AccountNames) -> bool,
        find: impl FnOnce(&AccountNames) -> Option<T>,
    ) -> rusqlite::Result<Option<T>> {
        let mut names = self.names.borrow_mut();
        if names.is_none() {
            *names = self.cache.get(self.account);
        }
        match names.as_ref().filter(|names| suffices(names)) {
            Some(names) => Ok(find(names)),
            None => Ok(find(names.insert(self.cache.read(connection, self.account)?))),
        }
    }
}

impl Names for KnownNames<'_> {
    fn title(
        &self,
        connection: &Connection,
        _: AccountId,
        id: LabelId,
    ) -> rusqlite::Result<Option<Label>> {
        self.find(connection, |names| id <= names.last_label, |names| names.title_of(id))
    }

    fn inbox(
        &self,
        connection: &Connection,
        _: AccountId,
        id: InboxId,
        made_seq: Seq,
    ) -> rusqlite::Result<Option<StoredInbox>> {
        let suffices = |names: &AccountNames| made_seq <= names.last_seq;
        self.find(connection, suffices, |names| names.made_by(id, made_seq))
    }
}
