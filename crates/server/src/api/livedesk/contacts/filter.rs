//! `POST /api/v2/accounts/contacts/filter`: contacts by conditions (`chatwoot-wire.md` section 4),
//! as a list of theirs.

use std::sync::atomic::{AtomicBool, Ordering};

use axum::{extract::State, response::Response};
use meishi_contacts::{
    AccountId, Filter, Query,
    filter::{Operator, Reading},
};
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};

use super::list::{self, Asked};
use crate::{ApiError, App, auth::Reader, body::Fields, paging::Target, params::Params};

/// Which contacts: either of the two.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"payload": [
    {"attribute_key": "plan", "filter_operator": "equal_to", "values": ["pro"], "query_operator": "and"},
    {"attribute_key": "labels", "filter_operator": "equal_to", "values": ["vip"]},
]}))]
pub struct FilterContacts {
    /// Conditions, each joined to the next by its `query_operator`; `and` binds tighter than `or`.
    #[schema(min_items = 1, max_items = 100)]
    payload: Option<Vec<FilterCondition>>,
    /// A condition, or a group: `{"and": […]}` or `{"or": […]}` of conditions and groups,
    /// `{"not": …}` of one; eight levels of groups.
    #[schema(value_type = Option<Object>, example = json!({"and": [
        {"attribute_key": "plan", "filter_operator": "equal_to", "values": ["pro"]},
        {"or": [
            {"attribute_key": "labels", "filter_operator": "equal_to", "values": ["vip"]},
            {"attribute_key": "seats", "filter_operator": "is_greater_than", "values": [10]},
        ]},
    ]}))]
    filter: Option<serde_json::Value>,
}

/// A condition on one thing of a contact.
#[derive(Debug, Serialize, ToSchema)]
pub struct FilterCondition {
    /// A field, `labels`, the key of a custom attribute (`custom_attributes.plan` is the same), or
    /// `additional_attributes.` and a key.
    #[schema(example = "labels")]
    attribute_key: String,
    /// What is asked of it.
    #[schema(value_type = FilterOperator)]
    filter_operator: String,
    /// What for: texts, numbers, booleans, dates; several mean any of them. What is no list is one.
    #[schema(max_items = 1000, example = json!(["vip"]))]
    values: Option<Vec<serde_json::Value>>,
    /// `and` or `or`, to the next condition of a `payload`; not on the last.
    #[schema(example = "and")]
    query_operator: Option<String>,
}

/// The operators' names, of which there is but one list.
#[derive(Debug)]
pub struct FilterOperator;

impl PartialSchema for FilterOperator {
    fn schema() -> RefOr<Schema> {
        let names = Operator::ALL.map(Operator::as_str);
        let schema = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names));
        RefOr::T(schema.examples([Operator::EqualTo.as_str()]).into())
    }
}

impl ToSchema for FilterOperator {}

/// Filter contacts
///
/// Lists the contacts that conditions on fields, attributes and labels hold of. The order and the
/// pages are those of the list, and so is the answer; a cursor goes on with the body that it came
/// of. It only reads.
#[utoipa::path(
    post,
    path = "/api/v2/accounts/contacts/filter",
    tag = "contacts",
    operation_id = "filterContacts",
    params(
        ("resolved" = Option<bool>, Query, description = "Whether only contacts with an e-mail address, a phone number or an identifier; on by default"),
        ("explain" = Option<bool>, Query, description = "Whether `meta.explanation` says in words what is asked; off by default"),
        ("q" = Option<String>, Query, description = "As in the list", example = "muller"),
        ("fuzzy" = Option<bool>, Query, description = "As in the list"),
        ("labels" = Option<String>, Query, description = "As in the list", example = "vip,zürich"),
        ("page" = Option<String>, Query, description = "The page, from 1; anything else counts as 1", example = "1"),
        ("page_size" = Option<i64>, Query, description = "Contacts on a page, 1 to 100, default 15; `per_page` is the same", example = 10),
        ("limit" = Option<i64>, Query, description = "Contacts on a page that is followed by cursor, 1 to 100, default 15; not beside `page`", example = 100),
        ("cursor" = Option<String>, Query, description = "The `meta.next_cursor` of the page before, with the same body, query and order; not beside `page`", example = ""),
        ("sort" = Option<String>, Query, description = "As in the list", example = "-last_activity_at"),
        ("direction" = Option<String>, Query, description = "`asc` or `desc`, for sort keys without `-`", example = "asc"),
        ("include_contact_inboxes" = Option<bool>, Query, description = "Whether contacts show their channels; on by default"),
        ("include" = Option<String>, Query, description = "As in the list", example = "labels"),
    ),
    request_body(content(
        (FilterContacts = "application/json"),
        (FilterContacts = "application/x-www-form-urlencoded"),
    )),
    responses((
        status = 200,
        description = "A page of contacts",
        body = list::Answer<'static>,
        headers(("Link" = String, description = "By cursor: where to POST the same body for the next page, `rel=\"next\"`; absent on the last")),
    )),
)]
pub async fn filter(
    Reader(caller): Reader,
    State(app): State<App>,
    target: Target,
    params: Params,
    body: Fields,
) -> Result<Response, ApiError> {
    let filter = parse(&app, caller.account, &body).await?;
    let explanation = params.is_on("explain").then(|| filter.explain());
    let resolved = params.is_on_by_default("resolved");
    let query = Query { filter: Some(filter), resolved, ..list::query(&params)? };
    let asked = Asked { query, explanation };
    list::answer_page(&app, caller.account, asked, &params, &target).await
}

/// Reads a filter by the types that the account defines. They are only looked up where a custom
/// attribute is asked about.
async fn parse(app: &App, account: AccountId, body: &Fields) -> Result<Filter, ApiError> {
    let (now, asked) = (app.clock.now(), AtomicBool::new(false));
    let ask = |_: &str| {
        asked.store(true, Ordering::Relaxed);
        None
    };
    let untyped = Filter::parse(&body.members, &Reading { types: &ask, ..Reading::untyped(now) });
    if !asked.into_inner() {
        return Ok(untyped?);
    }
    let definitions = app.store.attributes(account).await?;
    let defined = |key: &str| definitions.iter().find(|d| d.key == key).map(|d| d.kind);
    Ok(Filter::parse(&body.members, &Reading { types: &defined, ..Reading::untyped(now) })?)
}
