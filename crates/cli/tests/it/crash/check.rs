//! The comparisons: tables with events, both with what the writers know, and the answers of a
//! server with all of it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use fastrand::Rng;
use serde_json::Value;

use super::{
    record::{Account, Database, State},
    world::{Person, World},
    writer::Writer,
};
use crate::{client::Client, running::Server};

/// How many of each kind are looked up over HTTP.
const SAMPLE: usize = 6;

/// Holds a database to itself and to the writers, which learn what became of their last calls.
/// Answers how many of those were done.
pub(super) fn check_database(database: &Database, writers: &mut [Writer]) -> usize {
    for account in database.accounts.values() {
        check_account(account);
    }
    let mut survived = 0;
    for writer in &mut *writers {
        let account = &database.accounts[&writer.credential.account];
        survived += usize::from(settle(writer, account));
    }
    for (id, account) in database.accounts.iter().filter(|_| !writers.is_empty()) {
        let own: Vec<&Writer> = writers.iter().filter(|w| w.credential.account == *id).collect();
        let known: usize = own.iter().map(|writer| writer.world.people.len()).sum();
        assert_eq!(account.state.contacts.len(), known, "every contact is somebody's");
        // The account's own first channel and key beside those of the writers.
        let known: usize = own.iter().map(|writer| writer.world.inboxes.len()).sum();
        assert_eq!(account.state.inboxes.len(), known + 1);
        let known: usize = own.iter().map(|writer| writer.world.keys.len()).sum();
        assert_eq!(account.state.keys.len(), known + 1);
    }
    survived
}

/// Holds an account's tables to its events, its ledger and its counters.
fn check_account(account: &Account) {
    let Account { state, counters, events, identities } = account;
    let mut replayed = State::default();
    let mut last = (0, 0, 0);
    for (expected, event) in (1..).zip(events) {
        assert_eq!(event.seq, expected, "events are dense");
        assert_eq!(event.kind, event.body.kind());
        assert_eq!(event.subject, event.body.subject());
        let actor = (event.actor.as_str(), event.actor_id);
        assert!(matches!(actor, ("key", Some(_)) | ("system", None)), "{event:?}");
        replayed.apply(&event.body);
        // The highest number that each kind was ever given.
        match (event.kind.as_str(), event.subject) {
            ("contact.created", Some(id)) => {
                assert!(id > last.0, "contact {id} was there before");
                last.0 = id;
            }
            ("inbox.created", Some(id)) => last.1 = last.1.max(id),
            ("key.created", Some(id)) => {
                assert!(id > last.2, "key {id} was there before");
                last.2 = id;
            }
            _ => {}
        }
    }
    assert!(replayed == *state, "{}", difference(&replayed, state));

    let owned: BTreeSet<(String, String, i64)> = state
        .contacts
        .values()
        .flat_map(|card| {
            let id = card.contact.id.0;
            let identities = card.contact.identities();
            identities.map(move |identity| (identity.kind.as_str().into(), identity.value, id))
        })
        .collect();
    assert_eq!(*identities, owned, "the ledger of addresses");

    let count = |number: usize| i64::try_from(number).unwrap();
    assert_eq!(counters.last_seq, count(events.len()));
    assert_eq!(counters.contacts, count(state.contacts.len()));
    let resolved = state.contacts.values().filter(|card| card.contact.is_resolved()).count();
    assert_eq!(counters.resolved_contacts, count(resolved));
    assert_eq!(counters.last_contact_id, last.0);
    assert_eq!(counters.last_inbox_id, last.1);
    assert_eq!(counters.last_key_id, last.2);
}

/// The first difference between an account as its events and as its tables tell it.
fn difference(replayed: &State, stored: &State) -> String {
    let ids: BTreeSet<_> = replayed.contacts.keys().chain(stored.contacts.keys()).collect();
    for id in ids {
        let (events, tables) = (replayed.contacts.get(id), stored.contacts.get(id));
        if events != tables {
            return format!("by the events {events:#?}\nby the tables {tables:#?}");
        }
    }
    let rest = |state: &State| State { contacts: BTreeMap::new(), ..state.clone() };
    format!("by the events {:#?}\nby the tables {:#?}", rest(replayed), rest(stored))
}

