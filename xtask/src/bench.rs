//! Speed, always beside a reference that is measured in the same run: only the ratio means
//! something on a machine that others share. Writes `docs/benchmarks.md`.
//!
//! Today: durable creates on PostgreSQL, beside what `pgbench` gets out of the same server for the
//! same rows. Everything of the server side (PostgreSQL, and Meishi) runs on one core, whoever makes
//! the load on another.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use meishi_test_postgres::{Cluster, Database};
use serde_json::Value;

use crate::server::{Scratch, Server};
use crate::{setup, shell, streams};

const PAGE: &str = "docs/benchmarks.md";

/// Where the page's part begins that is measured by itself.
const STREAMS: &str = "## Idle streams";

/// An ordinary, durable server.
const POSTGRES: [(&str, &str); 5] = [
    ("fsync", "on"),
    ("full_page_writes", "on"),
    ("synchronous_commit", "on"),
    ("shared_buffers", "1GB"),
    ("max_wal_size", "4GB"),
];

const SERVER_CORE: &str = "0";
const LOAD_CORE: &str = "1";

/// How long and how often each figure is taken.
#[derive(Debug, Clone, Copy)]
struct Plan {
    rounds: usize,
    seconds: u32,
}

/// Runs the bench. `--quick` shows that it works, and writes no page; `streams` is the part about
/// streams alone.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let quick = match args {
        [] => false,
        [flag] if flag == "--quick" => true,
        [part] if part == "streams" => {
            let section = streams::section(&build()?, STREAMS)?;
            println!("\n{section}");
            let (rest, _) = written()?;
            return write(&rest, &section);
        }
        _ => bail!("`cargo xtask bench` takes --quick or streams and nothing else"),
    };
    let plan = if quick { Plan { rounds: 1, seconds: 2 } } else { Plan { rounds: 5, seconds: 8 } };
    setup::bench()?;
    let meishi = build()?;
    // What is started from here on inherits it.
    let own = std::process::id().to_string();
    shell::capture(shell::command("taskset").args(["-c", "-p", SERVER_CORE, &own]))?;
    let table = creates_on_postgres(&meishi, plan)?;
    println!("\n{table}");
    if !quick {
        let (_, streams) = written()?;
        write(&page(&table)?, &streams)?;
    }
    Ok(())
}

/// The page as it is: up to the part about streams, and that.
fn written() -> Result<(String, String)> {
    let page = fs::read_to_string(shell::root().join(PAGE))?;
    let streams = page.find(STREAMS).unwrap_or(page.len());
    let (rest, streams) = page.split_at(streams);
    Ok((rest.to_owned(), streams.to_owned()))
}

fn write(rest: &str, streams: &str) -> Result<()> {
    fs::write(shell::root().join(PAGE), format!("{}\n\n{streams}", rest.trim_end()))
        .with_context(|| format!("cannot write {PAGE}"))?;
    println!("wrote {PAGE}");
    Ok(())
}

fn build() -> Result<PathBuf> {
    shell::run(&mut shell::cargo(&["build", "--release", "--locked", "-p", "meishi"]))?;
    let metadata = shell::capture(&mut shell::cargo(&[
        "metadata",
        "--format-version",
        "1",
        "--no-deps",
        "--locked",
    ]))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let target = metadata.get("target_directory").and_then(Value::as_str);
    Ok(Path::new(target.context("cargo tells no target directory")?).join("release/meishi"))
}

fn creates_on_postgres(meishi: &Path, plan: Plan) -> Result<String> {
    let scratch = Scratch::new()?;
    let mut table = String::from(
        "| durable creates per second | connections | Meishi | pgbench | Meishi / pgbench |\n\
         |---|---|---|---|---|\n",
    );
    for connections in [1, 64, 256] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..plan.rounds {
            // A server and a database for each, so that none meets what another left to vacuum.
            let cluster = Cluster::start(&POSTGRES, &[]);
            let database = cluster.create_database();
            theirs.push(pgbench(meishi, &database, connections, plan)?);
            drop(database);
            let database = cluster.create_database();
            ours.push(creates(meishi, &database, scratch.path(), connections, plan)?);
            let last = |rates: &[f64]| rates.last().copied().unwrap_or_default();
            println!(
                "{connections} connections, round {}: Meishi {:.0}/s, pgbench {:.0}/s",
                round + 1,
                last(&ours),
                last(&theirs)
            );
        }
        let (ours, theirs) = (median(ours), median(theirs));
        writeln!(
            table,
            "| contact, 3 addresses, link, event | {connections} | {ours:.0} | {theirs:.0} | {:.2} |",
            ours / theirs
        )?;
    }
    Ok(table)
}

