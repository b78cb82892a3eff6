//! Sequences of calls over two accounts that nobody thought of.
//!
//! Most is drawn from a few values, so that calls collide often, the rest is strange. A store's own
//! tests run [`carry_out`] on sequences of [`calls`] and then look into its tables.

use std::sync::Arc;

use meishi_contacts::{
    AttributeId, AttributeMode, AttributePatch, AttributeType, AttributesPatch, Availability,
    ContactId, ContactPatch, Credential, Email, Fault, Field, FieldPath, Identifier, InboxId,
    InboxPatch, KeyId, KeyPatch, Label, LabelId, LabelPatch, NewAttribute, NewContact, NewKey,
    NewLabel, NewLink, Patch, Phone, Role, SecretHash, Seed, Seq, SourceId, UnixMillis, Version,
    WebhookEvent, WebhookId, WebhookPatch, WebhookState, ids::MAX_ID,
};
use meishi_store::{Change, Context, Idempotency, Redelivery, Store, StoreError};
use proptest::{collection::vec, option, prelude::*, sample::select};

use super::{
    fields::{NOON, create, custom, delete, erase, inbox, inbox_as, key_of, update, webhook},
    replay::every_account_is_as_its_events_tell,
    tenant::Tenant,
    values::{members, number, patch, seconds, strange_text, text},
};

/// One call of `apply` by one of the two accounts.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    by_first: bool,
    changes: Vec<Change>,
    atomic: bool,
    precondition: Option<i64>,
    /// The idempotency key and the fingerprint.
    key: Option<(u8, u8)>,
}

/// Up to `most` calls.
pub(crate) fn calls(most: usize) -> impl Strategy<Value = Vec<Call>> {
    let call = (
        any::<bool>(),
        vec(fresh_change(), 1..5),
        any::<bool>(),
        option::weighted(0.1, 1..4_i64),
        option::weighted(0.2, (0..3_u8, 0..2_u8)),
    );
    vec(
        call.prop_map(|(by_first, changes, atomic, precondition, key)| Call {
            by_first,
            changes,
            atomic,
            precondition,
            key,
        }),
        1..=most,
    )
}

/// Does the calls one after the other on an empty store, and checks after each that nothing was
/// written where nothing may be, and at the end that every account is as its events tell.
pub(crate) async fn carry_out(store: &Arc<dyn Store>, calls: Vec<Call>) {
    let (acme, globex) = Tenant::two(store).await;
    for (number, call) in (0_i64..).zip(calls) {
        let (own, other) = if call.by_first { (&acme, &globex) } else { (&globex, &acme) };
        let before = (own.last_seq().await, other.last_seq().await);
        let cx = Context {
            at: UnixMillis(NOON.0 + number),
            precondition: call.precondition.map(|version| Version(version).into()),
            idempotency: call.key.map(|(key, fingerprint)| Idempotency {
                api_key_id: own.key.id,
                route: "route".to_owned(),
                key: key.to_string(),
                fingerprint: [fingerprint; 32],
            }),
            ..own.cx()
        };
        let written = match store.apply(cx, call.changes, call.atomic).await {
            Ok(applied) if applied.replayed => false,
            Ok(applied) if call.atomic => applied.results.iter().all(Result::is_ok),
            Ok(applied) => applied.results.iter().any(Result::is_ok),
            Err(StoreError::IdempotencyMismatch) => false,
            Err(error) => panic!("call {number}: {error}"),
        };
        assert_eq!(other.last_seq().await, before.1, "call {number}");
        if !written {
            assert_eq!(own.last_seq().await, before.0, "call {number}");
        }
    }
    every_account_is_as_its_events_tell(store).await;
}

fn contact_id() -> impl Strategy<Value = ContactId> {
    prop_oneof![30 => 1..10_i64, 1 => select(vec![0, i64::MAX])].prop_map(ContactId)
}

fn inbox_id() -> impl Strategy<Value = InboxId> {
    prop_oneof![30 => 1..4_i64, 1 => select(vec![0, i64::MAX])].prop_map(InboxId)
}

