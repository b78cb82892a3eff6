//! Meishi on PostgreSQL beside what `pgbench` gets out of the same server for the same rows, a
//! transaction each, nothing checked, counted or answered.

use std::{fmt::Write as _, path::Path, time::Duration};

use anyhow::{Context, Result};

use super::{
    LOAD_CORE,
    cases::Ask,
    mean, median,
    target::{Meishi, pin},
};
use crate::shell;

const ROUNDS: usize = 5;
const TIME: Duration = Duration::from_secs(2);

/// So long `pgbench` runs before it counts: each of its connections has a process that reads the
/// catalogue and plans first, and a server process of Meishi's is that far long before.
const WARM_UP: Duration = Duration::from_secs(4);

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
         transaction each (`xtask/bench/*.sql`), and is counted from its fifth second on, when its \
         connections have made their plans; Meishi answers over HTTP, checks, counts and \
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
        // It reports its progress where errors go.
        let mut pgbench = shell::command("sh");
        pgbench.args(["-c", r#"exec pgbench "$@" 2>&1"#, "pgbench"]);
        pgbench.args(["-n", "-M", "prepared", "-j", "1", "-P", "1"]);
        pgbench.args(["-f", &format!("xtask/bench/{script}")]);
        pgbench.args(["-D", &format!("account={}", self.account)]);
        pgbench.args(["-D", &format!("contacts={CONTACTS}"), "-c", &connections.to_string()]);
        pgbench.args(["-T", &(WARM_UP + TIME).as_secs().to_string(), self.server.database_url()?]);
        let report = shell::capture(&mut pgbench)?;
        warm_rate(&report).with_context(|| format!("nothing after {WARM_UP:?} in:\n{report}"))
    }
}

/// The mean of the seconds that a report of `pgbench` tells of, but for those of the warm-up and what
/// is left over at the end.
fn warm_rate(report: &str) -> Option<f64> {
    let second = |line: &str| -> Option<(f64, f64)> {
        let (at, rest) = line.strip_prefix("progress: ")?.split_once(" s, ")?;
        Some((at.parse().ok()?, rest.split_once(" tps")?.0.parse().ok()?))
    };
    let (begin, end) = (WARM_UP.as_secs_f64(), (WARM_UP + TIME).as_secs_f64());
    let is_counted = |(at, _): &(f64, f64)| (begin + 0.5..end + 0.5).contains(at);
    let seconds = report.lines().filter_map(second).filter(is_counted);
    let rate = mean(seconds.map(|(_, rate)| rate));
    rate.is_finite().then_some(rate)
}

#[cfg(test)]
mod tests {
    use super::warm_rate;

    #[test]
    fn seconds_after_the_warm_up_are_counted() {
        let report = "progress: 1.3 s, 0.0 tps, lat 0.000 ms stddev 0.000, 0 failed\n\
             progress: 4.0 s, 1602.7 tps, lat 239.089 ms stddev 140.517, 0 failed\n\
             progress: 5.0 s, 3000.5 tps, lat 84.713 ms stddev 33.851, 0 failed\n\
             progress: 6.1 s, 4000.0 tps, lat 65.294 ms stddev 20.190, 0 failed\n\
             progress: 7.0 s, 225.0 tps, lat 279.280 ms stddev 323.338, 0 failed\n\
             tps = 3105.282036 (without initial connection time)\n";
        assert!((warm_rate(report).unwrap() - 3500.25).abs() < f64::EPSILON);
        assert!(warm_rate("tps = 3105.282036\n").is_none());
    }
}
