//! Meishi on PostgreSQL beside what `pgbench` gets out of the same server for the same rows, a
//! transaction each, nothing checked, counted or answered.

use std::{fmt::Write as _, path::Path, time::Duration};

use anyhow::{Context, Result};

use super::{
    LOAD_CORE,
    cases::Ask,
    median,
    target::{Meishi, pin},
};
use crate::shell;

const ROUNDS: usize = 5;
const TIME: Duration = Duration::from_secs(2);

/// Contacts that are there to be read and changed.
const CONTACTS: u64 = 100_000;

const CASES: [(&str, Ask, &str); 3] = [
    ("create", Ask::Create, "create.sql"),
    ("PATCH", Ask::Patch, "patch.sql"),
    ("GET", Ask::Read, "get.sql"),
];

/// Measures, and answers the section of the page that tells of it.
pub(super) fn section(program: &Path) -> Result<String> {
    pin(LOAD_CORE)?;
    let mut ours = Meishi::on_postgres(program)?;
    ours.start()?;
    ours.fill(CONTACTS)?;
    let theirs = Pgbench::new(program)?;
    let mut table = String::from(
        "| a second | connections | Meishi | pgbench | Meishi / pgbench |\n|---|---|---|---|---|\n",
    );
    for (name, ask, script) in CASES {
        for connections in [1, 64, 256] {
            let (mut rates, mut limits) = (Vec::new(), Vec::new());
            for round in 1..=ROUNDS {
                let (rate, limit) =
                    (ours.measure(&ask, connections, TIME)?.rate, theirs.run(script, connections)?);
                println!("{name}, {connections}, round {round}: {rate:.0}/s, pgbench {limit:.0}/s");
                rates.push(rate);
                limits.push(limit);
            }
            let (rate, limit) = (median(rates.into_iter()), median(limits.into_iter()));
            let ratio = rate / limit;
            writeln!(table, "| {name} | {connections} | {rate:.0} | {limit:.0} | {ratio:.2} |")?;
        }
    }
    ours.stop()?;
    Ok(format!(
        "`cargo xtask bench pgbench`. PostgreSQL (`fsync` and `synchronous_commit` on) and Meishi \
         share one core, `pgbench` or the load has the other; {CONTACTS} contacts, medians of \
         {ROUNDS} rounds of {} s. `pgbench` writes the same rows in a prepared statement and a \
         transaction each (`xtask/bench/*.sql`); Meishi answers over HTTP, checks, counts and \
         numbers, and shares commits between calls.\n\n{table}",
        TIME.as_secs()
    ))
}

/// A PostgreSQL with Meishi's tables and contacts, which `pgbench` works on.
struct Pgbench {
    server: Meishi,
    account: String,
}

impl Pgbench {
    fn new(program: &Path) -> Result<Self> {
        let mut server = Meishi::on_postgres(program)?;
        server.start()?;
        server.fill(CONTACTS)?;
        server.stop()?;
        let sql = format!("CREATE SEQUENCE bench_ids START {}", CONTACTS * 10);
        shell::run(shell::command("psql").args(["-q", "-c", &sql, server.database_url()?]))?;
        let sql = "SELECT min(id) FROM accounts";
        let psql = ["-A", "-t", "-c", sql, server.database_url()?];
        let account = shell::capture(shell::command("psql").args(psql))?.trim().to_owned();
        Ok(Self { server, account })
    }

    /// Transactions a second.
    fn run(&self, script: &str, connections: usize) -> Result<f64> {
        let mut pgbench = shell::command("pgbench");
        pgbench.args(["-n", "-M", "prepared", "-j", "1"]);
        pgbench.args(["-f", &format!("xtask/bench/{script}")]);
        pgbench.args(["-D", &format!("account={}", self.account)]);
        pgbench.args(["-D", &format!("contacts={CONTACTS}"), "-c", &connections.to_string()]);
        pgbench.args(["-T", &TIME.as_secs().to_string(), self.server.database_url()?]);
        number_after(&shell::capture(&mut pgbench)?, "tps =")
    }
}

fn number_after(report: &str, label: &str) -> Result<f64> {
    let line = report.lines().find_map(|line| line.trim().strip_prefix(label));
    let word = line.and_then(|rest| rest.split_whitespace().next());
    word.and_then(|word| word.parse().ok())
        .with_context(|| format!("no number after {label:?} in:\n{report}"))
}

#[cfg(test)]
mod tests {
    use super::number_after;

    #[test]
    fn the_rate_is_read_from_the_report() {
        let report = "number of clients: 64\ntps = 7654.5 (without initial connection time)\n";
        assert!((number_after(report, "tps =").unwrap() - 7654.5).abs() < f64::EPSILON);
        assert!(number_after("nothing", "tps =").is_err());
    }
}
