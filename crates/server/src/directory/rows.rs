//! The rows of an answer: those of the page, and those that memory leaves open.

use std::sync::Arc;

use meishi_contacts::{
    AccountId, ContactId, Place, Query, Slice,
    limits::{CHECK_TIME, CHECKED_ROWS, READ_ROWS},
};
use meishi_index::Answer;
use meishi_store::{ContactRecord, Include, StoreError};

use super::{Directory, QueryError};

/// A page of a query's answer.
#[derive(Debug)]
pub struct Page {
    /// The page's contacts, in order. One that was deleted in the meantime is left out.
    pub contacts: Vec<Arc<ContactRecord>>,
    /// How many contacts match in all.
    pub total: u64,
    /// What the next page comes after; `None` where there is none. It is the index's and not the
    /// last contact's, which may be left out.
    pub next: Option<Place>,
}

impl Directory {
    /// The contacts of an answer, as they are by now.
    pub(super) async fn rows(
        &self,
        account: AccountId,
        answer: Answer,
        include: Include,
    ) -> Result<Page, QueryError> {
        match answer {
            Answer::Exact { ids, total, next } => {
                let contacts = self.store.contacts(account, &ids, include).await?;
                Ok(Page { contacts, total, next })
            }
            Answer::Candidates { ids, condition } => {
                if ids.len() > CHECKED_ROWS {
                    return Err(QueryError::TooBroad(ids.len()));
                }
                let checked = self.checked(account, &ids, &condition, include);
                let checked = tokio::time::timeout(CHECK_TIME, checked).await;
                Ok(checked.map_err(|_| QueryError::TooSlow)??)
            }
        }
    }

    /// Checks on rows what the index left open.
    pub(super) async fn checked(
        &self,
        account: AccountId,
        candidates: &[ContactId],
        condition: &Query,
        include: Include,
    ) -> Result<Page, StoreError> {
        let Slice { offset, limit } = condition.slice;
        let (mut total, mut following) = (0, 0);
        let mut places = Vec::new();
        for ids in candidates.chunks(READ_ROWS) {
            let records = self.store.contacts(account, ids, Include::Nothing).await?;
            for contact in records.iter().map(|record| &record.contact) {
                if !condition.matches(contact) {
                    continue;
                }
                total += 1;
                if condition.follows(contact) {
                    following += 1;
                    if following > offset && places.len() < limit {
                        places.push(Place::of(condition, contact));
                    }
                }
            }
        }
        let ids: Vec<ContactId> = places.iter().map(|place| place.id).collect();
        let contacts = self.store.contacts(account, &ids, include).await?;
        let more = following > offset.saturating_add(limit);
        Ok(Page { contacts, total, next: places.pop().filter(|_| more) })
    }
}
