//! Definitions of custom attributes: `Change::CreateAttribute`, `UpdateAttribute`,
//! `DeleteAttribute`, and what they let writes set.

use std::sync::Arc;

use meishi_contacts::{
    AttributeDefinition, AttributeId, AttributeMode, AttributePatch, AttributeType,
    AttributesPatch, ContactId, ContactPatch, EventBody, FaultCode, Field, FieldChange,
    NewAttribute, Patch, Seq, limits::ATTRIBUTES,
};
use meishi_store::{Change, ChangeError, Missing, Outcome, Store};
use serde_json::json;

use super::{
    fields::{
        NOON, blank, create, create_attribute, delete, email, enforced, map, revert, update,
        upsert, with_custom,
    },
    tenant::Tenant,
};

/// What a write that is refused says is wrong: where, and in which words.
fn refusal(result: Result<Outcome, ChangeError>) -> Vec<(String, String)> {
    let Err(ChangeError::Faults(faults)) = result else { panic!("not refused: {result:?}") };
    assert!(faults.iter().all(|fault| fault.code == FaultCode::Invalid));
    faults.into_iter().map(|fault| (fault.pointer, fault.message)).collect()
}

async fn made(acme: &Tenant, change: Change) -> AttributeDefinition {
    match acme.change(change).await {
        Ok(Outcome::AttributeCreated(definition)) => definition,
        other => panic!("{other:?}"),
    }
}

async fn custom_of(acme: &Tenant, id: ContactId) -> serde_json::Value {
    acme.read(id).await.contact.custom_attributes.to_map().into()
}

pub(crate) async fn an_attribute_is_defined_and_changed(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let fields = AttributePatch {
        name: Some("Plan".to_owned()),
        description: Patch::Set("what is paid for".to_owned()),
        kind: Some(AttributeType::List),
        values: Some(vec!["gold".to_owned(), "王".to_owned()]),
        mode: Some(AttributeMode::Enforce),
        ..AttributePatch::default()
    };
    let new = NewAttribute { key: "plan".to_owned(), fields };
    let plan = AttributeDefinition {
        id: AttributeId(1),
        key: "plan".to_owned(),
        name: "Plan".to_owned(),
        description: Some("what is paid for".to_owned()),
        kind: AttributeType::List,
        values: vec!["gold".to_owned(), "王".to_owned()],
        regex: None,
        hint: None,
        mode: AttributeMode::Enforce,
        created_at: NOON,
    };
    assert_eq!(made(&acme, Change::CreateAttribute(new)).await, plan);
    let zip = made(&acme, create_attribute("Zip", AttributePatch::default())).await;
    assert_eq!(
        (zip.id, zip.name.as_str(), zip.mode),
        (AttributeId(2), "Zip", AttributeMode::Observe)
    );
    assert_eq!(acme.attributes().await, [zip.clone(), plan.clone()]);

    let before = acme.last_seq().await;
    let patch = AttributePatch {
        kind: Some(AttributeType::Text),
        regex: Patch::Set("^x".to_owned()),
        hint: Patch::Set("an x".to_owned()),
        description: Patch::Clear,
        ..AttributePatch::default()
    };
    let after = AttributeDefinition {
        kind: AttributeType::Text,
        values: vec![],
        regex: Some("^x".to_owned()),
        hint: Some("an x".to_owned()),
        description: None,
        ..plan.clone()
    };
    // The second one changes nothing, and no event tells of it.
    for _ in 0..2 {
        let change = Change::UpdateAttribute { id: plan.id, patch: patch.clone() };
        assert_eq!(acme.change(change).await, Ok(Outcome::AttributeUpdated(after.clone())));
    }
    assert_eq!(store.attribute(acme.account, plan.id).await.unwrap(), Some(after.clone()));
    let changes = vec![
        FieldChange::of(Field::Description, "what is paid for", json!(null)),
        FieldChange::of(Field::Type, "list", "text"),
        FieldChange::of(Field::Values, json!(["gold", "王"]), json!([])),
        FieldChange::of(Field::Regex, json!(null), "^x"),
        FieldChange::of(Field::Hint, json!(null), "an x"),
    ];
    let key = plan.key.clone();
    acme.change(Change::DeleteAttribute { id: zip.id }).await.unwrap();
    let told: Vec<_> = acme.events_after(before).await.into_iter().map(|e| e.body).collect();
    let updated = EventBody::AttributeUpdated { id: plan.id, key, changes };
    assert_eq!(told, [updated, EventBody::AttributeDeleted(zip)]);
    assert_eq!(acme.attributes().await, [after]);
}

