//! A request body as a contact's fields: lenient in what it takes (`livedesk-wire.md` 9.1, 9.3).
//! Every fault is noted and the parsing goes on, so that one answer tells all.

use meishi_contacts::{
    AttributesPatch, Availability, ContactPatch, Email, Fault, FaultCode, Identifier, InboxId,
    Label, NewLink, Patch, Phone, SourceId, UnixSeconds,
    fault::escape_pointer,
    fields,
    limits::{FAULTS_PER_FIELD, LAST_SECOND},
};
use serde_json::{Map, Value};

use crate::body::Fields;

/// The documented members of `additional_attributes`. They are taken at the top level too, since
/// the documentation's tables list them there.
const PROFILE: [&str; 7] = [
    "description",
    "company_name",
    "city",
    "telegram",
    "country",
    "country_code",
    "social_profiles",
];

/// Reads the fields that create and update share.
pub(super) fn fields(body: &Fields) -> ContactPatch {
    let mut parser = Parser { members: &body.members, faults: Vec::new() };
    let email = parser.text("email");
    let identifier = parser.text("identifier");
    let phone_number = parser.text("phone_number");
    // An unset avatar_url beside a thumbnail is a client that sends all it knows.
    let (thumbnail_field, thumbnail) = match parser.text("avatar_url") {
        Some(Some(url)) => ("avatar_url", Some(Some(url))),
        null_or_absent => ("thumbnail", parser.text("thumbnail").or(null_or_absent)),
    };
    let name = parser.text("name");
    let first_name = parser.text("first_name");
    let last_name = parser.last_name();
    let fields = ContactPatch {
        email: parser.optional(email, Email::parse),
        identifier: parser.optional(identifier, Identifier::parse),
        phone_number: parser.optional(phone_number, Phone::parse),
        name: name
            .and_then(|name| parser.keep(fields::short_text("name", &name.unwrap_or_default()))),
        first_name: parser
            .optional(first_name, |text| fields::short_text("first_name", text).map(Some)),
        last_name: parser
            .optional(last_name, |text| fields::short_text("last_name", text).map(Some)),
        thumbnail: thumbnail.and_then(|url| {
            parser.keep(fields::url_text(thumbnail_field, &url.unwrap_or_default()))
        }),
        availability_status: parser.availability(),
        blocked: parser.blocked(),
        additional_attributes: parser.additional_attributes(body.merge_patch),
        custom_attributes: parser.custom_attributes(body.merge_patch),
        last_activity_at: match parser.seconds("last_activity_at") {
            None => Patch::Keep,
            Some(at) => Patch::from_option(at),
        },
        created_at: parser.seconds("created_at").flatten(),
        faults: Vec::new(),
    };
    ContactPatch { faults: parser.faults, ..fields }
}

/// Reads the channel of a create, which is required.
pub(super) fn link(body: &Fields, faults: &mut Vec<Fault>) -> Option<NewLink> {
    let mut parser = Parser { members: &body.members, faults: Vec::new() };
    let source_id = parser.text("source_id").flatten();
    let source_id = source_id.and_then(|text| parser.keep(SourceId::parse(&text)).flatten());
    let inbox_id = parser.inbox_id();
    faults.append(&mut parser.faults);
    Some(NewLink { inbox_id: inbox_id?, source_id })
}

/// Reads `labels`: a list, or a text with commas; nothing clears them.
pub(super) fn labels(body: &Fields) -> Result<Vec<Label>, Vec<Fault>> {
    let wrong = || vec![Fault::invalid("labels", "must be a list of strings")];
    let texts: Vec<&str> = match body.members.get("labels") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(text)) => text.split(',').collect(),
        Some(Value::Array(entries)) => {
            let texts: Option<Vec<&str>> = entries.iter().map(Value::as_str).collect();
            texts.ok_or_else(wrong)?.into_iter().flat_map(|text| text.split(',')).collect()
        }
        Some(_) => return Err(wrong()),
    };
    let (mut labels, mut faults) = (Vec::new(), Vec::new());
    for text in texts {
        match Label::parse(text) {
            Ok(label) => labels.extend(label),
            Err(fault) => faults.push(fault),
        }
        if faults.len() == FAULTS_PER_FIELD {
            break;
        }
    }
    if faults.is_empty() { Ok(labels) } else { Err(faults) }
}

