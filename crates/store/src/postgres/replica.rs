//! A replica, for reads that may be a little old.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::StreamExt;
use meishi_contacts::{AccountId, ContactId, Seq};

use super::{
    connect::{self, DatabaseUrl},
    contacts,
    error::Error,
    session::Sessions,
    snapshot,
};
use crate::{ContactRecord, Include, OpenError, Snapshot};

/// How long a replica may take for a page.
const ANSWER: Duration = Duration::from_secs(1);

/// How long one that failed is left alone.
const AWAY: Duration = Duration::from_secs(10);

/// A replica's connections, and whether it is asked at present.
pub(super) struct Replica {
    sessions: Sessions,
    away_since: Arc<Mutex<Option<Instant>>>,
}

impl Replica {
    pub(super) fn new(sessions: Sessions) -> Self {
        Self { sessions, away_since: Arc::default() }
    }

    /// Those of the contacts that it knows; none while it is away.
    pub(super) async fn contacts(
        &self,
        account: AccountId,
        ids: &[ContactId],
        include: Include,
    ) -> Vec<Arc<ContactRecord>> {
        if self.is_away() {
            return Vec::new();
        }
        let read = async {
            let session = self.sessions.get().await?;
            let reading = contacts::records(&session, account, ids, include);
            let read = tokio::time::timeout(ANSWER, reading).await.unwrap_or(Err(Error::Timeout));
            if read.is_err() {
                session.give_up();
            }
            read
        };
        read.await.unwrap_or_else(|error: Error| {
            leave_alone(&self.away_since, &error);
            Vec::new()
        })
    }

    /// An account's contacts; `None` where it has not heard of the account or is away. One that
    /// fails later on is not asked for the next.
    pub(super) async fn snapshot(&self, account: AccountId) -> Option<Snapshot> {
        if self.is_away() {
            return None;
        }
        match snapshot::open(&self.sessions, account).await {
            Ok(mut snapshot) if snapshot.seq > Seq::default() => {
                let away_since = Arc::clone(&self.away_since);
                let noted = snapshot
                    .contacts
                    .map(move |slice| slice.inspect_err(|error| leave_alone(&away_since, error)));
                snapshot.contacts = noted.boxed();
                Some(snapshot)
            }
            Ok(_) => None,
            Err(error) => {
                leave_alone(&self.away_since, &error);
                None
            }
        }
    }

    pub(super) fn close(&self) {
        self.sessions.close();
    }

    fn is_away(&self) -> bool {
        let since = *self.away_since.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| since.elapsed() < AWAY)
    }
}

fn leave_alone(away_since: &Mutex<Option<Instant>>, error: &dyn std::fmt::Display) {
    tracing::warn!(%error, "the replica does not answer; the database does instead");
    *away_since.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
}

/// Refuses a replica that is one of another database. One that is away is not missed.
pub(super) async fn check(
    client: &tokio_postgres::Client,
    url: &DatabaseUrl,
    replica: &DatabaseUrl,
) -> Result<(), OpenError> {
    let identity = "SELECT id, epoch FROM databases";
    let (other, connection) = match replica.connect().await {
        Err(error @ OpenError::Unreachable { .. }) => {
            tracing::warn!(%error, "the replica is away");
            return Ok(());
        }
        connected => connected?,
    };
    let there = other.query_typed(identity, &[]).await;
    drop(other);
    connection.abort();
    let there = there.map_err(|error| connect::open_error(replica, &error))?;
    let here = client.query_typed(identity, &[]).await;
    let here = here.map_err(|error| connect::open_error(url, &error))?;
    let identity = |rows: &[tokio_postgres::Row]| -> Option<(String, i64)> {
        rows.first().and_then(|row| Some((row.try_get(0).ok()?, row.try_get(1).ok()?)))
    };
    if identity(&here) == identity(&there) {
        return Ok(());
    }
    Err(OpenError::Unsuitable {
        database: replica.to_string(),
        reason: format!("it is no replica of {url}"),
        remedy: "correct --database-replica".into(),
    })
}
