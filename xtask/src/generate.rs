//! The committed files that the binary prints: `openapi.json` and `config.example.toml`.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::shell;

/// Writes `openapi.json`.
pub(crate) fn openapi() -> Result<()> {
    write(&["openapi"], "openapi.json")
}

/// Writes `config.example.toml`.
pub(crate) fn config() -> Result<()> {
    write(&["config", "example"], "config.example.toml")
}

/// Writes what `meishi <args>` prints to a file of the repository. The file is touched only once
/// the program has succeeded.
fn write(args: &[&str], file: &str) -> Result<()> {
    let mut meishi = shell::cargo(&["run", "-q", "--locked", "-p", "meishi", "--"]);
    let text = shell::capture(meishi.args(args))?;
    ensure!(!text.is_empty(), "`meishi {}` printed nothing", args.join(" "));
    fs::write(shell::root().join(file), text).with_context(|| format!("cannot write {file}"))?;
    println!("wrote {file}");
    Ok(())
}
