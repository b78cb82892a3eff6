//! `meishi init`: the first-start work without serving.

use anyhow::bail;
use meishi_server::control;

use crate::{config::DirectoryFlags, operator, table};

/// The name of the account that the first start makes.
pub(crate) const FIRST_ACCOUNT: &str = "Meishi";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    directory: DirectoryFlags,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let data_dir = args.directory.data_dir()?;
    let app = operator::open_soon(&data_dir).await?;
    let created = control::create_account(&app, FIRST_ACCOUNT.to_owned(), true).await;
    app.store.close().await;
    match created? {
        Some(created) => table::print_reply(&created, args.json),
        None => bail!(
            "there is an account already in {}; `meishi keys create` makes a further key",
            data_dir.display()
        ),
    }
}
