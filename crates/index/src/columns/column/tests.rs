//! A column is held to what each slot has.

use meishi_contacts::{
    Filter, UnixMillis,
    filter::{Operator, Reading},
};
use serde_json::json;

use super::*;
use crate::snapshot::{Reader, Writer};

fn condition(operator: &str, values: &Value) -> Condition {
    let json = json!({ "attribute_key": "x", "filter_operator": operator, "values": values });
    match Filter::from_json(&json, &Reading::untyped(UnixMillis(0))) {
        Ok(Filter::Is(condition)) => condition,
        other => panic!("{other:?}"),
    }
}

fn conditions() -> Vec<Condition> {
    let mut conditions = Vec::new();
    for operator in Operator::ALL.map(Operator::as_str) {
        for values in [json!([7]), json!(["7"]), json!(["a"]), json!([true]), json!([3, 9])] {
            let json =
                json!({ "attribute_key": "x", "filter_operator": operator, "values": values });
            if Filter::from_json(&json, &Reading::untyped(UnixMillis(0))).is_ok() {
                conditions.push(condition(operator, &values));
            }
        }
    }
    conditions
}

/// The column that comes out of its snapshot.
fn restored(column: &Column) -> Column {
    let mut bytes = Vec::new();
    let mut out = Writer::begin(&mut bytes, b"").unwrap();
    column.write(&mut out).unwrap();
    out.finish().unwrap();
    let mut bytes = bytes.as_slice();
    let length = bytes.len() as u64;
    let mut input = Reader::begin(&mut bytes, length, b"").unwrap();
    let restored = Column::read(&mut input).unwrap();
    input.finish().unwrap();
    restored
}

/// Holds a column, and what comes out of its snapshot, to what each slot has.
fn check(column: &Column, values: &[Option<Value>]) {
    check_one(column, values);
    let restored = restored(column);
    check_one(&restored, values);
    assert_eq!((restored.values(), restored.is_empty()), (column.values(), column.is_empty()));
}

fn check_one(column: &Column, values: &[Option<Value>]) {
    let mut universe = Bits::default();
    // Some that no value was ever given to, and some that are not asked for.
    let slots = || (0..values.len() + 200).filter(|slot| slot % 5 != 3);
    for slot in slots() {
        universe.set(Slot::try_from(slot).unwrap(), true);
    }
    for condition in conditions() {
        let Some(Outcome { must, may }) = column.evaluate(&condition, &universe) else {
            let is_of_text = condition.is_met_by_number(Num::Int(0)).is_none();
            assert!(is_of_text || matches!(column, Column::Hashes(_)), "{condition:?}");
            continue;
        };
        for slot in slots() {
            let value = values.get(slot).and_then(Option::as_ref);
            let met = condition.is_met_by(&Datum::of(value));
            let slot = Slot::try_from(slot).unwrap();
            let is_open = value.is_some_and(|value| value.to_string().len() > VALUE_BYTES);
            assert!(!must.contains(slot) || met, "{condition:?} {value:?}");
            assert!(may.contains(slot) || !met, "{condition:?} {value:?}");
            let is_open = is_open || matches!(column, Column::Hashes(_));
            assert!(is_open || must.contains(slot) == met, "{condition:?} {value:?}");
        }
        let outside = may.slots().filter(|slot| !universe.contains(*slot)).count();
        assert_eq!(outside, 0, "{condition:?}");
    }
}

fn value(number: usize) -> Option<Value> {
    Some(match number % 11 {
        0 => return None,
        1 => json!("a"),
        2 => json!("A long one".repeat(30)),
        3 => json!(true),
        4 => json!(["a", 7]),
        5 => json!({ "a": number }),
        6 => Value::Null,
        7 => json!("7.0"),
        _ => json!(number % 20),
    })
}

fn filled(values: &[Option<Value>]) -> Column {
    let mut column = Column::default();
    for (slot, value) in (0..).zip(values) {
        column.set(slot, value.as_ref(), usize::MAX);
    }
    column
}

