//! Sequences of calls over two accounts that nobody thought of.
//!
//! Everything is drawn from a few values, so that calls collide often. A store's own tests run
//! [`carry_out`] on sequences of [`calls`] and then look into its tables.

use std::sync::Arc;

use meishi_contacts::{
    AttributesPatch, ContactId, ContactPatch, Credential, Identifier, InboxId, InboxPatch, KeyId,
    KeyPatch, NewKey, Patch, Role, SecretHash, Seed, UnixMillis, Version,
};
use meishi_store::{Change, Context, Idempotency, Store, StoreError};
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::json;

use super::{
    fields::{
        NOON, create, create_in, delete, email, identifier, inbox, inbox_as, key_of, merge,
        merge_patch, phone, set_labels, update,
    },
    replay::every_account_is_as_its_events_tell,
    tenant::Tenant,
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
        vec(change(), 1..5),
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
            precondition: call.precondition.map(Version),
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
    (1..10_i64).prop_map(ContactId)
}

fn inbox_id() -> impl Strategy<Value = InboxId> {
    (1..4_i64).prop_map(InboxId)
}

fn key_id() -> impl Strategy<Value = KeyId> {
    (1..4_i64).prop_map(KeyId)
}

/// Keeps a field mostly, empties it sometimes, else sets it to one of a few values.
fn patch<T: Clone + std::fmt::Debug + 'static>(
    values: [&'static str; 3],
    parse: fn(&str) -> Patch<T>,
) -> impl Strategy<Value = Patch<T>> {
    prop_oneof![
        3 => Just(Patch::Keep),
        1 => Just(Patch::Clear),
        2 => select(values.to_vec()).prop_map(parse),
    ]
}

fn attributes() -> impl Strategy<Value = AttributesPatch> {
    let value =
        select(vec![json!(null), json!(1), json!("x"), json!({"n": 1}), json!({"n": null})]);
    let members = (select(vec!["a", "b"]), value).prop_map(|(key, value)| json!({ key: value }));
    prop_oneof![
        3 => Just(AttributesPatch::Keep),
        3 => members.clone().prop_map(merge),
        2 => members.prop_map(merge_patch),
        1 => Just(AttributesPatch::Replace(serde_json::Map::new())),
    ]
}

fn fields() -> impl Strategy<Value = ContactPatch> {
    (
        option::of(select(vec!["", "Anna", "Bob"])),
        patch(["", "Ada", "Eve"], |text| Patch::Set(text.to_owned())),
        patch(["a@example.com", "b@example.com", "c@example.com"], email),
        patch(["+4911", "+4922", "+4933"], phone),
        patch::<Identifier>(["u1", "U1", "a@example.com"], identifier),
        attributes(),
    )
        .prop_map(|(name, first_name, email, phone_number, identifier, custom_attributes)| {
            ContactPatch {
                name: name.map(str::to_owned),
                first_name,
                email,
                phone_number,
                identifier,
                custom_attributes,
                ..ContactPatch::default()
            }
        })
}

/// A credential that no other has, and that does not shrink to one that another has.
fn new_key() -> impl Strategy<Value = NewKey> {
    any::<[u8; 32]>()
        .no_shrink()
        .prop_map(|seed| key_of(&Credential::from_seed(&Seed(seed)), "key", Role::Agent))
}

fn change() -> impl Strategy<Value = Change> {
    let titles = vec(select(vec!["a", "b", "c"]), 0..4);
    let contacts = prop_oneof![
        4 => fields().prop_map(create),
        4 => (inbox_id(), option::of(select(vec!["s1", "s2"])), fields())
            .prop_map(|(inbox, source, fields)| create_in(inbox, source, fields)),
        6 => (contact_id(), fields()).prop_map(|(id, fields)| update(id, fields)),
        3 => contact_id().prop_map(delete),
        4 => (contact_id(), titles).prop_map(|(id, titles)| set_labels(id, &titles)),
    ];
    let name = || option::of(select(vec!["x", "y"])).prop_map(|name| name.map(str::to_owned));
    let inboxes = prop_oneof![
        Just(Change::CreateInbox(inbox("x"))),
        (1..4_i64).prop_map(|id| Change::CreateInbox(inbox_as(id, "y"))),
        (inbox_id(), name())
            .prop_map(|(id, name)| Change::UpdateInbox { id, patch: InboxPatch { name } }),
        (inbox_id(), any::<bool>()).prop_map(|(id, force)| Change::DeleteInbox { id, force }),
    ];
    let expires_at = prop_oneof![Just(Patch::Keep), Just(Patch::Clear), Just(Patch::Set(NOON))];
    let hash = any::<[u8; 32]>().no_shrink().prop_map(SecretHash);
    let keys = prop_oneof![
        new_key().prop_map(Change::CreateKey),
        (key_id(), name(), option::of(select(Role::ALL.to_vec())), expires_at).prop_map(
            |(id, name, role, expires_at)| {
                Change::UpdateKey { id, patch: KeyPatch { name, role, expires_at } }
            }
        ),
        (key_id(), hash, 0..2_i64).prop_map(|(id, secret_hash, overlap_seconds)| {
            Change::RotateKey { id, secret_hash, overlap_seconds }
        }),
        key_id().prop_map(|id| Change::RevokeKey { id }),
    ];
    prop_oneof![6 => contacts, 2 => inboxes, 1 => keys]
}
