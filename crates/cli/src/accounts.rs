//! `meishi accounts`.

use clap::Subcommand;
use meishi_server::control;

use crate::{config::DirectoryFlags, operator, table};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List accounts.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        directory: DirectoryFlags,
    },
    /// Make an account with a channel and an administrator key, whose secret is shown once.
    Create {
        /// What people call it.
        #[arg(long)]
        name: String,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        directory: DirectoryFlags,
    },
}

pub(crate) async fn run(command: Command) -> anyhow::Result<()> {
    let (command, directory, json) = match command {
        Command::List { json, directory } => (control::Command::ListAccounts, directory, json),
        Command::Create { name, json, directory } => {
            (control::Command::CreateAccount { name }, directory, json)
        }
    };
    table::print_reply(&operator::run(&directory.data_dir()?, command).await?, json)
}
