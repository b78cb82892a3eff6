//! All contacts of an account at one moment, streamed from a connection of its own.

use std::{path::Path, thread};

use futures::stream::{self, StreamExt};
use meishi_contacts::{AccountId, Contact, ContactId, Label, Seq};
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::{mpsc, oneshot};

use super::{migrations, row, store_error};
use crate::{Snapshot, StoreError};

statements! {
    COUNTS = "SELECT last_seq, contacts FROM counters WHERE account_id = ?1";
    LABELS = "SELECT held.contact_id, label.title
         FROM contact_labels AS held
         JOIN labels AS label ON label.account_id = held.account_id AND label.id = held.label_id
         WHERE held.account_id = ?1
         ORDER BY held.contact_id";
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

/// Walks contacts and labels side by side, both by contact id.
fn each_contact(
    connection: &Connection,
    account: AccountId,
    slices: &mpsc::Sender<Slice>,
) -> rusqlite::Result<()> {
    let mut labels = connection.prepare_cached(LABELS)?;
    let mut labels = labels
        .query_map(params![account.0], |row| {
            Ok((ContactId(row.get(0)?), Label::from_stored(row.get(1)?)))
        })?
        .peekable();
    let mut contacts = connection.prepare_cached(CONTACTS)?;
    let mut slice = Vec::with_capacity(SLICE);
    for contact in contacts.query_map(params![account.0], row::contact)? {
        let mut contact = contact?;
        while let Some(held) =
            labels.next_if(|held| held.as_ref().map_or(true, |(id, _)| *id == contact.id))
        {
            contact.labels.push(held?.1);
        }
        contact.labels.sort_unstable();
        slice.push(contact);
        if slice.len() == SLICE && slices.blocking_send(Ok(std::mem::take(&mut slice))).is_err() {
            return Ok(());
        }
    }
    // A closed channel means that nobody wants the rest.
    let _ = slices.blocking_send(Ok(slice));
    Ok(())
}
