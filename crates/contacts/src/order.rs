//! The order of a list (`livedesk-wire.md` 4.3 and 9.5).

use crate::limits::SORT_KEYS;

/// What a list can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SortField {
    /// E-mail address; contacts without one last ascending, first descending.
    Email,
    /// Folded name, then the name itself.
    Name,
    /// Phone number; contacts without one last ascending, first descending.
    PhoneNumber,
    /// Last activity; contacts without one last both ways.
    LastActivityAt,
    /// Creation time.
    CreatedAt,
    /// `additional_attributes.company_name`, case-sensitive, its first 255 characters; contacts
    /// without one last both ways.
    CompanyName,
    /// `additional_attributes.city`, likewise.
    City,
    /// `additional_attributes.country`, likewise.
    Country,
    /// The contact's number, which nothing changes.
    Id,
    /// How well the text that is searched fits, the best first (`relevance.rs`); without a text
    /// all are alike.
    Relevance,
}

/// One key of an order. Every order ends with the id, descending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SortKey {
    /// What to compare.
    pub field: SortField,
    /// The larger first.
    pub descending: bool,
}

/// The order of a list that names none: last activity first, contacts without one at the end.
pub const DEFAULT_ORDER: [SortKey; 1] =
    [SortKey { field: SortField::LastActivityAt, descending: true }];

impl SortField {
    /// The field of a sort key on the wire; `company` and `company_name` are the same.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "email" => Self::Email,
            "name" => Self::Name,
            "phone_number" => Self::PhoneNumber,
            "last_activity_at" => Self::LastActivityAt,
            "created_at" => Self::CreatedAt,
            "company" | "company_name" => Self::CompanyName,
            "city" => Self::City,
            "country" => Self::Country,
            "id" => Self::Id,
            "relevance" => Self::Relevance,
            _ => return None,
        })
    }

    /// The field's name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Name => "name",
            Self::PhoneNumber => "phone_number",
            Self::LastActivityAt => "last_activity_at",
            Self::CreatedAt => "created_at",
            Self::CompanyName => "company_name",
            Self::City => "city",
            Self::Country => "country",
            Self::Id => "id",
            Self::Relevance => "relevance",
        }
    }

    /// Whether contacts without a value come last in both directions.
    pub const fn nulls_always_last(self) -> bool {
        !matches!(self, Self::Email | Self::Name | Self::PhoneNumber)
    }
}

/// The order of near matches that names none: the fewest letters wrong first, then the default.
pub const NEAR_ORDER: [SortKey; 2] =
    [SortKey { field: SortField::Relevance, descending: false }, DEFAULT_ORDER[0]];

/// Reads `sort` and `direction`: a comma list, precedence as sent, `-` for descending, `direction`
/// for keys without it, unknown words ignored, and all after `id`. Without any key it is
/// empty, and a default holds.
///
/// `relevance` counts only where a text is `searched` and is always the best first; where it is the
/// last key, ties go by last activity.
pub fn parse(sort: Option<&str>, direction: Option<&str>, searched: bool) -> Vec<SortKey> {
    let descending = direction.is_some_and(|word| word.eq_ignore_ascii_case("desc"));
    let mut order: Vec<SortKey> = Vec::new();
    for key in sort.unwrap_or_default().split(',').map(str::trim) {
        let (name, reversed) = key.strip_prefix('-').map_or((key, None), |name| (name, Some(true)));
        let Some(field) = SortField::parse(name) else { continue };
        let by_relevance = field == SortField::Relevance;
        if by_relevance && !searched {
            continue;
        }
        if order.len() < SORT_KEYS && !order.iter().any(|known| known.field == field) {
            let descending = reversed.unwrap_or(descending) && !by_relevance;
            order.push(SortKey { field, descending });
        }
        // No two contacts have the same, so that nothing after it counts.
        if field == SortField::Id {
            break;
        }
    }
    if order.last().is_some_and(|key| key.field == SortField::Relevance)
        && !order.iter().any(|key| key.field == SortField::LastActivityAt)
    {
        order.extend(DEFAULT_ORDER);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_read_by_its_name() {
        for name in [
            "email",
            "name",
            "phone_number",
            "last_activity_at",
            "created_at",
            "company_name",
            "city",
            "country",
            "id",
            "relevance",
        ] {
            assert_eq!(SortField::parse(name).map(SortField::as_str), Some(name));
        }
        assert_eq!(SortField::parse("company"), Some(SortField::CompanyName));
        assert_eq!(SortField::parse("-id"), None);
    }

    #[test]
    fn minus_decides_for_its_key_and_direction_for_the_others() {
        let key = |field, descending| SortKey { field, descending };
        assert_eq!(
            parse(Some("-company, nonsense,name"), Some("desc"), false),
            [key(SortField::CompanyName, true), key(SortField::Name, true)]
        );
        assert_eq!(
            parse(Some("-city,email"), Some("sideways"), false),
            [key(SortField::City, true), key(SortField::Email, false)]
        );
        assert_eq!(
            parse(Some("city,-id,name"), None, true),
            [key(SortField::City, false), key(SortField::Id, true)]
        );
        assert_eq!(parse(Some("nonsense"), Some("asc"), true), []);
        assert_eq!(parse(None, Some("asc"), false), []);
    }

    #[test]
    fn relevance_counts_where_a_text_is_searched_and_knows_one_direction() {
        let key = |field, descending| SortKey { field, descending };
        let [latest] = DEFAULT_ORDER;
        let best = key(SortField::Relevance, false);
        for (sort, direction) in
            [("relevance", None), ("-relevance", None), ("relevance", Some("desc"))]
        {
            assert_eq!(parse(Some(sort), direction, true), [best, latest]);
            assert_eq!(parse(Some(sort), direction, false), []);
        }
        let name = key(SortField::Name, false);
        assert_eq!(parse(Some("relevance,name"), None, true), [best, name]);
        assert_eq!(parse(Some("name,relevance"), None, true), [name, best, latest]);
        assert_eq!(parse(Some("name,relevance"), None, false), [name]);
        let oldest = key(SortField::LastActivityAt, false);
        assert_eq!(parse(Some("last_activity_at,relevance"), None, true), [oldest, best]);
    }
}
