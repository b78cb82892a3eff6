//! The program under test: a command that runs to its end, and a server that is running.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use meishi_test_postgres::{Cluster, Database};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    client::{Client, Credential},
    tables::Tables,
};

/// How long anything may take that is not itself measured.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A setting of whoever runs the tests, from the environment.
#[expect(clippy::disallowed_methods, reason = "how somebody who runs a test speaks to it")]
pub(crate) fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A directory of a test's own, in which every program runs. The data is below it, or in a
/// PostgreSQL database.
pub(crate) struct Place {
    home: TempDir,
    postgres: Option<Database>,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), postgres: None }
    }

    /// A place whose programs are given an empty PostgreSQL database by their environment.
    pub(crate) fn on(cluster: &Cluster) -> Self {
        Self { postgres: Some(cluster.create_database()), ..Self::new() }
    }

    /// A place of either kind.
    pub(crate) fn both() -> [Self; 2] {
        [Self::new(), Self::on(Cluster::shared())]
    }

    pub(crate) fn is_on_postgres(&self) -> bool {
        self.postgres.is_some()
    }

    /// Whether a program names the place of the data so.
    pub(crate) fn is_named(&self, text: &str) -> bool {
        match &self.postgres {
            Some(database) => {
                text.starts_with("postgres://") && text.ends_with(&format!("/{}", database.name()))
            }
            None => text == "./meishi-data",
        }
    }

    /// What is in its database, while no server writes to it.
    pub(crate) fn tables(&self) -> Tables {
        match &self.postgres {
            Some(database) => Tables::of_server(database.url()),
            None => Tables::of_file(&self.database()),
        }
    }

    /// The URL of its PostgreSQL database.
    pub(crate) fn url(&self) -> &str {
        self.postgres.as_ref().expect("a place on PostgreSQL").url()
    }

    /// The directory that programs run in.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// The data directory that programs use when nothing else is said.
    pub(crate) fn data(&self) -> PathBuf {
        self.home().join("meishi-data")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.data().join("meishi.db")
    }

    /// The program with nothing of the test's own environment.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_meishi"));
        // A backtrace would be seen if there could be one.
        command.env_clear().env("RUST_BACKTRACE", "1").current_dir(self.home()).args(args);
        if let Some(database) = &self.postgres {
            command.env("MEISHI_DATABASE_URL", database.url());
        }
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Finished {
        Finished::of(&mut self.command(args))
    }

    /// Runs a command that must succeed and print one JSON value.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        self.run(args).json()
    }

    /// Makes the first account and tells its credential.
    pub(crate) fn init(&self) -> Credential {
        Credential::of(&self.json(&["init", "--json"]))
    }

    /// Starts a server on a free port.
    pub(crate) fn serve(&self, args: &[&str]) -> Server {
        let mut all = vec!["serve", "--listen", "127.0.0.1:0"];
        all.extend(args);
        Server::start(self.command(&all))
    }
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    pub(crate) fn of(command: &mut Command) -> Self {
        let Output { status, stdout, stderr } = command.output().unwrap();
        Self { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }

    pub(crate) fn succeeded(self) -> Self {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{self:?}");
        self
    }

    pub(crate) fn json(self) -> Value {
        let done = self.succeeded();
        assert_eq!(done.stdout.matches('\n').count(), 1, "one line: {done:?}");
        serde_json::from_str(&done.stdout).unwrap()
    }

    /// The sentence by which the command was refused: exit code 1, one line on standard error,
    /// nothing on standard output.
    pub(crate) fn refused(self) -> String {
        assert_eq!((self.code, self.stdout.as_str()), (Some(1), ""), "{self:?}");
        let sentence = self.stderr.strip_suffix('\n').expect("a whole line");
        assert!(sentence.starts_with("meishi: "), "{self:?}");
        assert!(!sentence.contains('\n'), "one sentence: {self:?}");
        let leaks = ["panicked", "backtrace", "RUST_BACKTRACE", "Caused by", "src/"];
        assert!(leaks.iter().all(|leak| !sentence.contains(leak)), "{self:?}");
        sentence.to_owned()
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// A running server, killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    out: Collected,
    log: Collected,
    /// `http://host:port`, as the first line of standard output gave it.
    pub(crate) base: String,
}

impl Server {
    /// Starts it and waits for its first line.
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = Collected::from(child.stdout.take().unwrap());
        let log = Collected::from(child.stderr.take().unwrap());
        let mut server = Self { child, out, log, base: String::new() };
        let first = server.out.wait_for(|text| text.lines().next().map(str::to_owned));
        let first = first.unwrap_or_else(|| panic!("no first line: {}", server.log.text()));
        let base = first.strip_prefix("listening on ").unwrap_or_else(|| panic!("{first:?}"));
        base.clone_into(&mut server.base);
        server
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn client(&self, credential: &Credential) -> Client {
        Client::new(&self.base, credential)
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> &str {
        self.base.strip_prefix("http://").unwrap()
    }

    /// Standard output so far, once it holds a text.
    pub(crate) fn out_with(&self, part: &str) -> String {
        let found = self.out.wait_for(|text| text.contains(part).then(|| text.to_owned()));
        found.unwrap_or_else(|| panic!("{part:?} was not printed: {}", self.out.text()))
    }

    /// The log so far, once it holds a text.
    pub(crate) fn log_with(&self, part: &str) -> String {
        let found = self.log.wait_for(|text| text.contains(part).then(|| text.to_owned()));
        found.unwrap_or_else(|| panic!("{part:?} was not logged: {}", self.log.text()))
    }

    /// Sends a signal, by its short name.
    pub(crate) fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
    }

    /// Ends it as `kill -9` does, at once and without a chance to do anything.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end and answers how it ended, all of its output and all of its log.
    pub(crate) fn wait(mut self) -> (ExitStatus, String, String) {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None if Instant::now() > deadline => panic!("still running: {}", self.log.text()),
                None => thread::sleep(Duration::from_millis(5)),
            }
        };
        (status, self.out.whole(), self.log.whole())
    }

    /// Asks it to end, as a service manager does, and answers what it wrote.
    pub(crate) fn stop(self) -> (String, String) {
        self.signal("TERM");
        let (status, out, log) = self.wait();
        assert_eq!(status.code(), Some(0), "{log}");
        (out, log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a stream brought so far, read by a thread so that its writer never waits.
struct Collected {
    text: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Collected {
    fn from(stream: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let sink = Arc::clone(&text);
        let reader = thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            while stream.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
                sink.lock().unwrap().push_str(&line);
                line.clear();
            }
        });
        Self { text, reader: Some(reader) }
    }

    fn text(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    /// Everything, once the writer has ended.
    fn whole(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.text()
    }

    fn wait_for<T>(&self, wanted: impl Fn(&str) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ended = self.reader.as_ref().is_none_or(JoinHandle::is_finished);
            let found = wanted(&self.text.lock().unwrap());
            if found.is_some() || ended || Instant::now() > deadline {
                return found;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}
