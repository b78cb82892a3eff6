//! What of a contact a condition is about.

use super::operator::Operator;

/// A field of a contact, its labels, or a member of one of its maps.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Display name.
    Name,
    /// Given name.
    FirstName,
    /// Family name.
    LastName,
    /// E-mail address.
    Email,
    /// Phone number.
    PhoneNumber,
    /// The caller's own id.
    Identifier,
    /// Labels.
    Labels,
    /// Whether the person is blocked.
    Blocked,
    /// Creation time.
    CreatedAt,
    /// Last activity.
    LastActivityAt,
    /// A member of the profile data.
    Additional(String),
    /// One of the project's fields.
    Custom(String),
}

/// What kind of values a subject has, which decides the operators and how values are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Phone,
    Labels,
    Flag,
    Time,
    /// Whatever the attribute holds.
    Open,
}

/// The subjects that have a name of their own.
const NAMED: [Subject; 10] = [
    Subject::Name,
    Subject::PhoneNumber,
    Subject::Email,
    Subject::Identifier,
    Subject::FirstName,
    Subject::LastName,
    Subject::Labels,
    Subject::Blocked,
    Subject::CreatedAt,
    Subject::LastActivityAt,
];

/// Members of the profile data that need no prefix.
const PROFILE: [&str; 4] = ["country_code", "city", "company_name", "country"];

const ADDITIONAL: &str = "additional_attributes.";
const CUSTOM: &str = "custom_attributes.";

const TEXT: &[Operator] = &[
    Operator::EqualTo,
    Operator::NotEqualTo,
    Operator::Contains,
    Operator::DoesNotContain,
    Operator::StartsWith,
    Operator::EndsWith,
    Operator::IsPresent,
    Operator::IsNotPresent,
];
const LABELS: &[Operator] =
    &[Operator::EqualTo, Operator::NotEqualTo, Operator::IsPresent, Operator::IsNotPresent];
const FLAG: &[Operator] = &[Operator::EqualTo, Operator::NotEqualTo];
const TIME: &[Operator] = &[
    Operator::EqualTo,
    Operator::NotEqualTo,
    Operator::IsPresent,
    Operator::IsNotPresent,
    Operator::IsGreaterThan,
    Operator::IsLessThan,
    Operator::IsGreaterThanOrEqualTo,
    Operator::IsLessThanOrEqualTo,
    Operator::Between,
    Operator::DaysBefore,
    Operator::WithinLastDays,
    Operator::WithinNextDays,
];

impl Subject {
    /// Reads an `attribute_key`: a field's name, `additional_attributes.` or `custom_attributes.`
    /// and a member's name, or the name of a custom attribute alone. `None` where no key is left.
    pub fn parse(key: &str) -> Option<Self> {
        let named = NAMED.iter().find(|subject| subject.name() == key).cloned();
        if named.is_some() {
            return named;
        }
        if PROFILE.contains(&key) {
            return Some(Self::Additional(key.to_owned()));
        }
        let subject = if let Some(member) = key.strip_prefix(ADDITIONAL) {
            Self::Additional(member.to_owned())
        } else {
            Self::Custom(key.strip_prefix(CUSTOM).unwrap_or(key).to_owned())
        };
        (!subject.name().is_empty()).then_some(subject)
    }

    /// The name without a prefix.
    pub fn name(&self) -> &str {
        match self {
            Self::Name => "name",
            Self::FirstName => "first_name",
            Self::LastName => "last_name",
            Self::Email => "email",
            Self::PhoneNumber => "phone_number",
            Self::Identifier => "identifier",
            Self::Labels => "labels",
            Self::Blocked => "blocked",
            Self::CreatedAt => "created_at",
            Self::LastActivityAt => "last_activity_at",
            Self::Additional(key) | Self::Custom(key) => key,
        }
    }

    /// The shortest key that is read as this subject.
    pub fn key(&self) -> String {
        let name = self.name();
        if Self::parse(name).as_ref() == Some(self) {
            return name.to_owned();
        }
        let prefix = if matches!(self, Self::Additional(_)) { ADDITIONAL } else { CUSTOM };
        format!("{prefix}{name}")
    }

    /// The names that an error lists.
    pub(super) fn names() -> String {
        let names = NAMED.iter().map(Self::name).chain(PROFILE);
        names.collect::<Vec<_>>().join(",")
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Name | Self::FirstName | Self::LastName | Self::Email | Self::Identifier => {
                Kind::Text
            }
            Self::Additional(key) if PROFILE.contains(&key.as_str()) => Kind::Text,
            Self::PhoneNumber => Kind::Phone,
            Self::Labels => Kind::Labels,
            Self::Blocked => Kind::Flag,
            Self::CreatedAt | Self::LastActivityAt => Kind::Time,
            Self::Additional(_) | Self::Custom(_) => Kind::Open,
        }
    }

    /// The operators that can be asked of it.
    pub fn operators(&self) -> &'static [Operator] {
        match self.kind() {
            Kind::Text | Kind::Phone => TEXT,
            Kind::Labels => LABELS,
            Kind::Flag => FLAG,
            Kind::Time => TIME,
            Kind::Open => &Operator::ALL,
        }
    }

    /// Whether a contact without a value is one that is not equal to any: so it is with custom
    /// attributes and labels, and not with the other fields, as in Chatwoot.
    pub const fn absent_is_unequal(&self) -> bool {
        matches!(self, Self::Custom(_) | Self::Labels)
    }
}
