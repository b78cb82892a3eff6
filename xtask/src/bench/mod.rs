//! Speed, always beside a reference that is measured in the same run: only the ratio means
//! something on a machine that others share. Writes `docs/benchmarks.md`.
//!
//! Everything of the server side runs on one core, whoever makes the load on another. `cases.rs`
//! has what is asked, `dataset.rs` the contacts, `target.rs` the servers, `load.rs` the load,
//! `page.rs` the page; `postgres.rs`, `streams.rs` and `sustained.rs` are parts that stand on their own. To measure
//! one more thing, add a case.

mod baseline;
mod cases;
mod dataset;
mod load;
mod options;
mod page;
mod postgres;
mod streams;
mod sustained;
mod target;

use std::{
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;

use self::{
    baseline::Baseline,
    cases::{Beside, Case},
    load::Figures,
    options::{Options, Part, Store},
    page::{Growth, Row, Section},
    target::{Meishi, Reference},
};
use crate::{build, setup, shell};

const SERVER_CORE: &str = "0";
const LOAD_CORE: &str = "1";

/// After a case of writes: what it left to be folded into the database's file is its own affair, and
/// not that of the case after it.
const REST: Duration = Duration::from_secs(1);

/// Cases that a single caller is measured at while the account grows.
const GROWING: [&str; 7] = [
    "PATCH",
    "GET",
    "list",
    "search, rare",
    "search, one in 40",
    "search, misspelt",
    "filter, three conditions",
];

/// Runs the bench.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let options = Options::parse(args)?;
    if cfg!(debug_assertions) && !options.unoptimised {
        // The load must not be what is measured.
        let mut again = shell::cargo(&["run", "--release", "--locked", "--quiet", "-p", "xtask"]);
        return shell::run(again.args(["--", "bench"]).args(args));
    }
    setup::bench()?;
    let program = if options.unoptimised { build::unoptimised } else { build::release };
    match options.part {
        Some(Part::Streams) => {
            return page::write_part(page::STREAMS, &streams::section(&program("meishi")?)?);
        }
        Some(Part::Sustained) => {
            let (meishi, reference) = (program("meishi")?, program("reference")?);
            target::pin(LOAD_CORE)?;
            let section = sustained::section(&meishi, &reference, &options)?;
            if options.is_complete() {
                return page::write_part(page::SUSTAINED, &section);
            }
            println!("{section}");
            return Ok(());
        }
        Some(Part::Pgbench) => {
            let meishi = program("meishi")?;
            target::pin(SERVER_CORE)?;
            return page::write_part(page::PGBENCH, &postgres::section(&meishi)?);
        }
        None => {}
    }
    let (meishi, reference) = (program("meishi")?, program("reference")?);
    let other = options.against.as_deref().map(build_commit).transpose()?;
    target::pin(LOAD_CORE)?;
    let mut sections = Vec::new();
    for store in &options.stores {
        sections.push(section(*store, &meishi, other.as_deref(), &reference, &options)?);
    }
    for section in &sections {
        println!("\n{section}");
    }
    if let Some(table) = Baseline::read()?.compare(&sections, &options) {
        println!("Beside the last complete run:\n\n{table}");
    }
    if options.is_complete() {
        Baseline::of(&sections, &options).write()?;
        page::write(&sections, &options)?;
    }
    Ok(())
}

fn section(
    store: Store,
    meishi: &Path,
    other: Option<&Path>,
    reference: &Path,
    options: &Options,
) -> Result<Section> {
    let mut ours = match &options.data {
        Some(directory) if store == Store::Sqlite => Meishi::kept(meishi, directory)?,
        _ => open(store, meishi)?,
    };
    let growth = grow(&mut ours, options)?;
    let starts = starts(&mut ours)?;
    let mut theirs = match other {
        Some(program) => {
            let mut theirs = open(store, program)?;
            theirs.start()?;
            theirs.fill(options.contacts)?;
            Some(theirs)
        }
        None => None,
    };
    let reference = Reference::start(reference)?;
    let cases: Vec<Case> = cases::all().into_iter().filter(|case| options.wants(case)).collect();
    // The index is there, as in real use.
    for server in [Some(&ours), theirs.as_ref()].into_iter().flatten() {
        server.warm()?;
    }
    let mut rows: Vec<Row> = Vec::new();
    for connections in options.connections.iter().copied() {
        let mut taken: Vec<Vec<Taken>> = cases.iter().map(|_| Vec::new()).collect();
        for round in 0..options.rounds {
            let get = reference.measure(false, connections, options.time)?;
            let post = reference.measure(true, connections, options.time)?;
            println!(
                "{store}, {connections} connections, round {}: reference GET {:.0}/s, POST {:.0}/s",
                round + 1,
                get.rate,
                post.rate
            );
            for (case, taken) in cases.iter().zip(&mut taken) {
                let limit = if case.beside == Beside::Get { get } else { post };
                let figures = ours.measure(&case.ask, connections, options.time)?;
                let other = match &mut theirs {
                    Some(theirs) => Some(theirs.measure(&case.ask, connections, options.time)?),
                    None => None,
                };
                println!("  {:<32}{figures}{}", case.name, page::beside(other));
                taken.push(Taken { figures, limit, other });
                if case.ask.writes() {
                    thread::sleep(REST.min(options.time));
                }
            }
        }
        rows.extend(cases.iter().zip(taken).map(|(case, taken)| row(case, connections, &taken)));
    }
    let (contacts, memory) = (ours.count()?, ours.memory()?);
    Ok(Section { store, growth, starts, rows, contacts, memory })
}

