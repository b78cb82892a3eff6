//! API keys: `CreateKey`, `UpdateKey`, `RotateKey`, `RevokeKey`, and the look-up of a caller.

use std::sync::Arc;

use meishi_contacts::{
    ApiKey, Credential, EventBody, FaultCode, Field, FieldChange, KeyId, KeyPatch, NewKey, Patch,
    Role, SecretHash, UnixMillis, limits::KEYS,
};
use meishi_store::{Change, ChangeError, Context, Missing, Outcome, Store};
use serde_json::Value;

use super::{
    fields::{NOON, fresh_seed, key_of, some_key},
    tenant::Tenant,
};

const LATER: UnixMillis = UnixMillis(NOON.0 + 60_000);

fn credential() -> Credential {
    Credential::from_seed(&fresh_seed())
}

fn rotate(id: KeyId, secret_hash: SecretHash, overlap_seconds: i64) -> Change {
    Change::RotateKey { id, secret_hash, overlap_seconds }
}

/// Whether a secret opens the account's first key at that time, by either look-up.
async fn opens(acme: &Tenant, secret: &SecretHash, at: UnixMillis) -> bool {
    let by_name = acme.store.key_by_name(&acme.key.api_key).await.unwrap().unwrap();
    let accepted = by_name.accepts(secret, at);
    let by_secret = acme.store.key_by_secret(secret).await.unwrap();
    let found = by_secret.is_some_and(|key| key.account == acme.account && key.accepts(secret, at));
    assert_eq!(found, accepted);
    accepted
}

pub(crate) async fn a_key_is_found_by_its_public_half_and_by_its_secret(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    for tenant in [&acme, &globex] {
        let hash = tenant.credential.secret_hash();
        let by_name = store.key_by_name(&tenant.credential.api_key).await.unwrap().unwrap();
        let by_secret = store.key_by_secret(&hash).await.unwrap().unwrap();
        for found in [by_name, by_secret] {
            assert_eq!((found.account, &found.key), (tenant.account, &tenant.key));
            assert!(found.accepts(&hash, NOON));
        }
    }
    assert!(!opens(&acme, &globex.credential.secret_hash(), NOON).await);
}

pub(crate) async fn an_unknown_half_or_secret_finds_no_key(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let name = &acme.credential.api_key;
    for wrong in ["", "mk_", &name.to_uppercase(), &format!("{name} "), "%", &name[..22]] {
        assert!(store.key_by_name(wrong).await.unwrap().is_none(), "{wrong}");
    }
    for wrong in [SecretHash([0; 32]), credential().secret_hash(), SecretHash::of(name)] {
        assert!(store.key_by_secret(&wrong).await.unwrap().is_none());
    }
}

pub(crate) async fn a_key_is_made_with_what_it_was_given(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let credential = credential();
    let new = NewKey { expires_at: Some(LATER), ..key_of(&credential, "CRM", Role::ReadOnly) };
    let before = acme.last_seq().await;
    let cx = Context { at: UnixMillis(7), ..acme.cx() };
    let expected = ApiKey {
        id: KeyId(2),
        api_key: credential.api_key.clone(),
        name: "CRM".to_owned(),
        role: Role::ReadOnly,
        created_at: UnixMillis(7),
        expires_at: Some(LATER),
        last_used_at: None,
        previous_until: None,
    };
    let made = acme.change_as(cx, Change::CreateKey(new)).await;
    assert_eq!(made, Ok(Outcome::KeyCreated(expected.clone())));
    assert_eq!(store.keys(acme.account).await.unwrap(), [acme.key.clone(), expected.clone()]);
    let events = acme.events_after(before).await;
    assert_eq!(events[0].body, EventBody::KeyCreated(expected.card()));
}

pub(crate) async fn a_key_ends_when_it_says(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let hash = acme.credential.secret_hash();
    let patch = KeyPatch { expires_at: Patch::Set(LATER), ..KeyPatch::default() };
    acme.change(Change::UpdateKey { id: acme.key.id, patch }).await.unwrap();
    assert!(opens(&acme, &hash, UnixMillis(LATER.0 - 1)).await);
    assert!(!opens(&acme, &hash, LATER).await);
    let patch = KeyPatch { expires_at: Patch::Clear, ..KeyPatch::default() };
    acme.change(Change::UpdateKey { id: acme.key.id, patch }).await.unwrap();
    assert!(opens(&acme, &hash, LATER).await);
}

