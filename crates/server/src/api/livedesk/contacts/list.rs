//! `GET /api/v2/accounts/contacts`: list and search on one path (`livedesk-wire.md` 4.3, 4.4).

use std::num::IntErrorKind;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use meishi_contacts::{
    Fault, Label, Query, Slice, TextQuery,
    limits::{LABEL_FILTERS, MAX_PAGE_SIZE, PAGE_SIZE},
    order,
};
use meishi_store::Include;
use serde::Serialize;
use utoipa::ToSchema;

use super::view::ContactView;
use crate::{ApiError, App, auth::Reader, params::Params};

/// A page of contacts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ContactPage)]
pub struct Answer<'a> {
    meta: Meta,
    payload: Vec<ContactView<'a>>,
}

/// What there is to say of a page.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ContactPageMeta)]
pub struct Meta {
    /// How many contacts match in all.
    #[schema(example = 1)]
    count: u64,
    /// The page: a string when the call named one, the integer 1 otherwise, as the documented
    /// samples have it.
    current_page: CurrentPage,
    /// Nothing matched as written, and these are near matches; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = bool, required = false, example = true)]
    fuzzy: Option<bool>,
}

/// The page's number in the form of the call.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum CurrentPage {
    /// The call named no page.
    First(u64),
    /// The call named a page.
    Named(String),
}

/// List or search contacts
///
/// Without `q` all contacts of the account; with it those of whose name, e-mail, phone number or
/// identifier it is a part, whatever case, width and diacritics (Müller is muller). A `q` of
/// digits and `+ - ( ) . /` and blanks finds phone numbers by their digits.
#[utoipa::path(
    get,
    path = "/api/v2/accounts/contacts",
    tag = "contacts",
    operation_id = "listContacts",
    params(
        ("q" = Option<String>, Query, description = "Part of a name, an e-mail address, a phone number or an identifier", example = "muller"),
        ("fuzzy" = Option<bool>, Query, description = "Where nothing matches `q` as written, find names that hold it misspelt; off by default"),
        ("page" = Option<String>, Query, description = "The page, from 1; anything else counts as 1", example = "1"),
        ("page_size" = Option<i64>, Query, description = "Contacts on a page, 1 to 100, default 15; `per_page` is the same", example = 10),
        ("labels" = Option<String>, Query, description = "Titles with commas between; contacts that have any of them. `labels[]=a&labels[]=b` is the same", example = "vip,zürich"),
        ("sort" = Option<String>, Query, description = "`email`, `name`, `phone_number`, `last_activity_at`, `created_at`, `company`, `city`, `country`; several with commas between; a leading `-` is descending. Without it: last activity first", example = "-last_activity_at"),
        ("direction" = Option<String>, Query, description = "`asc` or `desc`, for sort keys without `-`", example = "asc"),
        ("include_contact_inboxes" = Option<bool>, Query, description = "Whether contacts show their channels; on by default"),
    ),
    responses((status = 200, description = "A page of contacts", body = Answer<'static>)),
)]
pub async fn list(
    Reader(caller): Reader,
    State(app): State<App>,
    params: Params,
) -> Result<Response, ApiError> {
    let (page, current_page) = page(&params);
    let limit = page_size(&params);
    let mut query = Query {
        text: params.get("q").and_then(TextQuery::parse),
        labels: labels(&params)?,
        order: order::parse(params.get("sort"), params.get("direction")),
        after: None,
        slice: Slice { offset: (page - 1).saturating_mul(limit), limit },
    };
    let with_inboxes = params.is_on_by_default("include_contact_inboxes");
    let include = if with_inboxes { Include::Inboxes } else { Include::Nothing };
    let mut found = app.directory.page(caller.account, query.clone(), include).await?;
    let mut fuzzy = None;
    if found.total == 0 && params.is_on("fuzzy") && query.text.is_some() {
        query.text = query.text.map(TextQuery::misspelt);
        found = app.directory.page(caller.account, query, include).await?;
        fuzzy = (found.total > 0).then_some(true);
    }
    let payload =
        found.contacts.iter().map(|record| ContactView::new(record, with_inboxes)).collect();
    Ok(Json(Answer { meta: Meta { count: found.total, current_page, fuzzy }, payload })
        .into_response())
}

/// A number of digits; one too large to count to is the largest.
fn digits(text: &str) -> Option<usize> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(usize::MAX))
}

/// The page, from 1, and how the answer names it.
fn page(params: &Params) -> (usize, CurrentPage) {
    let Some(text) = params.get("page") else { return (1, CurrentPage::First(1)) };
    let page = digits(text).unwrap_or(1).max(1);
    (page, CurrentPage::Named(page.to_string()))
}

fn page_size(params: &Params) -> usize {
    let text = params.get("page_size").or_else(|| params.get("per_page")).unwrap_or_default();
    match text.parse::<i64>() {
        Ok(size) => usize::try_from(size).unwrap_or(1).clamp(1, MAX_PAGE_SIZE),
        // A number too large or too small to count to is clamped like any other.
        Err(error) => match error.kind() {
            IntErrorKind::PosOverflow => MAX_PAGE_SIZE,
            IntErrorKind::NegOverflow => 1,
            _ => PAGE_SIZE,
        },
    }
}

/// The labels to filter by. A text that can be no label is a 422 that says so.
fn labels(params: &Params) -> Result<Vec<Label>, ApiError> {
    let mut labels = Vec::new();
    for text in params.all("labels").flat_map(|list| list.split(',')) {
        let parsed = Label::parse(text)
            .map_err(|fault: Fault| ApiError::from(vec![fault.at("?labels".to_owned())]))?;
        labels.extend(parsed);
    }
    if labels.len() > LABEL_FILTERS {
        let text = format!("At most {LABEL_FILTERS} labels can be asked for at once");
        return Err(ApiError::MalformedRequest(text));
    }
    Ok(labels)
}
