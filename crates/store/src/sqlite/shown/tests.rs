//! The map beside a table that is told of every read.

use std::cell::RefCell;

use meishi_contacts::{Contact, UnixSeconds};

use super::*;

const ACME: AccountId = AccountId(1);

/// A table of contacts beside the map, and what was read of it.
struct Table {
    shown: ShownContacts,
    rows: RefCell<Vec<ContactRecord>>,
    reads: RefCell<Vec<Vec<i64>>>,
}

impl Table {
    fn new(room: usize) -> Self {
        let record = |id| {
            let contact = Contact::blank(ContactId(id), UnixSeconds(0));
            ContactRecord { contact, contact_inboxes: Vec::new() }
        };
        let rows = RefCell::new((1..=9).map(record).collect());
        Self {
            shown: ShownContacts::with_room(room, Seen::default()),
            rows,
            reads: RefCell::default(),
        }
    }

    fn change(&self, id: i64, change: impl Fn(&mut Contact)) {
        for record in self.rows.borrow_mut().iter_mut() {
            if record.contact.id.0 == id {
                change(&mut record.contact);
            }
        }
    }

    fn raise(&self, id: i64) {
        self.change(id, |contact| contact.version.0 += 1);
    }

    fn read(&self, ids: &[ContactId]) -> Vec<Arc<ContactRecord>> {
        self.reads.borrow_mut().push(ids.iter().map(|id| id.0).collect());
        let rows = self.rows.borrow();
        let row = |id: &ContactId| rows.iter().find(|record| record.contact.id == *id);
        ids.iter().filter_map(row).cloned().map(Arc::new).collect()
    }

    /// A page's contacts and their versions, with something that happens after each read.
    fn page_amid(&self, ids: &[i64], then: impl Fn(usize)) -> Vec<(i64, i64)> {
        let ids: Vec<ContactId> = ids.iter().copied().map(ContactId).collect();
        let before = self.reads.borrow().len();
        let read = |ids: &[ContactId]| {
            let found = self.read(ids);
            then(self.reads.borrow().len() - before);
            Ok(found)
        };
        let page = self.shown.page(ACME, &ids, read).unwrap();
        let of = |record: &Arc<ContactRecord>| (record.contact.id.0, record.contact.version.0);
        page.iter().map(of).collect()
    }

    fn page(&self, ids: &[i64]) -> Vec<(i64, i64)> {
        self.page_amid(ids, |_| ())
    }

    /// What was read since this was asked for last.
    fn reads(&self) -> Vec<Vec<i64>> {
        self.reads.take()
    }
}

fn touched(ids: &[i64]) -> Touched {
    let contacts = ids.iter().map(|id| (ACME, ContactId(*id))).collect();
    Touched { contacts, names: false }
}

#[test]
fn what_was_shown_is_not_read_again() {
    let table = Table::new(ROOM);
    assert_eq!(table.page(&[3, 1, 404]), [(3, 1), (1, 1)]);
    assert_eq!(table.page(&[1, 3]), [(1, 1), (3, 1)]);
    assert_eq!(table.page(&[2, 1, 404, 2, 3, 1]), [(2, 1), (1, 1), (2, 1), (3, 1), (1, 1)]);
    assert_eq!(table.reads(), [vec![3, 1, 404], vec![2, 404, 2]]);
    let theirs = table.shown.page(AccountId(2), &[ContactId(1)], |_| Ok(Vec::new()));
    assert_eq!(theirs.unwrap(), [], "another account's");
}

#[test]
fn a_contact_is_kept_when_it_is_read_again() {
    let shown = ShownContacts::with_room(ROOM, Seen::remembering(SEEN));
    let table = Table { shown, ..Table::new(0) };
    for ids in [&[1, 2][..], &[3, 1], &[4, 1], &[2]] {
        table.page(ids);
    }
    assert_eq!(table.reads(), [vec![1, 2], vec![3, 1], vec![4], vec![2]]);
    assert_eq!(table.page(&[1, 2]).len(), 2);
    assert_eq!(table.reads(), Vec::<Vec<i64>>::new());
}

