//! Contacts: one file a verb, `parse.rs` for what comes in, `view.rs` for what goes out,
//! `position.rs` for what a list's cursor says.

mod as_of;
pub mod batch;
pub mod create;
pub mod delete;
pub mod erase;
pub mod filter;
pub mod history;
pub mod labels;
pub mod list;
pub mod lookup;
mod parse;
mod position;
pub mod read;
pub mod revert;
pub mod update;
pub mod upsert;
pub mod view;

pub(crate) use parse::integer;
