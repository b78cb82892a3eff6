//! `Context::precondition`: the versions that a contact may have.

use std::sync::Arc;

use meishi_contacts::{Fault, Version};
use meishi_store::{Change, ChangeError, Context, Missing, Outcome, Precondition, Store};

use super::{
    fields::{blank, create, delete, inbox, named, set_labels, update, with_email},
    tenant::Tenant,
};

fn if_match(tenant: &Tenant, version: i64) -> Context {
    Context { precondition: Some(Version(version).into()), ..tenant.cx() }
}

pub(crate) async fn a_change_of_another_version_is_stale_and_says_which_it_is(
    store: Arc<dyn Store>,
) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create_linked("anna", with_email("anna@example.com")).await.contact.id;
    acme.update(id, named("Anna")).await;
    let before = acme.state().await;
    for version in [1, 3, 0, -1] {
        for change in [
            update(id, named("Anne")),
            update(id, blank()),
            delete(id),
            set_labels(id, &["vip"]),
            set_labels(id, &[]),
        ] {
            let refused = acme.change_as(if_match(&acme, version), change).await;
            assert_eq!(refused, Err(ChangeError::Stale { id, current: Version(2) }));
        }
    }
    assert_eq!(acme.state().await, before);
}

pub(crate) async fn a_change_of_the_right_version_is_made(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(blank()).await.contact.id;
    acme.change_as(if_match(&acme, 1), update(id, named("Anna"))).await.unwrap();
    acme.change_as(if_match(&acme, 2), set_labels(id, &["vip"])).await.unwrap();
    acme.change_as(if_match(&acme, 3), update(id, named("Anna"))).await.unwrap();
    let gone = acme.change_as(if_match(&acme, 3), delete(id)).await;
    assert_eq!(gone, Ok(Outcome::ContactDeleted));
}

pub(crate) async fn one_of_several_versions_is_enough_and_none_is_never(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(blank()).await.contact.id;
    let any_of = |versions: &[i64]| {
        let versions = versions.iter().copied().map(Version).collect();
        Context { precondition: Some(Precondition(versions)), ..acme.cx() }
    };
    for versions in [&[][..], &[2], &[2, 3, 0]] {
        let refused = acme.change_as(any_of(versions), update(id, named("Anna"))).await;
        assert_eq!(refused, Err(ChangeError::Stale { id, current: Version(1) }), "{versions:?}");
    }
    acme.change_as(any_of(&[7, 1]), update(id, named("Anna"))).await.unwrap();
    acme.change_as(any_of(&[2, 1]), set_labels(id, &["vip"])).await.unwrap();
    acme.change_as(any_of(&[1, 2, 3]), delete(id)).await.unwrap();
}

pub(crate) async fn a_missing_contact_comes_before_a_version_and_a_version_before_faults(
    store: Arc<dyn Store>,
) {
    let acme = Tenant::new(&store, "Acme").await;
    let anna = acme.create(with_email("anna@example.com")).await.contact.id;
    let bob = acme.create(blank()).await.contact.id;
    let taken = || update(bob, with_email("anna@example.com"));
    let stale = acme.change_as(if_match(&acme, 9), taken()).await;
    assert_eq!(stale, Err(ChangeError::Stale { id: bob, current: Version(1) }));
    let faulty = acme.change_as(if_match(&acme, 1), taken()).await;
    assert_eq!(faulty, Err(ChangeError::Faults(vec![Fault::taken("email", anna)])));
    acme.delete(bob).await;
    let missing = acme.change_as(if_match(&acme, 9), taken()).await;
    assert_eq!(missing, Err(ChangeError::NotFound(Missing::Contact)));
}

pub(crate) async fn the_second_change_of_a_call_meets_the_version_of_the_first(
    store: Arc<dyn Store>,
) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(blank()).await.contact.id;
    let changes = || vec![update(id, named("Anna")), update(id, named("Anne"))];
    let before = acme.state().await;
    let stale = Err(ChangeError::Stale { id, current: Version(2) });
    let atomic = acme.apply(if_match(&acme, 1), changes(), true).await.results;
    assert_eq!(atomic, [Err(ChangeError::Skipped), stale.clone()]);
    assert_eq!(acme.state().await, before);
    let results = acme.apply(if_match(&acme, 1), changes(), false).await.results;
    assert!(results[0].is_ok());
    assert_eq!(results[1], stale);
    assert_eq!(acme.read(id).await.contact.name, "Anna");
}

pub(crate) async fn what_has_no_version_asks_for_none(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    for change in [create(blank()), Change::CreateInbox(inbox("App"))] {
        acme.change_as(if_match(&acme, 9), change).await.unwrap();
    }
}
