//! A client that writes without a pause, one call after the other, until its server is gone or the
//! round is over. What it writes is its own: no other writer touches it, so that what must be there
//! is known exactly.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::Duration,
};

use fastrand::Rng;
use serde_json::{Value, json};

use super::{
    round::{Round, VICTIM},
    world::{Effect, Person, World},
};
use crate::client::{Client, Credential};

/// Labels that all writers assign, so that they race for making them.
const SHARED_LABELS: [&str; 4] = ["vip", "lead", "kunde", "名刺"];

/// Chosen Channel IDs begin here, a range a writer.
const INBOXES: i64 = 1000;
const INBOXES_EACH: i64 = 1_000_000;

/// A call, and what it does where it is done.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) request_id: String,
    method: &'static str,
    path: String,
    body: Option<Value>,
    pub(super) effect: Effect,
}

/// A client and all that it knows.
pub(super) struct Writer {
    number: usize,
    pub(super) credential: Credential,
    rng: Rng,
    /// Steps so far; makes every value of the writer's a new one.
    steps: u64,
    /// What is there for certain.
    pub(super) world: World,
    /// Numbers of contacts and keys, by tag and by name, as far as an answer or a later look told.
    pub(super) ids: BTreeMap<String, i64>,
    /// The secrets of keys that were answered, by the key's name.
    pub(super) secrets: BTreeMap<String, Credential>,
    /// Addresses of contacts that are deleted.
    pub(super) gone: Vec<String>,
    /// The request ids of the writes that were done, in order.
    pub(super) done: Vec<String>,
    /// The call that has no answer yet.
    pub(super) in_flight: Option<Step>,
}

impl Writer {
    pub(super) fn new(number: usize, credential: &Credential, rng: Rng) -> Self {
        Self {
            number,
            credential: credential.clone(),
            rng,
            steps: 0,
            world: World::default(),
            ids: BTreeMap::new(),
            secrets: BTreeMap::new(),
            gone: Vec::new(),
            done: Vec::new(),
            in_flight: None,
        }
    }

    /// What the tags, names and request ids of this writer begin with.
    pub(super) fn prefix(&self) -> String {
        format!("w{}-", self.number)
    }

    pub(super) fn owns_inbox(&self, id: i64) -> bool {
        let first = self.first_inbox();
        (first..first + INBOXES_EACH).contains(&id)
    }

    fn first_inbox(&self) -> i64 {
        INBOXES + INBOXES_EACH * i64::try_from(self.number).unwrap()
    }

    /// Writes until there is no answer any more, or the round is over. Of the writers of an account
    /// one stays with the server that lives on, the others go from one to the next.
    pub(super) fn write(&mut self, clients: &[Client], round: &Round) {
        let mut clients = clients.to_vec();
        while !round.is_over() {
            let step = self.next_step();
            let stays = self.number / 2 == 1 || round.is_killed();
            let last = clients.len() - 1;
            let chosen = if stays { last } else { self.rng.usize(..=last) };
            let call = (step.method, step.path.as_str(), step.request_id.as_str());
            self.in_flight = Some(step.clone());
            match clients[chosen].try_call(call.0, call.1, call.2, step.body.as_ref()) {
                Ok((503, answer)) if round.is_outage() => {
                    if answer["code"] == "commit_in_doubt" {
                        return;
                    }
                    // By these two nothing was written.
                    let code = answer["code"].as_str().unwrap();
                    assert!(matches!(code, "busy" | "unavailable"), "{step:?}: {answer}");
                    self.in_flight = None;
                    clients[chosen] = clients[chosen].afresh();
                    thread::sleep(Duration::from_millis(20));
                    continue;
                }
                Ok((status, answer)) => self.answered(&step, status, &answer),
                Err(error) => {
                    let killed = chosen == VICTIM && round.is_killed();
                    assert!(killed, "no answer to {step:?} from a living server: {error}");
                    return;
                }
            }
            round.answered(chosen);
        }
    }

    /// Takes an answer for a fact.
    fn answered(&mut self, step: &Step, status: u16, answer: &Value) {
        self.in_flight = None;
        if matches!(step.effect, Effect::Nothing) {
            assert_eq!((status, &answer["code"]), (422, &json!("taken")), "{step:?}: {answer}");
            return;
        }
        assert_eq!(status, 200, "{step:?}: {answer}");
        match &step.effect {
            Effect::Contact(tag, Some(person)) if step.path == "contacts" => {
                let contact = &answer["payload"]["contact"];
                assert!(person.is_shown_by(contact), "{step:?}: {answer}");
                self.ids.insert(tag.clone(), contact["id"].as_i64().unwrap());
            }
            Effect::Contact(_, Some(person)) if step.method == "PATCH" => {
                assert!(person.is_shown_by(&answer["payload"]), "{step:?}: {answer}");
            }
            Effect::Contact(tag, None) => {
                self.gone.extend(self.world.people[tag].email.clone());
            }
            Effect::Key(name, true) => {
                let made = &answer["payload"];
                self.ids.insert(name.clone(), made["id"].as_i64().unwrap());
                self.secrets.insert(name.clone(), self.credential.with_key(made));
            }
            _ => {}
        }
        self.world.apply(&step.effect);
        self.done.push(step.request_id.clone());
    }

    /// Makes up a call that changes something, or one that must be refused.
    fn next_step(&mut self) -> Step {
        self.steps += 1;
        let dice = self.rng.u8(..100);
        // Keys are few; an account has a limit of them.
        let step = match dice {
            0..35 => None,
            35..68 => self.update(),
            68..80 => self.set_labels(),
            80..90 => self.delete(),
            90..93 => self.take_an_address_again(),
            93..97 => Some(self.change_inboxes()),
            _ => Some(self.change_keys()),
        };
        step.unwrap_or_else(|| self.create())
    }

