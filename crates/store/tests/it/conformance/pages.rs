//! `contacts` of a page that is asked for again and again, while its contacts change.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicUsize, Ordering::SeqCst},
};

use meishi_contacts::{ContactId, ContactPatch, InboxPatch, NewContact, NewLink, Seq, Version};
use meishi_store::{Change, ContactRecord, Include, Store};

use super::{
    fields::{
        blank, create_in, delete, erase, identifier, inbox, named, rename_label, revert, source,
        update, upsert, with_email,
    },
    tenant::Tenant,
};

/// A page, which must be what single reads are; asked for twice, as it may be kept from the first.
async fn page(acme: &Tenant, ids: &[ContactId]) -> Vec<ContactRecord> {
    let page = acme.page(ids, Include::Inboxes).await;
    let mut alone = Vec::new();
    for id in ids {
        alone.extend(acme.find(*id).await);
    }
    assert_eq!(page, alone);
    assert_eq!(acme.page(ids, Include::Inboxes).await, page);
    page
}

async fn three(acme: &Tenant) -> Vec<ContactId> {
    let mut ids = Vec::new();
    for name in ["anna", "bob", "cora"] {
        let fields = ContactPatch { identifier: identifier(name), ..named(name) };
        ids.push(acme.create_linked(name, fields).await.contact.id);
    }
    ids
}

pub(crate) async fn a_page_shows_every_change_of_its_contacts_at_once(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let ids = three(&acme).await;
    let other = acme.create_inbox(inbox("App")).await.id;
    let versions = |page: &[ContactRecord]| -> Vec<i64> {
        page.iter().map(|record| record.contact.version.0).collect()
    };
    assert_eq!(versions(&page(&acme, &ids).await), [1, 1, 1]);

    acme.update(ids[1], named("Bobby")).await;
    let shown = page(&acme, &ids).await;
    assert_eq!((versions(&shown), &*shown[1].contact.name), (vec![1, 2, 1], "Bobby"));
    let renaming = acme.last_seq().await;

    acme.set_labels(ids[0], &["vip"]).await;
    assert_eq!(page(&acme, &ids).await[0].contact.labels.len(), 1);

    let fields = ContactPatch { identifier: identifier("cora"), ..with_email("c@example.com") };
    acme.change(upsert(fields.clone())).await.unwrap();
    assert!(page(&acme, &ids).await[2].contact.email.is_some());

    // A link besides, where an upsert makes one.
    let link = Some(NewLink { inbox_id: other, source_id: Some(source("c")) });
    let new = Box::new(NewContact { fields, link });
    acme.change(Change::UpsertContact { new, lacks: Vec::new(), only_create: false })
        .await
        .unwrap();
    page(&acme, &ids).await;

    acme.change(revert(ids[1], renaming)).await.unwrap();
    assert_eq!(page(&acme, &ids).await[1].contact.name, "bob");

    acme.delete(ids[1]).await;
    assert_eq!(page(&acme, &ids).await.len(), 2);
    let deletion = acme.last_seq().await;
    acme.change(revert(ids[1], deletion)).await.unwrap();
    assert_eq!(page(&acme, &ids).await.len(), 3);

    // More than one in a call, and the same one twice.
    let changes =
        vec![update(ids[0], named("A")), delete(ids[1]), update(ids[0], named("Anna Meier"))];
    acme.apply(acme.cx(), changes, true).await;
    let names: Vec<String> =
        page(&acme, &ids).await.into_iter().map(|record| record.contact.name).collect();
    assert_eq!(names, ["Anna Meier", "cora"]);

    acme.erase(ids[0]).await;
    acme.change(erase(ids[1])).await.unwrap();
    let shown = page(&acme, &ids).await;
    assert_eq!((shown.len(), shown[0].contact.id), (1, ids[2]));
}

pub(crate) async fn a_page_shows_other_names_at_once(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let ids = three(&acme).await;
    let app = acme.create_inbox(inbox("App")).await.id;
    let linked = acme.change(create_in(app, Some("dan"), named("dan"))).await;
    let ids = [&ids[..], &[super::tenant::created(linked).contact.id]].concat();
    acme.set_labels(ids[0], &["vip", "beta"]).await;
    page(&acme, &ids).await;

    let labels = acme.labels().await;
    let vip = labels.iter().find(|label| label.title.as_str() == "vip").unwrap().id;
    acme.change(rename_label(vip, "gold")).await.unwrap();
    let titles = |page: &[ContactRecord]| -> Vec<String> {
        page[0].contact.labels.iter().map(|title| title.as_str().to_owned()).collect()
    };
    assert_eq!(titles(&page(&acme, &ids).await), ["beta", "gold"]);
    acme.change(Change::DeleteLabel { id: vip }).await.unwrap();
    assert_eq!(titles(&page(&acme, &ids).await), ["beta"]);

    let patch = InboxPatch { name: Some("Mobile".to_owned()) };
    acme.change(Change::UpdateInbox { id: app, patch }).await.unwrap();
    assert_eq!(page(&acme, &ids).await[3].contact_inboxes[0].inbox.name, "Mobile");
    acme.change(Change::DeleteInbox { id: app, force: true }).await.unwrap();
    assert_eq!(page(&acme, &ids).await[3].contact_inboxes, []);
}

