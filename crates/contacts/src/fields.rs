//! The fields of a contact that have a form: parsed, not checked (`livedesk-wire.md` 9.3).

use serde::{Deserialize, Serialize};
use unicode_normalization::char::is_combining_mark;

use crate::{
    fault::{Fault, FaultCode},
    limits::{STRING_CHARS, URL_CHARS},
};

macro_rules! text {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Takes a text that was parsed before and then stored.
            pub fn from_stored(text: String) -> Self {
                Self(text)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text!(
    /// An e-mail address: trimmed, lower case, one `@` with something on both sides, no white space.
    Email
);
text!(
    /// A phone number in E.164: `+`, then 1 to 9, then 1 to 14 digits.
    Phone
);
text!(
    /// The caller's own id of a person, shown as UserID. Case-sensitive, kept as sent.
    Identifier
);
text!(
    /// How a channel addresses a contact; unique in the channel.
    SourceId
);
text!(
    /// A label's title: trimmed, lower case.
    Label
);

impl Email {
    /// Parses an address; `None` when there is nothing but white space.
    pub fn parse(text: &str) -> Result<Option<Self>, Fault> {
        let address = text.trim().to_lowercase();
        if address.is_empty() {
            return Ok(None);
        }
        check_length("email", &address, STRING_CHARS)?;
        let well_formed = address.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && !domain.is_empty() && !domain.contains('@')
        });
        if !well_formed || address.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(Fault::invalid("email", "Invalid email"));
        }
        Ok(Some(Self(address)))
    }
}

impl Phone {
    /// Parses a number; `None` for the empty text. The whole text must be the number.
    pub fn parse(text: &str) -> Result<Option<Self>, Fault> {
        if text.is_empty() {
            return Ok(None);
        }
        let well_formed = match text.as_bytes() {
            [b'+', b'1'..=b'9', rest @ ..] => {
                (1..=14).contains(&rest.len()) && rest.iter().all(u8::is_ascii_digit)
            }
            _ => false,
        };
        if well_formed {
            Ok(Some(Self(text.to_owned())))
        } else {
            Err(Fault::invalid("phone_number", "should be in e164 format"))
        }
    }
}

impl Identifier {
    /// Takes an identifier as it is; `None` for the empty text.
    pub fn parse(text: &str) -> Result<Option<Self>, Fault> {
        if text.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self(checked_text("identifier", text, STRING_CHARS)?)))
    }
}

impl SourceId {
    /// Takes a source id as it is; `None` for the empty text.
    pub fn parse(text: &str) -> Result<Option<Self>, Fault> {
        if text.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self(checked_text("source_id", text, STRING_CHARS)?)))
    }
}

impl Label {
    /// Parses a title; `None` when there is nothing but white space.
    pub fn parse(text: &str) -> Result<Option<Self>, Fault> {
        let title = text.trim().to_lowercase();
        if title.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self(checked_text("labels", &title, STRING_CHARS)?)))
    }

    /// Parses the title of a label that is made or renamed by itself, which is stricter than what a
    /// contact may be labelled with: a letter or digit of any script, then at least one more of
    /// those, `_` or `-`. Marks, as Thai and Indic scripts write vowels and tones, count as letters
    /// but cannot come first.
    pub fn parse_title(text: &str) -> Result<Self, Fault> {
        let title = text.trim().to_lowercase();
        if title.is_empty() {
            return Err(Fault::new("title", FaultCode::Blank, "Title can't be blank"));
        }
        let title = checked_text("title", &title, STRING_CHARS)?;
        let mut letters = title.chars();
        let first = letters.next().is_some_and(char::is_alphanumeric);
        let is_inner =
            |c: char| c.is_alphanumeric() || matches!(c, '_' | '-') || is_combining_mark(c);
        if !first || letters.as_str().is_empty() || !letters.all(is_inner) {
            let problem = "must be at least two letters, digits, _ or -, beginning with a letter \
                           or digit";
            return Err(Fault::invalid("title", problem));
        }
        Ok(Self(title))
    }
}

