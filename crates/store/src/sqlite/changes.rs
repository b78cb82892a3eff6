//! [`Store::apply`](crate::Store::apply): load what a call needs, let the ledger decide, save what
//! it left.

use rusqlite::Connection;

use super::{accounts, load, save, store_error};
use crate::{
    Applied, StoreError,
    ledger::{Call, Ledger, Needs, missing_account},
};

/// Does a call.
pub(super) fn apply(connection: &Connection, call: &Call) -> Result<Applied, StoreError> {
    let failed = |error| store_error(&error);
    let account = call.cx.account;
    let Some(counters) = accounts::counters(connection, account).map_err(failed)? else {
        return Ok(missing_account(call));
    };
    let mut ledger = Ledger::new(account, counters);
    load::rows(connection, account, &Needs::of([call]), &mut ledger).map_err(failed)?;
    let further = Needs::further([call], &ledger);
    if !further.is_empty() {
        load::rows(connection, account, &further, &mut ledger).map_err(failed)?;
    }
    let applied = ledger.run(call)?;
    let writes = ledger.into_writes();
    if !writes.is_empty() {
        save::rows(connection, account, &writes).map_err(failed)?;
    }
    Ok(applied)
}
