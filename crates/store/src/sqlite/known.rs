//! Which addresses surely nobody holds, so that a new one is not looked for.
//!
//! A look-up of an address that nobody has costs as much as one that is found: a page of the sorted
//! table at random, often from the disk. A Bloom filter of some megabytes knows nearly all of the new
//! ones. It is read in, on a thread of its own, once so many look-ups came to nothing that it is worth
//! it, and from then on told what is committed. Once it was told of as many as it has room for, a
//! further one of twice the room is begun. What is deleted stays, which only costs look-ups.

use std::{
    hash::{BuildHasher as _, RandomState},
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

/// Room for so many new addresses besides as many as there are.
const ROOM: usize = 1 << 20;

/// How many of the addresses that are not there are looked for all the same, while there is room.
const FALSE_POSITIVES: f64 = 0.01;

/// Addresses that are read in one go.
const READ_AT_ONCE: i64 = 10_000;

/// No filter has room for more, some 80 MB, and none follows it: of those beyond, more are looked for
/// in vain.
const MOST: usize = 1 << 26;

statements! {
    CONTACTS = "SELECT coalesce(sum(contacts), 0) FROM counters";
    RECENT = "SELECT account_id, kind, value FROM recent_identities";
    SORTED = "SELECT account_id, kind, value FROM identities
         WHERE (account_id, kind, value) > (?1, ?2, ?3)
         ORDER BY account_id, kind, value LIMIT ?4";
}

/// The filters, and the thread that reads the first one in.
#[derive(Debug)]
pub(super) struct Known {
    shared: Arc<Shared>,
    /// Those that were begun since, none of which holds what one before it was told of.
    further: Vec<Filter>,
    /// How many the last one was told of.
    added: usize,
    /// The database's file; none for a database in memory.
    path: Option<PathBuf>,
    reading: Option<JoinHandle<()>>,
    in_vain: usize,
    worth_reading: usize,
    /// How many more than twice those that are there the first filter is made for.
    room: usize,
}

#[derive(Debug, Default)]
struct Shared {
    first: OnceLock<Filter>,
    /// How all filters hash.
    hasher: RandomState,
    is_complete: AtomicBool,
    is_closing: AtomicBool,
}

#[derive(Debug)]
struct Filter {
    bits: AtomicBloomFilter<RandomState>,
    /// How many it may be told of besides those that it was made with.
    room: usize,
}

impl Filter {
    /// For so many that are there, and room for so many more.
    fn new(hasher: &RandomState, there: usize, room: usize) -> Self {
        let room = room.min(MOST);
        let bits = AtomicBloomFilter::with_false_pos(FALSE_POSITIVES)
            .hasher(hasher.clone())
            .expected_items(there.saturating_add(room).min(MOST));
        Self { bits, room }
    }
}

impl Known {
    /// Of a database, of which nothing is known yet.
    pub(super) fn new(connection: &Connection) -> Self {
        let path = connection.path().filter(|path| !path.is_empty()).map(PathBuf::from);
        Self::reading_after(WORTH_READING, ROOM, path)
    }

    fn reading_after(worth_reading: usize, room: usize, path: Option<PathBuf>) -> Self {
        Self {
            shared: Arc::default(),
            further: Vec::new(),
            added: 0,
            path,
            reading: None,
            in_vain: 0,
            worth_reading,
            room,
        }
    }

    /// Whether the sorted or the appended table may hold an address, as it was committed last.
    pub(super) fn may_hold(&self, account: AccountId, identity: &Identity) -> bool {
        if !self.shared.is_complete.load(Ordering::Acquire) {
            return true;
        }
        let hash = self.shared.hasher.hash_one((account, identity));
        let mut filters = self.shared.first.get().into_iter().chain(&self.further);
        filters.any(|filter| filter.bits.contains_hash(hash))
    }

    /// Notes an address that was committed.
    pub(super) fn add(&mut self, account: AccountId, identity: &Identity) {
        let Shared { first, hasher, .. } = &*self.shared;
        let Some(first) = first.get() else { return };
        let room = self.further.last().unwrap_or(first).room;
        if self.added >= room && room < MOST {
            self.further.push(Filter::new(hasher, 0, room.saturating_mul(2)));
            self.added = 0;
        }
        let last = self.further.last().unwrap_or(first);
        last.bits.insert_hash(hasher.hash_one((account, identity)));
        self.added += 1;
    }

    /// Notes that an address was looked for in vain.
    pub(super) fn missed(&mut self) {
        self.in_vain += 1;
        if self.in_vain != self.worth_reading {
            return;
        }
        let Some(path) = self.path.clone() else { return };
        let (shared, room) = (Arc::clone(&self.shared), self.room);
        let read = move || match read_in(&shared, &path, room) {
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
        Self::reading_after(1, 1000, path)
    }

    pub(super) fn wait(&mut self) {
        if let Some(reading) = self.reading.take() {
            reading.join().unwrap();
        }
    }
}

/// Reads all addresses; `false` where the store is closed before.
fn read_in(shared: &Shared, path: &Path, room: usize) -> rusqlite::Result<bool> {
    let connection = migrations::open_reader(path)?;
    let contacts: i64 = connection.query_row(CONTACTS, [], |row| row.get(0))?;
    let addresses = usize::try_from(contacts).unwrap_or_default().saturating_mul(3);
    let filter = Filter::new(&shared.hasher, addresses, addresses.saturating_add(room));
    // From here on the writer adds what it commits. What was committed before is in either table:
    // read in this order, nothing that is moved meanwhile is missed.
    let filter = shared.first.get_or_init(|| filter);
    let mut add = |row: &Row<'_>| -> rusqlite::Result<(AccountId, Identity)> {
        let kind = row::parsed(row, 1, IdentityKind::parse)?;
        let key = (AccountId(row.get(0)?), Identity { kind, value: row.get(2)? });
        filter.bits.insert_hash(shared.hasher.hash_one((key.0, &key.1)));
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
