//! [`Store::apply`](crate::Store::apply): load what calls need, let the ledger decide, save what
//! they left.

use meishi_contacts::AccountId;
use rusqlite::Connection;

use super::{accounts, identities::Identities, load, save, shown::Touched, store_error};
use crate::{
    Applied, StoreError,
    ledger::{Call, Ledger, Needs, missing_account},
};

/// What a call came to.
pub(super) type Answer = Result<Applied, StoreError>;

/// Does calls of one account, in order. After an error nothing of what was written may stay: a
/// call that fails by itself fails those beside it too. What contacts it is about is noted in any
/// case.
pub(super) fn apply(
    connection: &Connection,
    identities: &mut Identities,
    touched: &mut Touched,
    account: AccountId,
    calls: &[&Call],
) -> Result<Vec<Answer>, StoreError> {
    let failed = |error| store_error(&error);
    let Some(counters) = accounts::counters(connection, account).map_err(failed)? else {
        return Ok(calls.iter().map(|call| Ok(missing_account(call))).collect());
    };
    let mut ledger = Ledger::new(account, counters);
    let needs = Needs::of(calls.iter().copied());
    load::rows(connection, identities, account, &needs, &mut ledger).map_err(failed)?;
    let further = Needs::further(calls.iter().copied(), &ledger);
    if !further.is_empty() {
        load::rows(connection, identities, account, &further, &mut ledger).map_err(failed)?;
    }
    let answers: Vec<Answer> = calls.iter().map(|call| ledger.run(call)).collect();
    if answers.iter().any(|answer| matches!(answer, Err(StoreError::OutcomeTooLarge))) {
        return Err(StoreError::OutcomeTooLarge);
    }
    let writes = ledger.into_writes();
    if !writes.is_empty() {
        touched.note(account, &writes);
        save::rows(connection, identities, account, &writes).map_err(failed)?;
    }
    Ok(answers)
}