fn key_id() -> impl Strategy<Value = KeyId> {
    (1..4_i64).prop_map(KeyId)
}

fn attributes() -> impl Strategy<Value = AttributesPatch> {
    prop_oneof![
        3 => Just(AttributesPatch::Keep),
        3 => members().prop_map(AttributesPatch::Merge),
        2 => members().prop_map(AttributesPatch::MergePatch),
        1 => members().prop_map(AttributesPatch::Replace),
        1 => Just(AttributesPatch::Replace(serde_json::Map::new())),
    ]
    .boxed()
}

/// A patch of a contact, with a fault now and then.
pub(crate) fn fields() -> impl Strategy<Value = ContactPatch> {
    let given = |text: &str| Ok(Some(text.to_owned()));
    let names = (
        option::of(text(&["", "Anna", "Bob"])),
        patch(&["", "Ada", "Eve"], given),
        patch(&["", "Xu"], given),
        option::weighted(0.2, text(&["", "https://example.com/a.png"])),
    );
    let addresses = (
        patch(&["a@example.com", "b@example.com", "c@example.com", "\u{fffd}@ß"], Email::parse),
        patch(&["+4911", "+4922", "+4933", "+123456789012345"], Phone::parse),
        patch(&["u1", "U1", "a@example.com", " "], Identifier::parse),
    );
    let rest = (
        option::weighted(0.2, select(vec![Availability::Online, Availability::Offline])),
        option::weighted(0.2, any::<bool>()),
        prop_oneof![
            3 => Just(Patch::Keep), 1 => Just(Patch::Clear), 1 => seconds().prop_map(Patch::Set)
        ],
        option::weighted(0.2, seconds()),
        option::weighted(0.03, strange_text()),
    );
    (names, addresses, attributes(), attributes(), rest)
        .prop_map(|(names, addresses, additional_attributes, custom_attributes, rest)| {
            ContactPatch {
                faults: rest.4.iter().map(|text| Fault::invalid("name", text)).collect(),
                name: names.0,
                first_name: names.1,
                last_name: names.2,
                email: addresses.0,
                phone_number: addresses.1,
                identifier: addresses.2,
                thumbnail: names.3,
                availability_status: rest.0,
                blocked: rest.1,
                additional_attributes,
                custom_attributes,
                last_activity_at: rest.2,
                created_at: rest.3,
            }
        })
        .boxed()
}

/// A hash that no other is, and that does not shrink to one that another is.
pub(crate) fn fresh_hash() -> impl Strategy<Value = SecretHash> {
    any::<[u8; 32]>().no_shrink().prop_map(SecretHash)
}

/// A credential that no other has, likewise.
pub(crate) fn fresh_key() -> impl Strategy<Value = NewKey> {
    any::<[u8; 32]>()
        .no_shrink()
        .prop_map(|seed| key_of(&Credential::from_seed(&Seed(seed)), "key", Role::Agent))
}

fn fresh_change() -> impl Strategy<Value = Change> {
    change(fresh_key(), fresh_hash())
}

