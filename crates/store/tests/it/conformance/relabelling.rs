//! Labels by themselves: `Change::CreateLabel`, `UpdateLabel`, `DeleteLabel`, and what they do to
//! all contacts at once.

use std::sync::Arc;

use meishi_contacts::{
    EventBody, FaultCode, Field, FieldChange, LabelCard, LabelId, LabelPatch, NewLabel, Patch, Seq,
    Version,
    limits::{ACCOUNT_LABELS, LABELS},
};
use meishi_store::{Change, ChangeError, Missing, Outcome, Store};
use serde_json::json;

use super::{
    fields::{
        blank, create_label, delete, labels, named, rename_label, revert, set_labels, update,
    },
    tenant::Tenant,
};

fn delete_label(id: LabelId) -> Change {
    Change::DeleteLabel { id }
}

pub(crate) async fn a_label_is_made_and_changed(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let title = labels(&["vip"]).remove(0);
    let new = NewLabel {
        title: title.clone(),
        color: Some("#000000".to_owned()),
        description: Some("very".to_owned()),
        show_on_sidebar: Some(false),
    };
    let made = LabelCard {
        id: LabelId(1),
        title,
        color: "#000000".to_owned(),
        description: Some("very".to_owned()),
        show_on_sidebar: false,
    };
    let outcome = acme.change(Change::CreateLabel(new)).await;
    assert_eq!(outcome, Ok(Outcome::LabelCreated(made.clone())));
    acme.change(create_label("alpha")).await.unwrap();
    let plain = LabelCard::plain(LabelId(2), labels(&["alpha"]).remove(0));
    assert_eq!(acme.labels().await, [plain, made.clone()]);

    let before = acme.last_seq().await;
    let patch = LabelPatch { description: Patch::Clear, ..LabelPatch::default() };
    let after = LabelCard { description: None, ..made.clone() };
    // The second one changes nothing, and no event tells of it.
    for _ in 0..2 {
        let change = Change::UpdateLabel { id: made.id, patch: patch.clone() };
        assert_eq!(acme.change(change).await, Ok(Outcome::LabelUpdated(after.clone())));
    }
    assert_eq!(acme.label("vip").await, after);
    let events = acme.events_after(before).await;
    let changes = vec![FieldChange::of(Field::Description, "very", json!(null))];
    let body = EventBody::LabelUpdated { id: made.id, title: made.title, changes };
    assert_eq!(events.into_iter().map(|event| event.body).collect::<Vec<_>>(), [body]);
}

pub(crate) async fn a_title_is_one_labels(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(blank()).await.contact.id;
    acme.set_labels(id, &["vip", "beta"]).await;
    let beta = acme.label("beta").await.id;
    let before = acme.state().await;
    for change in [create_label("vip"), rename_label(beta, "vip")] {
        let Err(ChangeError::Faults(faults)) = acme.change(change).await else { panic!() };
        assert_eq!((faults[0].attribute.as_str(), faults[0].code), ("title", FaultCode::Taken));
    }
    assert_eq!(acme.state().await, before);
    // One that is free again.
    acme.change(delete_label(acme.label("vip").await.id)).await.unwrap();
    acme.change(rename_label(beta, "vip")).await.unwrap();
    assert_eq!(acme.read(id).await.contact.labels, labels(&["vip"]));
}

pub(crate) async fn an_account_has_so_many_labels(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(blank()).await.contact.id;
    let titles: Vec<String> = (1..ACCOUNT_LABELS).map(|number| format!("l{number}")).collect();
    let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    for some in titles.chunks(LABELS) {
        acme.set_labels(id, some).await;
    }
    // One that is gone makes room for another, so that two fit and no third one does.
    acme.change(delete_label(acme.label("l1").await.id)).await.unwrap();
    acme.set_labels(id, &["other", "l2"]).await;
    acme.change(create_label("last")).await.unwrap();
    let before = acme.state().await;
    for (change, attribute) in
        [(create_label("more"), "title"), (set_labels(id, &["l2", "more"]), "labels")]
    {
        let Err(ChangeError::Faults(faults)) = acme.change(change).await else { panic!() };
        assert_eq!(
            (faults[0].attribute.as_str(), faults[0].code),
            (attribute, FaultCode::LimitExceeded)
        );
    }
    assert_eq!(acme.state().await, before);
    acme.set_labels(id, &["l3", "last"]).await;
}

