//! When snapshots are written, and when they are taken away.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering::SeqCst},
};

use meishi_contacts::{
    AccountId, Seq,
    limits::{INDEX_READ, SNAPSHOT_EVENTS, SNAPSHOT_PERIODS},
};
use meishi_index::{Index, Stamp};
use meishi_store::StoreError;

use super::{
    files::Begun,
    load::{blocking, is_erasure, is_far_behind},
    shelf::Shelf,
    slot::Slot,
};

/// What came of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Saved {
    Written,
    /// Somebody wanted to change the index.
    GaveWay,
    /// It is too small, is not there, or changed too fast.
    Nothing,
    Failed,
}

impl Saved {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::GaveWay => "gave_way",
            Self::Nothing => "nothing",
            Self::Failed => "failed",
        }
    }
}

impl Shelf {
    /// The stamp of the account's file, and its bytes. What cannot be read is thrown away.
    pub(super) async fn stamp_of(self: &Arc<Self>, account: AccountId) -> Option<(Stamp, u64)> {
        self.files.as_ref()?;
        let this = Arc::clone(self);
        let read = move || this.files.as_ref().map(|files| files.stamp(account)).transpose();
        match blocking(read).await.ok()? {
            Ok(found) => found.flatten(),
            Err(error) => {
                tracing::warn!(%account, %error, "the snapshot is thrown away");
                self.forget(account);
                None
            }
        }
    }

    /// Takes the account's snapshot away, and keeps those that are being written from coming.
    pub(super) fn forget(&self, account: AccountId) {
        let Some(files) = &self.files else { return };
        let slot = self.slot(account);
        files.remove(account, || slot.set_saved(Seq(0)));
    }

    /// Whether so much happened since the last snapshot that a next one pays.
    pub(super) async fn is_worth_saving(&self, slot: &Slot) -> bool {
        let index = slot.read().await;
        let Some(index) = index.as_deref().filter(|index| self.is_large(index)) else {
            return false;
        };
        let saved = slot.saved();
        let behind = usize::try_from(index.seq().0 - saved.0).unwrap_or_default();
        saved.0 == 0 || behind > SNAPSHOT_EVENTS.max(index.len() / 20)
    }

    /// Writes a snapshot if that pays and none was written, or failed, a short while ago.
    pub(super) async fn save_if_due(self: &Arc<Self>, account: AccountId, slot: &Arc<Slot>) {
        let round = self.round.load(SeqCst);
        if slot.is_due(round) && self.is_worth_saving(slot).await {
            let saved = self.save(account, slot, || false).await;
            // A file for each of many erasures would be much to write.
            let is_done = matches!(saved, Saved::Written | Saved::Failed);
            slot.set_due(round + if is_done { SNAPSHOT_PERIODS } else { 1 });
        }
    }

    /// Writes a snapshot of the account's index, unless somebody wants to change that meanwhile or
    /// `gives_way` says so.
    pub(super) async fn save(
        self: &Arc<Self>,
        account: AccountId,
        slot: &Arc<Slot>,
        gives_way: impl Fn() -> bool + Send + 'static,
    ) -> Saved {
        let saved = self.try_save(account, slot, gives_way).await.unwrap_or_else(|error| {
            tracing::warn!(%account, %error, "no snapshot was written");
            Saved::Failed
        });
        if saved != Saved::Nothing {
            metrics::counter!("meishi_index_snapshots_total", "outcome" => saved.as_str())
                .increment(1);
        }
        saved
    }

