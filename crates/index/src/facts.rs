//! What the index keeps of a contact: how it is made of a contact and how an event changes it.

use std::borrow::Cow;

use meishi_contacts::{
    Contact, ContactId, Email, Field, FieldChange, Identifier, Label, Patch, Phone, UnixSeconds,
    Version, place::attribute_text, search::fold,
};
use serde_json::Value;

use crate::{
    entries::Row,
    labels::{LabelId, Labels},
    texts::Parts,
};

/// Members of `additional_attributes` that are kept: company, city and country.
pub(crate) const MEMBERS: usize = 3;

fn member_named(key: &str) -> Option<usize> {
    match key {
        "company_name" => Some(0),
        "city" => Some(1),
        "country" => Some(2),
        _ => None,
    }
}

/// What is to be written of a contact.
#[derive(Debug)]
pub(crate) struct Update {
    pub(crate) id: ContactId,
    pub(crate) version: Version,
    pub(crate) last_activity_at: Option<UnixSeconds>,
    pub(crate) created_at: UnixSeconds,
    /// `None` where they stay.
    pub(crate) labels: Option<Box<[LabelId]>>,
    /// The e-mail address as it is, where folding changes it.
    pub(crate) email: Patch<String>,
    pub(crate) members: [Patch<String>; MEMBERS],
}

/// All that the index knows of a contact, apart, so that single facts can change.
pub(crate) struct Facts<'a> {
    update: Update,
    name: Cow<'a, str>,
    folded_name: Cow<'a, str>,
    email: Cow<'a, str>,
    identifier: Cow<'a, str>,
    phone: Cow<'a, str>,
    /// Whether one of the texts is not the row's.
    rewritten: bool,
}

impl<'a> Facts<'a> {
    pub(crate) fn of_contact(contact: &'a Contact, labels: &mut Labels) -> Self {
        let mut facts = Self {
            update: Update {
                id: contact.id,
                version: contact.version,
                last_activity_at: contact.last_activity_at,
                created_at: contact.created_at,
                labels: Some(contact.labels.iter().map(|label| labels.intern(label)).collect()),
                email: Patch::Clear,
                members: [const { Patch::Clear }; MEMBERS],
            },
            name: contact.name.as_str().into(),
            folded_name: fold(&contact.name).into(),
            email: Cow::default(),
            identifier: Cow::default(),
            // E.164 folds to itself.
            phone: contact.phone_number.as_ref().map_or("", Phone::as_str).into(),
            rewritten: true,
        };
        facts.set_email(contact.email.as_ref().map(Email::as_str));
        facts.set_identifier(contact.identifier.as_ref().map(Identifier::as_str));
        if !contact.additional_attributes.is_empty() {
            for (key, value) in &contact.additional_attributes.to_map() {
                facts.set_member(key, Some(value));
            }
        }
        facts
    }

    pub(crate) fn of_row(row: &Row<'a>) -> Self {
        let Parts { name, folded_name, email, identifier, phone } = row.parts();
        Self {
            update: Update {
                id: row.id(),
                version: row.entries.version(row.slot),
                last_activity_at: row.entries.last_activity_at(row.slot),
                created_at: row.entries.created_at(row.slot),
                labels: None,
                email: Patch::Keep,
                members: [const { Patch::Keep }; MEMBERS],
            },
            name: name.into(),
            folded_name: folded_name.into(),
            email: email.into(),
            identifier: identifier.into(),
            phone: phone.into(),
            rewritten: false,
        }
    }

    pub(crate) fn set_version(&mut self, version: Version) {
        self.update.version = version;
    }

    /// Follows one change of an update. Fails where no store writes such a change.
    pub(crate) fn change(
        &mut self,
        change: &FieldChange,
        labels: &mut Labels,
    ) -> Result<(), &'static str> {
        let after = change.after.as_ref().unwrap_or(&Value::Null);
        match change.field {
            Field::Name => {
                let name = after.as_str().ok_or("a name is not a text")?;
                self.folded_name = fold(name).into();
                self.name = name.to_owned().into();
                self.rewritten = true;
            }
            Field::Email => self.set_email(address(after)?),
            Field::Identifier => self.set_identifier(address(after)?),
            Field::PhoneNumber => {
                self.phone = address(after)?.unwrap_or_default().to_owned().into();
                self.rewritten = true;
            }
            Field::LastActivityAt => self.update.last_activity_at = time(after)?,
            Field::CreatedAt => {
                self.update.created_at = time(after)?.ok_or("a creation time is missing")?;
            }
            Field::Labels => {
                let titles = after.as_array().ok_or("labels are not a list")?;
                let ids = titles.iter().map(|title| {
                    let title = title.as_str().ok_or("a label is not a text")?;
                    Ok(labels.intern(&Label::from_stored(title.to_owned())))
                });
                self.update.labels = Some(ids.collect::<Result<_, &'static str>>()?);
            }
            Field::AdditionalAttributes => {
                let key = change.key.as_deref().ok_or("a changed attribute has no key")?;
                self.set_member(key, change.after.as_ref());
            }
            // Neither searched nor sorted by.
            Field::FirstName
            | Field::LastName
            | Field::Thumbnail
            | Field::AvailabilityStatus
            | Field::Blocked
            | Field::CustomAttributes
            | Field::Role
            | Field::ExpiresAt
            | Field::Url
            | Field::Events
            | Field::Format
            | Field::IncludeActivity
            | Field::State
            | Field::Title
            | Field::Color
            | Field::Description
            | Field::ShowOnSidebar
            | Field::Type
            | Field::Values
            | Field::Regex
            | Field::Hint
            | Field::Mode => {}
        }
        Ok(())
    }

    fn set_email(&mut self, email: Option<&str>) {
        let email = email.unwrap_or_default();
        let folded = fold(email);
        self.update.email =
            if folded == email { Patch::Clear } else { Patch::Set(email.to_owned()) };
        self.email = folded.into();
        self.rewritten = true;
    }

    fn set_identifier(&mut self, identifier: Option<&str>) {
        self.identifier = fold(identifier.unwrap_or_default()).into();
        self.rewritten = true;
    }

    fn set_member(&mut self, key: &str, value: Option<&Value>) {
        let place = member_named(key).and_then(|member| self.update.members.get_mut(member));
        if let Some(place) = place {
            *place = attribute_text(value).map_or(Patch::Clear, Patch::Set);
        }
    }

    /// What is to be written, and the text if it is another one.
    pub(crate) fn pack(self) -> (Update, Option<String>) {
        let Self { update, name, folded_name, email, identifier, phone, rewritten } = self;
        let parts = Parts {
            name: &name,
            folded_name: &folded_name,
            email: &email,
            identifier: &identifier,
            phone: &phone,
        };
        (update, rewritten.then(|| parts.to_text()))
    }
}

/// An e-mail address, identifier or phone number; `null` is none, and none is empty.
fn address(value: &Value) -> Result<Option<&str>, &'static str> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if !text.is_empty() => Ok(Some(text)),
        _ => Err("an address is not a text"),
    }
}

fn time(value: &Value) -> Result<Option<UnixSeconds>, &'static str> {
    match value {
        Value::Null => Ok(None),
        _ => Ok(Some(UnixSeconds(value.as_i64().ok_or("a time is not a number of seconds")?))),
    }
}
