//! `RevertContact`: an event is undone by another one.

use std::sync::Arc;

use meishi_contacts::{
    AttributesPatch, Availability, ContactId, ContactPatch, EventBody, Fault, FaultCode, Field,
    FieldChange, FieldPath, IdentityKind, Label, Patch, Seq, UnixSeconds, Version,
    limits::ATTRIBUTES_BYTES,
};
use meishi_store::{Change, ChangeError, Context, Missing, Store};
use serde_json::json;

use super::{
    fields::{
        blank, create, custom, delete, email, identifier, inbox_as, map, merge, named, phone,
        revert, revert_only, set_labels, text, update, with_custom, with_email,
    },
    tenant::{Tenant, card_of},
};

/// What a refusal says of which field.
fn refusal(result: Result<meishi_store::Outcome, ChangeError>) -> (String, String) {
    match result {
        Err(ChangeError::Faults(faults)) => {
            assert_eq!((faults.len(), faults[0].code), (1, FaultCode::Invalid));
            (faults[0].attribute.clone(), faults[0].message.clone())
        }
        other => panic!("not refused: {other:?}"),
    }
}

fn everything() -> ContactPatch {
    ContactPatch {
        name: Some("Anna".to_owned()),
        first_name: text("A"),
        last_name: text("B"),
        email: email("anna@example.com"),
        phone_number: phone("+4911"),
        identifier: identifier("u1"),
        thumbnail: Some("https://example.com/a.png".to_owned()),
        availability_status: Some(Availability::Online),
        blocked: Some(true),
        additional_attributes: merge(json!({"city": "Bonn", "deep": {"a": [1, null]}})),
        custom_attributes: merge(json!({"plan": "gold", "empty": ""})),
        last_activity_at: Patch::Set(UnixSeconds(5)),
        created_at: Some(UnixSeconds(6)),
        ..blank()
    }
}

pub(crate) async fn every_field_can_be_given_back(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create_linked("anna", with_custom(json!({"plan": "free"}))).await.contact.id;
    let before = acme.read(id).await;
    acme.update(id, everything()).await;
    let changed = acme.read(id).await;
    let seq = acme.last_seq().await;
    let told = acme.events_after(Seq(seq.0 - 1)).await.remove(0).body;
    let EventBody::ContactUpdated { changes, .. } = told else { panic!("{told:?}") };
    assert_eq!(changes.len(), 15);

    let reverted = acme.reverted(revert(id, seq)).await;
    let mut expected = before.clone();
    expected.contact.version = Version(3);
    assert_eq!(reverted, expected);
    assert_eq!(acme.read(id).await, expected);
    assert_eq!(acme.owner(IdentityKind::Email, "anna@example.com").await, None);
    // The same the other way round, from nothing to something.
    let back = acme.reverted(revert(id, acme.last_seq().await)).await;
    let mut expected = changed;
    expected.contact.version = Version(4);
    assert_eq!(back, expected);
    assert_eq!(acme.owner(IdentityKind::Identifier, "u1").await, Some(id));
    assert_eq!(acme.counts().await, (1, 1));
}

pub(crate) async fn one_field_or_attribute_is_given_back_and_the_others_stay(
    store: Arc<dyn Store>,
) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(with_custom(json!({"plan": "free"}))).await.contact.id;
    acme.update(id, everything()).await;
    let seq = acme.last_seq().await;
    let changed = acme.read(id).await.contact;
    acme.reverted(revert_only(id, seq, custom("plan"))).await;
    acme.reverted(revert_only(id, seq, custom("empty"))).await;
    acme.reverted(revert_only(id, seq, Field::PhoneNumber)).await;
    let now = acme.read(id).await.contact;
    assert_eq!(now.custom_attributes.as_json(), r#"{"plan":"free"}"#);
    assert_eq!((now.phone_number, now.email), (None, changed.email));
    assert_eq!((now.name, now.version), (changed.name, Version(5)));
    let events = acme.events_after(seq).await;
    let EventBody::ContactUpdated { changes, .. } = &events[1].body else { panic!("{events:?}") };
    let member = Some("empty".to_owned());
    let field = Field::CustomAttributes;
    let removed = FieldChange { field, key: member, before: Some(json!("")), after: None };
    assert_eq!(*changes, [removed]);
    for only in [FieldPath::from(Field::Labels), Field::CustomAttributes.into(), custom("other")] {
        let (field, message) = refusal(acme.change(revert_only(id, seq, only)).await);
        assert_eq!(field, "field");
        assert!(message.contains("not changed by that event"), "{message}");
    }
}

