//! What can be asked of a store, made up at random.
//!
//! Accounts are named by their place among those that there are, and ids below zero by how far they
//! lie beyond the last one that was given, so that a call can speak of what it makes itself.

use meishi_contacts::{
    ContactId, ContactPatch, Credential, Email, Identity, IdentityKind, InboxId, KeyId, NewContact,
    NewKey, NewLink, Patch, Phone, Role, SecretHash, Seed, Seq, SourceId, UnixMillis, WebhookId,
    WebhookState,
    limits::{BATCH_CHANGES, LAST_SECOND, READ_ROWS},
};
use meishi_store::{Change, DeliveryQuery, DeliveryState, Include, Settlement, WebhookHealth};
use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{Index, select},
};

use crate::conformance::{
    fields::{NOON, blank, create, delete, inbox_as, key_of, update, upsert},
    random_changes::{change, fields, fresh_hash, fresh_key},
    values::{any_text, number, strange_text, text},
};

/// One call of the trait.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Apply(Apply),
    CreateAccount { name: String, key: NewKey, at: i64, seed: u8, only_first: bool },
    TouchKey { who: Index, id: KeyId, at: i64 },
    KeyByName(String),
    KeyBySecret(SecretHash),
    Accounts,
    Counts(Index),
    Contact { who: Index, id: ContactId, include: Include },
    Contacts { who: Index, ids: Vec<ContactId>, include: Include },
    Owners { who: Index, identities: Vec<Identity> },
    Inboxes(Index),
    Inbox { who: Index, id: InboxId },
    Keys(Index),
    Events { who: Index, after: i64, limit: usize },
    History { who: Index, id: ContactId, from: Option<Seq>, limit: usize },
    Heads(Vec<Index>),
    Webhooks { who: Index, id: WebhookId },
    Deliveries { who: Index, id: WebhookId, query: DeliveryQuery, limit: usize },
    Upkeep(Upkeep),
    Snapshot(Index),
    Database,
    Ready,
}

/// What is done beside the changes, at so many milliseconds after noon.
#[derive(Debug, Clone)]
pub(crate) enum Upkeep {
    DropEvents {
        who: Index,
        before: i64,
    },
    Purge {
        now: i64,
        settled_before: i64,
    },
    Lease {
        owner: String,
        now: i64,
        lasts: i64,
        limit: usize,
    },
    /// Looks at the next events that there are, as whoever leased something last, or from an event.
    Enqueue {
        who: Index,
        lease: (WebhookId, String),
        from: Option<i64>,
        events: usize,
    },
    Due {
        who: Index,
        id: WebhookId,
        now: i64,
        limit: usize,
    },
    /// Settles one of the deliveries that are due, or that of an event.
    Settle {
        who: Index,
        lease: (WebhookId, String),
        due: Result<Index, Seq>,
        settlement: Settlement,
        health: WebhookHealth,
        now: i64,
    },
    Release {
        who: Index,
        lease: (WebhookId, String),
    },
}

/// A call of `apply`.
#[derive(Debug, Clone)]
pub(crate) struct Apply {
    pub(crate) who: Index,
    pub(crate) changes: Vec<Change>,
    /// How many changes the call has, where it has those above again and again.
    pub(crate) stretched_to: Option<usize>,
    pub(crate) atomic: bool,
    pub(crate) by: Option<KeyId>,
    pub(crate) at: Option<i64>,
    pub(crate) request_id: Option<String>,
    pub(crate) precondition: Option<i64>,
    pub(crate) idempotency: Option<Repeatable>,
}

/// An idempotency key, all of whose parts collide often.
#[derive(Debug, Clone)]
pub(crate) struct Repeatable {
    pub(crate) api_key_id: KeyId,
    pub(crate) route: String,
    pub(crate) key: String,
    pub(crate) fingerprint: u8,
}

