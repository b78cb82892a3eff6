//! Deliveries: who works on which webhook, and what becomes of what it is told.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use meishi_contacts::{
    AccountId, ContactId, Seq, UnixMillis, Webhook, WebhookId, WebhookPatch, WebhookState,
    limits::{
        LOGGED_ATTEMPTS, REDELIVERIES, REVIVED_DELIVERIES, WEBHOOK_ACCOUNT_FAILING_TURNS,
        WEBHOOK_ACCOUNT_TURNS,
    },
};
use meishi_store::{
    Attempt, Change, ChangeError, Delivery, DeliveryQuery, DeliveryState, Lease, LeaseRoom,
    Missing, NewDelivery, Outcome, Redelivery, Settlement, Store, WebhookHealth,
};

use super::{
    fields::{NOON, create, named, update, webhook},
    tenant::Tenant,
};

/// A webhook with the server that works on it.
pub(crate) struct Told {
    pub(crate) tenant: Tenant,
    pub(crate) webhook: Webhook,
    pub(crate) lease: Lease,
}

pub(crate) fn after(millis: i64) -> UnixMillis {
    UnixMillis(NOON.0 + millis)
}

impl Told {
    pub(crate) async fn new(tenant: &Tenant) -> Self {
        let webhook = tenant.create_webhook(webhook("https://example.com/hook")).await;
        let lease =
            Lease { account: tenant.account, webhook: webhook.id, owner: "server 1".to_owned() };
        let told = Self { tenant: tenant.clone(), webhook, lease };
        assert!(told.leased("server 1", NOON).await.contains(&told.webhook.id));
        told
    }

    /// The webhooks that a server leases for a second.
    pub(crate) async fn leased(&self, owner: &str, now: UnixMillis) -> Vec<WebhookId> {
        let until = UnixMillis(now.0 + 1000);
        let leased = self
            .tenant
            .store
            .lease_webhooks(owner, now, until, LeaseRoom::of_each(9))
            .await
            .unwrap();
        leased.iter().map(|leased| leased.stored.webhook.id).collect()
    }

    /// What there is to tell of the account's events.
    pub(crate) async fn news(&self, from: Seq) -> Vec<NewDelivery> {
        let events = self.tenant.events_after(from).await;
        let new = events.iter().filter_map(|event| {
            let kind = event.body.kind();
            Some(NewDelivery {
                seq: event.seq,
                id: format!("id {}", event.seq),
                kind: kind.to_owned(),
                contact: event.body.contact().filter(|_| kind.starts_with("contact."))?,
                payload: format!("{:?}", event.body),
            })
        });
        new.collect()
    }

    /// Looks at the events after one, and tells the webhook of all.
    pub(crate) async fn look(&self, from: Seq) -> Seq {
        let (new, to) = (self.news(from).await, self.tenant.last_seq().await);
        assert!(self.enqueue(&self.lease, from, to, new).await);
        to
    }

    pub(crate) async fn enqueue(
        &self,
        lease: &Lease,
        from: Seq,
        to: Seq,
        new: Vec<NewDelivery>,
    ) -> bool {
        self.tenant.store.enqueue_deliveries(lease, from, to, new, NOON).await.unwrap()
    }

    pub(crate) async fn due(&self, now: UnixMillis) -> Vec<i64> {
        let (account, id) = (self.tenant.account, self.webhook.id);
        let due = self.tenant.store.due_deliveries(account, id, now, 100).await.unwrap();
        due.iter().map(|delivery| delivery.seq.0).collect()
    }

    pub(crate) async fn settle(&self, seq: i64, settlement: Settlement) -> bool {
        self.settle_as(seq, settlement, WebhookHealth::Well).await
    }

    pub(crate) async fn settle_as(
        &self,
        seq: i64,
        settlement: Settlement,
        health: WebhookHealth,
    ) -> bool {
        let (store, lease) = (&self.tenant.store, &self.lease);
        let attempt = attempt(seq);
        store.settle_delivery(lease, Seq(seq), attempt, settlement, health, NOON).await.unwrap()
    }

    pub(crate) async fn get(&self, seq: i64) -> Delivery {
        let (account, id) = (self.tenant.account, self.webhook.id);
        self.tenant.store.delivery(account, id, Seq(seq)).await.unwrap().unwrap()
    }

    pub(crate) async fn list(&self, state: Option<DeliveryState>) -> Vec<i64> {
        let (account, id) = (self.tenant.account, self.webhook.id);
        let query = DeliveryQuery { state, before: None };
        let list = self.tenant.store.deliveries(account, id, query, 100).await.unwrap();
        list.iter().map(|delivery| delivery.seq.0).collect()
    }

    pub(crate) async fn read(&self) -> Webhook {
        let (account, id) = (self.tenant.account, self.webhook.id);
        self.tenant.store.webhook(account, id).await.unwrap().unwrap()
    }

