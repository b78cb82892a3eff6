//! Which PostgreSQL and which PgBouncer of this machine the tests run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::setting;

/// The oldest PostgreSQL that Meishi runs on.
const OLDEST: u32 = 15;

/// Where Debian keeps a directory for each version it has installed, away from the PATH.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The directory that `initdb`, `pg_ctl` and `postgres` are run from: the first on the PATH, or
/// else Debian's newest. The error says what to install.
pub fn postgres() -> Result<PathBuf, String> {
    let mut debian: Vec<(u32, PathBuf)> = fs::read_dir(DEBIAN)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    debian.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    path()
        .into_iter()
        .chain(debian.into_iter().map(|(_, directory)| directory))
        .find(|directory| {
            ["initdb", "pg_ctl"].iter().all(|name| directory.join(name).is_file())
                && version(&directory.join("postgres"))
                    .and_then(|line| major(&line))
                    .is_some_and(|major| major >= OLDEST)
        })
        .ok_or_else(|| {
            format!(
                "the programs of PostgreSQL {OLDEST} or later are not here; run `cargo xtask setup`"
            )
        })
}

/// The program `pgbouncer`. The error says what to install.
pub fn pgbouncer() -> Result<PathBuf, String> {
    // The PATH of an ordinary user may lack the directory that Debian puts it in.
    path()
        .into_iter()
        .chain([PathBuf::from("/usr/sbin")])
        .map(|directory| directory.join("pgbouncer"))
        .find(|program| version(program).is_some())
        .ok_or_else(|| "PgBouncer is not here; run `cargo xtask setup`".to_owned())
}

fn path() -> Vec<PathBuf> {
    std::env::split_paths(&setting("PATH").unwrap_or_default()).collect()
}

/// What a program that is there says its version is.
fn version(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The first number of `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, or of `17beta1`.
fn major(line: &str) -> Option<u32> {
    let version = line.split_whitespace().nth(2)?;
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn the_major_version_is_read() {
        assert_eq!(major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(major("postgres (PostgreSQL) 19beta1\n"), Some(19));
        assert_eq!(major("postgres\n"), None);
    }
}
