//! All contacts of an account at one moment, read in slices by a transaction of its own.

use futures::stream::{self, StreamExt};
use meishi_contacts::{AccountId, ContactId};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    contacts,
    error::Error,
    session::{Session, Sessions},
};
use crate::{Snapshot, StoreError};

/// Contacts that are read at once.
const SLICE: i64 = 1000;

/// Everything that the transaction reads is of the moment of its first statement. Whoever reads
/// the slices may pause.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
     SET LOCAL idle_in_transaction_session_timeout = '60s';";

/// Opens a snapshot. Its transaction lasts until the stream ends or is dropped.
pub(super) async fn open(sessions: &Sessions, account: AccountId) -> Result<Snapshot, StoreError> {
    let turn = sessions.snapshot_turn().await?;
    let session = Some(sessions.get().await?);
    let mut reading = Reading { session, account, last: ContactId(0), _turn: turn };
    let (seq, count) = match reading.begin().await {
        Ok(moment) => moment,
        Err(error) => return Err(error.into()),
    };
    let contacts = stream::unfold(reading, |mut reading| async {
        let slice = reading.slice().await.transpose()?;
        if slice.is_err() {
            // After a failure there is no more.
            reading.session = None;
        }
        Some((slice.map_err(StoreError::from), reading))
    });
    Ok(Snapshot { seq, count, contacts: contacts.boxed() })
}

/// A transaction that reads.
struct Reading {
    session: Option<Session>,
    account: AccountId,
    last: ContactId,
    _turn: OwnedSemaphorePermit,
}

impl Reading {
    async fn begin(&mut self) -> Result<(meishi_contacts::Seq, u64), Error> {
        let Some(session) = &self.session else { return Ok(Default::default()) };
        session.begin(BEGIN).await?;
        contacts::moment(session, self.account).await
    }

    /// The next contacts; `None` once there are no more.
    async fn slice(&mut self) -> Result<Option<Vec<meishi_contacts::Contact>>, Error> {
        let Some(session) = &self.session else { return Ok(None) };
        let slice = contacts::slice(session, self.account, self.last, SLICE).await?;
        if let Some(contact) = slice.last() {
            self.last = contact.id;
            return Ok(Some(slice));
        }
        if let Some(session) = self.session.take() {
            session.roll_back().await;
        }
        Ok(None)
    }
}
