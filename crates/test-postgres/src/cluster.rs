//! A PostgreSQL server: our own, or the one of `TEST_DATABASE_URL`.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio_postgres::Config;
use tokio_postgres::config::Host;

use crate::admin::Admin;
use crate::database::{Database, Origin};
use crate::pgbouncer::PORT_TAKEN;
use crate::watchdog::Watchdog;
use crate::{programs, setting};

/// Below the ports that systems give to outgoing connections, any of which could take ours while
/// the server is down.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// Where a cluster is kept in memory.
const MEMORY: &str = "/dev/shm";

/// What must be free there, in KiB. Containers often have 64 MiB.
const MEMORY_FREE: u64 = 2 * 1024 * 1024;

/// What is not as in an ordinary server: a power failure may take the tests' data.
const SETTINGS: [(&str, &str); 6] = [
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("listen_addresses", "127.0.0.1"),
    ("max_connections", "400"),
    ("max_wal_size", "256MB"),
    ("shared_buffers", "128MB"),
];

/// A PostgreSQL server for tests. One that was started here ends when the value is dropped, or
/// with the process, however that ends.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct Cluster {
    host: String,
    port: u16,
    origin: Origin,
    watchdog: Option<Watchdog>,
}

impl Cluster {
    /// The server that all tests of this process share. It is started when first asked for, unless
    /// `TEST_DATABASE_URL` names one, as a superuser.
    ///
    /// # Panics
    /// If there can be none, with what to do about it.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();

        SHARED.get_or_init(|| {
            let cluster = match setting("TEST_DATABASE_URL") {
                Some(url) => Self::given(&url),
                // Making databases takes a third of the time in memory.
                None => Self::launch(&memory().unwrap_or_else(std::env::temp_dir), &[], &[])
                    .map_err(|error| format!("TEST_DATABASE_URL names none, and {error}")),
            };
            cluster.unwrap_or_else(|error| panic!("the tests cannot have a PostgreSQL: {error}"))
        })
    }

    /// Starts a server of the caller's own, on disk, with further settings. `files` are written to
    /// its data directory, which paths in settings are relative to: certificates, or a
    /// `pg_hba.conf`, which must go on trusting `meishi` over the socket.
    ///
    /// # Panics
    /// If it does not start, with the end of its log.
    pub fn start(settings: &[(&str, &str)], files: &[(&str, &str)]) -> Self {
        Self::launch(&std::env::temp_dir(), settings, files)
            .unwrap_or_else(|error| panic!("the test cannot have its PostgreSQL: {error}"))
    }

    /// Makes an empty database.
    ///
    /// # Panics
    /// If the server does not do it.
    pub fn create_database(&self) -> Database {
        self.origin.create("template0")
    }

    /// The host that it listens on over TCP.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port that it listens on, the same after [`Cluster::resume`].
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Stops the server as its operator would: connections are closed, nothing is lost.
    ///
    /// # Panics
    /// If it is not of our own, or does not stop.
    pub fn stop(&self) {
        self.control("stop -m fast");
    }

    /// Ends the server as a crash of it would: what was not committed is lost.
    ///
    /// # Panics
    /// If it is not of our own, or does not stop.
    pub fn crash(&self) {
        self.control("stop -m immediate");
    }

    /// Starts the server again after [`Cluster::stop`] or [`Cluster::crash`].
    ///
    /// # Panics
    /// If it is not of our own, or does not start.
    pub fn resume(&self) {
        self.control("start -l log");
    }

    fn control(&self, what: &str) {
        let Some(watchdog) = &self.watchdog else {
            panic!("a test that stops PostgreSQL needs Cluster::start, not TEST_DATABASE_URL");
        };
        if let Err(error) = watchdog.run(&pg_ctl(what)) {
            panic!("PostgreSQL is not under control: {error}");
        }
    }

    fn given(url: &str) -> Result<Self, String> {
        let wrong = |error: String| format!("TEST_DATABASE_URL is wrong: {error}");
        let config: Config = url.parse().map_err(|error| wrong(format!("{error}")))?;
        let form = UrlForm::around_database(url)
            .ok_or_else(|| wrong("it should be postgres://user@host/database".to_owned()))?;
        let host = match config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            Some(Host::Unix(path)) => path.to_string_lossy().into_owned(),
            None => return Err(wrong("it names no host".to_owned())),
        };
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let urls = Urls { socket: form.clone(), tcp: form };
        let origin = Origin { admin: Admin::new(config)?, urls, own: false };
        Ok(Self { host, port, origin, watchdog: None })
    }

    fn launch(
        parent: &Path,
        settings: &[(&str, &str)],
        files: &[(&str, &str)],
    ) -> Result<Self, String> {
        let programs = programs::postgres()?;
        let stop = pg_ctl("stop -m immediate");
        let watchdog = Watchdog::start(parent, &stop, &[("PROGRAMS", &programs)])?;
        // `C.UTF-8` and not the machine's: what sorts before what must not depend on it.
        watchdog.run(
            "\"$PROGRAMS/initdb\" -D data --encoding=UTF8 --locale=C.UTF-8 -A trust -U meishi \
             --no-sync --no-instructions",
        )?;
        for (name, contents) in files {
            watchdog.write(&Path::new("data").join(name), contents)?;
        }
        let directory = watchdog.directory().display().to_string();
        configure(&watchdog, &SETTINGS)?;
        configure(&watchdog, &[("unix_socket_directories", &directory)])?;
        configure(&watchdog, settings)?;
        let port = start(&watchdog)?;

        let host = "127.0.0.1".to_owned();
        let socket = utf8_percent_encode(&directory, NON_ALPHANUMERIC);
        let form = |host: &str| UrlForm {
            before: format!("postgres://meishi@{host}:{port}/"),
            after: String::new(),
        };
        let urls = Urls { socket: form(&socket.to_string()), tcp: form(&host) };
        let config: Config =
            urls.socket.of("postgres").parse().map_err(|error| format!("{error}"))?;
        let origin = Origin { admin: Admin::new(config)?, urls, own: true };
        Ok(Self { host, port, origin, watchdog: Some(watchdog) })
    }
}