    pub(crate) async fn redeliver(&self, which: Redelivery) -> Result<usize, ChangeError> {
        match self.tenant.change(Change::Redeliver { id: self.webhook.id, which }).await {
            Ok(Outcome::Redelivering { count, .. }) => Ok(count),
            Err(error) => Err(error),
            other => panic!("not redelivered: {other:?}"),
        }
    }

    async fn set(&self, state: WebhookState) {
        let patch = WebhookPatch { state: Some(state), ..WebhookPatch::default() };
        self.tenant.change(Change::UpdateWebhook { id: self.webhook.id, patch }).await.unwrap();
    }
}

pub(crate) fn attempt(number: i64) -> Attempt {
    Attempt {
        at: after(number),
        millis: number,
        status: Some(500),
        answer: Some(format!("answer {number}")),
        error: Some("not 2xx".to_owned()),
    }
}

pub(crate) async fn a_lease_is_exclusive_until_it_ends(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let told = Told::new(&acme).await; // event 4; leased until 1000
    acme.create(named("Anna")).await;
    assert_eq!(told.leased("server 2", after(999)).await, []);
    assert_eq!(told.leased("server 1", after(999)).await, [told.webhook.id], "its own, prolonged");
    assert_eq!(told.leased("server 2", after(1998)).await, []);
    assert_eq!(told.leased("server 2", after(1999)).await, [told.webhook.id], "it ended");
    // What the first one brings now comes too late.
    assert!(!told.enqueue(&told.lease, Seq(4), Seq(5), told.news(Seq(4)).await).await);
    store.release_webhook(&told.lease).await.unwrap();
    assert_eq!(told.leased("server 1", after(2000)).await, [], "it gave nothing back");
    let other = Lease { owner: "server 2".to_owned(), ..told.lease.clone() };
    assert!(told.enqueue(&other, Seq(4), Seq(5), told.news(Seq(4)).await).await);
    assert!(!told.settle(5, Settlement::Delivered).await);
    assert_eq!(told.get(5).await.state, DeliveryState::Pending);
}

pub(crate) async fn a_webhook_without_anything_to_do_is_not_leased(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    let told = Told::new(&acme).await;
    let other = globex.create_webhook(webhook("https://example.org")).await;
    store.release_webhook(&told.lease).await.unwrap();
    let leased =
        store.lease_webhooks("server 2", NOON, after(1), LeaseRoom::of_each(9)).await.unwrap();
    let ids: Vec<_> = leased.iter().map(|one| (one.stored.account, one.last_seq)).collect();
    assert_eq!(ids, [(globex.account, Seq(4))], "a new one is looked at once");
    let lease = Lease { account: globex.account, webhook: other.id, owner: "server 2".into() };
    store.release_webhook(&lease).await.unwrap();
    assert_eq!(told.leased("server 2", after(5)).await, []);
    // A further event, of its account only.
    globex.create(named("Anna")).await;
    let leased =
        store.lease_webhooks("server 2", after(5), after(6), LeaseRoom::of_each(9)).await.unwrap();
    assert_eq!(leased.len(), 1);
    let stored = &leased[0].stored;
    assert_eq!(
        (stored.account, stored.cursor, leased[0].last_seq),
        (globex.account, Seq(4), Seq(5))
    );
    assert_eq!(stored.secret, "whsec_https://example.org");
    acme.create(named("Anna")).await;
    assert_eq!(
        store
            .lease_webhooks("server 3", after(6), after(9), LeaseRoom::of_each(1))
            .await
            .unwrap()
            .len(),
        1
    );
}

pub(crate) async fn an_accounts_webhooks_have_their_share_of_the_turns_and_come_round(
    store: Arc<dyn Store>,
) {
    let (acme, globex) = Tenant::two(&store).await;
    let mut many = Vec::new();
    for _ in 0..20 {
        many.push(acme.create_webhook(webhook("https://example.com")).await.id);
    }
    let other = globex.create_webhook(webhook("https://example.org")).await.id;
    let lease = async |owner: &str, now: i64, room: LeaseRoom| {
        let until = after(now + 1000);
        let leased = store.lease_webhooks(owner, after(now), until, room).await.unwrap();
        let leased = leased.into_iter().map(|one| (one.stored.account, one.stored.webhook.id));
        leased.collect::<Vec<_>>()
    };
    let of_acme = |range: std::ops::Range<usize>| -> Vec<_> {
        many[range].iter().map(|id| (acme.account, *id)).collect()
    };
    let give_back = async |owner: &str, leased: &[(AccountId, WebhookId)]| {
        for (account, webhook) in leased {
            let (account, webhook, owner) = (*account, *webhook, owner.to_owned());
            store.release_webhook(&Lease { account, webhook, owner }).await.unwrap();
        }
    };
    let share = usize::try_from(WEBHOOK_ACCOUNT_TURNS).unwrap();
    let room = LeaseRoom::of_each(100);
    // All have something to do: events that they have not looked at, but for the last one.
    acme.create(named("Anna")).await;
    globex.create(named("Bob")).await;
    let first = lease("server 1", 1, room).await;
    let mut expected = of_acme(0..share);
    expected.push((globex.account, other));
    expected.sort_unstable();
    assert_eq!(first, expected);
    assert_eq!(lease("server 2", 2, room).await, [], "whoever has the others");
    give_back("server 1", &of_acme(0..2)).await;
    let second = lease("server 2", 3, room).await;
    assert_eq!(second, of_acme(share..share + 2), "those that were not served yet");
    give_back("server 1", &first).await;
    give_back("server 2", &second).await;
    let third = lease("server 3", 4, LeaseRoom { well: 4, failing: 0 }).await;
    assert_eq!(third, of_acme(share + 2..share + 6));
    give_back("server 3", &third).await;
    let all = lease("server 4", 5, room).await;
    assert!(all.contains(&(acme.account, many[19])) && all.contains(&(globex.account, other)));
    give_back("server 4", &all).await;
}

