//! A server of our own to test against: its process, and the directory it lives in.

use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::shell;

/// How long the server may take to start listening, and to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// A directory for us alone, removed when dropped.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes the directory. Its path is short, since the server's socket lies below it.
    pub(crate) fn new() -> Result<Self> {
        let path = shell::capture(shell::command("mktemp").args(["-d", "-t", "meishi.XXXXXX"]))?;
        Ok(Self(path.trim_end().into()))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("warning: cannot remove {}: {error}", self.0.display());
        }
    }
}

/// A running server, killed when dropped before it was stopped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    origin: String,
    reader: Option<JoinHandle<()>>,
}

impl Server {
    /// Runs the command and waits until it says where it listens. What it prints goes to the file
    /// `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let mut log_file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(log_file.try_clone()?)
            .spawn()
            .context("cannot start the server")?;
        let stdout = child.stdout.take();
        // From here on the process is looked after, whatever fails.
        let mut server = Self { child, origin: String::new(), reader: None };

        let (send, receive) = mpsc::channel();
        let mut lines = BufReader::new(stdout.context("the server has no standard output")?);
        server.reader = Some(thread::spawn(move || {
            let mut line = String::new();
            let read = lines.read_line(&mut line);
            // Nobody waits for the line any more if it comes too late. The rest is read so that
            // the server never blocks on a full pipe.
            let _ = send.send(read.map(|_| line));
            let _ = io::copy(&mut lines, &mut log_file);
        }));
        let line = receive
            .recv_timeout(PATIENCE)
            .with_context(|| format!("the server said nothing for {PATIENCE:?}"))??;
        origin_of(&line)
            .with_context(|| format!("the server should say where it listens; it said {line:?}"))?
            .clone_into(&mut server.origin);
        Ok(server)
    }

    /// The server's scheme, host and port.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// The server's process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks the server to stop. Anything but a clean exit is an error.
    pub(crate) fn stop(mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the server ended on its own: {status}");
        }
        // The shell's own `kill`: the program of that name is not on every machine.
        let script = format!("kill -TERM {}", self.child.id());
        shell::run(shell::command("sh").args(["-c", &script]))?;
        let status = self.wait()?;
        ensure!(status.success(), "the server was asked to stop and ended with {status}");
        Ok(())
    }

    fn wait(&mut self) -> Result<ExitStatus> {
        let asked = Instant::now();
        while asked.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("the server was asked to stop and still runs after {PATIENCE:?}")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        // The log is complete once the pipe has been read to its end.
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// The last lines of a log, or nothing if it cannot be read.
pub(crate) fn tail(log: &Path, lines: usize) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let mut last: Vec<&str> = text.lines().rev().take(lines).collect();
    last.reverse();
    last.join("\n")
}

/// `http://127.0.0.1:1234` of the line `listening on http://127.0.0.1:1234`.
fn origin_of(line: &str) -> Option<&str> {
    let origin = line.trim_end().strip_prefix("listening on ")?;
    let (_, port) = origin.strip_prefix("http://")?.rsplit_once(':')?;
    port.parse::<u16>().is_ok().then_some(origin)
}

#[cfg(test)]
mod tests {
    use super::{Scratch, Server, origin_of, tail};
    use crate::shell;

    const LISTEN: &str = "echo 'listening on http://127.0.0.1:1'";

    #[test]
    fn the_listening_line_yields_the_origin() {
        let line = "listening on http://127.0.0.1:4711\n";
        assert_eq!(origin_of(line), Some("http://127.0.0.1:4711"));
    }

    #[test]
    fn other_lines_yield_no_origin() {
        for line in ["", "\n", "listening on 127.0.0.1:4711", "listening on http://localhost"] {
            assert_eq!(origin_of(line), None, "{line:?}");
        }
    }

    /// Starts a shell script in the server's place.
    fn start(scratch: &Scratch, script: &str) -> anyhow::Result<Server> {
        Server::start(shell::command("sh").args(["-c", script]), &scratch.path().join("log"))
    }

    #[test]
    fn a_server_is_started_logged_and_stopped() {
        let scratch = Scratch::new().unwrap();
        let script =
            format!("trap 'echo bye; exit 0' TERM; echo hi >&2; {LISTEN}; while :; do :; done");
        let server = start(&scratch, &script).unwrap();
        assert_eq!(server.origin(), "http://127.0.0.1:1");
        server.stop().unwrap();
        let log = scratch.path().join("log");
        assert_eq!(tail(&log, 5), "hi\nbye");
        assert_eq!(tail(&log, 1), "bye");

        let path = scratch.path().to_owned();
        drop(scratch);
        assert!(!path.exists());
    }

    #[test]
    fn a_server_that_stops_uncleanly_is_an_error() {
        let scratch = Scratch::new().unwrap();
        let script = format!("trap 'exit 7' TERM; {LISTEN}; while :; do :; done");
        let error = start(&scratch, &script).unwrap().stop().unwrap_err().to_string();
        assert!(error.ends_with("exit status: 7"), "{error}");
    }

    #[test]
    fn a_server_that_never_listens_is_an_error() {
        let scratch = Scratch::new().unwrap();
        let error = start(&scratch, "exit 1").unwrap_err().to_string();
        assert!(error.ends_with("it said \"\""), "{error}");
    }
}
