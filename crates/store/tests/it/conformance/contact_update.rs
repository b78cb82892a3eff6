//! `Change::UpdateContact`.

use std::sync::Arc;

use meishi_contacts::{
    Availability, ContactId, ContactPatch, EventBody, Fault, FaultCode, Field, FieldChange,
    IdentityKind, Patch, UnixSeconds, Version, limits::ATTRIBUTES_BYTES,
};
use meishi_store::{ChangeError, Missing, Outcome, Store};
use serde_json::{Value, json};

use super::{
    fields::{
        blank, create, email, identifier, map, merge, merge_patch, named, phone, text, update,
        with_custom, with_email,
    },
    tenant::Tenant,
};

pub(crate) async fn an_update_sets_what_it_names_and_keeps_the_rest(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let fields = ContactPatch {
        email: email("anna@example.com"),
        custom_attributes: merge(json!({"a": 1, "b": {"x": 1, "y": 2}})),
        ..named("Anna")
    };
    let before = acme.create_linked("anna", fields).await;
    let after = acme
        .update(
            before.contact.id,
            ContactPatch {
                phone_number: phone("+4912345"),
                blocked: Some(true),
                custom_attributes: merge(json!({"b": {"x": null}, "c": []})),
                ..blank()
            },
        )
        .await;

    let mut expected = before.clone();
    expected.contact.version = Version(2);
    expected.contact.phone_number = after.contact.phone_number.clone();
    expected.contact.blocked = true;
    expected.contact.custom_attributes = map(json!({"a": 1, "b": {"x": null}, "c": []})).into();
    assert_eq!(after, expected);
    assert_eq!(after.contact.identity(IdentityKind::PhoneNumber), Some("+4912345"));
    assert_eq!(acme.read(before.contact.id).await, after);
}

pub(crate) async fn an_update_can_empty_what_may_be_empty(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let full = ContactPatch {
        first_name: text("Anna"),
        last_name: text("Li"),
        email: email("anna@example.com"),
        phone_number: phone("+4912345"),
        identifier: identifier("u-1"),
        thumbnail: Some("https://example.com".to_owned()),
        last_activity_at: Patch::Set(UnixSeconds(1)),
        custom_attributes: merge(json!({"b": 1})),
        additional_attributes: merge(json!({"city": "Ulm"})),
        ..named("Anna")
    };
    let id = acme.create(full).await.contact.id;
    let after = acme
        .update(
            id,
            ContactPatch {
                first_name: Patch::Clear,
                last_name: Patch::Clear,
                email: Patch::Clear,
                phone_number: Patch::Clear,
                identifier: Patch::Clear,
                thumbnail: Some(String::new()),
                last_activity_at: Patch::Clear,
                custom_attributes: merge(json!({"b": null})),
                additional_attributes: merge(json!({"city": null})),
                ..named("")
            },
        )
        .await
        .contact;
    let blank = acme.create(blank()).await.contact;
    assert_eq!(
        after,
        meishi_contacts::Contact { id, version: Version(2), ..blank },
        "an emptied contact is a blank one"
    );
    assert_eq!(acme.owner(IdentityKind::Email, "anna@example.com").await, None);
    assert_eq!(acme.counts().await, (2, 0));
}

pub(crate) async fn a_merge_patch_goes_deep_and_clear_empties_the_map(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(with_custom(json!({"a": {"x": 1, "y": 2}, "b": 1}))).await.contact.id;
    let patch = ContactPatch {
        custom_attributes: merge_patch(json!({"a": {"x": null, "z": {"w": null}}})),
        ..blank()
    };
    let after = acme.update(id, patch).await.contact;
    assert_eq!(after.custom_attributes.to_map(), map(json!({"a": {"y": 2, "z": {}}, "b": 1})));
    let clear = ContactPatch {
        custom_attributes: meishi_contacts::AttributesPatch::Replace(serde_json::Map::new()),
        ..blank()
    };
    assert!(acme.update(id, clear).await.contact.custom_attributes.is_empty());
    assert!(acme.read(id).await.contact.custom_attributes.is_empty());
}

pub(crate) async fn an_update_that_changes_nothing_writes_nothing(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let fields = ContactPatch {
        email: email("anna@example.com"),
        custom_attributes: merge(json!({"a": {"x": 1}})),
        created_at: Some(UnixSeconds(7)),
        ..named("Anna")
    };
    let anna = acme.create_linked("anna", fields.clone()).await;
    let before = acme.state().await;
    let same_in_other_words = ContactPatch {
        email: email(" ANNA@example.com "),
        phone_number: Patch::Clear,
        thumbnail: Some(String::new()),
        availability_status: Some(Availability::Offline),
        additional_attributes: merge(json!({"never": null})),
        custom_attributes: merge_patch(json!({"a": {"x": 1, "y": null}})),
        ..fields.clone()
    };
    for patch in [blank(), fields, same_in_other_words, with_custom(json!({}))] {
        assert_eq!(acme.update(anna.contact.id, patch).await, anna);
    }
    assert_eq!(acme.state().await, before);
}