pub(crate) async fn an_update_changes_name_role_and_end_and_tells_of_each(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let before = acme.last_seq().await;
    let patch = KeyPatch {
        name: Some("CRM".to_owned()),
        role: Some(Role::Agent),
        expires_at: Patch::Set(LATER),
    };
    let expected = ApiKey {
        name: "CRM".to_owned(),
        role: Role::Agent,
        expires_at: Some(LATER),
        ..acme.key.clone()
    };
    let updated = acme.change(Change::UpdateKey { id: acme.key.id, patch }).await;
    assert_eq!(updated, Ok(Outcome::KeyUpdated(expected.clone())));
    assert_eq!(store.keys(acme.account).await.unwrap(), [expected]);
    let changes = vec![
        FieldChange::of(Field::Name, "first", "CRM"),
        FieldChange::of(Field::Role, "administrator", "agent"),
        FieldChange::of(Field::ExpiresAt, Value::Null, LATER.0),
    ];
    let events = acme.events_after(before).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].body, EventBody::KeyUpdated { id: acme.key.id, changes });
    assert!(opens(&acme, &acme.credential.secret_hash(), NOON).await);
}

pub(crate) async fn an_update_that_changes_nothing_writes_nothing(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let before = acme.state().await;
    let same = KeyPatch {
        name: Some("first".to_owned()),
        role: Some(Role::Administrator),
        expires_at: Patch::Clear,
    };
    for patch in [KeyPatch::default(), same] {
        let outcome = acme.change(Change::UpdateKey { id: acme.key.id, patch }).await;
        assert_eq!(outcome, Ok(Outcome::KeyUpdated(acme.key.clone())));
    }
    assert_eq!(acme.state().await, before);
}

pub(crate) async fn both_secrets_open_a_rotated_key_until_the_overlap_ends(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let (old, new) = (acme.credential.secret_hash(), credential().secret_hash());
    store.touch_key(acme.account, acme.key.id, LATER).await.unwrap();
    let before = acme.last_seq().await;
    let end = UnixMillis(NOON.0 + 3_600_000);
    let expected =
        ApiKey { previous_until: Some(end), last_used_at: Some(LATER), ..acme.key.clone() };
    let rotated = acme.change(rotate(acme.key.id, new, 3600)).await;
    assert_eq!(rotated, Ok(Outcome::KeyRotated(expected.clone())));
    assert_eq!(store.keys(acme.account).await.unwrap(), [expected]);
    for (at, old_opens) in [(NOON, true), (UnixMillis(end.0 - 1), true), (end, false)] {
        assert_eq!(opens(&acme, &old, at).await, old_opens);
        assert!(opens(&acme, &new, at).await);
    }
    let events = acme.events_after(before).await;
    assert_eq!(events.len(), 1);
    let told = EventBody::KeyRotated { id: acme.key.id, previous_until: end };
    assert_eq!(events[0].body, told);
}

pub(crate) async fn without_an_overlap_the_old_secret_ends_at_once(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let new = credential().secret_hash();
    acme.change(rotate(acme.key.id, new, 0)).await.unwrap();
    assert!(!opens(&acme, &acme.credential.secret_hash(), NOON).await);
    assert!(opens(&acme, &new, NOON).await);
}

pub(crate) async fn a_second_rotation_ends_the_first_secret(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let first = acme.credential.secret_hash();
    let (second, third) = (credential().secret_hash(), credential().secret_hash());
    acme.change(rotate(acme.key.id, second, 3600)).await.unwrap();
    acme.change(rotate(acme.key.id, third, 3600)).await.unwrap();
    assert!(!opens(&acme, &first, NOON).await);
    assert!(opens(&acme, &second, NOON).await);
    assert!(opens(&acme, &third, NOON).await);
}

pub(crate) async fn a_revoked_key_is_gone_with_all_its_secrets(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let (old, new) = (credential(), credential().secret_hash());
    let key = acme.create_key(key_of(&old, "CRM", Role::Agent)).await;
    acme.change(rotate(key.id, new, 3600)).await.unwrap();
    let before = acme.last_seq().await;
    let revoked = acme.change(Change::RevokeKey { id: key.id }).await;
    assert_eq!(revoked, Ok(Outcome::KeyRevoked));
    assert!(store.key_by_name(&old.api_key).await.unwrap().is_none());
    assert!(store.key_by_secret(&old.secret_hash()).await.unwrap().is_none());
    assert!(store.key_by_secret(&new).await.unwrap().is_none());
    assert_eq!(store.keys(acme.account).await.unwrap(), std::slice::from_ref(&acme.key));
    assert_eq!(acme.events_after(before).await[0].body, EventBody::KeyRevoked(key.card()));
    // Its number is not given again.
    assert_eq!(acme.create_key(some_key("next")).await.id, KeyId(3));
}

