//! Random operations and queries over few values, so that they collide and tie.

use meishi_contacts::{
    AttributesPatch, ContactPatch, Email, Identifier, Label, Patch, Phone, Query, Slice, SortField,
    SortKey, TextQuery, UnixSeconds,
    order::{DEFAULT_ORDER, NEAR_ORDER},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::filters::filter;

/// Values that collide, tie, fold together and touch at the edges of fields.
const NAMES: [&str; 33] = [
    "",
    " ",
    "Müller",
    "muller",
    "MULLER",
    "Mu\u{308}ller  Anna",
    "anna",
    "Anna",
    "Ａｎｎａ",
    "王伟",
    "王",
    "ｗang",
    "ไก่",
    "バナナ",
    "ﾊﾅ",
    "Straße 12",
    "+86",
    "Łódź\nÞór",
    "Ana Hernández",
    "Anna Fernandez\rMüller",
    "hernandez hernandes",
    "Stéphanie Müler",
    "王小明",
    "小明 王伟",
    "김민준",
    "ใจดี สมชาย",
    "محمد أحمد",
    "Иван Петров",
    "Иванна Перов",
    "바나나 バナナ王小",
    "हिन्दी नाम",
    "Zo\u{300}e 😀😀😀",
    "  double  spaced  ",
];
const EMAILS: [&str; 6] =
    ["anna@example.com", "müller@example.com", "muller@example.com", "王@例.cn", "1@2", "ß@b"];
const PHONES: [&str; 5] = ["+8613912345678", "+8613912345679", "+12", "+49123456", "+861391234567"];
const IDENTIFIERS: [&str; 6] = ["U-1", "u-1", " ", "王", "+86 139", "12"];
const LABELS: [&str; 4] = ["vip", "neu", "客户", "gone"];
const MEMBERS: [&str; 9] =
    ["company_name", "city", "country", "country_code", "plan", "seats", "since", "beta", "note"];
const TEXTS: [&str; 50] = [
    "müller",
    "ANNA",
    "a",
    "王",
    "ไก",
    "ハ",
    "バ",
    "ss",
    "%",
    "_",
    "@",
    "+",
    "-",
    " ",
    "12",
    "+86 139",
    "(139) 1234",
    "1",
    "lodz thor",
    "ler anna",
    "m",
    "u-1",
    "12 +",
    "example.com",
    "nobody",
    "hernandes",
    "hernandez",
    "ana hernandez",
    "anna",
    "anan muller",
    "stephanie",
    "stehpanie",
    "nan",
    "ull",
    "an",
    "王小",
    "小明",
    "王伟",
    "王小明 x",
    "민준",
    "ใจ",
    "ใจดี",
    "สมชาย",
    "احمد",
    "петров",
    "пертов",
    "ナナ王",
    "😀😀😀",
    "391234567",
    "+86 139-1234",
];

/// One operation on an account.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Create(Box<ContactPatch>),
    Patch(prop::sample::Index, Box<ContactPatch>),
    SetLabels(prop::sample::Index, Vec<Label>),
    Delete(prop::sample::Index),
    /// Brings back one that was deleted.
    Restore(prop::sample::Index),
    /// Erases one that is there or was deleted.
    Erase(prop::sample::Index),
    /// Gives a label another title, if that is free.
    RenameLabel(Label, Label),
    DeleteLabel(Label),
    /// An event that is not about a contact.
    Other,
    /// The feed repeats the last so many events.
    Repeat(usize),
}

fn one_of<T: Clone + std::fmt::Debug + 'static>(
    texts: &'static [&'static str],
    parse: fn(String) -> T,
) -> impl Strategy<Value = T> {
    prop::sample::select(texts).prop_map(move |text| parse(text.to_owned()))
}

fn patched<T: Clone + std::fmt::Debug + 'static>(
    value: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Patch<T>> {
    prop_oneof![
        2 => Just(Patch::Keep),
        1 => Just(Patch::Clear),
        3 => value.prop_map(Patch::Set),
    ]
}

fn attributes() -> impl Strategy<Value = AttributesPatch> {
    let value = prop::sample::select(vec![
        Value::Null,
        json!(""),
        json!("Acme"),
        json!("acme"),
        json!("Zürich und viel mehr"),
        json!("Zürich und viel Meer"),
        json!(format!("{}a", "ü".repeat(255))),
        json!(format!("{}b", "ü".repeat(255))),
        json!(format!("{}b", "ü".repeat(254))),
        json!(7),
        json!("2.5"),
        json!(-2.5),
        json!(9_007_199_254_740_993_i64),
        json!(true),
        json!("False"),
        json!("1970-01-03"),
        json!("1970-01-05T12:00:00Z"),
        json!("pro"),
        json!("Pro"),
        json!(["pro", 7]),
        json!([]),
        json!({"a": [1.5, null]}),
    ]);
    let members = prop::collection::vec((prop::sample::select(&MEMBERS[..]), value), 0..6)
        .prop_map(|members| members.into_iter().map(|(k, v)| (k.to_owned(), v)).collect());
    prop_oneof![
        3 => Just(AttributesPatch::Keep),
        5 => members.clone().prop_map(AttributesPatch::Merge),
        1 => members.prop_map(AttributesPatch::MergePatch),
        1 => Just(AttributesPatch::Replace(serde_json::Map::new())),
    ]
}