pub(crate) async fn an_event_tells_what_each_field_and_member_was_and_is(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let fields = ContactPatch {
        email: email("anna@example.com"),
        custom_attributes: merge(json!({"gone": "x", "kept": 1, "other": [1]})),
        ..blank()
    };
    let id = acme.create(fields).await.contact.id;
    let before = acme.last_seq().await;
    acme.update(
        id,
        ContactPatch {
            email: Patch::Clear,
            availability_status: Some(Availability::Online),
            created_at: Some(UnixSeconds(7)),
            custom_attributes: merge_patch(json!({"gone": null, "kept": 1, "other": 2, "new": {}})),
            ..named("Anna")
        },
    )
    .await;
    let member = |key: &str, before: Option<Value>, after: Option<Value>| FieldChange {
        field: Field::CustomAttributes,
        key: Some(key.to_owned()),
        before,
        after,
    };
    let events = acme.events_after(before).await;
    assert_eq!(events.len(), 1);
    assert_eq!(
        events[0].body,
        EventBody::ContactUpdated {
            id,
            version: Version(2),
            changes: vec![
                FieldChange::of(Field::Email, "anna@example.com", Value::Null),
                FieldChange::of(Field::Name, "", "Anna"),
                FieldChange::of(Field::AvailabilityStatus, "offline", "online"),
                member("gone", Some(json!("x")), None),
                member("other", Some(json!([1])), Some(json!(2))),
                member("new", None, Some(json!({}))),
                FieldChange::of(Field::CreatedAt, super::fields::NOON.seconds().0, 7),
            ],
        }
    );
}

pub(crate) async fn every_update_raises_the_version_by_one(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(blank()).await.contact.id;
    for version in 2..6 {
        let updated = acme.update(id, named(&format!("name {version}"))).await.contact;
        assert_eq!(updated.version, Version(version));
    }
    assert_eq!(acme.read(id).await.contact.version, Version(5));
}

pub(crate) async fn an_address_that_is_replaced_is_free_and_the_new_one_taken(
    store: Arc<dyn Store>,
) {
    let acme = Tenant::new(&store, "Acme").await;
    let anna = acme.create(with_email("old@example.com")).await.contact.id;
    acme.update(anna, with_email("new@example.com")).await;
    assert_eq!(acme.owner(IdentityKind::Email, "old@example.com").await, None);
    assert_eq!(acme.owner(IdentityKind::Email, "new@example.com").await, Some(anna));
    let refused = acme.change(create(with_email("new@example.com"))).await;
    assert_eq!(refused, Err(ChangeError::Faults(vec![Fault::taken("email", anna)])));
    acme.create(with_email("old@example.com")).await;
}

pub(crate) async fn an_address_can_go_from_one_contact_to_another_in_one_call(
    store: Arc<dyn Store>,
) {
    let acme = Tenant::new(&store, "Acme").await;
    let anna = acme.create(with_email("anna@example.com")).await.contact.id;
    let bob = acme.create(with_email("bob@example.com")).await.contact.id;
    let swap = vec![
        update(anna, ContactPatch { email: Patch::Clear, ..blank() }),
        update(bob, with_email("anna@example.com")),
        update(anna, with_email("bob@example.com")),
    ];
    let applied = acme.apply(acme.cx(), swap, true).await;
    assert!(applied.results.iter().all(Result::is_ok), "{applied:?}");
    assert_eq!(acme.owner(IdentityKind::Email, "anna@example.com").await, Some(bob));
    assert_eq!(acme.owner(IdentityKind::Email, "bob@example.com").await, Some(anna));
}

pub(crate) async fn a_contacts_own_addresses_are_no_conflict(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let fields = ContactPatch {
        email: email("anna@example.com"),
        phone_number: phone("+4912345"),
        identifier: identifier("u-1"),
        ..blank()
    };
    let id = acme.create(fields.clone()).await.contact.id;
    let again = ContactPatch { name: Some("Anna".to_owned()), ..fields };
    assert_eq!(acme.update(id, again).await.contact.name, "Anna");
}

pub(crate) async fn what_others_hold_is_told_all_at_once_and_the_contact_stays(
    store: Arc<dyn Store>,
) {
    let acme = Tenant::new(&store, "Acme").await;
    let phones = acme.create(ContactPatch { phone_number: phone("+4912345"), ..blank() }).await;
    let emails = acme.create(with_email("anna@example.com")).await;
    let identifiers = acme.create(ContactPatch { identifier: identifier("u"), ..blank() }).await;
    let id = acme.create(named("Anna")).await.contact.id;
    let before = acme.state().await;
    let patch = ContactPatch {
        name: Some("Not Anna".to_owned()),
        email: email("anna@example.com"),
        phone_number: phone("+4912345"),
        identifier: identifier("u"),
        ..blank()
    };
    let taken = vec![
        Fault::taken("email", emails.contact.id),
        Fault::taken("identifier", identifiers.contact.id),
        Fault::taken("phone_number", phones.contact.id),
    ];
    assert_eq!(acme.change(update(id, patch)).await, Err(ChangeError::Faults(taken)));
    assert_eq!(acme.state().await, before);
}