/// Any call, with keys and secrets that collide.
pub(crate) fn step() -> impl Strategy<Value = Step> {
    let id = || prop_oneof![20 => -2..12_i64, 1 => number()].prop_map(ContactId);
    let include = || prop_oneof![Just(Include::Nothing), Just(Include::Inboxes)];
    let who = any::<Index>;
    let ids = prop_oneof![
        9 => vec(id(), 0..12),
        1 => vec(id(), 1..4).prop_map(|ids| ids.into_iter().cycle().take(READ_ROWS + 1).collect()),
    ];
    let names = prop_oneof![
        2 => (0..4_u8).prop_map(|seed| credential(seed).api_key),
        1 => any_text(),
    ];
    let limit = prop_oneof![0..5_usize, Just(READ_ROWS + 1), Just(usize::MAX)];
    let touched = (who(), (0..4_i64).prop_map(KeyId), number());
    let writes = prop_oneof![
        20 => apply(change(few_keys(), few_hashes()), who()).prop_map(Step::Apply).boxed(),
        1 => create_account().boxed(),
        1 => touched.prop_map(|(who, id, at)| Step::TouchKey { who, id, at }),
    ];
    let reads = prop_oneof![
        names.prop_map(Step::KeyByName),
        few_hashes().prop_map(Step::KeyBySecret),
        Just(Step::Accounts),
        who().prop_map(Step::Counts),
        (who(), id(), include()).prop_map(|(who, id, include)| Step::Contact { who, id, include }),
        (who(), ids, include())
            .prop_map(|(who, ids, include)| { Step::Contacts { who, ids, include } }),
        (who(), identities()).prop_map(|(who, identities)| Step::Owners { who, identities }),
        who().prop_map(Step::Inboxes),
        (who(), number()).prop_map(|(who, id)| Step::Inbox { who, id: InboxId(id) }),
        who().prop_map(Step::Keys),
        (who(), number(), limit).prop_map(|(who, after, limit)| Step::Events { who, after, limit }),
        who().prop_map(Step::Snapshot),
        prop_oneof![Just(Step::Database), Just(Step::Ready)],
    ];
    let seq = || prop_oneof![9 => 0..60_i64, 1 => number()].prop_map(Seq);
    let hook = || (1..4_i64).prop_map(WebhookId);
    let query = (option::of(select(DeliveryState::ALL.to_vec())), option::weighted(0.3, seq()))
        .prop_map(|(state, before)| DeliveryQuery { state, before });
    let past = prop_oneof![
        3 => (who(), id(), option::weighted(0.3, seq()), 0..9_usize)
            .prop_map(|(who, id, from, limit)| Step::History { who, id, from, limit }),
        1 => vec(who(), 0..4).prop_map(Step::Heads),
        1 => (who(), hook()).prop_map(|(who, id)| Step::Webhooks { who, id }),
        2 => (who(), hook(), query, 0..9_usize)
            .prop_map(|(who, id, query, limit)| Step::Deliveries { who, id, query, limit }),
    ];
    prop_oneof![
        12 => writes.boxed(),
        3 => reads.boxed(),
        2 => past.boxed(),
        6 => upkeep().prop_map(Step::Upkeep).boxed(),
    ]
    .boxed()
}

fn upkeep() -> impl Strategy<Value = Upkeep> {
    let who = any::<Index>;
    let now = || 0..100_i64;
    let owner = || text(&["server 1", "server 2"]);
    let lease = || ((1..4_i64).prop_map(WebhookId), owner());
    let limit = || 0..5_usize;
    let settlement = prop_oneof![
        3 => Just(Settlement::Delivered),
        2 => now().prop_map(|at| Settlement::Retry(UnixMillis(NOON.0 + at))),
        1 => Just(Settlement::GivenUp),
    ];
    let health = prop_oneof![
        3 => Just(WebhookHealth::Well),
        2 => now().prop_map(|at| WebhookHealth::Failing(UnixMillis(NOON.0 + at))),
        1 => select(vec![WebhookState::Paused, WebhookState::Disabled])
            .prop_map(|state| WebhookHealth::Stopped { state, reason: "so".to_owned() }),
    ];
    let due = prop_oneof![
        5 => who().prop_map(Ok),
        1 => (4..40_i64).prop_map(|seq| Err(Seq(seq))),
    ];
    let day = 24 * 3600 * 1000_i64;
    prop_oneof![
        1 => (who(), now()).prop_map(|(who, before)| Upkeep::DropEvents { who, before }),
        1 => (prop_oneof![now(), now().prop_map(move |at| at + day)], now())
            .prop_map(|(now, settled_before)| Upkeep::Purge { now, settled_before }),
        3 => (owner(), now(), 0..50_i64, limit())
            .prop_map(|(owner, now, lasts, limit)| Upkeep::Lease { owner, now, lasts, limit }),
        5 => (who(), lease(), option::weighted(0.1, 0..20_i64), 0..30_usize)
            .prop_map(|(who, lease, from, events)| Upkeep::Enqueue { who, lease, from, events }),
        1 => (who(), 1..4_i64, now(), limit()).prop_map(|(who, id, now, limit)| Upkeep::Due {
            who,
            id: WebhookId(id),
            now,
            limit,
        }),
        6 => (who(), lease(), due, settlement, health, now()).prop_map(
            |(who, lease, due, settlement, health, now)| Upkeep::Settle {
                who,
                lease,
                due,
                settlement,
                health,
                now,
            }
        ),
        1 => (who(), lease()).prop_map(|(who, lease)| Upkeep::Release { who, lease }),
    ]
    .boxed()
}

