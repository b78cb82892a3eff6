//! `meishi inboxes`.

use clap::Subcommand;
use meishi_contacts::{InboxId, limits::CHOSEN_INBOX_ID};
use meishi_server::control;

use crate::operator::Common;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List channels; the id is the Channel ID.
    List {
        #[command(flatten)]
        common: Common,
    },
    /// Make an API channel.
    Create {
        /// What people call it.
        #[arg(long)]
        name: String,
        /// The Channel ID, to keep one that a client knows already.
        #[arg(long, value_parser = clap::value_parser!(i64).range(1..=CHOSEN_INBOX_ID))]
        id: Option<i64>,
        #[command(flatten)]
        common: Common,
    },
    /// Rename a channel.
    Rename {
        /// The Channel ID.
        id: i64,
        /// What people call it from now on.
        #[arg(long)]
        name: String,
        #[command(flatten)]
        common: Common,
    },
    /// Delete a channel.
    Delete {
        /// The Channel ID.
        id: i64,
        /// Also where contacts are linked to it; the links go, the contacts stay.
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        common: Common,
    },
}

pub(crate) async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::List { common } => {
            let account = common.account;
            common.run(control::Command::ListInboxes { account }).await
        }
        Command::Create { name, id, common } => {
            let (account, id) = (common.account, id.map(InboxId));
            common.run(control::Command::CreateInbox { account, id, name }).await
        }
        Command::Rename { id, name, common } => {
            let (account, id) = (common.account, InboxId(id));
            common.run(control::Command::RenameInbox { account, id, name }).await
        }
        Command::Delete { id, force, common } => {
            let (account, id) = (common.account, InboxId(id));
            common.run(control::Command::DeleteInbox { account, id, force }).await
        }
    }
}
