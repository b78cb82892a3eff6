//! `EraseContact`: a contact goes, and what the record holds of it.

use std::sync::Arc;

use meishi_contacts::{
    Actor, ContactId, ContactPatch, EventBody, IdentityKind, KeyId, Patch, Seq, UnixSeconds,
    Version,
};
use meishi_store::{
    ChangeError, Context, ErasureReceipt, Missing, NewDelivery, Outcome, Settlement, Store,
    WebhookHealth,
};
use serde_json::json;

use super::{
    deliveries::{Told, after, attempt},
    fields::{
        NOON, blank, create, create_in, delete, email, erase, identifier, merge, named, phone,
        revert, set_labels, text, update, upsert, with_custom, with_email,
    },
    idempotency::keyed,
    tenant::Tenant,
};

/// In everything that is told of the contact that is to be erased, and in nothing else.
pub(crate) const MARKS: [&str; 12] = [
    "Zebulon",
    "zebra@example.com",
    "+4915199999999",
    "zid-4711",
    "zsource",
    "https://example.com/zebra.png",
    "Zattribute",
    "Zcity",
    "Zlater",
    "Zanswer",
    "Zrequest",
    "zoon@example.com",
];

fn zebulon() -> ContactPatch {
    ContactPatch {
        name: Some("Zebulon".to_owned()),
        first_name: text("Zebulon"),
        email: email("zebra@example.com"),
        phone_number: phone("+4915199999999"),
        identifier: identifier("zid-4711"),
        thumbnail: Some("https://example.com/zebra.png".to_owned()),
        additional_attributes: merge(json!({"city": "Zcity"})),
        custom_attributes: merge(json!({"note": "Zattribute"})),
        last_activity_at: Patch::Set(UnixSeconds(5)),
        ..blank()
    }
}

/// Fills a store, and erases a contact of which everything tells that can.
pub(crate) async fn leave_no_trace(store: &Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(store).await;
    globex.create_linked("other", named("Other")).await;
    let told = Told::new(&acme).await;
    let stays = acme.create_linked("stays", with_email("stays@example.com")).await.contact.id;
    let inbox = acme.inbox.id;
    let from = acme.last_seq().await;
    let id = ContactId(stays.0 + 1);
    let cx = |key| keyed(&acme, key, 1);
    let made = create_in(inbox, Some("zsource"), zebulon());
    let by = Context { request_id: "Zrequest".to_owned(), ..cx("create") };
    assert!(acme.apply(by, vec![made], true).await.results[0].is_ok());
    acme.apply(cx("labels"), vec![set_labels(id, &["vip"]), set_labels(stays, &["vip"])], false)
        .await;
    acme.apply(cx("upsert"), vec![upsert(zebulon())], true).await;
    // Many versions of a row that grows and shrinks, on pages that are freed again.
    for number in 0..60 {
        let note = "Zlater ".repeat(if number % 2 == 0 { 1 } else { 900 });
        acme.update(id, with_custom(json!({"note": note, "number": number}))).await;
        acme.create(with_custom(json!({"filler": "x".repeat(number * 40)}))).await;
    }
    acme.update(id, with_email("zoon@example.com")).await;
    let renamed = acme.last_seq().await;
    acme.update(id, with_email("a.zoon@example.com")).await;
    let reverted = Context { idempotency: cx("conflict").idempotency, ..acme.cx() };
    let conflict = acme.apply(reverted, vec![revert(id, renamed)], true).await;
    assert!(matches!(conflict.results[0], Err(ChangeError::RevertConflict { .. })));
    acme.delete(id).await;
    let deleted = acme.last_seq().await;
    let back = acme.apply(cx("revert"), vec![revert(id, deleted)], true).await;
    assert!(back.results[0].is_ok());

    let news: Vec<NewDelivery> = told.news(from).await;
    let first = news[0].seq;
    assert!(told.enqueue(&told.lease, Seq(4), acme.last_seq().await, news).await);
    for number in 0..3 {
        let mut attempt = attempt(number);
        attempt.answer = Some("Zanswer: Zebulon".to_owned());
        let (retry, well) = (Settlement::Retry(NOON), WebhookHealth::Well);
        let settled = store.settle_delivery(&told.lease, first, attempt, retry, well, NOON).await;
        assert!(settled.unwrap());
    }
    let receipt = acme.erase(id).await;
    assert!(receipt.events > 60 && receipt.deliveries > 60, "{receipt:?}");
    assert_eq!((receipt.identities, receipt.links, receipt.outcomes), (3, 1, 5));

    assert_eq!(acme.read(stays).await.contact.email.unwrap().as_str(), "stays@example.com");
    for key in ["create", "upsert", "revert", "conflict"] {
        let again = acme.apply(cx(key), vec![create(blank())], true).await;
        assert!(again.replayed);
        assert_eq!(again.results, [Err(ChangeError::NotFound(Missing::Contact))], "{key}");
    }
}

