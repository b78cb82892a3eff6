//! `meishi init`: the first-start work without serving.

use anyhow::bail;
use meishi_server::{Settings, control};

use crate::{config::PlaceFlags, operator, table};

/// The name of the account that the first start makes.
pub(crate) const FIRST_ACCOUNT: &str = "Meishi";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceFlags,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let place = args.place.place()?;
    let app = operator::open_soon(&place, Settings::default()).await?;
    let created = control::create_account(&app, FIRST_ACCOUNT.to_owned(), true).await;
    app.store.close().await;
    match created? {
        Some(created) => table::print_reply(&created, args.json),
        None => bail!(
            "there is an account already in {place}; `meishi keys create` makes a further key"
        ),
    }
}