pub(crate) async fn failing_webhooks_have_room_of_their_own(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    let share = usize::try_from(WEBHOOK_ACCOUNT_FAILING_TURNS).unwrap();
    let mut failing = Vec::new();
    acme.create(named("Anna")).await;
    for _ in 0..share + 2 {
        let told = Told::new(&acme).await;
        let before = told.look(acme.last_seq().await).await;
        acme.create(named("Anna")).await;
        let seq = told.look(before).await;
        let health = WebhookHealth::Failing(NOON);
        assert!(told.settle_as(seq.0, Settlement::Retry(NOON), health).await);
        failing.push(told.webhook.id);
    }
    for webhook in failing.clone() {
        let lease = Lease { account: acme.account, webhook, owner: "server 1".to_owned() };
        store.release_webhook(&lease).await.unwrap();
    }
    let well = globex.create_webhook(webhook("https://example.org")).await.id;
    globex.create(named("Bob")).await;
    let lease = async |owner: &str, well: usize, failing: usize| {
        let room = LeaseRoom { well, failing };
        let leased = store.lease_webhooks(owner, after(1), after(9), room).await.unwrap();
        leased.into_iter().map(|one| one.stored.webhook.id).collect::<Vec<_>>()
    };
    assert_eq!(lease("server 1", 0, 1).await, failing[..1]);
    assert_eq!(lease("server 2", 1, 0).await, [well]);
    assert_eq!(lease("server 3", 9, 9).await, failing[1..share]);
    assert_eq!(lease("server 4", 9, 9).await, []);
}

pub(crate) async fn a_lease_that_is_given_back_comes_again_when_something_is_due(
    store: Arc<dyn Store>,
) {
    let acme = Tenant::new(&store, "Acme").await;
    let told = Told::new(&acme).await;
    acme.create(named("Anna")).await;
    told.look(Seq(4)).await;
    assert!(told.settle(5, Settlement::Retry(after(5000))).await);
    assert_eq!(told.due(after(4999)).await, [0_i64; 0]);
    assert_eq!(told.due(after(5000)).await, [5]);
    store.release_webhook(&told.lease).await.unwrap();
    assert_eq!(told.leased("server 2", after(4999)).await, []);
    assert_eq!(told.leased("server 2", after(5000)).await, [told.webhook.id]);
}

pub(crate) async fn what_a_server_left_behind_is_found_by_the_next(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let told = Told::new(&acme).await;
    store.release_webhook(&told.lease).await.unwrap();
    acme.create(named("Anna")).await;
    assert_eq!(told.leased("server 1", NOON).await, [told.webhook.id]);
    told.look(Seq(4)).await;
    // It has looked at everything, and then it is gone.
    assert_eq!(told.leased("server 2", after(1000)).await, [told.webhook.id]);
    assert_eq!(told.due(after(1000)).await, [5]);
}

