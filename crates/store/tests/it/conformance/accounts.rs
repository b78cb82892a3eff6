//! `create_account`, `accounts`, `counts`, `database`.

use std::sync::Arc;

use meishi_contacts::{
    AccountId, Actor, ContactId, EventBody, InboxId, KeyId, Seq, UnixMillis, ids::MAX_ID,
};
use meishi_store::{Account, ChangeError, Counts, Include, Missing, NewAccount, Store};

use super::{
    fields::{NOON, blank, create, fresh_seed, named, some_key},
    tenant::{Tenant, new_account},
};

pub(crate) async fn a_new_database_holds_no_account(store: Arc<dyn Store>) {
    assert_eq!(store.accounts().await.unwrap(), []);
    store.ready().await.unwrap();
}

pub(crate) async fn a_database_says_who_it_is_and_stays_it(store: Arc<dyn Store>) {
    let database = store.database().await.unwrap();
    assert_eq!(database.epoch, 1);
    assert!(!database.id.is_empty());
    Tenant::new(&store, "Acme").await;
    assert_eq!(store.database().await.unwrap(), database);
}

pub(crate) async fn an_account_is_made_with_its_channel_and_its_key(store: Arc<dyn Store>) {
    let (new, credential) = new_account("Acme");
    let created = store.create_account(new).await.unwrap().unwrap();
    let id = created.account.id;
    assert!((1..=MAX_ID).contains(&id.0));
    assert_eq!(created.account, Account { id, name: "Acme".to_owned(), created_at: NOON });
    assert_eq!((created.inbox.id, created.inbox.name.as_str()), (InboxId(1), "Website"));
    assert_eq!((created.key.id, &created.key.api_key), (KeyId(1), &credential.api_key));
    assert_eq!((created.inbox.created_at, created.key.created_at), (NOON, NOON));

    assert_eq!(store.accounts().await.unwrap(), std::slice::from_ref(&created.account));
    assert_eq!(store.inboxes(id).await.unwrap(), std::slice::from_ref(&created.inbox));
    assert_eq!(store.keys(id).await.unwrap(), std::slice::from_ref(&created.key));
    let counts =
        Counts { contacts: 0, resolved_contacts: 0, last_seq: Seq(3), dropped_seq: Seq(0) };
    assert_eq!(store.counts(id).await.unwrap(), Some(counts));

    let events = store.events(id, Seq(0), 10).await.unwrap();
    let bodies: Vec<_> = events.iter().map(|event| event.body.clone()).collect();
    assert_eq!(
        bodies,
        [
            EventBody::AccountCreated { name: "Acme".to_owned() },
            EventBody::InboxCreated(created.inbox),
            EventBody::KeyCreated(created.key.card()),
        ]
    );
    for event in events {
        assert_eq!(
            (event.at, event.actor, event.request_id.as_str()),
            (NOON, Actor::System, "setup")
        );
    }
}

pub(crate) async fn accounts_are_listed_by_id(store: Arc<dyn Store>) {
    let mut ids = Vec::new();
    for second in [3, 1, 2] {
        let new = NewAccount { at: UnixMillis(NOON.0 + second * 1000), ..new_account("Acme").0 };
        ids.push(store.create_account(new).await.unwrap().unwrap().account.id);
    }
    ids.sort_unstable();
    let listed: Vec<_> = store.accounts().await.unwrap().iter().map(|account| account.id).collect();
    assert_eq!(listed, ids);
}

pub(crate) async fn accounts_of_one_seed_and_second_have_ids_of_their_own(store: Arc<dyn Store>) {
    let seed = fresh_seed();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let new = NewAccount { seed, ..new_account("Acme").0 };
        ids.push(store.create_account(new).await.unwrap().unwrap().account.id);
    }
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

pub(crate) async fn the_first_account_is_made_only_while_there_is_none(store: Arc<dyn Store>) {
    let first = || NewAccount { only_first: true, ..new_account("Acme").0 };
    let created = store.create_account(first()).await.unwrap().unwrap().account;
    assert!(store.create_account(first()).await.unwrap().is_none());
    assert_eq!(store.accounts().await.unwrap(), [created]);
    Tenant::new(&store, "Globex").await;
    assert!(store.create_account(first()).await.unwrap().is_none());
    assert_eq!(store.accounts().await.unwrap().len(), 2);
}

pub(crate) async fn an_account_with_a_key_that_is_taken_is_not_made(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let (mut new, _) = new_account("Globex");
    new.key.api_key = acme.key.api_key.clone();
    store.create_account(new).await.unwrap_err();
    assert_eq!(store.accounts().await.unwrap().len(), 1);
    Tenant::new(&store, "Globex").await;
}

pub(crate) async fn counts_are_exact_after_every_change(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    let anna = acme.create(super::fields::with_email("anna@example.com")).await.contact.id;
    let bob = acme.create(named("Bob")).await.contact.id;
    assert_eq!(acme.counts().await, (2, 1));
    acme.change(create(super::fields::with_email("anna@example.com"))).await.unwrap_err();
    assert_eq!(acme.counts().await, (2, 1));
    acme.update(bob, super::fields::with_email("bob@example.com")).await;
    assert_eq!(acme.counts().await, (2, 2));
    acme.set_labels(bob, &["vip"]).await;
    acme.delete(anna).await;
    assert_eq!(acme.counts().await, (1, 1));
    acme.delete(bob).await;
    assert_eq!(acme.counts().await, (0, 0));
    assert_eq!(globex.counts().await, (0, 0));
}

pub(crate) async fn an_unknown_account_holds_nothing_and_takes_nothing(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    acme.create(blank()).await;
    let nobody = Tenant { account: AccountId(acme.account.0 + 1), ..acme.clone() };
    let account = nobody.account;
    let changes = vec![
        create(blank()),
        super::fields::delete(ContactId(1)),
        meishi_store::Change::CreateKey(some_key("key")),
    ];
    for atomic in [true, false] {
        let applied = nobody.apply(nobody.cx(), changes.clone(), atomic).await;
        let missing = Err(ChangeError::NotFound(Missing::Account));
        assert_eq!(applied.results, vec![missing; 3]);
    }
    assert_eq!(store.counts(account).await.unwrap(), None);
    assert_eq!(store.news(account, Seq(0), 9).await.unwrap(), None);
    assert_eq!(store.contact(account, ContactId(1), Include::Inboxes).await.unwrap(), None);
    assert_eq!(store.contacts(account, &[ContactId(1)], Include::Inboxes).await.unwrap(), []);
    assert_eq!(store.inboxes(account).await.unwrap(), []);
    assert_eq!(store.keys(account).await.unwrap(), []);
    assert_eq!(nobody.events().await, []);
    assert_eq!(nobody.snapshot().await, []);
    assert_eq!(store.snapshot(account).await.unwrap().seq, Seq(0));
    assert_eq!(store.accounts().await.unwrap().len(), 1);
}
