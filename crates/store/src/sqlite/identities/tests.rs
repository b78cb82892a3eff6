use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::sqlite::migrations;

/// What a transaction does to an address, or how it goes on.
#[derive(Debug, Clone)]
enum Step {
    Give(Key, ContactId),
    Take(Key),
    /// Begins what `RollBackTo` undoes.
    Savepoint,
    RollBackTo,
    Commit,
    RollBack,
    /// Dies and starts again.
    Reopen,
    Stop,
}

fn step() -> impl Strategy<Value = Step> {
    let key = (1_i64..3, 0_usize..3, 0_u32..40).prop_map(|(account, kind, value)| {
        let identity = Identity { kind: IdentityKind::ALL[kind], value: value.to_string() };
        (AccountId(account), identity)
    });
    prop_oneof![
        12 => (key.clone(), 1_i64..5).prop_map(|(key, contact)| {
            Step::Give(key, ContactId(contact))
        }),
        4 => key.prop_map(Step::Take),
        1 => Just(Step::Savepoint),
        1 => Just(Step::RollBackTo),
        5 => Just(Step::Commit),
        1 => Just(Step::RollBack),
        1 => Just(Step::Reopen),
        1 => Just(Step::Stop),
    ]
}

fn open(connection: &Connection) -> Identities {
    let known = Known::eager(connection);
    Identities { gather: 20, known, ..Identities::open(connection).unwrap() }
}

fn rows(connection: &Connection) -> BTreeMap<Key, ContactId> {
    let columns = "SELECT DISTINCT account_id, kind, value, contact_id FROM addresses";
    let mut statement = connection.prepare(columns).unwrap();
    let rows = statement.query_map([], |row| {
        let identity =
            Identity { kind: row::parsed(row, 1, IdentityKind::parse)?, value: row.get(2)? };
        Ok(((AccountId(row.get(0)?), identity), ContactId(row.get(3)?)))
    });
    let rows: Vec<(Key, ContactId)> = rows.unwrap().map(Result::unwrap).collect();
    let unique: BTreeMap<_, _> = rows.iter().cloned().collect();
    assert_eq!(unique.len(), rows.len(), "an address has two holders");
    unique
}

/// What readers find.
fn found(identities: &Identities, connection: &Connection, key: &Key) -> Option<ContactId> {
    let recent = identities.recent().owner(key.0, &key.1);
    recent.or_else(|| sorted_owner(connection, key.0, &key.1).unwrap())
}

proptest! {
    #[test]
    fn every_address_has_the_holder_that_it_was_given_last(
        steps in prop::collection::vec(step(), 1..400),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let connection = migrations::open(&directory.path().join("db"), "test").unwrap();
        let mut identities = open(&connection);
        let mut committed: BTreeMap<Key, ContactId> = BTreeMap::new();
        let mut now = committed.clone();
        let mut savepoint = None;
        // As the writer does: who has read already does not wait for the thread that reads in.
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        for step in steps {
            match step {
                Step::Give((account, identity), contact) => {
                    let held = identities.owner(&connection, account, &identity).unwrap();
                    prop_assert_eq!(held, now.get(&(account, identity.clone())).copied());
                    if held.is_none() {
                        identities.insert(&connection, account, &identity, contact).unwrap();
                        now.insert((account, identity), contact);
                    }
                }
                Step::Take((account, identity)) => {
                    identities.remove(&connection, account, &identity).unwrap();
                    now.remove(&(account, identity));
                }
                Step::Savepoint => {
                    connection.execute_batch("SAVEPOINT s").unwrap();
                    savepoint = Some((identities.savepoint(), now.clone()));
                }
                Step::RollBackTo => {
                    if let Some((savepoint, before)) = savepoint.take() {
                        connection.execute_batch("ROLLBACK TO s").unwrap();
                        identities.roll_back_to(savepoint);
                        now = before;
                    }
                }
                Step::Commit => {
                    identities.fold(&connection).unwrap();
                    connection.execute_batch("COMMIT").unwrap();
                    identities.commit();
                    (committed, savepoint) = (now.clone(), None);
                    prop_assert_eq!(rows(&connection), now.clone());
                    for (key, holder) in &now {
                        prop_assert_eq!(found(&identities, &connection, key), Some(*holder));
                    }
                    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
                }
                Step::RollBack | Step::Reopen | Step::Stop => {
                    connection.execute_batch("ROLLBACK").unwrap();
                    identities.roll_back();
                    (now, savepoint) = (committed.clone(), None);
                    if matches!(step, Step::Stop) {
                        fold_all(&connection).unwrap();
                        let left = "SELECT count(*) FROM recent_identities";
                        let left: i64 =
                            connection.query_row(left, [], |row| row.get(0)).unwrap();
                        prop_assert_eq!(left, 0);
                    }
                    if !matches!(step, Step::RollBack) {
                        identities = open(&connection);
                    }
                    prop_assert_eq!(rows(&connection), now.clone());
                    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
                }
            }
        }
    }
}

