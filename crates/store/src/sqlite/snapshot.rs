//! All contacts of an account at one moment, streamed from a connection of its own.

use std::{path::Path, thread};

use futures::stream::{self, StreamExt};
use meishi_contacts::{AccountId, Contact, Seq};
use rusqlite::{Connection, OptionalExtension, Row, params};
use tokio::sync::{mpsc, oneshot};

use super::{contacts, migrations, names::AccountNames, row, store_error};
use crate::{Include, Snapshot, StoreError};

statements! {
    COUNTS = "SELECT last_seq, contacts FROM counters WHERE account_id = ?1";
    CONTACTS = row::contact_columns!("SELECT ", " FROM contacts WHERE account_id = ?1 ORDER BY id");
}

/// Contacts that go over in one piece.
const SLICE: usize = 1000;

type Slice = Result<Vec<Contact>, StoreError>;

/// Opens a snapshot. Its thread holds one read transaction until the stream ends or is dropped.
pub(super) async fn open(path: &Path, account: AccountId) -> Result<Snapshot, StoreError> {
    let path = path.to_owned();
    let (sender, head) = oneshot::channel();
    let (slices, mut receiver) = mpsc::channel::<Slice>(2);
    thread::Builder::new()
        .name("meishi-snapshot".into())
        .spawn(move || {
            if let Err(error) = send(&path, account, sender, &slices) {
                let _ = slices.blocking_send(Err(store_error(&error)));
            }
        })
        .map_err(|error| StoreError::Unavailable(error.to_string()))?;
    let Ok((seq, count)) = head.await else {
        // The thread failed before it knew the seq; its error is in the stream.
        let failure = receiver.recv().await.and_then(Result::err);
        return Err(failure.unwrap_or_else(|| StoreError::Internal("no snapshot".into())));
    };
    let contacts = stream::poll_fn(move |context| receiver.poll_recv(context)).boxed();
    Ok(Snapshot { seq, count, contacts })
}

fn send(
    path: &Path,
    account: AccountId,
    head: oneshot::Sender<(Seq, u64)>,
    slices: &mpsc::Sender<Slice>,
) -> rusqlite::Result<()> {
    let connection = migrations::open_reader(path)?;
    let transaction = connection.unchecked_transaction()?;
    let counted = transaction
        .prepare_cached(COUNTS)?
        .query_row(params![account.0], |row| Ok((Seq(row.get(0)?), row.get(1)?)))
        .optional()?;
    if head.send(counted.unwrap_or_default()).is_err() {
        return Ok(());
    }
    each_contact(&transaction, account, slices)
}

/// Walks the contacts by id.
fn each_contact(
    connection: &Connection,
    account: AccountId,
    slices: &mpsc::Sender<Slice>,
) -> rusqlite::Result<()> {
    let names = AccountNames::read(connection, account)?;
    let mut contacts = connection.prepare_cached(CONTACTS)?;
    let mut slice = Vec::with_capacity(SLICE);
    let row = |row: &Row<'_>| contacts::numbered(row, Include::Nothing);
    for numbered in contacts.query_map(params![account.0], row)? {
        let contact = numbered?.named(connection, &names, account)?.into_contact();
        slice.push(contact);
        if slice.len() == SLICE && slices.blocking_send(Ok(std::mem::take(&mut slice))).is_err() {
            return Ok(());
        }
    }
    // A closed channel means that nobody wants the rest.
    let _ = slices.blocking_send(Ok(slice));
    Ok(())
}
