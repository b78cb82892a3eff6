//! Who holds a connection for long: event streams, and calls of the feed that wait. How many there
//! may be, how many there are, and what the log says when one ends.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use meishi_contacts::{
    AccountId,
    limits::{STREAMS, STREAMS_PER_ACCOUNT},
};

use crate::{ApiError, auth::Caller};

/// What is open. Cheap to clone.
#[derive(Clone, Default)]
pub struct Streams(Arc<Mutex<Open>>);

#[derive(Default)]
struct Open {
    all: usize,
    accounts: HashMap<AccountId, usize>,
}

/// What holds the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A stream of events.
    Stream,
    /// A call of the feed that waits.
    Wait,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Wait => "wait",
        }
    }
}

/// One that is open, until it is dropped.
pub(crate) struct Slot {
    streams: Streams,
    kind: Kind,
    caller: Caller,
    begun: Instant,
    /// Events that were sent.
    pub(crate) events: u64,
}

impl Streams {
    /// Streams and waiting calls that are open.
    pub fn open(&self) -> usize {
        self.lock().all
    }

    /// Opens one more, if there may be.
    pub(crate) fn enter(&self, kind: Kind, caller: &Caller) -> Result<Slot, ApiError> {
        let mut open = self.lock();
        if open.all >= STREAMS {
            return Err(ApiError::Busy);
        }
        let of_account = open.accounts.entry(caller.account).or_default();
        if *of_account >= STREAMS_PER_ACCOUNT {
            return Err(ApiError::TooManyStreams);
        }
        *of_account += 1;
        open.all += 1;
        metrics::gauge!("meishi_streams", "kind" => kind.as_str()).increment(1);
        let (streams, caller, begun) = (self.clone(), caller.clone(), Instant::now());
        Ok(Slot { streams, kind, caller, begun, events: 0 })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.streams.lock();
        open.all -= 1;
        if let Some(of_account) = open.accounts.get_mut(&self.caller.account) {
            *of_account -= 1;
            if *of_account == 0 {
                open.accounts.remove(&self.caller.account);
            }
        }
        drop(open);
        metrics::gauge!("meishi_streams", "kind" => self.kind.as_str()).decrement(1);
        // A call has its line anyway; a stream's line stands at its beginning.
        if self.kind == Kind::Stream {
            tracing::info!(
                target: "meishi::request",
                seconds = self.begun.elapsed().as_secs(),
                events = self.events,
                request_id = self.caller.request_id(),
                account = self.caller.account.0,
                key = self.caller.key.0,
                "stream ended"
            );
        }
    }
}
