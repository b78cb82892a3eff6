//! `history`: a contact's events, from the last one back.

use std::sync::Arc;

use meishi_contacts::{ContactId, Event, Seq, UnixMillis, limits::READ_ROWS};
use meishi_store::{Context, Store};

use super::{
    fields::{NOON, blank, create, delete, named, revert, set_labels, update, with_email},
    tenant::Tenant,
};

fn seqs(events: &[Event]) -> Vec<i64> {
    events.iter().map(|event| event.seq.0).collect()
}

pub(crate) async fn a_history_holds_every_event_of_the_contact_and_no_other(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    let anna = acme.create(named("Anna")).await.contact.id; // 4
    let bob = acme.create(named("Bob")).await.contact.id; // 5
    globex.create(named("Anna")).await;
    acme.update(bob, named("Robert")).await; // 6
    acme.update(anna, with_email("anna@example.com")).await; // 7
    acme.set_labels(anna, &["a", "b"]).await; // 8 and 9 make the labels, 10
    acme.update(anna, named("Anna")).await; // changes nothing
    acme.delete(anna).await; // 11
    assert_eq!(acme.history(anna).await, [11, 10, 7, 4]);
    acme.reverted(revert(anna, Seq(11))).await; // 12
    acme.update(bob, named("Bob")).await; // 13
    acme.update(anna, named("Anne")).await; // 14
    acme.reverted(revert(anna, Seq(14))).await; // 15
    assert_eq!(acme.history(anna).await, [15, 14, 12, 11, 10, 7, 4]);
    assert_eq!(acme.history(bob).await, [13, 6, 5]);
    assert_eq!(globex.history(ContactId(1)).await, [4]);
    let events = acme.events().await;
    let history = acme.history_from(anna, None, READ_ROWS).await.unwrap();
    for event in &history.events {
        assert!(events.contains(event), "{event:?}");
    }
}

pub(crate) async fn a_history_holds_what_one_call_did_and_nothing_that_was_refused(
    store: Arc<dyn Store>,
) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = ContactId(1);
    let changes = || {
        vec![
            create(named("Anna")),
            update(id, named("Anne")),
            set_labels(id, &["new"]),
            delete(id),
            delete(id),
        ]
    };
    acme.apply(acme.cx(), changes(), true).await;
    assert_eq!(acme.history_from(id, None, 9).await, None);
    acme.apply(acme.cx(), changes(), false).await;
    assert_eq!(acme.history(id).await, [8, 7, 5, 4]);
}

pub(crate) async fn a_history_is_read_page_by_page(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(blank()).await.contact.id;
    for number in 0..9 {
        acme.update(id, named(&number.to_string())).await;
    }
    acme.delete(id).await;
    let all = acme.history(id).await;
    assert_eq!(all.len(), 11);
    for limit in [1, 3, 10, 11, 12] {
        let (mut pages, mut next) = (Vec::new(), None);
        loop {
            let page = acme.history_from(id, next, limit).await.unwrap();
            assert!(page.events.len() <= limit && !page.dropped);
            pages.extend(seqs(&page.events));
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        assert_eq!(pages, all, "{limit} a page");
    }
    let none = acme.history_from(id, None, 0).await.unwrap();
    assert_eq!((seqs(&none.events), none.next), (vec![], Some(Seq(all[0]))));
}

pub(crate) async fn one_read_of_a_history_returns_at_most_so_many_events(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let id = acme.create(blank()).await.contact.id;
    let number = |number: usize| update(id, named(&number.to_string()));
    acme.apply(acme.cx(), (0..READ_ROWS).map(number).collect(), true).await;
    let first = acme.history_from(id, None, usize::MAX).await.unwrap();
    assert_eq!(first.events.len(), READ_ROWS);
    let rest = acme.history_from(id, first.next, usize::MAX).await.unwrap();
    assert_eq!((seqs(&rest.events), rest.next), (vec![4], None));
}

pub(crate) async fn a_contact_that_never_was_has_no_history(store: Arc<dyn Store>) {
    let (acme, globex) = Tenant::two(&store).await;
    let id = acme.create(blank()).await.contact.id;
    assert_eq!(acme.history_from(ContactId(id.0 + 1), None, 9).await, None);
    assert_eq!(acme.history_from(ContactId(0), None, 9).await, None);
    assert_eq!(globex.history_from(id, None, 9).await, None, "another account's");
}

pub(crate) async fn a_history_that_is_asked_for_from_another_event_shows_nothing_of_it(
    store: Arc<dyn Store>,
) {
    let acme = Tenant::new(&store, "Acme").await;
    let anna = acme.create(named("Anna")).await.contact.id;
    acme.create(named("Bob")).await;
    for from in [1, 3, 5] {
        let history = acme.history_from(anna, Some(Seq(from)), 9).await.unwrap();
        assert_eq!((seqs(&history.events), history.next, history.dropped), (vec![], None, false));
    }
}

pub(crate) async fn a_history_says_where_retention_cut_it(store: Arc<dyn Store>) {
    let acme = Tenant::new(&store, "Acme").await;
    let later = || Context { at: UnixMillis(NOON.0 + 1000), ..acme.cx() };
    let anna = acme.create(named("Anna")).await.contact.id; // 4
    let bob = acme.create(named("Bob")).await.contact.id; // 5
    let gone = acme.create(named("Gone")).await.contact.id; // 6
    acme.delete(gone).await; // 7
    acme.change_as(later(), update(anna, named("Anne"))).await.unwrap(); // 8
    acme.change_as(later(), update(anna, named("Ann"))).await.unwrap(); // 9
    store.drop_events(acme.account, UnixMillis(NOON.0 + 1)).await.unwrap();
    let history = acme.history_from(anna, None, 9).await.unwrap();
    assert_eq!((seqs(&history.events), history.next, history.dropped), (vec![9, 8], None, true));
    // A page that ends where the events end does not know of it yet.
    let page = acme.history_from(anna, None, 2).await.unwrap();
    assert_eq!((page.next, page.dropped), (Some(Seq(4)), false));
    let rest = acme.history_from(anna, page.next, 2).await.unwrap();
    assert_eq!((rest.events, rest.next, rest.dropped), (vec![], None, true));
    let history = acme.history_from(bob, None, 9).await.unwrap();
    assert_eq!((history.events, history.dropped), (vec![], true));
    assert_eq!(acme.history_from(gone, None, 9).await, None);
}

pub(crate) async fn heads_are_the_last_events_of_those_accounts_that_there_are(
    store: Arc<dyn Store>,
) {
    let (acme, globex) = Tenant::two(&store).await;
    acme.create(blank()).await;
    let unknown = meishi_contacts::AccountId(404);
    let mut heads = store.heads(&[globex.account, unknown, acme.account]).await.unwrap();
    heads.sort_unstable();
    let mut expected = [(acme.account, Seq(4)), (globex.account, Seq(3))];
    expected.sort_unstable();
    assert_eq!(heads, expected);
    assert_eq!(store.heads(&[]).await.unwrap(), []);
}