pub(crate) async fn a_renamed_label_is_shown_by_all_contacts_which_keep_their_versions(
    store: Arc<dyn Store>,
) {
    let acme = Tenant::new(&store, "Acme").await;
    let (anna, bob) =
        (acme.create(named("Anna")).await.contact.id, acme.create(blank()).await.contact.id);
    acme.set_labels(anna, &["beta", "vip"]).await;
    acme.set_labels(bob, &["vip"]).await;
    let (before, vip) = (acme.last_seq().await, acme.label("vip").await.id);
    acme.change(rename_label(vip, "alpha")).await.unwrap();

    let events = acme.events_after(before).await;
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].body.kind(), events[0].body.subject()), ("label.updated", Some(vip.0)));
    let contact = acme.read(anna).await.contact;
    assert_eq!((contact.labels, contact.version), (labels(&["alpha", "beta"]), Version(2)));
    let held: Vec<_> = acme.snapshot().await.into_iter().map(|contact| contact.labels).collect();
    assert_eq!(held, [labels(&["alpha", "beta"]), labels(&["alpha"])]);
    assert_eq!(acme.history(bob).await.len(), 2);
    let told = store.relabelled(acme.account, before).await.unwrap();
    assert_eq!(told, events);
    assert_eq!(store.relabelled(acme.account, events[0].seq).await.unwrap(), []);

    // Of its new title it is the same label, and the card of a later event shows it.
    assert_eq!(acme.set_labels(bob, &["alpha"]).await, labels(&["alpha"]));
    acme.delete(anna).await;
    let last = acme.events_after(events[0].seq).await.remove(0).body;
    let EventBody::ContactDeleted(card) = last else { panic!("{last:?}") };
    assert_eq!(card.contact.labels, labels(&["alpha", "beta"]));
}

pub(crate) async fn a_deleted_label_is_taken_from_all_contacts_which_keep_their_versions(
    store: Arc<dyn Store>,
) {
    let acme = Tenant::new(&store, "Acme").await;
    let (anna, bob) =
        (acme.create(blank()).await.contact.id, acme.create(blank()).await.contact.id);
    acme.set_labels(anna, &["beta", "vip"]).await;
    acme.set_labels(bob, &["vip"]).await;
    let (before, vip) = (acme.last_seq().await, acme.label("vip").await);
    assert_eq!(acme.change(delete_label(vip.id)).await, Ok(Outcome::LabelDeleted));

    let events = acme.events_after(before).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].body, EventBody::LabelDeleted(vip.clone()));
    let held = acme.snapshot().await;
    let held: Vec<_> = held.into_iter().map(|c| (c.labels, c.version)).collect();
    assert_eq!(held, [(labels(&["beta"]), Version(2)), (vec![], Version(2))]);
    let again = acme.change(delete_label(vip.id)).await;
    assert_eq!(again, Err(ChangeError::NotFound(Missing::Label)));
    // A label of its title is another one.
    acme.set_labels(bob, &["vip"]).await;
    assert_eq!(acme.label("vip").await.id, LabelId(3));
    assert_eq!(acme.read(anna).await.contact.labels, labels(&["beta"]));
}

pub(crate) async fn contacts_that_change_in_the_same_call_keep_their_other_labels(
    store: Arc<dyn Store>,
) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(blank()).await.contact.id;
    acme.set_labels(id, &["a", "b", "c", "d"]).await;
    let [a, b] = [acme.label("a").await.id, acme.label("b").await.id];
    let changes = vec![
        update(id, named("One")),
        rename_label(a, "z"),
        update(id, named("Two")),
        delete_label(b),
        update(id, named("Three")),
    ];
    assert!(acme.apply(acme.cx(), changes, true).await.results.iter().all(Result::is_ok));
    let contact = acme.read(id).await.contact;
    assert_eq!((contact.labels, contact.version), (labels(&["c", "d", "z"]), Version(5)));

    // What is set in the same call is what the titles are then.
    let changes = vec![
        rename_label(a, "y"),
        set_labels(id, &["y", "z"]),
        delete_label(a),
        set_labels(id, &["c", "y", "z"]),
    ];
    assert!(acme.apply(acme.cx(), changes, true).await.results.iter().all(Result::is_ok));
    assert_eq!(acme.read(id).await.contact.labels, labels(&["c", "y", "z"]));
    assert_ne!(acme.label("y").await.id, a);

    // A call that is refused leaves nothing of it.
    let before = acme.state().await;
    let c = acme.label("c").await.id;
    let changes = vec![rename_label(c, "x"), update(id, named("Four")), delete_label(a)];
    let applied = acme.apply(acme.cx(), changes, true).await;
    assert_eq!(applied.results[2], Err(ChangeError::NotFound(Missing::Label)));
    assert_eq!(acme.state().await, before);
}

