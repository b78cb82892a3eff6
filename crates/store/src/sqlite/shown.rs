//! Contacts that were shown on pages lately, so that a page that is asked for again is not read and
//! decoded again. Single reads pass it by: they are at random. A contact is kept when it is read for
//! the second time, so that who goes through a whole list puts nothing else out.
//!
//! What is kept is as the last commit left it, always. The writer forgets what a commit changes
//! before it begins it, and a read that a commit touched on is not kept: whatever anybody has seen
//! of a commit, nothing from before it is found here. The lock is held for look-ups alone, never
//! for a read or a commit.

use std::{
    hash::BuildHasher as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hashbrown::DefaultHashBuilder;
use hashlink::LruCache;
use meishi_contacts::{AccountId, ContactId, Email, Identifier, Label, Phone};

use crate::{ContactInbox, ContactRecord, StoreError, ledger::Writes};

/// Bytes of contacts that are kept at most.
const ROOM: usize = 16 * 1024 * 1024;

/// Bytes of a contact that is kept, at most: a few large ones would put many others out.
const RECORD_BYTES: usize = 16 * 1024;

/// What a contact takes beside its texts: its own fields, its place in the map, and the counts.
const BESIDE: usize = size_of::<ContactRecord>() + 96;

/// What a text takes beside its bytes.
const BESIDE_TEXT: usize = 16;

/// So many contacts are remembered that were read once.
const SEEN: usize = 1 << 14;

/// The contacts.
pub(super) struct ShownContacts(Mutex<Shown>);

struct Shown {
    records: LruCache<(AccountId, ContactId), Arc<ContactRecord>>,
    bytes: usize,
    room: usize,
    moment: Moment,
    seen: Seen,
}

/// Which contacts were read lately: the last one for each place in it.
#[derive(Default)]
struct Seen {
    hasher: DefaultHashBuilder,
    hashes: Vec<u64>,
}

impl Seen {
    fn remembering(contacts: usize) -> Self {
        Self { hashes: vec![0; contacts], ..Self::default() }
    }

    /// Whether a contact was read before, as far as is remembered. One that remembers nothing takes
    /// every contact for one that was.
    fn again(&mut self, account: AccountId, id: ContactId) -> bool {
        let hash = self.hasher.hash_one((account, id));
        let place = usize::try_from(hash).unwrap_or_default().checked_rem(self.hashes.len());
        let Some(last) = place.and_then(|place| self.hashes.get_mut(place)) else { return true };
        std::mem::replace(last, hash) == hash
    }
}

/// How often a commit began or ended that changes what may be kept: odd while one is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moment(u64);

/// What calls did to contacts that may be kept.
#[derive(Debug, Default)]
pub(super) struct Touched {
    contacts: Vec<(AccountId, ContactId)>,
    /// Whether labels or channels have other names or are gone, whoever shows them.
    names: bool,
}

impl Touched {
    /// Notes what is to be saved. New contacts are none that are kept, as ids are not given twice,
    /// and those that return were not there.
    pub(super) fn note(&mut self, account: AccountId, writes: &Writes) {
        let changed = writes.changed_contacts.iter().map(|row| row.stored.contact.id);
        let gone = writes.gone_contacts.iter().chain(&writes.returned_contacts).copied();
        let erased = writes.erased.iter().map(|erased| erased.id);
        self.contacts.extend(changed.chain(gone).chain(erased).map(|id| (account, id)));
        self.names |= !writes.changed_labels.is_empty()
            || !writes.gone_labels.is_empty()
            || !writes.changed_inboxes.is_empty()
            || !writes.emptied_inboxes.is_empty()
            || !writes.gone_inboxes.is_empty();
    }

    /// Whether labels or channels have other names or are gone.
    pub(super) const fn renames(&self) -> bool {
        self.names
    }
}

/// A commit that is under way, until this is dropped.
#[must_use]
pub(super) struct Committing<'a>(&'a ShownContacts);

impl Drop for Committing<'_> {
    fn drop(&mut self) {
        self.0.shown().moment.0 += 1;
    }
}

impl Default for ShownContacts {
    fn default() -> Self {
        Self::with_room(ROOM, Seen::remembering(SEEN))
    }
}

impl ShownContacts {
    fn with_room(room: usize, seen: Seen) -> Self {
        let records = LruCache::new_unbounded();
        Self(Mutex::new(Shown { records, bytes: 0, room, moment: Moment(0), seen }))
    }