pub(crate) async fn what_was_changed_since_stands_in_the_way_and_is_named(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(named("One")).await.contact.id;
    let two = ContactPatch { custom_attributes: merge(json!({"a": 1, "b": 2})), ..named("Two") };
    acme.update(id, ContactPatch { blocked: Some(true), ..two }).await;
    let seq = acme.last_seq().await;
    let three =
        ContactPatch { custom_attributes: merge(json!({"a": 9, "b": 2})), ..named("Three") };
    acme.update(id, three).await;
    let before = acme.state().await;
    let conflict = acme.change(revert(id, seq)).await;
    let name = FieldChange::of(Field::Name, "Two", "Three");
    let a = FieldChange {
        field: Field::CustomAttributes,
        key: Some("a".into()),
        before: Some(json!(1)),
        after: Some(json!(9)),
    };
    assert_eq!(conflict, Err(ChangeError::RevertConflict { id, fields: vec![name.clone(), a] }));
    let conflict = acme.change(revert_only(id, seq, Field::Name)).await;
    assert_eq!(conflict, Err(ChangeError::RevertConflict { id, fields: vec![name] }));
    assert_eq!(acme.state().await, before);
    // What nobody touched since can be undone all the same.
    acme.reverted(revert_only(id, seq, Field::Blocked)).await;
    let contact = acme.reverted(revert_only(id, seq, custom("b"))).await.contact;
    assert_eq!((contact.blocked, contact.custom_attributes.as_json()), (false, r#"{"a":9}"#));
}

pub(crate) async fn what_is_as_it_was_is_not_undone_again(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(named("One")).await.contact.id;
    acme.update(id, with_email("a@example.com")).await;
    let seq = acme.last_seq().await;
    acme.update(id, ContactPatch { email: Patch::Clear, ..blank() }).await;
    let before = acme.state().await;
    let record = acme.reverted(revert(id, seq)).await;
    assert_eq!(record, acme.read(id).await);
    assert_eq!(acme.state().await, before);
}

pub(crate) async fn labels_are_given_back_as_a_whole(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(named("Anna")).await.contact.id;
    acme.set_labels(id, &["a", "b"]).await;
    acme.set_labels(id, &["b", "c", "d"]).await;
    let seq = acme.last_seq().await;
    let contact = acme.reverted(revert(id, seq)).await.contact;
    let labels: Vec<_> = contact.labels.iter().map(Label::as_str).collect();
    assert_eq!(labels, ["a", "b"]);
    assert_eq!(acme.read(id).await.contact, contact);
    acme.set_labels(id, &["e"]).await;
    let conflict = acme.change(revert(id, seq)).await;
    let labels = FieldChange::of(Field::Labels, json!(["b", "c", "d"]), json!(["e"]));
    assert_eq!(conflict, Err(ChangeError::RevertConflict { id, fields: vec![labels] }));
}

pub(crate) async fn an_address_that_another_took_is_not_given_back(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let both = ContactPatch { identifier: identifier("u1"), ..with_email("a@example.com") };
    let id = acme.create(both).await.contact.id;
    let none = ContactPatch { email: Patch::Clear, identifier: Patch::Clear, ..blank() };
    acme.update(id, none).await;
    let seq = acme.last_seq().await;
    let other = acme.create(with_email("a@example.com")).await.contact.id;
    let before = acme.state().await;
    let taken = Err(ChangeError::Faults(vec![Fault::taken("email", other)]));
    assert_eq!(acme.change(revert(id, seq)).await, taken);
    assert_eq!(acme.state().await, before);
    let contact = acme.reverted(revert_only(id, seq, Field::Identifier)).await.contact;
    assert_eq!((contact.email, contact.identifier.is_some()), (None, true));
    // Given up and undone in one call, and the other way round.
    let changes = vec![delete(other), revert_only(id, seq, Field::Email)];
    let applied = acme.apply(acme.cx(), changes, true).await;
    assert!(applied.results.iter().all(Result::is_ok), "{applied:?}");
    assert_eq!(acme.owner(IdentityKind::Email, "a@example.com").await, Some(id));
}

pub(crate) async fn attributes_cannot_grow_beyond_their_limit_by_undoing(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let half = "x".repeat(ATTRIBUTES_BYTES / 2);
    let id = acme.create(with_custom(json!({"a": half}))).await.contact.id;
    let gone = AttributesPatch::MergePatch(map(json!({"a": null})));
    acme.update(id, ContactPatch { custom_attributes: gone, ..blank() }).await;
    let seq = acme.last_seq().await;
    acme.update(id, ContactPatch { additional_attributes: merge(json!({"b": half})), ..blank() })
        .await;
    let before = acme.state().await;
    let refused = acme.change(revert(id, seq)).await;
    let Err(ChangeError::Faults(faults)) = refused else { panic!("{refused:?}") };
    assert_eq!((faults.len(), faults[0].code), (1, FaultCode::LimitExceeded));
    assert_eq!(faults[0].attribute, "custom_attributes");
    assert_eq!(acme.state().await, before);
}

pub(crate) async fn a_deletion_is_undone_with_all_that_went(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let spare = acme.create_inbox(inbox_as(7, "Spare")).await;
    let id = acme.create_linked("anna", everything()).await.contact.id;
    let other = acme.create_in(spare.id, "other", named("Other")).await.contact.id;
    acme.set_labels(id, &["vip", "new"]).await;
    acme.set_labels(id, &["vip"]).await;
    let before = acme.read(id).await;
    acme.delete(id).await;
    let seq = acme.last_seq().await;
    assert_eq!(acme.counts().await, (1, 0));
    let mut expected = before;
    expected.contact.version = expected.contact.version.next();
    assert_eq!(acme.reverted(revert(id, seq)).await, expected);
    assert_eq!(acme.read(id).await, expected);
    assert_eq!(acme.counts().await, (2, 1));
    assert_eq!(acme.owner(IdentityKind::PhoneNumber, "+4911").await, Some(id));
    let told = acme.events_after(seq).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].body, EventBody::ContactRestored(card_of(&expected)));
    // Once more is no error, and nothing happens; its id was not given to another.
    assert_eq!(acme.reverted(revert(id, seq)).await, expected);
    assert_eq!(acme.last_seq().await, Seq(seq.0 + 1));
    assert_eq!(acme.create(blank()).await.contact.id, ContactId(other.0 + 1));
    acme.update(id, named("Anne")).await;
    acme.delete(id).await;
}

