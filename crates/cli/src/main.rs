//! The binary `meishi`: the tree of commands, and how an error becomes one sentence.
//!
//! One file a command; `config.rs` is the only place that reads the environment, `operator.rs`
//! takes a command to the store or to the server that holds it.

mod accounts;
mod backup;
mod config;
mod copy;
mod doctor;
mod inboxes;
mod init;
mod keys;
mod logging;
mod openapi;
mod operator;
mod place;
mod restore;
mod serve;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Requests allocate much and briefly, which this allocator is made for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The contact service of a live chat or help desk.
#[derive(Debug, Parser)]
#[command(name = "meishi", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the service; the first start makes an account and shows how to call it.
    Serve(serve::Args),
    /// Make the first account without starting the service.
    Init(init::Args),
    /// List and make accounts.
    #[command(subcommand)]
    Accounts(accounts::Command),
    /// List and change channels.
    #[command(subcommand)]
    Inboxes(inboxes::Command),
    /// List, make, rotate and revoke API keys.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Copy the embedded database into a new file, service running or not.
    Backup(backup::Args),
    /// Make a data directory's database from a backup.
    Restore(restore::Args),
    /// Check the database and say what to do; fail if something is wrong.
    Doctor(doctor::Args),
    /// Copy a whole database into another one, between SQLite and PostgreSQL either way.
    ///
    /// It goes on where it was when it is run again after it broke off, and compares the two at
    /// the end.
    Copy(copy::Args),
    /// Print the API description (OpenAPI 3.1).
    Openapi,
    /// About the configuration.
    #[command(subcommand)]
    Config(config::Command),
}

fn main() -> ExitCode {
    match config::hide_passwords().and_then(|()| run(Cli::parse().command)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("meishi: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let done = match command {
        Command::Serve(args) => serve::run(args).await,
        Command::Init(args) => init::run(args).await,
        Command::Accounts(command) => accounts::run(command).await,
        Command::Inboxes(command) => inboxes::run(command).await,
        Command::Keys(command) => keys::run(command).await,
        Command::Backup(args) => backup::run(args).await,
        Command::Restore(args) => restore::run(args),
        Command::Doctor(args) => return doctor::run(args).await,
        Command::Copy(args) => copy::run(args).await,
        Command::Openapi => openapi::run(),
        Command::Config(command) => config::run(&command),
    };
    done.map(|()| ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_tree_of_commands_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
