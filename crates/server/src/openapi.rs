//! The API description: generated from the handlers, completed with what all of them share.
//!
//! The types here say what a caller *should* send; what Meishi also takes is in
//! `livedesk-wire.md` 9.1. Committed as `openapi.json`; a test fails when that is stale.

mod complete;
mod errors;
mod headers;
mod requests;

use serde::Serialize;
use utoipa::{
    Modify, OpenApi, ToSchema,
    openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme},
};

pub(crate) use self::complete::complete;
pub use self::{errors::*, requests::*};
use crate::webhooks;

/// The document before the routes are added.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Meishi",
        description = "The contact service of a live chat or help desk. Speaks the contact API \
            that LiveDesk documents, and what is new beside it. An account id after `accounts/` \
            is optional in every path and must be the key's own. Where a limit counts a call, the \
            answer tells of it in `RateLimit-Policy`, `RateLimit` and `X-RateLimit-*`.",
        license(name = "MIT OR Apache-2.0"),
    ),
    tags(
        (name = "contacts", description = "People who write in"),
        (name = "labels", description = "What contacts are labelled with"),
        (name = "attributes", description = "Definitions of contacts' custom attributes"),
        (name = "inboxes", description = "Channels; the id is the Channel ID"),
        (name = "keys", description = "API keys; for administrators"),
        (name = "webhooks", description = "Messages to your endpoints; for administrators"),
        (name = "feed", description = "What changed, as it happens"),
        (name = "health", description = "Probes"),
    ),
    components(schemas(
        ErrorBody,
        FieldsError,
        VersionMismatch,
        webhooks::ContactMessage,
        webhooks::ErasedMessage,
        webhooks::ChatwootContact,
        webhooks::ChatwootErased,
    )),
    modifiers(&Security),
)]
pub struct Document;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let basic = Http::new(HttpAuthScheme::Basic);
        components.add_security_scheme("basic", SecurityScheme::Http(basic));
        let bearer = Http::new(HttpAuthScheme::Bearer);
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let token = ApiKeyValue::new("api_access_token");
        let token = SecurityScheme::ApiKey(ApiKey::Header(token));
        components.add_security_scheme("token", token);
    }
}

/// An answer without content.
#[derive(Debug, Serialize, ToSchema)]
pub struct Empty {}

/// What there is to say of a whole list.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListMeta {
    /// How many entries the list has.
    #[schema(example = 1)]
    pub count: usize,
}
