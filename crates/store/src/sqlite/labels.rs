//! Labels and which contacts bear them.

use meishi_contacts::{AccountId, ContactId, EventBody, Label};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    changes::{Ledger, Stop},
    contacts,
};
use crate::{ChangeError, Include, Outcome};

/// Replaces a contact's labels. A label that the account does not have yet is made.
pub(super) fn set(
    ledger: &mut Ledger<'_>,
    id: ContactId,
    labels: &[Label],
) -> Result<Outcome, Stop> {
    let mut contact = contacts::expect(ledger, id, Include::Nothing)?.contact;
    let changes = contact.set_labels(labels.to_vec()).map_err(ChangeError::Faults)?;
    if changes.is_empty() {
        return Ok(Outcome::LabelsSet(contact.labels));
    }
    ledger
        .connection
        .prepare_cached("DELETE FROM contact_labels WHERE account_id = ?1 AND contact_id = ?2")?
        .execute(params![ledger.cx.account.0, id.0])?;
    for label in &contact.labels {
        let label_id = find_or_create(ledger, label)?;
        ledger
            .connection
            .prepare_cached(
                "INSERT INTO contact_labels (account_id, contact_id, label_id)
                 VALUES (?1, ?2, ?3)",
            )?
            .execute(params![ledger.cx.account.0, id.0, label_id])?;
    }
    contacts::save(ledger, &mut contact, changes)?;
    Ok(Outcome::LabelsSet(contact.labels))
}

/// A contact's labels, by title.
pub(super) fn of(
    connection: &Connection,
    account: AccountId,
    id: ContactId,
) -> rusqlite::Result<Vec<Label>> {
    connection
        .prepare_cached(
            "SELECT label.title
             FROM contact_labels AS held
             JOIN labels AS label ON label.account_id = held.account_id AND label.id = held.label_id
             WHERE held.account_id = ?1 AND held.contact_id = ?2
             ORDER BY label.title",
        )?
        .query_map(params![account.0, id.0], |row| row.get(0).map(Label::from_stored))?
        .collect()
}

fn find_or_create(ledger: &mut Ledger<'_>, label: &Label) -> rusqlite::Result<i64> {
    let account = ledger.cx.account.0;
    let known = ledger
        .connection
        .prepare_cached("SELECT id FROM labels WHERE account_id = ?1 AND title = ?2")?
        .query_row(params![account, label.as_str()], |row| row.get(0))
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    ledger.counters.last_label_id += 1;
    let id = ledger.counters.last_label_id;
    ledger
        .connection
        .prepare_cached("INSERT INTO labels (account_id, id, title) VALUES (?1, ?2, ?3)")?
        .execute(params![account, id, label.as_str()])?;
    ledger.record(EventBody::LabelCreated { title: label.clone() })?;
    Ok(id)
}