    fn step(&self, method: &'static str, path: String, body: Value, effect: Effect) -> Step {
        let request_id = self.new_name("");
        let body = (!body.is_null()).then_some(body);
        Step { request_id, method, path, body, effect }
    }

    /// A name that is this step's alone.
    fn new_name(&self, infix: &str) -> String {
        format!("{}{infix}{:06}", self.prefix(), self.steps)
    }

    /// Gives a person other addresses, or takes some away.
    fn change_addresses(&mut self, person: &mut Person) {
        let mut one_of = |now: &mut Option<String>, new: String| match self.rng.u8(..4) {
            0 => *now = None,
            1 | 2 => *now = Some(new),
            _ => {}
        };
        let name = format!("w{}-{:06}", self.number, self.steps);
        one_of(&mut person.email, format!("{name}@crash.test"));
        one_of(&mut person.identifier, format!("uid-{name}"));
        one_of(&mut person.phone_number, format!("+8{:02}{:08}", self.number, self.steps));
    }

    fn create(&mut self) -> Step {
        let tag = self.new_name("");
        let mut person = Person { name: format!("Person {tag}"), ..Person::default() };
        person.custom.insert("tag".into(), tag.as_str().into());
        self.change_addresses(&mut person);
        let inboxes: Vec<i64> = self.world.inboxes.keys().copied().collect();
        let inbox = self.rng.choice(inboxes).unwrap_or(self.credential.inbox);
        let source_id = format!("src-{tag}");
        person.links.insert((inbox, source_id.clone()));
        let mut body = person.fields();
        body.insert("inbox_id".into(), inbox.into());
        body.insert("source_id".into(), source_id.into());
        self.step("POST", "contacts".into(), body.into(), Effect::Contact(tag, Some(person)))
    }

    /// Somebody of this writer's.
    fn somebody(&mut self) -> Option<(Person, i64)> {
        let person = self.rng.choice(self.world.people.values())?;
        Some((person.clone(), self.ids[person.tag()]))
    }

    fn update(&mut self) -> Option<Step> {
        let (before, id) = self.somebody()?;
        let mut person = before.clone();
        self.change_addresses(&mut person);
        person.name = format!("Person {}", self.new_name("renamed-"));
        let member = format!("k{}", self.rng.u8(..3));
        person.custom.insert(member, self.steps.into());
        let mut body = person.fields();
        // Only what is sent changes; a member that is sent as null goes.
        if let Some(member) = before.custom.keys().find(|key| *key != "tag") {
            person.custom.remove(member);
            body["custom_attributes"][member] = Value::Null;
        }
        if before.identifier == person.identifier {
            body.remove("identifier");
        }
        let effect = Effect::Contact(person.tag().to_owned(), Some(person));
        Some(self.step("PATCH", format!("contacts/{id}"), body.into(), effect))
    }

    fn set_labels(&mut self) -> Option<Step> {
        let (mut person, id) = self.somebody()?;
        let mut labels: BTreeSet<String> =
            SHARED_LABELS.iter().filter(|_| self.rng.bool()).map(ToString::to_string).collect();
        if self.rng.u8(..4) == 0 {
            labels.insert(self.new_name("label-"));
        }
        if labels == person.labels {
            // Nothing would change.
            return None;
        }
        person.labels = labels;
        let body = json!({ "labels": person.labels });
        let effect = Effect::Contact(person.tag().to_owned(), Some(person));
        Some(self.step("POST", format!("contacts/{id}/labels"), body, effect))
    }

    fn delete(&mut self) -> Option<Step> {
        let (person, id) = self.somebody()?;
        let effect = Effect::Contact(person.tag().to_owned(), None);
        Some(self.step("DELETE", format!("contacts/{id}"), Value::Null, effect))
    }

    /// A create that must be refused, and leave nothing behind.
    fn take_an_address_again(&mut self) -> Option<Step> {
        let email = self.somebody()?.0.email?;
        let body = json!({ "inbox_id": self.credential.inbox, "email": email });
        Some(self.step("POST", "contacts".into(), body, Effect::Nothing))
    }

    /// Makes, renames or drops a channel, with all its links.
    fn change_inboxes(&mut self) -> Step {
        let inboxes: Vec<i64> = self.world.inboxes.keys().copied().collect();
        let name = self.new_name("channel-");
        match (self.rng.choice(&inboxes), self.rng.bool()) {
            (Some(id), true) if inboxes.len() > 2 => {
                let path = format!("inboxes/{id}?force=true");
                self.step("DELETE", path, Value::Null, Effect::Inbox(*id, None))
            }
            (Some(id), true) => {
                let effect = Effect::Inbox(*id, Some(name.clone()));
                self.step("PATCH", format!("inboxes/{id}"), json!({ "name": name }), effect)
            }
            _ => {
                let id = self.first_inbox() + i64::try_from(self.steps).unwrap();
                let effect = Effect::Inbox(id, Some(name.clone()));
                let body = json!({ "id": id, "name": name });
                self.step("POST", "inboxes".into(), body, effect)
            }
        }
    }

    /// Makes a key, or revokes one.
    fn change_keys(&mut self) -> Step {
        let key = self.rng.choice(self.world.keys.iter().cloned().collect::<Vec<_>>());
        match key {
            Some(name) if self.world.keys.len() > 3 => {
                let path = format!("keys/{}", self.ids[&name]);
                self.step("DELETE", path, Value::Null, Effect::Key(name, false))
            }
            _ => {
                let name = self.new_name("key-");
                let body = json!({ "name": name, "role": "agent" });
                self.step("POST", "keys".into(), body, Effect::Key(name, true))
            }
        }
    }
}
