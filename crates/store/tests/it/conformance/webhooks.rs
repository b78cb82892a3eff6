//! Webhooks as an account sees them.

use std::sync::Arc;

use meishi_contacts::{
    EventBody, FaultCode, Field, FieldChange, PayloadForm, UnixMillis, Webhook, WebhookEvent,
    WebhookId, WebhookPatch, WebhookState, limits::WEBHOOKS,
};
use meishi_store::{Change, ChangeError, LeaseRoom, Missing, Outcome, Store};
use serde_json::json;

use super::{
    fields::{NOON, blank, create, delete, webhook},
    idempotency::keyed,
    tenant::Tenant,
};

fn update(id: WebhookId, patch: WebhookPatch) -> Change {
    Change::UpdateWebhook { id, patch }
}

pub(crate) async fn a_webhook_is_made_with_what_it_was_given(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    let made = acme.create_webhook(webhook("https://example.com/a")).await;
    let expected = Webhook {
        id: WebhookId(1),
        url: "https://example.com/a".to_owned(),
        events: WebhookEvent::ALL.to_vec(),
        format: PayloadForm::Meishi,
        include_activity: false,
        state: WebhookState::Enabled,
        state_reason: None,
        created_at: NOON,
        failing_since: None,
        previous_until: None,
    };
    assert_eq!(made, expected);
    let mut other = webhook("https://example.com/b");
    other.events = vec![WebhookEvent::ContactDeleted];
    other.format = PayloadForm::Chatwoot;
    other.include_activity = true;
    let other = acme.create_webhook(other).await;
    assert_eq!((other.id, other.format), (WebhookId(2), PayloadForm::Chatwoot));
    assert!(other.include_activity);
    assert_eq!(store.webhooks(acme.account).await.unwrap(), [made.clone(), other]);
    assert_eq!(store.webhook(acme.account, made.id).await.unwrap(), Some(made.clone()));
    assert_eq!(store.webhooks(globex.account).await.unwrap(), []);
    assert_eq!(store.webhook(globex.account, made.id).await.unwrap(), None);
    let told = acme.events().await.into_iter().rev().nth(1).unwrap().body;
    assert_eq!(told, EventBody::WebhookCreated(made));
}

pub(crate) async fn an_update_changes_what_it_names_and_tells_of_each(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create_webhook(webhook("https://example.com/a")).await.id;
    let before = acme.last_seq().await;
    let patch = WebhookPatch {
        url: Some("https://example.com/b".to_owned()),
        events: Some(vec![WebhookEvent::ContactErased]),
        format: Some(PayloadForm::Chatwoot),
        include_activity: Some(true),
        state: Some(WebhookState::Paused),
    };
    let Ok(Outcome::WebhookUpdated(webhook)) = acme.change(update(id, patch.clone())).await else {
        panic!("not updated");
    };
    assert_eq!(store.webhook(acme.account, id).await.unwrap(), Some(webhook.clone()));
    assert_eq!((webhook.state, webhook.state_reason), (WebhookState::Paused, None));
    let changes = vec![
        FieldChange::of(Field::Url, "https://example.com/a", "https://example.com/b"),
        FieldChange::of(
            Field::Events,
            json!(WebhookEvent::ALL.map(WebhookEvent::as_str)),
            json!(["contact.erased"]),
        ),
        FieldChange::of(Field::Format, "meishi", "chatwoot"),
        FieldChange::of(Field::IncludeActivity, false, true),
        FieldChange::of(Field::State, "enabled", "paused"),
    ];
    let events = acme.events_after(before).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].body, EventBody::WebhookUpdated { id, changes });
    let before = acme.state().await;
    acme.change(update(id, patch)).await.unwrap();
    acme.change(update(id, WebhookPatch::default())).await.unwrap();
    assert_eq!(acme.state().await, before, "nothing changed");
}

pub(crate) async fn a_rotated_webhook_signs_with_both_secrets(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create_webhook(webhook("a")).await.id;
    let rotate = |id, secret: &str| Change::RotateWebhook {
        id,
        secret: secret.to_owned(),
        overlap_seconds: 60,
    };
    acme.change(rotate(id, "whsec_2")).await.unwrap();
    let stored = || async {
        store
            .lease_webhooks("server", NOON, NOON, LeaseRoom::of_each(9))
            .await
            .unwrap()
            .pop()
            .unwrap()
            .stored
    };
    let found = stored().await;
    assert_eq!(
        (found.secret.as_str(), found.previous_secret.as_deref()),
        ("whsec_2", Some("whsec_a"))
    );
    assert_eq!(found.webhook.previous_until, Some(UnixMillis(NOON.0 + 60_000)));
    acme.change(rotate(id, "whsec_3")).await.unwrap();
    let found = stored().await;
    assert_eq!(
        (found.secret.as_str(), found.previous_secret.as_deref()),
        ("whsec_3", Some("whsec_2"))
    );
    // Made, rotated and paused in one call.
    let changes = vec![
        Change::DeleteWebhook { id },
        Change::CreateWebhook(Box::new(webhook("b"))),
        rotate(WebhookId(2), "whsec_4"),
    ];
    assert!(acme.apply(acme.cx(), changes, true).await.results.iter().all(Result::is_ok));
    let found = stored().await;
    assert_eq!(
        (found.secret.as_str(), found.previous_secret.as_deref()),
        ("whsec_4", Some("whsec_b"))
    );
    assert_eq!(found.webhook.previous_until, Some(UnixMillis(NOON.0 + 60_000)));
}

