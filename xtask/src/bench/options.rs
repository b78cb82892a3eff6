//! What of the bench is run, and how.

use std::{fmt, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};

use super::cases::Case;

/// Options that change what is measured.
#[derive(Debug, Clone)]
pub(super) struct Options {
    /// That part of the page alone.
    pub(super) part: Option<Part>,
    /// Shows that the bench works, on a debug build, and tells nothing of speed.
    pub(super) unoptimised: bool,
    pub(super) stores: Vec<Store>,
    pub(super) contacts: u64,
    pub(super) rounds: usize,
    pub(super) time: Duration,
    pub(super) connections: Vec<usize>,
    /// Cases whose names begin so; all when there is none.
    only: Vec<String>,
    /// A commit to measure beside.
    pub(super) against: Option<String>,
    /// A directory that keeps the embedded store's contacts from one run to the next.
    pub(super) data: Option<PathBuf>,
}

/// A part of the page that is measured by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Streams,
    Pgbench,
    Sustained,
}

/// Where contacts are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Store {
    Sqlite,
    Postgres,
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        })
    }
}

impl Options {
    fn complete() -> Self {
        Self {
            part: None,
            unoptimised: false,
            stores: vec![Store::Sqlite, Store::Postgres],
            contacts: 1_000_000,
            rounds: 5,
            time: Duration::from_millis(1200),
            connections: vec![1, 64, 256],
            only: Vec::new(),
            against: None,
            data: None,
        }
    }

    /// Reads the arguments.
    pub(super) fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self::complete();
        let mut args = args.iter().map(String::as_str);
        while let Some(arg) = args.next() {
            let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
            match arg {
                "streams" => options.part = Some(Part::Streams),
                "pgbench" => options.part = Some(Part::Pgbench),
                "sustained" => options.part = Some(Part::Sustained),
                "--quick" => {
                    options.contacts = 20_000;
                    options.rounds = 1;
                    options.time = Duration::from_millis(150);
                }
                "--unoptimised" => options.unoptimised = true,
                "--store" => {
                    options.stores = match value()? {
                        "sqlite" => vec![Store::Sqlite],
                        "postgres" => vec![Store::Postgres],
                        other => bail!("there is no store `{other}`"),
                    };
                }
                "--contacts" => options.contacts = value()?.parse()?,
                "--rounds" => options.rounds = value()?.parse()?,
                "--seconds" => options.time = Duration::try_from_secs_f64(value()?.parse()?)?,
                "--connections" => {
                    let numbers = value()?.split(',').map(str::parse);
                    options.connections = numbers.collect::<Result<_, _>>()?;
                }
                "--only" => options.only = value()?.split(';').map(str::to_owned).collect(),
                "--against" => options.against = Some(value()?.to_owned()),
                "--data" => options.data = Some(value()?.into()),
                _ => bail!("`cargo xtask bench` does not take `{arg}`"),
            }
        }
        Ok(options)
    }

    /// Whether a case is to be measured.
    pub(super) fn wants(&self, case: &Case) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| case.name.starts_with(name.as_str()))
    }

    /// Whether everything is measured as the page tells it.
    pub(super) fn is_complete(&self) -> bool {
        let complete = Self::complete();
        !self.unoptimised
            && self.only.is_empty()
            && self.against.is_none()
            && self.data.is_none()
            && self.stores == complete.stores
            && self.contacts == complete.contacts
            && self.rounds >= complete.rounds
            && self.time >= complete.time
            && self.connections == complete.connections
    }
}

#[cfg(test)]
mod tests {
    use super::Options;

    fn parse(args: &[&str]) -> anyhow::Result<Options> {
        Options::parse(&args.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn only_a_complete_run_is_written_down() {
        assert!(parse(&[]).unwrap().is_complete());
        for less in [&["--quick"][..], &["--only", "GET"], &["--rounds", "1"], &["--seconds", "1"]]
        {
            assert!(!parse(less).unwrap().is_complete(), "{less:?}");
        }
    }

    #[test]
    fn what_is_not_known_is_named() {
        let error = parse(&["--slow"]).unwrap_err().to_string();
        assert_eq!(error, "`cargo xtask bench` does not take `--slow`");
        assert!(parse(&["--rounds"]).is_err());
    }
}
