//! What a contact was: single fields read and put back as events tell of them.

use serde_json::Value;

use crate::{
    Attributes, Availability, Contact, Email, Field, FieldChange, FieldPath, Identifier,
    IdentityKind, Label, Phone, UnixSeconds, contact::titles,
};

impl Contact {
    /// What a field that an event can name is now; `None` for an attribute that is not there.
    pub fn value(&self, path: &FieldPath) -> Option<Value> {
        let attribute =
            |map: &Attributes| path.key.as_ref().and_then(|key| map.to_map().get(key).cloned());
        let text = |text: Option<&str>| Some(text.map_or(Value::Null, Value::from));
        match path.field {
            Field::Email => text(self.identity(IdentityKind::Email)),
            Field::Identifier => text(self.identity(IdentityKind::Identifier)),
            Field::PhoneNumber => text(self.identity(IdentityKind::PhoneNumber)),
            Field::Name => text(Some(&self.name)),
            Field::FirstName => text(self.first_name.as_deref()),
            Field::LastName => text(self.last_name.as_deref()),
            Field::Thumbnail => text(Some(&self.thumbnail)),
            Field::AvailabilityStatus => text(Some(self.availability_status.as_str())),
            Field::Blocked => Some(self.blocked.into()),
            Field::AdditionalAttributes => attribute(&self.additional_attributes),
            Field::CustomAttributes => attribute(&self.custom_attributes),
            Field::LastActivityAt => {
                Some(self.last_activity_at.map_or(Value::Null, |at| at.0.into()))
            }
            Field::CreatedAt => Some(self.created_at.0.into()),
            Field::Labels => Some(titles(&self.labels)),
            Field::Role
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
            | Field::Mode => None,
        }
    }

    /// Makes a field what an event says that it was, which was valid then; `None` takes an
    /// attribute away. Fails when the value is none that the field can have.
    pub fn put(&mut self, path: &FieldPath, value: Option<&Value>) -> Result<(), NotOfTheField> {
        let text = || match value {
            Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            _ => Err(NotOfTheField),
        };
        let some_text = || text()?.ok_or(NotOfTheField);
        let seconds = || value.and_then(Value::as_i64).map(UnixSeconds).ok_or(NotOfTheField);
        match path.field {
            Field::Email => self.email = text()?.map(Email::from_stored),
            Field::Identifier => self.identifier = text()?.map(Identifier::from_stored),
            Field::PhoneNumber => self.phone_number = text()?.map(Phone::from_stored),
            Field::Name => self.name = some_text()?,
            Field::FirstName => self.first_name = text()?,
            Field::LastName => self.last_name = text()?,
            Field::Thumbnail => self.thumbnail = some_text()?,
            Field::AvailabilityStatus => {
                self.availability_status =
                    Availability::parse(&some_text()?).ok_or(NotOfTheField)?;
            }
            Field::Blocked => {
                self.blocked = value.and_then(Value::as_bool).ok_or(NotOfTheField)?;
            }
            Field::AdditionalAttributes => {
                put_member(&mut self.additional_attributes, path, value)?;
            }
            Field::CustomAttributes => put_member(&mut self.custom_attributes, path, value)?,
            Field::LastActivityAt => {
                self.last_activity_at = match value {
                    Some(Value::Null) => None,
                    _ => Some(seconds()?),
                };
            }
            Field::CreatedAt => self.created_at = seconds()?,
            Field::Labels => {
                let titles = value.and_then(Value::as_array).ok_or(NotOfTheField)?;
                let label = |title: &Value| {
                    title.as_str().map(|title| Label::from_stored(title.to_owned()))
                };
                self.labels =
                    titles.iter().map(label).collect::<Option<_>>().ok_or(NotOfTheField)?;
            }
            Field::Role
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
            | Field::Mode => return Err(NotOfTheField),
        }
        Ok(())
    }

    /// Takes a change back: what it tells of is again what it was before.
    pub fn undo(&mut self, changes: &[FieldChange]) -> Result<(), NotOfTheField> {
        changes.iter().try_for_each(|change| self.put(&change.path(), change.before.as_ref()))
    }
}

/// A value that a field cannot have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotOfTheField;

fn put_member(
    slot: &mut Attributes,
    path: &FieldPath,
    value: Option<&Value>,
) -> Result<(), NotOfTheField> {
    let key = path.key.as_ref().ok_or(NotOfTheField)?;
    let mut members = slot.to_map();
    match value {
        Some(value) => {
            members.insert(key.clone(), value.clone());
        }
        // The others keep their places.
        None => {
            members.shift_remove(key);
        }
    }
    *slot = members.into();
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{AttributesPatch, ContactId, ContactPatch, Patch};

    #[test]
    fn whatever_a_write_changed_can_be_taken_back() {
        let mut contact = Contact::blank(ContactId(1), UnixSeconds(7));
        let members = |value: Value| value.as_object().cloned().unwrap_or_default();
        let first = ContactPatch {
            name: Some("Anna".into()),
            email: Patch::Set(Email::from_stored("a@x.test".into())),
            custom_attributes: AttributesPatch::Merge(members(json!({"a": 1, "b": {"c": null}}))),
            ..ContactPatch::default()
        };
        contact.apply(&first).unwrap();
        contact.set_labels(vec![Label::from_stored("vip".into())]).unwrap();
        let before = contact.clone();
        let second = ContactPatch {
            name: Some(String::new()),
            first_name: Patch::Set("B".into()),
            last_name: Patch::Set("C".into()),
            email: Patch::Clear,
            identifier: Patch::Set(Identifier::from_stored("x".into())),
            phone_number: Patch::Set(Phone::from_stored("+4930".into())),
            thumbnail: Some("https://x.test/a.png".into()),
            availability_status: Some(Availability::Online),
            blocked: Some(true),
            additional_attributes: AttributesPatch::Merge(members(json!({"city": "Z"}))),
            custom_attributes: AttributesPatch::Merge(members(json!({"a": null, "b": 2, "c": 3}))),
            last_activity_at: Patch::Set(UnixSeconds(9)),
            created_at: Some(UnixSeconds(8)),
            ..ContactPatch::default()
        };
        let mut changes = contact.apply(&second).unwrap();
        changes.extend(contact.set_labels(Vec::new()).unwrap());
        for change in &changes {
            assert_eq!(contact.value(&change.path()), change.after, "{change:?}");
        }
        contact.undo(&changes).unwrap();
        assert_eq!(contact, before);
    }

    #[test]
    fn what_a_field_cannot_be_is_refused() {
        let mut contact = Contact::blank(ContactId(1), UnixSeconds(7));
        let before = contact.clone();
        for field in [Field::Name, Field::Blocked, Field::CreatedAt, Field::Labels, Field::Role] {
            let path = FieldPath::from(field);
            assert_eq!(contact.put(&path, Some(&json!({}))), Err(NotOfTheField), "{field:?}");
            assert_eq!(contact.put(&path, None), Err(NotOfTheField), "{field:?}");
        }
        assert_eq!(contact, before);
    }
}
