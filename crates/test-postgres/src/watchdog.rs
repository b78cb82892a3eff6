//! A shell beside the tests that runs a server and stops it when the tests are gone.
//!
//! The shell reads its commands from a pipe whose other end is held here. When this process ends,
//! be it by SIGKILL, the kernel closes the pipe; the shell then meets the end of its commands,
//! stops the server and removes its directory. Nothing has to run here for that.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// How much of the log an error shows.
const LOG_LINES: usize = 20;

/// A server's directory, and the shell that owns both.
#[derive(Debug)]
pub(crate) struct Watchdog {
    directory: PathBuf,
    user: Option<User>,
    shell: Child,
    pipes: Option<Mutex<(ChildStdin, BufReader<ChildStdout>)>>,
}

impl Watchdog {
    /// Makes a directory below `parent` and starts the shell in it. `cleanup` is the command that
    /// stops the server, without a single quote. Commands find the directory in `$DIRECTORY`, and
    /// the given variables.
    pub(crate) fn start(
        parent: &Path,
        cleanup: &str,
        variables: &[(&str, &Path)],
    ) -> Result<Self, String> {
        let scratch = tempfile::Builder::new()
            .prefix("meishi-test-")
            .tempdir_in(parent)
            .map_err(|error| format!("cannot make a directory in {}: {error}", parent.display()))?;
        let directory = scratch.path().to_owned();

        let mut shell = Command::new("sh");
        shell
            .arg("-s")
            .current_dir(&directory)
            .env("DIRECTORY", &directory)
            .envs(variables.iter().copied())
            // What a terminal sends to the tests is none of the shell's business.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        // These would point the programs somewhere else.
        for name in ["PGDATA", "PGHOST", "PGPORT", "PGUSER", "PGOPTIONS"] {
            shell.env_remove(name);
        }
        let user = User::below_root(&directory)?;
        if let Some(user) = &user {
            user.own(&directory)?;
            shell.uid(user.uid).gid(user.gid);
        }
        let mut shell = shell.spawn().map_err(|error| format!("cannot start a shell: {error}"))?;
        let pipes = shell.stdin.take().zip(shell.stdout.take());
        let pipes = pipes.map(|(stdin, stdout)| Mutex::new((stdin, BufReader::new(stdout))));
        let watchdog = Self { directory, user, shell, pipes };
        // The shell's own output goes nowhere by then: the pipe may have no reader any more.
        watchdog.run(&format!(
            "trap 'exec >/dev/null 2>&1 </dev/null; {cleanup}; rm -rf \"$DIRECTORY\"' EXIT"
        ))?;
        // From here on the shell removes it.
        let _ = scratch.keep();
        Ok(watchdog)
    }

    /// The server's directory.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The file that everything a command prints goes to.
    pub(crate) fn log(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// Runs a line of shell to its end. The error is the end of the log.
    pub(crate) fn run(&self, line: &str) -> Result<(), String> {
        let gone = |error| format!("the shell that runs the server is gone: {error}");
        let pipes = self.pipes.as_ref().ok_or_else(|| gone("no pipes".to_owned()))?;
        let mut pipes = pipes.lock().unwrap_or_else(PoisonError::into_inner);
        let (stdin, stdout) = &mut *pipes;
        writeln!(stdin, "{{ {line}\n}} </dev/null >>\"$DIRECTORY/log\" 2>&1; echo $?")
            .map_err(|error| gone(error.to_string()))?;
        let mut reply = String::new();
        stdout.read_line(&mut reply).map_err(|error| gone(error.to_string()))?;
        match reply.trim_end() {
            "0" => Ok(()),
            status => Err(format!("`{line}` ended with {status:?}:\n{}", self.log_tail())),
        }
    }

    /// Writes a file that the server's user owns and nobody else reads, as keys have to be.
    pub(crate) fn write(&self, path: &Path, contents: &str) -> Result<(), String> {
        use std::os::unix::fs::OpenOptionsExt;

        let path = self.directory.join(path);
        fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(contents.as_bytes()))
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        self.user.as_ref().map_or(Ok(()), |user| user.own(&path))
    }

    /// The last lines of the log.
    pub(crate) fn log_tail(&self) -> String {
        let bytes = fs::read(self.log()).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default().join("\n")
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.pipes = None;
        // It fails only when the shell has been waited for already.
        let _ = self.shell.wait();
    }
}

/// Whom a server runs as when the tests run as root, whom both servers refuse.
#[derive(Debug, PartialEq, Eq)]
struct User {
    uid: u32,
    gid: u32,
}

impl User {
    /// Somebody who is not root, if the new directory shows that we are.
    fn below_root(directory: &Path) -> Result<Option<Self>, String> {
        let owner = fs::metadata(directory)
            .map_err(|error| format!("cannot read {}: {error}", directory.display()))?
            .uid();
        if owner != 0 {
            return Ok(None);
        }
        let users = fs::read_to_string("/etc/passwd")
            .map_err(|error| format!("cannot read /etc/passwd: {error}"))?;
        let user = Self::find(&users, "postgres").or_else(|| Self::find(&users, "nobody"));
        user.map(Some).ok_or_else(|| {
            "PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody` \
             to run it as"
                .to_owned()
        })
    }

    fn find(passwd: &str, name: &str) -> Option<Self> {
        passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let found = fields.next()? == name;
            let uid = fields.nth(1)?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            found.then_some(Self { uid, gid })
        })
    }

    fn own(&self, path: &Path) -> Result<(), String> {
        chown(path, Some(self.uid), Some(self.gid))
            .map_err(|error| format!("cannot give {} away: {error}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::{User, Watchdog};

    #[test]
    fn a_user_is_found_by_the_whole_name() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\n\nnobody2:x:7:8::/:\nnobody:x:65534:5::/:\n";
        assert_eq!(User::find(passwd, "nobody"), Some(User { uid: 65534, gid: 5 }));
        assert_eq!(User::find(passwd, "postgres"), None);
    }

    #[test]
    fn a_failing_command_shows_the_log_and_the_directory_goes_with_the_watchdog() {
        let watchdog = Watchdog::start(&std::env::temp_dir(), ":", &[]).unwrap();
        watchdog.run("echo fine").unwrap();
        let error = watchdog.run("echo broken; (exit 3)").unwrap_err();
        assert_eq!(error, "`echo broken; (exit 3)` ended with \"3\":\nfine\nbroken");
        let directory = watchdog.directory().to_owned();
        assert!(directory.exists());
        drop(watchdog);
        assert!(!directory.exists());
    }
}
