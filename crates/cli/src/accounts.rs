//! `meishi accounts`.

use clap::Subcommand;
use meishi_server::control;

use crate::{config::PlaceFlags, operator, table};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List accounts.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: PlaceFlags,
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
        place: PlaceFlags,
    },
}

pub(crate) async fn run(command: Command) -> anyhow::Result<()> {
    let (command, place, json) = match command {
        Command::List { json, place } => (control::Command::ListAccounts, place, json),
        Command::Create { name, json, place } => {
            (control::Command::CreateAccount { name }, place, json)
        }
    };
    table::print_reply(&operator::run(&place.place()?, command).await?, json)
}
