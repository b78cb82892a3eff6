//! What is kept, and for how long.

use std::num::NonZeroU32;

use meishi_server::{Settings, retention};
use serde_json::json;

use crate::app::{CHANGES, TestApp};

const DAY: i64 = 24 * 3600;

#[tokio::test]
async fn events_are_kept_for_ever_by_default() {
    let app = TestApp::start().await;
    let anna = app.administrator().await;
    anna.contact(json!({})).await;
    app.clock.advance(100 * 365 * DAY);
    anna.contact(json!({})).await;
    assert_eq!(retention::sweep(&app.app).await.unwrap(), retention::Swept::default());
    let first = anna.get(format!("{CHANGES}?limit=1")).await.ok();
    assert_eq!(first.payload()[0]["type"], "account.created");
}

#[tokio::test]
async fn events_go_in_every_account_when_they_are_older_than_they_are_kept() {
    let mut settings = Settings::default();
    settings.retention.events = NonZeroU32::new(30);
    let app = TestApp::start_with(settings).await;
    let other = app.account("Globex").await;
    let (anna, bert) = (app.administrator().await, other.administrator().await);
    for client in [&anna, &bert] {
        client.contact(json!({ "name": "old" })).await;
    }
    let old = [app.events().await, other.events().await];
    app.clock.advance(20 * DAY);
    for client in [&anna, &bert] {
        client.contact(json!({ "name": "younger" })).await;
        client.contact(json!({ "name": "youngest" })).await;
    }
    assert_eq!(retention::sweep(&app.app).await.unwrap().accounts, 0);
    app.clock.advance(10 * DAY + 1);
    assert_eq!(retention::sweep(&app.app).await.unwrap().accounts, 2);
    for (client, old) in [(&anna, old[0]), (&bert, old[1])] {
        let gone = client.get(format!("{CHANGES}?after={}", old - 1)).await;
        assert_eq!((gone.status, &gone.json["resume_after"]), (410, &json!(old + 2)));
        let kept = client.get(format!("{CHANGES}?after={old}")).await.ok();
        assert_eq!(kept.payload().as_array().unwrap().len(), 2);
        assert_eq!(client.search("old").await, ["old"], "what is there stays");
    }
    assert_eq!(retention::sweep(&app.app).await.unwrap().accounts, 0);
}
