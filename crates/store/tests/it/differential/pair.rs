//! A SQLite store and a PostgreSQL one, asked the same.

use std::{collections::BTreeMap, fmt::Debug, mem::discriminant, sync::Arc};

use futures::TryStreamExt;
use meishi_contacts::{
    AccountId, Actor, ContactId, Event, InboxId, KeyId, NewKey, Role, Seed, Seq, UnixMillis,
    Version, WebhookId,
};
use meishi_store::{
    Applied, Change, Context, CreatedAccount, Idempotency, Lease, LeaseRoom, NewAccount,
    NewDelivery, Outcome, Store, StoreError,
};
use proptest::sample::Index;
use serde_json::json;

use super::steps::{Apply, Step, Upkeep, credential};
use crate::conformance::{
    deliveries::attempt,
    fields::{
        NOON, blank, create, create_in, inbox, key_of, named, set_labels, webhook, with_custom,
        with_email,
    },
};

/// The two stores, the second one perhaps behind several servers.
pub(crate) struct Pair {
    pub(crate) sqlite: Arc<dyn Store>,
    pub(crate) postgres: Vec<Arc<dyn Store>>,
    pub(crate) accounts: Vec<Known>,
    /// How far each webhook got, as far as it was seen.
    cursors: BTreeMap<(AccountId, WebhookId), Seq>,
    /// How many calls there were.
    number: usize,
    /// Which of the servers is asked.
    server: usize,
}

/// An account, and the last numbers that were given in it.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) id: AccountId,
    contact: i64,
    inbox: i64,
    key: i64,
    webhook: i64,
}

/// Asks both the same, and compares the answers.
macro_rules! both {
    ($pair:expr, $store:ident => $call:expr) => {{
        let of_sqlite = {
            let $store = &$pair.sqlite;
            $call.await
        };
        let of_postgres = {
            let $store = &$pair.postgres[$pair.server];
            $call.await
        };
        same(of_sqlite, of_postgres)
    }};
}

impl Pair {
    pub(crate) fn new(sqlite: Arc<dyn Store>, postgres: Vec<Arc<dyn Store>>) -> Self {
        Self {
            sqlite,
            postgres,
            accounts: Vec::new(),
            cursors: BTreeMap::new(),
            number: 0,
            server: 0,
        }
    }

    /// Makes an account in both, with some contacts, so that what is asked of them meets some.
    pub(crate) async fn create_account(&mut self, seed: u8) {
        let key = key_of(&credential(seed), "first", Role::Administrator);
        let new = new_account(format!("account {seed}"), key, NOON.0, seed, false);
        self.make(new).await;
        let [first, second] = [InboxId(1), InboxId(2)];
        let changes = vec![
            Change::CreateInbox(inbox("x")),
            create_in(first, Some("s1"), named("Anna")),
            create_in(second, Some("s1"), with_email("a@example.com")),
            create_in(first, Some("S1"), blank()),
            create_in(second, None, blank()),
            create(with_email("b@example.com")),
            create(with_custom(json!({"a": {"n": 1}}))),
            // Labels that were not made in the order in which they are shown.
            set_labels(ContactId(1), &["c"]),
            set_labels(ContactId(1), &["b", "c"]),
            set_labels(ContactId(2), &["a", "c"]),
            Change::CreateWebhook(Box::new(webhook("https://example.com"))),
        ];
        let account = self.accounts.last().unwrap().id;
        let cx = Context {
            account,
            actor: Actor::System,
            at: NOON,
            request_id: "fill".to_owned(),
            seed: Seed([seed; 32]),
            precondition: None,
            idempotency: None,
        };
        let applied = both!(self, store => store.apply(cx.clone(), changes.clone(), true)).unwrap();
        assert!(applied.results.iter().all(Result::is_ok), "{applied:?}");
        self.note(account, &applied);
    }

    async fn make(&mut self, new: NewAccount) {
        let parts = |made: Option<CreatedAccount>| made.map(|m| (m.account, m.inbox, m.key));
        let made =
            both!(self, store => async { store.create_account(new.clone()).await.map(parts) });
        if let Some(Some((account, inbox, key))) = made {
            let (inbox, key) = (inbox.id.0, key.id.0);
            self.accounts.push(Known { id: account.id, contact: 0, inbox, key, webhook: 0 });
        }
    }

