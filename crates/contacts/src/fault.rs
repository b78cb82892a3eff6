//! What is wrong with one field of a request: a value, so that one answer can tell every fault.

use serde::{Deserialize, Serialize};

use crate::ids::ContactId;

/// One fault of one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The field as `attributes` of a 422 names it: the top-level key.
    pub attribute: String,
    /// JSON Pointer (RFC 6901) into the body, or `?name` for a query field.
    pub pointer: String,
    /// The kind of fault, stable for programs.
    pub code: FaultCode,
    /// The whole message for people, in Chatwoot's words where it has some.
    pub message: String,
    /// The contact that holds the value already, for [`FaultCode::Taken`].
    pub contact_id: Option<ContactId>,
}

/// The kind of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultCode {
    /// A required field is absent.
    Blank,
    /// The value has the wrong form or type.
    Invalid,
    /// The text has too many characters.
    TooLong,
    /// Another contact holds the value.
    Taken,
    /// A limit of `limits.rs` is exceeded.
    LimitExceeded,
}

impl FaultCode {
    /// The code as the wire has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blank => "blank",
            Self::Invalid => "invalid",
            Self::TooLong => "too_long",
            Self::Taken => "taken",
            Self::LimitExceeded => "limit_exceeded",
        }
    }
}

impl Fault {
    /// A fault of the top-level field `attribute`.
    pub fn new(attribute: &str, code: FaultCode, message: impl Into<String>) -> Self {
        Self {
            attribute: attribute.to_owned(),
            pointer: format!("/{}", escape_pointer(attribute)),
            code,
            message: message.into(),
            contact_id: None,
        }
    }

    /// A value that `contact_id` holds already.
    pub fn taken(attribute: &str, contact_id: ContactId) -> Self {
        let message = format!("{} has already been taken", title(attribute));
        Self { contact_id: Some(contact_id), ..Self::new(attribute, FaultCode::Taken, message) }
    }

    /// A text of more than `max` code points.
    pub fn too_long(attribute: &str, max: usize) -> Self {
        let message = format!("{} is too long (maximum is {max} characters)", title(attribute));
        Self::new(attribute, FaultCode::TooLong, message)
    }

    /// A value whose form or type is wrong; `problem` follows the field's title.
    pub fn invalid(attribute: &str, problem: &str) -> Self {
        Self::new(attribute, FaultCode::Invalid, format!("{} {problem}", title(attribute)))
    }

    /// The same fault at a member below its field.
    #[must_use]
    pub fn at(mut self, pointer: String) -> Self {
        self.pointer = pointer;
        self
    }
}

/// Puts faults in the order of an answer: email, identifier, phone number, then the documented
/// order of the rest (`livedesk-wire.md` 9.2). Faults of one field keep their order.
pub fn sort(faults: &mut [Fault]) {
    const ORDER: [&str; 17] = [
        "email",
        "identifier",
        "phone_number",
        "inbox_id",
        "name",
        "avatar_url",
        "additional_attributes",
        "availability_status",
        "blocked",
        "thumbnail",
        "last_activity_at",
        "created_at",
        "first_name",
        "last_name",
        "custom_attributes",
        "source_id",
        "labels",
    ];
    let rank = |fault: &Fault| {
        ORDER.iter().position(|name| *name == fault.attribute).unwrap_or(ORDER.len())
    };
    faults.sort_by_key(rank);
}

/// One reference token of a JSON Pointer.
pub fn escape_pointer(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}

/// The field's name in a message: `phone_number` is "Phone number", `inbox_id` is "Inbox".
fn title(attribute: &str) -> String {
    let words = attribute.strip_suffix("_id").unwrap_or(attribute).replace('_', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_chatwoots() {
        assert_eq!(Fault::taken("email", ContactId(1)).message, "Email has already been taken");
        assert_eq!(
            Fault::taken("source_id", ContactId(1)).message,
            "Source has already been taken"
        );
        assert_eq!(
            Fault::taken("phone_number", ContactId(1)).message,
            "Phone number has already been taken"
        );
        assert_eq!(
            Fault::too_long("name", 255).message,
            "Name is too long (maximum is 255 characters)"
        );
    }

    #[test]
    fn identities_come_first_then_the_documented_order() {
        let mut faults: Vec<Fault> =
            ["source_id", "name", "phone_number", "zzz", "inbox_id", "identifier", "email"]
                .map(|name| Fault::invalid(name, "is wrong"))
                .into();
        sort(&mut faults);
        let order: Vec<&str> = faults.iter().map(|fault| fault.attribute.as_str()).collect();
        assert_eq!(
            order,
            ["email", "identifier", "phone_number", "inbox_id", "name", "source_id", "zzz"]
        );
    }
}
