//! `Change::CreateContact`.

use std::sync::Arc;

use meishi_contacts::{
    Attributes, Availability, Contact, ContactId, ContactPatch, Fault, FaultCode, IdentityKind,
    InboxId, Patch, UnixSeconds, Version, limits::ATTRIBUTES_BYTES,
};
use meishi_store::{ChangeError, ContactInbox, Context, Missing, Store};
use serde_json::json;

use super::{
    fields::{
        NOON, blank, create, create_in, email, fresh_seed, identifier, map, merge, named, phone,
        source, text, with_custom, with_email,
    },
    tenant::{Tenant, created},
};

pub(crate) async fn a_contact_of_which_nothing_is_known_has_the_defaults(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let record = acme.create(blank()).await;
    assert_eq!(
        record.contact,
        Contact {
            id: ContactId(1),
            version: Version(1),
            name: String::new(),
            first_name: None,
            last_name: None,
            email: None,
            phone_number: None,
            identifier: None,
            thumbnail: String::new(),
            availability_status: Availability::Offline,
            blocked: false,
            additional_attributes: Attributes::default(),
            custom_attributes: Attributes::default(),
            last_activity_at: None,
            created_at: NOON.seconds(),
            labels: Vec::new(),
        }
    );
    assert_eq!(record.contact_inboxes, []);
    assert_eq!(acme.read(ContactId(1)).await, record);
}

pub(crate) async fn every_field_that_is_given_is_kept(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let additional = json!({"city": "Zürich", "social_profiles": {"github": "anna"}});
    let custom = json!({"vip": true, "score": 1.5, "big": 9_007_199_254_740_993_i64, "no": [null]});
    let fields = ContactPatch {
        faults: Vec::new(),
        name: Some("Anna 王".to_owned()),
        first_name: text("Anna"),
        last_name: text("王"),
        email: email("Anna@Example.com"),
        phone_number: phone("+4179000000"),
        identifier: identifier(" U-1 "),
        thumbnail: Some("https://example.com/a.png".to_owned()),
        availability_status: Some(Availability::Online),
        blocked: Some(true),
        additional_attributes: merge(additional.clone()),
        custom_attributes: merge(custom.clone()),
        last_activity_at: Patch::Set(UnixSeconds(1_700_000_000)),
        created_at: Some(UnixSeconds(0)),
    };
    let record = acme.create_linked("anna", fields).await;
    let contact = &record.contact;
    assert_eq!(contact.name, "Anna 王");
    assert_eq!(contact.first_name.as_deref(), Some("Anna"));
    assert_eq!(contact.last_name.as_deref(), Some("王"));
    assert_eq!(contact.identity(IdentityKind::Email), Some("anna@example.com"));
    assert_eq!(contact.identity(IdentityKind::PhoneNumber), Some("+4179000000"));
    assert_eq!(contact.identity(IdentityKind::Identifier), Some(" U-1 "));
    assert_eq!(contact.thumbnail, "https://example.com/a.png");
    assert_eq!(contact.availability_status, Availability::Online);
    assert!(contact.blocked);
    assert_eq!(contact.additional_attributes.to_map(), map(additional));
    assert_eq!(contact.custom_attributes.to_map(), map(custom));
    assert_eq!(contact.last_activity_at, Some(UnixSeconds(1_700_000_000)));
    assert_eq!(contact.created_at, UnixSeconds(0));
    assert_eq!(contact.version, Version::FIRST);
    assert_eq!(acme.read(contact.id).await, record);
}

pub(crate) async fn a_name_is_derived_from_given_and_family_name(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let both = ContactPatch { first_name: text("Ada"), last_name: text("Lovelace"), ..blank() };
    assert_eq!(acme.create(both.clone()).await.contact.name, "Ada Lovelace");
    let named = ContactPatch { name: Some("Countess".to_owned()), ..both };
    assert_eq!(acme.create(named).await.contact.name, "Countess");
}

