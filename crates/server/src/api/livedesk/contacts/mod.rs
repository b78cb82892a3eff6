//! Contacts: one file a verb, `parse.rs` for what comes in, `view.rs` for what goes out,
//! `position.rs` for what a list's cursor says.

pub mod create;
pub mod delete;
pub mod labels;
pub mod list;
mod parse;
mod position;
pub mod read;
pub mod update;
pub mod view;

pub(crate) use parse::integer;