    /// Those of the contacts that there are, all as of one moment. `read` reads some of them in one
    /// transaction, in their order.
    pub(super) fn page(
        &self,
        account: AccountId,
        ids: &[ContactId],
        read: impl Fn(&[ContactId]) -> Result<Vec<Arc<ContactRecord>>, StoreError>,
    ) -> Result<Vec<Arc<ContactRecord>>, StoreError> {
        let (kept, moment) = self.find(account, ids);
        let missing = ids.iter().zip(&kept).filter(|(_, kept)| kept.is_none());
        let missing: Vec<ContactId> = missing.map(|(id, _)| *id).collect();
        if missing.is_empty() {
            return Ok(kept.into_iter().flatten().collect());
        }
        let found = read(&missing)?;
        let is_one_moment = self.keep(account, &found, moment);
        if !is_one_moment && missing.len() < ids.len() {
            // A commit began or ended since those that were kept were found.
            let moment = self.shown().moment;
            let all = read(ids)?;
            self.keep(account, &all, moment);
            return Ok(all);
        }
        let mut found = found.into_iter().peekable();
        let mut next = |id| found.next_if(|record| record.contact.id == id);
        let page = ids.iter().zip(kept).filter_map(|(id, kept)| kept.or_else(|| next(*id)));
        Ok(page.collect())
    }

    /// What is kept of the contacts. It is one moment by itself: while a commit is under way,
    /// nothing is kept that it changes.
    fn find(
        &self,
        account: AccountId,
        ids: &[ContactId],
    ) -> (Vec<Option<Arc<ContactRecord>>>, Moment) {
        let mut shown = self.shown();
        let kept = ids.iter().map(|id| shown.records.get(&(account, *id)).cloned());
        (kept.collect(), shown.moment)
    }

    /// Keeps what was read since `moment` and not for the first time, if nothing was committed meanwhile. Answers whether it is
    /// still that moment: what was kept then and what was read since are of one state, before or
    /// after the commit that may be under way.
    fn keep(&self, account: AccountId, read: &[Arc<ContactRecord>], moment: Moment) -> bool {
        let mut shown = self.shown();
        if shown.moment != moment || moment.is_amid_commit() {
            return shown.moment == moment;
        }
        let mut out = Vec::new();
        for record in read {
            let id = record.contact.id;
            if !shown.seen.again(account, id) {
                continue;
            }
            let size = bytes(record);
            if size <= RECORD_BYTES {
                let before = shown.records.insert((account, id), Arc::clone(record));
                shown.bytes += size;
                out.extend(before.inspect(|before| shown.bytes -= bytes(before)));
            }
        }
        while shown.bytes > shown.room {
            let Some((_, oldest)) = shown.records.remove_lru() else { break };
            shown.bytes -= bytes(&oldest);
            out.push(oldest);
        }
        // What goes is given back when nobody waits for the lock.
        drop(shown);
        true
    }

    /// Forgets what a commit changes, before it begins. What is read until it has ended is not kept.
    pub(super) fn committing(&self, touched: &Touched) -> Option<Committing<'_>> {
        if touched.contacts.is_empty() && !touched.names {
            return None;
        }
        let mut shown = self.shown();
        shown.moment.0 += 1;
        if touched.names {
            let _all = shown.clear();
            drop(shown);
        } else {
            let mut gone = Vec::new();
            for key in &touched.contacts {
                let known = shown.records.remove(key);
                gone.extend(known.inspect(|record| shown.bytes -= bytes(record)));
            }
            drop(shown);
        }
        Some(Committing(self))
    }

    /// Forgets all, and keeps nothing from here on.
    pub(super) fn close(&self) {
        let mut shown = self.shown();
        shown.room = 0;
        let _all = shown.clear();
        drop(shown);
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shown {
    /// Forgets all of them, which the caller is to drop without the lock.
    fn clear(&mut self) -> LruCache<(AccountId, ContactId), Arc<ContactRecord>> {
        self.bytes = 0;
        std::mem::replace(&mut self.records, LruCache::new_unbounded())
    }
}

impl Moment {
    const fn is_amid_commit(self) -> bool {
        self.0 % 2 == 1
    }
}

/// About how many bytes of memory a contact takes.
fn bytes(record: &ContactRecord) -> usize {
    let contact = &record.contact;
    let texts = [
        Some(contact.name.as_str()),
        contact.first_name.as_deref(),
        contact.last_name.as_deref(),
        contact.email.as_ref().map(Email::as_str),
        contact.phone_number.as_ref().map(Phone::as_str),
        contact.identifier.as_ref().map(Identifier::as_str),
        Some(contact.thumbnail.as_str()),
        Some(contact.additional_attributes.as_json()),
        Some(contact.custom_attributes.as_json()),
    ];
    let text = |text: &str| text.len() + BESIDE_TEXT;
    let texts: usize = texts.into_iter().flatten().map(text).sum();
    let label = |title: &Label| size_of_val(title) + text(title.as_str());
    let labels: usize = contact.labels.iter().map(label).sum();
    let link = |link: &ContactInbox| {
        size_of_val(link) + text(link.source_id.as_str()) + text(&link.inbox.name)
    };
    let links: usize = record.contact_inboxes.iter().map(link).sum();
    BESIDE + texts + labels + links
}

#[cfg(test)]
mod tests;
