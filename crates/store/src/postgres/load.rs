//! The rows that a group of calls needs, read in one round trip.

use std::collections::BTreeSet;

use futures::{future::try_join_all, try_join};
use meishi_contacts::{AccountId, ContactId, InboxId, KeyId, Label, SourceId, UnixMillis};

use super::{
    attributes, contacts, deliveries,
    error::Error,
    events, inboxes, keys, labels,
    row::{self, column},
    session::Session,
    statement::statements,
    webhooks,
};
use crate::ledger::{Count, KeptOutcome, Ledger, Needs, OutcomeKey, Traces};

statements! {
    HOLDERS(INT8, INT8_ARRAY, TEXT_ARRAY) =
        "SELECT wanted.inbox_id, wanted.source_id, holder.contact_id
         FROM unnest($2::bigint[], $3::text[]) AS wanted (inbox_id, source_id)
         CROSS JOIN LATERAL (
           SELECT contact_id FROM contact_inboxes
           WHERE account_id = $1 AND inbox_id = wanted.inbox_id AND source_id = wanted.source_id
           OFFSET 0) AS holder";
    COUNT_INBOXES(INT8) = "SELECT count(*) FROM inboxes WHERE account_id = $1";
    COUNT_LINKS(INT8, INT8) = "SELECT count(*) FROM contact_inboxes
         WHERE account_id = $1 AND inbox_id = $2";
    COUNT_LABELS(INT8) = "SELECT count(*) FROM labels WHERE account_id = $1";
    COUNT_ATTRIBUTES(INT8) = "SELECT count(*) FROM attribute_definitions WHERE account_id = $1";
    COUNT_KEYS(INT8) = "SELECT count(*) FROM api_keys WHERE account_id = $1";
    COUNT_WEBHOOKS(INT8) = "SELECT count(*) FROM webhooks
         WHERE account_id = $1 AND state <> 'deleted'";
    OUTCOMES_OF(INT8, INT8) = "SELECT api_key_id, route, key FROM idempotency_contacts
         WHERE account_id = $1 AND contact_id = $2";
    OUTCOME(INT8, INT8, TEXT, TEXT) = "SELECT fingerprint, outcome, created_at
         FROM idempotency_keys
         WHERE account_id = $1 AND api_key_id = $2 AND route = $3 AND key = $4";
}

/// Notes rows that were read.
type Note = Box<dyn FnOnce(&mut Ledger) + Send>;

/// Reads what is needed, as far as it is there. The notes are for the ledger, which is made when
/// the counters are known: both are read at once.
pub(super) async fn rows(
    session: &Session,
    account: AccountId,
    needs: &Needs,
) -> Result<Vec<Note>, Error> {
    let reader = Reader { session, account };
    let read = try_join!(
        reader.contacts(&needs.contacts),
        reader.owners(needs),
        reader.holders(needs),
        reader.inboxes(&needs.inboxes),
        reader.link_counts(&needs.link_counts),
        reader.labels(needs),
        reader.attributes(needs),
        reader.keys(needs),
        reader.counts(needs),
        reader.outcomes(needs),
        reader.past(needs),
        reader.webhooks(needs),
    )?;
    let (contacts, owners, holders, inboxes, link_counts, labels, attributes, keys, counts, ..) =
        read;
    let (.., outcomes, past, webhooks) = read;
    let mut notes = vec![
        contacts,
        owners,
        holders,
        inboxes,
        link_counts,
        labels,
        attributes,
        keys,
        counts,
        outcomes,
        past,
        webhooks,
    ];
    for id in &needs.traces {
        notes.push(reader.traces(*id).await?);
    }
    Ok(notes)
}

struct Reader<'a> {
    session: &'a Session,
    account: AccountId,
}