pub(crate) async fn only_whoever_looked_at_the_events_before_keeps_what_it_saw(
    store: Arc<dyn Store>,
) {
    let acme = Tenant::new(&store, "Acme").await;
    let told = Told::new(&acme).await;
    acme.create(named("Anna")).await; // 5
    acme.create(named("Bob")).await; // 6
    let news = told.news(Seq(4)).await;
    let stranger = Lease { owner: "stranger".to_owned(), ..told.lease.clone() };
    assert!(!told.enqueue(&stranger, Seq(4), Seq(6), news.clone()).await);
    assert!(!told.enqueue(&told.lease, Seq(3), Seq(6), news.clone()).await);
    assert!(!told.enqueue(&told.lease, Seq(5), Seq(6), news.clone()).await);
    assert_eq!(told.list(None).await, [0_i64; 0]);
    assert!(told.enqueue(&told.lease, Seq(4), Seq(5), news[..1].to_vec()).await);
    assert!(!told.enqueue(&told.lease, Seq(4), Seq(5), news[..1].to_vec()).await, "once");
    assert!(told.enqueue(&told.lease, Seq(5), Seq(6), news[1..].to_vec()).await);
    assert_eq!(told.list(None).await, [6, 5]);
    let expected = Delivery {
        seq: Seq(5),
        id: "id 5".to_owned(),
        kind: "contact.created".to_owned(),
        contact: ContactId(1),
        payload: news[0].payload.clone(),
        state: DeliveryState::Pending,
        attempts: Vec::new(),
        tries: 0,
        created_at: NOON,
        next_at: Some(NOON),
        settled_at: None,
    };
    assert_eq!(told.get(5).await, expected);
    let (account, id) = (acme.account, told.webhook.id);
    assert_eq!(store.delivery(account, id, Seq(4)).await.unwrap(), None);
    let query = DeliveryQuery { state: None, before: Some(Seq(6)) };
    let list = store.deliveries(account, id, query, 9).await.unwrap();
    let listed = Delivery { payload: String::new(), ..expected };
    assert_eq!(list, [listed]);
    assert_eq!(store.deliveries(account, id, DeliveryQuery::default(), 1).await.unwrap().len(), 1);
}

pub(crate) async fn deliveries_of_one_contact_go_out_one_after_the_other(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let told = Told::new(&acme).await;
    let anna = acme.create(named("Anna")).await.contact.id; // 5
    let bob = acme.create(named("Bob")).await.contact.id; // 6
    acme.update(anna, named("Anne")).await; // 7
    acme.update(bob, named("Bobby")).await; // 8
    told.look(Seq(4)).await;
    acme.update(anna, named("Ann")).await; // 9
    told.look(Seq(8)).await;
    assert_eq!(told.due(NOON).await, [5, 6]);
    assert_eq!(told.list(Some(DeliveryState::Waiting)).await, [9, 8, 7]);
    assert!(!told.settle(7, Settlement::Delivered).await, "not yet");
    assert!(told.settle(5, Settlement::Retry(after(100))).await);
    assert_eq!(told.due(NOON).await, [6], "one that is tried again holds the next one up");
    assert!(told.settle(5, Settlement::GivenUp).await);
    assert_eq!(told.due(NOON).await, [6, 7]);
    assert!(told.settle(7, Settlement::Delivered).await);
    assert!(told.settle(6, Settlement::Delivered).await);
    assert_eq!(told.due(NOON).await, [8, 9]);
    assert!(!told.settle(7, Settlement::Delivered).await, "once");
    assert_eq!(told.list(Some(DeliveryState::Delivered)).await, [7, 6]);
    assert_eq!(told.list(Some(DeliveryState::Failed)).await, [5]);
    assert_eq!(told.list(Some(DeliveryState::Pending)).await, [9, 8]);
    assert_eq!(told.list(Some(DeliveryState::Erased)).await, [0_i64; 0]);
    let settled = told.get(7).await;
    assert_eq!((settled.tries, settled.next_at, settled.settled_at), (1, None, Some(NOON)));
    assert_eq!(settled.attempts, [attempt(7)]);
}

pub(crate) async fn the_log_of_attempts_keeps_the_last_ones(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let told = Told::new(&acme).await;
    acme.create(named("Anna")).await;
    told.look(Seq(4)).await;
    let attempts = i64::try_from(LOGGED_ATTEMPTS).unwrap() + 3;
    for number in 0..attempts {
        let (retry, well) = (Settlement::Retry(after(number)), WebhookHealth::Well);
        let settled =
            store.settle_delivery(&told.lease, Seq(5), attempt(number), retry, well, NOON).await;
        assert!(settled.unwrap());
    }
    let delivery = told.get(5).await;
    assert_eq!((delivery.tries, delivery.settled_at), (attempts, None));
    assert_eq!(delivery.attempts, (3..attempts).map(attempt).collect::<Vec<_>>());
    assert_eq!(delivery.next_at, Some(after(attempts - 1)));
}

