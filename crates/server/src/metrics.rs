//! Metrics for Prometheus, on an address of their own. `requests.rs` counts requests.

mod requests;
#[cfg(test)]
mod tests;

use std::time::Duration;

use axum::{Router, extract::State, routing::get};
use meishi_contacts::WebhookState;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::{net::TcpListener, time::Instant};

pub(crate) use self::requests::Requests;
use crate::{App, directory::Warmth};

/// How often the gauges that have to be looked up are, unless a twentieth of the time does not suffice.
const REFRESH: Duration = Duration::from_secs(5);

/// Bounds of the latency histograms, in seconds.
const SECONDS: [f64; 14] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// Bounds of the histogram of calls that share a commit.
const CALLS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// Begins to collect. Once a process, and before it serves: a service keeps what it found to count
/// in.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("group_calls".into()), &CALLS)?
        .install_recorder()?;
    metrics::describe_counter!("meishi_http_requests_total", "Requests by route and status");
    metrics::describe_histogram!("meishi_http_request_seconds", "Time to answer a request");
    metrics::describe_counter!("meishi_rate_limited_total", "Requests refused, by limit");
    metrics::describe_gauge!("meishi_streams", "Open streams and waiting calls of the feed");
    metrics::describe_gauge!("meishi_store_queue_calls", "Calls that wait for the writer");
    metrics::describe_histogram!("meishi_store_group_calls", "Calls that shared a commit");
    metrics::describe_histogram!("meishi_store_commit_seconds", "Time of a commit");
    metrics::describe_gauge!("meishi_contacts", "Contacts of all accounts");
    metrics::describe_gauge!("meishi_index_accounts", "Accounts with a loaded index");
    metrics::describe_gauge!("meishi_index_contacts", "Contacts in loaded indexes");
    metrics::describe_gauge!("meishi_index_bytes", "Memory of loaded indexes");
    metrics::describe_gauge!("meishi_index_limit_bytes", "Memory that indexes may take");
    metrics::describe_gauge!(
        "meishi_index_short",
        "Accounts short of memory: without grams, or refused"
    );
    metrics::describe_gauge!("meishi_index_warming", "Accounts to warm after the start, by state");
    metrics::describe_counter!("meishi_index_loads_total", "Indexes loaded, by source");
    metrics::describe_histogram!("meishi_index_load_seconds", "Time of such a load");
    metrics::describe_counter!(
        "meishi_index_evictions_total",
        "Indexes dropped for want of memory"
    );
    metrics::describe_counter!("meishi_index_snapshots_total", "Snapshots of indexes, by outcome");
    metrics::describe_counter!(
        "meishi_webhook_attempts_total",
        "Requests to webhooks, by what came of them"
    );
    metrics::describe_histogram!("meishi_webhook_attempt_seconds", "Time of such a request");
    metrics::describe_gauge!("meishi_webhooks", "Webhooks of all accounts, by state");
    metrics::describe_gauge!(
        "meishi_webhooks_failing",
        "Webhooks at work whose last attempt failed"
    );
    Ok(handle)
}

/// Serves `/metrics` until the task is dropped.
pub async fn serve(
    listener: TcpListener,
    handle: PrometheusHandle,
    app: App,
) -> std::io::Result<()> {
    let refresh = async {
        loop {
            let begun = Instant::now();
            refresh(&app).await;
            handle.run_upkeep();
            // Very many accounts, on a database that is far away, take their time.
            tokio::time::sleep(REFRESH.max(begun.elapsed() * 19)).await;
        }
    };
    let scrape = |State(handle): State<PrometheusHandle>| async move { handle.render() };
    let router = Router::new().route("/metrics", get(scrape)).with_state(handle.clone());
    tokio::select! {
        served = axum::serve(listener, router).into_future() => served,
        () = refresh => Ok(()),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; counts are far below 2^52")]
async fn refresh(app: &App) {
    let loaded = app.directory.loaded();
    metrics::gauge!("meishi_index_accounts").set(loaded.accounts as f64);
    metrics::gauge!("meishi_index_contacts").set(loaded.contacts as f64);
    metrics::gauge!("meishi_index_bytes").set(loaded.bytes as f64);
    metrics::gauge!("meishi_index_limit_bytes").set(loaded.limit as f64);
    metrics::gauge!("meishi_index_short", "how" => "without_grams")
        .set(loaded.without_grams as f64);
    metrics::gauge!("meishi_index_short", "how" => "refused").set(loaded.refused as f64);
    let Warmth { accounts, done, failed, left_out, .. } = app.directory.warmth();
    let waiting = accounts - (done + failed + left_out).min(accounts);
    for (state, count) in
        [("waiting", waiting), ("done", done), ("failed", failed), ("left_out", left_out)]
    {
        metrics::gauge!("meishi_index_warming", "state" => state).set(count as f64);
    }
    let Ok(accounts) = app.store.accounts().await else { return };
    let mut contacts = 0;
    let mut failing = 0_u32;
    let mut webhooks = [WebhookState::Enabled, WebhookState::Paused, WebhookState::Disabled]
        .map(|state| (state, 0_u32));
    for account in accounts {
        for webhook in app.store.webhooks(account.id).await.unwrap_or_default() {
            for (_, count) in webhooks.iter_mut().filter(|(state, _)| *state == webhook.state) {
                *count += 1;
            }
            let is_failing = webhook.failing_since.is_some();
            failing += u32::from(webhook.state == WebhookState::Enabled && is_failing);
        }
        if let Ok(Some(counts)) = app.store.counts(account.id).await {
            contacts += counts.contacts;
        }
    }
    metrics::gauge!("meishi_contacts").set(contacts as f64);
    metrics::gauge!("meishi_webhooks_failing").set(failing);
    for (state, count) in webhooks {
        metrics::gauge!("meishi_webhooks", "state" => state.as_str()).set(count);
    }
}
