//! How an index comes into memory and is kept current: from a snapshot, from rows, by events.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures::StreamExt;
use meishi_contacts::{
    AccountId, Event, EventBody, FOLD_VERSION, Seq,
    limits::{FOLLOW_EVENTS, INDEX_READ},
};
use meishi_index::{Builder, Index, SnapshotError, Stamp};
use meishi_store::{Counts, StoreError};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::{QueryError, memory::Budget, shelf::Shelf, slot::Slot};

/// Events that are always followed, however few contacts there are.
const FOLLOWED_EVENTS: usize = 10_000;

/// A load from rows that took as long is spared the next time by a snapshot.
const LONG_LOAD: Duration = Duration::from_secs(1);

/// What an index takes, about, before it is known: of each contact, with grams and without.
pub(super) const WITH_GRAMS: usize = 320;
const WITHOUT_GRAMS: usize = 250;

/// What it takes without a contact.
const EMPTY: usize = 4096;

/// What an index takes, about, whose snapshot has so many bytes.
pub(super) const fn estimate(file: usize) -> usize {
    file.saturating_add(file / 2)
}

/// A load for which room was made, until it is over.
struct Load<'a> {
    slot: &'a Slot,
    budget: &'a Budget,
    is_done: bool,
}

impl Drop for Load<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            self.slot.recount(0, 0, self.budget);
        }
        self.budget.end();
    }
}

impl Load<'_> {
    /// It is over, and this came of it.
    async fn put(mut self, index: Index, bytes: usize) {
        self.slot.put(index, bytes, self.budget).await;
        self.is_done = true;
    }
}

impl Shelf {
    /// Brings an account's index to the last event of `counts` or beyond, by the events that it
    /// lacks, the first of which may be known, or by loading it. Whoever calls has the slot's turn.
    pub(super) async fn catch_up(
        self: &Arc<Self>,
        account: AccountId,
        slot: &Slot,
        counts: Counts,
        first: &[Event],
    ) -> Result<(), QueryError> {
        let head = counts.last_seq;
        let known = slot.read().await.as_deref().map(|index| (index.seq(), index.len()));
        if let Some((seq, contacts)) = known {
            // It may have been loaded anew since they were read.
            let is_next = |event: &Event| event.seq <= seq.next();
            let first = if first.first().is_some_and(is_next) { first } else { &[] };
            if !is_far_behind(seq, contacts, head)
                && self.apply(account, slot, first).await
                && self.follow(account, slot, head).await?
            {
                return Ok(());
            }
            slot.clear(&self.budget).await;
        }
        let begun = Instant::now();
        let from = if self.load_snapshot(account, slot, counts).await? {
            "snapshot"
        } else {
            self.load_rows(account, slot, counts).await?;
            "rows"
        };
        self.loads.fetch_add(1, Ordering::SeqCst);
        metrics::counter!("meishi_index_loads_total", "from" => from).increment(1);
        metrics::histogram!("meishi_index_load_seconds", "from" => from).record(begun.elapsed());
        // An estimate may have been too low. It is not this one that gives way: others may have been
        // asked for while it was loaded.
        self.touch(slot);
        self.shrink().await;
        Ok(())
    }

    /// Reads and applies the events up to `head`; `false` where the index does not fit them, or is not
    /// there any more.
    pub(super) async fn follow(
        &self,
        account: AccountId,
        slot: &Slot,
        head: Seq,
    ) -> Result<bool, StoreError> {
        loop {
            let Some(seq) = slot.seq().await else { return Ok(false) };
            if seq >= head {
                return Ok(true);
            }
            let events = self.store.events(account, seq, INDEX_READ).await?;
            if events.is_empty() {
                tracing::error!(%account, %seq, %head, "events are missing");
                return Ok(false);
            }
            if !self.apply(account, slot, &events).await {
                return Ok(false);
            }
            // The store may answer at once each time.
            tokio::task::yield_now().await;
        }
    }

    /// Applies those of the events that the index does not know; `false` where it does not fit them,
    /// or is not there any more. Readers are let in between a few events and the next.
    async fn apply(&self, account: AccountId, slot: &Slot, events: &[Event]) -> bool {
        for events in events.chunks(FOLLOW_EVENTS) {
            let mut place = slot.write().await;
            // Taken out while it is at work: a panic must not leave one changed by half.
            let Some(mut index) = place.take() else { return false };
            for event in events {
                if let Err(error) = index.apply(event) {
                    free(index);
                    tracing::error!(%account, seq = %event.seq, %error, "the index is reloaded");
                    return false;
                }
            }
            *place = Some(index);
            // At once: whoever goes away at an await below must not leave the file behind.
            if events.iter().any(|event| is_erasure(&event.body)) {
                self.forget(account);
            }
        }
        self.count_followed(slot, events.len()).await;
        true
    }

