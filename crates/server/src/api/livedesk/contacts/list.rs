//! `GET /api/v2/accounts/contacts`: list and search on one path (`livedesk-wire.md` 4.3, 4.4).

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use meishi_contacts::{
    AccountId, Fault, Label, Query, Slice, SortKey, TextQuery,
    limits::LABEL_FILTERS,
    order::{self, DEFAULT_ORDER, NEAR_ORDER},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    position::{Position, question},
    view::{ContactView, Shown},
};
use crate::{
    ApiError, App,
    answer::{CONTACT_BYTES, json},
    auth::Reader,
    cursor,
    directory::Page,
    openapi::ErrorBody,
    paging::{ByCursor, Target, page_size},
    params::Params,
};

/// A page of contacts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ContactPage)]
pub struct Answer<'a> {
    meta: Meta,
    payload: Vec<ContactView<'a>>,
}

/// What there is to say of a page: in the form of the documents, or by cursor.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = ContactPageMeta)]
pub enum Meta {
    /// The call named neither `limit` nor `cursor`.
    Numbered(NumberedMeta),
    /// The call named one of them.
    ByCursor(CursorMeta),
}

/// What there is to say of a page that has a number.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ContactNumberedPageMeta)]
pub struct NumberedMeta {
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
    /// Nothing matched, and these names are near to what was asked for, where the call wants them;
    /// absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<String>, required = false, example = json!(["Ana Hernández"]))]
    did_you_mean: Option<Vec<String>>,
    /// What a filter asks, in words, where the call wants that; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "plan is pro")]
    explanation: Option<String>,
}

/// What there is to say of a page by cursor.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ContactCursorPageMeta)]
pub struct CursorMeta {
    /// How many contacts match in all.
    #[schema(example = 1)]
    count: u64,
    /// Whether another page follows.
    #[schema(example = true)]
    has_more: bool,
    /// The `cursor` of the next page; `null` on the last.
    #[schema(required = true, example = "AYqx0nqvBkZ-AAAAAAAAAAAPAcg1VlgYxU6b")]
    next_cursor: Option<String>,
    /// Nothing matched as written, and these are near matches; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = bool, required = false, example = true)]
    fuzzy: Option<bool>,
    /// Nothing matched, and these names are near to what was asked for, where the call wants them;
    /// absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<String>, required = false, example = json!(["Ana Hernández"]))]
    did_you_mean: Option<Vec<String>>,
    /// What a filter asks, in words, where the call wants that; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "plan is pro")]
    explanation: Option<String>,
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
///
/// Pages have numbers (`page`, `page_size`), or, with `limit` or `cursor`, each says where the next
/// one begins: those show every contact that stays where it is in the order exactly once, whatever
/// is written meanwhile; with `sort=id`, every contact that is there throughout.
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
        ("limit" = Option<i64>, Query, description = "Contacts on a page that is followed by cursor, 1 to 100, default 15; not beside `page`", example = 100),
        ("cursor" = Option<String>, Query, description = "The `meta.next_cursor` of the page before, with the same query and order; not beside `page`", example = ""),
        ("labels" = Option<String>, Query, description = "Titles with commas between; contacts that have any of them. `labels[]=a&labels[]=b` is the same", example = "vip,zürich"),
        ("sort" = Option<String>, Query, description = "`email`, `name`, `phone_number`, `last_activity_at`, `created_at`, `company`, `city`, `country`, `id`, and beside `q` `relevance` (whole words first, then beginnings of words; best first); several with commas between; a leading `-` is descending. Without it: last activity first", example = "-last_activity_at"),
        ("direction" = Option<String>, Query, description = "`asc` or `desc`, for sort keys without `-`", example = "asc"),
        ("include_contact_inboxes" = Option<bool>, Query, description = "Whether contacts show their channels; on by default"),
        (
            "include" = Option<String>, Query,
            description = "What else contacts show, with commas between: `first_name`, \
                           `last_name`, `labels`, and beside `q` `matched_on`, the fields that \
                           have it; `did_you_mean` adds names to `meta` where nothing has it; \
                           other words are ignored",
            example = "labels",
        ),
    ),
    responses(
        (
            status = 200,
            description = "A page of contacts",
            body = Answer<'static>,
            headers(("Link" = String, description = "By cursor: the next page, `rel=\"next\"`; absent on the last")),
        ),
        (
            status = 410,
            description = "The cursor is of another database, or of one that was restored since",
            body = ErrorBody,
            example = json!({
                "error": "The cursor is of another database, or of one that was restored since; start again without a cursor",
                "code": "cursor_expired",
                "request_id": "3f0d7c62-9d35-4c6b-8c64-0a3b1f0c5d11",
            }),
        ),
    ),
)]
pub async fn list(
    Reader(caller): Reader,
    State(app): State<App>,
    target: Target,
    params: Params,
) -> Result<Response, ApiError> {
    let asked = Asked { query: query(&params)?, explanation: None };
    answer_page(&app, caller.account, asked, &params, &target).await
}

/// What a call asks, but for the page.
pub(super) struct Asked {
    /// The query; its slice is not looked at.
    pub(super) query: Query,
    /// What the answer says of it in words.
    pub(super) explanation: Option<String>,
}

/// The page of an answer that the parameters name.
pub(super) async fn answer_page(
    app: &App,
    account: AccountId,
    asked: Asked,
    params: &Params,
    target: &Target,
) -> Result<Response, ApiError> {
    match ByCursor::asked(params)? {
        Some(page) => by_cursor(app, account, asked, page, params, target).await,
        None => numbered(app, account, asked, params).await,
    }
}

