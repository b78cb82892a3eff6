//! Every check of the project, quickest to fail first.

use std::fmt::{self, Write};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::{bench, schemathesis, setup, shell};

/// One check.
#[derive(Debug)]
struct Step {
    name: &'static str,
    what: &'static str,
    run: fn() -> Result<()>,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {:<14}{}", self.name, self.what)
    }
}

const STEPS: &[Step] = &[
    Step { name: "setup", what: "the tools are there", run: setup::run },
    Step { name: "fmt", what: "the code is formatted", run: format },
    Step { name: "clippy", what: "the lints hold", run: clippy },
    Step { name: "deny", what: "dependencies, licences and sources are allowed", run: deny },
    Step { name: "test", what: "the tests pass", run: unit_tests },
    Step { name: "bench", what: "the bench works", run: try_bench },
    Step { name: "schemathesis", what: "the server keeps to its OpenAPI", run: fuzz },
];

/// Runs the named steps, or all of them, and says what passed. Stops at the first that fails.
pub(crate) fn run(names: &[String]) -> Result<()> {
    let steps = select(names)?;
    let start = Instant::now();
    let mut passed = String::new();
    for (index, step) in steps.iter().enumerate() {
        let begun = start.elapsed().as_secs_f64();
        println!("\n=== {}/{} {}: {} ({begun:.1} s)", index + 1, steps.len(), step.name, step.what);
        let outcome = (step.run)();
        let seconds = start.elapsed().as_secs_f64() - begun;
        if outcome.is_err() && !passed.is_empty() {
            println!("\npassed before the failure:\n{passed}");
        }
        outcome.with_context(|| format!("step `{}` failed after {seconds:.1} s", step.name))?;
        writeln!(passed, "  {:<14}{seconds:>7.1} s", step.name)?;
    }
    println!("\npassed:\n{passed}  {:<14}{:>7.1} s", "in all", start.elapsed().as_secs_f64());
    Ok(())
}

/// The steps, one a line.
pub(crate) fn list_steps() -> String {
    STEPS.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The steps of these names in the order they run in; all of them if there are no names.
fn select(names: &[String]) -> Result<Vec<&'static Step>> {
    for name in names {
        if !STEPS.iter().any(|step| step.name == name) {
            bail!("there is no step `{name}`; the steps are\n\n{}", list_steps());
        }
    }
    let wanted = |step: &&Step| names.is_empty() || names.iter().any(|name| name == step.name);
    Ok(STEPS.iter().filter(wanted).collect())
}

fn format() -> Result<()> {
    shell::run(&mut shell::cargo(&["fmt", "--all", "--check"]))
}

fn clippy() -> Result<()> {
    let args = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    shell::run(&mut shell::cargo(&args))
}

fn deny() -> Result<()> {
    let mut deny = shell::command(setup::cargo_deny()?);
    shell::run(deny.args(["--locked", "check", "bans", "licenses", "sources"]))
}

fn unit_tests() -> Result<()> {
    shell::run(&mut shell::cargo(&["test", "--workspace", "--locked"]))
}

/// Judges no times: the build is not even optimised.
fn try_bench() -> Result<()> {
    let quick = ["--quick", "--unoptimised"].map(str::to_owned);
    bench::run(&quick)?;
    bench::run(&[&["sustained".to_owned()], &quick[..]].concat())
}

fn fuzz() -> Result<()> {
    schemathesis::run(&[])
}

#[cfg(test)]
mod tests {
    use super::{STEPS, select};

    fn selected(names: &[&str]) -> Vec<&'static str> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        select(&names).unwrap().iter().map(|step| step.name).collect()
    }

    #[test]
    fn no_names_select_every_step() {
        assert_eq!(selected(&[]).len(), STEPS.len());
    }

    #[test]
    fn named_steps_run_once_and_in_their_own_order() {
        assert_eq!(selected(&["test", "fmt", "test"]), ["fmt", "test"]);
    }

    #[test]
    fn an_unknown_step_is_named_and_the_known_ones_are_listed() {
        let error = select(&["fmt".to_owned(), "lint".to_owned()]).unwrap_err().to_string();
        assert!(error.starts_with("there is no step `lint`"));
        assert!(STEPS.iter().all(|step| error.contains(step.name)));
    }
}