    /// Notes that events were applied. What a small index takes is known at once.
    async fn count_followed(&self, slot: &Slot, events: usize) {
        slot.followed(events);
        if let Some(index) = slot.read().await.as_ref()
            && index.len() < Index::GRAMS_FROM
        {
            slot.recount(index.bytes(), index.len(), &self.budget);
        }
    }

    /// Loads the snapshot, if there is one that is true of the store, and follows from there.
    async fn load_snapshot(
        self: &Arc<Self>,
        account: AccountId,
        slot: &Slot,
        counts: Counts,
    ) -> Result<bool, StoreError> {
        let Some((stamp, bytes)) = self.stamp_of(account).await else { return Ok(false) };
        let contacts = usize::try_from(counts.contacts).unwrap_or_default();
        let is_true = !is_far_behind(stamp.seq, contacts, counts.last_seq)
            && stamp.seq <= counts.last_seq
            && self.stamp(account, stamp.seq).await?.as_ref() == Some(&stamp);
        if !is_true {
            tracing::info!(%account, seq = %stamp.seq, "the snapshot is of no use any more");
            self.forget(account);
            return Ok(false);
        }
        let seq = stamp.seq;
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.make_room(slot, estimate(bytes)).await;
        let load = Load { slot, budget: &self.budget, is_done: false };
        let this = Arc::clone(self);
        let limit = self.budget.limit;
        let read = blocking(move || {
            let read = this.files.as_ref().map(|files| files.read(account)).transpose()?.flatten();
            let mut read = read.filter(|(found, _)| *found == stamp);
            if let Some((_, index)) = &mut read
                && index.len().saturating_mul(WITH_GRAMS) <= limit
            {
                // It may have done without when there was less memory.
                index.regain_grams();
            }
            Ok::<_, SnapshotError>(read.and_then(|(_, index)| fitted(index, limit)))
        });
        let (index, bytes) = match read.await? {
            Ok(Some(fitted)) => fitted,
            Ok(None) => return Ok(false),
            Err(error) => {
                tracing::warn!(%account, %error, "the snapshot is thrown away");
                self.forget(account);
                return Ok(false);
            }
        };
        slot.set_forgone(is_without_grams(&index));
        slot.refuse_from(0);
        slot.set_saved(seq);
        load.put(index, bytes).await;
        if self.follow(account, slot, counts.last_seq).await? {
            return Ok(true);
        }
        slot.clear(&self.budget).await;
        Ok(false)
    }

    /// Loads the account's contacts.
    async fn load_rows(
        self: &Arc<Self>,
        account: AccountId,
        slot: &Slot,
        counts: Counts,
    ) -> Result<(), QueryError> {
        let begun = Instant::now();
        if slot.saved() > Seq(0) {
            // It is of no use, and nobody would look any more for whom it must not hold.
            self.forget(account);
        }
        let file = self.files.as_ref().map(|files| files.begin(account));
        let contacts = usize::try_from(counts.contacts).unwrap_or_default();
        let has_room = contacts.saturating_mul(WITH_GRAMS) <= self.budget.limit;
        let (each, from) =
            if has_room { (WITH_GRAMS, None) } else { (WITHOUT_GRAMS, Some(usize::MAX)) };
        self.make_room(slot, contacts.saturating_mul(each).saturating_add(EMPTY)).await;
        let load = Load { slot, budget: &self.budget, is_done: false };
        let mut builder = Index::builder();
        if let Some(from) = from {
            builder = builder.grams_from(from);
        }
        let Some((index, bytes)) = self.build(account, builder).await? else {
            slot.refuse_from(counts.contacts.unsigned_abs());
            tracing::error!(
                %account, contacts, limit = self.budget.limit,
                "the account's contacts do not fit into the memory for indexes"
            );
            return Err(QueryError::NoRoom);
        };
        let is_without = is_without_grams(&index);
        if is_without {
            tracing::warn!(%account, contacts, "there is no memory for searching by grams");
        }
        slot.set_forgone(is_without);
        slot.refuse_from(0);
        let index = match file {
            // Nobody has it yet, so that nobody has to wait for it but those who wait anyway.
            Some(file) if begun.elapsed() >= LONG_LOAD && self.is_large(&index) => {
                self.save_unshared(account, file, index).await?
            }
            _ => index,
        };
        load.put(index, bytes).await;
        // The rows may have come from a replica that lags.
        if !self.follow(account, slot, counts.last_seq).await? {
            let reason = format!("the events of {account} do not fit its contacts");
            return Err(StoreError::Internal(reason).into());
        }
        Ok(())
    }

