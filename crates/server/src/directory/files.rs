//! The files of snapshots: `ACCOUNT.snapshot` in a folder of their own, for its owner only, since
//! they hold personal data.
//!
//! A file is written under another name, synced and renamed, so that what has the name is whole;
//! whatever cannot be read, or is of another database, goes. These calls block.

use std::{
    collections::HashMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use meishi_contacts::AccountId;
use meishi_index::{Index, SnapshotError, Stamp};

const ENDING: &str = "snapshot";
const UNFINISHED: &str = "unfinished";

pub(super) struct Files {
    folder: PathBuf,
    /// How often an account's file was taken away: a snapshot that was begun before is none any more.
    removals: Mutex<HashMap<AccountId, u64>>,
    /// Files that were begun: each has a name of its own until it is finished.
    begun: AtomicU64,
}

/// A file that is written and has yet to get its name.
pub(super) struct Unfinished<'a> {
    files: &'a Files,
    file: File,
    path: PathBuf,
    account: AccountId,
    begun: Begun,
}

/// How often the account's file had been taken away when a snapshot was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Begun(u64);

impl Files {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, removals: Mutex::default(), begun: AtomicU64::new(0) }
    }

    fn path(&self, account: AccountId) -> PathBuf {
        self.folder.join(format!("{account}.{ENDING}"))
    }

    fn removals(&self) -> MutexGuard<'_, HashMap<AccountId, u64>> {
        self.removals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which snapshots there are, and their bytes, after taking away what is none of this database;
    /// and whether all could be read. What this program did not name is left alone.
    pub(super) fn scan(&self, is_ours: impl Fn(&Stamp) -> bool) -> (Vec<(Stamp, u64)>, bool) {
        let mut found = Vec::new();
        let mut is_all = true;
        let folder = match fs::read_dir(&self.folder) {
            Ok(folder) => folder,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return (found, true),
            Err(error) => {
                tracing::warn!(%error, path = %self.folder.display(), "snapshots are not found");
                return (found, false);
            }
        };
        for path in folder.flatten().map(|entry| entry.path()) {
            match path.file_name().and_then(|name| name.to_str()).and_then(kind) {
                Some(Kind::Snapshot) => {}
                // What another process writes at the moment is gone then, too; it finds out.
                Some(Kind::Unfinished { process, number }) => {
                    let has_begun = number < self.begun.load(Ordering::SeqCst);
                    if process != std::process::id() || !has_begun {
                        remove(&path);
                    }
                    continue;
                }
                None => continue,
            }
            let stamped = File::open(&path).map_err(SnapshotError::from).and_then(|mut file| {
                let bytes = file.metadata()?.len();
                Ok((Stamp::read(&mut file, bytes)?, bytes))
            });
            match stamped {
                Ok((stamp, bytes)) if is_ours(&stamp) && path == self.path(stamp.account) => {
                    found.push((stamp, bytes));
                }
                // It may be whole; what is too short is not.
                Err(SnapshotError::Io(error)) if error.kind() != io::ErrorKind::UnexpectedEof => {
                    tracing::warn!(%error, path = %path.display(), "a snapshot could not be read");
                    is_all = false;
                }
                _ => remove(&path),
            }
        }
        (found, is_all)
    }

    /// Reads the stamp of an account's snapshot, and the bytes of the file.
    pub(super) fn stamp(&self, account: AccountId) -> Result<Option<(Stamp, u64)>, SnapshotError> {
        let Some((mut file, bytes)) = self.open(account)? else { return Ok(None) };
        Ok(Some((Stamp::read(&mut file, bytes)?, bytes)))
    }

    /// Reads an account's snapshot.
    pub(super) fn read(&self, account: AccountId) -> Result<Option<(Stamp, Index)>, SnapshotError> {
        let Some((mut file, bytes)) = self.open(account)? else { return Ok(None) };
        Index::read(&mut file, bytes).map(Some)
    }

    fn open(&self, account: AccountId) -> io::Result<Option<(File, u64)>> {
        match File::open(self.path(account)) {
            Ok(file) => {
                let bytes = file.metadata()?.len();
                Ok(Some((file, bytes)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Begins a snapshot. Whoever is erased from now on keeps it from getting its name; who was
    /// erased before must not be in what is written.
    pub(super) fn begin(&self, account: AccountId) -> Begun {
        Begun(self.removals().get(&account).copied().unwrap_or_default())
    }

    /// Writes a snapshot that has no name yet. `None` where `gives_way` said so in between.
    pub(super) fn write(
        &self,
        begun: Begun,
        stamp: &Stamp,
        index: &Index,
        gives_way: &dyn Fn() -> bool,
    ) -> io::Result<Option<Unfinished<'_>>> {
        let account = stamp.account;
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let number = self.begun.fetch_add(1, Ordering::SeqCst);
        let name = format!("{account}.{}-{number}.{UNFINISHED}", std::process::id());
        let path = self.folder.join(name);
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&path)?;
        let unfinished = Unfinished { files: self, file, path, account, begun };
        let mut out = Yielding { file: &unfinished.file, gives_way, gave_way: false };
        match index.write(stamp, &mut out) {
            Ok(()) => Ok(Some(unfinished)),
            Err(_) if out.gave_way => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes an account's snapshot away, and those that are being written. `removed` is called
    /// before there can be another.
    pub(super) fn remove(&self, account: AccountId, removed: impl FnOnce()) {
        let mut removals = self.removals();
        *removals.entry(account).or_default() += 1;
        remove(&self.path(account));
        removed();
    }
}

impl Unfinished<'_> {
    /// Brings the file to the disk and gives it its name; `false` where it must not have it any more.
    /// `named` is called before it can be taken away.
    pub(super) fn finish(self, named: impl FnOnce()) -> io::Result<bool> {
        self.file.sync_all()?;
        let removals = self.files.removals();
        if removals.get(&self.account).copied().unwrap_or_default() != self.begun.0 {
            return Ok(false);
        }
        fs::rename(&self.path, self.files.path(self.account))?;
        named();
        drop(removals);
        File::open(&self.files.folder)?.sync_all()?;
        Ok(true)
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        // It is there still unless it got its name.
        remove(&self.path);
    }
}

/// A file that is written as long as nobody wants the index.
struct Yielding<'a> {
    file: &'a File,
    gives_way: &'a dyn Fn() -> bool,
    gave_way: bool,
}

impl Write for Yielding<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if (self.gives_way)() {
            self.gave_way = true;
            return Err(io::Error::other("somebody wants the index"));
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// What a file of that name is: `ACCOUNT.snapshot` or `ACCOUNT.PROCESS-NUMBER.unfinished`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Snapshot,
    Unfinished { process: u32, number: u64 },
}

/// `None` where it is no name of this program's.
fn kind(name: &str) -> Option<Kind> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (rest, ending) = name.rsplit_once('.')?;
    if ending == ENDING {
        return is_number(rest).then_some(Kind::Snapshot);
    }
    let (account, rest) = rest.split_once('.')?;
    let (process, number) = rest.split_once('-')?;
    let is_ours = ending == UNFINISHED && [account, process, number].into_iter().all(is_number);
    let (process, number) = (process.parse().ok()?, number.parse().ok()?);
    is_ours.then_some(Kind::Unfinished { process, number })
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, path = %path.display(), "a snapshot could not be removed");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_that_are_ours_are_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let ours = ["1.snapshot", "2.17-0.unfinished"];
        let others =
            ["vm.snapshot", ".snapshot", "1.unfinished", "1.a-2.unfinished", "1.snapshot.gz"];
        for name in ours.iter().chain(&others) {
            fs::write(folder.path().join(name), "something").unwrap();
        }
        // It cannot be read, and is not damaged.
        fs::create_dir(folder.path().join("3.snapshot")).unwrap();
        let (found, is_all) = Files::new(folder.path().to_owned()).scan(|_| true);
        assert!(found.is_empty() && !is_all);
        let is_there = |name: &&&str| folder.path().join(name).exists();
        assert_eq!(ours.iter().filter(is_there).count(), 0);
        assert_eq!(others.iter().filter(is_there).count(), others.len());
        assert!(folder.path().join("3.snapshot").exists());

        // What this process has begun goes on.
        let files = Files::new(folder.path().to_owned());
        files.begun.store(1, Ordering::SeqCst);
        let own =
            |number| folder.path().join(format!("1.{}-{number}.unfinished", std::process::id()));
        fs::write(own(0), "begun").unwrap();
        fs::write(own(1), "left by an earlier one").unwrap();
        files.scan(|_| true);
        assert!(own(0).exists() && !own(1).exists());
    }
}