async fn numbered(
    app: &App,
    account: AccountId,
    asked: Asked,
    params: &Params,
) -> Result<Response, ApiError> {
    let (page, current_page) = page(params);
    let limit = page_size(params);
    let slice = Slice { offset: (page - 1).saturating_mul(limit), limit };
    let Asked { query, explanation } = asked;
    let found = find(app, account, Query { slice, ..query }, params).await?;
    let (count, fuzzy) = (found.page.total, found.fuzzy());
    let did_you_mean = did_you_mean(app, account, &found, params).await?;
    let meta =
        Meta::Numbered(NumberedMeta { count, current_page, fuzzy, did_you_mean, explanation });
    answer(meta, &found, params)
}

async fn by_cursor(
    app: &App,
    account: AccountId,
    asked: Asked,
    page: ByCursor,
    params: &Params,
    target: &Target,
) -> Result<Response, ApiError> {
    let Asked { query, explanation } = asked;
    let mut query = Query { slice: Slice { offset: 0, limit: page.limit }, ..query };
    let longest = [false, true].map(|near| Position::longest(&order(params, near)));
    target.check_room(cursor::sealed_len(longest.into_iter().max().unwrap_or_default()))?;
    let (question, database) = (question(account, &query), app.store.database().await?);
    let found = match page.cursor {
        None => find(app, account, query, params).await?,
        Some(cursor) => {
            let reader = cursor::Reader::open(&cursor, &database, &question)?;
            let Position { near, place } = Position::read(reader, |near| order(params, near))?;
            query.after = Some(place);
            if near {
                query = misspelt(query, params);
            }
            let text = query.text.clone();
            let page = app.directory.page(account, query, Shown::asked(params).include()).await?;
            Found { page, near, text }
        }
    };
    let (count, fuzzy, near) = (found.page.total, found.fuzzy(), found.near);
    let next = found.page.next.clone().map(|place| Position { near, place });
    let next_cursor = next.map(|position| position.write().seal(&database, &question));
    let link = next_cursor.as_deref().and_then(|cursor| target.next_link(cursor));
    let has_more = next_cursor.is_some();
    let did_you_mean = did_you_mean(app, account, &found, params).await?;
    let meta = Meta::ByCursor(CursorMeta {
        count,
        has_more,
        next_cursor,
        fuzzy,
        did_you_mean,
        explanation,
    });
    Ok((link.map(|link| [link]), answer(meta, &found, params)?).into_response())
}

/// A page, and whether near matches had to do.
struct Found {
    page: Page,
    near: bool,
    /// What was searched for, and how.
    text: Option<TextQuery>,
}

impl Found {
    fn fuzzy(&self) -> Option<bool> {
        (self.near && self.page.total > 0).then_some(true)
    }
}

/// The page of a query; of near matches, where nothing matches as written and the call wants them.
async fn find(
    app: &App,
    account: AccountId,
    query: Query,
    params: &Params,
) -> Result<Found, ApiError> {
    let include = Shown::asked(params).include();
    let page = app.directory.page(account, query.clone(), include).await?;
    if page.total > 0 || !params.is_on("fuzzy") || query.text.is_none() {
        return Ok(Found { page, near: false, text: query.text });
    }
    let query = misspelt(query, params);
    let text = query.text.clone();
    let page = app.directory.page(account, query, include).await?;
    Ok(Found { page, near: true, text })
}

/// Names near to what was searched for in vain, if the call wants them.
async fn did_you_mean(
    app: &App,
    account: AccountId,
    found: &Found,
    params: &Params,
) -> Result<Option<Vec<String>>, ApiError> {
    match &found.text {
        Some(text) if found.page.total == 0 && params.includes("did_you_mean") => {
            Ok(Some(app.directory.did_you_mean(account, text).await?))
        }
        _ => Ok(None),
    }
}

/// The same query for near matches.
fn misspelt(query: Query, params: &Params) -> Query {
    Query { text: query.text.map(TextQuery::misspelt), order: order(params, true), ..query }
}

/// The order that the call asks for, of near matches or of others; without any, the right person
/// first among near matches.
fn order(params: &Params, near: bool) -> Vec<SortKey> {
    let searched = text(params).is_some();
    let keys = order::parse(params.get("sort"), params.get("direction"), searched);
    let default: &[SortKey] = if near { &NEAR_ORDER } else { &DEFAULT_ORDER };
    if keys.is_empty() { default.to_vec() } else { keys }
}

fn text(params: &Params) -> Option<TextQuery> {
    params.get("q").and_then(TextQuery::parse)
}

/// The query of the parameters, of all pages.
pub(super) fn query(params: &Params) -> Result<Query, ApiError> {
    Ok(Query {
        text: text(params),
        labels: labels(params)?,
        filter: None,
        resolved: false,
        order: order(params, false),
        after: None,
        slice: Slice { offset: 0, limit: 0 },
    })
}

fn answer(meta: Meta, found: &Found, params: &Params) -> Result<Response, ApiError> {
    let shown = Shown::asked(params);
    let text = found.text.as_ref().filter(|_| params.includes("matched_on"));
    let view = |record| {
        let view = ContactView::shown(record, shown);
        match text {
            Some(text) => view.matched_on(&text.matched_on(&record.contact)),
            None => view,
        }
    };
    let payload: Vec<ContactView<'_>> =
        found.page.contacts.iter().map(Arc::as_ref).map(view).collect();
    json((payload.len() + 1) * CONTACT_BYTES, &Answer { meta, payload })
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
