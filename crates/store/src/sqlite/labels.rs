//! Reads of labels.

use meishi_contacts::{AccountId, Label, LabelCard, LabelId};
use rusqlite::{Connection, OptionalExtension, Row, params};

statements! {
    LABEL = "SELECT id, title, color, description, show_on_sidebar FROM labels
         WHERE account_id = ?1 AND id = ?2";
    TITLED = "SELECT id, title, color, description, show_on_sidebar FROM labels
         WHERE account_id = ?1 AND title = ?2";
    LABELS = "SELECT id, title, color, description, show_on_sidebar FROM labels
         WHERE account_id = ?1 ORDER BY title";
}

/// A label of the account.
pub(super) fn get(
    connection: &Connection,
    account: AccountId,
    id: LabelId,
) -> rusqlite::Result<Option<LabelCard>> {
    connection.prepare_cached(LABEL)?.query_row(params![account.0, id.0], label).optional()
}

/// The label of a title.
pub(super) fn titled(
    connection: &Connection,
    account: AccountId,
    title: &Label,
) -> rusqlite::Result<Option<LabelCard>> {
    let title = params![account.0, title.as_str()];
    connection.prepare_cached(TITLED)?.query_row(title, label).optional()
}

/// The account's labels, by title.
pub(super) fn list(
    connection: &Connection,
    account: AccountId,
) -> rusqlite::Result<Vec<LabelCard>> {
    connection.prepare_cached(LABELS)?.query_map(params![account.0], label)?.collect()
}

fn label(row: &Row<'_>) -> rusqlite::Result<LabelCard> {
    Ok(LabelCard {
        id: LabelId(row.get(0)?),
        title: Label::from_stored(row.get(1)?),
        color: row.get(2)?,
        description: row.get(3)?,
        show_on_sidebar: row.get(4)?,
    })
}