pub(crate) async fn attributes_that_grow_beyond_their_limit_are_refused_whole(
    store: Arc<dyn Store>,
) {
    let acme = Tenant::new(&store, "Acme").await;
    let most = "x".repeat(ATTRIBUTES_BYTES - 10);
    let id = acme.create(with_custom(json!({"k": most}))).await.contact.id;
    let before = acme.state().await;
    let patch = ContactPatch {
        email: email("anna@example.com"),
        additional_attributes: merge(json!({"city": "Ulm"})),
        ..named("Anna")
    };
    let refused = acme.change(update(id, patch)).await;
    let Err(ChangeError::Faults(faults)) = refused else { panic!("{refused:?}") };
    let told: Vec<_> = faults.iter().map(|f| (f.attribute.as_str(), f.code)).collect();
    assert_eq!(told, [("additional_attributes", FaultCode::LimitExceeded)]);
    assert_eq!(acme.state().await, before);
    assert_eq!(acme.owner(IdentityKind::Email, "anna@example.com").await, None);
    // What does not touch the maps is not held up by their size.
    assert_eq!(acme.update(id, named("Anna")).await.contact.version, Version(2));
}

pub(crate) async fn a_name_is_derived_anew_with_the_stored_part_standing_in(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let fields = ContactPatch { first_name: text("Ada"), last_name: text("Byron"), ..blank() };
    let id = acme.create(fields).await.contact.id;
    let married = ContactPatch { last_name: text("Lovelace"), ..blank() };
    assert_eq!(acme.update(id, married).await.contact.name, "Ada Lovelace");
    let mononym = ContactPatch { last_name: Patch::Clear, ..blank() };
    assert_eq!(acme.update(id, mononym).await.contact.name, "Ada");
    let titled = ContactPatch { last_name: text("King"), ..named("Countess") };
    assert_eq!(acme.update(id, titled).await.contact.name, "Countess");
}

pub(crate) async fn a_contact_becomes_resolved_and_unresolved_again(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(blank()).await.contact.id;
    acme.update(id, with_email("anna@example.com")).await;
    assert_eq!(acme.counts().await, (1, 1));
    acme.update(id, ContactPatch { phone_number: phone("+4912345"), ..blank() }).await;
    assert_eq!(acme.counts().await, (1, 1));
    let none = ContactPatch { email: Patch::Clear, phone_number: Patch::Clear, ..blank() };
    acme.update(id, none).await;
    assert_eq!(acme.counts().await, (1, 0));
}

pub(crate) async fn a_contact_that_is_not_the_accounts_is_not_found(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    let theirs = globex.create(named("Theirs")).await;
    let before = (acme.state().await, globex.state().await);
    for id in [theirs.contact.id, ContactId(0), ContactId(i64::MAX)] {
        let refused: Result<Outcome, _> = acme.change(update(id, named("Ours"))).await;
        assert_eq!(refused, Err(ChangeError::NotFound(Missing::Contact)));
    }
    assert_eq!((acme.state().await, globex.state().await), before);
}

pub(crate) async fn contacts_of_the_same_number_in_two_accounts_are_two(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    let ours = acme.create(with_email("anna@example.com")).await.contact.id;
    let theirs = globex.create(with_email("anna@example.com")).await;
    assert_eq!(ours, theirs.contact.id);
    acme.update(ours, with_email("new@example.com")).await;
    assert_eq!(globex.read(ours).await, theirs);
    assert_eq!(globex.owner(IdentityKind::Email, "anna@example.com").await, Some(ours));
}

pub(crate) async fn a_patch_with_faults_changes_nothing_and_its_faults_are_told_with_the_stores_own(
    store: Arc<dyn Store>,
) {
    let acme = Tenant::new(&store, "Acme").await;
    let other = acme.create(with_email("taken@example.com")).await;
    let anna = acme.create(named("Anna")).await;
    let before = acme.state().await;
    let fault = Fault::invalid("phone_number", "should be in e164 format");
    let faulty = ContactPatch { faults: vec![fault.clone()], ..with_email("taken@example.com") };
    let told = ChangeError::Faults(vec![Fault::taken("email", other.contact.id), fault.clone()]);

    let updated = acme.change(update(anna.contact.id, faulty.clone())).await;
    assert_eq!(updated, Err(told.clone()));
    assert_eq!(acme.change(create(faulty)).await, Err(told));
    let alone = ContactPatch { faults: vec![fault.clone()], ..named("Bob") };
    let updated = acme.change(update(anna.contact.id, alone.clone())).await;
    assert_eq!(updated, Err(ChangeError::Faults(vec![fault])));
    let nobody = acme.change(update(ContactId(99), alone)).await;
    assert_eq!(nobody, Err(ChangeError::NotFound(Missing::Contact)));
    assert_eq!(acme.state().await, before);
}
