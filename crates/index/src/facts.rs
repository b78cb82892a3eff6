//! What the index keeps of a contact: how it is made of a contact and how an event changes it.

use std::borrow::Cow;

use meishi_contacts::{
    Contact, ContactId, Field, FieldChange, Identifier, Label, Patch, Phone, UnixSeconds, Version,
    place::{attribute_text, stored_text},
    search::folded,
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
pub(crate) struct Update<'a> {
    pub(crate) id: ContactId,
    pub(crate) version: Version,
    pub(crate) last_activity_at: Option<UnixSeconds>,
    pub(crate) created_at: UnixSeconds,
    /// `None` where they stay.
    pub(crate) labels: Option<Box<[LabelId]>>,
    /// The e-mail address as it is, where folding changes it.
    pub(crate) email: Patch<Cow<'a, str>>,
    pub(crate) members: [Patch<Cow<'a, str>>; MEMBERS],
}

impl Update<'_> {
    /// The same, apart from the row or the contact that it was made of.
    pub(crate) fn into_owned(self) -> Update<'static> {
        let owned = |text: Patch<Cow<'_, str>>| match text {
            Patch::Keep => Patch::Keep,
            Patch::Clear => Patch::Clear,
            Patch::Set(text) => Patch::Set(text.into_owned().into()),
        };
        let Self { id, version, last_activity_at, created_at, labels, email, members } = self;
        let (email, members) = (owned(email), members.map(owned));
        Update { id, version, last_activity_at, created_at, labels, email, members }
    }
}

/// All that the index knows of a contact, apart, so that single facts can change.
pub(crate) struct Facts<'a> {
    update: Update<'a>,
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
            folded_name: folded(&contact.name),
            email: Cow::default(),
            identifier: folded(contact.identifier.as_ref().map_or("", Identifier::as_str)),
            // E.164 folds to itself.
            phone: contact.phone_number.as_ref().map_or("", Phone::as_str).into(),
            rewritten: true,
        };
        if let Some(email) = &contact.email {
            facts.set_email(email.as_str().into());
        }
        for (key, json) in contact.additional_attributes.members() {
            facts.set_member(&key, || stored_text(json));
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
                self.folded_name = folded(name).into_owned().into();
                self.name = name.to_owned().into();
                self.rewritten = true;
            }
            Field::Email => self.set_email(address(after)?.unwrap_or_default().to_owned().into()),
            Field::Identifier => {
                self.identifier = folded(address(after)?.unwrap_or_default()).into_owned().into();
                self.rewritten = true;
            }
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
                self.set_member(key, || attribute_text(change.after.as_ref()).map(Cow::from));
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

    fn set_email(&mut self, email: Cow<'a, str>) {
        // Lent as long as the address is.
        let folded = match &email {
            Cow::Borrowed(email) => folded(email),
            Cow::Owned(email) => folded(email).into_owned().into(),
        };
        self.update.email = if folded == email { Patch::Clear } else { Patch::Set(email) };
        self.email = folded;
        self.rewritten = true;
    }

    fn set_member(&mut self, key: &str, text: impl FnOnce() -> Option<Cow<'a, str>>) {
        let place = member_named(key).and_then(|member| self.update.members.get_mut(member));
        if let Some(place) = place {
            *place = text().map_or(Patch::Clear, Patch::Set);
        }
    }

    /// What is to be written, and the text if it is another one.
    pub(crate) fn pack(self) -> (Update<'a>, Option<String>) {
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