pub(crate) async fn a_contact_comes_back_without_the_links_whose_channels_are_gone(
    store: Arc<dyn Store>,
) {
    let acme = Tenant::new(&store, "Acme").await;
    let spare = acme.create_inbox(inbox_as(7, "Spare")).await;
    let id = acme.create_in(spare.id, "anna", named("Anna")).await.contact.id;
    acme.delete(id).await;
    let seq = acme.last_seq().await;
    acme.change(Change::DeleteInbox { id: spare.id, force: false }).await.unwrap();
    let record = acme.reverted(revert(id, seq)).await;
    assert_eq!(record.contact_inboxes, []);
    assert_eq!(acme.read(id).await, record);
}

pub(crate) async fn what_was_taken_meanwhile_keeps_a_contact_from_coming_back(
    store: Arc<dyn Store>,
) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create_linked("anna", with_email("anna@example.com")).await.contact.id;
    acme.delete(id).await;
    let seq = acme.last_seq().await;
    let by_email = acme.create(with_email("anna@example.com")).await.contact.id;
    let by_source = acme.create_linked("anna", named("Other")).await.contact.id;
    let before = acme.state().await;
    let taken = vec![Fault::taken("email", by_email), Fault::taken("source_id", by_source)];
    assert_eq!(acme.change(revert(id, seq)).await, Err(ChangeError::Faults(taken)));
    assert_eq!(acme.state().await, before);
    let changes = vec![delete(by_email), delete(by_source), revert(id, seq)];
    let applied = acme.apply(acme.cx(), changes, true).await;
    assert!(applied.results.iter().all(Result::is_ok), "{applied:?}");
}

pub(crate) async fn only_the_last_deletion_is_undone(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(named("One")).await.contact.id;
    acme.delete(id).await;
    let first = acme.last_seq().await;
    acme.reverted(revert(id, first)).await;
    acme.update(id, named("Two")).await;
    acme.delete(id).await;
    let (second, before) = (acme.last_seq().await, acme.state().await);
    let (field, message) = refusal(acme.change(revert(id, first)).await);
    assert_eq!(field, "seq");
    assert!(message.contains("last deletion"), "{message}");
    assert_eq!(acme.state().await, before);
    let contact = acme.reverted(revert(id, second)).await.contact;
    assert_eq!((contact.name.as_str(), contact.version), ("Two", Version(4)));
}