struct Parser<'a> {
    members: &'a Map<String, Value>,
    faults: Vec<Fault>,
}

impl Parser<'_> {
    fn keep<T>(&mut self, parsed: Result<T, Fault>) -> Option<T> {
        parsed.map_err(|fault| self.faults.push(fault)).ok()
    }

    /// A text: `None` when it is not there, `Some(None)` for `null`. A number is its digits.
    #[expect(clippy::option_option, reason = "absent, null and a value are three things")]
    fn text(&mut self, name: &str) -> Option<Option<String>> {
        match self.members.get(name)? {
            Value::Null => Some(None),
            Value::String(text) => Some(Some(text.clone())),
            Value::Number(number) => Some(Some(number.to_string())),
            _ => {
                self.faults.push(Fault::invalid(name, "must be a string"));
                None
            }
        }
    }

    /// `last_name` is documented as an array, and sent as a string.
    #[expect(clippy::option_option, reason = "absent, null and a value are three things")]
    fn last_name(&mut self) -> Option<Option<String>> {
        let Some(Value::Array(parts)) = self.members.get("last_name") else {
            return self.text("last_name");
        };
        let texts: Option<Vec<&str>> = parts.iter().map(Value::as_str).collect();
        if texts.is_none() {
            self.faults.push(Fault::invalid("last_name", "must be a string or a list of strings"));
        }
        Some(Some(texts?.join(" ")))
    }

    #[expect(clippy::option_option, reason = "absent, null and a value are three things")]
    fn optional<T>(
        &mut self,
        text: Option<Option<String>>,
        parse: impl FnOnce(&str) -> Result<Option<T>, Fault>,
    ) -> Patch<T> {
        match text {
            None => Patch::Keep,
            Some(None) => Patch::Clear,
            Some(Some(text)) => self.keep(parse(&text)).map_or(Patch::Keep, Patch::from_option),
        }
    }

    fn availability(&mut self) -> Option<Availability> {
        let value = self.members.get("availability_status").filter(|value| !value.is_null())?;
        let status = value.as_str().and_then(Availability::parse);
        if status.is_none() {
            self.faults.push(Fault::invalid("availability_status", "must be online or offline"));
        }
        status
    }

    fn blocked(&mut self) -> Option<bool> {
        let value = self.members.get("blocked").filter(|value| !value.is_null())?;
        let blocked = match value {
            Value::Bool(blocked) => Some(*blocked),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        if blocked.is_none() {
            self.faults.push(Fault::invalid("blocked", "must be true or false"));
        }
        blocked
    }

    /// Unix seconds: `None` when absent, `Some(None)` for `null`.
    #[expect(clippy::option_option, reason = "absent, null and a value are three things")]
    fn seconds(&mut self, name: &str) -> Option<Option<UnixSeconds>> {
        let value = self.members.get(name)?;
        if value.is_null() {
            return Some(None);
        }
        match wide_integer(value) {
            Some(seconds) if (0..=i128::from(LAST_SECOND)).contains(&seconds) => {
                i64::try_from(seconds).ok().map(|seconds| Some(UnixSeconds(seconds)))
            }
            Some(_) => {
                let problem = format!(
                    "must be Unix seconds from 0 to {LAST_SECOND} (seconds, not milliseconds)"
                );
                self.faults.push(Fault::invalid(name, &problem));
                None
            }
            None => {
                self.faults.push(Fault::invalid(name, "must be an integer of Unix seconds"));
                None
            }
        }
    }

    fn inbox_id(&mut self) -> Option<InboxId> {
        match self.members.get("inbox_id") {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) if text.trim().is_empty() => {}
            Some(value) => {
                let id = integer(value).map(InboxId);
                if id.is_none() {
                    self.faults.push(Fault::invalid("inbox_id", "must be an integer"));
                }
                return id;
            }
        }
        self.faults.push(Fault::new("inbox_id", FaultCode::Blank, "Inbox can't be blank"));
        None
    }

    fn custom_attributes(&mut self, merge_patch: bool) -> AttributesPatch {
        let patch = self.map("custom_attributes", merge_patch);
        self.checked("custom_attributes", patch)
    }

    /// Profile data: the map itself, and its documented members from the top level.
    fn additional_attributes(&mut self, merge_patch: bool) -> AttributesPatch {
        const FIELD: &str = "additional_attributes";
        let mut patch = self.map(FIELD, merge_patch);
        let mut nested = match &mut patch {
            AttributesPatch::Keep => Map::new(),
            AttributesPatch::Merge(members)
            | AttributesPatch::MergePatch(members)
            | AttributesPatch::Replace(members) => std::mem::take(members),
        };
        self.canonical(&mut nested, "/additional_attributes");
        let mut members = Map::new();
        for name in PROFILE {
            if let Some(value) = self.members.get(name).filter(|_| !nested.contains_key(name)) {
                members.insert(name.to_owned(), value.clone());
            }
        }
        self.canonical(&mut members, "");
        if let Err(fault) = wrap(members.clone(), merge_patch).check(FIELD) {
            // The pointer leads into the body, where the member stands at the top level.
            let pointer = fault.pointer.replacen("/additional_attributes", "", 1);
            self.faults.push(fault.at(pointer));
            members.clear();
        }
        nested.append(&mut members);
        let patch = match patch {
            AttributesPatch::Replace(_) => AttributesPatch::Replace(nested),
            _ if nested.is_empty() => AttributesPatch::Keep,
            _ => wrap(nested, merge_patch),
        };
        self.checked(FIELD, patch)
    }

    fn map(&mut self, field: &str, merge_patch: bool) -> AttributesPatch {
        match self.members.get(field) {
            Some(Value::Null) if merge_patch => AttributesPatch::Replace(Map::new()),
            None | Some(Value::Null) => AttributesPatch::Keep,
            Some(Value::String(text)) if text.is_empty() => AttributesPatch::Keep,
            Some(Value::Object(members)) => wrap(members.clone(), merge_patch),
            Some(_) => {
                self.faults.push(Fault::invalid(field, "must be an object"));
                AttributesPatch::Keep
            }
        }
    }

    fn checked(&mut self, field: &str, patch: AttributesPatch) -> AttributesPatch {
        self.keep(patch.check(field)).map_or(AttributesPatch::Keep, |()| patch)
    }

    /// Brings the documented members into the form of the samples.
    fn canonical(&mut self, members: &mut Map<String, Value>, parent: &str) {
        for name in PROFILE {
            let Some(value) = members.get_mut(name) else { continue };
            let problem = if name == "social_profiles" {
                canonical_profiles(value)
            } else {
                canonical_text(value, name == "description")
            };
            if let Err(problem) = problem {
                let message = format!("{} {problem}", name.replace('_', " "));
                let fault = Fault::invalid("additional_attributes", &message);
                self.faults.push(fault.at(format!("{parent}/{}", escape_pointer(name))));
            }
        }
    }
}

