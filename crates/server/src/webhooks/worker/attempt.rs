//! One attempt at one delivery, and what comes of it.

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderName, HeaderValue, header},
};
use meishi_contacts::{
    Seq, UnixMillis, UnixSeconds, WebhookState,
    limits::WEBHOOK_PATIENCE,
    webhook::{Attempt as Made, Verdict},
};
use meishi_store::{Attempt, Delivery, Settlement, StoreError, WebhookHealth};
use tokio::time::Instant;
use uuid::Uuid;

use super::turn::Turn;
use crate::{api::rfc3339, egress::Answer};

/// What comes of an attempt.
struct Outcome {
    settlement: Settlement,
    health: WebhookHealth,
    /// For the metrics.
    name: &'static str,
}

impl Turn<'_> {
    /// Sends a delivery, and notes it. Nothing is sent once the turn is over.
    pub(super) async fn attempt(&self, mut delivery: Delivery) -> Result<(), StoreError> {
        if self.is_over() {
            return Ok(());
        }
        // What its account did to it meanwhile holds from the next message on.
        if !self.is_unchanged().await? {
            self.course().lost = true;
            return Ok(());
        }
        let app = self.app();
        let body = Bytes::from(std::mem::take(&mut delivery.payload));
        let (at, begun) = (app.clock.now(), Instant::now());
        let headers = self.headers(&delivery.id, at, &body)?;
        let account = self.lease.account;
        let answer = match &self.target {
            Ok(target) => {
                let answer = app.egress.post(account, target, headers, body).await;
                answer.map_err(|error| error.to_string())
            }
            Err(error) => Err(format!("the URL {error}")),
        };
        let time = begun.elapsed();
        metrics::histogram!("meishi_webhook_attempt_seconds").record(time);
        let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let attempt = attempt(at, millis, &answer);
        let outcome = self.outcome(&delivery, &attempt, &answer);
        let (seq, now) = (delivery.seq, app.clock.now());
        let noted = app.store.settle_delivery(
            self.lease,
            seq,
            attempt.clone(),
            outcome.settlement,
            outcome.health.clone(),
            now,
        );
        if noted.await? {
            metrics::counter!("meishi_webhook_attempts_total", "outcome" => outcome.name)
                .increment(1);
            self.tell(seq, &attempt, &outcome);
        } else if !self.was_erased(seq).await? {
            self.course().lost = true;
        }
        Ok(())
    }

    /// What the message is sent with: what it is, and what proves that it is ours.
    fn headers(&self, id: &str, at: UnixMillis, body: &[u8]) -> Result<HeaderMap, StoreError> {
        let unreadable = || StoreError::Internal("a delivery's id cannot be read".into());
        let id = Uuid::parse_str(id).map_err(|_| unreadable())?;
        let at = UnixSeconds(at.0.div_euclid(1000));
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in self.secrets.headers(id, at, body) {
            let value = HeaderValue::try_from(value).map_err(|_| unreadable())?;
            headers.insert(HeaderName::from_static(name), value);
        }
        Ok(headers)
    }

    /// What comes of an attempt, for the delivery and for its webhook.
    fn outcome(
        &self,
        delivery: &Delivery,
        attempt: &Attempt,
        answer: &Result<Answer, String>,
    ) -> Outcome {
        let now = self.app().clock.now();
        let tries = u32::try_from(delivery.tries).unwrap_or(u32::MAX);
        let made = Made { number: tries.saturating_add(1), at: now, seed: self.app().rng.seed() };
        let retry_after = answer.as_ref().ok().and_then(|answer| answer.retry_after.as_deref());
        let verdict = made.verdict(attempt.status, retry_after);
        let mut course = self.course();
        if verdict == Verdict::Delivered {
            course.failing_since = None;
            let health = WebhookHealth::Well;
            return Outcome { settlement: Settlement::Delivered, health, name: "delivered" };
        }
        course.failed = true;
        let since = *course.failing_since.get_or_insert(attempt.at);
        let patience = i64::try_from(WEBHOOK_PATIENCE.as_millis()).unwrap_or(i64::MAX);
        let begun = begun(delivery).unwrap_or(attempt.at);
        // Only while this message was tried is it known that the endpoint took nothing: after a
        // message that was given up there may have been none to take for days.
        let has_failed_for_long = now.0.saturating_sub(since.max(begun).0) >= patience;
        // A message that was given up while others got through is its own fault, or a shorter one of
        // the endpoint's; the webhook stays at work.
        let nothing_got_through = since <= begun;
        let stop = |state, reason, name| Outcome {
            // Nothing is given up by that: it goes out again when the webhook is set to work.
            settlement: Settlement::Retry(now),
            health: WebhookHealth::Stopped { state, reason },
            name,
        };
        match verdict {
            Verdict::Disable => {
                let reason = "The endpoint answered 410: it wants no more messages".to_owned();
                stop(WebhookState::Disabled, reason, "disabled")
            }
            Verdict::Retry { .. } if has_failed_for_long => {
                stop(WebhookState::Paused, why_paused(since, attempt), "paused")
            }
            Verdict::GiveUp if has_failed_for_long || nothing_got_through => {
                stop(WebhookState::Paused, why_paused(since, attempt), "paused")
            }
            Verdict::Retry { at } => Outcome {
                settlement: Settlement::Retry(at),
                health: WebhookHealth::Failing(since),
                name: "retry",
            },
            Verdict::GiveUp | Verdict::Delivered => Outcome {
                settlement: Settlement::GivenUp,
                health: WebhookHealth::Failing(since),
                name: "given_up",
            },
        }
    }

    /// Tells the operator, without the URL, which may hold a secret.
    fn tell(&self, seq: Seq, attempt: &Attempt, outcome: &Outcome) {
        let (account, webhook) = (self.lease.account, self.lease.webhook);
        let outcome_name = outcome.name;
        match &outcome.health {
            WebhookHealth::Well => {
                tracing::debug!(%account, %webhook, %seq, "a webhook was told");
            }
            WebhookHealth::Failing(_) => {
                let reason = what_failed(attempt);
                tracing::info!(%account, %webhook, %seq, %reason, outcome = outcome_name, "a webhook was not told");
            }
            WebhookHealth::Stopped { state, reason } => {
                let state = state.as_str();
                tracing::warn!(%account, %webhook, %seq, %reason, state, "a webhook is no longer told");
            }
        }
    }

    /// Whether a delivery was not noted because its contact was erased meanwhile.
    async fn was_erased(&self, seq: Seq) -> Result<bool, StoreError> {
        let (account, webhook) = (self.lease.account, self.lease.webhook);
        let delivery = self.app().store.delivery(account, webhook, seq).await?;
        Ok(delivery.is_some_and(|delivery| delivery.state == meishi_store::DeliveryState::Erased))
    }
}

