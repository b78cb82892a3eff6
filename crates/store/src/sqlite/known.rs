//! Which addresses surely nobody holds, so that a new one is not looked for.
//!
//! A look-up of an address that nobody has costs as much as one that is found: a page of the sorted
//! table at random, often from the disk. A Bloom filter of some megabytes knows nearly all of the new ones. It is
//! read in, on a thread of its own, once so many look-ups came to nothing that it is worth it, and
//! from then on told what is committed. What is deleted stays in it, and so does what comes beyond
//! its size: both only cost look-ups.

use std::{
    hash::RandomState,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use fastbloom::AtomicBloomFilter;
use meishi_contacts::{AccountId, Identity, IdentityKind};
use rusqlite::{Connection, Row, params};

use super::{migrations, row};

/// So many look-ups in vain are worth reading all addresses.
const WORTH_READING: usize = 20_000;

/// Room for so many new addresses besides as many again as there are.
const ROOM: usize = 1 << 20;

/// How many of the addresses that are not there are looked for all the same, while there is room.
const FALSE_POSITIVES: f64 = 0.01;

/// Addresses that are read in one go.
const READ_AT_ONCE: i64 = 10_000;

/// The filter is made for no more, some 80 MB; of those beyond, more are looked for in vain.
const MOST: usize = 1 << 26;

statements! {
    CONTACTS = "SELECT coalesce(sum(contacts), 0) FROM counters";
    RECENT = "SELECT account_id, kind, value FROM recent_identities";
    SORTED = "SELECT account_id, kind, value FROM identities
         WHERE (account_id, kind, value) > (?1, ?2, ?3)
         ORDER BY account_id, kind, value LIMIT ?4";
}

/// The filter, and the thread that reads it in.
#[derive(Debug)]
pub(super) struct Known {
    shared: Arc<Shared>,
    /// The database's file; none for a database in memory.
    path: Option<PathBuf>,
    reading: Option<JoinHandle<()>>,
    in_vain: usize,
    worth_reading: usize,
}

#[derive(Debug, Default)]
struct Shared {
    filter: OnceLock<AtomicBloomFilter<RandomState>>,
    is_complete: AtomicBool,
    is_closing: AtomicBool,
}

impl Known {
    /// Of a database, of which nothing is known yet.
    pub(super) fn new(connection: &Connection) -> Self {
        let path = connection.path().filter(|path| !path.is_empty()).map(PathBuf::from);
        Self::reading_after(WORTH_READING, path)
    }

    fn reading_after(worth_reading: usize, path: Option<PathBuf>) -> Self {
        Self { shared: Arc::default(), path, reading: None, in_vain: 0, worth_reading }
    }

    /// Whether the sorted or the appended table may hold an address, as it was committed last.
    pub(super) fn may_hold(&self, account: AccountId, identity: &Identity) -> bool {
        !self.shared.is_complete.load(Ordering::Acquire)
            || self.shared.filter.get().is_none_or(|filter| filter.contains(&(account, identity)))
    }

    /// Notes an address that was committed.
    pub(super) fn add(&self, account: AccountId, identity: &Identity) {
        if let Some(filter) = self.shared.filter.get() {
            filter.insert(&(account, identity));
        }
    }

    /// Notes that an address was looked for in vain.
    pub(super) fn missed(&mut self) {
        self.in_vain += 1;
        if self.in_vain != self.worth_reading {
            return;
        }
        let Some(path) = self.path.clone() else { return };
        let shared = Arc::clone(&self.shared);
        let read = move || match read_in(&shared, &path) {
            Ok(is_complete) => shared.is_complete.store(is_complete, Ordering::Release),
            Err(error) => tracing::warn!(%error, "the addresses could not be read in"),
        };
        self.reading = thread::Builder::new().name("meishi-addresses".into()).spawn(read).ok();
    }

    /// Ends the thread and waits for it.
    pub(super) fn close(&mut self) {
        self.shared.is_closing.store(true, Ordering::Relaxed);
        if let Some(reading) = self.reading.take()
            && reading.join().is_err()
        {
            tracing::error!("reading the addresses panicked");
        }
    }
}

#[cfg(test)]
impl Known {
    /// One that reads the addresses in at once.
    pub(super) fn eager(connection: &Connection) -> Self {
        let path = connection.path().map(PathBuf::from);
        Self::reading_after(1, path)
    }

    pub(super) fn wait(&mut self) {
        if let Some(reading) = self.reading.take() {
            reading.join().unwrap();
        }
    }
}

/// Reads all addresses; `false` where the store is closed before.
fn read_in(shared: &Shared, path: &Path) -> rusqlite::Result<bool> {
    let connection = migrations::open_reader(path)?;
    let contacts: i64 = connection.query_row(CONTACTS, [], |row| row.get(0))?;
    let addresses = usize::try_from(contacts).unwrap_or_default().saturating_mul(3);
    let filter = AtomicBloomFilter::with_false_pos(FALSE_POSITIVES)
        .hasher(RandomState::new())
        .expected_items(addresses.saturating_mul(2).saturating_add(ROOM).min(MOST));
    // From here on the writer adds what it commits. What was committed before is in either table:
    // read in this order, nothing that is moved meanwhile is missed.
    let filter = shared.filter.get_or_init(|| filter);
    let mut add = |row: &Row<'_>| -> rusqlite::Result<(AccountId, Identity)> {
        let kind = row::parsed(row, 1, IdentityKind::parse)?;
        let key = (AccountId(row.get(0)?), Identity { kind, value: row.get(2)? });
        filter.insert(&(key.0, &key.1));
        Ok(key)
    };
    let mut recent = connection.prepare(RECENT)?;
    recent.query_map([], &mut add)?.try_for_each(|added| added.map(drop))?;
    // Bit by bit, so that the log can be folded in meanwhile.
    let mut sorted = connection.prepare(SORTED)?;
    let (mut account, mut kind, mut value) = (i64::MIN, "", String::new());
    while !shared.is_closing.load(Ordering::Relaxed) {
        let slice = params![account, kind, value, READ_AT_ONCE];
        let last = sorted.query_map(slice, &mut add)?.last().transpose()?;
        let Some((AccountId(last), identity)) = last else { return Ok(true) };
        (account, kind, value) = (last, identity.kind.as_str(), identity.value);
    }
    Ok(false)
}