/// Any change, with such keys and secrets where it needs one. Strategies are boxed, since the whole
/// of one is too large for a stack.
pub(crate) fn change(
    new_key: impl Strategy<Value = NewKey> + 'static,
    hash: impl Strategy<Value = SecretHash> + 'static,
) -> impl Strategy<Value = Change> {
    let title = || text(&["a", "b", "c"]);
    let titles = prop_oneof![
        9 => vec(title(), 0..4),
        1 => vec(title(), 0..40),
        // One more than a contact may have.
        1 => (198..=201_usize).prop_map(|n| (0..n).map(|title| title.to_string()).collect()),
    ];
    let labels = titles.prop_map(|titles| {
        titles.iter().filter_map(|title| Label::parse(title).ok().flatten()).collect()
    });
    let source = option::of(text(&["s1", "S1", "s2"]))
        .prop_map(|text| text.and_then(|text| SourceId::parse(&text).ok().flatten()));
    let contacts = prop_oneof![
        4 => fields().prop_map(create),
        4 => (inbox_id(), source, fields()).prop_map(|(inbox_id, source_id, fields)| {
            let link = Some(NewLink { inbox_id, source_id });
            Change::CreateContact(Box::new(NewContact { fields, link }))
        }),
        6 => (contact_id(), fields()).prop_map(|(id, fields)| update(id, fields)),
        3 => contact_id().prop_map(delete),
        4 => (contact_id(), labels).prop_map(|(id, labels)| Change::SetLabels { id, labels }),
    ];
    let name = || option::of(text(&["x", "y"]));
    let chosen_id = prop_oneof![20 => 1..4_i64, 1 => select(vec![0, 407, MAX_ID, MAX_ID + 1])];
    let inboxes = prop_oneof![
        text(&["x"]).prop_map(|name| Change::CreateInbox(inbox(&name))),
        (chosen_id, text(&["y"])).prop_map(|(id, name)| Change::CreateInbox(inbox_as(id, &name))),
        (inbox_id(), name())
            .prop_map(|(id, name)| Change::UpdateInbox { id, patch: InboxPatch { name } }),
        (inbox_id(), any::<bool>()).prop_map(|(id, force)| Change::DeleteInbox { id, force }),
    ];
    let expires_at = prop_oneof![
        Just(Patch::Keep),
        Just(Patch::Clear),
        Just(Patch::Set(NOON)),
        number().prop_map(|at| Patch::Set(UnixMillis(at))),
    ];
    let keys = prop_oneof![
        new_key.prop_map(Change::CreateKey),
        (key_id(), name(), option::of(select(Role::ALL.to_vec())), expires_at).prop_map(
            |(id, name, role, expires_at)| {
                Change::UpdateKey { id, patch: KeyPatch { name, role, expires_at } }
            }
        ),
        (key_id(), hash, number()).prop_map(|(id, secret_hash, overlap_seconds)| {
            Change::RotateKey { id, secret_hash, overlap_seconds }
        }),
        key_id().prop_map(|id| Change::RevokeKey { id }),
    ];
    prop_oneof![
        6 => contacts.boxed(),
        2 => own_labels().boxed(),
        1 => definitions().boxed(),
        3 => past().boxed(),
        2 => inboxes.boxed(),
        1 => keys.boxed(),
        1 => webhooks().boxed(),
    ]
    .boxed()
}

/// Definitions of the attributes that contacts are given.
fn definitions() -> impl Strategy<Value = Change> {
    let id = || (1..4_i64).prop_map(AttributeId);
    let words = || select(vec!["x", "1", "true", "^."]).prop_map(str::to_owned);
    let text = || {
        prop_oneof![
            2 => Just(Patch::Keep), 1 => Just(Patch::Clear), 1 => words().prop_map(Patch::Set)
        ]
    };
    let fields = || {
        let kind = option::of(select(AttributeType::ALL.to_vec()));
        let values = option::of(vec(words(), 0..3));
        let mode = option::of(select(AttributeMode::ALL.to_vec()));
        (option::of(words()), kind, values, (text(), text(), text()), mode).prop_map(
            |(name, kind, values, (description, regex, hint), mode)| AttributePatch {
                key: None,
                name,
                description,
                kind,
                values,
                regex,
                hint,
                mode,
            },
        )
    };
    let key = select(vec!["a", "b", "A"]).prop_map(str::to_owned);
    prop_oneof![
        3 => (key, fields()).prop_map(|(key, fields)| {
            Change::CreateAttribute(NewAttribute { key, fields })
        }),
        2 => (id(), fields()).prop_map(|(id, patch)| Change::UpdateAttribute { id, patch }),
        1 => id().prop_map(|id| Change::DeleteAttribute { id }),
    ]
    .boxed()
}