    /// Builds the index of an account's rows; `None` where it takes more memory than there is.
    async fn build(
        &self,
        account: AccountId,
        mut builder: Builder,
    ) -> Result<Option<(Index, usize)>, StoreError> {
        let limit = self.budget.limit;
        let mut snapshot = self.store.snapshot(account).await?;
        builder = builder.expecting(snapshot.count);
        while let Some(slice) = snapshot.contacts.next().await {
            for contacts in slice?.chunks(INDEX_READ) {
                for contact in contacts {
                    builder.push(contact);
                }
                // A large account takes seconds; others are served in between.
                tokio::task::yield_now().await;
            }
            if builder.bytes() > limit {
                free(builder);
                return Ok(None);
            }
        }
        // Grams are made all at once, which takes seconds.
        let build = move || {
            let index = builder.finish(snapshot.seq);
            (index.len(), fitted(index, limit))
        };
        let (found, index) = blocking(build).await?;
        if found as u64 != snapshot.count {
            let count = snapshot.count;
            let reason =
                format!("the snapshot of {account} has {found} contacts instead of {count}");
            return Err(StoreError::Internal(reason));
        }
        Ok(index)
    }

    /// Whether an index is large enough for a snapshot.
    pub(super) fn is_large(&self, index: &Index) -> bool {
        self.files.is_some() && index.len() >= self.settings.snapshot_contacts
    }

    /// What a snapshot of the account at that event must be stamped with; `None` where the event is
    /// not there any more.
    pub(super) async fn stamp(
        &self,
        account: AccountId,
        seq: Seq,
    ) -> Result<Option<Stamp>, StoreError> {
        let events = self.store.events(account, Seq(seq.0 - 1), 1).await?;
        let Some(event) = events.first().filter(|event| event.seq == seq) else { return Ok(None) };
        let json = serde_json::to_vec(event).map_err(|e| StoreError::Internal(e.to_string()))?;
        let database = self.store.database().await?;
        Ok(Some(Stamp {
            program: program(),
            database: database.id,
            epoch: database.epoch,
            account,
            seq,
            event: Sha256::digest(&json).into(),
        }))
    }
}

/// An index and its bytes, if it fits into memory, be it without grams.
fn fitted(mut index: Index, limit: usize) -> Option<(Index, usize)> {
    let mut bytes = index.bytes();
    if bytes > limit && index.has_grams() {
        index.forgo_grams();
        bytes = index.bytes();
    }
    (bytes <= limit).then_some((index, bytes))
}

/// Whether an index has no grams although it is large enough for them.
fn is_without_grams(index: &Index) -> bool {
    !index.has_grams() && index.len() >= Index::GRAMS_FROM
}

/// Whether the event tells that somebody was erased.
pub(super) const fn is_erasure(body: &EventBody) -> bool {
    matches!(body, EventBody::ContactErased { .. })
}

/// What wrote a snapshot: another version may fold texts in another way.
pub(super) fn program() -> String {
    format!("meishi {} fold {FOLD_VERSION}", env!("CARGO_PKG_VERSION"))
}

/// Whether so many events are to be applied that the contacts are read sooner: an event costs about
/// as much as eight contacts of a load.
pub(super) fn is_far_behind(seq: Seq, contacts: usize, head: Seq) -> bool {
    let behind = usize::try_from(head.0 - seq.0).unwrap_or_default();
    behind > FOLLOWED_EVENTS && behind > contacts / 8
}

/// Frees what may be large on a thread of its own: that takes milliseconds.
pub(super) fn free<T: Send + 'static>(large: T) {
    drop(tokio::task::spawn_blocking(move || drop(large)));
}

/// Does what takes long on a thread of its own.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| StoreError::Internal(error.to_string()))
}
