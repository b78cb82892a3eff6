//! The configuration: flags over environment over file over defaults, one documented struct.

use std::{
    convert::Infallible, ffi::OsString, fmt, net::SocketAddr, num::NonZeroU32,
    os::unix::process::CommandExt, path::PathBuf, process, str::FromStr,
};

use clap::Subcommand;
use confique::{Config as _, env::parse::list_by_comma};
use meishi_server::{
    Settings,
    directory::{IndexSettings, Memory},
    egress::EgressSettings,
    network::Network,
    rate_limit::{Limit, RateLimitSettings},
    retention::RetentionSettings,
};
use meishi_store::{DatabaseUrl, PostgresOptions};
use serde::Deserialize;

use crate::place::Place;

/// The file that is read when no other is named, if it is there.
const DEFAULT_FILE: &str = "meishi.toml";

/// Everything that can be set.
#[derive(Debug, Clone, confique::Config)]
#[config(layer_attr(derive(Debug, Clone, Default, clap::Args)))]
#[config(layer_attr(serde(deny_unknown_fields)))]
pub(crate) struct Config {
    /// Address that the service listens on, host:port; port 0 takes a free one.
    #[config(default = "127.0.0.1:8080", env = "MEISHI_LISTEN")]
    #[config(layer_attr(arg(long, value_name = "HOST:PORT")))]
    pub(crate) listen: String,

    /// Directory of the embedded database. It is made if need be, for its owner only.
    #[config(default = "./meishi-data", env = "MEISHI_DATA_DIR")]
    #[config(layer_attr(arg(long, value_name = "DIR")))]
    pub(crate) data_dir: PathBuf,

    /// PostgreSQL database that takes the place of the embedded one:
    /// `postgres://user:password@host:5432/name`, with `sslmode` up to `verify-full` and
    /// `sslrootcert`.
    #[config(env = "MEISHI_DATABASE_URL")]
    #[config(layer_attr(arg(long, value_name = "URL")))]
    pub(crate) database: Option<Secret>,

    /// Connections to that database, at most; half of them may write at once.
    #[config(default = 10, env = "MEISHI_DATABASE_CONNECTIONS")]
    #[config(layer_attr(arg(long, value_name = "NUMBER")))]
    pub(crate) database_connections: usize,

    /// The database is reached through a pooler that hands out connections for a transaction each,
    /// as PgBouncer does in transaction mode: no statement is prepared then.
    #[config(default = false, env = "MEISHI_DATABASE_POOLED")]
    #[config(layer_attr(arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")))]
    pub(crate) database_pooled: bool,

    /// Replica of that database, for reads that may be a little old: rows of contacts, and what
    /// indexes are loaded from. What it lacks is read from the database itself.
    #[config(env = "MEISHI_DATABASE_REPLICA_URL")]
    #[config(layer_attr(arg(long, value_name = "URL")))]
    pub(crate) database_replica: Option<Secret>,

    /// Memory that indexes of contacts may take, as "512MiB" or "2GiB"; a million contacts take about
    /// 300 MB. Accounts that were not searched for longest are dropped from it; one that does not fit
    /// by itself is searched without grams, or not at all.
    #[config(default = "2GiB", env = "MEISHI_INDEX_MEMORY")]
    #[config(layer_attr(arg(long, value_name = "SIZE")))]
    pub(crate) index_memory: Memory,

    /// Directory for snapshots of indexes, which spare a start the reading of all contacts. By
    /// default "indexes" in the data directory; with PostgreSQL there are none unless it is set.
    #[config(env = "MEISHI_INDEX_DIR")]
    #[config(layer_attr(arg(long, value_name = "DIR")))]
    pub(crate) index_dir: Option<PathBuf>,

    /// Calls that each key may make: "100/s" is 100 at once and 100 more, evenly, in each second;
    /// "20/m", "5/h" and "1000/10m" are rates too; or "off". What is too much gets a 429.
    #[config(default = "off", env = "MEISHI_LIMIT_PER_KEY")]
    #[config(layer_attr(arg(long, value_name = "RATE")))]
    pub(crate) limit_per_key: Limit,