/// A plain text of at most 255 code points, such as a name.
pub fn short_text(attribute: &str, text: &str) -> Result<String, Fault> {
    checked_text(attribute, text, STRING_CHARS)
}

/// The URL of a picture: at most 2,048 code points, otherwise as sent, since it is only repeated.
pub fn url_text(attribute: &str, text: &str) -> Result<String, Fault> {
    checked_text(attribute, text, URL_CHARS)
}

fn checked_text(attribute: &str, text: &str, max: usize) -> Result<String, Fault> {
    check_length(attribute, text, max)?;
    if text.contains('\0') {
        return Err(Fault::invalid(attribute, "must not contain the NUL character"));
    }
    Ok(text.to_owned())
}

fn check_length(attribute: &str, text: &str, max: usize) -> Result<(), Fault> {
    // Bytes bound code points from above, so most texts are never counted.
    if text.len() > max && text.chars().count() > max {
        return Err(Fault::too_long(attribute, max));
    }
    Ok(())
}

/// The kinds of address that the identities ledger holds, in the order of a conflict's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentityKind {
    /// An e-mail address.
    Email,
    /// The caller's own id.
    Identifier,
    /// A phone number.
    PhoneNumber,
}

impl IdentityKind {
    /// All kinds, in the order of a conflict's answer.
    pub const ALL: [Self; 3] = [Self::Email, Self::Identifier, Self::PhoneNumber];

    /// The contact's field that shows the primary value, also the kind's name in the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Identifier => "identifier",
            Self::PhoneNumber => "phone_number",
        }
    }

    /// The kind of a name in the ledger.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A normalised value of the identities ledger.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// What the value is.
    pub kind: IdentityKind,
    /// The value, as the field's type normalises it.
    pub value: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn email_is_trimmed_and_lower_cased() {
        let email = Email::parse("  Alice@ACME.inc ").unwrap().unwrap();
        assert_eq!(email.as_str(), "alice@acme.inc");
        assert_eq!(Email::parse("").unwrap(), None);
        assert_eq!(Email::parse(" \n").unwrap(), None);
    }

    #[test]
    fn email_has_one_at_sign_with_something_on_both_sides() {
        for wrong in ["a", "@b", "a@", "a@b@c", "a b@c", "a@b\u{a0}c", "a@b\0"] {
            let fault = Email::parse(wrong).unwrap_err();
            assert_eq!(fault.message, "Email Invalid email", "{wrong:?}");
        }
        assert!(Email::parse("用户@例子").is_ok());
        let long = format!("{}@b", "a".repeat(254));
        assert_eq!(
            Email::parse(&long).unwrap_err().message,
            "Email is too long (maximum is 255 characters)"
        );
    }

    #[test]
    fn phone_is_e164_as_a_whole() {
        assert!(Phone::parse("+123456789").unwrap().is_some());
        assert!(Phone::parse("+12").is_ok());
        assert_eq!(Phone::parse("").unwrap(), None);
        for wrong in [
            "+1",
            "12345",
            "+0123",
            "abc+123456",
            "+123456789\n",
            "+1234567890123456",
            "+１２３",
            " +12",
        ] {
            let fault = Phone::parse(wrong).unwrap_err();
            assert_eq!(fault.message, "Phone number should be in e164 format", "{wrong:?}");
        }
    }

    #[test]
    fn identifier_is_kept_as_sent() {
        assert_eq!(Identifier::parse(" A ").unwrap().unwrap().as_str(), " A ");
        assert_eq!(Identifier::parse("").unwrap(), None);
        assert!(Identifier::parse("a\0").is_err());
        assert!(Identifier::parse(&"名".repeat(255)).is_ok());
        assert!(Identifier::parse(&"名".repeat(256)).is_err());
    }
}
