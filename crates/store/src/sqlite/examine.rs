//! What `meishi doctor` finds in a data directory and its database.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use meishi_contacts::{UnixMillis, limits::FREE_BYTES};
use rusqlite::{Connection, ErrorCode};

use super::migrations;
use crate::examine::{CHECKS, Check, Finding, RESTORE, Severity};

/// The modes of what only its owner may touch.
const OTHERS: u32 = 0o077;

/// Runs all checks, as of one moment.
pub(super) fn all(
    connection: &Connection,
    path: &Path,
    now: UnixMillis,
) -> rusqlite::Result<Vec<Finding>> {
    let transaction = connection.unchecked_transaction()?;
    let mut findings = Vec::new();
    if let Some(directory) = path.parent() {
        findings.push(directory_mode(directory));
        findings.push(owner_only(directory));
        findings.extend(free_space(directory, path));
    }
    findings.push(schema(&transaction)?);
    findings.push(match integrity(&transaction, "quick_check")? {
        None => Finding::ok("file", "the database's file is whole"),
        Some(reason) => {
            let message = format!("the database's file is damaged ({reason})");
            Finding::bad("file", Severity::Wrong, message, RESTORE)
        }
    });
    findings.extend(data(&transaction, now)?);
    Ok(findings)
}

/// Runs the checks that both databases share. One that cannot be run is a finding too.
pub(super) fn data(connection: &Connection, now: UnixMillis) -> rusqlite::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for check in &CHECKS {
        match run(connection, check, now) {
            Ok(found) => findings.extend(found),
            Err(error) if interrupted(&error) => return Err(error),
            Err(error) => findings.push(check.failed(&error.to_string())),
        }
    }
    Ok(findings)
}

fn run(connection: &Connection, check: &Check, now: UnixMillis) -> rusqlite::Result<Vec<Finding>> {
    let mut statement = connection.prepare(&check.sql(now))?;
    check.findings(statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

/// What `PRAGMA quick_check` or `integrity_check` finds wrong first.
pub(super) fn integrity(connection: &Connection, check: &str) -> rusqlite::Result<Option<String>> {
    let first =
        connection.query_row(&format!("PRAGMA {check}(1)"), [], |row| row.get::<_, String>(0));
    match first {
        Ok(answer) if answer == "ok" => Ok(None),
        Ok(reason) => Ok(Some(reason.replace('\n', "; "))),
        Err(error) if interrupted(&error) => Err(error),
        Err(error) => Ok(Some(error.to_string())),
    }
}

fn interrupted(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted)
}

fn schema(connection: &Connection) -> rusqlite::Result<Finding> {
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(if found == migrations::known() {
        Finding::ok("schema", format!("the schema is this version's ({found})"))
    } else {
        let message = format!("the schema is {found} instead of {}", migrations::known());
        Finding::bad("schema", Severity::Wrong, message, "start the version that wrote it")
    })
}

fn directory_mode(directory: &Path) -> Finding {
    let name = "data_directory";
    match fs::metadata(directory) {
        Ok(metadata) if metadata.mode() & OTHERS == 0 => {
            Finding::ok(name, "the data directory is its owner's alone")
        }
        Ok(metadata) => {
            let mode = metadata.mode() & 0o777;
            let message =
                format!("others than its owner can enter the data directory ({mode:03o})");
            let advice = format!("chmod 700 {}", directory.display());
            Finding::bad(name, Severity::Warning, message, advice)
        }
        Err(error) => unreadable(name, directory, &error),
    }
}

/// Whether all files are for their owner only, and that one the directory's.
fn owner_only(directory: &Path) -> Finding {
    let name = "files";
    let wrong = || -> std::io::Result<Option<Finding>> {
        let owner = fs::metadata(directory)?.uid();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let file = entry.path();
            if !entry.file_name().as_encoded_bytes().starts_with(b"meishi.") {
                continue;
            }
            // One that is gone by now was a log of another connection.
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.mode() & OTHERS != 0 {
                let message = format!("others than its owner can read {}", file.display());
                let advice = format!("chmod 600 {}", file.display());
                return Ok(Some(Finding::bad(name, Severity::Wrong, message, advice)));
            }
            if metadata.uid() != owner {
                let message = format!("{} is not of the data directory's owner", file.display());
                let advice =
                    format!("chown {owner} {}, and run commands as that user", file.display());
                return Ok(Some(Finding::bad(name, Severity::Wrong, message, advice)));
            }
        }
        Ok(None)
    };
    match wrong() {
        Ok(None) => Finding::ok(name, "the files are their owner's alone"),
        Ok(Some(finding)) => finding,
        Err(error) => unreadable(name, directory, &error),
    }
}

/// Whether the database can go on growing, and be copied once, as an upgrade does.
fn free_space(directory: &Path, path: &Path) -> Option<Finding> {
    let name = "free_space";
    let disk = rustix::fs::statvfs(directory).ok()?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let size = fs::metadata(path).ok()?.len();
    let wanted = size.max(FREE_BYTES);
    let megabytes = |bytes: u64| bytes / 1_000_000;
    let message = format!("{} MB are free on the disk", megabytes(free));
    Some(if free >= wanted {
        Finding::ok(name, message)
    } else {
        let advice = format!(
            "make room: {} MB should be free, since an upgrade keeps a copy of the database",
            megabytes(wanted)
        );
        Finding::bad(name, Severity::Warning, message, advice)
    })
}

fn unreadable(name: &str, directory: &Path, error: &std::io::Error) -> Finding {
    let message = format!("{} cannot be read ({error})", directory.display());
    Finding::bad(name, Severity::Wrong, message, "let the server's user read it")
}
