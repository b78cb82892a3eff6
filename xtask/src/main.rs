//! The project's tasks, run as `cargo xtask <task>`.
//!
//! This file reads the command line; each task has a file of its own, and [`shell`] is how they
//! run other programs.

mod bench;
mod build;
mod generate;
mod schemathesis;
mod server;
mod setup;
mod shell;
mod test;

use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
cargo xtask <task>

  test [step…]              run every check, or only the steps named
  bench                     measure speed beside a reference and write docs/benchmarks.md
    --quick                   20,000 contacts, one round; writes nothing
    --against <commit>        beside that commit, as a ratio; writes nothing
    --only <a;b>              the cases whose names begin so
    --store <sqlite|postgres> on that store alone
    --contacts, --rounds, --seconds, --connections <1,64>
    --data <directory>        keep the embedded store's contacts there for the next run
    --unoptimised             a debug build, to see that the bench works
  bench pgbench             measure PostgreSQL beside pgbench, and write that part of it
  bench streams             measure what idle streams cost, and write that part of it
  setup                     install the tools the checks need, where they are missing
  schemathesis [-- arg…]    run the API fuzzing alone; what follows -- goes to `schemathesis run`
  openapi                   write openapi.json
  config                    write config.example.toml
  help                      print this text
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[String]) -> Result<()> {
    let (task, rest) = match args.split_first() {
        Some((task, rest)) => (task.as_str(), rest),
        None => ("help", args),
    };
    match (task, rest) {
        ("test", steps) => test::run(steps),
        ("bench", args) => bench::run(args),
        ("setup", []) => setup::run(),
        ("schemathesis", []) => schemathesis::run(&[]),
        ("schemathesis", [dashes, extra @ ..]) if dashes == "--" => schemathesis::run(extra),
        ("openapi", []) => generate::openapi(),
        ("config", []) => generate::config(),
        ("help" | "--help" | "-h", _) => {
            println!("{HELP}\nThe steps of `test`, in order:\n\n{}", test::list_steps());
            Ok(())
        }
        ("setup" | "schemathesis" | "openapi" | "config", [extra, ..]) => {
            bail!("`cargo xtask {task}` does not take `{extra}`\n\n{HELP}")
        }
        _ => bail!("there is no task `{task}`\n\n{HELP}"),
    }
}

#[cfg(test)]
mod tests {
    use super::dispatch;

    fn error_of(args: &[&str]) -> String {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        dispatch(&args).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_task_is_named() {
        assert!(error_of(&["tset"]).starts_with("there is no task `tset`"));
    }

    #[test]
    fn a_stray_argument_is_named() {
        assert!(error_of(&["openapi", "x"]).contains("does not take `x`"));
        assert!(error_of(&["schemathesis", "--seed"]).contains("does not take `--seed`"));
    }
}