    /// Calls that each address may make, with whatever credential; /livez and /readyz are free. An
    /// IPv6 address counts with its whole /64.
    #[config(default = "off", env = "MEISHI_LIMIT_PER_ADDRESS")]
    #[config(layer_attr(arg(long, value_name = "RATE")))]
    pub(crate) limit_per_address: Limit,

    /// Calls that each address may make with a credential that opens nothing. A good credential is
    /// never refused for them.
    #[config(default = "20/m", env = "MEISHI_LIMIT_FAILED_AUTHENTICATION")]
    #[config(layer_attr(arg(long, value_name = "RATE")))]
    pub(crate) limit_failed_authentication: Limit,

    /// Proxies, as addresses or networks, that are believed when they tell in Forwarded or
    /// X-Forwarded-For which address calls; in the environment with commas between them, as a flag
    /// once for each.
    #[config(default = [], env = "MEISHI_TRUSTED_PROXIES", parse_env = list_by_comma)]
    #[config(layer_attr(arg(long = "trusted-proxy", value_name = "CIDR")))]
    pub(crate) trusted_proxies: Vec<Network>,

    /// Days that events are kept, 1 or more; for ever when not set. Who follows the events must be
    /// faster; the history of contacts begins with the oldest event that is kept.
    #[config(env = "MEISHI_EVENT_RETENTION")]
    #[config(layer_attr(arg(long, value_name = "DAYS")))]
    pub(crate) event_retention: Option<NonZeroU32>,

    /// Days that the log of a webhook's deliveries keeps those that are done, 1 or more.
    #[config(default = 30, env = "MEISHI_DELIVERY_RETENTION")]
    #[config(layer_attr(arg(long, value_name = "DAYS")))]
    pub(crate) delivery_retention: NonZeroU32,

    /// Address that Prometheus metrics are served on under /metrics; off when not set. Nobody is
    /// asked for a key there, so keep it from the outside.
    #[config(env = "MEISHI_METRICS_LISTEN")]
    #[config(layer_attr(arg(long, value_name = "HOST:PORT")))]
    pub(crate) metrics_listen: Option<SocketAddr>,

    /// Networks that webhooks may reach although they are not public, as 10.0.0.0/8 or 127.0.0.1.
    /// The flag can be repeated; in the environment commas separate them.
    #[config(default = [], env = "MEISHI_EGRESS_ALLOW", parse_env = list_by_comma)]
    #[config(layer_attr(arg(long, value_name = "CIDR")))]
    pub(crate) egress_allow: Vec<Network>,

    /// Form of the log on standard error: "text" for people, "json" for programs.
    #[config(default = "text", env = "MEISHI_LOG_FORMAT")]
    #[config(layer_attr(arg(long, value_name = "FORMAT")))]
    pub(crate) log_format: LogFormat,

    /// What is logged: off, error, warn, info (one line a request), debug or trace; also by
    /// module, as in `info,meishi_store=debug`.
    #[config(default = "info", env = "MEISHI_LOG")]
    #[config(layer_attr(arg(long, value_name = "FILTER")))]
    pub(crate) log: String,
}

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// The flags of the configuration, and the file.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Flags {
    /// Configuration file (TOML); without it meishi.toml, if it is there.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    layer: <Config as confique::Config>::Layer,
}

impl Config {
    /// What the running service is told.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            index: IndexSettings {
                memory: self.index_memory,
                snapshots: self
                    .index_dir
                    .clone()
                    .or_else(|| self.database.is_none().then(|| self.data_dir.join("indexes"))),
                ..IndexSettings::default()
            },
            egress: EgressSettings { allow: self.egress_allow.clone() },
            rate_limits: RateLimitSettings {
                per_key: self.limit_per_key,
                per_address: self.limit_per_address,
                failed_authentication: self.limit_failed_authentication,
                trusted_proxies: self.trusted_proxies.clone(),
            },
            retention: RetentionSettings {
                events: self.event_retention,
                deliveries: self.delivery_retention,
            },
        }
    }

    /// Where the data is.
    pub(crate) fn place(&self) -> anyhow::Result<Place> {
        let Some(Secret(url)) = &self.database else {
            return Ok(Place::Directory(self.data_dir.clone()));
        };
        anyhow::ensure!(
            self.database_connections > 1,
            "{} connections to the database are too few; set database_connections to 2 or more",
            self.database_connections
        );
        let replica = self.database_replica.as_ref();
        let options = PostgresOptions {
            connections: self.database_connections,
            pooled: self.database_pooled,
            replica: replica.map(|Secret(url)| DatabaseUrl::parse(url)).transpose()?,
        };
        Ok(Place::Postgres(Box::new(DatabaseUrl::parse(url)?), Box::new(options)))
    }
}

