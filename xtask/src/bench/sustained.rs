//! Creates without a pause, at the peak and beyond what the server can take.
//!
//! The embedded store gathers new addresses and sorts them in later, half a million at a time: creates
//! are faster before and slower meanwhile. Each round here is long enough to have both.

use std::{fmt::Write as _, path::Path, time::Duration};

use anyhow::Result;
use meishi_contacts::limits::WRITE_QUEUE;

use super::{
    cases::Ask,
    load::Figures,
    mean, median, open,
    options::Options,
    target::{Meishi, Reference},
};

/// How many of the complete run's rounds one takes here.
const LENGTH: u32 = 12;

const ROUNDS: usize = 3;

/// Calls at a time at which most contacts are created.
const PEAK: usize = 256;

/// So many connections, of which so many call at a time.
#[derive(Clone, Copy)]
struct Callers {
    connections: usize,
    at_once: usize,
}

/// What one round gave.
struct Round {
    figures: Figures,
    /// The reference's POSTs a second over as many connections.
    limit: f64,
}

/// Measures, and answers the section of the page that tells of it.
pub(super) fn section(meishi: &Path, reference: &Path, options: &Options) -> Result<String> {
    // Fewer where the bench is only to be shown to work: each is two open files.
    let few = usize::try_from(options.contacts / 100)?;
    let many = (2 * WRITE_QUEUE).min(few);
    let fewer = PEAK.min(many);
    let all = [(64, 64), (fewer, fewer), (many, fewer), (many, many)];
    let all = all.map(|(connections, at_once)| Callers { connections, at_once });
    let reference = Reference::start(reference)?;
    let rounds = ROUNDS.min(options.rounds);
    let time = options.time * LENGTH;
    let mut text = format!(
        "`cargo xtask bench sustained`. Creates without a pause, means of {rounds} rounds of {:.1} s taken \
         in turn, {} contacts at first. Where more than {WRITE_QUEUE} calls wait, the others are answered 503 \
         with `Retry-After`, which is obeyed.\n\n\
         | store | connections | calls at a time | creates a second | of the reference's POSTs | p99 ms \
         | answers that are 503 |\n|---|---|---|---|---|---|---|\n",
        time.as_secs_f64(),
        options.contacts,
    );
    let mut remarks = String::new();
    for store in &options.stores {
        let mut server = open(*store, meishi)?;
        server.start()?;
        server.fill(options.contacts)?;
        server.warm()?;
        let mut taken = all.map(|callers| (callers, Vec::new()));
        for _ in 0..rounds {
            for (callers, taken) in &mut taken {
                let round = round(&mut server, &reference, *callers, time, options.time)?;
                let Callers { connections, at_once } = callers;
                println!(
                    "{store}, {at_once} of {connections} connections create {}",
                    round.figures
                );
                taken.push(round);
            }
        }
        server.stop()?;
        let rate = |taken: &[Round]| mean(taken.iter().map(|round| round.figures.rate));
        for (Callers { connections, at_once }, taken) in &taken {
            let refused = mean(taken.iter().map(|round| round.figures.refused)) * 100.0;
            let p99 = median(taken.iter().map(|round| round.figures.p99));
            let rate = rate(taken);
            let share = rate / mean(taken.iter().map(|round| round.limit)) * 100.0;
            writeln!(
                text,
                "| {store} | {connections} | {at_once} | {rate:.0} | {share:.1} % | {p99:.0} | {refused:.1} % |"
            )?;
        }
        let [.., (_, peak), (_, beyond)] = &taken;
        write!(
            remarks,
            "\nOn {store}, {many} calls at a time create {:.0} % of what {fewer} create over as many \
             connections.",
            rate(beyond) / rate(peak) * 100.0
        )?;
    }
    Ok(format!("{text}{remarks}"))
}

fn round(
    server: &mut Meishi,
    reference: &Reference,
    Callers { connections, at_once }: Callers,
    time: Duration,
    reference_time: Duration,
) -> Result<Round> {
    let limit = reference.measure(true, connections, reference_time)?.rate;
    Ok(Round { figures: server.measure_some(&Ask::Create, connections, at_once, time)?, limit })
}
