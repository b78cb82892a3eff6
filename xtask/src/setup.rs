//! The tools the checks need beyond the Rust toolchain: cargo-deny, schemathesis, curl, PostgreSQL
//! and PgBouncer.
//!
//! The first two are pinned and live in `target/tools`. Each function returns a tool that is there and is
//! the pinned one, installing it first where it is not.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::shell;

const CARGO_DENY_VERSION: &str = "0.20.2";

/// What goes into schemathesis's virtual environment.
const REQUIREMENTS: &str = "xtask/schemathesis-requirements.txt";

/// Installs whatever is missing.
pub(crate) fn run() -> Result<()> {
    ensure_curl()?;
    ensure_postgres()?;
    ensure_pgbouncer()?;
    println!("cargo-deny: {}", cargo_deny()?.display());
    println!("schemathesis: {}", schemathesis()?.display());
    Ok(())
}

/// Installs what only the bench needs.
pub(crate) fn bench() -> Result<()> {
    ensure(&["postgresql"], "the bench compares with it", || {
        works(Path::new("pgbench")) && works(Path::new("psql"))
    })?;
    ensure(&["util-linux"], "the bench keeps server and load apart with it", || {
        works(Path::new("taskset"))
    })
}

/// The pinned cargo-deny: ours, or else the one on the PATH.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    let ours = tools().join("bin").join("cargo-deny");
    for candidate in [ours.clone(), PathBuf::from("cargo-deny")] {
        let version = shell::probe(shell::command(&candidate).arg("--version"));
        if version.is_some_and(|line| is_version(&line, CARGO_DENY_VERSION)) {
            return Ok(candidate);
        }
    }
    println!("installing cargo-deny {CARGO_DENY_VERSION}: this takes a minute or two");
    // Unoptimised, it still needs three seconds, and is there four times as soon.
    let mut install = shell::cargo(&["install", "cargo-deny", "--locked", "--debug"]);
    install.args(["--version", CARGO_DENY_VERSION, "--root"]).arg(tools());
    shell::run(&mut install)?;
    Ok(ours)
}

/// The pinned schemathesis, in a virtual environment that holds exactly what [`REQUIREMENTS`] says.
pub(crate) fn schemathesis() -> Result<PathBuf> {
    let environment = tools().join("schemathesis");
    let program = environment.join("bin").join("schemathesis");
    // A copy of the requirements, left in the environment once all of them are installed.
    let installed = environment.join("installed-requirements.txt");
    let file = shell::root().join(REQUIREMENTS);
    let wanted =
        fs::read_to_string(&file).with_context(|| format!("cannot read {REQUIREMENTS}"))?;

    let complete = fs::read_to_string(&installed).is_ok_and(|text| text == wanted);
    if complete && works(&program) {
        return Ok(program);
    }

    println!("installing schemathesis");
    ensure_python()?;
    shell::run(shell::command("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
    let mut pip = shell::command(environment.join("bin").join("python"));
    pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]);
    shell::run(pip.arg("--requirement").arg(&file))?;
    if !works(&program) {
        bail!("schemathesis was installed but does not run: {}", program.display());
    }
    fs::write(&installed, wanted)
        .with_context(|| format!("cannot write {}", installed.display()))?;
    Ok(program)
}

/// Where the tools live. Deliberately not under `CARGO_TARGET_DIR`: they belong to this clone.
fn tools() -> PathBuf {
    shell::root().join("target").join("tools")
}

/// Whether a program can say its version.
fn works(program: &Path) -> bool {
    shell::probe(shell::command(program).arg("--version")).is_some()
}

/// Makes sure that `python3` can build virtual environments. Debian keeps that in a package of its
/// own.
fn ensure_python() -> Result<()> {
    let is_there =
        || shell::probe(shell::command("python3").args(["-c", "import ensurepip, venv"])).is_some();
    ensure(&["python3", "python3-venv"], "schemathesis runs on Python 3.10 or later", is_there)
}

/// Makes sure that there is a `curl`: a test pastes the call that the first start prints.
fn ensure_curl() -> Result<()> {
    ensure(&["curl"], "a test runs the call that the first start prints", || {
        works(Path::new("curl"))
    })
}

/// Makes sure that the tests can start a PostgreSQL. Debian's package starts one too, for itself.
fn ensure_postgres() -> Result<()> {
    ensure(&["postgresql"], "tests run on a PostgreSQL of their own, 15 or later", || {
        meishi_test_postgres::postgres().is_ok()
    })
}

/// Makes sure that the tests can put a PgBouncer in front of it.
fn ensure_pgbouncer() -> Result<()> {
    ensure(&["pgbouncer"], "tests reach a database through PgBouncer", || {
        meishi_test_postgres::pgbouncer().is_ok()
    })
}

/// Installs Debian packages where what they bring is missing. Only root can; anybody else is told.
fn ensure(packages: &[&str], why: &str, is_there: impl Fn() -> bool) -> Result<()> {
    if is_there() {
        return Ok(());
    }
    let names = packages.join(" ");
    let missing = format!("{why}; install it (on Debian and Ubuntu: apt-get install {names})");
    if shell::probe(shell::command("id").arg("-u")).as_deref() == Some("0") {
        println!("installing the Debian packages {names}");
        let apt_get = || {
            let mut apt_get = shell::command("apt-get");
            apt_get.env("DEBIAN_FRONTEND", "noninteractive");
            apt_get
        };
        shell::run(apt_get().args(["update", "--quiet"])).with_context(|| missing.clone())?;
        let install = ["install", "--yes", "--quiet", "--no-install-recommends"];
        shell::run(apt_get().args(install).args(packages)).with_context(|| missing.clone())?;
        if is_there() {
            return Ok(());
        }
    }
    bail!(missing);
}

/// Whether a `--version` line like `cargo-deny 0.20.2` names this version.
fn is_version(line: &str, version: &str) -> bool {
    line.split_whitespace().nth(1) == Some(version)
}

#[cfg(test)]
mod tests {
    use super::{ensure, is_version};

    #[test]
    fn what_is_there_is_not_installed() {
        ensure(&["no-such-package"], "a test", || true).unwrap();
    }

    #[test]
    fn only_the_very_version_counts() {
        assert!(is_version("cargo-deny 0.20.2", "0.20.2"));
        assert!(!is_version("cargo-deny 0.20.20", "0.20.2"));
        assert!(!is_version("cargo-deny 0.20.2-rc1", "0.20.2"));
        assert!(!is_version("", "0.20.2"));
    }
}
