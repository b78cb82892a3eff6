//! What calls do to an account, decided in memory: the same for every store.
//!
//! A store finds out which rows some calls need ([`Needs`]), loads them under the account's lock,
//! lets the ledger run the calls one after the other, and saves what then differs ([`Writes`]).
//! Nothing here knows a database, so that no two stores can decide differently.
//!
//! To add a change: its rows in `needs.rs`, what it does in the file of its noun, and what it
//! leaves in `writes.rs`.

mod accounts;
mod actor;
mod attributes;
mod contacts;
mod erasure;
mod inboxes;
mod keys;
mod labels;
mod loading;
mod needs;
mod outcomes;
mod revert;
mod rows;
mod upsert;
mod webhooks;
mod writes;

use std::collections::{BTreeMap, BTreeSet};

use meishi_contacts::{
    AccountId, AttributeDefinition, Contact, ContactId, Event, EventBody, Identity, Inbox, InboxId,
    KeyId, Label, LabelCard, LabelId, Seq, SourceId, StoredKey, StoredWebhook, WebhookId,
    definition::Patterns,
    limits::{BATCH_CHANGES, OUTCOME_BYTES},
};

use self::rows::Rows;
pub(crate) use self::{
    accounts::{AccountRows, account_id},
    actor::{actor, actor_columns},
    needs::{Count, Needs},
    outcomes::{KeptOutcome, OutcomeKey},
    webhooks::DeliveryRow,
    writes::{Erased, Writes},
};
use crate::{Applied, Change, ChangeError, Context, Missing, Outcome, Redelivery, StoreError};

/// One call of [`Store::apply`](crate::Store::apply).
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) cx: Context,
    pub(crate) changes: Vec<Change>,
    pub(crate) atomic: bool,
}

impl Call {
    /// A call of no more changes than are allowed.
    pub(crate) fn new(cx: Context, changes: Vec<Change>, atomic: bool) -> Result<Self, StoreError> {
        if changes.len() > BATCH_CHANGES {
            return Err(StoreError::TooManyChanges);
        }
        Ok(Self { cx, changes, atomic })
    }
}

/// An account's counters row: the last number given of each kind, and exact counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) last_seq: i64,
    pub(crate) last_contact_id: i64,
    pub(crate) last_inbox_id: i64,
    pub(crate) last_key_id: i64,
    pub(crate) last_label_id: i64,
    pub(crate) last_attribute_id: i64,
    pub(crate) last_webhook_id: i64,
    pub(crate) dropped_seq: i64,
    pub(crate) contacts: i64,
    pub(crate) resolved_contacts: i64,
}

/// What a link is found by: a channel, and the contact's address in it.
pub(crate) type LinkKey = (InboxId, SourceId);

/// What each change of a call came to.
pub(crate) type Results = Vec<Result<Outcome, ChangeError>>;

/// A contact with its place in the record.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StoredContact {
    pub(crate) contact: Contact,
    /// The last event of its history.
    pub(crate) last_seq: Seq,
}

/// A channel with its place in the record.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StoredInbox {
    pub(crate) inbox: Inbox,
    /// The event that made it, which tells it from others that had its id before.
    pub(crate) made_seq: Seq,
}

/// An event with its place in a contact's history.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewEvent {
    pub(crate) event: Event,
    /// The event before it, where it is a contact's and not its first.
    pub(crate) previous: Option<Seq>,
}

/// An account at work: the rows that some calls need, and what the calls make of them.
#[derive(Debug)]
pub(crate) struct Ledger {
    account: AccountId,
    loaded_counters: Counters,
    counters: Counters,
    events: Vec<NewEvent>,
    contacts: Rows<ContactId, StoredContact>,
    /// Where the histories of contacts begin that are gone.
    deleted_contacts: Rows<ContactId, Seq>,
    identities: Rows<Identity, ContactId>,
    links: Rows<LinkKey, ContactId>,
    /// Where to look for a contact's links; `links` says which of them there are.
    link_keys: BTreeMap<ContactId, BTreeSet<LinkKey>>,
    inboxes: Rows<InboxId, StoredInbox>,
    /// Channels whose links all go, those that were not loaded too.
    emptied_inboxes: Rows<InboxId, ()>,
    labels: Rows<LabelId, LabelCard>,
    /// Which label has a title.
    titles: Rows<Label, LabelId>,
    /// Events that renamed or deleted labels, from the first one on that a change wants to know of;
    /// nothing where they are too many.
    relabelled: Option<Vec<Event>>,
    /// Definitions of custom attributes, by key.
    attributes: Rows<String, AttributeDefinition>,
    /// What definitions of texts are compiled to.
    patterns: Patterns,
    keys: Rows<KeyId, StoredKey>,
    outcomes: Rows<OutcomeKey, KeptOutcome>,
    webhooks: Rows<WebhookId, StoredWebhook>,
    deliveries: Rows<(WebhookId, Seq), DeliveryRow>,
    /// Events that a change wants to look at.
    past: BTreeMap<Seq, Event>,
    /// What an erasure of a contact has to reach.
    traces: BTreeMap<ContactId, Traces>,
    /// Deliveries that a call may make once more.
    redeliverable: BTreeMap<(WebhookId, Redelivery), Vec<Seq>>,
    erased: Vec<Erased>,
    accepted_erased: usize,
    /// How many the account had of what was to be counted, and links each channel.
    loaded_counts: BTreeMap<Count, i64>,
    loaded_link_counts: BTreeMap<InboxId, i64>,
    /// Where to go back to when a change is refused.
    accepted_counters: Counters,
    accepted_events: usize,
}