pub(crate) fn patch() -> impl Strategy<Value = Box<ContactPatch>> {
    let time = || {
        prop::sample::select(vec![-1, 0, 1, 5, 2 * 86_400, 4 * 86_400 + 5, 5_000_000_000])
            .prop_map(UnixSeconds)
    };
    (
        prop::option::of(one_of(&NAMES, |text| text)),
        patched(one_of(&EMAILS, Email::from_stored)),
        patched(one_of(&PHONES, Phone::from_stored)),
        patched(one_of(&IDENTIFIERS, Identifier::from_stored)),
        attributes(),
        attributes(),
        patched(time()),
        prop::option::of(time()),
        patched(one_of(&NAMES, |text| text)),
        prop::option::of(any::<bool>()),
    )
        .prop_map(
            |(
                name,
                email,
                phone_number,
                identifier,
                additional_attributes,
                custom_attributes,
                last_activity_at,
                created_at,
                first_name,
                blocked,
            )| {
                Box::new(ContactPatch {
                    name,
                    first_name,
                    email,
                    phone_number,
                    identifier,
                    additional_attributes,
                    custom_attributes,
                    last_activity_at,
                    created_at,
                    blocked,
                    ..ContactPatch::default()
                })
            },
        )
}

fn labels() -> impl Strategy<Value = Vec<Label>> {
    prop::collection::vec(one_of(&LABELS, Label::from_stored), 0..3)
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let which = any::<prop::sample::Index>;
    prop_oneof![
        5 => patch().prop_map(Step::Create),
        5 => (which(), patch()).prop_map(|(which, patch)| Step::Patch(which, patch)),
        3 => (which(), labels()).prop_map(|(which, labels)| Step::SetLabels(which, labels)),
        2 => which().prop_map(Step::Delete),
        1 => which().prop_map(Step::Restore),
        1 => which().prop_map(Step::Erase),
        1 => (one_of(&LABELS, Label::from_stored), one_of(&LABELS, Label::from_stored))
            .prop_map(|(before, after)| Step::RenameLabel(before, after)),
        1 => one_of(&LABELS, Label::from_stored).prop_map(Step::DeleteLabel),
        1 => Just(Step::Other),
        1 => (1..5_usize).prop_map(Step::Repeat),
    ]
}

pub(crate) fn order() -> impl Strategy<Value = Vec<SortKey>> {
    let field = prop::sample::select(vec![
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
    ]);
    let key = (field, any::<bool>()).prop_map(|(field, descending)| SortKey { field, descending });
    let by_id = any::<bool>().prop_map(|descending| SortKey { field: SortField::Id, descending });
    prop_oneof![
        1 => Just(DEFAULT_ORDER.to_vec()),
        1 => Just(NEAR_ORDER.to_vec()),
        1 => by_id.prop_map(|key| vec![key]),
        4 => prop::collection::vec(key, 0..4),
    ]
}

/// A query, and whether it goes on after a place where some contact stands or stood.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) query: Query,
    pub(crate) after: Option<prop::sample::Index>,
}

pub(crate) fn asked() -> impl Strategy<Value = Asked> {
    let after = prop::option::of(any::<prop::sample::Index>());
    (query(), after).prop_map(|(query, after)| Asked { query, after })
}

pub(crate) fn query() -> impl Strategy<Value = Query> {
    let text =
        (one_of(&TEXTS, |text| text), prop::bool::weighted(0.3)).prop_map(|(text, misspelt)| {
            let query = TextQuery::parse(&text)?;
            Some(if misspelt { query.misspelt() } else { query })
        });
    let size = || prop_oneof![0..6_usize, Just(100), Just(usize::MAX)];
    let text = prop_oneof![Just(None), text];
    let filtered = (prop::option::weighted(0.5, filter()), prop::bool::weighted(0.3));
    (text, labels(), filtered, order(), size(), size()).prop_map(
        |(text, labels, (filter, resolved), order, offset, limit)| Query {
            text,
            labels,
            filter,
            resolved,
            order,
            after: None,
            slice: Slice { offset, limit },
        },
    )
}
