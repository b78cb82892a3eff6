//! Reads of labels.

use meishi_contacts::{AccountId, Label, LabelCard, LabelId};
use tokio_postgres::Row;

use super::{error::Error, row::column, session::Session, statement::statements};

statements! {
    SOME(INT8, INT8_ARRAY) = "SELECT id, title, color, description, show_on_sidebar FROM labels
         WHERE account_id = $1 AND id = ANY($2)";
    TITLED(INT8, TEXT_ARRAY) =
        "SELECT label.id, label.title, label.color, label.description, label.show_on_sidebar
         FROM unnest($2::text[]) AS wanted (title)
         CROSS JOIN LATERAL (
           SELECT * FROM labels WHERE account_id = $1 AND title = wanted.title OFFSET 0) AS label";
    ALL(INT8) = "SELECT id, title, color, description, show_on_sidebar FROM labels
         WHERE account_id = $1 ORDER BY title";
}

/// A label of the account.
pub(super) async fn get(
    session: &Session,
    account: AccountId,
    id: LabelId,
) -> Result<Option<LabelCard>, Error> {
    Ok(some(session, account, &[id.0]).await?.into_iter().next())
}

/// Those of the labels that there are, in no order.
pub(super) async fn some(
    session: &Session,
    account: AccountId,
    ids: &[i64],
) -> Result<Vec<LabelCard>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    session.query(SOME, &[&account.0, &ids]).await?.iter().map(label).collect()
}

/// The labels of those of the titles that there are, in no order.
pub(super) async fn titled(
    session: &Session,
    account: AccountId,
    titles: &[&str],
) -> Result<Vec<LabelCard>, Error> {
    if titles.is_empty() {
        return Ok(Vec::new());
    }
    session.query(TITLED, &[&account.0, &titles]).await?.iter().map(label).collect()
}

/// The account's labels, by title.
pub(super) async fn list(session: &Session, account: AccountId) -> Result<Vec<LabelCard>, Error> {
    session.query(ALL, &[&account.0]).await?.iter().map(label).collect()
}

fn label(row: &Row) -> Result<LabelCard, Error> {
    Ok(LabelCard {
        id: LabelId(column(row, 0)?),
        title: Label::from_stored(column(row, 1)?),
        color: column(row, 2)?,
        description: column(row, 3)?,
        show_on_sidebar: column(row, 4)?,
    })
}