/// Where a contact's data is besides its own rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Traces {
    /// Its events.
    pub(crate) events: Vec<Seq>,
    /// Kept outcomes that tell of it.
    pub(crate) outcomes: BTreeSet<OutcomeKey>,
    /// How many deliveries hold something of it.
    pub(crate) deliveries: usize,
}

/// One change at work.
struct Step<'a> {
    ledger: &'a mut Ledger,
    cx: &'a Context,
    /// Which change of the call it is, so that each derives random values of its own.
    number: usize,
}

impl Step<'_> {
    /// Records a change, as the account's next event.
    fn record(&mut self, body: EventBody) -> Seq {
        let contact = body.contact();
        let previous = contact.and_then(|id| self.ledger.last_event(id));
        let counters = &mut self.ledger.counters;
        counters.last_seq += 1;
        let seq = Seq(counters.last_seq);
        let event = Event {
            seq,
            at: self.cx.at,
            actor: self.cx.actor,
            request_id: self.cx.request_id.clone(),
            body,
        };
        self.ledger.events.push(NewEvent { event, previous });
        seq
    }
}

impl Ledger {
    /// A ledger that only knows the account's counters.
    pub(crate) fn new(account: AccountId, counters: Counters) -> Self {
        Self {
            account,
            loaded_counters: counters.clone(),
            accepted_counters: counters.clone(),
            counters,
            events: Vec::new(),
            contacts: Rows::default(),
            identities: Rows::default(),
            links: Rows::default(),
            link_keys: BTreeMap::new(),
            inboxes: Rows::default(),
            emptied_inboxes: Rows::default(),
            labels: Rows::default(),
            titles: Rows::default(),
            relabelled: Some(Vec::new()),
            attributes: Rows::default(),
            patterns: Patterns::default(),
            keys: Rows::default(),
            deleted_contacts: Rows::default(),
            outcomes: Rows::default(),
            webhooks: Rows::default(),
            deliveries: Rows::default(),
            past: BTreeMap::new(),
            traces: BTreeMap::new(),
            redeliverable: BTreeMap::new(),
            erased: Vec::new(),
            accepted_erased: 0,
            loaded_counts: BTreeMap::new(),
            loaded_link_counts: BTreeMap::new(),
            accepted_events: 0,
        }
    }

    /// How many of it were loaded.
    fn counted(&self, of: Count) -> i64 {
        self.loaded_counts.get(&of).copied().unwrap_or_default()
    }

    /// Whether calls erased the contact.
    fn is_erased(&self, id: ContactId) -> bool {
        self.erased.iter().any(|erased| erased.id == id)
    }

    /// The last event of a contact's history, be the contact there or gone.
    fn last_event(&self, id: ContactId) -> Option<Seq> {
        let stored = self.contacts.get(&id).map(|stored| stored.last_seq);
        stored.or_else(|| self.deleted_contacts.get(&id).copied())
    }

    /// Runs a call on what the calls before it left, as [`Store::apply`](crate::Store::apply)
    /// promises. Every row that the call needs must have been loaded. After an error nothing of the
    /// ledger may be saved.
    pub(crate) fn run(&mut self, call: &Call) -> Result<Applied, StoreError> {
        let key = call.cx.idempotency.as_ref();
        if let Some(key) = key
            && let Some(kept) = self.outcomes.get(&key.into())
            && !kept.is_expired(call.cx.at)
        {
            if kept.fingerprint != key.fingerprint {
                return Err(StoreError::IdempotencyMismatch);
            }
            return Ok(Applied { results: kept.results.clone(), replayed: true });
        }
        let results = self.run_changes(call);
        // A single change has the limits of its contact.
        if results.len() > 1 && outcomes::are_larger(&results, OUTCOME_BYTES) {
            return Err(StoreError::OutcomeTooLarge);
        }
        if let Some(key) = key {
            let kept = KeptOutcome::new(key, &call.changes, &results, call.cx.at);
            self.outcomes.put(key.into(), kept);
            self.accept();
        }
        Ok(Applied { results, replayed: false })
    }

