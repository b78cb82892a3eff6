//! Where a page of contacts ended, in a cursor.

use meishi_contacts::{
    AccountId, ContactId, Label, Place, Query, SortField, SortKey, SortValue, TextQuery,
    UnixSeconds, limits::STRING_CHARS, search::fold,
};

use crate::{
    ApiError,
    cursor::{self, FLAG_BYTES, NUMBER_BYTES, Question, Reader},
};

/// Bytes of the longest phone number: a `+` and 15 digits.
const PHONE_BYTES: usize = 16;

/// The end of a page, and what following pages have to go on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    /// The first page found near matches, so the others do, whatever is written meanwhile.
    pub(super) near: bool,
    /// The place of the page's last contact.
    pub(super) place: Place,
}

/// What a query asks, apart from the slice and from whether near matches may do.
pub(super) fn question(account: AccountId, query: &Query) -> Question {
    let text = query.text.as_ref().map(TextQuery::folded).unwrap_or_default();
    let mut question = Question::of("contacts", account).with(text);
    if query.filter.is_some() || query.resolved {
        let filter = query.filter.as_ref().map(|filter| filter.to_json().to_string());
        question = Question::of("contacts/filter", account)
            .with(text)
            .with([u8::from(query.resolved)])
            .with(filter.unwrap_or_default());
    }
    for key in &query.order {
        question = question.with(key.field.as_str()).with([u8::from(key.descending)]);
    }
    let mut labels: Vec<&str> = query.labels.iter().map(Label::as_str).collect();
    labels.sort_unstable();
    labels.dedup();
    labels.into_iter().fold(question.with("labels"), Question::with)
}

impl Position {
    /// Writes it for a cursor.
    pub(super) fn write(&self) -> cursor::Position {
        let mut written = cursor::Position::default().flag(self.near).number(self.place.id.0);
        for value in &self.place.values {
            written = written.flag(value.is_some());
            written = match value {
                Some(SortValue::Text(text)) => written.text(text),
                // What it is folded to follows from it.
                Some(SortValue::Name { name, .. }) => written.text(name),
                Some(SortValue::Time(at)) => written.number(at.0),
                Some(SortValue::Relevance(rank)) => written.number(i64::from(*rank)),
                // Written already.
                Some(SortValue::Id(_)) | None => written,
            };
        }
        written
    }

    /// Reads what was written of a place in the order that is `ordered` of near matches, or of
    /// others.
    pub(super) fn read(
        mut reader: Reader,
        ordered: impl Fn(bool) -> Vec<SortKey>,
    ) -> Result<Self, ApiError> {
        let mut read = || {
            let near = reader.flag()?;
            let id = ContactId(reader.number()?);
            let mut values = Vec::new();
            for key in ordered(near) {
                let there = reader.flag()?;
                values.push(if there { Some(value(key.field, id, &mut reader)?) } else { None });
            }
            Some(Self { near, place: Place { values, id } })
        };
        let read = read();
        reader.finish(read)
    }

    /// Bytes of the longest position in an order.
    pub(super) fn longest(order: &[SortKey]) -> usize {
        let text = |bytes| NUMBER_BYTES + bytes;
        let value = |key: &SortKey| match key.field {
            SortField::Id => 0,
            SortField::LastActivityAt | SortField::CreatedAt | SortField::Relevance => NUMBER_BYTES,
            SortField::PhoneNumber => text(PHONE_BYTES),
            SortField::Email
            | SortField::Name
            | SortField::CompanyName
            | SortField::City
            | SortField::Country => text(STRING_CHARS * char::MAX_LEN_UTF8),
        };
        let values = order.iter().map(|key| FLAG_BYTES + value(key)).sum::<usize>();
        FLAG_BYTES + NUMBER_BYTES + values
    }
}

fn value(field: SortField, id: ContactId, reader: &mut Reader) -> Option<SortValue<String>> {
    Some(match field {
        SortField::Id => SortValue::Id(id),
        SortField::LastActivityAt | SortField::CreatedAt => {
            SortValue::Time(UnixSeconds(reader.number()?))
        }
        SortField::Relevance => SortValue::Relevance(u32::try_from(reader.number()?).ok()?),
        SortField::Name => {
            let name = reader.text()?;
            SortValue::Name { folded: fold(&name), name }
        }
        SortField::Email
        | SortField::PhoneNumber
        | SortField::CompanyName
        | SortField::City
        | SortField::Country => SortValue::Text(reader.text()?),
    })
}

#[cfg(test)]
mod tests {
    use meishi_store::Database;
    use proptest::prelude::*;

    use super::*;

    const FIELDS: [SortField; 10] = [
        SortField::Email,
        SortField::Name,
        SortField::PhoneNumber,
        SortField::LastActivityAt,
        SortField::CreatedAt,
        SortField::CompanyName,
        SortField::City,
        SortField::Country,
        SortField::Id,
        SortField::Relevance,
    ];

    fn value_of(field: SortField, id: ContactId, text: &str, at: i64) -> SortValue<String> {
        match field {
            SortField::Id => SortValue::Id(id),
            SortField::LastActivityAt | SortField::CreatedAt => SortValue::Time(UnixSeconds(at)),
            SortField::Name => SortValue::Name { folded: fold(text), name: text.to_owned() },
            SortField::Relevance => {
                SortValue::Relevance(u32::try_from(at.unsigned_abs() >> 32).unwrap())
            }
            SortField::PhoneNumber => SortValue::Text(text.chars().take(4).collect()),
            _ => SortValue::Text(text.to_owned()),
        }
    }

    proptest! {
        #[test]
        fn what_is_written_of_a_place_is_read_and_no_longer_than_it_may_be(
            near in any::<bool>(),
            id in any::<i64>().prop_map(ContactId),
            keys in prop::collection::vec((prop::sample::select(FIELDS.to_vec()), any::<bool>()), 0..8),
            values in prop::collection::vec(prop::option::of((".{0,255}", any::<i64>())), 8),
        ) {
            let order: Vec<SortKey> =
                keys.into_iter().map(|(field, descending)| SortKey { field, descending }).collect();
            let values = order.iter().zip(&values).map(|(key, value)| {
                value.as_ref().map(|(text, at)| value_of(key.field, id, text, *at))
            });
            let position = Position { near, place: Place { values: values.collect(), id } };
            let database = Database { id: "a".into(), epoch: 1 };
            let question = Question::of("contacts", AccountId(1));
            let cursor = position.write().seal(&database, &question);
            prop_assert!(cursor.len() <= cursor::sealed_len(Position::longest(&order)));
            let reader = Reader::open(&cursor, &database, &question).unwrap();
            prop_assert_eq!(Position::read(reader, |_| order.clone()).unwrap(), position);
        }
    }

    #[test]
    fn every_order_that_can_be_asked_for_leaves_room_for_a_query() {
        let order = FIELDS.map(|field| SortKey { field, descending: true });
        let longest = cursor::sealed_len(Position::longest(&order));
        assert!(longest + 1000 < meishi_contacts::limits::URI_BYTES, "{longest}");
    }
}