pub(crate) async fn a_use_is_noted_never_goes_back_and_is_no_event(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    let used = async || store.keys(acme.account).await.unwrap()[0].last_used_at;
    let before = acme.last_seq().await;
    assert_eq!(used().await, None);
    for (at, expected) in [(NOON, NOON), (LATER, LATER), (NOON, LATER)] {
        store.touch_key(acme.account, acme.key.id, at).await.unwrap();
        assert_eq!(used().await, Some(expected));
    }
    assert_eq!(acme.last_seq().await, before);
    let by_name = store.key_by_name(&acme.key.api_key).await.unwrap().unwrap();
    assert_eq!(by_name.key.last_used_at, Some(LATER));
    assert_eq!(store.keys(globex.account).await.unwrap()[0].last_used_at, None);
    // A key that was revoked meanwhile is no fault of the caller's.
    store.touch_key(acme.account, KeyId(404), NOON).await.unwrap();
}

pub(crate) async fn an_account_has_at_most_so_many_keys(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    // One is there already.
    let changes = (0..KEYS).map(|_| Change::CreateKey(some_key("key"))).collect();
    let mut results = acme.apply(acme.cx(), changes, false).await.results;
    let Some(Err(ChangeError::Faults(faults))) = results.pop() else { panic!("too many") };
    assert_eq!(faults[0].code, FaultCode::LimitExceeded);
    assert!(results.iter().all(Result::is_ok));
    acme.change(Change::RevokeKey { id: KeyId(2) }).await.unwrap();
    acme.create_key(some_key("again")).await;
    globex.create_key(some_key("theirs")).await;
}

pub(crate) async fn a_public_half_that_is_taken_fails_the_call_and_writes_nothing(
    store: Arc<dyn Store>,
) {
    let (acme, globex) = Tenant::two(&store).await;
    let before = (acme.state().await, globex.state().await);
    let taken = NewKey { secret_hash: credential().secret_hash(), ..some_key("again") };
    let taken = NewKey { api_key: globex.key.api_key.clone(), ..taken };
    let changes = vec![Change::CreateKey(some_key("good")), Change::CreateKey(taken)];
    store.apply(acme.cx(), changes, false).await.unwrap_err();
    assert_eq!((acme.state().await, globex.state().await), before);
    assert_eq!(acme.create_key(some_key("next")).await.id, KeyId(2));
}

pub(crate) async fn no_event_and_no_outcome_holds_a_secret(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let (made, rotated) = (credential(), credential());
    let changes = vec![
        Change::CreateKey(key_of(&made, "CRM", Role::Agent)),
        rotate(KeyId(2), rotated.secret_hash(), 3600),
        Change::RevokeKey { id: KeyId(2) },
    ];
    let applied = acme.apply(acme.cx(), changes, true).await;
    let written = [
        serde_json::to_string(&applied.results).unwrap(),
        serde_json::to_string(&acme.events().await).unwrap(),
    ]
    .concat();
    assert!(written.contains(&made.api_key));
    for credential in [&acme.credential, &made, &rotated] {
        assert!(!written.contains(&credential.api_secret));
        let hash = serde_json::to_string(&credential.secret_hash().0).unwrap();
        assert!(!written.contains(hash.trim_matches(['[', ']'])));
    }
    assert!(!written.contains("hash") && !written.contains("secret"));
}

pub(crate) async fn a_key_that_is_not_the_accounts_is_not_found(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    let theirs = globex.create_key(some_key("theirs")).await.id;
    let before = (acme.state().await, globex.state().await);
    let patch = KeyPatch { name: Some("ours".to_owned()), ..KeyPatch::default() };
    for id in [theirs, KeyId(404)] {
        for change in [
            Change::UpdateKey { id, patch: patch.clone() },
            rotate(id, credential().secret_hash(), 0),
            Change::RevokeKey { id },
        ] {
            let refused = acme.change(change).await;
            assert_eq!(refused, Err(ChangeError::NotFound(Missing::Key)));
        }
        store.touch_key(acme.account, id, NOON).await.unwrap();
    }
    assert_eq!((acme.state().await, globex.state().await), before);
}

pub(crate) async fn keys_of_the_same_number_in_two_accounts_are_two(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    let before = globex.state().await;
    acme.change(rotate(KeyId(1), credential().secret_hash(), 0)).await.unwrap();
    acme.change(Change::RevokeKey { id: KeyId(1) }).await.unwrap();
    assert_eq!(globex.state().await, before);
    assert!(opens(&globex, &globex.credential.secret_hash(), NOON).await);
}
