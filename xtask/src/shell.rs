//! Running other programs: always from the repository's root, never with a standard input.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}

/// A command that starts in the repository's root and cannot wait for someone to type.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root()).stdin(Stdio::null());
    command
}

/// `cargo` with these arguments.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut cargo = command("cargo");
    cargo.args(args);
    cargo
}

/// Runs a command to its end, its output going where ours goes. Failing is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let name = describe(command);
    let status = command.status().with_context(|| format!("cannot start {name}"))?;
    if !status.success() {
        bail!("{name}: {status}");
    }
    Ok(())
}

/// Runs a command to its end and returns what it printed on standard output. Failing is an error.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let name = describe(command);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {name}"))?;
    if !output.status.success() {
        bail!("{name}: {}", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("{name} printed other than UTF-8"))
}

/// What a command prints when it is there and succeeds. Its complaints are not shown.
pub(crate) fn probe(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The program and its first arguments: enough to know it by. Later ones may be long, or secret.
fn describe(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let args = command.get_args().take(3);
    let words: Vec<_> =
        std::iter::once(program).chain(args).map(std::ffi::OsStr::to_string_lossy).collect();
    format!("`{}`", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::{capture, command, probe, root, run};

    #[test]
    fn the_root_holds_the_workspace() {
        assert!(root().join("Cargo.lock").is_file());
    }

    #[test]
    fn a_failure_names_the_program_and_its_status() {
        let error = run(command("sh").args(["-c", "exit 3"])).unwrap_err().to_string();
        assert_eq!(error, "`sh -c exit 3`: exit status: 3");
    }

    #[test]
    fn output_is_captured() {
        assert_eq!(capture(command("sh").args(["-c", "echo out"])).unwrap(), "out\n");
        assert!(capture(command("sh").args(["-c", "echo out; exit 1"])).is_err());
    }

    #[test]
    fn probing_tells_a_missing_or_failing_program() {
        assert_eq!(probe(command("sh").args(["-c", "echo 1.2"])).as_deref(), Some("1.2"));
        assert_eq!(probe(command("sh").args(["-c", "exit 1"])), None);
        assert_eq!(probe(&mut command("no-such-program-anywhere")), None);
    }
}
