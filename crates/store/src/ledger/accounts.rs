//! A new account: the rows that it begins with.

use meishi_contacts::{
    AccountId, Actor, ChannelType, Event, EventBody, Inbox, InboxId, KeyId, Seq, StoredKey,
};

use super::{Counters, NewEvent, StoredInbox, keys::key_of};
use crate::{Account, CreatedAccount, NewAccount};

/// The rows of an account that is being made.
#[derive(Debug)]
pub(crate) struct AccountRows {
    pub(crate) account: Account,
    pub(crate) inbox: StoredInbox,
    pub(crate) key: StoredKey,
    pub(crate) events: Vec<NewEvent>,
    pub(crate) counters: Counters,
}

impl AccountRows {
    /// The rows of an account under that id.
    pub(crate) fn new(id: AccountId, new: &NewAccount) -> Self {
        let account = Account { id, name: new.name.clone(), created_at: new.at };
        let inbox = Inbox {
            id: InboxId(1),
            name: new.inbox_name.clone(),
            channel_type: ChannelType::Api,
            created_at: new.at,
        };
        let key = StoredKey {
            account: id,
            key: key_of(KeyId(1), &new.key, new.at),
            secret_hash: new.key.secret_hash,
            previous_hash: None,
        };
        let bodies = [
            EventBody::AccountCreated { name: account.name.clone() },
            EventBody::InboxCreated(inbox.clone()),
            EventBody::KeyCreated(key.key.card()),
        ];
        let event = |(seq, body)| Event {
            seq: Seq(seq),
            at: new.at,
            actor: Actor::System,
            request_id: new.request_id.clone(),
            body,
        };
        let events: Vec<NewEvent> = (1..)
            .zip(bodies)
            .map(|numbered| NewEvent { event: event(numbered), previous: None })
            .collect();
        let counters = Counters {
            last_seq: events.last().map(|last| last.event.seq.0).unwrap_or_default(),
            last_inbox_id: inbox.id.0,
            last_key_id: key.key.id.0,
            ..Counters::default()
        };
        let made = events.iter().find(|new| matches!(new.event.body, EventBody::InboxCreated(_)));
        let made_seq = made.map(|new| new.event.seq).unwrap_or_default();
        Self { account, inbox: StoredInbox { inbox, made_seq }, key, events, counters }
    }

    /// What the caller is told.
    pub(crate) fn created(self) -> CreatedAccount {
        CreatedAccount { account: self.account, inbox: self.inbox.inbox, key: self.key.key }
    }
}

/// The id to try first: the second of the account's birth and four random digits, as LiveDesk's
/// ids look. It does not tell how many accounts there are; where it is taken, the next free one is.
pub(crate) fn account_id(new: &NewAccount) -> AccountId {
    let [a, b, ..] = new.seed.bytes("account id", 0);
    let digits = i64::from(u16::from_be_bytes([a, b])) % 10_000;
    AccountId(new.at.seconds().0 * 10_000 + digits)
}