pub(crate) async fn an_attempt_tells_how_the_webhook_is(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let told = Told::new(&acme).await;
    for name in ["Anna", "Bob", "Eve"] {
        acme.create(named(name)).await; // 5, 6, 7
    }
    told.look(Seq(4)).await;
    let before = acme.last_seq().await;
    let retry = Settlement::Retry(NOON);
    told.settle_as(5, retry, WebhookHealth::Failing(after(1))).await;
    assert_eq!(told.read().await.failing_since, Some(after(1)));
    told.settle_as(5, retry, WebhookHealth::Failing(after(2))).await;
    assert_eq!(told.read().await.failing_since, Some(after(1)), "since the first time");
    told.settle_as(5, Settlement::Delivered, WebhookHealth::Well).await;
    assert_eq!(told.read().await.failing_since, None);
    told.settle_as(6, retry, WebhookHealth::Failing(after(3))).await;
    let stopped =
        WebhookHealth::Stopped { state: WebhookState::Disabled, reason: "410 Gone".to_owned() };
    assert!(told.settle_as(6, Settlement::GivenUp, stopped).await);
    let webhook = told.read().await;
    let shown = (webhook.state, webhook.state_reason.as_deref(), webhook.failing_since);
    assert_eq!(shown, (WebhookState::Disabled, Some("410 Gone"), Some(after(3))));
    assert_eq!(acme.last_seq().await, before, "no event tells of it");
    // What was under way when it stopped is noted, but nothing new begins.
    assert!(told.settle(7, Settlement::Delivered).await);
    assert_eq!(told.leased("server 2", after(9000)).await, []);
    acme.create(named("Later")).await; // 8
    assert!(!told.enqueue(&told.lease, Seq(7), Seq(8), told.news(Seq(7)).await).await);
    // At work again, it begins as if it had never failed, and has missed nothing.
    told.set(WebhookState::Enabled).await;
    let webhook = told.read().await;
    let shown = (webhook.state, webhook.state_reason, webhook.failing_since);
    assert_eq!(shown, (WebhookState::Enabled, None, None));
    assert_eq!(told.leased("server 1", after(9000)).await, [told.webhook.id]);
    told.look(Seq(7)).await;
    assert_eq!(told.due(NOON).await, [8]);
}

pub(crate) async fn a_webhook_that_works_again_is_told_at_once(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let told = Told::new(&acme).await;
    let anna = acme.create(named("Anna")).await.contact.id; // 5
    acme.update(anna, named("Anne")).await; // 6
    told.look(Seq(4)).await;
    told.settle(5, Settlement::Retry(after(1_000_000))).await;
    store.release_webhook(&told.lease).await.unwrap();
    told.set(WebhookState::Paused).await;
    assert_eq!(told.leased("server 1", after(2_000_000)).await, []);
    told.set(WebhookState::Enabled).await;
    assert_eq!(told.leased("server 1", NOON).await, [told.webhook.id]);
    assert_eq!(told.due(NOON).await, [5]);
    assert_eq!(told.get(5).await.tries, 0);
    assert_eq!(told.get(6).await.state, DeliveryState::Waiting);
}

pub(crate) async fn all_that_is_pending_begins_anew_step_by_step(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let told = Told::new(&acme).await;
    let step = usize::try_from(REVIVED_DELIVERIES).unwrap();
    for part in [step, 5] {
        let changes = (0..part).map(|number| create(named(&number.to_string()))).collect();
        acme.apply(acme.cx(), changes, true).await;
    }
    let mut from = Seq(4);
    while let Some(last) = told.news(from).await.last().map(|last| last.seq) {
        assert!(told.enqueue(&told.lease, from, last, told.news(from).await).await);
        from = last;
    }
    let pending = async || {
        let (account, id) = (acme.account, told.webhook.id);
        store.due_deliveries(account, id, NOON, 1000).await.unwrap().len()
    };
    let (first, last) = (Seq(5), Seq(4 + i64::try_from(step).unwrap() + 5));
    assert_eq!(from, last);
    for seq in first.0..=last.0 {
        assert!(told.settle(seq, Settlement::Retry(after(1_000_000))).await);
    }
    store.release_webhook(&told.lease).await.unwrap();
    assert_eq!(pending().await, 0);
    let url = Some("https://example.com/elsewhere".to_owned());
    let patch = WebhookPatch { url, ..WebhookPatch::default() };
    acme.change(Change::UpdateWebhook { id: told.webhook.id, patch }).await.unwrap();
    assert_eq!(told.leased("server 1", NOON).await, [told.webhook.id]);
    assert_eq!(pending().await, step);
    assert_eq!((told.get(first.0).await.tries, told.get(last.0).await.tries), (0, 1));
    store.release_webhook(&told.lease).await.unwrap();
    for seq in first.0..first.0 + i64::try_from(step).unwrap() {
        assert_eq!(told.get(seq).await.next_at, Some(NOON));
    }
    assert_eq!(told.leased("server 1", NOON).await, [told.webhook.id], "there is more");
    assert_eq!((told.get(last.0).await.tries, told.get(last.0).await.next_at), (0, Some(NOON)));
    // Once, and not again at each turn.
    assert!(told.settle(first.0, Settlement::Retry(after(500))).await);
    store.release_webhook(&told.lease).await.unwrap();
    told.leased("server 1", NOON).await;
    assert_eq!(told.get(first.0).await.next_at, Some(after(500)));
}

