//! Labels and which contacts bear them.

use meishi_contacts::{ContactId, EventBody, Label};

use super::{Step, contacts};
use crate::{ChangeError, Outcome};

/// Replaces a contact's labels. A label that the account does not have yet is made.
pub(super) fn set(
    step: &mut Step<'_>,
    id: ContactId,
    labels: &[Label],
) -> Result<Outcome, ChangeError> {
    let mut contact = contacts::expect(step, id)?.clone();
    let changes = contact.set_labels(labels.to_vec()).map_err(ChangeError::Faults)?;
    if !changes.is_empty() {
        for label in &contact.labels {
            make(step, label);
        }
        contacts::save(step, &mut contact, changes);
    }
    Ok(Outcome::LabelsSet { id, labels: contact.labels })
}

/// Makes a label where there is none of the title.
fn make(step: &mut Step<'_>, label: &Label) {
    let ledger = &mut *step.ledger;
    if ledger.labels.get(label).is_none() {
        ledger.counters.last_label_id += 1;
        ledger.labels.put(label.clone(), ledger.counters.last_label_id);
        step.record(EventBody::LabelCreated { title: label.clone() });
    }
}
