//! The last events of an account as its streams send them: read and rendered once for all streams
//! that stand at the end, however many they are.
//!
//! A stream shows the sign that woke it. The first one with a new sign reads the store, those after
//! it find what it read. A stream that stands elsewhere, or where the events do not follow those
//! before, is told so, and reads the store for itself.

use std::{collections::VecDeque, sync::Arc};

use meishi_contacts::{
    AccountId, Event, Seq,
    limits::{FEED_READ_ROWS, RECENT_EVENTS},
};
use meishi_store::{Store, StoreError};

use super::Sign;

/// An event as streams send it.
type Message = (Seq, Arc<str>);

/// What a stream learns of its place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The events after it, the oldest first; there may be more.
    Events(Vec<Message>),
    /// There are none.
    Nothing,
    /// The place is none that is known here: the store is to be asked.
    Elsewhere,
}

/// Where the events of an account come from.
pub(crate) struct Source<'a> {
    pub(crate) store: &'a dyn Store,
    pub(crate) account: AccountId,
    /// How a stream sends an event.
    pub(crate) render: fn(&Event) -> String,
}

/// The last events of an account.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    /// The sign under which the store was read last; nothing before the first read.
    read: Option<Sign>,
    /// The event before the first of `messages`, and the last of them.
    before: Seq,
    last: Seq,
    messages: VecDeque<Message>,
    #[cfg(test)]
    reads: usize,
}

impl Recent {
    /// What there is after a place, for a stream that has seen a sign.
    pub(crate) async fn after(
        &mut self,
        source: &Source<'_>,
        sign: Sign,
        place: Seq,
    ) -> Result<Found, StoreError> {
        match self.read {
            // It was read after the change of which the sign tells.
            Some(read) if read.number >= sign.number => {}
            // One of before a restore would hold what is there no more.
            Some(read) if read.epoch == sign.epoch => self.read_on(source, sign).await?,
            _ => self.begin(source, sign).await?,
        }
        if !(self.before..=self.last).contains(&place) {
            return Ok(Found::Elsewhere);
        }
        let events = self.messages.iter().filter(|(seq, _)| *seq > place);
        let events: Vec<Message> = events.take(FEED_READ_ROWS).cloned().collect();
        Ok(if events.is_empty() { Found::Nothing } else { Found::Events(events) })
    }

    /// Begins anew at the account's last event.
    async fn begin(&mut self, source: &Source<'_>, sign: Sign) -> Result<(), StoreError> {
        self.last = head(source).await?;
        self.messages.clear();
        self.before = self.last;
        self.read = Some(sign);
        Ok(())
    }

    /// Reads what came since.
    async fn read_on(&mut self, source: &Source<'_>, sign: Sign) -> Result<(), StoreError> {
        let mut came = 0;
        loop {
            let events = source.store.events(source.account, self.last, FEED_READ_ROWS).await?;
            #[cfg(test)]
            {
                self.reads += 1;
            }
            let follows = events.first().is_none_or(|first| first.seq == self.last.next());
            came += events.len();
            // The poller saw fewer than there were: the database may have lost some.
            let is_short = came == 0 && sign.seq < self.last && head(source).await? < self.last;
            // Retention was faster, or streams that are this far behind had better read themselves.
            if !follows || is_short || came > RECENT_EVENTS {
                return self.begin(source, sign).await;
            }
            for event in &events {
                self.messages.push_back((event.seq, (source.render)(event).into()));
                self.last = event.seq;
            }
            if events.len() < FEED_READ_ROWS {
                break;
            }
        }
        while self.messages.len() > RECENT_EVENTS {
            self.before = self.messages.pop_front().map_or(self.before, |(seq, _)| seq);
        }
        self.read = Some(sign);
        Ok(())
    }
}