pub(crate) async fn a_webhook_with_a_new_url_begins_anew(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let told = Told::new(&acme).await;
    acme.create(named("Anna")).await; // 5
    told.look(Seq(4)).await;
    let (retry, failing) = (Settlement::Retry(after(9000)), WebhookHealth::Failing(NOON));
    told.settle_as(5, retry, failing).await;
    store.release_webhook(&told.lease).await.unwrap();
    let set = async |url: &str| {
        let patch = WebhookPatch { url: Some(url.to_owned()), ..WebhookPatch::default() };
        acme.change(Change::UpdateWebhook { id: told.webhook.id, patch }).await.unwrap();
        told.leased("server 1", NOON).await;
    };
    set("https://example.com/hook").await;
    assert_eq!(told.due(NOON).await, [0_i64; 0], "it is the same");
    assert_eq!(told.read().await.failing_since, Some(NOON));
    store.release_webhook(&told.lease).await.unwrap();
    set("https://example.com/new").await;
    assert_eq!((told.due(NOON).await, told.get(5).await.tries), (vec![5], 0));
    assert_eq!(told.read().await.failing_since, None);
}

pub(crate) async fn deliveries_can_be_made_once_more(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let told = Told::new(&acme).await;
    let anna = acme.create(named("Anna")).await.contact.id; // 5
    acme.update(anna, named("Anne")).await; // 6
    acme.create(named("Bob")).await; // 7
    acme.update(anna, named("Ann")).await; // 8
    told.look(Seq(4)).await;
    for (seq, settlement) in [
        (5, Settlement::GivenUp),
        (6, Settlement::Delivered),
        (7, Settlement::GivenUp),
        (8, Settlement::Delivered),
    ] {
        assert!(told.settle(seq, settlement).await);
    }
    store.release_webhook(&told.lease).await.unwrap();
    assert_eq!(told.leased("server 1", NOON).await, []);
    let before = acme.last_seq().await;

    assert_eq!(told.redeliver(Redelivery::Failed).await, Ok(2));
    assert_eq!(told.leased("server 1", NOON).await, [told.webhook.id], "it has something to do");
    assert_eq!(told.due(NOON).await, [5, 7]);
    let again = told.get(5).await;
    assert_eq!((again.tries, again.settled_at, again.attempts), (0, None, vec![attempt(5)]));
    assert_eq!(told.redeliver(Redelivery::Failed).await, Ok(0));
    for seq in [5, 7] {
        assert!(told.settle(seq, Settlement::Delivered).await);
    }
    // Of a range, each contact's go out in their order.
    assert_eq!(told.redeliver(Redelivery::Range(Seq(6), Seq(99))).await, Ok(3));
    assert_eq!(told.due(NOON).await, [6, 7]);
    assert_eq!(told.list(Some(DeliveryState::Waiting)).await, [8]);
    assert!(told.settle(6, Settlement::Delivered).await);
    assert_eq!(told.due(NOON).await, [7, 8]);
    assert!(told.settle(8, Settlement::Delivered).await);
    assert_eq!(told.redeliver(Redelivery::One(Seq(8))).await, Ok(1));
    assert_eq!(told.due(NOON).await, [7, 8]);
    let missing = |what| Err(ChangeError::NotFound(what));
    assert_eq!(told.redeliver(Redelivery::One(Seq(4))).await, missing(Missing::Delivery));
    let unknown = Change::Redeliver { id: WebhookId(9), which: Redelivery::Failed };
    assert_eq!(acme.change(unknown).await, Err(ChangeError::NotFound(Missing::Webhook)));
    assert_eq!(acme.last_seq().await, before, "no event tells of it");
}

pub(crate) async fn what_is_made_once_more_keeps_its_contacts_order(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let told = Told::new(&acme).await;
    let anna = acme.create(named("Anna")).await.contact.id; // 5
    for name in ["Anne", "Ann", "Annie"] {
        acme.update(anna, named(name)).await; // 6, 7, 8
    }
    told.look(Seq(4)).await;
    assert!(told.settle(5, Settlement::GivenUp).await);
    assert!(told.settle(6, Settlement::Retry(after(9000))).await);
    // A later one does not pass the one that is tried again.
    assert_eq!(told.redeliver(Redelivery::One(Seq(7))).await, Ok(1));
    assert_eq!(told.due(after(9000)).await, [6]);
    assert_eq!((told.get(6).await.tries, told.get(6).await.next_at), (1, Some(after(9000))));
    assert_eq!(told.get(7).await.state, DeliveryState::Waiting);
    // An earlier one comes before it.
    assert_eq!(told.redeliver(Redelivery::Failed).await, Ok(1));
    assert_eq!(told.due(after(9000)).await, [5]);
    assert_eq!(told.list(Some(DeliveryState::Waiting)).await, [8, 7, 6]);
    assert!(!told.settle(6, Settlement::Delivered).await, "it was under way, and goes out again");
    for seq in 5..=8 {
        assert_eq!(told.due(NOON).await, [seq]);
        assert!(told.settle(seq, Settlement::Delivered).await);
    }
    // Several times in one call.
    let again = |which| Change::Redeliver { id: told.webhook.id, which };
    let changes = vec![
        again(Redelivery::One(Seq(7))),
        again(Redelivery::One(Seq(8))),
        again(Redelivery::One(Seq(6))),
        again(Redelivery::Range(Seq(5), Seq(5))),
        again(Redelivery::One(Seq(6))),
    ];
    acme.apply(acme.cx(), changes, true).await;
    assert_eq!(told.due(after(9000)).await, [5]);
    assert_eq!(told.list(Some(DeliveryState::Waiting)).await, [8, 7, 6]);
}