/// Holds what is there of a writer's to what it was answered. A call that was not answered was done
/// as a whole or not at all; which of both is a fact from now on.
fn settle(writer: &mut Writer, account: &Account) -> bool {
    let prefix = writer.prefix();
    // One call may write several events: a label that it made comes before the contact's.
    let mut done: Vec<&str> = account
        .events
        .iter()
        .map(|event| event.request_id.as_str())
        .filter(|id| id.starts_with(&prefix))
        .collect();
    done.dedup();

    let in_flight = writer.in_flight.take().filter(|s| done.last() == Some(&s.request_id.as_str()));
    if let Some(step) = &in_flight {
        writer.world.apply(&step.effect);
        writer.done.push(step.request_id.clone());
    }
    let known: HashSet<&str> = done.iter().copied().collect();
    let lost = writer.done.iter().find(|id| !known.contains(id.as_str()));
    assert_eq!(lost, None, "an acknowledged write has no event");
    assert_eq!(done, writer.done, "events are of writes that were done, in their order");

    let mut there = World::default();
    for card in account.state.contacts.values() {
        let person = Person::of(card);
        let tag = person.tag().to_owned();
        if !tag.starts_with(&prefix) {
            continue;
        }
        let id = card.contact.id.0;
        assert_eq!(*writer.ids.entry(tag.clone()).or_insert(id), id, "the number of {tag}");
        assert!(there.people.insert(tag, person).is_none(), "one contact by two numbers");
    }
    for inbox in account.state.inboxes.values().filter(|inbox| writer.owns_inbox(inbox.id.0)) {
        there.inboxes.insert(inbox.id.0, inbox.name.clone());
    }
    for key in account.state.keys.values().filter(|key| key.name.starts_with(&prefix)) {
        assert_eq!(*writer.ids.entry(key.name.clone()).or_insert(key.id.0), key.id.0);
        there.keys.insert(key.name.clone());
    }
    for (tag, person) in &writer.world.people {
        let stored = there.people.get(tag);
        assert_eq!(stored, Some(person), "{tag} is not as it was acknowledged");
    }
    assert_eq!(there, writer.world, "nothing else is there");
    in_flight.is_some()
}

/// Holds the answers of a server that was just started to what the writers know.
pub(super) fn check_answers(server: &Server, writers: &[Writer], rng: &mut Rng) {
    let accounts: BTreeSet<i64> = writers.iter().map(|w| w.credential.account).collect();
    for account in accounts {
        let own: Vec<&Writer> =
            writers.iter().filter(|writer| writer.credential.account == account).collect();
        let client = server.client(&own[0].credential);
        let people: Vec<&Person> =
            own.iter().flat_map(|writer| writer.world.people.values()).collect();
        check_list(&client, &own, people.len());

        for (label, encoded) in [("vip", "vip"), ("名刺", "%E5%90%8D%E5%88%BA")] {
            let bearers = people.iter().filter(|person| person.labels.contains(label)).count();
            let (count, _) = client.list(&format!("labels={encoded}"));
            assert_eq!(usize::try_from(count).unwrap(), bearers, "{label}");
        }
        let emails: Vec<&String> = people.iter().filter_map(|p| p.email.as_ref()).collect();
        for _ in 0..SAMPLE {
            if let Some(email) = rng.choice(&emails) {
                let found = client.list(&format!("q={email}"));
                assert_eq!(found, (1, vec![(*email).clone()]), "the search for {email}");
            }
        }
        for writer in own {
            if let Some(email) = rng.choice(&writer.gone) {
                assert_eq!(client.list(&format!("q={email}")), (0, Vec::new()), "{email} is gone");
            }
            if let Some((name, credential)) = rng.choice(&writer.secrets) {
                let expected = if writer.world.keys.contains(name) { 200 } else { 401 };
                assert_eq!(server.client(credential).status(), expected, "{name}");
            }
        }
    }
}

/// Every contact is listed once, page by page, and counted.
fn check_list(client: &Client, own: &[&Writer], expected: usize) {
    let mut listed = BTreeMap::new();
    for page in 1.. {
        let query = format!("contacts?sort=created_at&page_size=100&page={page}");
        let (status, answer) = client.get(&query);
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["meta"]["count"], expected, "the exact count");
        let contacts = answer["payload"].as_array().unwrap();
        if contacts.is_empty() {
            break;
        }
        for contact in contacts {
            let tag = contact["custom_attributes"]["tag"].as_str().unwrap().to_owned();
            assert!(listed.insert(tag, contact.clone()).is_none(), "listed twice: {contact}");
        }
    }
    assert_eq!(listed.len(), expected);
    for writer in own {
        for (tag, person) in &writer.world.people {
            let contact = &listed[tag];
            assert_eq!(contact["id"], Value::from(writer.ids[tag]), "{tag}");
            assert!(person.is_shown_by(contact), "{person:?}: {contact}");
        }
    }
}
