//! `meishi doctor`.

use std::process::ExitCode;

use meishi_server::control::Command;
use meishi_store::examine::{Finding, Severity};

use crate::{config::PlaceFlags, operator, table};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceFlags,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let reply = operator::run(&args.place.place()?, Command::Doctor).await?;
    let findings: Vec<Finding> = serde_json::from_value(reply.clone())?;
    if args.json {
        table::print_reply(&reply, true)?;
    } else {
        table::print(&findings.iter().map(line).collect::<String>())?;
    }
    let wrong = findings.iter().any(|finding| finding.severity == Severity::Wrong);
    Ok(if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn line(finding: &Finding) -> String {
    let Finding { check, severity, account_id, message, advice, .. } = finding;
    let account = account_id.map(|id| format!("account {id}: ")).unwrap_or_default();
    let advice = advice.as_ref().map(|advice| format!("; {advice}")).unwrap_or_default();
    format!("{:7}  {check}: {account}{message}{advice}\n", severity.as_str())
}