#[test]
fn values_come_and_go() {
    let mut values: Vec<_> = (0..500).map(value).collect();
    let mut column = filled(&values);
    check(&column, &values);
    assert!(column.values() < 40);
    for (number, place) in values.iter_mut().enumerate() {
        *place = value(number * 7 + 3);
        column.set(Slot::try_from(number).unwrap(), place.as_ref(), usize::MAX);
    }
    check(&column, &values);
    for slot in 0..500 {
        assert!(!column.is_empty());
        column.set(slot, None, 0);
    }
    assert!(column.is_empty() && column.values() == 0);
    let Column::Coded(coded) = &column else { panic!() };
    assert_eq!((coded.held, coded.free.len()), (0, coded.known.len()));
    check(&column, &[]);
}

#[test]
fn many_numbers_are_kept_as_they_are() {
    let mut values: Vec<_> =
        (0..34_000_u32).map(|number| Some(json!(f64::from(number) / 4.0))).collect();
    values[10] = Some(json!("a"));
    values[20] = Some(json!("7"));
    values[30] = Some(json!("long".repeat(100)));
    values[40] = Some(json!(i64::MAX));
    values[50] = None;
    let mut column = filled(&values);
    assert!(matches!(column, Column::Numbers(_)));
    check(&column, &values);
    for slot in [10, 20, 30, 40, 50, 60] {
        values[slot as usize] = Some(json!(7));
        column.set(slot, values[slot as usize].as_ref(), 0);
    }
    values[70] = None;
    column.set(70, None, 0);
    check(&column, &values);
}

#[test]
fn of_many_texts_a_hash_is_kept() {
    let values: Vec<_> = (0..=VALUES).map(|number| Some(json!(format!("t{number}")))).collect();
    let column = filled(&values);
    assert!(matches!(column, Column::Hashes(_)));
    let mut universe = Bits::default();
    universe.set(1, true);
    universe.set(2, true);
    let outcome = column.evaluate(&condition("equal_to", &json!("T1")), &universe).unwrap();
    assert_eq!((outcome.must.len(), outcome.may.slots().collect()), (0, vec![1]));
    assert!(column.evaluate(&condition("contains", &json!("t1")), &universe).is_none());
    assert!(matches!(filled(&values[1..]), Column::Coded(_)));
    let mut small = filled(&values[..10]);
    small.set(10, values[10].as_ref(), 0);
    assert!(matches!(small, Column::Hashes(_)));
    let mixed: Vec<_> = (0..500).map(value).collect();
    let mut column = filled(&mixed);
    column.set(0, Some(&json!("new")), 0);
    assert!(matches!(column, Column::Hashes(_)));
    column.set(0, None, 0);
    check(&column, &mixed);
}

/// Fills one column with values and one with their JSON, as it is or otherwise written, and holds
/// both to the values.
fn check_json(values: &[Option<Value>]) {
    let (mut read, mut unread) = (Column::default(), Column::default());
    for round in 0..2_usize {
        for (number, slot) in (0..values.len()).zip(0..) {
            let value = values[(number + round) % values.len()].as_ref();
            read.set(slot, value, 50_000);
            match value {
                None => unread.set(slot, None, 50_000),
                Some(value) if number % 3 == 0 => {
                    unread.set_json(slot, &serde_json::to_string_pretty(value).unwrap(), 50_000);
                }
                Some(value) => unread.set_json(slot, &value.to_string(), 50_000),
            }
        }
        let mut values = values.to_vec();
        values.rotate_left(round);
        check(&read, &values);
        check(&unread, &values);
        assert_eq!((read.values(), read.is_empty()), (unread.values(), unread.is_empty()));
        assert_eq!(std::mem::discriminant(&read), std::mem::discriminant(&unread));
        if let (Column::Coded(read), Column::Coded(unread)) = (&read, &unread) {
            assert_eq!(
                (read.users, read.held, &read.codes),
                (unread.users, unread.held, &unread.codes)
            );
        }
    }
}

#[test]
fn a_value_is_the_same_whether_it_was_read_or_not() {
    check_json(&(0..700).map(value).collect::<Vec<_>>());
    let numbers = (0..34_000_u32).map(|number| match number % 50 {
        0 => Some(json!(format!("{number}"))),
        1 => None,
        2 => Some(json!(number)),
        3 => Some(json!(f64::from(number) * 1e20)),
        _ => Some(json!(f64::from(number) / 8.0)),
    });
    check_json(&numbers.collect::<Vec<_>>());
    let texts = (0..33_000_u32).map(|number| Some(json!(format!("T\u{e9} \"{number}"))));
    check_json(&texts.chain([None, Some(json!("plain")), Some(json!(7))]).collect::<Vec<_>>());
}