/// A text that may hold a password: it is never shown.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

/// The flags whose value may hold a password, and the variables that mean the same.
const SECRET_FLAGS: [(&str, &str); 4] = [
    ("--database", "MEISHI_DATABASE_URL"),
    ("--database-replica", "MEISHI_DATABASE_REPLICA_URL"),
    ("--from", "MEISHI_COPY_FROM"),
    ("--to", "MEISHI_COPY_TO"),
];

/// Takes passwords off the command line, which every user of the machine can read, by starting
/// anew with them in the environment. Returns where there is none.
pub(crate) fn hide_passwords() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_default();
    let (kept, hidden) = without_secrets(arguments.collect());
    if hidden.is_empty() {
        return Ok(());
    }
    let mut command = process::Command::new(std::env::current_exe()?);
    Err(command.arg0(program).args(kept).envs(hidden).exec().into())
}

/// The arguments without those that hold a password, and the variables that take their place.
fn without_secrets(arguments: Vec<OsString>) -> (Vec<OsString>, Vec<(&'static str, String)>) {
    let (mut kept, mut hidden) = (Vec::new(), Vec::new());
    let mut rest = arguments.into_iter().peekable();
    while let Some(argument) = rest.next() {
        let text = argument.to_str().unwrap_or_default();
        let (name, inline) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let variable = SECRET_FLAGS.iter().find(|(flag, _)| *flag == name).map(|(_, v)| *v);
        let value = inline.or_else(|| rest.peek().and_then(|next| next.to_str()));
        match (variable, value) {
            (Some(variable), Some(value)) if may_hold_password(value) => {
                hidden.push((variable, value.to_owned()));
                if inline.is_none() {
                    rest.next();
                }
            }
            _ => kept.push(argument),
        }
    }
    (kept, hidden)
}

fn may_hold_password(value: &str) -> bool {
    value.contains('@') || value.contains("password")
}

/// The flags of commands that need only the database.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct PlaceFlags {
    /// Directory of the embedded database, by default ./meishi-data.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// PostgreSQL database that takes its place.
    #[arg(long, value_name = "URL")]
    database: Option<Secret>,
    /// It is reached through a pooler in transaction mode.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    database_pooled: Option<bool>,
    /// Configuration file (TOML); without it meishi.toml, if it is there.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl PlaceFlags {
    /// Where the data is, from wherever it is set.
    pub(crate) fn place(self) -> anyhow::Result<Place> {
        let mut flags = Flags { config: self.config, ..Flags::default() };
        flags.layer.data_dir = self.data_dir;
        flags.layer.database = self.database;
        flags.layer.database_pooled = self.database_pooled;
        let mut config = flags.load()?;
        // A command reads what is there now.
        config.database_replica = None;
        config.place()
    }
}

impl Flags {
    /// The configuration: these flags, then the environment, the file, the defaults.
    pub(crate) fn load(self) -> anyhow::Result<Config> {
        if let Some(file) = &self.config {
            anyhow::ensure!(
                file.is_file(),
                "the configuration file {} is not there",
                file.display()
            );
        }
        let file = self.config.unwrap_or_else(|| DEFAULT_FILE.into());
        let loaded = Config::builder().preloaded(self.layer).env().file(&file).load();
        loaded.map_err(|error| {
            let reason = one_line(&format!("{:#}", anyhow::Error::new(error)));
            anyhow::anyhow!(
                "the configuration cannot be read ({reason}); `meishi config example` prints one \
                 that can"
            )
        })
    }
}