pub(crate) async fn a_range_that_is_too_long_says_where_it_goes_on(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let told = Told::new(&acme).await;
    let last = 4 + i64::try_from(REDELIVERIES).unwrap() + 3;
    for part in [REDELIVERIES, 3] {
        let changes = (0..part).map(|number| create(named(&number.to_string()))).collect();
        acme.apply(acme.cx(), changes, true).await;
    }
    let mut from = Seq(4);
    while let Some(to) = told.news(from).await.last().map(|last| last.seq) {
        assert!(told.enqueue(&told.lease, from, to, told.news(from).await).await);
        from = to;
    }
    for seq in 5..=last {
        assert!(told.settle(seq, Settlement::GivenUp).await);
    }
    let redeliver =
        async |which| match acme.change(Change::Redeliver { id: told.webhook.id, which }).await {
            Ok(Outcome::Redelivering { count, next_from }) => (count, next_from),
            other => panic!("{other:?}"),
        };
    let next = Seq(last - 2);
    let range = |from| Redelivery::Range(from, Seq(last));
    assert_eq!(redeliver(range(Seq(1))).await, (REDELIVERIES, Some(next)));
    assert_eq!(redeliver(range(next)).await, (3, None));
    for seq in 5..=last {
        assert!(told.settle(seq, Settlement::GivenUp).await);
    }
    assert_eq!(redeliver(Redelivery::Failed).await, (REDELIVERIES, Some(next)));
    assert_eq!(redeliver(Redelivery::Failed).await, (3, None));
    assert_eq!(redeliver(range(Seq(6))).await, (REDELIVERIES, Some(Seq(last - 1))));
}

pub(crate) async fn what_was_erased_is_not_sent_any_more(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let told = Told::new(&acme).await;
    let anna = acme.create(named("Anna")).await.contact.id; // 5
    acme.update(anna, named("Anne")).await; // 6
    let bob = acme.create(named("Bob")).await.contact.id; // 7
    told.look(Seq(4)).await;
    acme.update(anna, named("Ann")).await; // 8
    let (stale, to) = (told.news(Seq(7)).await, acme.last_seq().await);
    assert_eq!(acme.erase(anna).await.deliveries, 2); // 9
    // What was built before the erasure comes too late, and keeps nothing.
    assert!(told.enqueue(&told.lease, Seq(7), to, stale).await);
    assert_eq!(told.list(None).await, [7, 6, 5]);
    assert_eq!(told.list(Some(DeliveryState::Erased)).await, [6, 5]);
    for seq in [5, 6] {
        let delivery = told.get(seq).await;
        assert_eq!((delivery.payload.as_str(), delivery.attempts.len()), ("", 0));
        assert!(!told.settle(seq, Settlement::Delivered).await);
    }
    // The erasure itself is told of, at once.
    told.look(Seq(8)).await;
    assert_eq!(told.due(NOON).await, [7, 9]);
    let missing = Err(ChangeError::NotFound(Missing::Delivery));
    assert_eq!(told.redeliver(Redelivery::One(Seq(5))).await, missing);
    assert_eq!(told.redeliver(Redelivery::Range(Seq(1), Seq(9))).await, Ok(2));
    // Both in one call, either way round.
    let all = Change::Redeliver { id: told.webhook.id, which: Redelivery::Range(Seq(1), Seq(9)) };
    let eve = acme.create(named("Eve")).await.contact.id; // 10
    told.look(Seq(9)).await;
    let all_of = |from| Change::Redeliver {
        id: told.webhook.id,
        which: Redelivery::Range(Seq(from), Seq(99)),
    };
    let changes = vec![all, super::fields::erase(bob), all_of(1), super::fields::erase(eve)];
    let applied = acme.apply(acme.cx(), changes, true).await; // 11, 12
    let count = |number: usize| match &applied.results[number] {
        Ok(Outcome::Redelivering { count, .. }) => *count,
        other => panic!("{other:?}"),
    };
    assert_eq!((count(0), count(2)), (2, 2));
    assert_eq!(told.list(Some(DeliveryState::Erased)).await, [10, 7, 6, 5]);
    assert_eq!(told.due(NOON).await, [9]);
}