#[test]
fn a_new_address_is_not_looked_for_once_all_are_read_in() {
    let directory = tempfile::tempdir().unwrap();
    let connection = migrations::open(&directory.path().join("db"), "test").unwrap();
    let mut identities = open(&connection);
    let address = |n: i64| Identity { kind: IdentityKind::Email, value: n.to_string() };
    let add = |identities: &mut Identities, numbers: std::ops::Range<i64>| {
        connection.execute_batch("BEGIN").unwrap();
        for n in numbers {
            identities.insert(&connection, AccountId(1), &address(n), ContactId(n)).unwrap();
        }
        connection.execute_batch("COMMIT").unwrap();
        identities.commit();
    };
    // In the sorted table, in the appended one, and new after all were read.
    add(&mut identities, 0..100);
    fold_all(&connection).unwrap();
    identities = open(&connection);
    add(&mut identities, 100..110);
    assert!(identities.known.may_hold(AccountId(1), &address(999)), "nothing is known yet");
    identities.owner(&connection, AccountId(1), &address(999)).unwrap();
    identities.known.wait();
    add(&mut identities, 110..120);
    for n in 0..120 {
        assert!(identities.known.may_hold(AccountId(1), &address(n)), "{n}");
    }
    // Many more than there was room for when they were read.
    add(&mut identities, 120..3000);
    for n in 0..3000 {
        assert!(identities.known.may_hold(AccountId(1), &address(n)), "{n}");
    }
    let held = |n: &i64| identities.known.may_hold(AccountId(2), &address(*n));
    assert!((0..3000).filter(held).count() < 150, "another account's are told apart");
}

#[test]
fn what_is_gathered_is_folded_bit_by_bit_as_more_comes() {
    let directory = tempfile::tempdir().unwrap();
    let connection = migrations::open(&directory.path().join("db"), "test").unwrap();
    let mut identities = open(&connection);
    let mut states = Vec::new();
    for n in 0..60 {
        connection.execute_batch("BEGIN").unwrap();
        let identity = Identity { kind: IdentityKind::Email, value: n.to_string() };
        identities.insert(&connection, AccountId(1), &identity, ContactId(n)).unwrap();
        identities.fold(&connection).unwrap();
        connection.execute_batch("COMMIT").unwrap();
        identities.commit();
        states.push(identities.fold);
    }
    let inserting = states.iter().filter(|fold| matches!(fold, Fold::Inserting { .. }));
    let trimming = states.iter().filter(|fold| matches!(fold, Fold::Trimming { .. }));
    assert_eq!((inserting.count(), trimming.count()), (21, 6));
    let counts = "SELECT (SELECT count(*) FROM identities),
        (SELECT count(*) FROM recent_identities)";
    let counts: (i64, i64) =
        connection.query_row(counts, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert_eq!(counts, (40, 20));
    assert_eq!(rows(&connection).len(), 60);
}

#[test]
fn many_are_sorted_beside_the_commits_and_nothing_is_folded_before() {
    let directory = tempfile::tempdir().unwrap();
    let connection = migrations::open(&directory.path().join("db"), "test").unwrap();
    let many = i64::try_from(gathered::SORTED_AT_ONCE).unwrap() + 1;
    let mut identities = Identities { gather: gathered::SORTED_AT_ONCE + 1, ..open(&connection) };
    let address = |n: i64| Identity { kind: IdentityKind::ALL[0], value: (n * 7919).to_string() };
    let commit = |identities: &mut Identities, numbers: std::ops::Range<i64>| {
        connection.execute_batch("BEGIN").unwrap();
        for n in numbers {
            identities.insert(&connection, AccountId(1), &address(n), ContactId(n)).unwrap();
        }
        identities.fold(&connection).unwrap();
        connection.execute_batch("COMMIT").unwrap();
        identities.commit();
        identities.fold
    };
    let begun = Fold::Inserting { done: 0, to: many };
    assert_eq!(commit(&mut identities, 0..many), begun);
    // Taken while it waits to be sorted or to be folded.
    identities.remove(&connection, AccountId(1), &address(5)).unwrap();
    identities.fold(&connection).unwrap();
    identities.commit();
    assert_eq!(identities.fold, begun, "nothing was brought");
    identities.recent.read().wait();
    assert_eq!(commit(&mut identities, many..many + 10), Fold::Inserting { done: 20, to: many });
    let first = "SELECT value FROM identities";
    let mut first = connection.prepare(first).unwrap();
    let first: Vec<String> =
        first.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut sorted: Vec<String> = (0..many).filter(|n| *n != 5).map(|n| address(n).value).collect();
    sorted.sort();
    assert!(sorted.starts_with(&first), "{first:?}");
    assert_eq!(commit(&mut identities, many + 10..many + 600), Fold::Trimming { to: many });
    assert_eq!(commit(&mut identities, many + 600..many + 1000), Fold::Resting);
    assert_eq!(rows(&connection).len(), sorted.len() + 1000);
    assert_eq!(found(&identities, &connection, &(AccountId(1), address(5))), None);
}