pub(crate) async fn a_contact_goes_with_all_that_is_known_of_it(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create_linked("anna", zebulon()).await.contact.id; // 4
    let other = acme.create_linked("bob", with_email("b@example.com")).await; // 5
    acme.set_labels(id, &["vip"]).await; // 6, 7
    acme.update(id, named("Anna")).await; // 8
    let cx = Context {
        actor: Actor::Key(KeyId(7)),
        at: after(5),
        request_id: "erasure".to_owned(),
        ..acme.cx()
    };
    let Ok(Outcome::ContactErased(receipt)) = acme.change_as(cx, erase(id)).await else {
        panic!("not erased");
    };
    let expected = ErasureReceipt {
        seq: Seq(9),
        contact: true,
        identities: 3,
        links: 1,
        events: 3,
        outcomes: 0,
        deliveries: 0,
    };
    assert_eq!(receipt, expected);
    assert_eq!(acme.find(id).await, None);
    assert_eq!(acme.owner(IdentityKind::Email, "zebra@example.com").await, None);
    assert_eq!((acme.counts().await, acme.contacts().await), ((1, 1), vec![other.clone()]));
    // Its events stay, but for what they told: no gap, and whoever did it is still known.
    let events = acme.events().await;
    for event in &events[3..] {
        match event.seq.0 {
            4 | 7 | 8 => {
                assert_eq!(event.body, EventBody::Tombstone { id });
                assert_eq!((event.request_id.as_str(), event.actor), ("", acme.cx().actor));
                assert_eq!(event.at, NOON);
            }
            9 => {
                assert_eq!(event.body, EventBody::ContactErased { id });
                assert_eq!(event.request_id, "erasure");
                assert_eq!((event.actor, event.at), (Actor::Key(KeyId(7)), after(5)));
            }
            _ => assert_ne!(event.body.contact(), Some(id)),
        }
    }
    assert_eq!(acme.history(id).await, [9, 8, 7, 4]);
    // Everything is free again.
    let next = acme.create_linked("anna", zebulon()).await.contact;
    assert_eq!((next.id, next.labels.len()), (ContactId(3), 0));
    assert_eq!(acme.read(other.contact.id).await, other);
}

pub(crate) async fn a_deleted_contact_can_be_erased_and_once_is_enough(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    let id = acme.create(zebulon()).await.contact.id; // 4
    globex.create(zebulon()).await;
    acme.delete(id).await; // 5
    let receipt = acme.erase(id).await;
    let expected = ErasureReceipt {
        seq: Seq(6),
        contact: false,
        identities: 0,
        links: 0,
        events: 2,
        outcomes: 0,
        deliveries: 0,
    };
    assert_eq!(receipt, expected);
    let before = acme.state().await;
    let again = acme.erase(id).await;
    assert_eq!(again, ErasureReceipt { events: 0, ..expected });
    assert_eq!(acme.state().await, before, "nothing was left to be done");
    let refused = acme.change(revert(id, Seq(5))).await;
    let Err(ChangeError::Faults(faults)) = refused else { panic!("{refused:?}") };
    assert!(faults[0].message.contains("was erased"), "{faults:?}");
    let missing = Err(ChangeError::NotFound(Missing::Contact));
    assert_eq!(acme.change(erase(ContactId(9))).await, missing);
    assert_eq!(acme.change(update(id, blank())).await, missing);
    assert_eq!(globex.read(ContactId(1)).await.contact.name, "Zebulon");
}

pub(crate) async fn an_erasure_asks_for_the_version_too(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(zebulon()).await.contact.id;
    let if_match = |version| Context { precondition: Some(Version(version).into()), ..acme.cx() };
    let before = acme.state().await;
    let stale = acme.change_as(if_match(2), erase(id)).await;
    assert_eq!(stale, Err(ChangeError::Stale { id, current: Version(1) }));
    assert_eq!(acme.state().await, before);
    acme.change_as(if_match(1), erase(id)).await.unwrap();
    // One that is gone has no version, be it erased or deleted.
    let deleted = acme.create(zebulon()).await.contact.id;
    acme.delete(deleted).await;
    let before = acme.state().await;
    for gone in [id, deleted] {
        let missing = acme.change_as(if_match(1), erase(gone)).await;
        assert_eq!(missing, Err(ChangeError::NotFound(Missing::Contact)));
    }
    assert_eq!(acme.state().await, before);
    acme.erase(deleted).await;
}

pub(crate) async fn what_is_kept_of_others_stays(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let [a, b] = [acme.create(zebulon()).await.contact.id, acme.create(blank()).await.contact.id];
    let labels = || vec![set_labels(a, &["vip"]), set_labels(b, &["press"])];
    let with_erasure = [labels(), vec![erase(a)]].concat();
    let before = acme.apply(keyed(&acme, "before", 1), labels(), false).await.results;
    let within = acme.apply(keyed(&acme, "within", 1), with_erasure, false).await.results;
    let missing = Err(ChangeError::NotFound(Missing::Contact));
    let kept = async |key| acme.apply(keyed(&acme, key, 1), vec![], false).await.results;
    assert_eq!(kept("before").await, [missing.clone(), before[1].clone()]);
    assert_eq!(kept("within").await, [missing.clone(), within[1].clone(), within[2].clone()]);
    // And is found when their turn comes.
    assert_eq!(acme.erase(b).await.outcomes, 2);
    assert_eq!(kept("before").await, [missing.clone(), missing]);
}

