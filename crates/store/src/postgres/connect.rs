//! How a PostgreSQL server is reached: what a database URL means, and a connection made of it.
//!
//! `tls.rs` decides whom to trust, `failure.rs` turns what went wrong into one sentence. No text
//! that leaves here holds the password: what does not parse is never repeated.

mod failure;
#[cfg(test)]
mod server_tests;
#[cfg(test)]
mod tests;
mod tls;

use std::{fmt, sync::Arc, time::Duration};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use tokio::task::JoinHandle;
use tokio_postgres::{
    Client, Config,
    config::{Host, SslNegotiation},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::OpenError;
pub(crate) use failure::{check_server, open_error};
use tls::Tls;

const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// How long one address may take to answer, unless the URL says.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long what was sent may stay unacknowledged: a server that vanished is noticed after this
/// long instead of after the system's quarter of an hour.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(15);

/// Parameters that are handed on as they are.
const PASSED_ON: [&str; 15] = [
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "load_balance_hosts",
    "options",
    "port",
    "sslnegotiation",
    "target_session_attrs",
    "user",
];

/// What is written with its number in a URL's user, host or database name.
const ENCODED: AsciiSet = CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b',')
    .add(b'/')
    .add(b':')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'@')
    .add(b'[')
    .add(b']')
    .add(b'`')
    .add(b'&')
    .add(b'=');

/// Where a PostgreSQL database is and how it is reached: a `postgres://` URL, understood as libpq
/// does (client certificates apart). `Display` and `Debug` leave the password out. Cheap to clone.
#[derive(Clone)]
pub struct DatabaseUrl {
    config: Arc<Config>,
    tls: MakeRustlsConnect,
}

impl DatabaseUrl {
    /// Reads `postgres://user:password@host:port/dbname?sslmode=…`, with several hosts or a socket's
    /// directory (percent-encoded) where need be, and the CA file of `sslrootcert`.
    pub fn parse(text: &str) -> Result<Self, OpenError> {
        let text = text.trim();
        let rest = SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme));
        let rest = rest.ok_or(OpenError::UnknownScheme)?;
        // A password with one of these in it would otherwise be read as a host or a database name,
        // and shown as such.
        if let Some((credentials, place)) = rest.split_once('@')
            && (credentials.contains(['/', '?']) || place.contains('@'))
        {
            return Err(url(
                "it has an unencoded @, / or ? in a name, the password or a parameter: \
                            write %40, %2F and %3F",
            ));
        }
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let given = Parameters::read(query)?;
        let mut config: Config = format!("postgres://{place}?{}", given.passed_on)
            .parse()
            .map_err(|error| not_well_formed(&error))?;
        given.set(&mut config)?;
        complete(&mut config, &given)?;
        let only_sockets = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
        let tls = Tls::new(given.sslmode.as_deref(), given.sslrootcert.as_deref(), only_sockets)?;
        config.ssl_mode(tls.negotiated());
        let direct = config.get_ssl_negotiation() == SslNegotiation::Direct;
        let tls = MakeRustlsConnect::new(tls.client_config(direct)?);
        Ok(Self { config: Arc::new(config), tls })
    }

    /// What a pool makes its connections of, with [`Self::tls`].
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// How its connections are encrypted.
    pub(crate) fn tls(&self) -> MakeRustlsConnect {
        self.tls.clone()
    }

    /// One connection, with the task that carries it; the task ends once the client is dropped.
    pub(crate) async fn connect(&self) -> Result<(Client, JoinHandle<()>), OpenError> {
        let connecting = self.config.connect(self.tls.clone());
        let connected = match self.patience() {
            Some(patience) => tokio::time::timeout(patience, connecting)
                .await
                .map_err(|_| failure::no_answer(self))?,
            None => connecting.await,
        };
        let (client, connection) = connected.map_err(|error| open_error(self, &error))?;
        let carried = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the database broke off");
            }
        });
        Ok((client, carried))
    }

    /// How long a connection may take in all. The driver's own limit ends with the TCP handshake,
    /// and a server may accept and then say nothing.
    pub(crate) fn patience(&self) -> Option<Duration> {
        let hosts = u32::try_from(self.config.get_hosts().len()).unwrap_or(1);
        self.config.get_connect_timeout().map(|timeout| *timeout * (hosts + 1))
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encode = |text: &str| utf8_percent_encode(text, &ENCODED).to_string();
        f.write_str("postgres://")?;
        if let Some(user) = self.config.get_user() {
            write!(f, "{}@", encode(user))?;
        }
        let ports = self.config.get_ports();
        for (position, host) in self.config.get_hosts().iter().enumerate() {
            if position > 0 {
                f.write_str(",")?;
            }
            match host {
                Host::Tcp(host) if host.contains(':') => write!(f, "[{host}]")?,
                Host::Tcp(host) => write!(f, "{}", encode(host))?,
                Host::Unix(path) => write!(f, "{}", encode(&path.to_string_lossy()))?,
            }
            let port = ports.get(position).or(ports.first()).copied().unwrap_or(5432);
            write!(f, ":{port}")?;
        }
        let database = self.config.get_dbname().or(self.config.get_user()).unwrap_or_default();
        write!(f, "/{}", encode(database))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

/// The query of a URL, with what the driver does not know taken out.
#[derive(Default)]
struct Parameters {
    passed_on: String,
    names: Vec<String>,
    password: Option<Vec<u8>>,
    sslmode: Option<String>,
    sslrootcert: Option<String>,
    tcp_user_timeout: Option<String>,
    keepalives_count: Option<String>,
}

impl Parameters {
    fn read(query: &str) -> Result<Self, OpenError> {
        let mut read = Self::default();
        for (position, pair) in query.split('&').enumerate().filter(|(_, pair)| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or_else(|| {
                url(&format!("its parameter number {} has no value", position + 1))
            })?;
            let name = percent_decode_str(name).decode_utf8_lossy().into_owned();
            let decoded = || percent_decode_str(value).decode_utf8_lossy().into_owned();
            match name.as_str() {
                "password" => read.password = Some(percent_decode_str(value).collect()),
                "sslmode" => read.sslmode = Some(decoded()),
                "sslrootcert" => read.sslrootcert = Some(decoded()),
                "tcp_user_timeout" => read.tcp_user_timeout = Some(decoded()),
                "keepalives_count" | "keepalives_retries" => {
                    read.keepalives_count = Some(decoded());
                }
                known if PASSED_ON.contains(&known) => {
                    read.passed_on.push_str(pair);
                    read.passed_on.push('&');
                }
                // After a password with an unencoded & this is a part of it.
                _ if read.password.is_some() => {
                    return Err(url(&format!(
                        "its parameter number {} is not supported",
                        position + 1
                    )));
                }
                _ => return Err(url(&format!("its parameter `{name}` is not supported"))),
            }
            read.names.push(name);
        }
        Ok(read)
    }

    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|given| given == name)
    }

    /// Sets what libpq has by another name or in another unit.
    fn set(&self, config: &mut Config) -> Result<(), OpenError> {
        if let Some(password) = &self.password {
            config.password(password);
        }
        if let Some(milliseconds) = &self.tcp_user_timeout {
            let milliseconds = milliseconds.parse();
            let milliseconds = milliseconds.map_err(|_| invalid("tcp_user_timeout"))?;
            config.tcp_user_timeout(Duration::from_millis(milliseconds));
        }
        if let Some(count) = &self.keepalives_count {
            config.keepalives_retries(count.parse().map_err(|_| invalid("keepalives_count"))?);
        }
        Ok(())
    }
}

