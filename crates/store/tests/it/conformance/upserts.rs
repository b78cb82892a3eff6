//! `UpsertContact`: a contact is found by its addresses, or made.

use std::sync::Arc;

use meishi_contacts::{
    ContactId, ContactPatch, EventBody, Fault, FaultCode, Field, FieldPath, IdentityKind,
    NewContact, NewLink, Patch, Version,
};
use meishi_store::{Change, ChangeError, Context, Missing, Outcome, Store, Upserted};
use serde_json::json;

use super::{
    fields::{
        blank, create, custom, delete, email, identifier, merge, named, phone, revert, source,
        update, upsert, with_custom, with_email,
    },
    tenant::{Tenant, card_of},
};

async fn upserted(tenant: &Tenant, change: Change) -> Upserted {
    match tenant.change(change).await {
        Ok(Outcome::ContactUpserted(upserted)) => *upserted,
        other => panic!("not upserted: {other:?}"),
    }
}

fn addresses(id: &str, address: &str, number: &str) -> ContactPatch {
    ContactPatch {
        identifier: identifier(id),
        email: email(address),
        phone_number: phone(number),
        ..blank()
    }
}

fn paths(fields: &[Field]) -> Vec<FieldPath> {
    fields.iter().map(|field| (*field).into()).collect()
}

pub(crate) async fn a_contact_that_is_not_there_is_made_with_its_link(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let fields = ContactPatch {
        name: Some("Anna".into()),
        custom_attributes: merge(json!({"plan": "gold"})),
        ..addresses("u1", "a@example.com", "+4911")
    };
    let link = NewLink { inbox_id: acme.inbox.id, source_id: Some(source("anna")) };
    let new = NewContact { fields, link: Some(link) };
    let change = |new: &NewContact| Change::UpsertContact {
        new: Box::new(new.clone()),
        lacks: Vec::new(),
        only_create: true,
    };
    let before = acme.last_seq().await;
    let made = upserted(&acme, change(&new)).await;
    assert_eq!(made.matched_by, None);
    let sent = [Field::Email, Field::Identifier, Field::PhoneNumber, Field::Name];
    assert_eq!(made.changed, [paths(&sent), vec![custom("plan")]].concat());
    assert_eq!((&made.unchanged, &made.refused), (&vec![], &vec![]));
    assert_eq!(acme.read(made.record.contact.id).await, made.record);
    assert_eq!(made.record.contact_inboxes.len(), 1);
    let events = acme.events_after(before).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].body, EventBody::ContactCreated(card_of(&made.record)));
    // With `only_create` it is not touched any more.
    let again = acme.change(change(&new)).await;
    let id = made.record.contact.id;
    assert_eq!(again, Err(ChangeError::Stale { id, current: Version(1) }));
}

pub(crate) async fn identifier_comes_before_email_and_email_before_phone(store: Arc<dyn Store>) {
    use IdentityKind::{Email, Identifier, PhoneNumber};

    let acme = Tenant::new(&store, "Acme").await;
    let all = addresses("u1", "a@example.com", "+4911");
    let id = acme.create(all.clone()).await.contact.id;
    let without = |kinds: &[IdentityKind]| {
        let mut patch = named("Anna");
        for kind in kinds {
            match kind {
                IdentityKind::Identifier => patch.identifier = all.identifier.clone(),
                IdentityKind::Email => patch.email = all.email.clone(),
                IdentityKind::PhoneNumber => patch.phone_number = all.phone_number.clone(),
            }
        }
        patch
    };
    for (sent, by) in [
        (vec![PhoneNumber], PhoneNumber),
        (vec![PhoneNumber, Email], Email),
        (vec![PhoneNumber, Email, Identifier], Identifier),
        (vec![PhoneNumber, Identifier], Identifier),
    ] {
        let found = upserted(&acme, upsert(without(&sent))).await;
        assert_eq!((found.matched_by, found.record.contact.id), (Some(by), id));
    }
    assert_eq!(acme.counts().await, (1, 1));
}

