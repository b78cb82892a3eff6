//! Reads of contacts, their labels, their links and who holds an address.
//!
//! A contact is read in one statement, so that all of it is of one moment. What hangs on it is
//! looked up row by row in subqueries: whatever the planner believes of the tables, it has no
//! choice but their keys.

use std::{collections::HashMap, sync::Arc};

use meishi_contacts::{
    AccountId, Contact, ContactId, Identity, IdentityKind, Label, LabelId, Seq, limits::READ_ROWS,
};
use tokio_postgres::Row;

use super::{
    error::Error,
    row::{self, column},
    session::Session,
    statement::statements,
};
use crate::{ContactRecord, Include, held::LoadedContact};

/// The columns of a contact's own row, in the order in which `row.rs` reads them.
macro_rules! card {
    () => {
        "SELECT c.id, c.version, c.name, c.first_name, c.last_name, c.email, c.phone_number,
           c.identifier, c.thumbnail, c.availability_status, c.blocked,
           c.additional_attributes, c.custom_attributes, c.last_activity_at, c.created_at"
    };
}

/// With its labels, in the order in which [`row::contact`] reads them.
macro_rules! select {
    ($more:literal) => {
        concat!(
            card!(),
            ", ARRAY(
                 SELECT (
                   SELECT json_build_array(label.id, label.title)::text FROM labels AS label
                   WHERE label.account_id = c.account_id AND label.id = held.id::bigint)
                 FROM json_array_elements_text(c.label_ids::json) AS held (id)),
               c.last_seq",
            $more
        )
    };
}

/// Each contact by its whole key: OFFSET keeps the planner from turning the look-ups into a join.
macro_rules! wanted {
    () => {
        " FROM unnest($2::bigint[]) AS wanted (id)
         CROSS JOIN LATERAL (
           SELECT * FROM contacts WHERE account_id = $1 AND id = wanted.id OFFSET 0) AS c"
    };
}

statements! {
    CONTACTS(INT8, INT8_ARRAY) = concat!(select!(""), wanted!());
    RECORDS(INT8, INT8_ARRAY) = concat!(
        select!(
            ", ARRAY(
                 SELECT (
                   SELECT CASE WHEN inbox.made_seq = (held.link ->> 2)::bigint THEN
                     json_build_array(
                       held.link ->> 1, inbox.id, inbox.name, inbox.channel_type,
                       inbox.created_at, inbox.made_seq)::text END
                   FROM inboxes AS inbox
                   WHERE inbox.account_id = c.account_id
                     AND inbox.id = (held.link ->> 0)::bigint)
                 FROM json_array_elements(c.links::json) AS held (link))"
        ),
        wanted!()
    );
    SLICE(INT8, INT8, INT8) = concat!(
        card!(),
        ", c.label_ids FROM contacts AS c
         WHERE c.account_id = $1 AND c.id > $2 ORDER BY c.id LIMIT $3"
    );
    MOMENT(INT8) = "SELECT last_seq, contacts FROM counters WHERE account_id = $1";
    OWNERS(INT8, TEXT_ARRAY, TEXT_ARRAY) = "SELECT wanted.kind, wanted.value, owner.contact_id
         FROM unnest($2::text[], $3::text[]) AS wanted (kind, value)
         CROSS JOIN LATERAL (
           SELECT contact_id FROM identities
           WHERE account_id = $1 AND kind = wanted.kind AND value = wanted.value OFFSET 0) AS owner";
}

/// Those of the contacts that there are, in the order of `ids`.
pub(super) async fn records(
    session: &Session,
    account: AccountId,
    ids: &[ContactId],
    include: Include,
) -> Result<Vec<Arc<ContactRecord>>, Error> {
    let ids = ids.get(..READ_ROWS).unwrap_or(ids);
    let numbers: Vec<i64> = ids.iter().map(|id| id.0).collect();
    let statement = match include {
        Include::Nothing => CONTACTS,
        Include::Inboxes => RECORDS,
    };
    let rows = session.query(statement, &[&account.0, &numbers]).await?;
    let record = |row: &Row| -> Result<(ContactId, Arc<ContactRecord>), Error> {
        let record = Arc::new(row::contact(row, include)?.into_record());
        Ok((record.contact.id, record))
    };
    let found = rows.iter().map(record).collect::<Result<HashMap<_, _>, _>>()?;
    // An id that is asked for twice is answered twice.
    Ok(ids.iter().filter_map(|id| found.get(id).cloned()).collect())
}

/// Contacts as the ledger wants them, in no order.
pub(super) async fn load(
    session: &Session,
    account: AccountId,
    ids: &[i64],
) -> Result<Vec<LoadedContact>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = session.query(RECORDS, &[&account.0, &ids]).await?;
    rows.iter().map(|row| row::contact(row, Include::Inboxes)).collect()
}

/// The contacts after one, by id, whose labels have those titles.
pub(super) async fn slice(
    session: &Session,
    account: AccountId,
    titles: &HashMap<LabelId, Label>,
    after: ContactId,
    limit: i64,
) -> Result<Vec<Contact>, Error> {
    let rows = session.query(SLICE, &[&account.0, &after.0, &limit]).await?;
    rows.iter().map(|row| row::labelled(row, titles)).collect()
}

/// The account's last event and how many contacts it has.
pub(super) async fn moment(session: &Session, account: AccountId) -> Result<(Seq, u64), Error> {
    let Some(row) = session.query_opt(MOMENT, &[&account.0]).await? else {
        return Ok((Seq::default(), 0));
    };
    let count: i64 = column(&row, 1)?;
    Ok((Seq(column(&row, 0)?), u64::try_from(count).unwrap_or_default()))
}

/// Who holds addresses, where somebody does.
pub(super) async fn owners(
    session: &Session,
    account: AccountId,
    identities: impl Iterator<Item = &Identity>,
) -> Result<HashMap<Identity, ContactId>, Error> {
    // Nobody holds an address with a NUL, and PostgreSQL takes no text with it.
    let asked = identities.filter(|identity| !identity.value.contains('\0'));
    let (kinds, values): (Vec<&str>, Vec<&str>) =
        asked.map(|identity| (identity.kind.as_str(), identity.value.as_str())).unzip();
    if kinds.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = session.query(OWNERS, &[&account.0, &kinds, &values]).await?;
    let owner = |row: &Row| -> Result<(Identity, ContactId), Error> {
        let kind: &str = column(row, 0)?;
        let kind = IdentityKind::ALL.into_iter().find(|known| known.as_str() == kind);
        let kind = kind.ok_or_else(|| Error::Unreadable("an address of no known kind".into()))?;
        Ok((Identity { kind, value: column(row, 1)? }, ContactId(column(row, 2)?)))
    };
    rows.iter().map(owner).collect()
}
