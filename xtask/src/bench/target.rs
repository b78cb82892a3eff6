//! The servers that are measured, each on a core of its own.

use std::{
    fs,
    io::ErrorKind,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use meishi_test_postgres::{Cluster, Database};
use serde_json::Value;

use super::{
    SERVER_CORE,
    cases::{Ask, Writer},
    dataset,
    load::{Figures, Load, call, each},
};
use crate::{
    server::{Scratch, Server},
    shell,
};

/// An ordinary, durable PostgreSQL.
pub(super) const POSTGRES: [(&str, &str); 5] = [
    ("fsync", "on"),
    ("full_page_writes", "on"),
    ("synchronous_commit", "on"),
    ("shared_buffers", "1GB"),
    ("max_wal_size", "4GB"),
];

/// How long an index may take to load.
const WARM_UP: Duration = Duration::from_mins(2);

/// Contacts in one call.
const CHUNK: u64 = 1000;

/// Where Meishi keeps its contacts.
#[derive(Debug)]
enum Place {
    Directory(PathBuf),
    Postgres { database: Database, _cluster: Box<Cluster> },
}

/// A Meishi with one account that holds contacts of the dataset.
#[derive(Debug)]
pub(super) struct Meishi {
    program: PathBuf,
    place: Place,
    authorization: String,
    scratch: Scratch,
    server: Option<Server>,
    contacts: u64,
    /// The number of the last contact that was created, in or beyond the dataset.
    last: u64,
    /// Where the next run finds what there is.
    note: Option<PathBuf>,
}

impl Meishi {
    /// One on the embedded store.
    pub(super) fn on_sqlite(program: &Path) -> Result<Self> {
        let scratch = Scratch::new()?;
        let place = Place::Directory(scratch.path().join("data"));
        Self::new(program, place, scratch)
    }

    /// One on the embedded store, with the contacts that an earlier run left in a directory.
    pub(super) fn kept(program: &Path, directory: &Path) -> Result<Self> {
        let place = Place::Directory(directory.join("data"));
        let scratch = Scratch::new()?;
        let path = directory.join("bench.json");
        let mut kept = if path.exists() {
            let (authorization, contacts, last) = serde_json::from_slice(&fs::read(&path)?)?;
            let program = program.to_owned();
            Self {
                program,
                place,
                authorization,
                scratch,
                server: None,
                contacts,
                last,
                note: None,
            }
        } else {
            fs::create_dir_all(directory)?;
            Self::new(program, place, scratch)?
        };
        kept.note = Some(path);
        Ok(kept)
    }

    /// Notes for the next run what there is.
    fn take_note(&self) -> Result<()> {
        let Some(path) = &self.note else { return Ok(()) };
        let note = (&self.authorization, self.contacts, self.last);
        Ok(fs::write(path, serde_json::to_vec(&note)?)?)
    }

    /// One on a PostgreSQL of its own, which runs on the server's core.
    pub(super) fn on_postgres(program: &Path) -> Result<Self> {
        let cluster = Box::new(on_server_core(|| Ok(Cluster::start(&POSTGRES, &[])))?);
        let place = Place::Postgres { database: cluster.create_database(), _cluster: cluster };
        Self::new(program, place, Scratch::new()?)
    }

    fn new(program: &Path, place: Place, scratch: Scratch) -> Result<Self> {
        let mut init = shell::command(program);
        init.args(["init", "--json"]);
        point_to(&place, &mut init);
        let first: Value = serde_json::from_str(&shell::capture(&mut init)?)?;
        let member = |name: &str| first.get(name).and_then(Value::as_str).context("no credentials");
        let authorization = basic(member("api_key")?, member("api_secret")?)?;
        Ok(Self {
            program: program.to_owned(),
            place,
            authorization,
            scratch,
            server: None,
            contacts: 0,
            last: 0,
            note: None,
        })
    }

    /// Starts the server; how long it took until it listened.
    pub(super) fn start(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        let mut serve = shell::command("taskset");
        serve.args(["-c", SERVER_CORE]).arg(&self.program);
        serve.args(["serve", "--listen", "127.0.0.1:0", "--log", "error"]);
        serve.arg("--index-dir").arg(self.indexes());
        point_to(&self.place, &mut serve);
        self.server = Some(Server::start(&mut serve, &self.scratch.path().join("server.log"))?);
        Ok(begun.elapsed())
    }

    /// Takes away what the indexes could be loaded from instead of the database.
    pub(super) fn forget_snapshots(&self) -> Result<()> {
        match fs::remove_dir_all(self.indexes()) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn indexes(&self) -> PathBuf {
        match &self.place {
            Place::Directory(directory) => directory.join("indexes"),
            Place::Postgres { .. } => self.scratch.path().join("indexes"),
        }
    }

    /// Stops the server.
    pub(super) fn stop(&mut self) -> Result<()> {
        self.server.take().map_or(Ok(()), Server::stop)
    }

    fn server(&self) -> Result<&Server> {
        self.server.as_ref().context("the server does not run")
    }

    fn address(&self) -> Result<SocketAddr> {
        address(self.server()?)
    }

    /// Where the contacts are, on PostgreSQL.
    pub(super) fn database_url(&self) -> Result<&str> {
        match &self.place {
            Place::Postgres { database, .. } => Ok(database.url()),
            Place::Directory(_) => anyhow::bail!("there is no PostgreSQL"),
        }
    }

    /// How many contacts of the dataset there are.
    pub(super) fn contacts(&self) -> u64 {
        self.contacts
    }

    /// Creates the dataset's contacts up to `contacts`, with their labels; how long the former took.
    pub(super) fn fill(&mut self, contacts: u64) -> Result<Duration> {
        let (from, begun) = (self.contacts + 1, Instant::now());
        if contacts == self.contacts {
            return Ok(Duration::ZERO);
        }
        ensure!(self.last == self.contacts, "other contacts were created meanwhile");
        for chunk in (from..=contacts).step_by(usize::try_from(CHUNK)?) {
            let last = contacts.min(chunk + CHUNK - 1);
            let operation = |n| format!(r#"{{"op":"create","contact":{}}}"#, dataset::contact(n));
            let operations: Vec<String> = (chunk..=last).map(operation).collect();
            let body = format!(r#"{{"operations":[{}]}}"#, operations.join(","));
            let answer = self.call("POST", "/api/v2/accounts/contacts/batch", &body)?;
            let created = answer.matches(r#""status":200"#).count();
            ensure!(created == operations.len(), "{created} of {} were created", operations.len());
        }
        let created = begun.elapsed();
        self.label(from, contacts)?;
        (self.contacts, self.last) = (contacts, contacts);
        self.take_note()?;
        Ok(created)
    }

    fn label(&self, from: u64, to: u64) -> Result<()> {
        let writer = Writer::new(&self.authorization, to, to);
        let mut rest = (from..=to).filter(|n| !dataset::labels(*n).is_empty());
        each(self.address()?, 64, move |into| {
            let n = rest.next()?;
            let body = format!(r#"{{"labels":["{}"]}}"#, dataset::labels(n).join(r#"",""#));
            writer.request(into, "POST", &format!("/api/v2/accounts/contacts/{n}/labels"), &body);
            Some(())
        })
    }

    /// One request; the body of its answer.
    pub(super) fn call(&self, method: &str, target: &str, body: &str) -> Result<String> {
        let mut request = Vec::new();
        let writer = Writer::new(&self.authorization, self.contacts, self.last);
        writer.request(&mut request, method, target, body);
        call(self.address()?, &request)
    }

    /// Searches until the index is loaded: a caller is not made to wait for a long load.
    pub(super) fn warm(&self) -> Result<()> {
        let begun = Instant::now();
        loop {
            match self.call("GET", "/api/v2/accounts/contacts?q=warm", "") {
                Err(error) if begun.elapsed() > WARM_UP => return Err(error),
                Err(_) => {}
                Ok(_) => return Ok(()),
            }
        }
    }

    /// How many contacts there are, those included that were created to measure.
    pub(super) fn count(&self) -> Result<u64> {
        // After very many writes the index may be far behind.
        self.warm()?;
        let page: Value =
            serde_json::from_str(&self.call("GET", "/api/v2/accounts/contacts", "")?)?;
        page.pointer("/meta/count").and_then(Value::as_u64).context("the list tells no count")
    }

    /// Measures a case.
    pub(super) fn measure(
        &mut self,
        ask: &Ask,
        connections: usize,
        time: Duration,
    ) -> Result<Figures> {
        self.measure_some(ask, connections, connections, time)
    }

    /// The same, with so many of the connections waiting for an answer at a time.
    pub(super) fn measure_some(
        &mut self,
        ask: &Ask,
        connections: usize,
        at_once: usize,
        time: Duration,
    ) -> Result<Figures> {
        let (server, ask) = (self.address()?, ask.clone());
        let mut writer = Writer::new(&self.authorization, self.contacts, self.last);
        // Contacts that this measurement creates do not meet those of another one.
        if matches!(ask, Ask::Create | Ask::Mixed) {
            self.last += 10_000_000;
            self.take_note()?;
        }
        let load = Load { server, connections, at_once, time };
        load.run(move |into| writer.write(&ask, into))
    }

    /// MiB of anonymous memory that the server has.
    pub(super) fn memory(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.server()?.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = line.and_then(|line| line.split_whitespace().next()).context("no RssAnon")?;
        Ok(kib.parse::<f64>()? / 1024.0)
    }

    /// MiB on disk, those of snapshots aside.
    pub(super) fn disk(&self) -> Result<f64> {
        let bytes = match &self.place {
            Place::Directory(directory) => {
                let mut bytes = 0;
                for entry in fs::read_dir(directory)? {
                    let metadata = entry?.metadata()?;
                    bytes += if metadata.is_file() { metadata.len() } else { 0 };
                }
                bytes
            }
            Place::Postgres { database, .. } => {
                let size = "SELECT pg_database_size(current_database())";
                let mut psql = shell::command("psql");
                psql.args(["--no-psqlrc", "--tuples-only", "--no-align", "--command", size]);
                shell::capture(psql.arg(database.url()))?.trim().parse()?
            }
        };
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let bytes = bytes as f64;
        Ok(bytes / 1024.0 / 1024.0)
    }
}

/// The reference, and how to ask it.
#[derive(Debug)]
pub(super) struct Reference {
    server: Server,
    authorization: String,
    _scratch: Scratch,
}

impl Reference {
    pub(super) fn start(program: &Path) -> Result<Self> {
        let scratch = Scratch::new()?;
        let (key, secret) = ("livedesk_0123456789abcdef", "0123456789abcdef0123456789abcdef");
        let mut serve = shell::command("taskset");
        serve.args(["-c", SERVER_CORE]).arg(program).args(["127.0.0.1:0", key, secret]);
        let server = Server::start(&mut serve, &scratch.path().join("reference.log"))?;
        let authorization = basic(key, secret)?;
        Ok(Self { server, authorization, _scratch: scratch })
    }

    pub(super) fn measure(
        &self,
        post: bool,
        connections: usize,
        time: Duration,
    ) -> Result<Figures> {
        let server = address(&self.server)?;
        let load = Load { server, connections, at_once: connections, time };
        let writer = Writer::new(&self.authorization, 0, 0);
        let mut n = 0;
        load.run(move |into| {
            n += 1;
            if post {
                writer.request(into, "POST", "/", &dataset::contact(n));
            } else {
                writer.request(into, "GET", "/", "");
            }
        })
    }
}

/// `Basic …` of a key and its secret.
fn basic(key: &str, secret: &str) -> Result<String> {
    let pair = format!("{key}:{secret}");
    let encode = ["-c", "printf %s \"$0\" | base64 -w0", &pair];
    Ok(format!("Basic {}", shell::capture(shell::command("sh").args(encode))?.trim()))
}

fn address(server: &Server) -> Result<SocketAddr> {
    Ok(server.origin().trim_start_matches("http://").parse()?)
}

fn point_to(place: &Place, command: &mut Command) {
    match place {
        Place::Directory(directory) => command.arg("--data-dir").arg(directory),
        Place::Postgres { database, .. } => command.args(["--database", database.url()]),
    };
}

/// Runs what inherits the core it is run on.
pub(super) fn on_server_core<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    pin(SERVER_CORE)?;
    let done = work();
    pin(super::LOAD_CORE)?;
    done
}

/// Ties this process to a core, and what it starts from here on.
pub(super) fn pin(core: &str) -> Result<()> {
    let own = std::process::id().to_string();
    shell::capture(shell::command("taskset").args(["-a", "-c", "-p", core, &own])).map(drop)
}
