//! What the index keeps of a contact, how it is made of a contact and how an event changes it.

use std::{borrow::Cow, mem::size_of};

use meishi_contacts::{
    Contact, ContactId, Email, Field, FieldChange, Identifier, Label, Phone, Place, SortField,
    SortKey, SortValue, UnixSeconds, Version, place::attribute_text, search::fold,
};
use serde_json::Value;

use crate::{
    Slot,
    labels::{LabelId, Labels},
    texts::{END, Texts},
};

/// What is kept of a contact besides its searched text.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: ContactId,
    pub(crate) version: Version,
    pub(crate) last_activity_at: Option<UnixSeconds>,
    pub(crate) created_at: UnixSeconds,
    pub(crate) labels: Box<[LabelId]>,
    kept: Packed,
}

impl Entry {
    /// The contact's place in the default order, backwards.
    pub(crate) fn recency(&self) -> (Option<UnixSeconds>, ContactId) {
        (self.last_activity_at, self.id)
    }

    /// Bytes that the entry holds outside itself.
    pub(crate) fn held(&self) -> usize {
        // An allocator adds a word to each piece and rounds up.
        let piece =
            |bytes: usize| if bytes == 0 { 0 } else { (bytes + 8).next_multiple_of(16).max(32) };
        piece(self.labels.len() * size_of::<LabelId>()) + piece(self.kept.text.len())
    }
}

/// A text that is kept as it is, because the order needs it and the searched text has it not.
#[derive(Debug, Clone, Copy)]
enum Kept {
    /// The name, where folding changes it.
    Name,
    /// The e-mail address, where folding changes it.
    Email,
    CompanyName,
    City,
    Country,
}

impl Kept {
    const COUNT: usize = 5;

    /// The text that a member of `additional_attributes` is kept as.
    fn of_member(key: &str) -> Option<Self> {
        match key {
            "company_name" => Some(Self::CompanyName),
            "city" => Some(Self::City),
            "country" => Some(Self::Country),
            _ => None,
        }
    }
}

/// All kept texts in one piece of memory.
#[derive(Debug)]
struct Packed {
    text: Box<str>,
    /// Where each text ends; it starts where the one before ends.
    ends: [u32; Kept::COUNT],
    /// A bit for each text that is there, be it empty.
    there: u8,
}

impl Packed {
    fn new(parts: &[Option<Cow<'_, str>>; Kept::COUNT]) -> Self {
        let mut text = String::with_capacity(parts.iter().flatten().map(|part| part.len()).sum());
        let mut packed = Self { text: Box::default(), ends: [0; Kept::COUNT], there: 0 };
        for (number, (part, end)) in parts.iter().zip(&mut packed.ends).enumerate() {
            if let Some(part) = part {
                text.push_str(part);
                packed.there |= 1 << number;
            }
            // A contact is far smaller than that; see `limits.rs`.
            *end = u32::try_from(text.len()).unwrap_or(u32::MAX);
        }
        packed.text = text.into_boxed_str();
        packed
    }

    fn get(&self, part: Kept) -> Option<&str> {
        let number = part as usize;
        if self.there & (1 << number) == 0 {
            return None;
        }
        let start = number.checked_sub(1).map_or(Some(&0), |before| self.ends.get(before))?;
        self.text.get(*start as usize..*self.ends.get(number)? as usize)
    }
}

/// A contact in the index, read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) slot: Slot,
    pub(crate) texts: &'a Texts,
}

impl<'a> Row<'a> {
    /// The contact in a slot, if there is one.
    pub(crate) fn at(slot: Slot, entries: &'a [Option<Entry>], texts: &'a Texts) -> Option<Self> {
        let entry = entries.get(slot as usize)?.as_ref()?;
        Some(Self { entry, slot, texts })
    }

    /// The searched texts: name, e-mail, identifier and phone number, an absent one empty.
    fn searched(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.texts.get(self.slot).split(END)
    }

    /// What the order by name compares: the folded name, then the name.
    pub(crate) fn name(&self) -> (&'a str, &'a str) {
        let folded = self.searched().next().unwrap_or_default();
        (folded, self.entry.kept.get(Kept::Name).unwrap_or(folded))
    }

    /// The same as [`SortField::of`], of what is kept.
    pub(crate) fn value(&self, field: SortField) -> Option<SortValue<&'a str>> {
        let entry = self.entry;
        let text = match field {
            SortField::Id => return Some(SortValue::Id(entry.id)),
            SortField::Name => {
                let (folded, name) = self.name();
                return Some(SortValue::Name { folded, name });
            }
            SortField::LastActivityAt => return entry.last_activity_at.map(SortValue::Time),
            SortField::CreatedAt => return Some(SortValue::Time(entry.created_at)),
            SortField::Email => entry.kept.get(Kept::Email).or_else(|| self.address(1)),
            SortField::PhoneNumber => self.address(3),
            SortField::CompanyName => entry.kept.get(Kept::CompanyName),
            SortField::City => entry.kept.get(Kept::City),
            SortField::Country => entry.kept.get(Kept::Country),
        };
        text.map(SortValue::Text)
    }

    /// One of the searched texts, if it is not absent.
    fn address(&self, number: usize) -> Option<&'a str> {
        self.searched().nth(number).filter(|address| !address.is_empty())
    }

    /// The same as [`Place::of`].
    pub(crate) fn place(&self, order: &[SortKey]) -> Place {
        let value = |key: &SortKey| self.value(key.field).map(SortValue::into_owned);
        Place { values: order.iter().map(value).collect(), id: self.entry.id }
    }
}