/// The shell's line that has `pg_ctl` do something and waits until it is done.
fn pg_ctl(what: &str) -> String {
    format!("\"$PROGRAMS/pg_ctl\" -D data -w -s {what}")
}

/// Adds settings; a later one overrides an earlier one of the same name.
fn configure(watchdog: &Watchdog, settings: &[(&str, &str)]) -> Result<(), String> {
    let path = watchdog.directory().join("data/postgresql.conf");
    let line = |(name, value): &(&str, &str)| format!("{name} = '{}'\n", value.replace('\'', "''"));
    let lines: Vec<String> = settings.iter().map(line).collect();
    fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(lines.concat().as_bytes()))
        .map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// Starts the server on a free port and waits until it accepts connections.
fn start(watchdog: &Watchdog) -> Result<u16, String> {
    for _ in 0..10 {
        let port = free_port()?;
        configure(watchdog, &[("port", &port.to_string())])?;
        match watchdog.run(&pg_ctl("start -l log")) {
            Ok(()) => return Ok(port),
            // Somebody else took the port first.
            Err(error) if error.contains(PORT_TAKEN) => {}
            Err(error) => return Err(error),
        }
    }
    Err("every port that was tried is taken by the time PostgreSQL starts".to_owned())
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> Result<u16, String> {
    (0..100)
        .map(|_| fastrand::u16(PORTS))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .ok_or_else(|| format!("there seems to be no free port in {PORTS:?}"))
}

/// The directory for what is kept in memory, if there is one with room.
fn memory() -> Option<PathBuf> {
    let output = Command::new("df").args(["-Pk", MEMORY]).stdin(Stdio::null()).output().ok()?;
    let free = available(&String::from_utf8_lossy(&output.stdout))?;
    (free >= MEMORY_FREE).then(|| MEMORY.into())
}

/// The fourth column of the second line that `df -Pk` prints.
fn available(df: &str) -> Option<u64> {
    df.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()
}

/// The URLs of a cluster's databases.
#[derive(Debug, Clone)]
pub(crate) struct Urls {
    pub(crate) socket: UrlForm,
    pub(crate) tcp: UrlForm,
}

/// A URL with a gap for the database's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UrlForm {
    before: String,
    after: String,
}

impl UrlForm {
    /// The URL of the database of this name.
    pub(crate) fn of(&self, name: &str) -> String {
        format!("{}{name}{}", self.before, self.after)
    }

    /// Makes a gap of the database that a URL names, or could name.
    fn around_database(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, _) = address.split_once('/').unwrap_or((address, ""));
        let after = if query.is_empty() { String::new() } else { format!("?{query}") };
        Some(Self { before: format!("{scheme}://{authority}/"), after })
    }
}

#[cfg(test)]
mod tests {
    use super::{UrlForm, available};

    #[test]
    fn a_url_is_that_of_another_database() {
        let of = |url| UrlForm::around_database(url).map(|form| form.of("new"));
        for (url, expected) in [
            ("postgres://me:pw@db:5433/postgres", "postgres://me:pw@db:5433/new"),
            ("postgresql://me@%2Frun", "postgresql://me@%2Frun/new"),
            ("postgres://me@db?sslmode=prefer", "postgres://me@db/new?sslmode=prefer"),
            ("postgres://me@db/x?sslmode=prefer", "postgres://me@db/new?sslmode=prefer"),
        ] {
            assert_eq!(of(url).as_deref(), Some(expected), "{url}");
        }
        assert_eq!(of("host=db user=me"), None);
    }

    #[test]
    fn free_memory_is_read() {
        let df = "Filesystem 1024-blocks Used Available Capacity Mounted on\n\
                  tmpfs 24684092 12 24684080 1% /dev/shm\n";
        assert_eq!(available(df), Some(24_684_080));
        assert_eq!(available(""), None);
    }
}
