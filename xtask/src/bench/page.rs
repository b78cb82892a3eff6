//! What was measured, as a page.

use std::{
    fmt::{self, Write as _},
    fs,
    time::Duration,
};

use anyhow::{Context, Result};

use super::{
    load::Figures,
    options::{Options, Store},
};
use crate::shell;

const PAGE: &str = "docs/benchmarks.md";

/// Where the parts of the page begin that are measured by themselves, in their order.
pub(super) const SUSTAINED: &str = "## Creates without a pause";
pub(super) const PGBENCH: &str = "## Beside pgbench";
pub(super) const STREAMS: &str = "## Idle streams";

/// All that was measured on one store.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) store: Store,
    pub(super) growth: Vec<Growth>,
    /// What there was to start from, when it listened, when it had answered a first search.
    pub(super) starts: Vec<(&'static str, Duration, Duration)>,
    pub(super) rows: Vec<Row>,
    /// How many contacts there are after all of it.
    pub(super) contacts: u64,
    /// MiB of anonymous memory after all of it.
    pub(super) memory: f64,
}

/// What so many contacts take.
#[derive(Debug)]
pub(super) struct Growth {
    pub(super) contacts: u64,
    /// Contacts a second, in batches, where some were created.
    pub(super) rate: Option<f64>,
    /// How long the first search after that took, which finds the index far behind.
    pub(super) first: Duration,
    /// MiB of anonymous memory.
    pub(super) memory: f64,
    /// MiB on disk.
    pub(super) disk: f64,
    /// Milliseconds by which half of the answers come to a single caller.
    pub(super) p50: Vec<(&'static str, f64)>,
}

/// A case at a number of connections: medians of the rounds.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) connections: usize,
    pub(super) rate: f64,
    pub(super) p50: f64,
    pub(super) p99: f64,
    /// Of the reference's rate.
    pub(super) share: f64,
    /// Of the other commit's rate.
    pub(super) against: Option<f64>,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>8.0}/s  p50 {:>8.2}  p99 {:>8.2} ms", self.rate, self.p50, self.p99)?;
        if self.refused > 0.0 {
            write!(f, "  {:.1} % refused", self.refused * 100.0)?;
        }
        Ok(())
    }
}

/// The figures of the other commit, after ours.
pub(super) fn beside(other: Option<Figures>) -> String {
    other.map(|figures| format!("   | {figures}")).unwrap_or_default()
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "## {}\n", self.store)?;
        let against = self.rows.iter().any(|row| row.against.is_some());
        let (head, line) = if against { (" of the other commit |", "---|") } else { ("", "") };
        writeln!(
            f,
            "| case | connections | per second | p50 ms | p99 ms | of the reference |{head}"
        )?;
        writeln!(f, "|---|---|---|---|---|---|{line}")?;
        for row in &self.rows {
            let Row { name, connections, rate, p50, p99, share, against } = row;
            let share = share * 100.0;
            write!(
                f,
                "| {name} | {connections} | {rate:.0} | {p50:.2} | {p99:.2} | {share:.1} % |"
            )?;
            match against {
                Some(ratio) => writeln!(f, " {ratio:.2} |")?,
                None => writeln!(f)?,
            }
        }
        writeln!(
            f,
            "\n| contacts | created in batches | first search | MiB in memory | bytes on disk each | p50 ms of a single caller |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|")?;
        for Growth { contacts, rate, first, memory, disk, p50 } in &self.growth {
            let rate = rate.map(|rate| format!("{rate:.0}/s")).unwrap_or_default();
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
            let each = |mib: f64| format!("{:.0}", mib * 1024.0 * 1024.0 / *contacts as f64);
            let disk = if *contacts == 0 { String::new() } else { each(*disk) };
            let first = first.as_millis();
            let p50: Vec<_> = p50.iter().map(|(name, ms)| format!("{name}: {ms:.2}")).collect();
            let p50 = p50.join("; ");
            writeln!(f, "| {contacts} | {rate} | {first} ms | {memory:.0} | {disk} | {p50} |")?;
        }
        writeln!(
            f,
            "\nAfter all of it there are {} contacts, and the server has {:.0} MiB of anonymous memory.",
            self.contacts, self.memory
        )?;
        for (what, listens, searched) in &self.starts {
            writeln!(
                f,
                "Started {what}: it listens after {} ms, and has answered a search after {} ms.",
                listens.as_millis(),
                searched.as_millis()
            )?;
        }
        Ok(())
    }
}

/// Writes all but the parts that are measured by themselves.
pub(super) fn write(sections: &[Section], options: &Options) -> Result<()> {
    let git = |args: &[&str]| shell::capture(shell::command("git").args(args));
    let commit = git(&["rev-parse", "--short", "HEAD"])?;
    let cpus = fs::read_to_string("/proc/cpuinfo")?;
    let cpu = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let postgres = shell::capture(shell::command("psql").arg("--version"))?;
    let mut page = format!(
        "# Benchmarks\n\n\
         Written by `cargo xtask bench`; take the ratios, not the numbers. Each figure is the median \
         of {} rounds of {} s, taken in turn with those of a reference: a server with the same HTTP \
         stack and authentication that answers GET with a constant and POST with the contact that it \
         was sent, and keeps nothing (`xtask/reference/src/main.rs`). The server, and \
         PostgreSQL, have one core; the load has the other. One account holds {} contacts of many \
         scripts (`xtask/src/bench/dataset.rs`); writes are on disk when they are answered, with the \
         account's index loaded. While something is written to the embedded store, a checkpoint begins \
         every half a second, so that each round has some.\n\n\
         Commit {}, {} cores ({}), {}.\n\n",
        options.rounds,
        options.time.as_secs_f64(),
        options.contacts,
        commit.trim(),
        // All of them: this process has but one since it was pinned.
        cpus.lines().filter(|line| line.starts_with("processor")).count(),
        cpu.trim_start_matches([' ', '\t', ':']),
        postgres.trim(),
    );
    for section in sections {
        writeln!(page, "{section}")?;
    }
    let written = fs::read_to_string(shell::root().join(PAGE))?;
    page.push_str(written.get(starts(&written, SUSTAINED)..).unwrap_or_default());
    save(&page)
}

/// Writes one of the parts that are measured by themselves.
pub(super) fn write_part(heading: &str, text: &str) -> Result<()> {
    println!("\n{text}");
    let written = fs::read_to_string(shell::root().join(PAGE))?;
    let (before, rest) = written.split_at(starts(&written, heading));
    let after = rest.get(2..).and_then(|rest| rest.find("\n## ")).map(|at| at + 3);
    let after = after.and_then(|at| rest.get(at..)).unwrap_or_default();
    save(&format!("{}\n\n{heading}\n\n{}\n\n{after}", before.trim_end(), text.trim()))
}

fn starts(page: &str, heading: &str) -> usize {
    page.find(heading).unwrap_or(page.len())
}

fn save(page: &str) -> Result<()> {
    fs::write(shell::root().join(PAGE), format!("{}\n", page.trim_end()))
        .with_context(|| format!("cannot write {PAGE}"))?;
    println!("wrote {PAGE}");
    Ok(())
}
