//! The log: on standard error, one line a request, as text or JSON.

use std::io::IsTerminal as _;

use anyhow::{Context as _, bail};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use crate::config::{Config, LogFormat};

/// Begins to log. Once a process.
pub(crate) fn install(config: &Config) -> anyhow::Result<()> {
    let filter = EnvFilter::builder()
        .parse(&config.log)
        .with_context(|| format!("the log filter {:?} cannot be read", config.log))?;
    // A single word that is no level would be taken for a module's name, and nothing be logged.
    let is_word = !config.log.contains(['=', ',', ':']);
    if is_word && config.log.parse::<LevelFilter>().is_err() {
        bail!(
            "the log filter {:?} is no level; use off, error, warn, info, debug or trace",
            config.log
        );
    }
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Not `init`, which takes what is told to the crate `log` too: PostgreSQL's driver tells it the
    // values of every statement, and so what people are called.
    match config.log_format {
        LogFormat::Text => {
            let log = log.with_ansi(std::io::stderr().is_terminal());
            tracing::subscriber::set_global_default(log.finish())?;
        }
        LogFormat::Json => {
            tracing::subscriber::set_global_default(log.json().flatten_event(true).finish())?;
        }
    }
    std::panic::set_hook(Box::new(|panic| {
        // Where, but not what: the text may hold a person's data.
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "a defect: the code panicked");
    }));
    Ok(())
}
