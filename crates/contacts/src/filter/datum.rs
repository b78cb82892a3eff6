//! A stored value, read once for all that a condition may ask of it.

use std::borrow::Cow;

use serde_json::Value;

use super::{number::Num, time::moment_of};
use crate::search::fold;

/// A value as a contact has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Datum<'a> {
    /// There is none, or it is `null`.
    Absent,
    /// A text, number or boolean.
    One(Scalar<'a>),
    /// The texts, numbers and booleans of a list: what holds of one of them holds of the list.
    List(Vec<Scalar<'a>>),
    /// An object, of which nothing is asked but whether it is there.
    Other,
}

/// A text, number or boolean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar<'a> {
    /// The folded text; that of a number or boolean is its JSON.
    pub(super) folded: Cow<'a, str>,
    /// The number that it is, or that its text is.
    pub(super) number: Option<Num>,
    /// Whether it is a number itself.
    pub(super) is_number: bool,
    /// The moment that its text tells.
    pub(super) moment: Option<i64>,
    /// The boolean that it is, or that its text is.
    pub(super) flag: Option<bool>,
}

impl Datum<'_> {
    /// Reads a member of the maps.
    pub fn of(value: Option<&Value>) -> Datum<'static> {
        match value {
            None | Some(Value::Null) => Datum::Absent,
            Some(Value::Array(items)) => Datum::List(items.iter().filter_map(Scalar::of).collect()),
            Some(value) => Scalar::of(value).map_or(Datum::Other, Datum::One),
        }
    }

    /// Whether there is something to see: an empty text or list is nothing.
    pub fn is_present(&self) -> bool {
        match self {
            Self::Absent => false,
            Self::One(scalar) => !scalar.folded.is_empty(),
            Self::List(scalars) => !scalars.is_empty(),
            Self::Other => true,
        }
    }

    /// The number that it is, if it is one itself.
    pub fn as_number(&self) -> Option<Num> {
        match self {
            Self::One(scalar) if scalar.is_number => scalar.number,
            _ => None,
        }
    }

    /// The number that it is, or that its text is.
    pub(crate) fn number(&self) -> Option<Num> {
        self.one()?.number
    }

    /// The moment that its text tells, in milliseconds.
    pub(crate) fn moment(&self) -> Option<i64> {
        self.one()?.moment
    }

    /// The boolean that it is, or that its text is.
    pub(crate) fn flag(&self) -> Option<bool> {
        self.one()?.flag
    }

    fn one(&self) -> Option<&Scalar<'_>> {
        match self {
            Self::One(scalar) => Some(scalar),
            Self::Absent | Self::List(_) | Self::Other => None,
        }
    }

    /// The scalars in it.
    pub(super) fn scalars(&self) -> &[Scalar<'_>] {
        match self {
            Self::Absent | Self::Other => &[],
            Self::One(scalar) => std::slice::from_ref(scalar),
            Self::List(scalars) => scalars,
        }
    }

    /// Bytes that it holds outside itself.
    pub fn held(&self) -> usize {
        let list = if let Self::List(scalars) = self {
            scalars.capacity() * size_of::<Scalar<'_>>()
        } else {
            0
        };
        list + self.scalars().iter().map(|scalar| scalar.folded.len()).sum::<usize>()
    }
}

impl Scalar<'_> {
    fn of(value: &Value) -> Option<Scalar<'static>> {
        Some(match value {
            Value::String(text) => {
                let folded = fold(text);
                let flag = flag_of(&folded);
                let (number, moment) = (Num::parse(text), moment_of(text));
                Scalar { folded: folded.into(), number, is_number: false, moment, flag }
            }
            Value::Number(number) => Scalar {
                folded: number.to_string().into(),
                number: Num::of(number),
                is_number: true,
                moment: None,
                flag: None,
            },
            Value::Bool(flag) => Scalar {
                folded: if *flag { "true" } else { "false" }.into(),
                number: None,
                is_number: false,
                moment: None,
                flag: Some(*flag),
            },
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        })
    }

    /// A text of which only texts are asked.
    pub(super) fn text(folded: &str) -> Scalar<'_> {
        Scalar { folded: folded.into(), number: None, is_number: false, moment: None, flag: None }
    }
}

/// The boolean that a folded text is.
pub(super) fn flag_of(folded: &str) -> Option<bool> {
    match folded {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}
