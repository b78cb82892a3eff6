//! What a write may do to a contact.

use crate::{
    AttributesPatch, Availability, Email, Field, FieldPath, Identifier, Identity, IdentityKind,
    InboxId, Phone, SourceId, UnixSeconds, fault::Fault,
};

/// What a write does to a field that may be empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Patch<T> {
    /// Leaves it.
    #[default]
    Keep,
    /// Empties it.
    Clear,
    /// Sets it.
    Set(T),
}

impl<T> Patch<T> {
    /// A value sets the field, its absence empties it.
    pub fn from_option(value: Option<T>) -> Self {
        value.map_or(Self::Clear, Self::Set)
    }
}

/// What one write does to a contact. Every value in it is valid on its own.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ContactPatch {
    /// What was wrong with fields that could not be taken. A patch with faults changes nothing; it
    /// goes on its way all the same, so that one answer tells these together with the values that
    /// are taken and the limits that are exceeded.
    pub faults: Vec<Fault>,
    /// New display name. Where it is absent and one of the next two is not, `name` is derived.
    pub name: Option<String>,
    /// Given name.
    pub first_name: Patch<String>,
    /// Family name.
    pub last_name: Patch<String>,
    /// Primary e-mail address.
    pub email: Patch<Email>,
    /// Primary phone number.
    pub phone_number: Patch<Phone>,
    /// The caller's own id.
    pub identifier: Patch<Identifier>,
    /// URL of a picture; empty for none.
    pub thumbnail: Option<String>,
    /// Whether the person is there.
    pub availability_status: Option<Availability>,
    /// Whether the person is blocked.
    pub blocked: Option<bool>,
    /// Merge into the profile data.
    pub additional_attributes: AttributesPatch,
    /// Merge into the project's fields.
    pub custom_attributes: AttributesPatch,
    /// Last activity.
    pub last_activity_at: Patch<UnixSeconds>,
    /// Creation time, where it differs from the clock's.
    pub created_at: Option<UnixSeconds>,
}

impl ContactPatch {
    /// The addresses that the write gives the contact, in the order of a conflict's answer.
    pub fn identities(&self) -> Vec<Identity> {
        let mut identities = Vec::new();
        let mut push = |kind, value: &str| {
            identities.push(Identity { kind, value: value.to_owned() });
        };
        if let Patch::Set(email) = &self.email {
            push(IdentityKind::Email, email.as_str());
        }
        if let Patch::Set(identifier) = &self.identifier {
            push(IdentityKind::Identifier, identifier.as_str());
        }
        if let Patch::Set(phone) = &self.phone_number {
            push(IdentityKind::PhoneNumber, phone.as_str());
        }
        identities
    }

    /// What the write names, in the order of an answer: fields, and members of the two maps.
    pub fn paths(&self) -> Vec<FieldPath> {
        let named = [
            (Field::Email, self.email != Patch::Keep),
            (Field::Identifier, self.identifier != Patch::Keep),
            (Field::PhoneNumber, self.phone_number != Patch::Keep),
            (Field::Name, self.name.is_some()),
            (Field::FirstName, self.first_name != Patch::Keep),
            (Field::LastName, self.last_name != Patch::Keep),
            (Field::Thumbnail, self.thumbnail.is_some()),
            (Field::AvailabilityStatus, self.availability_status.is_some()),
            (Field::Blocked, self.blocked.is_some()),
        ];
        let times = [
            (Field::LastActivityAt, self.last_activity_at != Patch::Keep),
            (Field::CreatedAt, self.created_at.is_some()),
        ];
        let paths = |fields: &[(Field, bool)]| -> Vec<FieldPath> {
            fields.iter().filter(|(_, named)| *named).map(|(field, _)| (*field).into()).collect()
        };
        let members = |field, patch: &AttributesPatch| -> Vec<FieldPath> {
            patch.keys().map(|key| FieldPath { field, key: Some(key.clone()) }).collect()
        };
        [
            paths(&named),
            members(Field::AdditionalAttributes, &self.additional_attributes),
            members(Field::CustomAttributes, &self.custom_attributes),
            paths(&times),
        ]
        .concat()
    }
}

/// A contact to be created: a patch of the blank card, and its channel.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NewContact {
    /// The fields that are given.
    pub fields: ContactPatch,
    /// The channel that the contact comes by.
    pub link: Option<NewLink>,
}

/// A link to be made with a contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLink {
    /// The channel.
    pub inbox_id: InboxId,
    /// The contact's address in it; a random UUID when absent.
    pub source_id: Option<SourceId>,
}