pub(crate) async fn a_call_that_fails_changes_no_page(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let ids = three(&acme).await;
    let before = page(&acme, &ids).await;
    let changes = vec![update(ids[0], named("A")), update(ContactId(404), named("B"))];
    acme.apply(acme.cx(), changes, true).await;
    assert_eq!(page(&acme, &ids).await, before);
    // Refused by the database, so that nothing of the call is left.
    let mut taken = super::fields::some_key("taken");
    taken.api_key.clone_from(&acme.key.api_key);
    let changes = vec![update(ids[0], named("A")), Change::CreateKey(taken)];
    assert!(store.apply(acme.cx(), changes, false).await.is_err());
    assert_eq!(page(&acme, &ids).await, before);
}

/// Two contacts that are always changed by one call, and what is known of it.
struct Couple {
    ids: [ContactId; 2],
    /// The version that both have by the last answer.
    answered: AtomicI64,
}

pub(crate) async fn pages_among_writers_are_each_of_one_moment_and_never_go_back(
    store: Arc<dyn Store>,
) {
    const STEPS: i64 = 150;
    let acme = Tenant::new(&store, "Acme").await;
    let mut couples = Vec::new();
    for _ in 0..3 {
        let ids = [acme.create(blank()).await.contact.id, acme.create(blank()).await.contact.id];
        couples.push(Couple { ids, answered: AtomicI64::new(1) });
    }
    let couples = Arc::new(couples);
    let writing = Arc::new(AtomicUsize::new(couples.len()));
    let writers = (0..couples.len()).map(|number| {
        let (acme, couples, writing) = (acme.clone(), Arc::clone(&couples), Arc::clone(&writing));
        tokio::spawn(async move {
            let couple = &couples[number];
            for step in 1..=STEPS {
                let patch = named(&format!("step {step}"));
                let changes = couple.ids.map(|id| update(id, patch.clone())).to_vec();
                acme.apply(acme.cx(), changes, true).await;
                couple.answered.store(step + 1, SeqCst);
                let ids = couple.ids;
                for record in acme.page(&ids, Include::Inboxes).await {
                    assert_eq!(record.contact.version, Version(step + 1), "after the answer");
                }
            }
            writing.fetch_sub(1, SeqCst);
        })
    });
    // Some look at halves of couples, so that of a whole one a part is kept.
    let sights: [&[usize]; 4] = [&[0, 1, 2, 3, 4, 5], &[0, 2, 4], &[5, 0, 1], &[3, 2]];
    let readers = sights.into_iter().map(|sight| {
        let (acme, couples, writing) = (acme.clone(), Arc::clone(&couples), Arc::clone(&writing));
        tokio::spawn(async move {
            let mut seen = [0; 6];
            while writing.load(SeqCst) > 0 {
                let answered: Vec<i64> =
                    couples.iter().map(|couple| couple.answered.load(SeqCst)).collect();
                let ids: Vec<ContactId> =
                    sight.iter().map(|place| couples[place / 2].ids[place % 2]).collect();
                let mut now = [0; 6];
                let page = acme.page(&ids, Include::Inboxes).await;
                for (place, record) in sight.iter().zip(page) {
                    let version = record.contact.version.0;
                    assert!(version >= answered[place / 2], "older than what was answered");
                    assert!(version >= seen[*place], "older than what was seen");
                    now[*place] = version;
                    let alone = acme.read(record.contact.id).await.contact.version.0;
                    seen[*place] = alone.max(version);
                    assert!(alone >= version);
                }
                for couple in now.chunks(2) {
                    assert!(couple.contains(&0) || couple[0] == couple[1], "{now:?}");
                }
                tokio::task::yield_now().await;
            }
        })
    });
    let tasks: Vec<_> = writers.chain(readers).collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert!(acme.last_seq().await > Seq(STEPS));
}