pub(crate) async fn what_is_no_change_of_the_contact_cannot_be_undone(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    let anna = acme.create(named("Anna")).await.contact.id; // 4
    let bob = acme.create(named("Bob")).await.contact.id; // 5
    acme.update(bob, named("Robert")).await; // 6
    acme.delete(bob).await; // 7
    acme.reverted(revert(bob, Seq(7))).await; // 8
    let before = acme.state().await;
    let creation = "is a creation; delete the contact instead";
    for (id, seq, why) in [
        (anna, 4, creation),
        (bob, 8, creation),
        (anna, 6, "is no event of this contact"),
        (anna, 7, "is no event of this contact"),
        (anna, 1, "is no event of this contact"),
        (anna, 99, "is no event of this contact"),
    ] {
        let (field, message) = refusal(acme.change(revert(id, Seq(seq))).await);
        assert_eq!(field, "seq");
        assert!(message.contains(why), "{message}");
    }
    let missing = Err(ChangeError::NotFound(Missing::Contact));
    assert_eq!(acme.change(revert(ContactId(9), Seq(4))).await, missing);
    assert_eq!(globex.change(revert(anna, Seq(4))).await, missing);
    acme.delete(anna).await;
    let seq = acme.last_seq().await;
    let (field, _) = refusal(acme.change(revert_only(anna, seq, Field::Name)).await);
    assert_eq!(field, "field");
    assert_ne!(acme.state().await, before);
}

pub(crate) async fn undoing_asks_for_the_version_too(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(named("One")).await.contact.id;
    acme.update(id, named("Two")).await;
    let seq = acme.last_seq().await;
    let if_match = |version| Context { precondition: Some(Version(version).into()), ..acme.cx() };
    let stale = acme.change_as(if_match(1), revert(id, seq)).await;
    assert_eq!(stale, Err(ChangeError::Stale { id, current: Version(2) }));
    acme.change_as(if_match(2), revert(id, seq)).await.unwrap();
    acme.delete(id).await;
    let gone = acme.last_seq().await;
    // A contact that is gone has no version.
    let missing = acme.change_as(if_match(3), revert(id, gone)).await;
    assert_eq!(missing, Err(ChangeError::NotFound(Missing::Contact)));
    // An update of one that is gone cannot be undone before it is back.
    let missing = acme.change(revert(id, seq)).await;
    assert_eq!(missing, Err(ChangeError::NotFound(Missing::Contact)));
}

pub(crate) async fn a_call_can_undo_what_it_did_itself(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create_linked("anna", everything()).await.contact.id; // 4
    acme.set_labels(id, &["b", "a"]).await; // 5, 6, 7
    let before = acme.read(id).await;
    let changes = vec![
        set_labels(id, &["c"]),                  // 8, 9
        update(id, with_email("b@example.com")), // 10
        revert(id, Seq(10)),                     // 11
        revert(id, Seq(9)),                      // 12
        delete(id),                              // 13
        revert(id, Seq(13)),                     // 14
        revert(id, Seq(14)),
        revert(id, Seq(15)),
    ];
    let applied = acme.apply(acme.cx(), changes, false).await;
    let done: Vec<bool> = applied.results.iter().map(Result::is_ok).collect();
    assert_eq!(done, [true, true, true, true, true, true, false, false]);
    let mut after = acme.read(id).await;
    assert_eq!(after.contact.version, Version(before.contact.version.0 + 5));
    after.contact.version = before.contact.version;
    assert_eq!(after, before);
    assert_eq!(acme.history(id).await, [14, 13, 12, 11, 10, 9, 7, 4]);
}

pub(crate) async fn a_call_that_fails_after_undoing_leaves_nothing(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create_linked("anna", everything()).await.contact.id;
    acme.set_labels(id, &["vip"]).await;
    acme.delete(id).await;
    let seq = acme.last_seq().await;
    let before = acme.state().await;
    let changes = vec![revert(id, seq), set_labels(id, &["new"]), delete(ContactId(404))];
    let applied = acme.apply(acme.cx(), changes, true).await;
    assert!(applied.results.iter().all(Result::is_err));
    assert_eq!(acme.state().await, before);
    // And one in which it comes back, changes and goes again is whole.
    let changes = vec![
        revert(id, seq),
        set_labels(id, &["new"]),
        update(id, with_email("b@example.com")),
        delete(id),
        create(everything()),
    ];
    let applied = acme.apply(acme.cx(), changes, true).await;
    assert!(applied.results.iter().all(Result::is_ok), "{applied:?}");
    assert_eq!(acme.history(id).await.len(), 7);
}