/// Labels by themselves.
fn own_labels() -> impl Strategy<Value = Change> {
    let label_id = || (1..6_i64).prop_map(LabelId);
    let title = || select(vec!["a", "b", "c", "d"]).prop_map(|text| Label::parse(text).unwrap());
    let color = option::of(select(vec!["#000000", "#1f93ff"]).prop_map(str::to_owned));
    let description = || select(vec!["", "x", "王\u{1f600}"]).prop_map(str::to_owned);
    let described = prop_oneof![
        2 => Just(Patch::Keep), 1 => Just(Patch::Clear), 1 => description().prop_map(Patch::Set)
    ];
    prop_oneof![
        2 => (title(), option::of(description()), option::of(any::<bool>())).prop_map(
            |(title, description, show_on_sidebar)| {
                let title = title.unwrap();
                Change::CreateLabel(NewLabel { title, color: None, description, show_on_sidebar })
            }
        ),
        5 => (label_id(), option::of(title()), color, described, option::of(any::<bool>()))
            .prop_map(|(id, title, color, description, show_on_sidebar)| {
                let title = title.flatten();
                let patch = LabelPatch { title, color, description, show_on_sidebar };
                Change::UpdateLabel { id, patch }
            }),
        2 => label_id().prop_map(|id| Change::DeleteLabel { id }),
    ]
    .boxed()
}

fn seq() -> impl Strategy<Value = Seq> {
    prop_oneof![8 => 4..40_i64, 1 => number()].prop_map(Seq)
}

/// Changes that look for a contact, and that look back.
fn past() -> impl Strategy<Value = Change> {
    let only = option::weighted(
        0.4,
        prop_oneof![
            select(vec![Field::Email, Field::Name, Field::Labels, Field::Identifier])
                .prop_map(FieldPath::from),
            text(&["a", "b"]).prop_map(|key| custom(&key)),
        ],
    );
    let lacks = prop_oneof![
        5 => Just(Vec::new()), 1 => Just(vec![Fault::invalid("inbox_id", "is missing")])
    ];
    let link = option::weighted(
        0.3,
        inbox_id().prop_map(|inbox_id| NewLink {
            inbox_id,
            source_id: SourceId::parse("s1").ok().flatten(),
        }),
    );
    prop_oneof![
        4 => (fields(), link, lacks, option::weighted(0.1, Just(()))).prop_map(
            |(fields, link, lacks, only_create)| Change::UpsertContact {
                new: Box::new(NewContact { fields, link }),
                lacks,
                only_create: only_create.is_some(),
            }
        ),
        4 => (contact_id(), seq(), only)
            .prop_map(|(id, seq, only)| Change::RevertContact { id, seq, only }),
        1 => contact_id().prop_map(erase),
    ]
    .boxed()
}

fn webhooks() -> impl Strategy<Value = Change> {
    let webhook_id = || (1..4_i64).prop_map(WebhookId);
    let state = select(vec![WebhookState::Enabled, WebhookState::Enabled, WebhookState::Paused]);
    let events = || vec(select(WebhookEvent::ALL.to_vec()), 1..3);
    let which = prop_oneof![
        seq().prop_map(Redelivery::One),
        (seq(), 0..9_i64)
            .prop_map(|(from, more)| { Redelivery::Range(from, Seq(from.0.saturating_add(more))) }),
        Just(Redelivery::Failed),
    ];
    prop_oneof![
        3 => text(&["https://a", "https://b"]).prop_map(|url| {
            Change::CreateWebhook(Box::new(webhook(&url)))
        }),
        3 => (webhook_id(), option::of(text(&["https://a"])), option::of(events()),
              option::of(any::<bool>()), option::of(state))
            .prop_map(|(id, url, events, include_activity, state)| {
                let patch = WebhookPatch { url, events, include_activity, state, format: None };
                Change::UpdateWebhook { id, patch }
            }),
        1 => (webhook_id(), strange_text(), -1..60_i64).prop_map(|(id, secret, overlap_seconds)| {
            Change::RotateWebhook { id, secret, overlap_seconds }
        }),
        1 => webhook_id().prop_map(|id| Change::DeleteWebhook { id }),
        4 => (webhook_id(), which).prop_map(|(id, which)| Change::Redeliver { id, which }),
    ]
    .boxed()
}