pub(crate) async fn titles_go_round_in_one_call(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(blank()).await.contact.id;
    acme.set_labels(id, &["a", "b"]).await;
    let other = acme.create(blank()).await.contact.id;
    acme.set_labels(other, &["a"]).await;
    let [a, b] = [acme.label("a").await.id, acme.label("b").await.id];
    let changes = vec![rename_label(a, "x"), rename_label(b, "a"), rename_label(a, "b")];
    assert!(acme.apply(acme.cx(), changes, true).await.results.iter().all(Result::is_ok));
    assert_eq!((acme.label("a").await.id, acme.label("b").await.id), (b, a));
    assert_eq!(acme.read(other).await.contact.labels, labels(&["b"]));
    assert_eq!(acme.read(id).await.contact.labels, labels(&["a", "b"]));
    // One takes the title of another that goes, or leaves its own to a new one.
    let changes = vec![delete_label(b), rename_label(a, "a"), set_labels(id, &["a", "b"])];
    assert!(acme.apply(acme.cx(), changes, true).await.results.iter().all(Result::is_ok));
    assert_eq!(acme.label("a").await.id, a);
    assert_eq!(acme.read(id).await.contact.labels, labels(&["a", "b"]));
    assert_eq!(acme.read(other).await.contact.labels, labels(&["a"]));
}

pub(crate) async fn labels_are_given_back_by_what_they_are_called_now(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(blank()).await.contact.id;
    acme.set_labels(id, &["beta", "gone", "vip"]).await;
    acme.set_labels(id, &["beta"]).await;
    let seq = acme.last_seq().await;
    acme.change(rename_label(acme.label("vip").await.id, "gold")).await.unwrap();
    acme.change(delete_label(acme.label("gone").await.id)).await.unwrap();
    // Titles that are there again, of other labels.
    acme.change(create_label("vip")).await.unwrap();
    acme.change(create_label("gone")).await.unwrap();
    acme.change(rename_label(acme.label("beta").await.id, "gamma")).await.unwrap();
    let reverted = acme.reverted(revert(id, seq)).await;
    assert_eq!(reverted.contact.labels, labels(&["gamma", "gold"]));
    assert_eq!(acme.read(id).await.contact.labels, labels(&["gamma", "gold"]));

    // In one call with the renaming.
    let last = acme.last_seq().await;
    let changes = vec![rename_label(acme.label("gold").await.id, "zz"), revert(id, last)];
    assert!(acme.apply(acme.cx(), changes, true).await.results.iter().all(Result::is_ok));
    assert_eq!(acme.read(id).await.contact.labels, labels(&["gamma"]));
}

pub(crate) async fn a_contact_comes_back_with_the_labels_that_are_there(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(blank()).await.contact.id;
    acme.set_labels(id, &["a", "b", "c"]).await;
    acme.delete(id).await;
    let seq = acme.last_seq().await;
    acme.change(delete_label(acme.label("a").await.id)).await.unwrap();
    acme.change(rename_label(acme.label("b").await.id, "a")).await.unwrap();
    acme.reverted(revert(id, seq)).await;
    assert_eq!(acme.read(id).await.contact.labels, labels(&["a", "c"]));

    // All of it in one call.
    let a = acme.label("a").await.id;
    let next = Seq(acme.last_seq().await.0 + 1);
    let changes = vec![delete(id), rename_label(a, "z"), revert(id, next)];
    assert!(acme.apply(acme.cx(), changes, true).await.results.iter().all(Result::is_ok));
    assert_eq!(acme.read(id).await.contact.labels, labels(&["c", "z"]));
}

pub(crate) async fn labels_of_another_account_are_not_found(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    globex.change(create_label("theirs")).await.unwrap();
    let before = globex.state().await;
    for change in [rename_label(LabelId(1), "mine"), delete_label(LabelId(1))] {
        assert_eq!(acme.change(change).await, Err(ChangeError::NotFound(Missing::Label)));
    }
    assert_eq!(store.label(acme.account, LabelId(1)).await.unwrap(), None);
    assert_eq!(acme.labels().await, []);
    assert_eq!(store.relabelled(acme.account, Seq(0)).await.unwrap(), []);
    assert_eq!(globex.state().await, before);
}
