//! A PgBouncer in front of a database, as many operators have one.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use crate::admin::Admin;
use crate::cluster::free_port;
use crate::database::Database;
use crate::programs;
use crate::watchdog::Watchdog;

/// How long it may take to serve.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a port that somebody else took first looks like in a log.
pub(crate) const PORT_TAKEN: &str = "Address already in use";

/// A PgBouncer that gives its clients a connection for one transaction at a time, out of three in
/// all. It ends when the value is dropped, or with the process.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct PgBouncer {
    url: String,
    _watchdog: Watchdog,
}

impl PgBouncer {
    /// Starts one in front of a database.
    ///
    /// # Panics
    /// If it does not start, with the end of its log.
    pub fn start(database: &Database) -> Self {
        let launch = || loop {
            match Self::launch(database) {
                Err(error) if error.contains(PORT_TAKEN) => {}
                outcome => return outcome,
            }
        };
        launch().unwrap_or_else(|error| panic!("the test cannot have its PgBouncer: {error}"))
    }

    /// How to connect to the database through it, as anybody.
    pub fn url(&self) -> &str {
        &self.url
    }

    fn launch(database: &Database) -> Result<Self, String> {
        let program = programs::pgbouncer()?;
        let stop = "kill -TERM \"$pid\"; wait \"$pid\"";
        let watchdog =
            Watchdog::start(&std::env::temp_dir(), stop, &[("PROGRAM", program.as_path())])?;
        let port = free_port()?;
        let settings = settings(port, database.name(), &target(database.url())?);
        watchdog.write(Path::new("pgbouncer.ini"), &settings)?;
        watchdog.run("\"$PROGRAM\" pgbouncer.ini & pid=$!")?;

        let url = format!("postgres://meishi@127.0.0.1:{port}/{}", database.name());
        let config: Config = url.parse().map_err(|error| format!("{error}"))?;
        let client = Admin::new(config)?;
        let started = Instant::now();
        while let Err(error) = client.execute("SELECT 1".to_owned()) {
            let log = watchdog.log_tail();
            if log.contains(" FATAL ") || started.elapsed() > PATIENCE {
                return Err(format!("{error}; its log ends with\n{log}"));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(Self { url, _watchdog: watchdog })
    }
}

/// The file that it is started with.
fn settings(port: u16, name: &str, target: &str) -> String {
    format!(
        "[databases]\n\
         {name} = {target}\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         unix_socket_dir =\n\
         auth_type = any\n\
         pool_mode = transaction\n\
         default_pool_size = 3\n"
    )
}

/// Where a URL leads, in PgBouncer's own form.
fn target(url: &str) -> Result<String, String> {
    let config: Config = url.parse().map_err(|error| format!("{error}"))?;
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        Some(Host::Unix(path)) => path.to_string_lossy().into_owned(),
        None => return Err("the URL of the database names no host".to_owned()),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432).to_string();
    let password = config.get_password().map(String::from_utf8_lossy);
    let words = [
        ("host", Some(host.as_str())),
        ("port", Some(port.as_str())),
        ("user", config.get_user()),
        ("password", password.as_deref()),
        ("dbname", config.get_dbname()),
    ];
    let words = words.into_iter().filter_map(|(key, value)| {
        value.map(|value| format!("{key}='{}'", value.replace('\'', "''")))
    });
    Ok(words.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::target;

    #[test]
    fn a_url_is_told_in_pgbouncers_form() {
        let socket = target("postgres://meishi@%2Ftmp%2Fit%27s:20001/one").unwrap();
        assert_eq!(socket, "host='/tmp/it''s' port='20001' user='meishi' dbname='one'");
        let tcp = target("postgres://me:p%20w@db/one").unwrap();
        assert_eq!(tcp, "host='db' port='5432' user='me' password='p w' dbname='one'");
    }
}