pub(crate) async fn ids_count_from_one_in_each_account(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    for id in 1..=3 {
        assert_eq!(acme.create(blank()).await.contact.id, ContactId(id));
        assert_eq!(globex.create(blank()).await.contact.id, ContactId(id));
    }
}

pub(crate) async fn a_refused_creation_leaves_nothing_behind_and_uses_no_id(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    acme.create(with_email("anna@example.com")).await;
    let before = acme.state().await;
    acme.change(create(with_email("anna@example.com"))).await.unwrap_err();
    assert_eq!(acme.state().await, before);
    assert_eq!(acme.create(blank()).await.contact.id, ContactId(2));
}

pub(crate) async fn a_given_source_id_is_the_contacts_address_in_the_channel(
    store: Arc<dyn Store>,
) {
    let acme = Tenant::new(&store, "Acme").await;
    let record = acme.create_linked("anna-1", named("Anna")).await;
    let link = ContactInbox { source_id: source("anna-1"), inbox: acme.inbox.clone() };
    assert_eq!(record.contact_inboxes, [link]);
    assert_eq!(acme.read(record.contact.id).await, record);
}

pub(crate) async fn a_source_id_that_is_not_given_is_a_uuid_of_the_time_the_seed_and_the_position(
    store: Arc<dyn Store>,
) {
    let (acme, globex) = Tenant::two(&store).await;
    let (seed, at) = (fresh_seed(), acme.cx().at);
    let sources = async |tenant: &Tenant| -> Vec<String> {
        let change = create_in(tenant.inbox.id, None, blank());
        let cx = Context { seed, at, ..tenant.cx() };
        let applied = tenant.apply(cx, vec![change.clone(), change], false).await;
        let records = applied.results.into_iter().map(created);
        records.map(|record| record.contact_inboxes[0].source_id.to_string()).collect()
    };
    let drawn = sources(&acme).await;
    assert_eq!(drawn, [0, 1].map(|number| seed.uuid_at(at, "source id", number).to_string()));
    assert_eq!(uuid::Uuid::parse_str(&drawn[0]).unwrap().get_version_num(), 7);
    assert_eq!(sources(&globex).await, drawn);
}

pub(crate) async fn an_unknown_channel_is_not_found_and_nothing_is_written(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    let foreign = globex.create_inbox(super::fields::inbox_as(77, "Theirs")).await;
    let before = acme.state().await;
    for inbox in [InboxId(2), InboxId(0), InboxId(-1), InboxId(i64::MAX), foreign.id] {
        let refused = acme.change(create_in(inbox, None, with_email("anna@example.com"))).await;
        assert_eq!(refused, Err(ChangeError::NotFound(Missing::Inbox)), "{inbox}");
    }
    assert_eq!(acme.state().await, before);
    assert_eq!(acme.owner(IdentityKind::Email, "anna@example.com").await, None);
}

pub(crate) async fn all_that_is_taken_is_told_at_once_and_in_order(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let phones = acme.create(ContactPatch { phone_number: phone("+4912345"), ..blank() }).await;
    let emails = acme.create(with_email("anna@example.com")).await;
    let sources = acme.create_linked("anna", blank()).await;
    let identifiers = acme.create(ContactPatch { identifier: identifier("u-1"), ..blank() }).await;
    let before = acme.state().await;

    let fields = ContactPatch {
        email: email("ANNA@example.com"),
        phone_number: phone("+4912345"),
        identifier: identifier("u-1"),
        ..blank()
    };
    let refused = acme.change(create_in(acme.inbox.id, Some("anna"), fields)).await;
    let taken = vec![
        Fault::taken("email", emails.contact.id),
        Fault::taken("identifier", identifiers.contact.id),
        Fault::taken("phone_number", phones.contact.id),
        Fault::taken("source_id", sources.contact.id),
    ];
    assert_eq!(refused, Err(ChangeError::Faults(taken)));
    assert_eq!(acme.state().await, before);
}