/// A call of `apply` whose success depends on no other account.
pub(crate) fn independent_apply() -> impl Strategy<Value = Apply> {
    // The key of somebody who never gives it up makes a call fail in the database itself.
    let keys = prop_oneof![2 => fresh_key(), 1 => Just(few_key(0))];
    apply(change(keys, fresh_hash()), any::<Index>()).boxed()
}

/// The credential of a number.
pub(crate) fn credential(seed: u8) -> Credential {
    Credential::from_seed(&Seed([seed; 32]))
}

fn few_key(seed: u8) -> NewKey {
    key_of(&credential(seed), "one of few", Role::Agent)
}

/// Halves of keys that others have, or had, in all combinations.
fn few_keys() -> impl Strategy<Value = NewKey> {
    let collides = (0..6_u8, few_hashes(), strange_text(), option::of(number())).prop_map(
        |(seed, secret_hash, name, expires_at)| NewKey {
            secret_hash,
            name,
            expires_at: expires_at.map(meishi_contacts::UnixMillis),
            ..few_key(seed)
        },
    );
    prop_oneof![1 => collides, 1 => fresh_key()]
}

pub(crate) fn few_hashes() -> impl Strategy<Value = SecretHash> {
    (0..6_u8).prop_map(|seed| credential(seed).secret_hash())
}

fn create_account() -> impl Strategy<Value = Step> {
    // Times of one second have ids that collide.
    let at = prop_oneof![
        3 => (0..3_i64).prop_map(|after| NOON.0 + after),
        1 => select(vec![-1, LAST_SECOND * 1000 + 999]),
    ];
    (strange_text(), few_keys(), at, 0..3_u8, any::<bool>()).prop_map(
        |(name, key, at, seed, only_first)| Step::CreateAccount { name, key, at, seed, only_first },
    )
}

fn identities() -> impl Strategy<Value = Vec<Identity>> {
    let value = prop_oneof![
        3 => text(&["a@example.com", "b@example.com", "+4911", "+4922", "u1", "U1", " "]),
        1 => any_text(),
    ];
    let identity = (select(IdentityKind::ALL.to_vec()), value)
        .prop_map(|(kind, value)| Identity { kind, value });
    vec(identity, 0..8)
}

fn apply(
    change: impl Strategy<Value = Change> + 'static,
    who: impl Strategy<Value = Index> + 'static,
) -> impl Strategy<Value = Apply> {
    let changes = prop_oneof![
        12 => vec(change, 0..6).boxed(),
        1 => scenario(),
        2 => vec(scenario(), 1..3).prop_map(|scenarios| scenarios.concat()),
    ];
    let repeatable = (0..2_i64, text(&["a", "A"]), text(&["k", "K"]), 0..2_u8).prop_map(
        |(api_key_id, route, key, fingerprint)| Repeatable {
            api_key_id: KeyId(api_key_id),
            route,
            key,
            fingerprint,
        },
    );
    let context = (
        option::weighted(0.8, (0..3_i64).prop_map(KeyId)),
        option::weighted(0.1, number()),
        option::weighted(0.1, strange_text()),
        option::weighted(0.15, 0..4_i64),
        option::weighted(0.2, repeatable),
    );
    let stretched_to =
        option::weighted(0.02, select(vec![50, BATCH_CHANGES, BATCH_CHANGES, BATCH_CHANGES + 1]));
    (who, changes, stretched_to, any::<bool>(), context).prop_map(
        |(who, changes, stretched_to, atomic, context)| {
            let (by, at, request_id, precondition, idempotency) = context;
            Apply {
                who,
                changes,
                stretched_to,
                atomic,
                by,
                at,
                request_id,
                precondition,
                idempotency,
            }
        },
    )
}

