//! Labels, and which contacts bear them.

use meishi_contacts::{
    ContactId, EventBody, Fault, FaultCode, Field, FieldChange, Label, LabelCard, LabelId,
    LabelPatch, NewLabel, Patch, Relabelling, Seq, label, limits::ACCOUNT_LABELS,
};
use serde_json::Value;

use super::{Count, Ledger, Step, contacts};
use crate::{ChangeError, Missing, Outcome};

/// Replaces a contact's labels. A label that the account does not have yet is made.
pub(super) fn set(
    step: &mut Step<'_>,
    id: ContactId,
    labels: &[Label],
) -> Result<Outcome, ChangeError> {
    let mut contact = contacts::expect(step, id)?.clone();
    let changes = contact.set_labels(labels.to_vec()).map_err(ChangeError::Faults)?;
    if !changes.is_empty() {
        for title in &contact.labels {
            if step.ledger.titles.get(title).is_none() {
                let id = next_id(step.ledger, "labels")?;
                make(step, LabelCard::plain(id, title.clone()));
            }
        }
        contacts::save(step, &mut contact, changes);
    }
    Ok(Outcome::LabelsSet { id, labels: contact.labels })
}

/// Makes a label by itself.
pub(super) fn create(step: &mut Step<'_>, new: &NewLabel) -> Result<Outcome, ChangeError> {
    expect_free(step.ledger, &new.title)?;
    let mut made = LabelCard::plain(next_id(step.ledger, "title")?, new.title.clone());
    if let Some(color) = &new.color {
        made.color.clone_from(color);
    }
    made.description.clone_from(&new.description);
    made.show_on_sidebar = new.show_on_sidebar.unwrap_or(made.show_on_sidebar);
    make(step, made.clone());
    Ok(Outcome::LabelCreated(made))
}

/// Changes a label.
pub(super) fn update(
    step: &mut Step<'_>,
    id: LabelId,
    patch: &LabelPatch,
) -> Result<Outcome, ChangeError> {
    let before = expect(step.ledger, id)?.clone();
    let mut after = before.clone();
    if let Some(title) = &patch.title {
        after.title = title.clone();
    }
    if let Some(color) = &patch.color {
        after.color.clone_from(color);
    }
    match &patch.description {
        Patch::Keep => {}
        Patch::Clear => after.description = None,
        Patch::Set(description) => after.description = Some(description.clone()),
    }
    after.show_on_sidebar = patch.show_on_sidebar.unwrap_or(after.show_on_sidebar);
    let changes = changes(&before, &after);
    if changes.is_empty() {
        return Ok(Outcome::LabelUpdated(after));
    }
    if after.title != before.title {
        expect_free(step.ledger, &after.title)?;
        step.ledger.titles.remove(before.title);
        step.ledger.titles.put(after.title.clone(), id);
    }
    step.ledger.labels.put(id, after.clone());
    let body = EventBody::LabelUpdated { id, title: after.title.clone(), changes };
    relabel(step.ledger, &body);
    step.record(body);
    Ok(Outcome::LabelUpdated(after))
}

/// Deletes a label and takes it from whoever bears it.
pub(super) fn delete(step: &mut Step<'_>, id: LabelId) -> Result<Outcome, ChangeError> {
    let label = expect(step.ledger, id)?.clone();
    step.ledger.labels.remove(id);
    step.ledger.titles.remove(label.title.clone());
    let body = EventBody::LabelDeleted(label);
    relabel(step.ledger, &body);
    step.record(body);
    Ok(Outcome::LabelDeleted)
}

/// What titles of that time are now: those of labels that were renamed since, without those of
/// labels that are gone. `None` where too much happened since to tell.
pub(super) fn since(ledger: &Ledger, seq: Seq, labels: &[Label]) -> Option<Vec<Label>> {
    let mut labels = labels.to_vec();
    let stored = ledger.relabelled.as_ref()?.iter();
    let made = ledger.events.iter().map(|new| &new.event);
    for event in stored.chain(made).filter(|event| event.seq > seq) {
        if let Some(relabelling) = Relabelling::of(&event.body) {
            relabelling.apply(&mut labels);
        }
    }
    Some(labels)
}

/// The titles that an event tells, as one side of a change of labels.
pub(super) fn told(value: Option<&Value>) -> Vec<Label> {
    let titles = value.and_then(Value::as_array).into_iter().flatten();
    let titles = titles.filter_map(Value::as_str);
    titles.map(|title| Label::from_stored(title.to_owned())).collect()
}

/// Does to the contacts that are known what an event did to all that bear a label. Those that are
/// not have nothing that tells of its title.
fn relabel(ledger: &mut Ledger, body: &EventBody) {
    let Some(relabelling) = Relabelling::of(body) else { return };
    let known = ledger.contacts.keys().filter_map(|id| ledger.contacts.get(id));
    let bears = |labels: &[Label]| labels.contains(relabelling.before());
    let bearing: Vec<_> = known.filter(|stored| bears(&stored.contact.labels)).cloned().collect();
    for mut stored in bearing {
        relabelling.apply(&mut stored.contact.labels);
        ledger.contacts.put(stored.contact.id, stored);
    }
}

fn make(step: &mut Step<'_>, label: LabelCard) {
    step.ledger.titles.put(label.title.clone(), label.id);
    step.ledger.labels.put(label.id, label.clone());
    step.record(EventBody::LabelCreated(label));
}

/// The number of a label to be made, unless there are too many, which is a fault of an attribute.
fn next_id(ledger: &mut Ledger, attribute: &str) -> Result<LabelId, ChangeError> {
    let made = ledger.counters.last_label_id - ledger.loaded_counters.last_label_id;
    // No more than numbers were given, where they were not counted.
    let loaded = ledger.loaded_counts.get(&Count::Labels).copied();
    let loaded = loaded.unwrap_or(ledger.loaded_counters.last_label_id);
    // What calls deleted is only looked for where it matters: a call can make very many.
    if loaded + made >= ACCOUNT_LABELS && loaded + ledger.labels.growth() >= ACCOUNT_LABELS {
        let message = format!("Labels of the account are too many (maximum is {ACCOUNT_LABELS})");
        let fault = Fault::new(attribute, FaultCode::LimitExceeded, message);
        return Err(ChangeError::Faults(vec![fault]));
    }
    ledger.counters.last_label_id += 1;
    Ok(LabelId(ledger.counters.last_label_id))
}

fn expect(ledger: &Ledger, id: LabelId) -> Result<&LabelCard, ChangeError> {
    ledger.labels.get(&id).ok_or(ChangeError::NotFound(Missing::Label))
}

fn expect_free(ledger: &Ledger, title: &Label) -> Result<(), ChangeError> {
    if ledger.titles.get(title).is_some() {
        return Err(ChangeError::Faults(vec![label::title_taken()]));
    }
    Ok(())
}

fn changes(before: &LabelCard, after: &LabelCard) -> Vec<FieldChange> {
    let description =
        |label: &LabelCard| label.description.as_deref().map_or(Value::Null, Value::from);
    let changes = [
        FieldChange::of(Field::Title, before.title.as_str(), after.title.as_str()),
        FieldChange::of(Field::Color, before.color.as_str(), after.color.as_str()),
        FieldChange::of(Field::Description, description(before), description(after)),
        FieldChange::of(Field::ShowOnSidebar, before.show_on_sidebar, after.show_on_sidebar),
    ];
    changes.into_iter().filter(|change| change.before != change.after).collect()
}
