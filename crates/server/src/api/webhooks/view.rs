//! A webhook as its account sees it.

use axum::Json;
use meishi_contacts::{Webhook, WebhookEvent};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{api::rfc3339, openapi::ListMeta};

/// A webhook.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Webhook)]
pub(super) struct WebhookView {
    /// The webhook's number.
    #[schema(example = 1)]
    id: i64,
    /// Where to.
    #[schema(example = "https://crm.example.com/hooks/meishi")]
    url: String,
    /// What messages are signed with; only in the answer to creation and rotation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "whsec_…")]
    secret: Option<String>,
    /// Of what.
    #[schema(value_type = Vec<String>, example = json!(["contact.created", "contact.deleted"]))]
    events: Vec<&'static str>,
    /// The form of the messages.
    #[schema(value_type = String, pattern = "^(meishi|chatwoot)$", example = "meishi")]
    format: &'static str,
    /// Whether it is told of updates that are nothing but activity, too.
    include_activity: bool,
    /// `enabled`, `paused` (it waits, by your wish or because the endpoint took nothing for three
    /// days) or `disabled` (the endpoint answered 410). Nothing is lost while it waits.
    #[schema(value_type = String, pattern = "^(enabled|paused|disabled)$", example = "enabled")]
    state: &'static str,
    /// Why it is not at work, where that was not your wish.
    #[schema(
        required = true,
        example = "Every attempt has failed since 2026-11-20T08:00:00Z; at the last one it answered 500"
    )]
    state_reason: Option<String>,
    /// Since when every attempt has failed.
    #[schema(required = true, format = DateTime, example = "2026-11-20T08:00:00Z")]
    failing_since: Option<String>,
    /// When it was made.
    #[schema(format = DateTime, example = "2026-11-20T08:00:00Z")]
    created_at: String,
    /// Until when messages are signed with the secret before the last rotation, too.
    #[schema(required = true, format = DateTime, example = "2026-11-20T09:00:00Z")]
    previous_secret_until: Option<String>,
}

impl WebhookView {
    /// Shows a webhook, with its secret where it was just made.
    pub(super) fn new(webhook: Webhook, secret: Option<String>) -> Self {
        Self {
            id: webhook.id.0,
            url: webhook.url,
            secret,
            events: webhook.events.into_iter().map(WebhookEvent::as_str).collect(),
            format: webhook.format.as_str(),
            include_activity: webhook.include_activity,
            state: webhook.state.as_str(),
            state_reason: webhook.state_reason,
            failing_since: webhook.failing_since.map(rfc3339),
            created_at: rfc3339(webhook.created_at),
            previous_secret_until: webhook.previous_until.map(rfc3339),
        }
    }
}

/// A webhook, as the answer to a call.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookAnswer {
    payload: WebhookView,
}

impl WebhookAnswer {
    pub(super) fn new(webhook: Webhook, secret: Option<String>) -> Json<Self> {
        Json(Self { payload: WebhookView::new(webhook, secret) })
    }
}

/// The account's webhooks.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookList {
    pub(super) meta: ListMeta,
    pub(super) payload: Vec<WebhookView>,
}