    /// The account of an index, or one that there is not.
    fn account(&self, who: Index) -> AccountId {
        let place = who.index(self.accounts.len() * 6 + 1);
        let known = |account: &Known| account.id;
        self.accounts.get(place / 6).map_or(AccountId(404), known)
    }

    /// Takes a step in both.
    pub(crate) async fn take(&mut self, step: &Step) {
        self.number += 1;
        // A server believes for a second what it knows of a key: what another changes meanwhile
        // would be a difference.
        let of_keys = match step {
            Step::Apply(apply) => apply.changes.iter().any(Change::is_of_a_key),
            Step::TouchKey { .. } | Step::KeyByName(_) | Step::KeyBySecret(_) => true,
            _ => false,
        };
        self.server = if of_keys { 0 } else { self.number % self.postgres.len() };
        match step {
            Step::Apply(apply) => self.apply(apply).await,
            Step::CreateAccount { name, key, at, seed, only_first } => {
                self.make(new_account(name.clone(), key.clone(), *at, *seed, *only_first)).await;
            }
            Step::TouchKey { who, id, at } => {
                let account = self.account(*who);
                both!(self, store => store.touch_key(account, *id, UnixMillis(*at)));
            }
            Step::KeyByName(name) => drop(both!(self, store => store.key_by_name(name))),
            Step::KeyBySecret(hash) => drop(both!(self, store => store.key_by_secret(hash))),
            Step::Accounts => drop(both!(self, store => store.accounts())),
            Step::Counts(who) => {
                let account = self.account(*who);
                both!(self, store => store.counts(account));
            }
            Step::Contact { who, id, include } => {
                let account = self.account(*who);
                both!(self, store => store.contact(account, *id, *include));
            }
            Step::Contacts { who, ids, include } => {
                let account = self.account(*who);
                both!(self, store => store.contacts(account, ids, *include));
            }
            Step::Owners { who, identities } => {
                let account = self.account(*who);
                both!(self, store => store.owners(account, identities));
            }
            Step::Inboxes(who) => {
                let account = self.account(*who);
                both!(self, store => store.inboxes(account));
            }
            Step::Inbox { who, id } => {
                let account = self.account(*who);
                both!(self, store => store.inbox(account, *id));
            }
            Step::Keys(who) => {
                let account = self.account(*who);
                both!(self, store => store.keys(account));
            }
            Step::Events { who, after, limit } => {
                let account = self.account(*who);
                let after = meishi_contacts::Seq(*after);
                both!(self, store => store.events(account, after, *limit));
                both!(self, store => store.news(account, after, *limit));
            }
            Step::Snapshot(who) => {
                let account = self.account(*who);
                both!(self, store => snapshot(store.as_ref(), account));
            }
            Step::History { who, id, from, limit } => {
                let account = self.account(*who);
                both!(self, store => store.history(account, *id, *from, *limit));
            }
            Step::Heads(who) => {
                let accounts: Vec<_> = who.iter().map(|who| self.account(*who)).collect();
                both!(self, store => heads(store.as_ref(), &accounts));
            }
            Step::Webhooks { who, id } => {
                let account = self.account(*who);
                both!(self, store => store.webhooks(account));
                both!(self, store => store.webhook(account, *id));
            }
            Step::Deliveries { who, id, query, limit } => {
                let account = self.account(*who);
                both!(self, store => store.deliveries(account, *id, *query, *limit));
            }
            Step::Upkeep(upkeep) => self.look_after(upkeep).await,
            Step::Database => drop(both!(self, store => store.database())),
            Step::Ready => drop(both!(self, store => store.ready())),
        }
    }

