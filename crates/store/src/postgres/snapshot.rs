//! All contacts of an account at one moment, read in slices by a transaction of its own.

use std::collections::HashMap;

use futures::stream::{self, StreamExt};
use meishi_contacts::{AccountId, Contact, ContactId, Label, LabelId};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::{
    contacts, labels,
    session::{Session, Sessions},
};
use crate::{Snapshot, StoreError};

/// Contacts that are read at once.
const SLICE: i64 = 1000;

/// Everything that the transaction reads is of the moment of its first statement. Whoever reads
/// the slices may pause.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
     SET LOCAL idle_in_transaction_session_timeout = '60s';";

type Slice = Result<Vec<Contact>, StoreError>;

/// Opens a snapshot. Its transaction lasts until the stream ends or is dropped. The next slice is read
/// while somebody is at the one before.
pub(super) async fn open(sessions: &Sessions, account: AccountId) -> Result<Snapshot, StoreError> {
    let turn = sessions.snapshot_turn().await?;
    let session = sessions.get().await?;
    session.begin(BEGIN).await?;
    let (seq, count) = contacts::moment(&session, account).await?;
    let titles = labels::list(&session, account).await?;
    let titles = titles.into_iter().map(|label| (label.id, label.title)).collect();
    let reading = Reading { session, account, titles, _turn: turn };
    let (slices, mut receiver) = mpsc::channel(1);
    tokio::spawn(reading.send(slices));
    let contacts = stream::poll_fn(move |context| receiver.poll_recv(context)).boxed();
    Ok(Snapshot { seq, count, contacts })
}

/// A transaction that reads.
struct Reading {
    session: Session,
    account: AccountId,
    titles: HashMap<LabelId, Label>,
    _turn: OwnedSemaphorePermit,
}

impl Reading {
    /// Sends slice after slice, as long as somebody wants them. After a failure there is no more.
    async fn send(self, slices: mpsc::Sender<Slice>) {
        let Self { session, account, titles, .. } = &self;
        let mut last = ContactId(0);
        loop {
            match contacts::slice(session, *account, titles, last, SLICE).await {
                Ok(slice) => {
                    let Some(contact) = slice.last() else { break };
                    last = contact.id;
                    if slices.send(Ok(slice)).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    let _ = slices.send(Err(error.into())).await;
                    return;
                }
            }
        }
        self.session.roll_back().await;
    }
}