/// Contacts per second over HTTP, each answered when it is on disk.
fn creates(
    meishi: &Path,
    database: &Database,
    scratch: &Path,
    connections: u32,
    plan: Plan,
) -> Result<f64> {
    let first = init(meishi, database)?;
    let log = scratch.join("server.log");
    let mut serve = shell::command(meishi);
    serve.args(["serve", "--listen", "127.0.0.1:0", "--log", "error"]);
    serve.args(["--database", database.url(), "--database-connections", "16"]);
    let server = Server::start(&mut serve, &log)?;
    let member = |name: &str| first.get(name).and_then(Value::as_str).context("no credentials");
    let pair = format!("{}:{}", member("api_key")?, member("api_secret")?);
    let encoded =
        shell::capture(shell::command("sh").args(["-c", "printf %s \"$0\" | base64 -w0", &pair]))?;
    let mut wrk = load("wrk");
    wrk.args(["-t1", "-c"]).arg(connections.to_string());
    wrk.arg(format!("-d{}s", plan.seconds)).args(["-s", "xtask/bench/create.lua"]);
    wrk.arg(server.origin()).args(["--", &format!("Basic {}", encoded.trim()), "1"]);
    let report = shell::capture(&mut wrk)?;
    server.stop()?;
    ensure!(!report.contains("Non-2xx"), "some creates failed:\n{report}");
    number_after(&report, "Requests/sec:")
}

/// The same rows by PostgreSQL's own bench, a transaction each.
fn pgbench(meishi: &Path, database: &Database, connections: u32, plan: Plan) -> Result<f64> {
    let first = init(meishi, database)?;
    let account = first.get("account_id").context("no account")?.to_string();
    let psql = ["-q", "-c", "CREATE SEQUENCE bench_ids", database.url()];
    shell::run(shell::command("psql").args(psql))?;
    let mut pgbench = load("pgbench");
    pgbench.args(["-n", "-M", "prepared", "-j", "1", "-f", "xtask/bench/create.sql"]);
    pgbench.args(["-D", &format!("account={account}"), "-c", &connections.to_string()]);
    pgbench.args(["-T", &plan.seconds.to_string(), database.url()]);
    number_after(&shell::capture(&mut pgbench)?, "tps =")
}

/// Makes the tables and an account.
fn init(meishi: &Path, database: &Database) -> Result<Value> {
    let args = ["init", "--json", "--database", database.url()];
    Ok(serde_json::from_str(&shell::capture(shell::command(meishi).args(args))?)?)
}

/// A program on the core of the load.
fn load(program: &str) -> std::process::Command {
    let mut command = shell::command("taskset");
    command.args(["-c", LOAD_CORE, program]);
    command
}

fn number_after(report: &str, label: &str) -> Result<f64> {
    let line = report.lines().find_map(|line| line.trim().strip_prefix(label));
    let word = line.and_then(|rest| rest.split_whitespace().next());
    word.and_then(|word| word.parse().ok())
        .with_context(|| format!("no number after {label:?} in:\n{report}"))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn page(table: &str) -> Result<String> {
    let git = |args: &[&str]| shell::capture(shell::command("git").args(args));
    let commit = git(&["rev-parse", "--short", "HEAD"])?;
    let cpus = fs::read_to_string("/proc/cpuinfo")?;
    let cpu = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let postgres = shell::capture(shell::command("psql").arg("--version"))?;
    Ok(format!(
        "# Benchmarks\n\n\
         Written by `cargo xtask bench`; take the ratios, not the numbers: both sides of a row were \
         measured in the same run, in turn, and each figure is the median of five rounds.\n\n\
         Commit {}, {} cores ({}), {}.\n\n\
         ## PostgreSQL\n\n\
         PostgreSQL (`fsync` and `synchronous_commit` on) and Meishi share one core, `wrk` or \
         `pgbench` has the other. `pgbench` writes the rows of a created contact \
         ([create.sql](../xtask/bench/create.sql)) in one prepared statement and transaction each; \
         Meishi answers `POST /api/v2/accounts/contacts` on one account, checks, counts and numbers \
         them, and shares commits between calls.\n\n{table}",
        commit.trim(),
        // All of them: this process has but one since it was pinned.
        cpus.lines().filter(|line| line.starts_with("processor")).count(),
        cpu.trim_start_matches([' ', '\t', ':']),
        postgres.trim(),
    ))
}

#[cfg(test)]
mod tests {
    use super::{median, number_after};

    #[test]
    fn rates_are_read_from_both_programs() {
        let wrk = "Running 2s test\n  100 requests in 2.00s\nRequests/sec:  12345.67\n";
        let pgbench = "number of clients: 64\ntps = 7654.321 (without initial connection time)\n";
        let read = |report, label| format!("{:?}", number_after(report, label).unwrap());
        assert_eq!(read(wrk, "Requests/sec:"), "12345.67");
        assert_eq!(read(pgbench, "tps ="), "7654.321");
        assert!(number_after("nothing", "tps =").is_err());
    }

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        assert_eq!(format!("{:?}", median(vec![9.0, 1.0, 5.0])), "5.0");
    }
}
