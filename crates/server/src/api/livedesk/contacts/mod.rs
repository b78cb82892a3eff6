//! Contacts: one file a verb, `parse.rs` for what comes in, `view.rs` for what goes out.

pub mod create;
pub mod delete;
pub mod labels;
pub mod list;
mod parse;
pub mod read;
pub mod update;
pub mod view;

pub(crate) use parse::integer;

use axum::{extract::FromRequestParts, http::request::Parts};
use meishi_contacts::ContactId;

use crate::{ApiError, App, params};

/// The contact that the path names. Anything but a possible id is not found.
#[derive(Debug, Clone, Copy)]
pub struct PathContact(pub ContactId);

impl FromRequestParts<App> for PathContact {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let id = params::path_id(parts, app).await?;
        ContactId::parse(&id).map(Self).ok_or(ApiError::NotFound)
    }
}
