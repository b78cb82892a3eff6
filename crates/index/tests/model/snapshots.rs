//! What comes out of a snapshot is what went in, and never anything else.
#![expect(clippy::unwrap_used, reason = "a test may panic; clippy does not see that this is one")]

use meishi_contacts::{
    AccountId, AttributesPatch, ContactId, ContactPatch, Email, Identifier, Label, Patch, Seq,
};
use meishi_index::{Index, SnapshotError, Stamp};
use proptest::prelude::*;
use serde_json::json;

use crate::{
    account::{Account, check},
    cases::{by_default, named},
    steps::{asked, patch, step},
};

fn stamp(seq: Seq) -> Stamp {
    Stamp {
        program: "meishi 1".to_owned(),
        database: "database".to_owned(),
        epoch: 3,
        account: AccountId(7),
        seq,
        event: [9; 32],
    }
}

fn written(index: &Index) -> Vec<u8> {
    let mut bytes = Vec::new();
    index.write(&stamp(index.seq()), &mut bytes).unwrap();
    bytes
}

fn read(mut bytes: &[u8]) -> Result<(Stamp, Index), SnapshotError> {
    let length = bytes.len() as u64;
    Index::read(&mut bytes, length)
}

/// The index that comes out of its snapshot.
pub(crate) fn restored(index: &Index) -> Index {
    let bytes = written(index);
    let (found, restored) = read(&bytes).unwrap();
    assert_eq!(found, stamp(index.seq()));
    assert_eq!(Stamp::read(&mut bytes.as_slice(), bytes.len() as u64).unwrap(), found);
    assert_eq!(restored.has_grams(), index.has_grams());
    restored
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Bits that flip, bytes that are missing, are there twice, or come from another file.
    #[test]
    fn a_damaged_snapshot_is_never_an_index(
        first in prop::collection::vec(patch(), 1..25),
        steps in prop::collection::vec(step(), 0..12),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8_u8), 64),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 32),
        ranges in prop::collection::vec(any::<[prop::sample::Index; 3]>(), 32),
    ) {
        let mut account = Account::default();
        for patch in &first {
            account.create(patch);
        }
        let other = written(&account.with_grams(0));
        for step in &steps {
            account.run(step);
        }
        let bytes = written(&account.with_grams(0));
        prop_assert!(read(&bytes).is_ok());
        for (at, bit) in flips {
            let mut damaged = bytes.clone();
            damaged[at.index(bytes.len())] ^= 1 << bit;
            prop_assert!(read(&damaged).is_err());
        }
        for at in cuts {
            prop_assert!(read(&bytes[..at.index(bytes.len())]).is_err());
        }
        for [from, to, source] in ranges {
            let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
            let mut damaged = bytes.clone();
            let source = source.index(other.len());
            for at in from.min(to)..from.max(to) {
                damaged[at] = other[(source + at) % other.len()];
            }
            prop_assert!(damaged == bytes || damaged == other || read(&damaged).is_err());
        }
        let twice = [bytes.as_slice(), &bytes].concat();
        prop_assert!(read(&twice).is_err());
        let header = twice.get(..20).unwrap_or_default();
        prop_assert!(Stamp::read(&mut &*header, 20).is_err());
    }

    /// Grams or none: what is sure and what is left open stays the same, and changes go on.
    #[test]
    fn it_answers_as_before(
        first in prop::collection::vec(patch(), 0..25),
        asked in prop::collection::vec(asked(), 1..12),
        steps in prop::collection::vec(step(), 0..25),
    ) {
        let mut account = Account::default();
        for patch in &first {
            account.create(patch);
        }
        let mut pairs = [account.loaded(), account.with_grams(0)].map(|index| {
            let copy = restored(&index);
            (index, copy)
        });
        let known = account.events.len();
        for step in &steps {
            account.run(step);
        }
        let queries: Vec<_> = asked.iter().map(|asked| account.query(asked)).collect();
        for (index, copy) in &mut pairs {
            for event in &account.events[known..] {
                index.apply(event).unwrap();
                copy.apply(event).unwrap();
            }
            for query in &queries {
                prop_assert_eq!(copy.query(query), index.query(query));
            }
            check(&restored(copy), &account, &queries);
        }
    }
}

#[test]
fn without_room_for_grams_answers_are_the_same() {
    let mut account = Account::default();
    for number in 0..100 {
        account.create(&named(&format!("Ana Hernández {number}")));
    }
    let mut index = account.with_grams(0);
    let with_grams = index.bytes();
    index.forgo_grams();
    assert!(!index.has_grams() && index.bytes() < with_grams);
    let mut index = restored(&index);
    account.create(&named("Eva Hernández"));
    index.apply(account.events.last().unwrap()).unwrap();
    assert!(!index.has_grams(), "they do not come back");
    check(&index, &account, &["hernandez", "9", "eva"].map(|q| by_default(Some(q), 0, 15)));
}

#[test]
fn another_version_is_told_from_damage() {
    let mut bytes = written(&Index::new());
    assert!(read(&bytes).is_ok());
    let digit = bytes.iter().position(u8::is_ascii_digit).unwrap();
    bytes[digit] += 1;
    assert!(matches!(read(&bytes), Err(SnapshotError::OtherVersion)));
    assert!(matches!(read(b"SQLite format 3\0"), Err(SnapshotError::OtherVersion)));
    assert!(matches!(read(b""), Err(SnapshotError::Damaged(_))));
}

/// Memory keeps the text of a contact that is gone until its place is used again; a file must not.
#[test]
fn nothing_of_a_contact_that_is_gone_is_written() {
    let mut account = Account::default();
    for number in 0..50 {
        account.create(&named(&format!("Somebody {number}")));
    }
    let secrets = json!({ "city": "Zzyzx", "secret": "qwfpg attribute" });
    let attributes = || AttributesPatch::Merge(secrets.as_object().unwrap().clone());
    account.create(&ContactPatch {
        name: Some("Qwfpgname Qwfpgfamily".to_owned()),
        email: Email::parse("Qwfpg@qwfpg.example").unwrap().map_or(Patch::Keep, Patch::Set),
        identifier: Patch::Set(Identifier::from_stored("qwfpgident".to_owned())),
        additional_attributes: attributes(),
        custom_attributes: attributes(),
        ..ContactPatch::default()
    });
    let person = account.contacts.keys().next_back().copied().unwrap();
    let mut contact = account.contacts[&person].clone();
    let changes = contact.set_labels(vec![Label::from_stored("vip".into())]).unwrap();
    account.save(contact, changes);
    let mut indexes = [account.loaded(), account.with_grams(0)];
    let holds = |index: &Index| {
        let bytes = written(index);
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        ["qwfpg", "zzyzx"].map(|secret| text.contains(secret))
    };
    account.delete(ContactId(1));
    account.delete(person);
    for index in &mut indexes {
        assert_eq!(holds(index), [true, true]);
        for event in &account.events[usize::try_from(index.seq().0).unwrap()..] {
            index.apply(event).unwrap();
        }
        assert_eq!(holds(index), [false, false]);
        check(&restored(index), &account, &[by_default(Some("somebody"), 0, 100)]);
    }
}
