//! The contact: its card, and the one place where a write (`patch.rs`) is done to it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Attributes, AttributesPatch, ContactId, ContactPatch, Email, Field, FieldChange, Identifier,
    Identity, IdentityKind, InboxId, Label, Patch, Phone, SourceId, UnixSeconds, Version,
    fault::{Fault, FaultCode},
    limits::{ATTRIBUTES_BYTES, LABELS},
};

/// A person who writes in (`livedesk-wire.md` section 3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contact {
    /// The contact's number in its account.
    pub id: ContactId,
    /// How often the contact changed, from 1.
    pub version: Version,
    /// Display name; may be empty.
    pub name: String,
    /// Given name; shown where asked for, feeds `name`.
    pub first_name: Option<String>,
    /// Family name; shown where asked for, feeds `name`.
    pub last_name: Option<String>,
    /// Primary e-mail address.
    pub email: Option<Email>,
    /// Primary phone number.
    pub phone_number: Option<Phone>,
    /// The caller's own id of the person (UserID).
    pub identifier: Option<Identifier>,
    /// URL of a picture; empty when there is none.
    pub thumbnail: String,
    /// Whether the person was last said to be online.
    pub availability_status: Availability,
    /// Whether the person is blocked; what that does is the chat system's affair.
    pub blocked: bool,
    /// Profile data: company, city, social profiles and whatever else is sent.
    pub additional_attributes: Attributes,
    /// Fields that the project defines.
    pub custom_attributes: Attributes,
    /// The last activity that a write told of.
    pub last_activity_at: Option<UnixSeconds>,
    /// When the person became a contact, by the caller's word or the clock.
    pub created_at: UnixSeconds,
    /// Labels, sorted and without repeats.
    pub labels: Vec<Label>,
}

/// Whether a contact is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    /// In front of the screen.
    Online,
    /// Not known to be there.
    #[default]
    Offline,
}

impl Availability {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Offline => "offline",
        }
    }

    /// The status of that word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Online, Self::Offline].into_iter().find(|status| status.as_str() == word)
    }
}

/// How a channel addresses a contact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactLink {
    /// The channel.
    pub inbox_id: InboxId,
    /// The contact's address in it.
    pub source_id: SourceId,
}

/// A contact with its links: everything there is to say of it, as creation and deletion record it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// The contact.
    pub contact: Contact,
    /// Its links, by channel and source id.
    pub contact_inboxes: Vec<ContactLink>,
}

impl Contact {
    /// The contact before anything is known of it.
    pub fn blank(id: ContactId, created_at: UnixSeconds) -> Self {
        Self {
            id,
            version: Version::FIRST,
            name: String::new(),
            first_name: None,
            last_name: None,
            email: None,
            phone_number: None,
            identifier: None,
            thumbnail: String::new(),
            availability_status: Availability::default(),
            blocked: false,
            additional_attributes: Attributes::default(),
            custom_attributes: Attributes::default(),
            last_activity_at: None,
            created_at,
            labels: Vec::new(),
        }
    }

    /// The primary value of a kind.
    pub fn identity(&self, kind: IdentityKind) -> Option<&str> {
        match kind {
            IdentityKind::Email => self.email.as_ref().map(Email::as_str),
            IdentityKind::Identifier => self.identifier.as_ref().map(Identifier::as_str),
            IdentityKind::PhoneNumber => self.phone_number.as_ref().map(Phone::as_str),
        }
    }

    /// The primary values that there are.
    pub fn identities(&self) -> impl Iterator<Item = Identity> {
        IdentityKind::ALL.into_iter().filter_map(|kind| {
            self.identity(kind).map(|value| Identity { kind, value: value.to_owned() })
        })
    }

    /// Whether the contact has an e-mail, a phone or an identifier: what Chatwoot calls resolved.
    pub const fn is_resolved(&self) -> bool {
        self.email.is_some() || self.phone_number.is_some() || self.identifier.is_some()
    }

    /// Does to the contact what the patch says and tells what changed, field by field; nothing
    /// changed means no change at all, so the version moves only with at least one entry. Fails
    /// with the patch's faults, and when the attributes would exceed their limit together; the
    /// contact is then as it was.
    pub fn apply(&mut self, patch: &ContactPatch) -> Result<Vec<FieldChange>, Vec<Fault>> {
        let mut after = self.clone();
        let mut changes = Changes::default();
        let name = patch.name.clone().or_else(|| self.derived_name(patch));

        changes
            .optional(Field::Email, &mut after.email, &patch.email, |email| email.as_str().into());
        changes.optional(Field::Identifier, &mut after.identifier, &patch.identifier, |id| {
            id.as_str().into()
        });
        changes.optional(
            Field::PhoneNumber,
            &mut after.phone_number,
            &patch.phone_number,
            |phone| phone.as_str().into(),
        );
        changes.plain(Field::Name, &mut after.name, name);
        let text = |text: &String| text.as_str().into();
        changes.optional(Field::FirstName, &mut after.first_name, &patch.first_name, text);
        changes.optional(Field::LastName, &mut after.last_name, &patch.last_name, text);
        changes.plain(Field::Thumbnail, &mut after.thumbnail, patch.thumbnail.clone());
        if let Some(status) = patch.availability_status
            && status != after.availability_status
        {
            let before = std::mem::replace(&mut after.availability_status, status);
            changes.push(Field::AvailabilityStatus, before.as_str(), status.as_str());
        }
        changes.plain(Field::Blocked, &mut after.blocked, patch.blocked);
        changes.attributes(
            Field::AdditionalAttributes,
            &mut after.additional_attributes,
            &patch.additional_attributes,
        );
        changes.attributes(
            Field::CustomAttributes,
            &mut after.custom_attributes,
            &patch.custom_attributes,
        );
        changes.optional(
            Field::LastActivityAt,
            &mut after.last_activity_at,
            &patch.last_activity_at,
            |at| at.0.into(),
        );
        if let Some(at) = patch.created_at
            && at != after.created_at
        {
            let before = std::mem::replace(&mut after.created_at, at);
            changes.push(Field::CreatedAt, before.0, at.0);
        }

        let mut faults = patch.faults.clone();
        faults.extend(after.oversize(&changes.0));
        if !faults.is_empty() {
            return Err(faults);
        }
        *self = after;
        Ok(changes.0)
    }