pub(crate) async fn a_deleted_webhook_is_gone_and_its_id_is_not_given_again(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    let made = acme.create_webhook(webhook("https://example.com/a")).await;
    let missing = Err(ChangeError::NotFound(Missing::Webhook));
    assert_eq!(globex.change(Change::DeleteWebhook { id: made.id }).await, missing);
    let gone = acme.change(Change::DeleteWebhook { id: made.id }).await;
    assert_eq!(gone, Ok(Outcome::WebhookDeleted));
    assert_eq!(acme.events().await.pop().unwrap().body, EventBody::WebhookDeleted(made.clone()));
    assert_eq!(store.webhooks(acme.account).await.unwrap(), []);
    assert_eq!(store.webhook(acme.account, made.id).await.unwrap(), None);
    for change in [
        Change::DeleteWebhook { id: made.id },
        update(made.id, WebhookPatch::default()),
        Change::RotateWebhook { id: made.id, secret: "s".into(), overlap_seconds: 0 },
    ] {
        assert_eq!(acme.change(change).await, missing);
    }
    assert_eq!(acme.create_webhook(webhook("b")).await.id, WebhookId(2));
    while store.purge(NOON, NOON).await.unwrap() > 0 {}
    acme.change(Change::DeleteWebhook { id: WebhookId(2) }).await.unwrap();
    while store.purge(NOON, NOON).await.unwrap() > 0 {}
    assert_eq!(acme.create_webhook(webhook("c")).await.id, WebhookId(3));
}

pub(crate) async fn an_account_has_at_most_so_many_webhooks(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let new = || Change::CreateWebhook(Box::new(webhook("a")));
    let all = (0..WEBHOOKS).map(|_| new()).collect();
    assert!(acme.apply(acme.cx(), all, true).await.results.iter().all(Result::is_ok));
    let before = acme.state().await;
    let refused = acme.change(new()).await;
    let Err(ChangeError::Faults(faults)) = refused else { panic!("{refused:?}") };
    assert_eq!(faults[0].code, FaultCode::LimitExceeded);
    assert_eq!(acme.state().await, before);
    // One that is deleted makes room, in the same call too, before anything is purged.
    let changes = vec![Change::DeleteWebhook { id: WebhookId(1) }, new(), new()];
    let applied = acme.apply(acme.cx(), changes, false).await;
    let done: Vec<bool> = applied.results.iter().map(Result::is_ok).collect();
    assert_eq!(done, [true, true, false]);
    acme.change(new()).await.unwrap_err();
}

pub(crate) async fn no_event_and_no_outcome_holds_a_webhooks_secret(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let changes = vec![
        Change::CreateWebhook(Box::new(webhook("a"))),
        Change::RotateWebhook { id: WebhookId(1), secret: "whsec_b".into(), overlap_seconds: 9 },
        update(WebhookId(1), WebhookPatch { url: Some("c".into()), ..WebhookPatch::default() }),
        Change::DeleteWebhook { id: WebhookId(1) },
    ];
    let first = acme.apply(keyed(&acme, "k", 1), changes.clone(), true).await;
    assert!(first.results.iter().all(Result::is_ok));
    let again = acme.apply(keyed(&acme, "k", 1), changes.clone(), true).await;
    assert!(again.replayed);
    let told = serde_json::to_string(&(acme.events().await, &again.results)).unwrap();
    assert!(!told.contains("whsec"), "{told}");
    assert!(!format!("{changes:?}").contains("whsec_a"), "logs do not either");
}

pub(crate) async fn webhooks_of_a_call_that_fails_are_not_there(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    acme.create_webhook(webhook("a")).await;
    let before = acme.state().await;
    let changes = vec![
        Change::CreateWebhook(Box::new(webhook("b"))),
        Change::DeleteWebhook { id: WebhookId(1) },
        create(blank()),
        delete(meishi_contacts::ContactId(9)),
    ];
    acme.apply(acme.cx(), changes, true).await;
    assert_eq!(acme.state().await, before);
    assert_eq!(acme.create_webhook(webhook("b")).await.id, WebhookId(2));
}