    async fn look_after(&mut self, upkeep: &Upkeep) {
        let lease = |who: Index, (webhook, owner): &(WebhookId, String)| Lease {
            account: self.account(who),
            webhook: *webhook,
            owner: owner.clone(),
        };
        match upkeep {
            Upkeep::DropEvents { who, before } => {
                let account = self.account(*who);
                both!(self, store => store.drop_events(account, at(*before)));
            }
            Upkeep::Purge { now, settled_before } => {
                both!(self, store => store.purge(at(*now), at(*settled_before)));
            }
            Upkeep::Lease { owner, now, lasts, limit } => {
                let until = at(now + lasts);
                let leased = both!(self, store => store.lease_webhooks(owner, at(*now), until, LeaseRoom::of_each(*limit)));
                for leased in leased.into_iter().flatten() {
                    let key = (leased.stored.account, leased.stored.webhook.id);
                    self.cursors.insert(key, leased.stored.cursor);
                }
            }
            Upkeep::Enqueue { who, lease: by, from, events } => {
                let lease = lease(*who, by);
                let key = (lease.account, lease.webhook);
                let from = from.map(Seq).or_else(|| self.cursors.get(&key).copied());
                let from = from.unwrap_or_default();
                let found = both!(self, store => store.events(lease.account, from, *events));
                let found = found.unwrap_or_default();
                let to = found.last().map_or(from, |event| event.seq);
                let new: Vec<NewDelivery> = found.iter().filter_map(news).collect();
                let kept = both!(
                    self,
                    store => store.enqueue_deliveries(&lease, from, to, new.clone(), NOON)
                );
                if kept == Some(true) {
                    self.cursors.insert(key, to);
                }
            }
            Upkeep::Due { who, id, now, limit } => {
                let account = self.account(*who);
                both!(self, store => store.due_deliveries(account, *id, at(*now), *limit));
            }
            Upkeep::Settle { who, lease: by, due, settlement, health, now } => {
                let lease = lease(*who, by);
                let (account, id) = (lease.account, lease.webhook);
                let found = both!(self, store => store.due_deliveries(account, id, at(*now), 9));
                let found = found.unwrap_or_default();
                let seq = match due {
                    Ok(index) if !found.is_empty() => found[index.index(found.len())].seq,
                    Ok(_) => return,
                    Err(seq) => *seq,
                };
                both!(self, store => store.settle_delivery(
                    &lease,
                    seq,
                    attempt(*now),
                    *settlement,
                    health.clone(),
                    at(*now),
                ));
            }
            Upkeep::Release { who, lease: by } => {
                let lease = lease(*who, by);
                both!(self, store => store.release_webhook(&lease));
            }
        }
    }

    async fn apply(&mut self, apply: &Apply) {
        let (cx, changes) = self.call(apply, self.number);
        let account = cx.account;
        let applied = both!(
            self, store => store.apply(cx.clone(), changes.clone(), apply.atomic)
        );
        if let Some(applied) = applied {
            self.note(account, &applied);
        }
    }

    /// A call, as number `number` of all of them.
    pub(crate) fn call(&self, apply: &Apply, number: usize) -> (Context, Vec<Change>) {
        let account = self.account(apply.who);
        let known = self.accounts.iter().find(|known| known.id == account);
        let mut changes = apply.changes.clone();
        if let Some(known) = known {
            for change in &mut changes {
                known.resolve(change);
            }
        }
        if let Some(size) = apply.stretched_to.filter(|_| !changes.is_empty()) {
            changes = changes.into_iter().cycle().take(size).collect();
        }
        let offset = i64::try_from(number).unwrap();
        let cx = Context {
            account,
            actor: apply.by.map_or(Actor::System, Actor::Key),
            at: UnixMillis(apply.at.unwrap_or(NOON.0 + offset)),
            request_id: apply.request_id.clone().unwrap_or(format!("request {number}")),
            seed: Seed(Seed([0; 32]).bytes("call", number)),
            precondition: apply.precondition.map(|version| Version(version).into()),
            idempotency: apply.idempotency.as_ref().map(|key| Idempotency {
                api_key_id: key.api_key_id,
                route: key.route.clone(),
                key: key.key.clone(),
                fingerprint: [key.fingerprint; 32],
            }),
        };
        (cx, changes)
    }

    /// Notes the last numbers that were given.
    fn note(&mut self, account: AccountId, applied: &Applied) {
        let Some(known) = self.accounts.iter_mut().find(|known| known.id == account) else {
            return;
        };
        for outcome in applied.results.iter().flatten() {
            match outcome {
                Outcome::ContactCreated(record) => {
                    known.contact = known.contact.max(record.contact.id.0);
                }
                Outcome::ContactUpserted(upserted) => {
                    known.contact = known.contact.max(upserted.record.contact.id.0);
                }
                Outcome::WebhookCreated(webhook) => {
                    known.webhook = known.webhook.max(webhook.id.0);
                }
                Outcome::InboxCreated(inbox) => known.inbox = known.inbox.max(inbox.id.0),
                Outcome::KeyCreated(key) => known.key = known.key.max(key.id.0),
                _ => {}
            }
        }
    }
}