    /// Replaces the labels and tells what changed.
    pub fn set_labels(&mut self, mut labels: Vec<Label>) -> Result<Vec<FieldChange>, Vec<Fault>> {
        labels.sort_unstable();
        labels.dedup();
        if labels.len() > LABELS {
            let message = format!("Labels has too many entries (maximum is {LABELS})");
            return Err(vec![Fault::new("labels", FaultCode::LimitExceeded, message)]);
        }
        if labels == self.labels {
            return Ok(Vec::new());
        }
        let before = std::mem::replace(&mut self.labels, labels);
        let mut changes = Changes::default();
        changes.push(Field::Labels, titles(&before), titles(&self.labels));
        Ok(changes.0)
    }

    /// The name that given and family name make where the body has no `name` of its own.
    fn derived_name(&self, patch: &ContactPatch) -> Option<String> {
        if patch.first_name == Patch::Keep && patch.last_name == Patch::Keep {
            return None;
        }
        let part = |patch: &Patch<String>, stored: &Option<String>| match patch {
            Patch::Keep => stored.clone(),
            Patch::Clear => None,
            Patch::Set(text) => Some(text.clone()),
        };
        let parts =
            [part(&patch.first_name, &self.first_name), part(&patch.last_name, &self.last_name)];
        let words: Vec<&str> = parts
            .iter()
            .flatten()
            .map(|text| text.trim())
            .filter(|text| !text.is_empty())
            .collect();
        // Two parts of 255 may make more than a name holds; the name is cut, the parts are kept.
        Some(words.join(" ").chars().take(crate::limits::STRING_CHARS).collect())
    }

    /// The maps that a write changed, where both together exceed their limit.
    pub fn oversize(&self, changes: &[FieldChange]) -> Vec<Fault> {
        let bytes =
            self.additional_attributes.as_json().len() + self.custom_attributes.as_json().len();
        if bytes <= ATTRIBUTES_BYTES {
            return Vec::new();
        }
        [Field::AdditionalAttributes, Field::CustomAttributes]
            .into_iter()
            .filter(|field| changes.iter().any(|change| change.field == *field))
            .map(|field| {
                let message =
                    format!("is too large (maximum is {ATTRIBUTES_BYTES} bytes for both maps)");
                let mut fault = Fault::invalid(field.as_str(), &message);
                fault.code = FaultCode::LimitExceeded;
                fault
            })
            .collect()
    }
}

/// Labels as an event tells of them.
pub(crate) fn titles(labels: &[Label]) -> Value {
    labels.iter().map(|label| Value::from(label.as_str())).collect()
}

/// Collects what a write changed.
#[derive(Default)]
struct Changes(Vec<FieldChange>);

impl Changes {
    fn push(&mut self, field: Field, before: impl Into<Value>, after: impl Into<Value>) {
        self.0.push(FieldChange {
            field,
            key: None,
            before: Some(before.into()),
            after: Some(after.into()),
        });
    }

    fn plain<T: PartialEq + Clone + Into<Value>>(
        &mut self,
        field: Field,
        slot: &mut T,
        value: Option<T>,
    ) {
        if let Some(value) = value
            && value != *slot
        {
            let before = std::mem::replace(slot, value);
            self.push(field, before, slot.clone());
        }
    }

    fn optional<T: PartialEq + Clone>(
        &mut self,
        field: Field,
        slot: &mut Option<T>,
        patch: &Patch<T>,
        to_value: fn(&T) -> Value,
    ) {
        let after = match patch {
            Patch::Keep => return,
            Patch::Clear => None,
            Patch::Set(value) => Some(value),
        };
        if slot.as_ref() == after {
            return;
        }
        let before = std::mem::replace(slot, after.cloned());
        let shown = |value: Option<&T>| value.map_or(Value::Null, to_value);
        self.push(field, shown(before.as_ref()), shown(after));
    }

    fn attributes(&mut self, field: Field, slot: &mut Attributes, patch: &AttributesPatch) {
        if *patch == AttributesPatch::Keep {
            return;
        }
        let before = slot.to_map();
        let after = patch.apply(&before);
        let changed = self.members(field, &before, &after);
        if changed {
            *slot = after.into();
        }
    }

    /// One entry for each member that differs; whether there was one.
    fn members(
        &mut self,
        field: Field,
        before: &Map<String, Value>,
        after: &Map<String, Value>,
    ) -> bool {
        let known = self.0.len();
        let added = after.keys().filter(|key| !before.contains_key(*key));
        for key in before.keys().chain(added) {
            let (old, new) = (before.get(key), after.get(key));
            if old != new {
                self.0.push(FieldChange {
                    field,
                    key: Some(key.clone()),
                    before: old.cloned(),
                    after: new.cloned(),
                });
            }
        }
        self.0.len() > known
    }
}