pub(crate) async fn a_key_is_one_definitions_and_stays_it(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    let plan = made(&acme, create_attribute("plan", AttributePatch::default())).await;
    // Case counts, and so does the account.
    made(&acme, create_attribute("Plan", AttributePatch::default())).await;
    made(&globex, create_attribute("plan", AttributePatch::default())).await;
    let before = acme.state().await;
    let again = acme.change(create_attribute("plan", AttributePatch::default())).await;
    let Err(ChangeError::Faults(faults)) = again else { panic!("{again:?}") };
    assert_eq!((faults[0].attribute.as_str(), faults[0].code), ("key", FaultCode::Taken));
    let key = |key: &str| AttributePatch { key: Some(key.to_owned()), ..AttributePatch::default() };
    let other = Change::UpdateAttribute { id: plan.id, patch: key("tier") };
    assert_eq!(refusal(acme.change(other).await)[0].0, "/key");
    let same = Change::UpdateAttribute { id: plan.id, patch: key("plan") };
    assert_eq!(acme.change(same).await, Ok(Outcome::AttributeUpdated(plan.clone())));
    let list = AttributePatch { kind: Some(AttributeType::List), ..AttributePatch::default() };
    let empty = acme.change(Change::UpdateAttribute { id: plan.id, patch: list }).await;
    let Err(ChangeError::Faults(faults)) = empty else { panic!("{empty:?}") };
    assert_eq!((faults[0].attribute.as_str(), faults[0].code), ("values", FaultCode::Blank));
    assert_eq!(acme.state().await, before);
    // One that is gone leaves its key and never its number, also in one call.
    let changes = vec![
        Change::DeleteAttribute { id: plan.id },
        create_attribute("plan", enforced(AttributeType::Number)),
    ];
    assert!(acme.apply(acme.cx(), changes, true).await.results.iter().all(Result::is_ok));
    let defined = acme.attributes().await;
    assert_eq!(defined.iter().map(|d| d.id.0).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(defined[1].kind, AttributeType::Number);
}

pub(crate) async fn an_account_has_so_many_definitions(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let define = |number| create_attribute(&format!("k{number}"), AttributePatch::default());
    let mut results =
        acme.apply(acme.cx(), (0..=ATTRIBUTES).map(define).collect(), false).await.results;
    let Some(Err(ChangeError::Faults(faults))) = results.pop() else { panic!("too many") };
    assert_eq!((faults[0].attribute.as_str(), faults[0].code), ("key", FaultCode::LimitExceeded));
    assert!(results.iter().all(Result::is_ok));
    // One that goes makes room for another.
    acme.change(Change::DeleteAttribute { id: AttributeId(1) }).await.unwrap();
    acme.change(define(1000)).await.unwrap();
    assert!(acme.change(define(1001)).await.is_err());
}

pub(crate) async fn what_does_not_fit_is_refused_where_it_is_enforced(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    acme.change(create_attribute("seats", enforced(AttributeType::Number))).await.unwrap();
    let observed = AttributePatch { mode: None, ..enforced(AttributeType::Date) };
    acme.change(create_attribute("since", observed)).await.unwrap();
    let fit = json!({ "seats": 5, "since": "whenever", "other": [1] });
    let id = acme.create(with_custom(fit.clone())).await.contact.id;
    assert_eq!(custom_of(&acme, id).await, fit);
    let before = acme.state().await;
    let refused = vec![(
        "/custom_attributes/seats".to_owned(),
        "Custom attributes seats (number) must be a number".to_owned(),
    )];
    let unfit = || with_custom(json!({ "seats": "many", "since": 1 }));
    let replaced = || {
        let custom_attributes = AttributesPatch::Replace(map(json!({ "seats": [] })));
        ContactPatch { custom_attributes, ..blank() }
    };
    for change in [
        create(unfit()),
        update(id, unfit()),
        update(id, replaced()),
        upsert(ContactPatch { email: email("x@x.test"), ..unfit() }),
    ] {
        assert_eq!(refusal(acme.change(change).await), refused);
    }
    assert_eq!(acme.state().await, before);
    // With everything else that is wrong, and nothing of a call that is to be done whole.
    acme.create(ContactPatch { email: email("a@x.test"), ..blank() }).await;
    let both = ContactPatch { email: email("a@x.test"), ..unfit() };
    let Err(ChangeError::Faults(faults)) = acme.change(update(id, both)).await else { panic!() };
    assert_eq!(faults.len(), 2);
    let changes = vec![update(id, with_custom(json!({ "other": 2 }))), update(id, unfit())];
    let results = acme.apply(acme.cx(), changes, true).await.results;
    assert_eq!(results[0], Err(ChangeError::Skipped));
    assert_eq!(custom_of(&acme, id).await, fit);
    // None is always allowed.
    acme.update(id, with_custom(json!({ "seats": null }))).await;
    assert_eq!(custom_of(&acme, id).await, json!({ "since": "whenever", "other": [1] }));
}

pub(crate) async fn what_is_there_never_makes_a_write_fail(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(with_custom(json!({ "seats": "many", "other": 1 }))).await.contact.id;
    acme.change(create_attribute("seats", enforced(AttributeType::Number))).await.unwrap();
    // Untouched, or said again as it is.
    acme.update(id, with_custom(json!({ "other": 2 }))).await;
    acme.update(id, with_custom(json!({ "seats": "many", "other": 3 }))).await;
    let again = AttributesPatch::Replace(map(json!({ "seats": "many" })));
    acme.update(id, ContactPatch { custom_attributes: again, ..blank() }).await;
    assert_eq!(custom_of(&acme, id).await, json!({ "seats": "many" }));
    let deep = ContactPatch {
        custom_attributes: AttributesPatch::MergePatch(map(json!({ "seats": { "a": 1 } }))),
        ..blank()
    };
    assert_eq!(refusal(acme.change(update(id, deep)).await).len(), 1);
    // A contact that was deleted comes back as it was.
    acme.change(delete(id)).await.unwrap();
    acme.change(revert(id, acme.last_seq().await)).await.unwrap();
    assert_eq!(custom_of(&acme, id).await, json!({ "seats": "many" }));
    // What is defined no more is not looked at any more, and no value went with it.
    let defined = acme.attributes().await.remove(0);
    acme.change(Change::DeleteAttribute { id: defined.id }).await.unwrap();
    assert_eq!(custom_of(&acme, id).await, json!({ "seats": "many" }));
    acme.update(id, with_custom(json!({ "seats": "few" }))).await;
}

pub(crate) async fn what_is_undone_has_to_fit(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(with_custom(json!({ "seats": "many" }))).await.contact.id;
    acme.update(id, with_custom(json!({ "seats": 5 }))).await;
    let seq = acme.last_seq().await;
    acme.change(create_attribute("seats", enforced(AttributeType::Number))).await.unwrap();
    assert_eq!(refusal(acme.change(revert(id, seq)).await).len(), 1);
    // Also of an event that the same call makes, of a member that it does not name.
    let next = acme.last_seq().await.0 + 1;
    let none = AttributesPatch::Replace(map(json!({})));
    let clear = ContactPatch { custom_attributes: none, ..blank() };
    acme.change(Change::DeleteAttribute { id: AttributeId(1) }).await.unwrap();
    acme.update(id, with_custom(json!({ "seats": "many" }))).await;
    acme.change(create_attribute("seats", enforced(AttributeType::Number))).await.unwrap();
    let changes = vec![update(id, clear), revert(id, Seq(next + 3))];
    let results = acme.apply(acme.cx(), changes, false).await.results;
    assert!(results[0].is_ok());
    assert_eq!(refusal(results[1].clone()).len(), 1);
    // Taking one away is always allowed.
    acme.update(id, with_custom(json!({ "seats": 7 }))).await;
    acme.change(revert(id, acme.last_seq().await)).await.unwrap();
    assert_eq!(custom_of(&acme, id).await, json!({}));
}

pub(crate) async fn a_definition_holds_from_its_change_on(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(blank()).await.contact.id;
    let set = |value: serde_json::Value| update(id, with_custom(json!({ "seats": value })));
    let observe =
        AttributePatch { mode: Some(AttributeMode::Observe), ..AttributePatch::default() };
    let id = AttributeId(1);
    let changes = vec![
        set(json!("a")),
        create_attribute("seats", enforced(AttributeType::Number)),
        set(json!("b")),
        Change::UpdateAttribute { id, patch: observe },
        set(json!("c")),
        Change::UpdateAttribute { id, patch: enforced(AttributeType::Checkbox) },
        set(json!(1)),
        set(json!(true)),
        Change::DeleteAttribute { id },
        set(json!("d")),
    ];
    let results = acme.apply(acme.cx(), changes, false).await.results;
    let refused = (0..results.len()).filter(|number| results[*number].is_err());
    assert_eq!(refused.collect::<Vec<_>>(), [2, 6]);
}

pub(crate) async fn definitions_of_another_account_are_not_found(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    acme.change(create_attribute("seats", enforced(AttributeType::Number))).await.unwrap();
    let id = AttributeId(1);
    assert_eq!(store.attribute(globex.account, id).await.unwrap(), None);
    let patch = AttributePatch::default();
    for change in [Change::UpdateAttribute { id, patch }, Change::DeleteAttribute { id }] {
        assert_eq!(globex.change(change).await, Err(ChangeError::NotFound(Missing::Attribute)));
    }
    assert_eq!(globex.attributes().await, []);
    globex.create(with_custom(json!({ "seats": "many" }))).await;
    assert_eq!(acme.attributes().await.len(), 1);
    // Keys that no definition can have are members like others.
    acme.create(with_custom(json!({ "a b": 1, "": 2, "x/y~z": 3 }))).await;
    let long = "k".repeat(2000);
    acme.create(with_custom(json!({ long: 1 }))).await;
}