#[test]
fn those_shown_longest_ago_make_room() {
    let size = bytes(&Table::new(0).rows.borrow()[0]);
    let table = Table::new(3 * size);
    for ids in [&[1][..], &[2], &[3], &[1], &[4]] {
        table.page(ids);
    }
    table.reads();
    assert_eq!(table.page(&[1, 3, 4]).len(), 3);
    assert_eq!((table.reads(), table.shown.shown().bytes), (vec![], 3 * size));
    table.page(&[2]);
    assert_eq!(table.page(&(1..=9).collect::<Vec<_>>()).len(), 9);
    assert_eq!(table.shown.shown().bytes, 3 * size);
    drop(table.shown.committing(&touched(&(1..=9).collect::<Vec<_>>())));
    let shown = table.shown.shown();
    assert_eq!((shown.bytes, shown.records.len()), (0, 0));
}

#[test]
fn a_large_contact_is_not_kept() {
    let table = Table::new(ROOM);
    table.change(1, |contact| contact.name = "n".repeat(RECORD_BYTES));
    table.page(&[1, 2]);
    table.page(&[1, 2]);
    assert_eq!(table.reads(), [vec![1, 2], vec![1]]);
}

#[test]
fn a_commit_forgets_what_it_changes_before_it_begins() {
    let table = Table::new(ROOM);
    table.page(&[1, 2]);
    let committing = table.shown.committing(&touched(&[1]));
    table.reads();
    for _ in 0..2 {
        assert_eq!(table.page(&[1, 2]), [(1, 1), (2, 1)]);
    }
    assert_eq!(table.reads(), [[1], [1]], "nothing is kept while it is under way");
    table.raise(1);
    drop(committing);
    for _ in 0..2 {
        assert_eq!(table.page(&[1, 2]), [(1, 2), (2, 1)]);
    }
    assert_eq!(table.reads(), [[1]]);
}

#[test]
fn what_was_read_beside_a_commit_is_not_kept() {
    for (begins_after, ends_after) in [(true, true), (true, false), (false, true)] {
        let table = Table::new(ROOM);
        let committing = RefCell::new(None);
        if !begins_after {
            committing.replace(table.shown.committing(&touched(&[1])));
        }
        let then = |_| {
            if begins_after {
                committing.replace(table.shown.committing(&touched(&[1])));
            }
            table.raise(1);
            if ends_after {
                committing.take();
            }
        };
        assert_eq!(table.page_amid(&[1], then), [(1, 1)]);
        committing.take();
        assert_eq!(table.page(&[1]), [(1, 2)]);
    }
}

#[test]
fn a_page_is_read_anew_where_a_commit_came_between() {
    let table = Table::new(ROOM);
    table.page(&[1]);
    let then = |read| {
        if read == 1 {
            drop(table.shown.committing(&touched(&[1])));
            table.raise(1);
        }
    };
    // The commit changed both, and was seen of the one that was read alone.
    table.raise(2);
    assert_eq!(table.page_amid(&[1, 2], then), [(1, 2), (2, 2)]);
    assert_eq!(table.reads(), [vec![1], vec![2], vec![1, 2]]);
    table.page(&[1, 2]);
    assert!(table.reads().is_empty());
}

#[test]
fn other_names_forget_all() {
    let table = Table::new(ROOM);
    table.page(&[1, 2]);
    drop(table.shown.committing(&Touched { contacts: Vec::new(), names: true }));
    assert_eq!(table.shown.shown().bytes, 0);
    table.page(&[1, 2]);
    assert_eq!(table.reads(), [[1, 2], [1, 2]]);
}

#[test]
fn a_commit_that_touches_no_contact_is_none_here() {
    let table = Table::new(ROOM);
    let then = |_| assert!(table.shown.committing(&Touched::default()).is_none());
    table.page_amid(&[1], then);
    table.page(&[1]);
    assert_eq!(table.reads(), [[1]]);
}

#[test]
fn once_closed_nothing_is_kept() {
    let table = Table::new(ROOM);
    table.page(&[1]);
    table.page_amid(&[2], |_| table.shown.close());
    table.reads();
    table.page(&[1, 2]);
    table.page(&[1, 2]);
    assert_eq!(table.reads(), [[1, 2], [1, 2]]);
    assert_eq!(table.shown.shown().bytes, 0);
}
