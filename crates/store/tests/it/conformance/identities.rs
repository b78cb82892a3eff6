//! `owners`: the ledger of addresses.

use std::sync::Arc;

use meishi_contacts::{
    AccountId, ContactPatch, Identity,
    IdentityKind::{self, Email, Identifier, PhoneNumber},
    Patch,
};
use meishi_store::Store;

use super::{
    fields::{blank, email, identifier, phone, with_email},
    tenant::Tenant,
};

fn identity(kind: IdentityKind, value: &str) -> Identity {
    Identity { kind, value: value.to_owned() }
}

pub(crate) async fn owners_come_in_the_order_of_the_question_with_none_where_there_is_none(
    store: Arc<dyn Store>,
) {
    let acme = Tenant::new(&store, "Acme").await;
    let anna = acme.create(with_email("anna@example.com")).await.contact.id;
    let bob = acme
        .create(ContactPatch {
            phone_number: phone("+4912345"),
            identifier: identifier("bob"),
            ..blank()
        })
        .await
        .contact
        .id;
    let asked = [
        identity(Identifier, "bob"),
        identity(Email, "nobody@example.com"),
        identity(Email, "anna@example.com"),
        identity(PhoneNumber, "+4912345"),
        identity(Email, "anna@example.com"),
    ];
    let owners = store.owners(acme.account, &asked).await.unwrap();
    assert_eq!(owners, [Some(bob), None, Some(anna), Some(bob), Some(anna)]);
    assert_eq!(store.owners(acme.account, &[]).await.unwrap(), []);
}

pub(crate) async fn an_address_is_of_one_kind(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let fields = ContactPatch { identifier: identifier("anna@example.com"), ..blank() };
    let by_identifier = acme.create(fields).await.contact.id;
    assert_eq!(acme.owner(Email, "anna@example.com").await, None);
    let by_email = acme.create(with_email("anna@example.com")).await.contact.id;
    assert_eq!(acme.owner(Email, "anna@example.com").await, Some(by_email));
    assert_eq!(acme.owner(Identifier, "anna@example.com").await, Some(by_identifier));
}

pub(crate) async fn an_address_is_looked_up_as_it_is_stored(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let fields =
        ContactPatch { email: email("Ünal@Example.com"), identifier: identifier("U"), ..blank() };
    let id = acme.create(fields).await.contact.id;
    assert_eq!(acme.owner(Email, "ünal@example.com").await, Some(id));
    assert_eq!(acme.owner(Email, "Ünal@Example.com").await, None);
    assert_eq!(acme.owner(Identifier, "u").await, None);
}

pub(crate) async fn an_address_that_cannot_be_stored_is_nobodys(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let anna = acme.create(with_email("anna@example.com")).await.contact.id;
    let asked = IdentityKind::ALL.map(|kind| identity(kind, "anna\0"));
    let asked = [asked.as_slice(), &[identity(Email, "anna@example.com")]].concat();
    let owners = store.owners(acme.account, &asked).await.unwrap();
    assert_eq!(owners, [None, None, None, Some(anna)]);
}

pub(crate) async fn a_contact_can_give_up_one_address_and_keep_the_others(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let fields = ContactPatch {
        email: email("anna@example.com"),
        phone_number: phone("+4912345"),
        identifier: identifier("u"),
        ..blank()
    };
    let id = acme.create(fields).await.contact.id;
    acme.update(id, ContactPatch { phone_number: Patch::Clear, ..blank() }).await;
    assert_eq!(acme.owner(Email, "anna@example.com").await, Some(id));
    assert_eq!(acme.owner(PhoneNumber, "+4912345").await, None);
    assert_eq!(acme.owner(Identifier, "u").await, Some(id));
}

pub(crate) async fn no_account_sees_anothers_addresses(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    globex.create(with_email("anna@example.com")).await;
    assert_eq!(acme.owner(Email, "anna@example.com").await, None);
    let nobody = AccountId(1);
    let owners = store.owners(nobody, &[identity(Email, "anna@example.com")]).await.unwrap();
    assert_eq!(owners, [None]);
}