pub(crate) async fn the_faults_of_fields_come_before_a_missing_channel(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let anna = acme.create(with_email("anna@example.com")).await.contact;
    let refused = acme.change(create_in(InboxId(404), None, with_email("anna@example.com"))).await;
    assert_eq!(refused, Err(ChangeError::Faults(vec![Fault::taken("email", anna.id)])));
}

pub(crate) async fn what_another_account_holds_is_not_taken(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    let fields = ContactPatch {
        email: email("anna@example.com"),
        phone_number: phone("+4912345"),
        identifier: identifier("u-1"),
        ..blank()
    };
    globex.create(blank()).await;
    let ours = acme.create_linked("anna", fields.clone()).await.contact.id;
    let theirs = globex.create_linked("anna", fields).await.contact.id;
    assert_eq!((ours, theirs), (ContactId(1), ContactId(2)));
    assert_eq!(acme.owner(IdentityKind::Email, "anna@example.com").await, Some(ours));
    assert_eq!(globex.owner(IdentityKind::Email, "anna@example.com").await, Some(theirs));
}

pub(crate) async fn a_source_id_is_unique_in_its_channel_only(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let other = acme.create_inbox(super::fields::inbox("App")).await;
    let anna = acme.create_linked("anna", blank()).await.contact;
    acme.create_in(other.id, "anna", blank()).await;
    acme.create_linked("Anna", blank()).await;
    let refused = acme.change(create_in(acme.inbox.id, Some("anna"), blank())).await;
    assert_eq!(refused, Err(ChangeError::Faults(vec![Fault::taken("source_id", anna.id)])));
}

pub(crate) async fn identifiers_that_differ_by_case_or_blanks_are_two(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    for text in ["u-1", "U-1", " u-1", "u-1 "] {
        acme.create(ContactPatch { identifier: identifier(text), ..blank() }).await;
    }
    assert_eq!(acme.counts().await, (4, 4));
}

pub(crate) async fn both_attribute_maps_together_have_a_limit(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let anna = acme.create(with_email("anna@example.com")).await.contact;
    // `{"k":"…"}` and `{}` are ten bytes around the value.
    let most = ATTRIBUTES_BYTES - 10;
    acme.create(with_custom(json!({"k": "x".repeat(most)}))).await;
    let before = acme.state().await;

    let refused = acme.change(create(with_custom(json!({"k": "x".repeat(most + 1)})))).await;
    let Err(ChangeError::Faults(faults)) = refused else { panic!("{refused:?}") };
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].code, FaultCode::LimitExceeded);
    assert_eq!(faults[0].attribute, "custom_attributes");

    let half = json!({"k": "x".repeat(most / 2)});
    let fields = ContactPatch {
        email: email("anna@example.com"),
        additional_attributes: merge(half.clone()),
        custom_attributes: merge(half),
        ..blank()
    };
    let refused = acme.change(create(fields)).await;
    let Err(ChangeError::Faults(faults)) = refused else { panic!("{refused:?}") };
    assert_eq!(faults[0], Fault::taken("email", anna.id));
    let rest: Vec<_> = faults.iter().skip(1).map(|f| (f.attribute.as_str(), f.code)).collect();
    assert_eq!(
        rest,
        [
            ("additional_attributes", FaultCode::LimitExceeded),
            ("custom_attributes", FaultCode::LimitExceeded)
        ]
    );
    assert_eq!(acme.state().await, before);
}

pub(crate) async fn only_contacts_with_an_address_count_as_resolved(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    acme.create_linked("anna", named("Anna")).await;
    assert_eq!(acme.counts().await, (1, 0));
    acme.create(with_email("a@example.com")).await;
    acme.create(ContactPatch { phone_number: phone("+4912345"), ..blank() }).await;
    acme.create(ContactPatch { identifier: identifier("u-1"), ..blank() }).await;
    assert_eq!(acme.counts().await, (4, 3));
}
