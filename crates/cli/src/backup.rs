//! `meishi backup`.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use meishi_server::control::Command;

use crate::{config::PlaceFlags, operator, table};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The new file. Where the service runs, its process writes the file.
    file: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceFlags,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let path = std::path::absolute(&args.file)
        .with_context(|| format!("{} is no name of a file", args.file.display()))?;
    if path.to_str().is_none() {
        bail!("the name of the backup must be UTF-8");
    }
    let command = Command::Backup { path: path.clone() };
    let written = operator::run(&args.place.place()?, command).await?;
    if args.json {
        return table::print_reply(&written, true);
    }
    let bytes = written.get("bytes").map(table::cell).unwrap_or_default();
    let contents = table::contents(&written);
    table::print(&format!("wrote {} ({bytes} bytes): {contents}\n", path.display()))
}
