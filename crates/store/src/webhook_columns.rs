//! The columns of a webhook and of a delivery, which both stores read in this order.

macro_rules! webhook_columns {
    () => {
        "webhooks.account_id, webhooks.id, url, events, format, include_activity, state,
           state_reason, webhooks.created_at, failing_since, secret, previous_secret,
           previous_until, cursor"
    };
}

macro_rules! delivery_columns {
    ($payload:literal) => {
        concat!(
            "seq, id, kind, contact_id, ",
            $payload,
            ", state, attempts, tries, created_at, next_at, settled_at"
        )
    };
}

pub(crate) use {delivery_columns, webhook_columns};
