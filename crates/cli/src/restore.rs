//! `meishi restore`.

use std::path::PathBuf;

use anyhow::bail;
use meishi_contacts::{Clock as _, SystemClock};
use meishi_server::api::rfc3339;
use meishi_store::sqlite;
use serde_json::json;

use crate::{config::PlaceFlags, place::Place, table};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The backup; it is only read. A log beside it (FILE-wal) is taken for a part of it.
    file: PathBuf,
    /// Restore it although what `meishi doctor` checks is wrong in it. It must be whole all the
    /// same.
    #[arg(long)]
    force: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceFlags,
}

pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    let Place::Directory(data_dir) = args.place.place()? else {
        bail!(
            "a PostgreSQL database is restored with PostgreSQL's own tools; docs/operations.md \
             says how"
        );
    };
    let restored = sqlite::restore(&args.file, &data_dir, SystemClock.now(), args.force)?;
    let reply = json!({
        "path": restored.path,
        "accounts": restored.contents.accounts,
        "contacts": restored.contents.contacts,
        "events": restored.contents.events,
        "last_event_at": restored.contents.last_event_at.map(rfc3339),
        "epoch": restored.database.epoch,
    });
    if args.json {
        return table::print_reply(&reply, true);
    }
    let (contents, epoch) = (table::contents(&reply), restored.database.epoch);
    table::print(&format!("restored {}: {contents}; epoch {epoch}\n", restored.path.display()))
}
