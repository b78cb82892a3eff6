//! `meishi keys`.

use clap::{Subcommand, ValueEnum};
use meishi_contacts::{KeyId, Role, UnixMillis};
use meishi_server::{api::parse_rfc3339, control};

use crate::operator::Common;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List keys; never their secrets.
    List {
        #[command(flatten)]
        common: Common,
    },
    /// Make a key; its secret is shown once.
    Create {
        /// What people call it.
        #[arg(long)]
        name: String,
        /// What it may do.
        #[arg(long, value_enum)]
        role: RoleFlag,
        /// When it ends, in RFC 3339, such as 2027-01-31T00:00:00Z; never without it.
        #[arg(long, value_name = "TIME", value_parser = time)]
        expires_at: Option<UnixMillis>,
        #[command(flatten)]
        common: Common,
    },
    /// Give a key a new secret, which is shown once.
    Rotate {
        /// The key's number.
        id: i64,
        /// How long the old secret stays valid, in seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 0)]
        overlap: i64,
        #[command(flatten)]
        common: Common,
    },
    /// Revoke a key at once.
    Revoke {
        /// The key's number.
        id: i64,
        #[command(flatten)]
        common: Common,
    },
}

/// A role, as a flag names it.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum RoleFlag {
    /// Everything.
    Administrator,
    /// Reads, and writes contacts.
    Agent,
    /// Reads.
    #[value(name = "read_only")]
    ReadOnly,
}

pub(crate) async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::List { common } => {
            let account = common.account;
            common.run(control::Command::ListKeys { account }).await
        }
        Command::Create { name, role, expires_at, common } => {
            let account = common.account;
            let role = match role {
                RoleFlag::Administrator => Role::Administrator,
                RoleFlag::Agent => Role::Agent,
                RoleFlag::ReadOnly => Role::ReadOnly,
            };
            common.run(control::Command::CreateKey { account, name, role, expires_at }).await
        }
        Command::Rotate { id, overlap, common } => {
            let (account, id) = (common.account, KeyId(id));
            let command = control::Command::RotateKey { account, id, overlap_seconds: overlap };
            common.run(command).await
        }
        Command::Revoke { id, common } => {
            let (account, id) = (common.account, KeyId(id));
            common.run(control::Command::RevokeKey { account, id }).await
        }
    }
}

fn time(text: &str) -> Result<UnixMillis, String> {
    parse_rfc3339(text).ok_or_else(|| "a time looks like 2027-01-31T00:00:00Z".to_owned())
}