pub(crate) async fn a_deleted_webhook_is_told_nothing_and_goes_with_time(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let told = Told::new(&acme).await;
    acme.create(named("Anna")).await; // 5
    acme.create(named("Bob")).await; // 6
    told.look(Seq(4)).await;
    acme.change(Change::DeleteWebhook { id: told.webhook.id }).await.unwrap();
    assert!(!told.settle(5, Settlement::Delivered).await);
    assert!(!told.enqueue(&told.lease, Seq(6), Seq(7), Vec::new()).await);
    assert_eq!(told.leased("server 1", after(9000)).await, []);
    store.release_webhook(&told.lease).await.unwrap();
    let mut gone = 0;
    loop {
        match store.purge(NOON, NOON).await.unwrap() {
            0 => break,
            rows => gone += rows,
        }
    }
    assert_eq!(gone, 3);
    assert_eq!(told.list(None).await, [0_i64; 0]);
}

pub(crate) async fn servers_that_work_at_once_deliver_each_event_once(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let told = Told::new(&acme).await;
    store.release_webhook(&told.lease).await.unwrap();
    let calls = (0..30).map(|number| acme.change(create(named(&number.to_string()))));
    let upkeep = (0..10).map(|_| store.purge(NOON, UnixMillis(0)));
    let delivered = AtomicUsize::new(0);
    let work = (0..4).map(|server| {
        let (store, acme, owner) = (Arc::clone(&store), acme.clone(), format!("server {server}"));
        let delivered = &delivered;
        async move {
            for now in 0.. {
                if delivered.load(Ordering::Relaxed) >= 30 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
                let leased = store
                    .lease_webhooks(&owner, after(now), after(now + 5), LeaseRoom::of_each(9))
                    .await;
                for leased in leased.unwrap() {
                    let webhook = leased.stored.webhook;
                    let lease =
                        Lease { account: acme.account, webhook: webhook.id, owner: owner.clone() };
                    let told = Told { tenant: acme.clone(), webhook, lease };
                    let (from, to) = (leased.stored.cursor, leased.last_seq);
                    let new = told.news(from).await;
                    let new = new.into_iter().filter(|new| new.seq <= to).collect();
                    let _ = told.enqueue(&told.lease, from, to, new).await;
                    for seq in told.due(NOON).await {
                        let settled = told.settle(seq, Settlement::Delivered).await;
                        delivered.fetch_add(usize::from(settled), Ordering::Relaxed);
                    }
                    store.release_webhook(&told.lease).await.unwrap();
                }
            }
        }
    });
    let all = async {
        futures::join!(
            futures::future::join_all(calls),
            futures::future::join_all(upkeep),
            futures::future::join_all(work),
        )
    };
    let (created, kept_up, _) = tokio::time::timeout(Duration::from_mins(1), all).await.unwrap();
    assert!(created.iter().all(Result::is_ok));
    assert!(kept_up.iter().all(Result::is_ok));
    assert_eq!(delivered.into_inner(), 30);
    assert_eq!(told.list(Some(DeliveryState::Delivered)).await.len(), 30);
}

pub(crate) async fn bookkeeping_and_changes_do_not_wait_for_each_other_for_ever(
    store: Arc<dyn Store>,
) {
    let acme = Tenant::new(&store, "Acme").await;
    let first = Told::new(&acme).await;
    let second = Told::new(&acme).await;
    let mut ids = Vec::new();
    for number in 0..20 {
        ids.push(acme.create(named(&number.to_string())).await.contact.id);
    }
    let (mut looked, looked_second) = (first.look(Seq(4)).await, second.look(Seq(5)).await);
    assert_eq!(looked, looked_second);
    for (number, id) in ids.iter().enumerate() {
        let changes = async {
            acme.change(update(*id, named("changed"))).await.unwrap();
            for told in [&second, &first] {
                let _ = told.redeliver(Redelivery::Range(Seq(0), Seq(i64::MAX))).await.unwrap();
            }
            acme.erase(*id).await;
        };
        let upkeep = async {
            for _ in 0..5 {
                store.purge(after(100_000_000), after(1)).await.unwrap();
                store.drop_events(acme.account, NOON).await.unwrap();
            }
        };
        let settle = |told: &Told| {
            let (store, lease) = (Arc::clone(&store), told.lease.clone());
            let seq = Seq(6 + i64::try_from(number).unwrap());
            async move {
                for _ in 0..5 {
                    let (well, retry) = (WebhookHealth::Well, Settlement::Retry(NOON));
                    store
                        .settle_delivery(&lease, seq, attempt(1), retry, well, NOON)
                        .await
                        .unwrap();
                    store.release_webhook(&lease).await.unwrap();
                    store
                        .lease_webhooks(&lease.owner, NOON, after(1), LeaseRoom::of_each(9))
                        .await
                        .unwrap();
                }
            }
        };
        futures::join!(changes, upkeep, settle(&first), settle(&second));
        assert_eq!(first.leased("server 1", NOON).await.len(), 2);
        let before = looked;
        looked = first.look(before).await;
        second.look(before).await;
    }
}
