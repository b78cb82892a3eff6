//! `Change::SetLabels`.

use std::sync::Arc;

use meishi_contacts::{
    ContactId, EventBody, FaultCode, Field, FieldChange, LabelCard, LabelId, Version,
    limits::LABELS,
};
use meishi_store::{ChangeError, Missing, Outcome, Store};
use serde_json::json;

use super::{
    fields::{blank, labels, named, set_labels},
    tenant::Tenant,
};

/// The titles that the account's events say were made, in their order.
async fn titles_made(tenant: &Tenant) -> Vec<String> {
    let bodies = tenant.events().await.into_iter().map(|event| event.body);
    bodies
        .filter_map(|body| match body {
            EventBody::LabelCreated(label) => Some(label.title.to_string()),
            _ => None,
        })
        .collect()
}

pub(crate) async fn labels_are_sorted_and_without_repeats(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(blank()).await.contact.id;
    let set = acme.set_labels(id, &["vip", "Ärger", "beta", "VIP ", "王", "vip", "zz"]).await;
    assert_eq!(set, labels(&["beta", "vip", "zz", "ärger", "王"]));
    assert_eq!(acme.read(id).await.contact.labels, set);
    assert_eq!(acme.snapshot().await[0].labels, set);
}

pub(crate) async fn labels_are_replaced_as_a_whole(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(blank()).await.contact.id;
    acme.set_labels(id, &["a", "b"]).await;
    assert_eq!(acme.set_labels(id, &["c", "b"]).await, labels(&["b", "c"]));
    assert_eq!(acme.read(id).await.contact.labels, labels(&["b", "c"]));
    assert_eq!(acme.set_labels(id, &[]).await, []);
    assert_eq!(acme.read(id).await.contact.labels, []);
}

pub(crate) async fn a_label_is_made_when_it_is_first_assigned_and_only_then(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    let anna = acme.create(blank()).await.contact.id;
    let bob = acme.create(blank()).await.contact.id;
    acme.set_labels(anna, &["vip"]).await;
    acme.set_labels(anna, &[]).await;
    acme.set_labels(bob, &["beta", "vip"]).await;
    acme.set_labels(anna, &["vip", "beta"]).await;
    assert_eq!(titles_made(&acme).await, ["vip", "beta"]);
    let theirs = globex.create(blank()).await.contact.id;
    globex.set_labels(theirs, &["vip"]).await;
    assert_eq!(titles_made(&globex).await, ["vip"]);
}

pub(crate) async fn the_event_tells_all_labels_before_and_after(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(blank()).await.contact.id;
    acme.set_labels(id, &["b", "a"]).await;
    let before = acme.last_seq().await;
    acme.set_labels(id, &["c", "a"]).await;
    let bodies: Vec<_> =
        acme.events_after(before).await.into_iter().map(|event| event.body).collect();
    assert_eq!(
        bodies,
        [
            EventBody::LabelCreated(LabelCard::plain(LabelId(3), labels(&["c"]).remove(0))),
            EventBody::ContactUpdated {
                id,
                version: Version(3),
                changes: vec![FieldChange::of(Field::Labels, json!(["a", "b"]), json!(["a", "c"]))],
            }
        ]
    );
}

pub(crate) async fn setting_the_same_labels_writes_nothing(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(blank()).await.contact.id;
    let before = acme.state().await;
    assert_eq!(acme.set_labels(id, &[]).await, []);
    assert_eq!(acme.state().await, before);
    acme.set_labels(id, &["a", "b"]).await;
    let before = acme.state().await;
    assert_eq!(acme.set_labels(id, &["B", "a", "b"]).await, labels(&["a", "b"]));
    assert_eq!(acme.state().await, before);
}

pub(crate) async fn labels_raise_the_version_and_touch_nothing_else(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let mut expected = acme.create_linked("anna", named("Anna")).await;
    acme.set_labels(expected.contact.id, &["vip"]).await;
    expected.contact.version = Version(2);
    expected.contact.labels = labels(&["vip"]);
    assert_eq!(acme.read(expected.contact.id).await, expected);
    // An update in turn keeps the labels.
    let updated = acme.update(expected.contact.id, named("Anne")).await.contact;
    assert_eq!(updated.labels, labels(&["vip"]));
}

pub(crate) async fn a_contact_has_at_most_so_many_labels(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(blank()).await.contact.id;
    let titles: Vec<String> = (0..=LABELS).map(|number| format!("label {number}")).collect();
    let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    let before = acme.state().await;
    let refused = acme.change(set_labels(id, &titles)).await;
    let Err(ChangeError::Faults(faults)) = refused else { panic!("{refused:?}") };
    let told: Vec<_> = faults.iter().map(|f| (f.attribute.as_str(), f.code)).collect();
    assert_eq!(told, [("labels", FaultCode::LimitExceeded)]);
    assert_eq!(acme.state().await, before);
    let repeated = [&titles[1..], &titles[1..]].concat();
    assert_eq!(acme.set_labels(id, &repeated).await.len(), LABELS);
}

pub(crate) async fn labels_of_one_contact_are_not_anothers(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    let anna = acme.create(blank()).await.contact.id;
    let bob = acme.create(blank()).await.contact.id;
    let theirs = globex.create(blank()).await.contact.id;
    acme.set_labels(anna, &["a"]).await;
    acme.set_labels(bob, &["b"]).await;
    globex.set_labels(theirs, &["c"]).await;
    acme.set_labels(anna, &[]).await;
    assert_eq!(acme.read(bob).await.contact.labels, labels(&["b"]));
    assert_eq!(globex.read(theirs).await.contact.labels, labels(&["c"]));
    let held: Vec<_> = acme.snapshot().await.into_iter().map(|contact| contact.labels).collect();
    assert_eq!(held, [vec![], labels(&["b"])]);
}

pub(crate) async fn a_contact_that_is_not_the_accounts_is_not_found(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    let theirs = globex.create(blank()).await.contact.id;
    let before = (acme.state().await, globex.state().await);
    for id in [theirs, ContactId(404)] {
        let refused: Result<Outcome, _> = acme.change(set_labels(id, &["vip"])).await;
        assert_eq!(refused, Err(ChangeError::NotFound(Missing::Contact)));
    }
    assert_eq!((acme.state().await, globex.state().await), before);
}