    async fn try_save(
        self: &Arc<Self>,
        account: AccountId,
        slot: &Arc<Slot>,
        gives_way: impl Fn() -> bool + Send + 'static,
    ) -> Result<Saved, StoreError> {
        let Some(files) = &self.files else { return Ok(Saved::Nothing) };
        // Who has the turn changes the index anyway.
        let Some(turn) = slot.try_turn() else { return Ok(Saved::GaveWay) };
        let begun = loop {
            let begun = files.begin(account);
            let Some(counts) = self.store.counts(account).await? else { return Ok(Saved::Nothing) };
            let known = slot.read().await.as_deref().map(|index| (index.seq(), index.len()));
            let is_near = |(seq, contacts)| !is_far_behind(seq, contacts, counts.last_seq);
            // Whoever asks next has it loaded anew; nothing is to be had by following all that.
            if !known.is_some_and(is_near) || !self.follow(account, slot, counts.last_seq).await? {
                return Ok(Saved::Nothing);
            }
            // Whoever was erased before is out of the index now; as long as somebody was erased
            // meanwhile, it begins again.
            if files.begin(account) == begun {
                break begun;
            }
        };
        drop(turn);
        let Some(seq) = slot.seq().await else { return Ok(Saved::Nothing) };
        let Some(stamp) = self.stamp(account, seq).await? else { return Ok(Saved::Nothing) };
        let reading = slot.read().await;
        let is_it = |index: &Index| index.seq() == seq && self.is_large(index);
        if !reading.as_deref().is_some_and(is_it) {
            return Ok(Saved::Nothing);
        }
        let (this, place) = (Arc::clone(self), Arc::clone(slot));
        let written = blocking(move || {
            let (Some(files), Some(index)) = (&this.files, reading.as_deref()) else {
                return Ok(Saved::Nothing);
            };
            let gives_way = || place.is_wanted() || gives_way();
            let unfinished = files.write(begun, &stamp, index, &gives_way)?;
            // Nobody has to wait for the disk.
            drop(reading);
            let Some(unfinished) = unfinished else { return Ok(Saved::GaveWay) };
            let is_named = unfinished.finish(|| place.set_saved(stamp.seq))?;
            Ok(if is_named { Saved::Written } else { Saved::Nothing })
        });
        let written: std::io::Result<Saved> = written.await?;
        written.map_err(|error| StoreError::Internal(error.to_string()))
    }

    /// Writes a snapshot, begun before the index was, of what is nobody's yet, and gives it back. The file gets its name
    /// later: the disk may take longer than the memory.
    pub(super) async fn save_unshared(
        self: &Arc<Self>,
        account: AccountId,
        begun: Begun,
        index: Index,
    ) -> Result<Index, StoreError> {
        let Some(stamp) = self.stamp(account, index.seq()).await? else { return Ok(index) };
        let this = Arc::clone(self);
        let (sender, written) = tokio::sync::oneshot::channel();
        tokio::task::spawn_blocking(move || {
            let Some(files) = &this.files else { return drop(sender.send(index)) };
            let unfinished = files.write(begun, &stamp, &index, &|| false);
            let _ = sender.send(index);
            let slot = this.slot(account);
            let named = || slot.set_saved(stamp.seq);
            let finished =
                unfinished.and_then(|file| file.map_or(Ok(false), |file| file.finish(named)));
            let outcome = match finished {
                Ok(true) => Saved::Written,
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(%account, %error, "no snapshot was written");
                    Saved::Failed
                }
            };
            metrics::counter!("meishi_index_snapshots_total", "outcome" => outcome.as_str())
                .increment(1);
        });
        written.await.map_err(|error| StoreError::Internal(error.to_string()))
    }

    /// Takes snapshots away that hold somebody who was erased since, on another server or before
    /// this one was killed; and those that are too old to be of use.
    pub(super) async fn drop_erased(&self) -> Result<(), StoreError> {
        let mut slots = self.all();
        slots.retain(|(_, slot)| slot.saved().0 > 0);
        let accounts: Vec<AccountId> = slots.iter().map(|(account, _)| *account).collect();
        let heads: HashMap<AccountId, Seq> =
            self.store.heads(&accounts).await?.into_iter().collect();
        slots.retain(|(account, slot)| heads.get(account) != Some(&slot.examined()));
        for (account, slot) in slots {
            // One account's trouble must not keep the others' files.
            if let Err(error) = self.drop_if_erased(account, &slot).await {
                tracing::warn!(%account, %error, "the snapshot was not looked at");
            }
        }
        Ok(())
    }

    /// Takes the account's snapshot away if somebody was erased since, or if that cannot be told.
    async fn drop_if_erased(&self, account: AccountId, slot: &Slot) -> Result<(), StoreError> {
        let Some(counts) = self.store.counts(account).await? else {
            self.forget(account);
            return Ok(());
        };
        let (head, contacts) = (counts.last_seq, usize::try_from(counts.contacts));
        // An index looks at the events that it follows by itself.
        let followed = slot.seq().await.unwrap_or_default();
        slot.set_examined(followed);
        if is_far_behind(slot.examined(), contacts.unwrap_or_default(), head) {
            self.forget(account);
            return Ok(());
        }
        while slot.saved().0 > 0 && slot.examined() < head {
            let examined = slot.examined();
            let events = self.store.events(account, examined, INDEX_READ).await?;
            // An erasure may be among events that are not kept any more.
            let is_next = events.first().is_some_and(|event| event.seq.0 == examined.0 + 1);
            match events.last() {
                Some(last) if is_next && !events.iter().any(|event| is_erasure(&event.body)) => {
                    slot.set_examined(last.seq);
                }
                _ => self.forget(account),
            }
            // The store may answer at once each time.
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}
