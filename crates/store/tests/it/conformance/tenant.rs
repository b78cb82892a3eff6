//! An account under test and the caller that works in it.

use std::sync::Arc;

use futures::TryStreamExt;
use meishi_contacts::{
    AccountId, Actor, ApiKey, AttributeDefinition, Card, Contact, ContactId, ContactLink,
    ContactPatch, Credential, Event, Identity, IdentityKind, Inbox, InboxId, Label, LabelCard,
    NewInbox, NewKey, NewWebhook, Role, Seq, Webhook, limits::READ_ROWS,
};
use meishi_store::{
    Applied, Change, ChangeError, ContactRecord, Context, Counts, ErasureReceipt, History, Include,
    NewAccount, Outcome, Store,
};

use super::{
    fields::{NOON, create, create_in, delete, erase, fresh_seed, key_of, set_labels, update},
    replay::all_events,
};

#[derive(Clone)]
pub(crate) struct Tenant {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) account: AccountId,
    /// The channel that the account was made with.
    pub(crate) inbox: Inbox,
    /// The key that the account was made with, and whose holder asks for the changes.
    pub(crate) key: ApiKey,
    pub(crate) credential: Credential,
}

/// All that can be read of an account: equal before and after means that nothing was written.
#[derive(Debug, PartialEq)]
pub(crate) struct State {
    counts: Counts,
    contacts: Vec<ContactRecord>,
    labels: Vec<LabelCard>,
    attributes: Vec<AttributeDefinition>,
    inboxes: Vec<Inbox>,
    keys: Vec<ApiKey>,
    webhooks: Vec<Webhook>,
    events: Vec<Event>,
}

/// A new account as a caller asks for it.
pub(crate) fn new_account(name: &str) -> (NewAccount, Credential) {
    let credential = Credential::from_seed(&fresh_seed());
    let new = NewAccount {
        name: name.to_owned(),
        inbox_name: "Website".to_owned(),
        key: key_of(&credential, "first", Role::Administrator),
        at: NOON,
        request_id: "setup".to_owned(),
        seed: fresh_seed(),
        only_first: false,
    };
    (new, credential)
}

impl Tenant {
    pub(crate) async fn new(store: &Arc<dyn Store>, name: &str) -> Self {
        let (new, credential) = new_account(name);
        let created = store.create_account(new).await.unwrap().unwrap();
        Self {
            store: Arc::clone(store),
            account: created.account.id,
            inbox: created.inbox,
            key: created.key,
            credential,
        }
    }

    pub(crate) async fn two(store: &Arc<dyn Store>) -> (Self, Self) {
        (Self::new(store, "Acme").await, Self::new(store, "Globex").await)
    }

    /// An unconditional call at noon, with randomness of its own.
    pub(crate) fn cx(&self) -> Context {
        Context {
            account: self.account,
            actor: Actor::Key(self.key.id),
            at: NOON,
            request_id: "request".to_owned(),
            seed: fresh_seed(),
            precondition: None,
            idempotency: None,
        }
    }

    pub(crate) async fn apply(&self, cx: Context, changes: Vec<Change>, atomic: bool) -> Applied {
        self.store.apply(cx, changes, atomic).await.unwrap()
    }

    pub(crate) async fn change(&self, change: Change) -> Result<Outcome, ChangeError> {
        self.change_as(self.cx(), change).await
    }

    pub(crate) async fn change_as(
        &self,
        cx: Context,
        change: Change,
    ) -> Result<Outcome, ChangeError> {
        let mut applied = self.apply(cx, vec![change], true).await;
        assert_eq!(applied.results.len(), 1);
        applied.results.pop().unwrap()
    }

    pub(crate) async fn create(&self, fields: ContactPatch) -> ContactRecord {
        created(self.change(create(fields)).await)
    }

    /// Creates a contact with a link to the account's first channel.
    pub(crate) async fn create_linked(&self, source: &str, fields: ContactPatch) -> ContactRecord {
        self.create_in(self.inbox.id, source, fields).await
    }

    pub(crate) async fn create_in(
        &self,
        inbox: InboxId,
        source: &str,
        fields: ContactPatch,
    ) -> ContactRecord {
        created(self.change(create_in(inbox, Some(source), fields)).await)
    }

    pub(crate) async fn update(&self, id: ContactId, patch: ContactPatch) -> ContactRecord {
        match self.change(update(id, patch)).await {
            Ok(Outcome::ContactUpdated(record)) => *record,
            other => panic!("not updated: {other:?}"),
        }
    }

    pub(crate) async fn delete(&self, id: ContactId) {
        assert_eq!(self.change(delete(id)).await, Ok(Outcome::ContactDeleted));
    }

    pub(crate) async fn set_labels(&self, id: ContactId, titles: &[&str]) -> Vec<Label> {
        match self.change(set_labels(id, titles)).await {
            Ok(Outcome::LabelsSet { labels, .. }) => labels,
            other => panic!("no labels set: {other:?}"),
        }
    }

    /// All labels, by title.
    pub(crate) async fn labels(&self) -> Vec<LabelCard> {
        self.store.labels(self.account).await.unwrap()
    }

    /// The label of a title, which there must be.
    pub(crate) async fn label(&self, title: &str) -> LabelCard {
        let labels = self.labels().await;
        labels.into_iter().find(|label| label.title.as_str() == title).unwrap()
    }