pub(crate) async fn without_an_address_there_is_always_a_new_contact(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    for _ in 0..2 {
        assert_eq!(upserted(&acme, upsert(named("Anna"))).await.matched_by, None);
    }
    assert_eq!(acme.counts().await, (2, 0));
}

pub(crate) async fn it_says_what_changed_what_did_not_and_what_was_not_taken(
    store: Arc<dyn Store>,
) {
    let acme = Tenant::new(&store, "Acme").await;
    let held = ContactPatch {
        name: Some("Anna".into()),
        email: email("a@example.com"),
        phone_number: phone("+4911"),
        custom_attributes: merge(json!({"plan": "gold", "seats": 3})),
        ..blank()
    };
    let id = acme.create(held).await.contact.id;
    let before = acme.last_seq().await;
    let sent = ContactPatch {
        name: Some("Anna".into()),
        custom_attributes: merge(json!({"plan": "gold", "seats": 4, "new": 1})),
        blocked: Some(true),
        ..addresses("u1", "a@example.com", "+4999")
    };
    let found = upserted(&acme, upsert(sent.clone())).await;
    let changed = [Field::Identifier, Field::Blocked];
    assert_eq!(found.changed, [paths(&changed), vec![custom("seats"), custom("new")]].concat());
    let unchanged = [Field::Email, Field::Name];
    assert_eq!(found.unchanged, [paths(&unchanged), vec![custom("plan")]].concat());
    assert_eq!(found.refused, paths(&[Field::PhoneNumber]));
    assert_eq!(found.record, acme.read(id).await);
    assert_eq!(acme.owner(IdentityKind::PhoneNumber, "+4999").await, None);
    assert_eq!(acme.last_seq().await.0, before.0 + 1);
    // The same again changes nothing and writes nothing; and what it holds is never taken away.
    let before = acme.state().await;
    let again = upserted(&acme, upsert(sent)).await;
    assert_eq!((again.changed, again.unchanged.len()), (vec![], 7));
    let clear = ContactPatch { phone_number: Patch::Clear, ..with_email("a@example.com") };
    assert_eq!(upserted(&acme, upsert(clear)).await.refused, paths(&[Field::PhoneNumber]));
    assert_eq!(acme.state().await, before);
}

pub(crate) async fn addresses_of_two_contacts_are_refused_and_both_are_named(
    store: Arc<dyn Store>,
) {
    let acme = Tenant::new(&store, "Acme").await;
    let anna = acme.create(with_email("a@example.com")).await.contact.id;
    let bob = acme.create(addresses("u2", "b@example.com", "+4922")).await.contact.id;
    let before = acme.state().await;
    let refused = acme.change(upsert(addresses("u2", "a@example.com", "+4922"))).await;
    let matches = vec![
        (IdentityKind::Identifier, bob),
        (IdentityKind::Email, anna),
        (IdentityKind::PhoneNumber, bob),
    ];
    assert_eq!(refused, Err(ChangeError::Ambiguous { matches }));
    assert_eq!(acme.state().await, before);
}

pub(crate) async fn what_a_creation_lacks_is_no_fault_of_an_update(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let lack = Fault::new("inbox_id", FaultCode::Blank, "Inbox can't be blank");
    let change = |fields: ContactPatch| Change::UpsertContact {
        new: Box::new(NewContact { fields, link: None }),
        lacks: vec![lack.clone()],
        only_create: false,
    };
    let before = acme.state().await;
    let refused = acme.change(change(with_email("a@example.com"))).await;
    assert_eq!(refused, Err(ChangeError::Faults(vec![lack.clone()])));
    assert_eq!(acme.state().await, before);
    let id = acme.create(with_email("a@example.com")).await.contact.id;
    let found = upserted(&acme, change(with_email("a@example.com"))).await;
    assert_eq!(found.record.contact.id, id);
    // Faults of the fields come before the question which contact it is.
    let fault = Fault::invalid("name", "is no name");
    let faulty = ContactPatch { faults: vec![fault.clone()], ..with_email("a@example.com") };
    assert_eq!(acme.change(upsert(faulty)).await, Err(ChangeError::Faults(vec![fault])));
}

