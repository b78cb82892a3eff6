//! `meishi copy`: a whole database from one store into another.

use std::{
    io::{IsTerminal as _, stderr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::bail;
use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use meishi_store::copy::{CopyError, Phase, Place, Progress, TableCopy, copy};
use serde_json::json;

use crate::table;

/// How often a log, which is no terminal, is told how far it is.
const PAUSE: Duration = Duration::from_secs(10);

const BAR: &str = "{msg} {wide_bar} {human_pos} of {human_len} rows, {per_sec}, {eta} left";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Database that is copied: sqlite:DIR or a PostgreSQL URL.
    #[arg(long, value_name = "DATABASE", env = "MEISHI_COPY_FROM", hide_env_values = true)]
    from: String,
    /// Empty database that it is copied into, or the one of a copy that did not get to its end.
    #[arg(long, value_name = "DATABASE", env = "MEISHI_COPY_TO", hide_env_values = true)]
    to: String,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let from = Place::parse(&args.from).map_err(CopyError::Source)?;
    let to = Place::parse(&args.to).map_err(CopyError::Target)?;
    let progress = Shown::new();
    let copied = copy(&from, &to, &progress).await;
    progress.bar.finish_and_clear();
    let tables = copied?;
    table::print_reply(&tables.iter().map(line).collect(), false)?;
    let different: Vec<&str> =
        tables.iter().filter(|table| !table.equal).map(|table| table.name).collect();
    if !different.is_empty() {
        bail!(
            "{to} is not what {from} is in {}: something else wrote to one of them; run the same \
             command again, which begins anew",
            different.join(", ")
        );
    }
    let rows: u64 = tables.iter().map(|table| table.rows).sum();
    table::print(&format!("copied {} rows from {from} to {to}\n", HumanCount(rows)))
}

/// A table as a line of what is printed. A quarter of the checksum is enough for the eye.
fn line(table: &TableCopy) -> serde_json::Value {
    let checksum: String = table.checksum.chars().take(16).collect();
    let equal = if table.equal { "yes" } else { "NO" };
    json!({ "table": table.name, "rows": table.rows, "checksum": checksum, "equal": equal })
}

/// A bar on a terminal, a line now and then elsewhere; both on standard error.
struct Shown {
    bar: ProgressBar,
    /// When the last line was written; a terminal has none.
    written: Option<Mutex<Instant>>,
}

impl Shown {
    fn new() -> Self {
        let (target, written) = if stderr().is_terminal() {
            (ProgressDrawTarget::stderr(), None)
        } else {
            (ProgressDrawTarget::hidden(), Some(Mutex::new(Instant::now())))
        };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template(BAR) {
            bar.set_style(style);
        }
        Self { bar, written }
    }
}

impl Progress for Shown {
    fn begin(&self, phase: Phase, rows: u64, done: u64) {
        self.bar.set_message(match phase {
            Phase::Copying => "copying",
            Phase::Comparing => "comparing",
        });
        self.bar.set_length(rows);
        self.bar.set_position(done);
        // Rows of an earlier run or of the phase before say nothing of this one's rate.
        self.bar.reset_eta();
    }

    fn advance(&self, rows: u64) {
        self.bar.inc(rows);
        let Some(written) = &self.written else { return };
        let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.elapsed() < PAUSE {
            return;
        }
        *written = Instant::now();
        eprintln!(
            "{}: {} of {} rows, {} left",
            self.bar.message(),
            HumanCount(self.bar.position()),
            HumanCount(self.bar.length().unwrap_or(0)),
            HumanDuration(self.bar.eta())
        );
    }
}