impl Known {
    /// Puts the ids in that a change names by how far they lie beyond the last one.
    fn resolve(&self, change: &mut Change) {
        let beyond = |id: i64, last: i64| if (-9..0).contains(&id) { last - id } else { id };
        match change {
            Change::UpdateContact { id, .. }
            | Change::DeleteContact { id }
            | Change::RevertContact { id, .. }
            | Change::EraseContact { id }
            | Change::SetLabels { id, .. } => *id = ContactId(beyond(id.0, self.contact)),
            Change::UpdateInbox { id, .. } | Change::DeleteInbox { id, .. } => {
                *id = InboxId(beyond(id.0, self.inbox));
            }
            Change::UpdateKey { id, .. }
            | Change::RotateKey { id, .. }
            | Change::RevokeKey { id } => *id = KeyId(beyond(id.0, self.key)),
            Change::UpdateWebhook { id, .. }
            | Change::RotateWebhook { id, .. }
            | Change::DeleteWebhook { id }
            | Change::Redeliver { id, .. } => *id = WebhookId(beyond(id.0, self.webhook)),
            Change::CreateContact(_)
            | Change::UpsertContact { .. }
            | Change::CreateLabel(_)
            | Change::UpdateLabel { .. }
            | Change::DeleteLabel { .. }
            | Change::CreateAttribute(_)
            | Change::UpdateAttribute { .. }
            | Change::DeleteAttribute { .. }
            | Change::CreateInbox(_)
            | Change::CreateKey(_)
            | Change::CreateWebhook(_) => {}
        }
    }
}

/// Holds two answers to each other and returns what both are, if they are no failure.
pub(crate) fn same<T: PartialEq + Debug>(
    sqlite: Result<T, StoreError>,
    postgres: Result<T, StoreError>,
) -> Option<T> {
    match (sqlite, postgres) {
        (Ok(sqlite), Ok(postgres)) => {
            assert_eq!(sqlite, postgres, "SQLite and PostgreSQL");
            // Equality overlooks the order of attributes' members, which callers see.
            assert_eq!(format!("{sqlite:?}"), format!("{postgres:?}"), "SQLite and PostgreSQL");
            Some(sqlite)
        }
        (Err(sqlite), Err(postgres)) => {
            assert_eq!(
                discriminant(&sqlite),
                discriminant(&postgres),
                "SQLite says {sqlite:?}, PostgreSQL says {postgres:?}"
            );
            for error in [sqlite, postgres] {
                assert!(!error.to_string().contains("panicked"), "{error:?}");
            }
            None
        }
        (sqlite, postgres) => panic!("SQLite says {sqlite:?}, PostgreSQL says {postgres:?}"),
    }
}

fn at(millis: i64) -> UnixMillis {
    UnixMillis(NOON.0 + millis)
}

/// What a webhook is told of an event.
fn news(event: &Event) -> Option<NewDelivery> {
    let kind = event.body.kind();
    Some(NewDelivery {
        seq: event.seq,
        id: format!("id {}", event.seq),
        kind: kind.to_owned(),
        contact: event.body.contact().filter(|_| kind.starts_with("contact."))?,
        payload: serde_json::to_string(&event.body).unwrap(),
    })
}

/// The heads of accounts, in an order of their own.
async fn heads(
    store: &dyn Store,
    accounts: &[AccountId],
) -> Result<Vec<(AccountId, Seq)>, StoreError> {
    let mut heads = store.heads(accounts).await?;
    heads.sort_unstable();
    Ok(heads)
}

/// A snapshot, read to its end.
pub(crate) async fn snapshot(
    store: &dyn Store,
    account: AccountId,
) -> Result<(meishi_contacts::Seq, u64, Vec<meishi_contacts::Contact>), StoreError> {
    let snapshot = store.snapshot(account).await?;
    Ok((snapshot.seq, snapshot.count, snapshot.contacts.try_concat().await?))
}

fn new_account(name: String, key: NewKey, at: i64, seed: u8, only_first: bool) -> NewAccount {
    NewAccount {
        inbox_name: name.clone(),
        name,
        key,
        at: UnixMillis(at),
        request_id: "setup".to_owned(),
        seed: Seed([seed; 32]),
        only_first,
    }
}