fn wrap(members: Map<String, Value>, merge_patch: bool) -> AttributesPatch {
    if merge_patch { AttributesPatch::MergePatch(members) } else { AttributesPatch::Merge(members) }
}

/// A text; numbers and booleans become theirs, a `description` may come as an object.
fn canonical_text(value: &mut Value, objects: bool) -> Result<(), &'static str> {
    match value {
        Value::Null | Value::String(_) => Ok(()),
        Value::Number(_) | Value::Bool(_) => {
            *value = Value::String(value.to_string());
            Ok(())
        }
        Value::Object(_) if objects => {
            *value = Value::String(value.to_string());
            Ok(())
        }
        Value::Object(_) | Value::Array(_) => Err("must be a string"),
    }
}

/// An object; documented as a string, so that the text of one is taken too.
fn canonical_profiles(value: &mut Value) -> Result<(), &'static str> {
    let parsed = match value {
        Value::Null | Value::Object(_) => return Ok(()),
        Value::String(text) if text.is_empty() => Value::Object(Map::new()),
        Value::String(text) => meishi_contacts::json::parse(text.as_bytes()).unwrap_or_default(),
        _ => Value::Null,
    };
    if !parsed.is_object() {
        return Err("must be an object");
    }
    *value = parsed;
    Ok(())
}

/// An integer, or the text of one.
pub(crate) fn integer(value: &Value) -> Option<i64> {
    wide_integer(value).and_then(|number| number.try_into().ok())
}

/// The same of more bits, to tell what is too large from what is no number.
fn wide_integer(value: &Value) -> Option<i128> {
    match value {
        Value::Number(number) => number.as_i128(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}
