//! Definitions of contacts' custom attributes: what an account says of the values under a key, and
//! whether a write that sets another one is refused.
//!
//! A value fits a type where filters of that type read it (`filter/datum.rs`), so that what is
//! enforced can be asked for. Values that are there already are never looked at.

use std::collections::HashMap;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use unicode_normalization::char::is_combining_mark;

use crate::{
    AttributeId, AttributeType, Fault, FaultCode, Field, FieldChange, Patch, UnixMillis,
    fault::escape_pointer,
    fields::short_text,
    filter::Datum,
    limits::{
        ATTRIBUTE_VALUES, REGEX_BYTES, REGEX_CHARS, REGEX_TEXT_CHARS, REPEATED_CHARS,
        REPEATED_VALUES, STRING_CHARS,
    },
};

/// Keys that no definition of a contact's attribute may have (`chatwoot-wire.md` 3.4).
const RESERVED: [&str; 11] = [
    "name",
    "email",
    "phone_number",
    "identifier",
    "country_code",
    "city",
    "company_name",
    "created_at",
    "last_activity_at",
    "referer",
    "blocked",
];

/// What a definition does to writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttributeMode {
    /// Any value is accepted.
    #[default]
    Observe,
    /// A write that sets a value that does not fit is refused.
    Enforce,
}

impl AttributeMode {
    /// Both modes.
    pub const ALL: [Self; 2] = [Self::Observe, Self::Enforce];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Enforce => "enforce",
        }
    }

    /// The mode of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == word)
    }
}

/// What an account says of the values under a key of `custom_attributes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeDefinition {
    /// Its number.
    pub id: AttributeId,
    /// The key, from [`parse_key`]; unique in the account, and never another one.
    pub key: String,
    /// What people call it.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// What kind of values there are.
    #[serde(rename = "type")]
    pub kind: AttributeType,
    /// The values of a list; empty of other types.
    pub values: Vec<String>,
    /// What a text matches, from [`parse_regex`]; absent of other types.
    pub regex: Option<String>,
    /// What people are told of a text that does not match; absent of other types.
    pub hint: Option<String>,
    /// Whether values that do not fit are refused.
    pub mode: AttributeMode,
    /// When it was made.
    pub created_at: UnixMillis,
}

/// A definition to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAttribute {
    /// Its key, from [`parse_key`].
    pub key: String,
    /// What it says. Without a name it has its key for one; without a type it is of texts.
    pub fields: AttributePatch,
}

/// What a write does to a definition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AttributePatch {
    /// The key that it is said to have. Another one than it has is a fault.
    pub key: Option<String>,
    /// New name.
    pub name: Option<String>,
    /// New description.
    pub description: Patch<String>,
    /// New type. What only the type before has goes with it.
    pub kind: Option<AttributeType>,
    /// New values of a list, from [`parse_values`].
    pub values: Option<Vec<String>>,
    /// New pattern of a text, from [`parse_regex`].
    pub regex: Patch<String>,
    /// New hint of a text.
    pub hint: Patch<String>,
    /// New mode.
    pub mode: Option<AttributeMode>,
}

impl AttributeDefinition {
    /// A definition as it is made. Fails as [`apply`](Self::apply) does.
    pub fn new(id: AttributeId, new: &NewAttribute, at: UnixMillis) -> Result<Self, Vec<Fault>> {
        let mut made = Self {
            id,
            key: new.key.clone(),
            name: new.key.clone(),
            description: None,
            kind: AttributeType::Text,
            values: Vec::new(),
            regex: None,
            hint: None,
            mode: AttributeMode::default(),
            created_at: at,
        };
        made.apply(&new.fields)?;
        Ok(made)
    }