/// Changes that take back, or take over, what those before them in the same call did.
fn scenario() -> impl Strategy<Value = Vec<Change>> {
    let contact = || (1..10_i64).prop_map(ContactId);
    let inbox = || (1..4_i64).prop_map(InboxId);
    let linked = |fields: ContactPatch, inbox_id| {
        let link = NewLink { inbox_id, source_id: SourceId::parse("s1").unwrap() };
        Change::CreateContact(Box::new(NewContact { fields, link: Some(link) }))
    };
    let email = |text: &str| ContactPatch {
        email: Patch::from_option(Email::parse(text).unwrap()),
        phone_number: Patch::from_option(Phone::parse("+4911").unwrap()),
        ..blank()
    };
    let none = || ContactPatch { email: Patch::Clear, phone_number: Patch::Clear, ..blank() };
    let last = |n: i64| ContactId(-n);
    prop_oneof![
        // An address goes from one contact to another, and back.
        (contact(), contact()).prop_map(move |(a, b)| vec![
            update(a, email("a@example.com")),
            update(a, none()),
            update(b, email("a@example.com")),
            update(b, none()),
            update(a, email("a@example.com")),
        ]),
        // A channel goes with its links and comes back under its id, with links of its own.
        (inbox(), fields(), any::<bool>()).prop_map(move |(id, fields, back)| {
            let mut changes = vec![
                Change::DeleteInbox { id, force: true },
                Change::CreateInbox(inbox_as(id.0, "again")),
                linked(fields, id),
            ];
            if back {
                changes.push(Change::DeleteInbox { id, force: false });
                changes.push(Change::DeleteInbox { id, force: true });
                changes.push(Change::CreateInbox(inbox_as(id.0, "again and again")));
            }
            changes
        }),
        // A contact that is gone before anybody could see it.
        (inbox(), fields()).prop_map(move |(id, fields)| vec![
            linked(fields.clone(), id),
            update(last(1), fields.clone()),
            Change::SetLabels { id: last(1), labels: Vec::new() },
            delete(last(1)),
            linked(fields, id),
        ]),
        // Labels of a contact that is new, and of one that goes.
        (contact(), fields()).prop_map(move |(id, fields)| {
            let label = meishi_contacts::Label::parse("new").unwrap().unwrap();
            let labels = || vec![label.clone()];
            vec![
                create(fields),
                Change::SetLabels { id: last(1), labels: labels() },
                Change::SetLabels { id, labels: labels() },
                delete(id),
            ]
        }),
        // A key that is gone at once, and made again.
        fresh_key().prop_map(|key| vec![
            Change::CreateKey(key.clone()),
            Change::RevokeKey { id: KeyId(-1) },
            Change::CreateKey(key),
        ]),
        // A contact that comes back, or is erased, and what the call wanted of it then.
        (contact(), fields(), 4..40_i64, 4..40_i64).prop_map(move |(id, fields, first, second)| {
            let revert = |seq| Change::RevertContact { id, seq: Seq(seq), only: None };
            vec![
                revert(first),
                delete(id),
                revert(first),
                Change::EraseContact { id },
                revert(second),
                create(fields.clone()),
                update(last(1), fields.clone()),
                Change::EraseContact { id: last(1) },
                create(fields),
            ]
        }),
        // What is found of what was made, changed and given up right before.
        (contact(), fields(), fields()).prop_map(move |(id, fields, others)| vec![
            upsert(fields.clone()),
            update(id, others.clone()),
            upsert(others.clone()),
            delete(id),
            upsert(fields),
            upsert(others),
        ]),
        // Two rotations, of which the second forgets the first secret.
        (1..4_i64, fresh_hash(), fresh_hash()).prop_map(|(id, first, second)| {
            let rotate = |secret_hash, overlap_seconds| Change::RotateKey {
                id: KeyId(id),
                secret_hash,
                overlap_seconds,
            };
            vec![rotate(first, 60), rotate(second, 0), rotate(first, 1)]
        }),
    ]
    .boxed()
}
