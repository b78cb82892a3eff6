//! What a condition asks of a value.

/// The operator of a condition (`chatwoot-wire.md` section 4, and beyond).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// Is one of the values.
    EqualTo,
    /// Is none of the values.
    NotEqualTo,
    /// Contains one of the values.
    Contains,
    /// Contains none of the values.
    DoesNotContain,
    /// Begins with one of the values.
    StartsWith,
    /// Ends with one of the values.
    EndsWith,
    /// Is there, and not an empty text or list.
    IsPresent,
    /// Is not there, or an empty text or list.
    IsNotPresent,
    /// Is more than the value, or after it.
    IsGreaterThan,
    /// Is less than the value, or before it.
    IsLessThan,
    /// Is the value or more.
    IsGreaterThanOrEqualTo,
    /// Is the value or less.
    IsLessThanOrEqualTo,
    /// Is one of two values or lies between them.
    Between,
    /// Lies before the day that is so many days before today.
    DaysBefore,
    /// Lies on one of the last so many days, or today.
    WithinLastDays,
    /// Lies on today, or one of the next so many days.
    WithinNextDays,
}

/// How many values an operator takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arity {
    /// Those that are sent are not looked at.
    None,
    /// Exactly so many.
    Exactly(usize),
    /// One or more.
    Several,
}

impl Operator {
    /// All operators, in the order of an error's list.
    pub const ALL: [Self; 16] = [
        Self::EqualTo,
        Self::NotEqualTo,
        Self::Contains,
        Self::DoesNotContain,
        Self::StartsWith,
        Self::EndsWith,
        Self::IsPresent,
        Self::IsNotPresent,
        Self::IsGreaterThan,
        Self::IsLessThan,
        Self::IsGreaterThanOrEqualTo,
        Self::IsLessThanOrEqualTo,
        Self::Between,
        Self::DaysBefore,
        Self::WithinLastDays,
        Self::WithinNextDays,
    ];

    /// The operator's name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EqualTo => "equal_to",
            Self::NotEqualTo => "not_equal_to",
            Self::Contains => "contains",
            Self::DoesNotContain => "does_not_contain",
            Self::StartsWith => "starts_with",
            Self::EndsWith => "ends_with",
            Self::IsPresent => "is_present",
            Self::IsNotPresent => "is_not_present",
            Self::IsGreaterThan => "is_greater_than",
            Self::IsLessThan => "is_less_than",
            Self::IsGreaterThanOrEqualTo => "is_greater_than_or_equal_to",
            Self::IsLessThanOrEqualTo => "is_less_than_or_equal_to",
            Self::Between => "between",
            Self::DaysBefore => "days_before",
            Self::WithinLastDays => "within_last_days",
            Self::WithinNextDays => "within_next_days",
        }
    }

    /// The operator of that name; `in` and `not_in` are equality with several values.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "in" => Some(Self::EqualTo),
            "not_in" => Some(Self::NotEqualTo),
            _ => Self::ALL.into_iter().find(|operator| operator.as_str() == name),
        }
    }

    /// Whether it asks that no value be met.
    pub const fn is_negated(self) -> bool {
        matches!(self, Self::NotEqualTo | Self::DoesNotContain | Self::IsNotPresent)
    }

    pub(super) const fn arity(self) -> Arity {
        match self {
            Self::IsPresent | Self::IsNotPresent => Arity::None,
            Self::IsGreaterThan
            | Self::IsLessThan
            | Self::IsGreaterThanOrEqualTo
            | Self::IsLessThanOrEqualTo
            | Self::DaysBefore
            | Self::WithinLastDays
            | Self::WithinNextDays => Arity::Exactly(1),
            Self::Between => Arity::Exactly(2),
            Self::EqualTo
            | Self::NotEqualTo
            | Self::Contains
            | Self::DoesNotContain
            | Self::StartsWith
            | Self::EndsWith => Arity::Several,
        }
    }
}