    /// All definitions of custom attributes, by key.
    pub(crate) async fn attributes(&self) -> Vec<AttributeDefinition> {
        self.store.attributes(self.account).await.unwrap()
    }

    pub(crate) async fn create_inbox(&self, new: NewInbox) -> Inbox {
        match self.change(Change::CreateInbox(new)).await {
            Ok(Outcome::InboxCreated(inbox)) => inbox,
            other => panic!("no channel made: {other:?}"),
        }
    }

    pub(crate) async fn create_key(&self, new: NewKey) -> ApiKey {
        match self.change(Change::CreateKey(new)).await {
            Ok(Outcome::KeyCreated(key)) => key,
            other => panic!("no key made: {other:?}"),
        }
    }

    pub(crate) async fn create_webhook(&self, new: NewWebhook) -> Webhook {
        match self.change(Change::CreateWebhook(Box::new(new))).await {
            Ok(Outcome::WebhookCreated(webhook)) => webhook,
            other => panic!("no webhook made: {other:?}"),
        }
    }

    /// Undoes something of a contact, which must work.
    pub(crate) async fn reverted(&self, change: Change) -> ContactRecord {
        match self.change(change).await {
            Ok(Outcome::ContactReverted(record)) => *record,
            other => panic!("not reverted: {other:?}"),
        }
    }

    pub(crate) async fn erase(&self, id: ContactId) -> ErasureReceipt {
        match self.change(erase(id)).await {
            Ok(Outcome::ContactErased(receipt)) => receipt,
            other => panic!("not erased: {other:?}"),
        }
    }

    /// A part of a contact's history.
    pub(crate) async fn history_from(
        &self,
        id: ContactId,
        from: Option<Seq>,
        limit: usize,
    ) -> Option<History> {
        self.store.history(self.account, id, from, limit).await.unwrap()
    }

    /// The events of a contact's history by their numbers, which must go back to its beginning.
    pub(crate) async fn history(&self, id: ContactId) -> Vec<i64> {
        let history = self.history_from(id, None, READ_ROWS).await.unwrap();
        assert_eq!((history.next, history.dropped), (None, false));
        history.events.iter().map(|event| event.seq.0).collect()
    }

    pub(crate) async fn find(&self, id: ContactId) -> Option<ContactRecord> {
        self.store.contact(self.account, id, Include::Inboxes).await.unwrap()
    }

    pub(crate) async fn read(&self, id: ContactId) -> ContactRecord {
        self.find(id).await.unwrap()
    }

    /// Those of the contacts that there are.
    pub(crate) async fn page(&self, ids: &[ContactId], include: Include) -> Vec<ContactRecord> {
        let found = self.store.contacts(self.account, ids, include).await.unwrap();
        found.into_iter().map(Arc::unwrap_or_clone).collect()
    }

    /// The contact that holds an address.
    pub(crate) async fn owner(&self, kind: IdentityKind, value: &str) -> Option<ContactId> {
        let identity = Identity { kind, value: value.to_owned() };
        self.store.owners(self.account, &[identity]).await.unwrap()[0]
    }

    /// How many contacts there are, and how many of them are resolved.
    pub(crate) async fn counts(&self) -> (i64, i64) {
        let counts = self.store.counts(self.account).await.unwrap().unwrap();
        (counts.contacts, counts.resolved_contacts)
    }

    pub(crate) async fn last_seq(&self) -> Seq {
        self.store.counts(self.account).await.unwrap().unwrap().last_seq
    }

    pub(crate) async fn events(&self) -> Vec<Event> {
        self.events_after(Seq(0)).await
    }

    pub(crate) async fn events_after(&self, after: Seq) -> Vec<Event> {
        all_events(self.store.as_ref(), self.account, after).await
    }

    /// All contacts with their links, by id.
    pub(crate) async fn contacts(&self) -> Vec<ContactRecord> {
        let contacts = self.snapshot().await;
        let ids: Vec<ContactId> = contacts.iter().map(|contact| contact.id).collect();
        let mut records = Vec::new();
        for ids in ids.chunks(READ_ROWS) {
            records.extend(self.page(ids, Include::Inboxes).await);
        }
        records
    }

    /// The contacts of a snapshot that is taken now.
    pub(crate) async fn snapshot(&self) -> Vec<Contact> {
        let snapshot = self.store.snapshot(self.account).await.unwrap();
        snapshot.contacts.try_concat().await.unwrap()
    }

    pub(crate) async fn state(&self) -> State {
        State {
            counts: self.store.counts(self.account).await.unwrap().unwrap(),
            contacts: self.contacts().await,
            labels: self.labels().await,
            attributes: self.attributes().await,
            inboxes: self.store.inboxes(self.account).await.unwrap(),
            keys: self.store.keys(self.account).await.unwrap(),
            webhooks: self.store.webhooks(self.account).await.unwrap(),
            events: self.events().await,
        }
    }
}

/// The contact of an outcome that must be a creation.
pub(crate) fn created(result: Result<Outcome, ChangeError>) -> ContactRecord {
    match result {
        Ok(Outcome::ContactCreated(record)) => *record,
        other => panic!("not created: {other:?}"),
    }
}

/// A contact as the events tell of it.
pub(crate) fn card_of(record: &ContactRecord) -> Card {
    let links = record
        .contact_inboxes
        .iter()
        .map(|link| ContactLink { inbox_id: link.inbox.id, source_id: link.source_id.clone() });
    Card { contact: record.contact.clone(), contact_inboxes: links.collect() }
}