impl Reader<'_> {
    async fn contacts(&self, ids: &BTreeSet<ContactId>) -> Result<Note, Error> {
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        let found = contacts::load(self.session, self.account, &ids).await?;
        Ok(Box::new(|ledger| {
            for contact in found {
                ledger.load_contact(contact);
            }
        }))
    }

    async fn owners(&self, needs: &Needs) -> Result<Note, Error> {
        let owners = contacts::owners(self.session, self.account, needs.identities.iter()).await?;
        Ok(Box::new(|ledger| {
            for (identity, owner) in owners {
                ledger.load_owner(identity, owner);
            }
        }))
    }

    async fn holders(&self, needs: &Needs) -> Result<Note, Error> {
        let mut holders = Vec::new();
        let (inboxes, sources): (Vec<i64>, Vec<&str>) =
            needs.links.iter().map(|(inbox, source_id)| (inbox.0, source_id.as_str())).unzip();
        if !inboxes.is_empty() {
            for row in self.session.query(HOLDERS, &[&self.account.0, &inboxes, &sources]).await? {
                let source_id = SourceId::from_stored(column(&row, 1)?);
                let link = (InboxId(column(&row, 0)?), source_id);
                holders.push((link, ContactId(column(&row, 2)?)));
            }
        }
        Ok(Box::new(|ledger| {
            for (link, holder) in holders {
                ledger.load_link(link, holder);
            }
        }))
    }

    async fn inboxes(&self, ids: &BTreeSet<InboxId>) -> Result<Note, Error> {
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        let found = inboxes::some(self.session, self.account, &ids).await?;
        Ok(Box::new(|ledger| found.into_iter().for_each(|inbox| ledger.load_inbox(inbox))))
    }

    async fn link_counts(&self, inboxes: &BTreeSet<InboxId>) -> Result<Note, Error> {
        let asked = inboxes.iter().map(|inbox| async move {
            let rows = self.session.query(COUNT_LINKS, &[&self.account.0, &inbox.0]).await?;
            Ok::<_, Error>((*inbox, number(rows.first())?))
        });
        let counts = try_join_all(asked).await?;
        Ok(Box::new(|ledger| {
            for (inbox, count) in counts {
                ledger.load_link_count(inbox, count);
            }
        }))
    }

    /// Labels, and what happened to them.
    async fn labels(&self, needs: &Needs) -> Result<Note, Error> {
        let (session, account) = (self.session, self.account);
        let titles: Vec<&str> = needs.labels.iter().map(Label::as_str).collect();
        let ids: Vec<i64> = needs.label_ids.iter().map(|id| id.0).collect();
        let (by_title, by_id) = try_join!(
            labels::titled(session, account, &titles),
            labels::some(session, account, &ids)
        )?;
        let relabelled = match needs.relabelled_after {
            Some(after) => Some(events::relabelled(session, account, after).await?),
            None => None,
        };
        Ok(Box::new(|ledger| {
            by_title.into_iter().chain(by_id).for_each(|label| ledger.load_label(label));
            if let Some(events) = relabelled {
                ledger.load_relabelled(events);
            }
        }))
    }

    async fn attributes(&self, needs: &Needs) -> Result<Note, Error> {
        let (session, account) = (self.session, self.account);
        let keys: Vec<&str> = needs.attributes.iter().map(String::as_str).collect();
        let ids: Vec<i64> = needs.attribute_ids.iter().map(|id| id.0).collect();
        let (by_key, by_id) = try_join!(
            attributes::keyed(session, account, &keys),
            attributes::some(session, account, &ids)
        )?;
        Ok(Box::new(|ledger| {
            let found = by_key.into_iter().chain(by_id);
            found.for_each(|definition| ledger.load_attribute(definition));
        }))
    }

    async fn keys(&self, needs: &Needs) -> Result<Note, Error> {
        let ids: Vec<i64> = needs.keys.iter().map(|id| id.0).collect();
        let found = keys::some(self.session, self.account, &ids).await?;
        Ok(Box::new(|ledger| found.into_iter().for_each(|key| ledger.load_key(key))))
    }

    async fn counts(&self, needs: &Needs) -> Result<Note, Error> {
        let mut counts = Vec::new();
        for count in &needs.counts {
            let statement = match count {
                Count::Attributes => COUNT_ATTRIBUTES,
                Count::Inboxes => COUNT_INBOXES,
                Count::Keys => COUNT_KEYS,
                Count::Labels => COUNT_LABELS,
                Count::Webhooks => COUNT_WEBHOOKS,
            };
            let rows = self.session.query(statement, &[&self.account.0]).await?;
            counts.push((*count, number(rows.first())?));
        }
        Ok(Box::new(move |ledger| {
            for (of, count) in counts {
                ledger.load_count(of, count);
            }
        }))
    }

    async fn outcomes(&self, needs: &Needs) -> Result<Note, Error> {
        let outcomes = try_join_all(needs.outcomes.iter().map(|key| self.outcome(key))).await?;
        Ok(Box::new(|ledger| {
            for (key, kept) in outcomes.into_iter().flatten() {
                ledger.load_outcome(key, kept);
            }
        }))
    }
}

