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
