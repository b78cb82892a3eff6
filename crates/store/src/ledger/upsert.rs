//! Finding a contact by its addresses, to update it or to make it.

use std::collections::BTreeSet;

use meishi_contacts::{
    ContactId, ContactPatch, Fault, Field, FieldPath, IdentityKind, NewContact, Patch,
};

use super::{Ledger, Step, contacts};
use crate::{ChangeError, Missing, Outcome, Upserted};

/// The kinds of address by which a contact is found, the first that counts first.
const BY: [IdentityKind; 3] =
    [IdentityKind::Identifier, IdentityKind::Email, IdentityKind::PhoneNumber];

/// Updates the contact that the addresses lead to, or makes one.
pub(super) fn upsert(
    step: &mut Step<'_>,
    new: &NewContact,
    lacks: &[Fault],
    only_create: bool,
) -> Result<Outcome, ChangeError> {
    if !new.fields.faults.is_empty() {
        return Err(ChangeError::Faults(new.fields.faults.clone()));
    }
    let matches = owners(step.ledger, &new.fields);
    let contacts: BTreeSet<ContactId> = matches.iter().map(|(_, id)| *id).collect();
    let Some((kind, id)) = matches.first().copied() else {
        return create(step, new, lacks);
    };
    if contacts.len() > 1 {
        return Err(ChangeError::Ambiguous { matches });
    }
    let current = contacts::expect(step, id)?.version;
    if only_create {
        return Err(ChangeError::Stale { id, current });
    }
    update(step, id, kind, &new.fields)
}

fn create(step: &mut Step<'_>, new: &NewContact, lacks: &[Fault]) -> Result<Outcome, ChangeError> {
    // A version that is expected is one of a contact that is there.
    if step.cx.precondition.is_some() {
        return Err(ChangeError::NotFound(Missing::Contact));
    }
    let mut new = new.clone();
    new.fields.faults.extend_from_slice(lacks);
    let Outcome::ContactCreated(record) = contacts::create(step, &new)? else {
        return Err(ChangeError::NotFound(Missing::Contact));
    };
    Ok(Outcome::ContactUpserted(Box::new(Upserted {
        record: *record,
        matched_by: None,
        changed: new.fields.paths(),
        unchanged: Vec::new(),
        refused: Vec::new(),
    })))
}

fn update(
    step: &mut Step<'_>,
    id: ContactId,
    kind: IdentityKind,
    fields: &ContactPatch,
) -> Result<Outcome, ChangeError> {
    let before = contacts::expect(step, id)?.clone();
    let mut patch = fields.clone();
    let mut refused = Vec::new();
    // An address that is sent and differs from the one that the contact has is not taken.
    keep(&mut patch.email, before.email.as_ref(), Field::Email, &mut refused);
    keep(&mut patch.identifier, before.identifier.as_ref(), Field::Identifier, &mut refused);
    keep(&mut patch.phone_number, before.phone_number.as_ref(), Field::PhoneNumber, &mut refused);
    let Outcome::ContactUpdated(record) = contacts::update(step, id, &patch)? else {
        return Err(ChangeError::NotFound(Missing::Contact));
    };
    let (mut changed, mut unchanged) = (Vec::new(), Vec::new());
    for path in fields.paths().into_iter().filter(|path| !refused.contains(path)) {
        let same = before.value(&path) == record.contact.value(&path);
        if same { &mut unchanged } else { &mut changed }.push(path);
    }
    let matched_by = Some(kind);
    let record = *record;
    let upserted = Upserted { record, matched_by, changed, unchanged, refused };
    Ok(Outcome::ContactUpserted(Box::new(upserted)))
}

/// Leaves an address as it is where the contact has one, and notes it where another was sent.
fn keep<T: PartialEq>(
    patch: &mut Patch<T>,
    held: Option<&T>,
    field: Field,
    refused: &mut Vec<FieldPath>,
) {
    let Some(held) = held else { return };
    let differs = match patch {
        Patch::Keep => false,
        Patch::Clear => true,
        Patch::Set(sent) => sent != held,
    };
    if differs {
        *patch = Patch::Keep;
        refused.push(field.into());
    }
}

/// Which contacts the addresses of a write lead to, by which kind.
fn owners(ledger: &Ledger, fields: &ContactPatch) -> Vec<(IdentityKind, ContactId)> {
    let identities = fields.identities();
    let owner = |kind: IdentityKind| {
        let identity = identities.iter().find(|identity| identity.kind == kind)?;
        ledger.identities.get(identity).map(|id| (kind, *id))
    };
    BY.into_iter().filter_map(owner).collect()
}