impl Reader<'_> {
    async fn outcome(&self, key: &OutcomeKey) -> Result<Option<(OutcomeKey, KeptOutcome)>, Error> {
        let found = self
            .session
            .query_opt(OUTCOME, &[&self.account.0, &key.api_key_id.0, &key.route, &key.key])
            .await?;
        let Some(row) = found else { return Ok(None) };
        let kept = KeptOutcome {
            fingerprint: row::hash(column(&row, 0)?, 0)?,
            results: row::json(&row, 1)?,
            at: UnixMillis(column(&row, 2)?),
            contacts: BTreeSet::new(),
        };
        Ok(Some((key.clone(), kept)))
    }

    /// Contacts that are gone, and events.
    async fn past(&self, needs: &Needs) -> Result<Note, Error> {
        let gone = needs.deleted_contacts.iter().map(|id| async move {
            let last_seq = events::of_deleted(self.session, self.account, *id).await?;
            Ok::<_, Error>((*id, last_seq))
        });
        let gone = try_join_all(gone).await?;
        let past = needs.events.iter().map(|seq| events::get(self.session, self.account, *seq));
        let past = try_join_all(past).await?;
        Ok(Box::new(|ledger| {
            for (id, last_seq) in gone {
                if let Some(last_seq) = last_seq {
                    ledger.load_deleted_contact(id, last_seq);
                }
            }
            past.into_iter().flatten().for_each(|event| ledger.load_event(event));
        }))
    }

    /// Webhooks, and deliveries that may be made once more.
    async fn webhooks(&self, needs: &Needs) -> Result<Note, Error> {
        let (session, account) = (self.session, self.account);
        let found = needs.webhooks.iter().map(|id| webhooks::lock(session, account, *id));
        let found = try_join_all(found).await?;
        let again = needs.redeliveries.iter().map(|(id, which)| async move {
            let rows = deliveries::redeliverable(session, account, *id, *which).await?;
            let oldest = deliveries::oldest_unsettled(session, account, *id, &rows).await?;
            Ok::<_, Error>((*id, *which, rows, oldest))
        });
        let again = try_join_all(again).await?;
        Ok(Box::new(|ledger| {
            found.into_iter().flatten().for_each(|webhook| ledger.load_webhook(webhook));
            for (id, which, rows, oldest) in again {
                ledger.load_unsettled(id, oldest);
                ledger.load_redeliverable(id, which, rows);
            }
        }))
    }

    /// What an erasure of a contact has to reach.
    async fn traces(&self, id: ContactId) -> Result<Note, Error> {
        let (session, account) = (self.session, self.account);
        let events = events::telling(session, account, id).await?;
        let deliveries = deliveries::count_of_contact(session, account, id).await?;
        let mut outcomes = BTreeSet::new();
        for row in session.query(OUTCOMES_OF, &[&account.0, &id.0]).await? {
            let (route, key) = (column(&row, 1)?, column(&row, 2)?);
            outcomes.insert(OutcomeKey { api_key_id: KeyId(column(&row, 0)?), route, key });
        }
        let kept = try_join_all(outcomes.iter().map(|key| self.outcome(key))).await?;
        Ok(Box::new(move |ledger| {
            for (key, kept) in kept.into_iter().flatten() {
                ledger.load_outcome(key, kept);
            }
            ledger.load_traces(id, Traces { events, outcomes, deliveries });
        }))
    }
}

fn number(row: Option<&tokio_postgres::Row>) -> Result<i64, Error> {
    row.map_or(Ok(0), |row| column(row, 0))
}
