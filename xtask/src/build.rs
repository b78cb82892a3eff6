//! The workspace's programs, built.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::shell;

/// Builds a program as the tests build it, and tells where it is. The whole workspace, since a package by
/// itself has other features, and so would be compiled once more.
pub(crate) fn unoptimised(program: &str) -> Result<PathBuf> {
    shell::run(&mut shell::cargo(&["build", "--locked", "--workspace", "--bins", "--tests"]))?;
    Ok(target_directory()?.join("debug").join(program))
}

/// Builds a program for use, and tells where it is.
pub(crate) fn release(program: &str) -> Result<PathBuf> {
    shell::run(&mut shell::cargo(&["build", "--locked", "--release", "-p", program]))?;
    Ok(target_directory()?.join("release").join(program))
}

/// Where Cargo puts what it builds.
pub(crate) fn target_directory() -> Result<PathBuf> {
    let args = ["metadata", "--format-version", "1", "--no-deps", "--locked"];
    let metadata: Value = serde_json::from_str(&shell::capture(&mut shell::cargo(&args))?)?;
    let target = metadata.get("target_directory").and_then(Value::as_str);
    Ok(target.context("cargo tells no target directory")?.into())
}