/// What one round gave.
struct Taken {
    figures: Figures,
    limit: Figures,
    other: Option<Figures>,
}

fn row(case: &Case, connections: usize, taken: &[Taken]) -> Row {
    let of = |figure: fn(&Figures) -> f64| median(taken.iter().map(|one| figure(&one.figures)));
    let others: Vec<f64> =
        taken.iter().filter_map(|one| Some(one.figures.rate / one.other?.rate)).collect();
    Row {
        name: case.name,
        connections,
        rate: of(|figures| figures.rate),
        p50: of(|figures| figures.p50),
        p99: of(|figures| figures.p99),
        share: median(taken.iter().map(|one| one.figures.rate / one.limit.rate)),
        against: (!others.is_empty()).then(|| median(others.into_iter())),
    }
}

fn open(store: Store, program: &Path) -> Result<Meishi> {
    match store {
        Store::Sqlite => Meishi::on_sqlite(program),
        Store::Postgres => Meishi::on_postgres(program),
    }
}

/// Fills the account in steps of ten and tells what it takes at each.
fn grow(server: &mut Meishi, options: &Options) -> Result<Vec<Growth>> {
    let mut growth = Vec::new();
    server.start()?;
    for contacts in [0, options.contacts / 100, options.contacts / 10, options.contacts] {
        if contacts < server.contacts() {
            continue;
        }
        let (before, took) = (server.contacts(), server.fill(contacts)?);
        let first = Instant::now();
        server.warm()?;
        let first = first.elapsed();
        let mut p50 = Vec::new();
        if contacts > 0 {
            for case in cases::all().iter().filter(|case| GROWING.contains(&case.name)) {
                let time = options.time.min(Duration::from_secs(1));
                p50.push((case.name, server.measure(&case.ask, 1, time)?.p50));
            }
        }
        let created = load::as_f64(usize::try_from(contacts - before)?);
        let rate = (contacts > before).then(|| created / took.as_secs_f64());
        let (memory, disk) = (server.memory()?, server.disk()?);
        let batches = rate.map(|rate| format!(", {rate:.0}/s in batches")).unwrap_or_default();
        println!("{contacts} contacts: {memory:.0} MiB, loaded in {first:.2?}{batches}");
        growth.push(Growth { contacts, rate, first, memory, disk, p50 });
    }
    Ok(growth)
}

/// Restarts the server: how long until it listens, and until it has answered a search.
fn starts(server: &mut Meishi) -> Result<Vec<(&'static str, Duration, Duration)>> {
    let mut starts = Vec::new();
    for (what, snapshots) in [("without a snapshot", false), ("with a snapshot", true)] {
        server.stop()?;
        if !snapshots {
            server.forget_snapshots()?;
        }
        let begun = Instant::now();
        let listens = server.start()?;
        server.warm()?;
        starts.push((what, listens, begun.elapsed()));
    }
    Ok(starts)
}

/// The program as it was at another commit, built apart.
fn build_commit(commit: &str) -> Result<PathBuf> {
    let hash = shell::capture(shell::command("git").args(["rev-parse", "--short", commit]))?;
    let tree = build::target_directory()?.join("bench").join(hash.trim());
    if !tree.exists() {
        let mut add = shell::command("git");
        shell::run(add.args(["worktree", "add", "--detach"]).arg(&tree).arg(hash.trim()))?;
    }
    let mut cargo = shell::cargo(&["build", "--release", "--locked", "-p", "meishi"]);
    shell::run(cargo.current_dir(&tree).arg("--target-dir").arg(tree.join("target")))?;
    Ok(tree.join("target/release/meishi"))
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The mean; not a number where there is no value.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    values.iter().sum::<f64>() / load::as_f64(values.len())
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        assert_eq!(format!("{:?}", median([9.0, 1.0, 5.0].into_iter())), "5.0");
    }
}