/// The phone number in a searched text.
pub(crate) fn phone_in(text: &str) -> &str {
    text.rsplit(END).next().unwrap_or_default()
}

/// All that the index knows of a contact, apart, so that single facts can change.
pub(crate) struct Facts<'a> {
    id: ContactId,
    pub(crate) version: Version,
    last_activity_at: Option<UnixSeconds>,
    created_at: UnixSeconds,
    labels: Vec<LabelId>,
    name: Cow<'a, str>,
    email: Cow<'a, str>,
    identifier: Cow<'a, str>,
    phone: Cow<'a, str>,
    kept: [Option<Cow<'a, str>>; Kept::COUNT],
}

impl<'a> Facts<'a> {
    pub(crate) fn of_contact(contact: &'a Contact, labels: &mut Labels) -> Self {
        let mut facts = Self {
            id: contact.id,
            version: contact.version,
            last_activity_at: contact.last_activity_at,
            created_at: contact.created_at,
            labels: contact.labels.iter().map(|label| labels.intern(label)).collect(),
            name: Cow::default(),
            email: Cow::default(),
            identifier: Cow::default(),
            // E.164 folds to itself.
            phone: contact.phone_number.as_ref().map_or("", Phone::as_str).into(),
            kept: [const { None }; Kept::COUNT],
        };
        facts.set_name(&contact.name);
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
        let mut searched = row.searched().map(Cow::Borrowed);
        let mut next = || searched.next().unwrap_or_default();
        let entry = row.entry;
        let kept = |part| entry.kept.get(part).map(Cow::Borrowed);
        Self {
            id: entry.id,
            version: entry.version,
            last_activity_at: entry.last_activity_at,
            created_at: entry.created_at,
            labels: entry.labels.to_vec(),
            name: next(),
            email: next(),
            identifier: next(),
            phone: next(),
            kept: [Kept::Name, Kept::Email, Kept::CompanyName, Kept::City, Kept::Country].map(kept),
        }
    }

    /// Follows one change of an update. Fails where no store writes such a change.
    pub(crate) fn change(
        &mut self,
        change: &FieldChange,
        labels: &mut Labels,
    ) -> Result<(), &'static str> {
        let after = change.after.as_ref().unwrap_or(&Value::Null);
        match change.field {
            Field::Name => self.set_name(after.as_str().ok_or("a name is not a text")?),
            Field::Email => self.set_email(address(after)?),
            Field::Identifier => self.set_identifier(address(after)?),
            Field::PhoneNumber => {
                self.phone = address(after)?.unwrap_or_default().to_owned().into();
            }
            Field::LastActivityAt => self.last_activity_at = time(after)?,
            Field::CreatedAt => {
                self.created_at = time(after)?.ok_or("a creation time is missing")?;
            }
            Field::Labels => {
                let titles = after.as_array().ok_or("labels are not a list")?;
                let ids = titles.iter().map(|title| {
                    let title = title.as_str().ok_or("a label is not a text")?;
                    Ok(labels.intern(&Label::from_stored(title.to_owned())))
                });
                self.labels = ids.collect::<Result<_, &'static str>>()?;
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
            | Field::State => {}
        }
        Ok(())
    }

    fn set_name(&mut self, name: &str) {
        let folded = fold(name);
        self.keep(Kept::Name, (folded != name).then(|| name.to_owned()));
        self.name = folded.into();
    }

    fn set_email(&mut self, email: Option<&str>) {
        let email = email.unwrap_or_default();
        let folded = fold(email);
        self.keep(Kept::Email, (folded != email).then(|| email.to_owned()));
        self.email = folded.into();
    }

    fn set_identifier(&mut self, identifier: Option<&str>) {
        self.identifier = fold(identifier.unwrap_or_default()).into();
    }

    fn set_member(&mut self, key: &str, value: Option<&Value>) {
        if let Some(part) = Kept::of_member(key) {
            self.keep(part, attribute_text(value));
        }
    }

    fn keep(&mut self, part: Kept, text: Option<String>) {
        if let Some(place) = self.kept.get_mut(part as usize) {
            *place = text.map(Cow::Owned);
        }
    }

    /// The entry, and the text that is searched.
    pub(crate) fn pack(self) -> (Entry, String) {
        let searched = [self.name, self.email, self.identifier, self.phone];
        let bytes = searched.iter().map(|text| text.len() + END.len_utf8()).sum();
        let mut text = String::with_capacity(bytes);
        for (number, part) in searched.iter().enumerate() {
            if number > 0 {
                text.push(END);
            }
            text.push_str(part);
        }
        let entry = Entry {
            id: self.id,
            version: self.version,
            last_activity_at: self.last_activity_at,
            created_at: self.created_at,
            labels: self.labels.into_boxed_slice(),
            kept: Packed::new(&self.kept),
        };
        (entry, text)
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