pub(crate) async fn what_a_call_did_before_it_erased_is_erased_too(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = ContactId(1);
    let changes = || {
        vec![
            create(zebulon()),
            update(id, with_custom(json!({"note": "Zlater"}))),
            set_labels(id, &["vip"]),
            delete(id),
            erase(id),
            erase(id),
            revert(id, Seq(8)),
            create(zebulon()),
        ]
    };
    let applied = acme.apply(keyed(&acme, "k", 1), changes(), false).await;
    let Ok(Outcome::ContactErased(receipt)) = &applied.results[4] else { panic!("{applied:?}") };
    assert_eq!((receipt.contact, receipt.events, receipt.seq), (false, 4, Seq(9)));
    let Ok(Outcome::ContactErased(again)) = &applied.results[5] else { panic!("{applied:?}") };
    assert_eq!((again.events, again.seq), (0, Seq(9)));
    assert!(applied.results[6].is_err());
    assert!(applied.results[7].is_ok());
    assert_eq!(acme.history(id).await, [9, 8, 7, 5, 4]);
    let told = serde_json::to_string(&acme.events().await[..9]).unwrap();
    for mark in MARKS {
        assert!(!told.contains(mark), "{mark}: {told}");
    }
    // What is kept of the call tells nothing of the contact either, but of the one after it.
    let again = acme.apply(keyed(&acme, "k", 1), changes(), false).await;
    assert!(again.replayed);
    let missing = Err(ChangeError::NotFound(Missing::Contact));
    for number in 0..3 {
        assert_eq!(again.results[number], missing);
    }
    assert_eq!(again.results[3..], applied.results[3..]);
}

pub(crate) async fn an_erasure_in_a_call_that_fails_did_not_happen(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let told = Told::new(&acme).await;
    let id = acme.create_linked("anna", zebulon()).await.contact.id; // 5
    let applied = acme.apply(keyed(&acme, "k", 1), vec![update(id, named("Anna"))], true).await;
    told.look(Seq(4)).await;
    let before = acme.state().await;
    let changes = vec![update(id, named("Eve")), erase(id), delete(ContactId(404))];
    let failed = acme.apply(acme.cx(), changes.clone(), true).await;
    assert_eq!(failed.results[1], Err(ChangeError::Skipped));
    assert_eq!(acme.state().await, before);
    assert_eq!(told.get(5).await.payload, told.news(Seq(4)).await[0].payload);
    let again = acme.apply(keyed(&acme, "k", 1), vec![], true).await;
    assert_eq!(again.results, applied.results);
    // Without `atomic` it stands, and the refused change beside it does not.
    let applied = acme.apply(acme.cx(), changes, false).await;
    assert!(applied.results[1].is_ok() && applied.results[2].is_err());
    assert_eq!(acme.find(id).await, None);
    assert_eq!(told.get(5).await.payload, "");
}

pub(crate) async fn erasures_among_writers_leave_nothing_of_the_contact(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let told = Told::new(&acme).await; // 4
    let mut ids = Vec::new();
    for number in 0..12 {
        ids.push(acme.create_linked(&format!("s{number}"), named("Zebulon")).await.contact.id);
    }
    let look = async {
        for from in 4..16 {
            let to = Seq(from + 1);
            let mut new = told.news(Seq(from)).await;
            new.retain(|new| new.seq == to);
            told.enqueue(&told.lease, Seq(from), to, new).await;
        }
    };
    let work = futures::future::join_all(ids.iter().map(|id| {
        let acme = acme.clone();
        async move {
            let key = format!("k{id}");
            let first = acme.change_as(keyed(&acme, &key, 1), update(*id, named("Zebulon 2")));
            let (changed, labels, erased) = futures::join!(
                first,
                acme.change(set_labels(*id, &["vip"])),
                acme.change(erase(*id)),
            );
            for result in [changed.map(drop), labels.map(drop)] {
                assert!(matches!(result, Ok(()) | Err(ChangeError::NotFound(_))), "{result:?}");
            }
            erased.unwrap();
        }
    }));
    futures::join!(look, work);
    assert_eq!(acme.counts().await, (0, 0));
    let told_of = serde_json::to_string(&acme.events().await).unwrap();
    assert!(!told_of.contains("Zebulon"));
    for seq in told.list(None).await {
        assert_eq!(told.get(seq).await.payload, "", "{seq}");
    }
    for id in &ids {
        let kept = acme.apply(keyed(&acme, &format!("k{id}"), 1), vec![], true).await;
        assert_eq!(kept.results, [Err(ChangeError::NotFound(Missing::Contact))]);
        assert!(acme.history(*id).await.len() > 1);
    }
}
