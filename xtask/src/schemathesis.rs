//! The API fuzzing: a server of our own on an empty data directory, and schemathesis against it.
//!
//! There are two passes. The main one leaves out the operations that would take away the key it
//! authenticates with. The second one runs those, with the rest of the operations on keys, under
//! one of many keys of an account of its own. It may come to revoke that one, after which every
//! answer is a 401: the schema has those too.

use std::{ffi::OsStr, path::Path};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::server::{Scratch, Server, tail};
use crate::{build, setup, shell};

/// What every answer is checked for.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance";

const PHASES: &str = "examples,coverage,fuzzing,stateful";

/// Makes the requests the same every time, as far as they do not build on the server's answers.
const SEED: &str = "1";

/// How many cases an operation gets in the main pass: both passes are to take about a minute.
const MAX_EXAMPLES: &str = "80";

/// The same for the second pass.
const MAX_EXAMPLES_KEYS: &str = "25";

/// Settings of the main pass.
const CONFIG: &str = "xtask/schemathesis.toml";

/// The operations that would take away the key of the main pass, or its rights. [`CONFIG`] makes it
/// an error when one of them is no longer there.
const KEY_TAKING: [&str; 3] = [
    "PATCH /api/v2/accounts/keys/{id}",
    "DELETE /api/v2/accounts/keys/{id}",
    "POST /api/v2/accounts/keys/{id}/rotate",
];

/// The headers that the main pass leaves out; the second one sends `Idempotency-Key`.
const CONDITIONS: [&str; 3] = ["Idempotency-Key", "If-Match", "If-None-Match"];

/// Keys of the second account.
const KEYS: usize = 20;

/// The paths of the second pass. Listing and creating keys is in, for they yield the keys' ids.
const KEY_PATHS: &str = "^/api/v2/accounts/keys(/|$)";

/// How much of the server's log a failure shows.
const LOG_LINES: usize = 60;

/// Builds the server, starts it, runs both passes with the extra arguments, and stops it.
pub(crate) fn run(extra: &[String]) -> Result<()> {
    let schemathesis = setup::schemathesis()?;
    let meishi = build::unoptimised("meishi")?;
    let scratch = Scratch::new()?;
    let log = scratch.path().join("server.log");
    let outcome = serve_and_test(&schemathesis, &meishi, scratch.path(), &log, extra);
    if outcome.is_err() {
        eprintln!("\n--- the end of the server's log\n{}\n---", tail(&log, LOG_LINES));
    }
    outcome
}

fn serve_and_test(
    schemathesis: &Path,
    meishi: &Path,
    scratch: &Path,
    log: &Path,
    extra: &[String],
) -> Result<()> {
    let data = scratch.join("data");
    let operator = |command: &[&str]| {
        let mut meishi = shell::command(meishi);
        shell::capture(meishi.args(command).args(["--json", "--data-dir"]).arg(&data))
    };

    let first = credentials(&operator(&["init"])?)?;
    let mut serve = shell::command(meishi);
    serve.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(&data);
    let server = Server::start(&mut serve, log)?;
    let account = account_id(&operator(&["accounts", "create", "--name", "second"])?)?;
    let key =
        ["keys", "create", "--name", "fuzz", "--role", "administrator", "--account", &account];
    // The first keys are the ones that guessed and sample ids hit; the last one calls.
    let mut second = String::new();
    for _ in 0..KEYS {
        second = credentials(&operator(&key)?)?;
    }

    let config = shell::root().join(CONFIG);
    let document = scratch.join("openapi.json");
    let described = shell::capture(shell::command(meishi).arg("openapi"))?;
    std::fs::write(&document, without_conditions(&described)?)?;
    let published = format!("{}/api/openapi.json", server.origin());
    let pass = |auth: &str, document: &OsStr, configured: bool, own: &[&str]| {
        let mut command = shell::command(schemathesis);
        // It leaves files behind where it runs. A proxy has no business with this machine's own.
        command.current_dir(scratch).env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
        if configured {
            command.arg("--config-file").arg(&config);
        }
        let origin = server.origin();
        // A file is no address: it needs the whole one beside it.
        let location = if configured { "--url" } else { "--origin" };
        command.arg("run").arg(document).args([location, origin]);
        command.args(["--auth", auth, "--checks", CHECKS, "--phases", PHASES]);
        command.args(["--seed", SEED, "--generation-database", "none", "--request-timeout", "10"]);
        shell::run(command.args(own).args(extra))
    };

    println!("\n--- everything but what takes the key away");
    let mut own = vec!["--max-examples", MAX_EXAMPLES];
    own.extend(KEY_TAKING.iter().flat_map(|operation| ["--exclude-name", operation]));
    pass(&first, document.as_os_str(), true, &own).context("the main pass")?;

    println!("\n--- the operations on keys, as a second account");
    let own = ["--max-examples", MAX_EXAMPLES_KEYS, "--include-path-regex", KEY_PATHS];
    pass(&second, published.as_ref(), false, &own).context("the pass over keys")?;

    server.stop()
}

/// The description without the headers that make a request depend on those before it. With them
/// nearly every write would be refused as another one under the same key, or one of a version that
/// there is not, and nothing behind that would be reached.
fn without_conditions(described: &str) -> Result<String> {
    let mut document: Value = serde_json::from_str(described).context("no description")?;
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    let items = paths.into_iter().flat_map(|paths| paths.values_mut());
    let operations = items.filter_map(Value::as_object_mut).flat_map(|item| item.values_mut());
    for operation in operations {
        let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
        if let Some(parameters) = parameters {
            parameters.retain(|parameter| {
                let name = parameter.get("name").and_then(Value::as_str);
                !name.is_some_and(|name| CONDITIONS.contains(&name))
            });
        }
    }
    Ok(document.to_string())
}

/// The account's id in what `meishi accounts create` prints.
fn account_id(printed: &str) -> Result<String> {
    let value: Value = serde_json::from_str(printed).context("meishi should print JSON")?;
    let id = value.get("account_id").and_then(Value::as_i64);
    Ok(id.context("meishi printed no account_id")?.to_string())
}

/// The `key:secret` of the JSON object that `meishi init` and `meishi accounts create` print.
fn credentials(printed: &str) -> Result<String> {
    let value: Value = serde_json::from_str(printed).context("meishi should print JSON")?;
    let field = |name: &str| {
        value.get(name).and_then(Value::as_str).with_context(|| format!("meishi printed no {name}"))
    };
    Ok(format!("{}:{}", field("api_key")?, field("api_secret")?))
}

#[cfg(test)]
mod tests {
    use super::{credentials, without_conditions};

    #[test]
    fn credentials_are_key_and_secret() {
        let printed = r#"{"account_id":"a","inbox_id":"i","api_key":"k","api_secret":"s"}"#;
        assert_eq!(credentials(printed).unwrap(), "k:s");
    }

    #[test]
    fn missing_credentials_are_named() {
        let error = credentials(r#"{"api_key":"k"}"#).unwrap_err().to_string();
        assert_eq!(error, "meishi printed no api_secret");
        assert!(credentials("hello").is_err());
    }

    #[test]
    fn headers_that_depend_on_other_requests_are_left_out() {
        let described = r#"{"paths":{"/a":{"get":{"parameters":[{"name":"id"},{"name":"If-Match"}]},"post":{}}}}"#;
        let left = r#"{"paths":{"/a":{"get":{"parameters":[{"name":"id"}]},"post":{}}}}"#;
        assert_eq!(without_conditions(described).unwrap(), left);
    }
}