    fn run_changes(&mut self, call: &Call) -> Results {
        let mut results = Results::new();
        for (number, change) in call.changes.iter().enumerate() {
            let result = run_change(&mut Step { ledger: self, cx: &call.cx, number }, change);
            let refused = result.is_err();
            results.push(result);
            match (refused, call.atomic) {
                (true, true) => {
                    self.undo();
                    let refusal = results.pop();
                    let last = ContactId(self.counters.last_contact_id);
                    let refusal = refusal.map(|refused| refused.map_err(|e| e.without_newer(last)));
                    results.clear();
                    results.resize_with(call.changes.len(), || Err(ChangeError::Skipped));
                    if let (Some(slot), Some(refusal)) = (results.get_mut(number), refusal) {
                        *slot = refusal;
                    }
                    return results;
                }
                (true, false) => self.undo(),
                (false, false) => self.accept(),
                (false, true) => {}
            }
        }
        self.accept();
        results
    }

    /// Takes what was done since the last call of this or of `undo` as done.
    fn accept(&mut self) {
        self.accepted_counters.clone_from(&self.counters);
        self.accepted_events = self.events.len();
        self.contacts.accept();
        self.identities.accept();
        self.links.accept();
        self.inboxes.accept();
        self.emptied_inboxes.accept();
        self.labels.accept();
        self.titles.accept();
        self.attributes.accept();
        self.keys.accept();
        self.outcomes.accept();
        self.deleted_contacts.accept();
        self.webhooks.accept();
        self.deliveries.accept();
        self.accepted_erased = self.erased.len();
    }

    /// Forgets what was done since then.
    fn undo(&mut self) {
        self.counters.clone_from(&self.accepted_counters);
        self.events.truncate(self.accepted_events);
        self.contacts.undo();
        self.identities.undo();
        self.links.undo();
        self.inboxes.undo();
        self.emptied_inboxes.undo();
        self.labels.undo();
        self.titles.undo();
        self.attributes.undo();
        self.keys.undo();
        self.outcomes.undo();
        self.deleted_contacts.undo();
        self.webhooks.undo();
        self.deliveries.undo();
        self.erased.truncate(self.accepted_erased);
    }
}

/// What a call on an account that there is not comes to.
pub(crate) fn missing_account(call: &Call) -> Applied {
    let missing = ChangeError::NotFound(Missing::Account);
    let results = call.changes.iter().map(|_| Err(missing.clone())).collect();
    Applied { results, replayed: false }
}

fn run_change(step: &mut Step<'_>, change: &Change) -> Result<Outcome, ChangeError> {
    match change {
        Change::CreateContact(new) => contacts::create(step, new),
        Change::UpdateContact { id, patch } => contacts::update(step, *id, patch),
        Change::UpsertContact { new, lacks, only_create } => {
            upsert::upsert(step, new, lacks, *only_create)
        }
        Change::RevertContact { id, seq, only } => revert::revert(step, *id, *seq, only.as_ref()),
        Change::EraseContact { id } => erasure::erase(step, *id),
        Change::DeleteContact { id } => contacts::delete(step, *id),
        Change::SetLabels { id, labels } => labels::set(step, *id, labels),
        Change::CreateLabel(new) => labels::create(step, new),
        Change::UpdateLabel { id, patch } => labels::update(step, *id, patch),
        Change::DeleteLabel { id } => labels::delete(step, *id),
        Change::CreateAttribute(new) => attributes::create(step, new),
        Change::UpdateAttribute { id, patch } => attributes::update(step, *id, patch),
        Change::DeleteAttribute { id } => attributes::delete(step, *id),
        Change::CreateInbox(new) => inboxes::create(step, new),
        Change::UpdateInbox { id, patch } => inboxes::update(step, *id, patch),
        Change::DeleteInbox { id, force } => inboxes::delete(step, *id, *force),
        Change::CreateKey(new) => keys::create(step, new),
        Change::UpdateKey { id, patch } => keys::update(step, *id, patch),
        Change::RotateKey { id, secret_hash, overlap_seconds } => {
            keys::rotate(step, *id, *secret_hash, *overlap_seconds)
        }
        Change::RevokeKey { id } => keys::revoke(step, *id),
        Change::CreateWebhook(new) => webhooks::create(step, new),
        Change::UpdateWebhook { id, patch } => webhooks::update(step, *id, patch),
        Change::RotateWebhook { id, secret, overlap_seconds } => {
            webhooks::rotate(step, *id, secret, *overlap_seconds)
        }
        Change::DeleteWebhook { id } => webhooks::delete(step, *id),
        Change::Redeliver { id, which } => webhooks::redeliver(step, *id, *which),
    }
}