    /// Does to the definition what the patch says and tells what changed. Fails where it says what
    /// the type does not have, or nothing of what it needs; the definition is then as it was.
    pub fn apply(&mut self, patch: &AttributePatch) -> Result<Vec<FieldChange>, Vec<Fault>> {
        let mut after = self.clone();
        if let Some(name) = &patch.name {
            after.name.clone_from(name);
        }
        set(&mut after.description, &patch.description);
        after.kind = patch.kind.unwrap_or(after.kind);
        if let Some(values) = &patch.values {
            after.values.clone_from(values);
        }
        set(&mut after.regex, &patch.regex);
        set(&mut after.hint, &patch.hint);
        after.mode = patch.mode.unwrap_or(after.mode);

        let (kind, mut faults) = (after.kind, Vec::new());
        if patch.key.as_ref().is_some_and(|key| *key != after.key) {
            faults.push(Fault::invalid("key", "cannot be changed"));
        }
        if kind != AttributeType::List {
            if patch.values.as_ref().is_some_and(|values| !values.is_empty()) {
                faults.push(Fault::invalid("values", "are only for the type list"));
            }
            after.values.clear();
        } else if after.values.is_empty() {
            faults.push(Fault::new("values", FaultCode::Blank, "Values can't be blank"));
        }
        if kind != AttributeType::Text {
            for (name, patch) in [("regex", &patch.regex), ("hint", &patch.hint)] {
                if matches!(patch, Patch::Set(_)) {
                    faults.push(Fault::invalid(name, "is only for the type text"));
                }
            }
            (after.regex, after.hint) = (None, None);
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let changes = changes(self, &after);
        *self = after;
        Ok(changes)
    }

    /// The fault of a write that sets the value under this key, where it is to be refused. `null`
    /// always fits.
    pub fn refuses(&self, value: &Value, patterns: &mut Patterns) -> Option<Fault> {
        let is_free = self.mode == AttributeMode::Observe || value.is_null();
        if is_free || self.fits(value, patterns) {
            return None;
        }
        let Self { key, .. } = self;
        let message =
            format!("Custom attributes {key} ({}) {}", self.kind.as_str(), self.requirement());
        let fault = Fault::new("custom_attributes", FaultCode::Invalid, message);
        Some(fault.at(format!("/custom_attributes/{}", escape_pointer(key))))
    }

    fn fits(&self, value: &Value, patterns: &mut Patterns) -> bool {
        let datum = || Datum::of(Some(value));
        match self.kind {
            AttributeType::Text => value.as_str().is_some_and(|text| {
                self.regex.as_ref().is_none_or(|regex| patterns.matches(regex, text))
            }),
            AttributeType::Number | AttributeType::Currency | AttributeType::Percent => {
                datum().number().is_some()
            }
            AttributeType::Link => value.as_str().is_some_and(is_link),
            AttributeType::Date => datum().moment().is_some(),
            AttributeType::List => {
                value.as_str().is_some_and(|text| self.values.iter().any(|value| value == text))
            }
            AttributeType::Checkbox => datum().flag().is_some(),
        }
    }

    /// What a value has to be, in words that follow the key.
    fn requirement(&self) -> String {
        match self.kind {
            AttributeType::Text => match (&self.regex, &self.hint) {
                (Some(_), Some(hint)) => format!("does not match: {hint}"),
                (Some(regex), None) => format!("must match {regex}"),
                (None, _) => "must be a string".to_owned(),
            },
            AttributeType::Number | AttributeType::Currency | AttributeType::Percent => {
                "must be a number".to_owned()
            }
            AttributeType::Link => "must be an http:// or https:// address".to_owned(),
            AttributeType::Date => {
                "must be a date such as 2026-01-31, with a time or without".to_owned()
            }
            AttributeType::List => {
                let shown = self.values.iter().take(REPEATED_VALUES).map(String::as_str);
                let shown: Vec<&str> = shown.collect();
                let more = if self.values.len() > shown.len() { ", …" } else { "" };
                format!("must be one of {}{more}", shown.join(", "))
            }
            AttributeType::Checkbox => "must be true or false".to_owned(),
        }
    }
}

/// Reads the key of a definition: letters of any script, digits, `_`, `-` and `.`, as it stands.
pub fn parse_key(text: &str) -> Result<String, Fault> {
    let key = text.trim();
    if key.is_empty() {
        return Err(Fault::new("key", FaultCode::Blank, "Key can't be blank"));
    }
    let key = short_text("key", key)?;
    if !is_key(&key) {
        let problem = "must only contain letters, numbers, underscores, hyphens, and dots";
        return Err(Fault::invalid("key", problem));
    }
    if RESERVED.contains(&key.as_str()) {
        let message =
            "The provided key is not allowed as it might conflict with default attributes.";
        return Err(Fault::new("key", FaultCode::Invalid, message));
    }
    Ok(key)
}

/// Whether there can be a definition of the key.
pub fn is_key(key: &str) -> bool {
    let is_part =
        |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.') || is_combining_mark(c);
    !key.is_empty() && key.len() <= 4 * STRING_CHARS && key.chars().all(is_part)
}

/// Reads the values of a list: different texts, each trimmed.
pub fn parse_values(sent: &[Value]) -> Result<Vec<String>, Fault> {
    if sent.len() > ATTRIBUTE_VALUES {
        let message = format!("Values has too many entries (maximum is {ATTRIBUTE_VALUES})");
        return Err(Fault::new("values", FaultCode::LimitExceeded, message));
    }
    let mut values: Vec<String> = Vec::with_capacity(sent.len());
    for (number, value) in sent.iter().enumerate() {
        let at = |fault: Fault| fault.at(format!("/values/{number}"));
        let text = value.as_str().map(str::trim).filter(|text| !text.is_empty());
        let invalid = |problem| at(Fault::invalid("values", problem));
        let text = text.ok_or_else(|| invalid("must be strings that are not blank"))?;
        let text = short_text("values", text).map_err(at)?;
        if values.contains(&text) {
            return Err(invalid("must differ from one another"));
        }
        values.push(text);
    }
    Ok(values)
}

/// Reads a pattern. It takes linear time whatever it is matched with, so there are neither
/// look-arounds nor references back.
pub fn parse_regex(text: &str) -> Result<String, Fault> {
    if text.chars().count() > REGEX_CHARS {
        return Err(Fault::too_long("regex", REGEX_CHARS));
    }
    let text = short_text("regex", text)?;
    match compile(&text) {
        Ok(_) => Ok(text),
        Err(regex::Error::CompiledTooBig(_)) => {
            let message = format!("Regex is too large (maximum is {REGEX_BYTES} bytes compiled)");
            Err(Fault::new("regex", FaultCode::LimitExceeded, message))
        }
        Err(error) => {
            // The last line says what is wrong; those before it show where.
            let told = error.to_string();
            let what = told.lines().last().unwrap_or_default().trim_start_matches("error: ");
            let what: String = what.chars().take(REPEATED_CHARS).collect();
            Err(Fault::invalid("regex", &format!("is not understood: {what}")))
        }
    }
}

/// The fault of a key that another definition has.
pub fn key_taken() -> Fault {
    Fault::new("key", FaultCode::Taken, "Key has already been taken")
}

/// Compiled patterns, for as long as they are likely to be needed again.
#[derive(Debug, Default)]
pub struct Patterns(HashMap<String, Option<Regex>>);

impl Patterns {
    /// Whether a text matches a pattern: anywhere in it, as a pattern says that has neither `^` nor
    /// `$`.
    fn matches(&mut self, regex: &str, text: &str) -> bool {
        if text.chars().nth(REGEX_TEXT_CHARS).is_some() {
            return false;
        }
        if !self.0.contains_key(regex) {
            self.0.insert(regex.to_owned(), compile(regex).ok());
        }
        // One that was stored is one that was read before, so that there is nothing to tell of it.
        self.0.get(regex).and_then(Option::as_ref).is_none_or(|regex| regex.is_match(text))
    }
}

fn compile(regex: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(regex).size_limit(REGEX_BYTES).build()
}

/// Whether a text is the address of a page: a scheme, a host, and no blank.
fn is_link(text: &str) -> bool {
    let scheme = text.split_once("://").filter(|(scheme, _)| {
        ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
    });
    let host = scheme.map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let is_blank = |c: char| c.is_whitespace() || c.is_control();
    host.is_some_and(|host| !host.is_empty()) && !text.contains(is_blank)
}

fn set(slot: &mut Option<String>, patch: &Patch<String>) {
    match patch {
        Patch::Keep => {}
        Patch::Clear => *slot = None,
        Patch::Set(text) => *slot = Some(text.clone()),
    }
}

fn changes(before: &AttributeDefinition, after: &AttributeDefinition) -> Vec<FieldChange> {
    let told = |definition: &AttributeDefinition| {
        let text = |text: &Option<String>| text.as_deref().map_or(Value::Null, Value::from);
        let AttributeDefinition { name, description, kind, values, regex, hint, mode, .. } =
            definition;
        [
            (Field::Name, name.as_str().into()),
            (Field::Description, text(description)),
            (Field::Type, kind.as_str().into()),
            (Field::Values, values.as_slice().into()),
            (Field::Regex, text(regex)),
            (Field::Hint, text(hint)),
            (Field::Mode, mode.as_str().into()),
        ]
    };
    let (before, after): ([(Field, Value); 7], _) = (told(before), told(after));
    let both = before.into_iter().zip(after).filter(|(before, after)| before != after);
    both.map(|((field, before), (_, after))| FieldChange::of(field, before, after)).collect()
}

#[cfg(test)]
mod tests;