/// The account's last event.
async fn head(source: &Source<'_>) -> Result<Seq, StoreError> {
    let counts = source.store.counts(source.account).await?;
    Ok(counts.map(|counts| counts.last_seq).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use meishi_contacts::{Actor, ChannelType, NewInbox, Seed, UnixMillis};
    use meishi_store::{Change, Context};

    use super::{super::tests::store, *};

    fn sign(number: u64) -> Sign {
        Sign { number, ..Sign::default() }
    }

    /// Writes so many events.
    async fn write(store: &dyn Store, account: AccountId, count: usize) {
        let cx = Context {
            account,
            actor: Actor::System,
            at: UnixMillis(0),
            request_id: String::new(),
            seed: Seed([2; 32]),
            precondition: None,
            idempotency: None,
        };
        let inbox = NewInbox { id: None, name: "App".into(), channel_type: ChannelType::Api };
        let changes = vec![Change::CreateInbox(inbox); count];
        let applied = store.apply(cx, changes, true).await.unwrap();
        assert!(applied.results.iter().all(Result::is_ok));
    }

    #[tokio::test]
    async fn streams_at_the_end_share_one_read() {
        let directory = tempfile::tempdir().unwrap();
        let (store, account) = store(&directory).await;
        let render = |event: &Event| format!("{}", event.seq);
        let source = Source { store: &*store, account, render };
        let mut recent = Recent::default();
        let last = store.counts(account).await.unwrap().unwrap().last_seq;
        assert_eq!(recent.after(&source, sign(0), last).await.unwrap(), Found::Nothing);
        let mut places = vec![last; 100];
        for number in 1..=3 {
            write(&*store, account, 1).await;
            let before = recent.reads;
            for place in &mut places {
                let found = recent.after(&source, sign(number), *place).await.unwrap();
                let next = place.next();
                assert_eq!(found, Found::Events(vec![(next, next.to_string().into())]));
                *place = next;
                let found = recent.after(&source, sign(number), *place).await.unwrap();
                assert_eq!(found, Found::Nothing);
            }
            assert_eq!(recent.reads, before + 1);
        }
        // One that was slow is told of all that it missed; one that stands elsewhere reads itself.
        let found = recent.after(&source, sign(3), last).await.unwrap();
        let Found::Events(events) = found else { panic!("{found:?}") };
        assert_eq!(events.len(), 3);
        for elsewhere in [Seq(last.0 - 1), Seq(last.0 + 4)] {
            let found = recent.after(&source, sign(3), elsewhere).await.unwrap();
            assert_eq!(found, Found::Elsewhere);
        }
    }

    #[tokio::test]
    async fn only_the_last_events_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let (store, account) = store(&directory).await;
        let source = Source { store: &*store, account, render: |_| String::new() };
        let mut recent = Recent::default();
        let first = store.counts(account).await.unwrap().unwrap().last_seq;
        recent.after(&source, sign(0), first).await.unwrap();
        for number in 1..=4 {
            write(&*store, account, RECENT_EVENTS / 2).await;
            recent.after(&source, sign(number), first).await.unwrap();
            assert!(recent.messages.len() <= RECENT_EVENTS);
        }
        assert_eq!(recent.after(&source, sign(4), first).await.unwrap(), Found::Elsewhere);
        // More than are kept: those who are this far behind read themselves.
        let last = recent.last;
        write(&*store, account, RECENT_EVENTS + 1).await;
        assert_eq!(recent.after(&source, sign(5), last).await.unwrap(), Found::Elsewhere);
        let came = i64::try_from(RECENT_EVENTS + 1).unwrap();
        assert_eq!((recent.messages.len(), recent.last), (0, Seq(last.0 + came)));
        // Of another epoch it knows nothing.
        write(&*store, account, 1).await;
        let restored = |number, epoch| Sign { number, epoch, ..Sign::default() };
        recent.after(&source, sign(6), Seq(0)).await.unwrap();
        assert_eq!(recent.messages.len(), 1);
        let last = recent.last;
        let found = recent.after(&source, restored(7, 2), last).await.unwrap();
        assert_eq!((found, recent.messages.len()), (Found::Nothing, 0));
    }
}