/// A reason without the excerpt of the file that the TOML parser draws below it: the line and the
/// column stay.
fn one_line(reason: &str) -> String {
    let excerpt = |line: &str| {
        line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ').starts_with('|')
    };
    let lines = reason.lines().map(str::trim).filter(|line| !line.is_empty() && !excerpt(line));
    lines.collect::<Vec<_>>().join(": ")
}

/// About the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print a configuration file with every setting, its meaning and its default.
    Example,
}

/// `meishi config`.
pub(crate) fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Example => super::table::print(&example()),
    }
}

/// What `config.example.toml` holds.
pub(crate) fn example() -> String {
    let mut options = confique::toml::FormatOptions::default();
    options.general.comments = true;
    confique::toml::template::<Config>(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_example_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config.example.toml");
        let committed = std::fs::read_to_string(path).unwrap();
        assert_eq!(committed, example(), "run `cargo xtask config`");
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_the_default() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("meishi.toml");
        std::fs::write(&file, "listen = \"127.0.0.1:1\"\ndata_dir = \"here\"\n").unwrap();
        let mut flags = Flags { config: Some(file), ..Flags::default() };
        flags.layer.listen = Some("127.0.0.1:2".into());
        let config = flags.load().unwrap();
        assert_eq!(config.listen, "127.0.0.1:2");
        assert_eq!(config.data_dir, PathBuf::from("here"));
        assert_eq!(config.log_format, LogFormat::Text);
    }

    #[test]
    fn networks_that_webhooks_may_reach_are_listed_or_refused() {
        let shown = |config: &Config| {
            let allow = config.settings().egress.allow;
            allow.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("meishi.toml");
        std::fs::write(&file, "egress_allow = [\"10.1.2.3/8\", \"::1\"]\n").unwrap();
        let mut flags = Flags { config: Some(file.clone()), ..Flags::default() };
        assert_eq!(shown(&flags.clone().load().unwrap()), ["10.0.0.0/8", "::1/128"]);
        flags.layer.egress_allow = Some(vec!["127.0.0.1".parse().unwrap()]);
        assert_eq!(shown(&flags.load().unwrap()), ["127.0.0.1/32"]);
        std::fs::write(&file, "egress_allow = [\"inside\"]\n").unwrap();
        let flags = Flags { config: Some(file), ..Flags::default() };
        let refused = flags.load().unwrap_err().to_string();
        assert!(refused.contains("`inside` is neither"), "{refused}");
    }

    #[test]
    fn passwords_leave_the_command_line() {
        let url = "postgres://meishi:pass@db/meishi";
        let split = |arguments: &[&str]| {
            let (kept, hidden) = without_secrets(arguments.iter().map(OsString::from).collect());
            let kept: Vec<_> = kept.into_iter().map(|a| a.into_string().unwrap()).collect();
            (kept.join(" "), hidden)
        };
        let database = vec![("MEISHI_DATABASE_URL", url.to_owned())];
        for (arguments, kept, hidden) in [
            (vec!["serve", "--database", url, "--log", "off"], "serve --log off", database.clone()),
            (vec!["serve", &format!("--database={url}")], "serve", database),
            (
                vec!["serve", "--database", "postgres://db"],
                "serve --database postgres://db",
                vec![],
            ),
            (vec!["serve", "--database"], "serve --database", vec![]),
            (
                vec!["copy", "--from", "sqlite:here", "--to", url],
                "copy --from sqlite:here",
                vec![("MEISHI_COPY_TO", url.to_owned())],
            ),
        ] {
            assert_eq!(split(&arguments), (kept.to_owned(), hidden), "{arguments:?}");
        }
        assert!(!format!("{:?}", Secret(url.into())).contains("pass"));
    }

    #[test]
    fn a_file_that_is_named_must_be_there() {
        let flags = Flags { config: Some("no-such-file.toml".into()), ..Flags::default() };
        assert!(flags.load().unwrap_err().to_string().contains("no-such-file.toml"));
    }
}
