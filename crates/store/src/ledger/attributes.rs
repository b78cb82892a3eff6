//! Definitions of custom attributes, and what they refuse.

use meishi_contacts::{
    AttributeDefinition, AttributeId, AttributePatch, Attributes, AttributesPatch, EventBody,
    Fault, FaultCode, Field, FieldChange, NewAttribute, definition, limits::ATTRIBUTES,
};
use serde_json::Value;

use super::{Count, Ledger, Step};
use crate::{ChangeError, Missing, Outcome};

/// Defines an attribute.
pub(super) fn create(step: &mut Step<'_>, new: &NewAttribute) -> Result<Outcome, ChangeError> {
    let ledger = &mut *step.ledger;
    if ledger.attributes.get(&new.key).is_some() {
        return Err(ChangeError::Faults(vec![definition::key_taken()]));
    }
    if ledger.counted(Count::Attributes) + ledger.attributes.growth() >= ATTRIBUTES {
        let message = format!("Attributes are too many (maximum is {ATTRIBUTES})");
        let fault = Fault::new("key", FaultCode::LimitExceeded, message);
        return Err(ChangeError::Faults(vec![fault]));
    }
    ledger.counters.last_attribute_id += 1;
    let id = AttributeId(ledger.counters.last_attribute_id);
    let made = AttributeDefinition::new(id, new, step.cx.at).map_err(ChangeError::Faults)?;
    ledger.attributes.put(made.key.clone(), made.clone());
    step.record(EventBody::AttributeCreated(made.clone()));
    Ok(Outcome::AttributeCreated(made))
}

/// Changes a definition.
pub(super) fn update(
    step: &mut Step<'_>,
    id: AttributeId,
    patch: &AttributePatch,
) -> Result<Outcome, ChangeError> {
    let mut definition = expect(step.ledger, id)?.clone();
    let changes = definition.apply(patch).map_err(ChangeError::Faults)?;
    if !changes.is_empty() {
        let key = definition.key.clone();
        step.ledger.attributes.put(key.clone(), definition.clone());
        step.record(EventBody::AttributeUpdated { id, key, changes });
    }
    Ok(Outcome::AttributeUpdated(definition))
}

/// Deletes a definition. Values of contacts stay.
pub(super) fn delete(step: &mut Step<'_>, id: AttributeId) -> Result<Outcome, ChangeError> {
    let definition = expect(step.ledger, id)?.clone();
    step.ledger.attributes.remove(definition.key.clone());
    step.record(EventBody::AttributeDeleted(definition));
    Ok(Outcome::AttributeDeleted)
}

/// The faults of what a write sets that was not there, where definitions refuse it.
pub(super) fn refused(
    ledger: &mut Ledger,
    before: &Attributes,
    patch: &AttributesPatch,
) -> Vec<Fault> {
    if *patch == AttributesPatch::Keep || ledger.attributes.keys().next().is_none() {
        return Vec::new();
    }
    let before = before.to_map();
    let after = patch.apply(&before);
    let set = patch.keys().filter(|key| after.get(*key) != before.get(*key));
    let set = set.filter_map(|key| Some((key, after.get(key)?)));
    refused_members(ledger, set)
}

/// The faults of what changes of a contact set, where definitions refuse it.
pub(super) fn refused_changes(ledger: &mut Ledger, changes: &[FieldChange]) -> Vec<Fault> {
    let custom = changes.iter().filter(|change| change.field == Field::CustomAttributes);
    let set = custom.filter_map(|change| Some((change.key.as_ref()?, change.after.as_ref()?)));
    refused_members(ledger, set)
}

fn refused_members<'m>(
    ledger: &mut Ledger,
    set: impl Iterator<Item = (&'m String, &'m Value)>,
) -> Vec<Fault> {
    let Ledger { attributes, patterns, .. } = ledger;
    set.filter_map(|(key, value)| attributes.get(key)?.refuses(value, patterns)).collect()
}

fn expect(ledger: &Ledger, id: AttributeId) -> Result<&AttributeDefinition, ChangeError> {
    let known = ledger.attributes.keys().filter_map(|key| ledger.attributes.get(key));
    let mut known = known.filter(|definition| definition.id == id);
    known.next().ok_or(ChangeError::NotFound(Missing::Attribute))
}