/// Puts in what the URL leaves open, and refuses what would only fail at the first connection.
fn complete(config: &mut Config, given: &Parameters) -> Result<(), OpenError> {
    if config.get_hosts().is_empty() {
        // TLS wants a name even where it is not checked.
        for address in config.get_hostaddrs().to_vec() {
            config.host(address.to_string());
        }
    }
    let (hosts, addresses) = (config.get_hosts().len(), config.get_hostaddrs().len());
    if hosts == 0 || config.get_hosts().contains(&Host::Tcp(String::new())) {
        return Err(url("it names no host"));
    }
    if (addresses > 0 && addresses != hosts)
        || !matches!(config.get_ports().len(), ports if ports <= 1 || ports == hosts)
    {
        return Err(url("its hosts, addresses and ports are not of the same number: write each \
                        port behind its host"));
    }
    if !given.has("application_name") {
        config.application_name("meishi");
    }
    if !given.has("connect_timeout") {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    if !given.has("tcp_user_timeout") {
        config.tcp_user_timeout(TCP_USER_TIMEOUT);
    }
    if !given.has("keepalives_idle") {
        config.keepalives_idle(Duration::from_secs(10));
    }
    if !given.has("keepalives_interval") {
        config.keepalives_interval(Duration::from_secs(5));
    }
    if given.keepalives_count.is_none() {
        config.keepalives_retries(3);
    }
    Ok(())
}

fn url(reason: &str) -> OpenError {
    OpenError::Url { reason: reason.to_owned() }
}

fn invalid(parameter: &str) -> OpenError {
    url(&format!("the value of `{parameter}` is not one that is known"))
}

/// The driver names the option and not its value.
fn not_well_formed(error: &tokio_postgres::Error) -> OpenError {
    let reason = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    match reason.strip_prefix("invalid value for option ") {
        Some(option) => invalid(option.trim_matches('`')),
        None => url("it is not well-formed"),
    }
}
