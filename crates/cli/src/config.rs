//! The configuration: flags over environment over file over defaults, one documented struct.

use std::{net::SocketAddr, path::PathBuf};

use clap::Subcommand;
use confique::Config as _;
use serde::Deserialize;

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

    /// Address that Prometheus metrics are served on under /metrics; off when not set. Nobody is
    /// asked for a key there, so keep it from the outside.
    #[config(env = "MEISHI_METRICS_LISTEN")]
    #[config(layer_attr(arg(long, value_name = "HOST:PORT")))]
    pub(crate) metrics_listen: Option<SocketAddr>,

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

/// The flags of commands that need only the database.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct DirectoryFlags {
    /// Directory of the embedded database, by default ./meishi-data.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Configuration file (TOML); without it meishi.toml, if it is there.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl DirectoryFlags {
    /// The directory, from wherever it is set.
    pub(crate) fn data_dir(self) -> anyhow::Result<PathBuf> {
        let mut flags = Flags { config: self.config, ..Flags::default() };
        flags.layer.data_dir = self.data_dir;
        Ok(flags.load()?.data_dir)
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
    fn a_file_that_is_named_must_be_there() {
        let flags = Flags { config: Some("no-such-file.toml".into()), ..Flags::default() };
        assert!(flags.load().unwrap_err().to_string().contains("no-such-file.toml"));
    }
}
