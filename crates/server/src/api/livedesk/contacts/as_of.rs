//! `GET /api/v2/accounts/contacts/:id?as_of=`: the contact as it was.

use axum::response::Response;
use meishi_contacts::{AccountId, ContactId, Seq};

use super::view::{ContactAnswer, Shown};
use crate::{
    ApiError, App,
    api::parse_rfc3339,
    conditional::{IfNoneMatch, Representation},
    past::{self, Moment},
};

/// Answers with the contact as it was; 404 when it was not there.
pub(super) async fn read(
    app: &App,
    account: AccountId,
    id: ContactId,
    when: &str,
    shown: Shown,
    known: &IfNoneMatch,
) -> Result<Response, ApiError> {
    let moment = moment(when).ok_or_else(|| {
        let text = "as_of must be the number of an event or a time (RFC 3339)";
        ApiError::MalformedRequest(text.to_owned())
    })?;
    let was =
        past::contact_at(&*app.store, account, id, moment).await?.ok_or(ApiError::NotFound)?;
    let answer = ContactAnswer::as_of(&was.contact, was.event, shown);
    Ok(Representation::new(was.contact.version, &answer)?.unless(known))
}

/// Digits are the number of an event, however large; anything else is a time.
fn moment(text: &str) -> Option<Moment> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Moment::After(Seq(text.parse().unwrap_or(i64::MAX))));
    }
    parse_rfc3339(text).map(Moment::At)
}