/// When the delivery's first attempt was made since it was begun, or begun anew.
fn begun(delivery: &Delivery) -> Option<UnixMillis> {
    let tries = usize::try_from(delivery.tries).ok()?;
    let first = delivery.attempts.len().saturating_sub(tries);
    delivery.attempts.get(first).map(|attempt| attempt.at)
}

/// An attempt as the log keeps it.
fn attempt(at: UnixMillis, millis: i64, answer: &Result<Answer, String>) -> Attempt {
    match answer {
        Ok(answer) => {
            let error =
                matches!(answer.status, 300..=399).then(|| "redirects are not followed".into());
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            Attempt { at, millis, status: Some(answer.status), answer: Some(text), error }
        }
        Err(error) => {
            Attempt { at, millis, status: None, answer: None, error: Some(error.clone()) }
        }
    }
}

fn what_failed(attempt: &Attempt) -> String {
    match (attempt.status, &attempt.error) {
        (Some(status), _) => format!("it answered {status}"),
        (None, Some(error)) => error.clone(),
        (None, None) => "there was no answer".into(),
    }
}

fn why_paused(since: UnixMillis, attempt: &Attempt) -> String {
    format!(
        "Every attempt has failed since {}; at the last one {}",
        rfc3339(since),
        what_failed(attempt)
    )
}
