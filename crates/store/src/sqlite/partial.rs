//! A file that is built under another name and takes its own when it is whole and on disk.

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// What SQLite puts beside a database.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Removed when it is dropped unfinished.
#[derive(Debug)]
pub(super) struct Partial {
    path: PathBuf,
    target: PathBuf,
}

impl Partial {
    /// Where that of a file is, with an ending of its own.
    pub(super) fn path_of(target: &Path, ending: &str) -> PathBuf {
        with_suffix(target, format!(".{ending}"))
    }

    /// Makes it, empty and for its owner only. What one that was killed left behind goes.
    pub(super) fn create(target: &Path, ending: &str) -> io::Result<Self> {
        let partial = Self { path: Self::path_of(target, ending), target: target.to_owned() };
        partial.remove()?;
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial.path)?;
        Ok(partial)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Syncs it and gives it its name, if that is still free. Answers how large it is.
    pub(super) fn finish(self) -> io::Result<u64> {
        let file = File::open(&self.path)?;
        file.sync_all()?;
        let bytes = file.metadata()?.len();
        if fs::symlink_metadata(&self.target).is_ok() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        fs::rename(&self.path, &self.target)?;
        let directory = match self.target.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        match File::open(directory)?.sync_all() {
            // Some file systems have no such call.
            Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(bytes),
            synced => synced.map(|()| bytes),
        }
    }

    fn remove(&self) -> io::Result<()> {
        let beside = BESIDE.iter().map(|suffix| with_suffix(&self.path, suffix));
        for path in beside.chain([self.path.clone()]) {
            match fs::remove_file(path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                removed => removed?,
            }
        }
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // What stays is replaced by the next one.
        let _ = self.remove();
    }
}

/// A path with something at its end.
pub(super) fn with_suffix(path: &Path, suffix: impl AsRef<OsStr>) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}