pub(crate) async fn a_version_that_is_expected_is_that_of_the_contact_that_is_found(
    store: Arc<dyn Store>,
) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(with_email("a@example.com")).await.contact.id;
    let if_match = |version| Context { precondition: Some(Version(version).into()), ..acme.cx() };
    let sent = || upsert(ContactPatch { name: Some("A".into()), ..with_email("a@example.com") });
    let stale = acme.change_as(if_match(2), sent()).await;
    assert_eq!(stale, Err(ChangeError::Stale { id, current: Version(1) }));
    acme.change_as(if_match(1), sent()).await.unwrap();
    let missing = acme.change_as(if_match(1), upsert(with_email("b@example.com"))).await;
    assert_eq!(missing, Err(ChangeError::NotFound(Missing::Contact)));
    assert_eq!(acme.counts().await, (1, 1));
}

pub(crate) async fn it_finds_what_changes_before_it_in_the_call_left(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let first = acme.create(with_email("a@example.com")).await.contact.id;
    let second = acme.create(with_custom(json!({"plan": "gold"}))).await.contact.id;
    let gone = acme.create(with_email("g@example.com")).await.contact.id;
    acme.delete(gone).await;
    let deletion = acme.last_seq().await;
    let made = ContactId(gone.0 + 1);
    let none = || ContactPatch { email: Patch::Clear, ..blank() };
    let changes = vec![
        // Made, and found.
        create(with_email("n@example.com")),
        upsert(with_email("n@example.com")),
        // Moved to another, which is found with what it holds.
        update(first, none()),
        update(second, with_email("a@example.com")),
        upsert(ContactPatch { blocked: Some(true), ..with_email("a@example.com") }),
        // Given up: a new one is made.
        update(second, none()),
        upsert(with_email("a@example.com")),
        // Made by an upsert, and found by the next.
        upsert(addresses("u9", "z@example.com", "+4999")),
        upsert(addresses("u9", "z@example.com", "+4999")),
        // Brought back.
        revert(gone, deletion),
        upsert(with_email("g@example.com")),
        // Gone.
        delete(made),
        upsert(with_email("n@example.com")),
    ];
    let applied = acme.apply(acme.cx(), changes, true).await;
    let found: Vec<_> = applied
        .results
        .iter()
        .filter_map(|result| match result.as_ref().unwrap() {
            Outcome::ContactUpserted(upserted) => {
                Some((upserted.record.contact.id, upserted.matched_by))
            }
            _ => None,
        })
        .collect();
    let (email, number) = (Some(IdentityKind::Email), |beyond| ContactId(made.0 + beyond));
    let expected = [
        (made, email),
        (second, email),
        (number(1), None),
        (number(2), None),
        (number(2), Some(IdentityKind::Identifier)),
        (gone, email),
        (number(3), None),
    ];
    assert_eq!(found, expected);
    let second = acme.read(second).await.contact;
    assert_eq!((second.blocked, second.custom_attributes.as_json()), (true, r#"{"plan":"gold"}"#));
}

pub(crate) async fn upserts_of_one_address_at_once_make_one_contact(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let calls = (0..40).map(|number: i32| {
        let members = merge(json!({ format!("k{number}"): number }));
        let fields = ContactPatch {
            custom_attributes: members,
            ..addresses("u1", "a@example.com", "+4911")
        };
        acme.change(upsert(fields))
    });
    let answers = futures::future::join_all(calls).await;
    let created = answers.iter().filter(|answer| match answer {
        Ok(Outcome::ContactUpserted(upserted)) => upserted.matched_by.is_none(),
        other => panic!("{other:?}"),
    });
    assert_eq!(created.count(), 1);
    assert_eq!(acme.counts().await, (1, 1));
    assert_eq!(acme.snapshot().await[0].custom_attributes.to_map().len(), 40);
}
